import type { Evidence } from "../../evidence/origin.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { DnsForward } from "../../model/dns.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault } from "../check.ts";

type Model = Pick<ClusterModel, "dns" | "services" | "logs" | "nodes" | "objects">;

const say = texts("dns-forward-loop", {
  loop: {
    en: "CoreDNS forwards queries to itself: {config} sends “{zone}” to {target}",
    zh: "CoreDNS 把查询转发给了自己：{config} 将“{zone}”转发到 {target}",
  },
  nodeLoop: {
    en: "CoreDNS forwards queries to itself: resolv.conf of node {node} names {target}",
    zh: "CoreDNS 把查询转发给了自己：节点 {node} 的 resolv.conf 指向 {target}",
  },
  heard: {
    en: "CoreDNS stops because it found a forwarding loop",
    zh: "CoreDNS 因检测到转发环路而退出",
  },
  correctForward: { en: "Forward to a real upstream server", zh: "转发到真正的上游服务器" },
  correctNode: {
    en: "Let the kubelet give its Pods a resolv.conf that names real servers: with systemd-resolved, resolvConf: /run/systemd/resolve/resolv.conf",
    zh: "让 kubelet 使用指向真正服务器的 resolv.conf：使用 systemd-resolved 时设置 resolvConf: /run/systemd/resolve/resolv.conf",
  },
  restart: {
    en: "Restart CoreDNS: it reads resolv.conf at its start only",
    zh: "重启 CoreDNS：它只在启动时读取 resolv.conf",
  },
  nothing: { en: "Nothing more than is broken already", zh: "不会比现状更糟" },
});

/** plugin/loop: it asks itself a question at its start and exits if the question comes back. */
const LOOP = /plugin\/loop: Loop .*detected for zone/;
const LOOPBACK = /^(127\.|::1$|localhost$)/;

