/**
 * Our evaluator against the kernel: a client, a router and a server, each in a network namespace; random rule sets on the
 * router, of iptables (both back ends) and nftables; packets sent for real; and where they came out compared with what we
 * say.
 *
 * A case is repeated by its seed: `NETWHY_SEED=17 vitest run testing/kernel/netfilter`. NETWHY_LONG=1 runs thousands.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addressesOf, isLocal } from "../../src/model/netfilter/addresses.ts";
import type { Context } from "../../src/model/netfilter/condition.ts";
import { hook } from "../../src/model/netfilter/hooks.ts";
import { nftRulesets } from "../../src/model/netfilter/nftables.ts";
import type { Outcome } from "../../src/model/netfilter/outcome.ts";
import { type Maybe, type Packet, replyTo } from "../../src/model/netfilter/packet.ts";
import { iptablesRulesets, type Ruleset } from "../../src/model/netfilter/ruleset.ts";
import type { Step } from "../../src/model/netfilter/when.ts";
import { canonicalIp, formatIp, type Ip, parseIp } from "../../src/net/ip.ts";
import { printIptablesRule } from "../../src/parse/iptables/print.ts";
import { parseIptablesSave } from "../../src/parse/iptables/save.ts";
import { parseNft } from "../../src/parse/nftables/json.ts";
import { printNftRule } from "../../src/parse/nftables/print.ts";
import { seededRandom } from "../random.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace } from "./namespaces.ts";
import { NFT_TABLES, nftTables } from "./random-nft.ts";
import { EMPTY, IPSETS, PORTS, type Random, ruleSet } from "./random-rules.ts";
import { ADDRESSES, type Family, layOut, type Prober, PYTHON, type Seen, startProber } from "./three-hosts.ts";

const ONLY = process.env.NETWHY_SEED;
const CASES = process.env.NETWHY_LONG ? 2000 : 40;
const PACKETS = 24;
/** Which back ends have rules. */
const CHOICES: readonly (readonly Backend[])[] = process.env.NETWHY_NFT
  ? [["nftables"]]
  : [
      ...([["nft"], ["legacy"], ["nft"], ["legacy"], ["nft", "legacy"]] as const),
      ...([
        ["nftables"],
        ["nftables"],
        ["nftables"],
        ["nftables"],
        ["nft", "nftables"],
        ["legacy", "nftables"],
      ] as const),
    ];
const QUIET_MS = 12;
/** A disagreement is looked at again, slowly, before it is believed: this machine may be busy. */
const PATIENT_MS = 400;

// ---------------------------------------------------------------------------------------------------------------------
// Packets, what becomes of them, and what we say.

type Sender = "client" | "router" | "server";

type Probe = {
  readonly id: number;
  readonly from: Sender;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly source: string;
  readonly destination: string;
  readonly sport: number;
  readonly dport: number;
  readonly flags: readonly string[];
  readonly ack: number;
  readonly echo: number;
  readonly answer: boolean;
  readonly mark: number;
};

/** Where a packet came out; an "unknown" in a prediction stands for anything. */
type Fate =
  | {
      readonly at: "client" | "server" | "router";
      readonly source: string;
      readonly destination: string;
      readonly ports: string;
    }
  | { readonly at: "refused"; readonly with: string }
  | { readonly at: "nowhere" }
  | { readonly at: "unknown" };

const REFUSALS: ReadonlyMap<string, string> = new Map([
  ["4/3/0", "icmp-net-unreachable"],
  ["4/3/1", "icmp-host-unreachable"],
  ["4/3/3", "icmp-port-unreachable"],
  ["4/3/13", "icmp-admin-prohibited"],
  ["6/1/3", "icmp6-addr-unreachable"],
  ["4/3/10", "icmp-host-prohibited"],
  ["6/1/4", "icmp6-port-unreachable"],
  ["6/1/1", "icmp6-adm-prohibited"],
]);

const ip = (text: string): Ip => parseIp(text)!;
const text = (address: Maybe<Ip>): string => (address === "unknown" ? address : formatIp(address));

