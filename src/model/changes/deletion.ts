/**
 * What `kubectl delete` would take: the objects that are named or selected, and those that go with them.
 *
 * Source: kubectl pkg/cmd/delete (selection, background propagation), kube-controller-manager pkg/controller/namespace
 * and pkg/controller/garbagecollector (what goes with an object), apiserver plugin/pkg/admission/namespace/lifecycle (the
 * namespaces that cannot be deleted), kubernetes pkg/registry/rbac/rest/storage_rbac.go (what comes back at the API
 * server's next start).
 */

import type { Metadata } from "../../parse/objects.ts";
import type { LabelRequirement } from "../../parse/selectors/label.ts";
import { meets } from "../labels.ts";
import { KIND_NAMES, listOfKind, type Objects } from "../objects.ts";
import type { Pods } from "../pods.ts";
import { type Ref, ref, refId } from "../ref.ts";
import type { ResourceType } from "../resource-types.ts";
import type { Change } from "./change.ts";

export type Deletion = {
  readonly types: readonly ResourceType[];
  /** The only ones of their types; empty for all that the selector selects. */
  readonly names: readonly string[];
  readonly labels: readonly LabelRequirement[];
  /** Of objects that live in namespaces; missing for all namespaces. */
  readonly namespace?: string;
};

/** Why an object goes: it was selected, or it belongs to what goes. */
export type TakenFor = { readonly why: "selected" } | { readonly why: "owner" | "namespace"; readonly of: Ref };

/**
 * Who makes the object again: the API server at its next start, or a controller within seconds. *Immortal* is what the
 * API server refuses to delete.
 */
export type Return = "at-api-start" | "by-controller" | "immortal";

export type Taken = { readonly object: Ref; readonly for: TakenFor; readonly returns?: Return };

export type DeletionPlan = {
  readonly taken: readonly Taken[];
  /** What is gone for good, or at least for now: what a controller makes again at once is not among it. */
  readonly changes: readonly Change[];
  /** Named, and not there. */
  readonly notFound: readonly Ref[];
  /** Kinds that are not read, or not wholly: what of them would go is not known. */
  readonly unread: readonly ResourceType[];
};

type Item = { readonly metadata: Metadata };
type ListName = keyof typeof KIND_NAMES;

const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);

const refOf = (list: ListName, { metadata }: Item): Ref => ref(KIND_NAMES[list], metadata.name, metadata.namespace);

/** Kinds in which Kubernetes' own and Calico's go by one name are told apart by their group. */
const isOurs = ({ group }: ResourceType) => !group.includes("projectcalico.org");

export function deletionPlan(
  deletions: readonly Deletion[],
  model: { readonly objects: Objects; readonly pods: Pods },
): DeletionPlan {
  const { objects } = model;
  const taken = new Map<string, Taken & { readonly item: Item; readonly list: ListName }>();
  const notFound: Ref[] = [];
  const unread = new Map<string, ResourceType>();

  const take = (list: ListName, item: Item, reason: TakenFor): void => {
    const object = refOf(list, item);
    const id = refId(object);
    if (!taken.has(id)) taken.set(id, { object, for: reason, item, list });
  };

  for (const { types, names, labels, namespace } of deletions) {
    for (const type of types) {
      const list = isOurs(type) ? listOfKind(type.kind) : undefined;
      if (!list || !objects.isWhole(list)) unread.set(`${type.group}/${type.plural}`, type);
      if (!list) continue;
      const inScope = ({ metadata }: Item) =>
        !type.isNamespaced || namespace === undefined || metadata.namespace === namespace;
      const matching = (objects.all(list) as readonly Item[]).filter(
        (item) =>
          inScope(item) &&
          (names.length === 0 || names.includes(item.metadata.name)) &&
          labels.every((requirement) => meets(requirement, item.metadata.labels)),
      );
      for (const item of matching) take(list, item, { why: "selected" });
      const found = new Set(matching.map(({ metadata }) => metadata.name));
      for (const name of names.filter((one) => !found.has(one) && objects.isWhole(list))) {
        notFound.push(ref(type.kind, name, type.isNamespaced ? namespace : undefined));
      }
    }
  }
  takeDependents(taken, model, take);

  const gone = (object: Ref) => taken.has(refId(object));
  const all = [...taken.values()].map(({ item, list, ...one }): Taken => {
    const returns = returnOf(list, item, gone);
    return returns === undefined ? one : { ...one, returns };
  });
  return {
    taken: all,
    changes: all
      .filter(({ returns }) => returns === undefined || returns === "at-api-start")
      .map(({ object }) => ({ do: "delete", target: object })),
    notFound,
    unread: [...unread.values()],
  };
}

