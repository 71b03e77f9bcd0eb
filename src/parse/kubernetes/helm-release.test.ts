/** testing/helm/records.json: written by Helm v3.19.0 on a real API server; its chart also made a Secret and a hook. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { helmReleases } from "../../evidence/helm-releases.ts";
import { recordText } from "../../sources/live/helm-record.ts";
import { parseHelmRecord, parseHelmReleases } from "./helm-release.ts";

type Kept = {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly data: { readonly release: string };
};
const RECORDS = JSON.parse(readFileSync(new URL("../../../testing/helm/records.json", import.meta.url), "utf8")) as {
  readonly secrets: readonly Kept[];
  readonly configmaps: readonly Kept[];
};

const textOf = ({ data }: Kept): string => {
  const record = recordText(data.release);
  if (!record.ok) throw new Error(record.why);
  return record.text;
};
const encoded = (json: unknown): string =>
  Buffer.from(gzipSync(typeof json === "string" ? json : JSON.stringify(json)).toString("base64")).toString("base64");

describe("a record that Helm wrote", () => {
  it("gives what it installed of permissions and agents, as it applied them, and nothing else", () => {
    const { value, gaps } = parseHelmRecord(textOf(RECORDS.secrets[1]!));
    expect(gaps).toEqual([]);
    expect(value).toMatchObject({ name: "cilium", namespace: "kube-system", revision: 2, chart: "cilium-1.15.19" });
    expect(value!.objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""} ${metadata.name}`)).toEqual([
      "ServiceAccount kube-system cilium",
      "ClusterRole  cilium",
      "ClusterRoleBinding  cilium",
      // the chart names no namespace: that of the release is meant
      "Role kube-system cilium-config-agent",
      "DaemonSet kube-system cilium",
    ]);
    const role = value!.objects[1]!;
    expect(role.metadata).toEqual({
      name: "cilium",
      labels: { "app.kubernetes.io/part-of": "cilium", "app.kubernetes.io/managed-by": "Helm" },
      annotations: { "meta.helm.sh/release-name": "cilium", "meta.helm.sh/release-namespace": "kube-system" },
    });
    // of this revision; the one before had watch
    expect(JSON.stringify(role.rules)).toContain('["get","list","patch"]');
  });

  it("is the newest that was deployed, from Secrets and from ConfigMaps", () => {
    const releases = helmReleases();
    for (const kept of [...RECORDS.secrets, ...RECORDS.configmaps]) releases.take({ ok: true, text: textOf(kept) });
    const { value, gaps } = parseHelmReleases(releases.lines());
    expect(gaps).toEqual([]);
    const deployed = RECORDS.secrets.find(({ metadata }) => metadata.labels.status === "deployed")!;
    expect(value.map(({ name, revision }) => [name, revision])).toEqual([
      ["cilium", Number(deployed.metadata.labels.version)],
      ["dns", 1],
    ]);
    expect(releases.lines()).not.toContain("cilium-ca");
    expect(releases.lines()).not.toContain("cilium-pre-upgrade");
  });
});

describe("a record that somebody else wrote", () => {
  it.each([
    ["nothing", undefined, "the record is empty"],
    ["no base64", "***", "the record is not encoded as Helm does"],
    ["base64 thrice", Buffer.from(encoded({})).toString("base64"), "the record is not encoded as Helm does"],
    ["no JSON", encoded("hello"), "the record is not encoded as Helm does"],
    ["cut off", encoded({ name: "x".repeat(500) }).slice(0, 40), "unexpected end of file"],
    ["too large", "A".repeat(5 * 1024 * 1024), "the record is larger than etcd takes"],
    ["a bomb", encoded(`{"a":"${"0".repeat(70 * 1024 * 1024)}"}`), "the record expands to more than 67108864 bytes"],
  ])("%s", (_, data, why) => {
    expect(recordText(data)).toEqual({ ok: false, why });
  });

  it("once encoded, or not compressed, is read all the same", () => {
    const json = JSON.stringify({ name: "a" });
    expect(recordText(gzipSync(json).toString("base64"))).toEqual({ ok: true, text: json });
    expect(recordText(Buffer.from(Buffer.from(json).toString("base64")).toString("base64"))).toEqual({
      ok: true,
      text: json,
    });
  });

  it("of millions of documents is read in part, and says so", () => {
    const manifest = "kind: Nothing\n---\n".repeat(1_000_000);
    const { value, gaps } = parseHelmRecord(JSON.stringify({ name: "r", namespace: "n", version: 1, manifest }));
    expect([value?.objects, gaps]).toEqual([[], [{ what: "only the first 10000 documents were read" }]]);
  });

  it("is taken as far as it goes", () => {
    const manifest = [
      "kind: ClusterRole\nmetadata: {name: [a",
      "apiVersion: v1\nkind: ServiceAccount\nmetadata: {}",
      "a: &x [1]\nb: *x\nkind: Role",
      "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: planted}",
      `kind: Role\n# ${"x".repeat(2 * 1024 * 1024)}`,
      "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: kept, namespace: other}",
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {template: {spec: {}}}",
    ].join("\n---\n");
    const { value, gaps } = parseHelmRecord(JSON.stringify({ name: "r", namespace: "n", version: 1, manifest }));
    expect(value!.objects.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toEqual(["other/kept"]);
    expect(gaps).toHaveLength(4);
    expect(JSON.stringify(gaps)).not.toContain("planted");
    for (const other of ["{}", "[]", "null", '{"name":1}', "{"]) expect(parseHelmRecord(other).value).toBeUndefined();
    expect(parseHelmReleases('{"a":1}\nno\n').gaps).toHaveLength(2);
  });
});
