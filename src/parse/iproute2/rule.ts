/**
 * `ip -j rule`: the policy routing rules, by priority; also without -j.
 *
 * Format: a JSON array, an object a rule (iproute2, ip/iprule.c): priority, src ("all" or address with srclen), dst,
 * dstlen, iif, oif, fwmark and fwmask (hex strings), table, action, not. Plain, a line a rule:
 *   10:\tnot from 10.1.0.0/24 to 10.9.9.0/24 fwmark 0x200/0xf00 iif br0 [detached] lookup 200
 */
import { formatPrefix, parsePrefix } from "../../net/ip.ts";
import { compact, type Fields, fitted } from "../fields.ts";
import type { Parser } from "../parsed.ts";
import { type Block, itemOf, readPrinted, type Words, wordsOf } from "./plain.ts";

export type RoutingRule = {
  readonly priority: number;
  /** Prefixes; undefined is "all". */
  readonly source?: string;
  readonly destination?: string;
  readonly inputDevice?: string;
  readonly outputDevice?: string;
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly negated: boolean;
  /** The table to look into, or undefined for other actions. */
  readonly table?: string;
  /** lookup, goto, l3mdev, blackhole, unreachable, prohibit, nop */
  readonly action: string;
  /** Routes of the table with a prefix of this length or a shorter one do not count: 0 leaves out the default route. */
  readonly suppressPrefixLength?: number;
  /** The priority at which a goto goes on. */
  readonly goto?: number;
  /**
   * What else a packet must have for the rule, by name only: ipproto, sport, dport, tos, uid_start, suppress_ifgroup …
   */
  readonly otherSelectors?: readonly string[];
};

const EVERY_BIT = 0xffffffff;

const SPEC = {
  priority: "integer",
  src: "string?",
  srclen: "integer?",
  dst: "string?",
  dstlen: "integer?",
  iif: "string?",
  oif: "string?",
  fwmark: "string?",
  fwmask: "string?",
  table: "string?",
  action: "string?",
  suppress_prefixlen: "integer?",
  goto: "integer?",
} as const;

/** What is printed of a rule besides and selects no packets. */
const NO_SELECTORS = [
  "not",
  "nop",
  "l3mdev",
  "unresolved",
  "iif_detached",
  "oif_detached",
  "protocol",
  "realms",
  "masquerade",
];

function toMark(value: string | undefined, mask: string | undefined): RoutingRule["mark"] | string {
  if (value === undefined) return undefined;
  const isHex = (text: string) => /^0x[0-9a-f]{1,8}$/i.test(text);
  if (!isHex(value) || (mask !== undefined && !isHex(mask))) return "fwmark: expected hexadecimal numbers";
  return { value: Number(value), mask: mask === undefined ? EVERY_BIT : Number(mask) };
}

/** The prefix of an address and its length, which is missing where it is the full one; "" stands for all. */
function toPrefix(address: string | undefined, length: number | undefined): string | undefined {
  if (address === undefined || address === "all" || address === "any") return "";
  const prefix = parsePrefix(length === undefined ? address : `${address}/${length}`);
  return prefix && formatPrefix(prefix);
}

/**
 * Looking into a table is printed by naming the table alone; a table that is printed beside another action is not used.
 */
function actionOf(item: Fields, action: string | undefined, table: string | undefined): string {
  const word = action ?? ["nop", "goto", "l3mdev"].find((key) => key in item);
  return word ?? (table === undefined ? "" : "lookup");
}

function toRule(item: Fields): RoutingRule | string {
  const fields = fitted(item, SPEC);
  if (typeof fields === "string") return fields;
  const source = toPrefix(fields.src, fields.srclen);
  const destination = toPrefix(fields.dst, fields.dstlen);
  const mark = toMark(fields.fwmark, fields.fwmask);
  const action = actionOf(item, fields.action, fields.table);
  if (source === undefined) return `src: ${fields.src} is no address`;
  if (destination === undefined) return `dst: ${fields.dst} is no address`;
  if (typeof mark === "string") return mark;
  if (action === "") return "has no action that is known";
  const others = Object.keys(item).filter((key) => !(key in SPEC) && !NO_SELECTORS.includes(key));
  return compact({
    priority: fields.priority,
    source: source || undefined,
    destination: destination || undefined,
    inputDevice: fields.iif,
    outputDevice: fields.oif,
    mark,
    // printed as null: its presence is its value
    negated: "not" in item,
    table: action === "lookup" ? fields.table : undefined,
    action,
    suppressPrefixLength: fields.suppress_prefixlen,
    goto: fields.goto,
    otherSelectors: others.length > 0 ? others : undefined,
  });
}

const WORDS: Words = {
  strings: {
    iif: "iif",
    oif: "oif",
    ipproto: "ipproto",
    tos: "tos",
    dsfield: "tos",
    tun_id: "tun_id",
    proto: "protocol",
  },
  numbers: { suppress_prefixlength: "suppress_prefixlen", goto: "goto" },
  flags: ["[detached]", "[unresolved]", "nop", "masquerade"],
  passed: ["realms"],
};

const ACTIONS = ["blackhole", "unreachable", "prohibit"];

/** Words of which `-j` makes two values, or an action. */
function severalWords(words: readonly string[], at: number, item: Record<string, unknown>): number | undefined {
  const [word = "", next = ""] = words.slice(at, at + 2);
  if (word === "not") item.not = null;
  else if (word === "nop") item.nop = null;
  else if (ACTIONS.includes(word)) item.action = word;
  else if (next === "") return undefined;
  else {
    if (word === "from") item.src = next;
    else if (word === "to") item.dst = next;
    else if (word === "fwmark") [item.fwmark, item.fwmask] = next.split("/");
    else if (word === "lookup" && next === "[l3mdev-table]") item.l3mdev = null;
    else if (word === "lookup") item.table = next;
    else if (word === "suppress_ifgroup") item.suppress_ifgroup = next;
    else if (word === "uidrange") [item.uid_start, item.uid_end] = next.split("-");
    else if (word !== "sport" && word !== "dport") return undefined;
    else if (next.includes("-")) [item[`${word}_start`], item[`${word}_end`]] = next.split("-");
    else item[word] = next;
    return at + 2;
  }
  return at + 1;
}

function plainRule({ head }: Block): Fields | string {
  const [, priority, rest = ""] = /^(\d{1,10}):\s+(.*)$/.exec(head) ?? [];
  if (priority === undefined) return "is no rule";
  const item = itemOf(wordsOf(rest), WORDS, severalWords);
  if (typeof item === "string") return item;
  const { flags: _, ...said } = item;
  return { priority: Number(priority), ...said };
}

export const parseIpRule: Parser<readonly RoutingRule[]> = (text) => readPrinted(text, plainRule, toRule);