function packetOf(probe: Probe, family: Family): Packet {
  const icmp = family === 4 ? [8, 0] : [128, 129];
  return {
    family,
    protocol: probe.protocol === "icmp" && family === 6 ? "ipv6-icmp" : probe.protocol,
    source: ip(probe.source),
    destination: ip(probe.destination),
    ...(probe.protocol === "icmp"
      ? { icmpType: icmp[probe.answer ? 1 : 0]!, icmpCode: 0 }
      : { sourcePort: probe.sport, destinationPort: probe.dport }),
    ...(probe.protocol === "tcp" ? { tcpFlags: probe.flags } : { tcpFlags: [] }),
    mark: probe.mark,
    ctState: "new",
  };
}

type Router = { readonly rulesets: readonly Ruleset[]; readonly context: Context; readonly family: Family };

/** A way through the router: where the packet came out, the packet as it was there, and the rules that it met. */
type Way = { readonly fate: Fate; readonly packet: Packet; readonly met: readonly Step[] };

const lost = (outcome: Outcome): Fate =>
  outcome.verdict.is === "drop"
    ? { at: "nowhere" }
    : outcome.verdict.is === "reject"
      ? { at: "refused", with: outcome.verdict.with }
      : { at: "unknown" };

/** Runs a hook for each packet; those that are accepted go on with `then`. */
function through(
  router: Router,
  name: Parameters<typeof hook>[1],
  packet: Packet,
  then: (packet: Packet) => readonly Way[],
): readonly Way[] {
  return hook(router.rulesets, name, packet, router.context).flatMap((outcome) =>
    outcome.verdict.is === "accept"
      ? then(outcome.packet).map((way) => ({ ...way, met: [...outcome.met, ...way.met] }))
      : [{ fate: lost(outcome), packet: outcome.packet, met: outcome.met }],
  );
}

function deviceTo(router: Router, destination: Ip): string {
  const { addresses } = router.context;
  if (addresses !== "unknown" && isLocal(addresses, destination) === true) return "lo";
  const { client } = ADDRESSES[router.family];
  return formatIp(destination) === client ? "rc" : "rs";
}

const arrived =
  (at: "client" | "server" | "router") =>
  (packet: Packet): readonly Way[] => {
    const ports = packet.sourcePort === undefined ? "" : `${packet.sourcePort} ${packet.destinationPort}`;
    return [
      { fate: { at, source: text(packet.source), destination: text(packet.destination), ports }, packet, met: [] },
    ];
  };

/** From the way in to the way out, routed as the router's few routes say. */
function ways(router: Router, packet: Packet, from: Sender): readonly Way[] {
  const { destination } = packet;
  if (from !== "router") {
    return through(router, "prerouting", { ...packet, inDevice: from === "client" ? "rc" : "rs" }, (routed) => {
      if (routed.destination === "unknown") return [{ fate: { at: "unknown" }, packet: routed, met: [] }];
      const device = deviceTo(router, routed.destination);
      if (device === "lo") return through(router, "input", routed, arrived("router"));
      return through(router, "forward", { ...routed, outDevice: device }, (forwarded) =>
        through(router, "postrouting", forwarded, arrived(device === "rc" ? "client" : "server")),
      );
    });
  }
  if (destination === "unknown") return [];
  return through(router, "output", { ...packet, outDevice: deviceTo(router, destination) }, (sent) => {
    if (sent.destination === "unknown") return [{ fate: { at: "unknown" }, packet: sent, met: [] }];
    const device = deviceTo(router, sent.destination);
    return through(router, "postrouting", { ...sent, outDevice: device }, (out) => {
      if (device !== "lo") return arrived(device === "rc" ? "client" : "server")(out);
      const { outDevice, ...looped } = out;
      return through(router, "prerouting", { ...looped, inDevice: "lo" }, (routed) =>
        through(router, "input", routed, arrived("router")),
      );
    });
  });
}

