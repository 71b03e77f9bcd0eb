import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import { neighbourOf } from "../../model/forwarding/tables.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { kubectlName, type Ref } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "calico" | "nodes" | "components" | "forwarding" | "objects">;

const say = texts("calico-node-address-wrong", {
  nobodys: {
    en: "Node {node} is announced to Calico as {address}, which none of its devices has: other nodes send its Pods' packets elsewhere",
    zh: "节点 {node} 在 Calico 中登记的地址 {address} 不在它的任何网卡上：其他节点把发往其 Pod 的报文送往别处",
  },
  unreached: {
    en: "calico-node found out an address for {nodes} that other nodes do not reach ({address} for {node}, not {own}): packets to their Pods get nowhere",
    zh: "calico-node 为 {nodes} 检测到的地址其他节点无法访问（{node} 为 {address}，而非 {own}）：发往其 Pod 的报文无法送达",
  },
  detect: {
    en: "Tell calico-node which address is meant: IP_AUTODETECTION_METHOD=kubernetes-internal-ip, or cidr= with the nodes' network",
    zh: "指定 calico-node 应使用的地址：IP_AUTODETECTION_METHOD=kubernetes-internal-ip，或用 cidr= 指定节点网段",
  },
  restart: {
    en: "Restart calico-node on {node}: it finds out the node's address and announces it anew",
    zh: "重启 {node} 上的 calico-node：它会重新检测并登记节点地址",
  },
  interrupts: { en: "Nothing: routes stay while it restarts", zh: "无：重启期间路由保持不变" },
  prevent: {
    en: "Do not leave it to first-found on nodes with bridges, VPNs or several networks: set IP_AUTODETECTION_METHOD",
    zh: "节点上有网桥、VPN 或多个网络时不要依赖 first-found，应明确设置 IP_AUTODETECTION_METHOD",
  },
});

type Announced = { readonly node: NodeView; readonly address: string; readonly evidence: Evidence };

function announcedOf(node: NodeView, { calico, objects }: Model): Announced | undefined {
  const address = calico.announced(node)?.address;
  // what the cluster knows the node by is no mistake of Calico's
  if (address === undefined || !node.object || node.addresses.includes(address)) return undefined;
  const words = `Node ${node.name}: projectcalico.org/IPv4Address: ${address}; status.addresses: ${node.addresses.join(", ")}`;
  return { node, address, evidence: objects.quote("nodes", node.object, words) };
}

/** That no device of the node has the address; undefined if one has, or nobody looked. */
function absence({ node, address }: Announced, { forwarding }: Model): Evidence | undefined {
  const { links } = forwarding.of(node.name);
  if (!isWhole(links) || links.value.some(({ addresses }) => addresses.some(({ local }) => local === address)))
    return undefined;
  return quoteOf(links.origin, `${node.name}: no device with ${address}`);
}

/** That another node asked for the address in vain. */
function failure({ node, address }: Announced, { nodes, forwarding }: Model): Evidence | undefined {
  for (const { name } of nodes.all) {
    const { neighbours } = forwarding.of(name);
    const device = known(neighbours)?.find((entry) => entry.address === address)?.device;
    const entry = device === undefined ? undefined : neighbourOf(neighbours, address, device);
    if (name !== node.name && entry?.states.some((state) => state === "FAILED" || state === "INCOMPLETE"))
      return quoteOf(neighbours.origin, `${name}: ${address} dev ${device} ${entry.states.join(" ")}`);
  }
  return undefined;
}

/** What leads to these nodes, and from them. */
const breaksOf = (wrong: readonly Announced[], { nodes }: Model): Capability[] =>
  wrong.flatMap(({ node }): Capability[] => [
    { name: "node.tunnel", node: node.name },
    ...nodes.all.flatMap((other): Capability[] =>
      other === node ? [] : [{ name: "node.tunnel", node: other.name, peer: node.name }],
    ),
  ]);

