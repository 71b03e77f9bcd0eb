/** What is done to a cluster to break it or to mend it, as data: the process that mends must not need the one that broke. */
import { spawn } from "node:child_process";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../../src/sources/live/connection.ts";
import { execIn } from "../../src/sources/live/exec.ts";

/** Everything of ours that has a namespace is here; it is removed in the end. */
export const NAMESPACE = "netwhy-test";

export type Step =
  | {
      readonly do: "request";
      readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
      readonly path: string;
      readonly body?: object;
      /** These are as good as success: to mend what is well is no failure. */
      readonly unless?: readonly number[];
    }
  /** A script as root in the node's own namespaces, by the Pod that we have there. */
  | { readonly do: "node"; readonly node: string; readonly script: string }
  /** On this machine: how a cluster's owner stops what the Kubernetes API cannot. */
  | { readonly do: "command"; readonly run: string; readonly node: string }
  /** Until an object is gone, or a node or all Pods of a DaemonSet ready. */
  | { readonly do: "wait"; readonly until: "gone" | "ready"; readonly path: string };

/** Of a script. */
const LIMIT_MS = 60_000;
/** Of waiting: an image may have to be pulled. */
const WAIT_MS = 150_000;

export type Response = { readonly status: number; readonly text: string };

/** One request, whatever it is. */
export async function send(
  connection: Connection,
  { method, path, body }: Pick<Step & { do: "request" }, "method" | "path" | "body">,
): Promise<Response> {
  const { server } = connection;
  const options = await connection.requestOptions();
  const type =
    method !== "PATCH" ? "application/json" : `application/${Array.isArray(body) ? "json-patch" : "merge-patch"}+json`;
  return new Promise((resolve, reject) => {
    const sent = (server.protocol === "https:" ? httpsRequest : httpRequest)(
      {
        ...options,
        hostname: server.hostname.replace(/^\[|\]$/g, ""),
        port: server.port,
        path: server.pathname.replace(/\/+$/, "") + path,
        method,
        headers: { accept: "application/json", "content-type": type, ...options.headers },
        timeout: 10_000,
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece) => {
          text += piece;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", reject);
      },
    );
    sent.on("timeout", () => sent.destroy(new Error("no answer within 10 s")));
    sent.on("error", reject);
    sent.end(body && JSON.stringify(body));
  });
}

export const handOn = (node: string): string => `hand-${node.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-")}`;

/** Enters the node's own namespaces, or at least its files. */
const ENTER = `if command -v nsenter >/dev/null; then exec nsenter -t 1 -m -u -i -n -p -- sh -c "$1"; else exec chroot /proc/1/root sh -c "$1"; fi`;

/**
 * Runs a script on a node.
 *
 * @param input what it may read; its end is not told
 * @returns what it printed
 * @throws if it fails
 */
export async function onNode(connection: Connection, node: string, script: string, input = ""): Promise<string> {
  let printed = "";
  const outcome = await execIn(
    connection,
    { namespace: NAMESPACE, pod: handOn(node), container: "hand" },
    ["sh", "-c", ENTER, "sh", `PATH=$PATH:/usr/sbin:/sbin; ${script}`],
    {
      input,
      onText: (piece) => {
        printed += piece;
      },
      limitMs: LIMIT_MS,
      signal: new AbortController().signal,
    },
  );
  if (!outcome.ok) throw new Error(`on ${node}: ${script}: ${outcome.message} ${printed}`);
  return printed;
}

async function run(command: string, node: string): Promise<void> {
  const child = spawn("sh", ["-c", command], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, NETWHY_NODE: node },
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`${command}: exit ${code}`);
}

type Readiness = {
  status?: {
    conditions?: { type: string; status: string }[];
    numberReady?: number;
    desiredNumberScheduled?: number;
  };
};

function isReady(text: string): boolean {
  const { conditions, numberReady, desiredNumberScheduled = 0 } = (JSON.parse(text) as Readiness).status ?? {};
  if (numberReady !== undefined) return desiredNumberScheduled > 0 && numberReady === desiredNumberScheduled;
  return conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

async function waited(connection: Connection, { until, path }: Step & { do: "wait" }): Promise<void> {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const { status, text } = await send(connection, { method: "GET", path });
    if (until === "gone" ? status === 404 : status === 200 && isReady(text)) return;
    if (Date.now() > end) throw new Error(`${path} is not ${until} after ${WAIT_MS / 1000} s`);
    await sleep(500);
  }
}

/** @throws if it fails */
export async function carryOut(connection: Connection, step: Step): Promise<void> {
  if (step.do === "command") await run(step.run, step.node);
  else if (step.do === "node") await onNode(connection, step.node, step.script);
  else if (step.do === "wait") await waited(connection, step);
  else {
    const { status, text } = await send(connection, step);
    if ((status < 200 || status >= 300) && !step.unless?.includes(status)) {
      throw new Error(`${step.method} ${step.path}: ${status} ${text.slice(0, 300)}`);
    }
  }
}
