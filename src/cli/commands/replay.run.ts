/** `netwhy replay`: serves a bundle as a read-only Kubernetes API on loopback until it is told to stop. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { DiagnosisError } from "../../errors.ts";
import { kubeconfig, readStore, serveStore } from "../../replay/replay.ts";
import type { Listening } from "../../replay/server.ts";
import type { Store } from "../../replay/store.ts";
import { shellWord } from "../../shell.ts";
import { texts } from "../../text.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Given } from "./command.ts";

const say = texts("replay-command", {
  noBundle: { en: "No bundle was given.", zh: "未指定证据包。" },
  whatNow: {
    en: "Give the path of a bundle: `{program} replay ./incident.tar.gz`",
    zh: "请指定证据包路径：`{program} replay ./incident.tar.gz`",
  },
  badPort: { en: "`{port}` is no port.", zh: "`{port}` 不是有效端口。" },
  portRange: {
    en: "A port is a number from 1 to 65535; without `--port` a free one is taken.",
    zh: "端口是 1 到 65535 之间的数字；不加 `--port` 则自动选用空闲端口。",
  },
  cannotListen: { en: "Port {port} cannot be had: {message}", zh: "无法监听端口 {port}：{message}" },
  otherPort: { en: "Try another one, or leave `--port` out.", zh: "请换一个端口，或不加 `--port`。" },
  isInTheWay: {
    en: "{path} is there already, and is no kubeconfig of a replay.",
    zh: "{path} 已存在，且不是 replay 写入的 kubeconfig。",
  },
  otherPath: {
    en: "It is not overwritten. Give another path, or leave `--kubeconfig` out.",
    zh: "不会覆盖该文件。请换一个路径，或不加 `--kubeconfig`。",
  },
  cannotWrite: { en: "{path} cannot be written: {message}", zh: "无法写入 {path}：{message}" },
  serving: {
    en: "Serving {bundle} read-only on http://127.0.0.1:{port}, as it was at {at}. Ctrl-C ends it. In another shell:",
    zh: "正在 http://127.0.0.1:{port} 以只读方式提供 {bundle}（{at} 时的状态），按 Ctrl-C 结束。请在另一个 shell 中执行：",
  },
  remarks: {
    en: "{count} {count:file|files} of the bundle could not be read, first {path}: {what}",
    zh: "证据包中有 {count} 个文件无法读取，第一个是 {path}：{what}",
  },
});

const CONTEXT = "netwhy-replay";

export async function replayCommand(
  argument: string | undefined,
  given: Given,
  { program, lang, out, err, interrupted }: Surroundings,
): Promise<ExitCode> {
  const bundle = argument ?? (given.bundle as string | undefined);
  if (bundle === undefined) throw new DiagnosisError("usage", say.noBundle(), say.whatNow({ program }));
  const port = portOf(given.port as string | undefined);
  const target = given.kubeconfig as string | undefined;
  if (target !== undefined) await requireFree(target);
  const { store, notes } = await readStore(bundle);
  const [first] = notes;
  if (first) err(`${say.remarks({ count: notes.length, path: first.path, what: first.what })[lang]}\n`);
  const listening = await serve(store, port);
  const path = target ?? join(await mkdtemp(join(tmpdir(), "netwhy-replay-")), "kubeconfig");
  try {
    await write(path, kubeconfig(listening.port, CONTEXT));
    const at = `${new Date(store.now()).toISOString().slice(0, 19)}Z`;
    err(`${say.serving({ bundle, port: listening.port, at })[lang]}\n`);
    out(`export KUBECONFIG=${shellWord(resolve(path))}\n`);
    await interrupted();
  } finally {
    await listening.close();
    await rm(target ?? dirname(path), { recursive: true, force: true });
  }
  return EXIT.healthy;
}

function portOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new DiagnosisError("usage", say.badPort({ port: text }), say.portRange());
  return port;
}

/** What somebody else wrote is not overwritten, and least of all the kubeconfig of a real cluster. */
async function requireFree(path: string): Promise<void> {
  const found = await readFile(path, "utf8").catch(() => undefined);
  if (found === undefined || isOurs(found)) return;
  throw new DiagnosisError("usage", say.isInTheWay({ path }), say.otherPath());
}

/** Whether a kubeconfig is what a replay writes, whatever its port. */
function isOurs(text: string): boolean {
  const port = /"server": "http:\/\/127\.0\.0\.1:(\d+)"/.exec(text)?.[1];
  return port !== undefined && text === kubeconfig(Number(port), CONTEXT);
}

async function serve(store: Store, port: number): Promise<Listening> {
  try {
    return await serveStore(store, port);
  } catch (error) {
    const { message } = error as Error;
    throw new DiagnosisError("usage", say.cannotListen({ port, message }), say.otherPort(), error);
  }
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (error) {
    const { message } = error as Error;
    throw new DiagnosisError("usage", say.cannotWrite({ path, message }), say.otherPath(), error);
  }
}
