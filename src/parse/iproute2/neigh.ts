/**
 * `ip -j neigh`: the neighbour (ARP and NDP) tables; also without -j.
 *
 * Format: a JSON array, an object a neighbour (iproute2, ip/ipneigh.c): dst, dev, lladdr, state (an array: PERMANENT,
 * NOARP, REACHABLE, STALE, DELAY, PROBE, FAILED, INCOMPLETE). Plain, a line a neighbour:
 *   10.1.0.7 dev br0 lladdr 02:00:00:00:00:07 extern_learn  ref 1 used 2/2/2probes 0 REACHABLE
 */
import { canonicalIp } from "../../net/ip.ts";
import { compact, type Fields, fitted, macOf } from "../fields.ts";
import type { Parser } from "../parsed.ts";
import { type Block, itemOf, readPrinted, wordsOf } from "./plain.ts";

export type Neighbour = {
  readonly address: string;
  readonly device: string;
  /** Lower-case; missing while resolution has not succeeded. */
  readonly mac?: string;
  readonly states: readonly string[];
};

function toNeighbour(item: Fields): Neighbour | string {
  const fields = fitted(item, { dst: "string", dev: "string", lladdr: "string?", state: "strings?" });
  if (typeof fields === "string") return fields;
  const address = canonicalIp(fields.dst);
  if (address === undefined) return `dst: ${fields.dst} is no address`;
  return compact({ address, device: fields.dev, mac: macOf(fields.lladdr), states: fields.state ?? [] });
}

const STATES = ["INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "NOARP", "PERMANENT", "NONE"];

const WORDS = {
  strings: { dev: "dev", lladdr: "lladdr" },
  flags: [...STATES, "router", "proxy", "extern_learn", "offload", "managed", "extern_valid"],
  // `used 2/2/2probes 0`
  passed: ["ref", "used", "probes", "proto", "protocol", "vni", "nhid"],
};

function plainNeighbour({ head }: Block): Fields | string {
  const [dst, ...words] = wordsOf(head.replace(/(used \S+?)probes/, "$1 probes"));
  const item = itemOf(words, WORDS);
  if (typeof item === "string") return item;
  const { flags = [], ...rest } = item;
  return { dst, ...rest, state: (flags as readonly string[]).filter((flag) => STATES.includes(flag)) };
}

export const parseIpNeigh: Parser<readonly Neighbour[]> = (text) => readPrinted(text, plainNeighbour, toNeighbour);
