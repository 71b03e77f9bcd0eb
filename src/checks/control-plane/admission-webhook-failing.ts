import { admissionOf, type PodRefusal, podRefusals } from "../../model/pod-refusals.ts";
import { kubectlName, ref, refId } from "../../model/ref.ts";
import { webhooksOf } from "../../model/webhooks.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";
import { factsOf, foreseen, withCircle } from "./admission-webhook-failing/foreseen.ts";
import {
  type Asked,
  askedIn,
  calling,
  type Model,
  silenceOf,
  workloadsBehind,
} from "./admission-webhook-failing/silence.ts";

const say = texts("admission-webhook-failing", {
  failing: {
    en: "{webhook} keeps new Pods of {workloads} from being made: {why}",
    zh: "{webhook}使{workloads}无法新建 Pod：{why}",
  },
  noAnswer: {
    en: "the API server has to ask Service {service} first, which does not answer as it should ({words})",
    zh: "API Server 必须先询问 Service {service}，而它没有正常应答（{words}）",
  },
  noUrl: {
    en: "the API server has to ask a program outside the cluster first ({words})",
    zh: "API Server 必须先询问集群外的程序（{words}）",
  },
  renew: {
    en: "See until when the certificates of its caBundle count, then renew them, and the program's own, with what made them (cert-manager's cainjector, the chart's job)",
    zh: "查看 caBundle 中证书的有效期，然后用当初的签发方式（cert-manager 的 cainjector、Chart 的 Job）更新它以及程序自身的证书",
  },
  bringBack: {
    en: "Bring back what answers for the webhook",
    zh: "恢复该 webhook 的后端",
  },
  ignore: {
    en: "Until then let it pass what nobody can judge (failurePolicy Ignore)",
    zh: "在此之前，让无人能判定的请求通过（failurePolicy 设为 Ignore）",
  },
  remove: {
    en: "If what it belonged to is gone for good, delete the configuration",
    zh: "若它所属的程序已不再使用，删除该配置",
  },
  cut: {
    en: "It is asked about its own Pods: let pass what nobody can judge (failurePolicy Ignore) until they are ready",
    zh: "它自身的 Pod 也要经其审查：在其就绪之前，让无人能判定的请求通过（failurePolicy 设为 Ignore）",
  },
  unjudged: {
    en: "Nothing; what the webhook should judge (security and other policies) passes unjudged until failurePolicy is Fail again",
    zh: "无；在 failurePolicy 恢复为 Fail 之前，该 webhook 应审查的请求（安全等策略）会直接通过",
  },
  unchanged: {
    en: "Nothing; what is made until failurePolicy is Fail again lacks what the webhook adds (sidecars, defaults, certificates), and has to be made anew afterwards",
    zh: "无；在 failurePolicy 恢复为 Fail 之前新建的对象会缺少该 webhook 注入的内容（sidecar、默认值、证书），之后需要重新创建",
  },
  prevent: {
    en: "Exclude kube-system and the webhook's own namespace by namespaceSelector, run two replicas of it with a PodDisruptionBudget, and delete its configuration together with it",
    zh: "用 namespaceSelector 排除 kube-system 和 webhook 自身的命名空间，运行两个副本并配置 PodDisruptionBudget；卸载时一并删除其配置",
  },
});

