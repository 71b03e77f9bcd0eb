import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { neverThrows, RUNS, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { bytesOf, damaged, readPieces, splitsDoNotMatter } from "../../../testing/pieces.ts";
import { metricsReader, sumOf } from "./metrics.ts";

const WANTED = new Set(["coredns_dns_responses_total", "coredns_forward_healthcheck_broken_total", "start_seconds"]);

// CoreDNS 1.12
const SAMPLE = `# HELP coredns_dns_responses_total Counter of response status codes.
# TYPE coredns_dns_responses_total counter
coredns_dns_responses_total{plugin="forward",rcode="NOERROR",server="dns://:53",view="",zone="."} 12
coredns_dns_responses_total{plugin="forward",rcode="SERVFAIL",server="dns://:53",view="",zone="."} 3
coredns_dns_responses_total{plugin="kubernetes",rcode="NXDOMAIN",server="dns://:53",view="",zone="."} 1.5e+03
# HELP coredns_forward_healthcheck_broken_total Counter of the number of complete failures of the healthchecks.
# TYPE coredns_forward_healthcheck_broken_total counter
coredns_forward_healthcheck_broken_total 0
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0.5"} 2.2e-05
start_seconds 1.7637e+09 1763700000000
`;

const parse = (text: string) => readPieces(metricsReader(WANTED), [text]);

describe("metrics", () => {
  it("keeps the wanted samples, each with its line", () => {
    const { value, gaps } = parse(SAMPLE);
    expect(gaps).toEqual([]);
    expect([...value.keys()]).toEqual([...WANTED]);
    const responses = value.get("coredns_dns_responses_total")!;
    expect(responses.map(({ value, line }) => [value, line])).toEqual([
      [12, 3],
      [3, 4],
      [1500, 5],
    ]);
    expect(Object.fromEntries(responses[0]!.labels)).toEqual({
      plugin: "forward",
      rcode: "NOERROR",
      server: "dns://:53",
      view: "",
      zone: ".",
    });
    expect(value.get("start_seconds")).toMatchObject([{ value: 1.7637e9 }]);
  });

  it("are summed by labels", () => {
    const { value } = parse(SAMPLE);
    expect(sumOf(value, "coredns_dns_responses_total", { plugin: "forward", zone: "." })).toBe(15);
    expect(sumOf(value, "coredns_dns_responses_total", { zone: "example.org." })).toBe(0);
    expect(sumOf(value, "unknown")).toBe(0);
  });

  it.each([
    ["start_seconds NaN", Number.NaN],
    ["start_seconds +Inf", Number.POSITIVE_INFINITY],
    ["start_seconds -Inf", Number.NEGATIVE_INFINITY],
    ["start_seconds{} 1", 1],
    ['start_seconds{ a = "1" , b = "2", } 2', 2],
  ])("reads %s", (line, expected) =>
    expect(parse(`${line}\n`)).toMatchObject({ value: new Map([["start_seconds", [{ value: expected }]]]), gaps: [] }),
  );

  it.each([
    "start_seconds",
    "start_seconds many",
    "start_seconds 0x10",
    'start_seconds{a="1" 2',
    'start_seconds{a="1"b="2"} 2',
    'start_seconds{a="1",a="2"} 2',
    'start_seconds{a="\\x"} 2',
    "<html>",
  ])("does not guess: %s", (line) => {
    const { value, gaps } = parse(`${line}\n`);
    expect(value).toEqual(new Map());
    expect(gaps).toMatchObject([{ line: 1 }]);
  });

  it("gives back whatever labels hold", () => {
    const escaped = (text: string) => text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/), fc.string()), {
          selector: ([name]) => name,
        }),
        fc.double(),
        (labels, number) => {
          const text = `start_seconds{${labels.map(([name, text]) => `${name}="${escaped(text)}"`).join(",")}} ${String(number).replace("Infinity", "Inf")}\n`;
          expect(parse(text)).toEqual({
            value: new Map([["start_seconds", [{ labels: new Map(labels), value: Number(`${number}`), line: 1 }]]]),
            gaps: [],
          });
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("has an end, and says so", () => {
    const { value, gaps } = parse("start_seconds 1\n".repeat(5000));
    expect(value.get("start_seconds")).toHaveLength(2000);
    expect(gaps[0]).toEqual({ line: 2001, what: "more than 2000 samples: the rest was not read" });
    expect(gaps.length).toBeLessThan(30);
  });

  it("never throws, whatever it is given", () => neverThrows(parse, SAMPLE));

  it("says so when it was cut off", () =>
    truncationsAreHonest(parse, SAMPLE, (value) =>
      [...value].flatMap(([name, samples]) =>
        samples.map(({ labels, value, line }) => [name, [...labels], value, line]),
      ),
    ));

  it("does not care how it is cut into pieces", () =>
    splitsDoNotMatter(() => metricsReader(WANTED), damaged(SAMPLE), [bytesOf(SAMPLE)]));
});
