/** The cluster that NETWHY_KUBECONFIG names, as tests look at it, break it, and have it mended. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ObjectOf } from "../../src/evidence/catalogue.ts";
import type { Report } from "../../src/report/report.ts";
import { connect } from "../../src/sources/live/connection.ts";
import { toolImage } from "../../src/sources/live/debug-pod.ts";
import type { Order, Outcome } from "./mender.ts";
import { carryOut, handOn, NAMESPACE, onNode, type Response, type Step, send } from "./steps.ts";

export const KUBECONFIG = process.env.NETWHY_KUBECONFIG;

const SOURCES = fileURLToPath(new URL("../../src/", import.meta.url));
const MENDER = fileURLToPath(new URL("mender.ts", import.meta.url));
const NODE_ARGS = ["--disable-warning=ExperimentalWarning"];

export type Said = { readonly out: string; readonly err: string; readonly code: number | null };

/** Any object of the API. */
export type Thing = { readonly metadata: { readonly name: string; readonly namespace?: string } } & Record<
  string,
  unknown
>;

/** Something that is broken until it is disposed of. */
export type Damage = AsyncDisposable & { mend(): Promise<void> };

export interface LiveCluster extends AsyncDisposable {
  readonly nodes: readonly ObjectOf<"nodes">[];
  netwhy(...args: readonly string[]): Promise<Said>;
  /** @param kubeconfig of somebody else */
  diagnose(args?: readonly string[], kubeconfig?: string): Promise<{ readonly report: Report } & Said>;
  /** Asks again and again until it is so. @throws with what was said last, if it never is */
  until(isSo: (report: Report) => boolean, what: string, args?: readonly string[]): Promise<Report>;
  collect(args?: readonly string[]): Promise<string>;
  list<T = Thing>(path: string): Promise<readonly T[]>;
  send(method: "GET" | "POST", path: string, body?: object): Promise<Response>;
  /** A script on a node, as root. @returns what it printed */
  on(node: string, script: string, input?: string): Promise<string>;
  /** Makes sure that it will be mended, and breaks it. */
  damage(breaking: readonly Step[], mending: readonly Step[]): Promise<Damage>;
  /** A kubeconfig for the same API server and another user. */
  configWith(user: object, server?: string): string;
  /** A kubeconfig's path, of a ServiceAccount in our namespace. */
  configOf(account: string): Promise<string>;
  /** A file that is removed in the end. */
  file(name: string, text?: string): string;
}

/** How long what agents and controllers do takes at most. Milliseconds. */
const PATIENCE = 150_000;

/** The mender outlives whoever started it. */
function startMender(kubeconfig: string) {
  const child = spawn(process.execPath, [...NODE_ARGS, MENDER, kubeconfig], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const waiting = new Map<number, (outcome: Outcome) => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const outcome = JSON.parse(line) as Outcome;
    waiting.get(outcome.id)?.(outcome);
  });
  child.on("close", (code) => {
    for (const [id, tell] of waiting) tell({ id, failed: `the mender ended with ${code}` });
  });
  const ask = async (id: number, order: Order) => {
    const answer = new Promise<Outcome>((resolve) => waiting.set(id, resolve));
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const { failed } = await answer;
    if (failed !== undefined) throw new Error(failed);
  };
  let last = 0;
  return {
    async promise(mend: readonly Step[]): Promise<number> {
      const id = ++last;
      await ask(id, { id, mend });
      return id;
    },
    mend: (id: number) => ask(id, { done: id }),
    async end() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "close");
    },
  };
}

const NAMESPACE_OBJECT = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: NAMESPACE, labels: { "pod-security.kubernetes.io/enforce": "privileged" } },
};

/** A Pod that does on a node what we ask of it. */
function hand(node: string, image: string) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: handOn(node), labels: { app: "hand" } },
    spec: {
      nodeName: node,
      hostNetwork: true,
      hostPID: true,
      hostIPC: true,
      dnsPolicy: "Default",
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      tolerations: [{ operator: "Exists" }],
      containers: [
        {
          name: "hand",
          image,
          imagePullPolicy: process.env.NETWHY_NODE_IMAGE ? "IfNotPresent" : "Never",
          command: ["sh", "-c", "while :; do sleep 3600; done"],
          securityContext: { privileged: true },
        },
      ],
    },
  };
}

