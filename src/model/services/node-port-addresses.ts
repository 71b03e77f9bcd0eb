/**
 * At which of its addresses a node serves node ports (kube-proxy's nodePortAddresses).
 *
 * Source: pkg/proxy/util/nodeport_addresses.go (NewNodePortAddresses): ranges of the other family do not count, and where
 * none is left every address serves them; `primary` is the address by which the node is known.
 */
import { contains, type Family, type Ip, parsePrefix } from "../../net/ip.ts";

/**
 * @param said nodePortAddresses
 * @param known the address by which the node is known
 * @returns the address by which the node is known if node ports are served there, else any other of its own at which they are
 */
export function nodePortAddress(
  said: readonly string[],
  family: Family,
  known: Ip | undefined,
  own: readonly Ip[],
): Ip | undefined {
  const ranges = said.flatMap((text) => parsePrefix(text) ?? []).filter(({ ip }) => ip.family === family);
  if (ranges.length === 0 || said.includes("primary")) return known;
  const isServed = (ip: Ip): boolean => ranges.some((range) => contains(range, ip));
  return known && isServed(known) ? known : own.find((ip) => ip.family === family && isServed(ip));
}
