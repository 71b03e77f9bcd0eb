/**
 * Writes a bundle while evidence is taken in: every file goes through the redactor, to a folder beside the target, and at
 * the end into the archive, with a manifest and a list of what was redacted. A bundle that is there already is not
 * overwritten, and an interrupted one leaves nothing.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, createReadStream, createWriteStream, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { mkdtemp, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import type { Ending, Intake, Sink } from "../evidence/capture.ts";
import { type Redaction, redactorFor } from "../redact/redact.ts";
import type { TextRedactor } from "../redact/text.ts";

type Written = { readonly path: string; readonly bytes: number; readonly sha256: string; readonly complete: boolean };

/** Gives files other names and other text: two passes over all of them. */
export interface Renaming {
  learn(path: string): { write(piece: string): void; end(): void } | undefined;
  /** @returns undefined for a file that is left out */
  rewrite(path: string): { readonly path: string; readonly rewriter: TextRedactor } | undefined;
}

export interface BundleWriter {
  /** Takes evidence in as `intake` does, and writes it down too. */
  readonly intake: Intake;
  readonly files: number;
  readonly redactions: number;
  /** What came of a file was not all of it, as whoever collected it said. */
  doubt(path: string): void;
  /** Packs what was written, under other names if they are given. Nothing is written after that. */
  finish(renaming?: Renaming): Promise<void>;
  /** Forgets what was written. */
  discard(): Promise<void>;
}

/**
 * @param target the archive to be, `.tar.gz`
 * @throws the error of the file system: EEXIST if there is something already
 */
export async function bundleWriter(target: string, inner: Intake): Promise<BundleWriter> {
  const archive = resolve(target);
  // refused now, not after minutes of reading
  await (await open(archive, "wx")).close();
  const folder = await mkdtemp(join(dirname(archive), `.${basename(archive)}-`));
  const manifest = new Map<string, Written>();
  const redactions: Redaction[] = [];
  const top = basename(archive).replace(/(\.tar)?(\.t?gz)?$/, "") || "bundle";

  const others: string[] = [];

  function write(path: string, text: string, within = folder): void {
    others.push(path);
    const file = writing(join(within, path));
    file.write(text);
    file.end();
  }

  function teed(path: string, sink: Sink | undefined): Sink {
    const file = writing(join(folder, path));
    const redactor = redactorFor(path, (redaction) => redactions.push(redaction));
    return {
      write(piece) {
        sink?.write(piece);
        file.write(redactor.write(piece));
      },
      end(ending: Ending) {
        sink?.end(ending);
        file.write(redactor.end());
        manifest.set(path, { path, ...file.end(), complete: ending.cutOff === undefined });
      },
    };
  }

  /** @returns the folder in which everything stands under other names */
  async function renamed(renaming: Renaming): Promise<string> {
    const paths = [...manifest.keys(), ...others];
    for (const path of paths) {
      const pupil = renaming.learn(path);
      if (!pupil) continue;
      for await (const piece of textOf(join(folder, path))) pupil.write(piece);
      pupil.end();
    }
    const before = new Map(manifest);
    manifest.clear();
    others.length = 0;
    const anew = join(folder, RENAMED);
    const otherPaths = new Map<string, string>();
    for (const path of paths) {
      const other = renaming.rewrite(path);
      if (!other) continue;
      const file = writing(join(anew, other.path));
      for await (const piece of textOf(join(folder, path))) file.write(other.rewriter.write(piece));
      file.write(other.rewriter.end());
      const written = file.end();
      otherPaths.set(path, other.path);
      const known = before.get(path);
      if (known) manifest.set(other.path, { path: other.path, ...written, complete: known.complete });
      else others.push(other.path);
    }
    const told = redactions.splice(0).flatMap(({ path, line, what }) => {
      const other = otherPaths.get(path);
      return other === undefined ? [] : [{ path: other, ...(line !== undefined && { line }), what }];
    });
    redactions.push(...told);
    return anew;
  }

  const discard = () => Promise.all([rm(folder, { recursive: true, force: true }), rm(archive, { force: true })]);

  return {
    intake: {
      // it is written anew, of what is written here
      open: (path) => (path === MANIFEST ? inner.open(path) : teed(path, inner.open(path))),
      absent(path) {
        inner.absent(path);
        write(`${path}.absent`, "");
      },
      note: (path, what) => inner.note(path, what),
      capture: () => inner.capture(),
    },
    get files() {
      return manifest.size;
    },
    get redactions() {
      return redactions.length;
    },
    doubt(path) {
      const file = manifest.get(path);
      if (file) manifest.set(path, { ...file, complete: false });
    },
    async finish(renaming) {
      const lines = (items: Iterable<unknown>) => [...items].map((item) => `${JSON.stringify(item)}\n`).join("");
      const part = `${folder}.part`;
      try {
        const from = renaming ? await renamed(renaming) : folder;
        write(MANIFEST, lines(manifest.values()), from);
        write("redactions.jsonl", lines(redactions), from);
        await packed(from, [...manifest.keys(), ...others], top, part);
        await rename(part, archive);
      } finally {
        await rm(folder, { recursive: true, force: true });
        await rm(part, { force: true });
      }
    },
    async discard() {
      await discard();
    },
  };
}

const MANIFEST = "manifest.jsonl";

/** Where the files stand that are written anew; no evidence has such a name. */
const RENAMED = ".renamed";

const textOf = (path: string): AsyncIterable<string> => createReadStream(path, { encoding: "utf8" });

/** A file that is open only while it is written: a bundle has thousands. */
function writing(path: string) {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  const hash: Hash = createHash("sha256");
  const file = openSync(path, "wx", 0o600);
  let bytes = 0;
  return {
    write(text: string): void {
      if (text === "") return;
      const data = Buffer.from(text);
      hash.update(data);
      bytes += data.length;
      writeSync(file, data);
    },
    end() {
      closeSync(file);
      return { bytes, sha256: hash.digest("hex") };
    },
  };
}

async function packed(folder: string, paths: readonly string[], top: string, target: string): Promise<void> {
  const tar = pack();
  const written = pipeline(tar, createGzip(), createWriteStream(target, { flags: "wx", mode: 0o600 }));
  for (const path of paths) {
    const { size, mtime } = await sizeOf(join(folder, path));
    const entry = tar.entry({ name: `${top}/${path}`, size, mtime, mode: 0o644 });
    await pipeline(createReadStream(join(folder, path)), entry);
  }
  tar.finalize();
  await written;
}

async function sizeOf(path: string) {
  const file = await open(path);
  try {
    return await file.stat();
  } finally {
    await file.close();
  }
}
