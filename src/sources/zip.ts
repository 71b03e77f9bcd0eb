/**
 * Entries of a ZIP archive, as `cilium sysdump` writes one.
 *
 * Format (PKWARE APPNOTE.TXT 6.3): local headers with the content behind each; a central directory of them all; an end
 * record behind it, which says where it is. Only the central directory counts: local headers may lack sizes. Archives of
 * more than 4 GiB have a second end record (ZIP64). Numbers are little-endian.
 */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createInflateRaw } from "node:zlib";
import type { ArchiveEntry, OnBytes } from "./archive.ts";

const SIGNATURE = { entry: 0x02014b50, local: 0x04034b50, end: 0x06054b50, end64: 0x06064b50, locator64: 0x07064b50 };
const SIZE = { entry: 46, local: 30, end: 22, end64: 56, locator64: 20 };
const LONGEST_COMMENT = 0xffff;
const LARGEST_DIRECTORY = 256 * 1024 * 1024;
const STORED = 0;
const DEFLATED = 8;
const IS_ENCRYPTED = 1;

export const ZIP_MAGIC = "504b0304";

/** Where the bytes of an archive are: a file, or memory. */
type Source = {
  readonly size: number;
  /** @throws Error if there are fewer */
  at(offset: number, length: number): Promise<Buffer>;
  stream(start: number, length: number): Readable;
};

const fileSource = (path: string, file: FileHandle, size: number): Source => ({
  size,
  async at(offset, length) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead < length) throw new Error("the archive ends early");
    return buffer;
  },
  stream: (start, length) => createReadStream(path, { start, end: start + length - 1 }),
});

const memorySource = (bytes: Buffer): Source => ({
  size: bytes.length,
  async at(offset, length) {
    if (offset + length > bytes.length) throw new Error("the archive ends early");
    return bytes.subarray(offset, offset + length);
  },
  stream: (start, length) => Readable.from([bytes.subarray(start, start + length)], { objectMode: false }),
});

/** A number of eight bytes; more than 2^53 is no place in a file. */
const long = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));

/** Where the central directory is. */
async function directoryOf(source: Source): Promise<{ offset: number; length: number }> {
  const { size } = source;
  const tailLength = Math.min(size, SIZE.end + LONGEST_COMMENT);
  const tail = await source.at(size - tailLength, tailLength);
  let at = tailLength - SIZE.end;
  while (at >= 0 && tail.readUInt32LE(at) !== SIGNATURE.end) at--;
  if (at < 0) throw new Error("the archive has no directory: it was cut off");
  const locator = at - SIZE.locator64;
  if (locator < 0 || tail.readUInt32LE(locator) !== SIGNATURE.locator64) {
    return { length: tail.readUInt32LE(at + 12), offset: tail.readUInt32LE(at + 16) };
  }
  const end = await source.at(long(tail, locator + 8), SIZE.end64);
  if (end.readUInt32LE(0) !== SIGNATURE.end64) throw new Error("the archive has no directory: it was cut off");
  return { length: long(end, 40), offset: long(end, 48) };
}

/** ZIP64's extra field has those numbers that did not fit, in a fixed order. */
function wide(extra: Buffer, numbers: readonly number[]): number[] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let next = at + 4;
    return numbers.map((number) => {
      if (number !== 0xffffffff || next + 8 > extra.length) return number;
      next += 8;
      return long(extra, next - 8);
    });
  }
  return [...numbers];
}

/** @throws Error if it is none, or damaged where its entries are listed */
export async function* zipEntries(path: string, onBytes: OnBytes): AsyncIterable<ArchiveEntry> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    yield* entriesIn(fileSource(path, file, size), onBytes);
  } finally {
    await file.close();
  }
}

/** The same of an archive that is held in memory. */
export const zipEntriesOf = (bytes: Buffer, onBytes: OnBytes): AsyncIterable<ArchiveEntry> =>
  entriesIn(memorySource(bytes), onBytes);

async function* entriesIn(source: Source, onBytes: OnBytes): AsyncIterable<ArchiveEntry> {
  const { size } = source;
  onBytes(size, 0);
  const { offset, length } = await directoryOf(source);
  if (length > LARGEST_DIRECTORY || offset + length > size) throw new Error("the archive's directory is damaged");
  const directory = await source.at(offset, length);
  for (let at = 0; at + SIZE.entry <= length; ) {
    if (directory.readUInt32LE(at) !== SIGNATURE.entry) throw new Error("the archive's directory is damaged");
    const flags = directory.readUInt16LE(at + 8);
    const method = directory.readUInt16LE(at + 10);
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const nameAt = at + SIZE.entry;
    const name = directory.toString("utf8", nameAt, nameAt + nameLength);
    const extra = directory.subarray(nameAt + nameLength, nameAt + nameLength + extraLength);
    const sizes = [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)];
    const [, compressed = 0, localAt = 0] = wide(extra, sizes);
    // the upper half is a Unix mode where a Unix made it
    const mode = (directory.readUInt32LE(at + 38) >>> 16) & 0o170000;
    at = nameAt + nameLength + extraLength + directory.readUInt16LE(at + 32);
    const type = name.endsWith("/") ? "directory" : mode === 0o120000 ? "symlink" : "file";
    const isReadable = (method === STORED || method === DEFLATED) && (flags & IS_ENCRYPTED) === 0;
    yield {
      name: type === "directory" ? name.replace(/\/+$/, "") : name,
      type: isReadable ? type : "compressed in a way that netwhy does not know",
      async content() {
        const local = await source.at(localAt, SIZE.local);
        if (local.readUInt32LE(0) !== SIGNATURE.local) throw new Error("the archive's directory is damaged");
        const start = localAt + SIZE.local + local.readUInt16LE(26) + local.readUInt16LE(28);
        return counted(contentOf(source, start, compressed, method), onBytes);
      },
    };
  }
}

async function* counted(content: AsyncIterable<Uint8Array>, onBytes: OnBytes): AsyncIterable<Uint8Array> {
  for await (const chunk of content) {
    onBytes(0, chunk.length);
    yield chunk;
  }
}

function contentOf(source: Source, start: number, compressed: number, method: number): AsyncIterable<Uint8Array> {
  if (compressed === 0) return (async function* () {})();
  const raw = source.stream(start, compressed);
  if (method === STORED) return raw;
  const inflated = createInflateRaw();
  raw.on("error", (error) => inflated.destroy(error));
  return raw.pipe(inflated);
}
