/**
 * Runs the tests in groups, two at a time: each has a budget of time and says what it used. `npm test` ends here.
 *
 *   node tools/test.ts                all groups
 *   node tools/test.ts unit lint      only these
 *   node tools/test.ts --long         the long versions: property and differential tests with many more cases
 *   node tools/test.ts --list         what groups there are
 *
 * The last line is `N passed, N failed`. To add a group of tests, add a line to GROUPS: a file belongs to the first one
 * whose pattern matches it, and no test file may belong to none.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Tally } from "./tally-reporter.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

type Group = {
  readonly name: string;
  /** Seconds; beyond them the group is stopped and has failed. */
  readonly budget: number;
  readonly longBudget?: number;
  /** In so many processes its files are run, side by side where there is room. */
  readonly parts?: number;
  /** It needs what only the person who asks for it has, such as a cluster to throw away: one file after the other. */
  readonly onRequest?: true;
} & ({ readonly command: readonly string[] } | { readonly files: readonly string[] });

const bin = (name: string) => join("node_modules/.bin", name);
const node = (...args: readonly string[]) => [process.execPath, "--disable-warning=ExperimentalWarning", ...args];

const GROUPS: readonly Group[] = [
  { name: "lint", budget: 120, command: [bin("biome"), "check", "--error-on-warnings"] },
  { name: "chinese", budget: 60, command: node("tools/chinese-punctuation.ts", "--check") },
  { name: "types", budget: 180, command: [bin("tsc"), "-p", "tsconfig.json"] },
  { name: "pure-types", budget: 180, command: [bin("tsc"), "-p", "tsconfig.pure.json"] },
  { name: "dead-code", budget: 120, command: [bin("knip"), "--no-progress"] },
  { name: "generated", budget: 90, command: node("tools/generate.ts", "--check") },
  { name: "kernel", budget: 500, longBudget: 1800, files: ["testing/kernel/**/*.test.ts"] },
  { name: "recordings", budget: 300, longBudget: 600, files: ["testing/scenarios/recordings*.test.ts"] },
  { name: "walk", budget: 240, files: ["testing/scenarios/{probes,paths,policies,families}*.test.ts"] },
  { name: "blinding", budget: 400, longBudget: 7200, files: ["testing/scenarios/blinding*.test.ts"] },
  { name: "removals", budget: 150, longBudget: 3600, files: ["testing/scenarios/rule-removal*.test.ts"] },
  { name: "pairs", budget: 120, longBudget: 1800, files: ["testing/scenarios/pairs*.test.ts"] },
  {
    name: "permissions",
    budget: 150,
    longBudget: 300,
    files: ["testing/scenarios/{permissions,cilium-runbook}*.test.ts"],
  },
  { name: "healthy", budget: 120, longBudget: 1800, files: ["testing/scenarios/healthy*.test.ts"] },
  { name: "live", budget: 120, longBudget: 900, files: ["testing/scenarios/live*.test.ts"] },
  { name: "cluster", budget: 3600, onRequest: true, files: ["testing/live-cluster/**/*.test.ts"] },
  { name: "incidents", budget: 60, files: ["scenarios/*.test.ts"] },
  { name: "replayed", budget: 180, files: ["testing/scenarios/replayed*.test.ts"] },
  { name: "kubectl", budget: 180, files: ["testing/kubectl/**/*.test.ts"] },
  { name: "browser", budget: 120, files: ["testing/browser/**/*.test.ts"] },
  { name: "launcher", budget: 900, longBudget: 900, files: ["testing/launcher/**/*.test.ts"] },
  { name: "cli", budget: 400, files: ["src/cli/**/*.test.ts"] },
  { name: "unit", budget: 800, longBudget: 3600, parts: 2, files: ["{src,testing,tools}/**/*.test.ts"] },
];

type Result = Tally & { readonly seconds: number; readonly output: string };

/** The machines that run this have two cores, and most groups are one file, which has but one of them. */
const LANES = 2;

/** The group's processes are one process group, so that none outlives it. */
function stop(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, "SIGKILL");
  } catch {
    // it has ended already
  }
}

async function run(
  command: readonly string[],
  budget: number,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string; isOver: boolean }> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  let isOver = false;
  const collect = (data: Buffer) => {
    output += data;
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const timer = setTimeout(() => {
    isOver = true;
    stop(child);
  }, budget * 1000);
  const code = await new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      output += `${error.message}\n`;
      resolve(null);
    });
    child.on("close", resolve);
  });
  clearTimeout(timer);
  running.delete(child);
  return { code, output, isOver };
}

const running = new Set<ChildProcess>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    for (const child of running) stop(child);
    process.exit(130);
  });
}

