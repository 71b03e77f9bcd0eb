/**
 * A field selector as a query of the API carries it: `spec.nodeName=w1,status.phase!=Running`.
 *
 * Grammar: apimachinery, pkg/fields/selector.go (ParseSelector). A backslash before `\`, `,` or `=` takes its meaning
 * away; empty terms are passed over.
 */
import type { SelectorResult } from "./label.ts";

export type FieldRequirement = { readonly field: string; readonly isEqual: boolean; readonly value: string };

/** Splits at commas that no backslash stands before; the backslashes stay. Terms are read in the order of their texts. */
function splitTerms(text: string): string[] {
  return (text.match(/(?:\\[\s\S]|[^\\,])+\\?|\\$/g) ?? []).sort();
}

/** The first operator ends the field, whatever stands before it. */
const TERM = /^([\s\S]*?)(!=|==|=)([\s\S]*)$/;

/** A backslash before anything else than these, and one of these without a backslash. */
const MISPLACED = /^(?:[^\\,=]|\\[\\,=])*?(?:\\([^\\,=])|\\$|([,=]))/;

/** Reads a field selector; the empty text selects everything. */
export function parseFieldSelector(text: string): SelectorResult<FieldRequirement> {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text)) {
    const [, field, operator, escaped] = TERM.exec(term) ?? [];
    if (field === undefined || escaped === undefined) {
      return { ok: false, why: `invalid selector: '${text}'; can't understand '${term}'` };
    }
    const misplaced = MISPLACED.exec(escaped);
    if (misplaced) {
      const [, afterBackslash, bare = ""] = misplaced;
      const why = bare === "" ? `invalid escape sequence: \\${afterBackslash ?? ""}` : unescaped(bare);
      return { ok: false, why: `invalid field selector: ${why}` };
    }
    const value = escaped.replace(/\\([\\,=])/g, "$1");
    // `=` alone is no condition, and so is `!=`
    if (field === "" && value === "") continue;
    requirements.push({ field, isEqual: operator !== "!=", value });
  }
  return { ok: true, value: requirements };
}

const unescaped = (character: string): string => `unescaped character in value: ${character.charCodeAt(0)}`;
