/** What is taken in is written down without its secrets, and comes back as it was; what fails leaves nothing. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createIntake } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import { readBundle } from "./bundle.ts";
import { bundleWriter } from "./bundle-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-writer-"));
afterAll(() => rmSync(folder, { recursive: true }));
const target = (name: string) => join(folder, name);

async function written(name: string, cutOff?: string) {
  const writer = await bundleWriter(target(name), createIntake());
  const put = (path: string, ...pieces: readonly string[]) => {
    const sink = writer.intake.open(path)!;
    for (const piece of pieces) sink.write(piece);
    sink.end({ bytes: pieces.join("").length, ...(cutOff !== undefined && { cutOff }) });
  };
  put("api/v1/nodes.jsonl", '{"metadata":{"name":"wä1"}}\n{"metadata":{"na', 'me":"w2"}}\n');
  put("logs/a/b/c.log", "2026-11-21T03:00:00Z password: hun", "ter22\n");
  writer.intake.absent("apis/networking.k8s.io/v1/networkpolicies.json");
  return writer;
}

it("comes back as it was, without secrets", async () => {
  const writer = await written("a.tar.gz");
  await writer.finish();
  expect([writer.files, writer.redactions]).toEqual([2, 1]);
  const capture = await readBundle(target("a.tar.gz"));
  const nodes = capture.get("nodes");
  expect(known(nodes)?.items.map(({ metadata }) => metadata.name)).toEqual(["wä1", "w2"]);
  expect(nodes.state === "present" && nodes.gaps).toEqual([]);
  expect(capture.get("networkpolicies").state).toBe("absent");
  const log = known(capture.get("containerLog", { namespace: "a", pod: "b", container: "c" }));
  expect(log?.tail[0]?.message).toBe("password: [password redacted]");
  expect(known(capture.get("manifest"))?.map(({ path, complete }) => [path, complete])).toEqual([
    ["api/v1/nodes.jsonl", true],
    ["logs/a/b/c.log", true],
  ]);
});

it("tells what could not be taken whole", async () => {
  await (await written("cut.tar.gz", "the connection broke")).finish();
  const nodes = (await readBundle(target("cut.tar.gz"))).get("nodes");
  expect(nodes.state === "present" && nodes.gaps).toEqual([{ what: "the collector could not take all of it" }]);
});

it("does not overwrite, and leaves nothing when it is given up", async () => {
  writeFileSync(target("mine.txt"), "mine");
  await expect(bundleWriter(target("mine.txt"), createIntake())).rejects.toMatchObject({ code: "EEXIST" });
  const before = readdirSync(folder).sort();
  await (await written("b.tar.gz")).discard();
  expect(readdirSync(folder).sort()).toEqual(before);
});
