import { describe, expect, it } from "vitest";
import type { Answer, ApiRequest } from "./answer.ts";
import { answer, targetOf } from "./api.ts";
import { createStoreIntake } from "./bundle-store.ts";
import type { Store } from "./store.ts";

const pod = (namespace: string, name: string, labels: object, nodeName: string) => ({
  metadata: { name, namespace, labels, resourceVersion: "5", creationTimestamp: "2026-11-21T00:00:00Z" },
  spec: { nodeName, containers: [{ name: "app" }], bigNumber: 12345678901234567890n },
  status: { phase: "Running" },
});

const json = (value: unknown) =>
  JSON.stringify(value, (_key, each) => (typeof each === "bigint" ? `#${each}#` : each)).replace(/"#(\d+)#"/g, "$1");

const PODS = [
  pod("data", "db-0", { app: "db" }, "w1"),
  pod("data", "db-1", { app: "db", old: "yes" }, "w2"),
  pod("shop", "web", { app: "web" }, "w1"),
];

const FILES: Readonly<Record<string, string>> = {
  "cluster.json": '{"capturedAt":"2026-11-21T01:00:00Z"}',
  "version.json": '{"gitVersion":"v1.33.1"}',
  "readyz.txt": "[+]ping ok\nreadyz check passed\n",
  "api/v1/pods.json": json({ kind: "PodList", apiVersion: "v1", metadata: { resourceVersion: "40" }, items: PODS }),
  "api/v1/services.jsonl": `${json({ metadata: { name: "web", namespace: "shop", resourceVersion: "9" }, spec: {} })}\n`,
  "api/v1/namespaces.json": json({ kind: "NamespaceList", metadata: { resourceVersion: "41" }, items: null }),
  "api/v1/nodes.json.err": "nodes is forbidden: User cannot list",
  "apis/apps/v1/deployments.json": `{"kind":"DeploymentList","metadata":{},"items":[${json({ metadata: { name: "web", namespace: "shop" } })},{"metadata":{"na`,
  "apis/example.org/v1/things.json": json({
    kind: "ThingList",
    items: [{ apiVersion: "example.org/v1", kind: "Thing", metadata: { name: "one" } }],
  }),
  "logs/data/db-0/app.log": [
    "2026-11-21T00:30:00.000000001Z first",
    "2026-11-21T00:50:00.5Z second",
    "  a line of the second",
    "2026-11-21T00:59:30Z third\n",
  ].join("\n"),
  "logs/data/db-0/app.previous.log": "2026-11-21T00:10:00Z crashed\n",
  "nodes/w1/ip-addr.json": "[]",
};

function storeOf(files: Readonly<Record<string, string>>): Store {
  const intake = createStoreIntake();
  for (const [path, text] of Object.entries(files)) {
    const sink = intake.open(path);
    sink?.write(text);
    sink?.end({ bytes: Buffer.byteLength(text) });
  }
  return intake.store();
}

const store = storeOf(FILES);

function ask(url: string, more: Partial<ApiRequest> = {}): Answer {
  const [path = "", search = ""] = url.split("?");
  return answer(
    { method: "GET", path, query: new URLSearchParams(search), headers: {}, body: new Uint8Array(), ...more },
    store,
  );
}

const textOf = ({ body }: Answer): string => (typeof body === "string" ? body : Buffer.concat([...body]).toString());

// biome-ignore lint/suspicious/noExplicitAny: bodies of any kind, of which tests name the parts
const body = (url: string, more?: Partial<ApiRequest>): any => JSON.parse(textOf(ask(url, more)));

const names = (url: string): string[] =>
  body(url).items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);

const accepting = (accept: string) => ({ headers: { accept } });
const TABLE = accepting("application/json;as=Table;v=v1;g=meta.k8s.io,application/json");

