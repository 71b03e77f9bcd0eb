/** What `netwhy rbac check` says of who a component is, beside what it may do. */
import { expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { type Edit, editObjects, editPods } from "../../testing/cluster-edits.ts";
import { crashing } from "../../testing/object-states.ts";
import { buildRbacCheck } from "./build-rbac-check.ts";

const flannelAfter = (...edits: readonly Edit[]) => {
  const edited = cluster().edit(...edits);
  const check = buildRbacCheck(edited.capture, edited.model(), "0");
  const row = check.components.find(({ name }) => name === "flannel");
  return {
    verdict: check.verdict,
    flaws: row?.flaws.map(({ reason, object }) => `${reason} ${object.kind}/${object.name}`),
  };
};
const withoutToken = editObjects("serviceaccounts", "flannel", (own) => ({
  ...own,
  automountServiceAccountToken: false,
}));

it("an account that is gone", () => {
  expect(flannelAfter(editObjects("serviceaccounts", "flannel", () => undefined))).toEqual({
    verdict: "faulty",
    flaws: ["account-missing ServiceAccount/flannel"],
  });
});

it("Pods that get no token of it, and fail", () => {
  expect(flannelAfter(withoutToken, editPods("kube-flannel-ds", crashing(4), "w1"))).toEqual({
    verdict: "faulty",
    flaws: ["token-missing ServiceAccount/flannel"],
  });
  expect(flannelAfter(withoutToken)).toEqual({ verdict: "healthy", flaws: [] });
});
