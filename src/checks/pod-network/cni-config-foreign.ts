import type { CniFile } from "../../model/cni.ts";
import type { Component } from "../../model/components/components.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { PodView } from "../../model/pods.ts";
import { contains, covers, parseIp } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { defineCheck, type Finding, fault, presumed } from "../check.ts";

type Model = Pick<ClusterModel, "nodes" | "pods" | "cni" | "components" | "objects">;

const say = texts("cni-config-foreign", {
  before: {
    en: "The container runtime of node {node} takes {file} ({plugins}) for its CNI configuration, which comes before {agent}'s {right} by name: {reach}",
    zh: "节点 {node} 的容器运行时采用了 {file}（{plugins}）作为 CNI 配置，因为它按文件名排在 {agent} 的 {right} 之前：{reach}",
  },
  instead: {
    en: "Node {node} has {file} ({plugins}) for its only CNI configuration and not {agent}'s {right}, as other nodes do: {reach}",
    zh: "节点 {node} 的 CNI 配置只有 {file}（{plugins}），没有其他节点上 {agent} 的 {right}：{reach}",
  },
  newPods: {
    en: "its new Pods will not be in the Pod network",
    zh: "其上新建的 Pod 不会接入 Pod 网络",
  },
  pods: {
    en: "{count} of its Pods {count:has an address|have addresses} of another network, such as {address}",
    zh: "其上 {count} 个 Pod 的地址属于别的网络，例如 {address}",
  },
  moveAway: {
    en: "Rename the file, so that the runtime does not read it: it takes the next one within a second",
    zh: "重命名该文件使运行时不再读取：它会立即改用下一个文件",
  },
  writeRight: {
    en: "Restart {agent} on the node: it writes its CNI configuration when it starts",
    zh: "重启该节点上的 {agent}：它启动时会写入自己的 CNI 配置",
  },
  remake: {
    en: "Delete the Pod, so that it is made anew with an address of the Pod network",
    zh: "删除该 Pod，使其重建并获得 Pod 网络的地址",
  },
  interrupts: {
    en: "The Pods that are deleted, which others do not reach anyway",
    zh: "被删除的 Pod，它们本来就无法被其他节点访问",
  },
  prevent: {
    en: "Remove what another CNI plugin left in /etc/cni/net.d before nodes join; keep Podman and CRI-O samples off nodes, or under names that sort last",
    zh: "节点加入之前清除其他 CNI 插件留在 /etc/cni/net.d 的文件；节点上不要安装 Podman、CRI-O 的示例配置，或让其文件名排在最后",
  },
});

/** What each agent writes for a plugin. */
const PLUGINS: Readonly<Record<string, string>> = {
  flannel: "flannel",
  "calico-node": "calico",
  cilium: "cilium-cni",
  kindnet: "ptp",
  "antrea-agent": "antrea",
  "weave-net": "weave-net",
  "aws-node": "aws-cni",
  "azure-cns": "azure-vnet",
  terway: "terway",
  "ovnkube-node": "ovn-k8s-cni-overlay",
  "kube-ovn-cni": "kube-ovn",
};

/** These hand on to the configuration of another. */
const DELEGATING = /^(?:multus|multus-shim|genie|danm|fakenet)$/;

const isOf = ({ plugins }: CniFile, agent: Component): boolean => plugins.includes(PLUGINS[agent.definition.id] ?? "");

type Choice = { readonly agent: Component; readonly taken: CniFile; readonly right: CniFile; readonly isHere: boolean };

/**
 * What a node's runtime takes in place of the file that the cluster's agent writes; that it writes one is seen by the file, there
 * or on another node. An agent may enforce policies only, beside another plugin.
 */
function wrongChoice(
  { name, podRanges }: NodeView,
  agents: readonly Component[],
  { nodes, cni }: Model,
): Choice | undefined {
  const files = cni.filesOf(name);
  const [taken] = files;
  if (!taken || taken.plugins.length === 0 || taken.plugins.some((type) => DELEGATING.test(type))) return undefined;
  if (agents.some((agent) => isOf(taken, agent))) return undefined;
  // a bridge of somebody's own that gives addresses out of the node's range is in the Pod network
  const isOwn = taken.subnets.some((subnet) => podRanges.some((range) => covers(range, subnet)));
  if (isOwn) return undefined;
  for (const agent of agents) {
    const here = files.find((file) => isOf(file, agent));
    const elsewhere = () =>
      nodes.all.map((node) => cni.filesOf(node.name)[0]).find((file) => file !== undefined && isOf(file, agent));
    const right = here ?? elsewhere();
    if (right) return { agent, taken, right, isHere: here !== undefined };
  }
  return undefined;
}

/** The Pods of a node that got their addresses by the wrong file. */
function misled({ name, podRanges }: NodeView, { agent, taken }: Choice, { pods }: Model): PodView[] {
  return pods.onNode(name).filter(({ hostNetwork, finished, addresses }) => {
    const ip = parseIp(addresses[0] ?? "");
    if (hostNetwork || finished || !ip) return false;
    if (taken.subnets.length > 0) return taken.subnets.some((subnet) => contains(subnet, ip));
    const own = podRanges.filter((range) => range.ip.family === ip.family);
    return agent.definition.id === "flannel" && own.length > 0 && !own.some((range) => contains(range, ip));
  });
}

