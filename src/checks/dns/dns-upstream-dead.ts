import type { Component } from "../../model/components/components.ts";
import type { DnsForward } from "../../model/dns/dns.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, ref, refId } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";
import { forwardedToNodes } from "../remedy.ts";

type Model = Pick<ClusterModel, "dns" | "logs" | "observations" | "objects">;

const say = texts("dns-upstream-dead", {
  dead: {
    en: "CoreDNS gets no answer from its upstream server {upstream} ({config}): external names fail",
    zh: "CoreDNS 的上游服务器 {upstream} 没有应答（{config}）：外部域名解析失败",
  },
  unnamed: { en: "(its log does not say which)", zh: "（日志未指明）" },
  toNodes: {
    en: "Forward to the name servers of the nodes ({servers})",
    zh: "转发到节点使用的 DNS 服务器（{servers}）",
  },
  correctForward: {
    en: "Let `forward` in line {line} of the Corefile name servers that answer",
    zh: "让 Corefile 第 {line} 行的 `forward` 指向可用的服务器",
  },
  correctNode: {
    en: "Name servers that answer where the node has them from (netplan, NetworkManager, DHCP, /etc/resolv.conf)",
    zh: "在节点 DNS 配置的来源处（netplan、NetworkManager、DHCP、/etc/resolv.conf）填写可用的服务器",
  },
  restart: {
    en: "Restart CoreDNS: it reads resolv.conf at its start only",
    zh: "重启 CoreDNS：它只在启动时读取 resolv.conf",
  },
  nothing: { en: "Nothing more than is broken already", zh: "不会比现状更糟" },
  prevent: {
    en: "Name two upstream servers that do not fail together, and alert on coredns_forward_healthcheck_broken_total",
    zh: "配置两个不会同时失效的上游服务器，并对 coredns_forward_healthcheck_broken_total 设置告警",
  },
});

/**
 * plugin/errors, rcode 2 (SERVFAIL), of a query that was forwarded; the loop plugin's own HINFO question says nothing. Before
 * 1.3 it did not name itself, and up to 1.4 another plugin forwarded.
 */
const NO_ANSWER =
  /(?:plugin\/errors:|\[ERROR\]) 2 (\S+) (?!HINFO)[A-Z]*:? ?(?:unreachable backend: )?(?:read|dial|write) (?:udp|tcp) .*?(?:->|tcp )([\d.]+|\[[0-9a-f:]+\]):(\d+): (?:i\/o timeout|connect: connection refused|read: connection refused|no route to host|network is unreachable)/;
const FORWARD_FAILED = /(?:plugin\/errors:|\[ERROR\]) 2 (\S+) .*(no healthy (upstream|proxies))/;

