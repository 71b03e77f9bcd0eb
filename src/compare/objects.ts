/** Which objects came, went and changed; what controllers and kubelets write all day is left out. */
import type { Capture } from "../evidence/capture.ts";
import type { KindId } from "../evidence/catalogue.ts";
import { isWhole, known } from "../evidence/observed.ts";
import { type Ref, ref } from "../model/ref.ts";
import type { ApiList } from "../parse/api-list.ts";
import type { Difference } from "./compare.ts";
import { changesBetween, type FieldChange } from "./values.ts";

/** Lists by the kind of their objects; those that change by themselves are no news. */
const KINDS = {
  clusterroles: "ClusterRole",
  clusterrolebindings: "ClusterRoleBinding",
  roles: "Role",
  rolebindings: "RoleBinding",
  serviceaccounts: "ServiceAccount",
  configmaps: "ConfigMap",
  daemonsets: "DaemonSet",
  deployments: "Deployment",
  statefulsets: "StatefulSet",
  services: "Service",
  networkpolicies: "NetworkPolicy",
  nodes: "Node",
  namespaces: "Namespace",
  validatingwebhookconfigurations: "ValidatingWebhookConfiguration",
  mutatingwebhookconfigurations: "MutatingWebhookConfiguration",
  customresourcedefinitions: "CustomResourceDefinition",
} satisfies Partial<Record<KindId, string>>;

export const OBJECT_KINDS = Object.keys(KINDS) as (keyof typeof KINDS)[];

type Stored = {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | null;
    readonly uid?: string | null;
    readonly annotations?: Readonly<Record<string, string>> | null;
    readonly creationTimestamp?: string | null;
    readonly managedFields?: readonly { readonly manager?: string | null; readonly time?: string | null }[] | null;
  };
  readonly status?: unknown;
};

/** Annotations that programs renew. */
const RENEWED =
  /last-applied-configuration$|^deployment\.kubernetes\.io\/revision$|last-change-trigger-time$|^deprecated\.daemonset\.template\.generation$|^control-plane\.alpha\.kubernetes\.io\/leader$|^volumes\.kubernetes\.io\/|^autoscaling\.alpha\.kubernetes\.io\//;

/** What of an object somebody decided: no status (of a node, what it is and not how it feels), no bookkeeping. */
function decided({ metadata, status, ...rest }: Stored): unknown {
  const {
    resourceVersion: _,
    generation: __,
    managedFields: ___,
    ownerReferences: ____,
    ...kept
  } = metadata as Record<string, unknown>;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => !RENEWED.test(key));
  const { addresses, nodeInfo } = (status ?? {}) as { addresses?: unknown; nodeInfo?: unknown };
  return {
    ...rest,
    metadata: { ...kept, annotations: Object.fromEntries(annotations) },
    ...((addresses ?? nodeInfo) !== undefined && { status: { addresses, nodeInfo } }),
  };
}

const MADE_ANEW = /^metadata\.(uid|creationTimestamp)$/;

/** Who wrote last, and when: subresources included. */
function lastWrite({ metadata: { managedFields, creationTimestamp } }: Stored) {
  const writes = (managedFields ?? []).filter(({ time }) => time).sort((a, b) => (a.time! < b.time! ? 1 : -1));
  const at = writes[0]?.time ?? creationTimestamp;
  return { ...(at && { at }), ...(writes[0]?.manager && { by: writes[0].manager }) };
}

function refOf(list: keyof typeof KINDS, { metadata: { namespace, name } }: Stored): Ref {
  return namespace ? ref(KINDS[list], name, namespace) : ref(KINDS[list], name);
}

/**
 * Whether two captures are of one cluster: its kube-system namespace is made once. Of two clusters every object was made
 * another time, which says nothing.
 */
export function areOfOneCluster(old: Capture, now: Capture): boolean {
  const [a, b] = [old, now].map((capture) => {
    const all = known(capture.get("namespaces")) as ApiList<Stored> | undefined;
    return all?.items.find(({ metadata: { name } }) => name === "kube-system")?.metadata.uid;
  });
  return !a || !b || a === b;
}

export function objectDifferences(
  list: keyof typeof KINDS,
  old: Capture,
  now: Capture,
  isOneCluster: boolean,
): Difference[] {
  const of = (capture: Capture) => {
    const value = known(capture.get(list)) as ApiList<Stored> | undefined;
    return new Map(
      (value?.items ?? []).map((item) => [`${item.metadata.namespace ?? ""}/${item.metadata.name}`, item] as const),
    );
  };
  const [before, after] = [of(old), of(now)];
  // of a list that is not whole, an object is not missing for sure
  const [mayBeNew, mayBeGone] = [isWhole<unknown>(old.get(list)), isWhole<unknown>(now.get(list))];
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key): Difference[] => {
    const [was, is] = [before.get(key), after.get(key)];
    const kind = list as KindId;
    if (!was && !mayBeNew) return [];
    if (!is && !mayBeGone) return [];
    if (!was) return [{ subject: refOf(list, is!), kind, change: "added", fields: [], ...lastWrite(is!) }];
    if (!is) return [{ subject: refOf(list, was), kind, change: "removed", fields: [] }];
    const changes = changesBetween(decided(was), decided(is));
    // that it was made anew comes after what it was made anew for: a roleRef cannot be changed otherwise
    const [anew = [], others = []] = [true, false].map((is) =>
      changes.filter(({ path }) => MADE_ANEW.test(path) === is),
    );
    const fields: readonly FieldChange[] = isOneCluster ? [...others, ...anew] : others;
    return fields.length === 0 ? [] : [{ subject: refOf(list, is), kind, change: "changed", fields, ...lastWrite(is) }];
  });
}
