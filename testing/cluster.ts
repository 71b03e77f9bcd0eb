/**
 * The cluster builder: the evidence of a healthy cluster of any size and shape, and of the same cluster after changes.
 *
 *   cluster({ nodes: 3 }).with({ do: "delete", target: ref("ClusterRole", "flannel") }).model()
 *
 * What agents write comes from src/model/agents, the same that `model.with()` uses; what they are given (objects, bare
 * nodes) is here. Nothing is random: the same options make the same cluster.
 */
import { type Capture, createIntake } from "../src/evidence/capture.ts";
import type { KindId, ListId, ObjectOf, ValueOf } from "../src/evidence/catalogue.ts";
import type { Place } from "../src/evidence/kind.ts";
import { unknown } from "../src/evidence/observed.ts";
import { overlay } from "../src/evidence/overlay.ts";
import { pathOf } from "../src/evidence/path.ts";
import type { Change } from "../src/model/changes/change.ts";
import { captureWith, type Draft, draftOf } from "../src/model/changes/changes.ts";
import { type ClusterModel, modelOf } from "../src/model/model.ts";
import { ref } from "../src/model/ref.ts";
import { type Families, familiesIn } from "./cluster-addresses.ts";
import { bareNode, lookIntoPods, NOW, otherAgents } from "./cluster-nodes.ts";
import { clusterObjects, type Workloads } from "./cluster-objects.ts";

export type ClusterOptions = {
  readonly nodes?: number;
  /** kubeadm: control-plane Pods, DaemonSets; k3s: agents inside one process; managed: no control plane to be seen. */
  readonly flavour?: "kubeadm" | "k3s" | "managed";
  readonly workloads?: Workloads;
  /** kube-router runs as the enforcer of NetworkPolicies. */
  readonly enforcer?: boolean;
  /** The mode that kube-proxy is configured for; iptables if not said. */
  readonly proxy?: "iptables" | "nftables";
  /** IPv4 if not said. */
  readonly families?: Families;
};

export interface Cluster {
  /** The cluster after these changes, carried through to Pods, slices and nodes. */
  with(...changes: readonly Change[]): Cluster;
  /** The cluster with evidence edited by hand: what no agent and no change would do. */
  edit(...changes: readonly ((draft: Draft) => void)[]): Cluster;
  /** The cluster as seen by somebody who lacks this evidence; without a place, all evidence of the kind. */
  without(kind: KindId, place?: Place): Cluster;
  readonly capture: Capture;
  model(): ClusterModel;
}

function wrap(capture: Capture): Cluster {
  let model: ClusterModel | undefined;
  return {
    capture,
    with: (...changes) => wrap(captureWith(capture, changes, modelOf)).edit(lookIntoPods),
    edit(...edits) {
      const draft = draftOf(capture);
      for (const change of edits) change(draft);
      return wrap(draft.capture());
    },
    without(kind, place) {
      const places = place ? [place] : capture.all(kind).map((captured) => captured.place);
      const blind = unknown({ reason: "not-collected" }, { kind: "file", path: pathOf(kind, place) });
      return wrap(
        overlay(
          capture,
          (places.length > 0 ? places : [{}]).map((at) => ({ kind, place: at, observed: blind })),
        ),
      );
    },
    model() {
      model ??= modelOf(capture);
      return model;
    },
  };
}

/** A cluster of evidence from elsewhere: a recording, to be edited. */
export const clusterOf = wrap;

const small = new Map<string, Cluster>();

/** A healthy cluster. Small ones are made once: nothing that is done to a cluster changes it. */
export function cluster(options: ClusterOptions = {}): Cluster {
  if ((options.nodes ?? 3) > 10) return made(options);
  const key = JSON.stringify(options);
  if (!small.has(key)) small.set(key, made(options));
  return small.get(key)!;
}

function made({
  nodes = 3,
  flavour = "kubeadm",
  workloads = "shop",
  enforcer = false,
  proxy = "iptables",
  families: chosen = "ipv4",
}: ClusterOptions): Cluster {
  const draft = draftOf(createIntake().capture());
  draft.set("cluster", {}, { name: "built", capturedAt: NOW, kubernetesVersion: "v1.33.1" });
  draft.set("version", {}, { gitVersion: "v1.33.1" });
  const families = familiesIn(chosen);
  const lists = clusterObjects(nodes, flavour, workloads, enforcer, families);
  for (const list of Object.keys(lists) as ListId[])
    draft.setList(list, lists[list] as readonly ObjectOf<typeof list>[]);
  for (const object of lists.nodes) bareNode(draft, object, flavour, families);
  const inMode = (text: string): string => text.replace("mode: iptables", `mode: ${proxy}`);
  draft.setList(
    "configmaps",
    draft.list("configmaps").map(({ data, ...map }) => ({
      ...map,
      ...(data && { data: Object.fromEntries(Object.entries(data).map(([file, text]) => [file, inMode(text)])) }),
    })),
  );
  // workload controllers make the Pods, then agents write what they write when they start
  const owners = (["daemonsets", "deployments", "statefulsets"] as const).flatMap((list) =>
    lists[list].map(({ metadata }) =>
      ref(
        { daemonsets: "DaemonSet", deployments: "Deployment", statefulsets: "StatefulSet" }[list],
        metadata.name,
        metadata.namespace,
      ),
    ),
  );
  const started = wrap(draft.capture()).with(...owners.map((target): Change => ({ do: "patch", target, patch: {} })));
  const agents = owners.filter(({ kind, namespace }) => kind === "DaemonSet" || namespace === "kube-system");
  const running = started.with(...agents.map((component): Change => ({ do: "restart", component })));
  return running.edit((last) => otherAgents(last, flavour));
}

/** Shorthand for editing one piece of evidence of a node. */
export function editNode<K extends KindId>(
  draft: Draft,
  kind: K,
  node: string,
  change: (value: ValueOf<K>) => ValueOf<K>,
): void {
  const value = draft.get(kind, { node });
  if (value === undefined) throw new Error(`the built cluster has no ${kind} of ${node}`);
  draft.set(kind, { node }, change(value));
}
