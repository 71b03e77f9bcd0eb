/**
 * The packet walk against the kernel: small clusters in network namespaces, damaged at random; recorded as bundles are;
 * and for connections between Pods, nodes, Services and outside, what really happens compared with what the walk says.
 *
 * A case is repeated by its seed: `NETWHY_SEED=17 vitest run testing/kernel/walk`. NETWHY_LONG=1 runs thousands.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClusterModel, modelOf } from "../../src/model/model.ts";
import { type Family, formatIp, parseIp } from "../../src/net/ip.ts";
import { openingPacket } from "../../src/trace/packet.ts";
import { type Result, seenAs } from "../../src/trace/probe.ts";
import type { Namespace, Trace, Way } from "../../src/trace/trace.ts";
import { walk } from "../../src/trace/walk.ts";
import { LONG } from "../long.ts";
import { seededRandom } from "../random.ts";
import { captureOf } from "../recordings.ts";
import { KINDS, randomDamage } from "./cluster-damage.ts";
import { ipv6Twin } from "./ipv6-twin.ts";
import { canAsk } from "./namespaces.ts";
import {
  type Answer,
  addressOf,
  type Damage,
  GATEWAY,
  type Host,
  isPod,
  type Network,
  NODES,
  nodeOf,
  OUTSIDE,
  PODS,
  type Question,
  SERVICES,
  type SmallCluster,
  smallCluster,
} from "./small-cluster.ts";
import { PYTHON } from "./three-hosts.ts";

const ONLY = process.env.NETWHY_SEED;
const CASES = LONG ? 700 : 6;
const QUESTIONS = 30;
/** Seconds until silence is believed; and until it is believed against what the walk says. */
const PATIENCE = 0.25;
const MORE_PATIENCE = 1.5;

type Random = ReturnType<typeof seededRandom>;

const ASKERS: readonly Host[] = [...PODS, ...PODS, ...NODES, "outside"];

function randomQuestion({ pick, chance }: Random): Question {
  const from = pick(ASKERS);
  const toService = (): Question => {
    const { ip, port, protocol, nodePort } = pick(SERVICES);
    const how = protocol === "TCP" ? "tcp" : "udp";
    if (nodePort !== undefined && (from === "outside" || chance(0.4)))
      return {
        from,
        how,
        to: chance(0.1) && from !== "outside" ? "127.0.0.1" : addressOf(pick(NODES)),
        port: nodePort,
      };
    return { from, how, to: ip, port };
  };
  const toPod = (): Question => {
    const to = addressOf(pick(PODS));
    const how = pick(["tcp", "udp", "icmp", "icmp"] as const);
    if (how === "icmp") return { from, how, to, port: 0, ...(chance(0.6) && { size: pick([84, 1350, 1450, 1500]) }) };
    return { from, how, to, port: pick([8080, 8080, 8080, 9090]) };
  };
  const toNode = (): Question => {
    const to = addressOf(pick(NODES));
    const how = pick(["tcp", "udp", "icmp"] as const);
    return { from, how, to, port: how === "icmp" ? 0 : pick([10250, 10250, 10248]) };
  };
  if (chance(0.05) && from !== "outside") return { from, how: "tcp", to: OUTSIDE, port: 443 };
  return pick([toService, toService, toPod, toPod, toNode])();
}

function traceOf({ from, how, to, port, size }: Question, family: Family, model: ClusterModel): Trace {
  const ipOf = (text: string) => parseIp(family === 4 ? text : ipv6Twin(text))!;
  const at: Namespace | "outside" =
    from === "outside" ? from : { node: nodeOf(from), ...(isPod(from) && { pod: model.pods.get("lab", from)! }) };
  const source = from === "outside" ? ipOf(GATEWAY) : isPod(from) ? ipOf(addressOf(from)) : undefined;
  const packet = openingPacket(how, source, parseIp(to)!, port);
  return walk({ from: at, packet, ...(size !== undefined && { size }) }, model);
}

