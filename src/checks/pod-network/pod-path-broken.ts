import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability, CapabilityName } from "../../model/capability.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { ipOf, type PodView } from "../../model/pods.ts";
import { clusterIpOf, type ServicePort } from "../../model/services/services.ts";
import { contains, type Family, formatIp, type Ip, parseIp } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { openingPacket } from "../../trace/packet.ts";
import type { EndName, Way } from "../../trace/trace.ts";
import { WORLD, walk } from "../../trace/walk.ts";
import { defineCheck, type Facts, type Finding, fault, inFamily, works } from "../check.ts";

const PARTS = [...WORLD, "time", "components"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("pod-path-broken", {
  device: {
    en: "A device on the way to the Pods of node {node} is down or missing: {what}",
    zh: "通往节点 {node} 上 Pod 的网卡未启用或缺失：{what}",
  },
  hairpin: {
    en: "Pods of node {node} do not reach themselves through their own Service: {what}",
    zh: "节点 {node} 上的 Pod 无法经由自己的 Service 访问自身：{what}",
  },
  bridge: {
    en: "The bridge of node {node} does not pass packets between its Pods: {what}",
    zh: "节点 {node} 的网桥不转发其 Pod 之间的报文：{what}",
  },
  source: {
    en: "Node {node} throws away packets of Pods because of where they come in: {what}",
    zh: "节点 {node} 因报文入口不符而丢弃 Pod 报文：{what}",
  },
  gateway: {
    en: "Pods of node {node} do not get out of it: {what}",
    zh: "节点 {node} 上的 Pod 无法发出报文：{what}",
  },
  answer: {
    en: "On node {node}, answers of Pods to Pods of the same node bypass the Service rules: {key} is 0",
    zh: "节点 {node} 上同节点 Pod 之间的应答绕过了 Service 规则：{key} 为 0",
  },
  masquerade: {
    en: "Node {node} does not give packets for Services its own address where answers need it: {what}",
    zh: "节点 {node} 未对需要的 Service 报文做源地址转换：{what}",
  },
  rewrite: {
    en: "Restart kube-proxy on {node}: it writes the jump from POSTROUTING and its chain anew",
    zh: "重启 {node} 上的 kube-proxy：它会重写 POSTROUTING 的跳转及其链",
  },
  restartBy: { en: "Restarting kube-proxy interrupts nothing", zh: "重启 kube-proxy 不影响业务" },
  setUp: { en: "Bring the device up, or let the CNI make it anew", zh: "启用该网卡，或让 CNI 重新创建" },
  allowHairpin: {
    en: "Allow hairpin on the bridge's ports, and hairpinMode in the CNI configuration for Pods to come",
    zh: "在网桥端口上开启 hairpin，并在 CNI 配置中设置 hairpinMode 以覆盖后续 Pod",
  },
  address: {
    en: "Give the bridge the address that the node's Pods have for a gateway",
    zh: "为网桥配置本节点 Pod 所用的网关地址",
  },
  renew: {
    en: "Delete the Pod, so that the CNI makes it anew with the routes of the others",
    zh: "删除该 Pod，由 CNI 重建并配置与其他 Pod 相同的路由",
  },
  separate: { en: "Take the isolation off the bridge's ports", zh: "取消网桥端口的隔离" },
  loosen: {
    en: "Let the source check accept every known source (2) or switch it off (0): the larger of “all” and the device counts",
    zh: "将源地址校验放宽为宽松模式（2）或关闭（0）：以 all 与该网卡两者中的较大值为准",
  },
  filterBridged: {
    en: "Let bridged packets pass the rules of iptables (module br_netfilter)",
    zh: "让桥接报文经过 iptables 规则（模块 br_netfilter）",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep network managers of the distribution away from the CNI's devices, and set kernel parameters in /etc/sysctl.d",
    zh: "不要让发行版的网络管理程序接管 CNI 的网卡，并在 /etc/sysctl.d 中固定内核参数",
  },
});

/** What ends a way and is no other check's: rules, routes, neighbours and tunnels have checks of their own. */
const OURS: ReadonlySet<EndName> = new Set(["device-down", "not-bridged", "not-accepted", "wrong-answer"]);

const UNMASKED: ReadonlySet<EndName> = new Set(["answered", "wrong-answer", "not-accepted"]);

/**
 * To a Pod beside it and on other nodes; through a Service to itself; through one to a Pod beside it; from another node
 * through a node port.
 */
type Kind = "between" | "itself" | "beside" | "node-port";

/** What is shown to work if every way of a kind is answered. */
const SHOWN: Readonly<Record<Kind, readonly CapabilityName[]>> = {
  between: [],
  itself: ["pod.hairpin"],
  beside: ["node.bridge"],
  "node-port": ["service.masquerade"],
};

const SETTLED = 10_000;
const BRIDGE_CALLS = {
  4: "net.bridge.bridge-nf-call-iptables",
  6: "net.bridge.bridge-nf-call-ip6tables",
} as const;

/** Pods that run, with an address of a family and for a moment already: others come and go while evidence is taken. */
function steadyPods(node: string, family: Family, { pods, time }: Model): PodView[] {
  return pods
    .onNode(node)
    .filter(
      (pod) =>
        !pod.hostNetwork &&
        !pod.finished &&
        !pod.terminating &&
        pod.object.status?.phase === "Running" &&
        ipOf(pod, family) !== undefined &&
        (time.age(pod.object.metadata.creationTimestamp) ?? SETTLED) >= SETTLED,
    );
}

type Broken = { readonly way: Way; readonly kind: Kind; readonly from?: PodView };

/** A node, and packets of one address family on it. */
type Where = { readonly node: NodeView; readonly family: Family };

/** A Service's port by its back ends' Pods. */
type Served = { readonly port: ServicePort; readonly pods: ReadonlySet<PodView> };

/** Those with the fewest Pods first: a call of one is walked to each of them. */
function servedPorts(family: Family, { services }: Model): Served[] {
  const served = services.all.flatMap((service): Served[] => {
    const port = service.proxied ? service.ports.find(({ protocol }) => protocol === "TCP") : undefined;
    return port && clusterIp(port, family) ? [{ port, pods: new Set(services.selected(service)) }] : [];
  });
  return served.sort((a, b) => a.pods.size - b.pods.size);
}

const clusterIp = ({ service }: ServicePort, family: Family): Ip | undefined =>
  parseIp(clusterIpOf(service, family) ?? "");

/** Of many Pods of one node so many are tried: the ports of a bridge are made alike. */
const MOST_CALLERS = 30;
const MOST_TARGETS = 8;

const addressesOf = (pods: readonly PodView[]): ReadonlySet<string> =>
  new Set(pods.flatMap(({ addresses }) => addresses));

/** Whether the port of the node's bridge behind which a Pod is sends frames back. */
function hasHairpin(pod: PodView, node: string, { forwarding, podNamespaces }: Model): boolean | undefined {
  const plane = forwarding.of(node);
  const peers = (known(podNamespaces.of(pod).links) ?? []).map(({ peerIndex }) => peerIndex);
  const device = known(plane.links)?.find(({ index, kind }) => kind === "veth" && peers.includes(index));
  return known(plane.bridgePorts)?.find(({ name }) => name === device?.name)?.hairpin;
}

/** By such a gateway the node itself answers (Calico). */
const LINK_LOCAL = /^(169\.254\.|fe80:)/;

/** Whether a Pod's default route is missing, or leads to an address that its node does not have. */
function lacksGateway(pod: PodView, node: string, family: Family, { forwarding, podNamespaces }: Model): boolean {
  const { routes, routes6 } = podNamespaces.of(pod);
  const table = family === 4 ? routes : routes6;
  const local = known(forwarding.of(node).localAddresses);
  if (!isWhole(table) || !local) return false;
  const way = table.value.find(({ destination }) => destination.endsWith("/0"));
  return (
    !way || way.nextHops.some(({ gateway = "" }) => gateway !== "" && !LINK_LOCAL.test(gateway) && !local.has(gateway))
  );
}

/** Whether a device of its own, or the other end of it, is not up, or it has no way out: no other Pod's packets show that. */
function looksCut(pod: PodView, node: string, family: Family, model: Model): boolean {
  const { forwarding, podNamespaces } = model;
  if (lacksGateway(pod, node, family, model)) return true;
  const own = (known(podNamespaces.of(pod).links) ?? []).filter(({ name }) => name !== "lo");
  const ends = own.flatMap(
    ({ peerIndex }) => known(forwarding.of(node).links)?.filter(({ index }) => index === peerIndex) ?? [],
  );
  return [...own, ...ends].some(({ flags }) => !flags.includes("UP"));
}

/** The Pod that the rules of a Service chose. */
function targetOf({ steps, answer }: Way, { pods }: Model): PodView | undefined {
  const sent = steps.slice(0, answer).findLast((step) => "packet" in step);
  const destination = sent && "packet" in sent ? sent.packet.destination : "unknown";
  return destination === "unknown" ? undefined : pods.byAddress(formatIp(destination));
}

function* waysOf({ node, family }: Where, served: readonly Served[], model: Model): Iterable<Broken> {
  const mine = steadyPods(node.name, family, model);
  const [from, beside] = mine;
  const others = model.nodes.all.filter(({ name }) => name !== node.name).slice(0, 3);
  const through = function* (kind: Kind, caller: PodView, { port, pods: targets }: Served): Iterable<Broken> {
    const packet = openingPacket("tcp", ipOf(caller, family), clusterIp(port, family)!, port.port);
    // of other nodes' Pods tell the ways between Pods
    const near = mine.filter((pod) => pod !== caller && targets.has(pod)).slice(0, MOST_TARGETS);
    const towards = addressesOf([caller, ...near]);
    const { ways } = walk({ from: { node: node.name, pod: caller }, packet, towards }, model);
    for (const way of ways) {
      const target = targetOf(way, model);
      if (target?.node !== undefined && target.node !== node.name) continue;
      const isOther = kind === "itself" && target !== undefined && target.key !== caller.key;
      yield { way, kind: isOther ? "beside" : kind, from: caller };
    }
  };
  if (from) {
    const peers = [beside, ...others.map(({ name }) => steadyPods(name, family, model)[0])].filter(
      (pod) => pod !== undefined,
    );
    const cut = mine.filter((pod) => pod !== from && looksCut(pod, node.name, family, model)).slice(0, MOST_CALLERS);
    const pairs = [
      ...peers.map((peer) => [from, peer] as const),
      ...cut.map((pod) => [pod, peers.at(-1) ?? from] as const),
    ];
    for (const [caller, peer] of pairs) {
      const packet = openingPacket("icmp", ipOf(caller, family), ipOf(peer, family)!);
      for (const way of walk({ from: { node: node.name, pod: caller }, packet }, model).ways)
        yield { way, kind: "between", from: caller };
    }
    // hairpin is a property of each port: of those that have it, one Pod shows what the node does
    const callable = mine.flatMap((pod) => {
      const own = served.find(({ pods }) => pods.has(pod));
      return own ? [{ pod, own }] : [];
    });
    const suspects = callable.filter(({ pod }) => hasHairpin(pod, node.name, model) === false);
    for (const { pod, own } of new Set([...callable.slice(0, 1), ...suspects.slice(0, MOST_CALLERS)]))
      yield* through("itself", pod, own);
    const near = served.find(({ pods }) => mine.some((pod) => pods.has(pod)) && mine.some((pod) => !pods.has(pod)));
    const caller = near && mine.find((pod) => !near.pods.has(pod));
    if (near && caller) yield* through("beside", caller, near);
  }
  yield* waysIn({ node, family }, others, from, served, model);
}

/** From another node, and from a Pod of this one, through a node port of this one. */
function* waysIn(
  { node, family }: Where,
  others: readonly NodeView[],
  from: PodView | undefined,
  served: readonly Served[],
  model: Model,
): Iterable<Broken> {
  const open = served.find(({ port }) => port.nodePort !== undefined && !port.service.policy.externalLocal);
  const own = node.ips[family];
  if (!open || !own) return;
  const [other] = others;
  // one on this node, others on nodes whose rules are at hand
  const reached = [node, ...others].flatMap(
    ({ name }) => steadyPods(name, family, model).find((pod) => open.pods.has(pod)) ?? [],
  );
  const towards = addressesOf(reached.length > 0 ? reached : [...open.pods].slice(0, 1));
  if (from) {
    const packet = openingPacket("tcp", ipOf(from, family), own, open.port.nodePort);
    for (const way of walk({ from: { node: node.name, pod: from }, packet, towards }, model).ways)
      yield { way, kind: "node-port", from };
  }
  if (!other?.sampled) return;
  const packet = openingPacket("tcp", undefined, own, open.port.nodePort);
  for (const way of walk({ from: { node: other.name }, packet, towards }, model).ways) yield { way, kind: "node-port" };
}

function breaksOf(
  { way, kind, from }: Broken,
  node: string,
  isMasquerade: boolean,
  family: Family,
  model: Model,
): Capability[] {
  const own = from && { pod: from.key };
  const ofFamily = model.services.ofFamily(family);
  if (isMasquerade)
    return [
      { name: "service.masquerade", node, ...ofFamily },
      { name: "pod.hairpin", node, ...ofFamily },
    ];
  switch (way.end.is) {
    case "not-bridged":
      return [kind === "itself" ? { name: "pod.hairpin", node, ...own } : { name: "pod.attach", node }];
    case "wrong-answer":
      return [
        { name: "node.bridge", node, ...ofFamily },
        { name: "pod.hairpin", node, ...ofFamily },
      ];
    default:
      if (way.end.is === "no-route")
        return [{ name: "pod.attach", node, ...(way.end.at?.pod && { pod: way.end.at.pod.key }) }];
      return [{ name: "pod.attach", node, ...(isOfOne(way, node, model) && ownerOf(way, model)) }];
  }
}

/** The Pod whose own device a way ends at: the one that sends, until the packet has left it; else the one that it is for. */
function ownerOf({ steps, answer }: Way, { pods }: Model): { readonly pod: string } | undefined {
  const leg = steps.slice(answer ?? 0);
  const [first] = leg;
  const hasLeft = leg.some(({ did }) => did === "cross" || did === "carry");
  if (!hasLeft && first?.did === "send" && first.at.pod) return { pod: first.at.pod.key };
  const destination = leg.flatMap((step) => ("packet" in step ? step.packet.destination : [])).at(-1);
  const isTold = destination !== undefined && destination !== "unknown";
  const pod = isTold ? pods.byAddress(formatIp(destination)) : undefined;
  return pod && { pod: pod.key };
}

/** Whether the device that ended it is one Pod's alone: not a bridge, which is all of theirs. */
function isOfOne({ end }: Way, node: string, { forwarding }: Model): boolean {
  const device = end.evidence[0]?.quote.split(/[\s:]/)[0];
  const link = known(forwarding.of(node).links)?.find(({ name }) => name === device);
  return end.is === "device-down" && link?.kind === "veth";
}

/** Whether it ended between the Pod that sent it and its node: its own routes, or the gateway that they name. */
function isStuck({ steps, answer, end }: Way): boolean {
  const leg = steps.slice(answer ?? 0);
  return (
    (end.is === "no-route" || end.is === "unreachable") && leg.every(({ did }) => did === "send" || did === "cross")
  );
}

/** The bit by which kube-proxy marks what is to leave with the node's address (iptablesMasqueradeBit). */
const MASQUERADE = 0x4000;

const rulesOf = ({ iptables, ip6tables, nftables }: NodePlane, family: Family) => {
  const saved = family === 4 ? iptables : ip6tables;
  return saved.state === "present" ? saved : nftables;
};

/** The node that marked a packet for masquerading and let it leave with its old source. */
function unmasqueraded({ steps, answer }: Way): string | undefined {
  const there = steps.slice(0, answer);
  const marked = there.find((step) => step.did === "pass" && (step.packet.mark & MASQUERADE) !== 0);
  if (marked?.did !== "pass") return undefined;
  const isDone = there.some(
    (step) =>
      step.did === "pass" &&
      step.hook === "postrouting" &&
      step.at.node === marked.at.node &&
      step.before.source !== step.packet.source,
  );
  return isDone ? undefined : marked.at.node;
}

function titleOf({ way, kind }: Broken, node: string, what: string, isMasquerade: boolean, family: Family) {
  if (isMasquerade) return say.masquerade({ node, what });
  switch (way.end.is) {
    case "not-bridged":
      return kind === "itself" ? say.hairpin({ node, what }) : say.bridge({ node, what });
    case "not-accepted":
      return say.source({ node, what });
    case "wrong-answer":
      return say.answer({ node, key: BRIDGE_CALLS[family] });
    case "no-route":
    case "unreachable":
      return say.gateway({ node, what });
    default:
      return say.device({ node, what });
  }
}

/** Where the answer came from elsewhere than asked: the bridge that let it pass by the rules. */
function bypass(node: string, family: Family, { forwarding }: Model): Evidence | undefined {
  const calls = forwarding.of(node).sysctl(BRIDGE_CALLS[family]);
  return calls.state === "present" && calls.value.value === "0" ? calls.value.evidence : undefined;
}

/** @param told what was said already: what a device does to one address family it does to the other as well */
function* judgeNode(
  { node, family }: Where,
  served: readonly Served[],
  told: Set<string>,
  model: Model,
): Iterable<Finding> {
  const ofFamily = model.services.ofFamily(family);
  const ways = [...waysOf({ node, family }, served, model)];
  for (const [kind, names] of Object.entries(SHOWN) as [Kind, readonly CapabilityName[]][]) {
    const mine = ways.filter((one) => one.kind === kind);
    if (mine.length > 0 && mine.every(({ way }) => way.end.is === "answered" && way.certainty !== "guessed"))
      for (const name of names) yield works({ name, node: node.name, ...ofFamily }, []);
  }
  for (const broken of ways) {
    const { from } = broken;
    const { end, certainty } = broken.way;
    // it may be answered nevertheless, as from back ends on the node; or be taken for a forged one
    const marking = UNMASKED.has(end.is) ? unmasqueraded(broken.way) : undefined;
    // tunnels are told of with their entries
    const isStuckInPod = from !== undefined && isStuck(broken.way);
    if ((!OURS.has(end.is) && marking === undefined && !isStuckInPod) || end.tunnel || certainty === "guessed")
      continue;
    const isMasquerade = marking !== undefined;
    const isBypass = end.is === "wrong-answer" && !isMasquerade;
    const place = marking ?? (isBypass ? node.name : (end.at?.node ?? node.name));
    const evidence = isMasquerade
      ? [
          quoteOf(
            rulesOf(model.forwarding.of(place), family).origin,
            "nat: no rule of POSTROUTING masquerades packets marked 0x4000",
          ),
        ]
      : isBypass
        ? [bypass(place, family, model)].filter((one) => one !== undefined)
        : end.evidence;
    const repair = model.nodes.get(place);
    if (evidence.length === 0 || !repair) continue;
    const what = evidence[0]!.quote;
    const isOfFamily = isMasquerade || isBypass || end.is === "not-accepted";
    const key = `${marking ?? end.is} ${broken.kind === "itself" && !marking} ${place} ${what} ${isOfFamily ? family : ""}`;
    if (told.has(key)) continue;
    told.add(key);
    const proxies = isMasquerade ? model.components.withDuty("service-proxy").map((one) => one.ref) : [];
    yield fault({
      repair: repair.ref,
      related: [...proxies, ...(end.at?.pod ? [end.at.pod.ref] : [])],
      nodes: [place],
      breaks: breaksOf(broken, place, isMasquerade, family, model),
      title: inFamily(titleOf(broken, place, what, isMasquerade, family), isOfFamily ? ofFamily : {}),
      evidence,
      strength: "direct",
      facts: {
        end: isMasquerade ? "unmasqueraded" : end.is,
        kind: broken.kind,
        device: what.split(/[\s:]/)[0] ?? "",
        family,
        ...missingGateway(end, place, family, model),
      },
    });
  }
}

/** Of a gateway that nobody has: the address to be given to the node's bridge, unless that has one of the Pods' network. */
function missingGateway({ evidence }: Way["end"], place: string, family: Family, { nodes, forwarding }: Model): Facts {
  const [, device, gateway = ""] = /^nobody on (\S+) has (\S+)$/.exec(evidence[0]?.quote ?? "") ?? [];
  const range = nodes.get(place)?.podRanges.find(({ ip }) => ip.family === family);
  const link = known(forwarding.of(place).links)?.find(({ name }) => name === device);
  const wanted = parseIp(gateway);
  if (!range || !link || !wanted || !contains(range, wanted)) return {};
  const held = link.addresses.flatMap(({ local }) => parseIp(local) ?? []);
  return held.some((ip) => contains(range, ip)) ? {} : { device: link.name, address: `${gateway}/${range.length}` };
}

/** A Pod's packets end on a node for want of a device or a bridge that passes them on. */
export const podPathBroken = defineCheck({
  id: "pod-path-broken",
  reads: PARTS,

  *find(model) {
    const told = new Set<string>();
    const served = { 4: servedPorts(4, model), 6: servedPorts(6, model) };
    for (const node of model.nodes.all) {
      if (!node.sampled) continue;
      for (const family of model.pods.familiesOn(node)) yield* judgeNode({ node, family }, served[family], told, model);
    }
  },

  remedies({ repair, related, facts }) {
    const node = repair.name;
    const proxy = related.find(({ kind }) => kind === "DaemonSet");
    const device = String(facts.device);
    const family = facts.family === 6 ? 6 : 4;
    const shown = { run: `${family === 4 ? "iptables" : "ip6tables"}-save -t nat | grep KUBE-POSTROUTING`, node };
    const sysctl = (key: string, value: string, before: string) => ({
      change: { do: "sysctl", node, key, value } as const,
      undo: { do: "sysctl", node, key, value: before } as const,
      verify: { run: `sysctl ${key}`, node },
    });
    const run = (command: string, undo: string, verify: string) => ({
      change: { run: command, node },
      undo: { run: undo, node },
      verify: { run: verify, node },
    });
    const stepOf = () => {
      switch (facts.end) {
        case "unmasqueraded":
          return proxy
            ? {
                why: say.rewrite({ node }),
                change: { do: "restart", component: proxy, node } as const,
                undo: say.restartBy(),
                verify: shown,
              }
            : { why: say.rewrite({ node }), verify: shown };
        case "no-route":
        case "unreachable": {
          const { address } = facts;
          if (typeof address === "string")
            return {
              why: say.address(),
              ...run(
                `ip address add ${address} dev ${device}`,
                `ip address del ${address} dev ${device}`,
                `ip address show dev ${device}`,
              ),
            };
          const [pod] = related.filter(({ kind }) => kind === "Pod");
          const verify = {
            run: pod
              ? sh`kubectl get pod -n ${pod.namespace ?? ""} -o wide`
              : `kubectl get pods -A -o wide --field-selector spec.nodeName=${node}`,
          };
          return pod
            ? {
                why: say.renew(),
                change: { run: sh`kubectl delete pod -n ${pod.namespace ?? ""} ${pod.name}` },
                verify,
              }
            : { why: say.renew(), verify };
        }
        case "not-accepted":
          return { why: say.loosen(), ...sysctl("net.ipv4.conf.all.rp_filter", "2", "1") };
        case "wrong-answer":
          return { why: say.filterBridged(), ...sysctl(BRIDGE_CALLS[family], "1", "0") };
        case "not-bridged":
          return facts.kind === "itself"
            ? {
                why: say.allowHairpin(),
                ...run(
                  `bridge link set dev ${device} hairpin on`,
                  `bridge link set dev ${device} hairpin off`,
                  `bridge -d link show dev ${device}`,
                ),
              }
            : {
                why: say.separate(),
                ...run(
                  `bridge link set dev ${device} isolated off`,
                  `bridge link set dev ${device} isolated on`,
                  `bridge -d link show dev ${device}`,
                ),
              };
        default:
          return {
            why: say.setUp(),
            ...run(`ip link set ${device} up`, `ip link set ${device} down`, `ip link show ${device}`),
          };
      }
    };
    return [{ id: "mend-path", risk: "low", interrupts: say.nothing(), steps: [stepOf()], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "The Pods' way through a node is broken", zh: "节点上的 Pod 通路中断" },
    page: {
      en: `netwhy walks packets of a Pod of every node through the node's devices, bridges and routes: to another Pod of the node, to Pods of other nodes, and through a Service back to itself. One ends where nothing takes it on.

**How it looks.** *A device is down or missing*: all Pods of the node, or one of them, reach nothing. *Hairpin off*: a Pod that calls its own Service fails now and then, just when it is given to itself. *Source check*: packets arrive and are thrown away without a trace (\`nstat IPReversePathFilter\`). *Masquerading*: node ports of the node work only for back ends on it. *Bridge*: Pods of one node reach each other by address and not through a Service, while other nodes' Pods do.

**How it comes about.** A network manager of the distribution took the bridge down; the CNI configuration lacks \`hairpinMode\`; systemd or a hardening guide set \`rp_filter = 1\`; the module br_netfilter was not loaded, or its parameter was reset; the jump to KUBE-POSTROUTING was flushed.

**When this is not the cause.** Rules that drop, routes, neighbours and tunnels that are missing have pages of their own.`,
      zh: `netwhy 让每个节点上某个 Pod 的报文走一遍节点的网卡、网桥和路由：到本节点的另一个 Pod、到其他节点的 Pod，以及经由 Service 回到自身。其中有报文在某处无人接收。

**现象。** *网卡未启用或缺失*：该节点的全部或某个 Pod 什么都访问不到。*未开启 hairpin*：Pod 访问自己的 Service 时偶尔失败，恰好在被转发给自身时。*源地址校验*：报文到达后被静默丢弃（\`nstat IPReversePathFilter\`）。*源地址转换*：该节点的 NodePort 只有转发到本节点后端时才通。*网桥*：同节点 Pod 之间用地址能通、经由 Service 不通，而其他节点的 Pod 正常。

**成因。** 发行版的网络管理程序关闭了网桥；CNI 配置缺少 \`hairpinMode\`；systemd 或安全基线设置了 \`rp_filter = 1\`；未加载 br_netfilter 模块，或其参数被重置；到 KUBE-POSTROUTING 的跳转被清掉。

**何时不是它。** 丢弃报文的规则，以及缺失的路由、邻居表项和隧道，各有其页面。`,
    },
  },
});
