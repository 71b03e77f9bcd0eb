/**
 * Our evaluator against the kernel: a client, a router and a server, each in a network namespace; random rule sets on the
 * router; packets sent for real; and where they came out compared with what we say.
 *
 * A case is repeated by its seed: `NETWHY_SEED=17 vitest run testing/kernel/netfilter`. NETWHY_LONG=1 runs thousands.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addressesOf, isLocal } from "../../src/model/netfilter/addresses.ts";
import type { Context } from "../../src/model/netfilter/condition.ts";
import type { Outcome } from "../../src/model/netfilter/evaluate.ts";
import { hook } from "../../src/model/netfilter/hooks.ts";
import { type Maybe, type Packet, replyTo } from "../../src/model/netfilter/packet.ts";
import { iptablesRulesets, type Ruleset } from "../../src/model/netfilter/ruleset.ts";
import { canonicalIp, formatIp, type Ip, parseIp } from "../../src/net/ip.ts";
import type { Ipset } from "../../src/parse/ipset.ts";
import { parseIptablesSave } from "../../src/parse/iptables-save.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace, seededRandom } from "./namespaces.ts";

const ONLY = process.env.NETWHY_SEED;
const CASES = process.env.NETWHY_LONG ? 3000 : 40;
const PACKETS = 24;
const QUIET_MS = 12;
/** A disagreement is looked at again, slowly, before it is believed: this machine may be busy. */
const PATIENT_MS = 400;

type Random = ReturnType<typeof seededRandom>;
type Family = 4 | 6;

// ---------------------------------------------------------------------------------------------------------------------
// The network.

type Addressing = {
  readonly client: string;
  /** The router's addresses towards the client and towards the server. */
  readonly near: string;
  readonly far: string;
  readonly servers: readonly string[];
  /** Addresses that nobody has: the router sends what is for them to the server. */
  readonly virtual: readonly string[];
  readonly length: number;
  readonly clientNet: string;
  readonly serverNet: string;
  readonly virtualNet: string;
};

const ADDRESSES: { readonly [F in Family]: Addressing } = {
  4: {
    client: "10.1.0.2",
    near: "10.1.0.1",
    far: "10.2.0.1",
    servers: ["10.2.0.2", "10.2.0.3"],
    virtual: ["10.9.0.1", "10.9.0.2"],
    length: 24,
    clientNet: "10.1.0.0/24",
    serverNet: "10.2.0.0/24",
    virtualNet: "10.9.0.0/24",
  },
  6: {
    client: "fd01::2",
    near: "fd01::1",
    far: "fd02::1",
    servers: ["fd02::2", "fd02::3"],
    virtual: ["fd09::1", "fd09::2"],
    length: 64,
    clientNet: "fd01::/64",
    serverNet: "fd02::/64",
    virtualNet: "fd09::/64",
  },
};

const MAC = {
  client: "02:00:00:00:00:02",
  near: "02:00:00:00:00:01",
  far: "02:00:00:00:00:11",
  server: "02:00:00:00:00:12",
};

function layOut(client: string, router: string, server: string): void {
  const sh = (namespace: string, script: string): void => void inNamespace(namespace, ["sh", "-ec", script]);
  sh(
    router,
    `ip link add rc address ${MAC.near} type veth peer name c0 netns ${client} address ${MAC.client}
     ip link add rs address ${MAC.far} type veth peer name s0 netns ${server} address ${MAC.server}
     sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
     for i in all default rc rs; do sysctl -qw net.ipv4.conf.$i.rp_filter=0 net.ipv4.conf.$i.send_redirects=0; done
     sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.netfilter.nf_conntrack_tcp_be_liberal=1
     sysctl -qw net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000 || true`,
  );
  for (const [namespace, device] of [
    [client, "c0"],
    [router, "rc"],
    [router, "rs"],
    [server, "s0"],
    [router, "lo"],
  ] as const) {
    sh(namespace, `ip link set lo up; sysctl -qw net.ipv6.conf.${device}.accept_dad=0; ip link set ${device} up`);
  }
  for (const family of [4, 6] as const) {
    const { near, far, length, servers, virtualNet, ...rest } = ADDRESSES[family];
    const ip = `ip -${family}`;
    sh(
      client,
      `${ip} addr add ${rest.client}/${length} dev c0; ${ip} neigh add ${near} lladdr ${MAC.near} dev c0; ${ip} route add default via ${near}`,
    );
    sh(router, `${ip} addr add ${near}/${length} dev rc; ${ip} addr add ${far}/${length} dev rs`);
    sh(
      router,
      `${ip} neigh add ${rest.client} lladdr ${MAC.client} dev rc; ${ip} route add ${virtualNet} via ${servers[0]}`,
    );
    for (const one of servers) {
      sh(server, `${ip} addr add ${one}/${length} dev s0`);
      sh(router, `${ip} neigh add ${one} lladdr ${MAC.server} dev rs`);
    }
    sh(server, `${ip} neigh add ${far} lladdr ${MAC.far} dev s0; ${ip} route add default via ${far}`);
    // Client and server answer nothing themselves: what comes to them is seen before this rule.
    for (const namespace of [client, server]) {
      inNamespace(
        namespace,
        [`${family === 4 ? "iptables" : "ip6tables"}-nft-restore`],
        "*raw\n-A PREROUTING -j DROP\nCOMMIT\n",
      );
    }
  }
}

