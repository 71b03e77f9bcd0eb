import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, refId } from "../../model/ref.ts";
import type { Rule } from "../../parse/iptables/save.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "calico" | "nodes" | "components" | "services" | "forwarding">;

const say = texts("calico-host-access-off", {
  drops: {
    en: "Calico drops what Pods send to their own node (defaultEndpointToHostAction: {action} in {config}): Pods on {node} do not reach the API server, which runs there",
    zh: "Calico 丢弃 Pod 发往所在节点的报文（{config} 的 defaultEndpointToHostAction: {action}）：{node} 上的 Pod 无法访问同在该节点的 API Server",
  },
  bySilence: {
    en: "Calico drops what Pods send to their own node (nothing sets defaultEndpointToHostAction, and its default is Drop): Pods on {node} do not reach the API server, which runs there",
    zh: "Calico 丢弃 Pod 发往所在节点的报文（未设置 defaultEndpointToHostAction，默认值为 Drop）：{node} 上的 Pod 无法访问同在该节点的 API Server",
  },
  accept: {
    en: "Let what Pods send to their own node go on to the node's own rules, as Calico's manifest does",
    zh: "按 Calico 官方清单设置，让 Pod 发往所在节点的报文继续由节点自身规则处理",
  },
  rolls: {
    en: "calico-node is restarted node by node; connections go on",
    zh: "calico-node 逐个节点重启，已有连接不受影响",
  },
  nothing: { en: "Nothing: Felix rewrites one rule", zh: "无：Felix 只改写一条规则" },
  prevent: {
    en: "Protect nodes from Pods by a policy for HostEndpoints that names the API server's port, not by dropping everything",
    zh: "需要限制 Pod 访问节点时，使用 HostEndpoint 策略并放行 API Server 端口，而不要全部丢弃",
  },
});

/** How Felix comments the rule that this setting makes (felix/rules/static.go). */
const COMMENT = "Configured DefaultEndpointToHostAction";

const isMadeBySetting = ({ conditions }: Rule): boolean =>
  conditions.some((one) => one.is === "comment" && one.comment.includes(COMMENT));

/** The rule of a node by which Felix drops what Pods send to it; undefined if it does not. */
function dropping(node: string, { forwarding }: Model): Evidence | undefined {
  const { iptables } = forwarding.of(node);
  const rules = known(iptables)
    ?.tables.filter(({ name }) => name === "filter")
    .flatMap(({ chains }) => chains.flatMap((chain) => chain.rules.map((rule) => ({ chain: chain.name, rule }))));
  const found = rules?.find(({ rule }) => isMadeBySetting(rule) && DROPS.has(rule.target.does));
  const action = found?.rule.target.does.toUpperCase();
  return (
    found &&
    quoteOf(
      { ...iptables.origin, line: found.rule.line },
      `-A ${found.chain} -m comment --comment "${COMMENT}" -j ${action}`,
    )
  );
}

const DROPS: ReadonlySet<string> = new Set(["drop", "reject"]);

/** Felix drops what Pods send to their own node, and the API server is on it. */
export const calicoHostAccessOff = defineCheck({
  id: "calico-host-access-off",
  reads: ["calico", "nodes", "components", "services", "forwarding"],

  *find(model) {
    const { calico, nodes, components, services, forwarding } = model;
    const [agent] = components.byId("calico-node");
    const api = services.get("default", "kubernetes")?.ports[0];
    if (!agent || !api) return;
    const homes = new Set(services.endpoints(api).flatMap(({ address }) => nodes.byAddress(address)?.name ?? []));
    const found = [...homes].flatMap((node) => {
      const rule = dropping(node, model);
      return rule ? [{ node, rule, setting: calico.setting(node, "defaultEndpointToHostAction") }] : [];
    });
    for (const node of homes) {
      const isSeen = forwarding.of(node).iptables.state === "present";
      if (!isSeen) yield cannotTell({ name: "node.lead-to-api", node }, [{ kind: "iptables", place: { node } }]);
    }
    const whose = ({ setting }: (typeof found)[number]): Ref => setting?.ref ?? agent.ref;
    for (const group of Map.groupBy(found, (one) => refId(whose(one))).values()) {
      const [first] = group as [(typeof group)[number]];
      const { setting } = first;
      const node = group.map((one) => one.node);
      yield fault({
        repair: whose(first),
        related: setting?.ref.kind === "FelixConfiguration" ? [agent.ref] : [],
        nodes: group.map((one) => one.node),
        breaks: group.map((one) => ({ name: "node.lead-to-api", node: one.node })),
        title: setting
          ? say.drops({ node, action: setting.value, config: refId(setting.ref) })
          : say.bySilence({ node }),
        evidence: [...(setting ? [setting.evidence] : []), ...group.map(({ rule }) => rule)],
        strength: "direct",
      });
    }
  },

  remedies({ repair, nodes: [node = ""] }) {
    const verify = { run: `iptables-save -t filter | grep ${COMMENT.split(" ")[1]}`, node };
    const variable = "FELIX_DEFAULTENDPOINTTOHOSTACTION";
    const set = (value: string) => ({
      run: `kubectl set env ${kubectlName(repair)} -c calico-node ${variable}=${value}`,
    });
    const patch = (value: string) =>
      ({ do: "patch", target: repair, patch: { spec: { defaultEndpointToHostAction: value } } }) as const;
    const isAgent = repair.kind === "DaemonSet";
    const step = {
      why: say.accept(),
      change: isAgent ? set("ACCEPT") : patch("Accept"),
      undo: isAgent ? set("DROP") : patch("Drop"),
      verify,
    };
    const interrupts = isAgent ? say.rolls() : say.nothing();
    return [{ id: "accept", risk: "low", interrupts, steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "Calico drops what Pods send to their own node",
      zh: "Calico 丢弃 Pod 发往所在节点的报文",
    },
    page: {
      en: `Felix decides what becomes of packets that Pods send to the node on which they run: \`defaultEndpointToHostAction\`, whose default is Drop. Calico's manifests set it to Accept. Where it is Drop, Pods on a control plane's node do not reach the API server there, while Pods of all other nodes do.

**How it looks.** A Pod works on most nodes and times out towards \`kubernetes.default\` on a node of the control plane: controllers, CoreDNS and operators that were scheduled there do not start. With several API servers, a part of the connections fails.

**How it comes about.** The variable \`FELIX_DEFAULTENDPOINTTOHOSTACTION\` lost in a manifest of one's own, set to Drop to protect nodes, or a FelixConfiguration made for that.

**When this is not the cause.** On nodes without an API server the setting is a choice, and nothing is found: node ports and Pods with the node's network are then closed to Pods of the same node, too.`,
      zh: `Pod 发往其所在节点的报文如何处理由 Felix 的 \`defaultEndpointToHostAction\` 决定，默认值为 Drop；Calico 官方清单将其设为 Accept。若为 Drop，控制面节点上的 Pod 无法访问该节点上的 API Server，而其他节点的 Pod 正常。

**现象。** 同一应用在多数节点上正常，调度到控制面节点后访问 \`kubernetes.default\` 超时：控制器、CoreDNS、Operator 在那里无法启动。有多个 API Server 时表现为部分连接失败。

**成因。** 自行维护的清单遗漏了环境变量 \`FELIX_DEFAULTENDPOINTTOHOSTACTION\`，或为保护节点而设为 Drop，或创建了这样的 FelixConfiguration。

**何时不是它。** 在没有 API Server 的节点上这只是一种选择，不会报告：此时同节点的 Pod 也无法访问该节点的 NodePort 和使用主机网络的 Pod。`,
    },
  },
});
