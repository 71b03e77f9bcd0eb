/** Who an address is to Cilium: the longest prefix of the ipcache (bpf/lib/eps.h, ipcache_lookup4). */
import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { contains, formatIp, type Ip, parseIp, prefixOf } from "../../net/ip.ts";
import type { IpcacheEntry } from "../../parse/cilium/ipcache.ts";
import { type CiliumNode, IDENTITY } from "./cilium.ts";

export type Whereabouts = {
  readonly identity: number;
  /** The node that it is behind, by a tunnel. */
  readonly tunnelEndpoint?: string;
  readonly evidence: readonly Evidence[];
};

/** @returns “unknown” where an entry that was not seen might say otherwise */
export function whereabouts({ ipcache }: CiliumNode, address: Ip): Whereabouts | "unknown" {
  const entries = known(ipcache);
  if (!entries) return "unknown";
  let best: IpcacheEntry | undefined;
  for (const entry of entries)
    if (entry.prefix.length > (best?.prefix.length ?? -1) && contains(entry.prefix, address)) best = entry;
  const isExact = best !== undefined && best.prefix.length === (address.family === 4 ? 32 : 128);
  if (!isExact && !isWhole(ipcache)) return "unknown";
  if (!best) {
    const words = `no entry for ${formatIp(address)}`;
    return { identity: IDENTITY.world, evidence: [quoteOf(ipcache.origin, words)] };
  }
  const { identity, tunnelEndpoint, text, line } = best;
  const words = `${text} identity=${identity} tunnelendpoint=${tunnelEndpoint ?? "0.0.0.0"}`;
  return {
    identity,
    ...(tunnelEndpoint !== undefined && { tunnelEndpoint }),
    evidence: [quoteOf({ ...ipcache.origin, line }, words)],
  };
}

/**
 * The node behind which the range of an address is, where the ipcache does not say: the map of tunnels, by the length that
 * the node's own range has (IPV4_MASK).
 */
export function tunnelTo(
  { tunnels, status }: CiliumNode,
  address: Ip,
): { readonly to: string; readonly evidence: Evidence } | "none" | "unknown" {
  const list = known(tunnels);
  // since 1.18 there is no such map
  if (!list) return tunnels.state === "unknown" && /failed|forbidden/.test(tunnels.why.reason) ? "unknown" : "none";
  const lengths = (known(status)?.podRanges ?? []).flatMap(({ range }) => {
    const [ip = "", length = ""] = range.split("/");
    return parseIp(ip)?.family === address.family ? [Number(length)] : [];
  });
  if (lengths.length === 0) return list.length === 0 ? "none" : "unknown";
  const found = list.find(({ range }) => {
    const ip = parseIp(range);
    return ip !== undefined && lengths.some((length) => contains(prefixOf(ip, length), address));
  });
  if (!found) return isWhole(tunnels) ? "none" : "unknown";
  const evidence = quoteOf({ ...tunnels.origin, line: found.line }, `${found.range} ${found.to}`);
  return { to: found.to, evidence };
}
