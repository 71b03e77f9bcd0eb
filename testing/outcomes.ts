/** What is expected of the outcomes that rules have for packets. */
import { expect } from "vitest";
import type { Outcome } from "../src/model/netfilter/outcome.ts";

/**
 * That what is known less well leaves at least the outcomes of what is known, and that one outcome is certain. More ways
 * than we follow may be any.
 */
export function expectNoneLost(known: readonly Outcome[], blurred: readonly Outcome[]): void {
  for (const outcomes of [known, blurred]) {
    expect(outcomes.length).toBeGreaterThan(0);
    for (const { certainty } of outcomes) expect(certainty).toBe(outcomes.length === 1 ? "certain" : "depends");
  }
  if (blurred.some(({ verdict }) => verdict.is === "insufficient" && verdict.why === "too-many")) return;
  const verdicts = blurred.map(({ verdict }) => verdict.is);
  for (const { verdict } of known) expect(verdicts).toContain(verdict.is);
}
