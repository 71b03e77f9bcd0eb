import { known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import { destinationOf } from "../../model/forwarding/route-table.ts";
import { quoteRoute } from "../../model/forwarding/routing.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ipOf } from "../../model/pods.ts";
import { kubectlName, refId } from "../../model/ref.ts";
import { formatIp } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault, warning } from "../check.ts";

type Model = Pick<ClusterModel, "calico" | "nodes" | "pods" | "components" | "forwarding" | "policies">;

const say = texts("calico-interface-prefix-wrong", {
  foreign: {
    en: "Calico takes the Pods' devices for foreign and enforces no policy on them: {config} says that their names begin with {prefix}, and they are called {device} and the like",
    zh: "Calico 不把 Pod 的网卡当作工作负载，因而不对其执行任何策略：{config} 规定名称以 {prefix} 开头，而实际名称形如 {device}",
  },
  remove: {
    en: "Take interfacePrefix out of it: Felix then looks for `cali`, as Calico's CNI plugin names devices",
    zh: "从中去掉 interfacePrefix：Felix 会按 Calico CNI 插件的命名查找 `cali`",
  },
  edit: {
    en: "Correct FELIX_INTERFACEPREFIX: Calico's own CNI plugin names devices `cali…`, others `eni…`, `gke…` or `tap…`",
    zh: "修正 FELIX_INTERFACEPREFIX：Calico 自身 CNI 插件的网卡名为 `cali…`，其他插件为 `eni…`、`gke…` 或 `tap…`",
  },
  interrupts: {
    en: "What the policies deny is denied again",
    zh: "策略禁止的连接会重新被拒绝",
  },
  prevent: {
    en: "Test what a policy denies, not only what it allows",
    zh: "不仅要测试策略允许的访问，也要测试其禁止的访问",
  },
});

type Foreign = { readonly device: string; readonly evidence: Evidence };

/** A device of a Pod of this node, if Felix takes none of them for a workload's. */
function foreignDevice(node: string, prefixes: readonly string[], { pods, forwarding }: Model): Foreign | undefined {
  const plane = forwarding.of(node);
  const own = new Set(
    pods.onNode(node).flatMap((pod) => {
      const ip = pod.hostNetwork || pod.finished ? undefined : ipOf(pod, 4);
      return ip ? [formatIp(ip)] : [];
    }),
  );
  const devices = (known(plane.routes) ?? []).flatMap((route) => {
    const to = destinationOf(route);
    const [hop] = route.nextHops;
    const isOfPod = to?.length === 32 && own.has(formatIp(to.ip)) && hop?.gateway === undefined;
    return isOfPod && hop?.device !== undefined ? [{ device: hop.device, route }] : [];
  });
  if (devices.some(({ device }) => prefixes.some((prefix) => device.startsWith(prefix)))) return undefined;
  const [first] = devices;
  return first && { device: first.device, evidence: quoteRoute(plane, first.route) };
}

/** Felix is told other names than the Pods' devices have, and so enforces nothing on them. */
export const calicoInterfacePrefixWrong = defineCheck({
  id: "calico-interface-prefix-wrong",
  reads: ["calico", "nodes", "pods", "components", "forwarding", "policies"],

  *find(model) {
    const { calico, nodes, components, policies } = model;
    if (!calico.used) return;
    const found = nodes.all.flatMap(({ name, sampled }) => {
      const setting = sampled ? calico.setting(name, "interfacePrefix") : undefined;
      if (!setting) return [];
      const foreign = foreignDevice(name, setting.value.split(","), model);
      return foreign ? [{ name, setting, foreign }] : [];
    });
    const agents = components.byId("calico-node").map(({ ref }) => ref);
    const hasPolicies = policies.all.length + policies.calico.all.length > 0;
    for (const group of Map.groupBy(found, ({ setting }) => refId(setting.ref)).values()) {
      const [{ setting, foreign }] = group as [(typeof group)[number]];
      const title = say.foreign({ config: refId(setting.ref), prefix: setting.value, device: foreign.device });
      const evidence = [setting.evidence, ...group.slice(0, 3).map((one) => one.foreign.evidence)];
      const related = agents.filter((agent) => refId(agent) !== refId(setting.ref));
      // without policies there is nothing that is not enforced
      if (!hasPolicies) yield warning(setting.ref, title, evidence, related);
      else
        yield fault({
          repair: setting.ref,
          related,
          nodes: group.map(({ name }) => name),
          breaks: group.map(({ name }) => ({ name: "policy.rules", node: name })),
          title,
          evidence,
          strength: "direct",
        });
    }
  },

  remedies({ repair, nodes: [node = ""] }) {
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const patch = { do: "patch", target: repair, patch: { spec: { interfacePrefix: null } } } as const;
    const verify = { run: "iptables-save -t filter | grep -c cali-tw-", node };
    const isFelix = repair.kind === "FelixConfiguration";
    const step = { why: isFelix ? say.remove() : say.edit(), change: isFelix ? patch : edit, undo: edit, verify };
    const rest = { interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] };
    return [{ id: "name-devices", risk: "medium", ...rest }];
  },

  manual: {
    title: { en: "Calico takes the Pods' devices for foreign", zh: "Calico 不识别 Pod 的网卡" },
    page: {
      en: `Felix knows the devices of Pods by how their names begin: \`interfacePrefix\`, \`cali\` unless a FelixConfiguration or the environment of calico-node says otherwise. Where none of a node's Pods has a device of such a name, no packet of theirs comes to the chains that enforce policies.

**How it looks.** Everything works, also what NetworkPolicies deny. The chains \`cali-tw-…\` and \`cali-fw-…\` of the Pods are gone or never used, and Felix does not maintain the routes to the Pods any more.

**How it comes about.** A setting for another platform (\`eni\` on EKS, \`gke\`, \`tap\` on OpenStack), copied to a cluster whose devices Calico's own plugin names.

**When this is not the cause.** Where another CNI plugin makes the devices, their names are that plugin's, and the setting has to say so. It may name several, divided by commas.`,
      zh: `Felix 按名称前缀识别 Pod 的网卡：\`interfacePrefix\`，除非 FelixConfiguration 或 calico-node 的环境变量另有规定，否则为 \`cali\`。若节点上没有任何 Pod 的网卡符合该前缀，其报文就不会进入执行策略的链。

**现象。** 一切访问都通，包括 NetworkPolicy 禁止的访问。Pod 的 \`cali-tw-…\`、\`cali-fw-…\` 链消失或从未命中，Felix 也不再维护到 Pod 的路由。

**成因。** 把其他平台的设置（EKS 的 \`eni\`、\`gke\`、OpenStack 的 \`tap\`）照搬到由 Calico 自身插件命名网卡的集群。

**何时不是它。** 若网卡由其他 CNI 插件创建，名称即为该插件的命名，此设置就应如此；可用逗号分隔多个前缀。`,
    },
  },
});
