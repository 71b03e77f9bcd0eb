import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { clipped, displayWidth, padded, wrapLine } from "./wrap.ts";

const wrap = (text: string, width: number, first?: number) =>
  wrapLine([{ text }], width, first).map((line) => line.map((span) => span.text).join(""));

describe("wrapping", () => {
  it("breaks Latin text at spaces", () => {
    expect(wrap("the quick brown fox jumps", 10)).toEqual(["the quick", "brown fox", "jumps"]);
  });

  it("breaks Chinese text anywhere but before closing punctuation", () => {
    expect(wrap("\u8282\u70b9\u4e0d\u8f6c\u53d1\u62a5\u6587\uff0c\u539f\u56e0\u5982\u4e0b", 14)).toEqual([
      "\u8282\u70b9\u4e0d\u8f6c\u53d1\u62a5",
      "\u6587\uff0c\u539f\u56e0\u5982\u4e0b",
    ]);
  });

  it("breaks between Chinese and Latin words, and after the colon between them", () => {
    expect(wrap("\u8282\u70b9w1\u5f02\u5e38:ClusterRole/flannel", 12)).toEqual([
      "\u8282\u70b9w1\u5f02\u5e38:",
      "ClusterRole/",
      "flannel",
    ]);
  });

  it("keeps quotes and brackets with what they enclose", () => {
    expect(wrap("aaa bbb “ccc ddd” (eee)", 9)).toEqual(["aaa bbb", "“ccc ddd”", "(eee)"]);
    expect(wrap("\u4e00\u4e8c\u4e09\u300c\u56db\u4e94\u300d", 8)).toEqual([
      "\u4e00\u4e8c\u4e09",
      "\u300c\u56db\u4e94\u300d",
    ]);
  });

  it("breaks a word that is wider than the line where it can", () => {
    expect(wrap("logs/kube-flannel/kube-flannel-ds.log", 20)).toEqual(["logs/kube-flannel/", "kube-flannel-ds.log"]);
  });

  it("gives the first line fewer columns if asked", () => {
    expect(wrap("aaa bbb ccc", 7, 3)).toEqual(["aaa", "bbb ccc"]);
    expect(wrap("aaaa bbb", 8, 2)).toEqual(["", "aaaa bbb"]);
  });

  it("keeps tones through breaks", () => {
    const line = [{ text: "one " }, { text: "two three", tone: "code" as const }, { text: " four" }];
    expect(wrapLine(line, 8)).toEqual(
      [[{ text: "one " }, { text: "two", tone: "code" }], [{ text: "three", tone: "code" }], [{ text: "four" }]].map(
        (spans) => spans.map((span) => ({ tone: undefined, ...span })),
      ),
    );
  });

  const TEXT = fc
    .array(
      fc.constantFrom(
        "a",
        "Bc",
        "10.0.0.1",
        " ",
        "  ",
        "\u8282",
        "\u70b9",
        "\uff0c",
        "\u3002",
        "(",
        ")",
        "\uff08",
        "\uff09",
        "/",
        "\u201c",
        "\u201d",
        "\u{1f600}",
        "e\u0301",
        "-",
      ),
      { maxLength: 60 },
    )
    .map((parts) => parts.join(""));

  it("makes no line wider than it may be, and loses nothing but spaces", () => {
    fc.assert(
      fc.property(TEXT, fc.integer({ min: 4, max: 40 }), (text, width) => {
        const lines = wrap(text, width);
        for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(width);
        expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
      }),
    );
  });

  it("begins no line with closing punctuation, where words are not longer than lines", () => {
    const words = fc
      .array(
        fc.constantFrom("\u8282\u70b9", "\u62a5\u6587\uff0c", "\uff08\u4e00\u4e8c\uff09", "w1", " ok", "\u3002", ":"),
        { maxLength: 20 },
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        words.filter((text) => !/[\uff0c\u3002\uff09:]{4}|^[\uff0c\u3002\uff09:]/.test(text)),
        (text) => {
          for (const line of wrap(text, 30).slice(1)) expect(line).not.toMatch(/^[\uff0c\u3002\uff09:]/);
        },
      ),
    );
  });
});

describe("clipping and padding", () => {
  it("cuts from the middle, and counts Chinese as two columns", () => {
    expect(clipped("short", 10)).toBe("short");
    expect(clipped("Failed to create SubnetManager: nodes is forbidden", 30)).toBe("Failed to create … forbidden");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 10, max: 30 }), (text, columns) => {
        expect(displayWidth(clipped(text, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });

  it("pads to columns", () => {
    expect(padded("\u8bc1\u636e", 6)).toBe("\u8bc1\u636e  ");
  });
});
