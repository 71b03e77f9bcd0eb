/**
 * A store that can be written to, as far as tests need it: create, update, patch, apply, delete and deletecollection,
 * with dry runs, preconditions, conflicts and finalizers. Defaults, validation, controllers and the fields of
 * managers are not there.
 */
import { load } from "js-yaml";
import type { ResourceType } from "../../src/model/resource-types.ts";
import { type Answer, type ApiRequest, jsonAnswer } from "../../src/replay/answer.ts";
import type { Target } from "../../src/replay/api.ts";
import { indexed } from "../../src/replay/index-object.ts";
import { selectionOf } from "../../src/replay/selection.ts";
import { noSuchPath, notFound, qualified, StatusError } from "../../src/replay/status.ts";
import { groupVersion, objectOf, type Store, type StoredObject, standalone } from "../../src/replay/store.ts";
import { isObject, type Json, type JsonObject, jsonPatch, mergePatch, strategicMergePatch } from "./patches.ts";
import { WritableCollection } from "./writable-collection.ts";

type Metadata = { readonly [key: string]: Json } & { readonly name?: string; readonly namespace?: string };
type ApiObject = JsonObject & { readonly metadata: Metadata };

export type WritableStore = {
  readonly store: Store;
  write(request: ApiRequest, target: Target): Answer;
  /** Creates or replaces an object, as somebody else would. */
  put(object: ApiObject): void;
  /** Forgets all older versions, as etcd does. */
  compact(): void;
};