describe("lists", () => {
  it("hand out the objects as they stand in the bundle, byte for byte", () => {
    const text = textOf(ask("/api/v1/pods"));
    for (const each of PODS) expect(text).toContain(json(each));
    expect(body("/api/v1/pods")).toMatchObject({
      kind: "PodList",
      apiVersion: "v1",
      metadata: { resourceVersion: "40" },
    });
  });

  it.each([
    ["/api/v1/pods", ["db-0", "db-1", "web"]],
    ["/api/v1/namespaces/data/pods", ["db-0", "db-1"]],
    ["/api/v1/namespaces/none/pods", []],
    ["/api/v1/pods?labelSelector=app%3Ddb,!old", ["db-0"]],
    ["/api/v1/pods?fieldSelector=spec.nodeName%3Dw1", ["db-0", "web"]],
    ["/api/v1/pods?fieldSelector=metadata.name%3Dweb,status.phase!%3DFailed", ["web"]],
    ["/api/v1/services", ["web"]],
    ["/api/v1/namespaces", []],
  ])("%s is %j", (url, expected) => expect(names(url)).toEqual(expected));

  it.each([1, 2, 3, 4])("come in pages of %i, none twice and none left out", (limit) => {
    const seen: string[] = [];
    let token = "";
    do {
      const page = body(`/api/v1/pods?limit=${limit}&continue=${token}`);
      expect(page.items.length).toBeLessThanOrEqual(limit);
      expect(page.metadata.resourceVersion).toBe("40");
      seen.push(...page.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name));
      expect(page.metadata.remainingItemCount ?? 0).toBe(PODS.length - seen.length);
      token = page.metadata.continue ?? "";
    } while (token !== "");
    expect(seen).toEqual(["db-0", "db-1", "web"]);
  });

  it("that were cut off say so in a warning, which clients print", () => {
    const answered = ask("/apis/apps/v1/deployments");
    expect(answered.headers.warning).toBe('299 - "apis/apps/v1/deployments.json is incomplete: cut off here"');
    expect(names("/apis/apps/v1/deployments")).toEqual(["web"]);
    expect(ask("/api/v1/pods").headers.warning).toBeUndefined();
  });
});

describe("refusals are Statuses", () => {
  it.each([
    ["/api/v1/pods?labelSelector=a%3Db%3Dc", 400, "BadRequest", /^found '='/],
    ["/api/v1/pods?fieldSelector=spec.foo%3Db", 400, "BadRequest", /^field label not supported: spec.foo$/],
    ["/api/v1/pods?limit=x", 400, "BadRequest", /parsing "x"/],
    ["/api/v1/pods?continue=abc", 400, "BadRequest", /^invalid continue token/],
    ["/api/v1/configmaps", 403, "Forbidden", /^configmaps is forbidden: .*it was not collected$/],
    ["/api/v1/nodes/w1", 403, "Forbidden", /^nodes "w1" is forbidden: .*User cannot list$/],
    ["/api/v1/things", 404, "NotFound", /^the server could not find the requested resource$/],
    ["/apis/example.com/v1", 404, "NotFound", /^the server could not find/],
    ["/api/v1/namespaces/data/pods/none", 404, "NotFound", /^pods "none" not found$/],
    ["/apis/apps/v1/namespaces/a/deployments/none", 404, "NotFound", /^deployments.apps "none" not found$/],
    ["/api/v1/namespaces/data/pods/db-0/exec", 404, "NotFound", /./],
    ["/api/v1/pods/%zz", 404, "NotFound", /./],
    [`/api/v1/pods?continue=${Buffer.from('{"rv":1,"at":1}').toString("base64url")}`, 410, "Expired", /too old/],
    [
      "/api/v1/pods?resourceVersion=30&resourceVersionMatch=Exact",
      410,
      "Expired",
      /^too old resource version: 30 \(40\)$/,
    ],
    ["/api/v1/pods?resourceVersion=50", 504, "Timeout", /^Timeout: Too large resource version: 50, current: 40$/],
  ])("%s: %i", (url, code, reason, message) => {
    const answered = ask(url);
    expect(answered.status).toBe(code);
    expect(body(url)).toMatchObject({
      kind: "Status",
      status: "Failure",
      reason,
      code,
      message: expect.stringMatching(message),
    });
  });

  it.each(["POST", "PUT", "PATCH", "DELETE"])("%s: nothing can be changed", (method) => {
    const answered = body("/api/v1/namespaces/data/pods/db-0", { method });
    expect(answered).toMatchObject({
      code: 405,
      reason: "MethodNotAllowed",
      message: expect.stringContaining("read-only"),
    });
  });

  it("of forms that nobody has", () => {
    expect(ask("/api/v1/pods", accepting("application/vnd.kubernetes.protobuf")).status).toBe(406);
    expect(ask("/api/v1/pods", accepting("application/vnd.kubernetes.protobuf,application/json")).status).toBe(200);
  });
});

