/**
 * `bridge -j fdb`: the forwarding databases of bridges and VXLAN devices.
 *
 * Format: a JSON array, an object an entry (iproute2, bridge/fdb.c): mac, ifname, flags (self, master, extern_learn …),
 * state (permanent, static, stale or empty), master, dst (the remote VTEP of a VXLAN device), vlan.
 */
import { canonicalIp } from "../net/ip.ts";
import { compact, type Fields, fitted, macOf, readObjects } from "./fields.ts";
import type { Parser } from "./parsed.ts";

export type FdbEntry = {
  readonly mac: string;
  readonly device: string;
  readonly master?: string;
  /** Where a VXLAN device sends frames for this MAC. */
  readonly destination?: string;
  readonly state: string;
  readonly flags: readonly string[];
};

function toEntry(item: Fields): FdbEntry | string {
  const fields = fitted(item, {
    mac: "string",
    ifname: "string",
    flags: "strings?",
    state: "string?",
    master: "string?",
    dst: "string?",
  });
  if (typeof fields === "string") return fields;
  const mac = macOf(fields.mac);
  if (mac === undefined) return `mac: ${fields.mac} is no MAC address`;
  const destination = fields.dst === undefined ? undefined : canonicalIp(fields.dst);
  if (fields.dst !== undefined && destination === undefined) return `dst: ${fields.dst} is no address`;
  const { ifname: device, master, flags = [], state = "" } = fields;
  return compact({ mac, device, master, destination, state, flags });
}

export const parseBridgeFdb: Parser<readonly FdbEntry[]> = (text) => readObjects(text, toEntry);
