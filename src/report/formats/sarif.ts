/**
 * Causes as SARIF, for code hosts and pipelines.
 *
 * Format: OASIS SARIF 2.1.0. A cause is a result, its check the rule; where it was seen is a location: a path in the
 * bundle, and the object by its name.
 */
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
  const rules = [...new Set(results.map(({ ruleId }) => ruleId))].map((id) => ({ id }));
  return `${JSON.stringify(
    {
      $schema: "https://json.schemastore.org/sarif-2.1.0.json",
      version: "2.1.0",
      runs: [
        {
          tool: { driver: { name: "netwhy", version: tool.version, rules } },
          columnKind: "unicodeCodePoints",
          results,
        },
      ],
    },
    undefined,
    2,
  )}\n`;
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
