import type { Evidence } from "../../evidence/origin.ts";
import { type EmptiedTable, emptiedTables, flushedRuleset } from "../../model/forwarding/emptied.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { Family } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { joinTexts, type Text, texts, verbatim } from "../../text.ts";
import { cannotTell, defineCheck, type Facts, type Finding, fault, inFamily, warning, works } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "pods" | "forwarding" | "services" | "components">;

const SAVED = { 4: "iptables", 6: "ip6tables" } as const;

const say = texts("packet-filter-flushed", {
  nat: {
    en: "Somebody emptied the nat table of node {node}: its chains are there without a rule ({owners})",
    zh: "节点 {node} 的 nat 表被清空：链都还在，但没有任何规则（{owners}）",
  },
  shut: {
    en: "Somebody emptied the filter table of node {node} and left policy DROP: nothing passes {chains}",
    zh: "节点 {node} 的 filter 表被清空，而默认策略仍为 DROP：报文无法通过 {chains}",
  },
  open: {
    en: "Somebody emptied the filter table of node {node}: packets pass, also those that its agents would refuse or drop there ({owners})",
    zh: "节点 {node} 的 filter 表被清空：报文可以通过，但各代理本应拒绝或丢弃的报文也会通过（{owners}）",
  },
  all: {
    en: "Somebody flushed the packet filter of node {node}: nothing is left of what its agents wrote, not even the kubelet's chains",
    zh: "节点 {node} 的包过滤规则被全部清空：各代理写入的内容荡然无存，连 kubelet 的链也不在了",
  },
  accept: {
    en: "Let packets pass until the rules are back; a firewall that sets this policy itself (ufw, firewalld) sets it again when it is reloaded",
    zh: "在规则恢复之前先放行；若该策略由防火墙（ufw、firewalld）设置，重载防火墙时会再次设置",
  },
  restart: {
    en: "Restart {component} on {node}: it writes all its rules anew",
    zh: "重启 {node} 上的 {component}：它会重写全部规则",
  },
  restartAll: {
    en: "Restart what writes rules on {node} (k3s does so itself): it writes all of them anew",
    zh: "重启 {node} 上写入规则的组件（k3s 由其自身写入）：它会重写全部规则",
  },
  look: {
    en: "Find what flushes the rules (a firewall that was restarted, a script, a person) and stop it, or it happens again",
    zh: "找出清空规则的来源（重启的防火墙、脚本或人为操作）并加以阻止，否则会再次发生",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep `iptables -F`, `nft flush ruleset`, iptables-restore and firewall restarts off the nodes: kube-proxy writes everything again only about once an hour",
    zh: "不要在节点上执行 `iptables -F`、`nft flush ruleset`、iptables-restore 或重启防火墙：kube-proxy 大约每小时才会重写全部规则",
  },
});

/** Of agents those whose rules in the nat table packets need; what Calico and Cilium have there depends on their settings. */
const NEEDED_IN_NAT: ReadonlySet<string> = new Set(["kube-proxy", "flannel", "kindnet"]);

const listOf = (names: readonly string[]): Text => joinTexts(names.map(verbatim), { en: ", ", zh: "、" });

const namesOf = (owners: readonly string[], { components }: Model): Text =>
  listOf(owners.map((id) => components.byId(id)[0]?.definition.name ?? id));

/** Whether an agent on the node writes rules for Services, whichever. */
const isProxied = ({ name }: NodeView, { components }: Model): boolean =>
  components.withDuty("service-proxy").some(({ pods }) => pods.some(({ node, ready }) => node === name && ready));

/** What shows the rules of a family. */
const showing = (program: string, table: string): string => `${program} -t ${table} -S | head -n 40`;

function* judgeTable(emptied: EmptiedTable, node: NodeView, family: Family, model: Model): Iterable<Finding> {
  const { table, program, owners, dropping, evidence } = emptied;
  const args = { node: node.name, owners: namesOf(owners, model) };
  const ofFamily = model.services.ofFamily(family);
  const isHarm = table === "nat" ? owners.some((owner) => NEEDED_IN_NAT.has(owner)) : dropping.length > 0;
  if (!isHarm) {
    if (table === "filter") yield warning(node.ref, inFamily(say.open(args), ofFamily), evidence);
    return;
  }
  const title = table === "nat" ? say.nat(args) : say.shut({ ...args, chains: listOf(dropping) });
  yield flushed(node, family, title, evidence, { program, table, owners, dropping }, model);
}

function flushed(
  node: NodeView,
  family: Family,
  title: Text,
  evidence: readonly Evidence[],
  facts: Facts,
  { services, components }: Model,
): Finding {
  const ofFamily = services.ofFamily(family);
  const agents = [...components.withDuty("service-proxy"), ...components.withDuty("cni")];
  return fault({
    repair: node.ref,
    related: [...new Set(agents.map(({ ref }) => ref))],
    nodes: [node.name],
    breaks: [{ name: "node.keep-rules", node: node.name, ...ofFamily }],
    title: inFamily(title, ofFamily),
    evidence,
    strength: "direct",
    lost: true,
    facts,
  });
}

