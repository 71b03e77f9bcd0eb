/**
 * How long it takes to read many Pods from an API server, and in how much memory: `node bench/list.bench.ts`.
 *
 *   node bench/list.bench.ts                       50,000 Pods of 8 kB, from a bundle that `netwhy replay` serves
 *   node bench/list.bench.ts --kubeconfig FILE     the Pods of a cluster
 *
 *   curl       the same bytes, thrown away
 *   bytes      the same by Node: what no reader of ours can be faster than
 *   lines      every Pod as a line, as `collect` keeps them
 *   objects    as `diagnose` takes them in: the fields that are used, checked
 *   client     the list call of the official client library
 *
 * A real API server (1.33) that knows no WatchList sends pages. Pods as `fill.ts` makes them, 452 MB, two cores (2026-11):
 * curl 7.5 s; bytes 6.1 s, 198 MB; lines 9.8 s, 270 MB; objects 15.6 s, 409 MB; client 19.3 s, 2,524 MB. Of the objects' time
 * nearly all is our own CPU: taking them apart, 40 %; JSON.parse, 20 %; checking and keeping each text once, 30 %.
 * Such a server needs GOMEMLIMIT and a machine of its own: with 4GiB it took 5.1 GB, without it grew beyond 6 GB and was ended.
 *
 * Each is a process of its own; the best of three runs is told. The time is that of the list, when Node and the client
 * library have been loaded and the connection is known; CPU and the most memory are those of the whole process.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createIntake } from "../src/evidence/capture.ts";
import { catalogue } from "../src/evidence/catalogue.ts";
import type { Kind } from "../src/evidence/kind.ts";
import { known } from "../src/evidence/observed.ts";
import { apiOf } from "../src/sources/live/api.ts";
import { connect } from "../src/sources/live/connection.ts";
import { readList } from "../src/sources/live/list.ts";

const PODS = 50_000;
const PATH = "/api/v1/pods";
const RUNS = 3;
const SELF = fileURLToPath(import.meta.url);
const MAIN = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const NODE = [process.execPath, "--disable-warning=ExperimentalWarning"] as const;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

type Measured = { readonly ms: number; readonly cpuMs: number; readonly rssMb: number; readonly what: string };

/** What is ready to be timed, and what it is then to be told of. */
type Ready = () => Promise<string>;

async function measured(makeReady: () => Promise<Ready>): Promise<void> {
  const run = await makeReady();
  const started = performance.now();
  const what = await run();
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage();
  const result: Measured = { ms, cpuMs: (user + system) / 1000, rssMb: process.resourceUsage().maxRSS / 1024, what };
  print(JSON.stringify(result));
}

async function withApi(kubeconfig: string, use: (api: ReturnType<typeof apiOf>) => Promise<string>): Promise<Ready> {
  const connection = await connect({ kubeconfig });
  const api = apiOf(connection, {
    signal: new AbortController().signal,
    deadline: Date.now() + 600_000,
    idleMs: 120_000,
  });
  return async () => {
    try {
      return `${await use(api)}, ${api.requests} requests`;
    } finally {
      connection.close();
    }
  };
}

const READERS: Readonly<Record<string, (kubeconfig: string) => Promise<Ready>>> = {
  bytes: (kubeconfig) =>
    withApi(kubeconfig, async (api) => {
      let count = 0;
      const answer = await api.get(PATH, {
        isLong: true,
        onBytes: (piece) => {
          count += piece.length;
        },
      });
      if (!answer.ok) throw new Error(answer.failure.message);
      return `${(count / 1e6).toFixed(0)} MB`;
    }),
  lines: (kubeconfig) =>
    withApi(kubeconfig, async (api) => {
      let bytes = 0;
      const sink = () => {
        bytes = 0;
        return {
          write: (line: string) => {
            bytes += line.length;
          },
          end: () => {},
        };
      };
      const { count, failure } = await readList(api, PATH, sink);
      if (failure) throw new Error(failure.message);
      return `${count} Pods, ${(bytes / 1e6).toFixed(0)} MB`;
    }),
  objects: (kubeconfig) =>
    withApi(kubeconfig, async (api) => {
      const intake = createIntake();
      const projection = (catalogue.pods as Kind<unknown>).projection?.();
      const { failure } = await readList(
        api,
        PATH,
        () => intake.open("api/v1/pods.jsonl")!,
        projection && { projection },
      );
      if (failure) throw new Error(failure.message);
      return `${known(intake.capture().get("pods"))?.items.length} Pods`;
    }),
  async client(kubeconfig) {
    const name = "@kubernetes/client-node";
    const { KubeConfig, CoreV1Api } = await import(name);
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    // it wants to be told that there is no certificate to verify where there is no TLS
    config.clusters = config.clusters.map((one: object) => ({ ...one, skipTLSVerify: true }));
    const api = config.makeApiClient(CoreV1Api);
    return async () => `${(await api.listPodForAllNamespaces()).items.length} Pods, 1 request`;
  },
};

