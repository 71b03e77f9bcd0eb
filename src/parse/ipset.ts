/**
 * `ipset save`: `create NAME TYPE options…` then `add NAME ENTRY options…` for each member (ipset(8)).
 */
import { type Parser, splitLines } from "./parsed.ts";

export type Ipset = {
  readonly name: string;
  /** E.g. hash:ip, hash:net, hash:ip,port, bitmap:port. */
  readonly type: string;
  readonly family: "inet" | "inet6";
  readonly entries: readonly { readonly value: string; readonly nomatch: boolean }[];
  readonly line: number;
};

type Draft = { name: string; type: string; family: Ipset["family"]; entries: Ipset["entries"][number][]; line: number };

/** Names may hold blanks, types look like nothing else. The options are separated by single blanks. */
const CREATE = /^create (.+?) ((?:hash|bitmap|list):[a-z,]+)(?: (.*))?$/;

function toSet(content: string, line: number): Draft | undefined {
  const [, name, type, options = ""] = CREATE.exec(content) ?? [];
  if (name === undefined || type === undefined) return undefined;
  const family = / family inet6 /.test(` ${options} `) ? "inet6" : "inet";
  return { name, type, family, entries: [], line };
}

/** `ENTRY timeout 299 packets 0 bytes 0 comment "say nomatch"`: a comment may hold any words, but no quotes. */
function toEntry(rest: string): Ipset["entries"][number] | undefined {
  const [value = "", ...options] = rest.replace(/"[^"]*"/, '""').split(" ");
  return value === "" ? undefined : { value, nomatch: options.includes("nomatch") };
}

export const parseIpset: Parser<readonly Ipset[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const sets = new Map<string, Draft>();
  let current: Draft | undefined;

  /** The set that a line adds to: nearly always the one created before it. */
  function setOf(rest: string): Draft | undefined {
    if (current && rest.startsWith(`${current.name} `)) return current;
    return sets.get(rest.slice(0, rest.indexOf(" ")));
  }

  function add(rest: string): boolean {
    const set = setOf(rest);
    const entry = set && toEntry(rest.slice(set.name.length + 1));
    if (entry) set.entries.push(entry);
    return entry !== undefined;
  }

  function create(content: string, line: number): boolean {
    current = toSet(content, line);
    if (!current || sets.has(current.name)) return false;
    sets.set(current.name, current);
    return true;
  }

  lines.forEach((content, index) => {
    if (content === "") return;
    const isRead = content.startsWith("add ") ? add(content.slice(4)) : create(content, index + 1);
    if (!isRead) gaps.push({ line: index + 1, what: `is neither set nor member: ${content.slice(0, 100)}` });
  });
  return { value: [...sets.values()], gaps };
};
