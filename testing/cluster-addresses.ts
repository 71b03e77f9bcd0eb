/** The addresses of the built cluster, in each of its address families. */
import type { Family } from "../src/net/ip.ts";

/** Which address families a cluster has; of two, IPv4 is the first. */
export type Families = "ipv4" | "dual-stack" | "ipv6";

export const familiesIn = (families: Families): readonly Family[] =>
  families === "ipv4" ? [4] : families === "ipv6" ? [6] : [4, 6];

type Ranges = { readonly pods: string; readonly services: string; readonly nodes: string; readonly gateway: string };

export const RANGES: Readonly<Record<Family, Ranges>> = {
  4: { pods: "10.128.0.0/9", services: "10.96.0.0/16", nodes: "172.16.0.0/16", gateway: "172.16.255.254" },
  6: {
    pods: "fd00:10:128::/48",
    services: "fd00:10:96::/112",
    nodes: "fd00:172:16::/64",
    gateway: "fd00:172:16::ffff",
  },
};

/** Of node i of up to 60,000. */
export const nodeAddress = (index: number, family: Family): string =>
  family === 4 ? `172.16.${Math.floor(index / 250)}.${(index % 250) + 1}` : `fd00:172:16::${(index + 1).toString(16)}`;

/** Of node i: a /24 or a /64. The one of node 0 is not all zeros, so that it is written the same everywhere. */
export const podRange = (index: number, family: Family): string =>
  family === 4
    ? `10.${128 + Math.floor(index / 256)}.${index % 256}.0/24`
    : `fd00:10:128:${(index + 1).toString(16)}::/64`;

/** A Service's address in a family; its last two numbers are the same in both. */
export function serviceAddress(ipv4: string, family: Family): string {
  const [, , third = 0, fourth = 0] = ipv4.split(".").map(Number);
  return family === 4 ? ipv4 : `fd00:10:96::${(third * 256 + fourth).toString(16)}`;
}
