import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseNstat } from "./nstat.ts";

// nstat of iproute2 6.15
const SAMPLE = `#kernel
IpInReceives                    8964               0.0
IpForwDatagrams                 2796               0.0
TcpExtListenOverflows           0                  0.0
TcpExtIPReversePathFilter       43                 0.0
`;

describe("nstat", () => {
  it("tells each counter, with its line", () => {
    const { value, gaps } = parseNstat(SAMPLE);
    expect(gaps).toEqual([]);
    expect([...value]).toEqual([
      ["IpInReceives", { count: 8964, line: 2 }],
      ["IpForwDatagrams", { count: 2796, line: 3 }],
      ["TcpExtListenOverflows", { count: 0, line: 4 }],
      ["TcpExtIPReversePathFilter", { count: 43, line: 5 }],
    ]);
  });

  it.each([
    "TcpExtListenOverflows",
    "TcpExtListenOverflows many 0.0",
    "1 2 3",
    "IpInReceives 99999999999999999999 0.0",
  ])("does not guess: %s", (line) =>
    expect(parseNstat(`${line}\n`)).toEqual({ value: new Map(), gaps: [{ line: 1, what: "expected a counter" }] }),
  );

  it("never throws, whatever it is given", () => neverThrows(parseNstat, SAMPLE));

  it("says so when it was cut off", () => truncationsAreHonest(parseNstat, SAMPLE, (value) => [...value]));
});
