/**
 * The layers of src/ and what each may not do: docs/architecture.md explains them. Dependencies point one way; a file
 * may import its own layer and those that its layer names here.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { CHECKS } from "../src/checks/registry.ts";
import { diagnose } from "../src/diagnose.ts";
import { catalogue, type KindId } from "../src/evidence/catalogue.ts";
import { captureOf, readRecording } from "./recordings.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

type Layer = {
  /** What it may import, beside itself. */
  readonly from: readonly string[];
  readonly packages?: readonly string[];
  /** It does I/O, or puts parts together that do. All others are pure. */
  readonly impure?: true;
};

/** From the bottom up. */
const LAYERS: Readonly<Record<string, Layer>> = {
  "text.ts": { from: [] },
  "errors.ts": { from: ["text.ts"] },
  "shell.ts": { from: [] },
  net: { from: [] },
  parse: { from: ["net"], packages: ["js-yaml", "zod"] },
  evidence: { from: ["text.ts", "parse"] },
  redact: { from: [] },
  sources: {
    from: ["text.ts", "errors.ts", "evidence", "redact"],
    packages: ["@kubernetes/client-node", "js-yaml", "tar-stream"],
    impure: true,
  },
  model: { from: ["text.ts", "shell.ts", "net", "parse", "evidence"], packages: ["@noble/hashes"] },
  anonymize: { from: ["net", "parse", "evidence", "model"], packages: ["@noble/hashes"] },
  trace: { from: ["text.ts", "net", "parse", "evidence", "model"] },
  compare: { from: ["text.ts", "net", "parse", "evidence", "model"] },
  backup: {
    from: ["text.ts", "parse", "evidence", "model", "compare"],
    packages: ["@noble/hashes", "js-yaml"],
  },
  checks: { from: ["text.ts", "shell.ts", "net", "parse", "evidence", "model", "trace"] },
  cause: { from: ["text.ts", "evidence", "model", "trace", "checks"] },
  report: {
    from: ["text.ts", "shell.ts", "net", "evidence", "model", "trace", "compare", "checks", "cause"],
    packages: ["js-yaml", "picocolors", "string-width", "zod"],
  },
  replay: {
    from: ["text.ts", "errors.ts", "parse", "evidence", "sources", "model"],
    impure: true,
  },
  guard: { from: ["model", "parse", "report"] },
  repair: { from: ["model", "backup", "sources"], impure: true },
  "diagnose.ts": { from: ["evidence", "model", "trace", "checks", "cause", "report"] },
  "diff.ts": { from: ["evidence", "compare", "report", "diagnose.ts"] },
  "rbac-check.ts": { from: ["evidence", "model", "report", "diagnose.ts"] },
  "path.ts": { from: ["evidence", "model", "trace", "report", "diagnose.ts"] },
  "what-if.ts": { from: ["evidence", "model", "checks", "cause", "report", "diagnose.ts"] },
  cli: {
    from: [
      "text.ts",
      "shell.ts",
      "errors.ts",
      "evidence",
      "sources",
      "model",
      "anonymize",
      "replay",
      "backup",
      "repair",
      "checks",
      "report",
      "diagnose.ts",
      "path.ts",
      "diff.ts",
      "rbac-check.ts",
      "what-if.ts",
      "guard",
    ],
    packages: ["commander", "string-width"],
    impure: true,
  },
};

type Import = { readonly target: string; readonly isType: boolean };
type SourceFile = {
  readonly path: string;
  readonly layer: string;
  /** Without comments and the contents of strings. */
  readonly code: string;
  readonly imports: readonly Import[];
};

