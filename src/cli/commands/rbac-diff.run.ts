/** `netwhy rbac diff`: what is otherwise in one backup than in another, or than in the cluster now. */

import type { ArchiveHead, Snapshot } from "../../backup/archive.ts";
import { differencesBetween } from "../../backup/differences.ts";
import { gainsBetween } from "../../backup/grants.ts";
import { DiagnosisError } from "../../errors.ts";
import { RBAC_DIFF } from "../../report/rbac-diff.ts";
import { texts } from "../../text.ts";
import { readArchive } from "../archive-file.ts";
import { differenceLines, fitted, gainLines } from "../difference-lines.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { snapshotFor } from "../snapshot.ts";
import type { Surroundings } from "../surroundings.ts";
import { VERSION } from "../version.ts";
import type { Given } from "./command.ts";
import { gapsInWords } from "./rbac-backup.run.ts";

const say = texts("rbac-diff", {
  noBackup: { en: "`rbac diff` wants a backup", zh: "`rbac diff` 需要一份备份" },
  how: { en: "For example: `{program} rbac diff rbac.yaml now`", zh: "例如：`{program} rbac diff rbac.yaml now`" },
  same: { en: "= nothing differs", zh: "= 没有差异" },
  differs: {
    en: "≠ {count} {count:object differs|objects differ}",
    zh: "≠ {count} 个对象有差异",
  },
  sides: { en: "  old: {old}\n  new: {now}", zh: "  旧：{old}\n  新：{now}" },
  otherCluster: { en: "  these are two different clusters", zh: "  二者并非同一集群" },
  gains: { en: "Who may do more by it:", zh: "因此权限增加的主体：" },
  losses: { en: "Who may do less by it:", zh: "因此权限减少的主体：" },
  uncompared: { en: "Not compared: {gaps}", zh: "未比较：{gaps}" },
});

const when = ({ cluster, takenAt }: ArchiveHead): string =>
  `${cluster} · ${takenAt.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC")}`;

export function isOtherCluster(a: Snapshot, b: Snapshot): boolean {
  const [one, other] = [a.head.clusterUid, b.head.clusterUid];
  return one !== undefined && other !== undefined && one !== other;
}

/** As diff(1): 0 if nothing is otherwise, 1 if something is; 2 if that could not be seen of all. */
export async function rbacDiffCommand(
  [oldPath, newPath = "now"]: readonly string[],
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { program, lang, out, width } = surroundings;
  if (oldPath === undefined) throw new DiagnosisError("usage", say.noBackup(), say.how({ program }));
  const key = given.verifyKey as string | undefined;
  const read = (path: string): Snapshot | Promise<Snapshot> =>
    path === "now" ? snapshotFor(given, surroundings) : readArchive(path, key);
  const old = await read(oldPath);
  const now = await read(newPath);
  const { differences, uncompared } = differencesBetween(old, now);
  const [gains, losses] = [gainsBetween(old.objects, now.objects), gainsBetween(now.objects, old.objects)];
  if (given.output === "json") {
    const diff = {
      schema: RBAC_DIFF,
      tool: { version: VERSION },
      old: old.head,
      new: now.head,
      oneCluster: !isOtherCluster(old, now),
      differences,
      gains,
      losses,
      uncompared,
    };
    out(`${JSON.stringify(diff, undefined, 2)}\n`);
  } else {
    const lines = [
      (differences.length === 0 ? say.same() : say.differs({ count: differences.length }))[lang],
      say.sides({ old: when(old.head), now: when(now.head) })[lang],
      ...(isOtherCluster(old, now) ? [say.otherCluster()[lang]] : []),
      ...differences.flatMap((difference) => differenceLines(difference, lang)),
      ...(losses.length > 0 ? [say.losses()[lang], ...gainLines(losses, lang, differences, "lost")] : []),
      ...(gains.length > 0 ? [say.gains()[lang], ...gainLines(gains, lang, differences)] : []),
      ...(uncompared.length > 0 ? [say.uncompared({ gaps: gapsInWords(uncompared) })[lang]] : []),
    ];
    out(
      `${lines
        .flatMap((text) => text.split("\n"))
        .map((text) => fitted(text, width))
        .join("\n")}\n`,
    );
  }
  if (differences.length > 0) return EXIT.faulty;
  return uncompared.length > 0 ? EXIT.unclear : EXIT.healthy;
}
