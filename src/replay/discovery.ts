/** Which resources there are: aggregated discovery (apidiscovery.k8s.io/v2) and the older form, a request a group. */

import type { ResourceType } from "../model/resource-types.ts";
import { discoveryVersionOf } from "./accept.ts";
import { type Answer, type ApiRequest, jsonAnswer } from "./answer.ts";
import { noSuchPath } from "./status.ts";
import { groupVersion } from "./store.ts";

/** What is served beside objects: questions that are posted. */
const REVIEWS: readonly ResourceType[] = [
  review("authentication.k8s.io", "SelfSubjectReview"),
  review("authorization.k8s.io", "SelfSubjectAccessReview"),
  review("authorization.k8s.io", "SelfSubjectRulesReview"),
];

function review(group: string, kind: string): ResourceType {
  const singular = kind.toLowerCase();
  const names = { plural: `${singular}s`, singular, shortNames: [], categories: [] };
  return { group, version: "v1", kind, isNamespaced: false, ...names };
}

const isReview = (type: ResourceType): boolean => REVIEWS.includes(type);

const READ_VERBS = ["get", "list", "watch"];
const WRITE_VERBS = ["create", "delete", "deletecollection", "patch", "update"];

/** What may be done with a resource, as discovery tells it; what cannot be written is not offered for writing. */
export type Offer = { readonly types: readonly ResourceType[]; readonly isWritable: boolean };

function verbsOf(type: ResourceType, { isWritable }: Offer): readonly string[] {
  if (isReview(type)) return ["create"];
  return isWritable ? [...READ_VERBS, ...WRITE_VERBS].sort() : READ_VERBS;
}

type Group = { readonly name: string; readonly versions: readonly string[] };

/** Stable versions first, then the higher ones (apimachinery, pkg/version, CompareKubeAwareVersionStrings). */
function byVersion(a: string, b: string): number {
  const [x, y] = [a, b].map((version) => /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version));
  if (!x || !y) return x ? -1 : y ? 1 : a < b ? -1 : 1;
  const level = (match: RegExpExecArray) => (match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0);
  return level(y) - level(x) || Number(y[1]) - Number(x[1]) || Number(y[3] ?? 0) - Number(x[3] ?? 0);
}

function groupsOf(types: readonly ResourceType[]): readonly Group[] {
  const versions = new Map<string, Set<string>>();
  for (const { group, version } of types) {
    if (!versions.has(group)) versions.set(group, new Set());
    versions.get(group)!.add(version);
  }
  return [...versions].map(([name, set]) => ({ name, versions: [...set].sort(byVersion) }));
}

const within = (types: readonly ResourceType[], group: string, version: string): readonly ResourceType[] =>
  types.filter((type) => type.group === group && type.version === version);

/** Answers the paths of discovery; undefined for all others. */
export function discoveryAnswer({ path, headers }: ApiRequest, offer: Offer): Answer | undefined {
  const [root, ...rest] = path.split("/").filter((part) => part !== "");
  if (root !== "api" && root !== "apis") return undefined;
  const types = [...offer.types, ...REVIEWS];
  if (rest.length === 0) {
    const version = discoveryVersionOf(headers.accept);
    if (version !== undefined) return aggregated(types, root === "api", version, offer);
    return jsonAnswer(root === "api" ? apiVersions() : groupList(types));
  }
  const [group, version] = root === "api" ? ["", rest[0]] : rest;
  if (rest.length > (root === "api" ? 1 : 2)) return undefined;
  if (version === undefined) return jsonAnswer({ kind: "APIGroup", apiVersion: "v1", ...groupOf(types, group ?? "") });
  const found = within(types, group ?? "", version);
  if (found.length === 0) throw noSuchPath();
  return jsonAnswer({
    kind: "APIResourceList",
    ...(group !== "" && { apiVersion: "v1" }),
    groupVersion: groupVersion({ group: group ?? "", version }),
    resources: found.flatMap((type) => resourcesOf(type, offer)),
  });
}

const apiVersions = () => ({ kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] });

function groupOf(types: readonly ResourceType[], name: string) {
  const found = groupsOf(types).find((group) => group.name === name);
  if (!found) throw noSuchPath();
  return describeGroup(found);
}

function describeGroup({ name, versions }: Group) {
  const described = versions.map((version) => ({ groupVersion: groupVersion({ group: name, version }), version }));
  return { name, versions: described, preferredVersion: described[0] };
}

function groupList(types: readonly ResourceType[]) {
  const groups = groupsOf(types).filter(({ name }) => name !== "");
  return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map(describeGroup) };
}

function resourcesOf(type: ResourceType, offer: Offer) {
  const { plural, singular, kind, isNamespaced, shortNames, categories } = type;
  const resource = {
    name: plural,
    singularName: singular,
    namespaced: isNamespaced,
    kind,
    verbs: verbsOf(type, offer),
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
  };
  const log = { name: `${plural}/log`, singularName: "", namespaced: true, kind, verbs: ["get"] };
  return isPod(type) ? [resource, log] : [resource];
}

const isPod = ({ group, plural }: ResourceType): boolean => group === "" && plural === "pods";

function aggregated(types: readonly ResourceType[], isCore: boolean, version: "v2" | "v2beta1", offer: Offer): Answer {
  const groups = groupsOf(types).filter(({ name }) => (name === "") === isCore);
  const body = {
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: { ...(group.name !== "" && { name: group.name }), creationTimestamp: null },
      versions: group.versions.map((each) => ({
        version: each,
        resources: within(types, group.name, each).map((type) => discoveredResource(type, offer)),
        freshness: "Current",
      })),
    })),
  };
  const contentType = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
  return jsonAnswer(body, 200, { "content-type": contentType });
}

function discoveredResource(type: ResourceType, offer: Offer) {
  const { plural, singular, group, version, kind, isNamespaced, shortNames, categories } = type;
  const responseKind = { group, version, kind };
  return {
    resource: plural,
    responseKind,
    scope: isNamespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs: verbsOf(type, offer),
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
    ...(isPod(type) && { subresources: [{ subresource: "log", responseKind, verbs: ["get"] }] }),
  };
}
