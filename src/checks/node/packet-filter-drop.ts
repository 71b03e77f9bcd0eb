import { isWhole } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import { type Capability, capabilityId } from "../../model/capability.ts";
import { firstPacket, type PacketFilter, type Removal } from "../../model/forwarding/packet-filter.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Outcome } from "../../model/netfilter/evaluate.ts";
import { isChosen } from "../../model/netfilter/outcome.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { Hook } from "../../model/netfilter/ruleset.ts";
import type { Step } from "../../model/netfilter/when.ts";
import type { NodeView } from "../../model/nodes.ts";
import { POLICY_CHAINS, type VitalFlow, vitalFlows } from "../../model/vital-flows.ts";
import { type Family, formatIp, type Ip } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, inFamily, presumed, works } from "../check.ts";
import { type InDoubt, inDoubtOf } from "./packet-filter-drop/doubts.ts";

type Model = Pick<
  ClusterModel,
  "nodes" | "pods" | "forwarding" | "flannel" | "calico" | "cilium" | "policies" | "services" | "components" | "dns"
>;

const SAVED = { 4: "iptables", 6: "ip6tables" } as const;
const LEGACY = { 4: "iptablesLegacy", 6: "ip6tablesLegacy" } as const;

const say = texts("packet-filter-drop", {
  policy: {
    en: "Node {node} drops {flow}: {chain} has policy DROP and nothing accepts them",
    zh: "节点 {node} 丢弃{flow}：{chain} 链策略为 DROP 且没有规则放行",
  },
  rule: {
    en: "A rule on node {node} drops {flow} ({table} {chain})",
    zh: "节点 {node} 上的一条规则丢弃{flow}（{table} 表 {chain} 链）",
  },
  part: {
    en: "A rule on node {node} drops some {flow} ({table} {chain})",
    zh: "节点 {node} 上的一条规则丢弃部分{flow}（{table} 表 {chain} 链）",
  },
  toPods: { en: "packets of its Pods to Pods of other nodes", zh: "本节点 Pod 发往其他节点 Pod 的报文" },
  fromPods: { en: "packets of other nodes' Pods to its Pods", zh: "其他节点 Pod 发往本节点 Pod 的报文" },
  podsOut: {
    en: "packets of its Pods that leave the Pod network",
    zh: "本节点 Pod 发往 Pod 网络之外的报文",
  },
  tunnelIn: { en: "encapsulated packets from {peer} ({wrapping})", zh: "来自 {peer} 的封装报文（{wrapping}）" },
  tunnelOut: { en: "encapsulated packets to {peer} ({wrapping})", zh: "发往 {peer} 的封装报文（{wrapping}）" },
  apiFromNode: {
    en: "the node's own packets to the API server ({address}:{port})",
    zh: "节点自身发往 API Server（{address}:{port}）的报文",
  },
  apiFromPods: {
    en: "packets of its Pods to the API server ({address}:{port})",
    zh: "本节点 Pod 发往 API Server（{address}:{port}）的报文",
  },
  apiIn: {
    en: "packets of other nodes to the API server on it ({address}:{port})",
    zh: "其他节点发往本节点 API Server（{address}:{port}）的报文",
  },
  toOwnPods: {
    en: "the node's own packets to its Pods, kubelet's probes among them",
    zh: "节点自身发往本节点 Pod 的报文（包括 kubelet 探针）",
  },
  dnsOut: { en: "DNS queries of its Pods to CoreDNS", zh: "本节点 Pod 发往 CoreDNS 的 DNS 查询" },
  upstream: {
    en: "queries of CoreDNS to its upstream server {address}",
    zh: "CoreDNS 发往上游服务器 {address} 的查询",
  },
  accept: {
    en: "Let the chain accept forwarded packets again; NetworkPolicies are enforced elsewhere",
    zh: "让该链重新放行转发报文；NetworkPolicy 不靠它实现",
  },
  allow: { en: "Accept these packets before the policy drops them", zh: "在策略丢弃之前放行这类报文" },
  remove: { en: "Remove the rule", zh: "删除该规则" },
  findOwner: {
    en: "Find what set it and correct it there, or it comes back with the next reload or boot",
    zh: "找出其来源并在那里修正，否则重载或重启后会再次出现",
  },
  nothing: { en: "Nothing", zh: "无" },
  preventPolicy: {
    en: 'Docker sets FORWARD to DROP when it turns forwarding on itself: run containerd only, or set `"ip-forward-no-drop": true` in its daemon.json (Docker 28)',
    zh: 'Docker 自行开启转发时会把 FORWARD 设为 DROP：只用 containerd，或在其 daemon.json 中设置 `"ip-forward-no-drop": true`（Docker 28）',
  },
  preventFirewall: {
    en: "Where firewalld or ufw must run, allow the Pod ranges and the tunnel port in them; else turn them off on nodes",
    zh: "必须使用 firewalld 或 ufw 时，在其中放行 Pod 网段和隧道端口；否则在节点上关闭它们",
  },
});

