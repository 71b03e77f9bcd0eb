import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { kubeconfig, readStore, serveStore } from "./replay.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-replay-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("serves bundles of other tools, too", async () => {
  const pods = ["a", "b"].map((name) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "shop" },
    spec: {},
  }));
  writeFileSync(
    join(folder, "what-kubectl-said.json"),
    JSON.stringify({ apiVersion: "v1", kind: "List", items: pods }),
  );
  const { store } = await readStore(folder);
  const { port, close } = await serveStore(store);
  const answered = await fetch(`http://127.0.0.1:${port}/api/v1/namespaces/shop/pods`);
  const { items } = (await answered.json()) as { items: { metadata: { name: string } }[] };
  expect(items.map(({ metadata }) => metadata.name)).toEqual(["a", "b"]);
  await close();
});

it("has nothing to serve where nothing is", async () => {
  const empty = mkdtempSync(join(folder, "empty-"));
  writeFileSync(join(empty, "notes.txt"), "nothing");
  await expect(readStore(empty)).rejects.toMatchObject({ code: "no-evidence" });
  await expect(readStore(join(folder, "none"))).rejects.toMatchObject({ code: "no-evidence" });
});

it("writes a kubeconfig that names one cluster, without a secret", () => {
  expect(JSON.parse(kubeconfig(8001))).toMatchObject({
    kind: "Config",
    clusters: [{ name: "netwhy-replay", cluster: { server: "http://127.0.0.1:8001" } }],
    users: [{ user: {} }],
    "current-context": "netwhy-replay",
  });
});
