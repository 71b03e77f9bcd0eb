import type { ClusterModel } from "../../model/model.ts";
import { admissionOf, type PodRefusal, podRefusals, servicesOf } from "../../model/pod-refusals.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

const say = texts("pod-creation-refused", {
  refused: {
    en: "The API server refuses new Pods of {workload}, which has none: {why}",
    zh: "API Server 拒绝为 {workload} 新建 Pod，而它一个 Pod 都没有：{why}",
  },
  missed: {
    en: "The API server refuses new Pods of {workload}, of which nodes lack some: {why}",
    zh: "API Server 拒绝为 {workload} 新建 Pod，部分节点缺少其 Pod：{why}",
  },
  quota: { en: "ResourceQuota {name} is used up ({words})", zh: "ResourceQuota {name} 已用尽（{words}）" },
  unsaid: {
    en: "ResourceQuota {name} wants every Pod to say {words}",
    zh: "ResourceQuota {name} 要求每个 Pod 指定 {words}",
  },
  account: { en: "its ServiceAccount {name} does not exist", zh: "其 ServiceAccount {name} 不存在" },
  security: {
    en: "Namespace {name} takes Pods of Pod Security Standard {words} only",
    zh: "命名空间 {name} 只接受符合 Pod 安全标准 {words} 的 Pod",
  },
  policy: {
    en: "ValidatingAdmissionPolicy {name} denies them ({words})",
    zh: "ValidatingAdmissionPolicy {name} 拒绝了它们（{words}）",
  },
  webhook: {
    en: "the admission webhook {name} denies them ({words})",
    zh: "准入 webhook {name} 拒绝了它们（{words}）",
  },
  priority: { en: "its PriorityClass {name} does not exist", zh: "其 PriorityClass {name} 不存在" },
  terminating: {
    en: "Namespace {name} is being deleted",
    zh: "命名空间 {name} 正在被删除",
  },
  raise: {
    en: "Raise the quota, or free what others use of it",
    zh: "提高配额，或释放其他工作负载占用的份额",
  },
  sayResources: {
    en: "Let the Pod template say its requests and limits, or a LimitRange say them for it",
    zh: "在 Pod 模板中写明 requests 和 limits，或用 LimitRange 提供默认值",
  },
  makeAccount: {
    en: "Make the ServiceAccount again, with the bindings that it had, or correct its name in the Pod template",
    zh: "重新创建该 ServiceAccount 及其绑定，或修正 Pod 模板中的名称",
  },
  allow: {
    en: "Let the Pod template keep to what is asked, or except it from that",
    zh: "让 Pod 模板符合要求，或为其设置例外",
  },
  bringBack: {
    en: "Make it again, or correct its name in the Pod template",
    zh: "重新创建它，或修正 Pod 模板中的名称",
  },
  findFinalizers: {
    en: "See what keeps the namespace from going, then make it anew with what was in it",
    zh: "查看命名空间无法删除的原因，待其删除后重新创建其中的对象",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Alert on the condition ReplicaFailure (kube_deployment_status_condition) and on events FailedCreate",
    zh: "对 ReplicaFailure 条件（kube_deployment_status_condition）和 FailedCreate 事件设置告警",
  },
});

type Reason = { readonly case: string; readonly repair: Ref; readonly why: Text };

/**
 * Why, as the API server's admission says it. Only what stays so until somebody changes something; what passes by itself (an
 * API server that restarts) is not among it.
 *
 * Sources: kubernetes apiserver/pkg/admission/plugin/resourcequota/controller.go, plugin/pkg/admission/{serviceaccount,priority},
 * pod-security-admission/admission/admission.go, apiserver/pkg/admission/plugin/{policy/validating,webhook,namespace/lifecycle}
 */
