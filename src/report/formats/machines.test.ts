/** The forms that programs read: each is what its readers expect, whatever the evidence holds. */
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { HEALTHY, ROOT, SAMPLE } from "../../../testing/sample-report.ts";
import { verbatim } from "../../text.ts";
import type { Report } from "../report.ts";
import { FORMATS, type FormatName } from "./registry.ts";

const draw = (format: FormatName, report: Report, lang: "en" | "zh" = "en") =>
  FORMATS[format].render(report, { lang, width: 100, color: false });
const HOSTILE: Report = {
  ...SAMPLE,
  rootCauses: [{ ...ROOT, title: verbatim('</failure>"<&>\u0000\u001b[31m\ud800 line\nnext') }],
};

describe("JUnit", () => {
  it("has a failure for each cause, and a test for each check", () => {
    const xml = draw("junit", SAMPLE);
    expect(xml).toContain(`failures="${SAMPLE.rootCauses.length}"`);
    expect(xml).toContain(`name="${ROOT.check}: `);
    expect(draw("junit", HEALTHY)).toContain('failures="0" errors="0"');
  });

  it("says an unclear verdict as an error", () => {
    expect(draw("junit", { ...HEALTHY, verdict: "unclear" })).toContain('errors="1"');
  });

  it("lets nothing out of its place", () => {
    const xml = draw("junit", HOSTILE);
    expect(xml).toContain('message="&lt;/failure&gt;&quot;&lt;&amp;&gt;\ufffd\ufffd[31m\ufffd line next"');
    expect(xml).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/);
  });
});

describe("SARIF", () => {
  it("has a result for each cause at the place of its evidence", () => {
    const { version, runs } = JSON.parse(draw("sarif", SAMPLE));
    expect(version).toBe("2.1.0");
    expect(runs[0].results[0]).toMatchObject({
      ruleId: ROOT.check,
      level: "error",
      partialFingerprints: { "netwhy/v1": ROOT.id },
      locations: [{ physicalLocation: { artifactLocation: { uri: ROOT.evidence[0]!.origin.path } } }],
    });
    expect(runs[0].tool.driver.rules.map(({ id }: { id: string }) => id)).toContain(ROOT.check);
  });

  it("describes each rule as the manual does, and results refer to it", () => {
    const [{ tool, results }] = JSON.parse(draw("sarif", SAMPLE)).runs;
    for (const { ruleId, ruleIndex } of results) expect(tool.driver.rules[ruleIndex].id).toBe(ruleId);
    const { shortDescription, fullDescription, help } = tool.driver.rules.find(
      ({ id }: { id: string }) => id === ROOT.check,
    );
    for (const { text } of [shortDescription, fullDescription, help]) expect(text).toMatch(/^[^*`]{10,}$/);
    expect(help.markdown).toContain("**How it looks.**");
  });

  it("names a check that it does not know, of a report of another release", () => {
    const other = { ...SAMPLE, rootCauses: [{ ...ROOT, check: "of-tomorrow" }], warnings: [] };
    expect(JSON.parse(draw("sarif", other)).runs[0].tool.driver.rules).toEqual([{ id: "of-tomorrow" }]);
  });

  it("speaks the reader's language", () => {
    expect(JSON.parse(draw("sarif", SAMPLE, "zh")).runs[0].results[0].message.text).toContain(ROOT.title.zh);
  });
});

describe("YAML", () => {
  it("holds the whole report", () => {
    expect(load(draw("yaml", SAMPLE))).toEqual(JSON.parse(JSON.stringify(SAMPLE)));
    expect(load(draw("yaml", HOSTILE))).toEqual(JSON.parse(JSON.stringify(HOSTILE)));
  });
});
