/**
 * `sysctl -a`, or the lines of it that concern the network: `net.ipv4.ip_forward = 1`, a key a line.
 *
 * Source: procps sysctl(8). A dot inside an interface name is printed as a slash (`net.ipv4.conf.eth0/100.rp_filter`).
 * A key that is not there may have been filtered: it says nothing.
 */
import { type Parser, splitLines } from "./parsed.ts";

export type Sysctls = ReadonlyMap<string, { readonly value: string; readonly line: number }>;

const KEY = /^[a-zA-Z0-9_.\-/:@]+$/;

export const parseSysctl: Parser<Sysctls> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value = new Map<string, { value: string; line: number }>();
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content === "") return;
    const split = content.indexOf(" =");
    const key = content.slice(0, split);
    if (split < 0 || !KEY.test(key)) {
      gaps.push({ line, what: `is no "key = value": ${content.slice(0, 100)}` });
      return;
    }
    const given = content.slice(split + 2).replace(/^ /, "");
    const earlier = value.get(key);
    // a value of several lines is printed with its key before each of them
    value.set(key, earlier ? { ...earlier, value: `${earlier.value}\n${given}` } : { value: given, line });
  });
  return { value, gaps };
};
