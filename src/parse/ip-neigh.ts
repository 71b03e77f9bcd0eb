/**
 * `ip -j neigh`: the neighbour (ARP and NDP) tables.
 *
 * Format: a JSON array, an object a neighbour (iproute2, ip/ipneigh.c): dst, dev, lladdr, state (an array: PERMANENT,
 * NOARP, REACHABLE, STALE, DELAY, PROBE, FAILED, INCOMPLETE).
 */
import { canonicalIp } from "../net/ip.ts";
import { compact, type Fields, fitted, macOf, readObjects } from "./fields.ts";
import type { Parser } from "./parsed.ts";

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

export const parseIpNeigh: Parser<readonly Neighbour[]> = (text) => readObjects(text, toNeighbour);
