/**
 * Packets that tcpdump printed as text, one capture after the other in one file.
 *
 * Format (tcpdump 4.9–4.99, print.c and print-*.c), with `-nn`; with or without `-e`, `-q`, `-v`, `-i any`, and any of its times:
 *   1700000000.123456 IP 10.244.1.5.43284 > 10.244.2.7.8080: Flags [S], seq 1, win 64860, length 0
 *   1700000000.123456 eth0  Out IP6 fd00::1.43284 > fd00::2.8080: tcp 0
 *   12:00:00.123456 02:42:ac:11:00:02 > 02:42:ac:11:00:03, ethertype IPv4 (0x0800), length 74: 10.1.0.1 > 10.1.0.2: ICMP echo …
 * What a packet carries in VXLAN follows on a line of its own, without a time; with `-v`, so do the ends of an IPv4 packet.
 * A capture by the command that netwhy prints stands between `# netwhy capture node=… device=… from=… filter=…` and
 * `# netwhy capture until=…` (seconds since 1970, by the node's clock).
 */
import { canonicalIp } from "../net/ip.ts";
import { compact, wholeNumber } from "./fields.ts";
import { type Gap, type Parser, splitLines } from "./parsed.ts";

export type CapturedPacket = {
  readonly line: number;
  /** Seconds since 1970; missing if the times are of a clock whose zone is not told. */
  readonly at?: number;
  /** Of a capture on all devices: the one where it was seen. */
  readonly device?: string;
  /** As iptables prints it. */
  readonly protocol: "tcp" | "udp" | "sctp" | "icmp" | "ipv6-icmp";
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Of an ICMP echo: which it is, and the number that its asker chose. */
  readonly echo?: "request" | "reply";
  readonly id?: number;
};