/** Who takes the packet on a way, and what source it has there. */
function arrival({ steps, answer }: Way): { by: string; source: string } | undefined {
  const there = steps.slice(0, answer);
  const last = there.at(-1);
  const packet = there.findLast((step) => "packet" in step)?.packet;
  if (last?.did !== "receive" || !packet) return undefined;
  return {
    by: last.at.pod?.name ?? last.at.node,
    source: packet.source === "unknown" ? "unknown" : formatIp(packet.source),
  };
}

/** Whether what the kernel did is among what the walk holds possible; undefined if the walk does not know. */
function agrees({ how }: Question, { result, by, saw }: Answer, { ways }: Trace): boolean | undefined {
  const seen = ways.map(({ end }) => seenAs(end, how));
  if (seen.includes(undefined)) return undefined;
  return ways.some((way, index) => {
    if (!(seen[index] as readonly Result[]).includes(result)) return false;
    const arrived = result === "ok" && by !== undefined ? arrival(way) : undefined;
    return !arrived || (arrived.by === by && (arrived.source === saw || arrived.source === "unknown"));
  });
}

function tell({ from, how, to, port, size }: Question, answer: Answer, { ways }: Trace): string {
  const lines = ways.map((way) => {
    const at = way.end.at?.pod?.name ?? way.end.at?.node ?? "";
    const route = way.steps.map((step) =>
      "device" in step ? `${step.did}:${step.device}` : "hook" in step ? step.hook : step.did,
    );
    const told = way.end.evidence.map(({ quote }) => quote).join("; ");
    const { by, source } = arrival(way) ?? {};
    return `    ${way.certainty} ${way.end.is} at ${at} ${way.end.because ?? ""} [${told}] ${by ? `taken by ${by} from ${source}` : ""}\n      ${route.join(" ")}`;
  });
  return `  ${from} ${how} ${to}:${port}${size ? ` ${size} bytes` : ""}: kernel says ${JSON.stringify(answer)}; the walk:\n${lines.join("\n")}`;
}

/** Calico's way needs a gateway that nobody has, which IPv6 does another way. */
const CLUSTERS = [
  ["vxlan", "iptables-nft", 4],
  ["routed", "nftables", 4],
  ["host-gw", "iptables-legacy", 4],
  ["vxlan", "nftables", 6],
  ["host-gw", "iptables-nft", 6],
] as const;

type Lesson = {
  readonly in: Network;
  readonly family?: Family;
  readonly damage: readonly Damage[];
  readonly ask: readonly Question[];
};

const tcp = (from: Host, to: string, port = 8080): Question => ({ from, how: "tcp", to, port });
const udp = (from: Host, to: string, port: number): Question => ({ from, how: "udp", to, port });
const echo = (from: Host, to: string, size?: number): Question => ({
  from,
  how: "icmp",
  to,
  port: 0,
  ...(size && { size }),
});
const done = (where: Host, script: string): Damage => ({ where, what: "", script });

