/**
 * What nodes show: node-script.sh, run where it can be run, in the order of ways.ts; each file is taken from the first
 * place that has it.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Capture, Intake } from "../../evidence/capture.ts";
import { catalogue, type KindId, type ObjectOf } from "../../evidence/catalogue.ts";
import type { Kind } from "../../evidence/kind.ts";
import { known } from "../../evidence/observed.ts";
import { filledWith, pathOf } from "../../evidence/path.ts";
import type { Api } from "./api.ts";
import type { Connection } from "./connection.ts";
import type { DebugPods } from "./debug-pod.ts";
import { execIn, type Target } from "./exec.ts";
import type { Kubelets } from "./kubelets.ts";
import { nodeAgents } from "./node-agent.ts";
import { type NodeFile, type NodeOutputReader, nodeOutput } from "./node-output.ts";
import { type Progress, tellFailure, tellText } from "./read-api.ts";
import { WAYS, type Way } from "./ways.ts";

export const nodeScript = (): string => readFileSync(new URL("node-script.sh", import.meta.url), "utf8");

type Pod = ObjectOf<"pods">;

/** How far from the node a place is: what an agent cannot see of it, see node-script.sh. */
export type Mode = "agent" | "debug" | "host";

/** What is known of one node: the first of each file counts, and of what failed everywhere the first reason. */
export interface NodeIntake {
  take(path: string, file: NodeFile): void;
  /** Takes what the script prints at one place. */
  reader(mark: string): NodeOutputReader;
  /** Whether the network of Pods could be looked into. */
  readonly sawPods: boolean;
  fail(message: string): void;
  /** Tells why one file could not be had at one place. */
  miss(path: string, message: string): void;
  /** Tells what could not be had. */
  end(): void;
}

/** Where a file of a node stands in a bundle: what a component counts, `metrics/kube-proxy.prom`, with the component. */
const placeOf = (node: string, path: string): string =>
  path.startsWith("metrics/") ? path.replace(/^metrics\/([\w-]+)/, `metrics/$1/${node}`) : `nodes/${node}/${path}`;

/** Files whose absence at one place says nothing: they are only where they are used. */
const SELDOM = /^(?:(?:wg|ipvsadm|nstat|ss-summary|modules|selinux|services)\.txt|ethtool)$/;

/** @param pods of the whole cluster: by them a network namespace gets its name */
export function nodeIntake(intake: Intake, node: string, pods: readonly Pod[]): NodeIntake {
  const had = new Set<string>();
  const failures = new Map<string, string>();
  const mine = pods.filter(({ spec }) => spec.nodeName === node && spec.hostNetwork !== true);
  const byUid = new Map(mine.map((pod) => [pod.metadata.uid, pod]));
  const byAddress = new Map(
    mine
      .filter(({ status }) => status?.phase === "Running")
      .flatMap((pod) => addressesOf(pod).map((address) => [address, pod] as const)),
  );
  let sawPods = false;

  function miss(path: string, message: string): void {
    if (!failures.has(path)) failures.set(path, message);
  }

  function take(path: string, { content, flaw }: NodeFile): void {
    if (had.has(path)) return;
    had.add(path);
    tellText(intake, placeOf(node, path), content, flaw);
  }

  /** To whom a network namespace belongs; undefined for those of nobody in the cluster. */
  function ownerOf(uid: string | undefined, files: ReadonlyMap<string, NodeFile>): Pod | undefined {
    const named = uid === undefined ? undefined : byUid.get(uid.replaceAll("_", "-"));
    if (named) return named;
    const addresses = files.get("ip-addr.json")?.content.matchAll(/"local":\s*"([^"]+)"/g) ?? [];
    for (const [, address = ""] of addresses) if (byAddress.has(address)) return byAddress.get(address);
    return undefined;
  }

  return {
    take,
    reader: (mark) =>
      nodeOutput(mark, {
        onFile: take,
        onMissing: miss,
        onNamespace(uid, files) {
          sawPods = true;
          const pod = ownerOf(uid, files);
          if (!pod) return;
          const { namespace, name } = pod.metadata;
          for (const [file, value] of files) {
            if (value.flaw === undefined || value.content.trim() !== "") {
              take(`pods/${namespace}/${name}/${file}`, value);
            }
          }
        },
      }),
    get sawPods() {
      return sawPods;
    },
    fail(message) {
      if (had.size > 0) return;
      for (const file of ["ip-addr.json", "ip-route.json", "iptables-save.txt", "nft-ruleset.json"]) {
        miss(file, message);
      }
    },
    miss,
    end() {
      for (const [path, message] of failures) {
        if (!had.has(path) && !SELDOM.test(path)) tellFailure(intake, placeOf(node, path), message);
      }
    },
  };
}

