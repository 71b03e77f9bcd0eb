/**
 * What APIs are extended by, and the objects of such extensions.
 *
 * Source: apiextensions-apiserver, pkg/registry/customresource/tableconvertor; kube-aggregator, pkg/registry/apiservice.
 */
import type { CustomColumn } from "../custom-resources.ts";
import { age, ago, type Cell, type Maybe, type Metadata, type Printer, printer } from "./printer.ts";

type ApiService = {
  readonly metadata: Metadata;
  readonly spec?: { readonly service?: Maybe<{ readonly namespace?: string; readonly name?: string }> };
  readonly status?: Maybe<{
    readonly conditions?: Maybe<
      readonly { readonly type: string; readonly status: string; readonly reason?: string }[]
    >;
  }>;
};

export const definitionPrinters: Readonly<Record<string, Printer>> = {
  "apiextensions.k8s.io/customresourcedefinitions": printer<{ metadata: Metadata }>(
    "Name, Created At@",
    ({ metadata }) => [metadata.name, metadata.creationTimestamp ?? null],
  ),
  "apiregistration.k8s.io/apiservices": printer<ApiService>(
    "Name, Service, Available, Age",
    ({ metadata, spec, status }, now) => {
      const available = (status?.conditions ?? []).find(({ type }) => type === "Available");
      const isWell = !available || available.status === "True";
      return [
        metadata.name,
        spec?.service ? `${spec.service.namespace}/${spec.service.name}` : "Local",
        isWell ? (available?.status ?? "Unknown") : `${available.status} (${available.reason})`,
        age(metadata, now),
      ];
    },
  ),
};

const AGE: CustomColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

/** @param extra undefined for what no definition describes */
export function customPrinter(extra: readonly CustomColumn[] = [AGE]): Printer {
  const paths = extra.map(({ jsonPath }) => stepsOf(jsonPath));
  return {
    columns: [
      { name: "Name", type: "string", format: "name", description: "", priority: 0 },
      ...extra.map(({ name, type, format = "", description = "", priority = 0 }) => ({
        name,
        type,
        format,
        description,
        priority,
      })),
    ],
    cells: (object, now) => [
      (object.metadata as Metadata).name,
      ...extra.map(({ type }, index) => cellOf(type, found(object, paths[index]), now)),
    ],
  };
}

/** A step of a path: a key, an index, all elements, or those of which a part equals a text. */
type Step = string | number | { readonly path: readonly Step[]; readonly equals: string } | typeof ALL;
const ALL = Symbol("all");

const STEP =
  /\.?\[\?\(\s*@(?<of>[^=\s]*)\s*==\s*(?<quote>["'])(?<equals>.*?)\k<quote>\s*\)\]|\.?\[(?<index>\d+)\]|\.?\[\*\]|\.?\[(?<mark>['"])(?<quoted>.*?)\k<mark>\]|\.(?<key>(?:\\.|[^.[\\])+)/y;

/** The simple JSONPath of printer columns; undefined for what is more. */
function stepsOf(jsonPath: string): readonly Step[] | undefined {
  const steps: Step[] = [];
  // a filter has a path of its own inside, which is read in between
  const pattern = new RegExp(STEP);
  while (pattern.lastIndex < jsonPath.length) {
    const groups = pattern.exec(jsonPath)?.groups;
    if (!groups) return undefined;
    const { of, equals, index, quoted, key } = groups;
    if (equals !== undefined) {
      const path = stepsOf(of ?? "");
      if (!path) return undefined;
      steps.push({ path, equals });
    } else if (index !== undefined) steps.push(Number(index));
    else steps.push(quoted ?? key?.replace(/\\(.)/g, "$1") ?? ALL);
  }
  return steps;
}

/** The first value that a path leads to. */
function found(value: unknown, steps: readonly Step[] | undefined): unknown {
  if (!steps) return undefined;
  const [step, ...rest] = steps;
  if (step === undefined) return value;
  if (typeof value !== "object" || value === null) return undefined;
  if (typeof step === "string" || typeof step === "number") {
    return Object.hasOwn(value, step) ? found((value as Record<string | number, unknown>)[step], rest) : undefined;
  }
  const elements = Object.values(value);
  const chosen =
    typeof step === "symbol"
      ? elements
      : elements.filter((element) => String(found(element, step.path)) === step.equals);
  for (const element of chosen) {
    const inner = found(element, rest);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function cellOf(type: string, value: unknown, now: number): Cell {
  if (value === undefined || value === null) return null;
  switch (type) {
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value !== "string" ? null : Number.isNaN(Date.parse(value)) ? "<invalid>" : ago(value, now);
    default:
      return typeof value === "object" ? JSON.stringify(value) : String(value);
  }
}
