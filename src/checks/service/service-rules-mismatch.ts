import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { Removal } from "../../model/forwarding/packet-filter.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { Programmed, ProxyMode, Vantage } from "../../model/proxy.ts";
import { refId } from "../../model/ref.ts";
import { clusterIpOf, type ServicePort } from "../../model/services/services.ts";
import { isSettled } from "../../model/services/settled.ts";
import { timeOf } from "../../model/time.ts";
import { bitsOf, type Family, formatPrefix, formatSocket } from "../../net/ip.ts";
import type { Condition } from "../../parse/iptables-save.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, warning, works } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "nodes" | "pods" | "services" | "proxy" | "components" | "logs" | "time" | "forwarding"
>;

const say = texts("service-rules-mismatch", {
  nothingOfFamily: {
    en: "Node {node} has no IPv{family} rules for Services: connections to any IPv{family} ClusterIP leave it untranslated",
    zh: "节点 {node} 没有任何 IPv{family} 的 Service 规则：访问 IPv{family} ClusterIP 的连接未经转换就离开节点",
  },
  nothing: {
    en: "Node {node} has no rules for Services: connections to any ClusterIP leave it untranslated",
    zh: "节点 {node} 没有任何 Service 规则：访问 ClusterIP 的连接未经转换就离开节点",
  },
  notEntered: {
    en: "On node {node}, packets {from} bypass the Service rules: nothing in {chain} leads to {next}",
    zh: "节点 {node} 上{from}的报文绕过了 Service 规则：{chain} 链没有跳转到 {next}",
  },
  missing: {
    en: "Node {node} has no rule for Service {service}, which has {count} ready back {count:end|ends}",
    zh: "节点 {node} 没有 Service {service} 的规则，而它有 {count} 个就绪的后端",
  },
  refused: {
    en: "Node {node} refuses Service {service} as if it had no back end, while it has {count}",
    zh: "节点 {node} 将 Service {service} 视为没有后端而拒绝，实际有 {count} 个后端",
  },
  foreign: {
    en: "A foreign rule on node {node} keeps packets from Service {service} ({table} {chain})",
    zh: "节点 {node} 上有一条外来规则阻断了到 Service {service} 的报文（{table} 表 {chain} 链）",
  },
  stale: {
    en: "Node {node} sends Service {service} to {extra}, which {count:is|are} not among its back ends",
    zh: "节点 {node} 把 Service {service} 转发到 {extra}，而其不在该 Service 的后端之列",
  },
  lacking: {
    en: "Node {node} leaves out back ends of Service {service}: {missing}",
    zh: "节点 {node} 转发 Service {service} 时缺少后端 {missing}",
  },
  partly: {
    en: "Node {node} leaves some connections to Service {service} untranslated",
    zh: "节点 {node} 对到 Service {service} 的部分连接不做转换",
  },
  undropped: {
    en: "Node {node} has no back end of Service {service}, and no rule that drops its packets as it should: {what}",
    zh: "节点 {node} 没有 Service {service} 的本地后端，也缺少应丢弃其报文的规则：{what}",
  },
  toNodePort: { en: "its node port answers as if closed", zh: "其 NodePort 表现为未监听" },
  toClusterIp: { en: "those to its ClusterIP leave the node", zh: "发往其 ClusterIP 的报文离开节点" },
  unmasked: {
    en: "Node {node} does not give packets {from} for Service {service} its own address: no rule marks them for masquerading",
    zh: "节点 {node} 未对{from}到 Service {service} 的报文做源地址转换：没有规则标记它们",
  },
  hairpin: {
    en: "Node {node} does not give its own address to what back ends of Service {service} send to themselves through it (hairpin)",
    zh: "节点 {node} 未对 Service {service} 的后端经由该 Service 访问自身的报文做源地址转换（hairpin）",
  },
  unmarked: {
    en: "Node {node} gives no packets for Services its own address: nothing marks them for masquerading",
    zh: "节点 {node} 未对任何 Service 报文做源地址转换：没有规则标记它们",
  },
  more: { en: "{first} and {count} more", zh: "{first}（另有 {count} 个）" },
  fromPods: { en: "of Pods", zh: "来自 Pod " },
  fromNode: { en: "of the node itself", zh: "节点自身" },
  fromOutside: { en: "from outside", zh: "来自外部" },
  changing: {
    en: "back ends were changing ({services})",
    zh: "有后端正在变化（{services}）",
  },
  unclear: { en: "rules that could not be understood decide", zh: "结果取决于无法解析的规则" },
  restart: {
    en: "Restart kube-proxy on {node}: it writes all rules anew",
    zh: "重启 {node} 上的 kube-proxy：它会重写全部规则",
  },
  removeRule: {
    en: "Remove the rule, and from where it comes as well (firewall service, script), or it returns",
    zh: "删除该规则，并从其来源（防火墙服务、脚本）中一并去掉，否则会再次出现",
  },
  interrupts: {
    en: "Nothing: the rules stay while kube-proxy restarts",
    zh: "无中断：kube-proxy 重启期间规则保持不变",
  },
  nothingElse: { en: "Nothing", zh: "无" },
  preventFlush: {
    en: "Keep `iptables -F`, iptables-restore and firewall reloads off the nodes: kube-proxy writes again only what changes, and everything only about once an hour",
    zh: "不要在节点上执行 `iptables -F`、iptables-restore 或重载防火墙：kube-proxy 平时只重写有变化的部分，约每小时才全量写一次",
  },
  preventAlert: {
    en: "Probe a ClusterIP from every node, and alert on kubeproxy_sync_proxy_rules_last_timestamp_seconds: a healthy Pod of kube-proxy proves nothing about its rules",
    zh: "从每个节点探测一个 ClusterIP，并对 kubeproxy_sync_proxy_rules_last_timestamp_seconds 设置告警：kube-proxy 的 Pod 健康不代表规则正确",
  },
  preventForeign: {
    en: "Let one owner write packet filters on the nodes; a rule for a ClusterIP belongs into a NetworkPolicy",
    zh: "节点上的包过滤规则应只有一个管理者；针对 ClusterIP 的限制应使用 NetworkPolicy",
  },
});

