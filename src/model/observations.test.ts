/** What tests and complaints are about, and what they need. */
import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../testing/cluster.ts";
import { said } from "../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../testing/cluster-nodes.ts";
import { ago } from "../../testing/object-states.ts";
import { logDigestReader } from "../parse/logs/digest.ts";
import type { Probe } from "../parse/probes.ts";
import type { Observation } from "./observations.ts";

const CLUSTER = cluster();
const podIp = (app: string) => CLUSTER.model().pods.withLabels("shop", { app })[0]!.addresses[0]!;
const nodeIp = (node: string) => CLUSTER.model().nodes.get(node)!.addresses[0]!;

type Tried = Pick<Probe, "test" | "target"> & Partial<Probe>;

function probing(given: Cluster, ...tried: readonly Tried[]): Cluster {
  const from = { node: "w1", network: "host" } as const;
  return given.edit((draft) =>
    draft.set(
      "probes",
      {},
      tried.map((one, i) => ({ line: i + 1, from, result: "ok", ...one })),
    ),
  );
}

/** What an observation is about, in words. */
function about({ target }: Observation): string {
  switch (target.is) {
    case "service":
      return `service ${target.port.key}`;
    case "node-port":
      return `node port ${target.port.key} of ${target.node}`;
    case "pod":
      return `pod ${target.pod.namespace} ${target.port ? target.port.number : "any port"}`;
    case "host-port":
      return `port of ${target.node} that ${target.pod.key} asks for`;
    case "pod-range":
    case "node":
      return `${target.is} ${target.node}`;
    case "name":
      return `${target.zone} name ${target.name}${target.server ? ` at ${target.server.key}` : ""}`;
    case "outside":
      return "outside";
  }
}

function seen(given: Cluster, tried: Tried): string {
  const { all, unmapped } = probing(given, tried).model().observations;
  const [one] = all;
  return one ? `${about(one)}: ${one.outcome}` : unmapped.length > 0 ? "unmapped" : "nothing";
}

type Case = readonly [test: Probe["test"], target: string, expected: string, more: Partial<Probe>];
type ShortCase = readonly [test: Probe["test"], target: string, expected: string, more?: Partial<Probe>];
const cases = (...all: readonly ShortCase[]): Case[] =>
  all.map(([test, target, expected, more = {}]) => [test, target, expected, more]);