/** What the tests see of the world: no colours, and nothing that npm told its script about this package. */
function environment(isLong: boolean, tally: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle|config_local_prefix$)/i.test(name),
  );
  const { FORCE_COLOR, NO_COLOR, ...env } = Object.fromEntries(own);
  return { ...env, NO_COLOR: "1", NETWHY_TALLY: tally, ...(isLong && { NETWHY_LONG: "1" }) };
}

/** @param part of the group's parts, from 1 */
async function runPart(group: Group, files: readonly string[], part: number, isLong: boolean): Promise<Result> {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "netwhy-tally-"));
  const target = join(folder, "tally.json");
  const budget = (isLong ? group.longBudget : undefined) ?? group.budget;
  const vitest = [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--reporter=dot",
    "--reporter=./tools/tally-reporter.ts",
    "--maxWorkers=1",
    ...(group.parts ? [`--shard=${part}/${group.parts}`] : []),
    ...files,
  ];
  const command = "command" in group ? group.command : node(...vitest);
  const { code, output, isOver } = await run(command, budget, environment(isLong, target));
  const seconds = (performance.now() - started) / 1000;
  const said = isOver ? `${output}\n${group.name}: stopped after its budget of ${budget} s\n` : output;
  const tally =
    "command" in group ? { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [] } : readTally(target);
  rmSync(folder, { recursive: true });
  // a run that ended badly has failed, whatever it counted
  const failed = code === 0 || tally.failed > 0 ? tally.failed : 1;
  return { ...tally, failed, seconds, output: said };
}

function readTally(path: string): Tally {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Tally;
  } catch {
    // it was stopped before it could write one
    return { passed: 0, failed: 1, skipped: [] };
  }
}

/** The test files of each group: a file belongs to the first that matches. */
function filesByGroup(): { files: Map<Group, string[]>; orphans: string[] } {
  const left = new Set(globSync("**/*.test.ts", { cwd: ROOT, exclude: ["node_modules/**", ".tools/**"] }));
  const files = new Map<Group, string[]>();
  for (const group of GROUPS) {
    if ("command" in group) continue;
    const mine = globSync([...group.files], { cwd: ROOT }).filter((file) => left.delete(file));
    files.set(group, mine.sort());
  }
  return { files, orphans: [...left] };
}

const print = (text: string) => process.stdout.write(`${text}\n`);

async function main(args: readonly string[]): Promise<void> {
  const isLong = args.includes("--long");
  const names = args.filter((arg) => !arg.startsWith("--"));
  const unknown = names.filter((name) => !GROUPS.some((group) => group.name === name));
  if (args.includes("--list") || unknown.length > 0) {
    print(`groups: ${GROUPS.map(({ name }) => name).join(" ")}`);
    process.exitCode = unknown.length > 0 ? 3 : 0;
    return;
  }
  const { files, orphans } = filesByGroup();
  const started = performance.now();
  const skipped: string[] = [];
  let passed = 0;
  let failed = orphans.length;
  for (const file of orphans) print(`${file} belongs to no group of tools/test.ts`);
  const isWanted = ({ name, onRequest }: Group) => (names.length === 0 ? !onRequest : names.includes(name));
  const run = async (group: Group, part: number) => {
    const mine = files.get(group) ?? [];
    const name = `${group.name}${group.parts ? ` ${part}` : ""}`.padEnd(12);
    if ("files" in group && mine.length === 0) {
      print(`${name} no tests yet`);
      return;
    }
    const result = await runPart(group, mine, part, isLong);
    const budget = (isLong ? group.longBudget : undefined) ?? group.budget;
    const counts = `${String(result.passed).padStart(5)} passed ${String(result.failed).padStart(3)} failed ${String(result.skipped.length).padStart(3)} skipped`;
    print(`${name}${counts} ${result.seconds.toFixed(1).padStart(7)} of ${budget} s`);
    if (result.failed > 0)
      print(
        `${result.output
          .trimEnd()
          .split("\n")
          .slice(-200)
          .map((text) => `  | ${text}`)
          .join("\n")}\n`,
      );
    passed += result.passed;
    failed += result.failed;
    skipped.push(...result.skipped);
  };
  // the longest first, so that no lane has one left at the end
  const left = GROUPS.filter(isWanted)
    .sort((a, b) => b.budget - a.budget)
    .flatMap((group) => Array.from({ length: group.parts ?? 1 }, (_, index) => () => run(group, index + 1)));
  const lane = async () => {
    for (let next = left.shift(); next; next = left.shift()) await next();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  if (skipped.length > 0) print(`\nskipped:\n${skipped.map((each) => `  ${each}`).join("\n")}`);
  print(`\n${((performance.now() - started) / 1000).toFixed(0)} s in all`);
  print(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main(process.argv.slice(2));
