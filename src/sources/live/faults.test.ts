/**
 * Each fault for each request that is no list: the run ends in bounded time, names the fault where it hides something, and
 * all else is read. read-cluster.test.ts has the same for each list, read-nodes.test.ts for exec, Pods of ours and agents.
 */
import { describe, expect, it } from "vitest";
import { FAULTS } from "../../../testing/answer-faults.ts";
import { discovers, fails, lists, podObject, stubServer } from "../../../testing/stub-api-server.ts";
import { diagnose } from "../../diagnose.ts";
import type { Capture } from "../../evidence/capture.ts";
import type { KindId } from "../../evidence/catalogue.ts";
import type { Place } from "../../evidence/kind.ts";
import { connect } from "./connection.ts";
import { readCluster } from "./read-cluster.ts";

const LOG = { namespace: "kube-system", pod: "coredns-1", container: "coredns" };
const POD = podObject(LOG.pod, {
  metadata: { name: LOG.pod, namespace: LOG.namespace, uid: "1" },
  spec: { nodeName: "w1", containers: [{ name: LOG.container }] },
  status: {
    phase: "Running",
    containerStatuses: [{ name: LOG.container, ready: false, restartCount: 0, state: { running: {} } }],
  },
});
const OBJECTS = {
  "/api/v1/nodes": [{ metadata: { name: "w1" }, status: { conditions: [{ type: "Ready", status: "True" }] } }],
  "/api/v1/pods": [POD],
};

type Request = {
  readonly path: string;
  /** What it would have told; undefined where the same is told otherwise. */
  readonly tells?: { readonly kind: KindId; readonly place?: Place };
  /** Without it nothing can be asked, or only if it says at least that it is there. */
  readonly isFirst?: true;
};

const REQUESTS: readonly Request[] = [
  { path: "/version", tells: { kind: "version" }, isFirst: true },
  { path: "/readyz", tells: { kind: "readyz" } },
  { path: "/api" },
  { path: "/apis" },
  { path: `/api/v1/namespaces/${LOG.namespace}/pods/${LOG.pod}/log`, tells: { kind: "containerLog", place: LOG } },
  {
    path: `/api/v1/namespaces/${LOG.namespace}/pods/${LOG.pod}:9153/proxy/metrics`,
    tells: { kind: "dnsMetrics", place: { namespace: LOG.namespace, pod: LOG.pod } },
  },
  { path: "/api/v1/nodes/w1/proxy/configz", tells: { kind: "kubeletConfig", place: { node: "w1" } } },
  { path: "/api/v1/nodes/w1/proxy/logs/", tells: { kind: "kubeletLog", place: { node: "w1" } } },
  { path: "/api/v1/nodes/w1/proxy/metrics", tells: { kind: "kubeletMetrics", place: { node: "w1" } } },
  { path: "/api/v1/nodes/w1:10256/proxy/healthz", tells: { kind: "proxyHealth", place: { node: "w1" } } },
];

/** Whole answers that are something else: whose text is taken as it is cannot know. */
const IS_ANSWER = /^a page of a proxy|^a length that is too short/;

const ENDLESS = /without end/;

function messageOf(capture: Capture, { kind, place = {} }: NonNullable<Request["tells"]>): string | undefined {
  const observed = capture.get(kind, place);
  if (observed.state === "present") return observed.gaps[0]?.what ?? "whole";
  return observed.state === "unknown" && "message" in observed.why ? observed.why.message : undefined;
}

describe.each(REQUESTS)("$path", ({ path, tells, isFirst }) => {
  it("with each fault", { timeout: 120_000 }, async () => {
    await Promise.all(
      FAULTS.map(async ([name, fault, expected]) => {
        const config = { kubeletconfig: { clusterDNS: ["10.96.0.10"] } };
        const server = await stubServer(
          fails(path, fault),
          ({ pathname }, response) =>
            pathname.endsWith("/configz") ? void response.end(JSON.stringify(config)) : false,
          discovers(),
          ({ pathname }, response) => (/\/log$|\/logs\/$/.test(pathname) ? void response.end("") : false),
          lists(OBJECTS),
        );
        const connection = await connect({ kubeconfig: server.kubeconfig });
        const { signal } = new AbortController();
        // what never ends has to be ended; all else ends by itself, on a slow machine late
        const budgetMs = ENDLESS.test(name) ? 15_000 : 120_000;
        const options = { signal, nodes: "all", pauseMs: 5, idleMs: 1000, budgetMs } as const;
        const { capture, contact } = await readCluster(connection, options);
        connection.close();
        if (isFirst && !contact.ok)
          expect(capture.notes.map(({ what }) => what.en).join(), name).toMatch(/cannot be read/);
        else expect(capture.get("pods").state, name).toBe("present");
        // a kubelet that knows no such path hides nothing that the script does not tell
        const isUnsupported = path.includes("/nodes/w1/proxy/") && /^(404|410)/.test(name);
        if (tells && !IS_ANSWER.test(name) && !isUnsupported) {
          const said = messageOf(capture, tells)?.replace(/^the kubelet: /, "");
          // what does not end is told by its silence, by its limit, or by the end of all reading, whichever is first
          const isLate =
            /^(silence|bytes|a length that is too long)/.test(name) &&
            /^(silent for|not answered within|the time for reading)/.test(said ?? "");
          // of a log what came is kept
          if (!isLate && said !== "cut off here") expect(said, name).toMatch(expected);
        }
        expect(["unclear", "healthy", "faulty"], name).toContain(diagnose(capture).verdict);
      }),
    );
  });
});
