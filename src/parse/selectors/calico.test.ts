import { describe, expect, it } from "vitest";
import { parseCalicoSelector } from "./calico.ts";

const WEB = { app: "web", tier: "front", "projectcalico.org/namespace": "shop" };

describe("a selector of Calico", () => {
  it.each<[string, boolean]>([
    ["", true],
    ["all()", true],
    ["global()", false],
    ["app == 'web'", true],
    ['app=="web" && tier != "back"', true],
    ["app != 'web' || has(tier)", true],
    ["!has(tier)", false],
    ["missing != 'x'", true],
    ["app in {'api', 'web'}", true],
    ["app not in { 'api', 'web' }", false],
    ["missing not in {'a'}", true],
    ["app in {}", false],
    ["app starts with 'w' && app ends with 'b' && app contains 'e'", true],
    ["missing contains 'e'", false],
    ["!(app == 'web' && tier == 'back')", true],
    ["app == 'api' || app == 'web' && tier == 'back'", false],
    ["projectcalico.org/namespace == 'shop'", true],
    ["has( app )", true],
  ])("%s", (text, selected) => {
    expect(parseCalicoSelector(text)?.(WEB)).toBe(selected);
  });

  it.each(["app =", "app == web", "(app == 'web'", "app == 'web')", "has(app", "app in {'a' 'b'}", "app ~ 'w'", "&&"])(
    "%s cannot be read",
    (text) => {
      expect(parseCalicoSelector(text)).toBeUndefined();
    },
  );

  it("takes no property of JavaScript's objects for a label", () => {
    expect(parseCalicoSelector("has(toString)")?.({})).toBe(false);
  });
});
