/**
 * The components of this cluster: which there are, as what they run, where they belong and where they are.
 *
 * They are found by what they are (image and process), not by one name or namespace. That a component is not found says
 * nothing: k3s, managed and OpenShift clusters do the same work in other ways.
 */
import type { Capture } from "../../evidence/capture.ts";
import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { PodSpec, Workload } from "../../parse/objects.ts";
import { daemonPodBelongs, type Nodes } from "../nodes.ts";
import { listOfKind, type Objects } from "../objects.ts";
import type { Pods, PodView } from "../pods.ts";
import type { Account } from "../rbac.ts";
import { type Ref, ref, refId, sameRef } from "../ref.ts";
import {
  COMPONENTS,
  type ComponentDefinition,
  type Duty,
  definitionOf,
  imageRepository,
  imageTag,
} from "./definitions.ts";
import { describedIn, unreadableIn, withDescription } from "./described.ts";

export type Component = {
  readonly definition: ComponentDefinition;
  /** Those of its definition, and what its configuration adds: Cilium may replace kube-proxy. */
  readonly duties: readonly Duty[];
  /** What it runs as: a DaemonSet, Deployment, StatefulSet; for static Pods and loose Pods the Pod. */
  readonly ref: Ref;
  readonly workload?: Workload;
  readonly spec?: PodSpec;
  readonly account?: Account;
  readonly version?: string;
  readonly pods: readonly PodView[];
  /** Its workload does not exist; what it left behind says that it belongs here. */
  readonly leftBehind?: Evidence;
  /** For DaemonSets: whether its Pod belongs on this node; undefined if that cannot be told, or it is none. */
  belongsOn(node: string): boolean | undefined;
};

export interface Components {
  readonly all: readonly Component[];
  withDuty(duty: Duty): readonly Component[];
  byId(id: string): readonly Component[];
  byRef(ref: Ref): Component | undefined;
  /** Processes of a component on a node, wherever they come from; undefined if the node's processes were not seen. */
  processes(definition: ComponentDefinition, node: string): readonly Evidence[] | undefined;
  /** Descriptions of components that cannot be read, or not wholly. */
  readonly unreadable: readonly { readonly file: string }[];
  /** Whether every workload of the cluster is known, so that one that is not found does not exist. */
  readonly whole: boolean;
}

/** A Pod to look around from is often made of a component's image, and does nothing of what the component does. */
const idles = ({ command, args }: PodSpec["containers"][number]): boolean =>
  /\bsleep\s+(\d|infinity)|\btail\s+-f\s+\/dev\/null\b/.test([...(command ?? []), ...(args ?? [])].join(" "));

/** Definitions from descriptions by those who run the components. */
type Described = readonly ComponentDefinition[];

function definitionFor(
  spec: PodSpec,
  owner: Ref,
  described: Described,
): { definition: ComponentDefinition; image: string } | undefined {
  const isMeant = ({ described: of }: ComponentDefinition) => {
    const workload = of?.by.workload;
    return !workload || sameRef(owner, ref(workload.kind, workload.name, workload.namespace));
  };
  for (const container of spec.containers) {
    const { image } = container;
    if (!image || idles(container)) continue;
    const repository = imageRepository(image);
    const ours = definitionOf(container, spec.serviceAccountName);
    const theirs = described.find((candidate) => candidate.image.test(repository) && isMeant(candidate));
    const definition = ours && theirs ? withDescription(ours, theirs) : (theirs ?? ours);
    if (definition) return { definition, image };
  }
  return undefined;
}

type Found = { ref: Ref; spec: PodSpec; workload?: Workload; pods: readonly PodView[] };