const FROM: Readonly<Record<Vantage, () => Text>> = { pod: say.fromPods, host: say.fromNode, outside: say.fromOutside };
const VANTAGES = ["pod", "host", "outside"] as const;

/** A port of a Service in one address family, on a node. */
type Served = { readonly port: ServicePort; readonly node: string; readonly family: Family };

type Deviation = {
  readonly port: ServicePort;
  readonly what: "missing" | "refused" | "foreign" | "stale" | "lacking";
  readonly vantage: Vantage;
  readonly to: Programmed["to"];
  readonly title: Text;
  readonly evidence: readonly Evidence[];
  /** Of a foreign rule: its line, and the commands that take it away. */
  readonly line?: number;
  readonly removal?: Removal;
  /** The rule takes packets of Pods out of connection tracking: answers of Pods on the node are not translated back either. */
  readonly untracks?: boolean;
  /** The back ends that are wrong or missing, where others are right: then only some connections fail. */
  readonly some: readonly string[];
};

/** The back ends that a vantage point of a node should be delivered to. */
function expectedFor({ port, node, family }: Served, { vantage, to }: Programmed, { services }: Model) {
  const choice = services.expected(port, node, family);
  const { internalLocal, externalLocal } = port.service.policy;
  // what comes from inside to a node port is not bound to the node
  const isLocal = vantage === "outside" ? externalLocal : to === "cluster-ip" && internalLocal;
  return { endpoints: (isLocal ? choice.local : choice.cluster) ?? [], any: choice.any, isLocal };
}

/** A few of many, for a title. */
function shortList(items: readonly string[]): Text | string {
  const [first = "", ...others] = items;
  return others.length < 2 ? items.join(", ") : say.more({ first, count: others.length });
}

