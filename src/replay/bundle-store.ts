/**
 * A bundle as a store: its lists of objects, its logs, and what it says of the cluster.
 *
 * Objects are kept as they stand in the bundle, byte for byte. What the bundle does not hold is not served as empty: a
 * resource that every API server has, and one that a CustomResourceDefinition of the bundle promises, is forbidden, with
 * the reason why it could not be had where the bundle tells one.
 */
import type { Sink } from "../evidence/capture.ts";
import { itemSplitter } from "../parse/json-items.ts";
import { lineSplitter } from "../parse/line-splitter.ts";
import { type Gap, parseJson } from "../parse/parsed.ts";
import { type CustomResource, customResourcesOf } from "./custom-resources.ts";
import { indexed } from "./index-object.ts";
import { BUILT_IN, builtIn, type ResourceType } from "./resource-types.ts";
import { slabs } from "./slabs.ts";
import { type Collection, groupVersion, type LogId, type Served, type Store, type StoredObject } from "./store.ts";

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
const LOG = /^logs\/(?<namespace>[^/]+)\/(?<pod>[^/]+)\/(?<container>.+?)(?<previous>\.previous)?\.log$/;
const PLAIN = ["version.json", "cluster.json", "readyz.txt"];

/** etcd takes no more than 1.5 MiB of an object. */
const LARGEST_OBJECT = 4 * 1024 * 1024;

export type StoreIntake = {
  /** @returns where a file's text goes; undefined if it is not served */
  open(path: string): Sink | undefined;
  store(): Store;
  /** How many files are served. */
  readonly size: number;
};

/** Takes the files of a bundle in, and makes a store of them. */
export function createStoreIntake(): StoreIntake {
  const lists = new Map<string, ListFile>();
  const failures = new Map<string, string>();
  const logs = new Map<string, Uint8Array>();
  const plain = new Map<string, string>();
  const slab = slabs();

  function open(path: string): Sink | undefined {
    if (PLAIN.includes(path)) return gathering((text) => plain.set(path, text));
    const log = LOG.exec(path)?.groups;
    if (log) {
      const { namespace = "", pod = "", container = "", previous } = log;
      const key = logKey({ namespace, pod, container, isPrevious: previous !== undefined });
      return gathering((text) => logs.set(key, Buffer.from(text)));
    }
    const list = LIST.exec(path)?.groups;
    if (!list) return undefined;
    const { group = "", version = "", plural = "", lines, error } = list;
    const key = `${group}/${version}/${plural}`;
    if (error !== undefined) return gathering((text) => failures.set(key, text.trim().slice(0, 500)));
    if (!path.includes(".json")) return undefined;
    return openList(path, group, plural, lines !== undefined, slab.add, (file) => lists.set(key, file));
  }

  return {
    open,
    store: () => storeOf(lists, failures, logs, plain),
    get size() {
      return lists.size + logs.size + failures.size + plain.size;
    },
  };
}

const logKey = ({ namespace, pod, container, isPrevious }: LogId): string =>
  [namespace, pod, container, isPrevious ? "previous" : "current"].join("/");

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
      finish(listKind !== undefined || items.length > 0, flaws, listKind, listVersion);
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
  logs: ReadonlyMap<string, Uint8Array>,
  plain: ReadonlyMap<string, string>,
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
  const at = timeOf(plain.get("cluster.json"));
  return {
    types: [...entries.values()].map(({ type }) => type),
    custom,
    served: (group, version, plural) => entries.get(`${group}/${version}/${plural}`),
    log: (id) => logs.get(logKey(id)),
    version: plain.get("version.json"),
    readyz: plain.get("readyz.txt"),
    now: () => at ?? Date.now(),
  };
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
