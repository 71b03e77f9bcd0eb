import { ref } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { defineCheck, warning } from "../check.ts";

const say = texts("network-policy-unenforced", {
  unenforced: {
    en: "{count} {count:NetworkPolicy exists|NetworkPolicies exist} and nothing enforces {count:it|them}: {cni} alone does not",
    zh: "存在 {count} 条 NetworkPolicy，但没有任何组件执行它们：仅有 {cni} 并不执行策略",
  },
});

/** NetworkPolicies exist, and nothing in the cluster enforces them. */
export const networkPolicyUnenforced = defineCheck({
  id: "network-policy-unenforced",
  reads: ["policies", "components"],

  *find({ policies, components }) {
    const first = policies.all[0];
    if (policies.enforcement !== "nothing" || !first) return;
    const [network] = components.withDuty("cni");
    const title = say.unenforced({ count: policies.all.length, cni: network?.definition.name ?? "flannel" });
    const evidence = policies.all
      .slice(0, 3)
      .map((policy) => policies.quote(policy, `NetworkPolicy ${policy.namespace}/${policy.name}`));
    yield warning(
      network?.ref ?? ref("Cluster", "cluster"),
      title,
      evidence,
      policies.all.map((policy) => policy.ref),
    );
  },

  manual: {
    title: { en: "NetworkPolicies that nothing enforces", zh: "没有组件执行的 NetworkPolicy" },
    page: {
      en: `The API server accepts NetworkPolicies in every cluster; whether they do anything is up to the network plugin. flannel does not enforce them, nor did kindnet before kind v0.24.

**How it looks.** Everything works, also what the policies seem to forbid. That is a hazard, not a fault: nothing that exists is broken.

**What to do.** Add an enforcer (Calico's policy-only mode, kube-router, Cilium), and test what it will deny before it does: policies that were never enforced have never been tried.

**When this does not apply.** Clouds and distributions bring enforcers of their own; netwhy says this only where such a one is the network and no enforcer is found.`,
      zh: `任何集群的 API Server 都接受 NetworkPolicy，但是否生效取决于网络插件。flannel 不执行策略，kind v0.24 之前的 kindnet 也不执行。

**现象。** 一切正常，连策略看似禁止的流量也能通过。这是隐患而非故障：现有的东西都没有坏。

**怎么办。** 增加策略执行组件（Calico 仅策略模式、kube-router、Cilium），并在启用前先测试会拒绝哪些流量：从未执行过的策略也从未被验证过。

**何时不适用。** 云厂商和发行版有自己的执行组件；只有当网络插件属于这一类且未发现执行组件时，netwhy 才这样报告。`,
    },
  },
});