/** A Pod as a cluster has it: a third of it is who wrote which field. */
function pod(index: number): string {
  const name = `app-${index % 500}-6c46c7644b-${index.toString(36).padStart(5, "0")}`;
  const labels = { app: `app-${index % 500}`, "pod-template-hash": "6c46c7644b" };
  const container = (n: number) => ({
    name: `c${n}`,
    image: `registry.example.com/team/app-${n}:v1.2.${index % 9}`,
    args: ["--listen=:8080", "--log-level=info", `--shard=${index % 16}`],
    ports: [{ name: "http", containerPort: 8080 + n, protocol: "TCP" }],
    env: Array.from({ length: 12 }, (_, at) => ({ name: `SETTING_${at}`, value: `value of setting ${at} "quoted"` })),
    resources: { limits: { cpu: "1", memory: "512Mi" }, requests: { cpu: "100m", memory: "128Mi" } },
    volumeMounts: [
      { name: "kube-api-access", readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" },
    ],
    readinessProbe: {
      httpGet: { path: "/ready", port: "http", scheme: "HTTP" },
      periodSeconds: 10,
      failureThreshold: 3,
    },
    terminationMessagePath: "/dev/termination-log",
    imagePullPolicy: "IfNotPresent",
  });
  const fields = (depth: number): object =>
    depth === 0
      ? {}
      : Object.fromEntries(["f:name", "f:image", `k:{"name":"c${depth}"}`].map((key) => [key, fields(depth - 1)]));
  const times = "2026-11-21T22:51:13Z";
  const address = `10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      generateName: `app-${index % 500}-6c46c7644b-`,
      namespace: `team-${index % 50}`,
      uid: `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`,
      resourceVersion: String(100_000 + index),
      creationTimestamp: times,
      labels,
      annotations: { "example.com/checksum": "f1c46f35562ac8b290a48cff6cb21498" },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: `app-${index % 500}-6c46c7644b`,
          uid: "u",
          controller: true,
        },
      ],
      managedFields: ["kube-controller-manager", "kubelet"].map((manager) => ({
        manager,
        operation: "Update",
        apiVersion: "v1",
        time: times,
        fieldsType: "FieldsV1",
        fieldsV1: fields(4),
      })),
    },
    spec: {
      nodeName: `node-${index % 1000}`,
      serviceAccountName: "default",
      containers: [container(0), container(1)],
      volumes: [{ name: "kube-api-access", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }],
    },
    status: {
      phase: "Running",
      podIP: address,
      podIPs: [{ ip: address }],
      hostIP: "192.168.50.10",
      startTime: times,
      conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({
        type,
        status: "True",
        lastProbeTime: null,
        lastTransitionTime: times,
      })),
      containerStatuses: [0, 1].map((n) => ({
        name: `c${n}`,
        ready: true,
        restartCount: 0,
        state: { running: { startedAt: times } },
        image: `registry.example.com/team/app-${n}:v1`,
        imageID: `sha256:07a61f573994e79af1d162835d102473a0dc16621c9a09ba4e33dc9bc66592ef`,
        containerID: `containerd://66eaae9f19202d482a4a3a399af9fa45a80ac914eba350d854048d99b8393207`,
      })),
    },
  };
  return JSON.stringify(object);
}