/** A process in a namespace that sends and sees packets (packets.py). */
type Prober = {
  send(packets: readonly object[]): Promise<readonly (readonly [id: number, errno: number])[]>;
  collect(milliseconds: number): Promise<readonly Seen[]>;
  stop(): void;
};

type Seen = {
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly id?: number;
  readonly about?: number;
  readonly ack?: number;
  readonly flags?: readonly string[];
  readonly type?: number;
  readonly code?: number;
  readonly device?: string;
};

function startProber(namespace: string, family: Family, mode: "host" | "local"): Prober {
  const script = fileURLToPath(new URL("packets.py", import.meta.url));
  const child: ChildProcess = spawn("ip", ["netns", "exec", namespace, PYTHON, script, `${family}`, mode], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: Interface = createInterface({ input: child.stdout! });
  const waiting: ((line: string) => void)[] = [];
  lines.on("line", (line) => waiting.shift()?.(line));
  const ask = <T>(command: object): Promise<T> =>
    new Promise((resolve) => {
      waiting.push((line) => resolve(JSON.parse(line)));
      child.stdin!.write(`${JSON.stringify(command)}\n`);
    });
  return {
    send: (packets) => ask({ send: packets }),
    collect: (milliseconds) => ask({ collect: milliseconds }),
    stop: () => child.stdin!.end(),
  };
}

const PYTHON = "/usr/bin/python3";

// ---------------------------------------------------------------------------------------------------------------------
// Rule sets.

const PORTS = [53, 80, 443, 8080];
const USER_CHAINS = ["A", "B", "C"];
const HOOKS = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
} as const;
type TableName = keyof typeof HOOKS;

const not = (random: Random): string => (random.chance(0.2) ? "! " : "");

