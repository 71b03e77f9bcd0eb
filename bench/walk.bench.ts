/**
 * How fast a node of a large cluster is judged and walked: `node --expose-gc bench/walk.bench.ts [SERVICES] [nftables]`.
 *
 * Four nodes whose kube-proxies have 10,000 Services with ten endpoints each (about 320,000 rules of iptables a node); the
 * endpoints are those of 40 Pods.
 *
 *   desired against actual   the check of a node's rules against the API's, once they are read: one second
 *   a node's hooks           a packet for a Service through all hooks of a node, to all ten ends: 20,000 a second
 *   there and back           from a Pod to a Service and its answers, by way of all ten back ends on four nodes; to one Pod
 *
 * Seconds are those of work: other processes make a machine slow, not this program.
 */
import { CHECKS } from "../src/checks/registry.ts";
import { runChecks } from "../src/checks/run.ts";
import { ref } from "../src/model/ref.ts";
import { parseIp } from "../src/net/ip.ts";
import { openingPacket } from "../src/trace/packet.ts";
import { walk } from "../src/trace/walk.ts";
import { cluster } from "../testing/cluster.ts";
import { addObjects } from "../testing/cluster-edits.ts";
import { CREATED } from "../testing/cluster-nodes.ts";

const [size = "10000", proxy] = process.argv.slice(2).sort();
const SERVICES = Number(size);
const REPLICAS = 10;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
const seconds = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
};
const kept = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};

const started = seconds();
const small = cluster({
  nodes: 4,
  proxy: proxy === "nftables" ? proxy : "iptables",
  workloads: { services: 4, replicas: REPLICAS },
});
const backends = small.model().pods.all.filter(({ namespace }) => namespace === "load");
const names = Array.from({ length: SERVICES }, (_, n) => `service-${n}`);
const meta = (name: string) => ({ name, namespace: "many", creationTimestamp: CREATED });
const cluster10k = small
  .edit(
    addObjects(
      "services",
      ...names.map((name, n) => ({
        metadata: meta(name),
        spec: {
          type: "ClusterIP",
          clusterIP: `10.${97 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`,
          ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
        },
      })),
    ),
    addObjects(
      "endpointslices",
      ...names.map((name, n) => ({
        metadata: { ...meta(`${name}-1`), labels: { "kubernetes.io/service-name": name } },
        addressType: "IPv4",
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
        endpoints: Array.from({ length: REPLICAS }, (_, i) => ({
          addresses: [backends[(n + i) % backends.length]!.addresses[0]!],
          conditions: { ready: true },
        })),
      })),
    ),
  )
  .with({ do: "restart", component: ref("DaemonSet", "kube-proxy", "kube-system") });
const model = cluster10k.model();
const { services } = model;
print(`${services.all.length} Services, built in ${(seconds() - started).toFixed(0)} s`);
const client = backends[0]!;
const targets = services.all.filter(({ namespace }) => namespace === "many");
const from = { node: client.node!, pod: client };
const source = parseIp(client.addresses[0]!)!;
const send = (to: string, port: number) =>
  walk({ from, packet: openingPacket("tcp", source, parseIp(to)!, port) }, model);

/** The best of some runs, a second: other work on the machine only ever makes it slower. */
function rate(what: string, count: number, step: (n: number) => number): void {
  let most = 0;
  let ways = 0;
  for (let run = 0; run < 3; run++) {
    ways = 0;
    const start = seconds();
    for (let n = 0; n < count; n++) ways += step(n);
    most = Math.max(most, count / (seconds() - start));
  }
  print(`${what}: ${most.toFixed(0)} a second, ${((most * ways) / count).toFixed(0)} ways`);
}

const toService = (n: number): number => send(targets[(n * 7919) % targets.length]!.clusterIps[0]!, 80).ways.length;
const toPod = (n: number): number => send(backends[n % backends.length]!.addresses[0]!, 8080).ways.length;

const toEnds = (n: number): number => {
  const { filter } = model.forwarding.of(from.node);
  const to = parseIp(targets[(n * 7919) % targets.length]!.clusterIps[0]!)!;
  const packet = { ...openingPacket("tcp", source, to, 80), inDevice: "cni0", outDevice: "cni0" };
  return filter.through(["prerouting", "forward", "postrouting"], packet).length;
};

const node = { ...model, nodes: { ...model.nodes, all: model.nodes.all.filter(({ name }) => name === from.node) } };
const judged = seconds();
const { outcomes } = runChecks(
  CHECKS.filter(({ check }) => check.id === "service-rules-mismatch"),
  node,
  () => 0,
);
print(`desired against actual: ${(seconds() - judged).toFixed(2)} s a node`);
if (outcomes.some(({ outcome }) => outcome === "fault")) throw new Error("the rules are as they should be");

const before = kept();
const first = seconds();
const { ways } = send(targets[0]!.clusterIps[0]!, 80);
print(`the first walk: ${((seconds() - first) * 1000).toFixed(0)} ms, ${ways.length} ways, ${ways[0]!.end.is}`);
if (ways.length !== REPLICAS || ways.some(({ end }) => end.is !== "answered"))
  throw new Error("not all back ends answered");
for (let n = 0; n < 2000; n++) toService(n);
if (globalThis.gc) print(`what walks of 2,000 Services make is ${megabytes(kept() - before)} MB`);
rate("a node's hooks", 5000, toEnds);
rate("Pod to Service, there and back", 2000, toService);
rate("Pod to Pod, there and back", 5000, toPod);
print(`heap ${megabytes(kept())} MB`);
