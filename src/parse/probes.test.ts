import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseProbes } from "./probes.ts";

/** Of the recording two-faults, its output shortened, and a test of packet sizes. */
const SAMPLE = `{"at":"2026-11-21T04:04:05.767Z","from":{"node":"cp1","network":"pod","pod":"tools/client-6sgk5"},"test":"dns","target":"kubernetes.default.svc.cluster.local","server":"10.96.0.10","result":"ok","latencyMs":52,"output":";; Got answer:\\n"}
{"at":"2026-11-21T04:04:06.071Z","from":{"node":"cp1","network":"pod","pod":"tools/client-6sgk5"},"test":"http","target":"http://10.96.220.125:8080/hostname","result":"refused","latencyMs":20.5}
{"from":{"node":"w1","network":"host"},"test":"icmp","target":"10.244.2.1","size":1422,"dontFragment":true,"tries":3,"result":"too-big"}
`;

describe("probes.jsonl", () => {
  it("gives the probes", () => {
    const { value, gaps } = parseProbes(SAMPLE);
    expect(gaps).toEqual([]);
    expect(value[0]).toMatchObject({ line: 1, test: "dns", server: "10.96.0.10", result: "ok", latencyMs: 52 });
    expect(value[1]?.from).toEqual({ node: "cp1", network: "pod", pod: "tools/client-6sgk5" });
    expect(value[2]).toEqual({
      line: 3,
      from: { node: "w1", network: "host" },
      test: "icmp",
      target: "10.244.2.1",
      size: 1422,
      dontFragment: true,
      tries: 3,
      result: "too-big",
    });
  });

  it("hands back what is no probe", () => {
    const lines = [
      "null",
      "{",
      `{"from":{"node":"w1","network":"host"},"test":"sctp","target":"x","result":"ok"}`,
      `{"from":{"node":"w1","network":"node"},"test":"dns","target":"x","result":"ok"}`,
      `{"from":"w1","test":"dns","target":"x","result":"ok"}`,
      `{"from":{"node":"w1","network":"host"},"test":"dns","target":"x","result":"ok","latencyMs":"5"}`,
    ];
    const { value, gaps } = parseProbes(`${lines.join("\n")}\n`);
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.line)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("gives none without gaps where none were made", () => expect(parseProbes("")).toEqual({ value: [], gaps: [] }));
  it("never throws", () => neverThrows(parseProbes, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseProbes, SAMPLE, (probes) => probes));
});
