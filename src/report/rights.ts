/** What whoever gathered the evidence was not allowed to read, what that hides, and what would grant it. */
import type { Capture } from "../evidence/capture.ts";
import { catalogue, type KindId } from "../evidence/catalogue.ts";
import type { Kind } from "../evidence/kind.ts";
import type { Observed } from "../evidence/observed.ts";
import { type Denial, denialIn, grantOf, isNeeded, type Right, widened } from "../evidence/rights.ts";
import { list, phrase } from "./phrases.ts";
import type { Report } from "./report.ts";

type Rights = NonNullable<Report["rights"]>;

/** A list of which some namespaces could be read has the refusal among its gaps. */
function denialOf(observed: Observed<unknown>): Denial | undefined {
  if (observed.state === "unknown") return observed.why.reason === "forbidden" ? observed.why.denial : undefined;
  if (observed.state === "absent") return undefined;
  for (const { what } of observed.gaps) {
    const denial = denialIn(what);
    if (denial) return denial;
  }
  return undefined;
}

const keyOf = (right: Right) =>
  "url" in right ? right.url : `${right.group}/${right.resource} ${right.verb} ${right.namespace ?? ""}`;

/**
 * @param isOwn whether the evidence was gathered by who reads the report: a stranger's bundle may name anybody to be granted
 *     something
 * @returns undefined if nothing was refused
 */
export function missingRights(capture: Capture, isOwn: boolean): Rights | undefined {
  const denied = (Object.keys(catalogue) as KindId[]).flatMap((kind) =>
    capture.all(kind).flatMap(({ observed }) => {
      const denial = denialOf(observed);
      return denial && isNeeded(denial.right) ? [{ kind, denial: widened(denial) }] : [];
    }),
  );
  if (denied.length === 0) return undefined;
  const missing = [...Map.groupBy(denied, ({ denial }) => keyOf(denial.right)).values()].map((same) => {
    const kinds = [...new Set(same.map(({ kind }) => kind))];
    const hides = list(kinds.map((kind) => phrase((catalogue[kind] as Kind<unknown>).hides)));
    return { right: same[0]!.denial.right, hides };
  });
  const user = isOwn ? denied.find(({ denial }) => denial.user !== undefined)?.denial.user : undefined;
  return {
    missing,
    grant: grantOf(
      missing.map(({ right }) => right),
      user,
    ).map((object) => ({ ...object })),
  };
}
