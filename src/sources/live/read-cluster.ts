/**
 * A running cluster as a source of evidence: what its API server tells, taken in as a bundle would be.
 *
 * It only reads. Whatever happens to the API server meanwhile, it ends within its time, with what it got and the
 * reasons for what it did not get.
 */
import { type Capture, createIntake, type Intake } from "../../evidence/capture.ts";
import { known } from "../../evidence/observed.ts";
import { texts, verbatim } from "../../text.ts";
import { type ApiOptions, apiOf } from "./api.ts";
import type { Connection } from "./connection.ts";
import { debugPods } from "./debug-pod.ts";
import { kubeletsOf } from "./kubelets.ts";
import { isNode, readNodeOutput, readThisNode } from "./local-node.ts";
import { type FirstContact, greet, type Progress, readApi, tellText } from "./read-api.ts";
import { readHelmReleases } from "./read-helm.ts";
import { readLogs } from "./read-logs.ts";
import { readMetrics, readUsage } from "./read-metrics.ts";
import { chooseNodes, type NodeChoice, readNodes } from "./read-nodes.ts";
import { isReplay, readReplayedFiles } from "./read-replay.ts";

const say = texts("read-cluster", {
  outOfTime: {
    en: "the time for reading the cluster ran out after {seconds} s",
    zh: "读取集群的时间（{seconds} 秒）已用完",
  },
  apiServer: { en: "API server", zh: "API Server" },
  unreachable: { en: "{server} cannot be read: {why}", zh: "无法读取 {server}：{why}" },
});

export type ReadOptions = {
  readonly signal: AbortSignal;
  readonly progress?: Progress;
  /** Read in these where the whole cluster may not be listed. */
  readonly namespaces?: readonly string[];
  /** Which nodes are looked into; none of them if this is missing. */
  readonly nodes?: NodeChoice;
  /** Look into nodes with Pods of ours, too; `image`: not one that the node has, but this. */
  readonly debugPods?: { readonly image?: string } | undefined;
  /** Files with what the node script printed where it was run by hand. */
  readonly nodeOutputs?: readonly string[];
  /** Of all reading, milliseconds. */
  readonly budgetMs?: number;
  /** Read what Helm remembers of its releases, which is in Secrets. */
  readonly helm?: boolean;
  /** Where the evidence goes; a capture of its own otherwise. */
  readonly intake?: Intake;
  /** Objects as they are, and what nobody reads of a diagnosis: for who takes the evidence away. */
  readonly keepsAll?: boolean;
} & Pick<ApiOptions, "pauseMs" | "idleMs">;

export type LiveReading = {
  readonly capture: Capture;
  readonly contact: FirstContact;
  readonly requests: number;
};

const BUDGET_MS = 180_000;

/** Where components of the network and the control plane usually run. */
const SYSTEM_NAMESPACES = ["kube-system", "kube-flannel", "calico-system"];

/**
 * Reads all that a cluster tells.
 *
 * @throws the reason of `signal` if it is aborted, DiagnosisError for a file of `nodeOutputs` that is none
 */
export async function readCluster(connection: Connection, options: ReadOptions): Promise<LiveReading> {
  const { signal, progress = () => {}, budgetMs = BUDGET_MS, intake = createIntake(), namespaces = [] } = options;
  const startedAt = new Date();
  const api = apiOf(connection, { ...options, signal, deadline: startedAt.getTime() + budgetMs });
  progress("version");
  const contact = await greet(api, intake);
  if (contact.ok) {
    const own = connection.namespace === undefined ? [] : [connection.namespace];
    await readApi(api, intake, {
      namespaces: [...new Set([...namespaces, ...own, ...SYSTEM_NAMESPACES])],
      progress,
      keepsWhole: options.keepsAll === true,
    });
    if (options.helm && !isReplay(connection)) {
      progress("helm");
      await readHelmReleases(api, intake);
    }
    if (isReplay(connection)) await readReplayedFiles(api, intake, progress);
    else if (options.nodes !== undefined) {
      const found = intake.capture();
      const nodes = chooseNodes(found, options.nodes);
      const debug = options.debugPods && debugPods(connection, api, signal, options.debugPods.image);
      const kubelets = kubeletsOf(known(found.get("nodes"))?.items ?? []);
      await Promise.all([
        readLogs(api, found, intake, { nodes, kubelets, progress }),
        readMetrics(api, found, intake, progress),
      ]);
      if (options.keepsAll) await readUsage(api, intake, progress);
      await readNodes(api, connection, found, intake, { nodes, kubelets, signal, progress, debug });
    }
  } else {
    const server = verbatim(connection.server.origin);
    // where the API server cannot be asked, the node that we may be on still can
    if (isNode()) await readThisNode(intake.capture(), intake, signal);
    intake.note(say.apiServer().en, say.unreachable({ server, why: verbatim(contact.failure.message) }));
  }
  for (const path of options.nodeOutputs ?? []) await readNodeOutput(path, intake.capture(), intake);
  if (Date.now() >= api.deadline) intake.note("", say.outOfTime({ seconds: Math.round(budgetMs / 1000) }));
  if (!isReplay(connection)) tellText(intake, "cluster.json", clusterFile(connection, contact, startedAt));
  return { capture: intake.capture(), contact, requests: api.requests };
}

/** The times are those of the server's clock: it is that clock that the objects' times are of. */
function clusterFile(connection: Connection, contact: FirstContact, startedAt: Date): string {
  const { date = undefined, version = undefined } = contact.ok ? contact : {};
  const skew = date === undefined ? 0 : Date.parse(date) - startedAt.getTime();
  // the header has whole seconds only
  const offset = Math.abs(skew) < 2000 ? 0 : skew;
  const at = (time: number) => new Date(time + offset).toISOString();
  return JSON.stringify({
    bundle: "netwhy.bundle/v1",
    name: connection.cluster,
    startedAt: at(startedAt.getTime()),
    capturedAt: at(Date.now()),
    endedAt: at(Date.now()),
    ...(version !== undefined && { kubernetesVersion: version }),
  });
}
