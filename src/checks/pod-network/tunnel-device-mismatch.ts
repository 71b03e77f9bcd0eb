import type { Evidence } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import { type Ref, ref } from "../../model/ref.ts";
import { type TunnelDevice, tunnelDevices } from "../../model/tunnels/devices.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "forwarding" | "flannel" | "calico" | "cilium" | "components" | "objects">;

const say = texts("tunnel-device-mismatch", {
  port: {
    en: "The tunnel device {device} of node {node} sends to and listens on UDP port {value}, those of the other nodes on {others}: neither understands the other",
    zh: "节点 {node} 的隧道设备 {device} 使用 UDP 端口 {value}，其他节点使用 {others}：双方互不相通",
  },
  id: {
    en: "The tunnel device {device} of node {node} has VNI {value}, those of the other nodes {others}: neither takes the other's packets",
    zh: "节点 {node} 的隧道设备 {device} 的 VNI 为 {value}，其他节点为 {others}：双方都不接收对方的报文",
  },
  config: {
    en: "{config} has been changed, and only some nodes have taken it: their tunnel devices use {key} {value}, those of {nodes} {others}",
    zh: "{config} 已被修改，但只有部分节点生效：这些节点的隧道设备使用 {key} {value}，{nodes} 使用 {others}",
  },
  remove: {
    en: "Remove the device, and restart the agent on the node: it makes it anew as it is configured",
    zh: "删除该设备并重启该节点上的代理：它会按配置重新创建",
  },
  removeOnly: {
    en: "Remove the device, so that the agent of the node makes it anew as it is configured, and look where the agent has its setting from",
    zh: "删除该设备，由该节点的代理按配置重新创建，并检查该代理的配置来源",
  },
  restartAll: {
    en: "Restart the agent on the nodes that have not taken the configuration, or take it back and restart the others",
    zh: "重启尚未生效的节点上的代理；或撤回配置并重启其余节点",
  },
  interrupts: {
    en: "Packets between the node's Pods and those of others, for some seconds",
    zh: "该节点与其他节点之间的 Pod 流量中断数秒",
  },
  prevent: {
    en: "Change port and VNI of an overlay for all nodes at once, in a maintenance window: there is no way to have both",
    zh: "Overlay 的端口和 VNI 只能在维护窗口内对所有节点一次性修改：两种设置无法共存",
  },
});

const KEYS = ["port", "id"] as const;
type Key = (typeof KEYS)[number];

/** What Calico is told for a node. It may be told so for one node: then that is what is wrong, and the device is not. */
const FELIX = { port: "vxlanPort", id: "vxlanVNI" } as const;

type Odd = { readonly key: Key; readonly value: number; readonly others: number; readonly device: TunnelDevice };

/** The devices of a kind that are not like most of the others; undefined where half are like this and half like that. */
function odd(devices: readonly TunnelDevice[], key: Key, wanted: number | undefined): readonly Odd[] {
  const told = devices.filter(({ vxlan }) => vxlan[key] !== undefined);
  const byValue = [...Map.groupBy(told, ({ vxlan }) => vxlan[key]!)].sort(
    ([a, x], [b, y]) => y.length - x.length || Number(b === wanted) - Number(a === wanted) || a - b,
  );
  const [most, ...rest] = byValue;
  if (!most) return [];
  return rest.flatMap(([value, members]) => members.map((device) => ({ key, value, others: most[0], device })));
}

/** What all agents of a network are told by one ConfigMap: they read it when they start. */
type Told = { readonly port: number; readonly id?: number; readonly map: Ref; readonly evidence: Evidence };

function toldOf(kind: string, { flannel, cilium, objects }: Model): Told | undefined {
  if (kind.startsWith("flannel") && flannel.config && flannel.configMap) {
    const { port, vni, evidence } = flannel.config;
    return { port, id: vni, map: flannel.configMap, evidence };
  }
  const port = Number(cilium.setting("tunnel-port"));
  const map = objects.all("configmaps").find(({ metadata }) => metadata.name === "cilium-config");
  if (!kind.includes("cilium") || !map || !port) return undefined;
  const { name, namespace } = map.metadata;
  const evidence = objects.quote("configmaps", map, `ConfigMap ${name}: tunnel-port: ${port}`);
  return { port, map: ref("ConfigMap", name, namespace), evidence };
}

