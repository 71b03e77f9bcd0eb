/**
 * `bridge -j -d link`: the ports of bridges with their flags.
 *
 * Format: a JSON array, an object a port (iproute2, bridge/link.c): ifname, master, state, mtu, hairpin, isolated,
 * learning, flood.
 */
import { compact, type Fields, fitted, readObjects } from "./fields.ts";
import type { Parser } from "./parsed.ts";

export type BridgePort = {
  readonly name: string;
  readonly master?: string;
  readonly state: string;
  readonly mtu?: number;
  readonly hairpin?: boolean;
  readonly isolated?: boolean;
};

function toPort(item: Fields): BridgePort | string {
  const fields = fitted(item, {
    ifname: "string",
    master: "string?",
    state: "string?",
    mtu: "integer?",
    hairpin: "boolean?",
    isolated: "boolean?",
  });
  if (typeof fields === "string") return fields;
  const { ifname: name, state = "", ...rest } = fields;
  return compact({ name, state, ...rest });
}

export const parseBridgeLink: Parser<readonly BridgePort[]> = (text) => readObjects(text, toPort);
