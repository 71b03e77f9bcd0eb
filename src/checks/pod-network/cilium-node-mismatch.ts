import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { kubectlName, ref } from "../../model/ref.ts";
import { formatPrefix, overlaps, type Prefix, parsePrefix } from "../../net/ip.ts";
import type { CiliumNodeObject } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";

const PARTS = ["cilium", "components", "nodes", "objects", "time"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("cilium-node-mismatch", {
  gone: {
    en: "CiliumNode {node} does not exist: no other node knows the way to the Pods of {node}, and its agent does not start again",
    zh: "CiliumNode {node} 不存在：其他节点不知道通往 {node} 上 Pod 的路径，该节点的代理也无法重新启动",
  },
  rangeLess: {
    en: "CiliumNode {node} has no Pod range: Cilium's agent on {node} has no addresses to give",
    zh: "CiliumNode {node} 没有 Pod 网段：{node} 上的 Cilium 代理没有可分配的地址",
  },
  refused: {
    en: "CiliumNode {node} gets no Pod range: {error}",
    zh: "CiliumNode {node} 分配不到 Pod 网段：{error}",
  },
  wrongAddress: {
    en: "CiliumNode {node} says that the node is at {said}, and it is at {own}: other nodes send packets for its Pods there",
    zh: "CiliumNode {node} 记录的节点地址是 {said}，而节点实际地址是 {own}：其他节点会把发往其 Pod 的报文送到错误的地址",
  },
  shared: {
    en: "CiliumNodes {node} and {other} have one Pod range: {range} and {others}",
    zh: "CiliumNode {node} 与 {other} 的 Pod 网段重叠：{range} 与 {others}",
  },
  seePool: {
    en: "See what the pool is, and which ranges of it are given away; widen it with a range that nothing else has",
    zh: "查看地址池及已分配的网段；用未被占用的网段扩大地址池",
  },
  restart: {
    en: "Restart Cilium on {node}: it writes its CiliumNode anew",
    zh: "重启 {node} 上的 Cilium：它会重新写入自己的 CiliumNode",
  },
  seeOperator: {
    en: "See why the operator gives it none: it is not running, or says so in its log",
    zh: "查看 operator 未分配网段的原因：未运行，或见其日志",
  },
  remake: {
    en: "Delete the one that got the range of the other, with its agent: the operator gives the new one a range of its own; then make the node's Pods anew",
    zh: "删除占用他人网段的那个 CiliumNode 并重启其代理：operator 会为新建的对象分配独立网段；随后重建该节点上的 Pod",
  },
  nothing: { en: "Nothing", zh: "无" },
  interruptsPods: { en: "Pods of {node} until they are made anew", zh: "{node} 上的 Pod，直到重建完成" },
  prevent: {
    en: "Let nobody but Cilium write CiliumNodes, and alert on cilium_operator_ipam_nodes with none left and on agents that are not ready",
    zh: "除 Cilium 外禁止任何人修改 CiliumNode；对地址池耗尽以及代理未就绪告警",
  },
});

/** An agent and the operator take a moment to write it. */
const SETTLING = 60_000;

/** IPAM modes in which the ranges of a node's Pods stand in its CiliumNode (pkg/ipam/option/option.go). */
const WITH_RANGES = new Set(["cluster-pool", "cluster-pool-v2beta", "kubernetes"]);

const rangesOf = ({ spec }: CiliumNodeObject): readonly Prefix[] =>
  (spec?.ipam?.podCIDRs ?? []).map(parsePrefix).filter((range) => range !== undefined);

const internalOf = ({ spec }: CiliumNodeObject): readonly string[] =>
  (spec?.addresses ?? []).flatMap(({ type, ip }) => (type === "InternalIP" && ip ? [ip] : []));

type Told = { readonly title: Text; readonly evidence: readonly Evidence[]; readonly facts: { readonly case: string } };

function* troublesOf(node: NodeView, one: CiliumNodeObject, model: Model): Iterable<Told & { breaks: Capability[] }> {
  const { cilium, objects } = model;
  const { name } = node;
  const quote = (words: string) => [objects.quote("ciliumnodes", one, `CiliumNode ${name}: ${words}`)];
  const ranges = rangesOf(one);
  if (ranges.length === 0 && WITH_RANGES.has(cilium.setting("ipam") ?? "cluster-pool")) {
    const error = one.status?.ipam?.["operator-status"]?.error;
    yield {
      title: error ? say.refused({ node: name, error }) : say.rangeLess({ node: name }),
      evidence: quote(error ? `operator-status.error ${error}` : "spec.ipam.podCIDRs is empty"),
      breaks: [{ name: "pod-network.config", node: name }],
      facts: { case: error ? "refused" : "range" },
    };
  }
  const said = internalOf(one);
  if (said.length > 0 && node.addresses.length > 0 && !said.some((address) => node.addresses.includes(address)))
    yield {
      title: say.wrongAddress({ node: name, said: said, own: node.addresses }),
      evidence: [
        ...quote(`InternalIP ${said.join(", ")}`),
        ...(node.object ? [objects.quote("nodes", node.object, `Node ${name}: ${node.addresses.join(", ")}`)] : []),
      ],
      breaks: [{ name: "pod-network.ranges", node: name }],
      facts: { case: "address" },
    };
}

/** The younger of two has taken what the other had. */
const byAge = ({ metadata: a }: CiliumNodeObject, { metadata: b }: CiliumNodeObject): number =>
  (a.creationTimestamp ?? "").localeCompare(b.creationTimestamp ?? "") || a.name.localeCompare(b.name);

function* sharedRanges(model: Model): Iterable<Finding> {
  const all = model.objects.all("ciliumnodes").toSorted(byAge);
  for (const [index, one] of all.entries())
    for (const other of all.slice(0, index)) {
      const mine = rangesOf(one).find((range) => rangesOf(other).some((theirs) => overlaps(range, theirs)));
      const theirs = mine && rangesOf(other).find((range) => overlaps(range, mine));
      if (!mine || !theirs) continue;
      const names = [one.metadata.name, other.metadata.name] as const;
      yield fault({
        repair: ref("CiliumNode", names[0]),
        related: [ref("CiliumNode", names[1]), ref("Node", names[0]), ref("Node", names[1])],
        nodes: [...names],
        breaks: names.map((node): Capability => ({ name: "pod-network.ranges", node })),
        title: say.shared({ node: names[0], other: names[1], range: formatPrefix(mine), others: formatPrefix(theirs) }),
        evidence: [one, other].map((each) =>
          model.objects.quote(
            "ciliumnodes",
            each,
            `CiliumNode ${each.metadata.name}: ${rangesOf(each).map(formatPrefix).join(", ")}`,
          ),
        ),
        strength: "direct",
        facts: { case: "shared", node: names[0] },
      });
    }
}

/** What other nodes know of a node with Cilium is not what it is. */
export const ciliumNodeMismatch = defineCheck({
  id: "cilium-node-mismatch",
  reads: PARTS,

  *find(model): Iterable<Finding> {
    const { cilium, components, nodes, objects, time } = model;
    if (!cilium.runs) return;
    const agents = components.byId("cilium");
    const related = agents.map((agent) => agent.ref);
    for (const node of nodes.all) {
      const capability: Capability = { name: "pod-network.config", node: node.name };
      if (!node.object || !agents.some(({ pods }) => pods.some((pod) => pod.node === node.name))) continue;
      const found = objects.find("ciliumnodes", node.name);
      if (found.state === "unknown") {
        yield cannotTell(capability, [{ kind: "ciliumnodes" }]);
        continue;
      }
      const common = { repair: ref("CiliumNode", node.name), nodes: [node.name], strength: "direct" as const };
      if ((time.age(node.object.metadata.creationTimestamp) ?? SETTLING) < SETTLING) continue;
      if (found.state === "absent") {
        yield fault({
          ...common,
          related: [node.ref, ...related],
          breaks: [capability, { name: "pod-network.ranges", node: node.name }],
          title: say.gone({ node: node.name }),
          evidence: [objects.quoteAbsence("ciliumnodes", `no CiliumNode ${node.name}`)],
          facts: { case: "gone" },
        });
        continue;
      }
      const troubles = [...troublesOf(node, found.value, model)];
      for (const trouble of troubles) yield fault({ ...common, related: [node.ref, ...related], ...trouble });
      if (troubles.length === 0) yield works(capability, []);
    }
    yield* sharedRanges(model);
  },

  remedies({ repair, nodes, facts }, { components }) {
    const [node = ""] = nodes;
    const [agent] = components.byId("cilium");
    const namespace = agent?.ref.namespace ?? "kube-system";
    const verify = { run: `kubectl get ${kubectlName(repair)} -o yaml` };
    const restart = agent && {
      why: say.restart({ node }),
      change: { do: "restart", component: agent.ref, node } as const,
      verify,
    };
    const log = { run: sh`kubectl logs -n ${namespace} deployment/cilium-operator --tail=100` };
    const config = sh`kubectl get configmap -n ${namespace} cilium-config -o yaml`;
    const base = {
      id: "correct-cilium-node",
      risk: "low",
      interrupts: say.nothing(),
      prevent: [say.prevent()],
    } as const;
    switch (facts.case) {
      case "refused":
        return [
          {
            ...base,
            steps: [{ why: say.seePool(), change: { run: `${config}; kubectl get ciliumnodes -o wide` }, verify }],
          },
        ];
      case "range":
        return [{ ...base, steps: [{ why: say.seeOperator(), change: log, verify }] }];
      case "shared":
        return [
          {
            ...base,
            risk: "high",
            interrupts: say.interruptsPods({ node }),
            steps: [
              { why: say.remake(), change: { do: "delete", target: repair } as const, verify },
              ...(restart ? [restart] : []),
            ],
          },
        ];
      default:
        return restart ? [{ ...base, steps: [restart] }] : [];
    }
  },

  manual: {
    title: { en: "A CiliumNode is not what its node is", zh: "CiliumNode 与节点不符" },
    page: {
      en: `Cilium's agents know of each other's nodes by objects of kind CiliumNode: where the node is, and which range its Pods have. An agent writes that of its own node; the operator gives it a range from the pool in \`cilium-config\`.

**How it looks.** *No range*: what runs goes on; the agent does not get through its next start ("Waiting for IPAM"), and new Pods of the node get no network. *Wrong address, or no object*: Pods of other nodes and the node's own do not reach each other. *One range for two nodes*: packets arrive at the wrong node.

**How it comes about.** The operator does not run or has lost its permissions; the pool is used up or was changed; a CiliumNode was deleted, edited, or restored from a backup of another time.

**When this is not the cause.** In IPAM modes of clouds (eni, azure) nodes have no range, only addresses. A node that joined a moment ago has none yet. The Node's own spec.podCIDR means nothing in the mode cluster-pool.`,
      zh: `Cilium 的代理通过 CiliumNode 对象了解其他节点：节点的地址，以及其 Pod 的网段。各代理写入自己节点的对象；网段由 operator 从 \`cilium-config\` 的地址池中分配。

**现象。** *没有网段*：已运行的不受影响；代理下次启动无法完成（“Waiting for IPAM”），该节点的新 Pod 无法接入网络。*地址错误或对象不存在*：其他节点的 Pod 与该节点的 Pod 互不可达。*两个节点共用网段*：报文会送到错误的节点。

**成因。** operator 未运行或失去权限；地址池耗尽或被修改；CiliumNode 被删除、修改，或从旧备份恢复。

**何时不是它。** 云厂商的 IPAM 模式（eni、azure）没有网段，只有地址。刚加入的节点尚无网段。cluster-pool 模式下 Node 自身的 spec.podCIDR 没有意义。`,
    },
  },
});
