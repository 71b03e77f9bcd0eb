/** Of an audit log, what was written stays, with who and how; the rest goes, and no input breaks it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { auditLogReader } from "./audit.ts";

type Event = Readonly<Record<string, unknown>>;

/** As kube-apiserver 1.33 writes them at level Metadata. */
const event = (verb: string, resource: string, more: Event = {}): Event => ({
  kind: "Event",
  apiVersion: "audit.k8s.io/v1",
  level: "Metadata",
  auditID: "0a5b",
  stage: "ResponseComplete",
  requestURI: `/apis/rbac.authorization.k8s.io/v1/${resource}/flannel`,
  verb,
  user: { username: "ann@example.com", groups: ["system:authenticated"] },
  sourceIPs: ["192.0.2.7"],
  userAgent: "kubectl/v1.33.0 (linux/amd64) kubernetes/8adc0f0",
  objectRef: { resource, name: "flannel", apiGroup: "rbac.authorization.k8s.io", apiVersion: "v1" },
  responseStatus: { metadata: {}, code: 200 },
  requestReceivedTimestamp: "2026-11-21T03:00:00.000000Z",
  stageTimestamp: "2026-11-21T03:00:00.005000Z",
  ...more,
});

function read(text: string, pieces = 1) {
  const reader = auditLogReader();
  const size = Math.max(1, Math.ceil(text.length / pieces));
  for (let at = 0; at < text.length; at += size) reader.write(text.slice(at, at + size));
  return reader.end();
}
const log = (...events: readonly Event[]) => events.map((one) => `${JSON.stringify(one)}\n`).join("");
const brief = (text: string) =>
  read(text).value.writes.map(({ verb, resource, name, user }) => [verb, resource, name, user].join(" "));

it("tells who deleted what, when, and from where", () => {
  expect(read(log(event("delete", "clusterroles")))).toEqual({
    value: {
      firstAt: "2026-11-21T03:00:00.005000Z",
      lastAt: "2026-11-21T03:00:00.005000Z",
      writes: [
        {
          line: 1,
          firstAt: "2026-11-21T03:00:00.005000Z",
          at: "2026-11-21T03:00:00.005000Z",
          count: 1,
          verb: "delete",
          user: "ann@example.com",
          userAgent: "kubectl/v1.33.0 (linux/amd64) kubernetes/8adc0f0",
          sourceIp: "192.0.2.7",
          apiGroup: "rbac.authorization.k8s.io",
          resource: "clusterroles",
          name: "flannel",
        },
      ],
    },
    gaps: [],
  });
});

describe("the selector", () => {
  const selected =
    "/apis/rbac.authorization.k8s.io/v1/clusterroles?labelSelector=app.kubernetes.io%2Fmanaged-by%3DHelm&limit=500";
  const collection = { resource: "clusterroles", apiGroup: "rbac.authorization.k8s.io" };

  it("of a collection is in its URI", () => {
    const [write] = read(
      log(event("deletecollection", "clusterroles", { requestURI: selected, objectRef: collection })),
    ).value.writes;
    expect(write).toMatchObject({ labelSelector: "app.kubernetes.io/managed-by=Helm" });
    expect(write).not.toHaveProperty("name");
  });

  it("of kubectl is in the list before: it deletes one by one", () => {
    const list = event("list", "clusterroles", { requestURI: selected, objectRef: collection });
    expect(read(log(list, event("delete", "clusterroles"))).value.writes).toMatchObject([
      { verb: "delete", labelSelector: "app.kubernetes.io/managed-by=Helm" },
    ]);
    const later = { stageTimestamp: "2026-11-21T04:00:00Z" };
    const other = { user: { username: "bob" } };
    for (const unrelated of [later, other]) {
      const { writes } = read(log(list, event("delete", "clusterroles", unrelated))).value;
      expect(writes[0]).not.toHaveProperty("labelSelector");
    }
  });
});

it.each<[string, Event]>([
  ["what was refused", event("delete", "clusterroles", { responseStatus: { code: 403 } })],
  ["what is not answered yet", event("delete", "clusterroles", { stage: "RequestReceived" })],
  ["a dry run", event("delete", "clusterroles", { requestURI: "/x?dryRun=All" })],
  ["reading", event("get", "clusterroles")],
  ["status", event("patch", "nodes", { objectRef: { resource: "nodes", name: "w1", subresource: "status" } })],
  [
    "a kubelet's own",
    event("patch", "nodes", { objectRef: { resource: "nodes", name: "w1" }, user: { username: "system:node:w1" } }),
  ],
  ["other things", event("delete", "leases", { objectRef: { resource: "leases", apiGroup: "coordination.k8s.io" } })],
])("leaves out %s", (_, one) => expect(read(log(one)).value.writes).toEqual([]));