function agrees(seen: Fate, said: Fate, probe: Probe): boolean {
  if (said.at === "unknown") return true;
  // Of its own packets a sender only learns that they were not let out.
  if (probe.from === "router" && seen.at === "nowhere") return said.at === "nowhere" || said.at === "refused";
  if (seen.at !== said.at) return false;
  if (seen.at === "refused") return said.at === "refused" && seen.with === said.with;
  if (seen.at === "nowhere" || said.at === "nowhere" || said.at === "refused") return true;
  const same = (a: string, b: string): boolean => a === b || b === "unknown";
  const [seenSource, seenDestination] = seen.ports.split(" ");
  const [source, destination] = said.ports.split(" ");
  return (
    same(seen.source, said.source) &&
    same(seen.destination, said.destination) &&
    same(seenSource ?? "", source ?? "") &&
    same(seenDestination ?? "", destination ?? "")
  );
}

// ---------------------------------------------------------------------------------------------------------------------

let nextId = 1000;
let nextPort = 20000;

function probeFrom(random: Random, family: Family, from: Sender): Probe {
  const { client, near, far, servers, virtual } = ADDRESSES[family];
  const protocol = random.pick(["tcp", "tcp", "udp", "udp", "icmp"] as const);
  const towards =
    from === "server"
      ? [client, near, far]
      : [...servers, ...virtual, ...virtual, ...(from === "client" ? [near, far] : [client])];
  nextPort = nextPort >= 60000 ? 20000 : nextPort + 1;
  nextId += 10;
  return {
    id: nextId,
    from,
    protocol,
    source: from === "client" ? client : from === "server" ? servers[0]! : random.pick([near, far]),
    destination: random.pick(towards),
    sport: nextPort,
    dport: random.pick(PORTS),
    flags: ["SYN"],
    ack: 0,
    echo: nextPort * 65536 + 1,
    answer: false,
    mark: from === "router" ? random.pick([0, 0, 1, 2]) : 0,
  };
}

/** The next packet of the connection, as the end that a packet came to sends it. */
function answerTo(probe: Probe, seen: Fate & { readonly at: "client" | "server" | "router" }): Probe {
  nextId += 10;
  const [sport = "0", dport = "0"] = seen.ports.split(" ");
  return {
    ...probe,
    id: nextId,
    from: seen.at,
    source: seen.destination,
    destination: seen.source,
    sport: Number(dport),
    dport: Number(sport),
    flags: ["SYN", "ACK"],
    ack: probe.id + 1,
    answer: true,
    mark: 0,
  };
}

function fateOf(probe: Probe, family: Family, events: { readonly [S in Sender]: readonly Seen[] }): Fate {
  const isThis = (seen: Seen): boolean =>
    seen.id === probe.id && seen.protocol === probe.protocol && !seen.flags?.includes("RST");
  for (const at of ["router", "server", "client"] as const) {
    const seen = events[at].find(isThis);
    if (!seen) continue;
    const ports = probe.protocol === "icmp" ? "" : `${seen.sport} ${seen.dport}`;
    return { at, source: seen.source, destination: seen.destination, ports };
  }
  for (const seen of events[probe.from]) {
    if (seen.about === probe.id)
      return {
        at: "refused",
        with: REFUSALS.get(`${family}/${seen.type}/${seen.code}`) ?? `${seen.type}/${seen.code}`,
      };
    // A reset answers with the number that it acknowledges, or takes the one that was acknowledged.
    const isReset =
      seen.flags?.includes("RST") && (seen.flags.includes("ACK") ? seen.ack === probe.id + 1 : seen.id === probe.ack);
    if (probe.protocol === "tcp" && isReset) return { at: "refused", with: "tcp-reset" };
  }
  return { at: "nowhere" };
}

/** Where several packets would look the same, the kernel gives the later ones another source port. */
const withoutPort = (fate: Fate): Fate =>
  "ports" in fate ? { ...fate, ports: fate.ports.replace(/^\S+/, "unknown") } : fate;

function disagreement(probe: Probe, fate: Fate, said: readonly Way[], all: readonly string[]): readonly string[] {
  const isTaken = (one: Fate): boolean => all.filter((other) => other === JSON.stringify(one)).length > 1;
  if (said.some((way) => agrees(fate, isTaken(way.fate) ? withoutPort(way.fate) : way.fate, probe))) return [];
  const ends = said.map((way) => JSON.stringify(way.fate)).join("\n        ");
  return [`${describeProbe(probe)}\n  went: ${JSON.stringify(fate)}\n  said: ${ends}`];
}

