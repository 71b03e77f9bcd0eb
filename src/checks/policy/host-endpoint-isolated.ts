import { kubectlName } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

const say = texts("host-endpoint-isolated", {
  bare: {
    en: "{host} isolates node {node}: no policy and no profile allows anything to or from it, so only Calico's failsafe ports pass",
    zh: "{host} 隔离了节点 {node}：没有策略或 profile 放行任何流量，只有 Calico 的 failsafe 端口可通",
  },
  denied: {
    en: "{policies} {count:isolates|isolate} node {node} through {host}: {count:it has|they have} no rule that allows anything, so only Calico's failsafe ports pass",
    zh: "{policies} 通过 {host} 隔离了节点 {node}：没有任何放行规则，只有 Calico 的 failsafe 端口可通",
  },
  allow: {
    en: "Allow by a GlobalNetworkPolicy that selects it what the node needs; or give it the profile projectcalico-default-allow, or delete it",
    zh: "用选中它的 GlobalNetworkPolicy 放行节点所需流量；或为其加上 profile projectcalico-default-allow，或删除它",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Make the policies before the HostEndpoint, and begin with the profile projectcalico-default-allow: a HostEndpoint denies from the moment it exists",
    zh: "先创建策略再创建 HostEndpoint，并从 profile projectcalico-default-allow 开始：HostEndpoint 一经创建即默认拒绝",
  },
  unread: { en: "which policies select {host} could not be read", zh: "无法解读哪些策略选中了 {host}" },
});

/** A HostEndpoint cuts a node off. */
export const hostEndpointIsolated = defineCheck({
  id: "host-endpoint-isolated",
  reads: ["policies", "nodes"],

  *find({ policies, nodes }) {
    for (const { ref, node, isolated, policies: selecting, evidence } of policies.calico.hosts) {
      if (!nodes.get(node)) continue;
      const capability = { name: "node.admit", node } as const;
      const host = `HostEndpoint/${ref.name}`;
      if (!selecting) yield cannotTell(capability, [], say.unread({ host }));
      if (!selecting || isolated.length === 0) continue;
      const names = selecting.map(({ ref: { name } }) => `GlobalNetworkPolicy/${name}`);
      yield fault({
        repair: ref,
        related: [{ kind: "Node", name: node }, ...selecting.map((policy) => policy.ref)],
        nodes: [node],
        breaks: [capability],
        title:
          selecting.length === 0
            ? say.bare({ host, node })
            : say.denied({ policies: names, count: selecting.length, node, host }),
        evidence: [evidence, ...selecting.map((policy) => policy.evidence)],
        strength: "direct",
      });
    }
  },

  remedies({ repair }) {
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const verify = { run: `kubectl get ${kubectlName(repair)} -o yaml` };
    const steps = [{ why: say.allow(), change: edit, undo: edit, verify }];
    return [{ id: "admit-node", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A HostEndpoint cuts a node off", zh: "HostEndpoint 隔离了节点" },
    page: {
      en: `A HostEndpoint of Calico puts an interface of a node under policies. What none of them allows is denied as soon as it exists, but for the failsafe ports of Felix (ssh, DHCP, DNS, BGP, etcd, the API server).

**How it looks.** Connections of the node itself, and to programs on it, time out: its kubelet (10250: \`kubectl logs\` and \`exec\`), node ports called from it, monitoring. Pods are not concerned, and the node stays Ready: its kubelet still reaches the API server.

**How it comes about.** A HostEndpoint made before its policies; automatic host endpoints switched on (\`autoCreate\`), with policies whose selector is \`all()\` and that were meant for Pods; a profile taken away.

**When this is not the cause.** A policy that allows some connections of the node and denies others is meant to.`,
      zh: `Calico 的 HostEndpoint 使节点的网卡受策略约束。一经创建，未被放行的流量就会被拒绝，只有 Felix 的 failsafe 端口（ssh、DHCP、DNS、BGP、etcd、API Server）除外。

**现象。** 节点自身发起的连接以及访问节点上程序的连接超时：kubelet（10250，影响 \`kubectl logs\` 和 \`exec\`）、从该节点访问 NodePort、监控采集。Pod 不受影响，节点仍为 Ready：其 kubelet 仍能访问 API Server。

**成因。** 先创建了 HostEndpoint 而策略未就绪；开启了自动创建（\`autoCreate\`），而选择器为 \`all()\` 的策略本意只针对 Pod；profile 被去掉。

**何时不是它。** 若策略放行节点的一部分连接而拒绝另一部分，则属有意设置。`,
    },
  },
});
