import type { Evidence } from "../../evidence/origin.ts";
import { formatSelector, hasLabels, type Labels } from "../../model/labels.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Objects } from "../../model/objects.ts";
import type { PodView } from "../../model/pods.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import type { ServiceView } from "../../model/services/services.ts";
import { distance } from "../../model/spelling.ts";
import { canonicalIp } from "../../net/ip.ts";
import type { Text } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, presumed, warning } from "../check.ts";
import { remediesOf } from "./service-without-endpoints/remedies.ts";
import { say } from "./service-without-endpoints/words.ts";

type Model = Pick<
  ClusterModel,
  "services" | "pods" | "objects" | "observations" | "dns" | "time" | "components" | "sockets"
>;

const SETTLING = 60_000;

type WorkloadView = {
  readonly ref: Ref;
  readonly replicas: number;
  readonly template: Labels;
  readonly since: string | null | undefined;
  readonly evidence: Evidence;
};

function workloadsIn(namespace: string, objects: Objects): WorkloadView[] {
  const kinds = [
    ["deployments", "Deployment"],
    ["statefulsets", "StatefulSet"],
    ["daemonsets", "DaemonSet"],
  ] as const;
  return kinds.flatMap(([list, kind]) =>
    objects
      .all(list)
      .filter(({ metadata }) => metadata.namespace === namespace)
      .map((object): WorkloadView => {
        const { metadata, spec, status } = object;
        const self = ref(kind, metadata.name, namespace);
        const replicas = kind === "DaemonSet" ? (status?.desiredNumberScheduled ?? 1) : (spec.replicas ?? 1);
        return {
          ref: self,
          replicas,
          template: spec.template.metadata?.labels ?? {},
          since: metadata.creationTimestamp,
          evidence: objects.quote(list, object, `${refId(self)}: ${replicas} replicas wanted, 0 Pods`),
        };
      }),
  );
}

/** Whether some label that a Service asks for has another, similar value in a workload: app=backnd against app=backend. */
const resembles =
  (service: ServiceView, isSimilar: (a: string, b: string) => boolean) =>
  ({ template }: WorkloadView): boolean =>
    Object.entries(service.selector ?? {}).some(
      ([key, value]) => template[key] !== undefined && isSimilar(template[key], value),
    );

/** The workload that a Service bears the name of, or whose Pods do: probably the one that it is meant for. */
function namesake(service: ServiceView, workloads: readonly WorkloadView[]): WorkloadView | undefined {
  return (
    workloads.find(({ ref: self }) => self.name === service.name) ??
    workloads.find(({ template }) => Object.values(template).includes(service.name)) ??
    workloads.find(resembles(service, isTypo))
  );
}

/** One is the other with something added: as likely another variant of it, a canary that is not there now. */
function isVariant(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.length >= 3 && long.startsWith(`${short}-`);
}

/** One is the other mistyped; what differs in numbers only (web1, web2) is not. */
function isTypo(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  const letters = (text: string) => text.replace(/\d+/g, "");
  return letters(a) !== letters(b) && long.length - short.length <= 1 && distance(a, b) <= 2 && short.length >= 4;
}

/** Its EndpointSlice has been rewritten: it has had back ends once (the API server counts generations of the content). */
function hadEndpoints(service: ServiceView, { services }: Model): boolean {
  return services.slices(service).some(({ metadata }) => (metadata.generation ?? 1) > 1);
}

function demand(service: ServiceView, { observations }: Model): Evidence[] {
  return observations
    .failedOn(service)
    .slice(0, 2)
    .map(({ evidence }) => evidence);
}

type Reason = { readonly reason: Text | string; readonly crashes: boolean };

