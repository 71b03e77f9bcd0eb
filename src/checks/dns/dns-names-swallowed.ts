import type { DnsServer } from "../../model/dns/dns.ts";
import { blocksFor, NAME_ELSEWHERE, plainZone, zonesHold } from "../../model/dns/server-block.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ref, refId } from "../../model/ref.ts";
import type { ServiceView } from "../../model/services/services.ts";
import { canonicalIp } from "../../net/ip.ts";
import type { CorefileDirective, CorefileServer } from "../../parse/corefile/corefile.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault, warning } from "../check.ts";
import { lineChanged } from "../remedy.ts";

const say = texts("dns-names-swallowed", {
  all: {
    en: "Plugin {plugin} of the Corefile ({config}, line {line}) answers for all names and passes none on: what is not its own fails",
    zh: "Corefile（{config} 第 {line} 行）的插件 {plugin} 接管了所有域名且不向后传递：不属于它的域名全部解析失败",
  },
  cluster: {
    en: "Plugin {plugin} of the Corefile ({config}, line {line}) answers for the names of the cluster and passes none on",
    zh: "Corefile（{config} 第 {line} 行）的插件 {plugin} 接管了集群内域名且不向后传递",
  },
  external: {
    en: "Plugin {plugin} of the Corefile ({config}, line {line}) answers for all names outside the cluster and passes none on",
    zh: "Corefile（{config} 第 {line} 行）的插件 {plugin} 接管了集群外的所有域名且不向后传递",
  },
  shadowed: {
    en: "hosts in the Corefile ({config}, line {line}) answers {name} with {address}, before the cluster does: Service {service} is at {right}",
    zh: "Corefile（{config} 第 {line} 行）的 hosts 抢先将 {name} 解析为 {address}，而 Service {service} 的地址是 {right}",
  },
  passOn: {
    en: "Let {plugin} pass on what is not its own: `fallthrough` in its block",
    zh: "让 {plugin} 把不属于它的查询传递下去：在其配置块中加入 `fallthrough`",
  },
  limit: {
    en: "Name the zones that {plugin} is for behind it, as it has no `fallthrough`",
    zh: "{plugin} 没有 `fallthrough` 选项：应在其后写明它负责的域",
  },
  nothing: {
    en: "Nothing: CoreDNS takes it with `reload`, else when it restarts",
    zh: "无：有 `reload` 时自动生效，否则在重启后生效",
  },
  prevent: {
    en: "After each change of the Corefile resolve a name of the cluster and one outside it, before another Pod of CoreDNS restarts",
    zh: "每次修改 Corefile 后，先分别解析一个集群内和一个集群外的域名，再让其他 CoreDNS Pod 重启",
  },
});

/** Plugins that answer for whole zones, before `kubernetes` is asked and after it (coredns plugin.cfg), as they name their zones. */
const BEFORE = new Set(["hosts", "template"]);
const AFTER = new Set(["file", "auto", "secondary", "etcd"]);
const HAS_FALLTHROUGH = new Set(["hosts", "template", "etcd", "auto", "file"]);

/** The zones that a directive answers for, if it is such a plugin. */
function zonesOf({ name, args }: CorefileDirective, server: CorefileServer): readonly string[] | undefined {
  if (!BEFORE.has(name) && !AFTER.has(name)) return undefined;
  if (name === "template" && !/^(a|any)$/i.test(args[1] ?? "")) return [];
  const own = name === "template" ? args.slice(2) : name === "hosts" || name === "file" ? args.slice(1) : args;
  return own.length > 0 ? own : server.zones;
}

/** Whether it hands a name on that it has no answer for. A template that matches everything has one for each. */
function passes({ name: plugin, block }: CorefileDirective, name: string): boolean {
  if (plugin === "template" && !block.some(({ name: word }) => word === "match")) return false;
  const on = block.find(({ name: word }) => word === "fallthrough");
  return on !== undefined && (on.args.length === 0 || zonesHold(on.args, name));
}

function swallowerOf(server: DnsServer, name: string, plugins: ReadonlySet<string>): CorefileDirective | undefined {
  const [block] = blocksFor(name, server.corefile?.servers ?? []);
  return block?.directives.find(
    (one) => plugins.has(one.name) && zonesHold(zonesOf(one, block) ?? [], name) && !passes(one, name),
  );
}

type Shadow = {
  readonly name: string;
  readonly address: string;
  readonly line: number;
  readonly service: ServiceView;
};

/** Names of Services that entries of `hosts` give another address: somebody wants it so, or has forgotten it. */
function shadowsIn(server: DnsServer, domain: string, services: ClusterModel["services"]): Shadow[] {
  const [block] = blocksFor(`kubernetes.default.svc.${plainZone(domain)}`, server.corefile?.servers ?? []);
  const entries = (block?.directives ?? []).filter(({ name }) => name === "hosts").flatMap((hosts) => hosts.block);
  return entries.flatMap(({ name: text, args, line }) => {
    const address = canonicalIp(text);
    if (address === undefined) return [];
    return args.flatMap((host): Shadow[] => {
      const name = plainZone(host);
      const suffix = `.svc.${plainZone(domain)}`;
      const [service = "", namespace = "", ...more] = name.endsWith(suffix)
        ? name.slice(0, -suffix.length).split(".")
        : [];
      const shadowed = more.length > 0 ? undefined : services.get(namespace, service);
      const own = (shadowed?.clusterIps ?? []).filter((one) => one.includes(":") === address.includes(":"));
      return shadowed && own.length > 0 && !own.includes(address) ? [{ name, address, line, service: shadowed }] : [];
    });
  });
}

