/**
 * Each line of a node's rules taken away: where the walk then comes to another back end, another verdict or another
 * source address, a root at that node names what lost it (the Service, the Pods, the way out); where it comes to the
 * same everywhere, there is no root at all.
 *
 * A seeded sample in the ordinary run, all in the long one.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Capture } from "../../src/evidence/capture.ts";
import { present, unknown } from "../../src/evidence/observed.ts";
import { overlay } from "../../src/evidence/overlay.ts";
import { type ClusterModel, modelOf } from "../../src/model/model.ts";
import type { Packet } from "../../src/model/netfilter/packet.ts";
import type { PodView } from "../../src/model/pods.ts";
import { type Ref, refId } from "../../src/model/ref.ts";
import { formatIp, type Ip, parseIp } from "../../src/net/ip.ts";
import { printIptablesRule } from "../../src/parse/iptables/print.ts";
import type { NftTable } from "../../src/parse/nftables/json.ts";
import { printNftRule } from "../../src/parse/nftables/print.ts";
import type { Cause } from "../../src/report/report.ts";
import { openingPacket, type Protocol } from "../../src/trace/packet.ts";
import type { Way } from "../../src/trace/trace.ts";
import { type Sending, walk } from "../../src/trace/walk.ts";
import { cluster } from "../cluster.ts";
import { LONG } from "../long.ts";
import { random } from "../random.ts";
import { captureOf, readRecording } from "../recordings.ts";

const SAMPLE = 40;
const OUTSIDE = parseIp("203.0.113.7")!;

/** What a root must name if a flow comes to something else: a Service by its refId, or words of its title. */
type Flow = { readonly of: string | RegExp; readonly says: string; readonly sending: Sending };

const ipOf = (pod: PodView): Ip | undefined => pod.addresses.map(parseIp).find((ip) => ip?.family === 4);

/** The packets whose ends must not change without a word, of one node: what its rules are for. */
function flowsOf(node: string, { nodes, pods, services }: ClusterModel): Flow[] {
  const flows: Flow[] = [];
  const podsOn = (name: string) =>
    pods.onNode(name).filter((pod) => !pod.hostNetwork && !pod.finished && ipOf(pod) !== undefined);
  const add = (
    of: Flow["of"],
    says: string,
    from: Sending["from"] | PodView,
    protocol: Protocol,
    to: Ip | undefined,
    port?: number,
  ) => {
    if (!to) return;
    const isPod = typeof from === "object" && "addresses" in from;
    const source = isPod ? ipOf(from) : from === "outside" ? OUTSIDE : undefined;
    const packet = openingPacket(protocol, source, to, port);
    flows.push({ of, says, sending: { packet, from: isPod ? { node: from.node!, pod: from } : from } });
  };
  const mine = podsOn(node);
  const others = nodes.all.filter(({ name }) => name !== node);
  const self = nodes.get(node)!.ipv4;
  for (const service of services.all.filter(({ proxied }) => proxied)) {
    const backEnds = services.selected(service);
    const caller = mine.find((pod) => !backEnds.includes(pod)) ?? mine[0];
    for (const port of service.ports) {
      const protocol = port.protocol.toLowerCase() as Protocol;
      const of = refId(service.ref);
      const cluster = service.clusterIps.map(parseIp).find((ip) => ip?.family === 4);
      if (caller) add(of, `${port.key} from a Pod`, caller, protocol, cluster, port.port);
      add(of, `${port.key} from the node`, { node }, protocol, cluster, port.port);
      for (const pod of mine.filter((one) => backEnds.includes(one)))
        add(of, `${port.key} from its own ${pod.key}`, pod, protocol, cluster, port.port);
      if (port.nodePort === undefined) continue;
      for (const other of others)
        add(of, `${port.key} by node port from ${other.name}`, { node: other.name }, protocol, self, port.nodePort);
      add(of, `${port.key} by node port from outside`, "outside", protocol, self, port.nodePort);
      add(of, `${port.key} by node port from the node`, { node }, protocol, self, port.nodePort);
      if (caller) add(of, `${port.key} by node port from a Pod`, caller, protocol, self, port.nodePort);
    }
  }
  const [first, second] = mine;
  for (const other of others) {
    const [peer] = podsOn(other.name);
    if (first && peer) add(/Pods/, `Pods to Pods of ${other.name}`, first, "icmp", ipOf(peer));
    if (first && peer) add(/Pods/, `Pods of ${other.name} to Pods`, peer, "icmp", ipOf(first));
    if (peer) add(/Pods/, `the node to Pods of ${other.name}`, { node }, "icmp", ipOf(peer));
    if (first) add(/Pods/, `${other.name} to Pods`, { node: other.name }, "icmp", ipOf(first));
    if (first) add(/Pods/, `Pods to ${other.name}`, first, "icmp", other.ipv4);
  }
  if (first && second) add(/Pods/, "Pods to Pods beside them", first, "icmp", ipOf(second));
  if (first) {
    add(/Pods/, "Pods to outside", first, "tcp", OUTSIDE, 443);
    add(/Pods/, "Pods to their node", first, "icmp", self);
    add(/Pods/, "the node to its Pods", { node }, "icmp", ipOf(first));
  }
  return flows;
}