type Counters = ReadonlyMap<string, number>;

/** By the place of each rule that counts. */
function countersOf(rulesets: readonly Ruleset[]): Counters {
  const all = rulesets.flatMap(({ chains }) =>
    [...chains].flatMap(([table, byName]) =>
      [...byName.values()].flatMap(({ rules }) =>
        rules.flatMap(({ line, packets }) => (packets === undefined ? [] : [[`${table} ${line}`, packets] as const])),
      ),
    ),
  );
  return new Map(all);
}

/** Rules that did not count as many packets as ways met them. */
function miscounts(
  before: Counters,
  after: Counters,
  ways: readonly Way[],
  show: (place: string) => string,
): readonly string[] {
  const met = new Map<string, number>();
  for (const { table, line } of ways.flatMap((way) => way.met))
    met.set(`${table} ${line}`, (met.get(`${table} ${line}`) ?? 0) + 1);
  return [...after].flatMap(([key, packets]) => {
    const counted = packets - (before.get(key) ?? 0);
    const expected = met.get(key) ?? 0;
    return counted === expected ? [] : [`${show(key)}\n  counted ${counted}, said ${expected}`];
  });
}

const describeProbe = ({ from, protocol, source, sport, destination, dport, flags, mark }: Probe): string =>
  `${from}: ${protocol} ${source}:${sport} -> ${destination}:${dport} ${protocol === "tcp" ? flags.join(",") : ""} mark ${mark}`;

type Backend = "nft" | "legacy" | "nftables";

