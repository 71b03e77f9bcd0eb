/**
 * `bridge -j fdb`: the forwarding databases of bridges and VXLAN devices; also without -j.
 *
 * Format: a JSON array, an object an entry (iproute2, bridge/fdb.c): mac, ifname, flags (self, master, extern_learn …),
 * state (permanent, static, stale or empty), master, dst (the remote VTEP of a VXLAN device), vlan. Plain, a line an entry:
 *   02:11:00:00:00:07 dev flannel.1 dst 192.168.50.11 self permanent
 */
import { canonicalIp } from "../../net/ip.ts";
import { compact, type Fields, fitted, macOf } from "../fields.ts";
import type { Parser } from "../parsed.ts";
import { type Block, itemOf, readPrinted, wordsOf } from "./plain.ts";

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

const STATES = ["permanent", "static", "stale"];

const WORDS = {
  strings: { dev: "ifname", master: "master", dst: "dst" },
  flags: [...STATES, "self", "router", "extern_learn", "offload", "sticky", "locked"],
  passed: ["vlan", "port", "vni", "src_vni", "via", "link-netnsid", "nhid", "used"],
};

function plainEntry({ head }: Block): Fields | string {
  const [mac, ...words] = wordsOf(head);
  const item = itemOf(words, WORDS);
  if (typeof item === "string") return item;
  const { flags: raised = [], ...rest } = item;
  const flags = (raised as readonly string[]).filter((flag) => !STATES.includes(flag));
  return { mac, ...rest, flags, state: (raised as readonly string[]).find((flag) => STATES.includes(flag)) };
}

export const parseBridgeFdb: Parser<readonly FdbEntry[]> = (text) => readPrinted(text, plainEntry, toEntry);
