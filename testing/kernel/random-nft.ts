/** Random nftables tables for the router of three-hosts.ts, in the manner of random-rules.ts. */
import { type Manner, PORTS, type Random } from "./random-rules.ts";
import { ADDRESSES, type Family } from "./three-hosts.ts";

/** What may stand in a chain: user chains are called from base chains of their own kind only. */
type Kind = "early" | "filter" | "nat-in" | "nat-out";

const USER: Readonly<Record<Kind, readonly string[]>> = {
  early: ["e1", "e2"],
  filter: ["f1", "f2", "f3"],
  "nat-in": ["n1", "n2"],
  "nat-out": [],
};

type BaseChain = {
  readonly name: string;
  readonly type: string;
  readonly hook: string;
  readonly priority: number;
  readonly kind: Kind;
};

/** Some of these; of equal priority the one that is registered last comes first. */
const BASES: readonly BaseChain[] = [
  { name: "raw-pre", type: "filter", hook: "prerouting", priority: -300, kind: "early" },
  { name: "raw-out", type: "filter", hook: "output", priority: -300, kind: "early" },
  { name: "mangle-pre", type: "filter", hook: "prerouting", priority: -150, kind: "early" },
  { name: "mangle-out", type: "route", hook: "output", priority: -150, kind: "early" },
  { name: "early-pre", type: "filter", hook: "prerouting", priority: -110, kind: "early" },
  { name: "to-dst", type: "nat", hook: "prerouting", priority: -100, kind: "nat-in" },
  { name: "to-dst2", type: "nat", hook: "prerouting", priority: -90, kind: "nat-in" },
  { name: "to-dst-out", type: "nat", hook: "output", priority: -100, kind: "nat-in" },
  { name: "to-us", type: "filter", hook: "input", priority: 0, kind: "filter" },
  { name: "through", type: "filter", hook: "forward", priority: 0, kind: "filter" },
  { name: "through2", type: "filter", hook: "forward", priority: 0, kind: "filter" },
  { name: "through3", type: "filter", hook: "forward", priority: 10, kind: "filter" },
  { name: "from-us", type: "filter", hook: "output", priority: 0, kind: "filter" },
  { name: "to-src-in", type: "nat", hook: "input", priority: 100, kind: "early" },
  { name: "to-src", type: "nat", hook: "postrouting", priority: 100, kind: "nat-out" },
];

const not = (random: Random): string => (random.chance(0.2) ? "!= " : "");
const list = (items: readonly unknown[]): string => `{ ${[...new Set(items)].join(", ")} }`;

type Protocol = "" | "tcp" | "udp" | "icmp" | "th";
type Written = { readonly conditions: readonly string[]; readonly protocol: Protocol };

function addressConditions(random: Random, family: Family): string[] {
  const { client, near, far, servers, virtual, clientNet, serverNet, virtualNet } = ADDRESSES[family];
  const ip = family === 4 ? "ip" : "ip6";
  const any = [client, near, far, ...servers, ...virtual];
  const nets = [clientNet, serverNet, virtualNet];
  const word = (): string =>
    random.pick([
      () => `${not(random)}${random.pick([...any, ...nets])}`,
      () => `${not(random)}${list([random.pick(any), random.pick(any), random.pick(any)])}`,
      () => `${not(random)}${list([random.pick(nets), virtual[0]])}`,
      () => `${not(random)}@${random.pick(["addresses", "nets"])}`,
      () => `${not(random)}${servers[0]}-${servers[1]}`,
    ])();
  const out: string[] = [];
  if (random.chance(0.25)) out.push(`${ip} saddr ${word()}`);
  if (random.chance(0.35)) out.push(`${ip} daddr ${word()}`);
  return out;
}

