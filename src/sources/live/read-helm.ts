/**
 * What Helm remembers of its releases, from the Secrets or ConfigMaps in which it keeps it: asked for by type and label, so
 * that no other Secret is read, and only when somebody wants it.
 */
import type { Intake } from "../../evidence/capture.ts";
import { HELM_RELEASES, helmReleases } from "../../evidence/helm-releases.ts";
import type { Api } from "./api.ts";
import { recordText } from "./helm-record.ts";
import { readList } from "./list.ts";
import { tellFailure, tellText } from "./read-api.ts";

/** The drivers that keep records in the cluster; that for SQL does not. */
const DRIVERS = [
  { path: "/api/v1/secrets", selectors: { fieldSelector: "type=helm.sh/release.v1" } },
  { path: "/api/v1/configmaps", selectors: {} },
];
/** Of an older revision nothing is wanted; a failed upgrade leaves the revision before it deployed. */
const DEPLOYED = { labelSelector: "owner=helm,status=deployed" };
/** Each is up to a MiB. */
const PAGE_SIZE = 10;

type Kept = { readonly metadata?: { readonly name?: string }; readonly data?: { readonly release?: unknown } };

export async function readHelmReleases(api: Api, intake: Intake): Promise<void> {
  const failures: string[] = [];
  let found = helmReleases();
  for (const { path, selectors } of DRIVERS) {
    const before = found;
    const open = () => {
      // a list that begins again begins with what was found before it
      found = helmReleases();
      found.add(before);
      const write = (line: string) => {
        const { data, metadata } = JSON.parse(line) as Kept;
        const record = recordText(data?.release);
        found.take(record.ok ? record : { ok: false, why: `${metadata?.name}: ${record.why}` });
      };
      return { write, end: () => {} };
    };
    const { failure } = await readList(api, path, open, {
      pageSize: PAGE_SIZE,
      selectors: { ...DEPLOYED, ...selectors },
    });
    if (failure) failures.push(failure.message);
  }
  const lines = found.lines();
  const why = [...failures, ...found.flaws].join("; ");
  if (lines !== "" || why === "") tellText(intake, HELM_RELEASES, lines, why === "" ? undefined : why);
  else tellFailure(intake, HELM_RELEASES, why);
}