function conditions(random: Random, family: Family, table: TableName, chain: string): string {
  const { client, near, far, servers, virtual, clientNet, serverNet, virtualNet } = ADDRESSES[family];
  const out: string[] = [];
  const any = [client, near, far, ...servers, ...virtual, clientNet, serverNet, virtualNet];
  if (random.chance(0.25)) out.push(`${not(random)}-s ${random.pick([client, clientNet, serverNet, far])}`);
  if (random.chance(0.4)) out.push(`${not(random)}-d ${random.pick(any)}`);
  const isUser = USER_CHAINS.includes(chain);
  const seesIn = isUser || ["PREROUTING", "INPUT", "FORWARD"].includes(chain);
  const seesOut = isUser || ["POSTROUTING", "OUTPUT", "FORWARD"].includes(chain);
  if (seesIn && random.chance(0.15)) out.push(`${not(random)}-i ${random.pick(["rc", "rs", "r+", "lo"])}`);
  if (seesOut && random.chance(0.15)) out.push(`${not(random)}-o ${random.pick(["rc", "rs", "r+", "lo"])}`);
  const icmp = family === 4 ? "icmp" : "ipv6-icmp";
  const protocol = random.pick(["", "", "tcp", "udp", icmp]);
  if (protocol !== "") out.push(`${protocol === icmp ? not(random) : ""}-p ${protocol}`);
  const hasNot = out.at(-1)?.startsWith("! ") ?? false;
  if (protocol === icmp && !hasNot && random.chance(0.5)) {
    out.push(
      family === 4
        ? `-m icmp ${not(random)}--icmp-type ${random.pick([8, 0])}`
        : `-m icmp6 ${not(random)}--icmpv6-type ${random.pick([128, 129])}`,
    );
  }
  if ((protocol === "tcp" || protocol === "udp") && random.chance(0.5)) {
    const port = random.pick(PORTS);
    out.push(
      random.pick([
        `-m ${protocol} ${not(random)}--dport ${port}`,
        `-m ${protocol} --dport 53:${port + 10}`,
        `-m multiport ${not(random)}--dports ${port},${random.pick(PORTS)}`,
        `-m multiport ${not(random)}--ports ${port},8080:9000`,
        `-m ${protocol} ${not(random)}--sport 1024:65535`,
      ]),
    );
  }
  if (protocol === "tcp" && random.chance(0.2))
    out.push(`-m tcp ${not(random)}--tcp-flags FIN,SYN,RST,ACK ${random.pick(["SYN", "ACK", "SYN,ACK"])}`);
  const others: (() => string)[] = [
    () => '-m comment --comment "no matter"',
    () =>
      `-m conntrack ${not(random)}--ctstate ${random.pick(["NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "DNAT", "SNAT", "UNTRACKED", "NEW,DNAT"])}`,
    () => `-m mark ${not(random)}--mark ${random.pick(["0x1/0x1", "0x2/0x2", "0x3", "0x0/0x1", "0x4/0x6"])}`,
    () => `-m mark ${not(random)}--mark ${random.pick(["0x1/0x1", "0x2/0x2", "0x3", "0x0/0x1", "0x4/0x6"])}`,
    () => `-m connmark ${not(random)}--mark ${random.pick(["0x1/0x1", "0x0", "0x2/0x3"])}`,
    () =>
      `-m addrtype ${not(random)}--${random.pick(["src", "dst"])}-type ${random.pick(["LOCAL", "UNICAST", "LOCAL"])}`,
    () =>
      `-m set ${not(random)}--match-set nwkt${random.pick(["-ip", "-port", "-net"])}${family} ${random.pick(["dst,dst", "src,dst", "dst,src"])}`,
    () => "-m statistic --mode random --probability 0.5000000000",
    () => `-m statistic --mode random ${not(random)}--probability ${random.pick(["0.0", "1.0"])}`,
    () => `-m statistic --mode nth --every ${random.pick([1, 2, 3])} --packet 0`,
    () => `-m recent ${not(random)}--set --name nwkt`,
    () => "-m limit --limit 1/min --limit-burst 3",
    () => `-m physdev ${not(random)}--physdev-is-bridged`,
  ];
  for (let n = random.pick([0, 0, 0, 1, 1, 2]); n > 0; n--) out.push(random.pick(others)());
  if (table === "raw") return out.filter((one) => !one.includes("DNAT") && !one.includes("SNAT")).join(" ");
  return out.join(" ");
}

function target(random: Random, family: Family, table: TableName, chain: string, later: readonly string[]): string {
  const { servers, near, far, virtual } = ADDRESSES[family];
  const to = (address: string, port: number): string => (family === 4 ? `${address}:${port}` : `[${address}]:${port}`);
  const marks = [
    "--set-xmark 0x1/0x1",
    "--set-xmark 0x2/0x2",
    "--set-xmark 0x0/0x1",
    "--set-xmark 0x3/0xffffffff",
    "--xor-mark 0x4",
  ];
  const choices: string[] = [
    "RETURN",
    "RETURN",
    "ACCEPT",
    `MARK ${random.pick(marks)}`,
    `MARK ${random.pick(marks)}`,
    "",
  ];
  if (table !== "raw")
    choices.push(
      `CONNMARK ${random.pick(["--set-xmark 0x1/0x3", "--save-mark", "--restore-mark", "--restore-mark --nfmask 0x2 --ctmask 0x3"])}`,
    );
  if (table === "filter" || (table !== "nat" && random.chance(0.4))) choices.push("DROP");
  for (const one of later) choices.push(one, one, one);
  if (table === "raw") choices.push("CT --notrack");
  if (table === "filter") {
    const kinds =
      family === 4
        ? ["icmp-port-unreachable", "icmp-host-prohibited", "icmp-net-unreachable"]
        : ["icmp6-port-unreachable", "icmp6-adm-prohibited"];
    for (const kind of kinds) choices.push(`REJECT --reject-with ${kind}`);
    choices.push("-p tcp -j REJECT --reject-with tcp-reset", "-p tcp -j REJECT --reject-with tcp-reset");
  }
  if (table === "nat" && (chain === "PREROUTING" || chain === "OUTPUT" || (chain === "A" && later.length >= 0))) {
    const address = random.pick([...servers, ...servers, near, far, ...virtual]);
    choices.push(`DNAT --to-destination ${address}`, `DNAT --to-destination ${address}`);
    choices.push(
      `-p tcp -j DNAT --to-destination ${to(address, random.pick(PORTS))}`,
      `-p udp -j DNAT --to-destination ${to(address, random.pick(PORTS))}`,
    );
    choices.push(
      `-p tcp -j DNAT --to-destination ${to(`${servers[0]}-${servers[1]}`, 80)}`,
      "REDIRECT",
      "-p udp -j REDIRECT --to-ports 8080",
    );
  }
  if (table === "nat" && chain === "POSTROUTING")
    choices.push(`SNAT --to-source ${random.pick([near, far])}`, "MASQUERADE", "MASQUERADE");
  const chosen = random.pick(choices);
  if (chosen === "") return "";
  if (chosen.startsWith("-p")) return ` ${chosen}`;
  return ` -${later.includes(chosen) && random.chance(0.3) ? "g" : "j"} ${chosen}`;
}

