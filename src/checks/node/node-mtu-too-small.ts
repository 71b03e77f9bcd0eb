import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { ipOf, type PodView, steadyPods } from "../../model/pods.ts";
import type { Family } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { openingPacket } from "../../trace/packet.ts";
import type { Way } from "../../trace/trace.ts";
import { WORLD, walk } from "../../trace/walk.ts";
import { defineCheck, type Finding, fault, inFamily, works } from "../check.ts";

const PARTS = [...WORLD, "time"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("node-mtu-too-small", {
  hole: {
    en: "Node {node} loses packets of more than {mtu} bytes and tells nobody, while Pods send {size}: {what}",
    zh: "节点 {node} 静默丢弃超过 {mtu} 字节的报文，而 Pod 发送的报文可达 {size} 字节：{what}",
  },
  small: {
    en: "Node {node} does not pass packets of {size} bytes whole, as Pods send them: {what}",
    zh: "节点 {node} 无法完整传送 Pod 发出的 {size} 字节报文：{what}",
  },
  widen: { en: "Give the device the MTU that the Pods have", zh: "将该网卡的 MTU 设为与 Pod 一致" },
  renew: {
    en: "Delete the Pod, so that it is made anew with the MTU of the others",
    zh: "删除该 Pod，重建后其 MTU 与其他 Pod 一致",
  },
  allow: {
    en: "Let ICMP “fragmentation needed” (of IPv6: “packet too big”) leave the node and pass it: remove the rule that drops it",
    zh: "放行节点发出和转发的 ICMP “fragmentation needed”（IPv6 为 “packet too big”）：删除丢弃它的规则",
  },
  flush: {
    en: "Forget the smaller sizes that were learnt, or they count for ten minutes more",
    zh: "清除已学到的较小路径 MTU，否则还会生效十分钟",
  },
  interrupts: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Set the MTU in one place, the CNI's configuration, and make the Pods anew after changing it; never filter ICMP type 3 code 4 and ICMPv6 type 2",
    zh: "只在 CNI 配置中设置 MTU，修改后重建 Pod；切勿过滤 ICMP 类型 3 代码 4 和 ICMPv6 类型 2",
  },
});

/** Of many Pods whose devices differ, so many are tried. */
const MOST_ODD = 10;

/** The device by which a Pod is in the network, if it was seen. */
const deviceOf = (pod: PodView, { podNamespaces }: Model): Link | undefined =>
  known(podNamespaces.of(pod).links)?.find(({ addresses }) =>
    addresses.some(({ local }) => pod.addresses.includes(local)),
  );

/** The node's end of the Pod's pair of devices. */
const outerOf = (pod: PodView, { forwarding, podNamespaces }: Model): Link | undefined => {
  const peers = (known(podNamespaces.of(pod).links) ?? []).map(({ peerIndex }) => peerIndex);
  return known(forwarding.of(pod.node ?? "").links)?.find(
    ({ kind, index }) => kind === "veth" && peers.includes(index),
  );
};

type Sent = {
  readonly from: PodView;
  readonly to: PodView;
  readonly family: Family;
  readonly size: number;
  readonly ways: readonly Way[];
};

/**
 * What the Pod network is made for: what most of the nodes' ends of Pods' devices have. A Pod's own end may be larger: one
 * that was made before the agent wrote its configuration has what the kernel gives.
 */
function agreedSize(model: Model): number | undefined {
  const sizes = new Map<number, number>();
  for (const { name, sampled } of model.nodes.all)
    for (const pod of sampled ? steadyPods(name, model).slice(0, MOST_ODD) : []) {
      const mtu = outerOf(pod, model)?.mtu;
      if (mtu !== undefined) sizes.set(mtu, (sizes.get(mtu) ?? 0) + 1);
    }
  return [...sizes].sort(([a, m], [b, n]) => n - m || a - b)[0]?.[0];
}

/** So often a sender learns of a smaller device. */
const MOST_LESSONS = 3;

