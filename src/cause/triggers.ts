/**
 * What brought several causes about at once: one delete with a selector, one clean-up.
 *
 * The audit log tells of it where there is one. Without one, what is gone can: if a whole label has vanished from the kinds
 * of objects that are missing, while workloads carry it on, somebody deleted by that label.
 */
import type { Evidence } from "../evidence/origin.ts";
import type { ModelParts } from "../model/model.ts";
import { KIND_NAMES, listOfKind } from "../model/objects.ts";
import { type Ref, ref, refId } from "../model/ref.ts";
import { timeOf } from "../model/time.ts";
import type { Write } from "../model/writes/writes.ts";
import { fewOf, joinTexts, type Text, texts, verbatim } from "../text.ts";
import type { Root } from "./roots.ts";

const say = texts("trigger", {
  deleted: {
    en: "{count} {count:object|objects} deleted at once: {objects}",
    zh: "一次删除了 {count} 个对象：{objects}",
  },
  deletedBy: {
    en: "{count} {count:object|objects} deleted at once with `-l {selector}`: {objects}",
    zh: "用 `-l {selector}` 一次删除了 {count} 个对象：{objects}",
  },
  collectionBy: {
    en: "all {resources} with `-l {selector}` deleted at once (deletecollection); of these, missing still: {objects}",
    zh: "一次删除了匹配 `-l {selector}` 的全部 {resources}（deletecollection），其中仍缺失：{objects}",
  },
  collection: {
    en: "all {resources} deleted at once (deletecollection); of these, missing still: {objects}",
    zh: "一次删除了全部 {resources}（deletecollection），其中仍缺失：{objects}",
  },
  vanished: {
    en: "a delete by label, it seems, as `kubectl delete {types} -l {label}` does: no {kinds} carries the label any more, while {count} {count:workload does|workloads do}; missing: {objects}",
    zh: "疑为按标签删除，如同执行过 `kubectl delete {types} -l {label}`：已没有任何 {kinds} 带有该标签，而仍有 {count} 个工作负载带有；缺失：{objects}",
  },
});

export type Trigger = {
  readonly what: Text;
  readonly at?: string;
  readonly by?: string;
  readonly selector?: string;
  /** Ids of the roots that it brought about. */
  readonly roots: readonly string[];
  /** All that it took and that is missing still, also what is only warned of. */
  readonly took: readonly Ref[];
  readonly evidence: readonly Evidence[];
};

type Parts = Pick<ModelParts, "writes" | "components" | "objects">;

/** What a warning tells of: losses that the network can do without. */
type Loss = { readonly repair: Ref; readonly related: readonly Ref[] };

/** @param warned losses that are no roots, but may have come with them */
export function triggersOf(roots: readonly Root[], warned: readonly Loss[], model: Parts): readonly Trigger[] {
  const told = deletionsOf(roots, model);
  const known = new Set(told.flatMap((trigger) => trigger.roots));
  return [
    ...told,
    ...vanishedLabels(
      roots.filter(({ id }) => !known.has(id)),
      warned,
      model,
    ),
  ];
}

/** What a person would restore for a root. */
const objectsOf = ({ faults }: Root): Ref[] => faults.flatMap(({ repair, related }) => [repair, ...related]);

const isAbsent = ({ kind, namespace, name }: Ref, { objects }: Parts): boolean => {
  const list = listOfKind(kind);
  return list !== undefined && objects.find(list, name, namespace).state === "absent";
};

const isDelete = ({ verb }: Write): boolean => verb === "delete" || verb === "deletecollection";

/** Deletes of one hand are one action if no more lies between them. */
const AT_ONCE = 60_000;
const MOST_NAMED = 6;

function deletionsOf(roots: readonly Root[], model: Parts): Trigger[] {
  const actionOf = ({ user, by, userAgent, labelSelector }: Write) =>
    [user, by ?? "", userAgent ?? "", labelSelector ?? ""].join("\n");
  // in their order: whatever is close to the one before belongs to the same action
  const actions: { readonly key: string; readonly writes: Write[] }[] = [];
  for (const write of model.writes.all.filter(isDelete).toReversed()) {
    const last = actions.findLast(({ key }) => key === actionOf(write));
    const near = last && (timeOf(write.firstAt) ?? 0) - (timeOf(last.writes.at(-1)!.at) ?? 0) <= AT_ONCE;
    if (near) last.writes.push(write);
    else actions.push({ key: actionOf(write), writes: [write] });
  }
  // the newest write to what is missing now is what made it so
  const culprits = new Map<Write, { readonly roots: Set<string>; readonly took: Ref[] }>();
  for (const root of roots) {
    const concerned = objectsOf(root);
    for (const object of concerned.filter((one) => isAbsent(one, model))) {
      const write = culpritOf(object, concerned, model);
      if (!write) continue;
      const { roots: ids, took } = culprits.get(write) ?? { roots: new Set<string>(), took: [] };
      culprits.set(write, { roots: ids.add(root.id), took: [...took, object] });
    }
  }
  return actions.flatMap(({ writes }): Trigger[] => {
    const guilty = writes.flatMap((write) => culprits.get(write) ?? []);
    const ids = new Set(guilty.flatMap((one) => [...one.roots]));
    const [first] = writes;
    if (ids.size === 0 || !first) return [];
    const gone = distinct([
      ...writes.flatMap(({ target }) => target ?? []).filter((one) => isAbsent(one, model)),
      ...guilty.flatMap(({ took }) => took),
    ]);
    const { labelSelector: selector, user, by } = first;
    return [
      {
        what: whatOf(writes, gone),
        at: first.firstAt,
        by: by ?? user,
        ...(selector !== undefined && { selector }),
        roots: roots.map(({ id }) => id).filter((id) => ids.has(id)),
        took: gone,
        evidence: writes.slice(0, 3).map(({ evidence }) => evidence),
      },
    ];
  });
}

