/** How a flaw of permissions is repaired: what is missing is given back and nothing else. */
import type { Component } from "../../../model/components/components.ts";
import type { ClusterModel } from "../../../model/model.ts";
import type { BaselineGrant, Subject } from "../../../model/permissions/baseline.ts";
import type { ComponentPermissions, Flaw } from "../../../model/permissions/permissions.ts";
import { rulesOf } from "../../../model/permissions/rules.ts";
import { ruleAllows, type Want } from "../../../model/rbac.ts";
import { kubectlName, type Ref, ref, refId, sameRef } from "../../../model/ref.ts";
import type { PolicyRule, RoleBinding } from "../../../parse/objects.ts";
import { type Command, sh } from "../../../shell.ts";
import type { Text } from "../../../text.ts";
import { rolledOut, type Step } from "../../remedy.ts";
import { say } from "./words.ts";

type Model = Pick<ClusterModel, "objects" | "rbac" | "releases">;
type Source = "helm" | "bootstrap" | "baseline";

const RBAC_V1 = "rbac.authorization.k8s.io/v1";
const RBAC_GROUP = "rbac.authorization.k8s.io";

const metadataOf = ({ name, namespace }: Ref) => ({ name, ...(namespace !== undefined && { namespace }) });

/** As `kubectl auth can-i` is told whom to ask for. */
function asSubject({ kind, name, namespace }: Subject): string {
  if (kind === "ServiceAccount") return sh`--as=${`system:serviceaccount:${namespace}:${name}`}`;
  return kind === "User" ? sh`--as=${name}` : `--as=netwhy ${sh`--as-group=${name}`}`;
}

/** The API server's own answer to whether a want is granted now. */
function canI(want: Want, subject: Subject): Command {
  const as = asSubject(subject);
  if ("path" in want) return { run: `kubectl auth can-i ${sh`${want.verb} ${want.path}`} ${as}` };
  const [resource, subresource] = want.resource.split("/") as [string, string?];
  const what = want.apiGroup === "" ? resource : `${resource}.${want.apiGroup}`;
  const part = subresource === undefined ? "" : sh` --subresource=${subresource}`;
  const name = want.name === undefined ? what : `${what}/${want.name}`;
  const where = want.namespace === undefined ? "" : sh` -n ${want.namespace}`;
  return { run: `kubectl auth can-i ${sh`${want.verb} ${name}`}${part}${where} ${as}` };
}

const isThere = (object: Ref): Command => ({ run: `kubectl get ${kubectlName(object)}` });

/** The Helm release that a component is of, as its labels and annotations say. */
function releaseOf({ workload, definition, ref: { namespace } }: Component) {
  const { annotations, labels } = workload?.metadata ?? {};
  if (labels?.["app.kubernetes.io/managed-by"] !== "Helm") return undefined;
  return {
    name: annotations?.["meta.helm.sh/release-name"] ?? labels["app.kubernetes.io/part-of"] ?? definition.id,
    namespace: annotations?.["meta.helm.sh/release-namespace"] ?? namespace ?? "default",
  };
}

/** As `netwhy rbac` takes the name of an object. */
const inOneWord = ({ kind, namespace, name }: Ref): string =>
  [kind.toLowerCase(), namespace, name].filter((part) => part !== undefined).join("/");

/** Where what the baseline does not hold, or its owner has to own, is restored from. */
function fromInstaller(component: Component, targets: readonly [Ref, ...Ref[]], verify: Command): Step {
  const [target] = targets;
  const { definition, version = "" } = component;
  const undo = { do: "delete", target } as const; // it was not there
  const release = releaseOf(component);
  if (release) {
    // with the marks of the release, without which the next `helm upgrade` refuses to take it over
    const names = targets.map((each) => sh`${inOneWord(each)}`).join(" ");
    return {
      why: say.fromHelm({ release: `${release.namespace}/${release.name}` }),
      change: { run: `netwhy rbac recover ${names} | kubectl apply -f -` },
      undo,
      verify,
    };
  }
  const file = definition.manifest?.replace("{version}", version) ?? "rbac.yaml";
  return {
    why: say.fromManifest({ component: definition.name, version }),
    change: { run: sh`kubectl auth reconcile -f ${file}` },
    undo,
    verify,
  };
}

