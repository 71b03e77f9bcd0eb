/**
 * The Pods that workload controllers make, and how a component's Pod shows after a restart.
 *
 * Pods are made as the controllers would (pkg/controller/{deployment,daemon,statefulset}), placed on the nodes in turn,
 * with the first free address of each of their node's ranges, and are ready unless something says otherwise.
 */
import { bitsOf, formatIp, nthAddress, type Prefix } from "../../net/ip.ts";
import type { CorefileError } from "../../parse/corefile/corefile.ts";
import type { LogDigest } from "../../parse/logs/digest.ts";
import { logDigestReader } from "../../parse/logs/digest.ts";
import type { Pod, Workload } from "../../parse/objects.ts";
import type { Component } from "../components/components.ts";
import type { ModelParts } from "../model.ts";
import { daemonPodBelongs, type NodeView } from "../nodes.ts";
import type { PodView } from "../pods.ts";
import type { Want } from "../rbac.ts";
import type { Ref } from "../ref.ts";

type Owner = Ref & { readonly namespace: string };

const START = "2026-11-21T02:00:00Z";

const MANY = 10;

/** Where Pods of a workload go: every node that a DaemonSet selects, else nodes without NoSchedule taints in turn. */
function placesFor(owner: Owner, workload: Workload, nodes: readonly NodeView[]): string[] {
  const usable = nodes.filter(({ object }) => object !== undefined);
  if (owner.kind === "DaemonSet") {
    return usable
      .filter(({ object }) => daemonPodBelongs(workload.spec.template.spec, object!))
      .map(({ name }) => name);
  }
  const open = usable.filter(
    ({ object }) => !(object!.spec?.taints ?? []).some(({ effect }) => effect === "NoSchedule"),
  );
  const targets = open.length > 0 ? open : usable;
  // in a large cluster workloads do not all begin at the same node
  const first = [...owner.name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 0) % targets.length;
  const offset = targets.length > MANY ? first : 0;
  return Array.from(
    { length: targets.length === 0 ? 0 : (workload.spec.replicas ?? 1) },
    (_, i) => targets[(offset + i) % targets.length]!.name,
  );
}

/** The addresses of Pods; podsOfWorkload adds those that it gives away. */
export function usedAddresses({ pods }: ModelParts): Set<string> {
  return new Set(pods.all.flatMap(({ addresses }) => addresses));
}

/** The pods that a workload has too few or too many of. */
export function podsOfWorkload(
  owner: Owner,
  workload: Workload,
  model: ModelParts,
  used: Set<string>,
): { add: Pod[]; remove: Pod[] } {
  const current = model.pods.ownedBy(owner).filter(({ finished }) => !finished);
  const template = workload.spec.template;
  const places = placesFor(owner, workload, model.nodes.all);
  const isCurrent = ({ labels }: PodView) =>
    Object.entries(template.metadata?.labels ?? {}).every(([key, value]) => labels[key] === value);
  const keep: PodView[] = [];
  const open = [...places];
  for (const pod of current) {
    const at = open.indexOf(pod.node ?? "");
    if (at < 0 || !isCurrent(pod)) continue;
    open.splice(at, 1);
    keep.push(pod);
  }
  const add = open.map((node, index) => podOf(owner, workload, node, keep.length + index, model, used));
  return { add, remove: current.filter((pod) => !keep.includes(pod)).map(({ object }) => object) };
}

function freeAddress(range: Prefix, used: Set<string>): string | undefined {
  for (let n = 2; n < 2 ** Math.min(bitsOf(range.ip.family) - range.length, 16) - 1; n++) {
    const address = formatIp(nthAddress(range, n));
    if (used.has(address)) continue;
    used.add(address);
    return address;
  }
  return undefined;
}

