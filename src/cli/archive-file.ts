/** Backups as files: read, written whole or not at all, signed, and kept in number. */
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign as signBytes,
  verify as verifyBytes,
} from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Archive, parseArchive } from "../backup/archive.ts";
import { DiagnosisError } from "../errors.ts";
import { texts, verbatim } from "../text.ts";

const say = texts("archive-file", {
  cannotRead: { en: "The backup {path} cannot be read: {why}", zh: "无法读取备份 {path}：{why}" },
  isDirectory: { en: "it is a directory", zh: "它是目录" },
  takeBundle: {
    en: "Of a bundle, make a backup first: `netwhy rbac backup --bundle {path} -o FILE`",
    zh: "若是证据包，请先由它生成备份：`netwhy rbac backup --bundle {path} -o 文件`",
  },
  checkPath: { en: "Check the path.", zh: "请检查路径。" },
  refused: { en: "The backup {path} is refused: {why}.", zh: "拒绝使用备份 {path}：{why}。" },
  takeAnother: {
    en: "Take another backup; nothing was done. `netwhy rbac backup` makes one.",
    zh: "请换一份备份；未做任何操作。可用 `netwhy rbac backup` 创建备份。",
  },
  noKey: { en: "{path} is no Ed25519 key: {why}", zh: "{path} 不是 Ed25519 密钥：{why}" },
  makeKey: {
    en: "`openssl genpkey -algorithm ed25519 -out key.pem` makes one, `openssl pkey -in key.pem -pubout -out key.pub` its public half.",
    zh: "可用 `openssl genpkey -algorithm ed25519 -out key.pem` 生成私钥，再用 `openssl pkey -in key.pem -pubout -out key.pub` 导出公钥。",
  },
  otherType: { en: "it is of type {type}", zh: "类型为 {type}" },
  unsigned: { en: "it is not signed", zh: "没有签名" },
  notBy: { en: "it was not signed with the key of {key}", zh: "签名与公钥 {key} 不符" },
  cannotWrite: { en: "{path} cannot be written: {why}", zh: "无法写入 {path}：{why}" },
  otherPlace: { en: "Name a file where you may write: `-o FILE`", zh: "请指定可写的位置：`-o 文件`" },
});

/** RBAC of the largest clusters is some MiB. */
const LARGEST = 256 * 1024 * 1024;

const why = (error: unknown) => verbatim((error as Error).message.split("\n")[0]!);

/**
 * @param verifyKey file of the public key with which it has to be signed; any backup will do without one
 * @throws DiagnosisError for what cannot be read, was changed, or is not signed by that key
 */
export function readArchive(path: string, verifyKey?: string): Archive {
  let text: string;
  try {
    const bytes = readFileSync(path === "-" ? 0 : path);
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    text = (isGzip ? gunzipSync(bytes, { maxOutputLength: LARGEST }) : bytes).toString();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EISDIR") {
      const says = say.cannotRead({ path, why: say.isDirectory() });
      throw new DiagnosisError("no-evidence", says, say.takeBundle({ path }), error);
    }
    throw new DiagnosisError("no-evidence", say.cannotRead({ path, why: why(error) }), say.checkPath(), error);
  }
  const read = parseArchive(text);
  const refused = (reason: Parameters<typeof say.refused>[0]["why"]) =>
    new DiagnosisError("unreadable-evidence", say.refused({ path, why: reason }), say.takeAnother());
  if (!read.ok) throw refused(read.why);
  if (verifyKey === undefined) return read.archive;
  const { signature, digestLine } = read.archive;
  if (signature === undefined) throw refused(say.unsigned());
  const key = keyIn(verifyKey, createPublicKey);
  const isBy = verifyBytes(undefined, Buffer.from(digestLine), key, Buffer.from(signature, "base64"));
  if (!isBy) throw refused(say.notBy({ key: verifyKey }));
  return read.archive;
}

function keyIn(path: string, make: (pem: string) => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = make(readFileSync(path, "utf8"));
  } catch (error) {
    throw new DiagnosisError("usage", say.noKey({ path, why: why(error) }), say.makeKey(), error);
  }
  const { asymmetricKeyType: type = "secret" } = key;
  if (type === "ed25519") return key;
  throw new DiagnosisError("usage", say.noKey({ path, why: say.otherType({ type }) }), say.makeKey());
}

/** @param path file of the private key, in PEM */
export function signerWith(path: string): (digestLine: string) => string {
  const key = keyIn(path, createPrivateKey);
  return (digestLine) => signBytes(undefined, Buffer.from(digestLine), key).toString("base64");
}

/** Writes a file that nobody else may read, whole or not at all; compressed if its name says so. */
export function writeWhole(path: string, text: string): void {
  const part = `${path}.${randomUUID().slice(0, 8)}.part`;
  try {
    writeFileSync(part, path.endsWith(".gz") ? gzipSync(text) : text, { mode: 0o600, flag: "wx" });
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw new DiagnosisError("usage", say.cannotWrite({ path, why: why(error) }), say.otherPlace(), error);
  }
}

export type Kept = { readonly path: string; readonly archive: Archive };

const NAME = /^netwhy-rbac-\d{8}T\d{6}Z\.yaml(?:\.gz)?$/;

/** As `netwhy rbac backup` names its files: sorted by name they are sorted by time. */
export const nameAt = (takenAt: string): string => `netwhy-rbac-${takenAt.slice(0, 19).replace(/[-:]/g, "")}Z.yaml`;

/** The backups of a cluster in a directory, the newest first; what is none, or was changed, is passed over. */
export function archivesIn(directory: string, clusterUid: string | undefined): Kept[] {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return readdirSync(directory)
      .filter((name) => NAME.test(name))
      .sort()
      .toReversed()
      .map((name) => join(directory, name))
      .flatMap((path) => {
        try {
          return [{ path, archive: readArchive(path) }];
        } catch {
          return [];
        }
      })
      .filter(({ archive }) => archive.head.clusterUid === clusterUid);
  } catch (error) {
    throw new DiagnosisError("usage", say.cannotWrite({ path: directory, why: why(error) }), say.otherPlace(), error);
  }
}