/**
 * What becomes of packets as large as a Pod's device makes them, and the Pod network takes; and of those that fit where a
 * sender was told so: IPv6 takes more room in a tunnel than IPv4, so its devices are smaller.
 */
function* sent(from: PodView, to: PodView, family: Family, agreed: number, model: Model): Iterable<Sent> {
  const own = deviceOf(from, model)?.mtu;
  const target = ipOf(to, family);
  const source = ipOf(from, family);
  if (own === undefined || !source || !target) return;
  const packet = openingPacket("icmp", source, target);
  let size = Math.min(own, agreed);
  for (let lessons = 0; lessons <= MOST_LESSONS; lessons++) {
    const { ways } = walk({ from: { node: from.node!, pod: from }, packet, size }, model);
    const one = { from, to, family, size, ways };
    yield one;
    const learnt = ways.flatMap((way) => (way.end.told === "yes" ? (tooBig(one, way)?.mtu ?? []) : []));
    if (learnt.length === 0) return;
    size = Math.min(...learnt);
  }
}

/** To and from one Pod of a node, and each whose devices are smaller than others. */
function* sentOn(node: NodeView, family: Family, agreed: number, model: Model): Iterable<Sent> {
  const mine = steadyPods(node.name, model);
  const [first, beside] = mine;
  if (!first) return;
  const isOdd = (pod: PodView) =>
    [deviceOf(pod, model), outerOf(pod, model)].some((device) => device !== undefined && device.mtu < agreed);
  const others = model.nodes.all
    .filter(({ name, sampled }) => sampled && name !== node.name)
    .flatMap(({ name }) => steadyPods(name, model).slice(0, 1))
    .slice(0, 3);
  const pairs = [
    ...[...others, ...(beside ? [beside] : [])].map((peer) => [first, peer] as const),
    ...others.slice(0, 1).map((peer) => [peer, first] as const),
    ...mine
      .filter((pod) => pod !== first && isOdd(pod))
      .slice(0, MOST_ODD)
      .flatMap((pod) => [[pod, others[0] ?? first] as const, [others[0] ?? first, pod] as const]),
  ];
  for (const [from, to] of pairs) yield* sent(from, to, family, agreed, model);
}

type TooBig = Omit<Sent, "ways"> & { readonly way: Way; readonly device: string; readonly mtu: number };

/** The device that is too small for a way. */
function tooBig({ ways: _, ...sending }: Sent, way: Way): TooBig | undefined {
  const [, device = "", mtu = ""] = /^(\S+) mtu (\d+)/.exec(way.end.evidence[0]?.quote ?? "") ?? [];
  if (way.end.is !== "too-big" || way.certainty === "guessed" || mtu === "") return undefined;
  return { ...sending, way, device, mtu: Number(mtu) };
}

/** Who sent what did not fit, and to whom: of an answer, the one who was asked. */
const endsOf = ({ way: { steps, answer }, from, to }: TooBig) =>
  answer === undefined
    ? { sender: from, taker: to, leg: steps }
    : { sender: to, taker: from, leg: steps.slice(answer) };

/** Whether it ended on the sender's side: before it was carried to another node, or handed on to another Pod. */
function isSending(found: TooBig): boolean {
  const { sender, taker, leg } = endsOf(found);
  const { at } = found.way.end;
  if (leg.some(({ did }) => did === "carry")) return false;
  if (sender.node !== taker.node) return true;
  const last = leg.at(-1);
  return at?.pod !== undefined ? at.pod.key === sender.key : last?.did === "cross" && last.to.pod === undefined;
}

/** The larger MTU that a device of the same name has on other nodes. */
function elsewhere({ device, mtu }: TooBig, place: string, { nodes, forwarding }: Model): Evidence | undefined {
  const same = nodes.all.flatMap(({ name }) => {
    const { links } = forwarding.of(name);
    const link = name === place ? undefined : known(links)?.find((one) => one.name === device);
    return link ? [quoteOf(links.origin, `${device} mtu ${link.mtu}`)].map((quote) => ({ quote, mtu: link.mtu })) : [];
  });
  const larger = same.filter((one) => one.mtu > mtu);
  return larger.length * 2 > same.length ? larger[0]?.quote : undefined;
}

