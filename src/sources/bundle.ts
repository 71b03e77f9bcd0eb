/**
 * A bundle as a source of evidence: a directory, or a .tar, .tar.gz, .tar.zst or .zip of one, told apart by content.
 *
 * Bundles come from strangers: nothing is ever extracted to disk, links and devices are refused, names, sizes, counts,
 * depth and the ratio of compression are limited. What is refused or cut is noted and the rest is still read.
 */
import { createReadStream } from "node:fs";
import { opendir, readdir, readlink, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DiagnosisError } from "../errors.ts";
import { type Capture, createIntake, type Ending, type Intake, type Sink } from "../evidence/capture.ts";
import { catalogue, type KindId } from "../evidence/catalogue.ts";
import { foreignIntake, isForeignPath } from "../evidence/foreign/foreign.ts";
import { type Text, texts, verbatim } from "../text.ts";
import { type ArchiveEntry, entriesInside, entriesOf, isArchive, type OnBytes, unpackedFile } from "./archive.ts";

export type BundleLimits = {
  /** Entries of an archive, or files of a directory, of any kind. */
  readonly entries: number;
  /** Entries that the catalogue knows. */
  readonly pieces: number;
  readonly bytesPerEntry: number;
  readonly bytesInAll: number;
  /** Uncompressed to compressed, counted once more than 256 MiB have come out. */
  readonly ratio: number;
  readonly depth: number;
};

const MIB = 1024 * 1024;

export const BUNDLE_LIMITS: BundleLimits = {
  entries: 2_000_000,
  pieces: 500_000,
  bytesPerEntry: 2048 * MIB,
  bytesInAll: 32 * 1024 * MIB,
  ratio: 500,
  depth: 32,
};

const say = texts("bundle", {
  nothingThere: { en: "There is no bundle at {path}: {message}.", zh: "{path} 处没有证据包：{message}。" },
  noSuchFile: { en: "{path} cannot be read: {message}.", zh: "无法读取 {path}：{message}。" },
  noRegularFile: { en: "{path} is no file.", zh: "{path} 不是文件。" },
  checkPath: { en: "Check the path.", zh: "请检查路径。" },
  noEvidence: { en: "{path} holds no evidence that netwhy knows.", zh: "{path} 中没有 netwhy 认识的证据。" },
  nothingReadable: {
    en: "{path} holds no evidence that netwhy knows: {note}.",
    zh: "{path} 中没有 netwhy 认识的证据：{note}。",
  },
  whatBundlesAre: {
    en: "A bundle is a directory with api/, apis/, nodes/, logs/ in it, one of Troubleshoot, must-gather, `cilium sysdump` or `kubectl cluster-info dump`, or any with files of `kubectl get -o yaml`; or a .tar.gz, .tar.zst or .zip of one.",
    zh: "证据包可以是包含 api/、apis/、nodes/、logs/ 的目录，Troubleshoot、must-gather、`cilium sysdump` 或 `kubectl cluster-info dump` 的输出，或存有 `kubectl get -o yaml` 结果的目录；也可以是其 .tar.gz、.tar.zst、.zip。",
  },
  tooManyEntries: { en: "it has more than {limit} entries", zh: "条目超过 {limit} 个" },
  tooManyPieces: { en: "it has more than {limit} files of evidence", zh: "证据文件超过 {limit} 个" },
  tooLarge: { en: "it holds more than {limit} MiB", zh: "内容超过 {limit} MiB" },
  expandsTooMuch: { en: "it expands more than {limit}-fold", zh: "解压后膨胀超过 {limit} 倍" },
  shortOfMemory: {
    en: "memory ran short; NODE_OPTIONS=--max-old-space-size=MIB gives netwhy more",
    zh: "内存不足；可用 NODE_OPTIONS=--max-old-space-size=MIB 分配更多内存",
  },
  cutShort: { en: "not read to its end: {why}", zh: "未读完：{why}" },
  notRead: { en: "not read: {why}", zh: "未能读取：{why}" },
  leadsOut: { en: "refused: a name that leads out of the bundle", zh: "已拒绝：名称指向证据包之外" },
  tooDeep: { en: "refused: a name that is too long or too deep", zh: "已拒绝：名称过长或层级过深" },
  noFile: { en: "refused: neither a file nor a directory", zh: "已拒绝：既不是文件也不是目录" },
  noEvidenceType: { en: "refused: a {type} is no evidence", zh: "已拒绝：{type} 不能作为证据" },
});

