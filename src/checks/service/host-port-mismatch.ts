import { known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import { quoteOf } from "../../evidence/origin.ts";
import { type Answering, answering, type HostPort, hasPortmap, hostPortsOf } from "../../model/host-ports.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { PodView } from "../../model/pods.ts";
import { kubectlName } from "../../model/ref.ts";
import { type Family, formatIp, formatSocket, isOfFamily } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, inFamily, presumed, works } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "nodes" | "pods" | "forwarding" | "cni" | "cilium" | "calico" | "services" | "objects" | "time"
>;

const SAVED = { 4: "iptables", 6: "ip6tables" } as const;

const say = texts("host-port-mismatch", {
  lost: {
    en: "Node {node} has no rule for {count} {count:port|ports} of it that its Pods ask for (hostPort): {ports}",
    zh: "节点 {node} 上有 {count} 个 Pod 端口映射（hostPort）没有对应的规则：{ports}",
  },
  stale: {
    en: "Node {node} sends what comes to port {port} to {to}, which is no Pod of it any more, and not to Pod {pod}",
    zh: "节点 {node} 把发往端口 {port} 的流量转给 {to}，而那里已不是该节点上的 Pod；本应转给 Pod {pod}",
  },
  shared: {
    en: "Pods {pod} and {other} both ask for port {port} of node {node}: {other} gets what comes",
    zh: "Pod {pod} 与 {other} 都要求节点 {node} 的端口 {port}：流量全部转给 {other}",
  },
  again: {
    en: "Delete the Pod: the plugin writes its rules when the network of the one that replaces it is made, and never else",
    zh: "删除该 Pod：portmap 插件只在为新 Pod 建立网络时写入规则，之后不会补写",
  },
  remove: { en: "Remove the rule of the Pod that is gone", zh: "删除已不存在的 Pod 遗留的规则" },
  move: {
    en: "Give one of the two another port, or take it to another node; without hostPort in its template it gets none",
    zh: "让其中一个使用其他端口或调度到其他节点；若不需要则从模板中去掉 hostPort",
  },
  interrupts: { en: "The Pod is made anew", zh: "该 Pod 会重建" },
  nothing: { en: "Nothing", zh: "无" },
  preventLost: {
    en: "Keep `iptables -F`, `nft flush ruleset`, iptables-restore and firewall restarts off the nodes: of what they take nobody writes the hostPorts again",
    zh: "不要在节点上执行 `iptables -F`、`nft flush ruleset`、iptables-restore 或重启防火墙：hostPort 规则被清除后不会有组件补写",
  },
  preventStale: {
    en: "Drain a node before its container runtime or its network plugin is reset, so that the plugin takes its rules away",
    zh: "重置容器运行时或网络插件之前先驱逐节点上的 Pod，让插件有机会清除自己的规则",
  },
  preventShared: {
    en: "Leave the choice of the node to the scheduler (no nodeName): it places no two Pods with one port on a node",
    zh: "把选节点交给调度器（不要写 nodeName）：调度器不会把使用同一 hostPort 的两个 Pod 放在同一节点",
  },
});

/** Milliseconds: Pods and rules are read one after the other. */
const SETTLING = 60_000;

const isOld = ({ object: { status, metadata } }: PodView, { time }: Model): boolean =>
  (time.age(status?.startTime ?? metadata.creationTimestamp) ?? Number.POSITIVE_INFINITY) > SETTLING;

/** Who is in charge of such ports on a node: the portmap plugin as far as its files or its rules tell, or programs of Cilium or Calico. */
function keeperOn({ name }: NodeView, family: Family, model: Model): "portmap" | "programs" | "unknown" {
  const { cilium, calico, cni, forwarding } = model;
  if (cilium.runs) {
    const replaces = known(cilium.of(name).status)?.kubeProxyReplacement ?? cilium.setting("kube-proxy-replacement");
    if (!/^(false|disabled)$/i.test(replaces ?? "") || cilium.setting("enable-host-port") === "true") return "programs";
  }
  if (calico.setting(name, "bpfEnabled")?.value === true) return "programs";
  const [config] = cni.filesOf(name);
  if (config) return config.plugins.includes("portmap") ? "portmap" : "unknown";
  return hasPortmap(forwarding.of(name).filter.rulesetsFor(family)) ? "portmap" : "unknown";
}

type Judged = { readonly one: HostPort; readonly who: Answering };

