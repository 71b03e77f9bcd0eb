import { isWhole, known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import { type Capability, capabilityId } from "../../model/capability.ts";
import type { Flow, PacketFilter, Removal } from "../../model/forwarding/packet-filter.ts";
import { firstPacket } from "../../model/forwarding/packet-filter.ts";
import { lookupRoute } from "../../model/forwarding/routing.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Outcome } from "../../model/netfilter/evaluate.ts";
import { addressesNamedBy, mayDrop } from "../../model/netfilter/named-addresses.ts";
import type { Hook } from "../../model/netfilter/ruleset.ts";
import type { Step } from "../../model/netfilter/when.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { PodView } from "../../model/pods.ts";
import { contains, formatIp, type Ip, type Prefix, parseIp } from "../../net/ip.ts";
import type { Link } from "../../parse/ip-addr.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "nodes" | "pods" | "forwarding" | "flannel" | "policies" | "services" | "components" | "dns"
>;

const say = texts("packet-filter-drop", {
  policy: {
    en: "Node {node} drops {flow}: {chain} has policy DROP and nothing accepts them",
    zh: "节点 {node} 丢弃{flow}：{chain} 链策略为 DROP 且没有规则放行",
  },
  rule: {
    en: "A rule on node {node} drops {flow} ({table} {chain})",
    zh: "节点 {node} 上的一条规则丢弃{flow}（{table} 表 {chain} 链）",
  },
  toPods: { en: "packets of its Pods to Pods of other nodes", zh: "本节点 Pod 发往其他节点 Pod 的报文" },
  fromPods: { en: "packets of other nodes' Pods to its Pods", zh: "其他节点 Pod 发往本节点 Pod 的报文" },
  tunnelIn: { en: "encapsulated packets from {peer} (UDP {port})", zh: "来自 {peer} 的封装报文（UDP {port}）" },
  tunnelOut: { en: "encapsulated packets to {peer} (UDP {port})", zh: "发往 {peer} 的封装报文（UDP {port}）" },
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

/** Chains by which NetworkPolicies are enforced: what they drop is judged where policies are. */
const POLICY_CHAINS = /^(KUBE-(ROUTER|NWPLCY|POD-FW)|cali-|WEAVE-NPC|AZURE-NPM|CILIUM_|ANTREA)/;

type Case = {
  readonly flow: Flow;
  readonly hooks: readonly Hook[];
  readonly breaks: Capability;
  readonly what: Text;
};

type Dropped = { readonly one: Case; readonly by: Step; readonly verdict: "drop" | "reject" };

/** All ends of a flow. What leaves prerouting has yet to be routed: by the device that the flow names. */
function endsOf({ hooks, flow }: Case, filter: PacketFilter): readonly Outcome[] {
  const [first, ...rest] = hooks;
  const packet = firstPacket(flow);
  if (first !== "prerouting") return filter.through(hooks, packet);
  const routed = flow.outDevice === undefined ? {} : { outDevice: flow.outDevice };
  return filter
    .at(first, packet)
    .flatMap((end) => (end.verdict.is === "accept" ? filter.through(rest, { ...end.packet, ...routed }) : [end]));
}

/** What the filter surely does to a flow: dropped by a rule that is no policy's, let through, or not to be told. */
function judge(one: Case, filter: PacketFilter): Dropped | "passes" | "unknown" {
  const ends = endsOf(one, filter);
  const drops = ends.filter(({ verdict }) => verdict.is === "drop" || verdict.is === "reject");
  if (drops.length === 0) return ends.every(({ verdict }) => verdict.is === "accept") ? "passes" : "unknown";
  const [first] = drops;
  const by = first?.rules.at(-1);
  if (drops.length < ends.length || !by) return "unknown";
  if (first!.rules.some(({ chain }) => POLICY_CHAINS.test(chain))) return "unknown";
  return { one, by, verdict: first!.verdict.is as "drop" | "reject" };
}

const ipOf = (pod: PodView | undefined): Ip | undefined => pod?.addresses.map(parseIp).find((ip) => ip?.family === 4);

/** Prefixes that rules which drop name: only peers in them can fare differently from the others. */
function namedByDrops(node: string, { forwarding }: Model): Prefix[] {
  const named: Prefix[] = [];
  for (const { name: table, chains } of known(forwarding.of(node).iptables)?.tables ?? []) {
    // the longest, and nothing is dropped in it
    if (table === "nat") continue;
    for (const { name, rules } of chains) {
      for (const { target, conditions } of rules) {
        if ((target.does !== "drop" && target.does !== "reject") || POLICY_CHAINS.test(name)) continue;
        for (const one of conditions) if (one.is === "source" || one.is === "destination") named.push(one.prefix);
      }
    }
  }
  for (const { nft, name: ruleset, chains } of forwarding.of(node).filter.rulesetsFor(4)) {
    if (!nft || ruleset.endsWith(" kube-proxy")) continue;
    for (const byName of chains.values())
      for (const { name, rules } of byName.values())
        if (!POLICY_CHAINS.test(name))
          for (const rule of rules) if (mayDrop(rule)) named.push(...addressesNamedBy(rule));
  }
  return named;
}

/** Other nodes that stand for all: a few, and each that a dropping rule names. */
function peersFor(node: NodeView, model: Model): NodeView[] {
  const others = model.nodes.all.filter((other) => other !== node && other.ipv4);
  if (others.length <= 8) return others;
  const named = namedByDrops(node.name, model).filter(({ length }) => length > 0);
  const isNamed = (other: NodeView) => {
    const own = other.ipv4!;
    return named.some((prefix) => contains(prefix, own) || other.podRanges.some((range) => contains(prefix, range.ip)));
  };
  return [...new Set([...others.slice(0, 3), ...others.filter(isNamed).slice(0, 50)])];
}

/** A Pod of a node that no policy isolates, so that only the node's own filter decides. */
function freePod(node: string, { pods, policies }: Model): PodView | undefined {
  return pods
    .onNode(node)
    .find(
      (pod) =>
        !pod.hostNetwork &&
        !pod.finished &&
        ipOf(pod) &&
        policies.isolating(pod, "ingress").length === 0 &&
        policies.isolating(pod, "egress").length === 0,
    );
}

/** The device by which a node sends to an address, as its routes say: Calico has one for each Pod. */
function deviceTo(ip: Ip, node: NodeView, { forwarding }: Model): string | undefined {
  const lookup = lookupRoute(forwarding.of(node.name), { destination: ip });
  return lookup.end === "via" ? lookup.hops[0]?.device : undefined;
}

function linkWith(node: NodeView, { forwarding }: Model, isMeant: (link: Link) => boolean): string | undefined {
  return known(forwarding.of(node.name).links)?.find(isMeant)?.name;
}

/** The device through which Pods of a node are reached: the CNI's bridge, or what the route to a Pod names. */
function podDevice(node: NodeView, pod: Ip | undefined, model: Model): string | undefined {
  const range = node.podRanges[0];
  const isBridge = ({ kind, addresses }: Link) =>
    kind === "bridge" &&
    range !== undefined &&
    addresses.some(({ local }) => {
      const ip = parseIp(local);
      return ip !== undefined && contains(range, ip);
    });
  const named = linkWith(node, model, isBridge) ?? (pod && deviceTo(pod, node, model));
  return named ?? (model.flannel.peer(node.name) ? "cni0" : undefined);
}

/** The device by which a node is known to the others. */
const uplinkOf = (node: NodeView, model: Model): string =>
  linkWith(node, model, ({ addresses }) => addresses.some(({ local }) => node.addresses.includes(local))) ?? "eth0";

function* casesOf(node: NodeView, model: Model): Iterable<Case> {
  const { name } = node;
  const own = node.ipv4;
  const mine = freePod(name, model);
  const myIp = ipOf(mine);
  const bridge = podDevice(node, myIp, model);
  const uplink = uplinkOf(node, model);
  const tunnelPort = model.flannel.config?.port ?? 8472;
  const isTunnel = model.flannel.peer(name)?.backend === "vxlan";
  const wayTo = (pod: Ip) => (isTunnel ? `flannel.${model.flannel.config?.vni ?? 1}` : deviceTo(pod, node, model));
  for (const peer of peersFor(node, model)) {
    const theirs = ipOf(freePod(peer.name, model));
    const far = peer.ipv4;
    const overlay = theirs && wayTo(theirs);
    if (myIp && theirs && bridge && overlay) {
      const forward = { name: "node.forward", node: name, peer: peer.name } as const;
      yield {
        breaks: forward,
        what: say.toPods(),
        hooks: ["prerouting", "forward", "postrouting"],
        flow: { protocol: "tcp", source: myIp, destination: theirs, port: 8080, inDevice: bridge, outDevice: overlay },
      };
      yield {
        breaks: forward,
        what: say.fromPods(),
        hooks: ["prerouting", "forward", "postrouting"],
        flow: { protocol: "tcp", source: theirs, destination: myIp, port: 8080, inDevice: overlay, outDevice: bridge },
      };
    }
    if (own && far && isTunnel) {
      const tunnel = { name: "node.tunnel", node: name, peer: peer.name } as const;
      const args = { peer: peer.name, port: tunnelPort };
      yield {
        breaks: tunnel,
        what: say.tunnelIn(args),
        hooks: ["prerouting", "input"],
        flow: { protocol: "udp", source: far, destination: own, port: tunnelPort, inDevice: uplink },
      };
      yield {
        breaks: tunnel,
        what: say.tunnelOut(args),
        hooks: ["output", "postrouting"],
        flow: { protocol: "udp", source: own, destination: far, port: tunnelPort, outDevice: uplink },
      };
    }
  }
  if (own && myIp && bridge) {
    yield {
      breaks: { name: "pod.ready", node: name },
      what: say.toOwnPods(),
      hooks: ["output", "postrouting"],
      flow: { protocol: "tcp", source: own, destination: myIp, port: 8080, outDevice: bridge },
    };
  }
  if (myIp && bridge) yield* dnsCases(node, { ip: myIp, device: bridge }, wayTo, model);
  yield* apiCases(node, own, myIp && bridge !== undefined ? { ip: myIp, device: bridge } : undefined, uplink, model);
}

/** A Pod of the node, and how its packets come in. */
type Sender = { readonly ip: Ip; readonly device: string };

function* dnsCases(
  node: NodeView,
  pod: Sender,
  wayTo: (pod: Ip) => string | undefined,
  { dns, services, pods }: Model,
): Iterable<Case> {
  const port = dns.services
    .flatMap((service) => service.ports)
    .find((one) => one.port === 53 && one.protocol === "UDP");
  const server =
    port &&
    services
      .endpoints(port)
      .find((endpoint) => endpoint.ready && endpoint.node !== node.name && pods.byAddress(endpoint.address));
  const target = server && parseIp(server.address);
  const outDevice = target?.family === 4 ? wayTo(target) : undefined;
  if (!target || !outDevice) return;
  yield {
    breaks: { name: "dns.client", node: node.name },
    what: say.dnsOut(),
    hooks: ["prerouting", "forward", "postrouting"],
    flow: {
      protocol: "udp",
      source: pod.ip,
      destination: target,
      port: server.port,
      inDevice: pod.device,
      outDevice,
    },
  };
}

function* apiCases(
  node: NodeView,
  own: Ip | undefined,
  pod: Sender | undefined,
  uplink: string,
  { services, nodes }: Model,
): Iterable<Case> {
  const port = services.get("default", "kubernetes")?.ports[0];
  for (const endpoint of port ? services.endpoints(port) : []) {
    const target = parseIp(endpoint.address);
    const host = nodes.byAddress(endpoint.address);
    if (!own || target?.family !== 4) continue;
    const args = { address: endpoint.address, port: endpoint.port };
    if (host === node) {
      const other = nodes.all.find((candidate) => candidate !== node && candidate.ipv4);
      const from = other?.ipv4;
      if (from)
        yield {
          breaks: { name: "api.serve" },
          what: say.apiIn(args),
          hooks: ["prerouting", "input"],
          flow: { protocol: "tcp", source: from, destination: target, port: endpoint.port, inDevice: uplink },
        };
      if (pod)
        yield {
          breaks: { name: "node.lead-to-api", node: node.name },
          what: say.apiFromPods(args),
          hooks: ["prerouting", "input"],
          flow: { protocol: "tcp", source: pod.ip, destination: target, port: endpoint.port, inDevice: pod.device },
        };
      continue;
    }
    yield {
      breaks: { name: "api.reach", node: node.name },
      what: say.apiFromNode(args),
      hooks: ["output", "postrouting"],
      flow: { protocol: "tcp", source: own, destination: target, port: endpoint.port, outDevice: uplink },
    };
    if (pod)
      yield {
        breaks: { name: "node.lead-to-api", node: node.name },
        what: say.apiFromPods(args),
        hooks: ["prerouting", "forward", "postrouting"],
        flow: {
          protocol: "tcp",
          source: pod.ip,
          destination: target,
          port: endpoint.port,
          inDevice: pod.device,
          outDevice: uplink,
        },
      };
  }
}

/** What befalls the packets of all peers befalls the node: one capability of it, not one for each peer. */
function widened(dropped: readonly Dropped[], judged: readonly Case[]): Capability[] {
  const names = [...new Set(dropped.map(({ one }) => one.breaks.name))];
  return names.flatMap((name) => {
    const peersOf = (cases: readonly Case[]) =>
      new Set(
        cases
          .filter(({ breaks }) => breaks.name === name && breaks.peer !== undefined)
          .map(({ breaks }) => breaks.peer),
      );
    const hit = dropped.map(({ one }) => one).filter(({ breaks }) => breaks.name === name);
    const isAll = peersOf(hit).size > 0 && peersOf(hit).size === peersOf(judged).size;
    const { peer: _, ...whole } = hit[0]!.breaks;
    return isAll ? [whole] : hit.map(({ breaks }) => breaks);
  });
}

function* judgeNode(node: NodeView, model: Model): Iterable<Finding> {
  const { filter, iptables, iptablesLegacy, nftables } = model.forwarding.of(node.name);
  const capability = { name: "node.forward", node: node.name } as const;
  if (filter.stateOf(4) !== "whole") {
    yield cannotTell(capability, [{ kind: "iptables", place: { node: node.name } }]);
    return;
  }
  const dropped: Dropped[] = [];
  const judged: Case[] = [];
  const results: { readonly one: Case; readonly passes: boolean }[] = [];
  for (const one of casesOf(node, model)) {
    const result = judge(one, filter);
    results.push({ one, passes: result === "passes" });
    if (result === "unknown") continue;
    judged.push(one);
    if (result !== "passes") dropped.push(result);
  }
  if (isWhole(iptables) && iptablesLegacy.state !== "unknown" && nftables.state !== "unknown") {
    for (const name of ["node.tunnel", "node.forward", "node.lead-to-api"] as const) {
      const mine = results.filter(({ one }) => one.breaks.name === name);
      // those that were tried stand for all
      if (mine.length > 0 && mine.every(({ passes }) => passes)) yield works({ name, node: node.name }, []);
      else {
        // in and out
        for (const ways of Map.groupBy(mine, ({ one }) => capabilityId(one.breaks)).values())
          if (ways.every(({ passes }) => passes)) yield works(ways[0]!.one.breaks, []);
      }
    }
  }
  for (const [, group] of Map.groupBy(dropped, ({ by }) => `${by.table} ${by.chain} ${by.line}`)) {
    const { one, by } = group[0]!;
    const evidence: Evidence[] = [filter.quote(by)];
    const { table, chain } = by;
    const args = { node: node.name, flow: one.what, table, chain };
    yield fault({
      repair: node.ref,
      related: model.components.withDuty("cni").map((component) => component.ref),
      nodes: [node.name],
      breaks: widened(group, judged),
      title: by.rule ? say.rule(args) : say.policy(args),
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
  const packets = `${sh`${chain} ${side} ${[...far].join(",")} -p ${flow.protocol} --dport ${flow.port}`} -j ACCEPT`;
  return { run: `${on} -I ${packets}`, undo: `${on} -D ${packets}`, verify };
}

/** A node's packet filter drops traffic that the cluster's network is made of. */
export const packetFilterDrop = defineCheck({
  id: "packet-filter-drop",
  reads: ["nodes", "pods", "forwarding", "flannel", "policies", "services", "components", "dns"],

  *find(model) {
    for (const node of model.nodes.all) if (node.sampled) yield* judgeNode(node, model);
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
      en: `iptables on a node drops or rejects packets that the cluster's network needs: forwarded packets of Pods (a FORWARD chain with policy DROP and nothing that accepts them, or a rule), encapsulated packets between nodes (UDP 8472 or 4789), packets to the API server, or the node's own packets to its Pods.

**How it looks.** Timeouts (DROP) or refusals (REJECT) for everything that passes the node, while programs on it work. Marked packets (NodePorts, off-cluster clients) pass KUBE-FORWARD even then, which makes it look arbitrary.

**How it comes about.** Docker sets FORWARD to DROP when it turns forwarding on itself; firewalld, ufw, a hardening role or an administrator adds rules; an iptables-restore at boot brings back an old snapshot.

**When this is not the cause.** What chains of a policy enforcer (Calico, kube-router) drop is policy, and judged as such. A policy DROP is harmless where the CNI's rules accept the Pods' packets first.`,
      zh: `节点上的 iptables 丢弃或拒绝了集群网络所需的报文：转发的 Pod 报文（FORWARD 链策略为 DROP 且无规则放行，或某条规则）、节点间的封装报文（UDP 8472 或 4789）、发往 API Server 的报文，或节点自身发往本节点 Pod 的报文。

**现象。** 凡经过该节点的流量都超时（DROP）或被拒绝（REJECT），而节点上的进程正常。带标记的报文（NodePort、集群外客户端）仍能通过 KUBE-FORWARD，因此看起来毫无规律。

**成因。** Docker 自行开启转发时会把 FORWARD 设为 DROP;firewalld、ufw、安全加固脚本或管理员添加了规则；开机时 iptables-restore 恢复了旧快照。

**何时不是它。** 策略组件（Calico、kube-router）的链丢弃的流量属于策略，另行判断。若 CNI 的规则先行放行了 Pod 报文，策略为 DROP 并无害处。`,
    },
  },
});
