/**
 * The objects of the API, each list with what is known of its completeness.
 *
 * A list that is incomplete, or was not had, proves which objects exist and never that one does not.
 */
import type { Capture } from "../evidence/capture.ts";
import type { KindId, ListId, ObjectOf } from "../evidence/catalogue.ts";
import { absent, type Observed, present, unknown } from "../evidence/observed.ts";
import type { Evidence, Origin } from "../evidence/origin.ts";
import { quoteOf } from "../evidence/origin.ts";
import type { ApiList } from "../parse/api-list.ts";
import type { Metadata } from "../parse/objects.ts";

type Item = { readonly metadata: Metadata };

export interface Objects {
  /** The objects of a list that are known. Proves presence only. */
  all<K extends ListId>(list: K): readonly ObjectOf<K>[];
  /** The list as it was observed; present with gaps if incomplete. */
  observed<K extends ListId>(list: K): Observed<readonly ObjectOf<K>[]>;
  /** Whether an object that is not in the list does not exist. */
  isWhole(list: ListId): boolean;
  /** One object by its name. */
  find<K extends ListId>(list: K, name: string, namespace?: string | null): Observed<ObjectOf<K>>;
  origin(list: ListId, object: Item): Origin;
  /** The object as evidence, with the words that matter of it. */
  quote(list: ListId, object: Item, words: string): Evidence;
  /** The list as evidence of what is not in it. */
  quoteAbsence(list: ListId, words: string): Evidence;
}

export const KIND_NAMES = {
  pods: "Pod",
  nodes: "Node",
  namespaces: "Namespace",
  services: "Service",
  endpointslices: "EndpointSlice",
  configmaps: "ConfigMap",
  serviceaccounts: "ServiceAccount",
  events: "Event",
  daemonsets: "DaemonSet",
  deployments: "Deployment",
  statefulsets: "StatefulSet",
  replicasets: "ReplicaSet",
  networkpolicies: "NetworkPolicy",
  clusterroles: "ClusterRole",
  clusterrolebindings: "ClusterRoleBinding",
  roles: "Role",
  rolebindings: "RoleBinding",
  leases: "Lease",
  validatingwebhookconfigurations: "ValidatingWebhookConfiguration",
  mutatingwebhookconfigurations: "MutatingWebhookConfiguration",
  apiservices: "APIService",
  certificatesigningrequests: "CertificateSigningRequest",
  customresourcedefinitions: "CustomResourceDefinition",
  ciliumnetworkpolicies: "CiliumNetworkPolicy",
  ciliumclusterwidenetworkpolicies: "CiliumClusterwideNetworkPolicy",
  ciliumnodes: "CiliumNode",
  // as Calico's own API calls it; in the cluster's it is a NetworkPolicy of another group
  caliconetworkpolicies: "CalicoNetworkPolicy",
  globalnetworkpolicies: "GlobalNetworkPolicy",
  caliconetworksets: "NetworkSet",
  globalnetworksets: "GlobalNetworkSet",
  hostendpoints: "HostEndpoint",
  ippools: "IPPool",
  ipamblocks: "IPAMBlock",
  felixconfigurations: "FelixConfiguration",
} as const satisfies Record<ListId, string>;

const LIST_OF_KIND = new Map<string, ListId>(Object.entries(KIND_NAMES).map(([list, kind]) => [kind, list as ListId]));

/** The list in which objects of a kind stand; undefined for kinds that netwhy does not read. */
export function listOfKind(kind: string): ListId | undefined {
  return LIST_OF_KIND.get(kind);
}

type Index = {
  readonly observed: Observed<ApiList<Item>>;
  readonly items: readonly Item[];
  readonly byName: ReadonlyMap<string, number>;
};

const nameKey = (name: string, namespace?: string | null) => `${namespace ?? ""}/${name}`;

export function objectsOf(capture: Capture): Objects {
  const indexes = new Map<ListId, Index>();

  function index(list: ListId): Index {
    const known = indexes.get(list);
    if (known) return known;
    const observed = capture.get(list as KindId) as unknown as Observed<ApiList<Item>>;
    const items = observed.state === "present" ? observed.value.items : [];
    const byName = new Map(items.map(({ metadata }, i) => [nameKey(metadata.name, metadata.namespace), i]));
    const made = { observed, items, byName };
    indexes.set(list, made);
    return made;
  }

  function originAt(list: ListId, position: number): Origin {
    const { observed } = index(list);
    if (observed.state !== "present") return observed.origin;
    const at = observed.value.indices[position];
    return at === undefined ? observed.origin : { ...observed.origin, pointer: `/items/${at}` };
  }

  function origin(list: ListId, { metadata }: Item): Origin {
    const position = index(list).byName.get(nameKey(metadata.name, metadata.namespace));
    return position === undefined ? index(list).observed.origin : originAt(list, position);
  }

  return {
    all: <K extends ListId>(list: K) => index(list).items as unknown as readonly ObjectOf<K>[],
    observed<K extends ListId>(list: K) {
      const { observed, items } = index(list);
      if (observed.state !== "present") return observed;
      return present(items as unknown as readonly ObjectOf<K>[], observed.origin, observed.gaps);
    },
    isWhole(list) {
      const { observed } = index(list);
      return observed.state === "present" && observed.gaps.length === 0;
    },
    find<K extends ListId>(list: K, name: string, namespace?: string | null) {
      const { observed, items, byName } = index(list);
      if (observed.state !== "present") return observed;
      const position = byName.get(nameKey(name, namespace));
      if (position !== undefined) return present(items[position] as unknown as ObjectOf<K>, originAt(list, position));
      return observed.gaps.length === 0 ? absent(observed.origin) : unknown({ reason: "cut-off" }, observed.origin);
    },
    origin,
    quote: (list, object, words) => quoteOf(origin(list, object), words),
    quoteAbsence: (list, words) => quoteOf(index(list).observed.origin, words),
  };
}
