import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import { kubectlName, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault } from "../check.ts";
import { type Remedy, rolledOut, type Step } from "../remedy.ts";

type Model = Pick<
  ClusterModel,
  "components" | "nodes" | "objects" | "pods" | "forwarding" | "flannel" | "time" | "dns" | "proxy" | "services"
>;

const say = texts("component-missing", {
  gone: {
    en: "{component} is gone: {workload} does not exist",
    zh: "{component} 缺失：{workload} 不存在",
  },
  notOnNode: {
    en: "{component} does not run on {node}: {workload} belongs there and has no Pod on it",
    zh: "节点 {node} 上没有运行 {component}：{workload} 应在该节点上有 Pod，实际没有",
  },
  notSelected: {
    en: "{component} runs on {node} no more: {workload} does not select the node",
    zh: "节点 {node} 上不再运行 {component}：{workload} 没有选中该节点",
  },
  lacksLabel: {
    en: "{component} runs on {node} no more: {workload} wants label {label}, which the node lacks",
    zh: "节点 {node} 上不再运行 {component}：{workload} 要求标签 {label}，而该节点没有",
  },
  notStarted: {
    en: "{component} on {node} has not started: its Pod is {phase}",
    zh: "节点 {node} 上的 {component} 未能启动：其 Pod 处于 {phase} 状态",
  },
  scaledToZero: {
    en: "{component} is scaled to zero ({workload})",
    zh: "{component} 被缩容为 0（{workload}）",
  },
  noReplica: {
    en: "{component} has no Pod, although {workload} asks for {replicas}",
    zh: "{component} 没有任何 Pod，而 {workload} 期望 {replicas} 个",
  },
  changing: { en: "its Pods were being replaced", zh: "其 Pod 正在更替" },
  seeVersion: {
    en: "See which version the nodes have run: its images are still on them",
    zh: "查看节点运行过的版本：镜像仍在节点上",
  },
  reinstall: {
    en: "Install {component} again in that version, and keep its ConfigMap: replace VERSION",
    zh: "按该版本重新安装 {component}，并保留其 ConfigMap：替换命令中的 VERSION",
  },
  reinstallFrom: {
    en: "Install {component} again from the manifest of that version; keep its ConfigMap",
    zh: "用该版本的清单重新安装 {component}，并保留其 ConfigMap",
  },
  reinstallAddon: {
    en: "Let kubeadm install {component} again, with the configuration of the cluster",
    zh: "由 kubeadm 按集群配置重新安装 {component}",
  },
  label: {
    en: "Give the node the label (if the selector was changed by mistake, correct that instead: `kubectl edit`)",
    zh: "为该节点加上标签（若是选择器被误改，则用 `kubectl edit` 改回）",
  },
  select: {
    en: "Let {workload} select the node again: correct its node selector, affinity or tolerations",
    zh: "让 {workload} 重新选中该节点：修正其 nodeSelector、亲和性或容忍",
  },
  scaleUp: { en: "Scale it up again", zh: "恢复副本数" },
  lookWhy: {
    en: "See why no Pod is made or started: quota, admission webhook, taints, resources",
    zh: "查看 Pod 未被创建或启动的原因：配额、准入 Webhook、污点、资源",
  },
  nothing: { en: "Nothing", zh: "无" },
  preventDelete: {
    en: "Deny deletes of {workload} by an admission policy, and alert when it has fewer Pods than nodes: rules and routes without their agent look well until something changes",
    zh: "用准入策略禁止删除 {workload}，并在其 Pod 数少于节点数时告警：组件不在时，规则和路由在发生变更之前看起来一切正常",
  },
  preventScale: {
    en: "Alert when cluster DNS has fewer than two ready Pods",
    zh: "集群 DNS 就绪的 Pod 少于两个时告警",
  },
});

/** Being made or replaced takes a while: younger troubles are not yet any. */
const SETTLING = 60_000;

