import { answered } from "../../../testing/answers.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { editObjects } from "../../../testing/cluster-edits.ts";
import type { Node } from "../../parse/objects.ts";
import { kubeletUnreachable } from "./kubelet-unreachable.ts";

const healedBy = () => cluster();

const timeout = (address: string) =>
  `Get "https://${address}:10250/containerLogs/kube-system/kube-proxy-x/kube-proxy": dial tcp ${address}:10250: i/o timeout`;

const notReady = (node: Node): Node => ({
  ...node,
  status: { ...node.status, conditions: [{ type: "Ready", status: "Unknown", reason: "NodeStatusUnknown" }] },
});

testCheck(kubeletUnreachable, {
  finds: {
    "a firewall of w2 keeps the API server from its kubelet": {
      given: answered("w2", timeout),
      repair: "Node/w2",
      healedBy,
      says: ["does not reach the kubelet of node w2 (i/o timeout)"],
      breaks: ["kubelet.answer"],
      strength: "direct",
    },
    "nothing listens there": {
      given: answered("w2", (address) => `dial tcp ${address}:10250: connect: connection refused`),
      repair: "Node/w2",
      healedBy,
      says: ["(connection refused)"],
    },
    "requests hang": {
      given: answered("w2", () => "silent for 8 s"),
      repair: "Node/w2",
      healedBy,
      says: ["Nothing comes from the kubelet of node w2"],
      strength: "heard",
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "one log of many hangs": answered("w2", () => "silent for 8 s", 1),
    "the only log that was asked for hangs": cluster()
      .model()
      .pods.onNode("w2")
      .slice(1)
      .reduce(
        (seen, pod) =>
          pod.object.spec.containers.reduce(
            (left, { name: container }) =>
              left.without("containerLog", { namespace: pod.namespace, pod: pod.name, container }),
            seen,
          ),
        answered("w2", () => "silent for 8 s", 1),
      ),
    "no node's logs come": ["cp1", "w1", "w2"].reduce(
      (seen, node) => answered(node, () => "silent for 8 s", 99, seen),
      cluster(),
    ),
    "logs that nobody may read": answered("w2", () => 'pods "x" is forbidden: User cannot get resource "pods/log"'),
    "a node that is not ready has another trouble": answered("w2", timeout).edit(editObjects("nodes", "w2", notReady)),
  },
});
