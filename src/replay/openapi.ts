/**
 * Schemas of resources (OpenAPI v3), by which `kubectl explain` explains: a bundle has those of its CustomResourceDefinitions. Of
 * all others it is said where they are to be had.
 */
import type { ResourceType } from "../model/resource-types.ts";
import { type Answer, type ApiRequest, jsonAnswer, textAnswer } from "./answer.ts";
import { groupVersion, type Store } from "./store.ts";

const ROOT = "/openapi/v3";

const rootOf = (type: ResourceType): string => `${type.group === "" ? "api" : "apis"}/${groupVersion(type)}`;

/** @returns undefined for other paths */
export function openApiAnswer({ path }: ApiRequest, { types, custom }: Store): Answer | undefined {
  if (path === ROOT) {
    const roots = [...new Set(types.map(rootOf))];
    const urls = roots.map((root) => [root, { serverRelativeURL: `${ROOT}/${root}` }]);
    return jsonAnswer({ paths: Object.fromEntries(urls) });
  }
  if (!path.startsWith(`${ROOT}/`)) return undefined;
  const known = custom.flatMap(({ type, schema }) =>
    schema !== undefined && path === `${ROOT}/${rootOf(type)}` ? [{ type, schema }] : [],
  );
  if (known.length === 0) {
    // kubectl repeats a refusal of this path only if it is 403, and plain text
    return textAnswer("the bundle has no schemas of these resources: ask a cluster of its version", 403);
  }
  return jsonAnswer({
    openapi: "3.0.0",
    info: { title: "netwhy replay", version: "1" },
    paths: Object.fromEntries(known.flatMap(({ type }) => pathsOf(type))),
    components: {
      schemas: Object.fromEntries(
        known.map(({ type, schema }) => [
          `${type.group}.${type.version}.${type.kind}`,
          { ...schema, "x-kubernetes-group-version-kind": [kindOf(type)] },
        ]),
      ),
    },
  });
}

const kindOf = ({ group, version, kind }: ResourceType) => ({ group, version, kind });

/** By its path kubectl finds the kind of a resource, and by its kind the schema. */
function pathsOf(type: ResourceType): [string, object][] {
  const get = { operationId: `list${type.kind}`, responses: {}, "x-kubernetes-action": "list" };
  const of = { get: { ...get, "x-kubernetes-group-version-kind": kindOf(type) } };
  const within = type.isNamespaced ? "namespaces/{namespace}/" : "";
  return [[`/${rootOf(type)}/${within}${type.plural}`, of]];
}
