/** Reading a running cluster: everything that can go wrong on the way, for every list. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { cutOff, drop, FAULTS, lyingShort } from "../../../testing/answer-faults.ts";
import {
  type Answering,
  configFor,
  discovers,
  fails,
  lists,
  podObject,
  refuse,
  type StubServer,
  sendJson,
  stubServer,
} from "../../../testing/stub-api-server.ts";
import type { Capture } from "../../evidence/capture.ts";
import { catalogue, type KindId } from "../../evidence/catalogue.ts";
import { known } from "../../evidence/observed.ts";
import { connect } from "./connection.ts";
import { LISTED } from "./read-api.ts";
import { type ReadOptions, readCluster } from "./read-cluster.ts";

/** Short pauses; the time is long, so that a slow machine does not run out of it. */
async function read({ kubeconfig }: Pick<StubServer, "kubeconfig">, options: Partial<ReadOptions> = {}) {
  const connection = await connect({ kubeconfig });
  const signal = new AbortController().signal;
  try {
    return await readCluster(connection, { signal, pauseMs: 5, idleMs: 1000, budgetMs: 120_000, ...options });
  } finally {
    connection.close();
  }
}

/** How one piece shows, in short. */
function shown(capture: Capture, kind: KindId): string {
  const observed = capture.get(kind);
  if (observed.state === "absent") return "absent";
  if (observed.state === "present") {
    const { items = [] } = observed.value as { items?: readonly unknown[] };
    return [`${items.length} here`, ...observed.gaps.map(({ what }) => what)].join("; ");
  }
  return "message" in observed.why ? observed.why.message : observed.why.reason;
}

const pathOfKind = (kind: KindId) => {
  const { how } = catalogue[kind];
  return "list" in how ? how.list.replace("*", "v1") : "";
};

const PODS = "/api/v1/pods";
const threePods = { [PODS]: ["a", "b", "c"].map((name) => podObject(name)) };