/** `partly`: others of the kind pass, by another protocol or port, or between other addresses. */
type Dropped = {
  readonly one: VitalFlow;
  readonly by: Step;
  readonly verdict: "drop" | "reject";
  readonly partly: boolean;
};

/** Flows that stand for many, of any port and between any Pods. */
const STANDS_FOR_MANY: ReadonlySet<VitalFlow["kind"]> = new Set(["to-pods", "from-pods", "pods-out", "to-own-pods"]);

/** A neighbour of an address, in the range of the same node. */
const beside = (ip: Ip): Ip =>
  ip.family === 4 ? { family: 4, value: (ip.value ^ 0x55) >>> 0 } : { family: 6, value: ip.value ^ 0x55n };

/** Others that a flow stands for. */
function likes({ flow, ...one }: VitalFlow): readonly VitalFlow[] {
  const changes: readonly Partial<VitalFlow["flow"]>[] = [
    { protocol: "tcp", port: 40_001 },
    { protocol: "udp", port: 40_001 },
    { source: beside(flow.source) },
    { destination: beside(flow.destination) },
  ];
  return changes.map((change) => ({ ...one, flow: { ...flow, ...change } }));
}

/** All ends of a flow. What leaves prerouting has yet to be routed: by the device that the flow names. */
function endsOf({ hooks, flow }: VitalFlow, filter: PacketFilter): readonly Outcome[] {
  const routed = flow.outDevice === undefined ? {} : { outDevice: flow.outDevice };
  const from = ([first, ...rest]: readonly Hook[], packet: Packet): readonly Outcome[] =>
    first !== "ingress" && first !== "prerouting"
      ? filter.through(first ? [first, ...rest] : [], packet)
      : filter.at(first, packet).flatMap((end) => {
          if (end.verdict.is !== "accept") return [end];
          return from(rest, first === "prerouting" ? { ...end.packet, ...routed } : end.packet);
        });
  return from(hooks, firstPacket(flow));
}

/** What the filter surely does to a flow: dropped by a rule that is no policy's, let through, or not to be told. */
function judge(one: VitalFlow, node: string, filter: PacketFilter): Dropped | "passes" | InDoubt | "unknown" {
  const ends = endsOf(one, filter);
  const drops = ends.filter(({ verdict }) => verdict.is === "drop" || verdict.is === "reject");
  if (drops.length === 0) return ends.every(({ verdict }) => verdict.is === "accept") ? "passes" : "unknown";
  const isAll = drops.length === ends.length;
  // what chance chooses does happen to some
  const first = isAll ? drops[0] : drops.find(isChosen);
  if (!first) return inDoubtOf(ends, node, filter) ?? "unknown";
  const by = first.rules.at(-1);
  if (!by || first.rules.some(({ chain }) => POLICY_CHAINS.test(chain))) return "unknown";
  const passes = (like: VitalFlow): boolean => endsOf(like, filter).every(({ verdict }) => verdict.is === "accept");
  const partly = !isAll || (STANDS_FOR_MANY.has(one.kind) && likes(one).some(passes));
  return { one, by, verdict: first.verdict.is as "drop" | "reject", partly };
}