/** Thrown inside this file to stop reading; what was read until then counts. */
class LimitReached extends Error {
  readonly says: Text;
  constructor(says: Text) {
    super(says.en);
    this.says = says;
  }
}

const reasonOf = (error: unknown): Text =>
  error instanceof LimitReached ? error.says : verbatim(error instanceof Error ? error.message : String(error));

/**
 * Reads a bundle.
 *
 * @throws DiagnosisError if there is nothing at `path`, or nothing in it that is evidence
 */
export async function readBundle(
  path: string,
  limits: BundleLimits = BUNDLE_LIMITS,
  intake: Intake = createIntake(),
): Promise<Capture> {
  let isOfOthers = false;
  const open: Intake["open"] = (name) => {
    isOfOthers ||= isForeignPath(name);
    return intake.open(name);
  };
  await readFiles(path, { ...intake, open }, limits);
  let capture = intake.capture();
  const packed = isOurs(capture, isOfOthers) ? undefined : await onlyArchiveIn(path);
  if (packed !== undefined) {
    await readFiles(packed, intake, limits);
    capture = intake.capture();
  }
  if (!isOurs(capture, isOfOthers)) {
    const foreign = foreignIntake(intake);
    await readFiles(path, foreign, limits, { opensArchives: true });
    if (foreign.finish()) capture = intake.capture();
  }
  if (capture.size > 0) return capture;
  const note = capture.notes[0];
  throw note
    ? new DiagnosisError("unreadable-evidence", say.nothingReadable({ path, note: note.what }), say.whatBundlesAre())
    : nothingIn(path);
}

/** The one archive that somebody put into a folder of its own: it may be a bundle of ours. */
async function onlyArchiveIn(path: string): Promise<string | undefined> {
  if (!(await stat(path)).isDirectory()) return undefined;
  const [only, ...others] = (await readdir(path)).filter(isArchive);
  return only === undefined || others.length > 0 ? undefined : join(path, only);
}

/** Evidence in our own layout. Single files can have such names by chance, and others keep logs in folders of our name. */
function isOurs(capture: Capture, isOfOthers: boolean): boolean {
  const kinds = Object.keys(catalogue) as KindId[];
  return kinds.some((kind) => {
    const { how } = catalogue[kind];
    const tells = "list" in how || "command" in how || ("logs" in how && !isOfOthers);
    return tells && capture.all(kind).length > 0;
  });
}

/** There is a file or a directory, and nothing in it that is evidence. */
export function nothingIn(path: string): DiagnosisError {
  return new DiagnosisError("no-evidence", say.noEvidence({ path }), say.whatBundlesAre());
}

/**
 * Hands the files of a bundle to whoever takes them in.
 *
 * @param options `opensArchives`: archives in it are read, too, as folders of their names
 * @throws DiagnosisError if there is nothing at `path`
 */
export async function readFiles(
  path: string,
  intake: Pick<Intake, "open" | "note">,
  limits: BundleLimits = BUNDLE_LIMITS,
  { opensArchives = false }: { readonly opensArchives?: boolean } = {},
): Promise<void> {
  const found = await stat(path).catch((cause: Error) => {
    throw new DiagnosisError("no-evidence", say.nothingThere({ path, message: cause.message }), say.checkPath(), cause);
  });
  const reading = { ...readingOf(intake, limits), opens: (name: string) => opensArchives && isArchive(name) };
  if (found.isDirectory()) await readDirectory(path, reading, limits);
  else await readArchive(path, reading, limits);
}

/** Whether what was read takes so much of the heap that too little would be left to reason about it. */
function isShortOfMemory(): boolean {
  const isFull = () => {
    const { used_heap_size, heap_size_limit } = getHeapStatistics();
    return used_heap_size > 0.6 * heap_size_limit;
  };
  if (!isFull()) return false;
  // much of that may be garbage: this is the only way to know
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return isFull();
}

