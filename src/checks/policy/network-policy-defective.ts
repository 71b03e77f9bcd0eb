import { cannotTell, defineCheck } from "../check.ts";
import { judgeDns, judgeDnsEgress, judgeDnsServers } from "./network-policy-defective/dns.ts";
import { judgeCallers, judgePeers, judgeServiceBlocks } from "./network-policy-defective/peers.ts";
import { judgePorts } from "./network-policy-defective/ports.ts";
import { remediesFor } from "./network-policy-defective/remedies.ts";
import { say } from "./network-policy-defective/words.ts";

/** A NetworkPolicy denies what it can only have meant to allow. */
export const networkPolicyDefective = defineCheck({
  id: "network-policy-defective",
  reads: ["policies", "pods", "nodes", "services", "dns", "sockets", "observations", "components", "objects", "ranges"],

  *find(model) {
    const { policies, pods, services } = model;
    if (policies.enforcement === "nothing" || (policies.whole && policies.all.length === 0)) return;
    if (policies.enforcement === "unknown" || !policies.whole || !pods.whole) {
      const missing = !policies.whole
        ? (
            ["networkpolicies", "namespaces", "ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"] as const
          ).filter((list) => !model.objects.isWhole(list) && model.objects.observed(list).state !== "absent")
        : !pods.whole
          ? (["pods"] as const)
          : [];
      yield cannotTell(
        { name: "policy.allow" },
        missing.map((kind) => ({ kind })),
        missing.length === 0 ? say.unknownEnforcer() : undefined,
      );
      return;
    }
    yield* judgeDns(model);
    yield* judgeDnsServers(model);
    yield* judgeDnsEgress(model);
    for (const policy of policies.all) {
      const selected = policies.selected(policy).filter(({ finished }) => !finished);
      if (selected.length === 0) continue;
      yield* judgePorts(policy, selected, model);
      yield* judgePeers(policy, selected, model);
      yield* judgeServiceBlocks(policy, selected, model);
    }
    for (const service of services.all) if (service.selector) yield* judgeCallers(service, model);
  },

  remedies: ({ repair, facts }, model) => remediesFor(repair, facts, model),

  manual: {
    title: { en: "A NetworkPolicy denies what it meant to allow", zh: "NetworkPolicy 拒绝了本应放行的流量" },
    page: {
      en: `A NetworkPolicy isolates Pods and allows less than it can have meant: it lets Pods send to others by label and forgets DNS, allows ports on which the Pods do not listen, names peers that do not exist, lets nobody in to Pods behind a Service that is called, or keeps CoreDNS from the API server.

**How it looks.** Timeouts (Calico, Cilium) or refusals (kube-router) for the isolated Pods only. With DNS forgotten, everything by name fails ("Temporary failure in name resolution") while connections by address work.

**When this is not the cause.** A connection that a policy denies and that nobody needs is isolation, not a fault: netwhy lists it under "denied on purpose". Pods that may send nothing at all are taken to be locked in on purpose. Where nothing enforces policies, they deny nothing.`,
      zh: `NetworkPolicy 隔离了 Pod，但放行的少于其本意：按标签放行了出站目标却遗漏 DNS、放行的端口并非 Pod 监听的端口、对端并不存在，有人调用的 Service 背后的 Pod 不接受任何来源，或者 CoreDNS 无法访问 API Server。

**现象。** 仅被隔离的 Pod 出现超时（Calico、Cilium）或被拒绝（kube-router）。遗漏 DNS 时，凡用域名的访问都失败（“Temporary failure in name resolution”），直接用地址则正常。

**何时不是它。** 策略拒绝、且没有人需要的连接是隔离而非故障，netwhy 将其列在“有意拒绝”中。完全不允许出站的 Pod 视为有意封闭。没有组件执行策略时，策略不拒绝任何流量。`,
    },
  },
});
