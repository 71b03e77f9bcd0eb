/**
 * Two faults at once: the deviations of every two recorded faults, laid over the built cluster. Both roots, no third. In the long
 * version those that no recording holds as well.
 */
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { type Ref, refId } from "../../src/model/ref.ts";
import { cluster } from "../cluster.ts";
import { DEVIATIONS as RECORDED } from "../deviations.ts";
import { LONG } from "../long.ts";
import { TOLD } from "../told-deviations.ts";

const healthy = () => cluster({ nodes: 5, enforcer: true });

const DEVIATIONS = { ...RECORDED, ...TOLD };
const NAMES = Object.keys(DEVIATIONS);

describe("each fault, in the built cluster", () => {
  it.each(NAMES)("%s", (name) => {
    const { put, roots } = DEVIATIONS[name]!;
    const report = diagnose(put(healthy()).capture);
    expect(report.rootCauses.map(({ object }) => refId(object as Ref)).sort()).toEqual([...roots].sort());
  });
});

const LAID = LONG ? NAMES : Object.keys(RECORDED);
const PAIRS = LAID.flatMap((first, index) => LAID.slice(index + 1).map((second) => [first, second] as const));

describe("every two of them", () => {
  it.each(PAIRS.filter(([a, b]) => !DEVIATIONS[a]!.excludes?.includes(b) && !DEVIATIONS[b]!.excludes?.includes(a)))(
    "%s and %s",
    (first, second) => {
      const [a, b] = [DEVIATIONS[first]!, DEVIATIONS[second]!];
      const report = diagnose(b.put(a.put(healthy())).capture);
      const expected = [...new Set([...a.roots, ...b.roots])].sort();
      const found = new Set(report.rootCauses.map(({ object }) => refId(object as Ref)));
      expect([...found].sort()).toEqual(expected);
    },
  );
});
