import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { controllerLeaseExpired } from "./controller-lease-expired.ts";

const HOLDER = "cp1_3f0b1c5e-8a43-4a62-b4a1-0c8f0f6c52d7";
const held =
  (name: string, renewed: number, holderIdentity = HOLDER, namespace = "kube-system"): Edit =>
  (draft) => {
    const spec = { holderIdentity, renewTime: ago(renewed) };
    draft.setList("leases", [...draft.list("leases"), { metadata: { name, namespace }, spec }]);
  };
const leases = (manager: number, scheduler: number) =>
  cluster().edit(held("kube-controller-manager", manager), held("kube-scheduler", scheduler));
const healedBy = () => leases(3, 3);

testCheck(controllerLeaseExpired, {
  finds: {
    "somebody moved the manifest of kube-controller-manager away": {
      given: leases(145, 3),
      repair: "Pod/kube-system/kube-controller-manager-cp1",
      says: ["kube-controller-manager does not run: nobody has renewed its lease for 142 s", "cp1_"],
      breaks: ["component.run"],
      strength: "direct",
      healedBy,
    },
    "kube-scheduler's certificate expired last night": {
      given: leases(3, 30_000),
      repair: "Pod/kube-system/kube-scheduler-cp1",
      says: ["kube-scheduler does not run"],
      healedBy,
    },
    "kube-scheduler ended in good order, and none came after it": {
      given: cluster().edit(held("kube-controller-manager", 3), held("kube-scheduler", 603, "")),
      repair: "Pod/kube-system/kube-scheduler-cp1",
      says: ["its last leader gave its lease up 600 s ago"],
      healedBy,
    },
  },
  clears: {
    "OpenShift's kube-scheduler took to a lease of another namespace a year ago": cluster().edit(
      held("kube-controller-manager", 3),
      held("kube-scheduler", 31_536_000, ""),
      held("kube-scheduler", 3, HOLDER, "openshift-kube-scheduler"),
    ),
    "both are renewed": healedBy(),
    "a managed cluster keeps its controllers elsewhere": cluster({ flavour: "managed" }),
    "no lease is renewed any more: that is not the controllers' doing": leases(600, 600).edit((draft) =>
      draft.setList(
        "leases",
        draft.list("leases").map((lease) => ({ ...lease, spec: { ...lease.spec, renewTime: ago(600) } })),
      ),
    ),
  },
  cannotTell: {
    "component.run": { "we may not read Leases": leases(145, 3).without("leases") },
  },
});
