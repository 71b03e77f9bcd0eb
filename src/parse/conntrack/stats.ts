/**
 * `conntrack -S`: counters of the connection tracking since boot, a line a CPU:
 *   cpu=0  found=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 clash_resolve=0
 * and chaintoolong on the same line
 * (kernel: net/netfilter/nf_conntrack_standalone.c). `drop` counts packets lost because no entry could be made.
 */
import { type Parser, splitLines } from "../parsed.ts";

/** The sum over all CPUs of every counter. */
export type ConntrackStats = Readonly<Record<string, number>>;

/** The counters of one line, or undefined if it is none. */
function readCounters(line: string): readonly (readonly [string, number])[] | undefined {
  const [cpu, ...words] = line.trim().split(/\s+/);
  if (cpu === undefined || !/^cpu=\d+$/.test(cpu) || words.length === 0) return undefined;
  const counters = words.map((word) => /^([a-z_]+)=(\d{1,15})$/.exec(word));
  return counters.every((counter) => counter !== null)
    ? counters.map((counter) => [counter[1]!, Number(counter[2])] as const)
    : undefined;
}

export const parseConntrackStats: Parser<ConntrackStats> = (text) => {
  const { lines, gaps } = splitLines(text);
  const sums = new Map<string, number>();
  lines.forEach((content, index) => {
    const counters = readCounters(content);
    if (!counters) gaps.push({ line: index + 1, what: "expected the counters of a CPU" });
    for (const [name, count] of counters ?? []) sums.set(name, (sums.get(name) ?? 0) + count);
  });
  if (text === "") gaps.push({ what: "empty" });
  return { value: Object.fromEntries(sums), gaps };
};
