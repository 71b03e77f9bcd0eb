/** Bundles from strangers: whatever is in one, there is a report of what could be read, or a clear message. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type Header, pack } from "tar-stream";
import { afterAll, describe, expect, it } from "vitest";
import { asTroubleshoot } from "../../testing/foreign-bundles.ts";
import { LONG } from "../../testing/long.ts";
import { readRecording, recordingPath } from "../../testing/recordings.ts";
import { diagnose } from "../diagnose.ts";
import { DiagnosisError } from "../errors.ts";
import type { Capture } from "../evidence/capture.ts";
import { BUNDLE_LIMITS, readBundle } from "./bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-bundle-"));
afterAll(() => rmSync(folder, { recursive: true }));

const NODES = JSON.stringify({
  kind: "NodeList",
  metadata: {},
  items: [{ metadata: { name: "a" } }, { metadata: { name: "b" } }],
});

async function tarOf(entries: readonly (readonly [Partial<Header> & { name: string }, string?])[]): Promise<Buffer> {
  const archive = pack();
  for (const [header, content] of entries) archive.entry(header, content ?? "");
  archive.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of archive) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** A header as it stands in an archive (POSIX.1-2017, pax, "ustar Interchange Format"), whatever it claims. */
function header(name: string, size: number, type = "0"): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write("0000644\0", 100);
  // more than 8 GiB does not fit into octal digits: GNU's base-256 form
  if (size >= 0o77777777777) {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  } else block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("00000000000\0", 136);
  block.write("        ", 148);
  block.write(type, 156);
  block.write("ustar\0", 257);
  block.write("00", 263);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function store(name: string, content: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const nodeNames = (capture: Capture) => {
  const nodes = capture.get("nodes");
  return nodes.state === "present" ? nodes.value.items.map(({ metadata }) => metadata.name) : nodes.state;
};
const notes = (capture: Capture) => capture.notes.map(({ path, what }) => `${path}: ${what.en}`);
const refusal = (path: string) =>
  readBundle(path).then(
    () => "read",
    (error: unknown) => (error instanceof DiagnosisError ? `${error.code}: ${error.says.en}` : String(error)),
  );

describe("the forms of a bundle", () => {
  const id = "flannel-role-deleted";

  it("a directory, .tar, .tar.gz and .tar.zst of it, with a folder around it, give the same report", async () => {
    const { files } = await readRecording(id);
    const directory = join(folder, "directory");
    for (const [path, text] of files) {
      mkdirSync(join(directory, path, ".."), { recursive: true });
      writeFileSync(join(directory, path), text);
    }
    const tar = await tarOf([...files].map(([path, text]) => [{ name: path }, text]));
    const wrapped = await tarOf([...files].map(([path, text]) => [{ name: `./incident-7/${path}` }, text]));
    const paths = [
      directory,
      store("plain.tar", tar),
      store("packed.tgz", gzipSync(tar)),
      store("packed.of.no.name", zstdCompressSync(tar)),
      store("wrapped.tar.gz", gzipSync(wrapped)),
    ];
    symlinkSync(directory, join(folder, "link"));
    const expected = JSON.stringify(diagnose(await readBundle(recordingPath(id))));
    for (const path of [...paths, join(folder, "link")])
      expect(JSON.stringify(diagnose(await readBundle(path)))).toBe(expected);
  });
});

it("a Troubleshoot support bundle is known as one by its objects, whatever its logs' folder is called", async () => {
  const entries = [...asTroubleshoot((await readRecording("kube-proxy-role-deleted")).files)];
  const log = entries.find(([path]) => path.includes("/logs/"))![0];
  const tar = await tarOf([
    // macOS' tar adds these
    [{ name: "support-bundle-2026/._version.yaml" }, "Mac OS X"],
    ...entries.map(([path, text]) => [{ name: path }, text] as const),
    [
      {
        name: "support-bundle-2026/all-logs/a.log",
        type: "symlink",
        linkname: `../${log.split("/").slice(1).join("/")}`,
      },
    ],
  ]);
  const capture = await readBundle(store("troubleshoot.tar", tar));
  expect(notes(capture)).toEqual([expect.stringMatching(/^bundle: taken for a Troubleshoot support bundle/)]);
  expect(diagnose(capture).rootCauses.map(({ check }) => check)).toEqual(["component-access-denied"]);
});

it("a folder that holds a bundle, and what somebody noted of it, is that bundle", async () => {
  const tar = await tarOf([
    [{ name: "nodes/w1/ip-addr.json" }, "[]"],
    [{ name: "nodes/w1/pods/shop/web/ip-addr.json" }, "[]"],
  ]);
  const own = join(folder, "own");
  mkdirSync(own);
  writeFileSync(join(own, "incident.tar.zst"), zstdCompressSync(tar));
  writeFileSync(join(own, "notes.yaml"), "seen: on Friday\n");
  const [capture, expected] = [await readBundle(own), await readBundle(join(own, "incident.tar.zst"))];
  expect(capture.all("links").map(({ place }) => place)).toEqual([{ node: "w1" }]);
  expect(capture.size).toBe(expected.size);
});

describe("what is no bundle is said to be none", () => {
  it("nothing there", async () => {
    expect(await refusal(join(folder, "nothing"))).toMatch(/^no-evidence: There is no bundle at .*nothing: ENOENT/);
  });
  it("an empty folder", async () => {
    mkdirSync(join(folder, "empty"));
    expect(await refusal(join(folder, "empty"))).toMatch(/^no-evidence: .*holds no evidence/);
  });
  it.each([
    ["an empty file", Buffer.alloc(0)],
    ["a text", Buffer.from("Dear netwhy,\n".repeat(1000))],
    ["noise", Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251))],
    ["noise that says it is gzip", Buffer.concat([Buffer.from("1f8b0800", "hex"), Buffer.alloc(5000, 0xa5)])],
    ["noise that says it is zstd", Buffer.concat([Buffer.from("28b52ffd", "hex"), Buffer.alloc(5000, 0xa5)])],
    ["a gzip of nothing", gzipSync("")],
  ])("%s", async (_, content) => {
    expect(await refusal(store("none", content))).toMatch(/^(no|unreadable)-evidence: .*holds no evidence/);
  });
});

