import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";
import { rolledOut } from "../remedy.ts";

const say = texts("flannel-backend-mixed", {
  mixed: {
    en: "flannel runs with different backends: {those}; nodes of one ignore those of another, and keep what they knew of them until something changes",
    zh: "flannel 在各节点上使用不同的后端：{those}；不同后端的节点互相忽略，在发生变更之前只保留原有的表项",
  },
  restart: {
    en: "Restart flannel on all nodes, if the backend in its ConfigMap is the one that is meant ({backend}): it reads it only when it starts. Else correct the ConfigMap first",
    zh: "若 ConfigMap 中的后端（{backend}）正是所需的，则重启所有节点上的 flannel：它只在启动时读取；否则先修正 ConfigMap",
  },
  interrupts: {
    en: "Connections between nodes while the first have changed and the last have not",
    zh: "部分节点已切换、其余尚未切换期间，节点之间的连接会中断",
  },
  prevent: {
    en: "Change the backend in a maintenance window, and let all Pods of flannel restart at once (a hash of the ConfigMap in the Pod template)",
    zh: "在维护窗口内更改后端，并让所有 flannel Pod 一起重启（在 Pod 模板中写入 ConfigMap 的哈希）",
  },
});

/** flannel of some nodes was started with another backend: it was changed, and not all have restarted since. */
export const flannelBackendMixed = defineCheck({
  id: "flannel-backend-mixed",
  reads: ["flannel", "nodes", "components", "objects"],

  *find({ flannel, nodes, components, objects }) {
    const told = nodes.all.flatMap((node) => {
      const peer = flannel.peer(node.name);
      return peer && peer.backend !== "" ? [peer] : [];
    });
    const groups = [...Map.groupBy(told, ({ backend }) => backend)].sort(([, a], [, b]) => b.length - a.length);
    const [most, ...odd] = groups;
    const [agent] = components.byId("flannel");
    if (!most || odd.length === 0) return;
    const quotes = groups.flatMap(([backend, peers]) =>
      peers
        .slice(0, 2)
        .flatMap(({ node: { name, object } }) =>
          object
            ? objects.quote("nodes", object, `Node ${name}: flannel.alpha.coreos.com/backend-type ${backend}`)
            : [],
        ),
    );
    yield fault({
      repair: agent?.ref ?? odd[0]![1][0]!.node.ref,
      related: [
        ...(flannel.configMap ? [flannel.configMap] : []),
        ...odd.flatMap(([, peers]) => peers.map(({ node }) => node.ref)),
      ],
      nodes: odd.flatMap(([, peers]) => peers.map(({ node }) => node.name)),
      breaks: told.map(({ node }) => ({ name: "pod-network.backend", node: node.name })),
      title: say.mixed({
        those: groups.map(([backend, peers]) => `${backend} (${named(peers.map(({ node }) => node.name))})`).join(", "),
      }),
      evidence: [...quotes, ...(flannel.config ? [flannel.config.evidence] : [])],
      strength: "direct",
      facts: { backend: flannel.config?.backend ?? most[0] },
    });
  },

  remedies({ repair, facts }) {
    const isAgent = repair.kind === "DaemonSet";
    const step = {
      why: say.restart({ backend: String(facts.backend) }),
      ...(isAgent && { change: { do: "restart", component: repair } as const }),
      verify: isAgent ? rolledOut(repair) : { run: "kubectl get nodes -o yaml | grep backend-type" },
    };
    return [
      { id: "one-backend", risk: "medium", interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: { en: "flannel runs with different backends", zh: "各节点 flannel 的后端不一致" },
    page: {
      en: `Each flannel tells by an annotation of its node (\`backend-type\`) how it is reached, and takes notice only of nodes that are reached as it is: VXLAN of VXLAN, host-gw of host-gw.

**How it looks.** At first like nothing: routes and tunnel entries from before stay, and packets pass. What comes later is missing: a node that joins, restarts or gets another MAC address is not reached from nodes of the other kind.

**How it comes about.** The backend in ConfigMap kube-flannel-cfg was changed, and flannel, which reads it only when it starts, has restarted on some nodes since.

**When this is not the cause.** If all nodes tell the same backend, look at the entries that are missing: \`pod-network-entry-mismatch\`.`,
      zh: `每个 flannel 通过节点注解（\`backend-type\`）说明如何到达本节点，并只处理与自己后端相同的节点：VXLAN 只认 VXLAN，host-gw 只认 host-gw。

**现象。** 起初毫无异常：原有路由和隧道表项仍在，报文可以通过。之后的变化则缺失：新加入、重启或 MAC 地址改变的节点，无法从使用另一种后端的节点访问。

**成因。** 修改了 ConfigMap kube-flannel-cfg 中的后端，而 flannel 只在启动时读取，此后只有部分节点上的 flannel 重启过。

**何时不是它。** 若所有节点的后端相同，应检查缺失的表项：\`pod-network-entry-mismatch\`。`,
    },
  },
});

const MOST_NAMED = 4;
const named = (nodes: readonly string[]): string =>
  nodes.length <= MOST_NAMED ? nodes.join(", ") : `${nodes.slice(0, MOST_NAMED).join(", ")} … ${nodes.length}`;
