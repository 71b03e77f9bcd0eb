import { expect, it } from "vitest";
import { languageOf } from "./language.ts";

it.each([
  [[], {}, "en"],
  [[], { LANG: "zh_CN.UTF-8" }, "zh"],
  [[], { LANG: "zh_CN.UTF-8", LC_MESSAGES: "en_US.UTF-8" }, "en"],
  [[], { LANG: "en_US.UTF-8", LC_ALL: "zh_TW" }, "zh"],
  [[], { LC_ALL: "", LANG: "zh" }, "zh"],
  [["--lang", "en"], { LANG: "zh_CN.UTF-8" }, "en"],
  [["diagnose", "--lang=zh", "x"], {}, "zh"],
  [["--lang", "fr"], { LANG: "zh_CN.UTF-8" }, "zh"],
  [["--lang"], {}, "en"],
] as const)("%j with %j speaks %s", (args, env, lang) => {
  expect(languageOf(args, env)).toBe(lang);
});
