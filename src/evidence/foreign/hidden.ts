/** Values that a redactor has put something else in place of: nobody may take them for what they are not. */

/** Troubleshoot's redactors write this (pkg/redact, MASK_TEXT). */
export const HIDDEN = "***HIDDEN***";

/**
 * The same without values that are hidden: such a field is gone, and so is an element of a list of which only a name is
 * left. One that has nothing else stays, without it: there is something, and what it is nobody knows.
 */
export function withoutHidden(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((one) => !isNothing(one)).map(withoutHidden);
  if (typeof value !== "object" || value === null) return value;
  const left = Object.entries(value).filter(([, one]) => one !== HIDDEN);
  return Object.fromEntries(left.map(([key, one]) => [key, withoutHidden(one)]));
}

/** An address, or a variable, without its value. */
function isNothing(element: unknown): boolean {
  if (typeof element !== "object" || element === null) return element === HIDDEN;
  const values = Object.values(element);
  return values.length === 2 && values.includes(HIDDEN);
}
