/**
 * The Pod network of a large cluster, desired against actual: `node --expose-gc bench/pod-network.bench.ts [NODES]`.
 *
 * Every node has a route, a neighbour and an FDB entry to every other one: 75 million entries of 5,000 nodes. They are in
 * memory before the comparison begins, as a capture has them: each node has lists of its own, of entries of which equal ones
 * are kept once (75 million objects would not fit into memory).
 */
import { podNetworkEntryMismatch } from "../src/checks/pod-network/pod-network-entry-mismatch.ts";
import type { Capture } from "../src/evidence/capture.ts";
import type { KindId } from "../src/evidence/catalogue.ts";
import { present } from "../src/evidence/observed.ts";
import { modelOf } from "../src/model/model.ts";
import type { FdbEntry } from "../src/parse/iproute2/bridge-fdb.ts";
import type { Neighbour } from "../src/parse/iproute2/neigh.ts";
import type { Route } from "../src/parse/iproute2/route.ts";
import { cluster } from "../testing/cluster.ts";

const NODES = Number(process.argv[2] ?? 5000);
const print = (line: string): void => void process.stdout.write(`${line}\n`);
/** CPU seconds of this thread: other work on the machine does not count. */
function now(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}
const seconds = (taken: number): string => `${taken.toFixed(2)} s`;

const small = cluster({ nodes: 3 }).capture;
const nodes = small.get("nodes");
if (nodes.state !== "present") throw new Error("the builder made no nodes");
const like = nodes.value.items.at(-1)!;

const pair = (index: number) => `${index >> 8}.${index & 255}`;
const hex = (index: number) => index.toString(16).padStart(4, "0");
const macOf = (index: number) => `02:00:00:00:${hex(index).slice(0, 2)}:${hex(index).slice(2)}`;

const items = Array.from({ length: NODES }, (_, index) => ({
  ...like,
  metadata: {
    ...like.metadata,
    name: `n${index}`,
    annotations: {
      ...like.metadata.annotations,
      "flannel.alpha.coreos.com/public-ip": `172.16.${pair(index)}`,
      "flannel.alpha.coreos.com/backend-data": `{"VNI":1,"VtepMAC":"${macOf(index)}"}`,
    },
  },
  spec: { ...like.spec, podCIDR: `10.${pair(index)}.0/24`, podCIDRs: [`10.${pair(index)}.0/24`] },
  status: { ...like.status, addresses: [{ type: "InternalIP", address: `172.16.${pair(index)}` }] },
}));

const device = "flannel.1";
const ENTRIES = {
  routes: (index: number): Route => ({
    type: "unicast",
    family: "inet",
    destination: `10.${pair(index)}.0/24`,
    table: "main",
    nextHops: [{ gateway: `10.${pair(index)}.0`, device, flags: ["onlink"] }],
    flags: [],
  }),
  neighbours: (index: number): Neighbour => ({
    address: `10.${pair(index)}.0`,
    device,
    mac: macOf(index),
    states: ["PERMANENT"],
  }),
  fdb: (index: number): FdbEntry => ({
    mac: macOf(index),
    device,
    destination: `172.16.${pair(index)}`,
    state: "permanent",
    flags: ["self"],
  }),
};

/** Strings as a parser makes them, and not ropes of the pieces that they were put together from. */
const parsed = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

function listsOf(make: (index: number) => unknown): readonly (readonly unknown[])[] {
  const all = parsed(items.map((_, index) => make(index)));
  return all.map((_, own) => all.toSpliced(own, 1));
}

const tables = new Map<KindId, readonly (readonly unknown[])[]>(
  Object.entries(ENTRIES).map(([kind, make]) => [kind as KindId, listsOf(make)]),
);

const origin = { kind: "command", path: "nodes/n/made" } as const;
const capture: Capture = {
  ...small,
  get(kind, place) {
    if (kind === "nodes") return present({ items, indices: items.map((_, index) => index) }, origin) as never;
    const index = /^n(\d+)$/.exec(place?.node ?? "")?.[1];
    if (index === undefined) return small.get(kind, place);
    const lists = tables.get(kind);
    return lists ? (present(lists[Number(index)], origin) as never) : small.get(kind, { ...place, node: "w2" });
  },
  all: (kind) =>
    kind === "links"
      ? (items.map(({ metadata: { name } }) => ({
          place: { node: name },
          observed: small.get("links", { node: "w2" }),
        })) as never)
      : small.all(kind),
};

globalThis.gc?.();
const started = now();
const model = modelOf(capture);
print(`${NODES} nodes, ${model.nodes.all.filter(({ sampled }) => sampled).length} of them looked into`);
let findings = 0;
let right = 0;
for (const finding of podNetworkEntryMismatch.find(model)) {
  findings++;
  if (finding.outcome === "works") right++;
}
print(`${right} of ${findings} findings say that all is right`);
print(`compared in ${seconds(now() - started)} of CPU`);
print(`at most ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`);