describe("what a test speaks to", () => {
  it.each<Case>(
    cases(
      ["tcp", "10.96.10.1:8080", "service shop/backend:http: ok"],
      ["http", "http://10.96.10.1:8080/healthz?a=b:9", "service shop/backend:http: ok"],
      ["http", "http://10.96.10.2", "service shop/frontend:http: ok"],
      ["http", "https://10.96.0.1/version", "service default/kubernetes:https: ok"],
      ["udp", "10.96.0.10:53", "service kube-system/kube-dns:dns: ok"],
      ["tcp", "10.96.0.10:53", "service kube-system/kube-dns:dns-tcp: ok"],
      ["tcp", `${podIp("backend")}:8080`, "pod shop 8080: ok"],
      ["icmp", podIp("backend"), "pod shop any port: ok"],
      ["tcp", "10.128.1.250:80", "pod-range w1: ok"],
      ["icmp", nodeIp("w2"), "node w2: ok"],
      ["tcp", `${nodeIp("w2")}:10250`, "node w2: ok"],
      ["tcp", `${nodeIp("w2")}:30080`, "node port shop/frontend:http of w2: ok"],
      ["udp", `${nodeIp("w2")}:30080`, "node w2: ok"],
      ["tcp", "192.0.2.7:443", "outside: ok"],
      ["icmp", "192.0.2.7", "outside: ok"],
      ["tcp", "[::1]:443", "outside: ok"],
      ["tcp", "no-address:443", "nothing"],
      ["icmp", "10.0.0", "nothing"],
      // a node that refuses was reached
      ["tcp", `${nodeIp("w2")}:9999`, "unmapped", { result: "refused" }],
      ["tcp", `${nodeIp("w2")}:9999`, "node w2: failed", { result: "timeout" }],
      ["http", "http://10.96.10.1:8080", "service shop/backend:http: ok", { result: "http-503" }],
      ["http", "http://10.96.10.1:8080", "service shop/backend:http: failed", { result: "tls" }],
      ["tcp", "10.96.10.1:8080", "service shop/backend:http: failed", { result: "refused" }],
      ["tcp", "10.96.10.1:9999", "outside: failed", { result: "timeout" }],
    ),
  )("%s %s: %s", (test, target, expected, more) => expect(seen(CLUSTER, { test, target, ...more })).toBe(expected));

  const at = { server: "10.96.0.10" };
  it.each<Case>(
    cases(
      [
        "dns",
        "backend.shop.svc.cluster.local",
        "cluster name backend.shop.svc.cluster.local at kube-system/kube-dns:dns: ok",
        at,
      ],
      [
        "dns",
        "kubernetes.default.svc.cluster.local.",
        "cluster name kubernetes.default.svc.cluster.local at kube-system/kube-dns:dns: ok",
        at,
      ],
      ["dns", "backend", "cluster name backend at kube-system/kube-dns:dns: ok", at],
      ["dns", "example.org", "external name example.org at kube-system/kube-dns:dns: ok", at],
      ["dns", "example.org", "external name example.org: ok", { server: "172.16.255.254" }],
      ["dns", "notcluster.local", "external name notcluster.local at kube-system/kube-dns:dns: ok", at],
      // which server a host asks without being told is its own affair
      ["dns", "example.org", "nothing"],
      // names that do not exist are answered so
      [
        "dns",
        "none.shop.svc.cluster.local",
        "cluster name none.shop.svc.cluster.local at kube-system/kube-dns:dns: ok",
        { ...at, result: "nxdomain" },
      ],
      [
        "dns",
        "none.example.org",
        "external name none.example.org at kube-system/kube-dns:dns: ok",
        { ...at, result: "nxdomain" },
      ],
      [
        "dns",
        "backend.shop.svc.cluster.local",
        "cluster name backend.shop.svc.cluster.local at kube-system/kube-dns:dns: failed",
        { ...at, result: "nxdomain" },
      ],
      [
        "dns",
        "example.org",
        "external name example.org at kube-system/kube-dns:dns: failed",
        { ...at, result: "servfail" },
      ],
    ),
  )("%s %s: %s", (test, target, expected, more) => expect(seen(CLUSTER, { test, target, ...more })).toBe(expected));
});

describe("where not all is known", () => {
  const failing = (target: string) => ({ test: "tcp", target, result: "timeout" }) as const;

  it.each([
    [
      "without Services a node's port may be one of theirs",
      CLUSTER.without("services"),
      `${nodeIp("w2")}:30080`,
      "unmapped",
    ],
    ["without Services an address may be one of theirs", CLUSTER.without("services"), "10.96.10.1:8080", "unmapped"],
    ["without Pods an address may be one of theirs", CLUSTER.without("pods"), "192.0.2.7:80", "unmapped"],
    ["without nodes an address may be one of theirs", CLUSTER.without("nodes"), "192.0.2.7:80", "unmapped"],
    ["a Pod that is known is one", CLUSTER.without("services"), `${podIp("backend")}:8080`, "pod shop 8080: failed"],
    ["an address in a node's range is one", CLUSTER.without("pods"), "10.128.1.250:80", "pod-range w1: failed"],
  ])("%s", (_, given, target, expected) => expect(seen(given, failing(target))).toBe(expected));

  it("a test that succeeded is not missed", () => {
    const { unmapped, all } = probing(CLUSTER.without("services"), { test: "tcp", target: "10.96.10.1:8080" }).model()
      .observations;
    expect([unmapped, all]).toEqual([[], []]);
  });

  it("a name that does not exist may be one", () => {
    const name = {
      test: "dns",
      target: "none.shop.svc.cluster.local",
      server: "10.96.0.10",
      result: "nxdomain",
    } as const;
    expect(probing(CLUSTER.without("services"), name).model().observations.failed).toHaveLength(1);
  });
});

