/**
 * Our authorizer against the API server's: random roles and bindings, and thousands of questions about them. Skipped where no
 * cluster is named; what is made in it is removed again.
 */
import { request } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Rbac, rbacOf, type User, type Want } from "../../src/model/rbac.ts";
import type { PolicyRule, Role, RoleBinding } from "../../src/parse/objects.ts";
import { type Connection, connect } from "../../src/sources/live/connection.ts";
import { cluster } from "../cluster.ts";
import { random } from "../random.ts";

const KUBECONFIG = process.env.NETWHY_KUBECONFIG;
const SEED = 7;
const QUESTIONS = 4000;
const AT_ONCE = 8;
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const MINE = "netwhy-authorizer-test";
const NAMESPACES = [`${MINE}-a`, `${MINE}-b`] as const;

const next = random(SEED);
const one = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
const some = <T>(list: readonly T[]): T[] => [
  ...new Set(Array.from({ length: 1 + Math.floor(next() * 3) }, () => one(list))),
];
const maybe = (share: number): boolean => next() < share;

const VERBS = ["get", "list", "watch", "create", "delete", "*"];
const GROUPS = ["", "apps", "cilium.io", "*"];
const RESOURCES = ["pods", "pods/status", "pods/log", "nodes", "deployments", "*", "*/status", "ciliumnodes"];
const NAMES = ["kube-proxy", "coredns"];
const PATHS = ["/healthz", "/healthz/*", "/metrics", "/metrics/slis", "*", "/debug/*"];
const USERS = ["netwhy-jane", "netwhy-joe"];
const TEAMS = ["netwhy-team", "netwhy-ops"];
const ACCOUNTS = ["agent", "default"];

function randomRule(isCluster: boolean): PolicyRule {
  if (isCluster && maybe(0.2)) return { verbs: some(VERBS), nonResourceURLs: some(PATHS) };
  const named = maybe(0.25) ? { resourceNames: some(NAMES) } : {};
  return { verbs: some(VERBS), apiGroups: some(GROUPS), resources: some(RESOURCES), ...named };
}

const rules = (isCluster: boolean) => Array.from({ length: 1 + Math.floor(next() * 3) }, () => randomRule(isCluster));

function randomSubject() {
  const kind = one(["User", "Group", "ServiceAccount"] as const);
  if (kind === "ServiceAccount") return { kind, name: one(ACCOUNTS), namespace: one(NAMESPACES) };
  const groups = [...TEAMS, `system:serviceaccounts:${NAMESPACES[0]}`];
  return { kind, apiGroup: "rbac.authorization.k8s.io", name: one(kind === "User" ? USERS : groups) };
}

type Made = { readonly path: string; readonly object: Role | RoleBinding };

/** Roles and bindings, some of which refer to roles that are not there. */
function randomObjects(): Made[] {
  const name = (at: number) => `${MINE}-${at}`;
  const range = (count: number) => Array.from({ length: count }, (_, at) => at);
  const roleRef = (kind: string) => ({
    apiGroup: "rbac.authorization.k8s.io",
    kind,
    name: name(Math.floor(next() * 9)),
  });
  return [
    ...range(8).map((at) => ({
      path: `${RBAC}/clusterroles`,
      object: { metadata: { name: name(at) }, rules: rules(true) },
    })),
    ...range(8).map((at) => ({
      path: `${RBAC}/clusterrolebindings`,
      object: { metadata: { name: name(at) }, roleRef: roleRef("ClusterRole"), subjects: [randomSubject()] },
    })),
    ...NAMESPACES.flatMap((namespace) => [
      ...range(6).map((at) => ({
        path: `${RBAC}/namespaces/${namespace}/roles`,
        object: { metadata: { name: name(at), namespace }, rules: rules(false) },
      })),
      ...range(8).map((at) => ({
        path: `${RBAC}/namespaces/${namespace}/rolebindings`,
        object: {
          metadata: { name: name(at), namespace },
          roleRef: roleRef(one(["Role", "ClusterRole"])),
          subjects: some([randomSubject(), randomSubject()]),
        },
      })),
    ]),
  ];
}