const addressesOf = ({ status }: Pod): string[] =>
  [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)].flatMap((ip) => ip ?? []);

/** Containers that share the node's network and have tools for it, the best equipped first. */
const AGENTS = [
  "kube-proxy",
  "cilium-agent",
  "calico-node",
  "kube-flannel",
  "antrea-agent",
  "kube-router",
  "kindnet-cni",
  "aws-node",
  "weave",
  "cni-server",
  "ovnkube-controller",
] as const;
const MOST_AGENTS = 3;

/** Where the script may be run on a node, in the order in which it is. */
export function agentsOn(node: string, pods: readonly Pod[]): Target[] {
  const places = pods
    .filter(({ spec, status }) => spec.nodeName === node && spec.hostNetwork === true && status?.phase === "Running")
    .flatMap(({ metadata, spec, status }) =>
      spec.containers
        .filter(({ name }) => status?.containerStatuses?.find((each) => each.name === name)?.state?.running)
        .map(({ name }) => ({ namespace: metadata.namespace ?? "", pod: metadata.name, container: name })),
    );
  return AGENTS.flatMap((name) => places.filter(({ container }) => container === name)).slice(0, MOST_AGENTS);
}

export type NodeChoice = "symptoms" | "sample" | "all" | readonly string[];

/** In a small cluster all nodes are looked into. */
const FEW_NODES = 10;
const MOST_SYMPTOMS = 12;
const SAMPLE = 3;

/** Which nodes are looked into: those where something shows, and some for comparison. */
export function chooseNodes(capture: Capture, choice: NodeChoice): string[] {
  const nodes = known(capture.get("nodes"))?.items ?? [];
  const pods = known(capture.get("pods"))?.items ?? [];
  // without the list, nodes are known by their Pods
  const names =
    nodes.length > 0 ? nodes.map(({ metadata }) => metadata.name) : pods.flatMap(({ spec }) => spec.nodeName ?? []);
  const all = [...new Set(names)].sort();
  if (typeof choice === "object") return all.filter((name) => choice.includes(name));
  if (choice === "all" || all.length <= FEW_NODES) return all;
  const troubles = new Map<string, number>();
  const count = (node: string | null | undefined, weight: number) => {
    if (node) troubles.set(node, (troubles.get(node) ?? 0) + weight);
  };
  for (const { metadata, status } of nodes) {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status !== "True") count(metadata.name, 100);
  }
  for (const { spec, status } of pods) {
    if (status?.phase === "Succeeded" || status?.phase === "Failed") continue;
    const isReady = status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
    if (!isReady) count(spec.nodeName, spec.hostNetwork === true ? 10 : 1);
  }
  const troubled = [...troubles].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name);
  const sick = choice === "sample" ? [] : troubled.filter((name) => all.includes(name)).slice(0, MOST_SYMPTOMS);
  const well = all.filter((name) => !troubles.has(name));
  // far apart in the alphabet is likely to be far apart in the cluster
  const step = Math.max(1, Math.floor(well.length / SAMPLE));
  const sample = well.filter((_, index) => index % step === 0).slice(0, SAMPLE);
  return [...new Set([...sick, ...sample])].sort();
}

export type ReadNodesOptions = {
  readonly nodes: readonly string[];
  readonly kubelets: Kubelets;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Makes Pods that see more of a node than its agents do. */
  readonly debug?: DebugPods | undefined;
};

const KUBELET_CONFIG = "files/var/lib/kubelet/config.yaml";

/** What a kubelet tells through the API server, for who may ask (`nodes/proxy`). */
async function readKubelet(api: Api, node: string, files: NodeIntake, kubelets: Kubelets): Promise<void> {
  const proxy = `/api/v1/nodes/${encodeURIComponent(node)}/proxy`;
  const ask = async (path: string, file: string) => {
    const { idleMs } = kubelets.patience(node);
    const { answer, text } = await api.text(proxy + path, { tries: 1, idleMs, isRelayed: true });
    if (answer.ok || answer.failure.kind !== "forbidden")
      kubelets.heard(node, answer.ok || answer.failure.kind !== "timeout");
    if (answer.ok) return text;
    const { kind, message } = answer.failure;
    // that it knows no such path says nothing about the node
    if (kind !== "not-found" && kind !== "refused") files.miss(file, `the kubelet: ${message}`);
    return undefined;
  };
  const text = await ask("/configz", KUBELET_CONFIG);
  if (text === undefined) return;
  // the configuration in force; JSON is YAML
  const config = /^\s*\{\s*"kubeletconfig"\s*:([\s\S]*)\}\s*$/.exec(text)?.[1];
  if (config !== undefined) files.take(KUBELET_CONFIG, { content: `${config}\n` });
  const log = await ask("/logs/?query=kubelet&tailLines=1500", "kubelet.log");
  // without the feature NodeLogQuery it is a page with the files of /var/log
  if (log !== undefined && !log.trimStart().startsWith("<")) files.take("kubelet.log", { content: log });
}

