/**
 * What the API of a replay is served from: objects by resource, logs, and what is known about them. The bundle is one
 * store (bundle-store.ts); the API server of our tests adds one that can be written to.
 */
import type { Labels } from "../model/labels.ts";
import type { ResourceType } from "../model/resource-types.ts";
import type { CustomResource } from "./custom-resources.ts";

/** An object with what selectors ask for; the rest stays as it was written. */
export type StoredObject = {
  /** Empty for what lives in no namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** What field selectors may ask for, beside name and namespace. */
  readonly fields: Readonly<Record<string, string>>;
  /** The object's JSON, in UTF-8. */
  readonly json: Uint8Array;
  /** Whether its JSON says what kind it is; lists of Kubernetes' own kinds leave that out. */
  readonly isTyped: boolean;
};

/** What happened to an object. `before` is what it was, for selectors that it no longer fits. */
export type ObjectChange = {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: StoredObject;
  readonly before?: StoredObject;
  readonly resourceVersion: number;
};

/** The objects of a resource. */
export interface Collection {
  /** In the order of a list call. Never changed: after a change there is another array. */
  readonly items: readonly StoredObject[];
  readonly resourceVersion: number;
  /** Why this is not all that there was. */
  readonly incomplete?: string;
  /** The objects as they were at a resource version; undefined if that is no longer known. */
  itemsAt(resourceVersion: number): readonly StoredObject[] | undefined;
  /** What happened after a resource version; undefined if that is no longer known. */
  changesAfter(resourceVersion: number): readonly ObjectChange[] | undefined;
  /** @returns how to stop it */
  subscribe(onChange: (change: ObjectChange) => void): () => void;
}

/** What is served of a resource: its objects, or why they cannot be had. */
export type Served =
  | { readonly state: "readable"; readonly collection: Collection }
  | { readonly state: "forbidden"; readonly why: string };

export type LogId = {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly isPrevious: boolean;
};

/** Where a container's log stands in a bundle. */
export const logPath = ({ namespace, pod, container, isPrevious }: LogId): string =>
  `logs/${namespace}/${pod}/${container}${isPrevious ? ".previous" : ""}.log`;

export interface Store {
  /** All resources that discovery tells of. */
  readonly types: readonly ResourceType[];
  /** Those of them that CustomResourceDefinitions add. */
  readonly custom: readonly CustomResource[];
  /** @returns undefined if there is no such resource */
  served(group: string, version: string, plural: string): { type: ResourceType; served: Served } | undefined;
  /** What the bundle holds besides: logs, the state of nodes, test results; texts by their paths. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The body of GET /version. */
  readonly version: string | undefined;
  /** The body of GET /readyz?verbose. */
  readonly readyz: string | undefined;
  /** What time it is, in milliseconds: ages are told as of then. */
  now(): number;
}

const decoder = new TextDecoder();

/** An object as a value. */
export function objectOf({ json }: StoredObject): Readonly<Record<string, unknown>> {
  return JSON.parse(decoder.decode(json)) as Record<string, unknown>;
}

export const groupVersion = ({ group, version }: { readonly group: string; readonly version: string }): string =>
  group === "" ? version : `${group}/${version}`;

/** An object as it stands alone, with its kind set before the rest, where the API server has it. */
export function standalone({ json, isTyped }: StoredObject, type: ResourceType): Uint8Array {
  if (isTyped) return json;
  const head = `{"kind":${JSON.stringify(type.kind)},"apiVersion":${JSON.stringify(groupVersion(type))},`;
  return Buffer.concat([Buffer.from(head), json.subarray(json.indexOf(OPENING) + 1)]);
}

const OPENING = "{".charCodeAt(0);
