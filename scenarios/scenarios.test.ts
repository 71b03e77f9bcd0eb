/** Every incident that we ship is diagnosed as its expected.yaml says. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { incidentNames, readIncident } from "../src/cli/incidents.ts";
import { diagnose } from "../src/diagnose.ts";
import { refId } from "../src/model/ref.ts";
import { type Report, reportSchema } from "../src/report/report.ts";
import { readBundle } from "../src/sources/bundle.ts";

type Expected = {
  readonly verdict: Report["verdict"];
  /** `<check>/<kind>/<namespace>/<name>`, and no others. */
  readonly roots: readonly string[];
  /** `<kind>/<namespace>/<name>`: what suffers, and what a less careful reader would blame. */
  readonly notBlamed: readonly string[];
};

const NAMES = incidentNames();

describe.each(NAMES)("%s", (name) => {
  const folder = new URL(`${name}/`, import.meta.url);
  const expected = load(readFileSync(new URL("expected.yaml", folder), "utf8")) as Expected;

  it("is diagnosed as expected", async () => {
    const report = diagnose(await readBundle(readIncident(name, "en").bundle));
    expect(reportSchema.parse(report)).toEqual(report);
    const { verdict, rootCauses } = report;
    expect(verdict).toBe(expected.verdict);
    expect(rootCauses.map(({ id }) => id)).toEqual(expected.roots);
    for (const { object } of rootCauses)
      expect(expected.notBlamed).not.toContain(refId(object as Parameters<typeof refId>[0]));
    for (const { remedies } of rootCauses) expect(remedies).not.toEqual([]);
  });

  it("has its story in both languages", () => {
    for (const lang of ["en", "zh"] as const) expect(readIncident(name, lang).title).not.toBe(name);
  });

  it("is small", () => {
    const sizes = readdirSync(folder).map((file) => statSync(new URL(file, folder)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(400 * 1024);
  });
});

it("there are some", () => {
  expect(NAMES).toContain("flannel-role-deleted");
});
