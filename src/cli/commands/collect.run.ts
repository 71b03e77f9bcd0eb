/** `netwhy collect`: takes the evidence of a cluster away, without its secrets, or its names; or prints the script for a node. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { anonymizer } from "../../anonymize/anonymize.ts";
import { DiagnosisError } from "../../errors.ts";
import { createIntake, type Intake } from "../../evidence/capture.ts";
import { clusterRoleYaml } from "../../evidence/cluster-role.ts";
import { known } from "../../evidence/observed.ts";
import { isEvidence } from "../../evidence/path.ts";
import { BUNDLE_LIMITS, readBundle } from "../../sources/bundle.ts";
import { type BundleWriter, bundleWriter } from "../../sources/bundle-writer.ts";
import { nodeScript } from "../../sources/live/read-nodes.ts";
import { texts } from "../../text.ts";
import { describer, takeDescriptions } from "../described.ts";
import { requireNoCluster } from "../evidence-options.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { onCluster } from "../live.ts";
import { takeOwnFiles } from "../own-files.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Given } from "./command.ts";

const say = texts("collect-command", {
  isThere: { en: "{path} is there already.", zh: "{path} 已存在。" },
  otherName: { en: "Take another name, or move it away: `-o FILE`", zh: "请换一个文件名（`-o 文件`），或先移走它" },
  cannotWrite: { en: "{path} cannot be written: {message}", zh: "无法写入 {path}：{message}" },
  otherPlace: { en: "Name a file where you may write: `-o FILE`", zh: "请指定可写的位置：`-o 文件`" },
  written: {
    en: "wrote {path}: {files} files; {redactions} {redactions:secret was|secrets were} redacted (redactions.jsonl in it says where)",
    zh: "已写入 {path}：{files} 个文件；脱敏 {redactions} 处（位置见其中的 redactions.jsonl）",
  },
  renamed: {
    en: "names and addresses in it are others; they hold together as before",
    zh: "其中的名称和地址已替换，相互关系保持不变",
  },
  noKey: { en: "The key {path} cannot be read: {message}", zh: "无法读取密钥 {path}：{message}" },
  shortKey: { en: "The key {path} has fewer than {least} bytes.", zh: "密钥 {path} 不足 {least} 字节。" },
  makeKey: {
    en: "Make one, and keep it: `head -c 32 /dev/urandom > FILE`",
    zh: "请生成并妥善保存：`head -c 32 /dev/urandom > 文件`",
  },
  next: { en: "next: `{program} diagnose {path}`", zh: "接下来：`{program} diagnose {path}`" },
});

const defaultName = (): string => `netwhy-${new Date().toISOString().slice(0, 19).replace(/[-:]/g, "")}.tar.gz`;

async function writerFor(path: string): Promise<BundleWriter> {
  try {
    return await bundleWriter(path, createIntake());
  } catch (error) {
    const { message } = error as Error;
    throw existsSync(path)
      ? new DiagnosisError("usage", say.isThere({ path }), say.otherName())
      : new DiagnosisError("usage", say.cannotWrite({ path, message }), say.otherPlace());
  }
}

const LEAST_KEY = 16;

/** Random, and forgotten at the end, unless a file says it. */
function keyOf({ anonymize, anonymizeKey }: Given): Uint8Array | undefined {
  if (anonymizeKey === undefined) return anonymize ? randomBytes(32) : undefined;
  const path = anonymizeKey as string;
  let key: Uint8Array;
  try {
    key = readFileSync(path);
  } catch (cause) {
    const { message } = cause as Error;
    throw new DiagnosisError("usage", say.noKey({ path, message }), say.makeKey(), cause);
  }
  if (key.length < LEAST_KEY) {
    throw new DiagnosisError("usage", say.shortKey({ path, least: LEAST_KEY }), say.makeKey());
  }
  return key;
}

/** Has the evidence written, be it of a running cluster or of a bundle. */
type Reading = (use: (read: (writer: BundleWriter) => Promise<void>) => Promise<BundleWriter>) => Promise<BundleWriter>;

function readingOf(given: Given, surroundings: Surroundings): Reading {
  const { from } = given;
  if (from === undefined) {
    return (use) =>
      onCluster(given, surroundings, (read) =>
        use(async ({ intake }) => {
          await read({ intake, keepsAll: true });
        }),
      );
  }
  requireNoCluster(given);
  return (use) => use((writer) => takeOver(from as string, writer));
}

/** What netwhy knows of a bundle, whoever made it; what did not arrive whole then is not whole now. */
async function takeOver(from: string, writer: BundleWriter): Promise<void> {
  const { intake } = writer;
  const open: Intake["open"] = (path) => (isEvidence(path) ? intake.open(path) : undefined);
  const capture = await readBundle(from, BUNDLE_LIMITS, { ...intake, open });
  for (const { path, complete } of known(capture.get("manifest")) ?? []) if (complete === false) writer.doubt(path);
}

export async function collectCommand(given: Given, surroundings: Surroundings): Promise<ExitCode> {
  const { program, lang, out, err } = surroundings;
  if (given.printNodeScript) {
    out(nodeScript());
    return EXIT.healthy;
  }
  if (given.printClusterRole) {
    out(clusterRoleYaml());
    return EXIT.healthy;
  }
  const path = (given.output as string | undefined) ?? defaultName();
  const key = keyOf(given);
  await describer(given);
  // tidied up before an interruption ends the process
  const { files, redactions } = await readingOf(
    given,
    surroundings,
  )(async (read) => {
    const writer = await writerFor(path);
    try {
      await read(writer);
      await takeDescriptions(given, writer.intake);
      await takeOwnFiles(given, writer.intake);
      await writer.finish(key && anonymizer(key));
      return writer;
    } catch (error) {
      await writer.discard();
      throw error;
    }
  });
  const told = [say.written({ path, files, redactions }), ...(key ? [say.renamed()] : []), say.next({ program, path })];
  err(told.map((text) => `${text[lang]}\n`).join(""));
  out(`${path}\n`);
  return EXIT.healthy;
}