/** @throws if the cluster cannot be used at all */
export async function liveCluster(): Promise<LiveCluster> {
  const connection = await connect({ kubeconfig: KUBECONFIG });
  const folder = mkdtempSync(join(tmpdir(), "netwhy-cluster-"));
  const mender = startMender(KUBECONFIG!);
  let files = 0;

  async function list<T = Thing>(path: string): Promise<readonly T[]> {
    const { status, text } = await send(connection, { method: "GET", path });
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text.slice(0, 300)}`);
    return (JSON.parse(text) as { items: T[] }).items;
  }

  async function netwhy(...args: readonly string[]): Promise<Said> {
    const child = spawn(process.execPath, [...NODE_ARGS, join(SOURCES, "cli/main.ts"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { out: "", err: "", code: null as number | null };
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said.out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said.err += text;
    });
    [said.code] = (await once(child, "close")) as [number | null];
    return said;
  }

  async function diagnose(args: readonly string[] = ["--debug-pods"], kubeconfig = KUBECONFIG!) {
    const said = await netwhy("diagnose", "--kubeconfig", kubeconfig, "-o", "json", ...args);
    if (said.out === "") throw new Error(`no report, exit ${said.code}: ${said.err}`);
    return { ...said, report: JSON.parse(said.out) as Report };
  }

  function configWith(user: object, address = connection.server.href): string {
    const { caData, caFile, skipTLSVerify, tlsServerName } = connection.config.getCurrentCluster()!;
    const server = {
      server: address,
      ...(caData && { "certificate-authority-data": caData }),
      ...(caFile && { "certificate-authority": caFile }),
      ...(skipTLSVerify && { "insecure-skip-tls-verify": true }),
      ...(tlsServerName && { "tls-server-name": tlsServerName }),
    };
    return JSON.stringify({
      clusters: [{ name: "it", cluster: server }],
      users: [{ name: "somebody", user }],
      contexts: [{ name: "it", context: { cluster: "it", user: "somebody" } }],
      "current-context": "it",
    });
  }

  function file(name: string, text?: string): string {
    const path = join(folder, name);
    if (text !== undefined) writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  async function damage(breaking: readonly Step[], mending: readonly Step[]): Promise<Damage> {
    const id = await mender.promise(mending);
    let isMended = false;
    const mend = async () => {
      if (isMended) return;
      isMended = true;
      await mender.mend(id);
    };
    try {
      for (const step of breaking) await carryOut(connection, step);
    } catch (error) {
      await mend();
      throw error;
    }
    return { mend, [Symbol.asyncDispose]: mend };
  }

  const namespace = `/api/v1/namespaces/${NAMESPACE}`;
  const nodes = await list<ObjectOf<"nodes"> & { status: { images?: { names?: string[] }[] } }>("/api/v1/nodes");
  // an earlier run may have been cut off with its mender
  await carryOut(connection, { do: "request", method: "DELETE", path: namespace, unless: [404, 409] });
  await carryOut(connection, { do: "wait", until: "gone", path: namespace });
  await damage(
    [
      { do: "request", method: "POST", path: "/api/v1/namespaces", body: NAMESPACE_OBJECT },
      ...nodes.map(({ metadata: { name }, status }): Step => {
        const image = process.env.NETWHY_NODE_IMAGE ?? toolImage((status.images ?? []).map(({ names = [] }) => names));
        if (image === undefined) throw new Error(`${name} has no image with a shell: name one in NETWHY_NODE_IMAGE`);
        return { do: "request", method: "POST", path: `${namespace}/pods`, body: hand(name, image) };
      }),
    ],
    [
      { do: "request", method: "DELETE", path: namespace, unless: [404, 409] },
      { do: "wait", until: "gone", path: namespace },
    ],
  );
  const started = Date.now();
  for (;;) {
    const hands = await list<ObjectOf<"pods">>(`${namespace}/pods?labelSelector=app%3Dhand`);
    const waiting = hands.filter(({ status }) => status?.phase !== "Running");
    if (waiting.length === 0 && hands.length === nodes.length) break;
    if (Date.now() - started > PATIENCE) {
      await mender.end();
      throw new Error(`Pods do not start: ${JSON.stringify(waiting.map(({ status }) => status))}`);
    }
    await sleep(1000);
  }

  return {
    nodes,
    netwhy,
    diagnose,
    async until(isSo, what, args) {
      const end = Date.now() + PATIENCE;
      for (;;) {
        const { report } = await diagnose(args);
        if (isSo(report)) return report;
        if (Date.now() > end) throw new Error(`never ${what}; at last: ${briefly(report)}`);
        await sleep(3000);
      }
    },
    async collect(args = ["--debug-pods"]) {
      const path = join(folder, `bundle-${++files}.tar.gz`);
      const { code, err } = await netwhy("collect", "--kubeconfig", KUBECONFIG!, "-o", path, ...args);
      if (code !== 0) throw new Error(`collect: exit ${code}: ${err}`);
      return path;
    },
    list,
    send: (method, path, body) => send(connection, { method, path, ...(body && { body }) }),
    on: (node, script, input) => onNode(connection, node, script, input),
    damage,
    configWith,
    async configOf(account) {
      const { text } = await send(connection, {
        method: "POST",
        path: `${namespace}/serviceaccounts/${account}/token`,
        body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3600 } },
      });
      const { token } = (JSON.parse(text) as { status: { token: string } }).status;
      return file(`${account}.conf`, configWith({ token }));
    },
    file,
    async [Symbol.asyncDispose]() {
      await mender.end();
      const left = await list(`/api/v1/pods?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dnetwhy-debug`);
      connection.close();
      rmSync(folder, { recursive: true });
      if (left.length > 0) throw new Error(`left behind: ${left.map(({ metadata: { name } }) => name).join(", ")}`);
    },
  };
}

/** What a report says, for who reads that a test failed. */
export function briefly({ verdict, rootCauses, unexplained, blindSpots, summary }: Report): string {
  const roots = rootCauses.map(({ id, latent }) => (latent ? `${id} (latent)` : id));
  const blind = blindSpots.filter(({ matters }) => matters.length > 0).map(({ what, why }) => ({ what, why }));
  return JSON.stringify({ verdict, roots, unexplained: unexplained.length, blind, summary }).slice(0, 3000);
}
