/** Nodes, namespaces, events, and what else belongs to the cluster as a whole. */
import {
  age,
  ago,
  type Dict,
  duration,
  type Maybe,
  type Metadata,
  NONE,
  type Printer,
  printer,
  type Selector,
  selectorText,
  UNKNOWN,
  UNSET,
} from "./printer.ts";

type Node = {
  readonly metadata: Metadata;
  readonly spec?: Maybe<{ readonly unschedulable?: Maybe<boolean> }>;
  readonly status?: Maybe<{
    readonly conditions?: Maybe<readonly { readonly type: string; readonly status: string }[]>;
    readonly addresses?: Maybe<readonly { readonly type: string; readonly address: string }[]>;
    readonly nodeInfo?: Maybe<{
      readonly kubeletVersion?: string;
      readonly osImage?: string;
      readonly kernelVersion?: string;
      readonly containerRuntimeVersion?: string;
    }>;
  }>;
};

function nodeStatus({ spec, status }: Node): string {
  const ready = (status?.conditions ?? []).find(({ type }) => type === "Ready");
  const word = !ready ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return spec?.unschedulable ? `${word},SchedulingDisabled` : word;
}

const ROLE = "node-role.kubernetes.io/";

function roles({ labels }: Metadata): string {
  const found = Object.entries(labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(ROLE)) return key.length > ROLE.length ? key.slice(ROLE.length) : [];
    return key === "kubernetes.io/role" && value !== "" ? value : [];
  });
  return [...new Set(found)].sort().join(",") || NONE;
}

const addressOf = ({ status }: Node, wanted: string): string =>
  (status?.addresses ?? []).find(({ type }) => type === wanted)?.address ?? NONE;

type Event = {
  readonly metadata: Metadata;
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly involvedObject?: { readonly kind?: string; readonly name?: string; readonly fieldPath?: string };
  readonly source?: Maybe<{ readonly component?: string; readonly host?: string }>;
  readonly reportingComponent?: Maybe<string>;
  readonly reportingInstance?: Maybe<string>;
  readonly firstTimestamp?: Maybe<string>;
  readonly lastTimestamp?: Maybe<string>;
  readonly eventTime?: Maybe<string>;
  readonly count?: Maybe<number>;
  readonly series?: Maybe<{ readonly count?: number; readonly lastObservedTime?: Maybe<string> }>;
};