describe("observations", () => {
  it("tell who asked, and quote the test", () => {
    const pod = CLUSTER.model().pods.withLabels("shop", { app: "frontend" })[0]!;
    const from = { node: pod.node!, network: "pod", pod: pod.key } as const;
    const [one] = probing(CLUSTER, { test: "tcp", target: "10.96.10.1:8080", from, result: "timeout", at: NOW }).model()
      .observations.all;
    expect(one).toMatchObject({
      ...{ outcome: "failed", how: "measured", at: NOW },
      client: { node: pod.node, network: "pod", podKey: pod.key },
      capability: { name: "service.reach", node: pod.node, service: "shop/backend:http" },
      evidence: { origin: { line: 1 }, quote: `pod ${pod.key} on ${pod.node}: tcp 10.96.10.1:8080: timeout`, at: NOW },
    });
  });

  it("need of a node that asks the server of its Pods what its Pods need", () => {
    const asking = (clusterDNS: string) =>
      probing(
        CLUSTER.edit((draft) => draft.set("kubeletConfig", { node: "w1" }, { clusterDNS: [clusterDNS] })),
        { test: "dns", target: "backend", server: "10.96.0.99", result: "timeout" },
      ).model().observations.all[0]!;
    expect(JSON.stringify(asking("10.96.0.99").need)).toContain('"name":"dns.client","node":"w1"');
    expect(JSON.stringify(asking("10.96.0.10").need)).not.toContain("dns.client");
  });

  it("are found by the Service that was called in vain", () => {
    const calls = [
      { test: "tcp", target: "10.96.10.1:8080", result: "timeout" },
      { test: "tcp", target: "10.96.10.2:80" },
      { test: "tcp", target: `${nodeIp("w2")}:30080`, result: "timeout" },
    ] as const;
    const { failedOn, tested, worked, failed } = probing(CLUSTER, ...calls).model().observations;
    expect(failedOn({ namespace: "shop", name: "backend" })).toHaveLength(1);
    expect(failedOn({ namespace: "shop", name: "frontend" })).toHaveLength(1);
    expect(failedOn({ namespace: "data", name: "backend" })).toEqual([]);
    expect([tested, worked.length, failed.length]).toEqual([true, 1, 2]);
  });

  it("are none where nothing was tested", () =>
    expect(CLUSTER.model().observations).toMatchObject({ all: [], tested: false }));
});