function judge(served: Served, programmed: Programmed, model: Model): Deviation | undefined {
  const { port, node } = served;
  const { vantage, to, delivered, refusedBy, untouched } = programmed;
  const { endpoints, any, isLocal } = expectedFor(served, programmed, model);
  const { filter } = model.forwarding.of(node);
  const expected = new Set(endpoints.map(({ address, port: number }) => formatSocket(address, number)));
  const extra = [...delivered.keys()].filter((target) => !expected.has(target));
  const lacking = [...expected].filter((target) => !delivered.has(target));
  const args = { node, service: port.key };
  const isPartly = [...delivered.keys()].some((target) => expected.has(target));
  const deviation = (
    what: Deviation["what"],
    title: Text,
    evidence: readonly Evidence[],
    targets: readonly string[] = [],
  ): Deviation => ({ port, what, vantage, to, title, evidence, some: isPartly ? targets : [] });
  const refusals = () => refusedBy.slice(0, 1).map(filter.quote);

  const foreign = refusedBy.find(
    ({ chain, ruleset }) => !chain.startsWith("KUBE-") && !ruleset.endsWith(" kube-proxy"),
  );
  if (foreign && (expected.size > 0 || !isLocal)) {
    const { table, chain, line, rule } = foreign;
    const one = deviation("foreign", say.foreign({ ...args, table, chain }), [filter.quote(foreign)]);
    const untracks = rule?.target.does === "notrack";
    return { ...one, line, untracks, ...(rule && { removal: filter.removal({ ...foreign, rule }) }) };
  }
  // nothing to deliver: being refused, dropped or left alone comes to the same for the client
  if (expected.size === 0 && (any || extra.length === 0)) return undefined;
  if (expected.size > 0 && delivered.size === 0) {
    const count = expected.size;
    if (refusedBy.length > 0) return deviation("refused", say.refused({ ...args, count }), refusals());
    if (untouched) return deviation("missing", say.missing({ ...args, count }), absence(served, vantage, model));
  }
  if (extra.length > 0) {
    const wrong = extra.slice(0, 2).map((target) => delivered.get(target)!);
    return deviation("stale", say.stale({ ...args, extra: shortList(extra), count: extra.length }), wrong, extra);
  }
  if (lacking.length === 0 && untouched && expected.size > 0)
    return deviation("lacking", say.partly(args), [...delivered.values()].slice(0, 1), [...expected]);
  if (lacking.length === 0) return undefined;
  const others = [...delivered.values()].slice(0, 1);
  const evidence = others.length > 0 ? others : absence(served, vantage, model);
  return deviation("lacking", say.lacking({ ...args, missing: shortList(lacking) }), evidence, lacking);
}

/** A Service of local policy without a back end on the node: its packets are dropped, so that nobody takes them for refused. */
function isUndropped(served: Served, programmed: Programmed, model: Model): boolean {
  const { endpoints, any, isLocal } = expectedFor(served, programmed, model);
  const { delivered, refusedBy, untouched } = programmed;
  return isLocal && any && endpoints.length === 0 && delivered.size === 0 && refusedBy.length === 0 && untouched;
}

/** What was looked for in a node's rules and is not there, and where it should be. */
function absence({ port, node, family }: Served, vantage: Vantage, { forwarding, proxy }: Model): Evidence[] {
  const { ipvs, [SAVED[family]]: iptables, nftables, filter } = forwarding.of(node);
  const address = clusterIpOf(port.service, family) ?? "";
  const protocol = port.protocol.toLowerCase();
  if (proxy.mode(node) === "ipvs") {
    const server = known(ipvs)?.find((one) => one.address === address && one.port === port.port);
    const origin = server ? { ...ipvs.origin, line: server.line } : ipvs.origin;
    const what = `${port.protocol} ${formatSocket(address, port.port)}`;
    return [quoteOf(origin, server ? `${what}: no real server` : `no virtual server ${what}`)];
  }
  if (proxy.mode(node) === "nftables") {
    const [map, key] =
      vantage === "outside"
        ? ["service-nodeports", `${protocol} . ${port.nodePort}`]
        : ["service-ips", `${address} . ${protocol} . ${port.port}`];
    return [quoteOf(nftables.origin, `${NFT[family]} kube-proxy: no element of the map ${map} for ${key}`)];
  }
  const chains = known(iptables)?.tables.find(({ name }) => name === "nat")?.chains ?? [];
  const at = (line: number | undefined) => (line === undefined ? iptables.origin : { ...iptables.origin, line });
  const name = vantage === "outside" ? "KUBE-NODEPORTS" : "KUBE-SERVICES";
  const chain = chains.find((one) => one.name === name);
  if (!chain) return [quoteOf(iptables.origin, `nat: no chain ${name}`)];
  const number = vantage === "outside" ? port.nodePort : port.port;
  const host = `${address}/${bitsOf(family)}`;
  const to = vantage === "outside" ? "" : `-d ${host} `;
  const wanted = `${to}-p ${protocol} --dport ${number}`;
  const rule = chain.rules.find(
    ({ conditions, target }) =>
      target.does === "jump" && isFor(conditions, vantage === "outside" ? undefined : host, number),
  );
  if (rule?.target.does !== "jump") return [quoteOf(at(chain.line), `nat: no rule of ${name} for ${wanted}`)];
  const next = rule.target.chain;
  const service = chains.find((one) => one.name === next);
  return [
    filter.quote({ ruleset: program(family), table: "nat", chain: name, line: rule.line, rule }),
    quoteOf(at(service?.line), `nat: ${next} has ${service?.rules.length ?? 0} rules`),
  ];
}

