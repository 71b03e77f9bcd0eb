/**
 * A short-lived Pod of ours on a node: it shares the node's network and processes and sees its files, read-only.
 *
 * Its image is one that the node has already, so that neither a registry nor the Pod network is needed. It is removed
 * whatever happens; should even that fail, it ends by itself, and the next run removes what is left of it.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Api, apiOf } from "./api.ts";
import type { Connection } from "./connection.ts";
import type { Target } from "./exec.ts";

const NAMESPACE = "kube-system";
const LABEL = "app.kubernetes.io/managed-by=netwhy-debug";
const CONTAINER = "look";
/** Seconds that the Pod may live. */
const LIFETIME = 180;
const START_MS = 30_000;
const REMOVE_MS = 15_000;

/** Images that have a shell and tools for the network, the best first. */
const IMAGES = [
  /\bnetshoot\b/,
  /\bcalico\/node\b/,
  /\bcilium\/cilium\b/,
  /\bkube-proxy\b/,
  /\bflannel\b(?!-cni)/,
  /\bantrea/,
  /\bkube-router\b/,
  /\bkindnetd\b/,
  /\b(?:alpine|debian|ubuntu|busybox)\b/,
];

export type DebugPods = {
  /**
   * Makes a Pod on a node, runs something in it, removes it.
   *
   * @returns why it could not be; undefined if it could
   */
  on(node: string, run: (target: Target) => Promise<void>): Promise<string | undefined>;
  /** Removes what earlier runs left. */
  sweep(): Promise<void>;
};

type NodeObject = { status?: { images?: { names?: string[] }[] } };
type PodObject = {
  metadata?: { name?: string; creationTimestamp?: string };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    containerStatuses?: { state?: { waiting?: { reason?: string; message?: string } } }[];
  };
};

function manifest(name: string, node: string, image: string, pull: "Never" | "IfNotPresent") {
  const [label = "", value = ""] = LABEL.split("=");
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE, labels: { [label]: value } },
    spec: {
      nodeName: node,
      hostNetwork: true,
      hostPID: true,
      dnsPolicy: "Default",
      restartPolicy: "Never",
      activeDeadlineSeconds: LIFETIME,
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      tolerations: [{ operator: "Exists" }],
      containers: [
        {
          name: CONTAINER,
          image,
          imagePullPolicy: pull,
          command: ["sh", "-c", `exec sleep ${LIFETIME}`],
          securityContext: { privileged: true },
          volumeMounts: [{ name: "host", mountPath: "/host", readOnly: true, mountPropagation: "HostToContainer" }],
        },
      ],
      volumes: [{ name: "host", hostPath: { path: "/" } }],
    },
  };
}

function parsed<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/**
 * The image with the best tools.
 *
 * @param images of a node, each with all its names
 */
export function toolImage(images: readonly (readonly string[])[]): string | undefined {
  for (const wanted of IMAGES) {
    // by its tag rather than by its digest: the kubelet finds either, a person reads the first
    const found = images.find((names) => names.some((name) => wanted.test(name)));
    if (found) return found.find((name) => !name.includes("@")) ?? found[0];
  }
  return undefined;
}

/** @param image a configured one, that may be pulled; without it, one that the node has */
export function debugPods(connection: Connection, api: Api, signal: AbortSignal, image?: string): DebugPods {
  const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;

  /** One that the node says it has. */
  async function imageOn(node: string): Promise<string | undefined> {
    const { answer, text } = await api.text(`/api/v1/nodes/${encodeURIComponent(node)}`);
    const images = answer.ok ? (parsed<NodeObject>(text)?.status?.images ?? []) : [];
    return toolImage(images.map(({ names = [] }) => names));
  }

  async function waitUntilRunning(name: string): Promise<string | undefined> {
    const until = Math.min(Date.now() + START_MS, api.deadline);
    let last = "it did not start in time";
    while (Date.now() < until) {
      const { answer, text } = await api.text(`${pods}/${name}`);
      const { phase, reason, message, containerStatuses = [] } = parsed<PodObject>(text)?.status ?? {};
      if (!answer.ok) last = answer.failure.message;
      else if (phase === "Running") return undefined;
      else if (phase === "Failed" || phase === "Succeeded")
        return `it ended: ${reason ?? phase} ${message ?? ""}`.trim();
      const waiting = containerStatuses[0]?.state?.waiting;
      if (waiting?.reason && waiting.reason !== "ContainerCreating") {
        return `${waiting.reason}: ${waiting.message ?? ""}`.slice(0, 300);
      }
      await sleep(250, undefined, { signal });
    }
    return last;
  }

  /** Whoever interrupts the run does not interrupt this. */
  async function remove(name: string): Promise<void> {
    const last = apiOf(connection, { signal: new AbortController().signal, deadline: Date.now() + REMOVE_MS });
    for (let tried = 1; tried <= 3; tried++) {
      const { answer } = await last.send("DELETE", `${pods}/${name}`, { gracePeriodSeconds: 0 });
      if (answer.ok || answer.failure.kind === "not-found") return;
      await sleep(500);
    }
  }

  return {
    async on(node, run) {
      const found = image ?? (await imageOn(node));
      if (found === undefined) return "a Pod to look into it: the node has no image with tools for the network";
      const name = `netwhy-debug-${randomUUID().slice(0, 8)}`;
      const pull = image === undefined ? "Never" : "IfNotPresent";
      try {
        const { answer } = await api.send("POST", pods, manifest(name, node, found, pull));
        if (!answer.ok) return `a Pod to look into it: ${answer.failure.message}`;
        const why = await waitUntilRunning(name);
        if (why !== undefined) return `a Pod to look into it: ${why}`;
        await run({ namespace: NAMESPACE, pod: name, container: CONTAINER });
        return undefined;
      } finally {
        // also if it is not known whether it was made
        await remove(name);
      }
    },
    async sweep() {
      const { answer, text } = await api.text(`${pods}?labelSelector=${encodeURIComponent(LABEL)}`);
      if (!answer.ok) return;
      for (const { metadata } of parsed<{ items?: PodObject[] }>(text)?.items ?? []) {
        // another run may be using it
        const age = Date.now() - Date.parse(metadata?.creationTimestamp ?? "");
        if (metadata?.name && age > LIFETIME * 1000) await remove(metadata.name);
      }
    },
  };
}
