/**
 * Admission webhooks: whom the API server asks before it writes what.
 *
 * Source: kubernetes apiserver/pkg/admission/plugin/webhook, generic/webhook.go (ShouldCallHook) and predicates/{rules,namespace,
 * object}; defaults of admissionregistration.k8s.io/v1. Versions of a group are equivalent to it (matchPolicy Equivalent).
 */
import type { Evidence } from "../evidence/origin.ts";
import { validitiesInBundle } from "../parse/certificate.ts";
import type { WebhookConfiguration } from "../parse/objects.ts";
import { type Labels, selects } from "./labels.ts";
import type { Objects } from "./objects.ts";
import { type Ref, ref } from "./ref.ts";

type Hook = NonNullable<WebhookConfiguration["webhooks"]>[number];

/** Something that somebody wants to write. */
export type Writing = {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly group: string;
  readonly resource: string;
  readonly namespace: string;
  readonly labels: Labels;
};

export type Webhook = {
  readonly config: Ref;
  /** Among those of its configuration. */
  readonly index: number;
  readonly name: string;
  readonly mutates: boolean;
  /** What it cannot be asked about is refused (failurePolicy Fail). */
  readonly isRequired: boolean;
  /** Undefined: a program outside the cluster is asked. */
  readonly service?: { readonly namespace: string; readonly name: string; readonly port: number };
  /** Milliseconds since 1970: when the last of the certificates ends by which its answers are believed, where they are known. */
  readonly trustEnds?: number;
  readonly evidence: Evidence;
  /** Whether it is asked; “perhaps” if an expression decides, or the labels of the namespace are not known. */
  asksAbout(writing: Writing): "yes" | "no" | "perhaps";
};

const LISTS = [
  ["validatingwebhookconfigurations", "ValidatingWebhookConfiguration"],
  ["mutatingwebhookconfigurations", "MutatingWebhookConfiguration"],
] as const;

const has = (list: readonly string[] | null | undefined, word: string): boolean =>
  (list ?? []).some((one) => one === "*" || one === word);

function rulesMatch({ rules }: Hook, { operation, group, resource }: Writing): boolean {
  return (rules ?? []).some(
    ({ apiGroups, resources, operations, scope }) =>
      scope !== "Cluster" &&
      has(operations, operation) &&
      has(apiGroups, group) &&
      // `*` means all resources and not their subresources, `*/*` both
      (has(resources, resource) || has(resources, "*/*") || has(resources, `${resource}/*`)),
  );
}

function asksAbout(hook: Hook, writing: Writing, objects: Objects): "yes" | "no" | "perhaps" {
  if (!rulesMatch(hook, writing)) return "no";
  if (!selects(hook.objectSelector ?? {}, writing.labels)) return "no";
  const { namespaceSelector, matchConditions } = hook;
  const isSelective =
    Object.keys({ ...namespaceSelector?.matchLabels }).length > 0 || namespaceSelector?.matchExpressions?.length;
  if (isSelective) {
    const namespace = objects.find("namespaces", writing.namespace);
    if (namespace.state !== "present") return "perhaps";
    if (!selects(namespaceSelector ?? {}, namespace.value.metadata.labels)) return "no";
  }
  return matchConditions?.length ? "perhaps" : "yes";
}

function trustOf(caBundle: string | null | undefined): Pick<Webhook, "trustEnds"> {
  const validities = caBundle ? validitiesInBundle(caBundle) : undefined;
  return validities ? { trustEnds: Math.max(...validities.map(({ notAfter }) => notAfter)) } : {};
}

/** All that are known. */
export function webhooksOf(objects: Objects): readonly Webhook[] {
  return LISTS.flatMap(([list, kind]) =>
    objects.all(list).flatMap((object) =>
      (object.webhooks ?? []).map((hook, index): Webhook => {
        const { name, failurePolicy, clientConfig } = hook;
        const { service, caBundle, url } = clientConfig ?? {};
        const asked = service ? `Service ${service.namespace}/${service.name}` : (url ?? "");
        const words = `${object.metadata.name}: webhook ${name}: failurePolicy ${failurePolicy ?? "Fail"}, asks ${asked}`;
        return {
          config: ref(kind, object.metadata.name),
          index,
          name,
          mutates: list === "mutatingwebhookconfigurations",
          isRequired: failurePolicy !== "Ignore",
          ...(service && { service: { ...service, port: service.port ?? 443 } }),
          ...trustOf(caBundle),
          evidence: objects.quote(list, object, words),
          asksAbout: (writing) => asksAbout(hook, writing, objects),
        };
      }),
    ),
  );
}
