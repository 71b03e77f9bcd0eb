/** IPVS, at the hooks input and output. */
import { isWhole, known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import { formatIp, parseIp } from "../../net/ip.ts";
import type { Namespace } from "../trace.ts";
import { leaving } from "./connections.ts";
import { receive } from "./deliver.ts";
import { routed } from "./leave.ts";
import {
  after,
  cannotTell,
  end,
  followed,
  isKnown,
  type Moving,
  type Next,
  onNode,
  rulesOf,
  type Walk,
} from "./moving.ts";
import { deviceOf, routeOf } from "./routes.ts";

/** Whether IPVS' device holds the address: then it is that of a virtual server. */
const isVirtual = ({ links }: NodePlane, address: string): boolean =>
  known(links)?.some(
    ({ name, addresses }) => name === "kube-ipvs0" && addresses.some(({ local }) => local === address),
  ) ?? false;

/**
 * IPVS takes what is for a virtual server, wherever it comes from, and sends it on to a real one as if the node did
 * (ip_vs_core.c: ip_vs_in at LOCAL_IN and LOCAL_OUT; ip_vs_xmit.c: ip_vs_nat_xmit).
 *
 * @returns undefined if it is for none
 */
export function throughIpvs(walk: Walk, moving: Moving, node: string): Next[] | undefined {
  const plane = walk.world.forwarding.of(node);
  const { packet } = moving;
  const at: Namespace = { node };
  if (moving.answer !== undefined || moving.inner.length > 0 || !isKnown(packet.destination)) return undefined;
  const address = formatIp(packet.destination);
  const servers = known(plane.ipvs);
  if (!servers) return isVirtual(plane, address) ? cannotTell(moving, at, onNode(node, "ipvs")) : undefined;
  const server = servers.find(
    (one) =>
      one.address === address && one.port === packet.destinationPort && one.protocol.toLowerCase() === packet.protocol,
  );
  if (!server)
    return isWhole(plane.ipvs) || !isVirtual(plane, address) ? undefined : cannotTell(moving, at, onNode(node, "ipvs"));
  const quote = (words: string, line: number) => quoteOf({ ...plane.ipvs.origin, line }, words);
  const named = `${server.protocol} ${server.address}:${server.port}`;
  const usable = server.realServers.filter(({ weight }) => weight > 0);
  if (usable.length === 0) {
    // ip_vs_leave: nobody to send it to
    const evidence = [quote(`${named}: no real server takes connections`, server.line)];
    return end(moving, { is: "rejected", at, evidence, with: "icmp-port-unreachable" });
  }
  // ip_vs_notrack: without connection tracking no nat chain is asked for its source
  const tracking = known(plane.sysctl("net.ipv4.vs.conntrack"));
  const untracked = tracking?.value === "0" ? tracking.evidence : undefined;
  return followed(walk, usable, ({ address: one }) => one).flatMap((real) => {
    const destination = parseIp(real.address);
    if (!destination) return cannotTell(moving, at, onNode(node, "ipvs"));
    const chosen = usable.length > 1 && moving.certainty === "certain" ? "chosen" : moving.certainty;
    // the nat chain of INPUT comes after IPVS: its source is still to be decided on
    const natDone = { destination: true, ...(untracked && { source: true as const }) } as const;
    const sent: Packet = { ...packet, destination, destinationPort: real.port, dnatted: true, natDone };
    const evidence = [quote(`${named} -> ${real.address}:${real.port}`, real.line), ...(untracked ? [untracked] : [])];
    const balanced = after(
      { ...moving, packet: sent, certainty: chosen },
      { did: "balance", by: "ipvs", at, before: packet, packet: sent, evidence },
    );
    const route = routeOf(plane, sent);
    if (typeof route !== "object") return cannotTell(balanced, at, onNode(node, "routes", rulesOf(packet)));
    if (route.end === "local")
      return receive(walk, leaving(balanced, node), at, plane.sockets, onNode(node, "sockets"));
    const out = { ...balanced, packet: { ...sent, inDevice: undefined, ...deviceOf(route) } };
    return routed(walk, out, node, route, ["output", "postrouting"]);
  });
}
