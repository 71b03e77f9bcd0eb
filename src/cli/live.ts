/** Reads the running cluster that the command line means, tells on a terminal how far it is, and can be interrupted. */
import { setTimeout as sleep } from "node:timers/promises";
import { DiagnosisError } from "../errors.ts";
import type { Capture, Intake } from "../evidence/capture.ts";
import { differing, withoutChanging } from "../report/changing.ts";
import { withDeeperLook } from "../report/look-deeper.ts";
import type { Report } from "../report/report.ts";
import { type Command, sh } from "../shell.ts";
import type { Failure } from "../sources/live/api.ts";
import { type Connection, connect } from "../sources/live/connection.ts";
import { type ReadOptions, readCluster } from "../sources/live/read-cluster.ts";
import type { NodeChoice } from "../sources/live/read-nodes.ts";
import { type Text, texts, verbatim } from "../text.ts";
import type { Given } from "./commands/command.ts";
import { progressLine } from "./progress-line.ts";
import type { Surroundings } from "./surroundings.ts";
import { badValue } from "./usage-error.ts";

const say = texts("live", {
  reading: { en: "reading {context}", zh: "正在读取 {context}" },
  unreachable: { en: "The API server {server} cannot be reached: {why}", zh: "无法连接 API Server {server}：{why}" },
  silent: { en: "The API server {server} does not answer: {why}", zh: "API Server {server} 没有响应：{why}" },
  unauthorized: {
    en: "The API server {server} does not accept the credentials of context {context}: {why}",
    zh: "API Server {server} 不接受上下文 {context} 的凭据：{why}",
  },
  tryServer: {
    en: "Is it this cluster that you mean (`kubectl config get-contexts`)? If so: on a control plane node, `crictl ps -a --name 'kube-apiserver|etcd'` shows whether the server runs, and `crictl logs` why it does not.",
    zh: "请先确认集群无误（`kubectl config get-contexts`）。如果无误：在控制面节点上用 `crictl ps -a --name 'kube-apiserver|etcd'` 查看服务是否在运行，再用 `crictl logs` 查看原因。",
  },
  tryCertificate: {
    en: "The certificate is not the one that the kubeconfig expects: is the server's address right, has its certificate expired (`kubeadm certs check-expiration`), is a proxy between?",
    zh: "证书与 kubeconfig 的预期不符：请检查服务器地址、证书是否过期（`kubeadm certs check-expiration`）、中间是否有代理。",
  },
  tryCredentials: {
    en: "`kubectl auth whoami` shows as whom you are known; sign in again, or take another context.",
    zh: "可用 `kubectl auth whoami` 查看当前身份；请重新登录或更换上下文。",
  },
});

/** @returns undefined if no limit was given */
export function millisecondsOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = Number(value);
  if (!/^\d+$/.test(value) || seconds < 1 || seconds > 3600) throw badValue("--timeout", value, ["60", "180", "600"]);
  return seconds * 1000;
}

/** `symptoms`, `sample`, `all`, or names of nodes with commas between; undefined for none. */
function nodesOf(value = "symptoms"): NodeChoice | undefined {
  if (value === "none") return undefined;
  return value === "symptoms" || value === "sample" || value === "all" ? value : value.split(",");
}

function debugPodsOf({ debugPods, debugImage }: Given): { readonly image?: string } | undefined {
  if (debugImage !== undefined) return { image: debugImage as string };
  return debugPods ? {} : undefined;
}

/** The API server could not be asked anything. */
export function noAnswer({ kind, message }: Failure, { server, context }: Connection): DiagnosisError {
  const where = { server: server.origin, why: verbatim(message) };
  if (kind === "unauthorized") {
    return new DiagnosisError("no-evidence", say.unauthorized({ ...where, context }), say.tryCredentials());
  }
  const says: Text = kind === "timeout" ? say.silent(where) : say.unreachable(where);
  const isCertificate = /certificate|self.signed|CERT_|altname/i.test(message);
  return new DiagnosisError("no-evidence", says, isCertificate ? say.tryCertificate() : say.tryServer());
}

/** Where the evidence goes, and how much of it. */
type Taking = Pick<ReadOptions, "intake" | "keepsAll">;

