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

type Written = { readonly path: string; readonly bytes: number; readonly sha256: string; readonly complete: boolean };

export interface BundleWriter {
  /** Takes evidence in as `intake` does, and writes it down too. */
  readonly intake: Intake;
  readonly files: number;
  readonly redactions: number;
  /** Packs what was written. Nothing is written after that. */
  finish(): Promise<void>;
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

  function write(path: string, text: string): void {
    others.push(path);
    const file = writing(join(folder, path));
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

  const discard = () => Promise.all([rm(folder, { recursive: true, force: true }), rm(archive, { force: true })]);

  return {
    intake: {
      open: (path) => teed(path, inner.open(path)),
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
    async finish() {
      const lines = (items: Iterable<unknown>) => [...items].map((item) => `${JSON.stringify(item)}\n`).join("");
      write("manifest.jsonl", lines(manifest.values()));
      write("redactions.jsonl", lines(redactions));
      const part = `${folder}.part`;
      try {
        await packed(folder, [...manifest.keys(), ...others], top, part);
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
