import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import { flag } from "../../model/components/flags.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { kubectlName, type Ref } from "../../model/ref.ts";
import { contains, type Family, formatPrefix, type Ip, type Prefix, parseIp, parsePrefix } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "forwarding" | "flannel" | "objects" | "components">;

const say = texts("node-address-wrong", {
  absent: {
    en: "Node {node} counts as {address}, and none of its devices has that address",
    zh: "节点 {node} 登记的地址是 {address}，但其任何网卡上都没有该地址",
  },
  absentTold: {
    en: "flannel of {node} tells the other nodes that it is reached at {address}, and none of its devices has that address",
    zh: "{node} 的 flannel 向其他节点公布的地址是 {address}，但该节点的任何网卡上都没有该地址",
  },
  shared: {
    en: "Nodes {nodes} count as one address: {address}",
    zh: "节点 {nodes} 登记了同一个地址：{address}",
  },
  sharedTold: {
    en: "flannel of {nodes} tells one and the same address: {address}",
    zh: "{nodes} 的 flannel 公布了同一个地址：{address}",
  },
  aside: {
    en: "Node {node} counts as {address} ({device}), in a network that no other node is in: those count by {network}, where it has {right} ({by})",
    zh: "节点 {node} 登记的地址是 {address}（{device}），其他节点都不在该网络中：它们登记的地址属于 {network}，而该节点在其中的地址是 {right}（{by}）",
  },
  asideTold: {
    en: "flannel of {node} tells the other nodes that it is reached at {address} ({device}), in a network that none of them is in: they are reached by {network}, where it has {right} ({by})",
    zh: "{node} 的 flannel 向其他节点公布的地址是 {address}（{device}），其他节点都不在该网络中：它们通过 {network} 互通，而该节点在其中的地址是 {right}（{by}）",
  },
  circular: {
    en: "flannel of {nodes} tells that it is reached at an address of the Pod network itself ({addresses}): its tunnel would have to lead through itself",
    zh: "{nodes} 的 flannel 公布的地址（{addresses}）属于 Pod 网络自身：隧道报文只能再经由隧道发送",
  },
  nameAddress: {
    en: "Let the kubelet of {node} tell {right} (`--node-ip`, in /var/lib/kubelet/kubeadm-flags.env with kubeadm), and restart it",
    zh: "让 {node} 的 kubelet 上报 {right}（`--node-ip`，kubeadm 集群在 /var/lib/kubelet/kubeadm-flags.env 中），然后重启它",
  },
  tellAnew: {
    en: "Give the node its address again; or, if the new one is right, restart the kubelet, which tells it, and then the CNI's agent",
    zh: "恢复该节点原有的地址；若新地址才是对的，则重启 kubelet 重新上报，再重启 CNI 代理",
  },
  tellFlannel: {
    en: "Restart flannel on {node}: it tells the address anew",
    zh: "重启 {node} 上的 flannel：它会重新公布地址",
  },
  chooseDevice: {
    en: "Tell flannel which device leads to the other nodes (`--iface` or `--iface-can-reach`): it takes that of the default route",
    zh: "为 flannel 指定通往其他节点的网卡（`--iface` 或 `--iface-can-reach`）：默认取默认路由所在的网卡",
  },
  makeUnique: {
    en: "Give each node an address of its own, and let its kubelet tell it (`--node-ip`)",
    zh: "让每个节点使用各自的地址，并由其 kubelet 上报（`--node-ip`）",
  },
  interrupts: { en: "Nothing: what runs stays", zh: "无：已运行的不受影响" },
  prevent: {
    en: "Give nodes fixed addresses (static, or DHCP reservations), and name the device in the CNI's configuration where nodes have several",
    zh: "为节点使用固定地址（静态或 DHCP 保留）；节点有多块网卡时在 CNI 配置中指明所用网卡",
  },
});

type Known = {
  readonly node: NodeView;
  readonly family: Family;
  readonly address: string;
  /** Whether it is what flannel tells, and not what the kubelet does. */
  readonly isTold: boolean;
  readonly evidence: Evidence;
};

