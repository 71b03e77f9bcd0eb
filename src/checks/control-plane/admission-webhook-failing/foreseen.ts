/** Webhooks of which objects show that nobody answers, before or beside what workloads were told. */
import type { Capability } from "../../../model/capability.ts";
import { admissionOf, WORKLOAD_LISTS } from "../../../model/pod-refusals.ts";
import { type Ref, ref, refId } from "../../../model/ref.ts";
import type { Webhook, Writing } from "../../../model/webhooks.ts";
import type { Workload } from "../../../parse/objects.ts";
import { type Text, texts } from "../../../text.ts";
import { type Finding, fault, warning } from "../../check.ts";
import { type Asked, calling, type Model, type Silence, silenceOf, workloadsBehind } from "./silence.ts";

const say = texts("admission-webhook-failing/foreseen", {
  pods: {
    en: "{webhook} will keep new Pods of {workloads} from being made: {why}",
    zh: "{webhook}会使{workloads}无法新建 Pod：{why}",
  },
  slices: {
    en: "{webhook} keeps EndpointSlices from following their Pods: {why}",
    zh: "{webhook} 使 EndpointSlice 无法随 Pod 更新：{why}",
  },
  leases: {
    en: "{webhook} keeps kubelets from renewing their leases: {why}",
    zh: "{webhook} 使 kubelet 无法续约：{why}",
  },
  andOthers: {
    en: "{names} and {count} {count:other|others}",
    zh: "{names}及另外 {count} 个工作负载",
  },
  trustEnded: {
    en: "the certificates of its caBundle ended at {at}, so the API server believes nobody's answer",
    zh: "其 caBundle 中的证书已于 {at} 过期，API Server 不再信任任何应答",
  },
  perhaps: {
    en: "{webhook} may keep new Pods from being made: {why}, if its conditions ask about them",
    zh: "{webhook} 可能使 Pod 无法新建：{why}（取决于其匹配条件）",
  },
  circle: {
    en: "{first}. {own} is asked about as well, so that it cannot come back by itself",
    zh: "{first}。{own} 自身的 Pod 也要经其审查，因此无法自行恢复",
  },
});

type Affected = { readonly workload: Ref; readonly object: Workload };

/** A lease that nobody has renewed for this long, in milliseconds: kubelets do every ten seconds. */
const PATIENCE = 60_000;
const MOST_NAMED = 3;

function namedOf(workloads: readonly Affected[]): Text | readonly string[] {
  const names = workloads.slice(0, MOST_NAMED).map(({ workload }) => refId(workload));
  const more = workloads.length - MOST_NAMED;
  return more > 0 ? say.andOthers({ names, count: more }) : names;
}

/** Adds to a title that what answers for the webhook is among what the webhook is asked about. */
export function withCircle(title: Text, behind: readonly Ref[], isHit: (id: string) => boolean): Text {
  const own = behind.find((one) => isHit(refId(one)));
  return own ? say.circle({ first: title, own: refId(own) }) : title;
}

/** What the remedies need to know. */
export const factsOf = (
  webhook: Webhook | undefined,
  asked: Asked | undefined,
  { isCircle, isDoubted }: { readonly isCircle: boolean; readonly isDoubted: boolean },
) => ({
  webhook: webhook?.name ?? "",
  index: webhook?.index ?? 0,
  config: webhook ? "known" : "unknown",
  effect: webhook?.mutates ? "mutates" : "judges",
  circle: isCircle ? "own" : "none",
  trust: webhook && isDoubted ? "doubtful" : "unknown",
  ...(asked && { service: asked.name, namespace: asked.namespace }),
});

/** Why a webhook fails whatever it is asked; undefined if it may answer. */
function whyOf(webhook: Webhook, asked: Asked, model: Model): (Silence & { isTrustEnded: boolean }) | undefined {
  const { trustEnds } = webhook;
  const { now } = model.time;
  if (trustEnds !== undefined && now !== undefined && trustEnds < now)
    return {
      why: say.trustEnded({ at: new Date(trustEnds).toISOString().slice(0, 10) }),
      evidence: [],
      isTrustEnded: true,
    };
  const silence = silenceOf(asked, model);
  return silence && { ...silence, isTrustEnded: false };
}

