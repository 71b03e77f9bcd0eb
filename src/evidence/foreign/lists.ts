/**
 * Lists of Kubernetes objects, gathered from any number of files. A list is whole only if that can be told: a list of
 * some namespaces shows no absence in the others.
 */

import type { Manifest, Manifests } from "../../parse/kubernetes/manifests.ts";
import { catalogue, type KindId } from "../catalogue.ts";
import { pathOf } from "../path.ts";
import { withoutHidden } from "./hidden.ts";

type Gathered = {
  readonly objects: Map<string, Manifest["object"]>;
  /** Files that hold a list of them: the namespaces of their objects, and the words of their paths. */
  readonly lists: { readonly namespaces: ReadonlySet<string>; readonly words: readonly string[] }[];
  /** Some values of theirs are hidden. */
  isHidden: boolean;
};

/** The list kinds of the catalogue by group and resource: `apps daemonsets`. */
const KINDS: ReadonlyMap<string, KindId> = new Map(
  (Object.keys(catalogue) as KindId[]).flatMap((kind) => {
    if (!("list" in catalogue[kind].how)) return [];
    const parts = catalogue[kind].path.replace(/\.json$/, "").split("/");
    return [[`${parts[0] === "apis" ? parts[1] : ""} ${parts.at(-1)}`, kind] as const];
  }),
);

const BY_RESOURCE = new Map([...KINDS].map(([key, kind]) => [key.split(" ")[1]!, kind]));

/** The resource of a kind: lower case, plural (k8s.io/apimachinery, meta.UnsafeGuessKindToResource). */
function resourceOf(kind: string): string {
  const word = kind.toLowerCase();
  if (word === "endpoints") return word;
  if (word.endsWith("s")) return `${word}es`;
  return word.endsWith("y") ? `${word.slice(0, -1)}ies` : `${word}s`;
}

const groupOf = (apiVersion: string): string => (apiVersion.includes("/") ? apiVersion.split("/")[0]! : "");

const metadataOf = ({ metadata }: Manifest["object"]) =>
  metadata as { readonly name?: unknown; readonly namespace?: unknown };

const CLUSTER_WIDE: ReadonlySet<KindId> = new Set<KindId>([
  "nodes",
  "namespaces",
  "clusterroles",
  "clusterrolebindings",
  "validatingwebhookconfigurations",
  "mutatingwebhookconfigurations",
  "apiservices",
  "certificatesigningrequests",
  "customresourcedefinitions",
]);

export type ListFile = {
  readonly kind: KindId;
  /** As it would stand in a bundle of ours. */
  readonly path: string;
  readonly objects: readonly Manifest["object"][];
  /** Why it may not be whole. */
  readonly lacks?: string;
};

const SINGLE = "single objects, not a list of all";

/** Of what a tool takes all. */
export type Completeness = {
  /** Cluster-wide kinds of which it takes every object, a file each. */
  readonly whole?: readonly KindId[];
  /** Of a namespace of which it takes anything it takes every object of the kinds that it lists at all. */
  readonly isByNamespace?: true;
};

export class ObjectLists {
  readonly #byKind = new Map<KindId, Gathered>();
  /** Folders and names of all files. */
  readonly #words = new Set<string>();

  /**
   * @param isHidden whether there are values among them that a redactor has hidden
   * @returns whether the catalogue knows any of them
   */
  add(path: string, { objects, list }: Manifests, isHidden = false): boolean {
    const words = path.replace(/\.(json|ya?ml)$/, "").split("/");
    const byPath = words.toReversed().flatMap((word) => BY_RESOURCE.get(word.replaceAll("-", "")) ?? [])[0];
    const kindOf = ({ kind, apiVersion }: Pick<Manifest, "kind" | "apiVersion">): KindId | undefined =>
      kind === "" ? byPath : KINDS.get(`${groupOf(apiVersion)} ${resourceOf(kind)}`);
    const groups = Map.groupBy(objects, kindOf);
    const listed = list && kindOf(list.kind === "" && objects[0] ? objects[0] : list);
    if (listed && !groups.has(listed)) groups.set(listed, []);
    let isKnown = false;
    for (const [kind, members] of groups) {
      if (!kind) continue;
      isKnown = true;
      for (const word of words) this.#words.add(word);
      const gathered: Gathered = this.#byKind.get(kind) ?? { objects: new Map(), lists: [], isHidden };
      this.#byKind.set(kind, gathered);
      gathered.isHidden ||= isHidden;
      const namespaces = new Set<string>();
      for (const { object } of members) {
        const { name, namespace = "" } = metadataOf(object);
        namespaces.add(String(namespace));
        const shown = isHidden ? (withoutHidden(object) as Manifest["object"]) : object;
        gathered.objects.set(`${namespace}/${name}`, shown);
      }
      if (list) gathered.lists.push({ namespaces, words });
    }
    return isKnown;
  }

  get size(): number {
    return [...this.#byKind.values()].reduce((sum, { objects }) => sum + objects.size, 0);
  }

  namesOf(kind: KindId): ReadonlySet<string> {
    return new Set([...this.objectsOf(kind)].map((object) => String(metadataOf(object).name)));
  }

  objectsOf(kind: KindId): Iterable<Manifest["object"]> {
    return this.#byKind.get(kind)?.objects.values() ?? [];
  }

  files(completeness: Completeness = {}): readonly ListFile[] {
    const namespaces = this.namesOf("namespaces");
    return [...this.#byKind].map(([kind, gathered]) => {
      const missing = this.#lacks(kind, gathered, namespaces, completeness);
      const hidden = gathered.isHidden ? "values are hidden by a redactor" : undefined;
      const lacks = missing && hidden ? `${missing}; ${hidden}` : (missing ?? hidden);
      const file = { kind, path: pathOf(kind), objects: [...gathered.objects.values()] };
      return lacks === undefined ? file : { ...file, lacks };
    });
  }

  #lacks(
    kind: KindId,
    { lists }: Gathered,
    all: ReadonlySet<string>,
    { whole = [], isByNamespace }: Completeness,
  ): string | undefined {
    if (whole.includes(kind)) return undefined;
    // a tool that takes what others refer to, object by object, takes no more of that kind
    if (lists.length === 0) return SINGLE;
    if (CLUSTER_WIDE.has(kind) || lists.some(({ namespaces }) => namespaces.size > 1)) return undefined;
    const named = isByNamespace ? [...this.#words] : lists.flatMap(({ words }) => words);
    const covered = new Set([
      ...lists.flatMap(({ namespaces }) => [...namespaces]),
      ...named.filter((word) => all.has(word)),
    ]);
    const missing = [...all].filter((name) => !covered.has(name));
    if (all.size > 0 && missing.length === 0) return undefined;
    const some = [...covered].sort().slice(0, 5).join(", ");
    return covered.size === 0 ? SINGLE : `only of namespaces ${some}`;
  }
}
