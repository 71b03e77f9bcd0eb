/**
 * Sets and maps of nftables: which elements a key can be.
 *
 * Plain keys are looked up by hash, intervals by halving, concatenations with intervals by those of their parts that are
 * plain (as nft_set_hash, nft_set_rbtree and nft_set_pipapo do). Where the key is not known, all elements that it may be are
 * given.
 */
import { parseIp, prefixOf } from "../../net/ip.ts";
import type { NftElement, NftExpression, NftOf, NftSet } from "../../parse/nftables/json.ts";
import type { Doubt } from "./condition.ts";
import { type Domain, type Known, readConstant } from "./nft-constants.ts";
import { mayBe, type Unsure, type Value, worst } from "./nft-value.ts";

/** The sets of one table. */
export type NftSets = {
  readonly table: string;
  readonly byName: ReadonlyMap<string, NftSet>;
  /** Sets that rules add to or delete from: what they hold when a packet comes is not in the listing. */
  readonly changing: ReadonlySet<string>;
};

/** Elements that the key is, or may be. One of them, and no other possibility: it is that for sure. */
export type Lookup = {
  readonly hits: readonly NftElement[];
  /** That the key is none of the elements is possible. */
  readonly mayMiss: boolean;
  /** Why there are several possibilities. */
  readonly doubt: Doubt;
};

/** More elements than this are not followed one by one. */
const MOST_HITS = 4096;

type Bound = number | bigint;
type Interval = { readonly from: Bound; readonly to: Bound };
/** A part of a key: a value, an interval, or the beginning of a device's name. */
type Part = { readonly value: Known } | Interval | { readonly start: string };
type Read = { readonly parts: readonly Part[]; readonly element: NftElement };

type Index = {
  /** Of keys without intervals: by value, or by the values of all parts. */
  readonly exact: ReadonlyMap<Known, NftElement>;
  /** Of single keys, in order; they do not overlap. */
  readonly intervals: readonly (Interval & { readonly element: NftElement })[];
  readonly starts: readonly { readonly start: string; readonly element: NftElement }[];
  /** Of concatenations with intervals: by which parts are plain, then by their values. */
  readonly groups: readonly {
    readonly plain: readonly number[];
    readonly byPlain: ReadonlyMap<string, readonly Read[]>;
  }[];
  readonly all: readonly Read[];
  /** `*`: what every other key maps to. */
  readonly rest: NftElement | undefined;
  /** There are elements that we cannot read. */
  readonly isPartial: boolean;
};

const indexes = new WeakMap<readonly NftElement[], Map<string, Index>>();

function indexOf(elements: readonly NftElement[], domains: readonly Domain[]): Index {
  let mine = indexes.get(elements);
  if (!mine) {
    mine = new Map();
    indexes.set(elements, mine);
  }
  const key = domains.join();
  let index = mine.get(key);
  if (!index) {
    index = makeIndex(elements, domains);
    mine.set(key, index);
  }
  return index;
}

const joined = (values: readonly Known[]): string => values.join("|");

function makeIndex(elements: readonly NftElement[], domains: readonly Domain[]): Index {
  const exact = new Map<Known, NftElement>();
  const intervals: (Interval & { readonly element: NftElement })[] = [];
  const starts: { start: string; element: NftElement }[] = [];
  const groups = new Map<string, { plain: readonly number[]; byPlain: Map<string, Read[]> }>();
  const all: Read[] = [];
  let rest: NftElement | undefined;
  let isPartial = false;
  for (const element of elements) {
    if (element.key === "*") {
      rest = element;
      continue;
    }
    const parts = readKey(element.key, domains);
    if (!parts) {
      isPartial = true;
      continue;
    }
    const read = { parts, element };
    all.push(read);
    const plain = [...parts.keys()].filter((at) => "value" in parts[at]!);
    const values = plain.map((at) => (parts[at] as { value: Known }).value);
    const [first] = parts;
    if (plain.length === parts.length) exact.set(parts.length === 1 ? values[0]! : joined(values), element);
    else if (parts.length === 1) {
      if ("start" in first!) starts.push({ start: first.start, element });
      else intervals.push({ ...(first as Interval), element });
    } else {
      const group = groups.get(plain.join()) ?? { plain, byPlain: new Map<string, Read[]>() };
      groups.set(plain.join(), group);
      const key = joined(values);
      const same = group.byPlain.get(key);
      if (same) same.push(read);
      else group.byPlain.set(key, [read]);
    }
  }
  intervals.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  return { exact, intervals, starts, groups: [...groups.values()], all, rest, isPartial };
}

function readKey(key: NftExpression, domains: readonly Domain[]): readonly Part[] | undefined {
  const words = typeof key === "object" && key.is === "concat" ? key.of : [key];
  if (words.length !== domains.length) return undefined;
  const parts = words.map((word, at) => readPart(word, domains[at]!));
  return parts.includes(undefined) ? undefined : (parts as readonly Part[]);
}

