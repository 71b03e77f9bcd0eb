/** `netwhy rbac restore`: objects of a backup, put back; what would be done is shown, tried and asked before. */
import { type Archive, archiveText, type Snapshot } from "../../backup/archive.ts";
import { chosenOf } from "../../backup/choice.ts";
import { presentIn, provesAbsence } from "../../backup/differences.ts";
import { refOf } from "../../backup/kinds.ts";
import { type RestorePlan, type RestoreStep, restorePlan } from "../../backup/restore-plan.ts";
import { DiagnosisError } from "../../errors.ts";
import type { ManifestObject } from "../../model/changes/change.ts";
import { refId } from "../../model/ref.ts";
import { restore, type StepResult, tryRestore } from "../../repair/restore.ts";
import type { Api } from "../../sources/live/api.ts";
import { texts, verbatim } from "../../text.ts";
import { readArchive, writeWhole } from "../archive-file.ts";
import { differenceLines, fitted, gainLines } from "../difference-lines.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { snapshotNow, withApi } from "../snapshot.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Given } from "./command.ts";
import { isOtherCluster } from "./rbac-diff.run.ts";

const say = texts("rbac-restore", {
  noBackup: { en: "`rbac restore` wants a backup", zh: "`rbac restore` 需要一份备份" },
  how: {
    en: "For example: `{program} rbac restore rbac.yaml clusterrole/flannel`",
    zh: "例如：`{program} rbac restore rbac.yaml clusterrole/flannel`",
  },
  noKind: { en: "`{word}` names no kind that a backup holds.", zh: "`{word}` 不是备份所含的对象类型。" },
  someKinds: {
    en: "Write KIND/NAME or KIND/NAMESPACE/NAME, for example clusterrole/flannel or role/kube-system/kube-proxy.",
    zh: "请写成 类型/名称 或 类型/命名空间/名称，例如 clusterrole/flannel、role/kube-system/kube-proxy。",
  },
  noName: { en: "The backup has no `{word}`.", zh: "备份中没有 `{word}`。" },
  seeNames: {
    en: "`grep '^# sha256' BACKUP` lists what it has.",
    zh: "用 `grep '^# sha256' 备份文件` 列出其中的对象。",
  },
  badSelector: { en: "The selector is not understood: {word}", zh: "无法理解选择器：{word}" },
  asKubectl: { en: "It is written as for `kubectl get -l`.", zh: "写法与 `kubectl get -l` 相同。" },
  otherCluster: {
    en: "The backup is of another cluster ({of}, taken {at}).",
    zh: "该备份属于另一个集群（{of}，{at}）。",
  },
  anyway: {
    en: "`--other-cluster` restores it here all the same.",
    zh: "如确实要恢复到本集群，请加 `--other-cluster`。",
  },
  nothing: {
    en: "nothing to restore: all {count} chosen objects are as in the backup",
    zh: "无需恢复：所选 {count} 个对象均与备份一致",
  },
  nothingMissing: {
    en: "nothing to restore: nothing of the backup is missing (names, -l or --all restore what is otherwise, too)",
    zh: "无需恢复：备份中的对象都还在（指定名称、-l 或 --all 可恢复有差异的对象）",
  },
  create: { en: "{object}  is missing: make it", zh: "{object}  缺失：重新创建" },
  apply: { en: "{object}  could not be seen: apply it", zh: "{object}  无法查看：直接应用" },
  update: { en: "{object}  is otherwise: put it back", zh: "{object}  有差异：恢复原状" },
  replace: {
    en: "{object}  refers to another role, which cannot be changed: DELETE it and make it anew",
    zh: "{object}  指向另一个角色，而 roleRef 不可修改：先删除再重建",
  },
  gains: { en: "Afterwards these may do more than now:", zh: "恢复后，以下主体的权限将比现在多：" },
  noGains: { en: "Nobody may do more than now by it.", zh: "不会有任何主体因此获得更多权限。" },
  refused: { en: "the API server would refuse {object}: {why}", zh: "API Server 会拒绝 {object}：{why}" },
  untried: {
    en: "{object} could not be tried: its Namespace is not there yet",
    zh: "{object} 未能试运行：其命名空间尚不存在",
  },
  wouldWork: { en: "dry run: the API server would take all of it", zh: "试运行：API Server 全部接受" },
  nothingDone: { en: "nothing was changed", zh: "未做任何修改" },
  widens: {
    en: "{objects} {count:is|are} there and would grant more than now",
    zh: "{objects} 已存在，恢复后会授予比现在更多的权限",
  },
  mayWiden: { en: "`--yes --allow-wider` restores this, too", zh: "如确实要恢复，请用 `--yes --allow-wider`" },
  ask: { en: "Restore {count} {count:object|objects}? [y/N] ", zh: "恢复这 {count} 个对象？[y/N] " },
  askWider: {
    en: "Restore {count} {count:object|objects}, of which {wider} would grant more than now? [y/N] ",
    zh: "恢复这 {count} 个对象（其中 {wider} 个会授予比现在更多的权限）？[y/N] ",
  },
  sayYes: { en: "nothing was changed: `--yes` restores it", zh: "未做任何修改：加 `--yes` 执行恢复" },
  newAccounts: {
    en: "Pods of {accounts} hold tokens of accounts that are gone: restart them",
    zh: "{accounts} 的 Pod 仍持有已删除账号的令牌：请重启这些 Pod",
  },
  kept: { en: "what is there now is kept in {path}", zh: "当前状态已保存到 {path}" },
  done: { en: "restored {object}", zh: "已恢复 {object}" },
  failed: { en: "FAILED {object}: {why}", zh: "失败 {object}：{why}" },
  notReached: { en: "not done {object}", zh: "未执行 {object}" },
  verified: {
    en: "verified: {count} {count:object is|objects are} as in the backup",
    zh: "已验证：{count} 个对象与备份一致",
  },
  differs: { en: "still otherwise: {objects}", zh: "仍有差异：{objects}" },
});

