/**
 * Metrics in Prometheus' text format 0.0.4, a sample a line:
 *   # TYPE coredns_dns_responses_total counter
 *   coredns_dns_responses_total{plugin="forward",rcode="SERVFAIL",server="dns://:53",view="",zone="."} 3
 *   process_start_time_seconds 1.7637e+09 1763700000000
 * name, labels whose values have `\\`, `\"` and `\n` escaped, a floating-point number as Go writes it, and milliseconds
 * since 1970 that nobody keeps (prometheus.io/docs/instrumenting/exposition_formats).
 *
 * A component exposes thousands of samples: only those with wanted names are kept.
 */
import { lineSplitter } from "../line-splitter.ts";
import { CUT_OFF, type Gap, type Parsed, type Reader } from "../parsed.ts";

export type MetricSample = {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  /** 1-based. */
  readonly line: number;
};

/** Samples by their names; names without a sample are not in it. */
export type Metrics = ReadonlyMap<string, readonly MetricSample[]>;

const MOST_SAMPLES = 2000;
const MOST_GAPS = 20;
const LONGEST_LINE = 16 * 1024;

const NAME = /^[A-Za-z_:][\w:]*/;
const LABEL = /\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\["\\n])*)"\s*(,|(?=\}))/y;
const CLOSING = /\s*\}/y;
const VALUE = /^\s+([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN)(?:\s+-?\d+)?\s*$/;

const unescaped = (value: string): string => value.replace(/\\(.)/g, (_, sign) => (sign === "n" ? "\n" : sign));

/** @returns the labels, and where they end; undefined if they make no sense */
function labelsAt(line: string, start: number): { labels: Map<string, string>; end: number } | undefined {
  const labels = new Map<string, string>();
  if (line[start] !== "{") return { labels, end: start };
  LABEL.lastIndex = start + 1;
  for (let end = start + 1; ; end = LABEL.lastIndex) {
    CLOSING.lastIndex = end;
    if (CLOSING.test(line)) return { labels, end: CLOSING.lastIndex };
    const [, name, value = ""] = LABEL.exec(line) ?? [];
    if (name === undefined || labels.has(name)) return undefined;
    labels.set(name, unescaped(value));
  }
}

function numberOf(text: string): number {
  if (text.endsWith("Inf")) return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

/** @param wanted names of samples: a histogram's are those with `_count`, `_sum` and `_bucket` */
export function metricsReader(wanted: ReadonlySet<string>): Reader<Metrics> {
  const samples = new Map<string, MetricSample[]>();
  const gaps: Gap[] = [];
  let kept = 0;
  let line = 0;

  /** @returns what is wrong with the line, if something is */
  function take(text: string): string | undefined {
    if (text.startsWith("#") || text.trim() === "") return undefined;
    const name = NAME.exec(text)?.[0];
    if (name === undefined) return "expected a sample";
    if (!wanted.has(name)) return undefined;
    const read = labelsAt(text, name.length);
    const value = read && VALUE.exec(text.slice(read.end))?.[1];
    if (!read || value === undefined) return "expected labels and a number";
    if (kept === MOST_SAMPLES) return `more than ${MOST_SAMPLES} samples: the rest was not read`;
    kept++;
    const sample = { labels: read.labels, value: numberOf(value), line };
    const same = samples.get(name);
    if (same) same.push(sample);
    else samples.set(name, [sample]);
    return undefined;
  }

  const splitter = lineSplitter(LONGEST_LINE, (text) => {
    line++;
    const what = take(text);
    if (what !== undefined && gaps.length < MOST_GAPS) gaps.push({ line, what });
  });
  return {
    write: (piece) => splitter.write(piece),
    end(): Parsed<Metrics> {
      const rest = splitter.end();
      return { value: samples, gaps: rest === "" ? gaps : [...gaps, { line: line + 1, what: CUT_OFF }] };
    },
  };
}

/** The sum of the samples with a name that have these labels, of what a counter counted. */
export function sumOf(metrics: Metrics, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels);
  return (metrics.get(name) ?? [])
    .filter((sample) => wanted.every(([label, value]) => sample.labels.get(label) === value))
    .reduce((sum, { value }) => sum + value, 0);
}