/** What a component leaves in the kernel of a node on which it has run. */
function traceOf(component: Component, node: NodeView, { forwarding, flannel, proxy }: Model): Evidence | undefined {
  const { definition } = component;
  const plane = forwarding.of(node.name);
  if (definition.duties.includes("service-proxy")) {
    const device = known(plane.links)?.find(({ name, addresses }) => name === "kube-ipvs0" && addresses.length > 0);
    const mode = proxy.configuredMode(component) ?? (device ? "ipvs" : "iptables");
    if (device || mode === "ipvs")
      return device && mode === "ipvs"
        ? quoteOf(plane.links.origin, `kube-ipvs0: ${device.addresses.length} addresses`)
        : undefined;
    if (mode === "nftables") {
      const found = known(plane.nftables)?.tables.find(({ family, name }) => family === "ip" && name === "kube-proxy");
      return found && quoteOf(plane.nftables.origin, `table ip kube-proxy: ${found.chains.length} chains`);
    }
    const chain = known(plane.iptables)
      ?.tables.find(({ name }) => name === "nat")
      ?.chains.find(({ name, rules }) => name === "KUBE-SERVICES" && rules.length > 1);
    return (
      chain && quoteOf({ ...plane.iptables.origin, line: chain.line }, `nat KUBE-SERVICES: ${chain.rules.length} rules`)
    );
  }
  if (definition.id === "cilium") {
    const device = known(plane.links)?.find(({ name }) => name === "cilium_host");
    return (
      device && quoteOf(plane.links.origin, `cilium_host: ${device.addresses.map(({ local }) => local).join(", ")}`)
    );
  }
  return definition.id === "flannel" ? flannel.peer(node.name)?.evidence : undefined;
}

/** Whether other workloads do all of its work on a node, or a process that is no Pod (k3s). */
function isServedOtherwise(component: Component, node: NodeView, { components }: Model): boolean {
  const { definition, duties } = component;
  const serving = components.all.filter(
    (other) =>
      other !== component &&
      (other.belongsOn(node.name) === true || other.pods.some((pod) => pod.node === node.name && !pod.terminating)),
  );
  return (
    (duties.length > 0 && duties.every((duty) => serving.some((other) => other.duties.includes(duty)))) ||
    (components.processes(definition, node.name)?.length ?? 0) > 0
  );
}

type Made = { readonly metadata: { readonly creationTimestamp?: string | null | undefined } };

const isYoung = (object: Made | undefined, { time }: Model): boolean =>
  (time.age(object?.metadata.creationTimestamp) ?? SETTLING) < SETTLING;

const podsUnseen = (component: Component): Finding =>
  cannotTell({ name: "component.run", component: refId(component.ref) }, [{ kind: "pods" }]);

function isDnsUnserved({ dns, services }: Model): boolean {
  return (
    dns.services.length > 0 && dns.services.every((service) => !services.selected(service).some(({ ready }) => ready))
  );
}

function* judgeOnNode(component: Component, node: NodeView, model: Model): Iterable<Finding> {
  const { definition, workload } = component;
  const pods = component.pods.filter((pod) => pod.node === node.name && !pod.finished);
  const capability = { name: "component.run", component: refId(component.ref), node: node.name } as const;
  const args = { component: definition.name, node: node.name, workload: refId(component.ref) };
  const common = {
    repair: component.ref,
    related: [node.ref],
    nodes: [node.name],
    breaks: [capability],
    strength: "direct" as const,
  };
  const quote = (words: string) => model.objects.quote("daemonsets", workload!, words);

  if (pods.some(({ terminating, object }) => !terminating && object.status?.phase === "Running")) return;
  const waiting = pods.find(({ terminating }) => !terminating);
  const age = model.time.age(waiting?.object.metadata.creationTimestamp);
  if (pods.length > 0 && (age === undefined || age < SETTLING)) {
    yield cannotTell(capability, [], say.changing());
    return;
  }
  if (waiting) {
    const phase = waiting.object.status?.phase ?? "Pending";
    // crash-looping containers are told by component-crash-loop, with the line that says why
    const isTold = [
      ...(waiting.object.status?.initContainerStatuses ?? []),
      ...(waiting.object.status?.containerStatuses ?? []),
    ].some(({ state }) => state?.waiting?.reason?.match(/BackOff|Err|Invalid|Error/) || state?.terminated);
    const evidence = [model.objects.quote("pods", waiting.object, `${waiting.key}: ${phase}`)];
    if (!isTold)
      yield fault({ ...common, related: [waiting.ref, node.ref], title: say.notStarted({ ...args, phase }), evidence });
    return;
  }
  if (component.belongsOn(node.name) === true) {
    // its controller makes the Pod in a moment
    if ([node.object, workload].some((object) => isYoung(object, model))) {
      yield cannotTell(capability, [], say.changing());
      return;
    }
    const title = say.notOnNode(args);
    const status = workload?.status;
    yield fault({
      ...common,
      title,
      evidence: [
        quote(
          `${refId(component.ref)}: desired ${status?.desiredNumberScheduled}, current ${status?.currentNumberScheduled}`,
        ),
      ],
    });
    return;
  }
  const trace = traceOf(component, node, model);
  if (!trace || isServedOtherwise(component, node, model)) return;
  const { nodeSelector } = component.spec ?? {};
  const [lacking] = Object.entries(nodeSelector ?? {}).filter(([key, value]) => node.labels[key] !== value);
  const wants = quote(`${refId(component.ref)}: nodeSelector ${JSON.stringify(nodeSelector ?? {})}`);
  if (!lacking || !node.object) {
    const facts = { case: "not-selected" };
    yield fault({ ...common, title: say.notSelected(args), evidence: [wants, trace], facts });
    return;
  }
  const [key, value] = lacking;
  const old = node.labels[key];
  const has = model.objects.quote(
    "nodes",
    node.object,
    old === undefined ? `Node ${node.name}: no label ${key}` : `Node ${node.name}: ${key}=${old}`,
  );
  yield fault({
    ...common,
    title: say.lacksLabel({ ...args, label: `${key}=${value}` }),
    evidence: [wants, has, trace],
    facts: { case: "label", key, value, ...(old !== undefined && { old }) },
  });
}