/** What the cluster lacks where a node drops a flow. */
function breaksOf({ kind, peer, flow }: VitalFlow, node: string, { services }: Model): Capability {
  const ofFamily = services.ofFamily(flow.destination.family);
  switch (kind) {
    case "to-pods":
    case "from-pods":
      return { name: "node.forward", node, ...(peer !== undefined && { peer }), ...ofFamily };
    case "pods-out":
      return { name: "node.let-out", node, ...ofFamily };
    case "tunnel-in":
    case "tunnel-out":
      return { name: "node.tunnel", node, ...(peer !== undefined && { peer }), ...ofFamily };
    case "to-own-pods":
      return { name: "pod.ready", node };
    case "dns":
      return { name: "dns.client", node };
    case "dns-upstream":
      return { name: "node.lead-to-upstream", node };
    case "api-in":
      return { name: "api.serve" };
    case "api-from-pods":
      return { name: "node.lead-to-api", node };
    case "api-from-node":
      return { name: "api.reach", node };
  }
}

/** What is dropped of many flows is a part of what is needed: which packets it hits, their walk tells. */
function brokenBy({ one, partly }: Dropped, node: string, model: Model): Capability {
  const whole = breaksOf(one, node, model);
  return partly ? { ...whole, pod: formatIp(one.flow.destination) } : whole;
}

function wordsOf({ kind, peer = "", flow }: VitalFlow): Text {
  const { port } = flow;
  const wrapping = flow.protocol === "ipencap" ? "IPIP" : `UDP ${port}`;
  const api = { address: formatIp(flow.destination), port };
  switch (kind) {
    case "to-pods":
      return say.toPods();
    case "from-pods":
      return say.fromPods();
    case "pods-out":
      return say.podsOut();
    case "tunnel-in":
      return say.tunnelIn({ peer, wrapping });
    case "tunnel-out":
      return say.tunnelOut({ peer, wrapping });
    case "to-own-pods":
      return say.toOwnPods();
    case "dns":
      return say.dnsOut();
    case "dns-upstream":
      return say.upstream({ address: api.address });
    case "api-in":
      return say.apiIn(api);
    case "api-from-pods":
      return say.apiFromPods(api);
    case "api-from-node":
      return say.apiFromNode(api);
  }
}

/** What befalls the packets of all peers befalls the node: one capability of it, not one for each peer. */
function widened(dropped: readonly Capability[], judged: readonly Capability[]): Capability[] {
  const kindOf = ({ peer: _, ...whole }: Capability) => capabilityId(whole);
  return [...Map.groupBy(dropped, kindOf)].flatMap(([kind, hit]) => {
    const peersOf = (all: readonly Capability[]) =>
      new Set(all.filter((one) => kindOf(one) === kind).flatMap(({ peer }) => peer ?? []));
    const isAll = peersOf(hit).size > 0 && peersOf(hit).size === peersOf(judged).size;
    const { peer: _, ...whole } = hit[0]!;
    return isAll ? [whole] : hit;
  });
}

/** What a node's rules were seen to let pass: all of a kind, or to and from a peer. */
function* passing(
  node: string,
  family: Family,
  results: readonly { readonly breaks: Capability; readonly passes: boolean }[],
  model: Model,
): Iterable<Finding> {
  for (const name of ["node.tunnel", "node.forward", "node.let-out", "node.lead-to-api"] as const) {
    const mine = results.filter(({ breaks }) => breaks.name === name);
    const ofFamily = name === "node.lead-to-api" ? {} : model.services.ofFamily(family);
    // those that were tried stand for all
    if (mine.length > 0 && mine.every(({ passes }) => passes)) yield works({ name, node, ...ofFamily }, []);
    else {
      // in and out
      for (const ways of Map.groupBy(mine, ({ breaks }) => capabilityId(breaks)).values())
        if (ways.every(({ passes }) => passes)) yield works(ways[0]!.breaks, []);
    }
  }
}

