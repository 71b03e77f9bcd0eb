/** What is kept of Helm's records in a bundle: one release a line, its newest deployed revision, and of it no Secret. */
import { type HelmRelease, parseHelmRecord } from "../parse/kubernetes/helm-release.ts";

export const HELM_RELEASES = "helm/releases.jsonl";

export type HelmReleases = {
  /** @param json a record, or why there is none */
  take(json: { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string }): void;
  /** All that others found. */
  add(others: HelmReleases): void;
  all(): Iterable<HelmRelease>;
  lines(): string;
  /** Why records were passed over, or not taken whole. */
  readonly flaws: readonly string[];
};

export function helmReleases(): HelmReleases {
  const newest = new Map<string, HelmRelease>();
  const flaws: string[] = [];
  const keep = (release: HelmRelease) => {
    const id = `${release.namespace}/${release.name}`;
    if ((newest.get(id)?.revision ?? 0) < release.revision) newest.set(id, release);
  };
  return {
    take(json) {
      if (!json.ok) {
        flaws.push(json.why);
        return;
      }
      const { value, gaps } = parseHelmRecord(json.text);
      for (const { what } of gaps) flaws.push(value ? `${value.namespace}/${value.name}: ${what}` : what);
      if (value?.status === "deployed") keep(value);
    },
    add(others) {
      for (const release of others.all()) keep(release);
      flaws.push(...others.flaws);
    },
    all: () => newest.values(),
    lines: () => [...newest.values()].map((release) => `${JSON.stringify(release)}\n`).join(""),
    flaws,
  };
}