function findForward(component: Component, upstream: string | undefined, { dns }: Model): DnsForward | undefined {
  const own = dns.forwards.filter(({ server }) => server.component === component);
  const host = (target: string) => target.replace(/^\w+:\/\//, "").replace(/:\d+$/, "");
  return (
    own.find(({ to }) => to.some((target) => host(target) === upstream)) ??
    own.find(({ to }) => to.includes("/etc/resolv.conf")) ??
    (upstream === undefined ? own[0] : undefined)
  );
}

/** The servers that CoreDNS forwards to do not answer. */
export const dnsUpstreamDead = defineCheck({
  id: "dns-upstream-dead",
  reads: ["dns", "logs", "observations", "objects"],

  *find(model) {
    const { dns, logs, observations, objects } = model;
    // who asks another server than cluster DNS learns nothing of its upstream
    const external = observations.all.filter(
      ({ target, how, probe }) =>
        how === "measured" &&
        target.is === "name" &&
        target.zone === "external" &&
        (probe?.server === undefined || target.server !== undefined),
    );
    // one external name that was resolved shows that the upstream answers
    if (external.some(({ outcome }) => outcome === "ok")) return;
    const failed = external.filter(({ outcome }) => outcome === "failed");
    for (const { component, configMap } of dns.servers) {
      // containers that never started have said nothing
      const started = component.pods.filter(({ object }) =>
        (object.status?.containerStatuses ?? []).some(
          ({ state, lastState }) => state?.running || lastState?.terminated,
        ),
      );
      // without its log, what it counts tells whether it has had anything to complain of
      const unheard = started.filter(
        (pod) => !pod.object.spec.containers.some(({ name }) => logs.lastWords(pod, name)) && !dns.hasAnsweredAll(pod),
      );
      if (unheard.length > 0 && unheard.length === started.length) {
        const missing = unheard.map(({ namespace, name, object }) => ({
          kind: "containerLog" as const,
          place: { namespace, pod: name, container: object.spec.containers[0]!.name },
        }));
        yield cannotTell({ name: "dns.upstream" }, missing);
      }
      const sayings = component.pods.flatMap((pod) => [
        ...logs.said(pod, NO_ANSWER),
        ...logs.said(pod, FORWARD_FAILED),
      ]);
      const complaints = sayings.filter(
        ({ current, entry }) => current && !entry.last.message.includes(`.${dns.domain}.`),
      );
      const last = complaints.at(-1);
      if (!last) continue;
      if (failed.length === 0 && !last.ongoing) {
        yield cannotTell({ name: "dns.upstream" }, [{ kind: "probes" }]);
        continue;
      }
      const counted = component.pods.flatMap((pod) => dns.upstreamFailures(pod).slice(0, 1)).slice(0, 2);
      const upstream = NO_ANSWER.exec(last.entry.last.message)?.[2];
      const forward = findForward(component, upstream, model);
      const fromNode = !forward || forward.to.includes("/etc/resolv.conf");
      const config = configMap ?? ref("ConfigMap", "coredns", component.ref.namespace);
      const nodes = [...new Set(component.pods.flatMap((pod) => pod.node ?? []))];
      const quote = forward?.server.map
        ? [
            objects.quote(
              "configmaps",
              forward.server.map,
              `Corefile line ${forward.line}: forward ${forward.zone} ${forward.to.join(" ")}`,
            ),
          ]
        : [];
      yield fault({
        repair: config,
        related: [component.ref, ...(fromNode ? nodes.map((node) => ref("Node", node)) : [])],
        nodes: fromNode ? nodes : [],
        breaks: [{ name: "dns.upstream" }],
        title: say.dead({ upstream: upstream ?? forward?.to ?? say.unnamed(), config: refId(config) }),
        evidence: [last.evidence, ...quote, ...failed.slice(0, 2).map(({ evidence }) => evidence), ...counted],
        // that CoreDNS says so and that names fail are two independent witnesses
        strength: failed.length > 0 ? "direct" : "heard",
        since: complaints[0]?.entry.first.at,
        facts: { case: fromNode ? "node" : "corefile", ...(forward && { line: forward.line }) },
      });
    }
  },

  remedies({ repair, related, facts, nodes }, { dns }) {
    const verify = { run: "kubectl run -it --rm ask --image=busybox --restart=Never -- nslookup example.org" };
    const base = { id: "other-upstream", risk: "low", interrupts: say.nothing(), prevent: [say.prevent()] } as const;
    if (facts.case === "node") {
      const edit = { run: "cat /etc/resolv.conf; vi /etc/resolv.conf" };
      const steps = [
        ...nodes.map((node) => ({
          why: say.correctNode(),
          change: { ...edit, node },
          undo: { ...edit, node },
          verify: { run: "nslookup example.org", node },
        })),
        { why: say.restart(), change: { do: "restart", component: related[0]! } as const, verify },
      ];
      return [{ ...base, steps }];
    }
    const line = Number(facts.line);
    const forward = dns.forwards.find(
      (one) => one.line === line && one.server.configMap && refId(one.server.configMap) === refId(repair),
    );
    const servers = forward && dns.upstreamOfNodes(forward);
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const correct = servers
      ? { why: say.toNodes({ servers: servers }), ...forwardedToNodes(repair, forward), verify }
      : { why: say.correctForward({ line }), change: edit, undo: edit, verify };
    return [{ ...base, steps: [correct] }];
  },

  manual: {
    title: { en: "CoreDNS' upstream servers do not answer", zh: "CoreDNS 的上游服务器无应答" },
    page: {
      en: `CoreDNS answers names of the cluster itself and forwards all others to upstream servers, which are named in the Corefile or in the resolv.conf of its node. Those do not answer.

**How it looks.** External names fail with SERVFAIL after two to six seconds; names of the cluster resolve at once. CoreDNS logs \`plugin/errors: 2 … i/o timeout\` with the address of the upstream.

**When this is not the cause.** If cluster names fail as well, look at CoreDNS and at the way to it. If CoreDNS' Pods reach nothing outside at all, the cause is the node's forwarding, masquerading or the network outside. In clusters without way to the outside, external names are not meant to resolve.`,
      zh: `集群内的域名由 CoreDNS 自己回答，其余域名转发给上游服务器（写在 Corefile 或其所在节点的 resolv.conf 中）。现在上游没有应答。

**现象。** 外部域名在 2 到 6 秒后以 SERVFAIL 失败，集群内域名立即解析成功。CoreDNS 日志出现 \`plugin/errors: 2 … i/o timeout\`，其中带有上游地址。

**何时不是它。** 若集群内域名也失败，应检查 CoreDNS 本身以及通往它的路径。若 CoreDNS 的 Pod 完全访问不了外部，原因在节点的转发、源地址转换或外部网络。不通外网的集群本来就解析不了外部域名。`,
    },
  },
});
