import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import { wantedConfigMaps } from "../../model/components/config-maps.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { fewOf, texts } from "../../text.ts";
import { defineCheck, fault, presumed, warning } from "../check.ts";

type Model = Pick<ClusterModel, "objects" | "pods" | "components" | "time">;

const say = texts("root-ca-missing", {
  found: {
    en: "ConfigMap kube-root-ca.crt is missing in {namespaces}: {count:a Pod hangs|Pods hang} in ContainerCreating ({pods})",
    zh: "{namespaces}中没有 ConfigMap kube-root-ca.crt：Pod 停在 ContainerCreating（{pods}）",
  },
  everywhere: {
    en: "ConfigMap kube-root-ca.crt is missing in every namespace: {count:a Pod hangs|Pods hang} in ContainerCreating ({pods})",
    zh: "所有命名空间中都没有 ConfigMap kube-root-ca.crt：Pod 停在 ContainerCreating（{pods}）",
  },
  heard: {
    en: "{count:A Pod hangs|Pods hang} in ContainerCreating for want of ConfigMap kube-root-ca.crt in {namespaces} ({pods})",
    zh: "{namespaces}中的 Pod 因缺少 ConfigMap kube-root-ca.crt 停在 ContainerCreating（{pods}）",
  },
  latent: {
    en: "ConfigMap kube-root-ca.crt is missing in {namespaces}: Pods that are made there from now on hang in ContainerCreating",
    zh: "{namespaces}中没有 ConfigMap kube-root-ca.crt：此后在其中新建的 Pod 会停在 ContainerCreating",
  },
  inNamespaces: {
    en: "{count:namespace|namespaces} {names}",
    zh: "命名空间 {names}",
  },
  seePublisher: {
    en: "See that kube-controller-manager leads, and what it says of root-ca-cert-publisher: it makes the ConfigMap again within seconds, when it may",
    zh: "确认 kube-controller-manager 正常为主，并查看其日志中的 root-ca-cert-publisher：权限完整时数秒内会重建该 ConfigMap",
  },
  copy: {
    en: "Until it does, make it from that of another namespace, or from the CA that kubeconfigs hold",
    zh: "在其恢复之前，用其他命名空间的同名 ConfigMap 或 kubeconfig 中的 CA 创建",
  },
  nothing: { en: "Nothing: Pods that run have it", zh: "无：运行中的 Pod 已持有它" },
  prevent: {
    en: "Leave kube-root-ca.crt out of clean-ups, and leave kube-controller-manager its controller root-ca-certificate-publisher-controller and the role of it",
    zh: "清理时不要删除 kube-root-ca.crt；保留 kube-controller-manager 的 root-ca-certificate-publisher-controller 控制器及其角色",
  },
});

const MAP = "kube-root-ca.crt";

/** What the kubelet says of it (pkg/volume/projected, pkg/kubelet/util/manager). */
const NOT_THERE = /configmap "kube-root-ca\.crt" not found|"kube-root-ca\.crt" not registered/;

/** Milliseconds: it is published as soon as a namespace is made, and whenever it is deleted. */
const SETTLING = 60_000;
const MOST_NAMED = 3;

/** Whether a Pod waits for its volumes: it was given to a node, and none of its containers has begun. */
const isWaiting = ({ node, finished, terminating, object: { status } }: PodView): boolean =>
  node !== undefined &&
  !finished &&
  !terminating &&
  [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].every(
    ({ state, lastState }) =>
      /^(ContainerCreating|PodInitializing)$/.test(state?.waiting?.reason ?? "ContainerCreating") &&
      !state?.running &&
      !state?.terminated &&
      !lastState?.terminated,
  );

const wants = ({ object }: PodView): boolean => wantedConfigMaps(object.spec).some(({ name }) => name === MAP);

