import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, refId } from "../../model/ref.ts";
import { contains, type Family, formatPrefix, type Ip, parseIp } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, warning } from "../check.ts";
import { rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "ranges" | "pods" | "nodes" | "components" | "objects" | "services" | "policies">;

const say = texts("proxy-cluster-cidr-wrong", {
  leavesOut: {
    en: "{config} tells kube-proxy that Pods have addresses of {range} (clusterCIDR), and {count} of {all} {all:Pod|Pods} have others: it takes them for strangers",
    zh: "{config} 告诉 kube-proxy Pod 的地址属于 {range}（clusterCIDR），但 {all} 个 Pod 中有 {count} 个不在其中：kube-proxy 会把它们当作外部客户端",
  },
  holdsNodes: {
    en: "{config} tells kube-proxy that Pods have addresses of {range} (clusterCIDR), which holds the nodes' own as well: it takes nodes for Pods",
    zh: "{config} 告诉 kube-proxy Pod 的地址属于 {range}（clusterCIDR），其中也包含节点自身的地址：kube-proxy 会把节点当作 Pod",
  },
  correct: {
    en: "Set clusterCIDR to the range that Pods have their addresses from",
    zh: "将 clusterCIDR 改为 Pod 实际使用的网段",
  },
  restart: {
    en: "Restart kube-proxy: it reads its configuration when it starts",
    zh: "重启 kube-proxy：它只在启动时读取配置",
  },
  interrupts: { en: "Nothing: rules stay until they are written anew", zh: "无：规则在重新写入之前保持不变" },
  prevent: {
    en: "Give kubeadm its podSubnet once, and never run `kubeadm init phase addon kube-proxy` without --config: clusterCIDR comes from there",
    zh: "只在 kubeadm 配置中设定一次 podSubnet；运行 `kubeadm init phase addon kube-proxy` 时务必带 --config，clusterCIDR 由此而来",
  },
});

const inFamily = (addresses: readonly string[], family: Family): Ip[] =>
  addresses.map(parseIp).filter((ip) => ip?.family === family) as Ip[];

/** Whether anything treats what comes from Pods otherwise than what comes from strangers. */
const tellsApart = ({ services, policies, objects }: Model): boolean =>
  services.all.some(({ policy }) => policy.externalLocal || policy.internalLocal) ||
  (policies.enforcement === "enforced" && objects.all("networkpolicies").length > 0);

/** kube-proxy is told a wrong range of Pod addresses. */
export const proxyClusterCidrWrong = defineCheck({
  id: "proxy-cluster-cidr-wrong",
  reads: ["ranges", "pods", "nodes", "components", "objects", "services", "policies"],

  *find(model) {
    const { ranges, pods, nodes, components } = model;
    const proxies = components.byId("kube-proxy");
    if (proxies.length === 0) return;
    const told = ranges.all.filter(({ of, source }) => of === "pod-network" && isProxys(source));
    const capability = { name: "service.pod-range" } as const;
    if (told.length > 0 && !pods.whole) yield cannotTell(capability, [{ kind: "pods" }]);
    for (const [family, ofFamily] of Map.groupBy(told, ({ prefix }) => prefix.ip.family)) {
      const [first] = ofFamily as [(typeof told)[number], ...typeof told];
      const isHeld = (ip: Ip) => ofFamily.some(({ prefix }) => contains(prefix, ip));
      const addressed = pods.all.filter(
        ({ hostNetwork, finished, addresses }) => !hostNetwork && !finished && inFamily(addresses, family).length > 0,
      );
      const others = addressed.filter(({ addresses }) => !inFamily(addresses, family).some(isHeld));
      const node = nodes.all.find(({ addresses }) => inFamily(addresses, family).some(isHeld));
      if (others.length === 0 && !node) continue;
      const range = ofFamily.map(({ prefix }) => formatPrefix(prefix)).join(", ");
      const args = { config: refId(first.source), range, count: others.length, all: addressed.length };
      const title = others.length > 0 ? say.leavesOut(args) : say.holdsNodes(args);
      const evidence = [
        first.evidence,
        ...others
          .slice(0, 2)
          .map((pod) => model.objects.quote("pods", pod.object, `${pod.key}: ${pod.addresses.join(", ")}`)),
        ...(others.length === 0 && node?.object
          ? [model.objects.quote("nodes", node.object, `Node ${node.name}: ${node.addresses.join(", ")}`)]
          : []),
      ];
      const related = proxies.map(({ ref }) => ref);
      // a pool beside the first is left out more often than noticed
      const isMost = others.length * 2 > addressed.length;
      if (others.length > 0 && !(isMost && tellsApart(model))) {
        yield warning(first.source, title, evidence, related);
        continue;
      }
      const right = ranges.all.find(
        ({ of, source, prefix }) =>
          of === "pod-network" &&
          !isProxys(source) &&
          addressed.every(({ addresses }) => inFamily(addresses, family).some((ip) => contains(prefix, ip))),
      );
      yield fault({
        repair: first.source,
        related,
        breaks: [capability],
        title,
        evidence,
        strength: "direct",
        facts: {
          wrong: formatPrefix(first.prefix),
          ...(right && ofFamily.length === 1 && { right: formatPrefix(right.prefix) }),
        },
      });
    }
  },

  remedies({ repair, related: [proxy], facts }, { objects }) {
    const map = objects.find("configmaps", repair.name, repair.namespace);
    const text = map.state === "present" ? (map.value.data?.["config.conf"] ?? "") : "";
    const { wrong, right } = facts as Record<string, string>;
    const changed = right === undefined ? text : text.replace(`clusterCIDR: ${wrong}`, `clusterCIDR: ${right}`);
    const patch = (conf: string) =>
      ({ do: "patch", target: repair, patch: { data: { "config.conf": conf } } }) as const;
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const isKnown = changed !== text;
    const steps = [
      {
        why: say.correct(),
        change: isKnown ? patch(changed) : edit,
        undo: isKnown ? patch(text) : edit,
        verify: { run: `kubectl get ${kubectlName(repair)} -o yaml | grep clusterCIDR` },
      },
      ...(proxy
        ? [{ why: say.restart(), change: { do: "restart", component: proxy } as const, verify: rolledOut(proxy) }]
        : []),
    ];
    return [{ id: "correct-range", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "kube-proxy is told a wrong range of Pod addresses", zh: "kube-proxy 配置的 Pod 网段有误" },
    page: {
      en: `\`clusterCIDR\` in kube-proxy's ConfigMap is not the range that Pods have their addresses from. kube-proxy tells Pods from strangers by it (detectLocalMode ClusterCIDR, the default): what strangers send to a Service leaves with the node's address, and what Pods send to a load balancer's address or a node port stays in the cluster (pkg/proxy/iptables/proxier.go, pkg/proxy/util/localdetector.go).

**How it looks.** If it leaves Pods out, all that they send to Services arrives with a node's address: NetworkPolicies that allow by Pod labels deny it, logs and limits by address are wrong, and Services with externalTrafficPolicy Local refuse Pods on nodes without a back end. If it holds the nodes' addresses, what nodes send to Services keeps addresses to which answers may not come back by the same way. Rules are written so on every node alike.

**How it comes about.** The Pod range was changed and kube-proxy's ConfigMap was not; the ConfigMap was copied from another cluster; \`kubeadm init phase addon kube-proxy\` was run with other values.

**When this is not the cause.** With detectLocalMode NodeCIDR, BridgeInterface or InterfaceNamePrefix the field is not used; without a value kube-proxy masquerades nothing of the kind. Where no NetworkPolicy is enforced and no Service has a local policy, nobody tells the difference: then it is a warning, as it is where most Pods are in the range and those of another pool are not.`,
      zh: `kube-proxy 的 ConfigMap 中 \`clusterCIDR\` 与 Pod 实际使用的网段不符。kube-proxy 用它区分 Pod 与外部客户端（detectLocalMode 默认为 ClusterCIDR）：外部客户端发往 Service 的报文会改用节点地址，而 Pod 发往负载均衡地址或 NodePort 的报文会留在集群内（pkg/proxy/iptables/proxier.go、pkg/proxy/util/localdetector.go）。

**现象。** 若漏掉了 Pod，它们发往 Service 的报文都带着节点地址到达：按 Pod 标签放行的 NetworkPolicy 会拒绝它们，按地址的日志和限流会出错，externalTrafficPolicy 为 Local 的 Service 会在没有后端的节点上拒绝 Pod。若包含了节点地址，节点发往 Service 的报文会保留自己的地址，应答可能无法原路返回。各节点的规则都是如此。

**成因。** 更改了 Pod 网段而没有更改 kube-proxy 的 ConfigMap；ConfigMap 从其他集群复制而来；或用其他参数运行过 \`kubeadm init phase addon kube-proxy\`。

**何时不是它。** detectLocalMode 为 NodeCIDR、BridgeInterface 或 InterfaceNamePrefix 时不使用该字段；未设置时 kube-proxy 不做这类转换。若没有生效的 NetworkPolicy，也没有使用 Local 策略的 Service，则没有区别，只作为警告；若大多数 Pod 都在该网段内、只有其他地址池的 Pod 不在，也只作为警告。`,
    },
  },
});

const isProxys = ({ kind, name }: Ref): boolean => kind === "ConfigMap" && name === "kube-proxy";