/** Constants of a set or on the right side of a comparison. */
export function readPart(word: NftExpression, domain: Domain): Part | undefined {
  if (typeof word !== "object") {
    const value = readConstant(word, domain);
    if (domain === "device" && typeof value === "string" && value.endsWith("*")) return { start: value.slice(0, -1) };
    return value === undefined ? undefined : { value };
  }
  switch (word.is) {
    case "range": {
      const [from, to] = [readConstant(word.from, domain), readConstant(word.to, domain)];
      if (from === undefined || to === undefined || typeof from === "string" || typeof to === "string")
        return undefined;
      return { from, to };
    }
    case "prefix":
      return readPrefix(word, domain);
    case "list": {
      let value = 0;
      for (const flag of word.of) {
        const read = typeof flag === "object" ? undefined : readConstant(flag, domain);
        if (typeof read !== "number") return undefined;
        value = (value | read) >>> 0;
      }
      return { value };
    }
    default:
      return undefined;
  }
}

function readPrefix({ address, length }: NftOf<"prefix">, domain: Domain): Part | undefined {
  if (domain === "number" && typeof address === "number" && length >= 0 && length <= 32) {
    const from = Math.floor(address / 2 ** (32 - length)) * 2 ** (32 - length);
    return { from, to: from + 2 ** (32 - length) - 1 };
  }
  const ip = typeof address === "string" ? parseIp(address) : undefined;
  if (!ip || ip.family !== (domain === "ipv4" ? 4 : domain === "ipv6" ? 6 : 0)) return undefined;
  if (length < 0 || length > (ip.family === 4 ? 32 : 128)) return undefined;
  const from = prefixOf(ip, length).ip.value;
  if (typeof from === "number") return { from, to: from + 2 ** (32 - length) - 1 };
  return { from, to: from + (1n << BigInt(128 - length)) - 1n };
}

export function isPart(value: Known, part: Part): boolean {
  if ("value" in part) return part.value === value;
  if ("start" in part) return typeof value === "string" && value.startsWith(part.start);
  return typeof value !== "string" && part.from <= value && value <= part.to;
}

const none = (mayMiss: boolean): Lookup => ({ hits: [], mayMiss, doubt: "unknown" });
const one = (element: NftElement | undefined, isPartial: boolean): Lookup | undefined =>
  element ? { hits: [element], mayMiss: false, doubt: "unknown" } : isPartial ? undefined : none(true);

/**
 * Which elements the key can be.
 *
 * @param key the values of its parts
 * @returns undefined if nothing can be said
 */
export function lookUp(
  elements: readonly NftElement[],
  key: readonly Value[],
  domains: readonly Domain[],
): Lookup | undefined {
  const index = indexOf(elements, domains);
  if (key.every((value): value is Known => typeof value !== "object")) return one(find(index, key), index.isPartial);
  const unsure = key.filter((value): value is Unsure => typeof value === "object");
  const doubt = worst(unsure.map((value) => value.doubt));
  // A choice among few values: of each we know what it is.
  const [only] = unsure;
  if (unsure.length === 1 && only?.among && only.among.length <= MOST_HITS && !index.isPartial) {
    const hits = new Set<NftElement>();
    let mayMiss = false;
    for (const value of only.among) {
      const hit = find(index, key.map((part) => (part === only ? value : part)) as Known[]);
      if (hit) hits.add(hit);
      else mayMiss = true;
    }
    return { hits: [...hits], mayMiss, doubt };
  }
  if (index.isPartial || index.all.length > MOST_HITS) return undefined;
  const hits = index.all.filter(({ parts }) =>
    parts.every((part, at) => {
      const value = key[at]!;
      return typeof value === "object"
        ? mayBe(value, (candidate) => isPart(candidate, part), part)
        : isPart(value, part);
    }),
  );
  const found = hits.map(({ element }) => element);
  return { hits: index.rest ? [...found, index.rest] : found, mayMiss: !index.rest, doubt };
}

function find(index: Index, key: readonly Known[]): NftElement | undefined {
  if (key.length === 1) {
    const value = key[0]!;
    return index.exact.get(value) ?? inInterval(index, value) ?? byStart(index, value) ?? index.rest;
  }
  const exact = index.exact.get(joined(key));
  if (exact) return exact;
  for (const { plain, byPlain } of index.groups) {
    const same = byPlain.get(joined(plain.map((at) => key[at]!)));
    const hit = same?.find(({ parts }) => parts.every((part, at) => isPart(key[at]!, part)));
    if (hit) return hit.element;
  }
  return index.rest;
}

function inInterval({ intervals }: Index, value: Known): NftElement | undefined {
  if (intervals.length === 0 || typeof value === "string") return undefined;
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (intervals[middle]!.from <= value) low = middle + 1;
    else high = middle;
  }
  const before = intervals[low - 1];
  return before && value <= before.to ? before.element : undefined;
}

function byStart({ starts }: Index, value: Known): NftElement | undefined {
  if (typeof value !== "string") return undefined;
  return starts.find(({ start }) => value.startsWith(start))?.element;
}
