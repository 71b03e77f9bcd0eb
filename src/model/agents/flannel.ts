/**
 * What flannel writes on a node, with the VXLAN backend.
 *
 * Source: flannel pkg/backend/vxlan/{device,vxlan_network}.go, pkg/trafficmngr/iptables/iptables.go (masqRules,
 * forwardRules), pkg/subnet/subnet.go (subnet.env).
 */
import { known } from "../../evidence/observed.ts";
import { formatIp, formatPrefix, parsePrefix } from "../../net/ip.ts";
import type { FdbEntry } from "../../parse/bridge-fdb.ts";
import type { Link } from "../../parse/ip-addr.ts";
import type { Neighbour } from "../../parse/ip-neigh.ts";
import type { Route } from "../../parse/ip-route.ts";
import type { Flannel, FlannelPeer } from "../flannel.ts";
import type { TableText } from "./kube-proxy.ts";

export type FlannelState = {
  readonly device: Link;
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  readonly fdb: readonly FdbEntry[];
  readonly nat: TableText;
  readonly filter: TableText;
};

/** VXLAN over IPv4: outer Ethernet, IP, UDP and VXLAN headers. */
const OVERHEAD = 50;

const route = (peer: FlannelPeer, device: string): Route => ({
  type: "unicast",
  family: "inet",
  destination: formatPrefix(peer.range),
  table: "main",
  scope: "global",
  nextHops: [{ gateway: formatIp(peer.range.ip), device, flags: ["onlink"] }],
  flags: ["onlink"],
});

/** The kernel's own, for the address that the device has. */
const localRoute = (address: string, device: string): Route => ({
  type: "local",
  family: "inet",
  destination: `${address}/32`,
  table: "local",
  protocol: "kernel",
  scope: "host",
  source: address,
  nextHops: [{ device, flags: [] }],
  flags: [],
});

/** @returns undefined for a node that is in no flannel network, or uses another backend */
export function flannelState(flannel: Flannel, node: string, uplinkMtu: number): FlannelState | undefined {
  const self = flannel.peer(node);
  if (self?.backend !== "vxlan" || self.mac === undefined) return undefined;
  const device = `flannel.${flannel.config?.vni ?? 1}`;
  const peers = flannel.paths(node).map(({ peer }) => peer);
  const [told] = known(flannel.subnetEnv(node))?.networks ?? [];
  const network = flannel.config?.networks[0] ?? (told === undefined ? undefined : parsePrefix(told)) ?? self.range;
  const [range, net] = [formatPrefix(self.range), formatPrefix(network)];
  const masq = '-m comment --comment "flanneld masq"';
  const forward = '-m comment --comment "flanneld forward"';
  return {
    device: {
      index: 4,
      name: device,
      flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
      mtu: uplinkMtu - OVERHEAD,
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
      addresses: [{ family: "inet", local: formatIp(self.range.ip), prefixLength: 32, scope: "global" }],
    },
    routes: [...peers.map((peer) => route(peer, device)), localRoute(formatIp(self.range.ip), device)],
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
        `-A FLANNEL-POSTRTG -s ${net} ! -d 224.0.0.0/4 ${masq} -j MASQUERADE --random-fully`,
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
