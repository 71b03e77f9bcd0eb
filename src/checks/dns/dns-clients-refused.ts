import { known } from "../../evidence/observed.ts";
import { type AclVerdict, aclVerdict } from "../../model/dns/acl.ts";
import type { DnsServer } from "../../model/dns/dns.ts";
import { blocksFor, NAME_ELSEWHERE, plainZone } from "../../model/dns/server-block.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ref, refId } from "../../model/ref.ts";
import { contains, isOfFamily, parseIp } from "../../net/ip.ts";
import type { CorefileServer } from "../../parse/corefile/corefile.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault, warning } from "../check.ts";
import { lineChanged, rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "dns" | "objects" | "pods" | "nodes" | "forwarding" | "observations" | "components">;

const say = texts("dns-clients-refused", {
  block: {
    en: "CoreDNS refuses what {clients} ask: plugin acl of its Corefile ({config}, line {line})",
    zh: "CoreDNS 拒绝{clients}的查询：由其 Corefile（{config} 第 {line} 行）的 acl 插件所致",
  },
  filter: {
    en: "CoreDNS answers {clients} with nothing: plugin acl of its Corefile ({config}, line {line})",
    zh: "CoreDNS 对{clients}返回空应答：由其 Corefile（{config} 第 {line} 行）的 acl 插件所致",
  },
  drop: {
    en: "CoreDNS leaves what {clients} ask without an answer: plugin acl of its Corefile ({config}, line {line})",
    zh: "CoreDNS 丢弃{clients}的查询：由其 Corefile（{config} 第 {line} 行）的 acl 插件所致",
  },
  bound: {
    en: "CoreDNS listens at {addresses} only, where no Pod but its own reaches it: bind in its Corefile ({config}, line {line})",
    zh: "CoreDNS 只监听 {addresses}，除自身外没有 Pod 能访问：由其 Corefile（{config} 第 {line} 行）的 bind 所致",
  },
  allPods: { en: "Pods", zh: "所有 Pod" },
  podsOn: { en: "the Pods of {nodes}", zh: "节点 {nodes} 上的 Pod" },
  onePod: { en: "Pod {pods}", zh: "Pod {pods}" },
  nodes: { en: "nodes ({nodes})", zh: "节点（{nodes}）" },
  letIn: {
    en: "Let them in: take line {line} out of the Corefile, or put `allow net …` with the Pods' range before it",
    zh: "允许它们查询：从 Corefile 中删除第 {line} 行，或在其之前加入包含 Pod 网段的 `allow net …`",
  },
  listen: {
    en: "Take `bind` out of the Corefile (line {line}): CoreDNS then listens at all addresses of its Pod",
    zh: "从 Corefile 中删除 `bind`（第 {line} 行）：CoreDNS 就会监听其 Pod 的所有地址",
  },
  nothing: {
    en: "Nothing: CoreDNS takes it with `reload`, else when it restarts",
    zh: "无：有 `reload` 时自动生效，否则在重启后生效",
  },
  prevent: {
    en: "After each change of the Corefile resolve a name from a Pod of every node, before another Pod of CoreDNS restarts",
    zh: "每次修改 Corefile 后，先从每个节点的 Pod 中解析一个域名，再让其他 CoreDNS Pod 重启",
  },
});

const LOOPBACK = /^(127\.|::1$|lo$|localhost$)/;

/** The line by which blocks listen at the Pod's loopback alone. What `import` brings is not known. */
function boundToLoopback(blocks: readonly CorefileServer[]) {
  const binds = blocks.map(({ directives }) => directives.filter(({ name }) => name === "bind"));
  const addresses = binds.flat().flatMap(({ args }) => args);
  const isSure =
    blocks.length > 0 && binds.every((one) => one.length > 0) && addresses.every((one) => LOOPBACK.test(one));
  return isSure && addresses.length > 0 ? { line: binds[0]![0]!.line, addresses } : undefined;
}

type Zone = "cluster" | "external";
type Refused = AclVerdict & { readonly zones: readonly Zone[] };

/** What a client is refused, whichever of its addresses it asks from. */
function refusedTo(addresses: readonly string[], server: DnsServer, domain: string): Refused | undefined {
  const names = { cluster: `kubernetes.default.svc.${plainZone(domain)}`, external: NAME_ELSEWHERE };
  const found = (["cluster", "external"] as const).flatMap((zone) => {
    const [block] = blocksFor(names[zone], server.corefile?.servers ?? []);
    const verdicts = block ? addresses.map((address) => aclVerdict(block, address, names[zone])) : [];
    const isRefused = verdicts.length > 0 && verdicts.every((one) => one && one.action !== "allow");
    return isRefused ? [{ ...verdicts[0]!, zone }] : [];
  });
  return found[0] && { action: found[0].action, line: found[0].line, zones: found.map(({ zone }) => zone) };
}

type Client = {
  readonly node: string;
  readonly from: "pod" | "host";
  readonly pod?: string;
  readonly refused: Refused | undefined;
};

/** Pods ask from their own addresses; nodes from one in the Pods' range, if they have one there. */
function clientsOf(server: DnsServer, { dns, pods, nodes, forwarding }: Model): Client[] {
  const address = dns.services[0]?.clusterIps[0];
  const family = address?.includes(":") ? 6 : 4;
  const refused = (addresses: readonly string[]) =>
    refusedTo(
      addresses.filter((one) => isOfFamily(one, family)),
      server,
      dns.domain,
    );
  return nodes.all.flatMap(({ name: node, podRanges }): Client[] => {
    const guests = pods.onNode(node).filter((pod) => !pod.hostNetwork && !pod.finished && pod.addresses.length > 0);
    const own = [...(known(forwarding.of(node).localAddresses) ?? [])].filter((one) => !LOOPBACK.test(one));
    const inRange = own.filter((one) => podRanges.some((range) => contains(range, parseIp(one)!)));
    return [
      ...guests.map(({ key, addresses }) => ({ node, from: "pod" as const, pod: key, refused: refused(addresses) })),
      { node, from: "host", refused: refused(inRange.length > 0 ? inRange : own) },
    ];
  });
}

const distinct = <T>(all: readonly T[]): T[] => [...new Set(all)];
const ofZone = ({ zones }: Refused) => (zones.length === 1 ? { zone: zones[0]! } : {});

function* judgeAcl(server: DnsServer, model: Model): Iterable<Finding> {
  const clients = clientsOf(server, model);
  const byNode = Map.groupBy(clients, ({ node, from }) => `${from} ${node}`);
  const isWhole = ({ node, from }: Client) => byNode.get(`${from} ${node}`)!.every(({ refused }) => refused);
  // who is shut out alone may be so on purpose, until it asks
  const asks = ({ pod }: Client) =>
    model.observations.failed.some(({ client, target }) => target.is === "name" && client.podKey === pod);
  const shutOut = clients.filter((one): one is Client & { refused: Refused } => one.refused !== undefined);
  const byLine = Map.groupBy(shutOut, ({ refused }) => `${refused.line} ${refused.zones}`);
  for (const all of byLine.values()) {
    const meant = all.filter((one) => isWhole(one) || (one.from === "pod" && asks(one)));
    const { refused } = all[0]!;
    const words = wordsOf(server, refused.line, model);
    const told = meant.length > 0 ? meant : all;
    const guests = told.filter(({ from }) => from === "pod");
    const on = distinct(told.map(({ node }) => node));
    const alone = guests.filter((one) => !isWhole(one)).flatMap(({ pod }) => pod ?? []);
    const isAll = guests.length > 0 && clients.every((one) => one.from === "host" || one.refused);
    const who =
      guests.length === 0
        ? say.nodes({ nodes: on })
        : isAll
          ? say.allPods()
          : alone.length > 0
            ? say.onePod({ pods: distinct(alone).slice(0, 3) })
            : say.podsOn({ nodes: distinct(guests.map(({ node }) => node)) });
    const title = say[refused.action as "block"]({ clients: who, config: refId(words.config), line: refused.line });
    if (meant.length === 0) {
      yield warning(words.config, title, [words.quote], [server.component.ref]);
      continue;
    }
    const ids = new Map(
      meant.map((one) => {
        const where = isAll && one.from === "pod" ? {} : { node: one.node };
        const pod = isWhole(one) || one.pod === undefined ? {} : { pod: one.pod };
        const capability = { name: "dns.admit" as const, ...where, from: one.from, ...pod, ...ofZone(refused) };
        return [JSON.stringify(capability), capability];
      }),
    );
    yield fault({
      repair: words.config,
      related: [server.component.ref],
      ...(!isAll && { nodes: on }),
      breaks: [...ids.values()],
      title,
      evidence: [words.quote],
      strength: "direct",
      facts: { case: "acl", line: refused.line },
    });
  }
}

function wordsOf({ map, configMap, component }: DnsServer, line: number, { objects }: Model) {
  const config = configMap ?? ref("ConfigMap", "coredns", component.ref.namespace);
  const text = (map!.data?.Corefile ?? "").split("\n")[line - 1] ?? "";
  return { config, quote: objects.quote("configmaps", map!, `Corefile line ${line}: ${text.trim()}`) };
}

/** The Corefile keeps clients from asking: by `acl`, or by `bind` to the loopback device. */
export const dnsClientsRefused = defineCheck({
  id: "dns-clients-refused",
  reads: ["dns", "objects", "pods", "nodes", "forwarding", "observations", "components"],

  *find(model) {
    for (const server of model.dns.servers) {
      const { corefile, map, component } = server;
      if (!corefile || !map || corefile.errors.length > 0) continue;
      const bound = boundToLoopback(
        blocksFor(`kubernetes.default.svc.${plainZone(model.dns.domain)}`, corefile.servers),
      );
      if (bound && !component.pods.some(({ hostNetwork }) => hostNetwork)) {
        const { config, quote } = wordsOf(server, bound.line, model);
        yield fault({
          repair: config,
          related: [component.ref],
          breaks: [{ name: "dns.admit" }],
          title: say.bound({ addresses: bound.addresses, config: refId(config), line: bound.line }),
          evidence: [quote],
          strength: "direct",
          facts: { case: "bind", line: bound.line },
        });
        continue;
      }
      // caches of nodes ask for the Pods, from addresses of their own
      if (model.components.withDuty("node-dns").length === 0) yield* judgeAcl(server, model);
    }
  },

  remedies({ repair: config, related, facts }, { dns }) {
    const { line, case: kind } = facts as { line: number; case: string };
    const server = dns.servers.find(({ configMap }) => configMap && refId(configMap) === refId(config));
    const text = server?.map?.data?.Corefile ?? "";
    const edited = lineChanged({ config, key: "Corefile", text, line }, (before) => `    # ${before.trim()}`);
    const step = {
      why: kind === "bind" ? say.listen({ line }) : say.letIn({ line }),
      ...edited,
      verify: rolledOut(related[0]!),
    };
    return [{ id: "let-in", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "The Corefile keeps clients from asking", zh: "Corefile 不允许客户端查询" },
    page: {
      en: `CoreDNS is up and ready, and its Corefile keeps those from asking whom it is there for: a rule of the plugin \`acl\` fits their addresses (\`block\` refuses, \`drop\` gives no answer, \`filter\` an empty one), or \`bind\` names the loopback device alone.

**How it looks.** CoreDNS is Running and ready, its log is clean. From the Pods that are shut out every query gets REFUSED or runs into a time-out, others resolve. The probes of CoreDNS ask other ports (8080, 8181), and say nothing of it.

**How it comes about.** A list of networks that may ask, taken over from a DNS server outside or written before the cluster got another Pod range. \`bind\` comes from the configuration of a cache on a node.

**When this is not the cause.** With \`block\` the answer comes from CoreDNS: status REFUSED. An ICMP error (“connection refused”) comes from a node's rules or from a Pod that does not listen. A single Pod that is shut out and has not asked may be so on purpose, and is only a warning.`,
      zh: `CoreDNS 正常运行且就绪，但其 Corefile 不允许本应服务的客户端查询：\`acl\` 插件的规则匹配了它们的地址（\`block\` 拒绝、\`drop\` 不应答、\`filter\` 返回空应答），或 \`bind\` 只写了回环设备。

**现象。** CoreDNS 处于 Running 且就绪，日志正常。被排除的 Pod 的所有查询都得到 REFUSED 或超时，其他 Pod 可以解析。CoreDNS 的探针访问的是其他端口（8080、8181），反映不出此问题。

**成因。** 照搬了集群外 DNS 服务器的允许网段列表，或列表写成之后集群更换了 Pod 网段。\`bind\` 则多来自节点缓存的配置。

**何时不是它。** \`block\` 的应答由 CoreDNS 发出，状态为 REFUSED；ICMP 错误（“connection refused”）则来自节点规则或未监听的 Pod。个别 Pod 被排除且没有查询失败时，可能是有意为之，只作为警告。`,
    },
  },
});
