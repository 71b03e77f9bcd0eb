/** `netwhy collect`: today, the script that reads a node where netwhy itself cannot. */
import { DiagnosisError } from "../errors.ts";
import { nodeScript } from "../sources/live/read-nodes.ts";
import { texts } from "../text.ts";
import type { Given } from "./commands.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import type { Surroundings } from "./surroundings.ts";

const say = texts("collect-command", {
  whatFor: { en: "`collect` wants to be told what to do", zh: "`collect` 缺少选项" },
  tryScript: {
    en: "`{program} collect --print-node-script` prints the script that reads a node.",
    zh: "`{program} collect --print-node-script` 输出读取节点的脚本。",
  },
});

export async function collectCommand(given: Given, { program, out }: Surroundings): Promise<ExitCode> {
  if (!given.printNodeScript) throw new DiagnosisError("usage", say.whatFor(), say.tryScript({ program }));
  out(nodeScript());
  return EXIT.healthy;
}
