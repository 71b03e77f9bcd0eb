/** Who wrote what is found by the object; a root cause tells who deleted what is missing. */
import { expect, it } from "vitest";
import { captureOf, readRecording } from "../../../testing/recordings.ts";
import { diagnose } from "../../diagnose.ts";
import { modelOf } from "../model.ts";
import { ref } from "../ref.ts";

const event = (verb: string, at: string, user: string, objectRef: object, requestURI = "/x") =>
  `${JSON.stringify({
    kind: "Event",
    auditID: at,
    stage: "ResponseComplete",
    verb,
    requestURI,
    user: { username: user },
    userAgent: "kubectl/v1.33.0 (linux/amd64)",
    objectRef,
    responseStatus: { code: 200 },
    stageTimestamp: at,
  })}\n`;
const role = (name: string) => ({ resource: "clusterroles", name, apiGroup: "rbac.authorization.k8s.io" });
const policy = (apiGroup: string) => ({ resource: "networkpolicies", namespace: "shop", name: "web", apiGroup });

const LOGS = {
  "audit/a.log":
    event("create", "2026-11-20T09:00:00Z", "ci", role("flannel")) +
    event("delete", "2026-11-21T03:15:50Z", "ann", role("flannel")) +
    event("patch", "2026-11-21T03:15:55Z", "ann", policy("networking.k8s.io")),
  "audit/b.log":
    event(
      "deletecollection",
      "2026-11-21T03:15:40Z",
      "bob",
      { resource: "configmaps", namespace: "shop" },
      "/x?fieldSelector=metadata.name%3Dany",
    ) + event("patch", "2026-11-21T03:16:00Z", "bob", policy("crd.projectcalico.org")),
};

it("of an object the newest first, over all logs, also what was done to all of its kind", () => {
  const { writes } = modelOf(captureOf(new Map(Object.entries(LOGS))));
  const told = (of: ReturnType<typeof ref>) => writes.of(of).map(({ verb, user }) => `${verb} ${user}`);
  expect(told(ref("ClusterRole", "flannel"))).toEqual(["delete ann", "create ci"]);
  expect(told(ref("ConfigMap", "any", "shop"))).toEqual(["deletecollection bob"]);
  expect([told(ref("ConfigMap", "other", "shop")), told(ref("ConfigMap", "any", "data"))]).toEqual([[], []]);
  expect(told(ref("NetworkPolicy", "web", "shop"))).toEqual(["patch ann"]);
  expect(told(ref("CalicoNetworkPolicy", "web", "shop"))).toEqual(["patch bob"]);
  expect(writes.told).toEqual({ from: "2026-11-20T09:00:00Z", to: "2026-11-21T03:16:00Z" });
  const [collection] = writes.of(ref("ConfigMap", "any", "shop"));
  expect(collection?.evidence).toEqual({
    origin: { kind: "file", path: "audit/b.log", line: 1, at: "2026-11-21T03:15:40Z" },
    quote: "bob: deletecollection configmaps/shop --field-selector metadata.name=any by kubectl/v1.33.0",
    at: "2026-11-21T03:15:40Z",
  });
});

it("without a log nothing is told", () => {
  expect(modelOf(captureOf(new Map())).writes).toMatchObject({ all: [], told: undefined });
});

it("a root cause tells who deleted it, and when", async () => {
  const { files } = await readRecording("flannel-role-deleted");
  const [root] = diagnose(captureOf(new Map([...files, ...Object.entries(LOGS)]))).rootCauses;
  expect(root).toMatchObject({ object: { kind: "ClusterRole", name: "flannel" }, since: "2026-11-21T03:15:50Z" });
  expect(root?.evidence[0]?.quote).toBe(
    "ann: delete clusterroles.rbac.authorization.k8s.io/flannel by kubectl/v1.33.0",
  );
});
