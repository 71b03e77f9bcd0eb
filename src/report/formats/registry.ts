/** The forms in which a report is given out, by the name that `-o` takes. */
import type { Template } from "../../text.ts";
import type { Report } from "../report.ts";
import { renderJson } from "./json.ts";
import { type JUnit, junitOf } from "./junit.ts";
import { renderMarkdown } from "./markdown.ts";
import { renderRunbook } from "./runbook.ts";
import { sarifOf } from "./sarif.ts";
import { type RenderOptions, renderTerminal } from "./terminal.ts";
import { dumpYaml } from "./yaml.ts";

export type Format = {
  readonly describes: Template;
  readonly render: (report: Report, options: Omit<RenderOptions, "wide">) => string;
};

export const FORMATS = {
  text: {
    describes: { en: "for people: cause, chain, fix", zh: "供人阅读：根因、链路、修复" },
    render: (report, options) => renderTerminal(report, { ...options, wide: false }),
  },
  wide: {
    describes: { en: "the same with all evidence, undo and checks", zh: "同上，另含全部证据、回退方法和检查项" },
    render: (report, options) => renderTerminal(report, { ...options, wide: true }),
  },
  json: {
    describes: { en: "for programs: the whole report", zh: "供程序使用：完整报告" },
    render: renderJson,
  },
  markdown: {
    describes: { en: "for a ticket", zh: "用于工单" },
    render: (report, { lang }) => renderMarkdown(report, { lang, wide: false }),
  },
  runbook: {
    describes: {
      en: "the incident for who comes later: how it was found, cause, fix, prevention",
      zh: "排障记录，供日后查阅：排查过程、根因、修复、预防",
    },
    render: (report, { lang }) => renderRunbook(report, lang),
  },
  yaml: {
    describes: { en: "the same as YAML", zh: "同上，YAML 格式" },
    render: dumpYaml,
  },
  sarif: {
    describes: { en: "for code hosts and pipelines", zh: "供代码托管平台与流水线使用" },
    render: ({ tool, rootCauses, warnings }, { lang }) => sarifOf({ tool, causes: rootCauses, warnings }, lang),
  },
  junit: {
    describes: {
      en: "for build servers: a cause is a test that failed",
      zh: "供构建服务器使用：每个根因是一项失败的测试",
    },
    render: (report, { lang }) => junitOf(testsOf(report), lang),
  },
} satisfies Record<string, Format>;

/** Checks as tests: one that found nothing passed, one that could not tell was skipped. */
function testsOf({ verdict, summary, rootCauses, checks }: Report): JUnit {
  const found = new Set(rootCauses.map(({ check }) => check));
  const ids = (isOne: (check: Report["checks"][number]) => boolean) =>
    checks.filter((check) => !found.has(check.id) && isOne(check)).map(({ id }) => id);
  return {
    name: "diagnose",
    causes: rootCauses,
    passed: ids(({ outcome }) => outcome === "clear" || outcome === "found"),
    skipped: ids(({ outcome }) => outcome !== "clear" && outcome !== "found"),
    unclear: verdict === "unclear" ? summary : undefined,
  };
}

export type FormatName = keyof typeof FORMATS;
