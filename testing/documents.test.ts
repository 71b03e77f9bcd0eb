/**
 * The documents say what is true: their links lead somewhere, what they quote is what netwhy prints, and the numbers of
 * the worked examples are those of the recordings.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { incidentNames, readIncident } from "../src/cli/incidents.ts";
import { diagnose } from "../src/diagnose.ts";
import { isProblem, pathBetween } from "../src/path.ts";
import { PATH_FORMATS } from "../src/report/formats/path.ts";
import { renderTerminal } from "../src/report/formats/terminal.ts";
import type { Report } from "../src/report/report.ts";
import { readBundle } from "../src/sources/bundle.ts";
import { recordingPath } from "./recordings.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const DOCUMENTS = globSync(["*.md", "docs/**/*.md", "{src,testing}/**/README.md"], { cwd: ROOT }).sort();

/** Markdown without its blocks of code. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, "");

describe.each(DOCUMENTS)("%s", (path) => {
  it("links to what is there", () => {
    const links = [...prose(read(path)).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target]) => target!);
    const local = links.filter((target) => !/^[a-z]+:/.test(target));
    expect(local.filter((target) => !existsSync(join(ROOT, dirname(path), target)))).toEqual([]);
  });

  it("names files of the code that are there", () => {
    const named = [...read(path).matchAll(/`((?:src|testing|tools|scenarios|docs)\/[\w./-]+\.(?:ts|md|sh|yaml))`/g)];
    // of files that a walk-through writes, nothing need be there
    const missing = named.map(([, file]) => file!).filter((file) => !existsSync(join(ROOT, file)));
    expect(missing.filter((file) => !file.includes("pod-range-missing"))).toEqual([]);
  });
});

/** What a document quotes of what netwhy prints. */
const quotedIn = (text: string) => [...text.matchAll(/^```text\n([\s\S]*?)^```$/gm)].map(([, block]) => block!);

/** Lines of a quotation that were not printed so; `[…]` stands for what it leaves out. */
function notPrinted(quoted: string | undefined, printed: string): readonly string[] {
  const lines = printed.split("\n");
  return quoted!
    .trimEnd()
    .split("\n")
    .filter((line) => {
      const [beginning, ...rest] = line.split("[…]");
      return !lines.some((other) => (rest.length === 0 ? other === line : other.startsWith(beginning!.trimEnd())));
    });
}

describe.each([
  ["README.md", "en"],
  ["README.zh-CN.md", "zh"],
] as const)("%s", (path, lang) => {
  let report: Report;
  beforeAll(async () => {
    report = diagnose(await readBundle(readIncident("flannel-role-deleted", lang).bundle));
  });

  it("quotes what `netwhy demo` prints, line by line, but for what it says it leaves out", () => {
    const printed = renderTerminal(report, { lang, width: 100, color: false, wide: false });
    expect(notPrinted(quotedIn(read(path))[0], printed)).toEqual([]);
  });

  it("quotes what `netwhy path` prints, for the ends that it names", async () => {
    const [, from, to, bundle] = /^\.\/netwhy path (\S+) (\S+) --bundle (\S+)$/m.exec(read(path))!;
    const found = pathBetween(await readBundle(join(ROOT, bundle!)), { from: from!, to: to! });
    if (isProblem(found)) throw new Error(found.problem.en);
    const printed = PATH_FORMATS.text(found, { lang, width: 100, color: false });
    expect(notPrinted(quotedIn(read(path))[1], printed)).toEqual([]);
  });

  it("counts checks and incidents as they are", () => {
    const more = incidentNames().length - 1;
    const checks = report.checks.length;
    const counts = { en: [`[${checks} checks]`, "four more"], zh: [`[${checks} 个检查项]`, "另外四个"] }[lang];
    expect(more, "incidents: change the README").toBe(4);
    for (const words of counts) expect(read(path)).toContain(words);
  });
});

describe("docs/reasoning.md", () => {
  const examples = read("docs/reasoning.md")
    .split(/^## /m)
    .flatMap((section) => {
      const name = /^Example \d+: .*\(`([\w-]+)`\)/.exec(section)?.[1];
      return name === undefined ? [] : [[name, section] as const];
    });

  it("has examples", () => expect(examples.length).toBeGreaterThan(3));

  it.each(examples)("tells of %s what is so", async (name, section) => {
    const { tests, rootCauses } = diagnose(await readBundle(recordingPath(name)));
    expect(section).toContain(`${tests.made} tests, ${tests.failed} failed`);
    for (const { check } of rootCauses) expect(section).toContain(`\`${check}`);
    for (const { because } of rootCauses) {
      const owned = /accounts for (\d+) failed/.exec(because.en)?.[1];
      if (owned !== undefined) expect(section).toMatch(new RegExp(`\\b${owned}\\b`));
    }
  });
});

describe("docs/architecture.md", () => {
  it("has the table of imports that layers.test.ts holds", () => {
    const table = /^const LAYERS[\s\S]*?^};$/m.exec(read("testing/layers.test.ts"))![0];
    const rows = [...table.matchAll(/^ {2}"?([\w.-]+)"?: \{\s*from: \[([^\]]*)\]/gm)];
    expect(rows.length).toBeGreaterThan(9);
    for (const [, layer, list] of rows) {
      const row = new RegExp(`^\\| \`${layer}\` \\|([^|]*)\\|`, "m").exec(
        /^## What may import what$[\s\S]*?^## /m.exec(read("docs/architecture.md"))![0],
      );
      const documented = [...(row?.[1] ?? "").matchAll(/`([\w.-]+)`/g)].map(([, name]) => name);
      expect(documented, layer).toEqual([...list!.matchAll(/"([^"]+)"/g)].map(([, name]) => name));
    }
  });
});