function* judgeNode(node: NodeView, family: Family, model: Model): Iterable<Finding> {
  const plane = model.forwarding.of(node.name);
  const capability = { name: "node.keep-rules", node: node.name, ...model.services.ofFamily(family) } as const;
  const all = isProxied(node, model) ? flushedRuleset(plane, family) : undefined;
  if (all) {
    const facts = { program: SAVED[family], table: "nat", owners: ["kube-proxy"], dropping: [] };
    yield flushed(node, family, say.all({ node: node.name }), all, facts, model);
    return;
  }
  const emptied = emptiedTables(plane, family);
  for (const one of emptied) yield* judgeTable(one, node, family, model);
  if (plane.filter.stateOf(family) !== "whole" || plane.filter.rulesetsFor(family).length === 0)
    yield cannotTell(capability, [{ kind: SAVED[family], place: { node: node.name } }]);
  else if (emptied.length === 0) yield works(capability, []);
}

/** Somebody took the rules that a node's agents had written out of its packet filter. */
export const packetFilterFlushed = defineCheck({
  id: "packet-filter-flushed",
  reads: ["nodes", "pods", "forwarding", "services", "components"],

  *find(model) {
    for (const node of model.nodes.all)
      if (node.sampled) for (const family of model.pods.familiesOn(node)) yield* judgeNode(node, family, model);
  },

  remedies({ nodes, related, facts }) {
    const node = nodes[0]!;
    const { program, table, dropping } = facts as {
      readonly program: string;
      readonly table: string;
      readonly dropping: readonly string[];
    };
    const verify = { run: showing(program, table), node };
    const setting = (policy: string) => dropping.map((chain) => sh`${program} -P ${chain} ${policy}`).join("; ");
    const opened =
      dropping.length === 0
        ? []
        : [
            {
              why: say.accept(),
              change: { run: setting("ACCEPT"), node },
              undo: { run: setting("DROP"), node },
              verify,
            },
          ];
    const agents = related.filter(({ kind }) => kind === "DaemonSet");
    const restarts = agents.map((component) => ({
      why: say.restart({ component: component.name, node }),
      change: { do: "restart", component, node } as const,
      verify,
    }));
    const restartAll = {
      why: say.restartAll({ node }),
      change: { run: "systemctl restart k3s-agent || systemctl restart k3s", node },
      verify,
    };
    const files = "grep -rIlE 'iptables.*(-F|--flush|-restore)|nft flush' /etc/cron* /etc/rc.local /etc/systemd/system";
    const owners = "systemctl is-active docker firewalld ufw nftables netfilter-persistent iptables";
    const look = { why: say.look(), change: { run: `${owners}; ${files} 2>/dev/null`, node }, verify };
    return [
      {
        id: "rewrite-rules",
        risk: "low",
        interrupts: say.nothing(),
        steps: [...opened, ...(restarts.length > 0 ? restarts : [restartAll]), look],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "A node's packet filter was flushed", zh: "节点的包过滤规则被清空" },
    page: {
      en: `kube-proxy, the CNI plugin and the kubelet write rules into one packet filter that everybody on the node can empty. \`iptables -F\` and \`iptables -t nat -F\` take all rules of a table and leave the chains; \`nft flush ruleset\` takes both, of all tables.

**How it looks.** From one moment to the next, on one node only: no ClusterIP is translated, NodePorts are refused, what Pods send out of the cluster has no answer. All agents run, are ready and log nothing. Established connections go on. If the policy of a chain is DROP, as Docker and firewalls set it, the node is cut off with it.

**How it comes about.** A firewall that is stopped or restarted, a script that starts with a flush, iptables-restore of a file, a person who "just wanted to see whether it is the firewall". flannel writes its rules again within seconds and Calico within minutes, kube-proxy only about once an hour, and when one of its chains is gone: after \`-F\` all of them are there.

**When this is not the cause.** If kube-proxy never wrote rules on the node, its chains are not there either, while those of the kubelet are. That the filter table is empty with policy ACCEPT hurts nobody who is let in; what policies and source ranges deny passes.`,
      zh: `kube-proxy、CNI 插件和 kubelet 都把规则写进同一个包过滤器，而节点上的任何人都可以清空它。\`iptables -F\` 和 \`iptables -t nat -F\` 删除一张表的全部规则但保留链；\`nft flush ruleset\` 则连同链一起删除所有的表。

**现象。** 只在某个节点上突然出现：ClusterIP 不再转换，NodePort 被拒绝，Pod 访问集群外部没有应答。各代理都在运行且就绪，日志没有异常。已建立的连接不受影响。如果链的默认策略为 DROP（Docker 和防火墙会这样设置），节点会同时失联。

**成因。** 防火墙停止或重启，脚本一开始就清空规则，用文件执行 iptables-restore，或有人“只是想试试是不是防火墙的问题”。flannel 几秒内、Calico 几分钟内会补回规则；kube-proxy 大约每小时重写一次，或在发现自己的链不见时重写，而 \`-F\` 之后链都还在。

**何时不是它。** 如果 kube-proxy 从未在该节点写过规则，它的链也不会存在，而 kubelet 的链是存在的。filter 表为空且策略为 ACCEPT 时，允许的流量不受影响，但策略和来源网段本应拒绝的流量也会通过。`,
    },
  },
});