function randomUser(): User {
  if (maybe(0.4)) {
    const [namespace, name] = [one(NAMESPACES), one(ACCOUNTS)];
    return {
      name: `system:serviceaccount:${namespace}:${name}`,
      groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    };
  }
  return { name: one(USERS), groups: ["system:authenticated", ...(maybe(0.5) ? [one(TEAMS)] : [])] };
}

function randomWant(): Want {
  const verb = one(VERBS.filter((each) => each !== "*"));
  if (maybe(0.15))
    return { verb, path: one(["/healthz", "/healthz/etcd", "/metrics", "/metrics/slis", "/debug/pprof", "/x"]) };
  return {
    verb,
    apiGroup: one(["", "apps", "cilium.io", "batch"]),
    resource: one(["pods", "pods/status", "pods/log", "nodes", "nodes/status", "deployments", "ciliumnodes"]),
    ...(maybe(0.4) && { name: one([...NAMES, "other"]) }),
    ...(maybe(0.7) && { namespace: one([...NAMESPACES, "default"]) }),
  };
}

/** A question as the API server is asked it. */
function reviewOf({ name, groups }: User, want: Want) {
  const attributes =
    "path" in want
      ? { nonResourceAttributes: { verb: want.verb, path: want.path } }
      : {
          resourceAttributes: {
            ...{ verb: want.verb, group: want.apiGroup, name: want.name, namespace: want.namespace },
            ...{ resource: want.resource.split("/")[0], subresource: want.resource.split("/")[1] },
          },
        };
  return {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: { user: name, groups: [...groups], ...attributes },
  };
}

describe.skipIf(!KUBECONFIG)(`our authorizer and the API server's, seed ${SEED}`, { timeout: 600_000 }, () => {
  let connection: Connection;
  const made = KUBECONFIG ? randomObjects() : [];

  async function ask(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const options = await connection.requestOptions();
    return new Promise((resolve, reject) => {
      const url = new URL(path, connection.server);
      const headers = { ...options.headers, "content-type": "application/json" };
      const sent = request(url, { ...options, method, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async function removeAll(): Promise<void> {
    for (const { path, object } of made) await ask("DELETE", `${path}/${object.metadata.name}`);
    for (const name of NAMESPACES) await ask("DELETE", `/api/v1/namespaces/${name}`);
  }

  beforeAll(async () => {
    connection = await connect({ kubeconfig: KUBECONFIG });
    for (const name of NAMESPACES)
      await ask("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    for (const { path, object } of made) {
      const { status, text } = await ask("POST", path, object);
      expect({ status, text: status === 201 ? "" : text }).toEqual({ status: 201, text: "" });
    }
  }, 120_000);

  afterAll(async () => {
    await removeAll();
    connection.close();
  }, 120_000);

  /** All RBAC objects that the server has, its own included. */
  async function rbac(): Promise<Rbac> {
    const lists = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"] as const;
    const items = await Promise.all(
      lists.map(async (list) => (JSON.parse((await ask("GET", `${RBAC}/${list}`)).text) as { items: never[] }).items),
    );
    const model = cluster({ nodes: 1, workloads: "none" })
      .edit((draft) => {
        for (const [at, list] of lists.entries()) draft.setList(list, items[at]!);
      })
      .model();
    return rbacOf(model.objects);
  }

  it(`answers ${QUESTIONS} questions alike`, async () => {
    const ours = await rbac();
    // the server's authorizer learns of new objects by watching
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const questions = Array.from({ length: QUESTIONS }, () => ({ user: randomUser(), want: randomWant() }));
    const wrong: unknown[] = [];
    let allowed = 0;
    const queue = [...questions];
    const work = async (): Promise<void> => {
      for (let question = queue.pop(); question; question = queue.pop()) {
        const { user, want } = question;
        const { text } = await ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", reviewOf(user, want));
        const { status } = JSON.parse(text) as { status: { allowed: boolean } };
        const { state } = ours.userAccess(user, want);
        if (status.allowed) allowed += 1;
        if ((state === "allowed") !== status.allowed) wrong.push({ user, want, ours: state, theirs: status.allowed });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(wrong).toEqual([]);
    // both answers occur often
    expect(allowed).toBeGreaterThan(QUESTIONS / 20);
    expect(allowed).toBeLessThan((QUESTIONS * 19) / 20);
  });
});