type Reading = {
  /** Checks the name and counts the entry. @returns where its content goes; undefined if it need not be read */
  begin(name: string): Sink | undefined;
  count(bytes: number): void;
  note(path: string, what: Text): void;
  /** Whether a file is an archive whose files are read. */
  opens(name: string): boolean;
};

function readingOf(intake: Pick<Intake, "open" | "note">, limits: BundleLimits): Omit<Reading, "opens"> {
  let entries = 0;
  let pieces = 0;
  let bytesInAll = 0;
  let nextLook = 0;
  let prefix: string | undefined;

  /** Bundles are often packed with the directory around them: `incident/api/v1/pods.json`. */
  function sinkFor(name: string): Sink | undefined {
    if (prefix !== undefined) return name.startsWith(prefix) ? intake.open(name.slice(prefix.length)) : undefined;
    let rest = name;
    for (let level = 0; level < 4; level++) {
      const sink = intake.open(rest);
      if (sink) {
        prefix = name.slice(0, name.length - rest.length);
        return sink;
      }
      const slash = rest.indexOf("/");
      if (slash < 0) return undefined;
      rest = rest.slice(slash + 1);
    }
    return undefined;
  }

  return {
    begin(name) {
      if (++entries > limits.entries) throw new LimitReached(say.tooManyEntries({ limit: limits.entries }));
      const path = name.replace(/^(\.\/)+/, "");
      // what macOS puts beside each file, for what other file systems have no place
      if (/(^|\/)\._[^/]*$/.test(path)) return undefined;
      if (path.startsWith("/") || path.split("/").some((part) => part === ".." || part === "." || part === "")) {
        intake.note(name.slice(0, 200), say.leadsOut());
        return undefined;
      }
      if (path.length > 1024 || path.split("/").length > limits.depth) {
        intake.note(path.slice(0, 200), say.tooDeep());
        return undefined;
      }
      const sink = sinkFor(path);
      if (sink && ++pieces > limits.pieces) throw new LimitReached(say.tooManyPieces({ limit: limits.pieces }));
      return sink;
    },
    count(bytes) {
      bytesInAll += bytes;
      if (bytesInAll > limits.bytesInAll) throw new LimitReached(say.tooLarge({ limit: limits.bytesInAll / MIB }));
      if (bytesInAll < nextLook) return;
      nextLook = bytesInAll + 64 * MIB;
      if (isShortOfMemory()) {
        throw new LimitReached(say.shortOfMemory());
      }
    },
    note: (path, what) => intake.note(path, what),
  };
}

/** Moves the bytes of one entry into its sink, as text; broken UTF-8 becomes U+FFFD. */
async function pour(content: AsyncIterable<Uint8Array>, sink: Sink, reading: Reading, limit: number): Promise<void> {
  const decoder = new TextDecoder("utf-8");
  let bytes = 0;
  const end = (ending: Omit<Ending, "bytes">) => {
    sink.write(decoder.decode());
    sink.end({ bytes, ...ending });
  };
  try {
    for await (const chunk of content) {
      bytes += chunk.length;
      reading.count(chunk.length);
      if (bytes > limit) {
        end({ cutOff: `larger than ${limit / MIB} MiB: the rest was not read` });
        return;
      }
      sink.write(decoder.decode(chunk, { stream: true }));
    }
  } catch (error) {
    end({ cutOff: (error as Error).message });
    throw error;
  }
  end({});
}

/** Other tools give a log several names: a link to another file of the bundle hides nothing, and that file is read. */
function leadsInside(name: string, link: string): boolean {
  const target = posix.join(posix.dirname(name), link);
  const isUp = target === "." || target.startsWith("..") || name.startsWith(target);
  return !link.startsWith("/") && !isUp;
}

async function readDirectory(root: string, reading: Reading, limits: BundleLimits): Promise<void> {
  try {
    await readFolder(root, "", reading, limits);
  } catch (error) {
    if (!(error instanceof LimitReached)) throw error;
    reading.note("", say.cutShort({ why: error.says }));
  }
}