const REASONS: readonly (readonly [RegExp, (found: Record<string, string>, namespace: string) => Reason])[] = [
  [
    /exceeded quota: (?<name>[^,\s]+), (?<words>requested: .*)/s,
    ({ name = "", words = "" }, namespace) => ({
      case: "quota",
      repair: ref("ResourceQuota", name, namespace),
      why: say.quota({ name: `${namespace}/${name}`, words }),
    }),
  ],
  [
    /failed quota: (?<name>[^:\s]+): must specify (?<words>.*)/s,
    ({ name = "", words = "" }, namespace) => ({
      case: "unsaid",
      repair: ref("ResourceQuota", name, namespace),
      why: say.unsaid({ name: `${namespace}/${name}`, words }),
    }),
  ],
  [
    /error looking up service account [^:]+: serviceaccounts? "(?<name>[^"]+)" not found/,
    ({ name = "" }, namespace) => ({
      case: "account",
      repair: ref("ServiceAccount", name, namespace),
      why: say.account({ name: `${namespace}/${name}` }),
    }),
  ],
  [
    /violates PodSecurity "(?<words>[^"]+)"/,
    ({ words = "" }, namespace) => ({
      case: "security",
      repair: ref("Namespace", namespace),
      why: say.security({ name: namespace, words }),
    }),
  ],
  [
    /ValidatingAdmissionPolicy '(?<name>[^']+)' with binding '[^']*' denied request: (?<words>.*)/s,
    ({ name = "", words = "" }) => ({
      case: "policy",
      repair: ref("ValidatingAdmissionPolicy", name),
      why: say.policy({ name, words }),
    }),
  ],
  [
    /no PriorityClass with name (?<name>\S+) was found/,
    ({ name = "" }) => ({
      case: "priority",
      repair: ref("PriorityClass", name),
      why: say.priority({ name }),
    }),
  ],
  [
    /unable to create new content in namespace (?<name>\S+) because it is being terminated/,
    ({ name = "" }) => ({ case: "terminating", repair: ref("Namespace", name), why: say.terminating({ name }) }),
  ],
];
const DENIED = /admission webhook "(?<name>[^"]+)" denied the request(?: without explanation|: (?<words>.*))?/s;
const MOST_SAID = 160;

function reasonOf({ message, workload }: PodRefusal): Reason | undefined {
  const short = message.length > 2000 ? message.slice(0, 2000) : message;
  for (const [pattern, told] of REASONS) {
    const found = pattern.exec(short)?.groups;
    if (!found) continue;
    const words = (found.words ?? "").slice(0, MOST_SAID).trim();
    return told({ ...found, words }, workload.namespace ?? "");
  }
  const denied = DENIED.exec(short)?.groups;
  if (!denied) return undefined;
  const args = { name: denied.name ?? "", words: (denied.words ?? "").slice(0, MOST_SAID).trim() };
  return { case: "webhook", repair: workload, why: say.webhook(args) };
}

type Model = Pick<ClusterModel, "objects" | "pods" | "services" | "time" | "components">;

/** Whether the network wants for it: it is a part of it, or a Service has no other back ends. */
function isMissed({ workload, object, made }: PodRefusal, { components, services }: Model): boolean {
  if (components.byRef(workload) && (made === 0 || workload.kind === "DaemonSet")) return true;
  return made === 0 && servicesOf(object, services).length > 0;
}

