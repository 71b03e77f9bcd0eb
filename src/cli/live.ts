/** Reads the running cluster that the command line means, tells on a terminal how far it is, and can be interrupted. */
import { DiagnosisError } from "../errors.ts";
import type { Capture } from "../evidence/capture.ts";
import type { Failure } from "../sources/live/api.ts";
import { type Connection, connect } from "../sources/live/connection.ts";
import { readCluster } from "../sources/live/read-cluster.ts";
import type { NodeChoice } from "../sources/live/read-nodes.ts";
import { type Text, texts, verbatim } from "../text.ts";
import type { Given } from "./commands.ts";
import { type ProgressLine, progressLine } from "./progress-line.ts";
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

function secondsOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = Number(value);
  if (!/^\d+$/.test(value) || seconds < 1 || seconds > 3600) throw badValue("--timeout", value, ["60", "180", "600"]);
  return seconds * 1000;
}

/** `symptoms`, `sample`, `all`, or names of nodes with commas between. */
function nodesOf(value = "symptoms"): NodeChoice {
  return value === "symptoms" || value === "sample" || value === "all" ? value : value.split(",");
}

function debugPodsOf({ debugPods, debugImage }: Given): { readonly image?: string } | undefined {
  if (debugImage !== undefined) return { image: debugImage as string };
  return debugPods ? {} : undefined;
}

/** The API server could not be asked anything. */
function noAnswer({ kind, message }: Failure, { server, context }: Connection): DiagnosisError {
  const where = { server: server.origin, why: verbatim(message) };
  if (kind === "unauthorized") {
    return new DiagnosisError("no-evidence", say.unauthorized({ ...where, context }), say.tryCredentials());
  }
  const says: Text = kind === "timeout" ? say.silent(where) : say.unreachable(where);
  const isCertificate = /certificate|self.signed|CERT_|altname/i.test(message);
  return new DiagnosisError("no-evidence", says, isCertificate ? say.tryCertificate() : say.tryServer());
}

/**
 * Reads the cluster of the context that the command line names.
 *
 * @throws DiagnosisError if no cluster is known, or its API server tells nothing
 */
export async function readLive(given: Given, surroundings: Surroundings): Promise<Capture> {
  const { context, kubeconfig, namespace, timeout } = given as {
    readonly context?: string;
    readonly kubeconfig?: string;
    readonly namespace: readonly string[];
    readonly timeout?: string;
  };
  const budgetMs = secondsOf(timeout);
  const connection = await connect({ context, kubeconfig });
  const line: ProgressLine = progressLine(say.reading({ context: connection.context }), surroundings);
  try {
    return await interruptible(async (signal) => {
      const { capture, contact } = await readCluster(connection, {
        signal,
        namespaces: namespace,
        nodes: nodesOf(given.nodes as string | undefined),
        debugPods: debugPodsOf(given),
        nodeOutputs: given.nodeOutput as readonly string[],
        progress: line.show,
        ...(budgetMs !== undefined && { budgetMs }),
      });
      if (contact.ok) return capture;
      const error = noAnswer(contact.failure, connection);
      if (capture.all("links").length === 0) throw error;
      // what nodes showed is diagnosed all the same
      line.clear();
      surroundings.err(`${error.says[surroundings.lang]}\n${error.hint[surroundings.lang]}\n\n`);
      return capture;
    });
  } finally {
    line.clear();
    connection.close();
  }
}

/** Ctrl-C ends what runs in good order, and then the process as Ctrl-C does; a second one ends it at once. */
async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
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
