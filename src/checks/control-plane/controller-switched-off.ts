import type { Capability } from "../../model/capability.ts";
import { flag } from "../../model/components/flags.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

const say = texts("controller-switched-off", {
  found: {
    en: "kube-controller-manager runs without its {controller} (--controllers={value}): {effect}",
    zh: "kube-controller-manager 未启用 {controller}（--controllers={value}）：{effect}",
  },
  slices: {
    en: "EndpointSlices keep the back ends that they had",
    zh: "EndpointSlice 不再更新，仍保留原有后端",
  },
  pods: { en: "Pods that end are not made again", zh: "结束的 Pod 不会被重建" },
  certificates: {
    en: "requests of kubelets for certificates stay as they are: nodes cannot join, and those that are there drop out when their certificates run out",
    zh: "kubelet 的证书申请无人处理：新节点无法加入，现有节点在证书到期后掉线",
  },
  authority: {
    en: "new namespaces get no kube-root-ca.crt: their Pods hang in ContainerCreating",
    zh: "新建命名空间没有 kube-root-ca.crt，其中的 Pod 停在 ContainerCreating",
  },
  switchOn: {
    en: "Take -{controller} out of --controllers in its manifest (kubeadm: --controllers=*,bootstrapsigner,tokencleaner); kubelet starts it anew by itself",
    zh: "在其清单的 --controllers 中去掉 -{controller}（kubeadm 默认：--controllers=*,bootstrapsigner,tokencleaner），kubelet 会自动重新启动它",
  },
  interrupts: { en: "Controllers for some seconds; traffic goes on", zh: "控制器中断数秒，流量不受影响" },
  prevent: {
    en: "Keep the manifests of the control plane in one place (kubeadm's ClusterConfiguration), and review changes of their flags",
    zh: "控制面清单集中管理（kubeadm 的 ClusterConfiguration），并评审参数变更",
  },
});

type Controller = {
  /** As `--controllers` names it since Kubernetes 1.28, and as it did before (cmd/kube-controller-manager/names). */
  readonly names: readonly [string, string];
  readonly stops: Capability;
  readonly effect: "slices" | "pods" | "certificates" | "authority";
};

const CONTROLLERS: readonly Controller[] = [
  { names: ["endpointslice-controller", "endpointslice"], stops: { name: "service.follow" }, effect: "slices" },
  { names: ["replicaset-controller", "replicaset"], stops: { name: "pod.create" }, effect: "pods" },
  { names: ["deployment-controller", "deployment"], stops: { name: "pod.create" }, effect: "pods" },
  { names: ["daemonset-controller", "daemonset"], stops: { name: "pod.create" }, effect: "pods" },
  {
    names: ["certificatesigningrequest-approving-controller", "csrapproving"],
    stops: { name: "certificate.issue" },
    effect: "certificates",
  },
  {
    names: ["certificatesigningrequest-signing-controller", "csrsigning"],
    stops: { name: "certificate.issue" },
    effect: "certificates",
  },
  {
    names: ["root-ca-certificate-publisher-controller", "root-ca-cert-publisher"],
    stops: { name: "config.publish" },
    effect: "authority",
  },
];

/** `--controllers`: the first word for a controller decides, else `*` (controller-manager/pkg/genericcontext, IsControllerEnabled). */
function isOff(value: string, names: readonly string[]): boolean {
  const words = value.split(",").map((word) => word.trim());
  const own = words.find((word) => names.includes(word.replace(/^-/, "")));
  return own === undefined ? !words.includes("*") : own.startsWith("-");
}

/** A controller that the network lives by was switched off by a flag: everything else of kube-controller-manager works. */
export const controllerSwitchedOff = defineCheck({
  id: "controller-switched-off",
  reads: ["components"],

  *find({ components }) {
    const flags = flag(components, "kube-controller-manager", "controllers");
    for (const { names, stops, effect } of CONTROLLERS) {
      // of several replicas any may lead
      const off = flags.filter(({ value }) => isOff(value, names));
      const [first] = off;
      if (!first) continue;
      const controller = first.value.split(",").includes(`-${names[1]}`) ? names[1] : names[0];
      yield fault({
        repair: first.source,
        related: off.slice(1).map(({ source }) => source),
        breaks: [stops],
        title: say.found({ controller, value: first.value, effect: say[effect]() }),
        evidence: off.map(({ evidence }) => evidence),
        strength: "direct",
        facts: { controller },
      });
    }
  },

  remedies({ facts: { controller } }) {
    const step = {
      why: say.switchOn({ controller: String(controller) }),
      verify: {
        run: "kubectl get pods -n kube-system -l component=kube-controller-manager -o yaml | grep -- --controllers",
      },
    };
    return [{ id: "switch-on", risk: "low", interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A controller was switched off", zh: "控制器被关闭" },
    page: {
      en: `kube-controller-manager runs, holds its lease and renews it, and leaves out one controller: \`--controllers\` names it with a minus, or does not hold \`*\`.

**How it looks.** Without \`endpointslice-controller\` Services keep the back ends that they had when it was last there: Pods that have been made since get no connections, and connections to those that are gone time out or are refused. Without \`replicaset-controller\`, \`deployment-controller\` or \`daemonset-controller\` Pods that end are not made again. Without \`certificatesigningrequest-approving-controller\` or \`certificatesigningrequest-signing-controller\` nodes cannot join, and kubelets cannot renew their certificates. Without \`root-ca-certificate-publisher-controller\` Pods of new namespaces hang in \`ContainerCreating\`. Nothing complains: no log, no event.

**How it comes about.** A flag that was meant to save work, or that was copied from a cluster where somebody else writes EndpointSlices.

**When this is not the cause.** If the controller is on and does nothing, see whether kube-controller-manager leads and may do what it does: \`controller-lease-expired\`, \`component-access-denied\`.`,
      zh: `kube-controller-manager 正在运行并持续续租，但少了一个控制器：\`--controllers\` 中用减号排除了它，或没有 \`*\`。

**现象。** 没有 \`endpointslice-controller\` 时，Service 只保留原有后端：之后新建的 Pod 收不到连接，访问已不存在的 Pod 会超时或被拒绝。没有 \`replicaset-controller\`、\`deployment-controller\` 或 \`daemonset-controller\` 时，结束的 Pod 不会重建。没有 \`certificatesigningrequest-approving-controller\` 或 \`certificatesigningrequest-signing-controller\` 时，新节点无法加入，kubelet 证书无法续期。没有 \`root-ca-certificate-publisher-controller\` 时，新命名空间中的 Pod 停在 \`ContainerCreating\`。没有任何日志或事件提示。

**成因。** 为减少负载而加的参数，或从由其他组件写入 EndpointSlice 的集群复制而来。

**何时不是它。** 控制器已启用却不工作时，应检查 kube-controller-manager 是否为主、权限是否完整：\`controller-lease-expired\`、\`component-access-denied\`。`,
    },
  },
});
