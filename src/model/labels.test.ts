import { describe, expect, it } from "vitest";
import type { LabelSelector } from "../parse/objects.ts";
import { formatSelector, hasLabels, selects } from "./labels.ts";

const LABELS = { app: "web", tier: "front", n: "5" };
const where = (key: string, operator: string, ...values: string[]): LabelSelector => ({
  matchExpressions: [{ key, operator, values }],
});

describe("label selectors", () => {
  it.each<[LabelSelector, boolean]>([
    [{}, true],
    [{ matchLabels: {}, matchExpressions: [] }, true],
    [{ matchLabels: null, matchExpressions: null }, true],
    [{ matchLabels: { app: "web" } }, true],
    [{ matchLabels: { app: "web", tier: "back" } }, false],
    [{ matchLabels: { toString: "web" } }, false],
    [where("app", "In", "api", "web"), true],
    [where("app", "In", "api"), false],
    [where("none", "In", "web"), false],
    [where("app", "NotIn", "api"), true],
    [where("app", "NotIn", "web"), false],
    // what has no such label is in no list (LabelSelectorRequirement)
    [where("none", "NotIn", "web"), true],
    [where("app", "Exists"), true],
    [where("none", "Exists"), false],
    [where("app", "DoesNotExist"), false],
    [where("none", "DoesNotExist"), true],
    [where("n", "Gt", "4"), true],
    [where("n", "Gt", "5"), false],
    [where("n", "Lt", "10"), true],
    [where("app", "Gt", "4"), false],
    [where("app", "Matches", "web"), false],
    [{ matchLabels: { app: "web" }, matchExpressions: [{ key: "tier", operator: "Exists" }] }, true],
    [{ matchLabels: { app: "api" }, matchExpressions: [{ key: "tier", operator: "Exists" }] }, false],
  ])("%j: %s", (selector, expected) => expect(selects(selector, LABELS)).toBe(expected));

  it("select by what an object's labels are, not by what every JavaScript object has", () => {
    expect(selects(where("constructor", "Exists"), LABELS)).toBe(false);
    expect(selects(where("toString", "DoesNotExist"), {})).toBe(true);
  });

  it("select nothing of an object without labels, but for what asks for none", () => {
    for (const labels of [null, undefined, {}]) {
      expect(hasLabels({ app: "web" }, labels)).toBe(false);
      expect(hasLabels({}, labels)).toBe(true);
      expect(selects(where("app", "NotIn", "web"), labels)).toBe(true);
    }
  });

  it.each<[LabelSelector | undefined, string]>([
    [undefined, "{}"],
    [{}, "{}"],
    [{ matchLabels: { app: "web", tier: "front" } }, "app=web,tier=front"],
    [where("tier", "In", "api", "web"), "tier in (api,web)"],
    [where("tier", "NotIn", "api"), "tier notin (api)"],
    [where("tier", "Exists"), "tier"],
    [where("tier", "DoesNotExist"), "!tier"],
  ])("%j is written %s", (selector, expected) => expect(formatSelector(selector)).toBe(expected));
});
