/** Who wrote last what is wrong: told with a cause, where its managed fields tell and no audit log does. */
import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { diagnose } from "../diagnose.ts";
import { ref } from "../model/ref.ts";

const BACKEND = ref("Service", "backend", "shop");
const MADE = "2026-11-20T03:00:00Z";
const written = (manager: string, time: string) => ({ manager, operation: "Update", time });

function told(...managedFields: readonly object[]): string[] {
  const broken = cluster().with({
    do: "patch",
    target: BACKEND,
    patch: { metadata: { creationTimestamp: MADE, managedFields }, spec: { selector: { app: "nobody" } } },
  });
  const [cause] = diagnose(broken.capture).rootCauses;
  expect(cause?.object).toMatchObject({ kind: "Service", name: "backend" });
  return cause!.evidence.filter(({ quote }) => quote.includes("last written")).map(({ quote, at }) => `${quote} ${at}`);
}

describe("who wrote last what a person would repair", () => {
  it("is told, with the time", () => {
    const writes = [written("kubectl-create", MADE), written("kubectl-edit", "2026-11-21T02:00:00Z")];
    expect(told(...writes, written("helm", "2026-11-20T08:00:00Z"))).toEqual([
      "Service/shop/backend: last written by kubectl-edit (Update) 2026-11-21T02:00:00Z",
    ]);
  });

  it("is nobody, where it is as it was made, or Kubernetes itself wrote", () => {
    expect(told(written("kubectl-create", MADE))).toEqual([]);
    expect(told(written("kube-controller-manager", "2026-11-21T02:00:00Z"))).toEqual([]);
    expect(told()).toEqual([]);
  });
});