function eventSource({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || reportingComponent || "";
  const host = source?.host || reportingInstance || "";
  return host === "" ? component : `${component}, ${host}`;
}

function seen(event: Event, now: number): { readonly first: string; readonly last: string } {
  const { firstTimestamp, lastTimestamp, eventTime, series } = event;
  const first = firstTimestamp ? ago(firstTimestamp, now) : ago(eventTime, now);
  const last = lastTimestamp ? ago(lastTimestamp, now) : first;
  return { first, last: series ? ago(series.lastObservedTime, now) : last };
}

type Condition = { readonly type: string; readonly status?: string };
type SigningRequest = {
  readonly metadata: Metadata;
  readonly spec?: {
    readonly signerName?: string;
    readonly username?: string;
    readonly expirationSeconds?: Maybe<number>;
  };
  readonly status?: Maybe<{ readonly certificate?: Maybe<string>; readonly conditions?: Maybe<readonly Condition[]> }>;
};

function signingStatus({ status }: SigningRequest): string {
  const conditions = status?.conditions ?? [];
  const has = (type: string) => conditions.some((each) => each.type === type);
  const words = [
    ...(has("Denied") ? ["Denied"] : has("Approved") ? ["Approved"] : []),
    ...(!has("Denied") && !has("Approved") ? ["Pending"] : []),
    ...(has("Failed") ? ["Failed"] : []),
    ...(status?.certificate ? ["Issued"] : []),
  ];
  return words.join(",");
}

type Webhooks = { readonly metadata: Metadata; readonly webhooks?: Maybe<readonly unknown[]> };
const webhooks = printer<Webhooks>("Name, Webhooks#, Age", ({ metadata, webhooks: all }, now) => [
  metadata.name,
  all?.length ?? 0,
  age(metadata, now),
]);

type PriorityLevel = {
  readonly metadata: Metadata;
  readonly spec?: {
    readonly type?: string;
    readonly limited?: Maybe<{
      readonly nominalConcurrencyShares?: Maybe<number>;
      readonly limitResponse?: Maybe<{
        readonly queuing?: Maybe<{
          readonly queues?: number;
          readonly handSize?: number;
          readonly queueLengthLimit?: number;
        }>;
      }>;
    }>;
  };
};

export const clusterPrinters: Readonly<Record<string, Printer>> = {
  "/nodes": printer<Node>(
    "Name, Status, Roles, Age, Version, Internal-IP^, External-IP^, OS-Image^, Kernel-Version^, Container-Runtime^",
    (node, now) => {
      const { osImage, kernelVersion, containerRuntimeVersion, kubeletVersion } = node.status?.nodeInfo ?? {};
      return [
        node.metadata.name,
        nodeStatus(node),
        roles(node.metadata),
        age(node.metadata, now),
        kubeletVersion ?? "",
        addressOf(node, "InternalIP"),
        addressOf(node, "ExternalIP"),
        osImage || UNKNOWN,
        kernelVersion || UNKNOWN,
        containerRuntimeVersion || UNKNOWN,
      ];
    },
  ),
  "/namespaces": printer<{ metadata: Metadata; status?: Maybe<{ phase?: string }> }>(
    "Name, Status, Age",
    ({ metadata, status }, now) => [metadata.name, status?.phase ?? "", age(metadata, now)],
  ),
  "/events": printer<Event>(
    "Last Seen, Type, Reason, Object, Subobject^, Source^, Message, First Seen^, Count^, Name^",
    (event, now) => {
      const { first, last } = seen(event, now);
      const { kind, name, fieldPath } = event.involvedObject ?? {};
      const count = event.series?.count ?? (event.count || 1);
      return [
        last,
        event.type ?? "",
        event.reason ?? "",
        name ? `${(kind ?? "").toLowerCase()}/${name}` : (kind ?? "").toLowerCase(),
        fieldPath ?? "",
        eventSource(event),
        (event.message ?? "").trim(),
        first,
        count,
        event.metadata.name,
      ];
    },
  ),
  "/configmaps": printer<{ metadata: Metadata; data?: Dict; binaryData?: Dict }>(
    "Name, Data, Age",
    ({ metadata, data, binaryData }, now) => [
      metadata.name,
      Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length,
      age(metadata, now),
    ],
  ),
  "/secrets": printer<{ metadata: Metadata; type?: string; data?: Dict }>(
    "Name, Type, Data, Age",
    ({ metadata, type, data }, now) => [
      metadata.name,
      type ?? "Opaque",
      Object.keys(data ?? {}).length,
      age(metadata, now),
    ],
  ),
  "coordination.k8s.io/leases": printer<{ metadata: Metadata; spec?: { holderIdentity?: Maybe<string> } }>(
    "Name, Holder, Age",
    ({ metadata, spec }, now) => [metadata.name, spec?.holderIdentity ?? "", age(metadata, now)],
  ),
  "/componentstatuses": printer<{
    metadata: Metadata;
    conditions?: Maybe<readonly { type: string; status: string; message?: string; error?: string }[]>;
  }>("Name, Status, Message, Error", ({ metadata, conditions }) => {
    const healthy = (conditions ?? []).find(({ type }) => type === "Healthy");
    const status = !healthy ? "Unknown" : healthy.status === "True" ? "Healthy" : "Unhealthy";
    return [metadata.name, status, healthy?.message ?? "", healthy?.error ?? ""];
  }),
  "certificates.k8s.io/certificatesigningrequests": printer<SigningRequest>(
    "Name, Age, SignerName, Requestor, RequestedDuration, Condition",
    (request, now) => [
      request.metadata.name,
      age(request.metadata, now),
      request.spec?.signerName || NONE,
      request.spec?.username ?? "",
      request.spec?.expirationSeconds ? duration(request.spec.expirationSeconds * 1000) : NONE,
      signingStatus(request),
    ],
  ),
  "scheduling.k8s.io/priorityclasses": printer<{
    metadata: Metadata;
    value?: number;
    globalDefault?: boolean;
    preemptionPolicy?: string;
  }>("Name, Value#, Global-Default?, Age, PreemptionPolicy", (object, now) => [
    object.metadata.name,
    object.value ?? 0,
    object.globalDefault ?? false,
    age(object.metadata, now),
    object.preemptionPolicy ?? "PreemptLowerPriority",
  ]),
  "node.k8s.io/runtimeclasses": printer<{ metadata: Metadata; handler?: string }>(
    "Name, Handler, Age",
    ({ metadata, handler }, now) => [metadata.name, handler ?? "", age(metadata, now)],
  ),
  "admissionregistration.k8s.io/mutatingwebhookconfigurations": webhooks,
  "admissionregistration.k8s.io/validatingwebhookconfigurations": webhooks,
  "admissionregistration.k8s.io/validatingadmissionpolicies": printer<{
    metadata: Metadata;
    spec?: { validations?: Maybe<readonly unknown[]>; paramKind?: Maybe<{ apiVersion?: string; kind?: string }> };
  }>("Name, Validations#, ParamKind, Age", ({ metadata, spec }, now) => {
    const param = spec?.paramKind;
    const kind = param ? `${param.apiVersion}/${param.kind}` : UNSET;
    return [metadata.name, spec?.validations?.length ?? 0, kind, age(metadata, now)];
  }),
  "admissionregistration.k8s.io/validatingadmissionpolicybindings": printer<{
    metadata: Metadata;
    spec?: { policyName?: string; paramRef?: Maybe<{ name?: string; namespace?: string; selector?: Selector }> };
  }>("Name, PolicyName, ParamRef, Age", ({ metadata, spec }, now) => {
    const param = spec?.paramRef;
    if (param?.selector)
      return [metadata.name, spec?.policyName ?? "", selectorText(param.selector, "*"), age(metadata, now)];
    const named = param?.namespace ? `${param.namespace}/${param.name ?? "*"}` : `*/${param?.name ?? "*"}`;
    return [metadata.name, spec?.policyName ?? "", param ? named : UNSET, age(metadata, now)];
  }),
  "flowcontrol.apiserver.k8s.io/flowschemas": printer<{
    metadata: Metadata;
    spec?: {
      priorityLevelConfiguration?: { name?: string };
      matchingPrecedence?: number;
      distinguisherMethod?: Maybe<{ type?: string }>;
    };
    status?: Maybe<{ conditions?: Maybe<readonly Condition[]> }>;
  }>(
    "Name, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL",
    ({ metadata, spec, status }, now) => [
      metadata.name,
      spec?.priorityLevelConfiguration?.name ?? "",
      spec?.matchingPrecedence ?? 0,
      spec?.distinguisherMethod?.type ?? NONE,
      age(metadata, now),
      (status?.conditions ?? []).find(({ type }) => type === "Dangling")?.status ?? "?",
    ],
  ),
  "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": printer<PriorityLevel>(
    "Name, Type, NominalConcurrencyShares, Queues, HandSize, QueueLengthLimit, Age",
    ({ metadata, spec }, now) => {
      const queuing = spec?.limited?.limitResponse?.queuing;
      return [
        metadata.name,
        spec?.type ?? "",
        spec?.limited?.nominalConcurrencyShares ?? NONE,
        queuing?.queues ?? NONE,
        queuing?.handSize ?? NONE,
        queuing?.queueLengthLimit ?? NONE,
        age(metadata, now),
      ];
    },
  ),
};
