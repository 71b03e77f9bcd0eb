import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { ipOf, type PodView } from "../../model/pods.ts";
import type { ServicePort } from "../../model/services/services.ts";
import { contains, type Family, formatIp, type Ip, parseIp } from "../../net/ip.ts";
import { type Text, texts } from "../../text.ts";
import { openingPacket } from "../../trace/packet.ts";
import type { Step, Way } from "../../trace/trace.ts";
import { type Sending, WORLD, walk } from "../../trace/walk.ts";
import { cannotTell, defineCheck, type Finding, fault, inFamily, works } from "../check.ts";

const PARTS = [...WORLD, "flannel", "kindnet", "components"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("pod-masquerade-mismatch", {
  egress: {
    en: "Node {node} lets packets of its Pods leave the cluster with the Pods' addresses: no answer finds back to them",
    zh: "节点 {node} 上的 Pod 报文以 Pod 自身地址离开集群：应答无法返回",
  },
  stranger: {
    en: "Node {node} gives packets of its Pods that leave the cluster the address {address}, which is none of its own, so that answers go elsewhere: {what}",
    zh: "节点 {node} 将离开集群的 Pod 报文的源地址改为 {address}，而这不是本节点的地址，应答会发往别处：{what}",
  },
  between: {
    en: "Node {node} gives its own address to packets between Pods: {what}",
    zh: "节点 {node} 改写了 Pod 之间报文的源地址：{what}",
  },
  client: {
    en: "Node {node} hides the addresses of clients outside from the Pods of Service {service}, whose externalTrafficPolicy is Local: {what}",
    zh: "节点 {node} 对 Service {service}（externalTrafficPolicy 为 Local）的 Pod 隐藏了外部客户端的地址：{what}",
  },
  doubted: {
    en: "what a rule on the way does is not understood: {what}",
    zh: "途经的一条规则无法理解：{what}",
  },
  restart: {
    en: "Restart {agent} on {node}: it writes its rules for masquerading anew",
    zh: "重启 {node} 上的 {agent}：它会重写源地址转换规则",
  },
  flush: {
    en: "Empty the chain {chain}: the agent writes it anew, in its right order",
    zh: "清空链 {chain}：组件会按正确顺序重新写入",
  },
  restartBy: { en: "Restarting it interrupts nothing", zh: "重启不影响业务" },
  look: {
    en: "Find where the rule comes from, and have it leave out the Pod network",
    zh: "找出该规则的来源，使其不涉及 Pod 网络",
  },
  lookOwn: {
    en: "Find where the rule comes from, and have it masquerade, or take an address that the node holds",
    zh: "找出该规则的来源，改用 MASQUERADE，或改为节点实际拥有的地址",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep `iptables -F`, iptables-restore and firewall reloads off the nodes, and let rules of your own that masquerade leave out the Pod network",
    zh: "不要在节点上执行 `iptables -F`、iptables-restore 或重载防火墙；自行添加的源地址转换规则应排除 Pod 网段",
  },
});

/** Addresses of nobody (RFC 5737, RFC 3849). */
const OUTSIDE = { 4: parseIp("198.51.100.1")!, 6: parseIp("2001:db8::1")! } as const;

/** A Pod of the node, with its address of a family. */
type Sender = { readonly pod: PodView; readonly ip: Ip };

/** Rules speak of the node's range: what a Pod sends that has an address of another shows nothing of them. */
function senderOn(node: string, family: Family, { pods, nodes }: Model): Sender | undefined {
  const ranges = (nodes.get(node)?.podRanges ?? []).filter(({ ip }) => ip.family === family);
  for (const pod of pods.onNode(node)) {
    const ip = pod.hostNetwork || pod.finished || pod.terminating ? undefined : ipOf(pod, family);
    if (ip && (ranges.length === 0 || ranges.some((range) => contains(range, ip)))) return { pod, ip };
  }
  return undefined;
}

/** Where the node changes whom a packet comes from, on its way there. */
function rewriting({ steps, answer }: Way, node: string): Extract<Step, { did: "pass" }> | undefined {
  for (const step of steps.slice(0, answer)) {
    if (step.did !== "pass" || step.hook !== "postrouting" || step.at.node !== node || step.at.pod) continue;
    const { source } = step.before;
    if (source !== "unknown" && (step.packet.source === "unknown" || !isSame(step.packet.source, source))) return step;
  }
  return undefined;
}

const isSame = (a: Ip, b: Ip): boolean => a.family === b.family && formatIp(a) === formatIp(b);

const rulesOf = ({ iptables, ip6tables, nftables }: NodePlane, family: Family) => {
  const saved = family === 4 ? iptables : ip6tables;
  return saved.state === "present" ? saved : nftables;
};

const shows = (save: string) => `${save} -t nat | grep -e POSTROUTING -e POSTRTG; nft list ruleset`;
const SHOWING = { 4: shows("iptables-save"), 6: shows("ip6tables-save") } as const;

const NOTRACK = /-j (CT --notrack|NOTRACK)\b|\bnotrack\b/;

/** Whose rule it is that changes a source, by its chain. */
function agentOf(quote: string | undefined): "cni" | "proxy" | "other" {
  if (/\bFLANNEL-|\bflanneld\b|\bKIND-MASQ-AGENT\b|\bkindnet-ipmasq\b/.test(quote ?? "")) return "cni";
  return /\bKUBE-|\bkube-proxy\b/.test(quote ?? "") ? "proxy" : "other";
}

function agentsOf(agent: "cni" | "proxy" | "other", { components }: Model) {
  if (agent === "other") return [];
  return components.withDuty(agent === "cni" ? "cni" : "service-proxy").map(({ ref }) => ref);
}

/** Whether answers to an address come to another than this node. */
function isStrange(source: Ip, { name }: NodeView, { forwarding }: Model): boolean {
  return known(forwarding.of(name).localAddresses)?.has(formatIp(source)) === false;
}

/** A rule that is nobody's agent gives packets an address that is not the node's. */
function* asStranger(
  { packet: { source }, rules: [by] }: Extract<Step, { did: "pass" }>,
  node: NodeView,
  capability: Capability,
  model: Model,
): Iterable<Finding> {
  if (!by || source === "unknown") return;
  const agent = agentOf(by.quote);
  const address = formatIp(source);
  yield fault({
    repair: node.ref,
    related: agentsOf(agent, model),
    nodes: [node.name],
    breaks: [capability],
    title: inFamily(say.stranger({ node: node.name, address, what: by.quote }), capability),
    evidence: [by, quoteOf(model.forwarding.of(node.name).links.origin, `no device of ${node.name} has ${address}`)],
    strength: "differing",
    facts: { agent, case: "stranger", shows: SHOWING[source.family] },
  });
}

/** What a Pod of the node sends out of the cluster. */
function* leaving(node: NodeView, { pod, ip }: Sender, model: Model): Iterable<Finding> {
  const { name } = node;
  const { family } = ip;
  const capability = { name: "node.masquerade", node: name, ...model.services.ofFamily(family) } as const;
  const always = model.kindnet.masquerades(name);
  if (!always && !model.flannel.peer(name, family)) return;
  const packet = openingPacket("tcp", ip, OUTSIDE[family], 443);
  const { ways } = walk({ from: { node: name, pod }, packet, explain: true }, model);
  const sent = ways.filter(({ end, certainty }) => end.is === "left-cluster" && certainty !== "guessed");
  const vague = ways.find(({ end, certainty }) => end.is === "insufficient" || certainty === "guessed");
  if (vague || sent.length === 0) {
    if (vague) yield cannotTell(capability, vague.end.missing ?? [], becauseOf(vague));
    return;
  }
  const bare = sent.filter((way) => !rewriting(way, name));
  if (bare.length === 0) {
    const steps = sent.flatMap((way) => rewriting(way, name) ?? []);
    const strange = steps.find(({ packet: { source } }) => source !== "unknown" && isStrange(source, node, model));
    if (strange) yield* asStranger(strange, node, capability, model);
    else yield works(capability, steps[0]?.rules.slice(0, 1) ?? []);
    return;
  }
  const untracking = bare[0]!.steps
    .flatMap((step) => (step.did === "pass" ? (step.met ?? []) : []))
    .find(({ quote }) => NOTRACK.test(quote));
  const env = model.flannel.subnetEnv(name);
  if (!always && env.state === "unknown") yield cannotTell(capability, [{ kind: "subnetEnv", place: { node: name } }]);
  if (!always && known(env)?.ipMasq !== true) return;
  const { origin } = rulesOf(model.forwarding.of(name), family);
  yield fault({
    repair: node.ref,
    related: agentsOf("cni", model),
    nodes: [name],
    breaks: [capability],
    title: inFamily(say.egress({ node: name }), capability),
    evidence: [
      quoteOf(origin, `nat: no rule of POSTROUTING masquerades what comes from ${formatIp(ip)}`),
      always ?? quoteOf(env.origin, "FLANNEL_IPMASQ=true"),
      // what is not tracked is not translated
      ...(untracking ? [untracking] : []),
    ],
    strength: "differing",
    facts: { agent: "cni", case: "egress", shows: SHOWING[family] },
  });
}

/** What of the node's rules keeps a way from being told, if it is a rule. */
const becauseOf = ({ doubts, end }: Way): Text | undefined => {
  const rule = doubts?.[0] ?? (end.because === undefined ? undefined : end.evidence[0]);
  return rule && say.doubted({ what: rule.quote });
};

type Kept = { readonly sending: Sending; readonly port?: ServicePort };

/** Packets of a family that are to arrive with the address of whoever sent them. */
function* kept(node: NodeView, family: Family, from: Sender | undefined, model: Model): Iterable<Kept> {
  const peer = model.nodes.all
    .filter(({ name, sampled }) => sampled && name !== node.name)
    .slice(0, 8)
    .map(({ name }) => senderOn(name, family, model))
    .find((sender) => sender !== undefined);
  if (from && peer?.pod.node !== undefined) {
    yield { sending: { from: { node: node.name, pod: from.pod }, packet: openingPacket("icmp", from.ip, peer.ip) } };
    yield {
      sending: { from: { node: peer.pod.node, pod: peer.pod }, packet: openingPacket("icmp", peer.ip, from.ip) },
    };
  }
  const own = node.ips[family];
  const port = model.services.all
    .filter(({ proxied, policy, families }) => proxied && policy.externalLocal && families.includes(family))
    .flatMap(({ ports }) => ports)
    .find(
      (one) =>
        one.nodePort !== undefined &&
        one.protocol === "TCP" &&
        (model.services.expected(one, node.name, family).local ?? []).length > 0,
    );
  if (port && own)
    yield { sending: { from: "outside", packet: openingPacket("tcp", OUTSIDE[family], own, port.nodePort) }, port };
}

function* judgeNode(node: NodeView, family: Family, model: Model): Iterable<Finding> {
  const { name } = node;
  const ofFamily = model.services.ofFamily(family);
  const from = senderOn(name, family, model);
  if (from) yield* leaving(node, from, model);
  const found = [...kept(node, family, from, model)].flatMap(({ sending, port }) =>
    walk(sending, model).ways.flatMap((way) => {
      const step = way.certainty === "guessed" ? undefined : rewriting(way, name);
      const by = step?.rules[0];
      return by ? [{ by, port, to: step.packet.source }] : [];
    }),
  );
  for (const [what, group] of Map.groupBy(found, ({ by }) => by.quote)) {
    const [{ by, port } = { by: undefined }] = group;
    if (!by) continue;
    const agent = agentOf(what);
    const isLost = group.some(({ to }) => to !== "unknown" && isStrange(to, node, model));
    const services = new Set(group.flatMap((one) => one.port?.service.ref ?? []));
    yield fault({
      repair: node.ref,
      related: [...agentsOf(agent, model), ...services],
      nodes: [name],
      breaks: [
        { name: "node.keep-source", node: name, ...ofFamily },
        ...(isLost ? [{ name: "pod-network.entries", node: name, ...ofFamily } as const] : []),
      ],
      title: inFamily(
        port ? say.client({ node: name, service: port.key, what }) : say.between({ node: name, what }),
        ofFamily,
      ),
      evidence: [by],
      strength: "differing",
      facts: { agent, what, case: port ? "client" : "between", shows: SHOWING[family] },
    });
  }
}

/** A node gives its own address to packets of Pods that should keep theirs, or not to those that leave the cluster. */
export const podMasqueradeMismatch = defineCheck({
  id: "pod-masquerade-mismatch",
  reads: PARTS,

  *find(model) {
    for (const node of model.nodes.all)
      if (node.sampled) for (const family of model.pods.familiesOn(node)) yield* judgeNode(node, family, model);
  },

  remedies({ repair, related, facts }) {
    const node = repair.name;
    const verify = { run: String(facts.shows), node };
    const daemon = related.find(({ kind }) => kind === "DaemonSet");
    const agent = facts.agent === "cni" ? "flannel" : "kube-proxy";
    const step =
      facts.agent === "other"
        ? { why: facts.case === "stranger" ? say.lookOwn() : say.look(), verify }
        : {
            why: say.restart({ agent: daemon?.name ?? agent, node }),
            change: daemon
              ? ({ do: "restart", component: daemon, node } as const)
              : { run: "systemctl restart k3s-agent || systemctl restart k3s", node },
            undo: say.restartBy(),
            verify,
          };
    // kindnet appends what is missing, behind the rule that is to be the last
    const chain = /-A (KIND-MASQ-AGENT) /.exec(String(facts.what))?.[1];
    const flush = {
      why: say.flush({ chain: chain ?? "" }),
      change: { run: `iptables -t nat -F ${chain}`, node },
      verify,
    };
    const steps = chain ? [flush, step] : [step];
    return [{ id: "rewrite-masquerading", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A node masquerades Pods' packets otherwise than it should", zh: "节点对 Pod 报文的源地址转换不正确" },
    page: {
      en: `netwhy walks packets through every node's rules: from a Pod out of the cluster, from Pod to Pod, and from outside to a Service whose \`externalTrafficPolicy\` is Local; and looks with which source address they come out.

**How it looks.** *Pods' addresses leave the cluster*: Pods of the node reach nothing outside, and no node either (the API server with it), while Pods reach each other: nobody outside knows the way back. *Packets between Pods with the node's address*: everything answers, but NetworkPolicies that allow Pods deny them, and logs show nodes for clients. *Clients hidden*: a Service that is to see its clients sees the node. *An address of somebody else*: as if nothing were masqueraded, for answers go to whoever has it.

**How it comes about.** Rules of flannel (FLANNEL-POSTRTG) or kube-proxy (KUBE-POSTROUTING) were flushed, wholly or in part, or restored from an old snapshot; somebody's own MASQUERADE rule covers the Pod network too; a rule of SNAT names an address that has moved to another host (keepalived).

**When this is not the cause.** Where flannel runs without \`--ip-masq\`, or another CNI routes Pods' addresses in the network outside, they are meant to leave as they are.`,
      zh: `netwhy 让报文走一遍每个节点的规则：从 Pod 到集群外、Pod 之间、以及从外部到 \`externalTrafficPolicy\` 为 Local 的 Service，并查看报文出来时的源地址。

**现象。** *Pod 地址离开集群*：该节点的 Pod 访问不到任何外部地址，也访问不到节点（包括 API Server），而 Pod 之间正常：外部不知道返回的路。*Pod 之间的报文带节点地址*：一切都有应答，但放行 Pod 的 NetworkPolicy 会拒绝它们，日志中的客户端显示为节点。*隐藏客户端*：本应看到客户端地址的 Service 只看到节点。*别人的地址*：现象与未做转换相同，应答发给了拥有该地址的主机。

**成因。** flannel（FLANNEL-POSTRTG）或 kube-proxy（KUBE-POSTROUTING）的规则被全部或部分清掉，或被旧快照覆盖；有人自行添加的 MASQUERADE 规则覆盖了 Pod 网段；SNAT 规则中的地址已漂移到别的主机（keepalived）。

**何时不是它。** flannel 未使用 \`--ip-masq\`，或其他 CNI 让外部网络能路由 Pod 地址时，Pod 地址按设计原样离开。`,
    },
  },
});
