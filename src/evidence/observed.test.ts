import { describe, expect, it } from "vitest";
import { CUT_OFF } from "../parse/parsed.ts";
import { absent, isCutOff, isWhole, known, type Observed, partOf, present, unknown } from "./observed.ts";
import { quoteOf } from "./origin.ts";

const FILE = { kind: "file", path: "x" } as const;
const WHOLE = present([1, 2], FILE);
const CUT = present([1], FILE, [{ line: 2, what: CUT_OFF }]);
const TORN = present(
  [1],
  FILE,
  [CUT_OFF, "no number"].map((what) => ({ what })),
);
const ABSENT = absent(FILE);
const UNKNOWN = unknown({ reason: "failed", message: "no" }, FILE);

type Case = readonly [what: string, observed: Observed<number[]>, value: number[] | undefined, whole: boolean];

describe("what was observed", () => {
  it.each<Case>([
    ["a whole value", WHOLE, [1, 2], true],
    ["a value that is cut off", CUT, [1], false],
    ["absence", ABSENT, undefined, false],
    ["what is unknown", UNKNOWN, undefined, false],
  ])("%s is known as far as it was seen, and whole if all was", (_, observed, value, whole) => {
    expect(known(observed)).toEqual(value);
    expect(isWhole(observed)).toBe(whole);
  });

  it("is cut off if it lacks nothing but its end", () => {
    expect([WHOLE, CUT, TORN].map(isCutOff)).toEqual([false, true, false]);
  });
});

describe("a part of what was observed", () => {
  const two = (value: number[]) => value.find((one) => one === 2);
  const three = (value: number[]) => value.find((one) => one === 3);

  it("is present where it is seen, though more may be missing", () => {
    expect(partOf(WHOLE, two)).toEqual(present(2, FILE));
    expect(partOf(CUT, (value) => value[0])).toEqual(present(1, FILE));
  });

  it("is absent only from a whole", () => {
    expect(partOf(WHOLE, three)).toEqual(ABSENT);
    expect(partOf(CUT, three)).toEqual(unknown({ reason: "cut-off" }, FILE));
    expect(partOf(TORN, three)).toEqual(unknown({ reason: "cut-off" }, FILE));
  });

  it("is as absent or unknown as the whole is", () => {
    expect(partOf(ABSENT, two)).toBe(ABSENT);
    expect(partOf(UNKNOWN, two)).toBe(UNKNOWN);
  });

  it("is present where it is nothing that counts for something", () => {
    expect(partOf(WHOLE, () => 0)).toEqual(present(0, FILE));
    expect(partOf(WHOLE, () => "")).toEqual(present("", FILE));
    expect(partOf(WHOLE, () => null)).toEqual(present(null, FILE));
  });
});

describe("quotes", () => {
  it("are one line, without what is blank at its ends", () => {
    expect(quoteOf(FILE, "  a\n\t b  ")).toEqual({ origin: FILE, quote: "a b" });
  });

  it("are cut where they are too long to read", () => {
    expect(quoteOf(FILE, "x".repeat(400)).quote).toBe("x".repeat(400));
    expect(quoteOf(FILE, "x".repeat(401)).quote).toBe(`${"x".repeat(400)}…`);
  });

  it("do not tear a character in two", () => {
    const { quote } = quoteOf(FILE, `${"x".repeat(399)}😀 and more`);
    expect(quote.isWellFormed()).toBe(true);
    expect(quote.startsWith("x".repeat(399))).toBe(true);
  });

  it("have a time if it is known", () => {
    expect(quoteOf(FILE, "a", "2026-11-21T03:00:00Z").at).toBe("2026-11-21T03:00:00Z");
    expect("at" in quoteOf(FILE, "a")).toBe(false);
  });
});