describe("custom resources", () => {
  const definition = (group: string, plural: string, kind: string) => ({
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural, kind },
      versions: [
        { name: "v1", served: true },
        { name: "v0", served: false },
      ],
    },
  });
  const custom = storeOf({
    // a name that Kubernetes has too, and a list as such lists are: with its kind behind its items
    "apis/aaa.example.org/v1/networkpolicies.json":
      '{"apiVersion":"aaa.example.org/v1","items":[],"kind":"NetworkPolicyList","metadata":{}}',
    "apis/apiextensions.k8s.io/v1/customresourcedefinitions.json": json({
      kind: "CustomResourceDefinitionList",
      items: [
        definition("aaa.example.org", "networkpolicies", "NetworkPolicy"),
        definition("zzz.example.org", "widgets", "Widget"),
      ],
    }),
    "apis/networking.k8s.io/v1/networkpolicies.json": json({ kind: "NetworkPolicyList", items: [] }),
  });

  it("stand behind those of Kubernetes, and are known by their definitions", () => {
    const groups = custom.types.filter(({ plural }) => plural === "networkpolicies").map(({ group }) => group);
    expect(groups).toEqual(["networking.k8s.io", "aaa.example.org"]);
    expect(custom.types.filter(({ kind }) => kind === "Widget").map(({ version }) => version)).toEqual(["v1"]);
  });

  it("that are none are an empty list; those that were not collected are forbidden", () => {
    expect(custom.served("aaa.example.org", "v1", "networkpolicies")?.served.state).toBe("readable");
    expect(custom.served("zzz.example.org", "v1", "widgets")?.served.state).toBe("forbidden");
  });
});

it.each(["", '{"kind":"Status","code":403}', "<html>", '{"kind":"PodLi', "[]"])(
  "%j is no list: it does not stand for an empty one",
  (text) => {
    expect(storeOf({ "api/v1/pods.json": text }).served("", "v1", "pods")?.served.state).toBe("forbidden");
  },
);

describe("one object", () => {
  it("says what kind it is, before the rest as it stands", () => {
    const text = textOf(ask("/api/v1/namespaces/data/pods/db-0"));
    expect(text).toBe(`{"kind":"Pod","apiVersion":"v1",${json(PODS[0]).slice(1)}`);
    expect(body("/apis/example.org/v1/things/one")).toEqual({
      apiVersion: "example.org/v1",
      kind: "Thing",
      metadata: { name: "one" },
    });
  });
});

describe("forms", () => {
  it("tables have the age at the time of the bundle", () => {
    const { columnDefinitions, rows, kind } = body("/api/v1/pods", TABLE);
    expect(kind).toBe("Table");
    expect(columnDefinitions[0]).toMatchObject({ name: "Name", format: "name" });
    expect(rows[0].cells.slice(0, 5)).toEqual(["db-0", "0/1", "Running", "0", "60m"]);
    expect(rows[0].object).toMatchObject({ kind: "PartialObjectMetadata", metadata: { name: "db-0" } });
    expect(body("/api/v1/pods?includeObject=None", TABLE).rows[0].object).toBeUndefined();
    expect(body("/api/v1/pods?includeObject=Object", TABLE).rows[0].object).toMatchObject({ kind: "Pod", spec: {} });
    expect(body("/api/v1/namespaces/data/pods/db-0", TABLE).rows.length).toBe(1);
  });

  it("metadata only", () => {
    const list = body("/api/v1/pods", accepting("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"));
    expect(list.kind).toBe("PartialObjectMetadataList");
    expect(list.items[2]).toEqual({
      kind: "PartialObjectMetadata",
      apiVersion: "meta.k8s.io/v1",
      metadata: PODS[2]!.metadata,
    });
  });
});

describe("discovery", () => {
  const AGGREGATED = accepting("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");

  it("tells of what the bundle holds, and of what every API server has", () => {
    const groups = body("/apis", AGGREGATED).items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
    expect(groups).toEqual(
      expect.arrayContaining(["apps", "rbac.authorization.k8s.io", "example.org", "authorization.k8s.io"]),
    );
    expect(groups).not.toContain("");
    const core = body("/api", AGGREGATED).items[0].versions[0].resources;
    expect(core.find(({ resource }: { resource: string }) => resource === "pods")).toMatchObject({
      scope: "Namespaced",
      verbs: ["get", "list", "watch"],
      shortNames: ["po"],
      responseKind: { kind: "Pod", version: "v1" },
      subresources: [{ subresource: "log" }],
    });
  });

  it("is told in the older form too", () => {
    expect(body("/api").versions).toEqual(["v1"]);
    expect(body("/apis").groups.find(({ name }: { name: string }) => name === "apps").preferredVersion).toEqual({
      groupVersion: "apps/v1",
      version: "v1",
    });
    expect(body("/apis/apps").name).toBe("apps");
    const { resources } = body("/apis/example.org/v1");
    expect(resources).toEqual([
      { name: "things", singularName: "thing", namespaced: false, kind: "Thing", verbs: ["get", "list", "watch"] },
    ]);
  });

  it("knows version and health as the bundle has them", () => {
    expect(body("/version")).toEqual({ gitVersion: "v1.33.1" });
    expect(textOf(ask("/readyz?verbose"))).toContain("readyz check passed");
    expect(ask("/openapi/v2").status).toBe(200);
  });
});

