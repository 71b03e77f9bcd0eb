import { describe, expect, it } from "vitest";
import { fewOf, joinTexts, type TextArgs, texts, verbatim } from "./text.ts";

const say = texts("test", {
  plain: { en: "nothing", zh: "无" },
  named: { en: "Node {node} is down", zh: "节点{node}宕机" },
  order: { en: "{a} of {b}", zh: "{b} 中的 {a}" },
  counted: { en: "{count} {count:test fails|tests fail}", zh: "{count} 项探测失败" },
  twice: { en: "{count:is|are} {count:it|they}", zh: "{count}" },
  empty: { en: "{count:one|}", zh: "{count}" },
  nested: { en: "because {why}", zh: "因为{why}" },
  edges: { en: "{what}", zh: "{what}失败" },
  camelCaseKey: { en: "x", zh: "无" },
});

describe("sentences", () => {
  it("are named for their module and their key", () => {
    expect(say.plain()).toEqual({ id: "test/plain", args: {}, en: "nothing", zh: "无" });
    expect(say.camelCaseKey().id).toBe("test/camel-case-key");
  });

  it("keep their arguments", () => {
    expect(say.named({ node: "w1" }).args).toEqual({ node: "w1" });
  });

  it("have their arguments in the order of each language", () => {
    expect(say.order({ a: 1, b: 2 })).toMatchObject({ en: "1 of 2", zh: "2 中的 1" });
  });

  it.each([
    [0, "0 tests fail"],
    [1, "1 test fails"],
    [2, "2 tests fail"],
    [11, "11 tests fail"],
    ["1", "1 test fails"],
    ["many", "many tests fail"],
  ])("take the form that fits the number %s", (count, expected) => expect(say.counted({ count }).en).toBe(expected));

  it("take several forms of one number, and none", () => {
    expect(say.twice({ count: 1 }).en).toBe("is it");
    expect(say.twice({ count: 3 }).en).toBe("are they");
    expect(say.empty({ count: 1 }).en).toBe("one");
    expect(say.empty({ count: 2 }).en).toBe("");
  });

  it("have each language's words of a sentence within", () => {
    const because = say.nested({ why: say.named({ node: "w1" }) });
    expect(because).toMatchObject({ en: "because Node w1 is down", zh: "因为节点 w1 宕机" });
  });

  it("set lists with the commas of each language", () => {
    expect(say.named({ node: ["w1", "w2"] })).toMatchObject({ en: "Node w1, w2 is down", zh: "节点 w1、w2 宕机" });
    expect(say.edges({ what: [verbatim("w1"), 2, say.plain()] })).toMatchObject({
      en: "w1, 2, nothing",
      zh: "w1、2、无失败",
    });
    expect(say.edges({ what: [] })).toMatchObject({ en: "", zh: "失败" });
  });

  it("say that a list goes on", () => {
    expect(say.edges({ what: fewOf(["a", "b", "c"], 2) })).toMatchObject({ en: "a, b …", zh: "a、b …失败" });
    expect(say.edges({ what: fewOf(["a", "b"], 2) }).en).toBe("a, b");
  });

  it("show what is missing instead of an empty place", () => {
    expect(say.named({} as unknown as { node: string })).toMatchObject({
      en: "Node {node} is down",
      zh: "节点{node}宕机",
    });
    expect(say.counted({} as unknown as { count: number }).en).toBe("{count} {count:test fails|tests fail}");
  });

  it.each<[what: string, TextArgs]>([
    ["that looks like a placeholder", { node: "{node}" }],
    ["that looks like a plural", { node: "{count:a|b}" }],
    ["that means something to String.replace", { node: "$& $1 $` $$" }],
    ["that is empty", { node: "" }],
    ["that has several lines", { node: "a\nb" }],
  ])("take an argument as it is: one %s", (_, args) => {
    expect(say.named(args as { node: string }).en).toBe(`Node ${String(args.node)} is down`);
  });

  it("do not take what every object has for an argument", () => {
    const odd = texts("odd", { inherited: { en: "{constructor} {toString}", zh: "{constructor} {toString}" } });
    const args = {} as unknown as { constructor: string; toString: string };
    expect(odd.inherited(args).en).toBe("{constructor} {toString}");
  });

  it("may differ from call to call", () => {
    expect([say.named({ node: "a" }), say.named({ node: "b" })].map(({ en }) => en)).toEqual([
      "Node a is down",
      "Node b is down",
    ]);
  });
});

describe("Chinese beside Latin letters", () => {
  it.each([
    ["w1", "节点 w1 宕机"],
    ["9", "节点 9 宕机"],
    ["主控", "节点主控宕机"],
    ["主控w1", "节点主控w1 宕机"],
    ["/etc", "节点/etc 宕机"],
    ["(w1)", "节点(w1)宕机"],
    [" w1 ", "节点 w1 宕机"],
    ["", "节点宕机"],
  ])("a value of %j is set as %s", (node, expected) => expect(say.named({ node }).zh).toBe(expected));

  it("needs a space only where Chinese is next to it", () => {
    expect(say.edges({ what: "DNS" })).toMatchObject({ en: "DNS", zh: "DNS 失败" });
    expect(say.order({ a: "x", b: "y" }).zh).toBe("y 中的 x");
  });

  it("is spaced where arguments meet", () => {
    const adjoining = texts("adjoining", { both: { en: "{a}{b}", zh: "{a}{b}" } });
    expect(adjoining.both({ a: "访问", b: "backend" }).zh).toBe("访问 backend");
    expect(adjoining.both({ a: "backend", b: "失败" }).zh).toBe("backend 失败");
    expect(adjoining.both({ a: "a", b: "b" }).zh).toBe("ab");
    expect(adjoining.both({ a: "访问", b: "backend" }).en).toBe("访问backend");
  });
});

describe("what is put together", () => {
  it("reads the same in both languages if a machine wrote it", () => {
    expect(verbatim("iptables -L")).toMatchObject({ en: "iptables -L", zh: "iptables -L" });
  });

  it("joins each language with its own mark", () => {
    const joined = joinTexts([say.plain(), say.plain(), verbatim("x")], { en: "; ", zh: "；" });
    expect(joined).toMatchObject({ en: "nothing; nothing; x", zh: "无；无；x" });
    expect(Object.keys(joined.args)).toEqual(["0", "1", "2"]);
  });

  it("leaves one part as it is, and makes nothing of none", () => {
    const one = say.plain();
    expect(joinTexts([one], { en: ", ", zh: "、" })).toBe(one);
    expect(joinTexts([], { en: ", ", zh: "、" })).toMatchObject({ en: "", zh: "" });
  });
});