/** Of the API server: apiserver pkg/admission/plugin/webhook/errors, ToStatusErr, and generic webhook callers. */
const FAILED =
  /failed calling webhook \\?"(?<webhook>[^"\\]+)\\?": (?:failed to call webhook: )?(?:Post \\?"?https:\/\/(?<host>[^/:"\\]+)[^ ]*: )?(?<words>.*)/s;
const MOST_SAID = 120;

type Refusal = PodRefusal & {
  readonly webhook: string;
  /** `name.namespace.svc` */
  readonly host?: string;
  readonly words: string;
};

function byWebhook(refusal: PodRefusal): Refusal[] {
  const { webhook, host, words = "" } = FAILED.exec(refusal.message)?.groups ?? {};
  if (webhook === undefined) return [];
  const short = words.length > MOST_SAID ? `${words.slice(0, words.lastIndexOf(" ", MOST_SAID))} …` : words;
  return [{ ...refusal, webhook, words: short, ...(host !== undefined && { host }) }];
}

/** Why a Service does not answer, as far as its objects tell. */
function whyOf(asked: Asked | undefined, words: string, model: Model): Text {
  if (!asked) return say.noUrl({ words });
  return silenceOf(asked, model)?.why ?? say.noAnswer({ service: `${asked.namespace}/${asked.name}`, words });
}

/** An admission webhook that does not answer keeps Pods from being made. */
export const admissionWebhookFailing = defineCheck({
  id: "admission-webhook-failing",
  reads: ["objects", "pods", "services", "time", "nodes"],

  *find(model) {
    const { services, pods, objects } = model;
    if (!pods.whole) {
      yield cannotTell({ name: "pod.admit" }, [{ kind: "pods" }]);
      return;
    }
    const webhooks = webhooksOf(objects);
    const refused = Map.groupBy(podRefusals(model).flatMap(byWebhook), (one) => one.webhook);
    for (const [name, refusals] of refused) {
      const [first] = refusals as [Refusal, ...Refusal[]];
      const webhook = webhooks.find((one) => one.name === name);
      const asked = webhook?.service ?? askedIn(first.host);
      const service = asked && services.get(asked.namespace, asked.name);
      const workloads = new Map(refusals.map((one) => [refId(one.workload), one]));
      const own = asked ? ref("Service", asked.name, asked.namespace) : undefined;
      const repair = webhook?.config ?? own ?? first.workload;
      const behind = asked ? workloadsBehind(asked, model) : [];
      const why = whyOf(asked, first.words, model);
      const hit = [...workloads.values()];
      const title = say.failing({
        webhook: webhook ? refId(webhook.config) : name,
        workloads: [...workloads.keys()],
        why,
      });
      yield fault({
        repair,
        related: [...(own && own !== repair ? [own] : []), ...behind],
        breaks: [
          ...hit.flatMap(({ workload, object }) => admissionOf(workload, object, services)),
          ...(asked ? [calling(asked, model)] : []),
        ],
        title: withCircle(title, behind, (id) => workloads.has(id)),
        evidence: [
          ...(webhook ? [webhook.evidence] : []),
          ...hit.slice(0, 3).map(({ evidence }) => evidence),
          ...(service ? [services.quote(service, `Service ${service.namespace}/${service.name}: ${why.en}`)] : []),
        ],
        strength: "direct",
        facts: factsOf(webhook, asked, {
          isCircle: behind.some((one) => workloads.has(refId(one))),
          isDoubted: /x509:/.test(first.words),
        }),
      });
    }
    for (const webhook of webhooks) if (!refused.has(webhook.name)) yield* foreseen(webhook, model);
  },

  remedies({ repair, facts }) {
    const { service, namespace, index, circle, effect } = facts;
    const verify = { run: "kubectl get events -A --field-selector reason=FailedCreate" };
    const back =
      typeof service === "string"
        ? sh`kubectl get service,endpointslices,pods -n ${String(namespace)} -o wide`
        : `kubectl get ${kubectlName(repair)} -o yaml`;
    const patch = (policy: string) => {
      const words = `[{"op":"replace","path":"/webhooks/${index}/failurePolicy","value":"${policy}"}]`;
      return { run: `kubectl patch ${kubectlName(repair)} ${sh`--type=json -p ${words}`}` };
    };
    const isCircle = circle === "own";
    const bundle = `kubectl get ${kubectlName(repair)} -o jsonpath='{.webhooks[${index}].clientConfig.caBundle}'`;
    const looks =
      facts.trust === "doubtful"
        ? { why: say.renew(), change: { run: `${bundle} | base64 -d | openssl x509 -noout -subject -dates` }, verify }
        : { why: say.bringBack(), change: { run: back }, verify };
    const passes = {
      why: isCircle ? say.cut() : say.ignore(),
      change: patch("Ignore"),
      undo: patch("Fail"),
      verify,
    };
    const goes = { why: say.remove(), verify: { run: `kubectl get ${kubectlName(repair)}` } };
    const isKnown = facts.config === "known";
    const steps = !isKnown ? [looks] : isCircle ? [passes, looks, goes] : [looks, passes, goes];
    const interrupts = effect === "mutates" ? say.unchanged() : say.unjudged();
    return [{ id: "answer-or-pass", risk: "medium", interrupts, steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "An admission webhook keeps Pods from being made", zh: "准入 webhook 导致无法新建 Pod" },
    page: {
      en: `A ValidatingWebhookConfiguration or MutatingWebhookConfiguration tells the API server to ask a program before a Pod is made, and to refuse if it does not answer (failurePolicy Fail, the default). It does not answer: its Service does not exist or has no back end, or nobody gets through to it.

**How it looks.** Pods that run go on. A Pod that ends is not replaced; a Deployment has fewer replicas than it asks for, and its condition ReplicaFailure and Events \`FailedCreate\` say \`Internal error occurred: failed calling webhook "…": failed to call webhook: Post "https://SERVICE.NAMESPACE.svc:443/…"\` with \`service "…" not found\`, \`connection refused\`, \`context deadline exceeded\` or an error of its certificate (seen so with v1.33). If the webhook is asked for its own Pods as well, it cannot come back by itself; if it is asked for those of the CNI agent that its own Pods need, neither can.

Its Service and its rules tell so before anybody is refused: then it is latent, and hurts with the next Pod that is made. A webhook whose rules cover everything (\`*/*\`) also stops EndpointSlices, and the leases of kubelets, until all nodes are NotReady.

**How it comes about.** A policy engine, service mesh or certificate manager was removed or scaled to zero and left its configuration behind; its only Pod was on a node that is gone; the control plane does not reach the Pod network; the certificate in its \`caBundle\` has ended, or is not the one that signed the program's (\`x509: certificate signed by unknown authority\`).

**When this is not the cause.** A refusal that the webhook itself has given (\`admission webhook "…" denied the request\`) is meant so. If the Pods behind it are not ready for a reason of their own, that reason stands above this.`,
      zh: `ValidatingWebhookConfiguration 或 MutatingWebhookConfiguration 要求 API Server 在创建 Pod 之前询问某个程序，若无应答则拒绝（failurePolicy 为默认的 Fail）。该程序没有应答：其 Service 不存在或没有后端，或无法连通。

**现象。** 已运行的 Pod 不受影响。Pod 退出后不会被替换，Deployment 的副本数少于期望值；其 ReplicaFailure 条件和 \`FailedCreate\` 事件为 \`Internal error occurred: failed calling webhook "…": failed to call webhook: Post "https://SERVICE.NAMESPACE.svc:443/…"\`，并带有 \`service "…" not found\`、\`connection refused\`、\`context deadline exceeded\` 或证书错误（在 v1.33 上实测）。若该 webhook 也审查自己的 Pod，就无法自行恢复；若它审查其自身 Pod 所依赖的 CNI 代理的 Pod，亦然。

在有请求被拒绝之前，从其 Service 和规则即可看出：此时为潜在故障，下一次新建 Pod 时显现。规则覆盖一切（\`*/*\`）的 webhook 还会阻止 EndpointSlice 更新和 kubelet 续约，最终使所有节点 NotReady。

**成因。** 策略引擎、服务网格或证书管理器被移除或缩容为零，却留下了配置；它唯一的 Pod 所在的节点已下线；控制面无法访问 Pod 网络；\`caBundle\` 中的证书已过期，或并非程序证书的签发者（\`x509: certificate signed by unknown authority\`）。

**何时不是它。** webhook 自己作出的拒绝（\`admission webhook "…" denied the request\`）是有意为之。若其后端 Pod 因自身原因未就绪，该原因会排在本项之上。`,
    },
  },
});