function podOf(
  owner: Owner,
  workload: Workload,
  node: string,
  index: number,
  model: ModelParts,
  used: Set<string>,
): Pod {
  const { template } = workload.spec;
  const view = model.nodes.get(node);
  const hostNetwork = template.spec.hostNetwork === true;
  const addresses = hostNetwork
    ? (view?.addresses ?? [])
    : (view?.podRanges ?? []).flatMap((range) => freeAddress(range, used) ?? []);
  const suffix =
    owner.kind === "StatefulSet"
      ? String(index)
      : owner.kind === "DaemonSet"
        ? node
        : `7d9f8c6b5-${index.toString(36).padStart(5, "a")}`;
  const parent =
    owner.kind === "Deployment"
      ? { kind: "ReplicaSet", name: `${owner.name}-7d9f8c6b5` }
      : { kind: owner.kind, name: owner.name };
  return {
    metadata: {
      name: `${owner.name}-${suffix}`,
      namespace: owner.namespace,
      labels: template.metadata?.labels ?? {},
      creationTimestamp: START,
      ownerReferences: [{ ...parent, controller: true }],
    },
    spec: { ...template.spec, nodeName: node },
    status: {
      phase: "Running",
      podIP: addresses[0] ?? null,
      podIPs: addresses.map((ip) => ({ ip })),
      startTime: START,
      conditions: [{ type: "Ready", status: "True", lastTransitionTime: START }],
      containerStatuses: template.spec.containers.map(({ name, image }) => ({
        name,
        image: image ?? null,
        ready: true,
        restartCount: 0,
        state: { running: { startedAt: START } },
      })),
    },
  };
}

/** Why a component does not get to work: it may not do this, or cannot read its Corefile. */
export type Trouble = { readonly denied: Want } | { readonly corefile: CorefileError };

type Restarted = {
  readonly pod: Pod;
  readonly place: { namespace: string; pod: string; container: string };
  readonly log: LogDigest;
};

/** Components that end without permission; the others run on and wait (flannel main.go; kube-proxy, CoreDNS retry). */
const EXITS = new Set(["flannel", "calico-node", "cilium", "cilium-operator", "kube-router", "kindnet"]);

/** A component's Pod after it was restarted: at work, crash-looping, or waiting for what it may not have. */
export function restarted(view: PodView, component: Component, trouble: Trouble | undefined): Restarted {
  const container = view.object.spec.containers[0]!.name;
  const isDenied = trouble !== undefined && "denied" in trouble;
  const crashes = (trouble && !isDenied) || (isDenied && EXITS.has(component.definition.id));
  const waits = isDenied && component.definition.duties.includes("cluster-dns");
  const ready = !crashes && !waits;
  const state = crashes
    ? { waiting: { reason: "CrashLoopBackOff", message: "back-off restarting failed container" } }
    : { running: { startedAt: START } };
  const pod: Pod = {
    ...view.object,
    status: {
      ...view.object.status,
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: START }],
      containerStatuses: (view.object.status?.containerStatuses ?? []).map((status) =>
        status.name === container
          ? {
              ...status,
              ready,
              restartCount: crashes ? status.restartCount + 5 : status.restartCount,
              state,
              ...(crashes && { lastState: { terminated: { exitCode: 1, reason: "Error", finishedAt: NOW } } }),
            }
          : { ...status, ready: true },
      ),
    },
  };
  return {
    pod,
    place: { namespace: view.namespace, pod: view.name, container },
    log: logOf(component, trouble),
  };
}

const NOW = "2026-11-21T03:00:00Z";

function logOf({ account, definition }: Component, trouble: Trouble | undefined): LogDigest {
  const reader = logDigestReader();
  const line = trouble ? complaintOf(trouble, account) : (STARTED[definition.id] ?? "started");
  reader.write(`${NOW} ${line}\n`);
  return reader.end().value;
}

function complaintOf(trouble: Trouble, account: Component["account"]): string {
  if ("corefile" in trouble) {
    const { line, word } = trouble.corefile;
    return `/etc/coredns/Corefile:${line} - Error during parsing: Unknown directive '${word}'`;
  }
  const { verb } = trouble.denied;
  const resource = "resource" in trouble.denied ? trouble.denied.resource : trouble.denied.path;
  const group = "apiGroup" in trouble.denied ? trouble.denied.apiGroup : "";
  const user = `system:serviceaccount:${account?.namespace}:${account?.name}`;
  return `E failed to list: ${resource} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" at the cluster scope`;
}

const STARTED: Readonly<Record<string, string>> = {
  flannel: "I1121 02:00:01.000000       1 kube.go:146] Node controller sync successful",
  "kube-proxy": "I1121 02:00:01.000000       1 shared_informer.go:320] Caches are synced for service config",
  coredns: "[INFO] plugin/ready: ready",
};
