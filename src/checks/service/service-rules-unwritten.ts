import type { Component } from "../../model/components/components.ts";
import type { ClusterModel } from "../../model/model.ts";
import { refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "logs">;

const say = texts("service-rules-unwritten", {
  waits: {
    en: "kube-proxy on node {node} does not write its rules: changes of Services have waited for more than a minute",
    zh: "节点 {node} 上的 kube-proxy 没有写入规则：Service 的变化已等待超过一分钟",
  },
  fails: {
    en: "kube-proxy on node {node} fails to write its rules: “{line}”",
    zh: "节点 {node} 上的 kube-proxy 写入规则失败：“{line}”",
  },
  look: {
    en: "See why it cannot write: who holds the lock of xtables, which rule is refused, whether memory or a module is missing",
    zh: "查看写入失败的原因：谁占用了 xtables 锁、哪条规则被拒绝、是否缺少内存或内核模块",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Alert where kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds stays ahead of kubeproxy_sync_proxy_rules_last_timestamp_seconds, and on 503 of /healthz at port 10256: kube-proxy's Pod stays Ready meanwhile",
    zh: "对 kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds 持续领先 kubeproxy_sync_proxy_rules_last_timestamp_seconds 以及 10256 端口 /healthz 返回 503 设置告警：此时 kube-proxy 的 Pod 仍然是 Ready",
  },
});

/**
 * What the tools that write say, on a line of its own or within kube-proxy's (proxier.go of 1.18 to 1.36: "Failed to execute
 * iptables-restore", "Failed to ensure chain exists").
 */
const WRITING_FAILED =
  /(?:ip6?tables-restore v[\d.]+ \(\w+\): .*|nftables sync failed.*|Failed to execute iptables-restore.*(?:exit status|signal).*|Failed to ensure (?:chain exists|that \w+ chain \S+ exists).*)/;

const MOST_SAID = 160;

/** Why it fails, in the words of the tool that writes. */
function reasonOf(proxy: Component, node: string, { logs }: Model) {
  const sayings = proxy.pods
    .filter((pod) => pod.node === node)
    .flatMap((pod) => logs.said(pod, WRITING_FAILED))
    .filter(({ current }) => current);
  const last = sayings.at(-1);
  const line = last && WRITING_FAILED.exec(last.entry.last.message)?.[0].slice(0, MOST_SAID);
  return last && line !== undefined ? { line, evidence: last.evidence, saying: last } : undefined;
}

/** It tries again every half a minute: one that fails to all the time, up to the end, has written nothing since. */
const OFTEN = 3;

function heardOf(proxy: Component, node: string, model: Model & Pick<ClusterModel, "proxy">) {
  // its own word, or its rules, tell more than what it complains of
  if (model.proxy.showsWrites(node)) return undefined;
  const reason = reasonOf(proxy, node, model);
  return reason?.saying.ongoing && reason.saying.entry.count >= OFTEN ? reason : undefined;
}

/** kube-proxy of a node learns of changes and cannot write them. */
export const serviceRulesUnwritten = defineCheck({
  id: "service-rules-unwritten",
  reads: ["nodes", "components", "proxy", "logs", "services"],

  *find(model) {
    const { nodes, components, proxy, services } = model;
    const used = new Set(services.all.filter(({ proxied }) => proxied).flatMap(({ families }) => families));
    for (const component of components.byId("kube-proxy")) {
      for (const { name: node, ref: self } of nodes.all) {
        if (component.belongsOn(node) === false) continue;
        const pod = component.pods.find((one) => one.node === node);
        const common = {
          repair: self,
          related: [component.ref],
          nodes: [node],
          breaks: [{ name: "component.learn", component: refId(component.ref), node }] as const,
          facts: pod ? { namespace: pod.namespace, pod: pod.name } : {},
        };
        const held = proxy.heldBack(node);
        const heard = heardOf(component, node, model);
        if (heard) {
          const title = say.fails({ node, line: heard.line });
          yield fault({
            ...common,
            title,
            evidence: [heard.evidence],
            strength: "heard",
            since: heard.saying.entry.first.at,
          });
        }
        if (!held) continue;
        // nobody asks for rules of a family of which there is no Service
        const { families, evidence, since } = held;
        if (families.length > 0 && !families.some((family) => used.has(family === "IPv4" ? 4 : 6))) continue;
        const reason = reasonOf(component, node, model);
        yield fault({
          ...common,
          title: reason ? say.fails({ node, line: reason.line }) : say.waits({ node }),
          evidence: [...evidence.slice(0, 1), ...(reason ? [reason.evidence] : []), ...evidence.slice(1)],
          strength: "direct",
          since,
        });
      }
    }
  },

  remedies({ nodes, facts }) {
    const [node = ""] = nodes;
    const { namespace = "kube-system", pod } = facts as Readonly<Record<string, string | undefined>>;
    const log =
      pod === undefined ? "journalctl -u kube-proxy -n 50" : sh`kubectl logs -n ${namespace} ${pod} --tail=50`;
    const verify = { run: sh`kubectl get --raw ${`/api/v1/nodes/${node}:10256/proxy/healthz`}` };
    const steps = [{ why: say.look(), change: pod === undefined ? { run: log, node } : { run: log }, verify }];
    return [{ id: "let-it-write", risk: "none", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "kube-proxy does not write its rules", zh: "kube-proxy 没有写入规则" },
    page: {
      en: `kube-proxy on a node knows of changes of Services and their back ends and has not written them for more than a minute: it says so itself, with 503 at \`/healthz\` on port 10256, or by its metrics, where the time of the last change is ahead of the time of the last write. Where neither was asked and its rules were not seen, its log tells, if it fails all the time.

**How it looks.** Its Pod runs and is Ready. Connections to Services work where nothing has changed, and on this node only go to back ends that are gone, or to nothing, where something has. Its log repeats \`Failed to execute iptables-restore\`.

**How it comes about.** Something else holds the lock of xtables or floods the rules; iptables refuses a rule (a module or an extension is missing, two versions of iptables are mixed); the kernel has no memory for the table; a write takes longer than changes take to come.

**When this is not the cause.** A kube-proxy that is not told of changes (permissions, API server) has nothing to write and counts as healthy. A rule that somebody else took away is not noticed by it either.`,
      zh: `节点上的 kube-proxy 已获知 Service 及其后端的变化，但超过一分钟没有写入规则。这由它自己报告：10256 端口的 \`/healthz\` 返回 503；或者从指标看，最近一次变化的时间领先于最近一次写入的时间。若两者均未采集且看不到其规则，则由持续报错的日志判断。

**现象。** 它的 Pod 在运行且为 Ready。没有变化的 Service 访问正常；有变化的 Service，仅在该节点上会被转发到已不存在的后端，或无法转发。日志反复出现 \`Failed to execute iptables-restore\`。

**成因。** 其他程序占用 xtables 锁或写入了大量规则；iptables 拒绝某条规则（缺少内核模块或扩展、混用了两个版本的 iptables）；内核没有足够内存容纳规则表；写入耗时长于变化间隔。

**何时不是它。** 获取不到变化（权限、API Server）的 kube-proxy 没有可写的内容，会报告健康。被他人删除的规则它也察觉不到。`,
    },
  },
});