describe("what kubectl asks beside objects", () => {
  const crd = {
    metadata: { name: "pools.example.org" },
    spec: {
      group: "example.org",
      scope: "Cluster",
      names: { plural: "pools", kind: "Pool" },
      versions: [{ name: "v1", schema: { openAPIV3Schema: { type: "object", description: "a pool" } } }],
    },
  };
  const more = storeOf({
    ...FILES,
    "apis/apiextensions.k8s.io/v1/customresourcedefinitions.json": json({ items: [crd] }),
    "top/nodes.json": json({ kind: "NodeMetricsList", items: [{ metadata: { name: "w1" }, usage: { cpu: "1" } }] }),
  });
  const asked = (path: string) => {
    const request = { method: "GET", path, query: new URLSearchParams(), headers: {}, body: new Uint8Array() };
    return answer(request, more);
  };
  const bodyOf = (path: string) => JSON.parse(textOf(asked(path)));

  it("`explain` finds the schemas of custom resources, and is told of the others that there are none", () => {
    const { paths } = bodyOf("/openapi/v3");
    const { serverRelativeURL } = paths["apis/example.org/v1"];
    const { paths: resources, components } = bodyOf(serverRelativeURL);
    expect(Object.keys(resources)).toEqual(["/apis/example.org/v1/pools"]);
    expect(components.schemas["example.org.v1.Pool"]).toMatchObject({ description: "a pool" });
    const refused = asked(paths["api/v1"].serverRelativeURL);
    expect([refused.status, textOf(refused)]).toEqual([403, expect.stringContaining("no schemas")]);
  });

  it("`top` finds what metrics-server measured, where the bundle has it", () => {
    expect(bodyOf("/apis/metrics.k8s.io/v1beta1/nodes")).toMatchObject({ items: [{ usage: { cpu: "1" } }] });
    expect(ask("/apis/metrics.k8s.io/v1beta1/nodes").status).toBe(404);
  });
});

describe("watches", () => {
  /** The events of a watch that nobody ends: those before it waits. */
  function eventsOf(url: string): { type: string; object: { kind: string; metadata?: object; code?: number } }[] {
    const answered = ask(url);
    let text = textOf(answered);
    const stop = answered.follow!(
      (piece) => {
        text += typeof piece === "string" ? piece : Buffer.from(piece).toString();
      },
      () => {},
    );
    stop();
    return text === ""
      ? []
      : text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line));
  }

  it.each(["/api/v1/pods?watch=true", "/api/v1/pods?watch=1&resourceVersion=0"])(
    "%s begins with what there is",
    (url) => {
      const events = eventsOf(url);
      expect(events.map(({ type, object }) => [type, object.kind])).toEqual(PODS.map(() => ["ADDED", "Pod"]));
    },
  );

  it("goes on where a list ended", () => {
    expect(eventsOf("/api/v1/pods?watch=true&resourceVersion=40")).toEqual([]);
  });

  it("does not know what was before", () => {
    const [event] = eventsOf("/api/v1/pods?watch=true&resourceVersion=39");
    expect(event).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } });
  });

  it("marks the end of what there is, for who asks for it", () => {
    const url = "/api/v1/namespaces/data/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    const events = eventsOf(`${url}&allowWatchBookmarks=true`);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "ADDED", "BOOKMARK"]);
    expect(events[2]!.object.metadata).toMatchObject({
      resourceVersion: "40",
      annotations: { "k8s.io/initial-events-end": "true" },
    });
    expect(ask("/api/v1/pods?watch=true&sendInitialEvents=true").status).toBe(422);
  });

  it("of tables names the columns once", () => {
    const lines = textOf(ask("/api/v1/pods?watch=true", TABLE))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ object }) => object.columnDefinitions?.length ?? null)).toEqual([9, null, null]);
  });
});

