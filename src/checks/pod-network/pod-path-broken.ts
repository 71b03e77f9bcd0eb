import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability, CapabilityName } from "../../model/capability.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { contains, type Family, formatIp, parseIp } from "../../net/ip.ts";
import type { EndName, Way } from "../../trace/trace.ts";
import { defineCheck, type Facts, type Finding, fault, inFamily, works } from "../check.ts";
import { stepOf } from "./pod-path-broken/remedies.ts";
import {
  BRIDGE_CALLS,
  type Kind,
  type Model,
  PARTS,
  type Served,
  servedPorts,
  type Tried,
  type Where,
  waysOf,
} from "./pod-path-broken/ways.ts";
import { say } from "./pod-path-broken/words.ts";

/** What ends a way and is no other check's: rules, routes, neighbours and tunnels have checks of their own. */
const OURS: ReadonlySet<EndName> = new Set(["device-down", "not-bridged", "not-accepted", "wrong-answer"]);

const UNMASKED: ReadonlySet<EndName> = new Set(["answered", "wrong-answer", "not-accepted"]);

/** What is shown to work if every way of a kind is answered. */
const SHOWN: Readonly<Record<Kind, readonly CapabilityName[]>> = {
  between: [],
  itself: ["pod.hairpin"],
  beside: ["node.bridge"],
  "node-port": ["service.masquerade"],
};

function breaksOf(
  { way, kind, from }: Tried,
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
      return [
        { name: "pod.attach", node, ...(isOfOne(way, node, model) && ownerOf(way, model)) },
        ...("address" in missingGateway(way.end, node, family, model)
          ? [{ name: "pod-network.gateway", node } as const]
          : []),
      ];
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

function titleOf({ way, kind }: Tried, node: string, what: string, isMasquerade: boolean, family: Family) {
  if (isMasquerade) return say.masquerade({ node, what });
  switch (way.end.is) {
    case "not-bridged":
      return kind === "itself" ? say.hairpin({ node, what }) : say.bridge({ node, what });
    case "not-accepted":
      return say.source({ node, what });
    case "wrong-answer":
      return what === NOT_LOADED ? say.unloaded({ node }) : say.answer({ node, key: BRIDGE_CALLS[family] });
    case "no-route":
    case "unreachable":
      return say.gateway({ node, what });
    default:
      return say.device({ node, what });
  }
}

/** Where the answer came from elsewhere than asked: the bridge that let it pass by the rules. */
function bypass(node: string, family: Family, { forwarding }: Model): Evidence | undefined {
  const { parameters, sysctl } = forwarding.of(node);
  const calls = sysctl(BRIDGE_CALLS[family]);
  if (calls.state === "present") return calls.value.value === "0" ? calls.value.evidence : undefined;
  // a list that has what other modules of netfilter add has what this one would
  const keys = [...(known(parameters)?.keys() ?? [])];
  const lists = (group: string) => keys.some((key) => key.startsWith(group));
  return isWhole(parameters) && lists("net.netfilter.") && !lists("net.bridge.")
    ? quoteOf(parameters.origin, NOT_LOADED)
    : undefined;
}

const NOT_LOADED = "no parameter net.bridge.*: br_netfilter is not loaded";

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
        ...(what === NOT_LOADED && { case: "unloaded" }),
        what,
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

  remedies: (cause) => [
    { id: "mend-path", risk: "low", interrupts: say.nothing(), steps: [stepOf(cause)], prevent: [say.prevent()] },
  ],

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