/** The kubelet's own words for a Pod. */
function toldOf(pod: PodView, { objects }: Model): Evidence | undefined {
  const event = objects
    .all("events")
    .find(
      ({ involvedObject: of, message }) =>
        of?.kind === "Pod" && of.name === pod.name && of.namespace === pod.namespace && NOT_THERE.test(message ?? ""),
    );
  return event && objects.quote("events", event, `Pod ${pod.key}: ${event.reason}: ${event.message}`);
}

const isOld = (at: string | null | undefined, { time }: Model): boolean => (time.age(at) ?? 0) >= SETTLING;

/** Namespaces have no kube-root-ca.crt, which every Pod mounts with its token. */
export const rootCaMissing = defineCheck({
  id: "root-ca-missing",
  reads: ["objects", "pods", "components", "time"],

  *find(model) {
    const { objects, pods, components } = model;
    const isSeen = objects.isWhole("configmaps");
    // before 1.20 nobody published it: then no namespace has it, and no Pod wants it
    const wanting = pods.all.filter((pod) => isWaiting(pod) && isOld(pod.object.metadata.creationTimestamp, model));
    const told = new Map(wanting.flatMap((pod) => (toldOf(pod, model) ? [[pod, toldOf(pod, model)!] as const] : [])));
    const lacking = objects
      .all("namespaces")
      .filter(({ metadata: { name, creationTimestamp, deletionTimestamp } }) => {
        const isAbsent = objects.find("configmaps", MAP, name).state === "absent";
        return isAbsent && !deletionTimestamp && isOld(creationTimestamp, model);
      })
      .map(({ metadata }) => metadata.name);
    if (!isSeen) yield presumed({ name: "pod.mount" }, [{ kind: "configmaps" }]);
    const hanging = wanting.filter(
      (pod) => (lacking.includes(pod.namespace) && wants(pod)) || (!isSeen && told.has(pod)),
    );
    const isPublished = objects.all("configmaps").some(({ metadata }) => metadata.name === MAP);
    const namesOf = (names: readonly string[]) =>
      say.inNamespaces({ names: fewOf(names, MOST_NAMED), count: names.length });
    const quotesFor = (names: readonly string[]) =>
      names.slice(0, MOST_NAMED).map((name) => objects.quoteAbsence("configmaps", `no ConfigMap ${name}/${MAP}`));
    if (hanging.length > 0) {
      const where = [...new Set(hanging.map(({ namespace }) => namespace))].sort();
      const [first = ""] = where;
      const args = { pods: fewOf(hanging.map(({ key }) => key).sort(), MOST_NAMED), count: hanging.length };
      const owners = components.all.filter((one) => one.pods.some((pod) => hanging.includes(pod)));
      yield fault({
        repair: ref("ConfigMap", MAP, first),
        related: [...where.slice(1).map((name) => ref("ConfigMap", MAP, name)), ...owners.map((one) => one.ref)],
        breaks: [
          ...hanging.map((pod): Capability => ({ name: "pod.mount", pod: pod.key })),
          ...owners.map((one): Capability => ({ name: "pod.mount", component: refId(one.ref) })),
        ],
        title: !isSeen
          ? say.heard({ ...args, namespaces: namesOf(where) })
          : isPublished
            ? say.found({ ...args, namespaces: namesOf(where) })
            : say.everywhere(args),
        evidence: [
          ...(isSeen ? quotesFor(where) : []),
          ...hanging.flatMap((pod) => told.get(pod) ?? []).slice(0, MOST_NAMED),
        ],
        strength: isSeen ? "direct" : "heard",
        facts: { namespaces: where, ...(isPublished && { isPublished: 1 }) },
      });
    }
    const rest = lacking.filter((name) => !hanging.some((pod) => pod.namespace === name));
    const [first] = rest;
    if (first === undefined || !isPublished) return;
    const title = say.latent({ namespaces: namesOf(rest.sort()) });
    const others = rest.slice(1).map((name) => ref("ConfigMap", MAP, name));
    yield warning(ref("ConfigMap", MAP, first), title, quotesFor(rest), others);
  },

  remedies({ repair, facts }) {
    const namespace = repair.namespace ?? "default";
    const verify = { run: "kubectl get configmaps -A --field-selector metadata.name=kube-root-ca.crt" };
    const logs = "kubectl logs -n kube-system -l component=kube-controller-manager --tail=-1 | grep root-ca";
    const copy =
      facts.isPublished === undefined
        ? sh`kubectl config view --raw --minify --flatten -o jsonpath=${"{.clusters[0].cluster.certificate-authority-data}"} | base64 -d > ca.crt && kubectl create configmap ${MAP} -n ${namespace} --from-file=ca.crt`
        : sh`kubectl get configmap ${MAP} -n kube-system -o jsonpath=${"{.data.ca\\.crt}"} > ca.crt && kubectl create configmap ${MAP} -n ${namespace} --from-file=ca.crt`;
    return [
      {
        id: "publish-again",
        risk: "low",
        interrupts: say.nothing(),
        steps: [
          { why: say.seePublisher(), change: { run: logs }, verify },
          { why: say.copy(), change: { run: copy }, undo: { do: "delete", target: repair }, verify },
        ],
        prevent: [say.prevent()],
      },
    ];
  },

  manual: {
    title: { en: "A namespace has no kube-root-ca.crt", zh: "命名空间缺少 kube-root-ca.crt" },
    page: {
      en: `kube-controller-manager writes the ConfigMap \`kube-root-ca.crt\` into every namespace: the authority by which Pods recognise the API server. Each Pod mounts it together with its token.

**How it looks.** New Pods of a namespace, or of all, hang in \`ContainerCreating\` with the event \`MountVolume.SetUp failed for volume "kube-api-access-…" : configmap "kube-root-ca.crt" not found\`. Pods that run keep what they have, also when the ConfigMap is deleted.

**How it comes about.** The controller makes it again within seconds, so that it stays away means that the controller cannot: \`root-ca-certificate-publisher-controller\` is switched off, ClusterRole or ClusterRoleBinding \`system:controller:root-ca-cert-publisher\` is gone, kube-controller-manager does not lead or run, or an admission webhook refuses ConfigMaps.

**When this is not the cause.** \`object "NAMESPACE"/"kube-root-ca.crt" not registered\` also comes up for a moment when a Pod is deleted or the kubelet restarts, with the ConfigMap in its place. Pods without a token mount (\`automountServiceAccountToken: false\`) do not want it. One that is there with another authority: \`component-login-refused\`.`,
      zh: `kube-controller-manager 会在每个命名空间写入 ConfigMap \`kube-root-ca.crt\`，即 Pod 用来校验 API Server 证书的 CA。每个 Pod 都把它与令牌一起挂载。

**现象。** 某个或所有命名空间中的新 Pod 停在 \`ContainerCreating\`，事件为 \`MountVolume.SetUp failed for volume "kube-api-access-…" : configmap "kube-root-ca.crt" not found\`。运行中的 Pod 不受影响，即使该 ConfigMap 被删除。

**成因。** 控制器会在数秒内重建它，一直缺失说明控制器无法工作：\`root-ca-certificate-publisher-controller\` 被关闭，ClusterRole 或 ClusterRoleBinding \`system:controller:root-ca-cert-publisher\` 丢失，kube-controller-manager 没有运行或不为主，或准入 webhook 拒绝写入 ConfigMap。

**何时不是它。** 删除 Pod 或重启 kubelet 时也会短暂出现 \`object "NAMESPACE"/"kube-root-ca.crt" not registered\`，此时 ConfigMap 仍在。不挂载令牌的 Pod（\`automountServiceAccountToken: false\`）不需要它。ConfigMap 存在但 CA 不对，见 \`component-login-refused\`。`,
    },
  },
});