/** A plugin of the Corefile answers for names that others should answer: `hosts` without `fallthrough`, most of all. */
export const dnsNamesSwallowed = defineCheck({
  id: "dns-names-swallowed",
  reads: ["dns", "objects", "services"],

  *find({ dns, objects, services }: Pick<ClusterModel, "dns" | "objects" | "services">) {
    for (const server of dns.servers) {
      const { corefile, map, configMap, component } = server;
      if (!corefile || !map || corefile.errors.length > 0) continue;
      for (const { name, address, line, service } of shadowsIn(server, dns.domain, services)) {
        const config = configMap ?? ref("ConfigMap", "coredns", component.ref.namespace);
        const key = `${service.namespace}/${service.name}`;
        const args = { config: refId(config), line, name, address, service: key, right: service.clusterIps };
        const evidence = [
          objects.quote("configmaps", map, `Corefile line ${line}: ${address} ${name}`),
          services.quote(service, `Service ${key}: clusterIP ${service.clusterIps.join(", ")}`),
        ];
        yield warning(config, say.shadowed(args), evidence, [service.ref]);
      }
      const cluster = swallowerOf(server, `kubernetes.default.svc.${plainZone(dns.domain)}`, BEFORE);
      const external = swallowerOf(server, NAME_ELSEWHERE, new Set([...BEFORE, ...AFTER]));
      for (const one of new Set([cluster, external])) {
        if (!one) continue;
        const config = configMap ?? ref("ConfigMap", "coredns", component.ref.namespace);
        const args = { plugin: one.name, config: refId(config), line: one.line };
        const kind = one === cluster ? (one === external ? "all" : "cluster") : "external";
        const words = (map.data?.Corefile ?? "").split("\n")[one.line - 1] ?? "";
        yield fault({
          repair: config,
          related: [component.ref],
          breaks: (["cluster", "external"] as const)
            .filter((zone) => kind === "all" || kind === zone)
            .map((zone) => ({ name: "dns.serve", zone })),
          title: say[kind](args),
          evidence: [objects.quote("configmaps", map, `Corefile line ${one.line}: ${words.trim()}`)],
          strength: "direct",
          facts: { plugin: one.name, line: one.line },
        });
      }
    }
  },

  remedies({ repair: config, facts: { plugin, line } }, { dns }) {
    const server = dns.servers.find(({ configMap }) => configMap && refId(configMap) === refId(config));
    const text = server?.map?.data?.Corefile ?? "";
    const at = Number(line);
    const indent = /^\s*/.exec(text.split("\n")[at - 1] ?? "")?.[0] ?? "";
    const verify = { run: "kubectl run -it --rm ask --image=busybox --restart=Never -- nslookup kubernetes.default" };
    const edited = lineChanged({ config, key: "Corefile", text, line: at }, (before) =>
      before.trimEnd().endsWith("{")
        ? `${before}\n${indent}    fallthrough`
        : `${before} {\n${indent}    fallthrough\n${indent}}`,
    );
    const step =
      text !== "" && plugin !== "template" && HAS_FALLTHROUGH.has(String(plugin))
        ? { why: say.passOn({ plugin: String(plugin) }), ...edited, verify }
        : { why: say.limit({ plugin: String(plugin) }), verify };
    return [{ id: "pass-on", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A plugin of CoreDNS takes names that are not its own", zh: "CoreDNS 插件接管了不属于它的域名" },
    page: {
      en: `CoreDNS asks its plugins in an order of its own, whatever their order in the Corefile: \`template\` and \`hosts\` before \`kubernetes\`, and \`file\`, \`auto\`, \`secondary\` and \`etcd\` before \`forward\`. A plugin that is given no zones answers for all of its server block, and without \`fallthrough\` nobody is asked after it.

**How it looks.** CoreDNS is Running and ready, its log is clean. The names that were added resolve; names of the cluster and of the world outside get SERVFAIL (\`hosts\`) or NXDOMAIN (\`template\`, \`file\`).

An entry of \`hosts\` for the name of a Service goes before the Service itself, for ever: with an address of its own that is a warning.

**How it comes about.** Somebody adds a \`hosts\` block for one name, and leaves out \`fallthrough\`.

**When this is not the cause.** If names fail with time-outs, see whether CoreDNS is reached at all. With zones of its own (\`hosts /etc/hosts example.org\`) a plugin takes no others.`,
      zh: `CoreDNS 按自身固定的顺序调用插件，与 Corefile 中的书写顺序无关：\`template\` 和 \`hosts\` 在 \`kubernetes\` 之前，\`file\`、\`auto\`、\`secondary\`、\`etcd\` 在 \`forward\` 之前。未指定域的插件负责整个 server block；没有 \`fallthrough\` 时，后面的插件不会被调用。

**现象。** CoreDNS 处于 Running 且就绪，日志正常。新增的域名可以解析，而集群内外的其他域名返回 SERVFAIL（\`hosts\`）或 NXDOMAIN（\`template\`、\`file\`）。

\`hosts\` 中若有某个 Service 的名称，则始终优先于该 Service 自身：地址不同时作为警告。

**成因。** 为个别域名加入 \`hosts\` 块，却漏写了 \`fallthrough\`。

**何时不是它。** 若解析超时，应先确认能否访问 CoreDNS。指定了域的插件（\`hosts /etc/hosts example.org\`）不会影响其他域名。`,
    },
  },
});