function protocolConditions(random: Random, family: Family): Written {
  const protocol = random.pick(["", "", "tcp", "udp", "icmp", "th"] as const);
  const icmp = family === 4 ? "icmp" : "icmpv6";
  const port = (): string =>
    random.pick([
      () => `dport ${not(random)}${random.pick(PORTS)}`,
      () => `dport ${not(random)}53-${random.pick(PORTS) + 10}`,
      () => `dport ${not(random)}${list([random.pick(PORTS), random.pick(PORTS)])}`,
      () => `dport ${list([random.pick(PORTS), "8000-9000"])}`,
      () => `dport ${not(random)}@ports`,
      () => "sport >= 1024",
      () => `dport < ${random.pick(PORTS)}`,
    ])();
  switch (protocol) {
    case "":
      return { conditions: [], protocol };
    case "th":
      return { conditions: [`meta l4proto { tcp, udp } th ${port()}`], protocol };
    case "icmp":
      return {
        conditions: [
          random.pick([
            `meta l4proto ${family === 4 ? "icmp" : "ipv6-icmp"}`,
            `${icmp} type ${not(random)}echo-request`,
            `${icmp} type { echo-request, echo-reply }`,
            `${icmp} code 0`,
          ]),
        ],
        protocol,
      };
    case "tcp":
    case "udp": {
      const flags = [
        "tcp flags syn",
        "tcp flags & (fin|syn|rst|ack) == syn",
        "tcp flags ! ack",
        "tcp flags & (syn|ack) != syn",
      ];
      const plain = random.pick([
        `meta l4proto ${protocol}`,
        `${family === 4 ? "ip protocol" : "ip6 nexthdr"} ${protocol}`,
      ]);
      const more = protocol === "tcp" && random.chance(0.3) ? random.pick(flags) : `${protocol} ${port()}`;
      return { conditions: [random.chance(0.35) ? plain : more], protocol };
    }
  }
}

function otherConditions(
  random: Random,
  family: Family,
  table: string,
  kind: Kind,
  hook: string,
  manner: Manner,
): string[] {
  const { virtual, servers } = ADDRESSES[family];
  const ip = family === 4 ? "ip" : "ip6";
  const mark = (): string =>
    random.pick(["0x1", "!= 0x0", "& 0x1 == 0x1", "& 0x3 != 0x2", "{ 0x1, 0x3-0x5 }", "and 0x6 == 0x4"]);
  const all: (() => string)[] = [
    () =>
      `ct state ${random.pick(["new", "established,related", "!= new", "invalid", "{ new, untracked }", "established,new", "! new"])}`,
    () => `ct status ${random.pick(["dnat", "snat", "& dnat == dnat", "& snat != snat", "! dnat"])}`,
    () => `meta mark ${mark()}`,
    () => `meta mark ${mark()}`,
    () => `ct mark ${mark()}`,
    () =>
      `fib daddr type ${not(random)}${random.pick(["local", family === 4 ? "unicast" : "multicast", "{ local, broadcast }"])}`,
    () => `fib saddr type ${not(random)}local`,
    ...(table === "inet" ? [() => `meta nfproto ${family === 4 ? "ipv4" : "ipv6"}`] : []),
    () => `meta protocol ${family === 4 ? "ip" : "ip6"}`,
    () => "numgen inc mod 1 0",
    () => "numgen random mod 4 0-3",
    () => `ct direction ${random.pick(["original", "!= reply"])}`,
    () => `ct original ${ip} daddr ${random.pick([...virtual, ...servers])}`,
    ...(hook === "forward" || hook === "prerouting" ? [() => `meta pkttype ${not(random)}broadcast`] : []),
    () => `${ip} saddr . ${ip} daddr ${not(random)}@pairs`,
    () => `${ip} daddr . meta l4proto . th dport @services`,
  ];
  if (kind !== "nat-out" && hook !== "output")
    all.push(() => `iifname ${not(random)}${random.pick(['"rc"', '"rs"', '"r*"', '"lo"', '{ "rc", "lo" }'])}`);
  if (hook !== "prerouting" && hook !== "input")
    all.push(() => `oifname ${not(random)}${random.pick(['"rc"', '"rs"', '"r*"', '{ "rs", "l*" }'])}`);
  if (manner === "chance") {
    all.push(
      () => "numgen random mod 2 0",
      () => "numgen inc mod 3 1-2",
      () => "limit rate 1/minute burst 3 packets",
      () => `${ip} saddr @seen`,
      () => `jhash ${ip} saddr . ${ip} daddr mod 2 0`,
    );
  }
  const out: string[] = [];
  for (let n = random.pick([0, 0, 1, 1, 1, 2]); n > 0; n--) out.push(random.pick(all)());
  return out;
}

