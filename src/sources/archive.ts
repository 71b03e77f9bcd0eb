/** What is in an archive, one entry after the other: a .tar, .tar.gz, .tar.zst or .zip, told apart by content. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { extract } from "tar-stream";
import { ZIP_MAGIC, zipEntries, zipEntriesOf } from "./zip.ts";

export type ArchiveEntry = {
  readonly name: string;
  /** `file`, `directory`, or whatever else: what is none of them is no evidence. */
  readonly type: string;
  /** Where a link leads, as it says. */
  readonly link?: string;
  /** Its bytes. What is not asked for is passed over; what was is read before the next entry comes. */
  content(): Promise<AsyncIterable<Uint8Array>>;
};

/** Is told how many bytes went in, and how many came out. */
export type OnBytes = (compressed: number, uncompressed: number) => void;

const MIB = 1024 * 1024;
const ARCHIVE = /\.(tar|tgz|tar\.gz|tar\.zst|tzst|zip)$/;
/** A ZIP archive says at its end what is in it: one that comes as a stream is held whole. */
const LARGEST_ZIP_INSIDE = 512 * MIB;

/** Whether a name is that of an archive. */
export const isArchive = (name: string): boolean => ARCHIVE.test(name);

/** RFC 1952, RFC 8878. */
const decompressorFor = (magic: string) =>
  magic.startsWith("1f8b") ? createGunzip() : magic === "28b52ffd" ? createZstdDecompress() : undefined;

async function magicOf(path: string): Promise<string> {
  const file = await open(path);
  const head = Buffer.alloc(4);
  await file.read(head, 0, 4, 0);
  await file.close();
  return head.toString("hex");
}

/** @param onBytes may throw, and that is the end */
export async function* entriesOf(path: string, onBytes: OnBytes): AsyncIterable<ArchiveEntry> {
  const magic = await magicOf(path);
  if (magic === ZIP_MAGIC) yield* zipEntries(path, onBytes);
  else yield* tarEntries(createReadStream(path, { highWaterMark: MIB }), magic, onBytes);
}

/** The entries of an archive that is itself an entry of one. */
export async function* entriesInside(
  content: AsyncIterable<Uint8Array>,
  onBytes: OnBytes,
): AsyncIterable<ArchiveEntry> {
  const pieces = content[Symbol.asyncIterator]();
  const first = await pieces.next();
  if (first.done) return;
  const whole = Readable.from(
    (async function* () {
      yield first.value;
      yield* { [Symbol.asyncIterator]: () => pieces };
    })(),
    { objectMode: false },
  );
  const magic = Buffer.from(first.value.subarray(0, 4)).toString("hex");
  if (magic === ZIP_MAGIC) yield* zipEntriesOf(await held(whole), onBytes);
  else yield* tarEntries(whole, magic, onBytes);
}

async function held(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of content) {
    length += piece.length;
    if (length > LARGEST_ZIP_INSIDE) {
      throw new Error(`a ZIP archive of more than ${LARGEST_ZIP_INSIDE / MIB} MiB inside another one: unpack it first`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length);
}

/** A single file, unpacked if it is compressed. */
export async function unpackedFile(path: string): Promise<Readable> {
  const magic = await magicOf(path);
  const raw = createReadStream(path, { highWaterMark: MIB });
  const unpack = decompressorFor(magic);
  if (!unpack) return raw;
  raw.on("error", (error) => unpack.destroy(error));
  unpack.on("close", () => raw.destroy());
  return raw.pipe(unpack);
}

async function* tarEntries(raw: Readable, magic: string, onBytes: OnBytes): AsyncIterable<ArchiveEntry> {
  const tar = extract();
  const unpack = decompressorFor(magic);
  if (unpack) {
    raw.on("data", (chunk: Uint8Array) => onBytes(chunk.length, 0));
    raw.on("error", (error) => unpack.destroy(error));
  }
  const source = unpack ? raw.pipe(unpack) : raw;
  source.on("data", (chunk: Uint8Array) => {
    try {
      onBytes(0, chunk.length);
    } catch (error) {
      source.destroy(error as Error);
    }
  });
  source.on("error", (error) => tar.destroy(error));
  source.pipe(tar);
  try {
    for await (const entry of tar) {
      const { name, type, linkname } = entry.header;
      let isAsked = false;
      yield {
        name,
        type: type === "contiguous-file" ? "file" : (type ?? "?"),
        ...(type === "symlink" && linkname && { link: linkname }),
        async content() {
          isAsked = true;
          return entry as unknown as AsyncIterable<Uint8Array>;
        },
      };
      if (!isAsked) entry.resume();
    }
  } finally {
    source.destroy();
    raw.destroy();
  }
}