/** What the walk once got wrong, each by name. */
const LESSONS: Readonly<Record<string, Lesson>> = {
  "a node port at the loopback address: what is sent on from 127.0.0.1 does not leave": {
    in: "vxlan",
    damage: [],
    ask: [tcp("n1", "127.0.0.1", 30081), tcp("n3", "127.0.0.1", 30080)],
  },
  "nobody answers for the gateway once the bridge has lost its address": {
    in: "vxlan",
    damage: [done("n2", "ip addr del 10.244.2.1/24 dev cni0")],
    ask: [tcp("p21", "10.96.0.12", 80), tcp("p21", addressOf("n2"), 10250), tcp("p21", addressOf("p22"))],
  },
  "a refusal that does not come back is silence": {
    in: "vxlan",
    damage: [done("n3", "ip neigh replace 10.244.3.11 lladdr 02:00:00:00:99:99 dev cni0 nud permanent")],
    ask: [tcp("p31", addressOf("n1"), 10248), tcp("p31", addressOf("n1"), 30082)],
  },
  "a node that is told by ICMP that it was rejected, and drops that": {
    in: "vxlan",
    damage: [done("n3", "iptables-nft -P INPUT DROP")],
    ask: [tcp("n3", "10.96.0.12", 80)],
  },
  "what a port of a bridge takes from another port asks no neighbour of the node": {
    in: "vxlan",
    damage: [done("n1", "ip neigh replace 10.244.1.12 lladdr 02:00:00:00:99:99 dev cni0 nud permanent")],
    ask: [echo("p12", addressOf("p11")), echo("n1", addressOf("p12"))],
  },
  "the far end of a pair of devices takes in no more than its MTU": {
    in: "vxlan",
    damage: [done("n2", "ip link set veth1 mtu 1300")],
    ask: [
      echo("p21", addressOf("p12"), 1450),
      echo("p12", addressOf("p21"), 1450),
      echo("p21", addressOf("p22"), 1304),
    ],
  },
  "a frame for another Pod that the rules send elsewhere is the node's business": {
    in: "vxlan",
    damage: [done("p12", "ip route replace default via 10.244.1.11 dev eth0")],
    ask: [tcp("p12", "10.96.0.13", 443), tcp("p12", "10.96.0.10", 80), tcp("p12", addressOf("p31"))],
  },
  "a gateway that is one's own address is none": {
    in: "host-gw",
    damage: [done("p12", "ip route replace default via 10.244.1.12 dev eth0")],
    ask: [tcp("p12", "10.96.0.12", 80), tcp("p12", addressOf("p31"))],
  },
  "an address of the node is no source for others": {
    in: "host-gw",
    damage: [done("n2", "ip addr add 10.244.2.12/32 dev lo")],
    ask: [tcp("p22", "10.96.0.11", 80), tcp("p22", addressOf("p31"))],
  },
  "neighbour discovery over a bridge passes FORWARD": {
    in: "vxlan",
    family: 6,
    damage: [
      done(
        "n1",
        "nft add table inet g; nft 'add chain inet g f { type filter hook forward priority 0; }'; nft add rule inet g f ip saddr 10.244.1.11 ip daddr 10.244.1.0/24 meta l4proto icmp drop",
      ),
    ],
    ask: [tcp("p12", addressOf("p11"), 9090), tcp("p21", addressOf("p22"))],
  },
  "a node whose filter takes in no ICMPv6 is not found": {
    in: "host-gw",
    family: 6,
    damage: [done("n2", "iptables-nft -A INPUT -p icmp -j DROP")],
    ask: [
      tcp("p21", "10.96.0.10", 80),
      tcp("p11", addressOf("p21")),
      tcp("n1", addressOf("n2"), 10250),
      echo("n2", addressOf("n3")),
    ],
  },
  "a Pod without address does not reach itself, one whose device is down does": {
    in: "host-gw",
    damage: [done("p11", "ip addr del 10.244.1.11/24 dev eth0"), done("p22", "ip link set eth0 down")],
    ask: [echo("p11", addressOf("p11")), echo("p22", addressOf("p22")), tcp("p21", addressOf("p22"))],
  },
  "without forwarding not even a Pod behind the same bridge is reached by way of its Service": {
    in: "host-gw",
    damage: [done("n2", "sysctl -qw net.ipv4.ip_forward=0")],
    ask: [udp("p22", "10.96.0.53", 53), tcp("p22", addressOf("p21"))],
  },
  "proxy ARP needs forwarding": {
    in: "routed",
    damage: [done("n2", "sysctl -qw net.ipv4.ip_forward=0")],
    ask: [echo("p22", addressOf("n2"))],
  },
  "proxy ARP needs a route": {
    in: "routed",
    damage: [done("n2", "ip route del default")],
    ask: [echo("p22", addressOf("p21")), tcp("p22", addressOf("p31"))],
  },
  "proxy ARP is for those whom the rules of routing let through": {
    in: "routed",
    damage: [done("n2", "ip rule add from 10.244.2.0/24 pref 100 unreachable")],
    ask: [udp("p21", addressOf("n2"), 10250)],
  },
  "a node that answers no echo": {
    in: "routed",
    damage: [done("n2", "sysctl -qw net.ipv4.icmp_echo_ignore_all=1")],
    ask: [echo("p21", addressOf("n2")), echo("p12", addressOf("n2")), echo("p12", addressOf("p21"))],
  },
};