function* judgeDaemonSet(component: Component, model: Model): Iterable<Finding> {
  if (component.leftBehind) {
    const breaks = [{ name: "component.run", component: refId(component.ref) } as const];
    const title = say.gone({ component: component.definition.name, workload: refId(component.ref) });
    yield fault({
      repair: component.ref,
      breaks,
      title,
      evidence: [component.leftBehind],
      strength: "direct",
      facts: { case: "gone" },
    });
    return;
  }
  if (!component.workload) return;
  if (!model.pods.whole) {
    yield podsUnseen(component);
    return;
  }
  for (const node of model.nodes.all) if (node.object) yield* judgeOnNode(component, node, model);
}

function* judgeDeployment(component: Component, model: Model): Iterable<Finding> {
  const { workload, definition } = component;
  const breaks = [{ name: "component.run", component: refId(component.ref) } as const];
  const args = { component: definition.name, workload: refId(component.ref) };
  if (!workload || component.pods.some(({ terminating }) => !terminating)) return;
  if (!model.pods.whole) {
    yield podsUnseen(component);
    return;
  }
  if (isYoung(workload, model)) {
    yield cannotTell(breaks[0]!, [], say.changing());
    return;
  }
  const replicas = workload.spec.replicas ?? 1;
  const evidence = [
    model.objects.quote("deployments", workload, `${refId(component.ref)}: spec.replicas ${replicas}, 0 Pods`),
  ];
  if (replicas > 0)
    yield fault({
      repair: component.ref,
      breaks,
      title: say.noReplica({ ...args, replicas }),
      evidence,
      strength: "direct",
    });
  // an operator may be switched off on purpose, but not one that nodes have their Pod ranges from; nor may cluster DNS that
  // Pods are told to ask, unless another serves
  else if (
    definition.duties.includes("pod-ranges") ||
    (definition.duties.includes("cluster-dns") && isDnsUnserved(model))
  ) {
    yield fault({
      repair: component.ref,
      breaks,
      title: say.scaledToZero(args),
      evidence,
      strength: "direct",
      facts: { case: "scaled" },
    });
  }
}

const CONTROL_PLANE = "node-role.kubernetes.io/control-plane";

/** What kubeadm installs itself (cmd/kubeadm/app/phases/addons), by the name of its phase. */
const ADDONS: ReadonlyMap<string, string> = new Map([
  ["kube-proxy", "kube-proxy"],
  ["coredns", "coredns"],
]);
/** Without its own configuration kube-proxy would come back in the default mode. */
const KUBEADM_CONFIG =
  "(kubectl get configmap -n kube-system kubeadm-config -o jsonpath='{.data.ClusterConfiguration}'; echo ---; kubectl get configmap -n kube-system kube-proxy -o jsonpath='{.data.config\\.conf}')";

