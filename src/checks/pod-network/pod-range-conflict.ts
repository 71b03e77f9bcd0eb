import type { CapabilityName } from "../../model/capability.ts";
import type { Change } from "../../model/changes/change.ts";
import type { FlannelConfig } from "../../model/flannel.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Range, RangeConflict, Ranges } from "../../model/ranges.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import { contains, covers, formatPrefix, type Ip, type Prefix, parseIp } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { fewOf, texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, warning, works } from "../check.ts";
import { type Remedy, rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "ranges" | "nodes" | "pods" | "services" | "flannel">;

const say = texts("pod-range-conflict", {
  nodesOverlap: {
    en: "Nodes {a} and {b} have overlapping Pod ranges ({rangeA}, {rangeB}): packets for one go to the other",
    zh: "节点 {a} 与 {b} 的 Pod 网段重叠（{rangeA}、{rangeB}）：发往一方的报文会送到另一方",
  },
  outsideNetwork: {
    en: "Node {node} has a Pod range of another generation: {range} lies outside the Pod network {network}",
    zh: "节点 {node} 的 Pod 网段属于另一代：{range} 不在 Pod 网络 {network} 之内",
  },
  networkElsewhere: {
    en: "The Pod network {network} of {config} holds no node's Pod range ({ranges}): flannel fails at its next start",
    zh: "{config} 中的 Pod 网络 {network} 不包含任何节点的 Pod 网段（{ranges}）：flannel 下次启动时会失败",
  },
  correctNetwork: {
    en: "Set the network to the one that the nodes' Pod ranges are taken from",
    zh: "将网络改回各节点 Pod 网段所属的网络",
  },
  correctController: {
    en: "Set --cluster-cidr of kube-controller-manager to it as well: the kubelet restarts it",
    zh: "同时将 kube-controller-manager 的 --cluster-cidr 改回该网络：kubelet 会重启它",
  },
  restartFlannel: {
    en: "Restart flannel: it reads its network when it starts",
    zh: "重启 flannel：它只在启动时读取该配置",
  },
  nothing: { en: "Nothing", zh: "无" },
  podsServices: {
    en: "The Pod range {range} overlaps the Service range {services}",
    zh: "Pod 网段 {range} 与 Service 网段 {services} 重叠",
  },
  podsNodes: {
    en: "The Pod range {range} of node {node} overlaps the network {network} of the nodes",
    zh: "节点 {node} 的 Pod 网段 {range} 与节点所在网络 {network} 重叠",
  },
  keep: {
    en: "Keep the Node object with its labels and taints: it is deleted below",
    zh: "保存 Node 对象及其标签和污点：后面会删除它",
  },
  drain: { en: "Move its Pods to other nodes", zh: "把其上的 Pod 迁移到其他节点" },
  remove: {
    en: "Delete the Node object: the range of one that exists never changes",
    zh: "删除 Node 对象：已有 Node 的网段不会改变",
  },
  register: {
    en: "Remove what was made for the old range, and let the kubelet register the node anew",
    zh: "清除旧网段留下的配置，再让 kubelet 重新注册该节点",
  },
  see: {
    en: "Decide which range gives way; changing the Service range or the network of the nodes means a new cluster or a migration",
    zh: "先决定由哪个网段让步；更改 Service 网段或节点网络意味着重建集群或迁移",
  },
  interrupts: {
    en: "All Pods of the node are made anew, most of them on other nodes",
    zh: "该节点上的 Pod 会全部重建，大多迁移到其他节点",
  },
  prevent: {
    en: "Set --cluster-cidr of kube-controller-manager and the Network of the CNI from one source, before the first node joins, and compare the podCIDRs of the nodes regularly",
    zh: "在第一个节点加入之前，用同一份配置设定 kube-controller-manager 的 --cluster-cidr 和 CNI 的 Network，并定期核对各节点的 podCIDR",
  },
});

const list = (items: readonly string[]) => fewOf(items, 3);

function titleOf({ what, a, b, nodes }: RangeConflict) {
  const [rangeA, rangeB] = [formatPrefix(a.prefix), formatPrefix(b.prefix)];
  switch (what) {
    case "nodes-overlap":
      return say.nodesOverlap({ a: a.source.name, b: b.source.name, rangeA, rangeB });
    case "outside-network":
      return say.outsideNetwork({ node: a.source.name, range: rangeA, network: rangeB });
    case "network-elsewhere":
      return say.networkElsewhere({
        network: rangeA,
        config: refId(a.source),
        ranges: list(nodes.flatMap(({ podRanges }) => podRanges.map(formatPrefix))),
      });
    case "pods-services":
      return say.podsServices({ range: rangeA, services: rangeB });
    case "pods-nodes":
      return say.podsNodes({ node: a.source.name, range: rangeA, network: rangeB });
  }
}

/** flannel asks for the network when it starts, and only then; overlapping ranges harm at once. */
const BREAKS = {
  "nodes-overlap": "pod-network.ranges",
  "outside-network": "pod-network.config",
  "network-elsewhere": "pod-network.config",
  "pods-services": "pod-network.ranges",
  "pods-nodes": "pod-network.ranges",
} as const satisfies Record<RangeConflict["what"], CapabilityName>;

/** Of two nodes with one range, the younger was given what was taken. */
function repairOf({ what, a, b, nodes }: RangeConflict): Ref {
  if (what !== "nodes-overlap") return a.source;
  const created = (name: string) => nodes.find((node) => node.name === name)?.object?.metadata.creationTimestamp ?? "";
  return created(a.source.name) > created(b.source.name) ? a.source : b.source;
}

const ipsOf = (addresses: readonly string[]): Ip[] => addresses.map(parseIp).filter((ip) => ip !== undefined);
const holds = (prefix: Prefix, ips: readonly Ip[]): boolean => ips.some((ip) => contains(prefix, ip));

/** Whether Pods have addresses of their nodes' ranges: Calico and Cilium may have pools of their own. */
function usesNodeRanges({ pods, nodes }: Model): boolean {
  return (
    !pods.whole ||
    pods.all.some(
      ({ node, hostNetwork, addresses }) =>
        !hostNetwork && nodes.get(node ?? "")?.podRanges.some((range) => holds(range, ipsOf(addresses))),
    )
  );
}

/**
 * The conflict where somebody has an address that two may claim, if anybody has: of ranges that only overlap, the longer
 * prefix is routed to, and nothing is lost.
 */
function harmful(conflict: RangeConflict, { nodes, services, ranges }: Model): RangeConflict | undefined {
  const { what, a } = conflict;
  if (what === "pods-services") {
    const clusterIps = ipsOf(services.all.flatMap((service) => service.clusterIps));
    const claimed = ranges.podRanges.find(({ prefix }) => holds(prefix, clusterIps));
    const node = claimed && nodes.get(claimed.source.name);
    return claimed && { ...conflict, a: claimed, nodes: node ? [node] : [] };
  }
  if (what === "pods-nodes")
    return nodes.all.some(({ addresses }) => holds(a.prefix, ipsOf(addresses))) ? conflict : undefined;
  return conflict;
}

/** The controller managers whose range holds no node's either: they end at their next start, or have ended. */
function controllersElsewhere(config: Ref, { all, podRanges }: Ranges): readonly Range[] {
  return all.filter(
    ({ of, source, prefix }) =>
      of === "pod-network" &&
      source.kind === "Pod" &&
      refId(source) !== refId(config) &&
      podRanges.every((range) => range.prefix.ip.family !== prefix.ip.family || !covers(prefix, range.prefix)) &&
      podRanges.some((range) => range.prefix.ip.family === prefix.ip.family),
  );
}

/** Sets flannel's network to the one that others give the nodes' ranges from; which it is must be known. */
function correctNetwork(
  repair: Ref,
  { networks, text, agent }: FlannelConfig,
  ranges: Ranges,
  nodeOf: (pod: Ref) => string | undefined,
): Remedy[] {
  const { all, podRanges } = ranges;
  const wrong = networks.find((network) => text.includes(formatPrefix(network)));
  const right = all.find(
    ({ of, source, prefix }) =>
      of === "pod-network" &&
      refId(source) !== refId(repair) &&
      podRanges.every((range) => range.prefix.ip.family !== prefix.ip.family || covers(prefix, range.prefix)),
  );
  const restart = {
    why: say.restartFlannel(),
    change: { do: "restart", component: agent },
    verify: rolledOut(agent),
  } as const;
  if (!wrong || !right) {
    const shown = { run: `kubectl get ${kubectlName(repair)} -o yaml` };
    const edit = { why: say.correctNetwork(), change: { run: `kubectl edit ${kubectlName(repair)}` }, verify: shown };
    const file = "/etc/kubernetes/manifests/kube-controller-manager.yaml";
    const controllers = controllersElsewhere(repair, ranges).map(({ source }) => ({
      why: say.correctController(),
      change: { run: `vi ${file}`, ...(nodeOf(source) && { node: nodeOf(source)! }) },
      verify: rolledOut(source),
    }));
    const steps = [edit, ...controllers, restart];
    return [{ id: "correct-network", risk: "medium", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  }
  const patch = (json: string) =>
    ({ do: "patch", target: repair, patch: { data: { "net-conf.json": json } } }) as const satisfies Change;
  const steps = [
    {
      why: say.correctNetwork(),
      change: patch(text.replace(formatPrefix(wrong), formatPrefix(right.prefix))),
      undo: patch(text),
      verify: { run: `kubectl get ${kubectlName(repair)} -o yaml` },
    },
    restart,
  ] as const;
  return [{ id: "correct-network", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
}

/** Pod ranges overlap, repeat, or belong to two generations. */
export const podRangeConflict = defineCheck({
  id: "pod-range-conflict",
  reads: ["ranges", "nodes", "pods", "services", "flannel"],

  *find(model) {
    const { ranges, nodes, services } = model;
    const warned = new Set<RangeConflict["what"]>();
    for (const overlap of ranges.conflicts) {
      const { what } = overlap;
      const isShared = what === "pods-services" || what === "pods-nodes";
      if (isShared && overlap.a.of === "node-pods" && !usesNodeRanges(model)) continue;
      const conflict = harmful(overlap, model);
      const { a, b } = conflict ?? overlap;
      const repair = repairOf(conflict ?? overlap);
      const related = [a.source, b.source].filter((source) => refId(source) !== refId(repair));
      const controllers = what === "network-elsewhere" ? controllersElsewhere(a.source, ranges) : [];
      const evidence = [a.evidence, b.evidence, ...controllers.map((one) => one.evidence)];
      if (!conflict) {
        // one hazard, of which every node is an example
        if (!warned.has(what)) yield warning(repair, titleOf(overlap), evidence, related);
        warned.add(what);
        continue;
      }
      const affected = conflict.nodes.length > 0 ? conflict.nodes : nodes.all;
      yield fault({
        repair,
        related: [...related, ...controllers.map(({ source }) => source)],
        nodes: affected.map(({ name }) => name),
        breaks: [
          ...affected.map(({ name }) => ({ name: BREAKS[what], node: name })),
          ...controllers.map(({ source }) => ({ name: BREAKS[what], component: refId(source) })),
        ],
        title: titleOf(conflict),
        evidence,
        strength: "direct",
        facts: { case: what },
      });
    }
    for (const name of ["pod-network.ranges", "pod-network.config"] as const) {
      const isUnseen = name === "pod-network.config" ? model.flannel.used && !model.flannel.config : !services.whole;
      if (!ranges.whole) yield cannotTell({ name }, [{ kind: "nodes" }]);
      else if (isUnseen)
        yield cannotTell({ name }, [{ kind: name === "pod-network.config" ? "configmaps" : "services" }]);
      else if (!ranges.conflicts.some(({ what }) => BREAKS[what] === name)) {
        const said = ranges.podRanges.slice(0, 3).map(({ evidence }) => evidence);
        yield works({ name }, said);
      }
    }
  },

  remedies({ repair, facts, nodes }, { flannel, ranges, pods }) {
    if (facts.case === "network-elsewhere" && flannel.config)
      return correctNetwork(
        repair,
        flannel.config,
        ranges,
        ({ namespace, name }) => pods.get(namespace ?? "", name)?.node,
      );
    const node = repair.kind === "Node" ? repair.name : nodes[0];
    const shown = { run: "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDRs" };
    if (node === undefined || facts.case === "pods-services" || facts.case === "pods-nodes") {
      const step = { why: say.see(), change: shown, verify: shown };
      return [{ id: "replan", risk: "high", interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] }];
    }
    const file = `node-${node}.yaml`;
    const verify = { run: sh`kubectl get node ${node} -o jsonpath={.spec.podCIDRs}` };
    const clean = "ip link delete cni0; ip link delete flannel.1; rm -rf /var/lib/cni/networks /run/flannel/subnet.env";
    const steps = [
      { why: say.keep(), change: { run: sh`kubectl get node ${node} -o yaml > ${file}` }, verify },
      {
        why: say.drain(),
        change: { run: sh`kubectl drain ${node} --ignore-daemonsets --delete-emptydir-data` },
        undo: { run: sh`kubectl uncordon ${node}` },
        verify,
      },
      {
        why: say.remove(),
        change: { do: "delete", target: ref("Node", node) } as const,
        undo: { run: sh`kubectl create -f ${file}` },
        verify,
      },
      {
        why: say.register(),
        change: { run: `systemctl stop kubelet; ${clean}; systemctl start kubelet`, node },
        undo: { run: sh`kubectl create -f ${file}` },
        verify,
      },
    ];
    const prevent = [say.prevent()];
    return [{ id: "renumber-node", risk: "high", interrupts: say.interrupts(), steps, prevent, errata: ["X17"] }];
  },

  manual: {
    title: { en: "Pod ranges conflict", zh: "Pod 网段冲突" },
    page: {
      en: `The address ranges of the cluster get in each other's way: two nodes were given overlapping Pod ranges, a node's range lies outside the network that the CNI is configured for (a cluster whose range was changed after some nodes had joined), its network holds no node's range at all (the network is the odd one then), or Pods, Services and nodes share addresses.

**How it looks.** With two generations, Pods of old and new nodes reach each other one way or not at all: routes exist for one range, masquerading and forwarding rules cover the other, and flannel on the old node fails at its next restart (\`specified in the flannel net config doesn't contain … PodCIDR\`). With overlaps, packets arrive at the wrong Pod or never leave the node.

**When this is not the cause.** Networks that merely overlap work where nobody has an address that two may claim: the longer prefix is routed to. That is a warning. Calico and Cilium may give Pods addresses of pools of their own; then spec.podCIDR means nothing.

**What does not help.** Deleting cni0 and restarting flannel: spec.podCIDR of a Node object never changes; the object must be made anew.`,
      zh: `集群的地址范围互相冲突：两个节点分到了重叠的 Pod 网段；某节点的网段不在 CNI 所配置的网络内（部分节点加入后更改过网段）；CNI 的网络不包含任何节点的网段（此时有误的是该配置）；或 Pod、Service、节点的地址重叠。

**现象。** 两代网段并存时，新旧节点的 Pod 之间单向或完全不通：路由只有一代的，而源地址转换和转发规则只覆盖另一代，旧节点上的 flannel 下次重启会失败（\`specified in the flannel net config doesn't contain … PodCIDR\`）。网段重叠时，报文会到达错误的 Pod 或出不了节点。

**何时不是它。** 网段仅仅重叠、而没有地址被双方占用时仍可工作：路由按最长前缀匹配，这只是警告。Calico 和 Cilium 可能使用自己的地址池，此时 spec.podCIDR 没有意义。

**无效的做法。** 删除 cni0 并重启 flannel：Node 对象的 spec.podCIDR 不会改变，必须重建该对象。`,
    },
  },
});
