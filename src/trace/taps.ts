/** Where packets would be captured to see what becomes of them between nodes: the device by which they leave the one, and that
 * by which they come to the other. */
import type { Packet } from "../model/netfilter/packet.ts";
import { formatIp } from "../net/ip.ts";
import type { Step, Way } from "./trace.ts";

export type Tap = {
  readonly node: string;
  /** `any`: all of them. */
  readonly device: string;
  /** As it is seen there, not encapsulated. */
  readonly packet: Packet;
  /** Of these packets and their answers, in pcap's language. */
  readonly filter: string;
};

/** @returns the sending end first; only one for packets that stay on their node, none if their addresses are not known */
export function tapsOf({ steps, answer }: Way): readonly Tap[] {
  const there = steps.slice(0, answer);
  const leaving = there.findIndex(({ did }) => did === "carry");
  const coming = there.findLastIndex(({ did }) => did === "carry");
  const left = there[leaving];
  const come = there[coming];
  if (left?.did !== "carry" || come?.did !== "carry") {
    const sent = there.find(({ did }) => did === "send");
    const packet = there.map(packetAfter).findLast((one) => one !== undefined);
    return sent?.did === "send" ? tap(sent.at.node, "any", packet) : [];
  }
  const wrapping = there.findIndex((step) => step.did === "encapsulate" && step.at.node === left.from);
  const wrapped = wrapping >= 0 && wrapping < leaving ? there[wrapping] : undefined;
  const before = there.slice(0, wrapped ? wrapping : leaving);
  const sent = before.map(packetAfter).findLast((one) => one !== undefined);
  const after = there.slice(coming + 1);
  const unwrapped = after.findLast((step) => step.did === "decapsulate");
  const arrived = after
    .slice(unwrapped ? after.indexOf(unwrapped) : 0)
    .map(packetBefore)
    .find((one) => one !== undefined);
  return [
    ...tap(left.from, wrapped?.did === "encapsulate" ? wrapped.device : left.device, sent),
    ...tap(come.to, unwrapped?.did === "decapsulate" ? unwrapped.device : (arrived?.inDevice ?? "any"), arrived),
  ];
}

const packetAfter = (step: Step): Packet | undefined => ("packet" in step ? step.packet : undefined);
const packetBefore = (step: Step): Packet | undefined => ("before" in step ? step.before : undefined);

function tap(node: string, device: string, packet: Packet | undefined): Tap[] {
  const filter = packet && filterOf(packet);
  return !packet || filter === undefined
    ? []
    : [{ node, device: device === "unknown" ? "any" : device, packet, filter }];
}

const PCAP_NAMES: Readonly<Record<string, string>> = {
  tcp: "tcp",
  udp: "udp",
  sctp: "sctp",
  icmp: "icmp",
  "ipv6-icmp": "icmp6",
};

function filterOf({ protocol, source, destination, destinationPort }: Packet): string | undefined {
  const name = Object.hasOwn(PCAP_NAMES, protocol) ? PCAP_NAMES[protocol] : undefined;
  if (name === undefined || source === "unknown" || destination === "unknown" || destinationPort === "unknown")
    return undefined;
  const port = destinationPort === undefined ? "" : ` port ${destinationPort}`;
  return `host ${formatIp(source)} and host ${formatIp(destination)} and ${name}${port}`;
}