/** Whether a rule is for this host, a prefix of one address, and this port. */
function isFor(conditions: readonly Condition[], host: string | undefined, number: number | undefined): boolean {
  const isAddressed =
    host === undefined ||
    conditions.some((one) => one.is === "destination" && !one.not && formatPrefix(one.prefix) === host);
  const isOfPort = conditions.some(
    (one) =>
      one.is === "destination-port" && !one.not && one.ports.some(({ from, to }) => from === number && to === number),
  );
  return isAddressed && isOfPort;
}

/** Which chain should lead to which one, and does not. */
function missingJump(node: string, vantage: Vantage, family: Family, { forwarding, proxy }: Model) {
  if (proxy.mode(node) === "nftables")
    return { chain: vantage === "host" ? "nat-output" : "nat-prerouting", next: "services" };
  const chains = known(forwarding.of(node)[SAVED[family]])?.tables.find(({ name }) => name === "nat")?.chains ?? [];
  const leads = (from: string, to: string) =>
    chains.find(({ name }) => name === from)?.rules.some(({ target }) => target.does === "jump" && target.chain === to);
  const first = vantage === "host" ? "OUTPUT" : "PREROUTING";
  return vantage === "outside" && leads(first, "KUBE-SERVICES")
    ? { chain: "KUBE-SERVICES", next: "KUBE-NODEPORTS" }
    : { chain: first, next: "KUBE-SERVICES" };
}

/** Why no Service at all is reached: there are no rules, or nothing leads to them. */
function absenceOfAll(served: Served, vantages: readonly Vantage[], model: Model): Evidence[] {
  const { node, family } = served;
  const { [SAVED[family]]: iptables } = model.forwarding.of(node);
  const chains = known(iptables)?.tables.find(({ name }) => name === "nat")?.chains ?? [];
  const services = chains.find(({ name }) => name === "KUBE-SERVICES");
  if (model.proxy.mode(node) !== "iptables" || !services) return absence(served, vantages[0]!, model);
  if (services.rules.length === 0)
    return [quoteOf({ ...iptables.origin, line: services.line }, "nat: KUBE-SERVICES has 0 rules")];
  const jumps = vantages.map((vantage) => missingJump(node, vantage, family, model));
  return [...new Map(jumps.map((jump) => [jump.chain, jump])).values()].map(({ chain, next }) => {
    const line = chains.find(({ name }) => name === chain)?.line;
    return quoteOf({ ...iptables.origin, ...(line && { line }) }, `nat: no rule of ${chain} jumps to ${next}`);
  });
}

/** What kube-proxy says once it knows all Services and has written its rules (client-go shared_informer.go). */
const SYNCED = /Caches are synced for (service|endpoint slice) config/;

/** kube-proxy of the node was seen at work after the Service had come to be as it is: what differs was lost since. */
function wasWritten(node: string, port: ServicePort, { components, logs, services }: Model): boolean {
  const pod = components
    .withDuty("service-proxy")
    .flatMap(({ pods }) => pods)
    .find((candidate) => candidate.node === node);
  if (!pod?.ready) return false;
  const synced = Math.max(...logs.said(pod, SYNCED).map(({ entry }) => timeOf(entry.last.at) ?? 0), 0);
  const changed = [
    port.service.object.metadata,
    ...services.slices(port.service).map(({ metadata }) => metadata),
  ].flatMap(({ creationTimestamp, managedFields }) => [
    creationTimestamp,
    ...(managedFields ?? []).map((entry) => entry.time),
  ]);
  return synced > 0 && changed.every((at) => (timeOf(at) ?? 0) < synced);
}

