/**
 * The Kubernetes API over a store: from a request to its answer.
 *
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts; how paths are read: apiserver,
 * pkg/endpoints/request/requestinfo.go.
 */

import type { ResourceType } from "../model/resource-types.ts";
import { formOf } from "./accept.ts";
import { reviewAnswer } from "./access.ts";
import { type Answer, type ApiRequest, jsonAnswer, statusAnswer, textAnswer } from "./answer.ts";
import { discoveryAnswer } from "./discovery.ts";
import { presenter } from "./forms.ts";
import { getAnswer, listAnswer } from "./list.ts";
import { logAnswer } from "./logs.ts";
import { openApiAnswer } from "./openapi.ts";
import { noSuchPath, qualified, StatusError, statusBody } from "./status.ts";
import type { Store } from "./store.ts";
import { isTrue, WATCH_OPTIONS, type WatchOptions, watchAnswer } from "./watch.ts";

/** What a path of the API names. */
export type Target = {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
};

export type ApiOptions = {
  readonly watch?: WatchOptions;
  /** Answers what is written; without it the API is read-only. */
  readonly write?: (request: ApiRequest, target: Target) => Answer;
};

/** Answers a request; never throws for what is asked. */
export function answer(request: ApiRequest, store: Store, options: ApiOptions = {}): Answer {
  const answered = answerOrRefusal(request, store, options);
  // clients take the server's clock from it
  return { ...answered, headers: { date: new Date(store.now()).toUTCString(), ...answered.headers } };
}

function answerOrRefusal(request: ApiRequest, store: Store, options: ApiOptions): Answer {
  try {
    return (
      plainAnswer(request, store) ??
      schemaAnswer(request, store, options) ??
      fileAnswer(request, store) ??
      resourceAnswer(request, store, options)
    );
  } catch (error) {
    if (error instanceof StatusError) return statusAnswer(error);
    throw error;
  }
}

/** Where something may be written, kubectl would hold it against the schemas; those of a bundle are too few for that. */
function schemaAnswer(request: ApiRequest, store: Store, { write }: ApiOptions): Answer | undefined {
  if (request.method !== "GET") return undefined;
  if (write) return request.path === "/openapi/v3" ? jsonAnswer({ paths: {} }) : undefined;
  return openApiAnswer(request, store);
}

/** What no API server has: the other files of the bundle, for netwhy itself, which would look into nodes for them. */
function fileAnswer({ path, method }: ApiRequest, { files }: Store): Answer | undefined {
  if (method !== "GET" || !path.startsWith(FILES)) return undefined;
  if (path === FILES) return jsonAnswer([...files.keys()]);
  const name = decoded(path.slice(FILES.length))?.join("/");
  const file = name === undefined ? undefined : files.get(name);
  if (!file) throw noSuchPath();
  return { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body: [file] };
}

const FILES = "/netwhy/files/";

/** The paths outside of resources. */
function plainAnswer({ path, method }: ApiRequest, store: Store): Answer | undefined {
  if (method !== "GET") return undefined;
  switch (path) {
    case "/version":
    case "/version/":
      if (store.version === undefined) throw new StatusError("NotFound", "the bundle has no version.json", {});
      return { status: 200, headers: { "content-type": "application/json" }, body: store.version };
    case "/healthz":
    case "/livez":
      return textAnswer("ok");
    case "/readyz":
      return textAnswer(store.readyz ?? "ok");
    case "/openapi/v2":
      return EMPTY_OPENAPI;
    default:
      return undefined;
  }
}

/** Clients read version 2 as protobuf only (gnostic's openapi.v2.Document); this one has its field `swagger`: "2.0". */
const EMPTY_OPENAPI: Answer = {
  status: 200,
  headers: { "content-type": "application/com.github.proto-openapi.spec.v2.v1.0+protobuf" },
  body: [Uint8Array.of(0x0a, 3, 0x32, 0x2e, 0x30)],
};

