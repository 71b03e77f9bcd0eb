/**
 * Makes what is made from other files: the registry of checks, and docs/generated.
 *
 *   node tools/generate.ts           writes them
 *   node tools/generate.ts --check   exits with 1 if any is not as it would be written
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Kind } from "../src/evidence/kind.ts";
import type { Language, Template } from "../src/text.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const DOCS = "docs/generated";

const LAYERS: Readonly<Record<string, Template>> = {
  "control-plane": { en: "Control plane and components", zh: "控制面与组件" },
  node: { en: "Nodes", zh: "节点" },
  "pod-network": { en: "Pod network", zh: "Pod 网络" },
  service: { en: "Services", zh: "Service" },
  dns: { en: "DNS", zh: "DNS" },
  policy: { en: "NetworkPolicies", zh: "NetworkPolicy" },
};

const LANGUAGES: Readonly<Record<Language, string>> = { en: "", zh: ".zh-CN" };

const MADE: Template = {
  en: "<!-- Made by tools/generate.ts: never edited. -->",
  zh: "<!-- 由 tools/generate.ts 生成：请勿手工修改。 -->",
};

type Files = Map<string, string>;

const checksOf = (layer: string) =>
  readdirSync(join(ROOT, "src/checks", layer))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .sort()
    .map((file) => file.slice(0, -".ts".length));

const camel = (id: string) => id.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

function registry(): string {
  const checks = Object.keys(LAYERS).flatMap((layer) => checksOf(layer).map((id) => ({ layer, id })));
  const imports = [
    ...checks.map(({ layer, id }) => `import { ${camel(id)} } from "./${layer}/${id}.ts";`),
    'import type { RegisteredCheck } from "./run.ts";',
  ].sort((a, b) => (a.split("from ")[1]! < b.split("from ")[1]! ? -1 : 1));
  return [
    "// Made by tools/generate.ts from the folders: never edited.",
    ...imports,
    "",
    "export const CHECKS: readonly RegisteredCheck[] = [",
    ...checks.map(({ layer, id }) => `  { layer: "${layer}", check: ${camel(id)} },`),
    "];",
    "",
  ].join("\n");
}

/** Written first: all else is made from the checks in it. */
const REGISTRY = "src/checks/registry.ts";

