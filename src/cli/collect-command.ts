/** `netwhy collect`: takes the evidence of a running cluster away, without its secrets; or prints the script for a node. */
import { existsSync } from "node:fs";
import { DiagnosisError } from "../errors.ts";
import { createIntake } from "../evidence/capture.ts";
import { clusterRoleYaml } from "../evidence/cluster-role.ts";
import { type BundleWriter, bundleWriter } from "../sources/bundle-writer.ts";
import { nodeScript } from "../sources/live/read-nodes.ts";
import { texts } from "../text.ts";
import type { Given } from "./commands.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { onCluster } from "./live.ts";
import type { Surroundings } from "./surroundings.ts";

const say = texts("collect-command", {
  isThere: { en: "{path} is there already.", zh: "{path} 已存在。" },
  otherName: { en: "Take another name, or move it away: `-o FILE`", zh: "请换一个文件名（`-o 文件`），或先移走它" },
  cannotWrite: { en: "{path} cannot be written: {message}", zh: "无法写入 {path}：{message}" },
  otherPlace: { en: "Name a file where you may write: `-o FILE`", zh: "请指定可写的位置：`-o 文件`" },
  written: {
    en: "wrote {path}: {files} files; {redactions} {redactions:secret was|secrets were} redacted (redactions.jsonl in it says where)",
    zh: "已写入 {path}：{files} 个文件；脱敏 {redactions} 处（位置见其中的 redactions.jsonl）",
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
  // tidied up before an interruption ends the process
  const { files, redactions } = await onCluster(given, surroundings, async (read) => {
    const writer = await writerFor(path);
    try {
      await read(writer.intake);
      await writer.finish();
      return writer;
    } catch (error) {
      await writer.discard();
      throw error;
    }
  });
  err(`${say.written({ path, files, redactions })[lang]}\n${say.next({ program, path })[lang]}\n`);
  out(`${path}\n`);
  return EXIT.healthy;
}
