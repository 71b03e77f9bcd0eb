import { quoteOf } from "../../evidence/origin.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, works } from "../check.ts";

const say = texts("conntrack-table-full", {
  full: {
    en: "The connection-tracking table of node {node} is full ({count} of {max}): it drops new connections",
    zh: "节点 {node} 的连接跟踪表已满（{count}/{max}），新连接被丢弃",
  },
  raise: {
    en: "Raise the limit; kube-proxy sets it again at its start from conntrack.maxPerCore and conntrack.min in its ConfigMap, so change it there too",
    zh: "提高上限；kube-proxy 启动时会按其 ConfigMap 中的 conntrack.maxPerCore 和 conntrack.min 重新设置，因此也要在那里修改",
  },
  seeWho: {
    en: "See who fills it: sources by number of entries",
    zh: "查看是谁占满了连接跟踪表：按条目数列出来源地址",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Alert at 75 % of nf_conntrack_max; let clients reuse connections; run NodeLocal DNSCache, which keeps DNS out of the table",
    zh: "在达到 nf_conntrack_max 的 75% 时告警；让客户端复用连接；部署 NodeLocal DNSCache，使 DNS 查询不占用连接跟踪表",
  },
});

/** What kube-proxy gives a node at least (conntrack.min). */
const LEAST = 131_072;
const SOURCES =
  "conntrack -L 2>/dev/null | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^src=/) { print $i; break } }' | sort | uniq -c | sort -rn | head";

/** Of the table: with this many entries no room is left for what a node sees in a second. */
const FULL = 0.99;

/** A node has no room to track new connections, and drops their first packets. */
export const conntrackTableFull = defineCheck({
  id: "conntrack-table-full",
  reads: ["nodes", "forwarding"],

  *find({ nodes, forwarding }) {
    for (const { name, ref, sampled } of nodes.all) {
      if (!sampled) continue;
      const capability = { name: "node.track", node: name } as const;
      const observed = forwarding.of(name).conntrackCount;
      if (observed.state !== "present" || observed.gaps.length > 0) {
        yield cannotTell(capability, [{ kind: "conntrackCount", place: { node: name } }]);
        continue;
      }
      const { count, max } = observed.value;
      const evidence = [quoteOf(observed.origin, `nf_conntrack_count ${count}, nf_conntrack_max ${max}`)];
      if (max > 0 && count >= max * FULL) {
        const title = say.full({ node: name, count, max });
        yield fault({
          repair: ref,
          nodes: [name],
          breaks: [capability],
          title,
          evidence,
          strength: "direct",
          facts: { max },
        });
      } else yield works(capability, evidence);
    }
  },

  remedies({ nodes, facts }) {
    const key = "net.netfilter.nf_conntrack_max";
    return [
      {
        id: "raise-limit",
        risk: "low",
        interrupts: say.nothing(),
        steps: nodes.flatMap((node) => {
          const verify = { run: `conntrack -C; sysctl ${key}`, node };
          const set = (value: number) => ({ do: "sysctl", node, key, value: String(value) }) as const;
          const max = Number(facts.max);
          return [
            { why: say.raise(), change: set(Math.max(2 * max, LEAST)), undo: set(max), verify },
            { why: say.seeWho(), change: { run: SOURCES, node }, verify },
          ];
        }),
        prevent: [say.prevent()],
        errata: ["X4", "X5", "X6"],
      },
    ];
  },

  manual: {
    title: { en: "A node's connection-tracking table is full", zh: "节点的连接跟踪表已满" },
    page: {
      en: `The kernel tracks every connection through a node in a table of limited size. When it is full, the first packet of a new connection is dropped; open connections go on.

**How it looks.** Timeouts that come and go with load, on one node, for everything at once: Services, DNS, Pods, the outside, even the node's own programs. The kernel log says \`nf_conntrack: table full, dropping packet\`.

**When this is not the cause.** The kernel log may be old. The counters of \`conntrack -S\` count since boot: only their growth tells. TIME_WAIT entries are not governed by tcp_fin_timeout or tcp_tw_reuse, which are about sockets.`,
      zh: `内核把经过节点的每条连接记录在一张容量有限的表里。表满后，新连接的首个报文被丢弃，已有连接不受影响。

**现象。** 单个节点上随负载时有时无的超时，且波及一切：Service、DNS、Pod、外网，乃至节点自身的程序。内核日志中有 \`nf_conntrack: table full, dropping packet\`。

**何时不是它。** 内核日志可能是旧的；\`conntrack -S\` 的计数自开机累计，只有增量才说明问题。TIME_WAIT 条目不受 tcp_fin_timeout 或 tcp_tw_reuse 影响，后两者只针对套接字。`,
    },
  },
});