type Options = {
  readonly names: readonly string[];
  readonly namespace?: string;
  readonly selector?: string;
  readonly all: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly allowWider: boolean;
  readonly otherCluster: boolean;
};

const idOf = (object: ManifestObject): string => refId(refOf(object));
const namesOf = (steps: readonly RestoreStep[]) => steps.map(({ object }) => idOf(object));

/** What is chosen; without a choice, all that is missing now. */
function chosenIn(
  archive: Archive,
  now: Snapshot,
  { names, namespace, selector, all }: Options,
): readonly ManifestObject[] {
  const chosen = chosenOf(archive.objects, { names, namespace, selector });
  if (!chosen.ok) {
    const { flaw, word } = chosen;
    if (flaw === "kind") throw new DiagnosisError("unknown-name", say.noKind({ word }), say.someKinds());
    if (flaw === "name") throw new DiagnosisError("unknown-name", say.noName({ word }), say.seeNames());
    throw new DiagnosisError("usage", say.badSelector({ word }), say.asKubectl());
  }
  if (all || names.length > 0 || selector !== undefined) return chosen.objects;
  const present = presentIn(now);
  return chosen.objects.filter((object) => !present.has(idOf(object)) && provesAbsence(now, refOf(object)));
}

function planLines({ steps, gains }: RestorePlan, lang: "en" | "zh"): string[] {
  return [
    ...steps.flatMap(({ object, action, difference }) => [
      say[action]({ object: idOf(object) })[lang],
      ...(difference ? differenceLines(difference, lang).slice(1) : []),
    ]),
    ...(gains.length > 0 ? [say.gains()[lang], ...gainLines(gains, lang)] : [say.noGains()[lang]]),
  ];
}

/** Whether to go on; says why not. */
async function isWanted({ steps }: RestorePlan, options: Options, surroundings: Surroundings): Promise<boolean> {
  const { lang, err, confirms } = surroundings;
  const wider = steps.filter(({ widens }) => widens);
  const count = steps.length;
  if (options.yes) {
    if (wider.length === 0 || options.allowWider) return true;
    err(`${say.widens({ objects: namesOf(wider), count: wider.length })[lang]}\n${say.mayWiden()[lang]}\n`);
    return false;
  }
  const question = wider.length > 0 ? say.askWider({ count, wider: wider.length }) : say.ask({ count });
  const answer = await confirms(question[lang]);
  if (answer !== true) err(`${(answer === undefined ? say.sayYes() : say.nothingDone())[lang]}\n`);
  return answer === true;
}