function* judge(node: NodeView, model: Model): Iterable<Finding> {
  const { components, cni, objects } = model;
  const capability = { name: "cni.choice", node: node.name } as const;
  const agents = components.withDuty("cni").filter((one) => one.belongsOn(node.name) !== false);
  if (agents.length === 0) return;
  const [taken] = cni.filesOf(node.name);
  if (!taken) {
    yield presumed(capability, [{ kind: "cniConfig", place: { node: node.name } }]);
    return;
  }
  const choice = wrongChoice(node, agents, model);
  // that nothing comes before the right file is never certain: of a directory, what was had is seen
  if (!choice) return;
  const { agent, right, isHere } = choice;
  const affected = misled(node, choice, model);
  const reach: Text =
    affected.length > 0 ? say.pods({ count: affected.length, address: affected[0]!.addresses[0]! }) : say.newPods();
  const args = {
    node: node.name,
    file: taken.name,
    plugins: taken.plugins,
    agent: agent.definition.name,
    right: right.name,
    reach,
  };
  yield fault({
    repair: node.ref,
    related: [agent.ref, ...affected.map((pod) => pod.ref)],
    nodes: [node.name],
    breaks: [capability, ...affected.map((pod) => ({ name: "pod.attach", node: node.name, pod: pod.key }) as const)],
    title: isHere ? say.before(args) : say.instead(args),
    evidence: [
      taken.evidence,
      right.evidence,
      ...affected
        .slice(0, 3)
        .map((pod) => objects.quote("pods", pod.object, `Pod ${pod.key}: podIP ${pod.addresses[0]}`)),
    ],
    strength: "direct",
    // the agent has written its own: the other's being there is nothing that it could help
    lost: isHere,
    facts: { file: taken.name, isHere: String(isHere) },
  });
}

/** The container runtime of a node takes a CNI configuration that is not the one of the cluster's agent. */
export const cniConfigForeign = defineCheck({
  id: "cni-config-foreign",
  reads: ["nodes", "pods", "cni", "components", "objects"],

  *find(model) {
    for (const node of model.nodes.all) yield* judge(node, model);
  },

  remedies({ repair, related, facts }, { components }) {
    const node = repair.name;
    const path = `/etc/cni/net.d/${facts.file}`;
    const verify = { run: "ls -1 /etc/cni/net.d", node };
    const [agent] = components.withDuty("cni").filter(({ ref }) => related.some((one) => one.name === ref.name));
    const steps = [
      ...(facts.isHere === "false" && agent
        ? [
            {
              why: say.writeRight({ agent: agent.definition.name }),
              change: { do: "restart", component: agent.ref, node } as const,
              verify,
            },
          ]
        : []),
      {
        why: say.moveAway(),
        change: { run: sh`mv ${path} ${`${path}.disabled`}`, node },
        undo: { run: sh`mv ${`${path}.disabled`} ${path}`, node },
        verify,
      },
      ...related
        .filter(({ kind }) => kind === "Pod")
        .map(({ namespace = "", name }) => ({
          why: say.remake(),
          change: { run: sh`kubectl delete pod -n ${namespace} ${name}` },
          verify: { run: sh`kubectl get pods -n ${namespace} -o wide` },
        })),
    ];
    return [{ id: "take-right-config", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "A node takes another CNI configuration than the cluster's",
      zh: "节点采用的不是集群的 CNI 配置",
    },
    page: {
      en: `The container runtime takes the first file of \`/etc/cni/net.d\` by name (\`.conf\`, \`.conflist\`, \`.json\`). One of a plugin that was removed, of a sample (\`10-containerd-net.conflist\`, \`87-podman-bridge.conflist\`) or of a tool can come before the one that the CNI agent writes, or be the only one.

**How it looks.** New Pods of one node get addresses of another range, mostly of a bridge of their own. They run, reach the outside and each other, and neither do Pods of other nodes reach them nor they those. Where two nodes do so, several Pods have one address. Pods from before go on as they were. Or new Pods stay in ContainerCreating, because the other plugin's binary or daemon is gone.

**When this is not the cause.** Plugins that hand on to others (Multus) come first on purpose, and are left alone. A file that sorts behind the agent's is never read.`,
      zh: `容器运行时采用 \`/etc/cni/net.d\` 中按文件名排在最前的文件（\`.conf\`、\`.conflist\`、\`.json\`）。已卸载的插件、示例（\`10-containerd-net.conflist\`、\`87-podman-bridge.conflist\`）或其他工具留下的文件，可能排在 CNI 代理写入的文件之前，或是唯一的文件。

**现象。** 某节点新建的 Pod 获得另一网段的地址，通常接在另一个网桥上。它们能运行、能访问外网和彼此，但与其他节点的 Pod 互不可达；若两个节点都如此，会有多个 Pod 使用同一地址。原有的 Pod 不受影响。也可能因对应插件的二进制或守护进程已不存在，新 Pod 停留在 ContainerCreating。

**何时不是它。** 会转交给其他配置的插件（Multus）有意排在最前，不作判断；排在代理的文件之后的文件不会被读取。`,
    },
  },
});