/** What deviations of one port break: from where they show, and for which back ends if others are right. */
function brokenBy(
  mine: readonly Deviation[],
  { port, node, family }: Served,
  rules: Capability,
  { proxy, services }: Model,
): Capability[] {
  const seen = proxy.programmed(port, node, family)?.length ?? 0;
  const here = services.expected(port, node, family).cluster?.find((endpoint) => endpoint.node === node);
  return mine.flatMap(({ vantage, some, untracks }) => {
    const from = mine.length < seen ? { ...rules, from: vantage } : rules;
    // a part of what is needed from there
    if (some.length > 0) return some.map((target) => ({ ...rules, from: vantage, pod: target }));
    const others = untracks && here ? VANTAGES.filter((other) => other !== vantage) : [];
    return [from, ...others.map((other) => ({ ...rules, from: other, pod: here!.address }))];
  });
}

/** Where the rules of a family are, as evidence and in commands. */
const SAVED = { 4: "iptables", 6: "ip6tables" } as const;
const NFT = { 4: "ip", 6: "ip6" } as const;
const program = (family: Family): string => SAVED[family];

/** Where the rules of a mode are. */
const kindOf = (mode: ProxyMode, family: Family) => (mode === "iptables" ? SAVED[family] : mode);

function quoteBackends({ port, family }: Omit<Served, "node">, { services }: Model): Evidence {
  const ready = services.endpoints(port, family).filter((endpoint) => endpoint.ready);
  const addresses = ready.map(({ address, port: number }) => formatSocket(address, number));
  const shown = addresses.length > 4 ? `${addresses.slice(0, 3).join(", ")} …` : addresses.join(", ") || "none";
  return services.quote(port.service, `Service ${port.key}: back ends ${shown}`);
}

/** The commands of a node that show its rules: for all Services, and for one. */
const showingAll = (mode: ProxyMode, family: Family): string =>
  ({
    iptables: `${SAVED[family]}-save -t nat | grep -e '-j KUBE-SERVICES'`,
    ipvs: "ipvsadm -Ln",
    nftables: `nft list map ${NFT[family]} kube-proxy service-ips`,
  })[mode];

const IPVS_FLAGS = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" } as const;

function showing({ key, service, port, protocol }: ServicePort, mode: ProxyMode, family: Family): string {
  const address = clusterIpOf(service, family) ?? "";
  if (mode === "ipvs") return sh`ipvsadm -Ln ${IPVS_FLAGS[protocol]} ${formatSocket(address, port)}`;
  if (mode === "nftables") return `${showingAll(mode, family)} ${sh`| grep -F -e ${address}`}`;
  return `${SAVED[family]}-save -t nat ${sh`| grep -F -e ${key}`}`;
}

type Unmasked = { readonly port: ServicePort; readonly ways: readonly Programmed[] };

