import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import { hasLabels } from "../../model/labels.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import type { ServiceView } from "../../model/services/services.ts";
import type { Workload } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "objects" | "pods" | "services" | "time">;

const say = texts("admission-webhook-failing", {
  failing: {
    en: "{webhook} keeps new Pods of {workloads} from being made: {why}",
    zh: "{webhook} 使 {workloads} 无法新建 Pod：{why}",
  },
  noService: {
    en: "the API server has to ask Service {service} first, which does not exist",
    zh: "API Server 必须先询问 Service {service}，而它不存在",
  },
  noBackend: {
    en: "the API server has to ask Service {service} first, which has no back end",
    zh: "API Server 必须先询问 Service {service}，而它没有后端",
  },
  noAnswer: {
    en: "the API server has to ask Service {service} first, which does not answer as it should ({words})",
    zh: "API Server 必须先询问 Service {service}，而它没有正常应答（{words}）",
  },
  noUrl: {
    en: "the API server has to ask a program outside the cluster first ({words})",
    zh: "API Server 必须先询问集群外的程序（{words}）",
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
  interrupts: {
    en: "Nothing; what the webhook should judge passes unjudged meanwhile",
    zh: "无；期间该 webhook 应审查的请求会直接通过",
  },
  prevent: {
    en: "Exclude kube-system and the webhook's own namespace by namespaceSelector, run two replicas of it with a PodDisruptionBudget, and delete its configuration together with it",
    zh: "用 namespaceSelector 排除 kube-system 和 webhook 自身的命名空间，运行两个副本并配置 PodDisruptionBudget；卸载时一并删除其配置",
  },
});

/** Of the API server: apiserver pkg/admission/plugin/webhook/errors, ToStatusErr, and generic webhook callers. */
const FAILED =
  /failed calling webhook \\?"(?<webhook>[^"\\]+)\\?": (?:failed to call webhook: )?(?:Post \\?"?https:\/\/(?<host>[^/:"\\]+)[^ ]*: )?(?<words>.*)/s;
/** Milliseconds: controllers wait for a quarter of an hour at most before they try again (client-go workqueue, 1000 s). */
const CURRENT = 1_000_000 + 60_000;
const MOST_SAID = 120;

type Refusal = {
  readonly workload: Ref;
  readonly object: Workload;
  readonly webhook: string;
  /** `name.namespace.svc` */
  readonly host?: string;
  readonly words: string;
  readonly evidence: Evidence;
};

const KINDS = [
  ["deployments", "Deployment"],
  ["statefulsets", "StatefulSet"],
  ["daemonsets", "DaemonSet"],
] as const;

function refusal(workload: Ref, object: Workload, message: string, evidence: Evidence): Refusal[] {
  const { webhook, host, words = "" } = FAILED.exec(message)?.groups ?? {};
  if (webhook === undefined) return [];
  const short = words.length > MOST_SAID ? `${words.slice(0, words.lastIndexOf(" ", MOST_SAID))} …` : words;
  return [{ workload, object, webhook, words: short, evidence, ...(host !== undefined && { host }) }];
}

/** The workload that an object's Pods are made for: the Deployment, not its ReplicaSet. */
function ownerOf(kind: string, name: string, namespace: string, { objects }: Model): Ref {
  if (kind !== "ReplicaSet") return ref(kind, name, namespace);
  const set = objects
    .all("replicasets")
    .find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  const owner = set?.metadata.ownerReferences?.[0]?.name ?? name.replace(/-[a-z0-9]{1,10}$/, "");
  return ref("Deployment", owner, namespace);
}

/** Workloads that lack Pods, with what webhooks were the reason. */
function refusalsIn(model: Model): Refusal[] {
  const { objects, pods, time } = model;
  const lacking = KINDS.flatMap(([list, kind]) =>
    objects.all(list).flatMap((object) => {
      const { metadata, spec, status } = object;
      const self = ref(kind, metadata.name, metadata.namespace);
      const wanted = kind === "DaemonSet" ? (status?.desiredNumberScheduled ?? 1) : (spec.replicas ?? 1);
      const made = pods.ownedBy(self).filter(({ finished, terminating }) => !finished && !terminating).length;
      return made < wanted ? [{ list, object, self }] : [];
    }),
  );
  const byId = new Map(lacking.map((one) => [refId(one.self), one]));
  const stated = lacking.flatMap(({ list, object, self }) =>
    (object.status?.conditions ?? [])
      .filter(({ type, status }) => type === "ReplicaFailure" && status === "True")
      .flatMap(({ message }) =>
        refusal(self, object, message ?? "", objects.quote(list, object, `${refId(self)}: ReplicaFailure: ${message}`)),
      ),
  );
  const told = objects.all("events").flatMap((event) => {
    const { reason, involvedObject, message, series, lastTimestamp, eventTime } = event;
    const at = series?.lastObservedTime ?? lastTimestamp ?? eventTime;
    if (reason !== "FailedCreate" || (time.age(at) ?? CURRENT) >= CURRENT) return [];
    const { kind, name, namespace } = involvedObject ?? {};
    const one = byId.get(refId(ownerOf(kind ?? "", name ?? "", namespace ?? "", model)));
    const quoted = objects.quote("events", event, `${kind} ${namespace}/${name}: ${reason}: ${message}`);
    return one ? refusal(one.self, one.object, message ?? "", quoted) : [];
  });
  return [...stated, ...told];
}

/** The configuration that a webhook stands in; undefined if it is not known. */
function configOf(webhook: string, { objects }: Model): { ref: Ref; index: number; evidence: Evidence } | undefined {
  for (const [list, kind] of [
    ["validatingwebhookconfigurations", "ValidatingWebhookConfiguration"],
    ["mutatingwebhookconfigurations", "MutatingWebhookConfiguration"],
  ] as const) {
    for (const object of objects.all(list)) {
      const index = (object.webhooks ?? []).findIndex(({ name }) => name === webhook);
      if (index < 0) continue;
      const { failurePolicy, clientConfig } = object.webhooks![index]!;
      const { service } = clientConfig ?? {};
      const asked = service ? `Service ${service.namespace}/${service.name}` : (clientConfig?.url ?? "");
      const words = `${object.metadata.name}: webhook ${webhook}: failurePolicy ${failurePolicy ?? "Fail"}, asks ${asked}`;
      return { ref: ref(kind, object.metadata.name), index, evidence: objects.quote(list, object, words) };
    }
  }
  return undefined;
}

/** Why a Service does not answer, as far as its objects tell. */
function whyOf(key: string, service: ServiceView | undefined, words: string, { services }: Model): Text {
  if (!service) return services.whole ? say.noService({ service: key }) : say.noAnswer({ service: key, words });
  const ready = service.ports.some((port) => services.endpoints(port).some((one) => one.ready));
  if (!ready && services.endpointsWhole) return say.noBackend({ service: key });
  return say.noAnswer({ service: key, words });
}

/** An admission webhook that does not answer keeps Pods from being made. */
export const admissionWebhookFailing = defineCheck({
  id: "admission-webhook-failing",
  reads: ["objects", "pods", "services", "time"],

  *find(model) {
    const { services, pods, objects } = model;
    if (!pods.whole) {
      yield cannotTell({ name: "pod.admit" }, [{ kind: "pods" }]);
      return;
    }
    for (const [webhook, refusals] of Map.groupBy(refusalsIn(model), (one) => one.webhook)) {
      const [first] = refusals as [Refusal, ...Refusal[]];
      const config = configOf(webhook, model);
      const [, name, namespace] = /^([^.]+)\.([^.]+)\.svc$/.exec(first.host ?? "") ?? [];
      const key = `${namespace}/${name}`;
      const service = services.get(namespace ?? "", name ?? "");
      const asked = name === undefined ? [] : [ref("Service", name, namespace)];
      const behind = KINDS.flatMap(([list, kind]) =>
        objects
          .all(list)
          .filter(
            ({ metadata, spec }) =>
              service?.selector &&
              metadata.namespace === service.namespace &&
              hasLabels(service.selector, spec.template.metadata?.labels ?? {}),
          )
          .map(({ metadata }) => ref(kind, metadata.name, metadata.namespace)),
      );
      const workloads = new Map(refusals.map((one) => [refId(one.workload), one]));
      const why = name === undefined ? say.noUrl({ words: first.words }) : whyOf(key, service, first.words, model);
      const repair = config?.ref ?? asked[0] ?? first.workload;
      yield fault({
        repair,
        related: [...asked.filter((one) => one !== repair), ...behind],
        breaks: [...workloads.values()].flatMap(({ workload, object }) => [
          { name: "pod.admit", component: refId(workload) } as const,
          ...servicesOf(object, model).map((of): Capability => ({ name: "pod.admit", service: of })),
        ]),
        title: say.failing({
          webhook: config ? refId(config.ref) : webhook,
          workloads: [...workloads.keys()].join(", "),
          why,
        }),
        evidence: [
          ...(config ? [config.evidence] : []),
          ...[...workloads.values()].slice(0, 3).map(({ evidence }) => evidence),
          ...(service ? [services.quote(service, `Service ${key}: ${why.en}`)] : []),
        ],
        strength: "direct",
        facts: {
          webhook,
          index: config?.index ?? 0,
          config: config ? "known" : "unknown",
          ...(name !== undefined && { service: name, namespace: namespace ?? "" }),
        },
      });
    }
  },

  remedies({ repair, facts }) {
    const { service, namespace, index } = facts;
    const verify = { run: "kubectl get events -A --field-selector reason=FailedCreate" };
    const back =
      typeof service === "string"
        ? sh`kubectl get service,endpointslices,pods -n ${String(namespace)} -o wide`
        : `kubectl get ${kubectlName(repair)} -o yaml`;
    const patch = (policy: string) => {
      const words = `[{"op":"replace","path":"/webhooks/${index}/failurePolicy","value":"${policy}"}]`;
      return { run: `kubectl patch ${kubectlName(repair)} ${sh`--type=json -p ${words}`}` };
    };
    const looks = { why: say.bringBack(), change: { run: back }, verify };
    const passes = { why: say.ignore(), change: patch("Ignore"), undo: patch("Fail"), verify };
    const goes = { why: say.remove(), verify: { run: `kubectl get ${kubectlName(repair)}` } };
    const steps = facts.config === "known" ? [looks, passes, goes] : [looks];
    return [{ id: "answer-or-pass", risk: "medium", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "An admission webhook keeps Pods from being made", zh: "准入 webhook 导致无法新建 Pod" },
    page: {
      en: `A ValidatingWebhookConfiguration or MutatingWebhookConfiguration tells the API server to ask a program before a Pod is made, and to refuse if it does not answer (failurePolicy Fail, the default). It does not answer: its Service does not exist or has no back end, or nobody gets through to it.

**How it looks.** Pods that run go on. A Pod that ends is not replaced; a Deployment has fewer replicas than it asks for, and its condition ReplicaFailure and Events \`FailedCreate\` say \`Internal error occurred: failed calling webhook "…": failed to call webhook: Post "https://SERVICE.NAMESPACE.svc:443/…"\` with \`service "…" not found\`, \`connection refused\`, \`context deadline exceeded\` or an error of its certificate (seen so with v1.33). If the webhook is asked for its own Pods as well, it cannot come back by itself.

**How it comes about.** A policy engine, service mesh or certificate manager was removed or scaled to zero and left its configuration behind; its only Pod was on a node that is gone; the control plane does not reach the Pod network.

**When this is not the cause.** A refusal that the webhook itself has given (\`admission webhook "…" denied the request\`) is meant so. If the Pods behind it are not ready for a reason of their own, that reason stands above this.`,
      zh: `ValidatingWebhookConfiguration 或 MutatingWebhookConfiguration 要求 API Server 在创建 Pod 之前询问某个程序，若无应答则拒绝（failurePolicy 为默认的 Fail）。该程序没有应答：其 Service 不存在或没有后端，或无法连通。

**现象。** 已运行的 Pod 不受影响。Pod 退出后不会被替换，Deployment 的副本数少于期望值；其 ReplicaFailure 条件和 \`FailedCreate\` 事件为 \`Internal error occurred: failed calling webhook "…": failed to call webhook: Post "https://SERVICE.NAMESPACE.svc:443/…"\`，并带有 \`service "…" not found\`、\`connection refused\`、\`context deadline exceeded\` 或证书错误（在 v1.33 上实测）。若该 webhook 也审查自己的 Pod，就无法自行恢复。

**成因。** 策略引擎、服务网格或证书管理器被移除或缩容为零，却留下了配置；它唯一的 Pod 所在的节点已下线；控制面无法访问 Pod 网络。

**何时不是它。** webhook 自己作出的拒绝（\`admission webhook "…" denied the request\`）是有意为之。若其后端 Pod 因自身原因未就绪，该原因会排在本项之上。`,
    },
  },
});

/** The Services that select the Pods of a workload. */
function servicesOf({ metadata, spec }: Workload, { services }: Model): string[] {
  return services.all.flatMap(({ selector, namespace, name }) =>
    selector && namespace === metadata.namespace && hasLabels(selector, spec.template.metadata?.labels ?? {})
      ? [`${namespace}/${name}`]
      : [],
  );
}