/** Behind a translation of addresses a node has not the address at which others reach it: then somebody said so. */
const OVERWRITTEN = /^flannel\.alpha\.coreos\.com\/public-ip(v6)?-overwrite$/;

function addressesOf(node: NodeView, { flannel, objects }: Model): Known[] {
  const { object } = node;
  if (!object) return [];
  const internal = (object.status?.addresses ?? []).filter(({ type }) => type === "InternalIP");
  const counted = internal.map(({ address }): Known => {
    const evidence = objects.quote("nodes", object, `Node ${node.name}: InternalIP ${address}`);
    return { node, family: address.includes(":") ? 6 : 4, address, isTold: false, evidence };
  });
  const isOverwritten = Object.keys(object.metadata.annotations ?? {}).some((key) => OVERWRITTEN.test(key));
  const told = ([4, 6] as const).flatMap((family): Known[] => {
    const peer = flannel.peer(node.name, family);
    if (!peer || isOverwritten || internal.some(({ address }) => address === peer.publicIp)) return [];
    return [{ node, family, address: peer.publicIp, isTold: true, evidence: peer.evidence }];
  });
  return [...counted, ...told];
}

/** By which others get to a node, and it to them. */
const breaksOf = (nodes: readonly string[], isTold: boolean): Capability[] =>
  nodes.flatMap((name): Capability[] => [
    { name: "node.tunnel", node: name },
    { name: "node.tunnel", peer: name },
    ...(isTold
      ? []
      : ([
          { name: "node.reach", node: name },
          { name: "node.reach", peer: name },
        ] as const)),
  ]);

function* judgeAbsent(node: NodeView, model: Model): Iterable<Finding> {
  const { links, localAddresses } = model.forwarding.of(node.name);
  const local = known(localAddresses);
  if (!isWhole(links) || !local || local.size === 0) return;
  const [first, ...others] = addressesOf(node, model).filter(({ address }) => !local.has(address));
  if (!first) return;
  const args = { node: node.name, address: first.address };
  const held = links.value.flatMap(({ name, addresses }) => addresses.map((one) => `${one.local} (${name})`));
  yield fault({
    repair: node.ref,
    related: agentsOf(model),
    nodes: [node.name],
    breaks: breaksOf([node.name], first.isTold),
    title: first.isTold ? say.absentTold(args) : say.absent(args),
    evidence: [
      first.evidence,
      quoteOf(links.origin, `addresses: ${held.join(", ")}`),
      ...others.map(({ evidence }) => evidence),
    ],
    strength: "direct",
    facts: { case: first.isTold ? "told" : "absent" },
  });
}

const agentsOf = ({ components }: Model): Ref[] => components.byId("flannel").map(({ ref }) => ref);

function* judgeShared(model: Model): Iterable<Finding> {
  const all = model.nodes.all.flatMap((node) => addressesOf(node, model));
  for (const same of Map.groupBy(all, ({ address }) => address).values()) {
    const [first] = same as [Known, ...Known[]];
    const names = [...new Set(same.map(({ node }) => node.name))];
    const hasIt = (name: string) => known(model.forwarding.of(name).localAddresses)?.has(first.address);
    // one that counts as an address which it has not is told of as that
    if (names.length < 2 || names.some((name) => hasIt(name) === false)) continue;
    const isTold = same.every((one) => one.isTold);
    const [agent] = agentsOf(model);
    const args = { nodes: names, address: first.address };
    const title: Text = isTold ? say.sharedTold(args) : say.shared(args);
    yield fault({
      repair: isTold && agent ? agent : first.node.ref,
      related: same.map(({ node }) => node.ref),
      nodes: names,
      breaks: breaksOf(names, isTold),
      title,
      evidence: same.slice(0, 4).map(({ evidence }) => evidence),
      strength: "direct",
      facts: { case: isTold ? "shared-told" : "shared" },
    });
  }
}

/** Whether it is an address that Pods have, or their gateway: others get there by the tunnel only. */
const isOfPods = ({ address, isTold }: Known, { nodes }: Model): boolean => {
  const ip = parseIp(address);
  return isTold && ip !== undefined && nodes.all.some(({ podRanges }) => podRanges.some((one) => contains(one, ip)));
};

