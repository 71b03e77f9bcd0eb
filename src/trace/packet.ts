/** The packets with which walks begin. */
import type { Packet } from "../model/netfilter/packet.ts";
import type { Ip } from "../net/ip.ts";

export type Protocol = "tcp" | "udp" | "sctp" | "icmp";

/** A client's port, as good as any other (net.ipv4.ip_local_port_range begins at 32768). */
const CLIENT_PORT = 40_000;

/** The packet that opens a connection, as a socket sends it; without a source, the kernel chooses one. */
export function openingPacket(protocol: Protocol, source: Ip | undefined, destination: Ip, port = 0): Packet {
  const isIcmp = protocol === "icmp";
  return {
    family: destination.family,
    protocol: isIcmp && destination.family === 6 ? "ipv6-icmp" : protocol,
    source: source ?? "unknown",
    destination,
    ...(isIcmp
      ? { icmpType: destination.family === 6 ? 128 : 8, icmpCode: 0 }
      : { sourcePort: CLIENT_PORT, destinationPort: port }),
    ...(protocol === "tcp" && { tcpFlags: ["SYN"] }),
    mark: 0,
    ctState: "new",
  };
}