/** Packets for Services that leave with the client's address where kube-proxy would put in the node's own. */
function* judgeMasquerading(
  node: NodeView,
  unmasked: readonly Unmasked[],
  isAll: boolean,
  mode: ProxyMode,
  family: Family,
  model: Model,
): Iterable<Finding> {
  const { name } = node;
  const ofFamily = model.services.ofFamily(family);
  const [first] = unmasked;
  if (!first) return;
  const proxies = model.components.withDuty("service-proxy").map(({ ref: self }) => self);
  const common = { repair: node.ref, nodes: [name], strength: "differing" as const };
  if (isAll) {
    const services = [...new Set(unmasked.map(({ port }) => port.service.ref))];
    yield fault({
      ...common,
      related: [...proxies, ...services],
      breaks: [
        { name: "service.masquerade", node: name, ...ofFamily },
        { name: "pod.hairpin", node: name, ...ofFamily },
      ],
      title: say.unmarked({ node: name }),
      evidence: absenceOfMark(name, family, model),
      lost: unmasked.every(({ port }) => wasWritten(name, port, model)),
      facts: { case: "unmarked", shows: showingMarks(mode, family) },
    });
    return;
  }
  for (const { port, ways } of unmasked) {
    const [way] = ways;
    const args = { node: name, service: port.key };
    const breaks = ways.flatMap(({ to, vantage, unmasked: targets }): Capability[] =>
      to === "itself"
        ? [...targets.keys()].flatMap((target) => {
            const pod = model.pods.byAddress(target.slice(0, target.lastIndexOf(":")).replace(/^\[|\]$/g, ""));
            return pod ? [{ name: "pod.hairpin", node: name, pod: pod.key, service: port.key, ...ofFamily }] : [];
          })
        : [{ name: "service.masquerade", node: name, service: port.key, from: vantage, ...ofFamily }],
    );
    if (!way || breaks.length === 0) continue;
    yield fault({
      ...common,
      related: [...proxies, port.service.ref],
      breaks,
      title: way.to === "itself" ? say.hairpin(args) : say.unmasked({ ...args, from: FROM[way.vantage]() }),
      evidence: [...way.unmasked.values()].slice(0, 2),
      lost: wasWritten(name, port, model),
      facts: { case: "unmasked", shows: showing(port, mode, family) },
    });
  }
}

const showingMarks = (mode: ProxyMode, family: Family): string =>
  mode === "nftables"
    ? `nft list chain ${NFT[family]} kube-proxy mark-for-masquerade`
    : `${SAVED[family]}-save -t nat | grep -e KUBE-MARK-MASQ`;

function absenceOfMark(node: string, family: Family, { forwarding, proxy }: Model): Evidence[] {
  const { [SAVED[family]]: iptables, nftables } = forwarding.of(node);
  if (proxy.mode(node) === "nftables")
    return [quoteOf(nftables.origin, `${NFT[family]} kube-proxy: no rule of mark-for-masquerade sets a mark`)];
  const chains = known(iptables)?.tables.find(({ name }) => name === "nat")?.chains;
  const line = chains?.find(({ name }) => name === "KUBE-MARK-MASQ")?.line;
  const origin = line === undefined ? iptables.origin : { ...iptables.origin, line };
  return [quoteOf(origin, "nat: no rule of KUBE-MARK-MASQ sets the mark 0x4000")];
}