describe("what programs complain of", () => {
  const complaints = (message: string, at = ago(30)) => {
    const { failed } = CLUSTER.edit(said("frontend", [message], at)).model().observations;
    return [...new Set(failed.map((one) => about(one)))].join(" & ") || "nothing";
  };

  it.each([
    ["curl: (6) Could not resolve host: backend", "cluster name backend"],
    ["dial tcp: lookup backend.shop on 10.96.0.10:53: read udp: i/o timeout", "cluster name backend.shop"],
    ["socket.gaierror: example.org: Temporary failure in name resolution", "external name example.org"],
    ["wget: bad address 'backend.shop.svc.cluster.local'", "cluster name backend.shop.svc.cluster.local"],
    ["Error: getaddrinfo EAI_AGAIN backend", "cluster name backend"],
    ["java.net.UnknownHostException: example.org", "external name example.org"],
    ["dial tcp 10.96.10.1:8080: i/o timeout", "service shop/backend:http"],
    ["dial tcp 10.96.10.1:8080: connect: connection refused", "service shop/backend:http"],
    ["curl: (7) Failed to connect to backend port 8080 after 1 ms", "service shop/backend:http"],
    ["curl: (7) Failed to connect to backend.shop port 8080", "service shop/backend:http"],
    ["Error: connect ECONNREFUSED 10.96.10.1:8080", "service shop/backend:http"],
    [`connect ETIMEDOUT ${podIp("backend")}:8080`, "pod shop 8080"],
    ["HTTPConnectionPool(host='backend', port=8080): Max retries exceeded", "service shop/backend:http"],
    [
      "call of http://frontend.shop/ failed: curl: (28) Connection timed out after 3000 ms",
      "service shop/frontend:http",
    ],
    ['Get "http://backend:8080/": context deadline exceeded (Client.Timeout exceeded)', "service shop/backend:http"],
    ["httpx.ConnectTimeout: timed out, url http://backend.shop.svc:8080/a", "service shop/backend:http"],
    ["Connect to backend:8080 [backend/10.96.10.1] failed: Connection timed out", "service shop/backend:http"],
    ['I/O error on GET request for "http://frontend": Connection refused', "service shop/frontend:http"],
    ["request to http://backend:8080/ failed, reason: connect EHOSTUNREACH", "service shop/backend:http"],
    ["AxiosError: timeout of 1000ms exceeded, http://10.96.10.1:8080/", "service shop/backend:http"],
    ["http://backend:8080/: curl: (28) Resolving timed out after 5000 ms", "cluster name backend"],
    ["call of http://backend:8080/ failed: 504 Gateway Timeout", "nothing"],
    ["call of https://example.org/ failed: Connection timed out", "nothing"],
    ["Connection timed out", "nothing"],
    ["listening on http://backend:8080/, connect timeout 3 s", "nothing"],
    ["dial tcp 10.96.10.1:9: i/o timeout", "nothing"],
    ["connect ECONNREFUSED 192.0.2.7:80", "nothing"],
    ["all is well with backend", "nothing"],
  ])("%s: %s", (message, expected) => expect(complaints(message)).toBe(expected));

  it.each([
    ["just now", ago(10), true],
    ["four minutes ago", ago(240), true],
    ["six minutes ago", ago(360), false],
  ])("counts if it was said %s: %s", (_, at, isCurrent) => {
    expect(complaints("dial tcp 10.96.10.1:8080: i/o timeout", at)).toBe(
      isCurrent ? "service shop/backend:http" : "nothing",
    );
  });

  it("counts longer if it is said seldom", () => {
    const reader = logDigestReader();
    for (const minutes of [55, 35, 15]) reader.write(`${ago(minutes * 60)} dial tcp 10.96.10.1:8080: i/o timeout\n`);
    const pod = CLUSTER.model().pods.withLabels("shop", { app: "frontend" })[0]!;
    const given = CLUSTER.edit((draft) =>
      draft.set("containerLog", { namespace: "shop", pod: pod.name, container: "app" }, reader.end().value),
    );
    expect(given.model().observations.failed).toHaveLength(1);
  });

  it("is heard, not measured, and not of Pods that are gone", () => {
    const log = logOf(["dial tcp 10.96.10.1:8080: i/o timeout"], ago(10));
    const given = CLUSTER.edit((draft) =>
      draft.set("containerLog", { namespace: "shop", pod: "gone", container: "app" }, log),
    );
    expect(given.model().observations.all).toEqual([]);
    const [one] = CLUSTER.edit(said("frontend", ["dial tcp 10.96.10.1:8080: i/o timeout"])).model().observations.all;
    expect(one).toMatchObject({ how: "heard", outcome: "failed", client: { network: "pod" } });
  });

  it("costs no more for a word that is very long", () => {
    const line = { line: 1, at: NOW, message: "x".repeat(300_000) };
    const pod = CLUSTER.model().pods.withLabels("shop", { app: "frontend" })[0]!;
    const log = { lines: 1, entries: [{ first: line, last: line, count: 1 }], tail: [] };
    const given = CLUSTER.edit((draft) =>
      draft.set("containerLog", { namespace: "shop", pod: pod.name, container: "app" }, log),
    );
    const started = performance.now();
    expect(given.model().observations.all).toEqual([]);
    // in the square of its length it would take a minute
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
