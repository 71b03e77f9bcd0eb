import type { ServiceRuleset } from "../../model/forwarding/service-rulesets.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { ServicePort } from "../../model/services/services.ts";
import { formatSocket } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, inFamily, warning } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "services" | "proxy" | "components" | "forwarding">;

const say = texts("service-rules-duplicate", {
  stale: {
    en: "Node {node} has kube-proxy's rules twice: those left in {left} send Service {service} to {extra}, which {count:is|are} not among its back ends",
    zh: "节点 {node} 有两套 kube-proxy 规则：{left} 中遗留的规则把 Service {service} 转发到 {extra}，而其不在该 Service 的后端之列",
  },
  alike: {
    en: "Node {node} has kube-proxy's rules twice, those in {left} beside those in {live}: only one of the two follows changes",
    zh: "节点 {node} 有两套 kube-proxy 规则：除 {live} 外，{left} 中还有一套；只有其中一套会随变化更新",
  },
  more: { en: "{first} and {count} more", zh: "{first}（另有 {count} 个）" },
  removeEntry: {
    en: "Take away the jump into the rules that were left: what nothing leads to is not asked",
    zh: "删除进入遗留规则的跳转：没有跳转指向的规则不会被匹配",
  },
  removeTable: { en: "Delete the table that was left", zh: "删除遗留的表" },
  owner: {
    en: "Find what brings them back at boot or reload, and take them out there",
    zh: "找出开机或重载时恢复它们的来源，并从中删除",
  },
  nothing: { en: "Nothing", zh: "无" },
  preventFile: {
    en: "Save no rules of kube-proxy to files that are restored later (netfilter-persistent, iptables.service)",
    zh: "不要把 kube-proxy 的规则保存到之后会被恢复的文件中（netfilter-persistent、iptables.service）",
  },
  preventChange: {
    en: "Run `kube-proxy --cleanup` or reboot nodes when the mode of kube-proxy or the back end of iptables changes",
    zh: "切换 kube-proxy 模式或 iptables 后端时，执行 `kube-proxy --cleanup` 或重启节点",
  },
});

/** A rule set as people call it: by the tool that lists it, or by its table. */
const nameOf = ({ name, mode }: Pick<ServiceRuleset, "name" | "mode">): string =>
  mode === "nftables" ? "nftables" : name;

const addressOf = ({ address, port }: { readonly address: string; readonly port: number }) =>
  formatSocket(address, port);

/** The ports that a rule set would send elsewhere than to their back ends. */
function staleIn(left: ServiceRuleset, node: string, ports: readonly ServicePort[], { services }: Model) {
  return ports.flatMap((port) => {
    if (!port.service.families.includes(left.family)) return [];
    const { cluster = [] } = services.expected(port, node, left.family);
    const right = new Set(cluster.map(addressOf));
    const extra = [...(left.delivery(port) ?? [])].filter((target) => !right.has(target));
    return extra.length > 0 ? [{ port, right: [...right], extra }] : [];
  });
}

function* judgeNode(node: NodeView, ports: readonly ServicePort[], model: Model): Iterable<Finding> {
  const { name } = node;
  const { filter } = model.forwarding.of(name);
  const proxies = model.components.withDuty("service-proxy").map(({ ref }) => ref);
  for (const left of model.proxy.beside(name)) {
    const entry = left.entries.slice(0, 1).map(filter.quote);
    const stale = staleIn(left, name, ports, model);
    const ofFamily = model.services.ofFamily(left.family);
    const [first] = stale;
    if (!first) {
      const live = model.proxy.mode(name) === "nftables" ? "nftables" : left.family === 4 ? "iptables" : "ip6tables";
      const alike = say.alike({ node: name, live, left: nameOf(left) });
      yield warning(node.ref, inFamily(alike, ofFamily), entry, proxies);
      continue;
    }
    const { port, right, extra } = first;
    const [target = ""] = extra;
    const removals = left.mode === "nftables" ? [] : left.entries.map(filter.removal);
    yield fault({
      repair: node.ref,
      related: [...proxies, ...new Set(stale.map((one) => one.port.service.ref))],
      nodes: [name],
      // which of the two is asked first is not recorded: connections may come there
      breaks: stale.flatMap((one) =>
        one.extra.map(
          (pod) => ({ name: "service.rules", node: name, service: one.port.key, pod, ...ofFamily }) as const,
        ),
      ),
      title: inFamily(
        say.stale({
          ...{ node: name, left: nameOf(left), service: port.key, count: extra.length },
          extra: extra.length > 2 ? say.more({ first: target, count: extra.length - 1 }) : extra,
        }),
        ofFamily,
      ),
      evidence: [
        ...entry,
        ...left.translating(target).slice(0, 1).map(filter.quote),
        model.services.quote(port.service, `Service ${port.key}: back ends ${right.slice(0, 4).join(", ") || "none"}`),
      ],
      strength: "differing",
      // whatever kube-proxy learns, it does not look there
      lost: true,
      facts: {
        case: left.mode,
        table: left.family === 4 ? "ip kube-proxy" : "ip6 kube-proxy",
        ...Object.fromEntries(
          removals.flatMap((removal, at) => Object.entries(removal).map(([what, run]) => [`${what}${at}`, run])),
        ),
      },
    });
  }
}