/** A page for each check, and a list of them. */
async function checkPages(language: Language, files: Files): Promise<void> {
  const { CHECKS } = await import("../src/checks/registry.ts");
  const suffix = LANGUAGES[language];
  const heading = { en: "What netwhy finds", zh: "netwhy 能发现的故障" }[language];
  const index = [MADE[language], "", `# ${heading}`, ""];
  for (const [layer, name] of Object.entries(LAYERS)) {
    index.push(`## ${name[language]}`, "");
    for (const { check } of CHECKS.filter((each) => each.layer === layer)) {
      const { title, page } = check.manual;
      index.push(
        `- [\`${check.id}\`](checks/${check.id}${suffix}.md)${language === "en" ? ": " : "："}${title[language]}`,
      );
      const reads = { en: "Reads of the model", zh: "读取的模型部分" }[language];
      files.set(
        `${DOCS}/checks/${check.id}${suffix}.md`,
        [
          MADE[language],
          "",
          `# ${title[language]}`,
          "",
          `\`${check.id}\` · ${name[language]} · [${{ en: "source", zh: "源码" }[language]}](../../../src/checks/${layer}/${check.id}.ts)`,
          "",
          page[language],
          "",
          `${reads}${language === "en" ? ": " : "："}${[...check.reads]
            .sort()
            .map((part) => `\`${part}\``)
            .join(", ")}`,
          "",
        ].join("\n"),
      );
    }
    index.push("");
  }
  files.set(`${DOCS}/checks${suffix}.md`, index.join("\n"));
}

/** How a kind of evidence is had, in words. */
function howOf({ how }: Kind<unknown>): string {
  if ("list" in how) return "`GET` list";
  if ("get" in how) return `\`GET ${how.get}\``;
  if ("command" in how) return `\`${how.command}\`${how.where === "pod" ? " (in the Pod's network namespace)" : ""}`;
  if ("exec" in how) return `\`${how.exec}\` (in the container ${how.container})`;
  if ("file" in how) return `\`${how.file}\``;
  if ("logs" in how) return `logs, ${how.logs}`;
  return how.other;
}

/** What there can be in a bundle, and what nobody can tell without it. */
async function evidencePage(files: Files): Promise<void> {
  const { catalogue } = await import("../src/evidence/catalogue.ts");
  const rows = Object.entries<Kind<unknown>>(catalogue).map(
    ([id, kind]) =>
      `| \`${id}\` | \`${kind.path}\` | ${howOf(kind).replaceAll("|", "\\|")} | ${kind.hides.en}<br>${kind.hides.zh} | ${kind.sensitivity} | ${kind.cost} |`,
  );
  files.set(
    `${DOCS}/evidence.md`,
    [
      MADE.en,
      "",
      "# Evidence",
      "",
      "Every kind of evidence that netwhy reads, from src/evidence/catalogue.ts: where it stands in a bundle, how it is had, and what nobody can tell without it.",
      "",
      "| Kind | In a bundle | How | Tells / 能说明 | Sensitivity | Cost |",
      "| --- | --- | --- | --- | --- | --- |",
      ...rows,
      "",
    ].join("\n"),
  );
}

/** The words in which faults, needs and observations are joined. */
async function capabilityPage(files: Files): Promise<void> {
  const { CAPABILITIES, PARTIAL } = await import("../src/model/capability.ts");
  files.set(
    `${DOCS}/capabilities.md`,
    [
      MADE.en,
      "",
      "# Capabilities",
      "",
      "What something in a cluster can do for something else: faults break them, needs are made of them (docs/reasoning.md). A *partial* one can work for one packet and fail for the next.",
      "",
      "| Capability | English | 中文 | |",
      "| --- | --- | --- | --- |",
      ...Object.entries<Template>(CAPABILITIES).map(
        ([name, { en, zh }]) => `| \`${name}\` | ${en} | ${zh} | ${PARTIAL.has(name) ? "partial" : ""} |`,
      ),
      "",
    ].join("\n"),
  );
}

/** How a node is read, and what each way needs. */
async function waysPage(files: Files): Promise<void> {
  const { WAYS } = await import("../src/sources/live/ways.ts");
  const rows = WAYS.map(
    ({ what, when, sees, needs }, index) =>
      `| ${index + 1} | ${what.en}<br>${what.zh} | ${when.en}<br>${when.zh} | ${sees.en}<br>${sees.zh} | ${needs} |`,
  );
  files.set(
    `${DOCS}/ways.md`,
    [
      MADE.en,
      "",
      "# How a node is read",
      "",
      "One script, src/sources/live/node-script.sh, is run wherever it can be, in this order; each file is taken from the first place that has it, and reading ends when all was seen.",
      "",
      "| | Way / 方式 | When / 何时 | Sees / 可见范围 | Rights / 权限 |",
      "| --- | --- | --- | --- | --- |",
      ...rows,
      "",
    ].join("\n"),
  );
}

async function schemas(files: Files): Promise<void> {
  const { reportSchema: report } = await import("../src/report/report.ts");
  const { pathSchema: path } = await import("../src/report/path.ts");
  const { diffSchema: diff } = await import("../src/report/diff.ts");
  const { rbacCheckSchema } = await import("../src/report/rbac-check.ts");
  const { rbacDiffSchema } = await import("../src/report/rbac-diff.ts");
  const { rbacRecoverySchema } = await import("../src/report/rbac-recovery.ts");
  const { whatIfSchema } = await import("../src/report/what-if.ts");
  for (const [name, schema] of Object.entries({
    report,
    path,
    diff,
    "rbac-check": rbacCheckSchema,
    "rbac-diff": rbacDiffSchema,
    "rbac-recovery": rbacRecoverySchema,
    "what-if": whatIfSchema,
  })) {
    const text = JSON.stringify(z.toJSONSchema(schema, { io: "input" }), undefined, 2);
    files.set(`${DOCS}/${name}.schema.json`, `${text}\n`);
  }
}

const isCheck = process.argv.includes("--check");
const stale: string[] = [];

function put(path: string, content: string): void {
  const full = join(ROOT, path);
  let current: string | undefined;
  try {
    current = readFileSync(full, "utf8");
  } catch {
    // it is new
  }
  if (current === content) return;
  stale.push(path);
  if (isCheck) return;
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
}

put(REGISTRY, registry());
const files: Files = new Map();
for (const language of ["en", "zh"] as const) await checkPages(language, files);
await evidencePage(files);
await capabilityPage(files);
await waysPage(files);
await schemas(files);
const { clusterRoleYaml } = await import("../src/evidence/cluster-role.ts");
put("manifests/cluster-role.yaml", clusterRoleYaml());
for (const [path, content] of files) put(path, content);
for (const entry of readdirSync(join(ROOT, DOCS), { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name).slice(ROOT.length + 1);
  if (!entry.isFile() || files.has(path)) continue;
  stale.push(path);
  if (!isCheck) rmSync(join(ROOT, path));
}
if (isCheck && stale.length > 0) {
  process.stderr.write(`not fresh (run node tools/generate.ts): ${stale.join(", ")}\n`);
  process.exitCode = 1;
}
