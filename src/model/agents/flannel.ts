/**
 * What flannel writes on a node, with the VXLAN backend.
 *
 * Source: flannel pkg/backend/vxlan/{device,vxlan_network}.go, pkg/trafficmngr/iptables/iptables.go (masqRules,
 * forwardRules), pkg/subnet/subnet.go (subnet.env).
 */
import { known } from "../../evidence/observed.ts";
import { bitsOf, type Family, formatIp, formatPrefix, parsePrefix } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { FdbEntry } from "../../parse/iproute2/bridge-fdb.ts";
import type { Neighbour } from "../../parse/iproute2/neigh.ts";
import type { Route } from "../../parse/iproute2/route.ts";
import { type Flannel, tunnelDevice } from "../flannel.ts";
import type { OverlayPeer } from "../tunnels/overlay.ts";
import type { TableText } from "./kube-proxy.ts";

export type FlannelState = {
  readonly device: Link;
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  readonly fdb: readonly FdbEntry[];
  readonly nat: TableText;
  readonly filter: TableText;
};

/** VXLAN: outer Ethernet, IP, UDP and VXLAN headers (include/net/vxlan.h: VXLAN_HEADROOM, VXLAN6_HEADROOM). */
const OVERHEAD = { 4: 50, 6: 70 } as const;
const INET = { 4: "inet", 6: "inet6" } as const;
/** Whom no packet of a Pod is masqueraded to: multicast. */
const MULTICAST = { 4: "224.0.0.0/4", 6: "ff00::/8" } as const;

const route = (peer: OverlayPeer, device: string): Route => ({
  type: "unicast",
  family: INET[peer.family],
  destination: formatPrefix(peer.range),
  table: "main",
  // what `ip -6 route` prints of every route that was given none (IP6_RT_PRIO_USER)
  ...(peer.family === 6 ? { metric: 1024 } : { scope: "global" }),
  nextHops: [{ gateway: peer.gateway, device, flags: ["onlink"] }],
  flags: ["onlink"],
});

/** The kernel's own, for the address that the device has. */
const localRoute = (address: string, device: string, family: Family): Route => ({
  type: "local",
  family: INET[family],
  destination: `${address}/${bitsOf(family)}`,
  table: "local",
  protocol: "kernel",
  ...(family === 6 ? { metric: 0 } : { scope: "host", source: address }),
  nextHops: [{ device, flags: [] }],
  flags: [],
});

/** @returns undefined for a node that is in no flannel network, or uses another backend */
export function flannelState(
  flannel: Flannel,
  node: string,
  uplinkMtu: number,
  family: Family,
): FlannelState | undefined {
  const self = flannel.peer(node, family);
  if (self?.backend !== "vxlan" || self.mac === undefined) return undefined;
  const device = tunnelDevice(flannel.config?.vni ?? 1, family);
  const peers = flannel
    .paths(node)
    .map(({ peer }) => peer)
    .filter((peer) => peer.family === family);
  const env = known(flannel.subnetEnv(node));
  const [told] = (family === 4 ? env?.networks : env?.ipv6Networks) ?? [];
  const network =
    flannel.config?.networks.find(({ ip }) => ip.family === family) ??
    (told === undefined ? undefined : parsePrefix(told)) ??
    self.range;
  const [range, net] = [formatPrefix(self.range), formatPrefix(network)];
  const masq = '-m comment --comment "flanneld masq"';
  const forward = '-m comment --comment "flanneld forward"';
  return {
    device: {
      index: family === 4 ? 4 : 5,
      name: device,
      flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
      mtu: uplinkMtu - OVERHEAD[family],
      operState: "UNKNOWN",
      mac: self.mac,
      kind: "vxlan",
      vxlan: {
        id: flannel.config?.vni ?? 1,
        port: flannel.config?.port ?? 8472,
        local: self.publicIp,
        learning: false,
        device: "eth0",
      },
      addresses: [
        { family: INET[family], local: formatIp(self.range.ip), prefixLength: bitsOf(family), scope: "global" },
      ],
    },
    routes: [...peers.map((peer) => route(peer, device)), localRoute(formatIp(self.range.ip), device, family)],
    neighbours: peers.flatMap((peer) =>
      peer.mac === undefined
        ? []
        : [{ address: formatIp(peer.range.ip), device, mac: peer.mac, states: ["PERMANENT"] }],
    ),
    fdb: peers.flatMap((peer) =>
      peer.mac === undefined
        ? []
        : [{ mac: peer.mac, device, destination: peer.publicIp, state: "permanent", flags: ["self"] }],
    ),
    nat: {
      chains: ["FLANNEL-POSTRTG"],
      rules: [
        `-A POSTROUTING ${masq} -j FLANNEL-POSTRTG`,
        `-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 ${masq} -j RETURN`,
        `-A FLANNEL-POSTRTG -s ${range} -d ${net} ${masq} -j RETURN`,
        `-A FLANNEL-POSTRTG -s ${net} -d ${range} ${masq} -j RETURN`,
        `-A FLANNEL-POSTRTG ! -s ${net} -d ${range} ${masq} -j RETURN`,
        `-A FLANNEL-POSTRTG -s ${net} ! -d ${MULTICAST[family]} ${masq} -j MASQUERADE --random-fully`,
        `-A FLANNEL-POSTRTG ! -s ${net} -d ${net} ${masq} -j MASQUERADE --random-fully`,
      ],
    },
    filter: {
      chains: ["FLANNEL-FWD"],
      rules: [
        `-A FORWARD ${forward} -j FLANNEL-FWD`,
        `-A FLANNEL-FWD -s ${net} ${forward} -j ACCEPT`,
        `-A FLANNEL-FWD -d ${net} ${forward} -j ACCEPT`,
      ],
    },
  };
}