function* judgeNode(node: NodeView, ports: readonly ServicePort[], family: Family, model: Model): Iterable<Finding> {
  const { name } = node;
  const ofFamily = model.services.ofFamily(family);
  const whole = { name: "service.rules", node: name, ...ofFamily } as const;
  const servedBy = (port: ServicePort): Served => ({ port, node: name, family });
  const proxies = model.components.withDuty("service-proxy").map(({ ref: self }) => self);
  const mode = model.proxy.mode(name);
  const plane = model.forwarding.of(name);
  if (mode === undefined) {
    if (plane.filter.stateOf(family) !== "whole")
      yield cannotTell(whole, [{ kind: SAVED[family], place: { node: name } }]);
    return;
  }
  if (!model.services.whole || !model.services.endpointsWhole) {
    yield cannotTell(whole, [{ kind: model.services.whole ? "endpointslices" : "services" }]);
    return;
  }
  const deviations: Deviation[] = [];
  const judged: ServicePort[] = [];
  const moving: ServicePort[] = [];
  const unclear: ServicePort[] = [];
  const unmasked: Unmasked[] = [];
  let marked = false;
  const warned = new Set<number | undefined>();
  for (const port of ports) {
    if (model.proxy.isRight(port, name, family)) {
      judged.push(port);
      marked = true;
      continue;
    }
    const programmed = model.proxy.programmed(port, name, family);
    if (!programmed) {
      unclear.push(port);
      continue;
    }
    judged.push(port);
    const deviating = (all: readonly Programmed[]) =>
      all.map((one) => judge(servedBy(port), one, model)).filter((deviation) => deviation !== undefined);
    const inside = model.proxy.programmedInside(port, name, family) ?? [];
    const fromOthers = deviating(programmed);
    const found = fromOthers.length > 0 ? fromOthers : deviating(inside.filter(({ to }) => to !== "itself"));
    const ways = [...programmed, ...inside];
    marked ||= ways.some((way) => way.marked);
    if (found.length === 0) {
      const undropped = programmed.find((one) => isUndropped(servedBy(port), one, model));
      if (undropped && isSettled(port, model.services, model.time)) {
        const what = undropped.vantage === "outside" ? say.toNodePort() : say.toClusterIp();
        yield warning(
          node.ref,
          say.undropped({ node: name, service: port.key, what }),
          [quoteBackends({ port, family }, model)],
          [port.service.ref],
        );
      }
      const bare = ways.filter((way) => way.unmasked.size > 0);
      if (bare.length > 0 && isSettled(port, model.services, model.time)) unmasked.push({ port, ways: bare });
      continue;
    }
    // who shuts NodePorts to strangers may mean it
    const shut = found.filter(({ what, vantage }) => what === "foreign" && vantage === "outside");
    for (const { line, title, evidence } of shut) {
      if (!warned.has(line)) yield warning(node.ref, title, evidence, [port.service.ref]);
      warned.add(line);
    }
    const harm = found.filter((deviation) => !shut.includes(deviation));
    if (harm.length === 0) continue;
    if (isSettled(port, model.services, model.time)) deviations.push(...harm);
    else moving.push(port);
  }
  if (judged.length === 0) {
    yield cannotTell(whole, [{ kind: kindOf(mode, family), place: { node: name } }]);
    return;
  }
  // rules are as they were or as they will be: whether they follow is what cannot be told
  if (moving.length > 0) {
    const [proxy] = proxies;
    const follows = { name: "component.learn", node: name, ...(proxy && { component: refId(proxy) }) } as const;
    const services = [...new Set(moving.map(({ key }) => key))];
    yield cannotTell(follows, [], say.changing({ services: shortList(services) }));
  }
  for (const port of unclear) yield cannotTell({ ...whole, service: port.key }, [], say.unclear());
  yield* judgeMasquerading(node, unmasked, !marked && unmasked.length > 1, mode, family, model);
  if (deviations.length + moving.length + unclear.length === 0) {
    yield works(
      whole,
      [...(model.proxy.programmed(judged[0]!, name, family)?.[0]?.delivered.values() ?? [])].slice(0, 1),
    );
    return;
  }
  const common = { repair: node.ref, nodes: [name], strength: "differing" as const };
  const served = judged.filter((port) => model.services.expected(port, name, family).any);
  // what befalls all Services alike is one fault of the node
  const lost = deviations.filter(
    ({ what, vantage, to }) => what === "missing" && to === (vantage === "outside" ? "node-port" : "cluster-ip"),
  );
  const cutOff = VANTAGES.filter((vantage) => {
    const seen = served.filter((port) => vantage !== "outside" || port.nodePort !== undefined).length;
    return seen > 1 && lost.filter((deviation) => deviation.vantage === vantage).length === seen;
  });
  const [first] = cutOff;
  if (first) {
    // IPVS has one table for all
    const isAll = mode === "ipvs" || (cutOff.includes("pod") && cutOff.includes("host"));
    yield fault({
      ...common,
      related: proxies,
      breaks: isAll ? [whole] : cutOff.map((from) => ({ ...whole, from })),
      title: isAll
        ? (ofFamily.family ? say.nothingOfFamily : say.nothing)({ node: name, family })
        : say.notEntered({ node: name, from: FROM[first](), ...missingJump(name, first, family, model) }),
      evidence: absenceOfAll(servedBy(lost[0]!.port), cutOff, model),
      lost: lost.every(({ port }) => wasWritten(name, port, model)),
      facts: {
        case: "all",
        shows: showingAll(mode, family),
      },
    });
    return;
  }
  for (const port of judged) {
    const mine = deviations.filter((deviation) => deviation.port === port);
    const found = mine[0];
    if (!found) {
      if (!moving.includes(port)) yield works({ ...whole, service: port.key }, []);
      continue;
    }
    yield fault({
      ...common,
      related: [...proxies, port.service.ref],
      breaks: brokenBy(mine, servedBy(port), { ...whole, service: port.key }, model),
      title: found.title,
      evidence: [...found.evidence, ...(found.what === "foreign" ? [] : [quoteBackends({ port, family }, model)])],
      lost: found.what === "foreign" || wasWritten(name, port, model),
      facts: {
        case: found.what,
        shows: showing(port, mode, family),
        ...found.removal,
      },
    });
  }
}