/** What is in a namespace goes with it: who deleted the namespace did it, not the controller that carries it out. */
const NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller";

function culpritOf(object: Ref, beside: readonly Ref[], { writes }: Parts): Write | undefined {
  const [newest] = writes.of(object, beside);
  if (!newest || !isDelete(newest)) return undefined;
  if (newest.user !== NAMESPACE_CONTROLLER || object.namespace === undefined) return newest;
  const ofNamespace = writes.of(ref("Namespace", object.namespace)).filter(({ user }) => user !== NAMESPACE_CONTROLLER);
  return ofNamespace.find((write) => isDelete(write)) ?? newest;
}

/** @param gone what it took and that is missing still */
function whatOf(writes: readonly Write[], gone: readonly Ref[]): Text {
  const selector = writes[0]?.labelSelector;
  const names = distinct(writes.flatMap(({ target }) => target ?? [])).map(refId);
  if (names.length > 0) {
    const args = { count: names.length, objects: named(names) };
    return selector === undefined ? say.deleted(args) : say.deletedBy({ ...args, selector });
  }
  const collections = writes.map(({ resource, namespace }) => [resource, namespace].filter(Boolean).join("/"));
  const args = { resources: named([...new Set(collections)]), objects: named(gone.map(refId)) };
  return selector === undefined ? say.collection(args) : say.collectionBy({ ...args, selector });
}

const named = (names: readonly string[]) => fewOf(names, MOST_NAMED);

const distinct = (objects: readonly Ref[]): Ref[] => [...new Map(objects.map((one) => [refId(one), one])).values()];

/** Labels that installers put on all that belongs together, the widest first. */
const COMMON_LABELS = [
  "app.kubernetes.io/managed-by",
  "heritage",
  "app.kubernetes.io/part-of",
  "app.kubernetes.io/instance",
  "release",
  "k8s-app",
  "app",
];

const WORKLOADS = ["daemonsets", "deployments", "statefulsets"] as const;
const RBAC = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"] as const;

function vanishedLabels(roots: readonly Root[], warned: readonly Loss[], model: Parts): Trigger[] {
  const { objects, components } = model;
  const groups = new Map<string, { readonly root?: Root; readonly missing: readonly Ref[] }[]>();
  const losses = [
    ...roots.map((root) => ({ root, concerned: objectsOf(root) })),
    ...warned.map(({ repair, related }) => ({ concerned: [repair, ...related] })),
  ];
  for (const { concerned, ...root } of losses) {
    const workload = concerned.flatMap((one) => components.byRef(one)?.workload ?? [])[0];
    const missing = concerned.filter((one) => isRbac(one) && isAbsent(one, model));
    if (!workload || missing.length === 0) continue;
    for (const key of COMMON_LABELS) {
      const value = workload.metadata.labels?.[key];
      if (value === undefined) continue;
      const label = `${key}=${value}`;
      groups.set(label, [...(groups.get(label) ?? []), { ...root, missing }]);
    }
  }
  const carries = (label: string) => {
    const [key = "", value] = label.split("=");
    return ({
      metadata,
    }: {
      readonly metadata: { readonly labels?: Readonly<Record<string, string>> | null | undefined };
    }) => metadata.labels?.[key] === value;
  };
  const told = new Set<string>();
  return [...groups]
    .sort(([a], [b]) => COMMON_LABELS.indexOf(a.split("=")[0]!) - COMMON_LABELS.indexOf(b.split("=")[0]!))
    .flatMap(([label, members]): Trigger[] => {
      const kinds = [...new Set(members.flatMap(({ missing }) => missing.map(({ kind }) => kind)))];
      const lists = RBAC.filter((list) => kinds.includes(KIND_NAMES[list]));
      const isGone = lists.every((list) => objects.isWhole(list) && !objects.all(list).some(carries(label)));
      const ids = members.flatMap(({ root }) => root?.id ?? []).filter((id) => !told.has(id));
      const took = distinct(members.flatMap(({ missing }) => missing));
      // one object that is missing may be missing for any reason
      if (!isGone || ids.length === 0 || took.length < 2) return [];
      for (const id of ids) told.add(id);
      const carriers = WORKLOADS.flatMap((list) => objects.all(list).filter(carries(label)));
      const evidence = lists.map((list) => objects.quoteAbsence(list, `no ${KIND_NAMES[list]} with label ${label}`));
      return [
        {
          what: say.vanished({
            kinds: joinTexts(kinds.map(verbatim), { en: " or ", zh: "、" }),
            types: kinds.map((kind) => kind.toLowerCase()).join(","),
            label,
            count: carriers.length,
            objects: named(took.map(refId)),
          }),
          selector: label,
          roots: ids,
          took,
          evidence,
        },
      ];
    });
}

const isRbac = ({ kind }: Ref): boolean => RBAC.some((list) => KIND_NAMES[list] === kind);