/** A bundle of nothing but Pods, served. @returns the kubeconfig */
async function serve(folder: string): Promise<{ server: ChildProcess; kubeconfig: string }> {
  mkdirSync(join(folder, "bundle/api/v1"), { recursive: true });
  const file = openSync(join(folder, "bundle/api/v1/pods.jsonl"), "w");
  let bytes = 0;
  for (let index = 0; index < PODS; index++) bytes += writeSync(file, `${pod(index)}\n`);
  closeSync(file);
  print(`${PODS} Pods, ${(bytes / PODS / 1000).toFixed(1)} kB each`);
  const kubeconfig = join(folder, "kubeconfig");
  const [node, ...args] = NODE;
  const server = spawn(node, [...args, MAIN, "replay", join(folder, "bundle"), "--kubeconfig", kubeconfig], {
    stdio: "ignore",
  });
  while (!existsSync(kubeconfig)) await sleep(200);
  return { server, kubeconfig };
}

/** How curl asks the server of a kubeconfig: without TLS, or with the certificates that kubeadm writes into it. */
function curlArguments(kubeconfig: string, folder: string): string[] | undefined {
  const text = readFileSync(kubeconfig, "utf8");
  const server = /^\s*"?server"?:\s*"?(https?:[^"\s]+)/m.exec(text)?.[1];
  if (server === undefined) return undefined;
  const certificates = { cacert: "certificate-authority", cert: "client-certificate", key: "client-key" };
  const given = Object.entries(certificates).flatMap(([option, name]) => {
    const data = new RegExp(`^\\s*${name}-data: (\\S+)`, "m").exec(text)?.[1];
    if (data === undefined) return [];
    writeFileSync(join(folder, option), Buffer.from(data, "base64"), { mode: 0o600 });
    return [`--${option}`, join(folder, option)];
  });
  return [...given, `${server}${PATH}`];
}

function best(runs: readonly Measured[]): Measured {
  return runs.reduce((a, b) => (b.ms < a.ms ? b : a));
}

function curl(args: readonly string[]): Measured {
  const started = performance.now();
  const form = "%{size_download} bytes";
  // by the name of curl it would be sent indented: twice the bytes
  const options = ["-s", "-A", "netwhy", "-o", "/dev/null", "-w", form];
  const what = execFileSync("curl", [...options, ...args], { encoding: "utf8" });
  return { ms: performance.now() - started, cpuMs: Number.NaN, rssMb: Number.NaN, what };
}

function reader(name: string, kubeconfig: string): Measured {
  const [node, ...args] = NODE;
  return JSON.parse(execFileSync(node, [...args, SELF, name, kubeconfig], { encoding: "utf8" })) as Measured;
}

function tell(name: string, { ms, cpuMs, rssMb, what }: Measured, base?: Measured): void {
  const ratio = base ? `${(ms / base.ms).toFixed(2)} × curl` : "";
  const more = Number.isNaN(cpuMs) ? "" : `CPU ${cpuMs.toFixed(0)} ms, ${rssMb.toFixed(0)} MB`;
  print(`${name.padEnd(8)} ${ms.toFixed(0).padStart(6)} ms  ${ratio.padEnd(12)} ${more.padEnd(22)} ${what}`);
}

async function main([first, second]: readonly string[]): Promise<void> {
  const read = first === undefined ? undefined : READERS[first];
  if (read && second !== undefined) return measured(() => read(second));
  const folder = mkdtempSync(join(tmpdir(), "netwhy-bench-"));
  const made = first === "--kubeconfig" ? undefined : await serve(folder);
  try {
    const kubeconfig = made?.kubeconfig ?? second!;
    const repeated = (run: () => Measured) => best(Array.from({ length: RUNS }, run));
    const args = curlArguments(kubeconfig, folder);
    const base = args && repeated(() => curl(args));
    if (base) tell("curl", base);
    for (const name of Object.keys(READERS))
      tell(
        name,
        repeated(() => reader(name, kubeconfig)),
        base,
      );
  } finally {
    made?.server.kill();
    if (made) await once(made.server, "close");
    rmSync(folder, { recursive: true });
  }
}

await main(process.argv.slice(2));
