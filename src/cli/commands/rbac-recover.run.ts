/** `netwhy rbac recover`: manifests of permissions that are gone, without a backup, for `kubectl apply -f -`. */
import { canonicalYaml } from "../../backup/canonical-yaml.ts";
import { kindNamed, refOf } from "../../backup/kinds.ts";
import { type Recovered, type Recovery, recoveryOf } from "../../backup/recovery.ts";
import { DiagnosisError } from "../../errors.ts";
import type { Capture } from "../../evidence/capture.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import { whyBlind } from "../../report/blind-spots.ts";
import { printable } from "../../report/formats/document.ts";
import { RBAC_RECOVERY, type RbacRecovery } from "../../report/rbac-recovery.ts";
import { readBundle } from "../../sources/bundle.ts";
import { type Text, texts, verbatim } from "../../text.ts";
import { describer } from "../described.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { readLive } from "../live.ts";
import type { Surroundings } from "../surroundings.ts";
import { VERSION } from "../version.ts";
import type { Given } from "./command.ts";

const say = texts("rbac-recover", {
  noObject: { en: "`{word}` names no object.", zh: "`{word}` 不是对象名。" },
  write: {
    en: "Write clusterrole/NAME, clusterrolebinding/NAME, role/NAMESPACE/NAME, rolebinding/NAMESPACE/NAME or serviceaccount/NAMESPACE/NAME.",
    zh: "请写成 clusterrole/名称、clusterrolebinding/名称、role/命名空间/名称、rolebinding/命名空间/名称 或 serviceaccount/命名空间/名称。",
  },
  nothing: { en: "nothing is missing, as far as can be seen", zh: "就目前所见，没有缺失的对象" },
  found: { en: "{object}: {from}", zh: "{object}：{from}" },
  lost: {
    en: "{object} cannot be recovered: neither Helm nor any baseline knows it",
    zh: "{object} 无法恢复：Helm 记录和内置基线中都没有",
  },
  unseen: {
    en: "Helm's records were not seen: {why}; if Helm installed it, they hold the very object (`kubectl auth can-i list secrets -A` shows whether you may read them)",
    zh: "未能读取 Helm 记录：{why}；若由 Helm 安装，其中有原始对象（可用 `kubectl auth can-i list secrets -A` 检查权限）",
  },
  next: {
    en: "to restore: {program} rbac recover … | kubectl apply -f -",
    zh: "恢复：{program} rbac recover … | kubectl apply -f -",
  },
});

function refNamed(word: string): Ref {
  const [kindWord = "", ...path] = word.split("/");
  const kind = kindNamed(kindWord);
  const [name, namespace] = path.toReversed();
  const isComplete = kind && name && path.length === (kind.isNamespaced ? 2 : 1);
  if (!isComplete) throw new DiagnosisError("unknown-name", say.noObject({ word }), say.write());
  return ref(kind.kind, name, namespace);
}

function whyUnseen(capture: Capture): Text {
  const observed = capture.get("helmReleases");
  if (observed.state === "unknown") return whyBlind(observed.why);
  return verbatim(observed.state === "present" ? (observed.gaps[0]?.what ?? "") : "");
}

/** With where it comes from, so that who reads the manifest later knows. */
const documentOf = ({ object, from }: Recovered, lang: "en" | "zh"): string =>
  `---\n# ${printable(from[lang])}\n${canonicalYaml(object)}`;

const reportOf = ({ recovered, lost, isHelmUnseen }: Recovery) =>
  ({
    schema: RBAC_RECOVERY,
    tool: { version: VERSION },
    recovered: recovered.map(({ object, source, from }) => ({ object, source, from })),
    lost: [...lost],
    isHelmUnseen,
  }) satisfies RbacRecovery;

/** Manifests on stdout, the rest on stderr. 0 if all was recovered, 1 if something is lost, 2 if nothing is missing but not all was seen. */
export async function rbacRecoverCommand(
  names: readonly string[],
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { lang, out, err, program } = surroundings;
  const wanted = names.map(refNamed);
  const described = await describer(given);
  const read =
    given.bundle === undefined
      ? await readLive({ ...given, helm: true, nodes: "none" }, surroundings)
      : await readBundle(given.bundle as string);
  const capture = described(read);
  const { recovered, lost, isHelmUnseen } = recoveryOf(capture, wanted);
  if (given.output === "json") out(`${JSON.stringify(reportOf({ recovered, lost, isHelmUnseen }), undefined, 2)}\n`);
  else out(recovered.map((each) => documentOf(each, lang)).join(""));
  const lines = [
    ...recovered.map(({ object, from }) => say.found({ object: refId(refOf(object)), from })),
    ...lost.map((object) => say.lost({ object: refId(object) })),
    ...(isHelmUnseen ? [say.unseen({ why: whyUnseen(capture) })] : []),
    ...(recovered.length === 0 && lost.length === 0 ? [say.nothing()] : []),
    ...(recovered.length > 0 ? [say.next({ program })] : []),
  ];
  err(lines.map((line) => `${printable(line[lang])}\n`).join(""));
  if (lost.length > 0) return EXIT.faulty;
  return recovered.length === 0 && isHelmUnseen ? EXIT.unclear : EXIT.healthy;
}
