/**
 * `ip -j rule`: the policy routing rules, by priority.
 *
 * Format: a JSON array, an object a rule (iproute2, ip/iprule.c): priority, src ("all" or address with srclen), dst,
 * dstlen, iif, oif, fwmark and fwmask (hex strings), table, action, not.
 */
import { formatPrefix, parsePrefix } from "../net/ip.ts";
import { compact, type Fields, fitted, readObjects } from "./fields.ts";
import type { Parser } from "./parsed.ts";

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

export const parseIpRule: Parser<readonly RoutingRule[]> = (text) => readObjects(text, toRule);
