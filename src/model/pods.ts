/** The Pods, by address, node and label, and what their containers are doing. */
import { canonicalIp, type Family, type Ip, parseIp } from "../net/ip.ts";
import type { ContainerStatus, Pod } from "../parse/objects.ts";
import { hasLabels, type Labels } from "./labels.ts";
import type { NodeView } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import { type Ref, ref } from "./ref.ts";
import type { CaptureTime } from "./time.ts";

export type PodView = {
  readonly name: string;
  readonly namespace: string;
  /** `namespace/name` */
  readonly key: string;
  readonly ref: Ref;
  readonly object: Pod;
  readonly labels: Labels;
  /** Missing until scheduled. */
  readonly node?: string;
  /** Canonical; of a Pod on the host network, the node's. */
  readonly addresses: readonly string[];
  readonly hostNetwork: boolean;
  /** The condition Ready is True and the Pod is not being deleted. */
  readonly ready: boolean;
  /** Succeeded or Failed: its address may belong to another Pod by now. */
  readonly finished: boolean;
  readonly terminating: boolean;
  /** The workload that it was made for: the Deployment, not its ReplicaSet. */
  readonly owner?: Ref;
};

export interface Pods {
  readonly all: readonly PodView[];
  readonly whole: boolean;
  get(namespace: string, name: string): PodView | undefined;
  /** The Pod that has an address of the Pod network (Pods on the host network are not looked at). */
  byAddress(address: string): PodView | undefined;
  onNode(node: string): readonly PodView[];
  /** Of which families the Pod network has addresses on a node: its Pods', and those of its ranges; IPv4 if nothing tells. */
  familiesOn(node: NodeView): readonly Family[];
  inNamespace(namespace: string): readonly PodView[];
  /** The Pods of a namespace that carry all these labels; none for no labels. */
  withLabels(namespace: string, labels: Labels): readonly PodView[];
  ownedBy(owner: Ref): readonly PodView[];
}

/** The first address that a Pod has of a family. */
export const ipOf = (pod: PodView | undefined, family: Family): Ip | undefined =>
  pod?.addresses.map(parseIp).find((ip) => ip?.family === family);

function ownerOf(pod: Pod, replicaSetOwner: (namespace: string, name: string) => Ref | undefined): Ref | undefined {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller) ?? pod.metadata.ownerReferences?.[0];
  if (!owner) return undefined;
  const namespace = pod.metadata.namespace ?? "";
  if (owner.kind === "Node") return undefined;
  if (owner.kind === "ReplicaSet")
    return replicaSetOwner(namespace, owner.name) ?? ref("ReplicaSet", owner.name, namespace);
  return ref(owner.kind, owner.name, namespace);
}

function viewOf(object: Pod, owner: Ref | undefined): PodView {
  const { metadata, spec, status } = object;
  const namespace = metadata.namespace ?? "";
  const texts = [...(status?.podIPs ?? []).map(({ ip }) => ip), status?.podIP].filter((ip) => typeof ip === "string");
  const addresses = [...new Set(texts.map(canonicalIp).filter((ip) => ip !== undefined))];
  const terminating = typeof metadata.deletionTimestamp === "string";
  return {
    name: metadata.name,
    namespace,
    key: `${namespace}/${metadata.name}`,
    ref: ref("Pod", metadata.name, namespace),
    object,
    labels: metadata.labels ?? {},
    ...(spec.nodeName && { node: spec.nodeName }),
    addresses,
    hostNetwork: spec.hostNetwork === true,
    ready: !terminating && status?.conditions?.find(({ type }) => type === "Ready")?.status === "True",
    finished: status?.phase === "Succeeded" || status?.phase === "Failed",
    terminating,
    ...(owner && { owner }),
  };
}

function group<T>(items: readonly T[], keyOf: (item: T) => string | undefined): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key === undefined) continue;
    const members = groups.get(key);
    if (members) members.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

const NONE: readonly PodView[] = [];
const FAMILIES = [4, 6] as const;

