import { isWhole, known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import { kernelSaid } from "../../model/forwarding/kernel-log.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { type Family, isOfFamily } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, past, presumed, works } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "forwarding">;

const say = texts("neighbour-table-full", {
  full: {
    en: "The IPv{family} neighbour table of node {node} is full ({count} of {max}): it does not find new neighbours",
    zh: "节点 {node} 的 IPv{family} 邻居表已满（{count}/{max}），无法解析新的邻居",
  },
  overflows: {
    en: "The neighbour table of node {node} overflows: its kernel refuses new neighbours",
    zh: "节点 {node} 的邻居表溢出：内核拒绝新增邻居",
  },
  overflowed: {
    en: "The neighbour table of node {node} was full once",
    zh: "节点 {node} 的邻居表曾经溢出",
  },
  raise: {
    en: "Raise the limits (1: below it nothing is thrown away, 2: above it for five seconds at most, 3: never above it); keep them in /etc/sysctl.d",
    zh: "提高各阈值（1：低于它不回收；2：超过它最多保留 5 秒；3：硬上限），并写入 /etc/sysctl.d 持久化",
  },
  seeWho: {
    en: "See on which devices the neighbours are",
    zh: "查看邻居表项分布在哪些网卡上",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Set gc_thresh1 to 3 for as many neighbours as the node can have: all nodes, all Pods on it, and what else is on its segments; one table serves all network namespaces of the node",
    zh: "按节点可能拥有的邻居总数（全部节点、本机全部 Pod、同网段的其他主机）设置 gc_thresh1 至 3；所有网络命名空间共用一张表",
  },
});

/** net/core/neighbour.c (neigh_alloc); until Linux 3.10 without the name of the table. */
const OVERFLOW = /neighbou?r table overflow/i;
const NAME = { 4: "arp_cache", 6: "ndisc_cache" } as const;

/** Seconds: the kernel says it again and again while it lasts, and says so at least every five seconds. */
const CURRENT = 300;

/** Of the table: with this many neighbours no room is left for what a node meets in a second. */
const FULL = 0.99;

const keyOf = (family: Family, threshold: 1 | 2 | 3) => `net.ipv${family}.neigh.default.gc_thresh${threshold}`;

/** Those that the kernel counts: not those that were put in for good (since Linux 5.0). */
const isCounted = ({ states }: { readonly states: readonly string[] }): boolean =>
  !states.includes("PERMANENT") && !states.includes("NOARP");

function* judge({ name, ref }: NodeView, { forwarding }: Model): Iterable<Finding> {
  const plane = forwarding.of(name);
  const capability = { name: "node.neighbours", node: name } as const;
  const said = kernelSaid(plane, OVERFLOW);
  const lately = said.filter(({ age }) => age !== undefined && age <= CURRENT);
  for (const family of [4, 6] as const) {
    const max = Number(known(plane.sysctl(keyOf(family, 3)))?.value);
    const count = (known(plane.neighbours) ?? []).filter(
      (one) => isOfFamily(one.address, family) && isCounted(one),
    ).length;
    if (!(max > 0) || count < max * FULL) continue;
    const ofFamily = said.filter(({ message }) => message.includes(NAME[family]));
    yield fault({
      repair: ref,
      nodes: [name],
      breaks: [capability],
      title: say.full({ node: name, family, count, max }),
      evidence: [
        quoteOf(plane.neighbours.origin, `${count} IPv${family} neighbours, ${keyOf(family, 3)} = ${max}`),
        ...ofFamily.slice(-1).map(({ evidence }) => evidence),
      ],
      strength: "direct",
      facts: { family, max },
    });
    return;
  }
  const newest = said.at(-1);
  if (lately.length > 0) {
    const family = lately.at(-1)!.message.includes(NAME[6]) ? 6 : 4;
    yield fault({
      repair: ref,
      nodes: [name],
      breaks: [capability],
      title: say.overflows({ node: name }),
      evidence: [lately[0]!, ...lately.slice(1).slice(-1)].map(({ evidence }) => evidence),
      strength: "heard",
      facts: { family, max: Number(known(plane.sysctl(keyOf(family, 3)))?.value) || DEFAULT },
    });
  } else if (newest && newest.age === undefined) {
    yield cannotTell(capability, [{ kind: "uptime", place: { node: name } }]);
  } else if (newest) {
    yield past(ref, say.overflowed({ node: name }), [newest.evidence]);
  } else if (!isWhole(plane.kernelLog)) {
    yield presumed(capability, [{ kind: "kernelLog", place: { node: name } }]);
  } else if (isWhole(plane.neighbours)) {
    yield works(capability, [quoteOf(plane.neighbours.origin, `${plane.neighbours.value.length} neighbours`)]);
  } else yield presumed(capability, [{ kind: "neighbours", place: { node: name } }]);
}

/** gc_thresh3 of the kernel. */
const DEFAULT = 1024;

/** A node has no room for new neighbours: it does not find the MAC addresses of Pods and nodes. */
export const neighbourTableFull = defineCheck({
  id: "neighbour-table-full",
  reads: ["nodes", "forwarding"],

  *find(model) {
    for (const node of model.nodes.all) if (node.sampled) yield* judge(node, model);
  },

  remedies({ repair, facts }) {
    const node = repair.name;
    const family = facts.family === 6 ? 6 : 4;
    const max = Number(facts.max);
    const set = (threshold: 1 | 2 | 3, value: number) =>
      ({ do: "sysctl", node, key: keyOf(family, threshold), value: String(value) }) as const;
    const step = (threshold: 1 | 2 | 3, wanted: number, before: number) => ({
      why: say.raise(),
      change: set(threshold, wanted),
      undo: set(threshold, before),
      verify: { run: `sysctl ${keyOf(family, threshold)}; dmesg | grep 'table overflow' | tail -n 1`, node },
    });
    const count = "ip neigh | awk '{ print $3 }' | sort | uniq -c | sort -rn | head";
    return [
      {
        id: "raise-limit",
        risk: "low",
        interrupts: say.nothing(),
        steps: [
          // the hard limit first: the kernel asks for no order, people who read it do
          step(3, max * 8, max),
          step(2, max * 4, max / 2),
          step(1, max, max / 8),
          { why: say.seeWho(), change: { run: count, node }, verify: { run: count, node } },
        ],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "A node's neighbour table is full", zh: "节点的邻居表已满" },
    page: {
      en: `For every host that it speaks to without a router, the kernel keeps the MAC address in its neighbour table, one for IPv4 (ARP) and one for IPv6, each for all network namespaces of the node together. \`gc_thresh3\` limits it, to 1024 by default. When it is full, a packet to a new neighbour is thrown away.

**How it looks.** On one node, connections to some Pods and nodes fail, others of them work, and which ones changes by the minute; \`sendto: Invalid argument\` or \`No buffer space available\` in programs; \`neighbour: arp_cache: neighbor table overflow!\` in the kernel log, together with \`net_ratelimit: … callbacks suppressed\`.

**How it comes about.** Many nodes or Pods on one segment, or a scan of it; host-gw and flat networks more than overlays, whose permanent entries the kernel does not count (since Linux 5.0).

**When this is not the cause.** The kernel log may be old: netwhy compares it with the time since boot. \`FAILED\` entries alone mean that hosts do not answer.`,
      zh: `对每个无需经过路由器就能到达的主机，内核都在邻居表中保存其 MAC 地址：IPv4（ARP）和 IPv6 各一张，节点上所有网络命名空间共用。表的上限是 \`gc_thresh3\`，默认 1024。表满后，发往新邻居的报文被丢弃。

**现象。** 单个节点访问部分 Pod 和节点失败、其余正常，且失败的对象不断变化；程序报 \`sendto: Invalid argument\` 或 \`No buffer space available\`；内核日志中有 \`neighbour: arp_cache: neighbor table overflow!\`，并伴随 \`net_ratelimit: … callbacks suppressed\`。

**成因。** 同一网段上的节点或 Pod 太多，或有人扫描该网段；host-gw 和扁平网络比 Overlay 更容易出现，后者的永久表项不计入上限（Linux 5.0 起）。

**何时不是它。** 内核日志可能是旧的：netwhy 会与开机时长比对。只有 \`FAILED\` 表项说明对端主机没有应答。`,
    },
  },
});
