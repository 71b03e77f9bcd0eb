/**
 * A backup as one file: YAML documents that `kubectl apply -f` takes as they are, behind a head of comments.
 *
 *   # netwhy.backup/v1
 *   # {"cluster":…,"takenAt":…}          one line of JSON, see ArchiveHead
 *   # contents: sha256:…                 of the lines below: equal objects, equal contents
 *   # digest: sha256:…                   of all lines above, these included
 *   # signature: ed25519:…               of the digest line; not always there
 *   ---
 *   # sha256:… ClusterRole/flannel       of the document that follows, to the byte
 *   apiVersion: rbac.authorization.k8s.io/v1
 *   …
 *
 * Whoever changes a byte has to change the digests, too; who changes these cannot sign them. docs/decisions/0010 says
 * why it is like this.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { load } from "js-yaml";
import type { ManifestObject } from "../model/changes/change.ts";
import { refId } from "../model/ref.ts";
import { type Text, texts, verbatim } from "../text.ts";
import { canonicalYaml } from "./canonical-yaml.ts";
import { KINDS, kindOf, refOf } from "./kinds.ts";
import { isFields, restorable } from "./restorable.ts";

const say = texts("archive", {
  noArchive: { en: "it is no backup of netwhy", zh: "不是 netwhy 的备份" },
  newer: { en: "it was made by a newer netwhy ({format})", zh: "由更新版本的 netwhy 创建（{format}）" },
  head: { en: "its head cannot be read", zh: "文件头无法解析" },
  changed: { en: "{what} was changed: its digest is another", zh: "{what} 被改动过：摘要不符" },
  theHead: { en: "the head", zh: "文件头" },
  contents: { en: "objects were added, removed or moved", zh: "对象有增删或被移动" },
  notSame: { en: "{what} is not what its digest line names", zh: "{what} 与其摘要行所写不一致" },
  unreadable: { en: "{what} cannot be read: {why}", zh: "{what} 无法解析：{why}" },
});

/** What is not in it although it belongs there: a whole kind (no name) or one object, and why. */
export type Without = {
  readonly kind: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly why: string;
};

export type ArchiveHead = {
  /** As the kubeconfig or the bundle calls it. */
  readonly cluster: string;
  /** The uid of the Namespace kube-system, which is that of the cluster; missing if it was not seen. */
  readonly clusterUid?: string;
  /** RFC 3339. */
  readonly takenAt: string;
  /** The version of netwhy. */
  readonly tool: string;
  readonly without: readonly Without[];
};

/** Objects of one cluster at one time. */
export type Snapshot = {
  readonly head: ArchiveHead;
  readonly objects: readonly ManifestObject[];
  /** What is there besides and belongs into no backup; it is not missing. An archive does not know it. */
  readonly others?: readonly ManifestObject[];
};

export type Archive = Snapshot & {
  /** `sha256:…` of the objects alone. */
  readonly contents: string;
  /** The digest line, which is what is signed. */
  readonly digestLine: string;
  /** Base64. */
  readonly signature?: string;
};

export type ArchiveResult =
  | { readonly ok: true; readonly archive: Archive }
  | { readonly ok: false; readonly why: Text };

const FORMAT = "# netwhy.backup/v1";
const SEPARATOR = "---\n";

const digestOf = (text: string): string => `sha256:${bytesToHex(sha256(utf8ToBytes(text)))}`;

const idOf = (object: ManifestObject): string => refId(refOf(object));

function byId(a: ManifestObject, b: ManifestObject): number {
  const rank = (object: ManifestObject) => KINDS.findIndex(({ kind }) => kind === object.kind);
  return rank(a) - rank(b) || (idOf(a) < idOf(b) ? -1 : 1);
}

/** @param sign makes the signature of the digest line, in base64 */
export function archiveText({ head, objects }: Snapshot, sign?: (digestLine: string) => string): string {
  const documents = [...objects].sort(byId).map((object) => {
    const text = canonicalYaml(object);
    return { line: `# ${digestOf(text)} ${idOf(object)}\n`, text };
  });
  const contents = digestOf(documents.map(({ line }) => line).join(""));
  const top = `${FORMAT}\n# ${JSON.stringify(head)}\n# contents: ${contents}\n`;
  const digestLine = `# digest: ${digestOf(top)}\n`;
  const signature = sign ? `# signature: ed25519:${sign(digestLine)}\n` : "";
  return top + digestLine + signature + documents.map(({ line, text }) => SEPARATOR + line + text).join("");
}

const HEAD =
  /^(?<top># netwhy\.backup\/v1\n# (?<head>\{.*\})\n# contents: (?<contents>sha256:[0-9a-f]{64})\n)(?<digestLine># digest: (?<digest>sha256:[0-9a-f]{64})\n)(?:# signature: ed25519:(?<signature>[A-Za-z0-9+/=]+)\n)?(?=---\n|$)/;
const DOCUMENT = /^# (?<digest>sha256:[0-9a-f]{64}) (?<id>[^\s\p{Cc}]+)\n/u;

const changed = (what: Text): ArchiveResult => ({ ok: false, why: say.changed({ what }) });

/** Reads an archive and holds it against its digests; of one that was changed nothing is told. */
export function parseArchive(text: string): ArchiveResult {
  const refused = (why: Text): ArchiveResult => ({ ok: false, why });
  if (!text.startsWith(`${FORMAT}\n`)) {
    const format = /^# (netwhy\.backup\/\S+)\n/.exec(text)?.[1];
    return refused(format === undefined ? say.noArchive() : say.newer({ format }));
  }
  const found = HEAD.exec(text);
  if (!found) return refused(say.head());
  const { top = "", head: headText = "", contents = "", digestLine = "", digest, signature } = found.groups!;
  if (digestOf(top) !== digest) return changed(say.theHead());
  const head = headOf(headText);
  if (!head) return refused(say.head());
  // a line `---` cannot stand inside a document: every line of a text in one is indented
  const documents = text
    .slice(found[0].length)
    .split(/^---\n/m)
    .slice(1);
  const heads = documents.map((document) => DOCUMENT.exec(document)).filter((found) => found !== null);
  if (heads.length < documents.length || digestOf(heads.map(([line]) => line).join("")) !== contents)
    return refused(say.contents());
  const objects: ManifestObject[] = [];
  for (const [at, document] of documents.entries()) {
    const { 0: line, groups } = heads[at]!;
    const { digest: expected, id = "" } = groups!;
    const body = document.slice(line.length);
    if (digestOf(body) !== expected) return changed(verbatim(id));
    const object = objectIn(body);
    if (typeof object === "string") return refused(say.unreadable({ what: id, why: object }));
    if (!object || idOf(object) !== id) return refused(say.notSame({ what: id }));
    objects.push(object);
  }
  const archive = { head, objects, contents, digestLine, ...(signature !== undefined && { signature }) };
  return { ok: true, archive };
}

function headOf(text: string): ArchiveHead | undefined {
  try {
    const head = JSON.parse(text) as ArchiveHead;
    const isHead = typeof head.cluster === "string" && typeof head.takenAt === "string" && Array.isArray(head.without);
    return isHead ? head : undefined;
  } catch {
    return undefined;
  }
}

/** @returns why it cannot be read; undefined for what is no object of a kind that a backup holds */
function objectIn(text: string): ManifestObject | string | undefined {
  try {
    const value = load(text, { maxAliases: 0, maxDepth: 100 });
    const kind = isFields(value) && typeof value.kind === "string" ? kindOf({ kind: value.kind }) : undefined;
    return kind && restorable(value, kind);
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
}