function workloadsOf(objects: Objects, pods: Pods, described: Described): Found[] {
  const found: Found[] = [];
  const kinds = [
    ["daemonsets", "DaemonSet"],
    ["deployments", "Deployment"],
    ["statefulsets", "StatefulSet"],
  ] as const;
  for (const [list, kind] of kinds) {
    for (const workload of objects.all(list)) {
      const owner = ref(kind, workload.metadata.name, workload.metadata.namespace);
      found.push({ ref: owner, spec: workload.spec.template.spec, workload, pods: pods.ownedBy(owner) });
    }
  }
  const known = new Set(found.map((workload) => refId(workload.ref)));
  for (const pod of pods.all) {
    // of a workload that was not seen, its Pods tell; static Pods have none
    const owner = pod.owner ?? pod.ref;
    if (known.has(refId(owner)) || !definitionFor(pod.object.spec, owner, described)) continue;
    known.add(refId(owner));
    found.push({ ref: owner, spec: pod.object.spec, pods: pod.owner ? pods.ownedBy(pod.owner) : [pod] });
  }
  return found;
}

/**
 * Whether it is CoreDNS for the cluster: anybody may run one for names of their own. The cluster's is in kube-system,
 * bears its label, or is configured to answer for Services.
 */
function isClusterDns({ ref: { namespace }, spec, workload, pods }: Found, objects: Objects): boolean {
  const labels = workload?.spec.template.metadata?.labels ?? pods[0]?.labels;
  if (namespace === "kube-system" || labels?.["k8s-app"] === "kube-dns") return true;
  const mounted = new Set((spec.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []));
  return objects
    .all("configmaps")
    .some(
      ({ metadata, data }) =>
        metadata.namespace === namespace &&
        mounted.has(metadata.name) &&
        /^\s*kubernetes\b/m.test(data?.Corefile ?? ""),
    );
}

/** `kube-proxy-replacement` in cilium-config: true, or strict and partial before 1.14. */
function replacesKubeProxy(objects: Objects): boolean {
  return objects
    .all("configmaps")
    .some(
      ({ metadata, data }) =>
        metadata.name === "cilium-config" && /^(true|strict|partial)$/.test(data?.["kube-proxy-replacement"] ?? ""),
    );
}

function dutiesOf(definition: ComponentDefinition, objects: Objects): readonly Duty[] {
  return definition.id === "cilium" && replacesKubeProxy(objects)
    ? [...definition.duties, "service-proxy"]
    : definition.duties;
}

function componentOf(found: Found, nodes: Nodes, objects: Objects, described: Described): Component | undefined {
  const { ref: self, spec, workload, pods } = found;
  const match = definitionFor(spec, self, described);
  if (!match || (match.definition.id === "coredns" && !isClusterDns(found, objects))) return undefined;
  const version = imageTag(match.image);
  const isStatic = self.kind === "Pod";
  return {
    definition: match.definition,
    duties: dutiesOf(match.definition, objects),
    ref: self,
    spec,
    pods,
    ...(workload && { workload }),
    ...(version !== undefined && { version }),
    ...(!isStatic && {
      account: { namespace: self.namespace ?? "", name: spec.serviceAccountName || "default" },
    }),
    belongsOn(name) {
      const node = nodes.get(name)?.object;
      if (self.kind !== "DaemonSet" || !workload || !node) return undefined;
      return daemonPodBelongs(workload.spec.template.spec, node);
    },
  };
}

/** Controllers that run inside kube-controller-manager under accounts of their own. */
function controllersOf(objects: Objects): Component[] {
  return COMPONENTS.flatMap((definition) => {
    if (!definition.account) return [];
    const { namespace, name } = definition.account;
    if (objects.find("serviceaccounts", name, namespace).state !== "present") return [];
    const self = ref("ServiceAccount", name, namespace);
    return {
      definition,
      duties: definition.duties,
      ref: self,
      account: definition.account,
      pods: [],
      belongsOn: () => undefined,
    };
  });
}