/** Between two readings: agents write what changed in less. Milliseconds. */
const BETWEEN_MS = 5000;
const BUDGET_MS = 180_000;

/**
 * Hands over a way to read the cluster of the context that the command line names.
 *
 * @throws DiagnosisError if no cluster is known, or its API server tells nothing
 */
export async function onCluster<T>(
  given: Given,
  surroundings: Surroundings,
  use: (read: (taking?: Taking) => Promise<Capture>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const {
    context,
    kubeconfig,
    timeout,
    nodes,
    nodeOutput = [],
  } = given as {
    readonly context?: string;
    readonly kubeconfig?: string;
    readonly timeout?: string;
    readonly nodes?: string;
    readonly nodeOutput?: readonly string[];
  };
  const choice = nodesOf(nodes);
  const until = Date.now() + (millisecondsOf(timeout) ?? BUDGET_MS);
  const connection = await connect({ context, kubeconfig });
  const line = progressLine(say.reading({ context: connection.context }), surroundings);
  try {
    return await interruptible((signal) => {
      const read = async (taking: Taking = {}) => {
        const { capture, contact } = await readCluster(connection, {
          ...taking,
          signal,
          namespaces: [given.namespace ?? []].flat() as string[],
          ...(choice && { nodes: choice }),
          debugPods: debugPodsOf(given),
          nodeOutputs: nodeOutput,
          helm: given.helm === true,
          progress: line.show,
          budgetMs: Math.max(1, until - Date.now()),
        });
        line.clear();
        if (contact.ok) return capture;
        const error = noAnswer(contact.failure, connection);
        if (capture.all("links").length === 0) throw error;
        // what nodes showed is diagnosed all the same
        const { err, lang } = surroundings;
        err(`${error.says[lang]}\n${error.hint[lang]}\n\n`);
        return capture;
      };
      return use(read, signal);
    });
  } finally {
    line.clear();
    connection.close();
  }
}

/** The evidence of a running cluster. */
export const readLive = (given: Given, surroundings: Surroundings, intake?: Intake): Promise<Capture> =>
  onCluster(given, surroundings, (read) => read(intake && { intake }));

/** The same command line once more, with Pods of ours. @param command with its arguments */
export function deeperLook(command: string, given: Given, { program }: Surroundings): Command {
  const repeated = ["kubeconfig", "context", "nodes", "timeout"].flatMap((name) =>
    given[name] === undefined ? [] : sh` --${name} ${given[name] as string}`,
  );
  return { run: `${program} ${command}${repeated.join("")} --debug-pods` };
}

/**
 * Diagnoses a running cluster: what only differs is read again before it is told.
 *
 * @param intake where each reading goes
 */
export async function diagnoseLive(
  given: Given,
  surroundings: Surroundings,
  diagnose: (capture: Capture) => Report,
  intake: () => Promise<Intake>,
): Promise<Report> {
  const report = await diagnoseSteadily(given, surroundings, diagnose, intake);
  return debugPodsOf(given) ? report : withDeeperLook(report, deeperLook("diagnose", given, surroundings));
}

function diagnoseSteadily(
  given: Given,
  surroundings: Surroundings,
  diagnose: (capture: Capture) => Report,
  intake: () => Promise<Intake>,
): Promise<Report> {
  return onCluster(given, surroundings, async (read, signal) => {
    let report = diagnose(await read({ intake: await intake() }));
    for (let readings = 1; readings < 3 && differing(report).length > 0; readings++) {
      const before = report.rootCauses.map(({ id }) => id);
      await sleep(BETWEEN_MS, undefined, { signal });
      report = diagnose(await read({ intake: await intake() }));
      const changing = differing(report).filter((id) => !before.includes(id));
      if (changing.length === 0) return report;
      if (readings === 2) return withoutChanging(report, changing);
    }
    return report;
  });
}

/** Ctrl-C ends what runs in good order, and then the process as Ctrl-C does; a second one ends it at once. */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let caught: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals) => {
    caught = signal;
    controller.abort(new Error(`ended by ${signal}`));
  };
  const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    return await run(controller.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    if (caught) process.kill(process.pid, caught);
  }
}