function* judgeNode(node: NodeView, family: Family, model: Model): Iterable<Finding> {
  const { filter, [SAVED[family]]: iptables, [LEGACY[family]]: legacy, nftables } = model.forwarding.of(node.name);
  const { name } = node;
  if (filter.stateOf(family) !== "whole") {
    const capability = { name: "node.forward", node: name, ...model.services.ofFamily(family) } as const;
    yield cannotTell(capability, [{ kind: SAVED[family], place: { node: name } }]);
    return;
  }
  const dropped: Dropped[] = [];
  const judged: Capability[] = [];
  const results: { readonly breaks: Capability; readonly passes: boolean }[] = [];
  for (const one of vitalFlows(node, family, model)) {
    const result = judge(one, name, filter);
    const breaks = breaksOf(one, name, model);
    results.push({ breaks, passes: result === "passes" });
    if (result === "unknown") continue;
    if (typeof result === "object" && "because" in result) {
      const { because, missing, isUnlikely } = result;
      yield (isUnlikely ? presumed : cannotTell)(breaks, missing, because);
      continue;
    }
    judged.push(breaks);
    if (result !== "passes") dropped.push(result);
  }
  // no rule of the node's has a say in it
  if (model.cilium.carriesPods)
    yield works({ name: "node.forward", node: name, ...model.services.ofFamily(family) }, []);
  if (isWhole(iptables) && legacy.state !== "unknown" && nftables.state !== "unknown")
    yield* passing(name, family, results, model);
  for (const [, group] of Map.groupBy(dropped, ({ by }) => `${by.ruleset} ${by.table} ${by.chain} ${by.line}`)) {
    const { one, by, partly } = group[0]!;
    const evidence: Evidence[] = [filter.quote(by)];
    const { table, chain } = by;
    const args = { node: name, flow: wordsOf(one), table, chain };
    yield fault({
      repair: node.ref,
      related: model.components.withDuty("cni").map((component) => component.ref),
      nodes: [name],
      breaks: widened(
        group.map((drop) => brokenBy(drop, name, model)),
        judged,
      ),
      title: inFamily(
        by.rule ? (partly ? say.part : say.rule)(args) : say.policy(args),
        model.services.ofFamily(family),
      ),
      evidence,
      strength: "direct",
      facts: { case: by.rule ? "rule" : "policy", chain, ...repairOf(by, group, filter) },
    });
  }
}

/** The commands that let the packets through, take that back, and show what is there. */
function repairOf(by: Step, dropped: readonly Dropped[], filter: PacketFilter): Removal {
  const { table, rule, ruleset } = by;
  const [first] = dropped;
  const end = first?.one.hooks.includes("input") ? "INPUT" : first?.one.hooks[0] === "output" ? "OUTPUT" : undefined;
  // the last rule of a host's firewall says what its policy would
  const isLast =
    rule !== undefined && !rule.nft && rule.conditions.length === 0 && table === "filter" && end !== undefined;
  const chain = isLast ? end : by.chain;
  if (rule && !isLast) return filter.removal({ ...by, rule });
  if (ruleset.startsWith("nft ")) {
    const place = `${ruleset.slice(4)} ${chain}`;
    const policy = (to: string) => sh`nft ${`chain ${place} { policy ${to} ; }`}`;
    return { run: policy("accept"), undo: policy("drop"), verify: `nft list chain ${place}` };
  }
  const on = sh`${filter.programOf(by)} -t ${table}`;
  const verify = `${on} ${sh`-S ${chain}`}`;
  if (chain === "FORWARD") return { run: `${on} -P FORWARD ACCEPT`, undo: `${on} -P FORWARD DROP`, verify };
  // INPUT and OUTPUT are shut on purpose, but for what was forgotten: these packets, and of these nodes only
  const { flow } = first!.one;
  const far = new Set(dropped.map(({ one }) => formatIp(chain === "INPUT" ? one.flow.source : one.flow.destination)));
  const side = chain === "INPUT" ? "-s" : "-d";
  const toPort = flow.protocol === "ipencap" ? "" : ` --dport ${flow.port}`;
  const packets = `${sh`${chain} ${side} ${[...far].join(",")} -p ${flow.protocol}`}${toPort} -j ACCEPT`;
  return { run: `${on} -I ${packets}`, undo: `${on} -D ${packets}`, verify };
}