export function writableStore(base: Store): WritableStore {
  const collections = new Map<string, WritableCollection>();
  for (const { group, version, plural } of base.types) {
    const served = base.served(group, version, plural)?.served;
    const content = served?.state === "readable" ? served.collection : { items: [], resourceVersion: 1 };
    collections.set(`${group}/${version}/${plural}`, new WritableCollection(content));
  }
  let newest = Math.max(1, ...[...collections.values()].map(({ resourceVersion }) => resourceVersion));
  let made = 0;

  const collectionOf = ({ group, version, plural }: ResourceType) => collections.get(`${group}/${version}/${plural}`)!;

  const store: Store = {
    ...base,
    served(group, version, plural) {
      const found = base.served(group, version, plural);
      return found && { type: found.type, served: { state: "readable", collection: collectionOf(found.type) } };
    },
  };

  function stored(type: ResourceType, object: ApiObject): StoredObject {
    const { kind: _kind, apiVersion: _apiVersion, ...rest } = object;
    const value = { kind: type.kind, apiVersion: groupVersion(type), ...rest };
    return indexed(type.group, type.plural, value, Buffer.from(JSON.stringify(value)))!;
  }

  /** The object with what the server sets, and a new version. */
  function finished(object: ApiObject, namespace: string, before: ApiObject | undefined, manager: Json): ApiObject {
    const { generateName, name } = object.metadata;
    const kept = before?.metadata;
    return {
      ...object,
      metadata: {
        ...object.metadata,
        name: name ?? `${generateName}${String(++made).padStart(5, "0")}`,
        ...(namespace !== "" && { namespace }),
        uid: kept?.uid ?? `00000000-0000-4000-8000-${String(++made).padStart(12, "0")}`,
        creationTimestamp: kept?.creationTimestamp ?? new Date(base.now()).toISOString().replace(/\.\d+/, ""),
        resourceVersion: String(++newest),
        managedFields: [manager],
      },
    };
  }

  function save(type: ResourceType, object: ApiObject, isDryRun: boolean): StoredObject {
    const saved = stored(type, object);
    if (!isDryRun) collectionOf(type).put(saved, newest);
    return saved;
  }

  function remove(type: ResourceType, object: StoredObject, isDryRun: boolean): StoredObject | undefined {
    const value = objectOf(object) as ApiObject;
    const versioned = { ...value, metadata: { ...value.metadata, resourceVersion: String(++newest) } };
    const finalizers = value.metadata.finalizers;
    if (Array.isArray(finalizers) && finalizers.length > 0) {
      const deletionTimestamp = new Date(base.now()).toISOString().replace(/\.\d+/, "");
      const marked = { ...versioned, metadata: { deletionTimestamp, ...versioned.metadata } };
      return save(type, marked, isDryRun);
    }
    if (!isDryRun) collectionOf(type).remove(stored(type, versioned), newest);
    return undefined;
  }

  function write(request: ApiRequest, target: Target): Answer {
    const type = base.served(target.group, target.version, target.plural)?.type;
    if (!type) throw noSuchPath();
    const { namespace = "", name, subresource } = target;
    const { method, query } = request;
    const collection = collectionOf(type);
    const isDryRun = isDry(request);
    const before = name === undefined ? undefined : collection.find(namespace, name);
    const old = before && (objectOf(before) as ApiObject);
    const answerWith = (object: StoredObject, status = 200): Answer => ({
      status,
      headers: { "content-type": "application/json" },
      body: [standalone(object, type)],
    });
    const manager = (operation: string): Json => ({
      manager: query.get("fieldManager") ?? request.headers["user-agent"]?.split("/")[0] ?? "unknown",
      operation,
      apiVersion: groupVersion(type),
      time: new Date(base.now()).toISOString().replace(/\.\d+/, ""),
      // which fields they are is not kept, but kubectl wants to hear of some
      fieldsType: "FieldsV1",
      fieldsV1: {},
    });

    switch (method) {
      case "POST": {
        if (name !== undefined) throw noSuchPath();
        const object = bodyObject(request, type);
        const { name: wanted } = object.metadata;
        if (wanted === undefined && typeof object.metadata.generateName !== "string") {
          throw new StatusError(
            "Invalid",
            `${type.kind} "" is invalid: metadata.name: Required value: name or generateName is required`,
          );
        }
        if (wanted !== undefined && collection.find(namespace, wanted)) {
          throw new StatusError("AlreadyExists", `${qualified(type)} "${wanted}" already exists`, {
            name: wanted,
            kind: type.plural,
          });
        }
        return answerWith(save(type, finished(object, namespace, undefined, manager("Update")), isDryRun), 201);
      }
      case "PUT": {
        if (!old || name === undefined) throw notFound(type, name ?? "");
        const object = bodyObject(request, type);
        requireVersion(type, old, object.metadata.resourceVersion);
        const next = subresource === "status" ? { ...old, status: object.status ?? null } : object;
        return answerWith(save(type, finished(next, namespace, old, manager("Update")), isDryRun));
      }
      case "PATCH": {
        if (name === undefined) throw noSuchPath();
        const isApply = contentType(request) === "application/apply-patch+yaml";
        if (!old && !isApply) throw notFound(type, name);
        const next = patched(request, type, old ?? { metadata: { name } });
        requireVersion(type, old, next.metadata.resourceVersion);
        const complete = finished(next, namespace, old, manager(isApply ? "Apply" : "Update"));
        const isDone = old?.metadata.deletionTimestamp !== undefined && lacksFinalizers(complete);
        const saved = save(type, complete, isDryRun);
        if (isDone && !isDryRun) remove(type, saved, false);
        return answerWith(saved, old ? 200 : 201);
      }
      case "DELETE": {
        if (name === undefined) {
          const { includes } = selectionOf(type, target.namespace, query);
          const items = collection.items.filter(includes);
          for (const item of items) remove(type, item, isDryRun);
          return jsonAnswer({
            kind: `${type.kind}List`,
            apiVersion: groupVersion(type),
            metadata: { resourceVersion: String(newest) },
            items: items.map(objectOf),
          });
        }
        if (!before || !old) throw notFound(type, name);
        requirePreconditions(request, type, old);
        const left = remove(type, before, isDryRun);
        if (left) return answerWith(left);
        const details = {
          name,
          ...(type.group !== "" && { group: type.group }),
          kind: type.plural,
          uid: old.metadata.uid,
        };
        return jsonAnswer({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
      }
      default:
        throw new StatusError(
          "MethodNotAllowed",
          "the server does not allow this method on the requested resource",
          {},
        );
    }
  }

  return {
    store,
    write,
    put(object) {
      const found = base.types.find((type) => type.kind === object.kind && groupVersion(type) === object.apiVersion);
      if (!found) throw new Error(`no resource of kind ${object.kind} in ${object.apiVersion}`);
      const { namespace = "", name = "" } = object.metadata;
      const before = collectionOf(found).find(namespace, name);
      const old = before && (objectOf(before) as ApiObject);
      save(found, finished(object, namespace, old, { manager: "somebody-else", operation: "Update" }), false);
    },
    compact() {
      for (const collection of collections.values()) collection.forget();
    },
  };
}

const contentType = ({ headers }: ApiRequest): string => (headers["content-type"] ?? "").split(";")[0]!.trim();

const lacksFinalizers = ({ metadata }: ApiObject): boolean =>
  !Array.isArray(metadata.finalizers) || metadata.finalizers.length === 0;

/** Options of a DELETE are taken from its body, and from the query only if it has none (apiserver, handlers/delete.go). */
function isDry(request: ApiRequest): boolean {
  if (request.method !== "DELETE" || request.body.byteLength === 0) return request.query.get("dryRun") === "All";
  const options = parsed(request);
  return isObject(options) && Array.isArray(options.dryRun) && options.dryRun.includes("All");
}

function parsed(request: ApiRequest): Json {
  try {
    // JSON is YAML
    return load(Buffer.from(request.body).toString()) as Json;
  } catch (error) {
    throw new StatusError("BadRequest", `the body cannot be read: ${(error as Error).message}`);
  }
}

function bodyObject(request: ApiRequest, type: ResourceType): ApiObject {
  const media = contentType(request);
  if (!["", "application/json", "application/yaml", "application/apply-patch+yaml"].includes(media)) {
    const message = `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml`;
    throw new StatusError("UnsupportedMediaType", message);
  }
  const object = parsed(request);
  if (isObject(object) && isObject(object.metadata) && (object.kind ?? type.kind) === type.kind)
    return object as ApiObject;
  throw new StatusError("BadRequest", `the object provided is unrecognized (must be of type ${type.kind})`);
}

function patched(request: ApiRequest, type: ResourceType, old: ApiObject): ApiObject {
  switch (contentType(request)) {
    case "application/merge-patch+json":
      return mergePatch(old, parsed(request)) as ApiObject;
    case "application/strategic-merge-patch+json":
      return strategicMergePatch(old, parsed(request)) as ApiObject;
    case "application/apply-patch+yaml":
      return strategicMergePatch(old, bodyObject(request, type)) as ApiObject;
    case "application/json-patch+json":
      try {
        return jsonPatch(old, parsed(request) as unknown as Parameters<typeof jsonPatch>[1]) as ApiObject;
      } catch (error) {
        throw new StatusError(
          "Invalid",
          `the server rejected our request due to an error in our request: ${(error as Error).message}`,
        );
      }
    default:
      throw new StatusError(
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
      );
  }
}

function requireVersion(type: ResourceType, old: ApiObject | undefined, wanted: Json | undefined): void {
  if (!old || wanted === undefined || wanted === "" || wanted === old.metadata.resourceVersion) return;
  const what = `Operation cannot be fulfilled on ${qualified(type)} "${old.metadata.name}"`;
  throw new StatusError(
    "Conflict",
    `${what}: the object has been modified; please apply your changes to the latest version and try again`,
  );
}

function requirePreconditions(request: ApiRequest, type: ResourceType, old: ApiObject): void {
  if (request.body.byteLength === 0) return;
  const options = parsed(request);
  const preconditions = isObject(options) ? options.preconditions : undefined;
  if (!isObject(preconditions)) return;
  requireVersion(type, old, preconditions.resourceVersion);
  if (preconditions.uid !== undefined && preconditions.uid !== old.metadata.uid) {
    throw new StatusError(
      "Conflict",
      `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
}