/** What is in a namespace goes with it, and what is owned with its owner. */
function takeDependents(
  taken: Map<string, { readonly object: Ref }>,
  { objects, pods }: { readonly objects: Objects; readonly pods: Pods },
  take: (list: ListName, item: Item, reason: TakenFor) => void,
): void {
  const lists = Object.keys(KIND_NAMES) as ListName[];
  const everything = lists.flatMap((list) => (objects.all(list) as readonly Item[]).map((item) => ({ list, item })));
  // a Pod goes with its Deployment, also where the ReplicaSet between them was not read
  const byOwner = Map.groupBy(
    pods.all.map(({ object, owner }) => ({ list: "pods" as ListName, item: object as Item, owner })),
    ({ owner }) => (owner ? refId(owner) : ""),
  ) as Map<string, typeof everything>;
  const byNamespace = Map.groupBy(everything, ({ item }) => item.metadata.namespace ?? "");
  for (const entry of everything) {
    for (const { kind, name } of entry.item.metadata.ownerReferences ?? []) {
      const id = refId(ref(kind, name, ownerNamespace(kind, entry.item)));
      const owned = byOwner.get(id);
      if (owned) owned.push(entry);
      else byOwner.set(id, [entry]);
    }
  }
  // a Map is walked to its end, whatever is added to it on the way
  for (const { object } of taken.values()) {
    for (const { list, item } of byOwner.get(refId(object)) ?? []) take(list, item, { why: "owner", of: object });
    if (object.kind !== "Namespace" || IMMORTAL.has(object.name)) continue;
    for (const { list, item } of byNamespace.get(object.name) ?? []) {
      take(list, item, { why: "namespace", of: object });
    }
  }
}

/** Owners are of the same namespace, or of none. */
function ownerNamespace(kind: string, { metadata }: Item): string | undefined {
  return kind === "Node" || kind === "Namespace" ? undefined : (metadata.namespace ?? undefined);
}

function returnOf(list: ListName, { metadata }: Item, isGone: (object: Ref) => boolean): Return | undefined {
  const { name, namespace, labels, annotations, ownerReferences } = metadata;
  switch (list) {
    case "namespaces":
      return IMMORTAL.has(name) ? "immortal" : undefined;
    case "clusterroles":
    case "clusterrolebindings":
    case "roles":
    case "rolebindings":
      return labels?.["kubernetes.io/bootstrapping"] === "rbac-defaults" &&
        annotations?.["rbac.authorization.kubernetes.io/autoupdate"] !== "false"
        ? "at-api-start"
        : undefined;
    case "serviceaccounts":
      return name === "default" && !isGone(ref("Namespace", namespace ?? "")) ? "by-controller" : undefined;
    case "configmaps":
      return name === "kube-root-ca.crt" && !isGone(ref("Namespace", namespace ?? "")) ? "by-controller" : undefined;
    case "services":
      return namespace === "default" && name === "kubernetes" ? "by-controller" : undefined;
    case "pods":
    case "replicasets":
    case "endpointslices": {
      const owner = ownerReferences?.find(({ controller }) => controller) ?? ownerReferences?.[0];
      if (!owner || isGone(ref(owner.kind, owner.name, ownerNamespace(owner.kind, { metadata })))) return undefined;
      // a static Pod is made again by its kubelet, others by their controllers
      return "by-controller";
    }
    default:
      return undefined;
  }
}
