/**
 * `ss -lntupSH`: listening TCP, UDP and SCTP sockets.
 *
 * Format (iproute2, misc/ss.c): protocol, state (LISTEN, UNCONN), queues, local address:port, peer address:port,
 * users:(("name",pid=1,fd=3)). The address is `*` for both families, `0.0.0.0`, `[::]`, an address, or
 * `address%device`.
 */
import { canonicalIp } from "../../net/ip.ts";
import { compact, splitPort, withoutBrackets } from "../fields.ts";
import { type Parser, splitLines } from "../parsed.ts";

export type SocketProtocol = "tcp" | "udp" | "sctp";

export type ListeningSocket = {
  readonly protocol: SocketProtocol;
  /** Canonical address, or "*" for every address of both families. */
  readonly address: string;
  readonly device?: string;
  readonly port: number;
  /** The names of the processes that hold it; empty if they could not be seen. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
  readonly line: number;
};

const WITH_NETID = /^(tcp|udp|sctp)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s*(.*)$/;
const WITHOUT_NETID = /^(LISTEN|UNCONN)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s*(.*)$/;
const OTHER_NETID = /^(raw|icmp6|nl|u_\w+|p_\w+|v_\w+|mptcp|dccp|tipc|xdp|udplite|\?\?\?)\s/;
const ASSOCIATION = /^`- /;
const HEADER = /^(Netid\s+)?State\s+Recv-Q\s/;

type Row = { readonly protocol: SocketProtocol; readonly state: string; readonly local: string; readonly rest: string };

/**
 * The columns of a line; the first is missing when one kind of sockets was asked for, and then the state tells which.
 */
function columnsOf(line: string): Row | undefined {
  const named = WITH_NETID.exec(line);
  if (named) return { protocol: named[1] as Row["protocol"], state: named[2]!, local: named[5]!, rest: named[7]! };
  const bare = WITHOUT_NETID.exec(line);
  return bare
    ? { protocol: bare[1] === "LISTEN" ? "tcp" : "udp", state: bare[1]!, local: bare[4]!, rest: bare[6]! }
    : undefined;
}

/** `address`, `[address]%device`, `*%device`; without -n there are names, which are no addresses. */
function toLocal(text: string): Pick<ListeningSocket, "address" | "device" | "port"> | undefined {
  const split = splitPort(text);
  if (!split) return undefined;
  const percent = split.host.lastIndexOf("%");
  const host = percent < 0 ? split.host : split.host.slice(0, percent);
  const address = host === "*" ? "*" : canonicalIp(withoutBrackets(host));
  const device = percent < 0 ? undefined : split.host.slice(percent + 1);
  return address === undefined || device === "" ? undefined : compact({ address, device, port: split.port });
}

/**
 * users:(("nginx: worker",pid=7,fd=3),("b",pid=8,fd=4)): a name may hold anything, a process may hold several
 * descriptors.
 */
function toProcesses(rest: string): ListeningSocket["processes"] {
  const start = rest.indexOf("users:((");
  if (start < 0) return [];
  const byPid = new Map<number, string>();
  for (const [, name, pid] of rest.slice(start + 7).matchAll(/\("([^\n]{0,64}?)",pid=(\d{1,10}),/g)) {
    byPid.set(Number(pid), name!);
  }
  return [...byPid].map(([pid, name]) => ({ name, pid }));
}

export const parseSs: Parser<readonly ListeningSocket[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: ListeningSocket[] = [];
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content.trim() === "" || HEADER.test(content) || OTHER_NETID.test(content) || ASSOCIATION.test(content)) return;
    const row = columnsOf(content);
    const local = row && toLocal(row.local);
    if (!local) gaps.push({ line, what: `is no socket: ${content.slice(0, 100)}` });
    else if (row.state === "LISTEN" || row.state === "UNCONN") {
      value.push({ protocol: row.protocol, ...local, processes: toProcesses(row.rest), line });
    }
  });
  return { value, gaps };
};