function reasonOf(pods: readonly PodView[]): Reason {
  for (const { object, terminating } of pods) {
    if (terminating) return { reason: say.deleting(), crashes: false };
    for (const { state, ready, lastState } of object.status?.containerStatuses ?? []) {
      const waiting = state?.waiting?.reason;
      // why it ended says more than that it waits
      if (waiting === "CrashLoopBackOff" && lastState?.terminated?.reason === "OOMKilled")
        return { reason: "OOMKilled", crashes: true };
      if (waiting) return { reason: waiting, crashes: true };
      if (state?.terminated) return { reason: state.terminated.reason ?? say.ended(), crashes: true };
      if (!ready && state?.running) return { reason: say.probeFails(), crashes: false };
    }
    const gate = object.spec.readinessGates?.find(
      ({ conditionType }) => object.status?.conditions?.find(({ type }) => type === conditionType)?.status !== "True",
    );
    if (gate) return { reason: say.gateFails({ gate: gate.conditionType }), crashes: false };
  }
  return { reason: pods[0]?.object.status?.phase ?? say.unready(), crashes: false };
}

/** The kubelet waits for the network of one of them: that is no affair of the program's. */
const lackNetwork = (pods: readonly PodView[], { objects }: Model): boolean =>
  pods.some(
    (pod) =>
      pod.addresses.length === 0 &&
      objects
        .all("events")
        .some(
          ({ reason, involvedObject }) =>
            reason === "FailedCreatePodSandBox" &&
            involvedObject?.name === pod.name &&
            involvedObject.namespace === pod.namespace,
        ),
  );

const inEnglish = (words: Text | string): string => (typeof words === "string" ? words : words.en);

function* judgeEmptySelection(service: ServiceView, model: Model): Iterable<Finding> {
  const capability = { name: "service.select", service: keyOf(service) } as const;
  if (!model.pods.whole) {
    yield cannotTell(capability, [{ kind: "pods" }]);
    return;
  }
  const workloads = workloadsIn(service.namespace, model.objects);
  const selected = workloads.filter(({ template }) => hasLabels(service.selector!, template));
  const wanted = demand(service, model);
  const missed = model.dns.missedBy(service);
  const selector = formatSelector({ matchLabels: { ...service.selector } });
  const quote = model.services.quote(service, `Service ${keyOf(service)}: selector ${selector}`);
  const common = {
    breaks: [capability],
    strength: "direct" as const,
  };

  if (selected.length > 0) {
    const starved = selected.find(({ replicas }) => replicas > 0);
    if (starved && (model.time.age(starved.since) ?? SETTLING) >= SETTLING) {
      const title = say.noPods({ service: keyOf(service), workload: refId(starved.ref), count: starved.replicas });
      yield fault({
        ...common,
        repair: starved.ref,
        related: [service.ref],
        title,
        evidence: [quote, starved.evidence, ...wanted],
        facts: { case: "no-pods" },
      });
    } else if (starved) yield presumed(capability, [], say.changing());
    // with no replicas it is off, on purpose unless somebody calls it in vain
    const off = selected.find(({ replicas }) => replicas === 0);
    if (!starved && off && wanted.length > 0) {
      const title = say.scaledToZero({ service: keyOf(service), workload: refId(off.ref) });
      yield fault({
        ...common,
        repair: off.ref,
        related: [service.ref],
        title,
        evidence: [quote, ...wanted],
        facts: { case: "scaled" },
      });
    }
    return;
  }
  const meant =
    workloads.find(({ ref: self }) => missed.some(({ owner }) => owner && refId(owner) === refId(self))) ??
    namesake(service, workloads) ??
    (wanted.length > 0 ? workloads.find(resembles(service, isVariant)) : undefined);
  const isWanted =
    missed.length > 0 ||
    wanted.length > 0 ||
    (meant !== undefined && hadEndpoints(service, model)) ||
    meant?.ref.name === service.name;
  if (!isWanted) return;
  const title = meant
    ? say.noMatchMeant({
        service: keyOf(service),
        selector,
        workload: refId(meant.ref),
        labels: formatSelector({ matchLabels: ofKeys(meant.template, Object.keys(service.selector!)) }),
      })
    : say.noMatch({ service: keyOf(service), selector });
  yield fault({
    ...common,
    repair: service.ref,
    related: meant ? [meant.ref] : [],
    title,
    evidence: [
      quote,
      ...missed
        .slice(0, 2)
        .map((pod) =>
          model.objects.quote("pods", pod.object, `${pod.key}: Ready, ${formatSelector({ matchLabels: pod.labels })}`),
        ),
      ...wanted,
    ],
    // somebody wrote it: no controller that cannot follow does
    lost: true,
    facts: {
      case: "selector",
      ...(meant && { labels: Object.entries(meant.template).map(([key, value]) => `${key}=${value}`) }),
    },
  });
}

