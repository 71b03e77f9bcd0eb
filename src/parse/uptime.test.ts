import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseUptime } from "./uptime.ts";

const TEXT = "3580.57 3877.36\n";

describe("/proc/uptime", () => {
  it("gives the seconds since boot", () => {
    expect(parseUptime(TEXT)).toEqual({ value: 3580.57, gaps: [] });
  });

  it("says when there are none", () => {
    expect(parseUptime("")).toEqual({
      value: Number.NaN,
      gaps: [{ line: 1, what: "expected two numbers of seconds" }],
    });
    expect(parseUptime(" 11:32:01 up 3 days\n").gaps).toHaveLength(1);
  });

  it("never throws", () => neverThrows(parseUptime, TEXT));
  it("never invents from a part", () =>
    truncationsAreHonest(parseUptime, TEXT, (seconds) => [seconds].filter((n) => !Number.isNaN(n))));
});
