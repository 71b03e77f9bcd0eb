import type { Evidence } from "../../evidence/origin.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { DnsForward } from "../../model/dns/dns.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault } from "../check.ts";
import { forwardedToNodes, rolledOut } from "../remedy.ts";

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
  toNodes: {
    en: "Forward to the name servers of the nodes ({servers}) in place of itself",
    zh: "改为转发到节点使用的 DNS 服务器（{servers}），而不是自身",
  },
  correctForward: {
    en: "Let `forward` in the Corefile name real upstream servers",
    zh: "让 Corefile 中的 `forward` 指向真正的上游服务器",
  },
  correctStub: {
    en: "Let the kubelet give its Pods the resolv.conf behind systemd-resolved's stub, which names real servers",
    zh: "让 kubelet 使用 systemd-resolved 存根背后的 resolv.conf，其中是真正的服务器",
  },
  correctNode: {
    en: "Name real servers in the node's resolv.conf, or set resolvConf of the kubelet to a file that does",
    zh: "在节点的 resolv.conf 中填写真正的服务器，或让 kubelet 的 resolvConf 指向这样的文件",
  },
  restart: {
    en: "Restart CoreDNS: it reads its upstream servers at its start",
    zh: "重启 CoreDNS：它在启动时读取上游服务器",
  },
  prevent: {
    en: "Keep the plugin `loop` in the Corefile: without it a loop eats memory and answers nothing; on nodes with systemd-resolved set resolvConf: /run/systemd/resolve/resolv.conf",
    zh: "在 Corefile 中保留 `loop` 插件：没有它，环路会耗尽内存且得不到应答；使用 systemd-resolved 的节点应设置 resolvConf: /run/systemd/resolve/resolv.conf",
  },
  nothing: { en: "Nothing more than is broken already", zh: "不会比现状更糟" },
});

/**
 * plugin/loop: it asks itself a question at its start and exits if the question comes back. Before 1.3.1 it said so in other
 * words.
 */
const LOOP = /plugin\/loop: (?:Loop .*detected for zone|Forwarding loop detected in|Seen .* loop detected)/;
/** systemd-resolved's own address. */
const STUB = "127.0.0.53";
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
    const words = `Corefile line ${line}: forward ${zone} ${to.join(" ")}`;
    const quote = model.objects.quote("configmaps", server.map!, words);
    yield fault({
      ...common,
      repair: config,
      title: say.loop({ config: refId(config), zone, target: direct }),
      evidence: [quote, ...heard],
      facts: { case: "corefile", line },
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
      facts: { case: target === STUB ? "stub" : "node" },
    });
  }
}

const KUBELET_CONFIG = "/var/lib/kubelet/config.yaml";
const setResolvConf = (file: string) =>
  `sed -i '/^resolvConf:/d' ${KUBELET_CONFIG} && echo 'resolvConf: ${file}' >> ${KUBELET_CONFIG} && systemctl restart kubelet`;
const USE_REAL = setResolvConf("/run/systemd/resolve/resolv.conf");
const USE_STUB = setResolvConf("/etc/resolv.conf");

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

  remedies({ repair, related, facts, nodes }, { dns }) {
    const workload = related.find(({ kind }) => kind === "Deployment" || kind === "DaemonSet") ?? related[0]!;
    const verify = rolledOut(workload);
    const [node] = nodes;
    const forward = dns.forwards.find(
      (one) => one.line === facts.line && one.server.configMap && refId(one.server.configMap) === refId(repair),
    );
    const servers = forward && dns.upstreamOfNodes(forward);
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const seen = { run: "cat /run/systemd/resolve/resolv.conf", node: node ?? "" };
    const correct =
      facts.case === "stub"
        ? {
            why: say.correctStub(),
            change: { run: USE_REAL, node: node! },
            undo: { run: USE_STUB, node: node! },
            verify: seen,
          }
        : facts.case === "node"
          ? {
              why: say.correctNode(),
              change: { run: "vi /etc/resolv.conf", node: node! },
              undo: say.nothing(),
              verify: seen,
            }
          : servers
            ? { why: say.toNodes({ servers: servers }), ...forwardedToNodes(repair, forward), verify }
            : { why: say.correctForward(), change: edit, undo: edit, verify };
    const restart = { why: say.restart(), change: { do: "restart", component: workload } as const, verify };
    const prevent = [say.prevent()];
    return [{ id: "break-loop", risk: "low", interrupts: say.nothing(), steps: [correct, restart], prevent }];
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