/** flannel took the Pods' bridge for the device that leads to the other nodes. */
function* judgeCircular(model: Model): Iterable<Finding> {
  const within = model.nodes.all.flatMap((node) => addressesOf(node, model)).filter((one) => isOfPods(one, model));
  const [first] = within;
  if (!first) return;
  const [agent] = agentsOf(model);
  const names = [...new Set(within.map(({ node }) => node.name))];
  const isWithin = ({ name }: NodeView) => names.includes(name) || model.flannel.peer(name) === undefined;
  const devices = flag(model.components, "flannel", "iface").map(({ evidence }) => evidence);
  yield fault({
    repair: agent && model.nodes.all.every(isWithin) ? agent : first.node.ref,
    related: [...(agent ? [agent] : []), ...within.map(({ node }) => node.ref)],
    nodes: names,
    breaks: breaksOf(names, true),
    title: say.circular({ nodes: names, addresses: within.slice(0, 3).map(({ address }) => address) }),
    evidence: [...devices.slice(0, 1), ...within.slice(0, 3).map(({ evidence }) => evidence)],
    strength: "direct",
    facts: { case: "circular" },
  });
}

/**
 * Whether a node is the only one that is known by an address of another network: all others are known by one in which it
 * has an address as well, and none of them has one beside that which it is known by.
 */
function* judgeAside(node: NodeView, model: Model): Iterable<Finding> {
  const { links } = model.forwarding.of(node.name);
  const others = model.nodes.all.filter((one) => one !== node);
  if (!isWhole(links) || others.length === 0 || !model.nodes.whole) return;
  const held = links.value.flatMap(({ name, addresses }) =>
    addresses.flatMap(({ local, prefixLength, scope }) => {
      const prefix = scope === "global" ? parsePrefix(`${local}/${prefixLength}`) : undefined;
      return prefix ? [{ device: name, local, prefix }] : [];
    }),
  );
  const owned = addressesOf(node, model);
  for (const known of owned) {
    const { address, isTold, evidence, family } = known;
    const own = held.find(({ local }) => local === address);
    if (!own || isOfPods(known, model)) continue;
    const knownBy = others.map((other) => by(other, isTold, family, model));
    const home = held.find(
      ({ prefix, local }) =>
        local !== address &&
        isWide(prefix) &&
        knownBy.every((ip) => ip !== undefined && contains(prefix, ip) && !contains(own.prefix, ip)),
    );
    const neighbours = others.map(({ name }) => model.forwarding.of(name).localAddresses).filter(isWhole);
    const isAlone = neighbours.every(({ value }) =>
      [...value].every((local) => {
        const ip = parseIp(local);
        return ip === undefined || !contains(own.prefix, ip);
      }),
    );
    if (!home || neighbours.length === 0 || !isAlone) continue;
    const { device, prefix, local: right } = home;
    const args = { node: node.name, address, device: own.device, network: formatPrefix(prefix), right, by: device };
    yield fault({
      repair: node.ref,
      related: agentsOf(model),
      nodes: [node.name],
      breaks: isTold
        ? breaksOf([node.name], true)
        : [
            { name: "node.reach", node: node.name },
            { name: "node.reach", peer: node.name },
          ],
      title: isTold ? say.asideTold(args) : say.aside(args),
      evidence: [
        evidence,
        quoteOf(links.origin, `addresses: ${held.map((one) => `${one.local} (${one.device})`).join(", ")}`),
      ],
      strength: "differing",
      facts: { case: isTold ? "aside-told" : "aside", right },
    });
  }
}

/** Others' own networks, not what leads to one address. */
const isWide = ({ length, ip }: Prefix): boolean => length < (ip.family === 4 ? 32 : 128);

/** The address by which flannel, or by which the cluster, knows a node. */
function by(node: NodeView, isTold: boolean, family: Family, { flannel }: Model): Ip | undefined {
  const internal = node.addresses.map(parseIp).find((ip) => ip?.family === family);
  return isTold ? parseIp(flannel.peer(node.name, family)?.publicIp ?? "") : internal;
}