/** The port of a bridge from which the bridge has its MTU: it takes the smallest (br_mtu_auto_adjust). */
function smallestPort({ device, mtu }: TooBig, place: string, { forwarding }: Model) {
  const { links } = forwarding.of(place);
  const port = known(links)?.find((link) => link.master === device && link.mtu === mtu);
  return port && { name: port.name, quote: quoteOf(links.origin, `${port.name} mtu ${mtu}`) };
}

/** @param families in which packets come to this device, of those that the node's Pods have */
function* judge(found: TooBig, families: readonly Family[], model: Model): Iterable<Finding> {
  const { way, device, mtu, size, from } = found;
  const { sender: by, taker } = endsOf(found);
  const place = way.end.at?.node ?? by.node!;
  const repair = model.nodes.get(place);
  if (!repair) return;
  const sending = isSending(found);
  const end = sending ? by : taker;
  const isOfOne = way.end.at?.pod !== undefined || outerOf(end, model)?.name === device;
  const usual = elsewhere(found, place, model);
  const { told } = way.end;
  const isTold = told === "yes";
  // of what is told, only a device that is not as it should be is a fault: the others are chosen so
  const own = deviceOf(end, model);
  const isOwnSize = !sending && own !== undefined && own.mtu <= mtu;
  if (isTold && (isOwnSize || (!isOfOne && !usual))) return;
  const [family] = families;
  const ofFamily = families.length === 1 && family ? model.services.ofFamily(family) : {};
  const of: Omit<Capability, "name"> = { node: place, ...(isOfOne && { pod: end.key }), ...ofFamily };
  const port = smallestPort(found, place, model);
  const sender = model.podNamespaces.of(from).links;
  const opening = deviceOf(from, model);
  const args = { node: place, mtu, size, what: way.end.evidence[0]!.quote };
  yield fault({
    repair: repair.ref,
    related: way.end.at?.pod ? [way.end.at.pod.ref] : isOfOne ? [end.ref] : [],
    nodes: [place],
    breaks: [
      { name: sending ? "node.send-large" : "node.take-large", ...of },
      ...(told === "silenced" ? [{ name: "node.tell-size", ...of } as const] : []),
    ],
    title: inFamily(isTold ? say.small(args) : say.hole(args), ofFamily),
    evidence: [
      ...way.end.evidence,
      ...(port ? [port.quote] : []),
      ...(opening ? [quoteOf(sender.origin, `${opening.name} mtu ${opening.mtu}`)] : []),
      ...(usual ? [usual] : []),
    ],
    strength: "direct",
    facts: {
      device: port?.name ?? device,
      mtu,
      size: Number(/mtu (\d+)$/.exec(usual?.quote ?? "")?.[1] ?? size),
      within: way.end.at?.pod ? "pod" : "node",
      told: told ?? "yes",
    },
  });
}

