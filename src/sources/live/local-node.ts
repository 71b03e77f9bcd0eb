/** Nodes that are read without the API server: by the script's output in a file, or on the machine that we run on. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { hostname } from "node:os";
import { DiagnosisError } from "../../errors.ts";
import type { Capture, Intake } from "../../evidence/capture.ts";
import { known } from "../../evidence/observed.ts";
import { texts } from "../../text.ts";
import { DEFAULT_MARK, type NodeOutputReader } from "./node-output.ts";
import { type NodeIntake, nodeIntake, nodeScript } from "./read-nodes.ts";

const say = texts("local-node", {
  notRead: {
    en: "The output of the node script {path} cannot be read: {why}",
    zh: "无法读取节点脚本的输出 {path}：{why}",
  },
  notOutput: { en: "{path} is no output of the node script.", zh: "{path} 不是节点脚本的输出。" },
  howScript: {
    en: "`netwhy collect --print-node-script > node.sh`, then on the node: `sudo sh node.sh > w1.netwhy`",
    zh: "先运行 `netwhy collect --print-node-script > node.sh`，再在节点上运行 `sudo sh node.sh > w1.netwhy`",
  },
});

const LOCAL_LIMIT_MS = 60_000;

/** A node calls itself by its short or its full name; the cluster knows one of them. */
function nodeNamed(name: string, capture: Capture): string {
  const names = known(capture.get("nodes"))?.items.map(({ metadata }) => metadata.name) ?? [];
  const short = (full: string) => full.split(".")[0]!.toLowerCase();
  return names.find((each) => each === name) ?? names.find((each) => short(each) === short(name)) ?? name;
}

/**
 * Takes in what the script printed on a node.
 *
 * @throws DiagnosisError if the file cannot be read, or is something else
 */
export async function readNodeOutput(path: string, capture: Capture, intake: Intake): Promise<void> {
  const pods = known(capture.get("pods"))?.items ?? [];
  const noOutput = () => new DiagnosisError("unreadable-evidence", say.notOutput({ path }), say.howScript());
  let node: { readonly files: NodeIntake; readonly reader: NodeOutputReader } | undefined;
  try {
    for await (const text of createReadStream(path, { encoding: "utf8" }) as AsyncIterable<string>) {
      if (!node) {
        // the first line says whose it is
        const [first = ""] = text.split("\n");
        if (!first.startsWith(`${DEFAULT_MARK} node `)) throw noOutput();
        const files = nodeIntake(intake, nodeNamed(first.split(" ")[2] ?? "", capture), pods);
        node = { files, reader: files.reader(DEFAULT_MARK) };
      }
      node.reader.write(text);
    }
  } catch (error) {
    if (error instanceof DiagnosisError) throw error;
    const why = (error as Error).message;
    throw new DiagnosisError("unreadable-evidence", say.notRead({ path, why }), say.howScript(), error);
  }
  if (!node) throw noOutput();
  node.reader.end();
  node.files.end();
}

/** Whether the machine that we run on is a node: a kubelet's files are here. */
export const isNode = (): boolean =>
  ["/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet.conf"].some((path) => existsSync(path));

/** Runs the script here. */
export async function readThisNode(capture: Capture, intake: Intake, signal: AbortSignal): Promise<void> {
  const mark = `@@${randomUUID()}`;
  const files = nodeIntake(intake, nodeNamed(hostname(), capture), known(capture.get("pods"))?.items ?? []);
  const reader = files.reader(mark);
  const child = spawn("sh", ["-s", "host", mark], {
    stdio: ["pipe", "pipe", "ignore"],
    timeout: LOCAL_LIMIT_MS,
    signal,
  });
  child.stdin.on("error", () => {});
  child.stdin.end(nodeScript());
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => reader.write(text));
  await new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("close", () => resolve());
  });
  signal.throwIfAborted();
  reader.end();
  files.end();
}
