import type { Asked } from "../../model/logs.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault, works } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "pods" | "logs">;
type Refused = Extract<Asked, { readonly isHad: false }>;

const say = texts("kubelet-unreachable", {
  found: {
    en: "The API server does not reach the kubelet of node {node} ({answer}): `kubectl logs`, `exec` and `port-forward` fail for its Pods, and their metrics are missing",
    zh: "API Server 无法访问节点 {node} 的 kubelet（{answer}）：该节点上的 Pod 无法执行 `kubectl logs`、`exec`、`port-forward`，也没有指标",
  },
  silent: {
    en: "Nothing comes from the kubelet of node {node} when the API server asks it, and other nodes' kubelets answer: `kubectl logs` and `exec` hang for its Pods",
    zh: "API Server 向节点 {node} 的 kubelet 发出的请求没有应答，而其他节点的 kubelet 正常：该节点上的 Pod 执行 `kubectl logs`、`exec` 时卡住",
  },
  address: {
    en: "See whether the node's InternalIP is one at which the control plane reaches it; else set the kubelet's `--node-ip` and restart it",
    zh: "确认控制面能访问该节点的 InternalIP；否则修正 kubelet 的 `--node-ip` 并重启 kubelet",
  },
  port: {
    en: "See whether the kubelet listens on 10250, and whether a firewall of the node or between the nodes lets the control plane through",
    zh: "确认 kubelet 监听 10250 端口，且节点或网络上的防火墙放行来自控制面的连接",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Let firewalls admit TCP 10250 from the control plane's nodes to all nodes; give nodes with several networks their `--node-ip`",
    zh: "防火墙放行控制面节点到所有节点的 TCP 10250；多网卡节点显式设置 `--node-ip`",
  },
});

/** What the API server answers when it cannot connect (pkg/kubelet/client; Go net.OpError). */
const NOT_CONNECTED =
  /dial tcp \S+:10250: (?:connect: )?(i\/o timeout|connection refused|no route to host|network is unreachable|connection timed out)/;
/** What our own reading says of a request that got no answer. */
const SILENT = /^(?:silent for|not answered within|not asked: the kubelet of \S+ is silent)/;

const isReady = ({ object }: NodeView): boolean =>
  object?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

/** A kubelet that reports, and that the API server cannot ask anything. */
export const kubeletUnreachable = defineCheck({
  id: "kubelet-unreachable",
  reads: ["nodes", "pods", "logs"],

  *find({ nodes, pods, logs }: Model) {
    const asked = new Map(nodes.all.map(({ name }) => [name, pods.onNode(name).flatMap((pod) => logs.asked(pod))]));
    const isHad = (one: Asked) => one.isHad;
    for (const node of nodes.all) {
      const mine = asked.get(node.name) ?? [];
      if (mine.some(isHad)) yield works({ name: "kubelet.answer", node: node.name }, []);
      if (mine.length === 0 || mine.some(isHad) || !isReady(node)) continue;
      const refused = mine.filter((one): one is Refused => !one.isHad);
      const told = refused.filter(({ answer }) => NOT_CONNECTED.test(answer));
      const silent = refused.filter(({ answer }) => SILENT.test(answer));
      const others = [...asked].some(([name, logged]) => name !== node.name && logged.some(isHad));
      // one log alone may be large, or its container hang
      const isSilent = silent.length > 1 && silent.length === refused.length && others;
      if (told.length === 0 && !isSilent) continue;
      const [, answer = ""] = NOT_CONNECTED.exec(told[0]?.answer ?? "") ?? [];
      yield fault({
        repair: node.ref,
        nodes: [node.name],
        breaks: [{ name: "kubelet.answer", node: node.name }],
        title: told.length > 0 ? say.found({ node: node.name, answer }) : say.silent({ node: node.name }),
        evidence: (told.length > 0 ? told : silent).slice(0, 3).map(({ evidence }) => evidence),
        strength: told.length > 0 ? "direct" : "heard",
      });
    }
  },

  remedies({ repair }) {
    const node = repair.name;
    const verify = { run: sh`kubectl get --raw /api/v1/nodes/${node}/proxy/healthz` };
    const address = { run: sh`kubectl get node ${node} -o jsonpath={.status.addresses}` };
    const port = { run: "ss -ltnp 'sport = :10250'; iptables -S INPUT; nft list ruleset | grep -n 10250", node };
    return [
      {
        id: "let-it-be-reached",
        risk: "none",
        interrupts: say.nothing(),
        steps: [
          { why: say.address(), change: address, verify },
          { why: say.port(), change: port, verify },
        ],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "A node's kubelet is not reached", zh: "API Server 无法访问节点的 kubelet" },
    page: {
      en: `The kubelet reports to the API server, so the node is Ready; the other way, from the API server to port 10250 of the node's InternalIP, is not open. Logs, exec, port-forward, attach and the metrics of nodes and Pods all go that way. Traffic of Pods does not.

**How it looks.** \`kubectl logs\` and \`kubectl exec\` fail with \`dial tcp …:10250: i/o timeout\` for the Pods of some nodes; \`kubectl top\` lacks them, autoscalers see \`<unknown>\`. netwhy cannot look into such a node through the API server and says so.

**How it comes about.** A firewall or security group that admits too little; a node with several networks whose kubelet tells an address that the control plane has no way to (\`--node-ip\`, or none set); a lost route between the networks.

**When this is not the cause.** If the node is not Ready, that comes first. A log that is refused for want of permission, or of a container that has ended, says nothing of the kubelet.`,
      zh: `kubelet 能向 API Server 上报，因此节点为 Ready；但反方向，即 API Server 到该节点 InternalIP 的 10250 端口不通。日志、exec、port-forward、attach 以及节点和 Pod 的指标都走这个方向，Pod 之间的流量不受影响。

**现象。** 部分节点上的 Pod 执行 \`kubectl logs\`、\`kubectl exec\` 时报 \`dial tcp …:10250: i/o timeout\`；\`kubectl top\` 缺少这些节点，自动扩缩容显示 \`<unknown>\`。netwhy 也无法通过 API Server 查看该节点，并会说明这一点。

**成因。** 防火墙或安全组放行不足；多网卡节点的 kubelet 上报了控制面不可达的地址（\`--node-ip\` 错误或未设置）；网络之间的路由丢失。

**何时不是它。** 节点若不是 Ready，应先处理节点本身。因权限不足被拒绝的日志请求，或已结束容器的日志，不能说明 kubelet 不可达。`,
    },
  },
});