it("as whom it was done, and who did it", () => {
  const as = event("delete", "clusterroles", { impersonatedUser: { username: "system:admin" } });
  expect(read(log(as)).value.writes).toMatchObject([{ user: "system:admin", by: "ann@example.com" }]);
});

it("what is done again and again is told once, with its first and last time", () => {
  const again = [1, 2, 3].map((n) => event("patch", "clusterroles", { stageTimestamp: `2026-11-21T03:00:0${n}Z` }));
  expect(read(log(...again)).value.writes).toMatchObject([
    { count: 3, firstAt: "2026-11-21T03:00:01Z", at: "2026-11-21T03:00:03Z", line: 3 },
  ]);
});

it("of very many the newest stay, and it is said that there were more", () => {
  const many = Array.from({ length: 50_003 }, (_, n) =>
    event("create", "configmaps", { objectRef: { resource: "configmaps", namespace: "a", name: `c${n}` } }),
  );
  const { value, gaps } = read(log(...many));
  expect(value.writes.length).toBe(50_000);
  expect(value.writes.at(-1)).toMatchObject({ name: "c50002" });
  expect(gaps).toEqual([{ what: "3 older writes were not kept" }]);
});

describe("hostile input", () => {
  it.each<[string, string, unknown]>([
    ["no JSON", '{"verb":"delete",\n', [{ line: 1, what: expect.stringContaining("JSON") }]],
    ["another JSON", '{"verb":"delete"}\n', [{ line: 1, what: "not an event of audit.k8s.io" }]],
    ["a log of something else", "I1121 started\n", []],
    ["a line that is cut off", log(event("delete", "clusterroles")).trimEnd(), [{ line: 1, what: "cut off here" }]],
    ["no user", log(event("delete", "clusterroles", { user: 7 })), [{ line: 1, what: "user: expected a name" }]],
    [
      "no time",
      log(event("delete", "clusterroles", { stageTimestamp: "soon" })),
      [{ line: 1, what: "stageTimestamp: expected a time" }],
    ],
  ])("%s", (_, text, gaps) => expect(read(text)).toEqual({ value: expect.anything(), gaps }));

  it("a line without end is cut, and the next ones are read", () => {
    const long = `{"verb":"delete","x":"${"a".repeat(5 * 1024 * 1024)}"}\n`;
    expect(brief(long + log(event("delete", "roles")))).toEqual(["delete roles flannel ann@example.com"]);
  });

  it("comes out the same in whatever pieces it came", () => {
    const text = log(event("delete", "clusterroles"), event("list", "roles"), event("create", "roles"));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (pieces) => {
        expect(read(text, pieces)).toEqual(read(text));
      }),
    );
  });

  it("nothing makes it throw", () => {
    const any = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ ...Object.fromEntries(Object.keys(event("delete", "roles")).map((key) => [key, fc.anything()])) })
        .map((value) => {
          const text = JSON.stringify({
            kind: "Event",
            auditID: "x",
            stage: "ResponseComplete",
            ...value,
            verb: "delete",
          });
          return text ?? "";
        }),
    );
    fc.assert(fc.property(fc.array(any), (lines) => void read(lines.join("\n"))));
  });
});

it("names what a collection held, where the level RequestResponse keeps the answer; an empty one took nothing", () => {
  // as kube-apiserver 1.33 writes it for a DELETE of clusterroles?labelSelector=app%3Dnet
  const collection = (...names: readonly string[]) =>
    event("deletecollection", "clusterroles", {
      requestURI: "/apis/rbac.authorization.k8s.io/v1/clusterroles?labelSelector=app%3Dnet",
      objectRef: { resource: "clusterroles", apiGroup: "rbac.authorization.k8s.io", apiVersion: "v1" },
      responseObject: { kind: "ClusterRoleList", items: names.map((name) => ({ metadata: { name } })) },
    });
  expect(brief(log(collection("flannel", "calico"), collection()))).toEqual([
    "deletecollection clusterroles flannel ann@example.com",
    "deletecollection clusterroles calico ann@example.com",
  ]);
});

describe("fields that are too long to be kept", () => {
  const LONG = "x".repeat(5_000);

  it("are none: a name of 5 kB is nobody's, and a selector is not left out", () => {
    const collection = {
      requestURI: `/apis/rbac.authorization.k8s.io/v1/clusterroles?labelSelector=${LONG}`,
      objectRef: { resource: "clusterroles", apiGroup: "rbac.authorization.k8s.io" },
    };
    const { value, gaps } = read(
      log(
        event("delete", "clusterroles", { user: { username: LONG } }),
        event("deletecollection", "clusterroles", collection),
        event("delete", "clusterroles", { userAgent: LONG, sourceIPs: [LONG] }),
      ),
    );
    expect(value.writes.map(({ verb, userAgent }) => [verb, userAgent])).toEqual([["delete", undefined]]);
    expect(gaps.map(({ what }) => what)).toEqual([
      "user: expected a name",
      "requestURI: its selector is too long to be kept",
    ]);
  });
});