describe("a cluster that answers", () => {
  it("is read with few requests, over one connection", async () => {
    const server = await stubServer(discovers(), lists(threePods));
    const { capture, requests } = await read(server);
    expect(shown(capture, "pods")).toBe("3 here");
    for (const kind of LISTED) if (kind !== "pods") expect(shown(capture, kind), kind).toBe("0 here");
    expect(requests).toBe(LISTED.length + 4);
    expect(server.connections()).toBe(1);
    expect(capture.get("version")).toMatchObject({ state: "present", value: { gitVersion: "v1.33.0" } });
    expect(capture.get("readyz").state).toBe("present");
    expect(capture.get("cluster")).toMatchObject({ value: { name: "stub-cluster", kubernetesVersion: "v1.33.0" } });
    expect(capture.notes).toEqual([]);
  });

  it("has the server's clock, not ours", async () => {
    const late: Answering = ({ pathname }, response) => {
      if (pathname !== "/version") return false;
      response.setHeader("date", "Sat, 21 Nov 2020 10:00:00 GMT");
      sendJson(response, { gitVersion: "v1.33.0" });
      return undefined;
    };
    const { capture } = await read(await stubServer(late, discovers(), lists({})));
    expect(capture.get("cluster")).toMatchObject({
      value: {
        startedAt: expect.stringMatching(/^2020-11-21T10:00:0/),
        endedAt: expect.stringMatching(/^2020-11-21T10:00/),
      },
    });
  });

  it("comes in pages", async () => {
    const many = Array.from({ length: 1203 }, (_, index) => podObject(`pod-${index}`));
    const server = await stubServer(discovers(), lists({ [PODS]: many }));
    const seen: number[] = [];
    const { capture } = await read(server, {
      progress: (what, count = 0) => void (what === "pods" && seen.push(count)),
    });
    expect(shown(capture, "pods")).toBe("1203 here");
    expect(server.asked.filter((path) => path.startsWith(PODS))).toHaveLength(3);
    expect(seen.at(-1)).toBe(1203);
  });

  it("each page is asked for while the one before it comes", async () => {
    const pages = [2, 1, 2].map((length, page) => Array.from({ length }, (_, n) => podObject(`pod-${page}-${n}`)));
    const asked: (() => void)[] = [];
    const waits: Answering = ({ pathname, searchParams }, response) => {
      if (pathname !== PODS) return false;
      const page = Number(searchParams.get("continue") ?? 0);
      const next = page + 1 < pages.length ? { continue: String(page + 1) } : {};
      const [first, ...rest] = pages[page]!.map((pod) => JSON.stringify(pod));
      response.write(`{"kind":"PodList","metadata":${JSON.stringify(next)},"items":[${first}`);
      const end = () => void response.end(`${rest.map((text) => `,${text}`).join("")}]}`);
      asked[page - 1]?.();
      // the end of a page does not come before the next one was asked for
      if ("continue" in next) asked[page] = end;
      else end();
      return undefined;
    };
    const { capture } = await read(await stubServer(waits, discovers(), lists({})));
    const names = known(capture.get("pods"))?.items.map(({ metadata }) => metadata.name);
    expect(names).toEqual(pages.flat().map(({ metadata }) => metadata.name));
    expect(shown(capture, "pods")).toBe("5 here");
  });

  it("without aggregated discovery is asked group by group, and older versions are found", async () => {
    const old: Answering = ({ pathname }, response) => {
      if (pathname === "/api") sendJson(response, { kind: "APIVersions", versions: ["v1"] });
      else if (pathname === "/api/v1") sendJson(response, { resources: [{ name: "pods" }] });
      else if (pathname === "/apis")
        sendJson(response, { groups: [{ name: "discovery.k8s.io", preferredVersion: { version: "v1beta1" } }] });
      else if (pathname === "/apis/discovery.k8s.io/v1beta1")
        sendJson(response, { resources: [{ name: "endpointslices" }] });
      else return false;
      return undefined;
    };
    const slice = { metadata: { name: "a", namespace: "b" }, addressType: "IPv4", endpoints: [] };
    const slices = { "/apis/discovery.k8s.io/v1beta1/endpointslices": [slice] };
    const { capture } = await read(await stubServer(old, discovers(), lists(slices)));
    expect(shown(capture, "endpointslices")).toBe("1 here");
  });
});

/** After some of these lists the server counts as silent: one list of them is enough for it. Of the others several at once. */
const ALONE = /silence|too long|without end/;
/** This takes all the time that a reading may take. */
const ENDLESS = /without end/;

describe("each fault, for each list", () => {
  it.each(FAULTS)("%s ends in time, and is told as the reason", { timeout: 300_000 }, async (name, fault, expected) => {
    const together = ALONE.test(name) ? 1 : 6;
    const batches = Array.from({ length: Math.ceil(LISTED.length / together) }, (_, index) =>
      LISTED.slice(index * together, (index + 1) * together),
    );
    const judge = async (kinds: readonly KindId[]) => {
      const failing = kinds.map((kind) => fails(pathOfKind(kind), fault));
      const server = await stubServer(...failing, discovers(), lists(threePods));
      const { capture } = await read(server, ENDLESS.test(name) ? { budgetMs: 10_000 } : {});
      for (const kind of kinds) {
        expect(capture.get(kind).state, kind).toBe("unknown");
        expect(shown(capture, kind), kind).toMatch(expected);
      }
      // those that were read before are none the worse
      const first = (["version", "pods", "nodes"] as const).find((kind) => !kinds.includes(kind))!;
      expect(capture.get(first).state).toBe("present");
    };
    if (together === 1) await Promise.all(batches.map(judge));
    else for (const batch of batches) await judge(batch);
  });
});

