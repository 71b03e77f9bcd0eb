/** All commands, in the order in which the help names them. */
import { texts } from "../../text.ts";
import { AGENT } from "./agent.ts";
import { COLLECT } from "./collect.ts";
import type { CommandSpec, Example, OptionSpec } from "./command.ts";
import { DEMO } from "./demo.ts";
import { DIAGNOSE } from "./diagnose.ts";
import { DIFF } from "./diff.ts";
import { EXPLAIN } from "./explain.ts";
import { GUARD_INSTALL } from "./guard-install.ts";
import { GUARD_RENDER } from "./guard-render.ts";
import { LANG } from "./options.ts";
import { PATH } from "./path.ts";
import { RBAC_BACKUP } from "./rbac-backup.ts";
import { RBAC_CHECK } from "./rbac-check.ts";
import { RBAC_DIFF } from "./rbac-diff.ts";
import { RBAC_RECOVER } from "./rbac-recover.ts";
import { RBAC_RESTORE } from "./rbac-restore.ts";
import { REPLAY } from "./replay.ts";
import { WHAT_IF } from "./what-if.ts";

const say = texts("program", {
  program: {
    en: "netwhy names the root cause of a broken Kubernetes network, with the proof and the fix.",
    zh: "netwhy 找出 Kubernetes 网络故障的根因，给出证据和修复方法。",
  },
  help: { en: "this page; COMMAND --help tells more", zh: "显示本页；COMMAND --help 查看某个命令" },
  version: { en: "the version", zh: "显示版本" },
  startHere: { en: "start here", zh: "从这里开始" },
  incident: { en: "why this one broke", zh: "查明这次故障的原因" },
  exitCodes: {
    en: "0 healthy, 1 faulty, 2 unclear, 3 usage, 4 no evidence, 5 internal error",
    zh: "0 健康，1 有故障，2 无法判断，3 用法错误，4 无证据，5 内部错误",
  },
});

export const COMMANDS: readonly CommandSpec[] = [
  DIAGNOSE,
  COLLECT,
  AGENT,
  PATH,
  DEMO,
  REPLAY,
  DIFF,
  RBAC_CHECK,
  RBAC_BACKUP,
  RBAC_DIFF,
  RBAC_RESTORE,
  RBAC_RECOVER,
  GUARD_RENDER,
  GUARD_INSTALL,
  WHAT_IF,
  EXPLAIN,
];

export const PROGRAM = {
  description: say.program(),
  options: [
    LANG,
    { flags: "-h, --help", describes: say.help() },
    { flags: "--version", describes: say.version() },
  ] satisfies OptionSpec[],
  examples: [
    { run: "demo", does: say.startHere() },
    { run: "diagnose ./incident.tar.gz", does: say.incident() },
  ] satisfies Example[],
  exitCodes: say.exitCodes(),
};
