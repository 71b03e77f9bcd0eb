/** What `kubectl get` prints of an object: columns and cells, as the API server makes them. */
import type { CustomResource } from "./custom-resources.ts";
import type { ResourceType } from "./resource-types.ts";

/** meta/v1, TableColumnDefinition. Columns of a priority above 0 are printed by `-o wide` only. */
export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
};

export type Printer = {
  readonly columns: readonly Column[];
  /** @param now in milliseconds: ages are told as of then */
  readonly cells: (value: Readonly<Record<string, unknown>>, now: number) => readonly unknown[];
};

export function tableOf(_type: ResourceType, _custom: readonly CustomResource[]): Printer {
  const column = (name: string, format = ""): Column => ({
    name,
    type: "string",
    format,
    description: "",
    priority: 0,
  });
  return {
    columns: [column("Name", "name"), column("Age")],
    cells: ({ metadata }) => [(metadata as { name: string }).name, "?"],
  };
}