/** The objects themselves, where Helm's records of them were read. */
function fromRecords(targets: readonly Ref[], verify: Command, { releases }: Model): Step[] | undefined {
  const steps = targets.flatMap((target): Step[] => {
    const installed = releases.installed(target);
    if (!installed) return [];
    const { object, release } = installed;
    const { chart = release.name, namespace, name, revision } = release;
    return [
      {
        why: say.fromRecord({ object: refId(target), chart, release: `${namespace}/${name}`, revision }),
        change: { do: "apply", object },
        undo: { do: "delete", target },
        verify,
      },
    ];
  });
  return steps.length === targets.length ? steps : undefined;
}

export function liveRules(role: Ref, { objects }: Pick<Model, "objects">): readonly PolicyRule[] {
  const found = objects.find(role.kind === "Role" ? "roles" : "clusterroles", role.name, role.namespace);
  return found.state === "present" ? (found.value.rules ?? []) : [];
}

/** Rules for what is denied: those of the baseline, as it has them. */
function rulesFor(wants: readonly Want[], grant: BaselineGrant | undefined): readonly PolicyRule[] {
  const shipped = (grant?.rules ?? []).filter((rule) => wants.some((want) => ruleAllows(rule, want)));
  return [...shipped, ...rulesOf(wants.filter((want) => !shipped.some((rule) => ruleAllows(rule, want))))];
}

/** What is written into a role that collects its rules from others is overwritten: it has to come from another again. */
function partStep(
  { object, role, lacks }: Flaw,
  grant: BaselineGrant | undefined,
  { objects }: Model,
  verify: Command,
) {
  const found = objects.find("clusterroles", role.name);
  const selectors = found.state === "present" ? found.value.aggregationRule?.clusterRoleSelectors : undefined;
  const labels = selectors?.[0]?.matchLabels;
  if (object.kind !== "ClusterRole" || !labels) return undefined;
  const words = Object.entries(labels)
    .map((pair) => pair.join("="))
    .join(",");
  if (!sameRef(object, role)) {
    const labelled = (all: object) => ({ do: "patch", target: object, patch: { metadata: { labels: all } } }) as const;
    const taken = Object.fromEntries(Object.keys(labels).map((key) => [key, null]));
    const step: Step = {
      why: say.labelPart({ role: refId(role), part: refId(object), labels: words }),
      change: labelled(labels),
      undo: labelled(taken),
      verify,
    };
    return step;
  }
  const target = ref("ClusterRole", `${object.name}-rules`);
  const wants = lacks.map(({ want }) => want);
  const step: Step = {
    why: say.addPart({ role: refId(object), labels: words }),
    change: {
      do: "apply",
      object: {
        apiVersion: RBAC_V1,
        kind: "ClusterRole",
        metadata: { name: target.name, labels },
        rules: rulesFor(wants, grant),
      },
    },
    undo: { do: "delete", target },
    verify,
  };
  return step;
}

type Case = { readonly flaw: Flaw; readonly permissions: ComponentPermissions; readonly model: Model };

