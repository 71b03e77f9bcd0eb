/**
 * A field selector as a query of the API carries it: `spec.nodeName=w1,status.phase!=Running`.
 *
 * Grammar: apimachinery, pkg/fields/selector.go (ParseSelector). A backslash before `\`, `,` or `=` takes its meaning
 * away; empty terms are passed over.
 */
import type { SelectorResult } from "./label-selector.ts";

export type FieldRequirement = { readonly field: string; readonly isEqual: boolean; readonly value: string };

/** Splits at commas that no backslash stands before; the backslashes stay. */
function splitTerms(text: string): string[] {
  return text.match(/(?:\\[\s\S]|[^\\,])+\\?|\\$/g) ?? [];
}

const TERM = /^((?:\\[\s\S]|[^\\=!]|!(?!=))*)(!=|==|=)([\s\S]*)$/;

/** @returns undefined for a backslash before anything else, and for a `,` or `=` without one */
function withoutBackslashes(value: string): string | undefined {
  return /^(?:[^\\,=]|\\[\\,=])*$/.test(value) ? value.replace(/\\([\\,=])/g, "$1") : undefined;
}

/** Reads a field selector; the empty text selects everything. */
export function parseFieldSelector(text: string): SelectorResult<FieldRequirement> {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text)) {
    const [, field, operator, escaped] = TERM.exec(term) ?? [];
    if (field === undefined || escaped === undefined) {
      return { ok: false, why: `invalid selector: '${text}'; can't understand '${term}'` };
    }
    const value = withoutBackslashes(escaped);
    if (value === undefined)
      return { ok: false, why: `invalid field selector: unescaped character in value: ${escaped}` };
    requirements.push({ field, isEqual: operator !== "!=", value });
  }
  return { ok: true, value: requirements };
}