function* judge(kind: string, devices: readonly TunnelDevice[], model: Model): Iterable<Finding> {
  const { calico, components, nodes } = model;
  const isCalico = kind.includes("calico");
  const config = toldOf(kind, model);
  const agents = components.withDuty("cni").map(({ ref }) => ref);
  for (const key of KEYS) {
    const wanted = config?.[key];
    const found = odd(devices, key, wanted).filter(({ device, value }) => {
      const setting = isCalico ? calico.setting(device.node.name, FELIX[key]) : undefined;
      return setting?.value !== value;
    });
    const [first] = found;
    if (!first) continue;
    const breaks = (odds: readonly Odd[]) =>
      odds.flatMap(({ device: { node } }) => [
        { name: "node.tunnel", node: node.name } as const,
        ...nodes.all
          .filter((other) => !odds.some(({ device }) => device.node === other))
          .map((other) => ({ name: "node.tunnel", node: other.name, peer: node.name }) as const),
      ]);
    const like = devices.find(({ vxlan }) => vxlan[key] === first.others)!;
    // those that are otherwise are as they are told now: the others have not started since
    if (config && found.every(({ value }) => value === wanted)) {
      const late = devices.filter(({ vxlan }) => vxlan[key] !== wanted).map(({ node }) => node.name);
      yield fault({
        repair: config.map,
        related: [...agents, ...found.map(({ device }) => device.node.ref)],
        nodes: late,
        breaks: breaks(found),
        title: say.config({
          config: `ConfigMap/${config.map.name}`,
          key: key === "port" ? "Port" : "VNI",
          value: first.value,
          nodes: late,
          others: first.others,
        }),
        evidence: [config.evidence, first.device.evidence, like.evidence],
        strength: "differing",
        facts: { case: "config", late },
      });
      continue;
    }
    for (const one of found) {
      const { device, value, others } = one;
      yield fault({
        repair: device.node.ref,
        related: agents,
        nodes: [device.node.name],
        breaks: breaks([one]),
        title: say[key]({ node: device.node.name, device: device.link.name, value, others }),
        evidence: [device.evidence, like.evidence, ...(config ? [config.evidence] : [])],
        strength: "differing",
        lost: true,
        facts: { case: "device", device: device.link.name },
      });
    }
  }
}

/** A node's VXLAN device has another port or VNI than those of the other nodes. */
export const tunnelDeviceMismatch = defineCheck({
  id: "tunnel-device-mismatch",
  reads: ["nodes", "forwarding", "flannel", "calico", "cilium", "components", "objects"],

  *find(model) {
    for (const [kind, devices] of tunnelDevices(model.nodes, model.forwarding)) yield* judge(kind, devices, model);
  },

  remedies({ repair, related, nodes, facts }) {
    const agent = related.find(({ kind }) => kind === "DaemonSet");
    const prevent = [say.prevent()];
    const common = { id: "make-anew", risk: "medium", interrupts: say.interrupts(), prevent } as const;
    if (facts.case === "config") {
      const steps = nodes.map((node) => ({
        why: say.restartAll(),
        ...(agent && { change: { do: "restart", component: agent, node } as const }),
        verify: { run: "ip -d link show type vxlan", node },
      }));
      return [{ ...common, steps }];
    }
    const node = repair.name;
    const device = String(facts.device);
    const verify = { run: sh`ip -d link show ${device}`, node };
    const remove = { run: sh`ip link delete ${device}`, node };
    const steps = agent
      ? [
          { why: say.remove(), change: remove, verify },
          { why: say.remove(), change: { do: "restart", component: agent, node } as const, verify },
        ]
      : [{ why: say.removeOnly(), change: remove, verify }];
    return [{ ...common, steps }];
  },

  manual: {
    title: {
      en: "A node's tunnel has another port or VNI than the others'",
      zh: "节点隧道的端口或 VNI 与其他节点不同",
    },
    page: {
      en: `Nodes that carry Pods' packets in VXLAN send them to a UDP port and mark them with a number, the VNI. Both must be the same on all nodes: what comes to another port meets no tunnel, and what bears another number is thrown away.

**How it looks.** Pods of one node reach nobody on other nodes, and nobody there reaches them; routes, neighbours and FDB entries are as they should be, and ping between the nodes works. \`ip -d link show type vxlan\` shows another \`dstport\` or \`id\` than elsewhere.

**How it comes about.** The configuration was changed and only some agents have restarted since; a device was left from another installation (Docker Swarm and VMware NSX use 4789 as well, and a person evaded them on one node); an agent has a setting for its node alone.

**When this is not the cause.** Where Calico is told so for one node by a FelixConfiguration, that is named in its place. Different MTUs are a matter of their own.`,
      zh: `以 VXLAN 传送 Pod 报文的节点，把报文发往某个 UDP 端口，并带上编号 VNI。两者在所有节点上必须相同：发往其他端口的报文没有隧道接收，编号不同的报文被丢弃。

**现象。** 某节点的 Pod 与所有其他节点的 Pod 互不可达；路由、邻居和 FDB 表项都正确，节点之间也能 ping 通。\`ip -d link show type vxlan\` 显示的 \`dstport\` 或 \`id\` 与其他节点不同。

**成因。** 修改了配置而只有部分代理重启过；残留了另一次安装的设备（Docker Swarm、VMware NSX 也使用 4789，有人为避让而只改了一个节点）；代理带有仅对本节点生效的设置。

**何时不是它。** 若是 FelixConfiguration 对单个节点做了设置，报告会直接指出该对象。MTU 不同是另一类问题。`,
    },
  },
});