/** Components whose workload is gone while their configuration is still there, and that run in no other way. */
function vanishedOf(capture: Capture, objects: Objects, nodes: Nodes, found: readonly Component[]): Component[] {
  const isKnown = (["daemonsets", "deployments", "statefulsets", "pods"] as const).every((list) =>
    objects.isWhole(list),
  );
  if (!isKnown) return [];
  return COMPONENTS.flatMap((definition) => {
    const { marker } = definition;
    if (!marker || found.some((component) => component.definition.id === definition.id)) return [];
    const { configMap, account } = marker;
    const [list, kind, left] =
      configMap === undefined
        ? (["serviceaccounts", "ServiceAccount", account] as const)
        : (["configmaps", "ConfigMap", configMap] as const);
    const map = objects
      .all(list)
      .find(({ metadata }) => metadata.name === left && marker.namespaces.includes(metadata.namespace ?? ""));
    const runs = nodes.all.some(({ name }) => processesOf(capture, definition, name)?.length);
    const isReplaced = found.some(({ duties }) => definition.duties.every((duty) => duties.includes(duty)));
    if (!map || runs || isReplaced) return [];
    const { namespace } = map.metadata;
    const { beside } = marker;
    const isAlone =
      beside !== undefined && !found.some(({ ref: one }) => sameRef(one, ref("DaemonSet", beside, namespace)));
    if (isAlone) return [];
    const self = ref(marker.workload.kind, marker.workload.name, namespace);
    const leftBehind = objects.quote(list, map, `${kind} ${map.metadata.namespace}/${map.metadata.name}`);
    return {
      definition,
      duties: definition.duties,
      ref: self,
      pods: [],
      leftBehind,
      belongsOn: () => marker.workload.kind === "DaemonSet" || undefined,
    };
  });
}

function processesOf(
  capture: Capture,
  { process }: ComponentDefinition,
  node: string,
): readonly Evidence[] | undefined {
  const observed = capture.get("processes", { node });
  const processes = known(observed);
  return processes
    ?.filter(({ command }) => process.test(command))
    .map(({ command, line }) => quoteOf({ ...observed.origin, line }, command));
}

/** Components of a cluster before it was changed whose workload is no more. */
function removedOf(before: Components | undefined, objects: Objects, found: readonly Component[]): Component[] {
  const ids = new Set(found.map(({ ref: self }) => refId(self)));
  return (before?.all ?? [])
    .filter(({ ref: self, workload, duties }) => {
      const isReplaced = found.some(
        (other) => duties.length > 0 && duties.every((duty) => other.duties.includes(duty)),
      );
      return workload !== undefined && !ids.has(refId(self)) && !isReplaced;
    })
    .map(({ definition, duties, ref: self, belongsOn }) => {
      const list = listOfKind(self.kind)!;
      const leftBehind = objects.quoteAbsence(list, `no ${refId(self)}`);
      return { definition, duties, ref: self, pods: [], leftBehind, belongsOn };
    });
}

/** @param before of a cluster after changes: those that it had */
export function componentsOf(
  capture: Capture,
  objects: Objects,
  pods: Pods,
  nodes: Nodes,
  before?: Components,
): Components {
  const described = describedIn(capture);
  const running = workloadsOf(objects, pods, described)
    .map((workload) => componentOf(workload, nodes, objects, described))
    .filter((component) => component !== undefined);
  const removed = removedOf(before, objects, running);
  const vanished = vanishedOf(capture, objects, nodes, [...running, ...removed]);
  const all = [...running, ...controllersOf(objects), ...removed, ...vanished];
  const byRef = new Map(all.map((component) => [refId(component.ref), component]));
  return {
    all,
    unreadable: unreadableIn(capture),
    withDuty: (duty) => all.filter(({ duties }) => duties.includes(duty)),
    byId: (id) => all.filter(({ definition }) => definition.id === id),
    byRef: (wanted) => byRef.get(refId(wanted)),
    processes: (definition, node) => processesOf(capture, definition, node),
    whole: objects.isWhole("daemonsets") && objects.isWhole("deployments") && objects.isWhole("pods"),
  };
}
