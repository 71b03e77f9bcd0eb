import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { CHECKS } from "./registry.ts";

const HOME = import.meta.dirname;
const FILES = globSync("*/*.ts", { cwd: HOME })
  .filter((file) => !file.endsWith(".test.ts"))
  .sort();
const source = (file: string): string => readFileSync(join(HOME, file), "utf8");
/** A check that is made of several files has them in the folder of its name. */
const partsOf = (file: string): string[] =>
  globSync(`${file.replace(/\.ts$/, "")}/*.ts`, { cwd: HOME }).filter((part) => !part.endsWith(".test.ts"));
const idOf = (file: string): string => basename(file, ".ts");

/** What a file takes from others as values: the sources of imports that are no types. */
function valuesFrom(text: string): string[] {
  const imports = text.matchAll(/^import\s+(?!type\b)([^;]*?)\s*from\s+"([^"]+)";/gm);
  return [...imports].filter(([, names]) => !/^\{\s*(type\s+[^,}]+,?\s*)+\}$/.test(names!)).map(([, , path]) => path!);
}

describe("the registry", () => {
  it("holds the checks of the folders, each under its layer", () => {
    const registered = CHECKS.map(({ layer, check }) => `${layer}/${check.id}.ts`).sort();
    expect(registered).toEqual(FILES);
  });

  it("names every check once", () => {
    expect(new Set(CHECKS.map(({ check }) => check.id)).size).toBe(CHECKS.length);
  });
});

describe.each(FILES)("%s", (file) => {
  const text = source(file);

  it("is named for a fault: a noun in its failing state", () => {
    expect(idOf(file)).toMatch(/^[a-z]+(-[a-z]+)+$/);
    // an id is for ever: no verb that asks, nothing that only is not so
    expect(idOf(file)).not.toMatch(/^(no|not|check|verify|detect|find|is|has)-|-(check|ok)$/);
  });

  it("has its story tests beside it", () => {
    expect(source(file.replace(/\.ts$/, ".test.ts"))).toContain("testCheck(");
  });

  it("has a manual page that says how it looks, in both languages", () => {
    const { manual } = CHECKS.find(({ check }) => check.id === idOf(file))!.check;
    for (const part of [manual.title, manual.page]) {
      expect(part.en.trim()).not.toBe("");
      expect(part.zh).toMatch(/\p{Script=Han}/u);
    }
    // the two pages have the same sections
    const sections = (page: string) => page.match(/^\*\*/gm)?.length;
    expect(sections(manual.page.zh)).toBe(sections(manual.page.en));
  });

  it("gives its texts ids of its own", () => {
    const whole = [text, ...partsOf(file).map(source)].join("\n");
    const scopes = [...whole.matchAll(/\btexts\(\s*"([^"]+)"/g)].map(([, scope]) => scope);
    const own = idOf(file);
    expect(scopes).toContain(own);
    // its parts may have texts, too
    expect(scopes.filter((scope) => scope !== own && !scope?.startsWith(`${own}/`))).toEqual([]);
    expect(new Set(scopes).size).toBe(scopes.length);
  });

  it("takes no value from another check, a source or a parser", () => {
    const others = valuesFrom(text).filter((path) => {
      const place = join(dirname(file), path);
      return place.startsWith("../sources/") || place.startsWith("../parse/") || FILES.includes(place);
    });
    expect(others).toEqual([]);
  });

  it("does no input or output, and asks no clock", () => {
    expect(valuesFrom(text).filter((path) => !path.startsWith("."))).toEqual([]);
    expect(text).not.toMatch(/\b(Date\.now|new Date\(\)|performance\.|process\.|console\.|async |await )/);
  });
});