/** The steps that repair it, and where what they restore comes from. */
export function restored({ flaw, permissions, model }: Case, name: string): { steps: Step[]; source?: Source } {
  const { component, grants, comparison } = permissions;
  const { object, role, binding, subject, reason, lacks } = flaw;
  const grant = grants.find((one) => sameRef(one.role, role));
  const expected = grant?.bindings.find((one) => !binding || sameRef(one.ref, binding)) ?? grant?.bindings[0];
  const account = subject ? nameOf(subject) : "";
  const [first] = lacks;
  const verify = subject && first ? canI(first.want, subject) : isThere(object);
  const args = { component: name, account };
  const again = (why: Text): Text => (flaw.isRestored ? say.madeAgain() : why);
  const bindStep = (target: Ref): Step => ({
    why: again(say.restoreBinding(args)),
    change: {
      do: "apply",
      object: {
        apiVersion: RBAC_V1,
        kind: target.kind,
        metadata: metadataOf(target),
        roleRef: { apiGroup: RBAC_GROUP, kind: role.kind, name: role.name },
        subjects: (expected?.subjects ?? (subject ? [subject] : [])).map(withGroup),
      },
    },
    undo: { do: "delete", target },
    verify,
  });

  if (reason === "rule-missing") {
    const collecting = partStep(flaw, grant, model, verify);
    if (collecting) return { steps: [collecting], source: flaw.isRestored ? "bootstrap" : "baseline" };
    const rules = liveRules(object, model);
    const patched = (all: readonly PolicyRule[]) => ({ do: "patch", target: object, patch: { rules: all } }) as const;
    const missing = rulesFor(
      lacks.map(({ want }) => want),
      grant,
    );
    return {
      steps: [{ why: say.addRules(), change: patched([...rules, ...missing]), undo: patched(rules), verify }],
      source: flaw.isRestored ? "bootstrap" : "baseline",
    };
  }
  if (reason === "subject-wrong" && subject) return { steps: [correctSubject(flaw, subject, model, verify)] };
  const pointing = rePointed(binding ?? object, role, model);
  const removeSteps = (target: Ref): Step[] =>
    pointing
      ? [
          {
            why: say.removeBinding(),
            change: { do: "delete", target },
            undo: {
              do: "apply",
              object: { apiVersion: RBAC_V1, kind: target.kind, ...pointing, metadata: metadataOf(target) },
            },
            verify,
          },
        ]
      : [];
  if (reason === "role-ref-wrong")
    return {
      steps: [...removeSteps(object), bindStep(object)],
      source: flaw.isRestored ? "bootstrap" : "baseline",
    };
  const gone =
    reason === "binding-missing" && binding
      ? [binding]
      : [object, ...(reason === "both-missing" && binding ? [binding] : [])];
  const recorded = fromRecords(gone, verify, model);
  if (recorded) return { steps: recorded, source: "helm" };
  if (reason === "binding-missing" && binding)
    return { steps: [bindStep(binding)], source: flaw.isRestored ? "bootstrap" : "baseline" };
  // the role itself is gone
  const isKnown = comparison.fit === "exact" || comparison.fit === "described" || flaw.isRestored;
  if (component && !flaw.isRestored && (releaseOf(component) || !isKnown || !grant)) {
    const steps = [fromInstaller(component, gone as [Ref, ...Ref[]], verify)];
    return releaseOf(component) ? { steps, source: "helm" } : { steps };
  }
  const restoreRole: Step = {
    why: again(say.restoreRole(args)),
    change: {
      do: "apply",
      object: {
        apiVersion: RBAC_V1,
        kind: object.kind,
        metadata: { ...metadataOf(object), ...(grant?.labels && { labels: grant.labels }) },
        ...(grant?.aggregates && { aggregationRule: { clusterRoleSelectors: [{ matchLabels: grant.aggregates }] } }),
        rules: grant?.rules ?? [],
      },
    },
    undo: { do: "delete", target: object },
    verify,
  };
  const bind = reason === "both-missing" && binding ? [...removeSteps(binding), bindStep(binding)] : [];
  const steps = [restoreRole, ...bind];
  return { steps, source: flaw.isRestored ? "bootstrap" : "baseline" };
}

/** A binding that bears the right name and refers to another role than it should. */
export function rePointed(binding: Ref, role: Ref, { objects }: Pick<Model, "objects">): RoleBinding | undefined {
  const list = binding.kind === "RoleBinding" ? "rolebindings" : "clusterrolebindings";
  const found = /Binding$/.test(binding.kind) ? objects.find(list, binding.name, binding.namespace) : undefined;
  if (found?.state !== "present") return undefined;
  const { kind, name } = found.value.roleRef;
  return kind === role.kind && name === role.name ? undefined : found.value;
}

const withGroup = (subject: Subject) =>
  subject.kind === "ServiceAccount" ? subject : { ...subject, apiGroup: RBAC_GROUP };

