/**
 * A bundle as a store: its lists of objects, its logs, and what it says of the cluster.
 *
 * Objects are kept as they stand in the bundle, byte for byte. What the bundle does not hold is not served as empty: a
 * resource that every API server has, and one that a CustomResourceDefinition of the bundle promises, is forbidden, with
 * the reason why it could not be had where the bundle tells one.
 */
import type { Sink } from "../evidence/capture.ts";
import { matchPath } from "../evidence/path.ts";
import { BUILT_IN, builtIn, type ResourceType } from "../model/resource-types.ts";
import { itemSplitter } from "../parse/json/items.ts";
import { lineSplitter } from "../parse/line-splitter.ts";
import { type Gap, parseJson } from "../parse/parsed.ts";
import { type CustomResource, customResourcesOf } from "./custom-resources.ts";
import { indexed } from "./index-object.ts";
import { joined, slabs } from "./slabs.ts";
import { type Collection, groupVersion, type Served, type Store, type StoredObject } from "./store.ts";

/** A file that holds a list of objects, as far as it could be read. */
type ListFile = {
  readonly path: string;
  readonly items: readonly StoredObject[];
  readonly gaps: readonly Gap[];
  /** Whether it is a list at all: an empty file and a refusal are none. */
  readonly isList: boolean;
  readonly resourceVersion: number;
  /** As the list or its first object says. */
  readonly kind: string | undefined;
};

const LIST =
  /^(?:api|apis\/(?<group>[^/]+))\/(?<version>[^/]+)\/(?<plural>[^/.]+)(?:\.json(?<lines>l)?)?(?<error>\.err)?$/;
/** It tells of the files of the bundle, which are not what is handed out. */
const MANIFEST = "manifest.jsonl";

/** etcd takes no more than 1.5 MiB of an object. */
const LARGEST_OBJECT = 4 * 1024 * 1024;

export type StoreIntake = {
  /** @returns where a file's text goes; undefined if it is not served */
  open(path: string): Sink | undefined;
  store(): Store;
  /** Whether there are objects or logs among them; single files can have such names by chance. */
  readonly holdsCluster: boolean;
};

/** Takes the files of a bundle in, and makes a store of them. */
export function createStoreIntake(): StoreIntake {
  const lists = new Map<string, ListFile>();
  const failures = new Map<string, string>();
  const files = new Map<string, Buffer>();
  const slab = slabs();

  function open(path: string): Sink | undefined {
    // what `kubectl top` asks for
    const list = LIST.exec(path.replace(/^top\//, "apis/metrics.k8s.io/v1beta1/"))?.groups;
    if (!list) {
      if (path === MANIFEST || !matchPath(path)) return undefined;
      return gathering((text) => files.set(path, Buffer.from(text)));
    }
    const { group = "", version = "", plural = "", lines, error } = list;
    const key = `${group}/${version}/${plural}`;
    if (error !== undefined) return gathering((text) => failures.set(key, text.trim().slice(0, 500)));
    if (!path.includes(".json")) return undefined;
    return openList(path, group, plural, lines !== undefined, slab.add, (file) => lists.set(key, file));
  }

  return {
    open,
    store: () => storeOf(lists, failures, files),
    get holdsCluster() {
      return lists.size > 0 || [...files.keys()].some((path) => path.startsWith("logs/"));
    },
  };
}

function gathering(done: (text: string) => void): Sink {
  const pieces: string[] = [];
  return { write: (piece) => void pieces.push(piece), end: () => done(pieces.join("")) };
}

function openList(
  path: string,
  group: string,
  plural: string,
  isLines: boolean,
  keep: (text: string) => Uint8Array,
  done: (file: ListFile) => void,
): Sink {
  const items: StoredObject[] = [];
  const gaps: Gap[] = [];
  let newest = 0;
  let firstKind: string | undefined;
  const add = (value: unknown, text: string, place: Omit<Gap, "what">) => {
    const object = indexed(group, plural, value, keep(text));
    if (!object) {
      gaps.push({ ...place, what: "an object without a name" });
      return;
    }
    items.push(object);
    const { kind, metadata } = value as { kind?: unknown; metadata: { resourceVersion?: unknown } };
    if (typeof kind === "string") firstKind ??= kind;
    newest = Math.max(newest, Number(metadata.resourceVersion) || 0);
  };
  const finish = (isList: boolean, more: readonly Gap[], listKind?: string, listVersion?: number) =>
    done({
      path,
      items,
      gaps: [...gaps, ...more],
      isList,
      resourceVersion: listVersion || newest || 1,
      kind: listKind && listKind !== "" ? listKind : firstKind,
    });
  if (isLines) {
    let line = 0;
    const addLine = (text: string) => {
      line++;
      if (text.trim() === "") return;
      const parsed = parseJson(text);
      if (parsed.ok) add(parsed.value, text, { line });
      else gaps.push({ line, what: parsed.why });
    };
    const splitter = lineSplitter(LARGEST_OBJECT, addLine);
    return {
      write: splitter.write,
      end({ bytes, cutOff }) {
        const rest = splitter.end();
        if (rest.trim() !== "") addLine(rest);
        finish(bytes > 0, cutOff === undefined ? [] : [{ what: cutOff }]);
      },
    };
  }
  const splitter = itemSplitter("items", (value, index, text) => add(value, text, { pointer: `/items/${index}` }));
  return {
    write: splitter.write,
    end({ cutOff }) {
      const { head, gaps: cuts } = splitter.end();
      const listKind = /"kind"\s*:\s*"([^"]*)List"/.exec(head)?.[1];
      const listVersion = Number(/"resourceVersion"\s*:\s*"(\d+)"/.exec(head)?.[1]) || undefined;
      // {"kind": "PodList", …, "items": null} is an empty list
      const isNull = listKind !== undefined && items.length === 0 && /"items"\s*:\s*null|^[^[]*\}\s*$/.test(head);
      const flaws = [...(isNull ? [] : cuts), ...(cutOff === undefined ? [] : [{ what: cutOff }])];
      // lists of custom resources tell their kind behind their items: `{"apiVersion": …, "items": […], "kind": …}`
      finish(flaws.length === 0 || listKind !== undefined || items.length > 0, flaws, listKind, listVersion);
    },
  };
}