/** The tables' user chains: those of nat that are called before routing translate destinations, so they are only called there. */
function ruleSet(random: Random, family: Family): string {
  const lines: string[] = [];
  for (const [table, hooks] of Object.entries(HOOKS) as [TableName, readonly string[]][]) {
    lines.push(`*${table}`);
    const canDrop = table === "filter" || table === "mangle";
    const rules: string[] = [];
    for (const chain of hooks) {
      // The router's own refusals must get out: of what it sends only packets as ours are looked at.
      const isOutward = chain === "OUTPUT" || chain === "POSTROUTING";
      lines.push(
        `:${chain} ${canDrop && !isOutward && random.chance(table === "filter" ? 0.15 : 0.03) ? "DROP" : "ACCEPT"} [0:0]`,
      );
      if (isOutward) lines.push(`:${chain}-SENT - [0:0]`);
      const callable =
        table === "nat" ? (chain === "PREROUTING" || chain === "OUTPUT" ? USER_CHAINS : []) : USER_CHAINS;
      if (isOutward) {
        const echo = family === 4 ? "-p icmp -m icmp --icmp-type" : "-p ipv6-icmp -m icmp6 --icmpv6-type";
        const kinds = [
          "-p udp",
          "-p tcp -m tcp ! --tcp-flags RST RST",
          ...(family === 4 ? [8, 0] : [128, 129]).map((type) => `${echo} ${type}`),
        ];
        rules.push(...kinds.map((kind) => `-A ${chain} ${kind} -j ${chain}-SENT`));
      }
      for (let n = random.below(5); n > 0; n--) {
        const words = conditions(random, family, table, chain);
        const does = target(random, family, table, chain, callable);
        if (words.includes("-p ") && does.startsWith(" -p")) continue;
        rules.push(`-A ${chain}${isOutward ? "-SENT" : ""} ${words}${does}`);
      }
    }
    for (const [index, chain] of USER_CHAINS.entries()) {
      lines.push(`:${chain} - [0:0]`);
      for (let n = random.below(5); n > 0; n--) {
        const words = conditions(random, family, table, chain);
        const does = target(random, family, table, chain, USER_CHAINS.slice(index + 1));
        if (words.includes("-p ") && does.startsWith(" -p")) continue;
        rules.push(`-A ${chain} ${words}${does}`);
      }
    }
    lines.push(...rules, "COMMIT");
  }
  return `${lines.join("\n")}\n`;
}

const ipset = (name: string, type: string, family: Family, entries: readonly string[]): Ipset => ({
  name,
  type,
  family: family === 4 ? "inet" : "inet6",
  entries: entries.map((entry) => ({ value: entry.replace(" nomatch", ""), nomatch: entry.endsWith(" nomatch") })),
  line: 1,
});

const IPSETS: readonly Ipset[] = ([4, 6] as const).flatMap((family) => {
  const { client, servers, virtual, serverNet, virtualNet } = ADDRESSES[family];
  return [
    ipset(`nwkt-ip${family}`, "hash:ip", family, [client, servers[0]!, virtual[0]!]),
    ipset(`nwkt-port${family}`, "hash:ip,port", family, [
      `${servers[1]},tcp:80`,
      `${virtual[0]},udp:53`,
      `${virtual[1]},tcp:443`,
    ]),
    ipset(`nwkt-net${family}`, "hash:net", family, [serverNet, `${servers[1]} nomatch`, virtualNet]),
  ];
});

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
  ["4/3/3", "icmp-port-unreachable"],
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

/** A way through the router: where the packet came out, and the packet as it was there. */
type Way = { readonly fate: Fate; readonly packet: Packet };

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
    outcome.verdict.is === "accept" ? then(outcome.packet) : [{ fate: lost(outcome), packet: outcome.packet }],
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
    return [{ fate: { at, source: text(packet.source), destination: text(packet.destination), ports }, packet }];
  };