describe("logs", () => {
  const LOG = "/api/v1/namespaces/data/pods/db-0/log";
  it.each([
    ["", "first\nsecond\n  a line of the second\nthird\n"],
    ["?container=app&tailLines=1", "third\n"],
    ["?tailLines=0", ""],
    ["?tailLines=2&timestamps=true", "  a line of the second\n2026-11-21T00:59:30Z third\n"],
    ["?sinceSeconds=900", "second\n  a line of the second\nthird\n"],
    ["?sinceTime=2026-11-21T00:59:00Z", "third\n"],
    ["?sinceSeconds=1", ""],
    ["?limitBytes=3", "fir"],
    ["?previous=true", "crashed\n"],
    ["?follow=true&tailLines=1", "third\n"],
  ])("%s", (query, expected) => expect(textOf(ask(`${LOG}${query}`))).toBe(expected));

  it.each([
    [`${LOG}?container=none`, 400, "container none is not valid for pod db-0"],
    ["/api/v1/namespaces/data/pods/db-1/log", 404, "the bundle has no logs/data/db-1/app.log"],
    ["/api/v1/namespaces/data/pods/db-9/log", 404, 'pods "db-9" not found'],
  ])("%s: %i", (url, code, message) => {
    expect(body(url)).toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

describe("may I?", () => {
  const post = (value: unknown) => ({ method: "POST", body: Buffer.from(JSON.stringify(value)) });
  const access = (spec: object) =>
    body("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post({ spec })).status as object;

  it.each([
    [{ verb: "list", resource: "pods" }, true],
    [{ verb: "get", resource: "pods", subresource: "log" }, true],
    [{ verb: "watch", group: "apps", resource: "deployments" }, true],
    [{ verb: "delete", resource: "pods" }, false],
    [{ verb: "create", resource: "pods", subresource: "exec" }, false],
    [{ verb: "list", resource: "nodes" }, false],
    [{ verb: "list", group: "apps", resource: "pods" }, false],
    [{ verb: "list", group: "*", resource: "*" }, false],
  ])("%j: %s", (resourceAttributes, allowed) => expect(access({ resourceAttributes })).toMatchObject({ allowed }));

  it("tells why not, in the words of the bundle", () => {
    expect(access({ resourceAttributes: { verb: "list", resource: "nodes" } })).toMatchObject({
      reason: "nodes: the bundle does not hold it: nodes is forbidden: User cannot list",
    });
  });

  it("tells all that is readable", () => {
    const { status } = body(
      "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
      post({ spec: { namespace: "data" } }),
    );
    expect(status.resourceRules[0]).toMatchObject({ verbs: ["get", "list", "watch"], apiGroups: [""] });
    expect(status.resourceRules[0].resources).toEqual(["namespaces", "pods", "services", "pods/log"]);
  });

  it("is read from protobuf, as kubectl 1.33 posts it", () => {
    // SelfSubjectAccessReview{spec: {resourceAttributes: {verb: "list", resource: "pods"}}} in runtime.Unknown
    const bytes = (number: number, inner: Uint8Array | string) => {
      const content = Buffer.from(inner);
      return Buffer.concat([Uint8Array.of(number * 8 + 2, content.length), content]);
    };
    const attributes = Buffer.concat([bytes(1, "data"), bytes(2, "list"), bytes(5, "pods")]);
    const review = Buffer.concat([bytes(1, ""), bytes(2, bytes(1, attributes)), bytes(3, Uint8Array.of(8, 0))]);
    const unknown = Buffer.concat([bytes(1, "x"), bytes(2, review), bytes(3, "")]);
    const request = (message: Uint8Array) => ({
      method: "POST",
      headers: { "content-type": "application/vnd.kubernetes.protobuf" },
      body: Buffer.concat([Buffer.from("k8s\0"), message]),
    });
    const url = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    expect(body(url, request(unknown)).status).toEqual({ allowed: true });
    for (let end = 0; end < unknown.length; end++) {
      expect([201, 400]).toContain(ask(url, request(unknown.subarray(0, end))).status);
    }
  });
});

it.each([
  ["/api/v1/pods", { group: "", version: "v1", plural: "pods" }],
  ["/api/v1/namespaces/a", { group: "", version: "v1", plural: "namespaces", name: "a" }],
  ["/api/v1/namespaces/a/status", { group: "", version: "v1", plural: "namespaces", name: "a", subresource: "status" }],
  [
    "/apis/apps/v1/namespaces/a/deployments/b",
    { group: "apps", version: "v1", plural: "deployments", namespace: "a", name: "b" },
  ],
  ["/api/v1/namespaces/a/pods/b%20c", { group: "", version: "v1", plural: "pods", namespace: "a", name: "b c" }],
  ["/api/v1", undefined],
  ["/metrics", undefined],
])("the path %s", (path, target) => expect(targetOf(path)).toEqual(target));