/** A list that stays as it is. */
function fixed({ path, items, gaps, resourceVersion }: ListFile): Collection {
  const flaw = gaps[0]?.what;
  return {
    items,
    resourceVersion,
    ...(flaw !== undefined && { incomplete: `${path} is incomplete: ${flaw}` }),
    itemsAt: (version) => (version === resourceVersion ? items : undefined),
    changesAfter: (version) => (version >= resourceVersion ? [] : undefined),
    subscribe: () => () => {},
  };
}

type Entry = { readonly type: ResourceType; readonly served: Served };

function storeOf(
  lists: ReadonlyMap<string, ListFile>,
  failures: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, Buffer>,
): Store {
  const definitions = lists.get("apiextensions.k8s.io/v1/customresourcedefinitions")?.items ?? [];
  const custom = customResourcesOf(definitions);
  const entries = new Map<string, Entry>();
  for (const [key, file] of lists) {
    const type = typeOf(key, file, custom);
    const served: Served = file.isList
      ? { state: "readable", collection: fixed(file) }
      : { state: "forbidden", why: `${file.path} is no list` };
    entries.set(key, { type, served });
  }
  const why = (key: string): string => `the bundle does not hold it: ${failures.get(key) || "it was not collected"}`;
  for (const type of [...BUILT_IN, ...custom.map((each) => each.type)]) {
    const key = `${type.group}/${type.version}/${type.plural}`;
    const isThere = [...entries.values()].some(
      (each) => each.type.group === type.group && each.type.plural === type.plural,
    );
    if (!isThere) entries.set(key, { type, served: { state: "forbidden", why: why(key) } });
  }
  for (const key of failures.keys()) {
    if (entries.has(key)) continue;
    const type = typeOf(key, undefined, custom);
    entries.set(key, { type, served: { state: "forbidden", why: why(key) } });
  }
  const text = (path: string) => files.get(path)?.toString();
  const at = timeOf(text("cluster.json"));
  return {
    types: [...entries.values()].map(({ type }) => type).sort(byGroup),
    custom,
    served: (group, version, plural) => entries.get(`${group}/${version}/${plural}`),
    files: new Map([...files, ...cutLists(lists)]),
    version: text("version.json"),
    readyz: text("readyz.txt"),
    now: () => at ?? Date.now(),
  };
}

/** As an API server tells them: those of Kubernetes' own first, which clients prefer where names are the same. */
function byGroup(a: ResourceType, b: ResourceType): number {
  const rank = ({ group }: ResourceType) =>
    BUILT_IN_GROUPS.includes(group) ? BUILT_IN_GROUPS.indexOf(group) : BUILT_IN_GROUPS.length;
  return rank(a) - rank(b) || compare(a.group, b.group) || compare(a.plural, b.plural);
}

const BUILT_IN_GROUPS = [...new Set(BUILT_IN.map(({ group }) => group))];
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Lists that are not all that there was, as files that were cut off. Who lists their objects is warned; netwhy, which
 * must not take them for all, reads them so.
 */
function cutLists(lists: ReadonlyMap<string, ListFile>): [string, Buffer][] {
  return [...lists.values()].flatMap(({ path, isList, gaps, kind, items }): [string, Buffer][] => {
    if (!isList || gaps.length === 0) return [];
    const head = `{"kind":${JSON.stringify(`${kind ?? ""}List`)},"items":[`;
    const objects = [...joined(items.map(({ json }) => json))];
    return [[path.replace(/l$/, ""), Buffer.concat([Buffer.from(head), ...objects])]];
  });
}

/** What a list is of: a resource of Kubernetes' own, of a definition in the bundle, or else as its objects show. */
function typeOf(key: string, file: ListFile | undefined, custom: readonly CustomResource[]): ResourceType {
  const [group = "", version = "", plural = ""] = key.split("/");
  const known = builtIn(group, version, plural);
  if (known) return known;
  const defined = custom.find(
    ({ type }) => type.plural === plural && groupVersion(type) === groupVersion({ group, version }),
  );
  if (defined) return defined.type;
  const kind = file?.kind ?? plural;
  return {
    group,
    version,
    plural,
    singular: kind.toLowerCase(),
    kind,
    isNamespaced: file?.items.some(({ namespace }) => namespace !== "") ?? true,
    shortNames: [],
    categories: [],
  };
}

/** When the evidence was taken: ages are told as of then. */
function timeOf(clusterFile: string | undefined): number | undefined {
  const parsed = parseJson(clusterFile ?? "");
  if (!parsed.ok || typeof parsed.value !== "object" || parsed.value === null) return undefined;
  const { endedAt, capturedAt, startedAt } = parsed.value as Record<string, unknown>;
  const time = Date.parse(String(endedAt ?? capturedAt ?? startedAt));
  return Number.isNaN(time) ? undefined : time;
}