/** A node translates Services by two rule sets, of which only one is kept up to date. */
export const serviceRulesDuplicate = defineCheck({
  id: "service-rules-duplicate",
  reads: ["nodes", "services", "proxy", "components", "forwarding"],

  *find(model) {
    if (!model.services.whole || !model.services.endpointsWhole) {
      for (const node of model.nodes.all)
        if (node.sampled && model.proxy.beside(node.name).length > 0)
          yield cannotTell({ name: "service.rules", node: node.name }, [
            { kind: model.services.whole ? "endpointslices" : "services" },
          ]);
      return;
    }
    const ports = model.services.all.filter(({ proxied }) => proxied).flatMap((service) => service.ports);
    for (const node of model.nodes.all) if (node.sampled) yield* judgeNode(node, ports, model);
  },

  remedies({ nodes, facts }) {
    const node = nodes[0]!;
    const at = (what: string, index: number) => facts[`${what}${index}`] as string | undefined;
    const entries = Object.keys(facts).filter((name) => name.startsWith("run")).length;
    const removal = Array.from({ length: entries }, (_, index) => ({
      why: say.removeEntry(),
      change: { run: at("run", index)!, node },
      undo: { run: at("undo", index)!, node },
      verify: { run: at("verify", index)!, node },
    }));
    const table = {
      why: say.removeTable(),
      change: { run: `nft delete table ${facts.table}`, node },
      verify: { run: "nft list tables", node },
    };
    const files = "grep -rl KUBE-SERVICES /etc/iptables /etc/sysconfig /etc/nftables* 2>/dev/null";
    const owner = { why: say.owner(), change: { run: files, node }, verify: { run: files, node } };
    const steps = [...(facts.case === "nftables" ? [table] : removal), owner];
    return [
      {
        ...{ id: "remove-duplicate", risk: "low", interrupts: say.nothing(), steps },
        prevent: [say.preventFile(), say.preventChange()],
      },
    ];
  },

  manual: {
    title: {
      en: "A node has kube-proxy's rules twice, and one set is stale",
      zh: "节点上有两套 kube-proxy 规则，其中一套已过时",
    },
    page: {
      en: `Services are translated by one set of rules: iptables (with nf_tables below it), iptables-legacy, or the nftables table \`ip kube-proxy\` (for IPv6 ip6tables, ip6tables-legacy or \`ip6 kube-proxy\`). Where there are two, kube-proxy keeps only its own up to date. Both are asked: chains of type nat of one priority in turn, the one registered **last** first, until one translates. Which of two was registered last is recorded nowhere, so netwhy compares what each of them would do.

**How it looks.** Everything works, until back ends change: then connections on this node go to Pods that are gone, or to somebody else's, while kube-proxy's own rules, its logs and its metrics are right. A Service without back ends is not refused but times out; a Service that was deleted still answers. \`iptables-save\` shows nothing of it where the rules are in the other back end.

**How it comes about.** The mode of kube-proxy was changed, or the back end of iptables (a new image of kube-proxy, a new release of the distribution): at its start kube-proxy takes away the rules of other modes, but only in the back end that its own image uses. Or iptables-restore, netfilter-persistent or iptables.service brought back a file that held rules of kube-proxy.

**When this is not the cause.** Chains that nothing jumps to are not asked, and harm nobody. While both sets say the same, it is a warning.`,
      zh: `Service 应只由一套规则转换：iptables（底层为 nf_tables）、iptables-legacy，或 nftables 表 \`ip kube-proxy\`（IPv6 为 ip6tables、ip6tables-legacy 或 \`ip6 kube-proxy\`）。有两套时，kube-proxy 只更新自己的那一套，而内核两套都会匹配：同一优先级的 nat 链中，**最后**注册的先被匹配，直到有一条完成转换。谁最后注册没有任何记录，因此 netwhy 比较两套规则各自的结果。

**现象。** 后端不变时一切正常；后端变化后，该节点上的连接会到达已不存在的 Pod 或别人的 Pod，而 kube-proxy 自己的规则、日志和指标都正确。没有后端的 Service 不是被拒绝而是超时；已删除的 Service 仍有应答。若规则在另一个后端，\`iptables-save\` 看不到它们。

**成因。** 切换了 kube-proxy 模式或 iptables 后端（kube-proxy 新镜像、发行版升级）：kube-proxy 启动时会清除其他模式的规则，但只在其镜像所用的后端中清除。或者 iptables-restore、netfilter-persistent、iptables.service 恢复了包含 kube-proxy 规则的文件。

**何时不是它。** 没有跳转指向的链不会被匹配，也没有危害。两套规则结果一致时只是警告。`,
    },
  },
});
