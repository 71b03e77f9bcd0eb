import type { Evidence } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PolicyView } from "../../model/policies/views.ts";
import { kubectlName, ref, refId } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "policies" | "logs" | "cilium" | "components">;

const say = texts("cilium-policy-refused", {
  refused: {
    en: "Cilium's agents refuse {policy} and enforce nothing of it: {error}",
    zh: "Cilium 代理拒绝了 {policy}，其内容完全没有生效：{error}",
  },
  noProxy: {
    en: "{policy} needs Cilium's proxy ({needs}), which {config} turns off (enable-l7-proxy: false): the agents refuse it and enforce nothing of it ({error})",
    zh: "{policy} 需要 Cilium 的代理（{needs}），而 {config} 将其关闭（enable-l7-proxy: false）：代理拒绝该策略，其内容完全没有生效（{error}）",
  },
  correct: {
    en: "Correct what the agents complain of; they take the policy as soon as it is right",
    zh: "修正代理所报告的问题；策略正确后代理会立即采用",
  },
  turnOn: {
    en: "Turn the proxy on and restart the agents, or write the policy without names and rules of applications",
    zh: "启用代理并重启 Cilium 代理，或改写该策略，不使用域名及应用层规则",
  },
  interrupts: {
    en: "What the policy does not allow is denied from then on",
    zh: "此后该策略未放行的连接会被拒绝",
  },
  prevent: {
    en: "Alert on `cilium_policy_import_errors_total` (from 1.15 on `cilium_policy_change_total` with outcome fail): a refused policy leaves no trace in kubectl",
    zh: "对 `cilium_policy_import_errors_total`（1.15 起为 outcome 为 fail 的 `cilium_policy_change_total`）告警：被拒绝的策略在 kubectl 中看不出来",
  },
});

/** What an agent says of each try (pkg/k8s/watchers/cilium_network_policy.go). */
const REFUSED = /(?:Unable|Failed) to add Cilium(?:Clusterwide)?NetworkPolicy\b/;
const NAME = /\bciliumNetworkPolicyName=("?)([^\s"]+)\1/;
const NAMESPACE = /\bk8sNamespace=("?)([^\s"]*)\1/;
const ERROR = /\berror="((?:[^"\\]|\\.)*)"|\berror=(\S+)/;

/** What of a policy only the agents' proxy can do. */
function proxied({ spec }: PolicyView): string | undefined {
  const text = JSON.stringify(spec);
  if (text.includes('"toFQDNs"')) return "toFQDNs";
  const kind = /"rules":\{"(dns|http|kafka|l7)"/.exec(text)?.[1];
  return kind && `rules.${kind}`;
}

type Refusal = { readonly policy: PolicyView; readonly error: string; readonly evidence: readonly Evidence[] };

/** Policies that exist, of each what agents said last of it. */
function refusals({ policies, logs, components }: Model): Refusal[] {
  const agents = components.byId("cilium").flatMap(({ pods }) => pods);
  const said = agents
    .flatMap((pod) => logs.said(pod, REFUSED))
    .flatMap(({ entry, evidence, current }) => {
      const { message } = entry.last;
      const name = NAME.exec(message)?.[2];
      const error = ERROR.exec(message);
      return name !== undefined && current
        ? [{ key: `${NAMESPACE.exec(message)?.[2] ?? ""}/${name}`, error: error?.[1] ?? error?.[2] ?? "", evidence }]
        : [];
    });
  return [...Map.groupBy(said, ({ key }) => key)].flatMap(([key, all]) => {
    const policy = policies.all.find((one) => `${one.namespace}/${one.name}` === key && one.list !== "networkpolicies");
    const last = all.at(-1);
    return policy && last
      ? [{ policy, error: last.error, evidence: all.slice(-2).map(({ evidence }) => evidence) }]
      : [];
  });
}

/** Policies of Cilium's kinds that the API server took and the agents do not. */
export const ciliumPolicyRefused = defineCheck({
  id: "cilium-policy-refused",
  reads: ["policies", "logs", "cilium", "components"],

  *find(model) {
    const { policies, cilium, components } = model;
    const [agent] = components.byId("cilium");
    const map = agent?.definition.marker?.configMap;
    const config = map === undefined ? undefined : ref("ConfigMap", map, agent?.ref.namespace);
    for (const { policy, error, evidence } of refusals(model)) {
      const needs = cilium.setting("enable-l7-proxy") === "false" ? proxied(policy) : undefined;
      const told = { policy: refId(policy.ref), error };
      yield fault({
        repair: policy.ref,
        related: [...(needs !== undefined && config ? [config] : []), ...(agent ? [agent.ref] : [])],
        breaks: [{ name: "policy.allow", policy: refId(policy.ref) }],
        title:
          needs !== undefined && config ? say.noProxy({ ...told, needs, config: refId(config) }) : say.refused(told),
        evidence: [...evidence, policies.quote(policy, `${refId(policy.ref)}: ${JSON.stringify(policy.spec)}`)],
        strength: "direct",
        facts: { case: needs === undefined ? "invalid" : "proxy" },
      });
    }
  },

  remedies({ repair, related, facts }) {
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const config = related.find(({ kind }) => kind === "ConfigMap");
    const verify = { run: `kubectl -n kube-system logs ds/cilium -c cilium-agent --since=1m | grep ${repair.name}` };
    const step =
      facts.case === "proxy" && config
        ? {
            why: say.turnOn(),
            change: { do: "patch", target: config, patch: { data: { "enable-l7-proxy": "true" } } } as const,
            undo: { do: "patch", target: config, patch: { data: { "enable-l7-proxy": "false" } } } as const,
            verify,
          }
        : { why: say.correct(), change: edit, undo: edit, verify };
    return [
      { id: "let-it-be-taken", risk: "medium", interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: { en: "Cilium's agents refuse a policy", zh: "Cilium 代理拒绝了策略" },
    page: {
      en: `The API server takes a CiliumNetworkPolicy that fits its schema; each agent then checks it once more and may refuse it. A refused policy is not enforced, not even in part: what it was to deny stays open, and what it was to allow beside other policies stays closed.

**How it looks.** The policy is listed like any other, and nothing changes. The agents say \`Unable to add CiliumNetworkPolicy\` with the reason, again and again, at growing intervals.

**How it comes about.** Names (\`toFQDNs\`) or rules of applications where \`enable-l7-proxy\` is false; combinations that a version does not know (toPorts with ICMP, L7 rules in a deny rule); an invalid pattern or range.

**When this is not the cause.** A complaint of a policy that was corrected since is over, and is not told.`,
      zh: `API Server 只检查 CiliumNetworkPolicy 是否符合结构定义；每个代理随后还会再检查一遍，并可能拒绝。被拒绝的策略完全不会执行：它要禁止的仍然放开，它要在其他策略之外放行的仍然禁止。

**现象。** 策略照常列出，但没有任何变化。代理日志中反复出现 \`Unable to add CiliumNetworkPolicy\` 及原因，间隔逐渐拉长。

**成因。** \`enable-l7-proxy\` 为 false 却使用了域名（\`toFQDNs\`）或应用层规则；使用了该版本不支持的组合（toPorts 与 ICMP 同时使用、deny 规则中带 L7 规则）；模式或网段无效。

**何时不是它。** 策略此后已被修正的，相应日志属于过去，不会报告。`,
    },
  },
});
