/** GET of objects: a list, with `limit` and `continue`, or one by its name. */

import type { ResourceType } from "../model/resource-types.ts";
import type { Answer } from "./answer.ts";
import type { Presenter } from "./forms.ts";
import { selectionOf } from "./selection.ts";
import { notFound, StatusError } from "./status.ts";
import type { Collection, StoredObject } from "./store.ts";

const JSON_HEADERS = { "content-type": "application/json" };

/** Clients print what a server warns of (RFC 7234, 5.5; `299` lasts). */
function headersOf({ incomplete }: Collection): Readonly<Record<string, string>> {
  if (incomplete === undefined) return JSON_HEADERS;
  return { ...JSON_HEADERS, warning: `299 - ${JSON.stringify(incomplete.replace(/[^ -~]/g, "?"))}` };
}

/** @param namespace undefined for all */
export function listAnswer(
  type: ResourceType,
  namespace: string | undefined,
  query: URLSearchParams,
  collection: Collection,
  presenter: Presenter,
): Answer {
  const selection = selectionOf(type, namespace, query);
  const limit = wholeNumber(query, "limit");
  const token = query.get("continue") ?? "";
  const { items, resourceVersion, start } = token === "" ? snapshot(query, collection) : continued(token, collection);
  const headers = headersOf(collection);
  const version = String(resourceVersion);
  if (limit === 0 && start === 0) {
    const all = selection.isAll ? items : selected(items, selection.includes);
    return { status: 200, headers, body: presenter.list(all, { resourceVersion: version }) };
  }
  const page: StoredObject[] = [];
  let at = start;
  for (; at < items.length && (limit === 0 || page.length < limit); at++) {
    if (selection.includes(items[at]!)) page.push(items[at]!);
  }
  // what is left may hold nothing that is selected, as on a real API server
  const isMore = at < items.length;
  const metadata = {
    resourceVersion: version,
    ...(isMore && { continue: continueToken(resourceVersion, at) }),
    ...(isMore && selection.isAll && { remainingItemCount: items.length - at }),
  };
  return { status: 200, headers, body: presenter.list(page, metadata) };
}

function* selected(items: readonly StoredObject[], includes: (object: StoredObject) => boolean) {
  for (const item of items) if (includes(item)) yield item;
}

export function wholeNumber(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "";
  if (text === "") return 0;
  if (!/^\d+$/.test(text)) {
    throw new StatusError("BadRequest", `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

/** The state that `resourceVersion` and `resourceVersionMatch` ask for. */
function snapshot(query: URLSearchParams, collection: Collection) {
  const wanted = wholeNumber(query, "resourceVersion");
  const current = collection.resourceVersion;
  if (wanted > current) throw tooLarge(wanted, current);
  if (query.get("resourceVersionMatch") === "Exact" && wanted > 0) {
    const items = collection.itemsAt(wanted);
    if (!items) throw new StatusError("Expired", `too old resource version: ${wanted} (${current})`);
    return { items, resourceVersion: wanted, start: 0 };
  }
  return { items: collection.items, resourceVersion: current, start: 0 };
}

function tooLarge(wanted: number, current: number): StatusError {
  return new StatusError("Timeout", `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

/** Tokens are the server's own business; this one tells the state that is listed, and how much of it was. */
function continueToken(resourceVersion: number, at: number): string {
  return Buffer.from(JSON.stringify({ rv: resourceVersion, at })).toString("base64url");
}

function continued(token: string, collection: Collection) {
  const { rv, at } = readToken(token);
  const items = collection.itemsAt(rv);
  if (items) return { items, resourceVersion: rv, start: at };
  throw new StatusError(
    "Expired",
    "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.",
  );
}

function readToken(token: string): { rv: number; at: number } {
  try {
    const { rv, at } = JSON.parse(Buffer.from(token, "base64url").toString()) as { rv?: unknown; at?: unknown };
    if (typeof rv === "number" && typeof at === "number") return { rv, at };
  } catch {
    // said below
  }
  throw new StatusError("BadRequest", "invalid continue token: continue key is not valid");
}

/** One object by its name. */
export function getAnswer(
  type: ResourceType,
  namespace: string | undefined,
  name: string,
  collection: Collection,
  presenter: Presenter,
): Answer {
  const object = collection.items.find((each) => each.name === name && each.namespace === (namespace ?? ""));
  if (!object) throw notFound(type, name);
  return { status: 200, headers: JSON_HEADERS, body: [presenter.one(object)] };
}