/** A node's rules do not deliver a Service to the back ends that it has: missing, stale, or foreign rules. */
export const serviceRulesMismatch = defineCheck({
  id: "service-rules-mismatch",
  reads: ["nodes", "pods", "services", "proxy", "components", "logs", "time", "forwarding"],

  *find(model) {
    const proxied = model.services.all.filter((service) => service.proxied);
    const used = new Set(proxied.flatMap(({ families }) => families));
    // of Services that were not seen, a node's rules tell nothing in any family
    for (const family of used.size > 0 ? used : [4 as const]) {
      const ports = proxied.filter(({ families }) => families.includes(family)).flatMap((service) => service.ports);
      for (const node of model.nodes.all) if (node.sampled) yield* judgeNode(node, ports, family, model);
    }
  },

  remedies({ nodes, related, facts }) {
    const proxy = related.find(({ kind }) => kind === "DaemonSet");
    const node = nodes[0]!;
    const { shows, run, undo, verify } = facts as Readonly<Record<string, string | undefined>>;
    if (run !== undefined && undo !== undefined && verify !== undefined) {
      const step = {
        why: say.removeRule(),
        change: { run, node },
        undo: { run: undo, node },
        verify: { run: verify, node },
      };
      const prevent = [say.preventForeign()];
      return [{ id: "remove-rule", risk: "low", interrupts: say.nothingElse(), steps: [step], prevent }];
    }
    const step = {
      why: say.restart({ node }),
      change: proxy
        ? ({ do: "restart", component: proxy, node } as const)
        : { run: "systemctl restart k3s-agent || systemctl restart k3s", node },
      verify: { run: shows!, node },
    };
    return [
      {
        id: "rewrite-rules",
        risk: "low",
        interrupts: say.interrupts(),
        steps: [step],
        prevent: [say.preventFlush(), say.preventAlert()],
        errata: ["X2"],
      },
    ];
  },

  manual: {
    title: { en: "A node's Service rules differ from what the API demands", zh: "节点的 Service 规则与 API 不一致" },
    page: {
      en: `For every node and Service netwhy sends the first packet of a connection through the node's rules (iptables) or table (IPVS) and compares where it comes out with the Service's ready back ends: from a Pod, from the node, from outside.

**How it looks.** A Service fails on one node and works on others. *Missing*: the packet leaves untranslated and times out. *Refused as if it had no back end*: the rule "has no endpoints" is older than the endpoints. *Stale*: connections time out or reach a Pod that is another's by now. *Foreign*: somebody's rule refuses it.

**How it comes about.** kube-proxy on the node does not learn (permissions, API server), was removed or is stuck; something flushed or restored rules; an administrator added one. A rule for a ClusterIP in the filter table usually never matches, because the address is translated before.

**When this is not the cause.** If all nodes refuse, the Service has no back end. With externalTrafficPolicy Local, a node without local back end drops on purpose.`,
      zh: `对每个节点和 Service，netwhy 让一条连接的首个报文走一遍该节点的规则（iptables）或转发表（IPVS），并将结果与 Service 的就绪后端比较：分别从 Pod、节点自身和外部出发。

**现象。** Service 在某个节点上失败而在其他节点正常。*缺失*：报文未经转换离开节点，最终超时。*当作没有后端而拒绝*：“has no endpoints” 规则比后端还旧。*陈旧*：连接超时，或到达已属于别人的 Pod。*外来*：有人添加的规则将其拒绝。

**成因。** 节点上的 kube-proxy 获取不到变化（权限、API Server）、已被移除或卡住；规则被清空或被旧快照覆盖；管理员手工添加规则。filter 表中针对 ClusterIP 的规则通常不会命中，因为地址在此之前已被转换。

**何时不是它。** 若所有节点都拒绝，是 Service 没有后端。externalTrafficPolicy 为 Local 时，没有本地后端的节点会按设计丢弃。`,
    },
  },
});