/** A node's packet filter drops traffic that the cluster's network is made of. */
export const packetFilterDrop = defineCheck({
  id: "packet-filter-drop",
  reads: ["nodes", "pods", "forwarding", "flannel", "calico", "cilium", "policies", "services", "components", "dns"],

  *find(model) {
    for (const node of model.nodes.all)
      if (node.sampled) for (const family of model.pods.familiesOn(node)) yield* judgeNode(node, family, model);
  },

  remedies({ nodes, facts }) {
    const node = nodes[0]!;
    const { run, undo, verify } = facts as Record<keyof Removal, string>;
    const isRule = facts.case === "rule" && !run.includes(" -I ");
    const step = {
      why: isRule ? say.remove() : run.includes(" -I ") ? say.allow() : say.accept(),
      change: { run, node },
      undo: { run: undo, node },
      verify: { run: verify, node },
    };
    const owners = "systemctl is-active docker firewalld ufw nftables netfilter-persistent iptables";
    const files = "grep -rIlE 'iptables|nft ' /etc/cron* /etc/rc.local /etc/systemd/system /etc/network 2>/dev/null";
    const look = { why: say.findOwner(), change: { run: `${owners}; ${files}`, node }, verify: step.verify };
    const prevent = [...(isRule ? [] : [say.preventPolicy()]), say.preventFirewall()];
    return [{ id: "let-through", risk: "low", interrupts: say.nothing(), steps: [step, look], prevent }];
  },

  manual: {
    title: { en: "A node's packet filter drops the Pods' traffic", zh: "节点的包过滤规则丢弃 Pod 流量" },
    page: {
      en: `iptables (ip6tables for IPv6) or nftables on a node drops or rejects packets that the cluster's network needs: forwarded packets of Pods (a FORWARD chain with policy DROP and nothing that accepts them, or a rule), encapsulated packets between nodes (UDP 8472 or 4789, IPIP), packets to the API server, or the node's own packets to its Pods.

**How it looks.** Timeouts (DROP) or refusals (REJECT) for everything that passes the node, while programs on it work. Marked packets (NodePorts, off-cluster clients) pass KUBE-FORWARD even then, which makes it look arbitrary.

**How it comes about.** Docker sets FORWARD to DROP when it turns forwarding on itself; firewalld, ufw, a hardening role or an administrator adds rules; an iptables-restore at boot brings back an old snapshot.

**When this is not the cause.** What chains of a policy enforcer (Calico, kube-router) drop is policy, and judged as such. A policy DROP is harmless where the CNI's rules accept the Pods' packets first. Where nothing recorded tells which packets meet a rule (\`-m string\`, \`bpf\`, \`geoip\`, \`quota\` …), it is named as what leaves it open; a rule that drops what is beyond a rate is in doubt only where something fails.`,
      zh: `节点上的 iptables（IPv6 为 ip6tables）或 nftables 丢弃或拒绝了集群网络所需的报文：转发的 Pod 报文（FORWARD 链策略为 DROP 且无规则放行，或某条规则）、节点间的封装报文（UDP 8472 或 4789、IPIP）、发往 API Server 的报文，或节点自身发往本节点 Pod 的报文。

**现象。** 凡经过该节点的流量都超时（DROP）或被拒绝（REJECT），而节点上的进程正常。带标记的报文（NodePort、集群外客户端）仍能通过 KUBE-FORWARD，因此看起来毫无规律。

**成因。** Docker 自行开启转发时会把 FORWARD 设为 DROP;firewalld、ufw、安全加固脚本或管理员添加了规则；开机时 iptables-restore 恢复了旧快照。

**何时不是它。** 策略组件（Calico、kube-router）的链丢弃的流量属于策略，另行判断。若 CNI 的规则先行放行了 Pod 报文，策略为 DROP 并无害处。若采集到的内容无法判断哪些报文匹配某条规则（\`-m string\`、\`bpf\`、\`geoip\`、\`quota\` 等），则列出该规则并说明无法下结论；按速率丢弃的规则只在确有故障时才存疑。`,
    },
  },
});
