import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editPods, edits, leasesRenewed, said } from "../../../testing/cluster-edits.ts";
import { ago, crashing } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { etcdSpaceExceeded } from "./etcd-space-exceeded.ts";

/** As etcd v3.5.35, kube-apiserver and kube-controller-manager v1.33 said it. */
const alarm = (is: "raised" | "disarmed") =>
  `{"level":"warn","ts":"2026-11-21T02:54:00Z","caller":"etcdserver/apply.go:753","msg":"alarm ${is}","alarm":"NOSPACE","from":"8d6922fa78f0ee22"}`;
const REFUSED =
  'E1121 02:59:40.774052       1 controller.go:195] "Failed to update lease" err="etcdserver: mvcc: database space exceeded"';
const LOST = 'E1121 02:54:29.739115       1 controllermanager.go:340] "leaderelection lost"';

const leader = (at: string): Edit =>
  addObjects("leases", {
    metadata: { name: "kube-controller-manager", namespace: "kube-system" },
    spec: { holderIdentity: "cp1_0d5e", renewTime: at },
  });
const full: Edit = edits(
  leader(ago(360)),
  leasesRenewed(ago(360)),
  said("etcd", [alarm("raised")], ago(359)),
  said("kube-apiserver", [REFUSED]),
);
const healthy = () => cluster().edit(leader(ago(3)));

testCheck(etcdSpaceExceeded, {
  finds: {
    "a job has filled etcd": {
      given: cluster().edit(full),
      repair: "Pod/kube-system/etcd-cp1",
      says: ["etcd's database has reached its quota (alarm NOSPACE)"],
      breaks: ["api.write"],
      strength: "direct",
      healedBy: healthy,
    },
    "only the API server is heard": {
      given: cluster().edit(leasesRenewed(ago(360)), said("kube-apiserver", [REFUSED])),
      repair: "Pod/kube-system/etcd-cp1",
      healedBy: healthy,
    },
    "etcd is no Pod, and an agent complains": {
      given: cluster().edit(
        leasesRenewed(ago(360)),
        editPods("etcd", () => undefined),
        said("kube-flannel-ds", [REFUSED]),
      ),
      repair: "Pod/kube-system/etcd",
      healedBy: () => cluster().edit(editPods("etcd", () => undefined)),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
  },
  remembers: {
    "room was made: leases are renewed again": cluster().edit(
      full,
      leasesRenewed(ago(2)),
      said("kube-apiserver", [REFUSED], ago(60)),
    ),
    "the alarm was taken away a moment ago": cluster().edit(
      full,
      said("kube-apiserver", [REFUSED], ago(30)),
      said("etcd", [alarm("disarmed")], ago(10)),
    ),
  },
  cannotTell: {
    "api.write": {
      "we may not list leases": cluster().without("leases"),
      "leases are old, and nobody says why": cluster().edit(leasesRenewed(ago(360))),
    },
  },
});

describe("etcd that takes no writes", () => {
  it("is the root of controllers that end", () => {
    const ended = edits(
      editPods("kube-controller-manager", crashing()),
      said("kube-controller-manager", [LOST], ago(20)),
    );
    const { rootCauses } = diagnose(cluster().edit(full, ended).capture);
    expect(rootCauses.map(({ id }) => id)).toEqual(["etcd-space-exceeded/Pod/kube-system/etcd-cp1"]);
    expect(JSON.stringify(rootCauses[0]!.explains)).toContain("kube-controller-manager");
  });
});