const wordsOf = ({ pod, protocol, port }: HostPort): string => `${port}/${protocol} (${pod.key})`;
const quoteAsked = ({ pod, port, protocol, to }: HostPort, { objects }: Model): Evidence =>
  objects.quote(
    "pods",
    pod.object,
    `${pod.key}: hostPort ${port}/${protocol}, ${formatSocket(formatIp(to.ip), to.port)}`,
  );

function* judgeNode(node: NodeView, family: Family, model: Model): Iterable<Finding> {
  const { pods, forwarding, services } = model;
  const asked = hostPortsOf(node.name, family, pods).filter(({ hostIp }) => !hostIp || !isLoopback(formatIp(hostIp)));
  const at = node.ips[family];
  if (asked.length === 0 || !at) return;
  const keeper = keeperOn(node, family, model);
  if (keeper === "programs") return;
  const plane = forwarding.of(node.name);
  const capabilityOf = ({ pod }: HostPort) =>
    ({ name: "pod.host-port", node: node.name, pod: pod.key, ...services.ofFamily(family) }) as const;
  const missing = [{ kind: SAVED[family], place: { node: node.name } }] as const;
  if (plane.filter.stateOf(family) !== "whole") {
    for (const one of asked) yield presumed(capabilityOf(one), missing);
    return;
  }
  const uplink =
    known(plane.links)?.find(({ addresses }) => addresses.some(({ local }) => node.addresses.includes(local)))?.name ??
    "eth0";
  const judged = asked.map((one): Judged => ({ one, who: answering(one, one.hostIp ?? at, uplink, plane.filter) }));
  for (const { one, who } of judged) if (who.is === "itself") yield works(capabilityOf(one), []);
  const doubtful = judged.filter(({ one, who }) => who.is === "unknown" || !isOld(one.pod, model));
  const lost = judged.filter(({ one, who }) => who.is === "nobody" && isOld(one.pod, model));
  if (keeper === "unknown") doubtful.push(...lost);
  else if (lost.length > 0) {
    yield fault({
      repair: node.ref,
      related: lost.map(({ one }) => one.pod.owner ?? one.pod.ref),
      nodes: [node.name],
      breaks: lost.map(({ one }) => capabilityOf(one)),
      title: inFamily(
        say.lost({ node: node.name, count: lost.length, ports: lost.map(({ one }) => wordsOf(one)).join(", ") }),
        services.ofFamily(family),
      ),
      evidence: [
        ...lost.slice(0, 3).map(({ one }) => quoteAsked(one, model)),
        quoteOf(plane[SAVED[family]].origin, "no rule sends these ports anywhere"),
      ],
      strength: "differing",
      facts: { case: "lost", pods: lost.map(({ one }) => one.pod.key) },
    });
  }
  for (const one of doubtful) if (one.who.is !== "itself") yield presumed(capabilityOf(one.one), missing);
  for (const { one, who } of judged) {
    if (who.is !== "other" || !isOld(one.pod, model)) continue;
    const to = formatIp(who.to.ip);
    const other = asked.find(
      ({ pod, port, protocol, to: { ip } }) =>
        pod !== one.pod && port === one.port && protocol === one.protocol && formatIp(ip) === to,
    );
    // who is there now may be of a list that was read earlier
    if (!other && !pods.whole) {
      yield cannotTell(capabilityOf(one), [{ kind: "pods" }]);
      continue;
    }
    const args = { node: node.name, port: `${one.port}/${one.protocol}`, pod: one.pod.key };
    yield fault({
      repair: other ? one.pod.ref : node.ref,
      related: other ? [other.pod.ref] : [one.pod.owner ?? one.pod.ref],
      nodes: [node.name],
      breaks: [capabilityOf(one)],
      title: inFamily(
        other
          ? say.shared({ ...args, other: other.pod.key })
          : say.stale({ ...args, to: formatSocket(to, who.to.port) }),
        services.ofFamily(family),
      ),
      evidence: [plane.filter.quote(who.by), quoteAsked(one, model), ...(other ? [quoteAsked(other, model)] : [])],
      strength: "differing",
      facts: other
        ? { case: "shared", pods: [one.pod.key] }
        : { case: "stale", pods: [one.pod.key], ...plane.filter.removal(who.by) },
    });
  }
}

const isLoopback = (address: string): boolean =>
  isOfFamily(address, 4) ? address.startsWith("127.") : address === "::1";