/** A component of the network is absent where an object, a rule set or an install marker says that it belongs. */
export const componentMissing = defineCheck({
  id: "component-missing",
  reads: ["components", "nodes", "objects", "pods", "forwarding", "flannel", "time", "dns", "proxy", "services"],

  *find(model) {
    for (const component of model.components.all) {
      if (component.ref.kind === "DaemonSet" || component.leftBehind) yield* judgeDaemonSet(component, model);
      else if (component.ref.kind === "Deployment") yield* judgeDeployment(component, model);
    }
  },

  remedies({ repair, facts, nodes }, { components, nodes: all, objects }) {
    const component = components.byRef(repair);
    const name = component?.definition.name ?? repair.name;
    const verify = rolledOut(repair);
    const remedy = (steps: readonly Step[], prevent: Text): Remedy[] => [
      { id: "bring-back", risk: "low", interrupts: say.nothing(), steps, prevent: [prevent] },
    ];
    const prevent = say.preventDelete({ workload: refId(repair) });
    switch (facts.case) {
      case "scaled": {
        const scale = (replicas: number) => ({ do: "scale", target: repair, replicas }) as const;
        const advice = component?.duties.includes("cluster-dns") ? say.preventScale() : prevent;
        return remedy([{ why: say.scaleUp(), change: scale(2), undo: scale(0), verify }], advice);
      }
      case "gone": {
        const { name: node } = all.all.find(({ labels }) => CONTROL_PLANE in labels) ??
          all.all[0] ?? { name: undefined };
        const on = node === undefined ? {} : { node };
        const undo = { do: "delete", target: repair } as const;
        const isKubeadm = objects.find("configmaps", "kubeadm-config", "kube-system").state === "present";
        const addon = ADDONS.get(component?.definition.id ?? "");
        if (isKubeadm && addon) {
          const run = `${KUBEADM_CONFIG} > /tmp/kubeadm.yaml && kubeadm init phase addon ${addon} --config /tmp/kubeadm.yaml`;
          const step = { why: say.reinstallAddon({ component: name }), change: { run, ...on }, undo, verify };
          return remedy([step], prevent).map((one) => ({ ...one, errata: ["X13"] }));
        }
        const manifest = component?.definition.manifest?.replace("{version}", "VERSION");
        const why = (manifest ? say.reinstall : say.reinstallFrom)({ component: name });
        const id = component?.definition.id ?? repair.name;
        return remedy(
          [
            { why: say.seeVersion(), change: { run: sh`crictl images | grep -i ${id}`, ...on }, verify },
            { why, change: { run: sh`kubectl apply -f ${manifest ?? "manifest.yaml"}` }, undo, verify },
          ],
          prevent,
        );
      }
      case "label": {
        const { key, value, old } = facts as Record<string, string>;
        const label = (words: string) => ({ run: `${sh`kubectl label node ${nodes[0]!}`} ${words}` });
        const undo = label(old === undefined ? sh`${`${key}-`}` : sh`${`${key}=${old}`} --overwrite`);
        const change = label(sh`${`${key}=${value}`} --overwrite`);
        return remedy([{ why: say.label(), change, undo, verify }], prevent);
      }
      case "not-selected": {
        const edit = { run: `kubectl edit ${kubectlName(repair)}` };
        return remedy([{ why: say.select({ workload: refId(repair) }), change: edit, undo: edit, verify }], prevent);
      }
      default: {
        const events = sh`kubectl get events -n ${repair.namespace ?? "default"} --field-selector type=Warning`;
        const run = `kubectl describe ${kubectlName(repair)}; ${events}`;
        return remedy([{ why: say.lookWhy(), change: { run }, verify }], prevent);
      }
    }
  },

  manual: {
    title: { en: "A network component is absent where it belongs", zh: "应运行的网络组件缺失" },
    page: {
      en: `A component that the cluster's network needs does not run where something says that it belongs: its DaemonSet has no Pod on a node that it selects, no longer selects a node on which it has left its rules, is gone while its ConfigMap is still there, or it is scaled to zero: cluster DNS, or the operator from which nodes have their Pod ranges.

**How it looks.** Nothing crashes and nothing complains. Rules and routes stay as the component left them and go stale with every change; a node that restarts comes back without them.

**When this is not the cause.** k3s, RKE2 and managed clusters do the same work in other ways (inside one process, in the cloud's control plane): netwhy stays silent where nothing says that the component belongs. A cluster in which Cilium replaces kube-proxy needs no kube-proxy.`,
      zh: `集群网络所需的组件没有运行在应当运行的地方：DaemonSet 选中了节点却没有 Pod、不再选中留有其规则的节点、本身已被删除而 ConfigMap 仍在，或者被缩容为 0：集群 DNS，或为节点分配 Pod 网段的 operator。

**现象。** 没有崩溃，也没有报错。规则和路由停留在组件离开时的状态，随每次变更逐渐陈旧；节点重启后则全部消失。

**何时不是它。** k3s、RKE2 和托管集群以其他方式完成同样的工作（合并在一个进程里，或在云端控制面）；没有任何迹象表明组件应当存在时，netwhy 不会报告。由 Cilium 取代 kube-proxy 的集群不需要 kube-proxy。`,
    },
  },
});
