/** What the network of a cluster works by, and nobody should delete or empty by mistake. */
import type { Component } from "../model/components/components.ts";
import type { ClusterModel } from "../model/model.ts";
import { consequenceOf } from "../model/permissions/comparison.ts";
import { type ComponentPermissions, isGrave } from "../model/permissions/permissions.ts";
import { rulesOf, wantsOf } from "../model/permissions/rules.ts";
import type { Want } from "../model/rbac.ts";
import { type Ref, ref, refId } from "../model/ref.ts";
import type { PolicyRule } from "../parse/objects.ts";

export type ProtectedObject = {
  readonly object: Ref;
  /** The components that work by it. */
  readonly of: readonly string[];
  /** Of a role: the rules without which something of the network fails. */
  readonly rules: readonly PolicyRule[];
  /** Of a binding: whom it has to name, as `ServiceAccount/kube-system/coredns`, `User//system:kube-proxy`. */
  readonly subjects: readonly string[];
};

type Mutable = { object: Ref; of: Set<string>; rules: PolicyRule[]; subjects: Set<string> };

/** Namespaces that the API server itself lets nobody delete (NamespaceLifecycle). */
const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);

export function protectedObjects(model: ClusterModel): ProtectedObject[] {
  const found = new Map<string, Mutable>();
  const keep = (object: Ref, name: string): Mutable => {
    const known = found.get(refId(object)) ?? { object, of: new Set<string>(), rules: [], subjects: new Set<string>() };
    found.set(refId(object), known);
    known.of.add(name);
    return known;
  };
  for (const component of model.components.all) keepComponent(component, model, keep);
  for (const permissions of model.permissions.all) keepGrants(permissions, keep);
  return [...found.values()]
    .map(({ object, of, rules, subjects }) => ({ object, of: [...of], rules, subjects: [...subjects].sort() }))
    .sort((a, b) => (refId(a.object) < refId(b.object) ? -1 : 1));
}

type Keep = (object: Ref, name: string) => Mutable;

const GUARDED_WORKLOADS = ["DaemonSet", "Deployment", "StatefulSet"];

function keepComponent(component: Component, { rbac }: ClusterModel, keep: Keep): void {
  const { definition, ref: self, account, spec } = component;
  const { namespace } = self;
  if (namespace === undefined) return;
  if (GUARDED_WORKLOADS.includes(self.kind)) keep(self, definition.name);
  if (!IMMORTAL.has(namespace)) keep(ref("Namespace", namespace), definition.name);
  for (const { configMap } of spec?.volumes ?? []) {
    // every namespace gets it from kube-controller-manager, which makes it again
    if (configMap?.name && configMap.name !== "kube-root-ca.crt")
      keep(ref("ConfigMap", configMap.name, namespace), definition.name);
  }
  if (!account) return;
  keep(ref("ServiceAccount", account.name, account.namespace), definition.name);
  // its installer may have named roles and bindings otherwise than its release does
  for (const { ref: binding, role } of rbac.bindingsOf(account)) {
    keep(binding, definition.name).subjects.add(`ServiceAccount/${account.namespace}/${account.name}`);
    keep(role, definition.name);
  }
}

function keepGrants({ component, comparison, grants }: ComponentPermissions, keep: Keep): void {
  const { baseline } = comparison;
  const name = component?.definition.name ?? baseline.id;
  for (const { role, rules, bindings, isForeign, aggregates } of grants) {
    const isNeeded = (want: Want | undefined) => isGrave(consequenceOf(baseline, role.name, want));
    const needed = rules.flatMap((rule) => wantsOf(rule)).filter(isNeeded);
    if (rules.length > 0 ? needed.length === 0 : !isNeeded(undefined)) continue;
    // what is collected from other roles is written by a controller
    if (!isForeign) keep(role, name).rules.push(...(aggregates ? [] : rulesOf(needed)));
    for (const { ref: binding, subjects } of bindings) {
      const kept = keep(binding, name);
      for (const subject of subjects) kept.subjects.add(`${subject.kind}/${subject.namespace ?? ""}/${subject.name}`);
    }
  }
}