describe("trouble that passes", () => {
  it.each<[string, Answering]>([
    ["429", (_, response) => refuse(response.setHeader("retry-after", "0"), 429, "later")],
    ["500", (_, response) => refuse(response, 500, "later")],
    ["a connection that is reset", drop],
    ["a body that is cut off", cutOff],
    ["a length that is too short", lyingShort],
  ])("%s is tried again, and leaves nothing behind", async (_, fault) => {
    const server = await stubServer(fails(PODS, fault, 1), discovers(), lists(threePods));
    expect(shown((await read(server)).capture, "pods")).toBe("3 here");
  });

  it("in the middle of a list goes on where it was", async () => {
    const many = Array.from({ length: 1203 }, (_, index) => podObject(`pod-${index}`));
    const all = lists({ [PODS]: many });
    let left = 1;
    const breaks: Answering = (url, response, request) => {
      if (url.pathname !== PODS || url.searchParams.get("continue") !== "500" || left-- === 0) return false;
      const page = JSON.stringify({ kind: "List", metadata: { continue: "1000" }, items: many.slice(500, 1000) });
      response.writeHead(200, { "content-length": page.length });
      response.write(page.slice(0, page.length / 2), () => response.socket!.destroy());
      request.resume();
      return undefined;
    };
    const { capture } = await read(await stubServer(breaks, discovers(), all));
    const pods = capture.get("pods");
    expect(shown(capture, "pods")).toBe("1203 here");
    const names = pods.state === "present" ? pods.value.items.map(({ metadata }) => metadata.name) : [];
    expect(names).toEqual(many.map(({ metadata }) => metadata.name));
  });

  it("a version that expires under way is asked for anew, in one piece", async () => {
    const many = Array.from({ length: 1203 }, (_, index) => podObject(`pod-${index}`));
    const expires: Answering = (url, response) => {
      if (url.pathname !== PODS || url.searchParams.get("continue") !== "1000") return false;
      refuse(response, 410, "The provided continue parameter is too old");
      return undefined;
    };
    const { capture } = await read(await stubServer(expires, discovers(), lists({ [PODS]: many })));
    expect(shown(capture, "pods")).toBe("1203 here");
  });

  it("waits as long as Retry-After says", async () => {
    const server = await stubServer(
      fails(PODS, (_, response) => refuse(response.setHeader("retry-after", "1"), 429, "later"), 1),
      discovers(),
      lists(threePods),
    );
    const started = performance.now();
    await read(server);
    expect(performance.now() - started).toBeGreaterThan(990);
  });

  it("an etcd that does not answer leaves what the server's cache has", async () => {
    const uncached: Answering = (url, response) => {
      if (url.pathname !== PODS || url.searchParams.get("resourceVersion") === "0") return false;
      refuse(response, 500, "etcdserver: request timed out");
      return undefined;
    };
    const { capture } = await read(await stubServer(uncached, discovers(), lists(threePods)));
    expect(shown(capture, "pods")).toBe("3 here");
  });
});

describe("what CoreDNS counts", () => {
  const dns = podObject("coredns-1", {
    metadata: { name: "coredns-1", namespace: "kube-system" },
    spec: { containers: [{ name: "coredns" }] },
    status: { phase: "Running" },
  });
  const place = { namespace: "kube-system", pod: "coredns-1" };
  const METRICS = "/api/v1/namespaces/kube-system/pods/coredns-1:9153/proxy/metrics";
  const readMetrics = async (answer: Answering) => {
    const server = await stubServer(
      (url, response, request) => (url.pathname === METRICS ? answer(url, response, request) : false),
      discovers(),
      lists({ [PODS]: [dns, podObject("web")] }),
    );
    const { capture } = await read(server, { nodes: [] });
    expect(server.asked.filter((path) => path.endsWith("/metrics"))).toEqual([METRICS]);
    return capture.get("dnsMetrics", place);
  };

  it("is asked of its Pods, and of no others", async () => {
    const observed = await readMetrics((_, response) => void response.end("coredns_panics_total 0\n"));
    expect(observed).toMatchObject({ state: "present", gaps: [] });
  });

  it("is a blind spot for who may not ask, with the right that lacks", async () => {
    const words =
      'pods "coredns-1:9153" is forbidden: User "jane" cannot get resource "pods/proxy" in API group "" in the namespace "kube-system"';
    expect(await readMetrics((_, response) => refuse(response, 403, words))).toMatchObject({
      state: "unknown",
      why: { reason: "forbidden", denial: { user: "jane", right: { resource: "pods/proxy" } } },
    });
  });
});

