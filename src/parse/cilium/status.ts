/**
 * `cilium-dbg status --verbose`: how an agent's datapath is set up.
 *
 * Format (Cilium 1.15 to 1.17, pkg/client/client.go, FormatStatusResponse): lines `Name:   value`, some indented below a
 * heading, among tables of other shapes, which are passed over. Read here:
 *   Cilium:                 Ok   1.15.19 (v1.15.19-module)
 *   KubeProxyReplacement:   False   [eth0   192.168.50.11]
 *   Host firewall:          Disabled
 *   IPAM:                   IPv4: 9/254 allocated from 10.244.2.0/24,
 *   Host Routing:           Legacy                 (until 1.15; then `Routing: Network: Tunnel [vxlan]   Host: Legacy`)
 *   Masquerading:           IPTables [IPv4: Enabled, IPv6: Disabled]
 *     Socket LB:            Disabled               (below `KubeProxyReplacement Details:`, verbose only)
 *     Socket LB Coverage:   Full
 *   Encryption:             Disabled
 */
import { parsePrefix } from "../../net/ip.ts";
import { type Parser, splitLines } from "../parsed.ts";

export type CiliumStatus = {
  /** `1.15.19` */
  readonly version?: string;
  /** `False`, `True`; `Disabled`, `Partial`, `Strict` before 1.14 */
  readonly kubeProxyReplacement?: string;
  readonly hostFirewall?: string;
  readonly hostRouting?: string;
  readonly masquerading?: string;
  readonly socketLb?: string;
  readonly socketLbCoverage?: string;
  readonly encryption?: string;
  /** The ranges of which the node's Pods get addresses: how many there are, and how many of them are given away. */
  readonly podRanges: readonly PodRange[];
};

export type PodRange = { readonly range: string; readonly given: number; readonly total: number };

type Draft = { -readonly [K in keyof CiliumStatus]: CiliumStatus[K] } & { podRanges: PodRange[] };

const FIELDS: ReadonlyMap<string, Exclude<keyof CiliumStatus, "podRanges">> = new Map([
  ["KubeProxyReplacement", "kubeProxyReplacement"],
  ["Host firewall", "hostFirewall"],
  ["Host Routing", "hostRouting"],
  ["Masquerading", "masquerading"],
  ["Socket LB", "socketLb"],
  ["Socket LB Coverage", "socketLbCoverage"],
  ["Encryption", "encryption"],
]);

function set(draft: Draft, name: string, value: string): void {
  const field = FIELDS.get(name);
  const [first] = value.split(/\s/, 1);
  if (field) draft[field] ??= field === "masquerading" ? value : (first ?? "");
  else if (name === "Cilium") {
    const version = /^\S+\s+(\d+\.\d+\.\d+)/.exec(value)?.[1];
    if (version !== undefined) draft.version ??= version;
  } else if (name === "Routing") {
    const host = /Host:\s+(\w+)/.exec(value)?.[1];
    if (host !== undefined) draft.hostRouting ??= host;
  } else if (name === "IPAM") {
    for (const [, given, total, range = ""] of value.matchAll(/(\d+)\/(\d+) allocated from ([0-9a-f.:]+\/\d+)/g))
      if (parsePrefix(range)) draft.podRanges.push({ range, given: Number(given), total: Number(total) });
  }
}

export const parseCiliumStatus: Parser<CiliumStatus> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: Draft = { podRanges: [] };
  for (const content of lines) {
    const [, name, rest] = /^\s*([A-Z][\w -]*):\s+(\S.*?)\s*$/.exec(content) ?? [];
    if (name !== undefined && rest !== undefined) set(value, name, rest);
  }
  if (text === "") gaps.push({ what: "empty" });
  return { value, gaps };
};