/** Where a way ends, and with which addresses: what a removal may change. */
function endOf({ steps, answer, end }: Way): string {
  const words = ({ source, destination, destinationPort }: Packet) =>
    `${[source, destination].map((ip) => (ip === "unknown" ? "?" : formatIp(ip))).join(" > ")}:${destinationPort ?? ""}`;
  const place = end.at?.pod?.key ?? end.at?.node ?? "";
  const how = `${end.is}${end.is === "answered" ? "" : ` at ${place}`}`;
  const reply = answer === undefined ? undefined : steps[answer];
  // what answers shows what arrived
  if (reply && "packet" in reply) {
    const { source, destination, sourcePort, ...packet } = reply.packet;
    const port = sourcePort === undefined ? {} : { destinationPort: sourcePort };
    return `${how} ${words({ ...packet, ...port, source: destination, destination: source })}`;
  }
  const last = steps.findLast((step) => "packet" in step);
  return `${how} ${last && "packet" in last ? words(last.packet) : ""}`;
}

const endsOf = (flow: Flow, model: ClusterModel): string =>
  [...new Set(walk(flow.sending, model).ways.map(endOf))].sort().join("; ");

type Removal = { readonly node: string; readonly what: string; readonly capture: Capture };

/** Each rule of a node's iptables, its nftables and each element of their sets, taken away. */
function* removalsOf(capture: Capture, node: string): Iterable<Removal> {
  const iptables = capture.get("iptables", { node });
  if (iptables.state === "present")
    for (const table of iptables.value.tables)
      for (const chain of table.chains)
        for (const rule of chain.rules) {
          const without = { ...chain, rules: chain.rules.filter((one) => one !== rule) };
          const chains = table.chains.map((one) => (one === chain ? without : one));
          const tables = iptables.value.tables.map((one) => (one === table ? { ...table, chains } : one));
          const observed = present({ ...iptables.value, tables }, iptables.origin);
          const what = `${table.name} ${printIptablesRule(chain.name, rule)}`;
          yield { node, what, capture: overlay(capture, [{ kind: "iptables", place: { node }, observed }]) };
        }
  const nftables = capture.get("nftables", { node });
  if (nftables.state !== "present") return;
  for (const table of nftables.value.tables) {
    // those of iptables-nft are told by iptables-save
    if (iptables.state === "present" && /^(filter|nat|mangle|raw|security)$/.test(table.name)) continue;
    const name = `${table.family} ${table.name}`;
    const removal = (what: string, changed: NftTable): Removal => {
      const tables = nftables.value.tables.map((one) => (one === table ? changed : one));
      const observed = present({ ...nftables.value, tables }, nftables.origin);
      return { node, what, capture: overlay(capture, [{ kind: "nftables", place: { node }, observed }]) };
    };
    for (const chain of table.chains)
      for (const rule of chain.rules) {
        const without = { ...chain, rules: chain.rules.filter((one) => one !== rule) };
        const chains = table.chains.map((one) => (one === chain ? without : one));
        yield removal(`${name} ${chain.name}: ${printNftRule(rule)}`, { ...table, chains });
      }
    for (const set of table.sets)
      for (const element of set.elements) {
        const without = { ...set, elements: set.elements.filter((one) => one !== element) };
        const sets = table.sets.map((one) => (one === set ? without : one));
        yield removal(`${name} @${set.name}: ${JSON.stringify(element.key)}`, { ...table, sets });
      }
  }
}

