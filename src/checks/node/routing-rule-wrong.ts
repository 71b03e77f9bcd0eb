import { isWhole, known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { lookupRoute, type RoutedPacket, type RouteLookup } from "../../model/forwarding/routing.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { ipOf, type PodView } from "../../model/pods.ts";
import type { Family, Ip } from "../../net/ip.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import type { RoutingRule } from "../../parse/iproute2/rule.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault, inFamily, works } from "../check.ts";

const PARTS = ["nodes", "pods", "services", "forwarding"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("routing-rule-wrong", {
  own: {
    en: "A policy routing rule on node {node} takes packets for its Pods elsewhere: {rule}",
    zh: "节点 {node} 上的一条策略路由规则把发往本节点 Pod 的报文引向别处：{rule}",
  },
  peers: {
    en: "A policy routing rule on node {node} takes packets of its Pods for Pods of {peers} elsewhere: {rule}",
    zh: "节点 {node} 上的一条策略路由规则把本节点 Pod 发往 {peers} 上 Pod 的报文引向别处：{rule}",
  },
  remove: {
    en: "Remove the rule, or give the packets of the Pod network one before it that looks into table main",
    zh: "删除该规则，或在它之前为 Pod 网段的报文添加一条查 main 表的规则",
  },
  findOwner: {
    en: "Find what added it (a VPN, a second network, cloud-init) and correct it there, or it comes back at boot",
    zh: "找出添加它的来源（VPN、第二网络、cloud-init）并在那里修正，否则重启后会再次出现",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Let policy routing leave out the Pod network: a rule `to` it that looks into table main, with a smaller priority",
    zh: "让策略路由排除 Pod 网段：添加一条优先级更高、目的为 Pod 网段、查 main 表的规则",
  },
});

const podOn = (node: string, family: Family, { pods }: Model): PodView | undefined =>
  pods.onNode(node).find((pod) => !pod.hostNetwork && !pod.finished && ipOf(pod, family) !== undefined);

/** The kernel's own rules are three; what others added comes before or between them. */
const isAdded = ({ table, action }: RoutingRule): boolean =>
  !/^(to_tbl|lookup)$/.test(action) || !/^(local|main|default)$/.test(table ?? "");

/** `ip rule` prints those of IPv4, `ip -6 rule` those of IPv6. */
const PROGRAM = { 4: "ip", 6: "ip -6" } as const;
const RULES = { 4: "routingRules", 6: "routingRules6" } as const;

const withRules = (plane: NodePlane, family: Family, rules: readonly RoutingRule[]): NodePlane => {
  const { origin } = plane[RULES[family]];
  return { ...plane, [RULES[family]]: { state: "present", value: rules, gaps: [], origin } };
};

const deviceOf = (route: RouteLookup): string | undefined => (route.end === "via" ? route.hops[0]?.device : undefined);

const isDefault = ({ destination }: Route): boolean => destination === "0.0.0.0/0" || destination === "::/0";

/** The rule by which a packet goes otherwise than the main table says, if there it has a route of its own. */
function diverting(plane: NodePlane, packet: RoutedPacket): RoutingRule | undefined {
  const { family } = packet.destination;
  const rules = known(plane[RULES[family]]) ?? [];
  const added = rules.filter(isAdded);
  if (added.length === 0) return undefined;
  const lookupBy = (which: readonly RoutingRule[]) => lookupRoute(withRules(plane, family, which), packet);
  const plain = lookupBy(rules.filter((rule) => !isAdded(rule)));
  const real = lookupRoute(plane, packet);
  // another way to it may be as good; the way out of the cluster, or none, is not
  const isSpecific = plain.end === "via" && !isDefault(plain.route);
  const isAway = real.end === "no-route" || real.end === "refused" || (real.end === "via" && isDefault(real.route));
  if (!isSpecific || !isAway || deviceOf(real) === deviceOf(plain)) return undefined;
  return added.find((rule) => {
    const without = lookupBy(rules.filter((one) => one !== rule));
    return without.end === "via" && deviceOf(without) === deviceOf(plain);
  });
}

/** A rule as `ip rule` takes it. */
function printRule({ priority, source, destination, inputDevice, mark, negated, table, action }: RoutingRule): string {
  return [
    `pref ${priority}`,
    ...(negated ? ["not"] : []),
    `from ${source ?? "all"}`,
    ...(destination === undefined ? [] : [`to ${destination}`]),
    ...(inputDevice === undefined ? [] : [`iif ${inputDevice}`]),
    ...(mark ? [`fwmark 0x${mark.value.toString(16)}/0x${mark.mask.toString(16)}`] : []),
    table === undefined ? action : `lookup ${table}`,
  ].join(" ");
}

type Diverted = { readonly rule: RoutingRule; readonly peer: string; readonly isOwn: boolean };

function* divertedOn(node: NodeView, own: Ip, model: Model): Iterable<Diverted> {
  const plane = model.forwarding.of(node.name);
  const near = deviceOf(lookupRoute(plane, { destination: own }));
  for (const peer of model.nodes.all) {
    const theirs = peer === node ? undefined : ipOf(podOn(peer.name, own.family, model), own.family);
    if (!theirs) continue;
    const far = deviceOf(lookupRoute(plane, { destination: theirs }));
    const out = near && diverting(plane, { destination: theirs, source: own, inDevice: near });
    const into = far && diverting(plane, { destination: own, source: theirs, inDevice: far });
    if (out) yield { rule: out, peer: peer.name, isOwn: false };
    if (into) yield { rule: into, peer: peer.name, isOwn: true };
  }
}

function* judgeNode(node: NodeView, family: Family, model: Model): Iterable<Finding> {
  const own = ipOf(podOn(node.name, family, model), family);
  const plane = model.forwarding.of(node.name);
  const rules = plane[RULES[family]];
  if (rules.state === "unknown" || !isWhole(plane.routes)) return;
  if (rules.state === "present" && rules.gaps.length > 0) return;
  const hasAdded = known(rules)?.some(isAdded) ?? false;
  if (hasAdded && !own) return;
  const diverted = own && hasAdded ? [...divertedOn(node, own, model)] : [];
  const ofFamily = model.services.ofFamily(family);
  const whole: Capability = { name: "node.route", node: node.name, ...ofFamily };
  if (diverted.length === 0) yield works(whole, []);
  for (const [rule, group] of Map.groupBy(diverted, (one) => one.rule)) {
    const isOwn = group.some((one) => one.isOwn);
    const peers = [...new Set(group.map(({ peer }) => peer))];
    const text = printRule(rule);
    yield fault({
      repair: node.ref,
      nodes: [node.name],
      breaks: isOwn ? [whole] : peers.map((peer) => ({ ...whole, peer })),
      title: inFamily(
        isOwn ? say.own({ node: node.name, rule: text }) : say.peers({ node: node.name, peers: peers, rule: text }),
        ofFamily,
      ),
      evidence: [quoteOf(rules.origin, text)],
      strength: "direct",
      facts: { rule: text, program: PROGRAM[family] },
    });
  }
}

/** A policy routing rule that somebody added takes the Pods' packets where they do not arrive. */
export const routingRuleWrong = defineCheck({
  id: "routing-rule-wrong",
  reads: PARTS,

  *find(model) {
    for (const node of model.nodes.all) {
      if (!node.sampled) continue;
      for (const family of model.pods.familiesOn(node)) yield* judgeNode(node, family, model);
    }
  },

  remedies({ nodes, facts }) {
    const node = nodes[0]!;
    const { rule, program } = facts;
    const verify = { run: `${program} rule`, node };
    const remove = {
      why: say.remove(),
      change: { run: `${program} rule del ${rule}`, node },
      undo: { run: `${program} rule add ${rule}`, node },
      verify,
    };
    const look = { why: say.findOwner(), change: { run: "networkctl list; nmcli device; wg show", node }, verify };
    return [
      { id: "remove-rule", risk: "low", interrupts: say.nothing(), steps: [remove, look], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: { en: "A policy routing rule diverts the Pods' packets", zh: "策略路由规则误导 Pod 报文" },
    page: {
      en: `Before any table, the kernel asks the rules of policy routing (\`ip rule\`) which table to look into. A rule that was added to the node's own three sends packets of Pods to a table that does not know the Pod network, or refuses them.

**How it looks.** The routes that \`ip route\` shows are right, and packets go elsewhere: \`ip route get ADDRESS from POD iif cni0\` tells where. Programs on the node itself reach Pods, as their packets come from another address or device.

**How it comes about.** A VPN, a second network, multi-homing by source address (cloud-init, NetworkManager), or an experiment. A table with only a default route catches everything that the rule sends there.

**When this is not the cause.** CNI plugins have rules of their own (Cilium, AWS VPC), which lead where they should. If table main itself has a wrong route, the entries of the Pod network are the matter.`,
      zh: `内核在查任何路由表之前，先按策略路由规则（\`ip rule\`）决定查哪张表。在节点原有三条规则之外添加的某条规则，把 Pod 报文引到了不认识 Pod 网段的表，或直接拒绝。

**现象。** \`ip route\` 显示的路由都对，报文却去了别处：\`ip route get 地址 from POD iif cni0\` 可看出去向。节点自身的进程能访问 Pod，因为它们的报文来自另一个地址或网卡。

**成因。** VPN、第二网络、按源地址的多网卡路由（cloud-init、NetworkManager），或遗留的试验。只含默认路由的表会接走该规则引来的一切报文。

**何时不是它。** CNI 插件有自己的规则（Cilium、AWS VPC），它们的去向是对的。若 main 表本身的路由有误，则是 Pod 网络表项的问题。`,
    },
  },
});
