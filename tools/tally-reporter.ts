/** A reporter for vitest: writes how many tests passed, failed and were skipped, and why, for tools/test.ts to read. */
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

export type Tally = {
  readonly passed: number;
  readonly failed: number;
  /** What was not run, with the reason that it gave. */
  readonly skipped: readonly string[];
};

function tallyOf(modules: readonly TestModule[], unhandled: number): Tally {
  let passed = 0;
  let failed = unhandled;
  const skipped: string[] = [];
  for (const module of modules) {
    // a file that does not load, or a hook that fails, takes its tests with it
    failed += module.errors().length;
    for (const suite of module.children.allSuites()) failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === "passed") passed++;
      else if (result.state === "failed") failed++;
      else skipped.push(`${module.relativeModuleId} > ${test.fullName}: ${reasonOf(result, test.options.mode)}`);
    }
  }
  return { passed, failed, skipped };
}

function reasonOf(result: { readonly state: string; readonly note?: string | undefined }, mode: string): string {
  if (result.note) return result.note;
  if (mode === "todo") return "to do";
  return result.state === "pending" ? "not reached" : "no reason given";
}

/** vitest wants a class here, and a default export. */
// biome-ignore lint/style/noDefaultExport: vitest loads reporters by their default export
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const target = process.env.NETWHY_TALLY;
    if (target) writeFileSync(target, JSON.stringify(tallyOf(modules, unhandled.length)));
  }
}