function* judgeUnready(service: ServiceView, pods: readonly PodView[], model: Model): Iterable<Finding> {
  const capability = { name: "pod.ready", service: keyOf(service) } as const;
  if (!model.pods.whole) {
    yield cannotTell(capability, [{ kind: "pods" }]);
    return;
  }
  const isRecent = (at: string | null | undefined) => (model.time.age(at) ?? SETTLING) < SETTLING;
  const isComing = pods.some(({ object }) => isRecent(object.metadata.creationTimestamp));
  // on a node that is gone, Pods are being deleted for ever
  const isGoing = pods.every(({ terminating, object }) => terminating && isRecent(object.metadata.deletionTimestamp));
  if (isComing || isGoing) {
    yield presumed(capability, [], say.changing());
    return;
  }
  const closed = pods.map(model.sockets.closedProbe).find((probe) => probe !== undefined);
  const { crashes, ...first } = reasonOf(pods);
  const reason = closed && !crashes ? say.probesClosedPort({ port: closed.port }) : first.reason;
  const owner = pods[0]!.owner ?? pods[0]!.ref;
  const wanted = demand(service, model);
  const evidence = [
    ...(closed && !crashes ? [closed.evidence] : []),
    ...pods
      .slice(0, 3)
      .map((pod) =>
        model.objects.quote("pods", pod.object, `${pod.key}: not ready: ${inEnglish(reasonOf([pod]).reason)}`),
      ),
    ...wanted,
  ];
  const title = say.notReady({ service: keyOf(service), workload: refId(owner), reason });
  // an application that crashes and that nobody misses is its owner's affair, not the network's
  if (crashes && wanted.length === 0 && !lackNetwork(pods, model)) yield warning(owner, title, evidence, [service.ref]);
  else {
    yield fault({
      repair: owner,
      related: [service.ref, ...pods.map((pod) => pod.ref)],
      nodes: nodesOf(pods),
      breaks: [
        capability,
        ...pods.map((pod) => ({ name: "pod.ready", pod: pod.key, ...(pod.node && { node: pod.node }) }) as const),
      ],
      title,
      evidence,
      strength: "direct",
      facts: {
        case: "not-ready",
        pod: pods[0]!.name,
        ...(closed && !crashes && { port: closed.port, listening: closed.listening }),
      },
    });
  }
}

function* judgeUnwritten(service: ServiceView, ready: readonly PodView[], model: Model): Iterable<Finding> {
  const capability = { name: "service.follow", service: keyOf(service) } as const;
  if (!model.services.endpointsWhole) {
    yield cannotTell(capability, [{ kind: "endpointslices" }]);
    return;
  }
  // the controller needs a moment for a Pod that has become ready
  const isSettled = ({ object }: PodView) => {
    const since = object.status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
    return (model.time.age(since) ?? 0) > SETTLING;
  };
  const named = new Set(
    model.services
      .slices(service)
      .flatMap(({ endpoints }) => (endpoints ?? []).flatMap(({ addresses }) => addresses ?? []))
      .map((address) => canonicalIp(address) ?? address),
  );
  const forgotten = ready.filter(
    (pod) => isSettled(pod) && pod.addresses.length > 0 && !pod.addresses.some((address) => named.has(address)),
  );
  if (forgotten.length === 0) return;
  const controllers = model.components.byId("kube-controller-manager");
  const [first, ...others] = controllers.map(({ ref: self }) => self);
  const [running] = controllers.flatMap((controller) => controller.pods);
  yield fault({
    repair: first ?? ref("Pod", "kube-controller-manager", "kube-system"),
    related: [service.ref, ...others],
    breaks: [{ name: "service.endpoints", service: keyOf(service) }],
    title: say.notWritten({ service: keyOf(service), count: forgotten.length }),
    evidence: [
      ...forgotten
        .slice(0, 3)
        .map((pod) => model.objects.quote("pods", pod.object, `${pod.key}: Ready, ${pod.addresses.join(", ")}`)),
      model.objects.quoteAbsence("endpointslices", `EndpointSlices of ${keyOf(service)}: ${list([...named])}`),
    ],
    strength: "differing",
    facts: { case: "not-written", ...(running?.node && { node: running.node, pod: running.name }) },
  });
}