/** A node is known by an address that it does not have, or that another has as well. */
export const nodeAddressWrong = defineCheck({
  id: "node-address-wrong",
  reads: ["nodes", "forwarding", "flannel", "objects", "components"],

  *find(model) {
    for (const node of model.nodes.all) {
      if (!node.sampled) continue;
      yield* judgeAbsent(node, model);
      yield* judgeAside(node, model);
    }
    yield* judgeShared(model);
    yield* judgeCircular(model);
  },

  remedies({ repair, related, nodes, facts }) {
    const shown = { run: "kubectl get nodes -o wide" };
    const agent = [repair, ...related].find(({ kind }) => kind === "DaemonSet");
    const [node = ""] = nodes;
    const edit = agent && { run: `kubectl edit ${kubectlName(agent)}` };
    const renew = agent && {
      why: say.tellFlannel({ node }),
      change: { do: "restart", component: agent, node } as const,
      verify: { run: sh`kubectl get node ${node} -o yaml` },
    };
    const steps = {
      absent: [
        { why: say.tellAnew(), change: { run: "systemctl restart kubelet", node }, verify: shown },
        ...(renew ? [renew] : []),
      ],
      told: renew ? [renew] : [{ why: say.tellFlannel({ node }), verify: shown }],
      aside: [{ why: say.nameAddress({ node, right: String(facts.right) }), verify: shown }],
      "aside-told": [
        { why: say.chooseDevice(), ...(edit && { change: edit, undo: edit }), verify: shown },
        ...(renew ? [renew] : []),
      ],
      shared: [{ why: say.makeUnique(), verify: shown }],
      circular: [
        { why: say.chooseDevice(), ...(edit && { change: edit, undo: edit }), verify: shown },
        ...(repair.kind === "Node" && renew ? [renew] : []),
      ],
      "shared-told": [{ why: say.chooseDevice(), ...(edit && { change: edit, undo: edit }), verify: shown }],
    }[String(facts.case)];
    return [
      { id: "tell-address", risk: "low", interrupts: say.interrupts(), steps: steps ?? [], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: { en: "A node is known by a wrong address", zh: "节点登记的地址有误" },
    page: {
      en: `Other nodes, the API server and the CNI get to a node by the address that its kubelet tells (InternalIP), and flannel by the one in its annotation \`public-ip\`. None of the node's devices has it, or two nodes are known by the same.

**How it looks.** Pods of the node do not reach those of others, nor the other way; \`kubectl logs\` and \`exec\` time out for its Pods; or everything that is meant for one node arrives at another. The node itself may be Ready: it reports by itself, from whatever address it has.

**How it comes about.** The node got another address by DHCP or was cloned; a virtual machine's first device is behind a translation of addresses and is the same on all (Vagrant's 10.0.2.15), and flannel takes the device of the default route; flannel was told a device that is the Pods' own (\`--iface=cni0\`); an annotation was left from an older device.

**When this is not the cause.** Behind a translation of addresses that is meant (annotation \`public-ip-overwrite\`) the address is not the node's own, and that is right.`,
      zh: `其他节点、API Server 和 CNI 通过 kubelet 上报的地址（InternalIP）访问节点，flannel 则使用注解 \`public-ip\` 中的地址。该节点的任何网卡上都没有这个地址，或两个节点登记了同一个地址。

**现象。** 该节点的 Pod 与其他节点的 Pod 互不可达；对其 Pod 执行 \`kubectl logs\` 和 \`exec\` 超时；或发往某节点的流量全部到了另一个节点。节点本身可能是 Ready：它主动上报，用什么地址都行。

**成因。** 节点经 DHCP 换了地址，或由克隆而来；虚拟机的第一块网卡位于地址转换之后且各机相同（Vagrant 的 10.0.2.15），而 flannel 取默认路由所在的网卡；为 flannel 指定的网卡属于 Pod 网络自身（\`--iface=cni0\`）；注解是旧网卡遗留的。

**何时不是它。** 若有意处于地址转换之后（注解 \`public-ip-overwrite\`），该地址本来就不在节点上。`,
    },
  },
});