/** A port of a node that a Pod asks for leads nowhere, or to another. */
export const hostPortMismatch = defineCheck({
  id: "host-port-mismatch",
  reads: ["nodes", "pods", "forwarding", "cni", "cilium", "calico", "services", "objects", "time"],

  *find(model) {
    for (const node of model.nodes.all)
      if (node.sampled) for (const family of model.pods.familiesOn(node)) yield* judgeNode(node, family, model);
  },

  remedies({ nodes, repair, facts }) {
    const node = nodes[0]!;
    const {
      pods = [],
      run = "",
      undo = "",
      verify = "",
    } = facts as {
      readonly pods?: readonly string[];
      readonly run?: string;
      readonly undo?: string;
      readonly verify?: string;
    };
    const listing = { run: "iptables-save -t nat | grep CNI-; nft list table ip cni_hostport", node };
    if (facts.case === "stale") {
      const step = {
        why: say.remove(),
        change: { run, node },
        undo: { run: undo, node },
        verify: { run: verify, node },
      };
      return [
        {
          id: "remove-stale-rule",
          risk: "low",
          interrupts: say.nothing(),
          steps: [step],
          prevent: [say.preventStale()],
        },
      ];
    }
    if (facts.case === "shared") {
      const edit = { run: `kubectl get ${kubectlName(repair)} -o yaml` };
      const step = { why: say.move(), verify: edit };
      return [
        {
          id: "separate-pods",
          risk: "medium",
          interrupts: say.interrupts(),
          steps: [step],
          prevent: [say.preventShared()],
        },
      ];
    }
    const steps = pods.map((key) => {
      const [namespace = "", name = ""] = key.split("/");
      return { why: say.again(), change: { run: sh`kubectl delete pod -n ${namespace} ${name}` }, verify: listing };
    });
    return [{ id: "recreate-pods", risk: "medium", interrupts: say.interrupts(), steps, prevent: [say.preventLost()] }];
  },

  manual: {
    title: {
      en: "A Pod's port of its node leads nowhere, or to another",
      zh: "Pod 的 hostPort 没有规则，或被转给了别人",
    },
    page: {
      en: `A Pod asks for a port of its node (hostPort). The portmap plugin writes a rule for it when the Pod's network is made: chains CNI-HOSTPORT-DNAT and CNI-DN-… in the nat table of iptables, or the table cni_hostport of nftables. netwhy sends a packet from outside through the node's rules to each such port, and looks where it comes out.

**How it looks.** The port is refused at once on that node (no rule) or times out (a rule for a Pod that is gone), while the Pod answers at its own address; ingress controllers and svclb Pods of k3s are served by this. On other nodes it works.

**How it comes about.** *No rule*: somebody flushed or restored the nat table; kube-proxy writes its rules again, nobody writes these. Or the Pod is older than the portmap entry in the CNI configuration. *A stale rule*: the node was cut off or the runtime reset while Pods were removed, so that the plugin was not asked to take its rules away. *Two Pods*: they were placed by nodeName, past the scheduler.

**When this is not the cause.** Where Cilium serves such ports by its own programs (kube-proxy replacement) or Calico does everything by eBPF, these rules say nothing, and the check is silent. A firewall before the node, or a policy, is another matter: \`netwhy path outside NODE:PORT\` walks the packet.`,
      zh: `Pod 通过 hostPort 要求占用所在节点的一个端口。portmap 插件在为 Pod 建立网络时写入规则：iptables nat 表的 CNI-HOSTPORT-DNAT 与 CNI-DN-… 链，或 nftables 的 cni_hostport 表。netwhy 让一个外部报文走一遍节点规则，查看每个 hostPort 最终被转到哪里。

**现象。** 在该节点上访问此端口立即被拒绝（没有规则）或超时（规则指向已不存在的 Pod），而直接访问 Pod 地址正常；Ingress 控制器和 k3s 的 svclb Pod 都依赖它。其他节点正常。

**成因。** *没有规则*：有人清空或恢复了 nat 表；kube-proxy 会重写自己的规则，而这些规则无人补写。也可能 Pod 创建时 CNI 配置中还没有 portmap。*规则残留*：删除 Pod 时节点失联或运行时被重置，插件没有机会清除规则。*两个 Pod*：通过 nodeName 绕过调度器放到了同一节点。

**何时不是它。** 若 Cilium 以自己的 eBPF 程序提供 hostPort（替代 kube-proxy），或 Calico 使用 eBPF 数据面，则这些规则不说明问题，本检查不作判断。节点之前的防火墙或网络策略另当别论：可用 \`netwhy path outside NODE:PORT\` 逐跳查看。`,
    },
  },
});