/** From the way in to the way out, routed as the router's few routes say. */
function ways(router: Router, packet: Packet, from: Sender): readonly Way[] {
  const { destination } = packet;
  if (from !== "router") {
    return through(router, "prerouting", { ...packet, inDevice: from === "client" ? "rc" : "rs" }, (routed) => {
      if (routed.destination === "unknown") return [{ fate: { at: "unknown" }, packet: routed }];
      const device = deviceTo(router, routed.destination);
      if (device === "lo") return through(router, "input", routed, arrived("router"));
      return through(router, "forward", { ...routed, outDevice: device }, (forwarded) =>
        through(router, "postrouting", forwarded, arrived(device === "rc" ? "client" : "server")),
      );
    });
  }
  if (destination === "unknown") return [];
  return through(router, "output", { ...packet, outDevice: deviceTo(router, destination) }, (sent) => {
    if (sent.destination === "unknown") return [{ fate: { at: "unknown" }, packet: sent }];
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

const describeProbe = ({ from, protocol, source, sport, destination, dport, flags, mark }: Probe): string =>
  `${from}: ${protocol} ${source}:${sport} -> ${destination}:${dport} ${protocol === "tcp" ? flags.join(",") : ""} mark ${mark}`;

describe.skipIf(!canAsk("iptables-nft-restore", "iptables-legacy-restore", "ipset", PYTHON))("the kernel", () => {
  const names = { client: "", router: "", server: "" };
  const probers = {} as { [F in Family]: { [S in Sender]: Prober } };

  beforeAll(async () => {
    for (const name of ["client", "router", "server"] as const) names[name] = addNamespace();
    layOut(names.client, names.router, names.server);
    const sets = IPSETS.flatMap(({ name, type, family, entries }) => [
      `create ${name} ${type} family ${family}`,
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

  const load = (program: string, rules: string): Ruleset => {
    inNamespace(names.router, [`${program}-restore`], rules);
    const { value, gaps } = parseIptablesSave(inNamespace(names.router, [`${program}-save`, "-c"]));
    expect(gaps).toEqual([]);
    return iptablesRulesets(value, program.startsWith("ip6") ? 6 : 4)[0]!;
  };

  const EMPTY = `${Object.entries(HOOKS)
    .map(([table, hooks]) => `*${table}\n${hooks.map((chain) => `:${chain} ACCEPT [0:0]\n`).join("")}COMMIT`)
    .join("\n")}\n`;

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
    const program = family === 6 ? "ip6tables" : "iptables";
    const backends = random.pick([["nft"], ["legacy"], ["nft"], ["legacy"], ["nft", "legacy"]]);
    const rulesets = ["nft", "legacy"].map((backend) =>
      load(`${program}-${backend}`, backends.includes(backend) ? ruleSet(random, family) : EMPTY),
    );
    const router: Router = {
      rulesets: rulesets.filter((_, i) => backends.includes(["nft", "legacy"][i]!)),
      family,
      context: contextOf(family),
    };
    const told = (): string =>
      ["nft", "legacy"]
        .filter((one) => backends.includes(one))
        .map((one) => inNamespace(names.router, [`${program}-${one}-save`]))
        .join("\n");

    const check = async (fresh: () => readonly Probe[], say: (probe: Probe, index: number) => readonly Way[]) => {
      let complaint = "";
      for (const quietMs of [QUIET_MS, PATIENT_MS]) {
        const probes = fresh();
        const fates = await sendAll(probes, family, quietMs);
        const said = probes.map(say);
        for (const [i, fate] of fates.entries()) count(fate.at, said[i]!);
        complaint = probes
          .flatMap((probe, i) => {
            const isSaid = said[i]!.some(({ fate }) => agrees(fates[i]!, fate, probe));
            return isSaid
              ? []
              : [
                  `${describeProbe(probe)}\n  went: ${JSON.stringify(fates[i])}\n  said: ${said[i]!.map(({ fate }) => JSON.stringify(fate)).join("\n        ")}`,
                ];
          })
          .join("\n");
        if (complaint === "") return { probes, fates, said };
      }
      throw new Error(`seed ${seed}, IPv${family}, ${backends}\n${complaint}\n${told()}`);
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
    expect(share("one way")).toBeGreaterThan(0.75);
    expect(share("not known exactly")).toBeLessThan(0.1);
  });

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
});

/** A check of the test itself: the canonical text is what the prober prints. */
it("compares addresses in one form", () => {
  for (const { client, near, far, servers, virtual } of Object.values(ADDRESSES)) {
    for (const one of [client, near, far, ...servers, ...virtual]) expect(canonicalIp(one)).toBe(one);
  }
});