const isAble = canAsk(
  "bridge",
  "iptables-nft-restore",
  "iptables-legacy-restore",
  "nft",
  "ipset",
  "ss",
  "sysctl",
  PYTHON,
);

describe.skipIf(!isAble).each(CLUSTERS)("a cluster: %s, %s, IPv%i", (network, backend, family) => {
  let lab: SmallCluster;
  const tally = new Map<string, number>();
  const count = (what: string): void => void tally.set(what, (tally.get(what) ?? 0) + 1);

  beforeAll(async () => {
    lab = await smallCluster(network, backend, family);
  }, 60_000);
  afterAll(() => lab?.close());

  /** What the walk got wrong. */
  async function compare(damages: readonly Damage[], asked: readonly Question[]): Promise<readonly string[]> {
    const questions = family === 4 ? asked : asked.map((one) => ({ ...one, to: ipv6Twin(one.to) }));
    await lab.putInOrder();
    await lab.damage(damages);
    const model = modelOf(captureOf(await lab.record()));
    const traces = questions.map((question) => traceOf(question, family, model));
    const wrongOf = async (indices: readonly number[], patience: number) => {
      const answers = await lab.ask(
        indices.map((index) => questions[index]!),
        patience,
      );
      return indices.flatMap((index, at) => {
        const agreed = agrees(questions[index]!, answers[at]!, traces[index]!);
        if (patience === PATIENCE) {
          count(agreed === undefined ? "not told" : "told");
          if (agreed !== undefined) count(answers[at]!.result);
          for (const { end } of traces[index]!.ways) count(`end ${end.is}`);
          const { ways } = traces[index]!;
          if (ways.length > 1 && new Set(ways.map(({ end }) => end.is)).size > 1) count("several ends");
        }
        return agreed === false ? [{ index, text: tell(questions[index]!, answers[at]!, traces[index]!) }] : [];
      });
    };
    let wrong = await wrongOf([...questions.keys()], PATIENCE);
    // this machine may be busy
    if (wrong.length > 0)
      wrong = await wrongOf(
        wrong.map(({ index }) => index),
        MORE_PATIENCE,
      );
    return wrong.map(({ text }) => text);
  }

  it("in order", async () => {
    const random = seededRandom(1);
    expect(
      await compare(
        [],
        Array.from({ length: 80 }, () => randomQuestion(random)),
      ),
    ).toEqual([]);
  }, 60_000);

  const lessons = Object.entries(LESSONS).filter(
    ([, lesson]) => lesson.in === network && (lesson.family ?? 4) === family,
  );
  it.skipIf(ONLY !== undefined).each(lessons)(
    "%s",
    async (_, { damage, ask }) => {
      expect((await compare(damage, ask)).join("\n")).toBe("");
    },
    60_000,
  );

  const seeds = ONLY === undefined ? Array.from({ length: CASES }, (_, i) => i + 1) : [Number(ONLY)];
  it.each(seeds)(
    "damaged by chance, seed %i",
    async (seed) => {
      const random = seededRandom(seed * 1009 + network.length + (family === 6 ? 5_000_000 : 0));
      // every kind has its turn, alone at first, then with others
      const first = randomDamage(random, lab, KINDS[(seed * 7 + network.length) % KINDS.length]);
      const more = random.pick([0, 0, 1, 1, 2]);
      const damages = [first, ...Array.from({ length: more }, () => randomDamage(random, lab))];
      const wrong = await compare(
        damages,
        Array.from({ length: QUESTIONS }, () => randomQuestion(random)),
      );
      const told = damages.map(({ where, what, script }) => `  ${where}: ${what}: ${script}`);
      if (wrong.length > 0)
        expect.fail(`${network} IPv${family} seed ${seed}\n${told.join("\n")}\n${wrong.join("\n")}`);
    },
    60_000,
  );

  it.skipIf(ONLY !== undefined)("was told of most, and of all kinds of results", () => {
    const [told = 0, not = 0] = [tally.get("told"), tally.get("not told")];
    expect(not).toBeLessThan((told + not) * 0.15);
    for (const result of ["ok", "refused", "silent"]) expect(tally.get(result) ?? 0).toBeGreaterThan(told / 50);
  });
});
