/** ZIP archives as tests need them: sound ones, and such as nobody should write. */
import { deflateRawSync } from "node:zlib";

export type ZipFile = {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly isStored?: boolean;
  readonly isLink?: boolean;
  readonly isEncrypted?: boolean;
  /** What the directory says of where it is, if that is not so. */
  readonly offset?: number;
  /** Likewise its size in the archive. */
  readonly packed?: number;
};

/** Like Go's archive/zip, which `cilium sysdump` uses: sizes stand in the directory only. */
export function zipOf(files: readonly ZipFile[]): Buffer {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const { name, content, isStored = false, isLink = false, isEncrypted = false, ...more } of files) {
    const raw = Buffer.from(content);
    const data = isStored ? raw : deflateRawSync(raw);
    const flags = 8 | (isEncrypted ? 1 : 0);
    const method = isStored ? 0 : 8;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(more.packed ?? data.length, 20);
    entry.writeUInt32LE(raw.length, 24);
    entry.writeUInt16LE(Buffer.byteLength(name), 28);
    entry.writeUInt32LE(((isLink ? 0o120777 : 0o100644) << 16) >>> 0, 38);
    entry.writeUInt32LE(more.offset ?? offset, 42);
    locals.push(local, Buffer.from(name), data);
    entries.push(entry, Buffer.from(name));
    offset += local.length + Buffer.byteLength(name) + data.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}
