/**
 * Causes as JUnit XML, for build servers: a cause is a test that failed.
 *
 * Format: the dialect that Jenkins' JUnit plugin and GitLab read. It allows no character that XML does not.
 */
import type { Language, Text } from "../../text.ts";
import type { Cause } from "../report.ts";
import { refId } from "./speaker.ts";

export type JUnit = {
  readonly name: string;
  readonly causes: readonly Cause[];
  /** Names of what was found to be in order. */
  readonly passed?: readonly string[] | undefined;
  /** Names of what could not be judged, or does not apply. */
  readonly skipped?: readonly string[] | undefined;
  /** Why nothing can be said as a whole: an error, which is no failure. */
  readonly unclear?: Text | undefined;
};

// what XML 1.0 has no way to write
const IMPOSSIBLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const escaped = (text: string): string =>
  text.replace(IMPOSSIBLE, "\ufffd").replace(/[&<>"]/g, (char) => ENTITIES[char]!);
// in an attribute, line ends become spaces
const attribute = (text: string): string => escaped(text).replace(/\s*\n\s*/g, " ");

export function junitOf({ name, causes, passed = [], skipped = [], unclear }: JUnit, lang: Language): string {
  const cases = [
    ...causes.map((cause) => failure(cause, lang)),
    ...(unclear
      ? [`    <testcase classname="netwhy" name="verdict"><error message="${attribute(unclear[lang])}"/></testcase>`]
      : []),
    ...passed.map((id) => `    <testcase classname="netwhy" name="${attribute(id)}"/>`),
    ...skipped.map((id) => `    <testcase classname="netwhy" name="${attribute(id)}"><skipped/></testcase>`),
  ];
  const counts = `tests="${cases.length}" failures="${causes.length}" errors="${unclear ? 1 : 0}" skipped="${skipped.length}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="netwhy" ${counts}>`,
    `  <testsuite name="${attribute(name)}" ${counts}>`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

function failure({ check, object, title, confidence, evidence }: Cause, lang: Language): string {
  const text = [refId(object), ...evidence.map(({ quote }) => quote)].join("\n");
  return [
    `    <testcase classname="netwhy" name="${attribute(`${check}: ${refId(object)}`)}">`,
    `      <failure type="${confidence}" message="${attribute(title[lang])}">${escaped(text)}</failure>`,
    "    </testcase>",
  ].join("\n");
}
