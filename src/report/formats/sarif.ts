/**
 * Causes as SARIF, for code hosts and pipelines.
 *
 * Format: OASIS SARIF 2.1.0. A cause is a result, its check the rule; where it was seen is a location: a path in the
 * bundle, and the object by its name. A rule's help is the manual page of its check. It has no helpUri: that has to be an
 * absolute address, and the page comes with netwhy, in the release that found it.
 */
import { CHECKS } from "../../checks/registry.ts";
import { type Language, texts } from "../../text.ts";
import type { Cause, ReportEvidence } from "../report.ts";
import { refId } from "./speaker.ts";

const say = texts("sarif", {
  withReason: { en: "{title} ({because})", zh: "{title}（{because}）" },
});

export type Sarif = {
  readonly tool: { readonly version: string };
  readonly causes: readonly Cause[];
  readonly warnings: readonly Cause[];
};

export function sarifOf({ tool, causes, warnings }: Sarif, lang: Language): string {
  const results = [
    ...causes.map((cause) => resultOf(cause, cause.latent ? "warning" : "error", lang)),
    ...warnings.map((cause) => resultOf(cause, "note", lang)),
  ];
  const ids = [...new Set(results.map(({ ruleId }) => ruleId))];
  return `${JSON.stringify(
    {
      $schema: "https://json.schemastore.org/sarif-2.1.0.json",
      version: "2.1.0",
      runs: [
        {
          tool: { driver: { name: "netwhy", version: tool.version, rules: ids.map((id) => ruleOf(id, lang)) } },
          columnKind: "unicodeCodePoints",
          results: results.map((result) => ({ ...result, ruleIndex: ids.indexOf(result.ruleId) })),
        },
      ],
    },
    undefined,
    2,
  )}\n`;
}

/** Code hosts cut descriptions that are longer. */
const LONGEST = 1000;

/** A page without its marks, for readers that draw none. */
const plain = (markdown: string): string => markdown.replace(/\*\*|`/g, "");

function ruleOf(id: string, lang: Language) {
  const manual = CHECKS.find(({ check }) => check.id === id)?.check.manual;
  // a report of another release may name a check that this one does not have
  if (!manual) return { id };
  const page = manual.page[lang];
  const [first = ""] = page.split("\n\n");
  return {
    id,
    shortDescription: { text: plain(manual.title[lang]) },
    fullDescription: { text: plain(first).slice(0, LONGEST) },
    help: { text: plain(page), markdown: page },
    defaultConfiguration: { level: "error" },
  };
}

function resultOf(cause: Cause, level: "error" | "warning" | "note", lang: Language) {
  const { id, check, title, because, object, confidence, evidence } = cause;
  const proof = evidence.map(({ quote }) => `\n  ${quote}`).join("");
  return {
    ruleId: check,
    level,
    message: { text: `${because[lang] === "" ? title[lang] : say.withReason({ title, because })[lang]}${proof}` },
    partialFingerprints: { "netwhy/v1": id },
    locations: locationsOf(evidence, refId(object)),
    properties: { object: refId(object), confidence },
  };
}

function locationsOf(evidence: readonly ReportEvidence[], name: string) {
  const logicalLocations = [{ fullyQualifiedName: name, kind: "resource" }];
  const [first] = evidence;
  if (!first) return [{ logicalLocations }];
  const { path, line } = first.origin;
  const physicalLocation = {
    artifactLocation: { uri: path.split("/").map(encodeURIComponent).join("/") },
    ...(line !== undefined && { region: { startLine: line } }),
  };
  return [{ physicalLocation, logicalLocations }];
}
