import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods } from "../../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../../testing/cluster-nodes.ts";
import { gone } from "../../../testing/object-states.ts";
import { ref } from "../../model/ref.ts";
import { nodeJoinRefused } from "./node-join-refused.ts";

const BINDING = "kubeadm:kubelet-bootstrap";
const failed =
  (why: string): Edit =>
  (draft) =>
    draft.set(
      "kubeletLog",
      { node: "w9" },
      logOf([`E1121 02:59:50.000000     812 run.go:72] "command failed" err="failed to run Kubelet: ${why}"`], NOW),
    );
const unauthorized = failed("cannot create certificate signing request: Unauthorized");
const forbidden = failed(
  'cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden: User \\"system:bootstrap:abcdef\\" cannot create resource \\"certificatesigningrequests\\" in API group \\"certificates.k8s.io\\" at the cluster scope',
);
const signed: Edit = editObjects("configmaps", "cluster-info", (one) => ({
  ...one,
  data: { ...one.data, "jws-kubeconfig-abcdef": "x..y" },
}));
const controllers = (value: string): Edit =>
  editPods("kube-controller-manager", (pod) => ({
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map((one) => ({
        ...one,
        command: ["kube-controller-manager", `--controllers=${value}`],
      })),
    },
  }));
const healedBy = () => cluster();

testCheck(nodeJoinRefused, {
  finds: {
    "somebody joins a node with last week's command": {
      given: cluster().edit(unauthorized),
      repair: "Node/w9",
      says: ["Node w9 cannot join", "cluster-info is signed by none"],
      breaks: ["node.join"],
      strength: "heard",
      healedBy,
    },
    "the token was mistyped": {
      given: cluster().edit(signed, unauthorized),
      repair: "Node/w9",
      says: ["it has expired (kubeadm's count for 24 hours), was deleted, or is of another cluster"],
      healedBy,
    },
    "the binding for bootstrap tokens was deleted": {
      given: cluster()
        .with({ do: "delete", target: ref("ClusterRoleBinding", BINDING) })
        .edit(forbidden),
      repair: `ClusterRoleBinding/${BINDING}`,
      says: ["lets nobody with a bootstrap token ask for a certificate", "system:bootstrap:abcdef"],
      strength: "direct",
      healedBy,
    },
    "the token is of no group that may ask": {
      given: cluster().edit(forbidden),
      repair: "Node/w9",
      says: ["its token is not of a group that is allowed to"],
      healedBy,
    },
  },
  warns: {
    "cluster-info was deleted": {
      given: cluster().edit(editObjects("configmaps", "cluster-info", gone)),
      repair: "ConfigMap/kube-public/cluster-info",
      says: ["Nodes cannot join by a bootstrap token"],
    },
    "kube-controller-manager signs and cleans no tokens": {
      given: cluster().edit(controllers("*")),
      repair: "Pod/kube-system/kube-controller-manager-cp1",
      says: ["without its bootstrap-signer-controller, token-cleaner-controller"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "kubeadm's own controllers": cluster().edit(controllers("*,bootstrapsigner,tokencleaner")),
    "a node that says nothing of the kind": cluster().edit(failed("running with swap on is not supported")),
    "a cluster that is not kubeadm's": cluster({ flavour: "managed" }),
  },
  cannotTell: {
    "node.join": { "whether w9 is a node is not known": cluster().without("nodes").edit(failed("something else")) },
  },
});