async function readFolder(root: string, folder: string, reading: Reading, limits: BundleLimits): Promise<void> {
  const names: { name: string; isFolder: boolean }[] = [];
  for await (const entry of await opendir(join(root, folder))) {
    const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (names.length > limits.entries) throw new LimitReached(say.tooManyEntries({ limit: limits.entries }));
    if (entry.isDirectory() || entry.isFile()) names.push({ name, isFolder: entry.isDirectory() });
    else if (!entry.isSymbolicLink() || !leadsInside(name, await readlink(join(root, name))))
      reading.note(name, say.noFile());
  }
  names.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, isFolder } of names) {
    if (isFolder) {
      if (name.split("/").length < limits.depth) await readFolder(root, name, reading, limits);
      continue;
    }
    if (reading.opens(name)) {
      await readInside(name, entriesOf(join(root, name), ratioGuard(limits)), reading, limits);
      continue;
    }
    const sink = reading.begin(name);
    if (sink) await readFile(join(root, name), name, sink, reading, limits);
  }
}

async function readFile(path: string, name: string, sink: Sink, reading: Reading, limits: BundleLimits): Promise<void> {
  try {
    await pour(createReadStream(path, { highWaterMark: MIB }), sink, reading, limits.bytesPerEntry);
  } catch (error) {
    if (error instanceof LimitReached) throw error;
    reading.note(name, say.notRead({ why: reasonOf(error) }));
  }
}

/** Throws once what comes out of an archive is out of all proportion to it. */
function ratioGuard({ ratio }: BundleLimits): OnBytes {
  let packed = 0;
  let unpacked = 0;
  return (compressed, uncompressed) => {
    packed += compressed;
    unpacked += uncompressed;
    if (packed > 0 && unpacked > 256 * MIB && unpacked > packed * ratio) {
      throw new LimitReached(say.expandsTooMuch({ limit: ratio }));
    }
  };
}

/**
 * Reads one file, unpacked if it is compressed: the audit log that somebody has beside a bundle or a cluster.
 *
 * @throws DiagnosisError if there is no such file
 */
export async function readOneFile(path: string, sink: Sink, limits: BundleLimits = BUNDLE_LIMITS): Promise<void> {
  const found = await stat(path).catch((cause: Error) => {
    throw new DiagnosisError("no-evidence", say.noSuchFile({ path, message: cause.message }), say.checkPath(), cause);
  });
  if (!found.isFile()) throw new DiagnosisError("no-evidence", say.noRegularFile({ path }), say.checkPath());
  const source = await unpackedFile(path);
  const counting: Reading = { begin: () => undefined, count: () => {}, note: () => {}, opens: () => false };
  try {
    await pour(source, sink, counting, limits.bytesPerEntry);
  } catch {
    // the sink was told why it was cut off, and what came until then counts
  } finally {
    source.destroy();
  }
}

async function readArchive(path: string, reading: Reading, limits: BundleLimits): Promise<void> {
  try {
    await readEntries(entriesOf(path, ratioGuard(limits)), "", reading, limits);
  } catch (error) {
    reading.note("", say.cutShort({ why: reasonOf(error) }));
  }
}

/** @param folder the name of the archive that these are in, if it is itself in one */
async function readEntries(
  entries: AsyncIterable<ArchiveEntry>,
  folder: string,
  reading: Reading,
  limits: BundleLimits,
): Promise<void> {
  for await (const { name: inside, type, link, content } of entries) {
    const name = folder + inside;
    if (link !== undefined && leadsInside(inside, link)) continue;
    if (type !== "file" && type !== "directory") reading.note(name.slice(0, 200), say.noEvidenceType({ type }));
    if (type !== "file") continue;
    if (folder === "" && reading.opens(name)) {
      await readInside(name, entriesInside(await content(), ratioGuard(limits)), reading, limits);
    } else {
      const sink = reading.begin(name);
      if (sink) await pour(await content(), sink, reading, limits.bytesPerEntry);
    }
  }
}

/** An archive inside a bundle, as if it were a folder; what is wrong with it is no harm to the rest. */
async function readInside(
  name: string,
  entries: AsyncIterable<ArchiveEntry>,
  reading: Reading,
  limits: BundleLimits,
): Promise<void> {
  try {
    await readEntries(entries, `${name}/`, reading, limits);
  } catch (error) {
    if (error instanceof LimitReached) throw error;
    reading.note(name, say.cutShort({ why: reasonOf(error) }));
  }
}