const REVIEWS: Readonly<Record<string, string>> = {
  "authentication.k8s.io/selfsubjectreviews": "SelfSubjectReview",
  "authorization.k8s.io/selfsubjectaccessreviews": "SelfSubjectAccessReview",
  "authorization.k8s.io/selfsubjectrulesreviews": "SelfSubjectRulesReview",
};

function resourceAnswer(request: ApiRequest, store: Store, { watch = WATCH_OPTIONS, write }: ApiOptions): Answer {
  const isWritable = write !== undefined;
  const { method, path, query, headers } = request;
  if (method === "GET") {
    const discovered = discoveryAnswer(request, { types: store.types, isWritable });
    if (discovered) return discovered;
  }
  const target = targetOf(path);
  if (!target) throw noSuchPath();
  const review = REVIEWS[`${target.group}/${target.plural}`];
  if (review !== undefined && method === "POST") return reviewAnswer(review, request, store, isWritable);
  if (method !== "GET") {
    if (write) return write(request, target);
    throw new StatusError("MethodNotAllowed", "this is a read-only replay of a bundle: nothing can be changed", {});
  }
  const found = store.served(target.group, target.version, target.plural);
  if (!found) throw noSuchPath();
  const { type, served } = found;
  const { namespace, name, subresource } = target;
  if (namespace !== undefined && !type.isNamespaced) throw noSuchPath();
  if (subresource === "log" && type.plural === "pods" && name !== undefined && namespace !== undefined) {
    const pods = served.state === "readable" ? served.collection.items : [];
    const pod = pods.find((each) => each.name === name && each.namespace === namespace);
    return logAnswer(store, namespace, name, pod, query);
  }
  // `status` is read as the object itself, by which every server holds
  if (subresource !== undefined && subresource !== "status") throw noSuchPath();
  if (served.state === "forbidden") throw forbidden(type, served.why, name);
  const form = formOf(headers.accept);
  const presented = presenter(form, type, store, query.get("includeObject") ?? "Metadata");
  if (name !== undefined) {
    if (type.isNamespaced && namespace === undefined) throw noSuchPath();
    return getAnswer(type, namespace, name, served.collection, presented);
  }
  if (isTrue(query.get("watch"))) return watchAnswer(type, namespace, query, served.collection, presented, watch);
  return listAnswer(type, namespace, query, served.collection, presented);
}

function forbidden(type: ResourceType, why: string, name: string | undefined): StatusError {
  const { group, plural } = type;
  const which = name === undefined ? "" : ` "${name}"`;
  return new StatusError("Forbidden", `${qualified(type)}${which} is forbidden: ${why}`, {
    ...(name !== undefined && { name }),
    ...(group !== "" && { group }),
    kind: plural,
  });
}

/** @returns undefined for a path that names no resource */
export function targetOf(path: string): Target | undefined {
  const parts = decoded(path);
  if (!parts) return undefined;
  const [root, ...rest] = parts;
  if (root !== "api" && root !== "apis") return undefined;
  const [group = "", version, ...names] = root === "api" ? ["", ...rest] : rest;
  if (version === undefined || names.length === 0) return undefined;
  const isInNamespace = names[0] === "namespaces" && names.length > 2 && !["status", "finalize"].includes(names[2]!);
  const [plural, name, ...more] = isInNamespace ? names.slice(2) : names;
  return {
    group,
    version,
    plural: plural!,
    ...(isInNamespace && { namespace: names[1]! }),
    ...(name !== undefined && { name }),
    ...(more.length > 0 && { subresource: more.join("/") }),
  };
}

function decoded(path: string): string[] | undefined {
  try {
    return path
      .split("/")
      .filter((part) => part !== "")
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** What is answered when we made a mistake: the request ends, the server goes on. */
export const failureAnswer = (error: unknown): Answer =>
  jsonAnswer(statusBody("InternalError", error instanceof Error ? error.message : String(error)), 500);