/** Statements that go on, then perhaps a verdict. */
function statements(
  random: Random,
  family: Family,
  table: string,
  kind: Kind,
  hook: string,
  chain: string,
  { protocol }: Written,
  manner: Manner,
): string {
  const { servers, near, far, virtual } = ADDRESSES[family];
  const ip = family === 4 ? "ip" : "ip6";
  const later = USER[kind].filter((one) => !USER[kind].includes(chain) || one > chain);
  const marks = [
    ...["meta mark set 0x1", "meta mark set mark or 0x2", "meta mark set mark and 0x6", "meta mark set mark xor 0x4"],
    ...["ct mark set mark", "ct mark set 0x1", "meta mark set ct mark", "ct mark set ct mark or 0x2"],
    `meta mark set ${ip} saddr map @marks`,
    `meta mark set ${ip} daddr map { ${servers[0]} : 0x3, ${virtual[0]} : 0x4 }`,
    "meta mark set mark << 1",
    "meta mark set mark and 0xfffffffe or 0x4",
  ];
  const first = random.chance(0.35) ? [random.pick(marks)] : [];
  if (manner === "chance" && random.chance(0.1)) first.push(`update @seen { ${ip} saddr }`);
  if (first.length > 0 && random.chance(0.3))
    first.push(random.pick(["meta mark 0x1", "meta mark & 0x2 == 0x2", "ct state new"]));
  const verdicts = ["accept", "return", "continue", "", ""];
  if (kind === "filter" || (kind === "early" && random.chance(0.3) && hook !== "input")) verdicts.push("drop");
  for (const one of later) verdicts.push(`jump ${one}`, `jump ${one}`, `goto ${one}`);
  const target = (): string =>
    random.pick([
      "accept",
      "continue",
      "return",
      ...later.flatMap((one) => [`jump ${one}`, `goto ${one}`]),
      ...(kind === "filter" ? ["drop"] : []),
    ]);
  const isPorts = protocol === "tcp" || protocol === "udp" || protocol === "th";
  if (isPorts) verdicts.push(`th dport vmap { 80 : ${target()}, 443-8000 : ${target()}, 53 : ${target()} }`);
  verdicts.push(
    `${ip} daddr . meta l4proto . th dport vmap { ${virtual[0]} . tcp . 80 : ${target()}, ${servers[0]} . udp . 53 : ${target()} }`,
    `ct state vmap { new : ${target()}, established : ${target()} }`,
  );
  if (kind === "filter" || kind === "early") verdicts.push(`${ip} daddr . meta l4proto . th dport vmap @verdicts`);
  if (manner === "chance")
    verdicts.push(
      `numgen random mod 3 vmap { 0 : ${target()}, 1 : ${target()} }`,
      `numgen inc mod 2 vmap { 0 : ${target()}, 1 : ${target()} }`,
    );
  if (kind === "filter") {
    verdicts.push("reject");
    if (table === "inet") verdicts.push("reject with icmpx admin-prohibited", "reject with icmpx host-unreachable");
    if (protocol === "tcp") verdicts.push("reject with tcp reset", "reject with tcp reset");
    verdicts.push(family === 4 ? "reject with icmp host-prohibited" : "reject with icmpv6 admin-prohibited");
  }
  if (chain.startsWith("raw")) verdicts.push("notrack");
  if (kind === "nat-in") {
    const to = random.pick([...servers, ...servers, near, far, ...virtual]);
    const socket = (port: number): string => (family === 4 ? `${to}:${port}` : `[${to}]:${port}`);
    verdicts.push(`dnat ${ip} to ${to}`, `dnat ${ip} to ${to}`, `dnat ${ip} to ${ip} daddr map @backends`, "redirect");
    verdicts.push(`dnat ${ip} to ${ip} saddr map { ${ADDRESSES[family].client} : ${servers[1]} }`);
    if (protocol === "tcp" || protocol === "udp") {
      verdicts.push(`dnat ${ip} to ${socket(random.pick(PORTS))}`, `dnat ${ip} to ${socket(random.pick(PORTS))}`);
      verdicts.push(`dnat ${ip} addr . port to ${ip} daddr . ${protocol} dport map @targets`, "redirect to :8080");
      if (manner === "chance")
        verdicts.push(
          `dnat ${ip} addr . port to numgen random mod 2 map { 0 : ${servers[0]} . 80, 1 : ${servers[1]} . 443 }`,
        );
    }
    if (manner === "chance")
      verdicts.push(`dnat ${ip} to numgen inc mod 2 map { 0 : ${servers[0]}, 1 : ${servers[1]} }`);
  }
  if (kind === "nat-out")
    verdicts.push(
      `snat ${ip} to ${random.pick([near, far])}`,
      "masquerade",
      "masquerade",
      `snat ${ip} to ${ip} daddr map { ${servers[0]} : ${far} }`,
    );
  const last = random.pick(verdicts);
  return [...first, last].filter((word) => word !== "").join(" ");
}

function rule(
  random: Random,
  family: Family,
  table: string,
  kind: Kind,
  hook: string,
  chain: string,
  manner: Manner,
): string {
  const written = protocolConditions(random, family);
  const conditions = [
    ...addressConditions(random, family),
    ...written.conditions,
    ...otherConditions(random, family, table, kind, hook, manner),
  ];
  return `${conditions.join(" ")} counter ${statements(random, family, table, kind, hook, chain, written, manner)}`.trim();
}