describe("what kubelets and kube-proxy count", () => {
  const unwell = '{"lastUpdated":"2026-11-22T07:10:16Z","currentTime":"2026-11-22T07:12:24Z","healthy":false}';
  const answers: Readonly<Record<string, Answering>> = {
    "/api/v1/nodes/w1/proxy/metrics": (_, response) =>
      void response.end('kubelet_run_podsandbox_errors_total{runtime_handler=""} 3\nkubelet_running_pods 9\n'),
    // where it listens on the node's loopback alone
    "/api/v1/nodes/w1:10249/proxy/metrics": (_, response) =>
      refuse(response, 503, "error trying to reach service: dial tcp 192.168.50.11:10249: connect: connection refused"),
    "/api/v1/nodes/w1:10256/proxy/healthz": (_, response) => void response.writeHead(503).end(unwell),
  };
  const nodes = { "/api/v1/nodes": [{ metadata: { name: "w1" } }] };
  const readNode = async () => {
    const server = await stubServer(
      (url, response, request) => answers[url.pathname]?.(url, response, request) ?? url.pathname in answers,
      discovers(),
      lists(nodes),
    );
    return (await read(server, { nodes: "all" })).capture;
  };

  it("is asked of each node, and a kube-proxy that is unwell says so with its refusal", async () => {
    const capture = await readNode();
    const place = { node: "w1" };
    expect(capture.get("kubeletMetrics", place)).toMatchObject({ state: "present", gaps: [], value: { size: 1 } });
    expect(capture.get("proxyHealth", place)).toMatchObject({ state: "present", value: { writes: false } });
    expect(capture.get("proxyMetrics", place)).toMatchObject({
      state: "unknown",
      why: { message: expect.stringContaining("connection refused") },
    });
  });
});

describe("what `kubectl top` shows", () => {
  const USAGE = '{"kind":"NodeMetricsList","items":[{"metadata":{"name":"w1"},"usage":{"cpu":"1","memory":"2Mi"}}]}';
  const top: Answering = ({ pathname }, response) => {
    if (!pathname.startsWith("/apis/metrics.k8s.io/")) return false;
    if (pathname.endsWith("/nodes")) response.end(USAGE);
    else refuse(response, 404, "not found");
    return undefined;
  };

  it("is read for who takes the evidence away", async () => {
    const { capture } = await read(await stubServer(top, discovers(), lists({})), { nodes: [], keepsAll: true });
    expect([capture.get("nodeUsage").state, capture.get("podUsage").state]).toEqual(["present", "absent"]);
  });

  it("and by nobody else", async () => {
    const server = await stubServer(top, discovers(), lists({}));
    await read(server, { nodes: [] });
    expect(server.asked.filter((path) => path.includes("metrics.k8s.io"))).toEqual([]);
  });
});

describe("what is not served, and what is not allowed", () => {
  it("an API that is not served is absent", async () => {
    const gone = fails(pathOfKind("networkpolicies"), (_, response) => refuse(response, 404, "not found"));
    const server = await stubServer(gone, discovers({ without: ["networkpolicies"] }), lists({}));
    expect(shown((await read(server)).capture, "networkpolicies")).toBe("absent");
  });

  it("but not if only one of discovery and the list says so", async () => {
    const listed = await stubServer(discovers({ without: ["networkpolicies"] }), lists({}));
    expect(shown((await read(listed)).capture, "networkpolicies")).toBe("0 here");
  });

  it("who may list one namespace only gets that one, with what is missing said", async () => {
    const forbids = fails(PODS, (_, response) => refuse(response, 403, "pods is forbidden"));
    const shop = { "/api/v1/namespaces/shop/pods": [podObject("a")] };
    const others: Answering = (url, response) => {
      if (!/namespaces\/kube-|namespaces\/calico/.test(url.pathname)) return false;
      refuse(response, 403, "pods is forbidden");
      return undefined;
    };
    const server = await stubServer(forbids, others, discovers(), lists(shop));
    const { capture } = await read(server, { namespaces: ["shop"] });
    expect(shown(capture, "pods")).toBe("1 here; only of shop: pods is forbidden");
  });

  it("credentials that are not accepted end the reading", async () => {
    const server = await stubServer((_, response) => refuse(response, 401, "Unauthorized"));
    const { contact, requests } = await read(server);
    expect(contact).toMatchObject({ ok: false, failure: { kind: "unauthorized", message: "Unauthorized" } });
    expect(requests).toBeLessThan(4);
  });
});

