/**
 * How fast a node of a large cluster is judged and walked: `node --expose-gc bench/walk.bench.ts [SERVICES] [nftables]`.
 *
 * Four nodes whose kube-proxies have 10,000 Services with ten endpoints each (about 320,000 rules of iptables a node); the
 * endpoints are those of 40 Pods.
 *
 *   desired against actual   the check of a node's rules against the API's, once they are read: one second
 *   a node's hooks           one packet for a Service through prerouting, forward and postrouting of one node: 20,000 a second
 *                            to one of its back ends, and how many to all ten; first to each Service, then to the same again
 *   there and back           one packet from a Pod's socket to a back end's, through all namespaces, hooks, routes, devices and
 *                            tunnels of both nodes, and its answer back to the Pod: up to 16 hooks and 26 steps. By way of one
 *                            back end that is asked for, or of all ten, which are on four nodes (ten such ways); to one Pod
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

const args = process.argv.slice(2);
const proxy = args.includes("nftables") ? "nftables" : "iptables";
const SERVICES = Number(args.find((arg) => arg !== proxy) ?? 10_000);
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
  proxy,
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
const send = (to: string, port: number, towards?: ReadonlySet<string>) =>
  walk({ from, packet: openingPacket("tcp", source, parseIp(to)!, port), ...(towards && { towards }) }, model);

/** The best of some runs, a second: other work on the machine only ever makes it slower. */
function rate(what: string, count: number, step: (n: number) => number, runs = 3): void {
  let most = 0;
  let ways = 0;
  for (let run = 0; run < runs; run++) {
    ways = 0;
    const start = seconds();
    for (let n = 0; n < count; n++) ways += step(n);
    most = Math.max(most, count / (seconds() - start));
  }
  print(`${what}: ${most.toFixed(0)} a second, ${((most * ways) / count).toFixed(0)} ways`);
}

const target = (n: number) => targets[(n * 7919) % targets.length]!.clusterIps[0]!;
const backend = (n: number): string => backends[n % backends.length]!.addresses[0]!;
const meant = backends.map(({ addresses }) => new Set(addresses));
/** The first back end of a Service. */
const firstOf = (n: number) => meant[((n * 7919) % targets.length) % backends.length]!;
const toService = (n: number): number => send(target(n), 80).ways.length;
/** By way of the first of its back ends. */
const toOne = (n: number): number => send(target(n), 80, firstOf(n)).ways.length;
const toPod = (n: number): number => send(backend(n), 8080).ways.length;

const opening = (n: number, from = source) => ({
  ...openingPacket("tcp", from, parseIp(target(n))!, 80),
  inDevice: "cni0",
  outDevice: "cni0",
});
const HOOKS = ["prerouting", "forward", "postrouting"] as const;
const toEnds = (n: number, from = source): number =>
  model.forwarding.of(client.node!).filter.through(HOOKS, opening(n, from)).length;
const toOneEnd = (n: number, from = source): number => {
  const { filter } = model.forwarding.of(client.node!);
  const [end] = filter.at(HOOKS[0], opening(n, from), firstOf(n));
  return filter.through(HOOKS.slice(1), end!.packet).length;
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

print("A node's hooks: one packet through prerouting, forward and postrouting of one node.");
print(
  "There and back: one packet from socket to socket through all that is between, on both nodes, and its answer back.",
);
const before = kept();
const first = seconds();
const { ways } = send(targets[0]!.clusterIps[0]!, 80);
print(`the first walk: ${((seconds() - first) * 1000).toFixed(0)} ms, ${ways.length} ways, ${ways[0]!.end.is}`);
if (ways.length !== REPLICAS || ways.some(({ end }) => end.is !== "answered"))
  throw new Error("not all back ends answered");
for (let n = 0; n < 2000; n++) toService(n);
if (globalThis.gc) print(`what walks of 2,000 Services make is ${megabytes(kept() - before)} MB`);
const other = parseIp(backends.find((one) => one !== client && one.node === client.node)!.addresses[0]!)!;
for (const [ends, step] of [
  ["all ends", toEnds],
  ["one end", toOneEnd],
] as const) {
  const skipped = step === toEnds ? 2000 : 5000;
  const asked =
    (from = source) =>
    (n: number) =>
      step(n + skipped, from);
  rate(`a node's hooks, to ${ends}, first to each Service`, 3000, asked(), 1);
  rate(`a node's hooks, to ${ends}, from another Pod`, 3000, asked(other), 1);
  rate(`a node's hooks, to ${ends}, again`, 3000, asked(other));
}
rate("Pod to Service, there and back, by all back ends", 1000, toService, 10);
rate("Pod to Service, there and back, by one back end, first to each", 2000, (n) => toOne(n + 8000), 1);
rate("Pod to Service, there and back, by one back end", 2000, toOne, 20);
rate("Pod to Pod, there and back", 2000, toPod, 20);
print(`heap ${megabytes(kept())} MB`);