/** `1.1.1.1`, `dns://1.1.1.1:5353`, `[::1]:53`, `::1` */
function endOf(target: string): { readonly host: string; readonly port: number } {
  const words = target.replace(/^\w+:\/\//, "");
  const isBareIpv6 = !words.startsWith("[") && words.split(":").length > 2;
  const [, host, port] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(words) ?? [];
  return isBareIpv6 ? { host: words, port: 53 } : { host: host ?? words, port: Number(port ?? 53) };
}

/** Whether what is sent to an address comes back to the same server block, and not to a sidecar or another server. */
function leadsBack({ server, line }: DnsForward, target: string, { dns, services }: Model): boolean {
  const { host, port } = endOf(target);
  const block = server.corefile?.servers.find(({ directives }) => directives.some((one) => one.line === line));
  // a name that is rewritten on its way comes back as another one, which another block answers
  const isRewritten = block?.directives.some(({ name }) => name === "rewrite") && !block.zones.includes(".");
  if (isRewritten) return false;
  if (LOOPBACK.test(host)) return port === (block?.port ?? 53);
  const service = services.byClusterIp(host);
  return (
    service !== undefined &&
    dns.services.includes(service) &&
    service.ports.some((one) => one.port === port) &&
    services.selected(service).some(({ key }) => server.component.pods.some((pod) => pod.key === key))
  );
}

function* judgeForward(forward: DnsForward, heard: readonly Evidence[], model: Model): Iterable<Finding> {
  const { dns, nodes } = model;
  const { server, zone, to, line } = forward;
  const isOwn = (target: string) => leadsBack(forward, target, model);
  const config = server.configMap!;
  const direct = to.find(isOwn);
  // without the loop plugin CoreDNS goes round in circles with names of others, and answers those of the cluster
  const stops = heard.length > 0 || !server.component.pods.some(({ ready }) => ready);
  const common = {
    related: [server.component.ref],
    breaks: [{ name: stops ? "dns.config" : "dns.upstream" } as const],
    strength: "direct" as const,
  };
  if (direct) {
    const quote = quoteOf(
      { ...model.objects.origin("configmaps", server.map!), line },
      `Corefile line ${line}: forward ${zone} ${to.join(" ")}`,
    );
    yield fault({
      ...common,
      repair: config,
      title: say.loop({ config: refId(config), zone, target: direct }),
      evidence: [quote, ...heard],
      facts: { case: "corefile" },
    });
    return;
  }
  if (!to.includes("/etc/resolv.conf")) return;
  for (const node of new Set(server.component.pods.flatMap((pod) => pod.node ?? []))) {
    const resolver = dns.nodeResolver(node);
    const target = resolver.state === "present" ? resolver.value.nameservers.find(isOwn) : undefined;
    if (target === undefined) continue;
    // systemd-resolved's stub is harmless where the kubelet hands out the other file: only CoreDNS can tell
    if (heard.length === 0) continue;
    const evidence = [quoteOf(resolver.origin, `nameserver ${target}`), ...heard];
    yield fault({
      ...common,
      repair: nodes.get(node)?.ref ?? ref("Node", node),
      related: [server.component.ref, config],
      nodes: [node],
      title: say.nodeLoop({ node, target }),
      evidence,
      facts: { case: "node" },
    });
  }
}

/** CoreDNS' upstream leads back to CoreDNS. */
export const dnsForwardLoop = defineCheck({
  id: "dns-forward-loop",
  reads: ["dns", "services", "logs", "nodes", "objects"],

  *find(model) {
    for (const server of model.dns.servers) {
      const heard = server.component.pods
        .flatMap((pod) => model.logs.said(pod, LOOP))
        .filter(({ current }) => current)
        .map(({ evidence }) => evidence)
        .slice(-1);
      const found = model.dns.forwards
        .filter((forward) => forward.server === server)
        .flatMap((forward) => [...judgeForward(forward, heard, model)]);
      yield* found;
      if (!server.corefile && heard.length === 0) yield cannotTell({ name: "dns.config" }, [{ kind: "configmaps" }]);
      if (found.length > 0 || heard.length === 0) continue;
      const config: Ref = server.configMap ?? ref("ConfigMap", "coredns", server.component.ref.namespace);
      yield fault({
        repair: config,
        related: [server.component.ref],
        breaks: [{ name: "dns.config" }],
        title: say.heard(),
        evidence: heard,
        strength: "heard",
        facts: { case: "corefile" },
      });
    }
  },

  remedies({ repair, related, facts, nodes }) {
    const workload = related.find(({ kind }) => kind === "Deployment" || kind === "DaemonSet") ?? related[0]!;
    const verify = `kubectl logs -n ${workload.namespace} ${workload.kind.toLowerCase()}/${workload.name} --tail=20`;
    const correct =
      facts.case === "node"
        ? {
            why: say.correctNode(),
            change: { run: "edit /var/lib/kubelet/config.yaml; systemctl restart kubelet", node: nodes[0]! },
            undo: say.nothing(),
            verify,
          }
        : {
            why: say.correctForward(),
            change: { run: `kubectl edit ${kubectlName(repair)}` },
            undo: { run: `kubectl edit ${kubectlName(repair)}` },
            verify,
          };
    const restart = {
      why: say.restart(),
      change: { do: "restart", component: workload } as const,
      undo: say.nothing(),
      verify,
    };
    return [{ id: "break-loop", risk: "low", interrupts: say.nothing(), steps: [correct, restart], prevent: [] }];
  },

  manual: {
    title: { en: "CoreDNS forwards to itself", zh: "CoreDNS 转发到自身" },
    page: {
      en: `Queries that CoreDNS cannot answer itself go to its upstream servers, and those lead back to CoreDNS: \`forward\` names 127.0.0.1 or the cluster DNS address, or the node's resolv.conf, which CoreDNS reads, names a local stub (127.0.0.53 of systemd-resolved, dnsmasq) or cluster DNS.

**How it looks.** With the \`loop\` plugin CoreDNS exits with \`Loop … detected for zone "."\` and crash-loops, so all names fail. Without it, external names are slow, memory grows, and cluster names go on working.

**When this is not the cause.** \`forward\` to 127.0.0.1 with another port asks a sidecar, and a block that rewrites names may send them through CoreDNS once more. A local stub in /etc/resolv.conf is harmless where the kubelet hands out another file (resolvConf): netwhy blames it only if CoreDNS found the loop.`,
      zh: `CoreDNS 自己无法回答的查询会转给上游，而上游又指回 CoreDNS：\`forward\` 写的是 127.0.0.1 或集群 DNS 地址，或者 CoreDNS 读取的节点 resolv.conf 指向本地存根（systemd-resolved 的 127.0.0.53、dnsmasq）或集群 DNS。

**现象。** 启用 \`loop\` 插件时，CoreDNS 以 \`Loop … detected for zone "."\` 退出并反复崩溃，所有解析失败；未启用时，外部域名解析缓慢、内存增长，集群内域名仍正常。

**何时不是它。** \`forward\` 到 127.0.0.1 的其他端口是在询问 sidecar；改写（rewrite）域名的区块可以让查询再次经过 CoreDNS。若 kubelet 使用的是另一个文件（resolvConf），/etc/resolv.conf 中的本地存根并无害处；只有 CoreDNS 自己检测到环路时，netwhy 才归咎于它。`,
    },
  },
});
