import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, inFamily, works } from "../check.ts";

const say = texts("ip-forwarding-off", {
  off: { en: "Node {node} forwards no packets: {key} is 0", zh: "节点 {node} 不转发报文：{key} 为 0" },
  turnOn: {
    en: "Turn forwarding on, and write it to /etc/sysctl.d so that it lasts",
    zh: "打开转发，并写入 /etc/sysctl.d 使其持久生效",
  },
  findOwner: {
    en: "Find the file that sets it to 0 and correct it there: /etc/sysctl.conf is read last and wins",
    zh: "找出把它设为 0 的文件并修正：/etc/sysctl.conf 最后读取，优先生效",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep {key} = 1 in /etc/sysctl.d of every node; `sysctl --system`, cloud-init and network restarts reset what is only set by hand",
    zh: "在每个节点的 /etc/sysctl.d 中保留 {key} = 1；仅手工设置的值会被 `sysctl --system`、cloud-init 或网络服务重启还原",
  },
});

const KEYS = { 4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding" } as const;
const FILES = "/etc/sysctl.conf /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d";

/** A node does not forward packets between its devices, so its Pods reach nothing beyond it. */
export const ipForwardingOff = defineCheck({
  id: "ip-forwarding-off",
  reads: ["nodes", "pods", "services", "forwarding"],

  *find({ nodes, pods, services, forwarding }) {
    for (const node of nodes.all) {
      const { name, ref, sampled } = node;
      if (!sampled) continue;
      for (const family of pods.familiesOn(node)) {
        const key = KEYS[family];
        const capability = { name: "node.ip-forward", node: name, ...services.ofFamily(family) } as const;
        const setting = forwarding.of(name).sysctl(key);
        if (setting.state !== "present") yield cannotTell(capability, [{ kind: "sysctls", place: { node: name } }]);
        else if (setting.value.value === "0") {
          yield fault({
            repair: ref,
            nodes: [name],
            breaks: [capability],
            title: inFamily(say.off({ node: name, key }), capability),
            evidence: [setting.value.evidence],
            strength: "direct",
            facts: { key },
          });
        } else yield works(capability, [setting.value.evidence]);
      }
    }
  },

  remedies({ nodes, facts }) {
    const key = String(facts.key);
    const words = key.split(".").at(-1)!;
    return [
      {
        id: "enable-forwarding",
        risk: "low",
        interrupts: say.nothing(),
        steps: nodes.flatMap((node) => {
          const verify = { run: `sysctl ${key}`, node };
          const set = (value: string) => ({ do: "sysctl", node, key, value }) as const;
          return [
            { why: say.turnOn(), change: set("1"), undo: set("0"), verify },
            { why: say.findOwner(), change: { run: `grep -rs ${words} ${FILES}`, node }, verify },
          ];
        }),
        prevent: [say.prevent({ key })],
      },
    ];
  },

  manual: {
    title: { en: "A node does not forward packets", zh: "节点未开启 IP 转发" },
    page: {
      en: `\`net.ipv4.ip_forward\` (IPv6: \`net.ipv6.conf.all.forwarding\`) is 0 on a node: its kernel drops every packet that is neither from nor to the node itself.

**How it looks.** Pods of the node reach nothing beyond it: no Pods of other nodes, no Services with back ends elsewhere, no DNS, not the API server. From other nodes its Pods time out. Pods on the same bridge still talk to each other, and so do programs on the node itself: \`kubectl get nodes\` shows it Ready.

**How it comes about.** \`sysctl --system\`, a restart of the network service, cloud-init or a hardening role sets the distribution's default again.

**When this is not the cause.** If only some destinations fail, look at routes and packet filters.`,
      zh: `节点上 \`net.ipv4.ip_forward\`（IPv6 为 \`net.ipv6.conf.all.forwarding\`）为 0：凡不是发自或发往节点自身的报文，内核一律丢弃。

**现象。** 该节点的 Pod 出不了节点：访问不了其他节点的 Pod、后端在别处的 Service、DNS 和 API Server；从其他节点访问它的 Pod 会超时。同一网桥上的 Pod 仍能互通，节点上的进程也正常，\`kubectl get nodes\` 显示 Ready。

**成因。** \`sysctl --system\`、网络服务重启、cloud-init 或安全加固脚本恢复了发行版默认值。

**何时不是它。** 若只有部分目标不通，应检查路由和包过滤规则。`,
    },
  },
});
