import type { Component } from "../../model/components/components.ts";
import { wantedConfigMaps } from "../../model/components/config-maps.ts";
import type { ClusterModel } from "../../model/model.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";
import { rolledOut, type Step } from "../remedy.ts";

type Model = Pick<ClusterModel, "components" | "objects">;

const say = texts("component-config-missing", {
  gone: {
    en: "The configuration of {component} is gone: {map} does not exist, and {workload} wants it",
    zh: "{component} 的配置丢失：{map} 不存在，而 {workload} 需要它",
  },
  salvage: {
    en: "Save what a running Pod still has of it: its kubelet keeps the files until the Pod is deleted, so restart nothing before",
    zh: "取回仍在运行的 Pod 中保留的内容：在该 Pod 被删除之前，kubelet 会保留这些文件，此前不要重启任何 Pod",
  },
  make: {
    en: "Make the ConfigMap again from these files (FILES is the directory to which they were unpacked), or from a backup or the component's manifest",
    zh: "用这些文件（FILES 为解压目录）、备份或组件的清单重建该 ConfigMap",
  },
  restore: {
    en: "Make the ConfigMap again from a backup or from the component's manifest: no Pod runs that still has it",
    zh: "用备份或组件的清单重建该 ConfigMap：已没有仍保留其内容的 Pod",
  },
  nothing: { en: "Nothing: Pods that run keep what they have read", zh: "无中断：运行中的 Pod 继续使用已读入的配置" },
  preventBackup: {
    en: "Keep a copy: `netwhy rbac backup` saves the ConfigMaps of network components, too",
    zh: "定期备份：`netwhy rbac backup` 也会保存网络组件的 ConfigMap",
  },
});

function* judge(component: Component, { objects }: Model): Iterable<Finding> {
  const { spec, workload, definition, ref: self } = component;
  if (!spec || !workload) return;
  const capability = { name: "component.config", component: refId(self) } as const;
  const list = self.kind === "DaemonSet" ? "daemonsets" : self.kind === "Deployment" ? "deployments" : "statefulsets";
  const wanted = wantedConfigMaps(spec).map((one) => ({
    ...one,
    found: objects.find("configmaps", one.name, self.namespace ?? ""),
  }));
  for (const { name, volume, found } of wanted) {
    if (found.state !== "absent") continue;
    const map = ref("ConfigMap", name, self.namespace);
    yield fault({
      repair: map,
      related: [self],
      breaks: [capability],
      title: say.gone({ component: definition.name, map: refId(map), workload: refId(self) }),
      evidence: [
        objects.quote(list, workload, `${refId(self)} wants ConfigMap ${name}`),
        objects.quoteAbsence("configmaps", `no ConfigMap ${self.namespace}/${name}`),
      ],
      strength: "direct",
      facts: { component: refId(self), ...(volume !== undefined && { volume }) },
    });
  }
  if (wanted.some(({ found }) => found.state === "unknown")) yield cannotTell(capability, [{ kind: "configmaps" }]);
  else if (wanted.every(({ found }) => found.state === "present")) {
    const [first] = wanted;
    if (first) yield works(capability, [objects.quote(list, workload, `${refId(self)} wants ConfigMap ${first.name}`)]);
  }
}

/** What a component is configured with does not exist: what runs runs on, and nothing new starts. */
export const componentConfigMissing = defineCheck({
  id: "component-config-missing",
  reads: ["components", "objects"],

  *find(model) {
    for (const component of model.components.all) yield* judge(component, model);
  },

  remedies({ repair, facts }, { components }) {
    const component = components.all.find(({ ref: self }) => refId(self) === facts.component);
    if (!component) return [];
    const verify = rolledOut(component.ref);
    const undo = { do: "delete", target: repair } as const;
    const { volume } = facts;
    const pod = component.pods.find(({ ready, node, object }) => ready && node !== undefined && object.metadata.uid);
    const saved: Step[] =
      pod?.node !== undefined && typeof volume === "string"
        ? [
            {
              why: say.salvage(),
              change: { run: salvaged(pod.object.metadata.uid!, volume, repair), node: pod.node },
              undo: { run: sh`rm ${archiveOf(repair)}`, node: pod.node },
              verify: { run: sh`tar -tzf ${archiveOf(repair)}`, node: pod.node },
            },
          ]
        : [];
    const run = sh`kubectl create configmap ${repair.name} -n ${repair.namespace ?? "default"} --from-file=FILES`;
    return [
      {
        id: "make-again",
        risk: "low",
        interrupts: say.nothing(),
        steps: [...saved, { why: saved.length > 0 ? say.make() : say.restore(), change: { run }, undo, verify }],
        prevent: [say.preventBackup()],
      },
    ];
  },

  manual: {
    title: { en: "The configuration of a network component is gone", zh: "网络组件的配置丢失" },
    page: {
      en: `A ConfigMap that a network component mounts or reads its environment from does not exist: \`kube-proxy\`, \`coredns\`, \`kube-flannel-cfg\`, \`calico-config\`, \`cilium-config\` and the like.

**How it looks.** Like nothing: Pods that run keep what they have. Each new one hangs in \`ContainerCreating\` with the event \`MountVolume.SetUp failed … configmap "…" not found\`, or in \`CreateContainerConfigError\`: after a restart, on a node that joins, after an eviction. Then it is the component that is missing there.

**How it comes about.** A clean-up by label or of a namespace, an uninstalled release, an upgrade that was broken off.

**When this is not the cause.** A ConfigMap that is marked \`optional\` may be missing. One that is there with the wrong contents is another matter.`,
      zh: `网络组件挂载的或从中读取环境变量的 ConfigMap 不存在，例如 \`kube-proxy\`、\`coredns\`、\`kube-flannel-cfg\`、\`calico-config\`、\`cilium-config\`。

**现象。** 起初毫无异常：运行中的 Pod 仍持有原来的内容。新的 Pod（重启之后、新加入的节点、驱逐之后）则停在 \`ContainerCreating\`，事件为 \`MountVolume.SetUp failed … configmap "…" not found\`；或停在 \`CreateContainerConfigError\`。此时表现为组件缺失。

**成因。** 按标签或按命名空间清理、卸载 Release、升级中断。

**何时不是它。** 标记为 \`optional\` 的 ConfigMap 可以不存在；ConfigMap 存在但内容有误属于另一类问题。`,
    },
  },
});

const archiveOf = ({ name }: Ref) => `/tmp/${name}-configmap.tgz`;

/** The kubelet's copy: links to a directory whose name begins with two dots (pkg/volume/util/atomic_writer.go). */
function salvaged(uid: string, volume: string, map: Ref): string {
  const directory = `/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~configmap/${volume}`;
  return sh`tar -C ${directory} --exclude=./..* -chzf ${archiveOf(map)} .`;
}
