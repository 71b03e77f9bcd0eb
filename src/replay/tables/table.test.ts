import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ResourceType } from "../../model/resource-types.ts";
import { customResourcesOf } from "../custom-resources.ts";
import { indexed } from "../index-object.ts";
import { type Column, duration } from "./printer.ts";
import { tableOf } from "./table.ts";

type Value = Readonly<Record<string, unknown>>;
type Row = { readonly at: number; readonly object: Value; readonly cells: readonly unknown[] };
type Answered = { readonly columns: readonly string[]; readonly rows: readonly Row[] };

/** What kube-apiserver 1.33.13 answered for these objects. */
const { tables, custom } = JSON.parse(
  readFileSync(new URL("../../../testing/semantics/tables.json", import.meta.url), "utf8"),
) as { tables: Record<string, Answered>; custom: Answered & { definition: Value } };

const columnText = ({ name, type, format, priority }: Column): string => [name, type, format, priority].join("|");

function typeOf(path: string): ResourceType {
  const [plural = "", version = "", group = ""] = path.split("/").reverse();
  return { group, version, plural, singular: "", kind: "", isNamespaced: true, shortNames: [], categories: [] };
}

const nameOf = ({ metadata }: Value): string => (metadata as { name: string }).name;

describe("tables are those of the API server", () => {
  describe.each(Object.entries(tables))("%s", (path, { columns, rows }) => {
    const table = tableOf(typeOf(path), []);

    it("has its columns", () => expect(table.columns.map(columnText)).toEqual(columns));

    it.each(rows.map(({ object, at, cells }) => [nameOf(object), object, at, cells] as const))(
      "%s has its cells",
      (_name, object, at, cells) => expect(table.cells(object, at)).toEqual(cells),
    );
  });
});

describe("custom resources", () => {
  const definition = indexed("", "", custom.definition, Buffer.from(JSON.stringify(custom.definition)))!;
  const resources = customResourcesOf([definition]);

  it("print the columns of their definition", () => {
    const table = tableOf(typeOf("example.org/v1/things"), resources);
    expect(table.columns.map(columnText)).toEqual(custom.columns);
    for (const { object, at, cells } of custom.rows) expect(table.cells(object, at)).toEqual(cells);
  });

  it("print name and age where the version has no columns, or nothing defines them", () => {
    for (const path of ["example.org/v2/things", "example.com/v1/others"]) {
      const table = tableOf(typeOf(path), resources);
      expect(table.columns.map(({ name }) => name)).toEqual(["Name", "Age"]);
      const metadata = { name: "one", creationTimestamp: "2026-11-21T00:00:00Z" };
      expect(table.cells({ metadata }, Date.parse("2026-11-21T00:05:30Z"))).toEqual(["one", "5m30s"]);
    }
  });
});

it("an object that is none of its kind is listed by its name", () => {
  const metadata = { name: "odd" };
  for (const path of Object.keys(tables)) {
    const { columns, cells } = tableOf(typeOf(path), []);
    for (const broken of [
      { metadata },
      { metadata, spec: 5, status: "x" },
      { metadata, spec: { containers: {} }, status: [] },
    ]) {
      const row = cells(broken, 0);
      expect(row.length).toBeGreaterThanOrEqual(columns.length);
      expect(row).toContain("odd");
    }
  }
});

it.each([
  [-5, "<invalid>"],
  [-1, "0s"],
  [0, "0s"],
  [119, "119s"],
  [120, "2m"],
  [599, "9m59s"],
  [600, "10m"],
  [3 * 3600 - 1, "179m"],
  [3 * 3600, "3h"],
  [8 * 3600 - 60, "7h59m"],
  [8 * 3600, "8h"],
  [48 * 3600, "2d"],
  [49 * 3600, "2d1h"],
  [8 * 86_400, "8d"],
  [730 * 86_400, "2y"],
  [731 * 86_400, "2y1d"],
  [8 * 365 * 86_400 + 86_400, "8y"],
])("%d seconds are %s", (seconds, text) => expect(duration(seconds * 1000)).toBe(text));