const IMPORT = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*\s{},]+?\s+from\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
const NOISE = /\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`/g;

function readSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), "utf8");
  const imports = [...text.matchAll(IMPORT)].map(([statement, type, from, dynamic]): Import => {
    const target = from ?? dynamic ?? "";
    const isType = type !== undefined || /\{\s*(type \w+(?: as \w+)?,?\s*)+\}/.test(statement);
    return { target: target.startsWith(".") ? normalize(join(dirname(path), target)) : target, isType };
  });
  return { path, layer: path.split("/")[1]!, code: text.replace(NOISE, '""'), imports };
}

const files = globSync("src/**/*.ts", { cwd: ROOT, exclude: ["**/*.test.ts"] }).map(readSource);
const inLayers = (layers: readonly string[]) => files.filter(({ layer }) => layers.includes(layer));
const PURE = Object.keys(LAYERS).filter((layer) => !LAYERS[layer]!.impure);

/** The places of a pattern, as `file: what was found`. */
function places(among: readonly SourceFile[], pattern: RegExp): readonly string[] {
  return among.flatMap(({ path, code }) => [...code.matchAll(pattern)].map(([found]) => `${path}: ${found.trim()}`));
}

describe("the layers", () => {
  it("are all of src", () => {
    expect([...new Set(files.map(({ layer }) => layer))].sort()).toEqual(Object.keys(LAYERS).sort());
  });

  it.each(Object.entries(LAYERS))("%s imports only what is below it", (layer, { from, packages = [], impure }) => {
    const isAllowed = ({ target }: Import) => {
      if (target.startsWith("src/")) return [layer, ...from].includes(target.split("/")[1]!);
      if (target.startsWith("node:")) return impure === true;
      return packages.some((name) => target === name || target.startsWith(`${name}/`));
    };
    const wrong = inLayers([layer]).flatMap(({ path, imports }) =>
      imports.filter((each) => !isAllowed(each)).map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("have no cycle of files", () => {
    const importsOf = new Map(
      files.map(({ path, imports }) => [path, imports.filter(({ isType }) => !isType).map(({ target }) => target)]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, above: readonly string[]): void => {
      if (above.includes(path)) cycles.push([...above.slice(above.indexOf(path)), path].join(" > "));
      if (done.has(path) || above.includes(path)) return;
      for (const target of importsOf.get(path) ?? []) visit(target, [...above, path]);
      done.add(path);
    };
    for (const { path } of files) visit(path, []);
    expect(cycles).toEqual([]);
  });
});

describe("what a layer may not", () => {
  const pure = inLayers(PURE);

  // that it does no I/O and reads no environment, its imports and tsconfig.pure.json (which has no types of Node) hold
  it("the pure part waits for nothing, and knows no clock and no chance", () => {
    expect(places(pure, /\b(async|await|Promise)\b/g)).toEqual([]);
    expect(places(pure, /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.|\bMath\.random\b|\bcrypto\./g)).toEqual([]);
  });

  it("the pure part changes nothing that it was given", async () => {
    const capture = captureOf((await readRecording("two-faults")).files);
    const before = JSON.stringify(diagnose(capture));
    const freeze = (value: unknown): void => {
      if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
      Object.freeze(value);
      if (value instanceof Map) for (const each of value.values()) freeze(each);
      for (const each of Object.values(value)) freeze(each);
    };
    for (const kind of Object.keys(catalogue) as KindId[])
      for (const { observed } of capture.all(kind)) freeze(observed);
    expect(JSON.stringify(diagnose(capture))).toBe(before);
  });

  it("a check imports no other check, no parser but its types, and catches nothing", () => {
    const checks = files.filter(({ path }) => /^src\/checks\/[^/]+\/[^/]+\.ts$/.test(path));
    expect(checks).toHaveLength(CHECKS.length);
    const wrong = checks.flatMap(({ path, imports }) =>
      imports
        .filter(
          ({ target, isType }) =>
            // what one check is made of stands in the folder of its name
            (/^src\/checks\/[^/]+\//.test(target) && !target.startsWith(path.replace(/\.ts$/, "/"))) ||
            (/^src\/parse\//.test(target) && !isType),
        )
        .map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
    expect(places(checks, /\bcatch\b/g)).toEqual([]);
  });

  it("causes and reports know no check by its name", () => {
    const named = inLayers(["cause", "report"]).flatMap(({ path }) => {
      const text = readFileSync(join(ROOT, path), "utf8");
      return CHECKS.filter(({ check }) => text.includes(check.id)).map(({ check }) => `${path} names ${check.id}`);
    });
    expect(named).toEqual([]);
  });

  it("sources do not interpret: they import no parser and no model", () => {
    const wrong = inLayers(["sources"]).flatMap(({ imports }) =>
      imports.filter(({ target }) => /^src\/(parse|model)\//.test(target)),
    );
    expect(wrong).toEqual([]);
  });
});

describe("this test", () => {
  it("sees imports of all forms", () => {
    const forms = [
      'import { a } from "../net/ip.ts";',
      'import type { A } from "../net/ip.ts";',
      'import {\n  type A,\n  type B,\n} from "../net/ip.ts";',
      'import { type A, b } from "../net/ip.ts";',
      'export * from "../net/ip.ts";',
      'import "../net/ip.ts";',
      'await import("../net/ip.ts")',
      'import * as ip from "../net/ip.ts";',
    ];
    const seen = forms.map((form) => {
      const [match] = [...form.matchAll(IMPORT)];
      return match && (match[2] ?? match[3]);
    });
    expect(seen).toEqual(forms.map(() => "../net/ip.ts"));
  });
});
