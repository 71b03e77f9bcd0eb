/** What components count of themselves, as evidence. They count since their start: that something failed, not that it does. */
import { known, type Observed } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import type { MetricSample, Metrics } from "../parse/kubernetes/metrics.ts";

/** A sample as its component writes it. */
function written(name: string, { labels, value }: MetricSample): string {
  const all = [...labels].filter(([, of]) => of !== "").map(([label, of]) => `${label}=${JSON.stringify(of)}`);
  return `${name}${all.length === 0 ? "" : `{${all.join(",")}}`} ${value}`;
}

/** The samples of some names that are not zero, the largest first. */
export function counted(
  observed: Observed<Metrics>,
  names: readonly string[],
  isMeant: (sample: MetricSample) => boolean = () => true,
): Evidence[] {
  const metrics = known(observed);
  return names
    .flatMap((name) => (metrics?.get(name) ?? []).map((sample) => ({ name, sample })))
    .filter(({ sample }) => sample.value > 0 && isMeant(sample))
    .sort((a, b) => b.sample.value - a.sample.value)
    .map(({ name, sample }) => quoteOf({ ...observed.origin, line: sample.line }, written(name, sample)));
}