describe("what is wrong with a bundle costs that part only", () => {
  const good = [{ name: "api/v1/nodes.json" }, NODES] as const;

  it("names that lead out of it are refused", async () => {
    const names = ["../../etc/passwd", "/etc/passwd", "api/v1/../v1/pods.json", "nodes//sysctl.txt"];
    const tar = await tarOf([...names.map((name) => [{ name }, "x"] as const), good]);
    const capture = await readBundle(store("out.tar", tar));
    expect(nodeNames(capture)).toEqual(["a", "b"]);
    expect(capture.size).toBe(1);
    for (const name of names) expect(notes(capture)).toContain(`${name}: refused: a name that leads out of the bundle`);
  });

  it("links and devices are refused, in archives and folders", async () => {
    const tar = await tarOf([
      [{ name: "api/v1/pods.json", type: "symlink", linkname: "/etc/passwd" }],
      [{ name: "api/v1/services.json", type: "link", linkname: "/etc/passwd" }],
      [{ name: "api/v1/events.json", type: "character-device" }],
      good,
    ]);
    const archived = await readBundle(store("links.tar", tar));
    expect([nodeNames(archived), archived.size, archived.notes.length]).toEqual([["a", "b"], 1, 3]);

    const directory = join(folder, "links");
    mkdirSync(join(directory, "api/v1"), { recursive: true });
    writeFileSync(join(directory, "api/v1/nodes.json"), NODES);
    symlinkSync("/etc/passwd", join(directory, "api/v1/pods.json"));
    symlinkSync("..", join(directory, "api/loop"));
    const listed = await readBundle(directory);
    expect([nodeNames(listed), listed.size, listed.notes.length]).toEqual([["a", "b"], 1, 2]);
  });

  it("a name that is too deep is refused", async () => {
    const name = `${"deep/".repeat(40)}nodes.json`;
    const capture = await readBundle(store("deep.tar", await tarOf([[{ name }, "x"], good])));
    expect(nodeNames(capture)).toEqual(["a", "b"]);
    expect(notes(capture)[0]).toContain("too long or too deep");
  });

  it.each([0.3, 0.6, 0.9])("an archive that ends after %d of it is read so far", async (share) => {
    const tar = await tarOf([good, [{ name: "logs/x/y/z.log" }, "hello\n".repeat(100_000)]]);
    const packed = gzipSync(tar, { level: 0 });
    const capture = await readBundle(store("cut.tgz", packed.subarray(0, packed.length * share)));
    expect(nodeNames(capture)).toEqual(["a", "b"]);
    expect(notes(capture).at(-1)).toMatch(/^: not read to its end: /);
    expect(diagnose(capture).verdict).toBe("unclear");
  });

  it("broken UTF-8 is read as U+FFFD", async () => {
    const bytes = Buffer.from(NODES.replace('"b"', '"b\u0001"'));
    bytes[bytes.indexOf(1)] = 0xff;
    const tar = Buffer.concat([header("api/v1/nodes.json", bytes.length), bytes, Buffer.alloc(1024)]);
    const whole = Buffer.concat([tar, Buffer.alloc(512 - (tar.length % 512))]);
    // that a control character or a replacement is in a name makes it no other name
    expect(nodeNames(await readBundle(store("utf8.tar", whole)))).toEqual(["a", "b\ufffd"]);
  });

  it("objects that are too deep are skipped, and those beside them read", async () => {
    const deep = `{"metadata":{"name":"deep"},"spec":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
    const text = `{"kind":"NodeList","items":[{"metadata":{"name":"a"}},${deep},{"metadata":{"name":"b"}}]}`;
    const capture = await readBundle(store("deep-json.tar", await tarOf([[{ name: "api/v1/nodes.json" }, text]])));
    expect(nodeNames(capture)).toEqual(["a", "b"]);
    const nodes = capture.get("nodes");
    expect(nodes.state === "present" && nodes.gaps[0]!.what).toContain("deeper or larger");
  });

  it.each([
    "nodes/a/ip-route.json",
    "nodes/a/cni/10-flannel.conflist",
    "probes.jsonl",
    "manifest.json",
    "cluster.json",
  ])("depth in %s hurts nobody", async (name) => {
    const deep = `${'[{"a":'.repeat(100_000)}1${"}]".repeat(100_000)}\n`;
    const capture = await readBundle(store("deep-other.tar", await tarOf([[{ name }, deep], good])));
    expect(nodeNames(capture)).toEqual(["a", "b"]);
    expect(diagnose(capture).checks.filter(({ outcome }) => outcome === "crashed")).toEqual([]);
  });

  it("an archive of more entries than anybody's is read so far", async () => {
    const entries = Array.from({ length: 3000 }, (_, index) => [{ name: `junk/${index}` }, ""] as const);
    const path = store("many.tar", await tarOf([good, ...entries]));
    const capture = await readBundle(path, { ...BUNDLE_LIMITS, entries: 1000 });
    expect(nodeNames(capture)).toEqual(["a", "b"]);
    expect(notes(capture)).toEqual([": not read to its end: it has more than 1000 entries"]);
  });

  it("a folder of more entries than anybody's is not listed to its end", async () => {
    const directory = join(folder, "many");
    for (let index = 0; index < 30; index++) mkdirSync(join(directory, `${index}`), { recursive: true });
    const reading = readBundle(directory, { ...BUNDLE_LIMITS, entries: 10 });
    await expect(reading).rejects.toThrow("it has more than 10 entries");
  });
});

describe("in bounded memory", () => {
  /** Reads in a process that has little, and says what it got. */
  function readWithLittle(path: string): string {
    const script = `
      import { readBundle } from ${JSON.stringify(fileURLToPath(new URL("./bundle.ts", import.meta.url)))};
      const capture = await readBundle(process.argv[1]);
      console.log(capture.size, JSON.stringify(capture.notes), JSON.stringify(capture.all("nodes")[0]?.observed.gaps));`;
    const args = ["--max-old-space-size=96", "--input-type=module", "--eval", script, path];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    return status === 0 ? stdout.trim() : `${status} ${stderr}`;
  }
  const MIB = 1024 * 1024;
  const zeros = (mib: number) => Buffer.alloc(mib * MIB, 0x20);

  it("an entry that claims 1 KB and is followed by far more", () => {
    const content = Buffer.concat([header("api/v1/nodes.json", 1024), zeros(150)]);
    expect(readWithLittle(store("lying.tar.zst", zstdCompressSync(content)))).toMatch(
      /^1 .*not read to its end: (Invalid tar header|it expands)/,
    );
  });

  it("an entry that expands without end", () => {
    const content = Buffer.concat([header("api/v1/nodes.json", 10 * 1024 * MIB), zeros(300)]);
    expect(readWithLittle(store("bomb.tar.zst", zstdCompressSync(content)))).toMatch(/^1 .*expands more than 500-fold/);
  });

  it.each([
    ["one object without end", "api/v1/nodes.json", '{"kind":"NodeList","items":[{"metadata":{"name":"'],
    ["one line without end", "api/v1/nodes.jsonl", '{"metadata":{"name":"'],
    ["one log line without end", "logs/a/b/c.log", "x"],
  ])("%s", (_, name, start) => {
    const body = Buffer.concat([Buffer.from(start), zeros(130)]);
    const content = Buffer.concat([header(name, body.length), body]);
    expect(readWithLittle(store("endless.tar.zst", zstdCompressSync(content)))).toMatch(/^1 /);
  });

  it("a name of many megabytes", () => {
    const content = Buffer.concat([header("api/v1/nodes.json", 0), header("long", 150 * MIB, "x"), zeros(150)]);
    expect(readWithLittle(store("long-name.tar.zst", zstdCompressSync(content)))).toMatch(
      /not read to its end: Header exceeds max size/,
    );
  });

  it("millions of entries", async () => {
    const path = join(folder, "millions.tar.zst");
    const block = header("junk", 0);
    const many = Buffer.concat(Array.from({ length: 100_000 }, () => block));
    // a frame of zstd after another is one stream
    const frame = zstdCompressSync(many);
    writeFileSync(
      path,
      Buffer.concat([zstdCompressSync(header("api/v1/nodes.json", 0)), ...Array(LONG ? 100 : 4).fill(frame)]),
    );
    expect(readWithLittle(path)).toMatch(/^1 /);
  });
});
