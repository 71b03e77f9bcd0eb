/** Objects in the form that a client wants: list bodies, single objects, and what stands in watch events. */

import type { ResourceType } from "../model/resource-types.ts";
import type { Form } from "./accept.ts";
import { gathered, joined } from "./slabs.ts";
import { groupVersion, objectOf, type Store, type StoredObject, standalone } from "./store.ts";
import { tableOf } from "./tables/table.ts";

const encoder = new TextEncoder();

/** The metadata of a list. */
export type ListMetadata = {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
};

export type Presenter = {
  /** A list body, in pieces. */
  list(objects: Iterable<StoredObject>, metadata: ListMetadata): Iterable<Uint8Array>;
  /** An object alone. */
  one(object: StoredObject): Uint8Array;
  /** An object in a stream of events; of tables, only the first names its columns. */
  streamed(): (object: StoredObject) => Uint8Array;
};

/** @param includeObject what rows of a table have beside their cells: `None`, `Metadata` or `Object` */
export function presenter(form: Form, type: ResourceType, store: Store, includeObject: string): Presenter {
  if (form.as === "table") return tablePresenter(form, type, store, includeObject);
  if (form.as === "metadata") return metadataPresenter(form);
  const one = (object: StoredObject) => standalone(object, type);
  return {
    list: (objects, metadata) =>
      listBody({ kind: `${type.kind}List`, apiVersion: groupVersion(type), metadata }, "items", jsonOf(objects)),
    one,
    streamed: () => one,
  };
}

function* jsonOf(objects: Iterable<StoredObject>): Generator<Uint8Array> {
  for (const { json } of objects) yield json;
}

function* mapped(objects: Iterable<StoredObject>, toValue: (object: StoredObject) => unknown): Generator<Uint8Array> {
  for (const object of objects) yield encoder.encode(JSON.stringify(toValue(object)));
}

function* listBody(head: object, key: string, elements: Iterable<Uint8Array>): Generator<Uint8Array> {
  yield encoder.encode(`${JSON.stringify(head).slice(0, -1)},"${key}":[`);
  yield* gathered(joined(elements));
  yield encoder.encode("]}\n");
}

const partial = (apiVersion: string) => (object: StoredObject) => ({
  kind: "PartialObjectMetadata",
  apiVersion,
  metadata: objectOf(object).metadata,
});

function metadataPresenter({ apiVersion }: Form): Presenter {
  const toPartial = partial(apiVersion);
  const one = (object: StoredObject) => encoder.encode(JSON.stringify(toPartial(object)));
  return {
    list: (objects, metadata) =>
      listBody({ kind: "PartialObjectMetadataList", apiVersion, metadata }, "items", mapped(objects, toPartial)),
    one,
    streamed: () => one,
  };
}

function tablePresenter({ apiVersion }: Form, type: ResourceType, store: Store, includeObject: string): Presenter {
  const { columns, cells } = tableOf(type, store.custom);
  const row = (object: StoredObject) => {
    const value = objectOf(object);
    const row = { cells: cells(value, store.now()) };
    if (includeObject === "None") return row;
    if (includeObject === "Object") return { ...row, object: { ...typed(object, type), ...value } };
    return { ...row, object: { kind: "PartialObjectMetadata", apiVersion, metadata: value.metadata } };
  };
  const table = (object: StoredObject, columnDefinitions: unknown) => {
    const { resourceVersion } = (objectOf(object).metadata ?? {}) as { resourceVersion?: string };
    const metadata = resourceVersion === undefined ? {} : { resourceVersion };
    return encoder.encode(
      JSON.stringify({ kind: "Table", apiVersion, metadata, columnDefinitions, rows: [row(object)] }),
    );
  };
  return {
    list: (objects, metadata) =>
      listBody({ kind: "Table", apiVersion, metadata, columnDefinitions: columns }, "rows", mapped(objects, row)),
    one: (object) => table(object, columns),
    streamed() {
      let isFirst = true;
      return (object) => {
        const definitions = isFirst ? columns : null;
        isFirst = false;
        return table(object, definitions);
      };
    },
  };
}

const typed = ({ isTyped }: StoredObject, type: ResourceType) =>
  isTyped ? {} : { kind: type.kind, apiVersion: groupVersion(type) };