/** What the kubelet and kube-proxy count, as far as the API server gets to their ports (`nodes/proxy`). */
async function readCounters(api: Api, node: string, files: NodeIntake, kubelets: Kubelets): Promise<void> {
  const ask = async (kind: "kubeletMetrics" | "proxyMetrics" | "proxyHealth") => {
    const { how, path } = catalogue[kind] as Kind<unknown>;
    if (!("get" in how)) return;
    const file = path.replace("/{node}", "");
    const { answer, text } = await api.text(filledWith({ node: encodeURIComponent(node) }, how.get), {
      accept: "*/*",
      tries: 1,
      idleMs: kubelets.patience(node).idleMs,
      isRelayed: true,
    });
    // a kube-proxy that is not well says so with 503
    const told = answer.ok ? text : answer.body?.startsWith('{"lastUpdated"') ? answer.body : undefined;
    if (told !== undefined) files.take(file, { content: told });
    else if (!answer.ok) files.miss(file, answer.failure.message);
  };
  await Promise.all([ask("kubeletMetrics"), ask("proxyMetrics"), ask("proxyHealth")]);
}

/** What an agent knows and only its own command tells. */
async function readAgent(
  connection: Connection,
  intake: Intake,
  agent: Target,
  until: number,
  signal: AbortSignal,
): Promise<void> {
  for (const kind of Object.keys(catalogue) as KindId[]) {
    const { how } = catalogue[kind] as Kind<unknown>;
    if (!("exec" in how) || how.container !== agent.container) continue;
    const path = pathOf(kind, { namespace: agent.namespace, pod: agent.pod });
    let text = "";
    const outcome = await execIn(connection, agent, how.exec.split(" "), {
      input: "",
      onText: (piece) => {
        text += piece;
      },
      limitMs: Math.max(1, Math.min(until - Date.now(), 20_000)),
      signal,
    });
    if (outcome.ok) tellText(intake, path, text);
    else tellFailure(intake, path, outcome.message);
  }
}

/** Of one node, milliseconds. */
const NODE_LIMIT_MS = 60_000;
const AT_A_TIME = 4;

/** Looks into nodes. Only nodes that the capture shows, and its Pods, are known. */
export async function readNodes(
  api: Api,
  connection: Connection,
  capture: Capture,
  intake: Intake,
  { nodes, kubelets, signal, progress, debug }: ReadNodesOptions,
): Promise<void> {
  const pods = known(capture.get("pods"))?.items ?? [];
  const script = nodeScript();
  const ours = nodeAgents(api, pods);
  const waiting = [...nodes];
  const total = waiting.length;
  let done = 0;

  async function readNode(node: string): Promise<void> {
    const files = nodeIntake(intake, node, pods);
    const until = Math.min(api.deadline, Date.now() + NODE_LIMIT_MS);
    const run = (mode: Mode) => async (target: Target) => {
      const mark = `@@${randomUUID()}`;
      const reader = files.reader(mark);
      const outcome = await execIn(connection, target, ["sh", "-s", mode, mark], {
        input: script,
        onText: (piece) => reader.write(piece),
        limitMs: Math.max(1, until - Date.now()),
        signal,
      });
      reader.end(outcome.ok ? undefined : outcome.message);
      if (!outcome.ok) files.fail(`exec in ${target.namespace}/${target.pod}: ${outcome.message}`);
    };
    await Promise.all([readKubelet(api, node, files, kubelets), readCounters(api, node, files, kubelets)]);
    const agents = agentsOn(node, pods);
    const by: { readonly [W in Way]?: () => Promise<void> } = {
      agent: () => ours.read(node, files, Math.max(1, until - Date.now())),
      async "debug-pod"() {
        const why = await debug?.on(node, run("debug"));
        if (why !== undefined) files.fail(why);
      },
      async exec() {
        for (const agent of agents) if (Date.now() < until && !files.sawPods) await run("agent")(agent);
      },
    };
    const isSilent = kubelets.isSilent(node);
    if (isSilent) files.fail(`not tried: the kubelet of ${node} is silent, and all exec comes through it`);
    for (const { way } of WAYS)
      if (Date.now() < until && !files.sawPods && (way === "agent" || !isSilent)) await by[way]?.();
    if (!isSilent) for (const agent of agents) await readAgent(connection, intake, agent, until, signal);
    if (agents.length === 0) files.fail("no agent of the network runs there in which the node could be read");
    files.end();
    progress("nodes", ++done);
  }

  progress("nodes");
  await debug?.sweep();
  await Promise.all(
    Array.from({ length: Math.min(AT_A_TIME, total) }, async () => {
      for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) await readNode(node);
    }),
  );
}
