import type { Evidence } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { tunnelDevices } from "../../model/tunnels/devices.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "forwarding" | "flannel" | "components">;

const say = texts("tunnel-mac-duplicate", {
  same: {
    en: "Nodes {node} and {other} have one MAC address ({mac}) for their tunnels: packets for one go to the other, and between them none passes",
    zh: "节点 {node} 与 {other} 的隧道使用同一个 MAC 地址（{mac}）：发往一方的报文会送到另一方，两者之间完全不通",
  },
  machineId: {
    en: "Give {node} a machine ID of its own: systemd makes the MAC addresses of such devices from it",
    zh: "为 {node} 生成独立的 machine-id：systemd 据此为这类设备生成 MAC 地址",
  },
  forget: {
    en: "Take back what the node announced: flannel gives its device that MAC address again otherwise",
    zh: "删除该节点发布的注解：否则 flannel 会再次给设备设置同一个 MAC 地址",
  },
  remove: { en: "Remove the tunnel's device", zh: "删除隧道设备" },
  restart: {
    en: "Restart the agent on {node}: it makes the device anew, announces it, and the other nodes follow",
    zh: "重启 {node} 上的代理：它会重新创建设备并发布，其他节点随之更新",
  },
  interrupts: {
    en: "Packets between the node's Pods and those of others, for some seconds",
    zh: "该节点与其他节点之间的 Pod 流量中断数秒",
  },
  prevent: {
    en: "Empty /etc/machine-id in images of virtual machines, so that each makes its own when it starts first",
    zh: "制作虚拟机镜像时清空 /etc/machine-id，使每台机器首次启动时各自生成",
  },
});

type Told = { readonly node: NodeView; readonly mac: string; readonly device: string; readonly evidence: Evidence };

/** The MAC addresses under which nodes' tunnels are reached: what flannel announces, and what the devices have. */
function* macs({ nodes, forwarding, flannel }: Model): Iterable<Told> {
  for (const node of nodes.all) {
    const peer = flannel.peer(node.name);
    const device = `flannel.${flannel.config?.vni ?? 1}`;
    if (peer?.mac !== undefined) yield { node, mac: peer.mac, device, evidence: peer.evidence };
  }
  for (const devices of tunnelDevices(nodes, forwarding).values())
    for (const { node, link, evidence } of devices)
      if (link.mac !== undefined) yield { node, mac: link.mac, device: link.name, evidence };
}

const createdAt = ({ object }: NodeView): string => object?.metadata.creationTimestamp ?? "";

/** Two nodes' tunnels have one MAC address. */
export const tunnelMacDuplicate = defineCheck({
  id: "tunnel-mac-duplicate",
  reads: ["nodes", "forwarding", "flannel", "components"],

  *find(model): Iterable<Finding> {
    for (const [mac, told] of Map.groupBy(macs(model), (one) => one.mac)) {
      // the younger was cloned
      const owners = [...new Set(told.map(({ node }) => node))].sort((a, b) =>
        createdAt(a) === createdAt(b) ? (a.name < b.name ? -1 : 1) : createdAt(a) < createdAt(b) ? -1 : 1,
      );
      const [first, ...clones] = owners;
      for (const node of first ? clones : []) {
        const others = owners.filter((one) => one !== node);
        yield fault({
          repair: node.ref,
          related: [...others.map(({ ref }) => ref), ...model.components.withDuty("cni").map(({ ref }) => ref)],
          nodes: [node.name],
          breaks: owners.flatMap((owner) => [
            { name: "pod-network.address", node: owner.name } as const,
            ...owners
              .filter((one) => one !== owner && (one === node || owner === node))
              .map((peer) => ({ name: "pod-network.entries", node: owner.name, peer: peer.name }) as const),
          ]),
          title: say.same({ node: node.name, other: first!.name, mac }),
          evidence: told.filter((one) => one.node === node || one.node === first).map(({ evidence }) => evidence),
          strength: "direct",
          lost: true,
          facts: {
            device: told.find((one) => one.node === node)!.device,
            ...(model.flannel.peer(node.name) && { announced: "flannel.alpha.coreos.com/backend-data" }),
          },
        });
      }
    }
  },

  remedies({ repair, related, facts }) {
    const node = repair.name;
    const device = String(facts.device);
    const agent = related.find(({ kind }) => kind === "DaemonSet");
    const verify = { run: sh`ip link show ${device}`, node };
    const renew = "rm -f /etc/machine-id /var/lib/dbus/machine-id && systemd-machine-id-setup";
    const steps = [
      { why: say.machineId({ node }), change: { run: renew, node }, verify: { run: "cat /etc/machine-id", node } },
      ...(typeof facts.announced === "string"
        ? [
            {
              why: say.forget(),
              change: { run: sh`kubectl annotate node ${node} ${`${facts.announced}-`}` },
              verify: { run: sh`kubectl get node ${node} -o jsonpath={.metadata.annotations}` },
            },
          ]
        : []),
      { why: say.remove(), change: { run: sh`ip link delete ${device}`, node }, verify },
      {
        why: say.restart({ node }),
        ...(agent && { change: { do: "restart", component: agent, node } as const }),
        verify,
      },
    ];
    const prevent = [say.prevent()];
    return [{ id: "make-own-mac", risk: "medium", interrupts: say.interrupts(), steps, prevent }];
  },

  manual: {
    title: { en: "Two nodes' tunnels have one MAC address", zh: "两个节点的隧道 MAC 地址相同" },
    page: {
      en: `Inside an overlay, nodes find each other by the MAC addresses of their tunnels' devices. flannel announces them (\`backend-data: {"VtepMAC": …}\`), and each node keeps one FDB entry for each.

**How it looks.** Of two nodes, the Pods of one are reached by the others only, those of the second never, and which one it is differs from node to node. Between the two themselves nothing passes at all: the kernel takes packets that bear its own MAC address for its own and throws them away.

**How it comes about.** Virtual machines were cloned with their /etc/machine-id, from which systemd makes the MAC addresses of devices without hardware. Or a Node's annotations were copied to another.

**When this is not the cause.** One wrong FDB entry on one node, with different MAC addresses announced, is that node's own.`,
      zh: `在 Overlay 中，节点之间依靠隧道设备的 MAC 地址找到对方。flannel 会发布它（\`backend-data: {"VtepMAC": …}\`），各节点为每个 MAC 地址保存一条 FDB 表项。

**现象。** 两个节点中，其他节点只能访问到其中一个的 Pod，另一个始终不通，且从不同节点看可能不是同一个。这两个节点之间完全不通：内核会把带有自身 MAC 地址的报文当作自己发出的而丢弃。

**成因。** 克隆虚拟机时保留了 /etc/machine-id，而 systemd 用它为没有硬件的设备生成 MAC 地址；或者把一个 Node 的注解复制给了另一个。

**何时不是它。** 若发布的 MAC 地址各不相同，只是某个节点上的一条 FDB 表项错误，那是该节点自身的问题。`,
    },
  },
});
