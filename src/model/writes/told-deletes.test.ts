import { expect, it } from "vitest";
import { cluster } from "../../../testing/cluster.ts";
import { addEvents } from "../../../testing/cluster-edits.ts";
import { ref } from "../ref.ts";

const APPS = { kind: "Application", namespace: "argocd", name: "network" };
const CHARTS = { kind: "Kustomization", namespace: "flux-system", name: "charts" };

it.each([
  ["Flux prunes it", CHARTS, "ClusterRole/flannel deleted\nRole/kube-system/x configured", CHARTS, undefined],
  [
    "somebody deletes it in Argo CD",
    APPS,
    "alice deleted resource rbac.authorization.k8s.io/ClusterRole 'flannel'",
    APPS,
    "alice",
  ],
])("a delete is told by an Event: %s", (_, about, message, teller, user) => {
  const { writes } = cluster()
    .edit(addEvents(about, "Told", [message]))
    .model();
  const [write, ...more] = writes.of(ref("ClusterRole", "flannel"));
  expect(more).toEqual([]);
  const told = `${teller.kind}/${teller.namespace}/${teller.name}`;
  expect([write?.verb, write?.user]).toEqual(["delete", user ?? told]);
  expect(write?.evidence.quote).toContain(told);
});

it("Events that tell of no delete of an object that netwhy knows tell of no write", () => {
  const messages = ["Pod/shop/x deleted by hand", "deleted resource", "ClusterRole/flannel configured"];
  expect(
    cluster()
      .edit(addEvents(CHARTS, "Told", messages))
      .model().writes.all,
  ).toEqual([]);
});