export const nameOf = ({ kind, namespace, name }: Subject): string =>
  `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;

/** The same name in another namespace is what was mistaken; an account that exists may be meant as well. */
function correctSubject({ object }: Flaw, subject: Subject, { objects }: Model, verify: Command): Step {
  const list = object.kind === "RoleBinding" ? "rolebindings" : "clusterrolebindings";
  const found = objects.find(list, object.name, object.namespace);
  const subjects = found.state === "present" ? (found.value.subjects ?? []) : [];
  const isMistaken = ({ kind, name, namespace }: (typeof subjects)[number]) =>
    kind === "ServiceAccount" &&
    (name === subject.name || namespace === subject.namespace) &&
    objects.find("serviceaccounts", name, namespace).state === "absent";
  const patched = (all: readonly unknown[]) => ({ do: "patch", target: object, patch: { subjects: all } }) as const;
  const all = [...subjects.filter((one) => !isMistaken(one)), withGroup(subject)];
  return {
    why: say.correctSubject({ account: nameOf(subject) }),
    change: patched(all),
    undo: patched(subjects),
    verify,
  };
}

/** Gives back an account that is gone. */
export function accountStep(account: Ref): Step {
  return {
    why: say.restoreAccount(),
    change: { do: "apply", object: { apiVersion: "v1", kind: "ServiceAccount", metadata: metadataOf(account) } },
    undo: { do: "delete", target: account },
    verify: isThere(account),
  };
}

/** Lets Pods have their tokens again. */
export function tokenStep(object: Ref): Step {
  const mounts = (automountServiceAccountToken: boolean) => {
    const own = { automountServiceAccountToken };
    const patch = object.kind === "ServiceAccount" ? own : { spec: { template: { spec: own } } };
    return { do: "patch", target: object, patch } as const;
  };
  return { why: say.restoreToken(), change: mounts(true), undo: mounts(false), verify: isThere(object) };
}

/** What crash-loops waits up to five minutes before it tries again; tokens of an account that is gone are worth nothing. */
export function restartSteps({ definition, ref: component, pods }: Component, hasNewAccount: boolean): Step[] {
  const verify = rolledOut(component);
  const failing = [...new Set(pods.filter(({ ready }) => !ready).flatMap(({ node }) => node ?? []))];
  const isAll = hasNewAccount || component.kind !== "DaemonSet" || failing.length > 3;
  if (failing.length === 0 && !hasNewAccount) return [];
  const args = { component: definition.name };
  const why = hasNewAccount ? say.restartAll(args) : say.restart(args);
  if (isAll) return [{ why, change: { do: "restart", component }, verify }];
  return failing.map((node) => ({ why, change: { do: "restart", component, node }, verify }));
}

/** Pods that were made while Cilium could not read their labels. */
export function identitySteps({ definition, ref: component }: Component): Step[] {
  if (definition.id !== "cilium") return [];
  const run = sh`kubectl exec -n ${component.namespace ?? ""} ${`daemonset/${component.name}`} -c cilium-agent -- cilium-dbg endpoint list`;
  return [{ why: say.identities(), verify: { run } }];
}

/** What was only heard to be missing, as the baseline has it. */
export function heardSteps(object: Ref, permissions: ComponentPermissions, model: Model, name: string): Step[] {
  const grant = permissions.grants.find(({ role }) => role.name === object.name) ?? permissions.grants[0];
  const binding = grant?.bindings.find(({ subjects }) => subjects.some(({ kind }) => kind === "ServiceAccount"));
  const subject = binding?.subjects.find(({ kind }) => kind === "ServiceAccount");
  if (!grant || !binding || !subject) return [];
  const flaw: Flaw = {
    object: ref(object.kind, object.name, object.namespace),
    ...{ reason: "both-missing", role: grant.role, binding: binding.ref, subject },
    ...{ lacks: [], consequences: [], isRestored: false, isPerhapsOption: false },
  };
  const { steps } = restored({ flaw, permissions, model }, name);
  return steps.map((step, at) => ({
    ...step,
    precondition: say.indeed({ object: refId(at === 0 ? object : binding.ref) }),
  }));
}
