/**
 * What netwhy must be allowed to do: for each kind of evidence, as the catalogue says that it is had; and what somebody
 * was refused, as the API server's own words tell.
 */
import { catalogue, type KindId } from "./catalogue.ts";
import type { Kind } from "./kind.ts";

/** One thing that RBAC allows: a verb on a resource, everywhere or in one namespace; or a path that is no resource. */
export type Right =
  | { readonly verb: string; readonly group: string; readonly resource: string; readonly namespace?: string }
  | { readonly verb: string; readonly url: string };

/** A right that somebody lacks. */
export type Denial = { readonly right: Right; readonly user?: string };

/**
 * RBAC's words, in k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go: `User "jane" cannot list resource
 * "pods" in API group "" at the cluster scope`, `… in the namespace "shop"`, `User "jane" cannot get path "/readyz"`.
 */
const RESOURCE =
  /(?:User "([^"]*)" )?cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)"| at the cluster scope)?/;
const PATH = /(?:User "([^"]*)" )?cannot (\w+) path "([^"]+)"/;

/** @returns undefined for words that tell of anything else: a policy's refusal, a list that is not there */
export function denialIn(message: string): Denial | undefined {
  const told = RESOURCE.exec(message);
  if (told) {
    const [, user, verb = "", resource = "", group = "", namespace] = told;
    return { right: { verb, group, resource, ...(namespace !== undefined && { namespace }) }, ...(user && { user }) };
  }
  const path = PATH.exec(message);
  if (!path) return undefined;
  const [, user, verb = "", url = ""] = path;
  return { right: { verb, url }, ...(user && { user }) };
}

/** The same words, for a refusal that came without any. */
export const deniedInWords = (verb: string, resource: string, namespace: string): string =>
  `cannot ${verb} resource "${resource}" in API group "" in the namespace "${namespace}"`;

export type Rule = {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
};

/** A list, and the WatchList by which a large one comes faster. */
const LIST_VERBS = ["list", "watch"] as const;

/** The resources that are listed, by API group, with the kinds that they are. */
export function listedResources(): ReadonlyMap<
  string,
  readonly { readonly resource: string; readonly kind: KindId }[]
> {
  const listed = (Object.keys(catalogue) as KindId[]).flatMap((kind) => {
    const { how } = catalogue[kind] as Kind<unknown>;
    // what is asked of a node or a Pod by its proxy is among what looking into nodes needs
    const path = "list" in how ? how.list : "get" in how && how.get.startsWith("/apis/") ? how.get : undefined;
    if (path === undefined) return [];
    const [, root, ...rest] = path.split("/");
    return [{ kind, group: root === "api" ? "" : rest[0]!, resource: rest.at(-1)! }];
  });
  return Map.groupBy(listed, ({ group }) => group);
}

/** What reading the API server needs: nothing of it changes anything, and no Secret is among it. */
export function readingRules(): readonly Rule[] {
  return [
    ...[...listedResources()].map(
      ([group, all]): Rule => ({
        apiGroups: [group],
        resources: all.map(({ resource }) => resource),
        verbs: LIST_VERBS,
      }),
    ),
    { apiGroups: [""], resources: ["pods/log"], verbs: ["get"] },
    { nonResourceURLs: ["/version", "/readyz", "/api", "/api/*", "/apis", "/apis/*"], verbs: ["get"] },
  ];
}

/** What looking into nodes needs besides: as strong as it looks, see manifests/cluster-role.yaml. */
export const NODE_RULES: readonly Rule[] = [
  // a WebSocket is a GET; since 1.35 the API server asks for `create` as well
  { apiGroups: [""], resources: ["pods/exec"], verbs: ["get", "create"] },
  { apiGroups: [""], resources: ["nodes/proxy", "pods/proxy"], verbs: ["get"] },
];

/** What `--debug-pods` needs besides. */
export const DEBUG_POD_RULES: readonly Rule[] = [
  { apiGroups: [""], resources: ["nodes"], verbs: ["get"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "create", "delete"] },
];

const grants =
  (right: Right) =>
  ({ apiGroups, resources, nonResourceURLs, verbs }: Rule): boolean => {
    if (!verbs.includes(right.verb)) return false;
    if ("url" in right) return nonResourceURLs?.some((url) => url === right.url.replace(/\?.*/, "")) === true;
    return apiGroups?.includes(right.group) === true && resources?.includes(right.resource) === true;
  };

/** Whether netwhy ever asks for it: words in a stranger's bundle may tell of anything. */
export const isNeeded = (right: Right): boolean =>
  [...readingRules(), ...NODE_RULES, ...DEBUG_POD_RULES, ...AGENT_RULES].some(grants(right));

/** What reading needs for the whole cluster is asked for the whole cluster. */
export function widened(denial: Denial): Denial {
  const { right } = denial;
  if ("url" in right || right.namespace === undefined || !readingRules().some(grants(right))) return denial;
  const { namespace: _, ...everywhere } = right;
  return { ...denial, right: everywhere };
}

/** What reading our own agents needs, in their namespace: the one without the other is of no use. */
export const AGENT_RULES: readonly Rule[] = [
  { apiGroups: [""], resources: ["pods/proxy"], verbs: ["get"] },
  { apiGroups: [""], resources: ["secrets"], resourceNames: ["netwhy-agent"], verbs: ["get"] },
];

/** Where our agents are installed. */
export const AGENT_NAMESPACE = "netwhy";

const isOfAgents = (right: Right): boolean =>
  !("url" in right) && right.namespace === AGENT_NAMESPACE && AGENT_RULES.some(grants(right));

type Subject = {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly apiGroup?: string;
};

const RBAC = "rbac.authorization.k8s.io";

/** Who is refused, as a binding names it. */
function subjectOf(user: string): Subject {
  const [, , namespace, name] = /^system:serviceaccount:/.test(user) ? user.split(":") : [];
  return namespace && name ? { kind: "ServiceAccount", namespace, name } : { apiGroup: RBAC, kind: "User", name: user };
}

/** Rights of one verb set are one rule. */
function rulesOf(rights: readonly Right[]): Rule[] {
  const urls = rights.flatMap((right) => ("url" in right ? right.url : []));
  const ofAgents = rights.filter(isOfAgents);
  const verbsOf = new Map<string, Set<string>>();
  for (const right of rights) {
    if ("url" in right || ofAgents.includes(right)) continue;
    const verbs = verbsOf.get(`${right.group} ${right.resource}`) ?? new Set();
    verbsOf.set(`${right.group} ${right.resource}`, verbs);
    const { verb, resource } = right;
    const asked = verb === "list" ? LIST_VERBS : resource === "pods/exec" ? NODE_RULES[0]!.verbs : [verb];
    for (const each of asked) verbs.add(each);
  }
  const ruled = [...verbsOf].map(([name, verbs]) => {
    const [group = "", resource = ""] = name.split(" ");
    return { group, resource, verbs: [...verbs].sort() };
  });
  const grouped = Map.groupBy(ruled, ({ group, verbs }) => `${group} ${verbs.join()}`);
  return [
    ...[...grouped.values()].map((same) => ({
      apiGroups: [same[0]!.group],
      resources: [...new Set(same.map(({ resource }) => resource))].sort(),
      verbs: same[0]!.verbs,
    })),
    ...(ofAgents.length > 0 ? AGENT_RULES : []),
    ...(urls.length > 0 ? [{ nonResourceURLs: [...new Set(urls)].sort(), verbs: ["get"] }] : []),
  ];
}

/** A name of its own for each set of rules (FNV-1a): granting what lacks today must not take away what was granted before. */
function nameFor(rules: readonly Rule[]): string {
  let hash = 0x811c9dc5;
  for (const letter of JSON.stringify(rules)) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  return `netwhy-${(hash >>> 0).toString(16).padStart(8, "0")}`;
}

type ApiObject = Readonly<Record<string, unknown>> & { readonly apiVersion: string; readonly kind: string };

/**
 * The objects that would grant what was refused: one role for the cluster, one for each namespace.
 *
 * @param user to whom; a name to be replaced stands there if it is not known
 */
export function grantOf(rights: readonly Right[], user = "WHO-RUNS-NETWHY"): readonly ApiObject[] {
  const subjects = [subjectOf(user)];
  const byNamespace = Map.groupBy(rights, (right) => ("url" in right ? "" : (right.namespace ?? "")));
  return [...byNamespace.keys()].sort().flatMap((namespace) => {
    const prefix = namespace === "" ? "Cluster" : "";
    const apiVersion = `${RBAC}/v1`;
    const rules = rulesOf(byNamespace.get(namespace)!);
    const name = nameFor(rules);
    const metadata = namespace === "" ? { name } : { name, namespace };
    return [
      { apiVersion, kind: `${prefix}Role`, metadata, rules },
      {
        apiVersion,
        kind: `${prefix}RoleBinding`,
        metadata,
        roleRef: { apiGroup: RBAC, kind: `${prefix}Role`, name },
        subjects,
      },
    ];
  });
}
