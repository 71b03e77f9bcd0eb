/** The image holds what its manifest says: containerd compares each layer with its digest. */
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract, pack } from "tar-stream";
import { afterAll, expect, it } from "vitest";
import { agentImage } from "./agent-image.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-agent-image-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function filesOf(path: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const tar = extract();
  createReadStream(path).pipe(tar);
  for await (const entry of tar) {
    const pieces: Buffer[] = [];
    for await (const piece of entry) pieces.push(piece as Buffer);
    files.set(entry.header.name, Buffer.concat(pieces));
  }
  return files;
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

it("is the base with the agent upon it, and the same every time", async () => {
  const agent = join(folder, "agent");
  mkdirSync(agent);
  for (const name of ["agent.mjs", "node-script.sh", "node"]) writeFileSync(join(agent, name), name);
  const base = pack();
  base.entry({ name: "bin/sh" }, "a shell");
  base.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of base) pieces.push(piece as Buffer);
  const basePath = join(folder, "base.tar");
  writeFileSync(basePath, Buffer.concat(pieces));
  const images = ["one.tar", "two.tar"].map((name) => join(folder, name));
  for (const image of images) await agentImage(basePath, image, { agent, name: "a/netwhy-agent:1" });
  const [files, again] = await Promise.all(images.map(filesOf));
  expect(files).toEqual(again);
  const [{ Config, RepoTags, Layers }] = JSON.parse(files!.get("manifest.json")!.toString());
  expect(RepoTags).toEqual(["a/netwhy-agent:1"]);
  const config = files!.get(Config)!;
  expect(Config).toBe(`${sha256(config)}.json`);
  const digests = Layers.map((name: string) => sha256(files!.get(name)!));
  expect(digests.map((digest: string) => `sha256:${digest}`)).toEqual(JSON.parse(config.toString()).rootfs.diff_ids);
  expect(files!.get(Layers[0])).toEqual(Buffer.concat(pieces));
  expect(files!.get(Layers[1])!.includes("opt/netwhy/node-script.sh")).toBe(true);
});
