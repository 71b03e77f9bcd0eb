/** The forms in which a report is given out, by the name that `-o` takes. */
import type { Template } from "../../text.ts";
import type { Report } from "../report.ts";
import { renderJson } from "./json.ts";
import { renderMarkdown } from "./markdown.ts";
import { type RenderOptions, renderTerminal } from "./terminal.ts";

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
} satisfies Record<string, Format>;

export type FormatName = keyof typeof FORMATS;