/** Of the labels those that are asked for, or all if it has none of them. */
function ofKeys(labels: Labels, keys: readonly string[]): Labels {
  const asked = Object.entries(labels).filter(([key]) => keys.includes(key));
  return asked.length > 0 ? Object.fromEntries(asked) : labels;
}

const list = (addresses: readonly string[]) => (addresses.length > 0 ? addresses.slice(0, 5).join(", ") : "none");
const keyOf = ({ namespace, name }: ServiceView) => `${namespace}/${name}`;
const nodesOf = (pods: readonly PodView[]) => [
  ...new Set(pods.flatMap(({ node }) => (node === undefined ? [] : [node]))),
];

/** A Service has no back end: it selects no Pod, its Pods are not ready, or its workload is scaled to zero. */
export const serviceWithoutEndpoints = defineCheck({
  id: "service-without-endpoints",
  reads: ["services", "pods", "objects", "observations", "dns", "time", "components", "sockets"],

  *find(model) {
    const { services, dns } = model;
    if (!services.whole) yield cannotTell({ name: "service.select" }, [{ kind: "services" }]);
    for (const service of services.all) {
      // without selector somebody else writes its back ends
      if (!service.selector || service.kind === "ExternalName") continue;
      // of cluster DNS its own check speaks, unless the servers are there and the Service asks for others
      const isDns = dns.services.includes(service);
      if (isDns && (dns.missedBy(service).length === 0 || !dns.isAsked(service))) continue;
      const selected = services.selected(service).filter(({ finished }) => !finished);
      const ready = selected.filter((pod) => pod.ready);
      if (selected.length === 0) yield* judgeEmptySelection(service, model);
      else if (isDns) continue;
      else if (ready.length === 0 && !service.object.spec.publishNotReadyAddresses)
        yield* judgeUnready(service, selected, model);
      else yield* judgeUnwritten(service, ready, model);
    }
  },

  remedies: remediesOf,

  manual: {
    title: { en: "A Service has no back end", zh: "Service 没有后端" },
    page: {
      en: `Nobody answers a Service, because it has no ready back end. Cases look alike from outside and are told apart: its selector matches no Pod; Pods match and none is ready; the workload that it selects is scaled to zero, or gets no Pods; ready Pods are missing in its EndpointSlices.

**How it looks.** With kube-proxy in iptables mode, connections are refused at once (the REJECT rule "has no endpoints"), on every node alike; with IPVS, the kernel finds no destination.

**When this is not the cause.** Services without a selector, ExternalName Services, and Services whose workload was switched off and that nobody calls are meant to be empty. If only one node refuses, its rules are stale: see service-rules-mismatch.`,
      zh: `没有人应答该 Service，因为它没有就绪的后端。以下情况外表相同，需加以区分：选择器没有匹配任何 Pod；有匹配的 Pod 但都未就绪；被选中的工作负载副本数为 0，或无法创建 Pod；就绪的 Pod 未写入 EndpointSlice。

**现象。** kube-proxy 为 iptables 模式时，连接立即被拒绝（“has no endpoints” 的 REJECT 规则），各节点一致；IPVS 模式下内核找不到目的地。

**何时不是它。** 没有选择器的 Service、ExternalName 类型，以及工作负载已关闭且无人访问的 Service，本来就应为空。若只有一个节点拒绝，是该节点规则陈旧，见 service-rules-mismatch。`,
    },
  },
});
