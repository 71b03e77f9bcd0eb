/**
 * Which server block of a Corefile answers for a name: that of the longest zone (coredns core/dnsserver/server.go).
 *
 * Names and zones are compared without the dot at their end, in lower case; the root is "".
 */
import type { CorefileServer } from "../../parse/corefile/corefile.ts";

/** A name that is in no zone of anybody's. */
export const NAME_ELSEWHERE = "a-name-of-the-world-outside";

/** A zone or name as it is compared. */
export const plainZone = (zone: string): string => zone.toLowerCase().replace(/\.$/, "");

/** Whether one of these zones holds a name; the root holds all. */
export const zonesHold = (zones: readonly string[], name: string): boolean =>
  zones.map(plainZone).some((zone) => zone === "" || name === zone || name.endsWith(`.${zone}`));

/** The blocks of plain DNS with the longest zone that holds a name; several if they are bound to different addresses or ports. */
export function blocksFor(name: string, servers: readonly CorefileServer[]): readonly CorefileServer[] {
  const lengthOf = ({ zones }: CorefileServer) =>
    Math.max(...zones.filter((zone) => zonesHold([zone], name)).map((zone) => plainZone(zone).length), -1);
  const holding = servers.filter((one) => one.scheme === "dns" && lengthOf(one) >= 0);
  const longest = Math.max(...holding.map(lengthOf));
  return holding.filter((one) => lengthOf(one) === longest);
}