/** Calico announces an address for a node at which others do not reach it. */
export const calicoNodeAddressWrong = defineCheck({
  id: "calico-node-address-wrong",
  reads: ["calico", "nodes", "components", "forwarding", "objects"],

  *find(model) {
    const { calico, nodes, components } = model;
    if (!calico.used) return;
    const agents: Ref[] = components.byId("calico-node").map(({ ref }) => ref);
    const odd = nodes.all.flatMap((node) => announcedOf(node, model) ?? []);
    for (const one of odd) {
      const nowhere = absence(one, model);
      if (!nowhere) continue;
      yield fault({
        repair: one.node.ref,
        related: agents,
        nodes: [one.node.name],
        breaks: breaksOf([one], model),
        title: say.nobodys({ node: one.node.name, address: one.address }),
        evidence: [one.evidence, nowhere],
        strength: "direct",
        facts: { case: "nobodys" },
      });
    }
    const unreached = odd.flatMap((one) => {
      const failed = absence(one, model) ? undefined : failure(one, model);
      return failed ? [{ ...one, failed }] : [];
    });
    const [first] = unreached;
    if (!first) return;
    const names = unreached.map(({ node }) => node.name);
    yield fault({
      repair: agents[0] ?? first.node.ref,
      related: unreached.map(({ node }) => node.ref),
      nodes: names,
      breaks: breaksOf(unreached, model),
      title: say.unreached({
        nodes: names,
        node: first.node.name,
        address: first.address,
        own: first.node.addresses[0] ?? "?",
      }),
      evidence: unreached.slice(0, 3).flatMap(({ evidence, failed }) => [evidence, failed]),
      strength: "direct",
      facts: { case: "unreached" },
    });
  },

  remedies({ repair, related, nodes: [node = ""], facts }) {
    const verify = { run: "kubectl get nodes -o yaml | grep projectcalico.org/IPv4Address" };
    const agent = related.find(({ kind }) => kind === "DaemonSet");
    const set = `kubectl set env ${kubectlName(repair)} -c calico-node`;
    const step =
      facts.case === "unreached"
        ? {
            why: say.detect(),
            change: { run: `${set} IP_AUTODETECTION_METHOD=kubernetes-internal-ip` },
            undo: { run: `${set} IP_AUTODETECTION_METHOD-` },
            verify,
          }
        : agent
          ? { why: say.restart({ node }), change: { do: "restart", component: agent, node } as const, verify }
          : { why: say.restart({ node }), verify };
    return [
      { id: "announce-address", risk: "low", interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: {
      en: "Calico announces an address at which a node is not reached",
      zh: "Calico 登记的节点地址无法访问",
    },
    page: {
      en: `calico-node finds out the node's address when it starts and writes it to the Node (annotation \`projectcalico.org/IPv4Address\`). Tunnels, routes and BGP of all other nodes lead there. netwhy looks whether the node has that address at all, and whether other nodes asked for it in vain.

**How it looks.** Pods of the node reach each other and nobody else; the node itself is reached, at its real address. \`bridge fdb show dev vxlan.calico\` on other nodes shows the odd address.

**How it comes about.** By default the first device with an address is taken: that of docker0, virbr0, a VPN or a second network, once such a device is there before calico-node starts. IP_AUTODETECTION_METHOD names a device that means something else on other nodes. Somebody edited the annotation.

**When this is not the cause.** A second network between all nodes may be meant for the Pods' packets: an address that differs from the Node's and is reached is none of this.`,
      zh: `calico-node 启动时检测节点地址并写入 Node（注解 \`projectcalico.org/IPv4Address\`），其他节点的隧道、路由和 BGP 都以此为准。netwhy 检查节点是否真有该地址，以及其他节点是否解析不到它。

**现象。** 该节点上的 Pod 之间互通，与其他节点不通；节点本身用真实地址可以访问。其他节点上 \`bridge fdb show dev vxlan.calico\` 显示的是异常地址。

**成因。** 默认取第一个有地址的网卡：calico-node 启动前若已存在 docker0、virbr0、VPN 或第二网络，就可能取到它们的地址；IP_AUTODETECTION_METHOD 指定的网卡在别的节点上含义不同；有人修改了注解。

**何时不是它。** 节点间可能有专供 Pod 流量的第二网络：地址虽与 Node 不同但可达，则不属于此故障。`,
    },
  },
});
