/** Whole objects of a resource, for who writes them down or compares them; the capture keeps only what is diagnosed. */
import type { Api, Failure } from "./api.ts";
import { readList } from "./list.ts";

export type ObjectsRead = {
  readonly objects: readonly unknown[];
  /** Why these are not all; nothing of a list that broke off counts. */
  readonly failure?: Failure;
};

/** @param path of the list, e.g. `/api/v1/namespaces/kube-system/configmaps`, with a query if there is one */
export async function readObjects(api: Api, path: string, pageSize?: number): Promise<ObjectsRead> {
  let lines: string[] = [];
  const open = () => {
    const own: string[] = [];
    lines = own;
    return { write: (line: string) => void own.push(line), end: () => {} };
  };
  const { failure } = await readList(api, path, open, pageSize === undefined ? {} : { pageSize });
  if (failure) return { objects: [], failure };
  return { objects: lines.map((line) => JSON.parse(line) as unknown) };
}