describe.skipIf(!canAsk("iptables-nft-restore", "iptables-legacy-restore", "nft", "ipset", PYTHON))(
  "the kernel",
  () => {
    const names = { client: "", router: "", server: "" };
    const probers = {} as { [F in Family]: { [S in Sender]: Prober } };

    beforeAll(async () => {
      for (const name of ["client", "router", "server"] as const) names[name] = addNamespace();
      layOut(names.client, names.router, names.server);
      const sets = IPSETS.flatMap(({ name, type, family, entries }) => [
        type === "list:set" ? `create ${name} ${type}` : `create ${name} ${type} family ${family}`,
        ...entries.map(({ value, nomatch }) => `add ${name} ${value}${nomatch ? " nomatch" : ""}`),
      ]);
      inNamespace(names.router, ["ipset", "restore"], `${sets.join("\n")}\n`);
      for (const family of [4, 6] as const) {
        probers[family] = {
          client: startProber(names.client, family, "host"),
          router: startProber(names.router, family, "local"),
          server: startProber(names.server, family, "host"),
        };
        await Promise.all(Object.values(probers[family]).map((one) => one.collect(0)));
      }
    }, 30_000);

    afterAll(() => {
      for (const family of [4, 6] as const) for (const prober of Object.values(probers[family] ?? {})) prober.stop();
      for (const name of Object.values(names)) deleteNamespace(name);
    });

    /** Replaces the rules of a back end. */
    function load(backend: Backend, family: Family, rules: string): void {
      if (backend !== "nftables")
        return void inNamespace(names.router, [`${programOf(family)}-${backend}-restore`], rules);
      const gone = ["ip", "ip6", "inet"].flatMap((one) =>
        NFT_TABLES.map((name) => `table ${one} ${name}\ndelete table ${one} ${name}\n`),
      );
      inNamespace(names.router, ["nft", "-f", "-"], gone.join("") + rules);
    }

    /** The rules of a back end with their counters, as they are now. */
    function rulesetsOf(backend: Backend, family: Family): readonly Ruleset[] {
      if (backend === "nftables") {
        const { value, gaps } = parseNft(inNamespace(names.router, ["nft", "-j", "list", "ruleset"]));
        expect(gaps).toEqual([]);
        return nftRulesets(value, ({ name }) => !NFT_TABLES.includes(name));
      }
      const { value, gaps } = parseIptablesSave(
        inNamespace(names.router, [`${programOf(family)}-${backend}-save`, "-c"]),
      );
      expect(gaps).toEqual([]);
      return iptablesRulesets(value, family);
    }

    async function sendAll(probes: readonly Probe[], family: Family, quietMs: number): Promise<readonly Fate[]> {
      const all = probers[family];
      for (const from of ["client", "router", "server"] as const) {
        const mine = probes.filter((probe) => probe.from === from);
        if (mine.length > 0) await all[from].send(mine);
      }
      const [client, router, server] = await Promise.all([
        all.client.collect(quietMs),
        all.router.collect(quietMs),
        all.server.collect(quietMs),
      ]);
      return probes.map((probe) => fateOf(probe, family, { client, router, server }));
    }

    /** What was seen and said, so that a test that tests nothing is noticed. */
    const tally = new Map<string, number>();
    const count = (seen: Fate["at"], said: readonly Way[]): void => {
      const fates = new Set(said.map(({ fate }) => JSON.stringify(fate)));
      const isVague = said.some(({ fate }) => Object.values(fate).includes("unknown"));
      for (const kind of [
        "packets",
        seen,
        fates.size > 1 ? "several ways" : "one way",
        ...(isVague ? ["not known exactly"] : []),
      ]) {
        tally.set(kind, (tally.get(kind) ?? 0) + 1);
      }
      if (said.some(({ packet }) => packet.dnatted || packet.translation?.destination?.address))
        tally.set("dnat", (tally.get("dnat") ?? 0) + 1);
      if (said.some(({ packet }) => packet.snatted)) tally.set("snat", (tally.get("snat") ?? 0) + 1);
    };

    const seeds = ONLY === undefined ? Array.from({ length: CASES }, (_, seed) => seed) : [Number(ONLY)];

    it.each(seeds)("does what we say (seed %i)", async (seed) => {
      const random = seededRandom(seed + 77);
      const family: Family = seed % 4 === 3 ? 6 : 4;
      const backends = random.pick<readonly Backend[]>(CHOICES);
      const manner = random.chance(0.6) ? "certain" : "chance";
      for (const backend of ["nft", "legacy"] as const)
        load(backend, family, backends.includes(backend) ? ruleSet(random, family, manner) : EMPTY);
      load("nftables", family, backends.includes("nftables") ? nftTables(random, family, manner) : "");
      const now = (): readonly Ruleset[] => backends.flatMap((backend) => rulesetsOf(backend, family));
      const router: Router = { rulesets: now(), family, context: contextOf(family) };
      const printed = (): string =>
        backends
          .map((backend) =>
            backend === "nftables"
              ? NFT_TABLES.map((name) => ["ip", "ip6", "inet"].map((one) => listTable(one, name)).join("")).join("")
              : inNamespace(names.router, [`${programOf(family)}-${backend}-save`, "-c"]),
          )
          .join("\n");

      const check = async (fresh: () => readonly Probe[], say: (probe: Probe, index: number) => readonly Way[]) => {
        let complaint = "";
        for (const quietMs of [QUIET_MS, PATIENT_MS]) {
          const before = countersOf(now());
          const probes = fresh();
          const fates = await sendAll(probes, family, quietMs);
          const said = probes.map(say);
          for (const [i, fate] of fates.entries()) count(fate.at, said[i]!);
          const all = said.flatMap((ways) => [...new Set(ways.map(({ fate }) => JSON.stringify(fate)))]);
          const wrong = probes.flatMap((probe, i) => disagreement(probe, fates[i]!, said[i]!, all));
          const ways = said.flat();
          // Where there is one way for each packet, every rule must have counted as many as we say; unless the router refused or
          // answered itself, for that is counted as well.
          const talksToItself = probes.some(
            ({ from }, i) =>
              from === "router" && said[i]!.some(({ fate }) => fate.at === "refused" || fate.at === "router"),
          );
          const counts =
            manner === "certain" && ways.length === probes.length && router.rulesets.length === 1 && !talksToItself;
          if (counts) tally.set("counted", (tally.get("counted") ?? 0) + 1);
          complaint = [
            ...wrong,
            ...(counts ? miscounts(before, countersOf(now()), ways, (place) => showRule(router.rulesets, place)) : []),
          ].join("\n");
          if (complaint === "") return { probes, fates, said };
        }
        throw new Error(`seed ${seed}, IPv${family}, ${backends}\n${complaint}\n${printed()}`);
      };

      const firsts = await check(
        () => {
          const again = seededRandom(seed + 78);
          return Array.from({ length: PACKETS }, () =>
            probeFrom(again, family, again.pick(["client", "client", "client", "router", "server"])),
          );
        },
        (probe) => ways(router, packetOf(probe, family), probe.from),
      );
      // Answers to those that certainly came to one of the ends, whose connections we can follow.
      const followed = firsts.probes.flatMap((probe, i) => {
        const fate = firsts.fates[i]!;
        const [way, ...others] = firsts.said[i]!.filter((one) => agrees(fate, one.fate, probe));
        const isEnd = fate.at === "client" || fate.at === "server";
        const isKnown =
          way &&
          others.length === 0 &&
          way.packet.ctState !== "unknown" &&
          way.packet.source !== "unknown" &&
          way.packet.dnatted !== "unknown";
        // What an end sends to itself does not pass the router.
        const isToItself =
          isEnd &&
          fate.at === probe.from &&
          [ADDRESSES[family].client, ...ADDRESSES[family].servers].includes(fate.source);
        return isEnd && isKnown && !isToItself && probe.from !== "router" ? [{ probe, fate, way }] : [];
      });
      if (followed.length === 0) return;
      await check(
        () => followed.map(({ probe, fate }) => answerTo(probe, fate)),
        (answer, i) => {
          const { probe, way } = followed[i]!;
          const packet = replyTo(packetOf(probe, family), way.packet);
          const tcpFlags = answer.protocol === "tcp" ? answer.flags : [];
          return ways(router, { ...packet, tcpFlags }, answer.from);
        },
      );
    });

    it.skipIf(ONLY !== undefined)("was asked about all kinds of packets", () => {
      const share = (kind: string): number => (tally.get(kind) ?? 0) / tally.get("packets")!;
      for (const kind of ["client", "router", "server", "refused", "nowhere", "dnat", "snat"])
        expect(share(kind)).toBeGreaterThan(0.01);
      expect(tally.get("counted") ?? 0).toBeGreaterThan(CASES / 4);
      expect(share("one way")).toBeGreaterThan(0.75);
      expect(share("not known exactly")).toBeLessThan(0.1);
    });

    function listTable(family: string, name: string): string {
      try {
        return inNamespace(names.router, ["nft", "-a", "list", "table", family, name]);
      } catch {
        return "";
      }
    }

    function contextOf(family: Family): Context {
      const { near, far, length } = ADDRESSES[family];
      return {
        addresses: addressesOf([
          { ip: ip(near), length, device: "rc" },
          { ip: ip(far), length, device: "rs" },
        ]),
        ipsets: new Map(IPSETS.map((set) => [set.name, set])),
        redirectTo: ({ inDevice }) => (inDevice === "rc" ? ip(near) : inDevice === "rs" ? ip(far) : undefined),
      };
    }
  },
);

const programOf = (family: Family): string => (family === 6 ? "ip6tables" : "iptables");

function showRule(rulesets: readonly Ruleset[], place: string): string {
  for (const { chains } of rulesets) {
    for (const [table, byName] of chains) {
      for (const { name, rules } of byName.values()) {
        const rule = rules.find(({ line }) => `${table} ${line}` === place);
        if (rule)
          return `${table} ${name}: ${rule.nft ? `${printNftRule(rule.nft)} # handle ${rule.nft.handle}` : printIptablesRule(name, rule)}`;
      }
    }
  }
  return place;
}

/** A check of the test itself: the canonical text is what the prober prints. */
it("compares addresses in one form", () => {
  for (const { client, near, far, servers, virtual } of Object.values(ADDRESSES)) {
    for (const one of [client, near, far, ...servers, ...virtual]) expect(canonicalIp(one)).toBe(one);
  }
});
