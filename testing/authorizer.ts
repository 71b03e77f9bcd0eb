/** Lets a stub API server refuse what RBAC objects do not grant, in the words of a real one. */
import { createIntake } from "../src/evidence/capture.ts";
import { modelOf } from "../src/model/model.ts";
import type { Want } from "../src/model/rbac.ts";
import { type Answering, refuse } from "./stub-api-server.ts";

type ApiObject = Readonly<Record<string, unknown>> & { readonly kind: string };

const LISTS: Readonly<Record<string, string>> = {
  ClusterRole: "clusterroles",
  ClusterRoleBinding: "clusterrolebindings",
  Role: "roles",
  RoleBinding: "rolebindings",
};

/** What a request wants, as the API server's request info has it. */
export function wantOf(method: string, url: URL): Want {
  const { pathname, searchParams } = url;
  const match =
    /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+)(?:\/([a-z]+))?)?/.exec(
      pathname,
    );
  if (!match) return { verb: method.toLowerCase(), path: pathname };
  const [, apiGroup = "", namespace, plural = "", name, sub] = match;
  const reading = searchParams.has("watch") ? "watch" : name === undefined ? "list" : "get";
  const verb = method === "POST" ? "create" : method === "DELETE" ? "delete" : reading;
  return {
    verb,
    apiGroup,
    resource: sub === undefined ? plural : `${plural}/${sub}`,
    ...(name !== undefined && { name }),
    ...(namespace !== undefined && { namespace }),
  };
}

export type Authorizer = {
  /** @returns the words of the refusal; undefined if it is allowed */
  readonly refusal: (want: Want) => string | undefined;
  readonly answering: Answering;
  /** What was refused. */
  readonly refused: Want[];
  /** What was asked for. */
  readonly wanted: Want[];
};

export function authorizer(user: string, objects: readonly ApiObject[]): Authorizer {
  const intake = createIntake();
  for (const [kind, plural] of Object.entries(LISTS)) {
    const sink = intake.open(`apis/rbac.authorization.k8s.io/v1/${plural}.json`)!;
    const items = objects.filter((object) => object.kind === kind);
    sink.write(JSON.stringify({ kind: `${kind}List`, items }));
    sink.end({ bytes: 1 });
  }
  const { rbac } = modelOf(intake.capture());
  const refused: Want[] = [];
  const wanted: Want[] = [];
  const refusal = (want: Want) => {
    wanted.push(want);
    if (rbac.userAccess({ name: user, groups: ["system:authenticated"] }, want).state === "allowed") return undefined;
    refused.push(want);
    if ("path" in want) return `forbidden: User "${user}" cannot ${want.verb} path "${want.path}"`;
    const { verb, resource, apiGroup, namespace } = want;
    const where = namespace === undefined ? "at the cluster scope" : `in the namespace "${namespace}"`;
    return `${resource} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${apiGroup}" ${where}`;
  };
  return {
    refusal,
    refused,
    wanted,
    answering(url, response, request) {
      const words = refusal(wantOf(request.method ?? "GET", url));
      return words === undefined ? false : refuse(response, 403, words);
    },
  };
}
