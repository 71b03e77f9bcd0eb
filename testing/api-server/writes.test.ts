import { describe, expect, it } from "vitest";
import { type ApiServer, apiServer } from "./api-server.ts";
import { jsonPatch, mergePatch, strategicMergePatch } from "./patches.ts";

const ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const MAPS = "/api/v1/namespaces/shop/configmaps";
const role = (name: string, rules: object[] = []) => ({ metadata: { name, labels: { app: name } }, rules });

const server = () => apiServer({ isWritable: true });

// biome-ignore lint/suspicious/noExplicitAny: bodies of any kind, of which tests name the parts
type Answered = { status: number; body: any };

async function send(
  api: ApiServer,
  method: string,
  path: string,
  body?: unknown,
  type = "application/json",
): Promise<Answered> {
  const answered = await fetch(`${api.url}${path}`, {
    method,
    headers: { "content-type": type, "user-agent": "tester/1.0" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answered.status, body: await answered.json() };
}

const namesIn = async (api: ApiServer, path: string): Promise<string[]> =>
  (await send(api, "GET", path)).body.items.map((item: { metadata: { name: string } }) => item.metadata.name);

describe("writes", () => {
  it("create, and what is there already", async () => {
    await using api = await server();
    const { status, body } = await send(api, "POST", ROLES, role("flannel"));
    expect(status).toBe(201);
    expect(body).toMatchObject({ kind: "ClusterRole", metadata: { name: "flannel", uid: expect.any(String) } });
    expect(body.metadata.managedFields).toMatchObject([{ manager: "tester", operation: "Update" }]);
    expect(await send(api, "POST", ROLES, role("flannel"))).toMatchObject({
      status: 409,
      body: { reason: "AlreadyExists" },
    });
    expect((await send(api, "POST", MAPS, { metadata: { generateName: "map-" } })).body.metadata.name).toMatch(
      /^map-./,
    );
    expect((await send(api, "POST", MAPS, { metadata: {} })).status).toBe(422);
    expect((await send(api, "POST", MAPS, { metadata: { name: "a" } }, "application/xml")).status).toBe(415);
    expect((await send(api, "POST", MAPS, { kind: "Pod", metadata: { name: "a" } })).status).toBe(400);
  });

  it("update what is of the version that was read", async () => {
    await using api = await server();
    const { body } = await send(api, "POST", ROLES, role("flannel"));
    const changed = { ...body, rules: [{ verbs: ["get"] }] };
    expect((await send(api, "PUT", `${ROLES}/flannel`, changed)).body.rules).toEqual([{ verbs: ["get"] }]);
    expect(await send(api, "PUT", `${ROLES}/flannel`, changed)).toMatchObject({
      status: 409,
      body: { reason: "Conflict" },
    });
    expect((await send(api, "PUT", `${ROLES}/none`, role("none"))).status).toBe(404);
  });

  it("patch in all four ways", async () => {
    await using api = await server();
    await send(api, "POST", ROLES, role("flannel", [{ verbs: ["get"] }]));
    const patch = (body: unknown, type: string) => send(api, "PATCH", `${ROLES}/flannel?fieldManager=me`, body, type);
    const labels = { metadata: { labels: { app: null, tier: "cni" } } };
    expect((await patch(labels, "application/merge-patch+json")).body.metadata.labels).toEqual({ tier: "cni" });
    const rules = { rules: [{ verbs: ["list"] }] };
    expect((await patch(rules, "application/strategic-merge-patch+json")).body.rules).toEqual(rules.rules);
    const operations = [{ op: "add", path: "/rules/0/verbs/-", value: "watch" }];
    expect((await patch(operations, "application/json-patch+json")).body.rules).toEqual([{ verbs: ["list", "watch"] }]);
    const applied = await patch(
      { kind: "ClusterRole", metadata: { name: "flannel" }, rules: [] },
      "application/apply-patch+yaml",
    );
    expect(applied.body).toMatchObject({
      rules: [],
      metadata: { labels: { tier: "cni" }, managedFields: [{ manager: "me", operation: "Apply" }] },
    });
    expect((await patch({}, "text/plain")).status).toBe(415);
    expect((await patch([{ op: "remove", path: "/none" }], "application/json-patch+json")).status).toBe(422);
  });

  it("apply what is not there yet", async () => {
    await using api = await server();
    const { status } = await send(
      api,
      "PATCH",
      `${ROLES}/new?fieldManager=me`,
      role("new"),
      "application/apply-patch+yaml",
    );
    expect(status).toBe(201);
    expect(await namesIn(api, ROLES)).toEqual(["new"]);
  });

  it("delete one, or all that are selected", async () => {
    await using api = await server();
    for (const name of ["c", "a", "b"]) await send(api, "POST", ROLES, role(name));
    expect(await namesIn(api, ROLES)).toEqual(["a", "b", "c"]);
    expect((await send(api, "DELETE", `${ROLES}/b`, { preconditions: { uid: "another" } })).status).toBe(409);
    expect((await send(api, "DELETE", `${ROLES}/b`)).body).toMatchObject({ kind: "Status", status: "Success" });
    expect((await send(api, "DELETE", `${ROLES}/b`)).status).toBe(404);
    await send(api, "DELETE", `${ROLES}?labelSelector=app%3Dc`);
    expect(await namesIn(api, ROLES)).toEqual(["a"]);
  });

  it("keep what has finalizers until they are gone", async () => {
    await using api = await server();
    await send(api, "POST", MAPS, { metadata: { name: "kept", finalizers: ["x/y"] } });
    expect((await send(api, "DELETE", `${MAPS}/kept`)).body.metadata.deletionTimestamp).toEqual(expect.any(String));
    expect(await namesIn(api, MAPS)).toEqual(["kept"]);
    await send(api, "PATCH", `${MAPS}/kept`, { metadata: { finalizers: null } }, "application/merge-patch+json");
    expect(await namesIn(api, MAPS)).toEqual([]);
  });

  it("that are dry change nothing", async () => {
    await using api = await server();
    expect((await send(api, "POST", `${ROLES}?dryRun=All`, role("flannel"))).status).toBe(201);
    await send(api, "POST", ROLES, role("kept"));
    expect((await send(api, "DELETE", `${ROLES}/kept?dryRun=All`)).status).toBe(200);
    expect(await namesIn(api, ROLES)).toEqual(["kept"]);
  });
});

describe("lists and watches of what is written", () => {
  it("pages are of one state, until it is forgotten", async () => {
    await using api = await server();
    for (const name of ["a", "c"]) await send(api, "POST", ROLES, role(name));
    const { body } = await send(api, "GET", `${ROLES}?limit=1`);
    await send(api, "POST", ROLES, role("b"));
    const next = `${ROLES}?limit=5&continue=${body.metadata.continue}`;
    expect(await namesIn(api, next)).toEqual(["c"]);
    api.writable!.compact();
    expect(await send(api, "GET", next)).toMatchObject({ status: 410, body: { reason: "Expired" } });
  });

  it("a watch tells what happens, as its selector sees it", async () => {
    await using api = await server();
    await send(api, "POST", ROLES, role("before"));
    const abort = new AbortController();
    const path = `${ROLES}?watch=true&labelSelector=wanted&allowWatchBookmarks=true&timeoutSeconds=1`;
    const answered = await fetch(`${api.url}${path}`, { signal: abort.signal });
    const label = (wanted: string | null) =>
      send(api, "PATCH", `${ROLES}/before`, { metadata: { labels: { wanted } } }, "application/merge-patch+json");
    await label("yes");
    await label("more");
    await label(null);
    api.writable!.put({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "other", labels: { wanted: "" } },
    });
    await send(api, "DELETE", `${ROLES}/other`);
    const events = (await answered.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.map(({ type, object }) => [type, object.metadata.name])).toEqual([
      ["ADDED", "before"],
      ["MODIFIED", "before"],
      ["DELETED", "before"],
      ["ADDED", "other"],
      ["DELETED", "other"],
    ]);
    const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
  });

  it("nobody reads what is forbidden, and everybody is told why", async () => {
    await using api = await apiServer({ isWritable: true, forbidden: ["clusterroles.rbac.authorization.k8s.io"] });
    expect(await send(api, "GET", ROLES)).toMatchObject({
      status: 403,
      body: { message: expect.stringContaining('User "tester" cannot list resource "clusterroles"') },
    });
    const review = {
      spec: { resourceAttributes: { verb: "list", group: "rbac.authorization.k8s.io", resource: "clusterroles" } },
    };
    const access = await send(api, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review);
    expect(access.body.status.allowed).toBe(false);
  });
});

describe("patches", () => {
  it("merge lists by their keys, or replace them", () => {
    const old = {
      spec: { containers: [{ name: "a", image: "1", ports: [{ containerPort: 1 }] }, { name: "b" }], tolerations: [1] },
    };
    const patch = {
      spec: {
        containers: [{ name: "a", image: "2" }, { name: "b", $patch: "delete" }, { name: "c" }],
        tolerations: [2],
      },
    };
    expect(strategicMergePatch(old, patch)).toEqual({
      spec: { containers: [{ name: "a", image: "2", ports: [{ containerPort: 1 }] }, { name: "c" }], tolerations: [2] },
    });
    expect(mergePatch(old, { spec: { containers: [] } })).toEqual({ spec: { containers: [], tolerations: [1] } });
  });

  it("do what RFC 6902 says, or nothing", () => {
    const value = { a: { "b/c": [1, 2] } };
    expect(jsonPatch(value, [{ op: "remove", path: "/a/b~1c/0" }])).toEqual({ a: { "b/c": [2] } });
    expect(jsonPatch(value, [{ op: "replace", path: "/a", value: 5 }])).toEqual({ a: 5 });
    expect(() => jsonPatch(value, [{ op: "test", path: "/a", value: 5 }])).toThrow("testing /a failed");
    expect(() => jsonPatch(value, [{ op: "replace", path: "/x/y", value: 5 }])).toThrow("missing path");
  });
});
