/**
 * Helm's record of a release: what it installed, revision by revision.
 *
 * Format: JSON, `{name, namespace, version, info: {status, last_deployed}, chart: {metadata: {name, version}}, manifest,
 * hooks: [{manifest, events}]}` (helm.sh/helm/v3 pkg/release/release.go; written by v3.19.0). `manifest` holds YAML
 * documents, hooks are apart from it. A record holds everything that the chart made, Secrets included: of it, only
 * permissions, ServiceAccounts and workloads in the host's network are taken, and other documents are not even parsed.
 */
import { load } from "js-yaml";
import { z } from "zod";
import { type Fields, isObject } from "../fields.ts";
import { type Gap, type Parsed, parseJson, splitLines } from "../parsed.ts";

/** An object as it stands in a manifest. */
const manifestObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().exactOptional() }),
});

const helmRelease = z.object({
  name: z.string(),
  namespace: z.string(),
  revision: z.number(),
  status: z.string(),
  /** `cilium-1.15.19`. */
  chart: z.string().optional(),
  /** RFC 3339. */
  deployedAt: z.string().optional(),
  /** As Helm applied them: with the namespace and the marks of the release that Helm adds. */
  objects: z.array(manifestObject),
});
export type HelmRelease = z.infer<typeof helmRelease>;

const NAMESPACED = ["ServiceAccount", "Role", "RoleBinding", "DaemonSet", "Deployment"];
const KINDS = new Set([...NAMESPACED, "ClusterRole", "ClusterRoleBinding"]);
const KIND = /^kind:[ \t]*["']?([A-Za-z]+)["']?[ \t]*(?:#.*)?$/m;
/** Of one document; the whole record is a MiB, compressed. */
const LARGEST_DOCUMENT = 1024 * 1024;
/** The largest charts make some hundred objects. */
const MOST_DOCUMENTS = 10_000;
const DOCUMENT_END = /^---[ \t]*(?:#.*)?$/m;

const textAt = (value: unknown, ...path: readonly string[]): string | undefined => {
  const found = path.reduce((part: unknown, key) => (isObject(part) ? part[key] : undefined), value);
  return typeof found === "string" ? found : undefined;
};

/** The record's JSON, taken apart; undefined if it is none. */
export function parseHelmRecord(text: string): Parsed<HelmRelease | undefined> {
  const json = parseJson(text);
  if (!json.ok) return { value: undefined, gaps: [{ what: json.why }] };
  const record = json.value;
  const [name, namespace, manifest] = ["name", "namespace", "manifest"].map((key) => textAt(record, key));
  const version = isObject(record) ? record.version : undefined;
  if (name === undefined || namespace === undefined || manifest === undefined || typeof version !== "number")
    return { value: undefined, gaps: [{ what: "it is no record of a Helm release" }] };
  const gaps: Gap[] = [];
  const release = { name, namespace };
  const documents = manifest.split(DOCUMENT_END, MOST_DOCUMENTS + 1);
  if (documents.length > MOST_DOCUMENTS) gaps.push({ what: `only the first ${MOST_DOCUMENTS} documents were read` });
  const objects = documents
    .slice(0, MOST_DOCUMENTS)
    .flatMap((document) => objectIn(document, release, (what) => void gaps.push({ what })));
  const chart = ["name", "version"].map((key) => textAt(record, "chart", "metadata", key));
  const deployedAt = textAt(record, "info", "last_deployed");
  const value: HelmRelease = {
    ...release,
    revision: version,
    status: textAt(record, "info", "status") ?? "unknown",
    ...(chart.every((part) => part !== undefined) && { chart: chart.join("-") }),
    ...(deployedAt !== undefined && { deployedAt }),
    objects,
  };
  return { value, gaps };
}

type Release = Pick<HelmRelease, "name" | "namespace">;

function objectIn(document: string, release: Release, tell: (what: string) => void): HelmRelease["objects"] {
  const kind = KIND.exec(document)?.[1];
  if (kind === undefined || !KINDS.has(kind)) return [];
  if (document.length > LARGEST_DOCUMENT) {
    tell(`${kind}: the document is larger than ${LARGEST_DOCUMENT} characters`);
    return [];
  }
  try {
    const value = load(document, { maxAliases: 0, maxDepth: 100 });
    const fit = manifestObject.safeParse(value);
    if (!fit.success || fit.data.kind !== kind) {
      tell(`${kind}: the document is no object`);
      return [];
    }
    const isWorkload = kind === "DaemonSet" || kind === "Deployment";
    if (isWorkload && !isOnHostNetwork(fit.data)) return [];
    return [asApplied(fit.data, release)];
  } catch (error) {
    tell(`${kind}: ${(error as Error).message.split("\n")[0]}`);
    return [];
  }
}

function isOnHostNetwork({ spec }: Fields): boolean {
  const podSpec = ["template", "spec"].reduce((part: unknown, key) => (isObject(part) ? part[key] : undefined), spec);
  return isObject(podSpec) && podSpec.hostNetwork === true;
}

/** Without these, Helm refuses to take the object over (pkg/action/validate.go, checkOwnership). */
export function ownedBy<T extends { metadata: Fields }>(object: T, { name, namespace }: Release): T {
  const { labels, annotations } = object.metadata;
  return {
    ...object,
    metadata: {
      ...object.metadata,
      labels: { ...(isObject(labels) && labels), "app.kubernetes.io/managed-by": "Helm" },
      annotations: {
        ...(isObject(annotations) && annotations),
        "meta.helm.sh/release-name": name,
        "meta.helm.sh/release-namespace": namespace,
      },
    },
  };
}

function asApplied(object: HelmRelease["objects"][number], release: Release): HelmRelease["objects"][number] {
  const { namespace, ...metadata } = object.metadata;
  const home = NAMESPACED.includes(object.kind) ? { namespace: namespace ?? release.namespace } : {};
  return ownedBy({ ...object, metadata: { ...metadata, ...home } }, release);
}

/** The releases of a bundle: one a line, as parseHelmRecord made them. */
export function parseHelmReleases(text: string): Parsed<readonly HelmRelease[]> {
  const { lines, gaps: cuts } = splitLines(text);
  const gaps: Gap[] = [...cuts];
  const value = lines.flatMap((line, index) => {
    if (line.trim() === "") return [];
    const json = parseJson(line);
    const fit = json.ok ? helmRelease.safeParse(json.value) : undefined;
    if (fit?.success) return [fit.data];
    gaps.push({ line: index + 1, what: json.ok ? "not a release of Helm" : json.why });
    return [];
  });
  return { value, gaps };
}
