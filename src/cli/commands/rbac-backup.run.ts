/** `netwhy rbac backup`: all permissions and what the network is made of, into a file. */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { archiveText, type Without } from "../../backup/archive.ts";
import { refId } from "../../model/ref.ts";
import { type Text, texts } from "../../text.ts";
import { archivesIn, nameAt, signerWith, writeWhole } from "../archive-file.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { isWhole, snapshotFor } from "../snapshot.ts";
import type { Surroundings } from "../surroundings.ts";
import { badValue } from "../usage-error.ts";
import type { Given } from "./command.ts";

const say = texts("rbac-backup", {
  wrote: {
    en: "wrote {path}: {count} objects, contents {contents}",
    zh: "已写入 {path}：{count} 个对象，内容摘要 {contents}",
  },
  unchanged: {
    en: "nothing has changed since {path}: {count} objects, contents {contents}",
    zh: "自 {path} 以来没有变化：{count} 个对象，内容摘要 {contents}",
  },
  removed: {
    en: "{line}; {count} older {count:backup|backups} removed",
    zh: "{line}；删除较旧备份 {count} 份",
  },
  without: { en: "{line}; NOT WHOLE: {gaps}", zh: "{line}；不完整：{gaps}" },
});

const shorten = (digest: string): string => digest.slice(0, "sha256:".length + 12);

export function gapsInWords(gaps: readonly Without[]): string {
  const words = gaps.map(
    ({ why, name, ...rest }) => `${name === undefined ? rest.kind : refId({ ...rest, name })} (${why})`,
  );
  return words.length > 3 ? `${words.slice(0, 3).join("; ")}; +${words.length - 3}` : words.join("; ");
}

function isDirectory(path: string): boolean {
  return path.endsWith("/") || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function keepOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^[1-9]\d{0,5}$/.test(value)) return Number(value);
  throw badValue("--keep", String(value), ["7", "30", "365"]);
}

/** One line on stdout. @returns unclear if something could not be read; what came is written all the same */
export async function backupCommand(given: Given, surroundings: Surroundings): Promise<ExitCode> {
  const { lang, out } = surroundings;
  const { output, sign } = given as { readonly output?: string; readonly sign?: string };
  const keep = keepOf(given.keep);
  const signer = sign === undefined ? undefined : signerWith(sign);
  const snapshot = await snapshotFor(given, surroundings);
  const { head, objects } = snapshot;
  const text = archiveText(snapshot, signer);
  const code = isWhole(snapshot) ? EXIT.healthy : EXIT.unclear;
  if (output === "-") {
    out(text);
    return code;
  }
  const contents = /^# contents: (\S+)$/m.exec(text)?.[1] ?? "";
  const isKept = output !== undefined && isDirectory(output);
  const kept = isKept ? archivesIn(output, head.clusterUid) : [];
  const same =
    kept[0]?.archive.contents === contents && isWhole(kept[0].archive) === isWhole(snapshot) ? kept[0] : undefined;
  const path = isKept ? join(output, nameAt(head.takenAt)) : (output ?? nameAt(head.takenAt));
  if (!same) writeWhole(path, text);
  let line: Text = same
    ? say.unchanged({ path: same.path, count: objects.length, contents: shorten(contents) })
    : say.wrote({ path, count: objects.length, contents: shorten(contents) });
  // one that is not whole takes no place of one that is
  const surplus = keep === undefined || !isWhole(snapshot) ? [] : kept.slice(same ? keep : keep - 1);
  for (const old of surplus) rmSync(old.path, { force: true });
  if (surplus.length > 0) line = say.removed({ line, count: surplus.length });
  if (!isWhole(snapshot)) line = say.without({ line, gaps: gapsInWords(head.without) });
  out(`${line[lang]}\n`);
  return code;
}
