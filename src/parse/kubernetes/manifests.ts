/**
 * Kubernetes objects in a text, as `kubectl get -o yaml` or `-o json` and tools like it write them: one object, a List, a
 * list of one kind (`PodList`), an array of objects, or several YAML documents.
 *
 * They come from strangers: aliases are refused, of which bombs are made.
 */
import { loadAll } from "js-yaml";
import { type Fields, isObject } from "../fields.ts";
import type { Gap, Parsed } from "../parsed.ts";

export type Manifest = {
  /** `v1`, `apps/v1`; empty if neither the object nor its list says. */
  readonly apiVersion: string;
  /** Empty if neither says. */
  readonly kind: string;
  readonly object: Fields;
};

export type Manifests = {
  readonly objects: readonly Manifest[];
  /** It is a list, which may be empty: of this kind, if it says. */
  readonly list?: { readonly apiVersion: string; readonly kind: string };
};

const textAt = (object: Fields, key: string): string => {
  const value = object[key];
  return typeof value === "string" ? value : "";
};

const looksLikeObject = (object: Fields): boolean => isObject(object.metadata) && !Array.isArray(object.metadata);

function manifestsIn(document: unknown): Manifests | undefined {
  if (Array.isArray(document)) {
    const objects = document.filter(isObject).filter(looksLikeObject);
    if (objects.length === 0 && document.length > 0) return undefined;
    return { objects: objects.map((object) => manifestOf(object)), list: { apiVersion: "", kind: "" } };
  }
  if (!isObject(document)) return undefined;
  const kind = textAt(document, "kind");
  const apiVersion = textAt(document, "apiVersion");
  const { items } = document;
  if (kind.endsWith("List") && (items === null || items === undefined || Array.isArray(items))) {
    // a List says nothing of its items' kind, a PodList does
    const of = { apiVersion: kind === "List" ? "" : apiVersion, kind: kind.slice(0, -"List".length) };
    const objects = (items ?? []).filter(isObject).filter(looksLikeObject);
    return { objects: objects.map((object) => manifestOf(object, of)), list: of };
  }
  return kind !== "" && apiVersion !== "" && looksLikeObject(document)
    ? { objects: [manifestOf(document)] }
    : undefined;
}

function manifestOf(object: Fields, of = { apiVersion: "", kind: "" }): Manifest {
  return {
    apiVersion: textAt(object, "apiVersion") || of.apiVersion,
    kind: textAt(object, "kind") || of.kind,
    object,
  };
}

/** The documents of a text in YAML or JSON; nothing of it if it is neither. */
export function documentsOf(text: string): { readonly documents: readonly unknown[]; readonly gaps: readonly Gap[] } {
  try {
    if (/^\s*[[{]/.test(text)) return { documents: [JSON.parse(text)], gaps: [] };
    return { documents: loadAll(text, { maxAliases: 0, maxDepth: 100 }), gaps: [] };
  } catch (error) {
    const what = error instanceof Error ? error.message.split("\n")[0]!.slice(0, 200) : "neither JSON nor YAML";
    return { documents: [], gaps: [{ what }] };
  }
}

/** @returns undefined as value if there is no Kubernetes object in it and it is no list of them */
export function parseManifests(text: string): Parsed<Manifests | undefined> {
  const { documents, gaps } = documentsOf(text);
  const found = documents.map(manifestsIn).filter((one) => one !== undefined);
  if (found.length === 0) return { value: undefined, gaps };
  const list = found.find((one) => one.list)?.list;
  return { value: { objects: found.flatMap(({ objects }) => objects), ...(list && { list }) }, gaps };
}
