/**
 * `nstat -asz`: the kernel's counters of IP, TCP, UDP and ICMP since boot, a line each (iproute2, misc/nstat.c; their names
 * are those of /proc/net/snmp, snmp6 and netstat with the name of the group before):
 *   #kernel
 *   TcpExtListenOverflows           0                  0.0
 * name, count, and a rate that nobody keeps.
 */
import { type Parser, splitLines } from "../parsed.ts";

export type NetworkCounters = ReadonlyMap<string, { readonly count: number; readonly line: number }>;

export const parseNstat: Parser<NetworkCounters> = (text) => {
  const { lines, gaps } = splitLines(text);
  const counters = new Map<string, { readonly count: number; readonly line: number }>();
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content.startsWith("#") || content.trim() === "") return;
    const [, name, digits] = /^([A-Za-z]\w*)\s+(\d{1,20})(?:\s+\S+)?$/.exec(content.trimEnd()) ?? [];
    const count = Number(digits);
    if (name === undefined || !Number.isSafeInteger(count)) gaps.push({ line, what: "expected a counter" });
    else counters.set(name, { count, line });
  });
  return { value: counters, gaps };
};