/** Whether a cause is about the node and names what a flow belongs to, alone or with all of its kind. */
function tells({ object, related, nodes = [], title }: Cause, { of, sending }: Flow, node: string): boolean {
  if (!nodes.includes(node) && refId(object as Ref) !== `Node/${node}`) return false;
  if (typeof of !== "string") return of.test(title.en);
  if ([object, ...related].some((one) => refId(one as Ref) === of)) return true;
  const isOfPod = sending.from !== "outside" && sending.from.pod !== undefined;
  return /Services|Service rules/.test(title.en) || (isOfPod && /\bPods\b/.test(title.en));
}

type Case = Removal & { readonly cluster: string };

/** Tests that succeeded while the rule was there would speak against its absence. */
const untested = (capture: Capture): Capture =>
  overlay(capture, [
    {
      kind: "probes",
      place: {},
      observed: unknown({ reason: "not-collected" }, { kind: "file", path: "probes.jsonl" }),
    },
  ]);

const captures = new Map<string, Capture>();

function casesOf(): Case[] {
  const all = [...captures].flatMap(([name, capture]) =>
    modelOf(capture).nodes.all.flatMap((node) =>
      [...removalsOf(capture, node.name)].map((removal) => ({ ...removal, cluster: name })),
    ),
  );
  if (LONG) return all;
  const draw = random(Number(process.env.NETWHY_SEED ?? 11));
  return Array.from({ length: SAMPLE }, () => all.splice(Math.floor(draw() * all.length), 1)[0]!);
}

describe("a rule is gone", () => {
  /** Warnings about the whole clusters. */
  const warned = new Map<string, ReadonlySet<string>>();
  const before = new Map<string, readonly { readonly flow: Flow; readonly ends: string }[]>();

  beforeAll(async () => {
    for (const id of ["healthy-iptables", "healthy-nftables"])
      captures.set(id, untested(captureOf((await readRecording(id)).files)));
    captures.set("built, iptables", cluster().capture);
    captures.set("built, nftables", cluster({ proxy: "nftables" }).capture);
    for (const [id, capture] of captures) {
      const model = modelOf(capture);
      warned.set(id, new Set(diagnose(capture).warnings.map((one) => one.id)));
      for (const { name } of model.nodes.all)
        before.set(
          `${id} ${name}`,
          flowsOf(name, model).map((flow) => ({ flow, ends: endsOf(flow, model) })),
        );
    }
  });

  it("what changes is named at its node, and what does not is no root", () => {
    const failures: string[] = [];
    let harmful = 0;
    const cases = casesOf();
    for (const { cluster: id, node, what, capture } of cases) {
      const model = modelOf(capture);
      const known = before.get(`${id} ${node}`)!;
      const changes = known.flatMap(({ flow, ends }) => {
        const after = endsOf(flow, model);
        return after === ends ? [] : [{ flow, isHarm: /answered|left-cluster/.test(`${ends} ${after}`) }];
      });
      if (changes.length > 0) harmful++;
      const changed = changes.map(({ flow }) => flow);
      const { rootCauses, warnings, checks } = diagnose(capture);
      const where = `${id}: ${node}: ${what}`;
      for (const check of checks) if (check.outcome === "crashed") failures.push(`${where}: ${check.id} crashed`);
      // what was not served before and is not after is worth no more than a warning
      const untold = changes.filter(
        ({ flow, isHarm }) => ![...rootCauses, ...(isHarm ? [] : warnings)].some((one) => tells(one, flow, node)),
      );
      if (untold.length > 0) failures.push(`${where}: not told: ${untold.map(({ flow }) => flow.says).join("; ")}`);
      const wrong = [...rootCauses, ...warnings.filter((one) => !warned.get(id)!.has(one.id))].filter(
        (root) => !changed.some((flow) => tells(root, flow, node)),
      );
      for (const { title } of wrong) failures.push(`${where}: not true: ${title.en}`);
    }
    expect(failures).toEqual([]);
    // rules that never matter are the most; but the walk must see that some do
    expect(harmful).toBeGreaterThan(cases.length / 5);
  }, 3_600_000);
});