export function podsOf(objects: Objects): Pods {
  const replicaSets = new Map(
    objects.all("replicasets").map((set) => [`${set.metadata.namespace ?? ""}/${set.metadata.name}`, set]),
  );
  const replicaSetOwner = (namespace: string, name: string): Ref | undefined => {
    const owner = replicaSets.get(`${namespace}/${name}`)?.metadata.ownerReferences?.[0];
    if (owner) return ref(owner.kind, owner.name, namespace);
    // a Deployment names its ReplicaSets <deployment>-<pod template hash>
    const deployment = /^(.+)-[a-z0-9]{1,10}$/.exec(name)?.[1];
    const exists = deployment !== undefined && objects.find("deployments", deployment, namespace).state === "present";
    return exists ? ref("Deployment", deployment, namespace) : undefined;
  };
  const all = objects.all("pods").map((pod) => viewOf(pod, ownerOf(pod, replicaSetOwner)));
  const byKey = new Map(all.map((pod) => [pod.key, pod]));
  const byNode = group(all, (pod) => pod.node);
  const byNamespace = group(all, (pod) => pod.namespace);
  const byOwner = group(all, (pod) => pod.owner && `${pod.owner.kind}/${pod.namespace}/${pod.owner.name}`);
  const byAddress = new Map<string, PodView>();
  for (const pod of all) {
    if (pod.hostNetwork || pod.finished) continue;
    for (const address of pod.addresses) byAddress.set(address, pod);
  }
  let byLabel: Map<string, PodView[]> | undefined;
  const labelIndex = () => {
    byLabel ??= new Map();
    if (byLabel.size > 0) return byLabel;
    for (const pod of all) {
      for (const [key, value] of Object.entries(pod.labels)) {
        const id = `${pod.namespace}\u0000${key}\u0000${value}`;
        const members = byLabel.get(id);
        if (members) members.push(pod);
        else byLabel.set(id, [pod]);
      }
    }
    return byLabel;
  };
  return {
    all,
    whole: objects.isWhole("pods"),
    get: (namespace, name) => byKey.get(`${namespace}/${name}`),
    byAddress: (address) => byAddress.get(address),
    onNode: (node) => byNode.get(node) ?? NONE,
    familiesOn({ name, podRanges }) {
      const ofPods = (byNode.get(name) ?? NONE).filter(({ hostNetwork, finished }) => !hostNetwork && !finished);
      const found = FAMILIES.filter(
        (family) => podRanges.some(({ ip }) => ip.family === family) || ofPods.some((pod) => ipOf(pod, family)),
      );
      return found.length > 0 ? found : [4];
    },
    inNamespace: (namespace) => byNamespace.get(namespace) ?? [],
    withLabels(namespace, labels) {
      const candidates = Object.entries(labels).map(
        ([key, value]) => labelIndex().get(`${namespace}\u0000${key}\u0000${value}`) ?? [],
      );
      const fewest = candidates.sort((a, b) => a.length - b.length)[0] ?? [];
      return fewest.filter((pod) => hasLabels(labels, pod.labels));
    },
    ownedBy: ({ kind, namespace, name }) => byOwner.get(`${kind}/${namespace ?? ""}/${name}`) ?? [],
  };
}

/** The statuses of all containers of a Pod, init containers first, each with whether it is one. */
export function containerStatuses(
  pod: PodView,
): readonly { readonly status: ContainerStatus; readonly init: boolean }[] {
  const { status } = pod.object;
  return [
    ...(status?.initContainerStatuses ?? []).map((container) => ({ status: container, init: true })),
    ...(status?.containerStatuses ?? []).map((container) => ({ status: container, init: false })),
  ];
}

/** Milliseconds. */
const SETTLED = 10_000;

/** Pods of a node in the Pod network that run, with an address and for a moment already: others come and go meanwhile. */
export const steadyPods = (
  node: string,
  { pods, time }: { readonly pods: Pods; readonly time: CaptureTime },
): PodView[] =>
  pods
    .onNode(node)
    .filter(
      (pod) =>
        !pod.hostNetwork &&
        !pod.finished &&
        !pod.terminating &&
        pod.object.status?.phase === "Running" &&
        pod.addresses.length > 0 &&
        (time.age(pod.object.metadata.creationTimestamp) ?? SETTLED) >= SETTLED,
    );