/** What refuses the Pods of a workload that has none: a quota, a ServiceAccount that is gone, a policy. */
export const podCreationRefused = defineCheck({
  id: "pod-creation-refused",
  reads: ["objects", "pods", "services", "time", "components"],

  *find(model) {
    if (!model.pods.whole) {
      yield cannotTell({ name: "pod.admit" }, [{ kind: "pods" }]);
      return;
    }
    const told = podRefusals(model).flatMap((refusal) => {
      const reason = isMissed(refusal, model) ? reasonOf(refusal) : undefined;
      return reason ? [{ refusal, reason }] : [];
    });
    const each = Map.groupBy(told, ({ refusal, reason }) => `${refId(refusal.workload)} ${refId(reason.repair)}`);
    for (const [{ refusal, reason }, ...others] of each.values() as Iterable<[(typeof told)[0], ...typeof told]>) {
      const { workload, object, made } = refusal;
      const args = { workload: refId(workload), why: reason.why };
      yield fault({
        repair: reason.repair,
        related: reason.repair === workload ? [] : [workload],
        breaks: admissionOf(workload, object, model.services),
        title: made === 0 ? say.refused(args) : say.missed(args),
        evidence: [refusal, ...others.map((other) => other.refusal)].slice(0, 2).map(({ evidence }) => evidence),
        strength: "direct",
        facts: { case: reason.case, kind: workload.kind, namespace: workload.namespace ?? "", name: workload.name },
      });
    }
  },

  remedies({ repair, facts }) {
    const workload = ref(String(facts.kind), String(facts.name), String(facts.namespace));
    const { namespace } = facts;
    const edit = { run: `kubectl edit ${kubectlName(workload)}` };
    const editQuota = { run: `kubectl edit ${kubectlName(repair)}` };
    const verify = { run: `kubectl get ${kubectlName(workload)}` };
    const account = sh`kubectl create serviceaccount -n ${String(namespace)} ${repair.name}`;
    const unmade = { run: sh`kubectl delete serviceaccount -n ${String(namespace)} ${repair.name}` };
    const content = sh`kubectl get namespace ${repair.name} -o jsonpath=${"{.status.conditions}"}`;
    const steps = {
      quota: [{ why: say.raise(), change: editQuota, undo: editQuota, verify }],
      unsaid: [{ why: say.sayResources(), change: edit, undo: edit, verify }],
      account: [{ why: say.makeAccount(), change: { run: account }, undo: unmade, verify }],
      priority: [{ why: say.bringBack(), change: edit, undo: edit, verify }],
      terminating: [{ why: say.findFinalizers(), change: { run: content }, verify }],
    }[String(facts.case)] ?? [{ why: say.allow(), change: edit, undo: edit, verify }];
    return [{ id: "let-in", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "New Pods are refused", zh: "新建 Pod 被拒绝" },
    page: {
      en: `A workload has no Pod, because the API server refuses every one that its controller wants to make: a ResourceQuota is used up or wants requests that the template does not say, its ServiceAccount or PriorityClass is gone, the namespace's Pod Security Standard, a ValidatingAdmissionPolicy or an admission webhook denies it, or its namespace is being deleted.

**How it looks.** There is no Pod to look at, and nothing restarts or fails: \`kubectl get pods\` is empty, the Deployment says 0/3. Its Service refuses connections. Its condition ReplicaFailure and Events \`FailedCreate\` of the ReplicaSet say why. It often begins long after the change that made it so: with the next restart or node that is drained.

**When this is not the cause.** A workload that has some of its Pods goes on: that is told only of agents that every node needs. If the API server could not ask a webhook, see admission-webhook-failing; if Pods are made and stay Pending, pod-unschedulable.`,
      zh: `某工作负载没有任何 Pod，因为其控制器创建的每个 Pod 都被 API Server 拒绝：ResourceQuota 已用尽，或要求写明模板中没有的 requests；ServiceAccount 或 PriorityClass 已不存在；命名空间的 Pod 安全标准、ValidatingAdmissionPolicy 或准入 webhook 拒绝了它；或命名空间正在被删除。

**现象。** 没有 Pod 可查，也没有重启或失败：\`kubectl get pods\` 为空，Deployment 显示 0/3，其 Service 拒绝连接。原因写在 ReplicaFailure 条件和 ReplicaSet 的 \`FailedCreate\` 事件中。它往往在变更很久之后才显现：下一次重启或排空节点时。

**何时不是它。** 仍有部分 Pod 的工作负载可以继续工作，只有每个节点都需要的代理才会报告。若 API Server 无法询问 webhook，见 admission-webhook-failing；若 Pod 已创建但一直 Pending，见 pod-unschedulable。`,
    },
  },
});
