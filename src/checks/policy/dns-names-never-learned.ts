import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import type { PolicyView } from "../../model/policies/views.ts";
import { kubectlName, refId } from "../../model/ref.ts";
import type { CiliumPolicyRule, CiliumPolicySpec } from "../../parse/objects.ts";
import { fewOf, texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "policies" | "pods" | "observations" | "cilium">;

const say = texts("dns-names-never-learned", {
  noProxy: {
    en: "{policy} lets {pods} send to {names} by name, and no policy of theirs hands their DNS queries to Cilium's proxy (rules.dns): it learns no address of these names and denies them all",
    zh: "{policy} 按域名放行 {pods} 访问 {names}，但没有任何策略把其 DNS 查询交给 Cilium 的代理（rules.dns）：代理学不到这些域名的地址，因而全部拒绝",
  },
  add: {
    en: "Add `rules.dns` with a `matchPattern` (`*` for every name) to the rule that lets these Pods ask cluster DNS (port 53)",
    zh: "在放行这些 Pod 访问集群 DNS（53 端口）的规则中加上 `rules.dns`，并写明 `matchPattern`（`*` 表示所有域名）",
  },
  nothing: {
    en: "Nothing: queries take the way through the agent of the node from then on",
    zh: "无：此后 DNS 查询改经该节点的代理转发",
  },
  prevent: {
    en: "Keep a DNS rule for all Pods in a CiliumClusterwideNetworkPolicy, so that every policy with toFQDNs finds one",
    zh: "用一条 CiliumClusterwideNetworkPolicy 为所有 Pod 提供 DNS 规则，使每条带 toFQDNs 的策略都能生效",
  },
});

const isCilium = (policy: PolicyView): policy is PolicyView & { readonly spec: CiliumPolicySpec } =>
  policy.list === "ciliumnetworkpolicies" || policy.list === "ciliumclusterwidenetworkpolicies";

const egressOf = (policy: PolicyView): readonly CiliumPolicyRule[] =>
  isCilium(policy) ? (policy.spec.egress ?? []) : [];

const handsOn = (rule: CiliumPolicyRule): boolean =>
  (rule.toPorts ?? []).some(({ rules }) => Array.isArray(rules?.dns) && rules.dns.length > 0);

/** Whether it lets Pods send to addresses outside whatever their name, so that names do not matter. */
const opensWorld = (policy: PolicyView): boolean =>
  policy.rules.some(
    ({ direction, action, peers }) =>
      direction === "egress" &&
      action === "allow" &&
      peers.some((peer) => peer.by === undefined && peer.meansAddress({ address: "203.0.113.1" }, undefined) === true),
  );

const namesIn = (policy: PolicyView): readonly string[] =>
  egressOf(policy).flatMap(({ toFQDNs }) =>
    (toFQDNs ?? []).flatMap(({ matchName, matchPattern }) => matchName ?? matchPattern ?? []),
  );

const MOST_NAMED = 3;

function namesOf(pods: readonly PodView[]) {
  return fewOf([...new Set(pods.map((pod) => (pod.owner ? refId(pod.owner) : pod.key)))], MOST_NAMED);
}

/** A policy of Cilium's allows names of which nothing learns the addresses. */
export const dnsNamesNeverLearned = defineCheck({
  id: "dns-names-never-learned",
  reads: ["policies", "pods", "observations", "cilium"],

  *find({ policies, pods, observations, cilium }: Model) {
    // without the proxy agents refuse such a policy, and it denies nothing
    if (cilium.setting("enable-l7-proxy") === "false") return;
    for (const policy of policies.all) {
      const names = namesIn(policy);
      if (names.length === 0) continue;
      const concerned = pods.all.filter(
        (pod) => !pod.finished && !pod.hostNetwork && policies.isolating(pod, "egress").includes(policy),
      );
      const unlearned = concerned.filter((pod) => {
        const own = policies.isolating(pod, "egress");
        return !own.some((one) => egressOf(one).some(handsOn) || opensWorld(one));
      });
      if (unlearned.length === 0) continue;
      const keys = new Set(unlearned.map(({ key }) => key));
      const complaints = observations.failed.filter(({ client }) => keys.has(client.pod?.key ?? ""));
      yield fault({
        repair: policy.ref,
        related: unlearned.flatMap(({ owner }) => owner ?? []).slice(0, MOST_NAMED),
        breaks: [{ name: "policy.allow", policy: refId(policy.ref) }],
        title: say.noProxy({ policy: refId(policy.ref), pods: namesOf(unlearned), names }),
        evidence: [
          policies.quote(policy, `${refId(policy.ref)}: ${JSON.stringify(policy.spec)}`),
          ...complaints.slice(0, 2).map(({ evidence }) => evidence),
        ],
        strength: "direct",
      });
    }
  },

  remedies({ repair }) {
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const verify = { run: "kubectl -n kube-system exec ds/cilium -c cilium-agent -- cilium-dbg fqdn cache list" };
    const step = { why: say.add(), change: edit, undo: edit, verify };
    return [{ id: "proxy-dns", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A policy allows names whose addresses nobody learns", zh: "策略放行的域名无从得知其地址" },
    page: {
      en: `Cilium enforces addresses. What \`toFQDNs\` allows it knows only from DNS answers that passed its own proxy, and only queries that a rule with \`rules.dns\` allows take that way. Where no policy that selects the Pods has such a rule, the names stand for no address at all.

**How it looks.** The name resolves, and the connection to its address times out. \`cilium-dbg fqdn cache list\` has no entry of the Pod, and \`cilium-dbg policy selectors\` shows the name with no identity.

**How it comes about.** DNS allowed by port alone, as a NetworkPolicy does it; a DNS rule removed because the proxy was suspected of slow queries.

**When this is not the cause.** A DNS rule may stand in any policy that selects the same Pods, one for the whole cluster for example. Where the Pods may reach the whole world anyway, the names do not matter.`,
      zh: `Cilium 按地址执行策略。\`toFQDNs\` 放行哪些地址，只能来自经过其 DNS 代理的应答，而只有被带 \`rules.dns\` 的规则放行的查询才会经过代理。若选中这些 Pod 的所有策略都没有这样的规则，域名就不对应任何地址。

**现象。** 域名可以解析，但连接其地址超时。\`cilium-dbg fqdn cache list\` 中没有该 Pod 的记录，\`cilium-dbg policy selectors\` 中该域名没有对应的身份。

**成因。** 像 NetworkPolicy 那样只按端口放行 DNS；怀疑代理拖慢解析而删掉了 DNS 规则。

**何时不是它。** DNS 规则可以写在选中同样 Pod 的任何策略中，例如一条全集群策略。若这些 Pod 本来就能访问全部外部地址，域名规则无关紧要。`,
    },
  },
});
