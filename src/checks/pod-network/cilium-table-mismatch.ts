import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { CiliumNode } from "../../model/cilium/cilium.ts";
import { tunnelTo, whereabouts } from "../../model/cilium/ipcache.ts";
import { balance } from "../../model/cilium/load-balancer.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { ipOf, type PodView } from "../../model/pods.ts";
import { clusterIpOf, type ServicePort } from "../../model/services/services.ts";
import { isSettled } from "../../model/services/settled.ts";
import { contains, type Family, formatSocket, isOfFamily, parseIp, parsePrefix } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { defineCheck, type Finding, fault, inFamily, works } from "../check.ts";

const PARTS = ["cilium", "components", "nodes", "pods", "services", "forwarding", "time"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("cilium-table-mismatch", {
  unconnected: {
    en: "Cilium on node {node} has no endpoint for {count} {count:Pod that runs|Pods that run} there: {pods}",
    zh: "节点 {node} 上有 {count} 个正在运行的 Pod 没有对应的 Cilium 端点：{pods}",
  },
  missing: {
    en: "Cilium on node {node} does not know Service {service}, which has {count} ready back {count:end|ends}",
    zh: "节点 {node} 上的 Cilium 不知道 Service {service}，而它有 {count} 个就绪的后端",
  },
  lacking: {
    en: "Cilium on node {node} leaves out back ends of Service {service}: {ends}",
    zh: "节点 {node} 上的 Cilium 转发 Service {service} 时缺少后端 {ends}",
  },
  stale: {
    en: "Cilium on node {node} sends Service {service} to {ends}, which {count:is|are} not among its back ends",
    zh: "节点 {node} 上的 Cilium 把 Service {service} 转发到 {ends}，而其不在该 Service 的后端之列",
  },
  noWay: {
    en: "Cilium on node {node} has no tunnel to the Pods of node {peer}",
    zh: "节点 {node} 上的 Cilium 没有通往节点 {peer} 上 Pod 的隧道",
  },
  wrongWay: {
    en: "Cilium on node {node} sends packets for Pods of node {peer} to {to}, which is not that node",
    zh: "节点 {node} 上的 Cilium 把发往节点 {peer} 上 Pod 的报文送到 {to}，而那不是该节点",
  },
  deviceDown: {
    en: "Cilium's device {device} on node {node} is down",
    zh: "节点 {node} 上 Cilium 的网卡 {device} 未启用",
  },
  deviceGone: {
    en: "Cilium's device {device} on node {node} is missing",
    zh: "节点 {node} 上缺少 Cilium 的网卡 {device}",
  },
  usedUp: {
    en: "Cilium on node {node} has no Pod address left: all {total} of {range} are given away, while {pods} {pods:Pod has|Pods have} one",
    zh: "节点 {node} 上的 Cilium 已无可用 Pod 地址：{range} 的 {total} 个地址全部分配，而占用地址的 Pod 只有 {pods} 个",
  },
  setUp: { en: "Bring the device up", zh: "启用该网卡" },
  restart: {
    en: "Restart Cilium on {node}: it reads Pods, nodes and Services anew and writes its tables",
    zh: "重启 {node} 上的 Cilium：它会重新读取 Pod、节点和 Service 并写入各表",
  },
  recreate: {
    en: "Delete the Pods: what runs since before Cilium, or was lost by it, is connected only when it is made anew",
    zh: "删除这些 Pod：在 Cilium 之前启动的、或被它遗漏的 Pod，只有重建后才会接入",
  },
  interrupts: {
    en: "Nothing: the programs on the devices go on while the agent restarts",
    zh: "无：代理重启期间，网卡上的程序继续工作",
  },
  interruptsPods: { en: "The Pods that are made anew", zh: "被重建的 Pod" },
  prevent: {
    en: "Alert on cilium_unreachable_nodes, cilium_controllers_failing and on agents that are not ready",
    zh: "对 cilium_unreachable_nodes、cilium_controllers_failing 以及代理未就绪告警",
  },
});

/** Tables follow the objects a moment later. */
const SETTLING = 60_000;

/** Whether a node's tables are of IPv6 as well: without entries of it, the agent was not told to have any. */
const isInLb6 = ({ lb }: CiliumNode): boolean => (known(lb) ?? []).some(({ address }) => isOfFamily(address, 6));
const isIn6 = ({ ipcache }: CiliumNode): boolean =>
  (known(ipcache) ?? []).some(({ prefix }) => prefix.ip.family === 6 && prefix.length > 0);
const FAMILIES = [4, 6] as const;

const isSteady = ({ hostNetwork, finished, terminating, object }: PodView, { time }: Model): boolean =>
  !hostNetwork &&
  !finished &&
  !terminating &&
  object.status?.phase === "Running" &&
  (time.age(object.metadata.creationTimestamp) ?? 0) >= SETTLING;

type Difference = {
  readonly what: "unconnected" | "service" | "way" | "device" | "addresses";
  /** That is to be brought up. */
  readonly device?: string;
  readonly title: Text;
  readonly breaks: readonly Capability[];
  readonly evidence: readonly Evidence[];
  readonly pods?: readonly PodView[];
};

/** Pods that run on a node and that its agent does not connect. */
function* unconnected(node: CiliumNode, model: Model): Iterable<Difference> {
  if (!isWhole(node.endpoints)) return;
  const lost = model.pods
    .onNode(node.node)
    .filter((pod) => isSteady(pod, model) && pod.addresses.length > 0 && node.endpointOf(pod).state === "absent");
  if (lost.length === 0) return;
  const names = lost.slice(0, 3).map(({ key }) => key);
  yield {
    what: "unconnected",
    title: say.unconnected({ node: node.node, count: lost.length, pods: names }),
    breaks: lost.map(({ key }) => ({ name: "pod.attach", node: node.node, pod: key })),
    evidence: names.map((name) => quoteOf(node.endpoints.origin, `no endpoint of ${name}`)),
    pods: lost,
  };
}

/** Services for which the load balancer has other back ends than the API. */
function* services(node: CiliumNode, { services: all, time, cilium }: Model): Iterable<Difference> {
  if (!isWhole(node.lb) || !all.whole || !all.endpointsWhole) return;
  // beside kube-proxy, only what Pods send is balanced by Cilium
  const from = cilium.socketLb(node.node, "node") === true ? {} : { from: "pod" as const };
  for (const family of FAMILIES.filter((one) => one === 4 || isInLb6(node))) {
    for (const port of all.all.filter(({ proxied }) => proxied).flatMap(({ ports }) => ports)) {
      const difference = differenceOf(node, port, family, all);
      if (!difference || !isSettled(port, all, time)) continue;
      const breaks: Capability = {
        ...{ name: "service.rules", node: node.node, service: port.key, ...from },
        ...all.ofFamily(family),
      };
      const title = inFamily(difference.title, all.ofFamily(family));
      yield { what: "service", ...difference, title, breaks: [breaks] };
    }
  }
}

function differenceOf(
  node: CiliumNode,
  port: ServicePort,
  family: Family,
  services: Model["services"],
): Pick<Difference, "title" | "evidence"> | undefined {
  const address = clusterIpOf(port.service, family);
  const choice = services.expected(port, node.node, family);
  const expected = (port.service.policy.internalLocal ? choice.local : choice.cluster) ?? [];
  if (address === undefined || expected.length === 0) return undefined;
  const found = balance(node, port.protocol, address, port.port);
  const named = { node: node.node, service: port.key };
  if (found.is === "unknown") return undefined;
  if (found.is === "not-a-service") {
    const words = `no entry for ${formatSocket(address, port.port)}`;
    return { title: say.missing({ ...named, count: expected.length }), evidence: [quoteOf(node.lb.origin, words)] };
  }
  const wanted = new Set(expected.map((one) => formatSocket(one.address, one.port)));
  const given = new Set(found.backends.map((one) => formatSocket(one.address, one.port)));
  const lacking = [...wanted].filter((one) => !given.has(one));
  const known = new Set(services.endpoints(port, family).map((one) => formatSocket(one.address, one.port)));
  // what is not ready any more may still be on its way out
  const stale = [...given].filter((one) => !known.has(one));
  const slices = services.slices(port.service).slice(0, 1);
  const evidence = [
    ...found.evidence,
    ...slices.map(() => services.quote(port.service, `back ends of ${port.key}: ${[...wanted].join(", ")}`)),
  ];
  if (stale.length > 0) return { title: say.stale({ ...named, count: stale.length, ends: stale }), evidence };
  return lacking.length > 0 ? { title: say.lacking({ ...named, ends: lacking }), evidence } : undefined;
}

/** The tunnels' devices that nodes have, of whichever protocol. */
const tunnelsOf = ({ nodes, forwarding }: Model): ReadonlySet<string> =>
  new Set(
    nodes.all
      .flatMap(({ name }) => known(forwarding.of(name).links) ?? [])
      .filter(({ name, flags }) => /^cilium_(?:vxlan|geneve)$/.test(name) && flags.includes("UP"))
      .map(({ name }) => name),
  );

/**
 * The devices that the agent makes: the tunnel, and the pair by which the node itself reaches Pods. Nobody else sets them down,
 * and the agent does so only at its start.
 */
function* devices(node: CiliumNode, { forwarding, cilium }: Model, tunnels: ReadonlySet<string>): Iterable<Difference> {
  const plane = forwarding.of(node.node);
  const links = known(plane.links);
  // where it has made none, it works in another way (in clouds, chained to another CNI)
  if (!links?.some(({ name }) => name.startsWith("cilium_")) || !isWhole(plane.links)) return;
  const isTunnelled =
    (cilium.setting("routing-mode") ?? "tunnel") === "tunnel" && cilium.setting("tunnel") !== "disabled";
  const tunnel = `cilium_${cilium.setting("tunnel-protocol") ?? "vxlan"}`;
  const host: Capability = { name: "pod.attach", node: node.node };
  const carries: Capability = { name: "node.tunnel", node: node.node };
  for (const [device, breaks] of [
    ["cilium_host", host],
    ["cilium_net", host],
    ...(isTunnelled ? [[tunnel, carries] as const] : []),
  ] as const) {
    const link = links.find(({ name }) => name === device);
    if (link?.flags.includes("UP")) continue;
    // its agent has not been started since the protocol was changed, and nor has any other: all still speak the old one
    if (!link && device === tunnel && !tunnels.has(tunnel) && links.some(({ name }) => tunnels.has(name))) continue;
    const words = { device, node: node.node };
    yield {
      what: "device",
      title: link ? say.deviceDown(words) : say.deviceGone(words),
      breaks: [breaks],
      evidence: [quoteOf(plane.links.origin, link ? `${device}: <${link.flags.join(",")}>` : `no device ${device}`)],
      ...(link && { device }),
    };
  }
}

/** Ranges of which the next Pod gets no address. */
function* usedUp({ node, status }: CiliumNode, { pods }: Model): Iterable<Difference> {
  for (const { range, given, total } of known(status)?.podRanges ?? []) {
    const prefix = parsePrefix(range);
    if (!prefix || total === 0 || given < total) continue;
    const holding = pods
      .onNode(node)
      .filter(
        ({ hostNetwork, addresses }) =>
          !hostNetwork && addresses.map(parseIp).some((ip) => ip !== undefined && contains(prefix, ip)),
      );
    yield {
      what: "addresses",
      title: say.usedUp({ node, range, total, pods: holding.length }),
      breaks: [{ name: "pod-network.config", node }],
      evidence: [quoteOf(status.origin, `IPAM: ${given}/${total} allocated from ${range}`)],
    };
  }
}

/** Whether a tunnel leads to a node's Pods, by all of them of which it can be told. */
function wayTo(node: CiliumNode, peer: NodeView, family: Family, model: Model): Difference | "right" | "unknown" {
  const links = known(model.forwarding.of(node.node).links);
  const isTunnelled = links?.some(({ name }) => name === "cilium_vxlan" || name === "cilium_geneve");
  if (!isTunnelled || peer.addresses.length === 0 || (family === 6 && !isIn6(node))) return "unknown";
  const ofFamily = model.services.ofFamily(family);
  const breaks: Capability = { name: "pod-network.entries", node: node.node, peer: peer.name, ...ofFamily };
  let isRight = false;
  for (const pod of model.pods.onNode(peer.name)) {
    const ip = isSteady(pod, model) ? ipOf(pod, family) : undefined;
    const told = ip && whereabouts(node, ip);
    if (!ip || !told || told === "unknown") continue;
    const byRange = told.tunnelEndpoint === undefined ? tunnelTo(node, ip) : "none";
    if (byRange === "unknown") continue;
    const to = told.tunnelEndpoint ?? (byRange === "none" ? undefined : byRange.to);
    if (to !== undefined && peer.addresses.includes(to)) {
      isRight = true;
      continue;
    }
    const named = { node: node.node, peer: peer.name };
    return {
      what: "way",
      title: inFamily(to === undefined ? say.noWay(named) : say.wrongWay({ ...named, to }), ofFamily),
      breaks: [breaks],
      evidence: [...told.evidence, ...(byRange === "none" ? [] : [byRange.evidence])],
    };
  }
  const strange = isRight ? strangeNode(node, peer, family, model) : undefined;
  if (!strange) return isRight ? "right" : "unknown";
  return {
    what: "way",
    title: inFamily(say.wrongWay({ node: node.node, peer: peer.name, to: strange.to }), ofFamily),
    breaks: [breaks],
    evidence: strange.evidence,
  };
}

/** Where answers go to what a node itself sends to Pods, from its address in the Pod network, if that is not the node. */
function strangeNode(
  node: CiliumNode,
  peer: NodeView,
  family: Family,
  { forwarding }: Model,
): { readonly to: string; readonly evidence: readonly Evidence[] } | undefined {
  const host = known(forwarding.of(peer.name).links)?.find(({ name }) => name === "cilium_host");
  // its address of the link is every node's
  const held = host?.addresses.filter(({ scope }) => scope !== "link") ?? [];
  const own = held.map(({ local }) => parseIp(local)).find((ip) => ip?.family === family);
  const told = own && whereabouts(node, own);
  if (!told || told === "unknown" || told.tunnelEndpoint === undefined) return undefined;
  const { tunnelEndpoint: to, evidence } = told;
  return peer.addresses.includes(to) ? undefined : { to, evidence };
}

/** The tables of Cilium's agent on a node differ from what the API demands. */
export const ciliumTableMismatch = defineCheck({
  id: "cilium-table-mismatch",
  reads: PARTS,

  *find(model): Iterable<Finding> {
    const { cilium, components, nodes, pods } = model;
    if (!cilium.runs || !pods.whole) return;
    const agents = components.byId("cilium").map(({ ref }) => ref);
    const tunnels = tunnelsOf(model);
    for (const { name, ref } of nodes.all) {
      const node = cilium.of(name);
      const isAgent = components.byId("cilium").some(({ pods: agents }) => agents.some((pod) => pod.node === name));
      const differences = [
        ...(isAgent ? devices(node, model, tunnels) : []),
        ...usedUp(node, model),
        ...unconnected(node, model),
        ...services(node, model),
      ];
      for (const peer of nodes.all)
        for (const family of FAMILIES) {
          const way = peer.name === name ? "unknown" : wayTo(node, peer, family, model);
          const ofFamily = model.services.ofFamily(family);
          if (typeof way === "object") differences.push(way);
          else if (way === "right")
            yield works({ name: "pod-network.entries", node: name, peer: peer.name, ...ofFamily }, []);
        }
      for (const { what, title, breaks, evidence, device, pods: lost = [] } of differences)
        yield fault({
          repair: ref,
          related: [...agents, ...lost.map((pod) => pod.ref)],
          nodes: [name],
          breaks,
          title,
          evidence,
          strength: "differing",
          facts: { what, ...(device !== undefined && { device }) },
        });
    }
  },

  remedies({ nodes, related, facts }) {
    const [node = ""] = nodes;
    const agent = related.find(({ kind }) => kind === "DaemonSet");
    const lost = related.filter(({ kind }) => kind === "Pod");
    if (facts.what === "unconnected")
      return [
        {
          id: "recreate-pods",
          risk: "medium",
          interrupts: say.interruptsPods(),
          steps: lost.map(({ namespace = "", name }) => ({
            why: say.recreate(),
            change: { run: sh`kubectl delete pod -n ${namespace} ${name}` },
            verify: { run: sh`kubectl get ciliumendpoints -n ${namespace}` },
          })),
          prevent: [say.prevent()],
        },
      ];
    const up =
      facts.device === undefined
        ? []
        : [
            {
              why: say.setUp(),
              change: { run: sh`ip link set ${String(facts.device)} up`, node },
              verify: { run: sh`ip link show ${String(facts.device)}`, node },
            },
          ];
    const change = agent && ({ do: "restart", component: agent, node } as const);
    const verify = sh`kubectl exec -n ${agent?.namespace ?? ""} ds/cilium -c cilium-agent -- cilium-dbg status`;
    return [
      {
        id: "rewrite-tables",
        risk: "low",
        interrupts: say.interrupts(),
        steps: [...up, { why: say.restart({ node }), ...(change && { change }), verify: { run: verify } }],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "Cilium's tables differ from what the API demands", zh: "Cilium 的表与 API 不一致" },
    page: {
      en: `netwhy compares what Cilium's agent on each node prints of its tables with the objects: an endpoint for every Pod that runs there, the back ends of every Service, a tunnel to every node with Pods, and the devices that the agent makes.

**How it looks.** *No endpoint*: the Pod reaches nothing. *Back ends*: a Service times out, or is answered by a Pod that is another's by now, from Pods of one node; the node itself may fare well, because kube-proxy serves it. *No tunnel*, or its device down: Pods of two nodes do not reach each other. *No address left*: what runs goes on, and the next Pod of the node gets no network ("range is full").

**How it comes about.** The agent does not follow the API: it lost its permissions, does not reach the API server, hangs. Pods are older than Cilium. A CiliumNode has the address of another node.

**When this is not the cause.** Tables of a node whose agent could not be asked are not known. Packets that a policy denies have a page of their own (\`policy-rules-mismatch\`).`,
      zh: `netwhy 把每个节点上 Cilium 代理输出的表与对象对比：该节点上每个运行中的 Pod 是否有端点，每个 Service 的后端是否一致，通往每个有 Pod 的节点是否有隧道，代理创建的网卡是否都在。

**现象。** *没有端点*：该 Pod 什么都访问不到。*后端*：从某个节点的 Pod 访问 Service 超时，或由已属于他人的 Pod 应答；节点自身可能正常，因为由 kube-proxy 负责。*没有隧道*或隧道网卡未启用：两个节点的 Pod 互不可达。*地址用尽*：已运行的不受影响，该节点的下一个 Pod 无法接入网络（“range is full”）。

**成因。** 代理没有跟上 API：失去权限、访问不到 API Server、卡住。Pod 早于 Cilium 启动。CiliumNode 中的地址是另一个节点的。

**何时不是它。** 代理无法询问的节点，其表未知。被策略拒绝的报文见 \`policy-rules-mismatch\`。`,
    },
  },
});
