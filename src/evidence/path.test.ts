import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RUNS } from "../../testing/parser-properties.ts";
import { catalogue, type KindId } from "./catalogue.ts";
import type { Place } from "./kind.ts";
import { keyOf, matchPath, pathOf } from "./path.ts";

const KINDS = Object.keys(catalogue) as KindId[];
const LISTS = KINDS.filter((kind) => "list" in catalogue[kind].how);

const fieldsOf = (kind: KindId) =>
  [...catalogue[kind].path.matchAll(/\{(\w+)\}/g)].map(([, field]) => field as keyof Place);

/** What names of nodes, Pods and containers are made of (RFC 1123), and of files. */
const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/);

const placeOf = (kind: KindId, names: readonly string[]): Place =>
  Object.fromEntries(fieldsOf(kind).map((field, index) => [field, names[index]!]));

describe("each kind of evidence", () => {
  it.each(KINDS)("%s is known by its path, and its path by it", (kind) => {
    fc.assert(
      fc.property(fc.array(name, { minLength: 5, maxLength: 5 }), (names) => {
        const place = placeOf(kind, names);
        // a container's name has no dots, by which the log of its previous run is told from the present one's
        fc.pre(kind !== "containerLog" || !names.some((one) => one.endsWith(".previous")));
        const path = pathOf(kind, place);
        expect(matchPath(path)).toEqual({ kind, place, isError: false, isLines: false });
        expect(matchPath(`${path}.err`)).toEqual({ kind, place, isError: true, isLines: false });
      }),
      { numRuns: RUNS / 5 },
    );
  });

  it("of ip and bridge may be what they print without -j", () => {
    const routes = { kind: "routes", place: { node: "w1" }, isError: false, isLines: false };
    expect(matchPath("nodes/w1/ip-route.txt")).toEqual(routes);
    expect(matchPath("nodes/w1/ip-route.txt.err")).toEqual({ ...routes, isError: true });
    expect(matchPath("nodes/w1/pods/a/b/ip-addr.txt")?.kind).toBe("podLinks");
    expect(["nodes/w1/nft-ruleset.txt", "api/v1/pods.txt"].map(matchPath)).toEqual([undefined, undefined]);
  });

  it.each(KINDS)("%s has a path that no other kind has", (kind) => {
    const names = ["a", "b", "c", "d", "e"];
    const path = pathOf(kind, placeOf(kind, names));
    expect(KINDS.filter((other) => pathOf(other, placeOf(other, names)) === path)).toEqual([kind]);
  });

  /** Of some kinds the file may have any name. */
  const named = KINDS.filter((kind) => !catalogue[kind].path.endsWith("}"));

  it.each(named)("%s is not known by a path with anything before or behind it", (kind) => {
    const path = pathOf(kind, placeOf(kind, ["a", "b", "c", "d", "e"]));
    for (const other of [`x/${path}`, `x${path}`, `${path}/x`, `${path}.gz`, `/${path}`, path.toUpperCase()])
      expect(matchPath(other)?.kind, other).not.toBe(kind);
  });
});

describe("the paths of lists", () => {
  it.each(LISTS)("%s may be an object a line", (kind) => {
    expect(matchPath(`${pathOf(kind)}l`)).toEqual({ kind, place: {}, isError: false, isLines: true });
  });

  it.each(LISTS)("%s may have failed, with or without .json before .err", (kind) => {
    const path = pathOf(kind);
    for (const failed of [`${path}.err`, `${path.replace(/\.json$/, "")}.err`])
      expect(matchPath(failed), failed).toMatchObject({ kind, isError: true });
  });

  it.each(["v1", "v1beta1", "v2"])("may be of version %s of their group", (version) => {
    expect(matchPath(`apis/discovery.k8s.io/${version}/endpointslices.json`)?.kind).toBe("endpointslices");
  });

  it("are not of the wrong group", () => {
    expect(matchPath("apis/example.org/v1/endpointslices.json")).toBeUndefined();
    expect(matchPath("apis/discovery.k8s.io/endpointslices.json")).toBeUndefined();
    expect(matchPath("api/v1/namespaces/shop/pods.json")).toBeUndefined();
  });
});

describe("the rest of a bundle", () => {
  it.each([
    ...["", "README.md", "api", "api/v1", "nodes/w1", "nodes/w1/", "nodes//ip-addr.json", "apiXv1/pods.json", ".err"],
    ...[
      "api/v1/pods-json",
      "nodes/w1/ip-addr.jsonl",
      "nodes/w1/ss-txt",
      "logs/a/b.log",
      "logs/a/b/c/d.log",
      "pods.json",
    ],
  ])("%j is nothing that is known", (path) => expect(matchPath(path)).toBeUndefined());

  it("tells a container's log from that of its previous run", () => {
    expect(matchPath("logs/shop/a/app.log")).toMatchObject({ kind: "containerLog", place: { container: "app" } });
    expect(matchPath("logs/shop/a/app.previous.log")).toMatchObject({
      kind: "previousContainerLog",
      place: { container: "app" },
    });
  });
});

describe("keys", () => {
  it("are equal for the same evidence, whatever the order of the place's fields", () => {
    expect(keyOf("podLinks", { node: "a", pod: "b", namespace: "c" })).toBe(
      keyOf("podLinks", { namespace: "c", pod: "b", node: "a" }),
    );
  });

  it("differ for different evidence", () => {
    const places: Place[] = [{}, { node: "a" }, { namespace: "a" }, { pod: "a" }, { container: "a" }, { file: "a" }];
    const more: Place[] = [{ node: "a", pod: "b" }, { node: "b", pod: "a" }, { node: "ab" }];
    const keys = KINDS.flatMap((kind) => [...places, ...more].map((place) => keyOf(kind, place)));
    expect(new Set(keys).size).toBe(keys.length);
  });
});