describe("credentials that cannot be had", () => {
  it("end the reading with what the plugin said", async () => {
    const server = await stubServer(discovers());
    const kubeconfig = `${server.kubeconfig}.plugin`;
    const exec = { command: "sh", args: ["-c", "echo sign in first >&2; exit 1"] };
    writeFileSync(kubeconfig, JSON.stringify(configFor(server.origin, { exec })));
    const { contact } = await read({ kubeconfig });
    expect(contact).toMatchObject({ ok: false, failure: { kind: "unauthorized", message: "sign in first" } });
    expect(server.asked).toEqual([]);
  });
});

describe("a server that is not there", () => {
  it("is told at once", async () => {
    const server = await stubServer();
    const kubeconfig = server.kubeconfig;
    const connection = await connect({ kubeconfig });
    const closed = { ...connection, server: new URL("http://127.0.0.1:1") };
    const { contact, capture } = await readCluster(closed, { signal: new AbortController().signal, pauseMs: 5 });
    expect(contact).toMatchObject({ ok: false, failure: { kind: "unreachable" } });
    expect(capture.notes[0]!.what.en).toContain("http://127.0.0.1:1 cannot be read");
  });

  it("that goes away while it is read is not asked list by list", async () => {
    const silent: Answering = ({ pathname }) => (/^\/apis?\/./.test(pathname) ? undefined : false);
    const server = await stubServer(silent, discovers());
    const started = performance.now();
    const { capture } = await read(server, { budgetMs: 30_000 });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(shown(capture, "services")).toMatch(/silent/);
  });

  it("can be interrupted", async () => {
    const server = await stubServer(
      fails(PODS, () => undefined),
      discovers(),
      lists({}),
    );
    const controller = new AbortController();
    const reading = read(server, { signal: controller.signal, idleMs: 20_000, budgetMs: 20_000 });
    await sleep(200);
    controller.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
  });
});

describe("a list with far more objects than a page", () => {
  const many = Array.from({ length: 6000 }, (_, index) => podObject(`pod-${index}`));
  const bookmark = { type: "BOOKMARK", object: { metadata: { annotations: { "k8s.io/initial-events-end": "true" } } } };
  const watch =
    (events: readonly object[]): Answering =>
    (url, response) => {
      if (!url.searchParams.has("watch") || url.pathname !== PODS) return false;
      expect(url.searchParams.get("sendInitialEvents")).toBe("true");
      response.writeHead(200);
      for (const event of events) response.write(`${JSON.stringify(event)}\n`);
      // and it goes on
      return undefined;
    };
  const added = many.map((object) => ({ type: "ADDED", object }));

  it.each<[string, Answering]>([
    ["comes as a WatchList where the server knows it", watch([...added, bookmark])],
    ["comes in pages where it does not", () => false],
    ["comes in pages if the watch fails", watch([...added.slice(0, 9), { type: "ERROR", object: { code: 500 } }])],
    ["comes in pages if the watch falls silent", watch(added.slice(0, 9))],
  ])("%s", async (_, watching) => {
    const server = await stubServer(watching, discovers(), lists({ [PODS]: many }));
    const { capture } = await read(server);
    expect(shown(capture, "pods")).toBe("6000 here");
  });
});