/** A device of a node is too small for the packets that Pods send. */
export const nodeMtuTooSmall = defineCheck({
  id: "node-mtu-too-small",
  reads: PARTS,

  *find(model) {
    const agreed = agreedSize(model);
    if (agreed === undefined) return;
    // what one device does to both families is one fault
    const found = new Map<string, { readonly first: TooBig; readonly families: readonly Family[] }>();
    for (const node of model.nodes.all) {
      if (!node.sampled) continue;
      for (const family of model.pods.familiesOn(node)) {
        let isWell = isWhole(model.forwarding.of(node.name).links);
        let tried = 0;
        for (const one of sentOn(node, family, agreed, model)) {
          for (const way of one.ways) {
            tried++;
            // what ends for another reason shows nothing of sizes
            if (way.end.is !== "answered" || way.certainty === "guessed") isWell = false;
            const first = tooBig(one, way);
            if (!first) continue;
            const key = `${way.end.at?.node} ${way.end.at?.pod?.key} ${first.device}`;
            const same = found.get(key);
            found.set(key, { first: same?.first ?? first, families: [...(same?.families ?? []), family] });
          }
        }
        const ofFamily = model.services.ofFamily(family);
        if (isWell && tried > 0)
          for (const name of ["node.send-large", "node.take-large", "node.tell-size"] as const)
            yield works({ name, node: node.name, ...ofFamily }, []);
      }
    }
    for (const { first, families } of found.values()) yield* judge(first, [...new Set(families)], model);
  },

  remedies({ nodes, related, facts }) {
    const node = nodes[0]!;
    const [pod] = related;
    const device = String(facts.device);
    const show = { run: sh`ip -d link show ${device}`, node };
    const widen = {
      why: say.widen(),
      change: { run: sh`ip link set dev ${device} mtu ${String(facts.size)}`, node },
      undo: { run: sh`ip link set dev ${device} mtu ${String(facts.mtu)}`, node },
      verify: show,
    };
    const renew = pod && {
      why: say.renew(),
      change: { run: sh`kubectl delete pod -n ${pod.namespace ?? ""} ${pod.name}` },
      verify: { run: sh`kubectl get pods -n ${pod.namespace ?? ""} -o wide` },
    };
    const allow = {
      why: say.allow(),
      verify: { run: "iptables-save | grep -i icmp; ip6tables-save | grep -i icmp", node },
    };
    const flush = {
      why: say.flush(),
      change: { run: "ip route flush cache; ip -6 route flush cache", node },
      verify: { run: "ip route show cache; ip -6 route show cache", node },
    };
    const steps = [
      facts.within === "pod" && renew ? renew : widen,
      ...(facts.told === "silenced" ? [allow] : []),
      flush,
    ];
    return [{ id: "widen", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A device of a node is too small for the Pods' packets", zh: "节点网卡的 MTU 小于 Pod 报文" },
    page: {
      en: `netwhy walks packets as large as a Pod's device makes them, marked “do not fragment”, to Pods of the node and of other nodes. One comes to a device with a smaller MTU.

**How it looks.** Where the sender is told (ICMP “fragmentation needed”, ICMPv6 “packet too big”), TCP sends smaller packets and all seems well; large UDP messages and \`ping -M do\` fail. Where it is not told, there is a black hole: connections are made and hang with the first large packet, a TLS handshake or a larger answer. Nobody is told by a virtual Ethernet pair whose ends differ, by a bridge between its ports, and where ICMP is filtered.

**How it comes about.** One device was set by hand or by a network manager; the CNI's MTU was changed and Pods or nodes kept the old one; a bridge takes the smallest MTU of its ports; a rule drops ICMP.

**When this is not the cause.** If all devices of the nodes are large enough, the network between them is not: that has a page of its own. A tunnel's own packets may be fragmented, which is slow and works.`,
      zh: `netwhy 让与 Pod 网卡 MTU 等大、标记为“不可分片”的报文走到本节点和其他节点的 Pod。其中有报文遇到 MTU 更小的网卡。

**现象。** 若发送方得到告知（ICMP “fragmentation needed”、ICMPv6 “packet too big”），TCP 会改发较小的报文，看似正常；大的 UDP 报文和 \`ping -M do\` 会失败。若未得到告知，则形成黑洞：连接能建立，遇到第一个大报文（TLS 握手、较大的响应）便卡住。两端 MTU 不同的 veth、网桥端口之间以及 ICMP 被过滤之处都不会告知。

**成因。** 某个网卡被手工或网络管理程序改动；修改了 CNI 的 MTU，但 Pod 或节点仍沿用旧值；网桥取其端口中最小的 MTU；有规则丢弃 ICMP。

**何时不是它。** 若节点上的网卡都足够大，则是节点之间的网络不够大，见其专页。隧道自身的报文可以分片，虽慢但能通。`,
    },
  },
});