function affectedBy(webhook: Webhook, { objects }: Model) {
  const all = WORKLOAD_LISTS.flatMap(([list, kind]) =>
    objects.all(list).flatMap((object) => {
      const { metadata, spec } = object;
      if (spec.replicas === 0) return [];
      const namespace = metadata.namespace ?? "default";
      const labels = spec.template.metadata?.labels ?? {};
      const verdict = webhook.asksAbout({ operation: "CREATE", group: "", resource: "pods", namespace, labels });
      return [{ workload: ref(kind, metadata.name, metadata.namespace), object, verdict }];
    }),
  );
  return {
    surely: all.filter(({ verdict }) => verdict === "yes"),
    perhaps: all.some(({ verdict }) => verdict === "perhaps"),
  };
}

const LEASE: Writing = {
  operation: "UPDATE",
  group: "coordination.k8s.io",
  resource: "leases",
  namespace: "kube-node-lease",
  labels: {},
};

/** The nodes whose leases nobody has renewed. */
function silentNodes({ nodes, objects, time }: Model) {
  return nodes.all.flatMap(({ name }) => {
    const lease = objects.find("leases", name, LEASE.namespace);
    if (lease.state !== "present" || (time.age(lease.value.spec?.renewTime) ?? 0) < PATIENCE) return [];
    const words = `Lease ${LEASE.namespace}/${name}: renewed ${lease.value.spec?.renewTime}`;
    return [{ node: name, evidence: objects.quote("leases", lease.value, words) }];
  });
}

/** The Services whose EndpointSlices cannot be written. */
function frozenServices(webhook: Webhook, { services }: Model): readonly string[] {
  return services.all.flatMap(({ namespace, name, selector }) => {
    const writing: Writing = {
      operation: "UPDATE",
      group: "discovery.k8s.io",
      resource: "endpointslices",
      namespace,
      labels: { "kubernetes.io/service-name": name },
    };
    return selector && webhook.asksAbout(writing) === "yes" ? [`${namespace}/${name}`] : [];
  });
}

/** What a webhook that nobody answers for refuses, whether or not somebody has been told yet. */
export function* foreseen(webhook: Webhook, model: Model): Iterable<Finding> {
  const { service: asked, isRequired, config, evidence } = webhook;
  if (!isRequired || !asked) return;
  const silence = whyOf(webhook, asked, model);
  if (!silence) return;
  const { surely, perhaps } = affectedBy(webhook, model);
  const frozen = frozenServices(webhook, model);
  const silent = webhook.asksAbout(LEASE) === "yes" ? silentNodes(model) : [];
  const args = { webhook: refId(config), why: silence.why };
  const own = ref("Service", asked.name, asked.namespace);
  const quoted = [evidence, ...silence.evidence];
  if (surely.length === 0 && frozen.length === 0 && silent.length === 0) {
    if (perhaps) yield warning(config, say.perhaps(args), quoted, [own]);
    return;
  }
  const ids = new Set(surely.map(({ workload }) => refId(workload)));
  const behind = workloadsBehind(asked, model);
  const title =
    silent.length > 0
      ? say.leases(args)
      : surely.length > 0
        ? say.pods({ ...args, workloads: namedOf(surely) })
        : say.slices(args);
  const breaks: Capability[] = [
    calling(asked, model),
    ...surely.flatMap(({ workload, object }) => admissionOf(workload, object, model.services)),
    ...frozen.map((service) => ({ name: "service.follow", service }) as const),
    ...silent.map(({ node }) => ({ name: "node.report", node }) as const),
  ];
  yield fault({
    repair: config,
    related: [own, ...behind],
    breaks,
    title: withCircle(title, behind, (id) => ids.has(id)),
    evidence: [...quoted, ...silent.slice(0, 2).map((one) => one.evidence)],
    strength: "direct",
    facts: factsOf(webhook, asked, {
      isCircle: behind.some((one) => ids.has(refId(one))),
      isDoubted: silence.isTrustEnded,
    }),
  });
}
