/** A bundle that is there already is written again, without its names if asked; what makes no sense is refused. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, expect, it } from "vitest";
import { recordingPath } from "../../../testing/recordings.ts";
import { known } from "../../evidence/observed.ts";
import { readBundle } from "../../sources/bundle.ts";
import type { Surroundings } from "../surroundings.ts";
import { collectCommand } from "./collect.run.ts";
import type { Given } from "./command.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-collect-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const KEY = at("key");
writeFileSync(KEY, "0123456789abcdef");
const SHORT = at("short");
writeFileSync(SHORT, "0123");

async function collect(given: Given) {
  let said = "";
  const say = (text: string) => {
    said += text;
  };
  await collectCommand(given, { program: "netwhy", lang: "en", out: say, err: say } as Surroundings);
  return said;
}

it("a bundle is taken over, with other names; what had not arrived whole has not", async () => {
  const from = at("from");
  mkdirSync(join(from, "api/v1"), { recursive: true });
  writeFileSync(join(from, "api/v1/nodes.json"), '{"items":[{"metadata":{"name":"berlin-1"}}]}');
  writeFileSync(join(from, "api/v1/pods.json.err"), "pods is forbidden on berlin-1");
  writeFileSync(join(from, "notes.txt"), "berlin");
  writeFileSync(join(from, "manifest.jsonl"), '{"path":"api/v1/nodes.json","complete":false}\n');
  const output = at("to.tar.gz");
  expect(await collect({ from, output, anonymizeKey: KEY })).toMatch(/2 files.*\n.*names and addresses/);
  const capture = await readBundle(output);
  const nodes = capture.get("nodes");
  expect(nodes.state === "present" && nodes.gaps).toEqual([{ what: "the collector could not take all of it" }]);
  const [name = ""] = known(nodes)?.items.map(({ metadata }) => metadata.name) ?? [];
  expect(name).toMatch(/^[a-z]{8}-1$/);
  const pods = capture.get("pods");
  expect(pods.state === "unknown" && pods.why).toMatchObject({ message: `pods is forbidden on ${name}` });
});

it("an audit log comes with it, without what it tells of Secrets", async () => {
  const event = {
    ...{ kind: "Event", auditID: "1", stage: "ResponseComplete", verb: "delete", responseStatus: { code: 200 } },
    ...{ user: { username: "jane" }, stageTimestamp: "2026-11-21T10:00:00Z" },
    objectRef: { apiGroup: "rbac.authorization.k8s.io", resource: "clusterroles", name: "flannel" },
  };
  const secret = { ...event, objectRef: { resource: "secrets" }, requestObject: { stringData: { p: "planted" } } };
  writeFileSync(at("audit.log.gz"), gzipSync([event, secret].map((line) => `${JSON.stringify(line)}\n`).join("")));
  const from = at("audited");
  mkdirSync(join(from, "api/v1"), { recursive: true });
  writeFileSync(join(from, "api/v1/nodes.json"), '{"items":[{"metadata":{"name":"w1"}}]}');
  await collect({ from, output: at("audited.tar.gz"), auditLog: [at("audit.log.gz")] });
  const log = (await readBundle(at("audited.tar.gz"))).get("auditLog", { file: "1-audit.log" });
  expect(known(log)?.writes).toMatchObject([{ verb: "delete", user: "jane", resource: "clusterroles" }]);
  expect(gunzipSync(readFileSync(at("audited.tar.gz"))).includes("planted")).toBe(false);
});

it("the same key gives the same names, and without one they are others each time", async () => {
  const from = recordingPath("healthy-ipvs");
  const nodes = async (name: string, given: Given) => {
    await collect({ from, output: at(name), ...given });
    return known((await readBundle(at(name))).get("nodes"))
      ?.items.map(({ metadata }) => metadata.name)
      .join();
  };
  const one = await nodes("1.tar.gz", { anonymizeKey: KEY });
  expect(await nodes("2.tar.gz", { anonymizeKey: KEY })).toBe(one);
  expect(await nodes("3.tar.gz", { anonymize: true })).not.toBe(one);
  expect(await nodes("4.tar.gz", {})).toBe("cp1,v1,w1,w2");
});

it.each<[string, Given, RegExp]>([
  ["a key that is not there", { anonymizeKey: at("none") }, /cannot be read/],
  ["a key that is too short", { anonymizeKey: SHORT }, /fewer than 16/],
  ["a bundle and a cluster", { from: folder, context: "prod" }, /--context of a running cluster/],
  ["a bundle that is none", { from: at("none") }, /no bundle/],
])("%s is refused, and leaves nothing", async (_, given, says) => {
  const before = readdirSync(folder).sort();
  await expect(collect({ ...given, output: at("never.tar.gz") })).rejects.toThrow(says);
  expect(readdirSync(folder).sort()).toEqual(before);
});
