/** ZIP archives, and archives in archives: what `cilium sysdump` writes, and what strangers may. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { afterAll, describe, expect, it } from "vitest";
import { asSysdump } from "../../testing/foreign-bundles.ts";
import { readRecording } from "../../testing/recordings.ts";
import { type ZipFile, zipOf } from "../../testing/zip.ts";
import { diagnose } from "../diagnose.ts";
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import { BUNDLE_LIMITS, readBundle } from "./bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-archive-"));
afterAll(() => rmSync(folder, { recursive: true }));

let stored = 0;
function store(content: Uint8Array, name = `bundle-${stored++}`): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function tarOf(files: ReadonlyMap<string, string>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of files) archive.entry({ name }, content);
  archive.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of archive) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

const filesOf = (files: ReadonlyMap<string, string>): ZipFile[] =>
  [...files].map(([name, content], index) => ({ name, content, isStored: index % 5 === 0 }));

const NODES = JSON.stringify({ kind: "NodeList", metadata: {}, items: [{ metadata: { name: "a" } }] });
const namesOf = (capture: Capture) => known(capture.get("nodes"))?.items.map(({ metadata }) => metadata.name);
const notesOf = (capture: Capture) => capture.notes.map(({ path, what }) => `${path}: ${what.en}`).join("\n");

describe("a .zip", () => {
  it("is read as a .tar is", async () => {
    const { files } = await readRecording("corefile-broken");
    const ours = diagnose(await readBundle(store(zipOf(filesOf(files)))));
    expect(ours).toEqual(diagnose(await readBundle(store(await tarOf(files)))));
    expect(ours.rootCauses.map(({ check }) => check)).toEqual(["corefile-invalid"]);
  });

  it("that was cut off says so", async () => {
    const whole = zipOf([{ name: "api/v1/nodes.json", content: NODES }]);
    for (const length of [5, 40, whole.length - 30, whole.length - 1]) {
      await expect(readBundle(store(whole.subarray(0, length)))).rejects.toThrow(/no evidence/);
    }
  });

  it.each<[string, ZipFile, RegExp]>([
    ["a link", { name: "b.json", content: "/etc/passwd", isLink: true }, /b.json: refused: a symlink is no evidence/],
    [
      "an encrypted file",
      { name: "b.json", content: NODES, isEncrypted: true },
      /b.json: refused: a compressed in a way/,
    ],
    ["a name that leads out", { name: "../b.json", content: NODES }, /leads out/],
    ["an absolute name", { name: "/etc/b.json", content: NODES }, /leads out/],
    ["a place that is none", { name: "api/v1/pods.json", content: NODES, offset: 7 }, /damaged/],
    ["a place behind its end", { name: "api/v1/pods.json", content: NODES, offset: 1 << 30 }, /ends early/],
  ])("with %s is read but for that", async (_, file, says) => {
    const capture = await readBundle(store(zipOf([{ name: "api/v1/nodes.json", content: NODES }, file])));
    expect(namesOf(capture)).toEqual(["a"]);
    expect(notesOf(capture)).toMatch(says);
  });

  it("whose files share their bytes is read no further than any other", async () => {
    const first: ZipFile = {
      name: "logs/a/b/0.log",
      content: Buffer.alloc(2 * 1024 * 1024, "a".repeat(4000).concat("\n")),
    };
    const again = Array.from({ length: 7 }, (_, n): ZipFile => ({ ...first, name: `logs/a/b/${n}.log`, content: "" }));
    const nodes: ZipFile = { name: "api/v1/nodes.json", content: NODES };
    const sound = zipOf([nodes, first]);
    const at = sound.indexOf(first.name) - 30;
    // all of them have the size and the place of the first one
    const length = sound.readUInt32LE(sound.lastIndexOf(first.name) - 26);
    const bomb = zipOf([nodes, first, ...again.map((file) => ({ ...file, offset: at, packed: length }))]);
    const capture = await readBundle(store(bomb), { ...BUNDLE_LIMITS, bytesInAll: 8 * 1024 * 1024 });
    expect(namesOf(capture)).toEqual(["a"]);
    expect(notesOf(capture)).toMatch(/holds more than 8 MiB/);
  });

  it("of garbage never throws anything but a clear message", async () => {
    const whole = zipOf([
      { name: "api/v1/nodes.json", content: NODES },
      { name: "x", content: "y".repeat(1000) },
    ]);
    for (let at = 4; at < whole.length; at += 3) {
      const garbled = Buffer.from(whole);
      garbled[at] = garbled[at]! ^ 0xff;
      const outcome = await readBundle(store(garbled, "garbled")).then(
        () => "read",
        (error: Error) => error.constructor.name,
      );
      expect(["read", "DiagnosisError"], `byte ${at}`).toContain(outcome);
    }
  });
});

describe("a .zip inside", () => {
  /** As people attach things: the dump of one tool beside their own notes. */
  const inside = async () => {
    const { files } = await readRecording("cilium-healthy");
    return zipOf(filesOf(asSysdump(files)));
  };

  it.each(["folder", "tar", "zip"] as const)("a %s is read, too", async (form) => {
    const zip = await inside();
    let path = join(folder, `holder-${form}`);
    if (form === "folder") {
      mkdirSync(path);
      writeFileSync(join(path, "cilium-sysdump.zip"), zip);
    } else if (form === "zip")
      path = store(zipOf([{ name: "incident/cilium-sysdump.zip", content: zip, isStored: true }]));
    else {
      const archive = pack();
      archive.entry({ name: "incident/cilium-sysdump.zip" }, zip);
      archive.entry({ name: "incident/broken.zip" }, zip.subarray(0, 5000));
      archive.finalize();
      const pieces: Buffer[] = [];
      for await (const piece of archive) pieces.push(piece as Buffer);
      path = store(gzipSync(Buffer.concat(pieces)));
    }
    const capture = await readBundle(path);
    expect(namesOf(capture)).toHaveLength(3);
    if (form === "tar")
      expect(notesOf(capture)).toMatch(/broken\.zip: not read to its end: the archive has no directory/);
  });
});

