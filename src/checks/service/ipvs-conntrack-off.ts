import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, works } from "../check.ts";

const say = texts("ipvs-conntrack-off", {
  off: {
    en: "IPVS on node {node} does without connection tracking (net.ipv4.vs.conntrack is 0): nothing that it sends on is masqueraded",
    zh: "节点 {node} 的 IPVS 未启用连接跟踪（net.ipv4.vs.conntrack 为 0）：它转发的报文都不会做源地址转换",
  },
  turnOn: {
    en: "Turn it on, and write it to /etc/sysctl.d so that it lasts: kube-proxy sets it only when it starts",
    zh: "打开该开关，并写入 /etc/sysctl.d 使其持久生效：kube-proxy 只在启动时设置",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep net.ipv4.vs.conntrack = 1 in /etc/sysctl.d of nodes in IPVS mode, with the module ip_vs in /etc/modules-load.d: without the module the key does not exist yet when the files are read",
    zh: "在 IPVS 模式的节点上，将 net.ipv4.vs.conntrack = 1 写入 /etc/sysctl.d，并在 /etc/modules-load.d 中加载 ip_vs：模块未加载时该参数尚不存在，读取文件时会被跳过",
  },
});

const KEY = "net.ipv4.vs.conntrack";

/**
 * IPVS without connection tracking takes its packets out of it (ip_vs_notrack in net/netfilter/ipvs/ip_vs_xmit.c), and no nat
 * chain is asked for them. kube-proxy sets the key to 1 when it starts (NewProxier in pkg/proxy/ipvs/proxier.go).
 */
export const ipvsConntrackOff = defineCheck({
  id: "ipvs-conntrack-off",
  reads: ["nodes", "services", "proxy", "components", "forwarding"],

  *find({ nodes, services, proxy, components, forwarding }) {
    for (const { name, ref, sampled } of nodes.all) {
      if (!sampled || proxy.mode(name) !== "ipvs") continue;
      const family = services.ofFamily(4);
      const masquerade = { name: "service.masquerade", node: name, ...family } as const;
      const setting = forwarding.of(name).sysctl(KEY);
      if (setting.state !== "present") yield cannotTell(masquerade, [{ kind: "sysctls", place: { node: name } }]);
      else if (setting.value.value !== "0") yield works(masquerade, [setting.value.evidence]);
      else {
        yield fault({
          repair: ref,
          nodes: [name],
          related: components.withDuty("service-proxy").map(({ ref: self }) => self),
          breaks: [masquerade, { name: "pod.hairpin", node: name, ...family }],
          title: say.off({ node: name }),
          evidence: [setting.value.evidence],
          strength: "direct",
        });
      }
    }
  },

  remedies: ({ nodes }) => [
    {
      id: "track-connections",
      risk: "low",
      interrupts: say.nothing(),
      steps: nodes.map((node) => {
        const set = (value: string) => ({ do: "sysctl", node, key: KEY, value }) as const;
        return { why: say.turnOn(), change: set("1"), undo: set("0"), verify: { run: `sysctl ${KEY}`, node } };
      }),
      prevent: [say.prevent()],
    },
  ],

  manual: {
    title: { en: "IPVS does without connection tracking", zh: "IPVS 未启用连接跟踪" },
    page: {
      en: `\`net.ipv4.vs.conntrack\` is 0 on a node whose kube-proxy works in IPVS mode. What IPVS sends on is then not tracked, the nat table is not asked, and MASQUERADE does nothing for it.

**How it looks.** Programs on the node (kubelet, agents on the host network) do not reach Services with back ends on other nodes: their packets leave with the ClusterIP as source, which the kernel chose because kube-ipvs0 holds it. NodePorts fail where the back end is on another node. A Pod does not reach itself through its Service. From Pod to Pods of other nodes Services work.

**How it comes about.** A sysctl file or a hardening role sets it, or the module ip_vs was loaded anew: its default is 0. kube-proxy sets it when it starts, and not again.

**When this is not the cause.** In iptables and nftables mode nothing reads this key.`,
      zh: `节点上的 kube-proxy 工作在 IPVS 模式，而 \`net.ipv4.vs.conntrack\` 为 0。此时 IPVS 转发的报文不进入连接跟踪，nat 表不会处理它们，MASQUERADE 不起作用。

**现象。** 节点自身的进程（kubelet、使用主机网络的组件）访问不了后端在其他节点的 Service：kube-ipvs0 上有 ClusterIP，内核便选它作源地址，报文带着这个源地址离开节点。后端在其他节点时 NodePort 不通。Pod 经由 Service 访问自身不通。Pod 经由 Service 访问其他节点的 Pod 则正常。

**成因。** sysctl 文件或安全加固脚本修改了它，或 ip_vs 模块被重新加载（默认值为 0）。kube-proxy 只在启动时设置一次。

**何时不是它。** iptables 与 nftables 模式下没有任何组件使用该参数。`,
    },
  },
});
