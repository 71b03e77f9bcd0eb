import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RUNS } from "../../testing/parser-properties.ts";
import { lineSplitter } from "./line-splitter.ts";

function split(pieces: readonly string[], longest = 100): { lines: string[]; rest: string } {
  const lines: string[] = [];
  const splitter = lineSplitter(longest, (line) => lines.push(line));
  for (const piece of pieces) splitter.write(piece);
  return { lines, rest: splitter.end() };
}

const pieces = fc.array(
  fc.array(fc.constantFrom("\n", "a", "é", "\r", "😀"), { maxLength: 12 }).map((all) => all.join("")),
);

describe("lines of a text in pieces", () => {
  it.each<[pieces: string[], lines: string[], rest: string]>([
    [[], [], ""],
    [[""], [], ""],
    [["a"], [], "a"],
    [["a\n"], ["a"], ""],
    [["a", "\n"], ["a"], ""],
    [["a", "b\nc", "d"], ["ab"], "cd"],
    [["\n\n"], ["", ""], ""],
    [["a\r\nb"], ["a\r"], "b"],
  ])("%j", (given, lines, rest) => expect(split(given)).toEqual({ lines, rest }));

  it("are those of the whole text", () => {
    fc.assert(
      fc.property(pieces, (given) => {
        const lines = given.join("").split("\n");
        const rest = lines.pop();
        expect(split(given)).toEqual({ lines, rest });
      }),
      { numRuns: RUNS },
    );
  });

  it("are cut at the longest length, wherever the pieces end", () => {
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 8 }), (given, longest) => {
        const lines = given.join("").split("\n");
        const rest = lines.pop()!;
        const cut = (line: string) => line.slice(0, longest);
        expect(split(given, longest)).toEqual({ lines: lines.map(cut), rest: cut(rest) });
      }),
      { numRuns: RUNS },
    );
  });

  it("are given again after one that was too long", () => {
    expect(split(["x".repeat(1000), "x".repeat(1000), "x\nb\n"], 3)).toEqual({ lines: ["xxx", "b"], rest: "" });
  });

  it("without end keep only the beginning: a gigabyte in pieces needs no gigabyte", () => {
    const splitter = lineSplitter(10, () => {});
    const piece = "x".repeat(1 << 20);
    for (let count = 0; count < 1024; count++) splitter.write(piece);
    expect(splitter.end()).toBe("x".repeat(10));
  });
});