describe("`cilium sysdump`", () => {
  const DUMPED: Readonly<Record<string, string>> = {
    "status --verbose": "cilium-dbg-status.txt",
    "bpf lb list": "cilium-dbg-bpf-lb-list.txt",
    "bpf ipcache list": "cilium-dbg-bpf-ipcache-list.txt",
    "endpoint list -o json": "cilium-dbg-endpoint-list.json",
  };

  /** The archive that bugtool makes in each agent, of what the recording has. */
  async function bugtools(files: ReadonlyMap<string, string>) {
    const pods = JSON.parse(files.get("api/v1/pods.json")!) as {
      items: { metadata: { name: string; namespace: string }; spec: { nodeName: string } }[];
    };
    const agents = pods.items.filter(({ metadata }) =>
      files.has(`exec/${metadata.namespace}/${metadata.name}/cilium-dbg-status.txt`),
    );
    return Promise.all(
      agents.map(async ({ metadata: { namespace, name }, spec: { nodeName } }) => {
        const outputs = new Map(
          Object.entries(DUMPED).map(([words, file]) => [
            `cilium-dbg ${words}`,
            files.get(`exec/${namespace}/${name}/${file}`) ?? "",
          ]),
        );
        outputs.set("iptables-save -c", files.get(`nodes/${nodeName}/iptables-save.txt`)!);
        const inside = [...outputs].map(([command, text]): [string, string] => [
          `cilium-bugtool-20261121/cmd/${command.replaceAll(/[^a-z0-9]+/g, "-")}.md`,
          `# ${command}\n\n\`\`\`\n${text}\n\`\`\`\n`,
        ]);
        return {
          name: `cilium-bugtool-${name}-20261121-031225.tar.gz`,
          archive: gzipSync(await tarOf(new Map(inside))),
        };
      }),
    );
  }

  it.each(["zip", "folder"] as const)("with the archives of its agents inside: a %s", async (form) => {
    const { files } = await readRecording("cilium-healthy");
    const outside = asSysdump(files);
    const home = [...outside.keys()][0]!.split("/")[0]!;
    const inside = await bugtools(files);
    expect(inside.length).toBeGreaterThan(1);
    const all: ZipFile[] = [
      ...filesOf(outside),
      ...inside.map(({ name, archive }) => ({ name: `${home}/${name}`, content: archive, isStored: true })),
      { name: `${home}/broken.tar.gz`, content: gzipSync(Buffer.alloc(3000, 7)) },
    ];
    let path = join(folder, "sysdump");
    if (form === "zip") path = store(zipOf(all), "sysdump.zip");
    else {
      for (const { name, content } of all) {
        mkdirSync(join(path, name, ".."), { recursive: true });
        writeFileSync(join(path, name), content);
      }
    }
    const capture = await readBundle(path);
    expect(notesOf(capture)).toContain("`cilium sysdump`");
    expect(notesOf(capture)).toContain("broken.tar.gz: not read to its end");
    for (const kind of ["ciliumStatus", "ciliumLb", "ciliumIpcache", "ciliumEndpoints"] as const) {
      const states = capture.all(kind).map(({ observed }) => observed.state);
      expect(states, kind).toEqual(inside.map(() => "present"));
    }
    expect(capture.all("iptables").map(({ observed }) => observed.state)).toEqual(inside.map(() => "present"));
    expect(diagnose(capture).rootCauses).toEqual([]);
  });
});
