/**
 * GET with `watch`: changes as they happen, an event a line.
 *
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes, and apiserver,
 * pkg/storage/cacher. Without a resource version, with 0 and with `sendInitialEvents` the objects there are come first.
 */

import type { ResourceType } from "../model/resource-types.ts";
import type { Answer } from "./answer.ts";
import type { Presenter } from "./forms.ts";
import { indexed } from "./index-object.ts";
import { wholeNumber } from "./list.ts";
import { type Selection, selectionOf } from "./selection.ts";
import { gathered } from "./slabs.ts";
import { StatusError, statusBody } from "./status.ts";
import { type Collection, groupVersion, type ObjectChange, type StoredObject } from "./store.ts";

export type WatchOptions = {
  /** Milliseconds between bookmarks. */
  readonly bookmarkEvery: number;
  /** Whether `sendInitialEvents` is known: Kubernetes has it from 1.27 on, and may have it switched off. */
  readonly hasInitialEvents: boolean;
};

export const WATCH_OPTIONS: WatchOptions = { bookmarkEvery: 60_000, hasInitialEvents: true };

const encoder = new TextEncoder();
const START_OF_LINE: Readonly<Record<string, Uint8Array>> = Object.fromEntries(
  ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"].map((type) => [type, encoder.encode(`{"type":"${type}","object":`)]),
);
const END_OF_LINE = encoder.encode("}\n");

export function watchAnswer(
  type: ResourceType,
  namespace: string | undefined,
  query: URLSearchParams,
  collection: Collection,
  presenter: Presenter,
  { bookmarkEvery, hasInitialEvents }: WatchOptions = WATCH_OPTIONS,
): Answer {
  const selection = selectionOf(type, namespace, query);
  const asked = query.get("sendInitialEvents");
  if (asked !== null) checkInitialEvents(query, hasInitialEvents);
  const from = wholeNumber(query, "resourceVersion");
  const wantsBookmarks = isTrue(query.get("allowWatchBookmarks"));
  const sendsInitial = asked === null ? from === 0 : isTrue(asked);
  const start = sendsInitial || from === 0 ? collection.resourceVersion : from;
  const present = presenter.streamed();
  const pieces = (kind: string, object: StoredObject) => [START_OF_LINE[kind]!, present(object), END_OF_LINE];
  const event = (kind: string, object: StoredObject): Uint8Array => Buffer.concat(pieces(kind, object));
  const bookmark = (resourceVersion: number, annotations?: object) =>
    event("BOOKMARK", bookmarkObject(type, resourceVersion, annotations));

  // the state that is sent is that of now, whenever it is sent
  const { items } = collection;
  function* initialEvents(): Generator<Uint8Array> {
    for (const item of items) if (selection.includes(item)) yield* pieces("ADDED", item);
    if (asked !== null && wantsBookmarks) yield bookmark(start, { "k8s.io/initial-events-end": "true" });
  }

  return {
    status: 200,
    headers: { "content-type": "application/json" },
    body: sendsInitial ? gathered(initialEvents()) : [],
    follow(write, end) {
      const missed = collection.changesAfter(start);
      if (!missed) {
        const message = `too old resource version: ${start} (${collection.resourceVersion})`;
        write(`${JSON.stringify({ type: "ERROR", object: statusBody("Expired", message) })}\n`);
        end();
        return () => {};
      }
      const tell = (change: ObjectChange): void => {
        const seen = seenAs(change, selection);
        if (seen) write(event(seen, change.object));
      };
      missed.forEach(tell);
      const unsubscribe = collection.subscribe(tell);
      const mark = () => write(bookmark(collection.resourceVersion));
      const bookmarks = wantsBookmarks ? setInterval(mark, bookmarkEvery) : undefined;
      const seconds = wholeNumber(query, "timeoutSeconds");
      const timeout = seconds > 0 ? setTimeout(end, Math.min(seconds * 1000, LONGEST_TIMER)) : undefined;
      return () => {
        unsubscribe();
        clearInterval(bookmarks);
        clearTimeout(timeout);
      };
    },
  };
}

/** Milliseconds; what is longer, timers take for nothing. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** As the API reads a boolean in a query: whatever is there and denies nothing (apimachinery, pkg/runtime/conversion.go). */
export const isTrue = (value: string | null): boolean =>
  value !== null && value !== "0" && value.toLowerCase() !== "false";

/** A change as somebody sees it who sees only what is selected. */
function seenAs({ type, object, before }: ObjectChange, { includes }: Selection): ObjectChange["type"] | undefined {
  const was = before !== undefined && includes(before);
  if (type === "DELETED") return was || includes(object) ? "DELETED" : undefined;
  const is = includes(object);
  if (is) return was ? "MODIFIED" : "ADDED";
  return was ? "DELETED" : undefined;
}

function checkInitialEvents(query: URLSearchParams, isKnown: boolean): void {
  const field = "sendInitialEvents";
  if (!isKnown) {
    throw invalid(field, `${field} is forbidden for watch unless the WatchList feature gate is enabled`);
  }
  if (query.get("resourceVersionMatch") !== "NotOlderThan") {
    throw invalid("resourceVersionMatch", `${field} requires setting resourceVersionMatch to NotOlderThan`);
  }
}

function invalid(field: string, what: string): StatusError {
  const message = `Forbidden: ${what}`;
  return new StatusError("Invalid", `ListOptions.meta.k8s.io "" is invalid: ${field}: ${message}`, {
    group: "meta.k8s.io",
    kind: "ListOptions",
    causes: [{ reason: "FieldValueForbidden", message, field }],
  });
}

/** An object of which only the resource version counts. */
function bookmarkObject(type: ResourceType, resourceVersion: number, annotations?: object): StoredObject {
  const metadata = { name: "", resourceVersion: String(resourceVersion), creationTimestamp: null, annotations };
  const value = { kind: type.kind, apiVersion: groupVersion(type), metadata };
  const { name: _, ...rest } = metadata;
  return indexed("", "", value, encoder.encode(JSON.stringify({ ...value, metadata: rest })))!;
}