function sets(random: Random, family: Family): string[] {
  const { client, servers, virtual, serverNet, virtualNet, near } = ADDRESSES[family];
  const type = family === 4 ? "ipv4_addr" : "ipv6_addr";
  const own = (kind: string, name: string, ...lines: readonly string[]): string[] => [
    `  ${kind} ${name} {`,
    ...lines.map((line) => `    ${line}`),
    "  }",
  ];
  return [
    ...own("set", "addresses", `type ${type}`, `elements = { ${client}, ${servers[0]}, ${virtual[0]} }`),
    ...own("set", "nets", `type ${type}`, "flags interval", `elements = { ${serverNet}, ${virtual[1]} }`),
    ...own("set", "ports", "type inet_service", "flags interval", "elements = { 53, 400-500 }"),
    ...own("set", "seen", `type ${type}`, "flags dynamic", "size 100"),
    ...own(
      "set",
      "pairs",
      `type ${type} . ${type}`,
      "flags interval",
      `elements = { ${client} . ${virtualNet}, ${client} . ${servers[0]} }`,
    ),
    ...own(
      "set",
      "services",
      `type ${type} . inet_proto . inet_service`,
      `elements = { ${virtual[0]} . tcp . 80, ${virtual[1]} . udp . 53, ${servers[0]} . tcp . 443 }`,
    ),
    ...own("map", "marks", `type ${type} : mark`, `elements = { ${client} : 0x2, ${near} : 0x5 }`),
    ...own(
      "map",
      "backends",
      `type ${type} : ${type}`,
      `elements = { ${virtual[0]} : ${servers[0]}, ${virtual[1]} : ${servers[1]} }`,
    ),
    ...own(
      "map",
      "targets",
      `type ${type} . inet_service : ${type} . inet_service`,
      `elements = { ${virtual[0]} . 80 : ${servers[0]} . 8080, ${virtual[1]} . 53 : ${servers[1]} . 443 }`,
    ),
    ...own(
      "map",
      "verdicts",
      `type ${type} . inet_proto . inet_service : verdict`,
      `elements = { ${virtual[0]} . tcp . 80 : ${random.pick(["drop", "accept", "return"])}, ${servers[0]} . udp . 53 : continue, ${virtual[1]} . tcp . 443 : drop }`,
    ),
  ];
}

export const NFT_TABLES = ["nwkt-a", "nwkt-b"];

/** One or two tables, as `nft -f` takes them. */
export function nftTables(random: Random, family: Family, manner: Manner): string {
  const names = random.chance(0.3) ? NFT_TABLES : NFT_TABLES.slice(0, 1);
  return names.map((name) => nftTable(name, random, family, manner)).join("");
}

function nftTable(name: string, random: Random, family: Family, manner: Manner): string {
  const tableFamily = random.pick([family === 4 ? "ip" : "ip6", "inet"]);
  const lines = [`table ${tableFamily} ${name} {`, ...sets(random, family)];
  const later: string[] = [];
  const users = (Object.keys(USER) as Kind[]).flatMap((kind) => USER[kind].map((chain) => ({ kind, chain })));
  for (const { chain } of users) lines.push(`  chain ${chain} {`, "  }");
  for (const { kind, chain } of users) {
    for (let n = random.below(4); n > 0; n--)
      later.push(
        `add rule ${tableFamily} ${name} ${chain} ${rule(random, family, tableFamily, kind, "", chain, manner)}`,
      );
  }
  for (const base of BASES) {
    if (random.chance(0.3)) continue;
    const { hook, kind } = base;
    // The router's own refusals must get out: of what it sends only packets as ours are looked at.
    const isOutward = hook === "output" || hook === "postrouting";
    const policy = kind === "filter" && !isOutward && random.chance(0.12) ? "drop" : "accept";
    const rules = isOutward ? `${base.name}-sent` : base.name;
    if (isOutward) lines.push(`  chain ${rules} {`, "  }");
    lines.push(
      `  chain ${base.name} {`,
      `    type ${base.type} hook ${hook} priority ${base.priority}; policy ${policy};`,
    );
    if (isOutward) {
      const echo = family === 4 ? "icmp" : "icmpv6";
      for (const one of ["meta l4proto udp", "tcp flags ! rst", `${echo} type { echo-request, echo-reply }`])
        lines.push(`    ${one} jump ${rules}`);
    }
    lines.push("  }");
    for (let n = random.below(5); n > 0; n--)
      later.push(
        `add rule ${tableFamily} ${name} ${rules} ${rule(random, family, tableFamily, kind, hook, base.name, manner)}`,
      );
  }
  return `${lines.join("\n")}\n}\n${later.join("\n")}\n`;
}
