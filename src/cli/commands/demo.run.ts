/** `netwhy demo`: tells of a recorded incident and diagnoses it. The story is not the report, so it goes to stderr. */
import { line } from "../../report/formats/document.ts";
import { drawBlocks } from "../../report/formats/terminal.ts";
import { texts } from "../../text.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { FIRST_INCIDENT, incidentNames, readIncident } from "../incidents.ts";
import { manualBlocks } from "../manual-page.ts";
import type { Surroundings } from "../surroundings.ts";
import { unknownName } from "../usage-error.ts";
import type { Given } from "./command.ts";
import { reportOnBundle } from "./diagnose.run.ts";

const say = texts("demo-command", {
  incident: { en: "incident", zh: "故障" },
  list: { en: "`{program} demo --list` names them all.", zh: "`{program} demo --list` 可列出全部。" },
  whatNetwhySays: { en: "What netwhy says of it:", zh: "netwhy 的诊断：" },
  more: {
    en: "More incidents: `{program} demo --list`. Your own: `{program} diagnose BUNDLE`.",
    zh: "更多故障：`{program} demo --list`；诊断自己的证据包：`{program} diagnose BUNDLE`。",
  },
});

export async function demoCommand(
  argument: string | undefined,
  given: Given,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { program, lang, width, color, out, err } = surroundings;
  const names = incidentNames();
  if (given.list) {
    const items = names.map((name) => ({ label: name, line: line(readIncident(name, lang).title) }));
    out(drawBlocks([{ shape: "facts", items }], { width, color: color.out }));
    return EXIT.healthy;
  }
  const incident = argument ?? FIRST_INCIDENT;
  if (!names.includes(incident)) throw unknownName(say.incident(), incident, names, say.list({ program }));
  const { story, bundle } = readIncident(incident, lang);
  const tell = (markdown: string) => err(`${drawBlocks(manualBlocks(markdown), { width, color: color.err })}\n`);
  tell(`${story}\n\n**${say.whatNetwhySays()[lang]}**`);
  const code = await reportOnBundle(bundle, given, surroundings);
  err("\n");
  tell(say.more({ program })[lang]);
  return code;
}
