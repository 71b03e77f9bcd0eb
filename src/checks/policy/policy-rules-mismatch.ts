import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ipOf, type PodView } from "../../model/pods.ts";
import { areOfPolicy } from "../../model/policies/rules.ts";
import { namedPorts, type PolicyTraffic } from "../../model/policies/views.ts";
import { refId } from "../../model/ref.ts";
import type { Family } from "../../net/ip.ts";
import { fewOf, texts } from "../../text.ts";
import { openingPacket } from "../../trace/packet.ts";
import type { Way } from "../../trace/trace.ts";
import { WORLD, walk } from "../../trace/walk.ts";
import { defineCheck, type Finding, fault, inFamily, warning, works } from "../check.ts";

const PARTS = [...WORLD, "components", "time"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("policy-rules-mismatch", {
  refuses: {
    en: "Node {node} refuses {count} {count:connection|connections} that no NetworkPolicy denies, such as {from} to {to}:{port}",
    zh: "节点 {node} 拒绝了 {count} 种没有任何 NetworkPolicy 禁止的访问，例如 {from} 到 {to}:{port}",
  },
  cutsOff: {
    en: "Node {node} drops everything that {pods} {count:sends|send}, although no NetworkPolicy denies it",
    zh: "节点 {node} 丢弃 {pods} 发送的一切报文，而没有任何 NetworkPolicy 禁止",
  },
  lets: {
    en: "Node {node} lets {count} {count:connection|connections} pass that NetworkPolicies deny, such as {from} to {to}:{port}",
    zh: "节点 {node} 放行了 {count} 种被 NetworkPolicy 禁止的访问，例如 {from} 到 {to}:{port}",
  },
  restart: {
    en: "Restart {agent} on {node}: it reads the policies and Pods anew and writes its rules",
    zh: "重启 {node} 上的 {agent}：它会重新读取策略和 Pod 并写入规则",
  },
  look: {
    en: "See what the enforcer's agent on {node} says, and which rules it has written",
    zh: "查看 {node} 上策略执行组件的日志及其写入的规则",
  },
  interrupts: { en: "Existing connections go on", zh: "已有连接不受影响" },
  prevent: {
    en: "Alert on the enforcer's agents falling behind (felix_resync_state, cilium_policy_implementation_delay), and on agents that are not ready",
    zh: "对策略执行组件的落后（felix_resync_state、cilium_policy_implementation_delay）以及代理未就绪告警",
  },
});

/** Policies and Pods take a moment to become rules. */
const SETTLING = 60_000;
/** So many connections are tried, each from a Pod of another kind. */
const MOST_TRIED = 1500;
const MOST_PORTS = 4;
const MOST_KINDS = 12;
const FAMILIES: readonly Family[] = [4, 6];
const MOST_NAMED = 3;
/** Nothing listens there, so no policy has a reason to name it. */
const CLOSED = 9;

/** Which end refused, as an enforcer names its chains: from a workload, or to it. */
const OF_SENDER = /-A cali-(fw|from)-| egress: /;

function steady(pod: PodView, { nodes, time }: Model): boolean {
  const { metadata, status } = pod.object;
  return (
    !pod.hostNetwork &&
    !pod.finished &&
    !pod.terminating &&
    status?.phase === "Running" &&
    pod.node !== undefined &&
    nodes.get(pod.node)?.sampled === true &&
    pod.addresses.length > 0 &&
    (time.age(metadata.creationTimestamp) ?? SETTLING) >= SETTLING
  );
}

/** A policy that was just made or changed may not be in force yet. */
const isSettled = ({ policies, time }: Model): boolean =>
  [...policies.all, ...policies.calico.all].every(({ object: { metadata } }) =>
    [metadata.creationTimestamp, ...(metadata.managedFields ?? []).map((entry) => entry.time)].every(
      (at) => (time.age(at) ?? SETTLING) >= SETTLING,
    ),
  );

/** Ports of a Pod that it declares, or that a policy names for it, and one that nobody does. */
function portsOf(pod: PodView, { policies }: Model): PolicyTraffic[] {
  const declared = pod.object.spec.containers.flatMap(({ ports }) =>
    (ports ?? []).map(({ protocol, containerPort }) => ({ protocol: protocol ?? "TCP", port: containerPort })),
  );
  const named = policies.isolating(pod, "ingress").flatMap(({ rules }) =>
    rules.flatMap(({ ports }) =>
      ports.flatMap(({ protocol, port }) => {
        const of = protocol ?? "TCP";
        const numbers = typeof port === "number" ? [port] : typeof port === "string" ? namedPorts(pod, port, of) : [];
        return numbers.map((number) => ({ protocol: of, port: number }));
      }),
    ),
  );
  const all = new Map([...declared, ...named].map((one) => [`${one.protocol} ${one.port}`, one]));
  const walked = [...all.values()].filter(({ protocol }) => protocol === "TCP" || protocol === "UDP");
  return [...walked.slice(0, MOST_PORTS), { protocol: "TCP", port: CLOSED }];
}

/** Pods that no policy can tell apart. */
function kindsOf(pods: readonly PodView[]): readonly (readonly PodView[])[] {
  const kindOf = ({ namespace, labels }: PodView) => JSON.stringify([namespace, Object.entries(labels).sort()]);
  return [...Map.groupBy(pods, kindOf).values()].slice(0, MOST_KINDS);
}

/** The newest of each node first: what is not followed any more shows by them. */
function inTurn(pods: readonly PodView[]): readonly PodView[] {
  const made = ({ object }: PodView) => object.metadata.creationTimestamp ?? "";
  const byNode = Map.groupBy(pods, ({ node }) => node);
  const ranked = [...byNode.values()].flatMap((own) =>
    own.toSorted((a, b) => (made(a) < made(b) ? 1 : -1)).map((pod, rank) => ({ pod, rank })),
  );
  return ranked.toSorted((a, b) => a.rank - b.rank).map(({ pod }) => pod);
}

type Tried = {
  readonly from: PodView;
  readonly to: PodView;
  readonly family: Family;
  readonly traffic: PolicyTraffic;
  readonly ways: readonly Way[];
};

/** To every Pod from one Pod of each kind, another one each time, so that each is a caller as well. */
function* tried(family: Family, model: Model): Iterable<Tried> {
  const pods = inTurn(model.pods.all.filter((pod) => steady(pod, model) && ipOf(pod, family)));
  const kinds = kindsOf(pods);
  let count = 0;
  for (const [index, to] of pods.entries()) {
    const ports = portsOf(to, model);
    for (const kind of kinds) {
      const from = kind[index % kind.length]!;
      if (from.key === to.key) continue;
      for (const traffic of ports) {
        if (++count > MOST_TRIED) return;
        const protocol = traffic.protocol === "UDP" ? "udp" : "tcp";
        const packet = openingPacket(protocol, ipOf(from, family), ipOf(to, family)!, traffic.port);
        yield { from, to, family, traffic, ways: walk({ from: { node: from.node!, pod: from }, packet }, model).ways };
      }
    }
  }
}

const hasArrived = ({ steps }: Way, { key }: PodView): boolean =>
  steps.some((step) => step.did === "cross" && step.to.pod?.key === key);

const isRefused = ({ end }: Way): boolean =>
  end.is === "denied" || ((end.is === "dropped" || end.is === "rejected") && areOfPolicy(end.evidence));

function outcomeOf(ways: readonly Way[], to: PodView): "allowed" | "denied" | "unknown" {
  if (ways.length === 0 || ways.some(({ certainty }) => certainty === "guessed")) return "unknown";
  if (ways.every(isRefused)) return "denied";
  return ways.every((way) => hasArrived(way, to)) ? "allowed" : "unknown";
}

/** What one node does otherwise than the policies say. */
type Differing = {
  /** It was refused on its way out of `of`. */
  readonly isSent: boolean;
  readonly tried: Tried;
  readonly evidence: readonly Evidence[];
  readonly of: PodView;
};

type Compared = {
  /** By node. */
  readonly refused: ReadonlyMap<string, readonly Differing[]>;
  readonly passed: ReadonlyMap<string, readonly Differing[]>;
  /** Pods of which everything that was tried ends as the policies say. */
  readonly agreeing: readonly PodView[];
  /** Pods of which something that they sent got as far as the policies say. */
  readonly sending: ReadonlySet<PodView>;
};

function compared(family: Family, model: Model): Compared {
  const { policies } = model;
  const refused = new Map<string, Differing[]>();
  const passed = new Map<string, Differing[]>();
  const agrees = new Map<PodView, boolean>();
  const sending = new Set<PodView>();
  const put = (map: Map<string, Differing[]>, node: string, one: Differing) => {
    map.set(node, [...(map.get(node) ?? []), one]);
    agrees.set(one.of, false);
  };
  for (const one of tried(family, model)) {
    const { from, to, traffic, ways } = one;
    const verdict = policies.verdict({ pod: from, family }, { pod: to, family }, traffic);
    const outcome = outcomeOf(ways, to);
    if (outcome === "allowed") sending.add(from);
    if (outcome === "unknown" || verdict.state === "unknown") {
      for (const pod of [from, to]) agrees.set(pod, false);
    } else if (outcome === verdict.state) {
      for (const pod of [from, to]) agrees.set(pod, agrees.get(pod) ?? true);
    } else if (verdict.state === "allowed") {
      const { end } = ways[0]!;
      const isSent = end.evidence.some(({ quote }) => OF_SENDER.test(quote));
      put(refused, end.at?.node ?? to.node!, { tried: one, evidence: end.evidence, of: isSent ? from : to, isSent });
    } else {
      const of = verdict.direction === "egress" ? from : to;
      const words = `denies ${from.key} ${to.key}:${traffic.port}`;
      const evidence = verdict.by.map((policy) => policies.quote(policy, `${refId(policy.ref)} ${words}`));
      put(passed, of.node!, { tried: one, evidence, of, isSent: of === from });
    }
  }
  return { refused, passed, agreeing: [...agrees].flatMap(([pod, isRight]) => (isRight ? pod : [])), sending };
}

/** Where nothing that some Pods send gets anywhere, that is what there is to say. */
function cutOff(node: string, differing: readonly Differing[], sending: Compared["sending"]) {
  const concerned = [
    ...new Set(differing.filter(({ isSent, of }) => isSent && !sending.has(of)).map(({ of }) => of.key)),
  ];
  if (concerned.length === 0) return undefined;
  return say.cutsOff({ node, count: concerned.length, pods: fewOf(concerned, MOST_NAMED) });
}

function* judge(family: Family, model: Model): Iterable<Finding> {
  const { nodes, components, services } = model;
  const { refused, passed, agreeing, sending } = compared(family, model);
  const ofFamily = services.ofFamily(family);
  for (const { node, key } of agreeing) yield works({ name: "policy.rules", node: node!, pod: key, ...ofFamily }, []);
  const agents = components.withDuty("policy").map(({ ref }) => ref);
  const told = (node: string, differing: readonly Differing[]) => {
    const [{ tried: first }] = differing as [Differing];
    return { node, count: differing.length, from: first.from.key, to: first.to.key, port: first.traffic.port };
  };
  const shown = (differing: readonly Differing[]) => [
    ...new Map(differing.flatMap(({ evidence }) => evidence.slice(0, 1)).map((one) => [one.quote, one])).values(),
  ];
  for (const [node, differing] of refused) {
    const concerned = [...new Map(differing.map(({ of }) => [of.key, of])).values()];
    yield fault({
      repair: nodes.get(node)!.ref,
      related: [...agents, ...concerned.slice(0, 5).map(({ ref }) => ref)],
      nodes: [node],
      breaks: concerned.map(({ key }): Capability => ({ name: "policy.rules", node, pod: key, ...ofFamily })),
      title: inFamily(cutOff(node, differing, sending) ?? say.refuses(told(node, differing)), ofFamily),
      evidence: shown(differing).slice(0, 4),
      strength: "differing",
    });
  }
  for (const [node, differing] of passed) {
    const title = inFamily(say.lets(told(node, differing)), ofFamily);
    yield warning(nodes.get(node)!.ref, title, shown(differing).slice(0, 4), agents);
  }
}

/** Rules that enforce NetworkPolicies differ from the policies. */
export const policyRulesMismatch = defineCheck({
  id: "policy-rules-mismatch",
  reads: PARTS,

  *find(model) {
    const { policies, pods } = model;
    // what policies of other kinds say is not known
    if (policies.enforcement !== "enforced" || policies.others !== "none") return;
    if (!policies.whole || !pods.whole || !isSettled(model)) return;
    for (const family of FAMILIES) yield* judge(family, model);
  },

  remedies({ nodes, related }) {
    const agent = related.find(({ kind }) => kind === "DaemonSet");
    const [node = ""] = nodes;
    const step = agent
      ? {
          why: say.restart({ agent: agent.name, node }),
          change: { do: "restart", component: agent, node } as const,
          verify: { run: `kubectl rollout status -n ${agent.namespace ?? ""} daemonset/${agent.name}` },
        }
      : { why: say.look({ node }), verify: { run: "iptables-save -t filter", node } };
    return [
      { id: "rewrite-policies", risk: "low", interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: { en: "Rules that enforce NetworkPolicies differ from them", zh: "执行 NetworkPolicy 的规则与策略不一致" },
    page: {
      en: `netwhy sends a packet from a Pod of every kind to every Pod through the rules, sets and tables of the nodes (Calico's and kube-router's chains and ipsets, the tables of Cilium's agents), and compares what becomes of it with what the NetworkPolicies say.

**How it looks.** Some connections time out, or are refused, that no policy denies: often those of Pods that are new, or that have got the address of another. The objects look right. What is let pass although a policy denies it is a warning: isolation is not in force there.

**How it comes about.** The agent that writes the rules does not learn: it lost its permissions, does not reach the API server, hangs or was removed. In Cilium an endpoint has no identity yet (\`reserved:init\`), or the ipcache takes a Pod for another. Somebody flushed rules or sets.

**When this is not the cause.** A connection that the policies do deny is isolation; if that is not meant, see \`network-policy-defective\` and \`calico-policy-defective\`.`,
      zh: `netwhy 从每一类 Pod 向每个 Pod 发出一个报文，让它走一遍节点上的规则、集合和表（Calico 和 kube-router 的链与 ipset、Cilium 代理的表），并与 NetworkPolicy 的语义对比。

**现象。** 有些没有任何策略禁止的访问超时或被拒绝：往往是新建的 Pod，或沿用了他人地址的 Pod。对象本身看起来都正常。被策略禁止却放行的访问只作为警告：该处的隔离没有生效。

**成因。** 写规则的代理没有跟上变化：失去权限、访问不到 API Server、卡住或被移除。在 Cilium 中，端点还没有身份（\`reserved:init\`），或 ipcache 把某个 Pod 当成了别人。有人清空了规则或集合。

**何时不是它。** 确实被策略禁止的访问是隔离；若并非本意，见 \`network-policy-defective\` 与 \`calico-policy-defective\`。`,
    },
  },
});
