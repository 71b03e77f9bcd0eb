import { describe, expect, it } from "vitest";
import { bytesOf, damaged, readPieces, splitsDoNotMatter } from "../../../testing/pieces.ts";
import { CUT_OFF } from "../parsed.ts";
import { logDigestReader } from "./digest.ts";

const digest = (text: string, year?: number) => readPieces(logDigestReader(year), [text]);
const at = (second: number) => `2026-11-21T03:00:${String(second).padStart(2, "0")}Z`;
const log = (...messages: readonly string[]) => messages.map((message, i) => `${at(i)} ${message}\n`).join("");
const counts = (text: string) => digest(text).value.entries.map(({ first, count }) => `${count} ${first.message}`);

describe("a log", () => {
  it("is condensed to what was said, first and last when, and how often", () => {
    const { value, gaps } = digest(
      log(
        "dial tcp 10.0.0.1:41234->10.96.0.1:443: timeout",
        "ready",
        "dial tcp 10.0.0.1:41235->10.96.0.1:443: timeout",
      ),
    );
    expect(gaps).toEqual([]);
    expect(value).toMatchObject({ lines: 3, firstAt: at(0), lastAt: at(2) });
    expect(value.entries).toMatchObject([
      {
        count: 2,
        first: { line: 1, at: at(0) },
        last: { line: 3, at: at(2), message: expect.stringContaining("41235") },
      },
      { count: 1, first: { line: 2, message: "ready" } },
    ]);
  });

  it.each([
    ["ids", "pod 1b4e28ba-2fa1-11d2-883f-0016d3cca427 gone", "pod 6ba7b810-9dad-11d1-80b4-00c04fd430c8 gone"],
    ["hashes", `image ${"a1".repeat(32)} pulled`, `image ${"b2".repeat(32)} pulled`],
    ["durations", "took 1.5s", "took 20ms"],
    ["large numbers", "revision 123456", "revision 123999"],
    ["times", "since 03:00:01.5 lost", "since 04:12:59 lost"],
  ])("counts lines as the same that differ only in %s", (_, a, b) => expect(counts(log(a, b))).toEqual([`2 ${a}`]));

  it.each([
    ["addresses", "dial 10.0.0.1 failed", "dial 10.0.0.2 failed"],
    ["small numbers, such as ports", "listen on 53", "listen on 80"],
    ["names", "node w1 lost", "node w2 lost"],
  ])("tells lines apart that differ in %s", (_, a, b) => expect(counts(log(a, b))).toEqual([`1 ${a}`, `1 ${b}`]));

  it("keeps its last forty lines as they stand", () => {
    const { value } = digest(log(...Array.from({ length: 60 }, (_, i) => `line ${i}`)));
    expect(value.tail).toHaveLength(40);
    expect([value.tail[0]?.message, value.tail.at(-1)?.message]).toEqual(["line 20", "line 59"]);
  });

  it("keeps only so many kinds of lines, and counts them all", () => {
    const { value } = digest(
      log(...Array.from({ length: 4100 }, (_, i) => `kind-${i}-x`.replace(/\d/g, (d) => "abcdefghij"[+d]!))),
    );
    expect([value.lines, value.entries.length]).toEqual([4100, 4000]);
  });

  it("has lines without any time", () => {
    const { value } = digest("hello\n");
    expect(value).toMatchObject({ lines: 1, entries: [{ first: { line: 1, message: "hello" } }] });
    expect("firstAt" in value).toBe(false);
  });

  it("takes the year that headers lack from the capture", () => {
    expect(digest("I1121 03:00:42.123456       1 main.go:1] hello\n", 2026).value.firstAt).toBe(
      "2026-11-21T03:00:42.123456Z",
    );
    expect(digest("I1121 03:00:42.123456       1 main.go:1] hello\n").value.firstAt).toBeUndefined();
  });

  it("was cut off if its last line has no end: what is left of the line is not given", () => {
    const { value, gaps } = digest(`${log("a")}2026-11-21T03:00:0`);
    expect(gaps).toEqual([{ line: 2, what: CUT_OFF }]);
    expect(value).toMatchObject({ lines: 1, lastAt: at(0) });
    expect(value.tail).toHaveLength(1);
  });

  it("may be empty", () => expect(digest("")).toEqual({ value: { lines: 0, entries: [], tail: [] }, gaps: [] }));

  it("cuts lines that are too long", () => {
    const { value } = digest(`${"x".repeat(100_000)}\nb\n`);
    expect(value.tail.map(({ message }) => message.length)).toEqual([4096, 1]);
  });
});

describe("a log in pieces", () => {
  const SAMPLE = `${log("a 12345", "b", "a 12346", "é😀", `[ERROR] plugin/errors: 2 x. A: i/o timeout`)}\r\n\n${log("b")}`;

  it("is read the same, however it is split", () => {
    splitsDoNotMatter(() => logDigestReader(2026), damaged(SAMPLE), [bytesOf(SAMPLE)]);
  });
});