export type PacketCapture = {
  /** Of its first line, and of its last. */
  readonly line: number;
  readonly lastLine: number;
  readonly node?: string;
  /** `any`: all of them. */
  readonly device?: string;
  /** In pcap's language. */
  readonly filter?: string;
  /** Seconds since 1970. */
  readonly from?: number;
  readonly until?: number;
  readonly packets: readonly CapturedPacket[];
  /** It was ended in order, and every packet that tcpdump saw stands here: what it lacks was not there. */
  readonly isWhole: boolean;
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Open = Mutable<Omit<PacketCapture, "packets">> & {
  packets: CapturedPacket[];
  /** How many packets tcpdump says that it printed, and how many lines of packets there are. */
  captured?: number | undefined;
  printed: number;
  lost: number;
  isOdd: boolean;
};
type Where = Pick<CapturedPacket, "at" | "device">;

const HEAD = /^# netwhy capture node=(\S+) device=(\S+) from=(\d{1,12}) filter=(.+)$/;
const TAIL = /^# netwhy capture until=(\d{1,12})$/;
const LISTENING = /^(?:tcpdump: )?listening on ([^\s,]+), link-type /;
const CAPTURED = /^(\d{1,9}) packets? captured$/;
const DROPPED = /^(\d{1,9}) packets? dropped by (?:kernel|interface)$/;
/** What else tcpdump says of itself. */
const CHATTER = /^(?:tcpdump: .*|\d+ packets? received by filter|dropped privs to .*|\^C.*)$/;

const STAMP = /^(?:(\d{9,11}\.\d{3,9})|(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3,9}|\d{1,2}:\d\d:\d\d\.\d{3,9}) (.*)$/;
const ON_DEVICE = /^(\S{1,15})\s+(?:In|Out|B|M|P) {1,2}(?=\S)/;
const ENDS = /^\s*([0-9a-fA-F:.]{3,60}) > ([0-9a-fA-F:.]{3,60}): (.*)$/;
/** Packets of the network itself, not of who uses it. */
const OF_THE_LINK = /^(?:ARP|RARP|STP|LLDP|IS-IS|PPPoE|EAPOL|EAP|IGMP)\b|ethertype (?:ARP|LLDP|EAPOL|Unknown)/;
/** More are no answer to a question. */
const MOST_PACKETS = 100_000;
const MOST_GAPS = 100;

export const parsePacketCaptures: Parser<readonly PacketCapture[]> = (text) => {
  const { lines, gaps: cut } = splitLines(text);
  const value: PacketCapture[] = [];
  const gaps: Gap[] = [];
  let open: Open | undefined;
  let waiting: Where | undefined;
  let kept = 0;

  function close(lastLine: number): void {
    waiting = undefined;
    if (!open) return;
    const { captured, printed, lost, isOdd, ...rest } = open;
    const isWhole = rest.until !== undefined && captured === printed && lost === 0 && !isOdd;
    value.push({ ...rest, lastLine, isWhole });
    open = undefined;
  }
  const begun = (line: number): Open => {
    open ??= { line, lastLine: line, packets: [], isWhole: false, printed: 0, lost: 0, isOdd: false };
    return open;
  };
  function odd(line: number, content: string): void {
    if (open) open.isOdd = true;
    if (gaps.length < MOST_GAPS) gaps.push({ line, what: `is no packet: ${content.slice(0, 100)}` });
  }
  function add(packet: CapturedPacket): void {
    if (kept < MOST_PACKETS) begun(packet.line).packets.push(packet);
    else begun(packet.line).isOdd = true;
    kept++;
  }

  function take(content: string, line: number): void {
    const head = HEAD.exec(content);
    if (head) {
      close(line - 1);
      const [, node, device, from, filter] = head;
      Object.assign(begun(line), { node, device, filter, from: Number(from) });
      return;
    }
    const tail = TAIL.exec(content);
    if (tail) {
      if (open) open.until = Number(tail[1]);
      close(line);
      return;
    }
    const listening = LISTENING.exec(content);
    if (listening) {
      // of a tcpdump without head, the one before has ended
      if (open && open.node === undefined && open.device !== undefined) close(line - 1);
      const { device } = begun(line);
      if (device === undefined) begun(line).device = listening[1]!;
      else if (device !== listening[1]) odd(line, content);
      return;
    }
    const captured = CAPTURED.exec(content);
    if (captured) {
      begun(line).captured = Number(captured[1]);
      return;
    }
    const dropped = DROPPED.exec(content);
    if (dropped) {
      begun(line).lost += Number(dropped[1]);
      return;
    }
    const stamped = STAMP.exec(content);
    if (stamped) {
      const [, seconds, rest = ""] = stamped;
      begun(line).printed++;
      const device = ON_DEVICE.exec(rest);
      const where = compact({ at: seconds === undefined ? undefined : Number(seconds), device: device?.[1] });
      const what = device ? rest.slice(device[0].length) : rest;
      waiting = where;
      if (OF_THE_LINK.test(what)) waiting = undefined;
      else if (!readPacket(withoutLink(what), where, line)) odd(line, content);
      return;
    }
    if (waiting && /^(?:IP6? |\s+|[0-9a-f]{2}:)/.test(content)) {
      readPacket(withoutLink(content), waiting, line);
      return;
    }
    if (content.trim() !== "" && !CHATTER.test(content)) odd(line, content);
  }

  /** @returns whether it makes sense: a packet, or the head of one whose ends stand in the next line */
  function readPacket(what: string, where: Where, line: number): boolean {
    if (/^IP6? \((?:tos|flowlabel|class|hlim)\b.*\)$/.test(what)) return true;
    const packet = packetOf(what.replace(/^IP6? (?:\((?:[^()]|\([^()]*\))*\) )?/, ""), where, line);
    if (packet) add(packet);
    return packet !== undefined;
  }

  lines.forEach((content, index) => {
    take(content.endsWith("\r") ? content.slice(0, -1) : content, index + 1);
  });
  close(lines.length);
  if (kept > MOST_PACKETS) gaps.push({ what: `${kept - MOST_PACKETS} more packets were not kept` });
  return { value, gaps: [...gaps, ...cut] };
};

/** Without the hardware addresses that `-e` prints. */
const withoutLink = (what: string): string =>
  what.replace(/^.{0,200}?\bethertype IPv[46] \(0x[0-9a-f]{4}\), length \d+: /, "");

function packetOf(what: string, where: Where, line: number): CapturedPacket | undefined {
  const [, from = "", to = "", body = ""] = ENDS.exec(what) ?? [];
  const [source, destination] = [endOf(from), endOf(to)];
  if (!source || !destination) return undefined;
  const protocol = protocolOf(body, source.port !== undefined && destination.port !== undefined);
  if (!protocol) return undefined;
  const echo = /^ICMP6?,? echo (request|reply)(?:, id (\d{1,5}))?/.exec(body);
  return compact({
    line,
    ...where,
    protocol,
    source: source.address,
    destination: destination.address,
    sourcePort: source.port,
    destinationPort: destination.port,
    echo: echo?.[1] as CapturedPacket["echo"] | undefined,
    id: echo?.[2] === undefined ? undefined : Number(echo[2]),
  });
}

/** `10.0.0.1`, `10.0.0.1.80`, `fd00::1`, `fd00::1.80`. */
function endOf(text: string): { readonly address: string; readonly port?: number } | undefined {
  const whole = canonicalIp(text);
  if (whole !== undefined) return { address: whole };
  const dot = text.lastIndexOf(".");
  const address = dot < 0 ? undefined : canonicalIp(text.slice(0, dot));
  const port = wholeNumber(text.slice(dot + 1));
  return address === undefined || port === undefined || port > 65535 ? undefined : { address, port };
}

/** TCP and SCTP are named by what tcpdump prints of them; of what else has ports, it prints what UDP carries. */
function protocolOf(body: string, hasPorts: boolean): CapturedPacket["protocol"] | undefined {
  if (body.startsWith("ICMP6")) return "ipv6-icmp";
  if (body.startsWith("ICMP")) return "icmp";
  if (!hasPorts) return undefined;
  if (/^(?:Flags \[|tcp \d)/.test(body)) return "tcp";
  return body.startsWith("sctp") ? "sctp" : "udp";
}