function resultLines(results: readonly StepResult[], lang: "en" | "zh"): string[] {
  return results.map(({ step, outcome, failure }) => {
    const object = idOf(step.object);
    if (failure) return say.failed({ object, why: verbatim(failure.message) })[lang];
    return (outcome === "done" ? say.done({ object }) : say.notReached({ object }))[lang];
  });
}

/** All that is there now, as a backup of its own: restoring from that takes the restore back. */
function keepPresent({ steps }: RestorePlan, now: Snapshot, { lang, err }: Surroundings): void {
  if (steps.every(({ present }) => present === undefined)) return;
  const path = `netwhy-rbac-before-${new Date().toISOString().slice(0, 19).replace(/[-:]/g, "")}Z.yaml`;
  writeWhole(path, archiveText(now));
  err(`${say.kept({ path })[lang]}\n`);
}

/** @returns whether the API server would take it */
async function isTakenDry(api: Api, plan: RestorePlan, { lang, out, err }: Surroundings): Promise<boolean> {
  const tried = await tryRestore(api, plan);
  for (const { step, failure, outcome } of tried) {
    const object = idOf(step.object);
    if (failure) err(`${say.refused({ object, why: verbatim(failure.message) })[lang]}\n`);
    else if (outcome === "untried") err(`${say.untried({ object })[lang]}\n`);
  }
  const isTaken = tried.every(({ outcome }) => outcome !== "failed");
  if (isTaken) out(`${say.wouldWork()[lang]}\n`);
  else err(`${say.nothingDone()[lang]}\n`);
  return isTaken;
}

/** 0 if all is as in the backup now (or would be, in a dry run), 1 if not. */
export async function rbacRestoreCommand(
  [path, ...names]: readonly string[],
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { program, lang, out, err } = surroundings;
  if (path === undefined) throw new DiagnosisError("usage", say.noBackup(), say.how({ program }));
  const options = {
    all: false,
    dryRun: false,
    yes: false,
    allowWider: false,
    otherCluster: false,
    ...given,
    names,
  } as Options;
  const archive = readArchive(path, given.verifyKey as string | undefined);
  return withApi(given, surroundings, async (api, connection, show) => {
    const now = await snapshotNow(api, connection, show);
    if (isOtherCluster(archive, now) && !options.otherCluster) {
      const { cluster: of, takenAt: at } = archive.head;
      throw new DiagnosisError("usage", say.otherCluster({ of, at }), say.anyway());
    }
    const chosen = chosenIn(archive, now, options);
    const plan = restorePlan(chosen, now);
    if (plan.steps.length === 0) {
      out(`${(chosen.length === 0 ? say.nothingMissing() : say.nothing({ count: chosen.length }))[lang]}\n`);
      return EXIT.healthy;
    }
    out(
      `${planLines(plan, lang)
        .map((text) => fitted(text, surroundings.width))
        .join("\n")}\n`,
    );
    if (!(await isTakenDry(api, plan, surroundings))) return EXIT.faulty;
    if (options.dryRun) return EXIT.healthy;
    if (!(await isWanted(plan, options, surroundings))) return EXIT.faulty;
    keepPresent(plan, now, surroundings);
    const results = await restore(api, plan, show);
    out(`${resultLines(results, lang).join("\n")}\n`);
    const accounts = plan.steps.filter(({ object, action }) => object.kind === "ServiceAccount" && action === "create");
    if (accounts.length > 0) out(`${say.newAccounts({ accounts: namesOf(accounts) })[lang]}\n`);
    const { steps: left } = restorePlan(chosen, await snapshotNow(api, connection, show));
    if (left.length === 0) {
      out(`${say.verified({ count: chosen.length })[lang]}\n`);
      return EXIT.healthy;
    }
    err(`${say.differs({ objects: namesOf(left) })[lang]}\n`);
    return EXIT.faulty;
  });
}
