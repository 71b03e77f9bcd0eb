/** The matches of an iptables rule (`-m`), by name: what their options ask of a packet. */
import { parseIp, parsePrefix } from "../../net/ip.ts";
import type { Condition } from "./save.ts";
import {
  type Known,
  type Option,
  parseMark,
  parseMaskedPrefix,
  parsePorts,
  parseU32,
  splitOptions,
  unquoted,
  wordsByOption,
} from "./words.ts";

/** What we do not know of a match, as printed. */
export function unknownMatch(match: string, text: string): Condition {
  return { is: "unknown", match, text };
}

const negated = <const T extends object>(condition: T, not: boolean): T & { readonly not?: true } =>
  not ? { ...condition, not: true } : condition;

type OneOption = (option: Option) => Condition | undefined;
type WholeMatch = (options: readonly Option[]) => readonly (Condition | undefined)[] | undefined;

/** An option with exactly one word after it. */
const one =
  (read: (word: string, not: boolean) => Condition | undefined): OneOption =>
  ({ args, not }) =>
    args.length === 1 ? read(args[0]!, not) : undefined;

/** A match whose options are conditions of their own. */
const each = (readers: Readonly<Record<string, OneOption>>): WholeMatch => {
  const byName = new Map(Object.entries(readers));
  return (options) => options.map((option) => byName.get(option.name)?.(option));
};

/** A match whose options only together make one condition. */
const together =
  (known: Known, read: (args: ReadonlyMap<string, string>, not: boolean) => Condition | undefined): WholeMatch =>
  (options) => {
    const args = wordsByOption(options, known);
    const isNegated = options.some((option) => option.not);
    const condition = args && read(args, isNegated);
    return condition && [condition];
  };

const ports = (is: "source-port" | "destination-port" | "any-port", via?: "multiport"): OneOption =>
  one((word, not) => {
    const ranges = via || !word.includes(",") ? parsePorts(word) : undefined;
    if (!ranges) return undefined;
    return negated(via && ranges.length === 1 ? { is, ports: ranges, via } : { is, ports: ranges }, not);
  });

const PORTS = { "--sport": ports("source-port"), "--dport": ports("destination-port") };
const SYN_FLAGS = ["FIN", "SYN", "RST", "ACK"];
const flags = (word: string): readonly string[] => (word === "NONE" ? [] : word.split(","));
const icmpType: OneOption = one((type, not) => negated({ is: "icmp-type", type }, not));
const ctState = (via?: "state"): OneOption =>
  one((word, not) => {
    const states = word.split(",");
    return negated(via ? { is: "conntrack-state", states, via } : { is: "conntrack-state", states }, not);
  });
const mark = (is: "mark" | "connmark"): OneOption =>
  one((word, not) => {
    const read = parseMark(word);
    return read && negated({ is, value: read.value, mask: read.mask ?? 0xffffffff }, not);
  });
const originalAddress = (side: "source" | "destination"): OneOption =>
  one((word, not) => {
    const prefix = parsePrefix(word) ?? parseMaskedPrefix(word);
    return prefix && negated({ is: "original-address", side, prefix }, not);
  });
const originalPort = (side: "source" | "destination"): OneOption =>
  one((word, not) => {
    const ranges = word.includes(",") ? undefined : parsePorts(word);
    return ranges && negated({ is: "original-port", side, ports: ranges }, not);
  });
const owner: OneOption = ({ name, args, not }) => negated({ is: "owner", options: [name, ...args].join(" ") }, not);

const connection = each({
  "--ctstate": ctState(),
  "--ctorigsrc": originalAddress("source"),
  "--ctorigdst": originalAddress("destination"),
  "--ctorigsrcport": originalPort("source"),
  "--ctorigdstport": originalPort("destination"),
  "--ctdir": one((direction, not) =>
    !not && (direction === "ORIGINAL" || direction === "REPLY") ? { is: "connection-direction", direction } : undefined,
  ),
});

const conntrack: WholeMatch = (options) => {
  const read = connection(options);
  if (!options.some(({ name }) => name === "--ctstate")) return read;
  return read?.map((condition) =>
    condition &&
    (condition.is === "original-address" || condition.is === "original-port" || condition.is === "connection-direction")
      ? { ...condition, besideState: true as const }
      : condition,
  );
};

const addressRange = (side: "source" | "destination"): OneOption =>
  one((word, not) => {
    const [first = "", last = "", ...more] = word.split("-");
    const [from, to] = [parseIp(first), parseIp(last)];
    if (!from || !to || from.family !== to.family || more.length > 0) return undefined;
    return negated({ is: "address-range", side, from, to }, not);
  });

const addressTypes: WholeMatch = (options) => {
  const limits = options.filter(({ name }) => name.startsWith("--limit-iface-"));
  const types = options.filter(({ name }) => name === "--src-type" || name === "--dst-type");
  if (types.length === 0 || limits.length > 1 || types.length + limits.length !== options.length) return undefined;
  if (types.some(({ args }) => args.length !== 1) || limits.some(({ args, not }) => args.length > 0 || not))
    return undefined;
  const limit = limits[0]?.name;
  if (limit !== undefined && limit !== "--limit-iface-in" && limit !== "--limit-iface-out") return undefined;
  return types.map(({ name, args, not }) => {
    const side = name === "--src-type" ? ("source" as const) : ("destination" as const);
    const condition = { is: "address-type" as const, side, type: args[0]! };
    if (limit === undefined) return negated(condition, not);
    return negated(
      { ...condition, limitIface: limit === "--limit-iface-in" ? ("in" as const) : ("out" as const) },
      not,
    );
  });
};

const set: WholeMatch = (options) => {
  const [first, ...rest] = options;
  if (first?.name !== "--match-set" || first.args.length !== 2) return undefined;
  const words = first.args[1]!.split(",");
  if (words.some((word) => word !== "src" && word !== "dst")) return undefined;
  const sides = words.map((word) => (word === "src" ? ("source" as const) : ("destination" as const)));
  const condition = negated({ is: "set" as const, name: first.args[0]!, sides }, first.not);
  const [last] = rest;
  if (rest.length === 1 && last!.name === "--return-nomatch" && !last!.not && last!.args.length === 0) {
    return [{ ...condition, returnNomatch: true }];
  }
  return [condition, ...rest.map(() => undefined)];
};

const statistic = together({ "--mode": 1, "--probability": "!1", "--every": "!1", "--packet": 1 }, (args, not) => {
  if (args.get("--mode") === "random" && args.size === 2) {
    const probability = Number(args.get("--probability"));
    return probability >= 0 && probability <= 1 ? negated({ is: "random", probability }, not) : undefined;
  }
  const every = parseU32(args.get("--every"));
  const packet = parseU32(args.get("--packet") ?? "0");
  if (args.get("--mode") !== "nth" || args.has("--probability") || !every || packet === undefined) return undefined;
  return negated({ is: "every-nth", every, packet }, not);
});

const limit = together({ "--limit": 1, "--limit-burst": 1 }, (args) => {
  const rate = args.get("--limit");
  const burst = parseU32(args.get("--limit-burst") ?? "5");
  if (rate === undefined || burst === undefined) return undefined;
  return args.has("--limit-burst") ? { is: "limit", rate, burst } : { is: "limit", rate };
});

const RECENT_ACTIONS = { "--set": "set", "--rcheck": "check", "--update": "update", "--remove": "remove" } as const;

const recent: WholeMatch = (options) => {
  // The list's name is printed without quotation marks even where it has spaces (libxt_recent.c).
  const joined = options.map((option) =>
    option.name === "--name" && option.args.length > 1 ? { ...option, args: [option.args.join(" ")] } : option,
  );
  return together(
    {
      ...({
        "--set": "!0",
        "--rcheck": "!0",
        "--update": "!0",
        "--remove": "!0",
        "--seconds": 1,
        "--reap": 0,
      } as const),
      ...({ "--hitcount": 1, "--rttl": 0, "--name": 1, "--mask": 1, "--rsource": 0, "--rdest": 0 } as const),
    },
    (args, not) => {
      const actions = Object.entries(RECENT_ACTIONS).filter(([name]) => args.has(name));
      const seconds = parseU32(args.get("--seconds"));
      const hits = parseU32(args.get("--hitcount"));
      if (actions.length !== 1 || (args.has("--rsource") && args.has("--rdest"))) return undefined;
      if ((args.has("--seconds") && seconds === undefined) || (args.has("--hitcount") && hits === undefined))
        return undefined;
      return {
        is: "recent",
        list: args.get("--name") ?? "DEFAULT",
        action: actions[0]![1],
        ...(seconds === undefined ? {} : { seconds }),
        ...(args.has("--reap") ? { reap: true as const } : {}),
        ...(hits === undefined ? {} : { hits }),
        ...(args.has("--rttl") ? { ttl: true as const } : {}),
        ...(args.has("--mask") ? { mask: args.get("--mask")! } : {}),
        ...(args.has("--rsource") ? { side: "source" as const } : {}),
        ...(args.has("--rdest") ? { side: "destination" as const } : {}),
        ...(not ? { not: true as const } : {}),
      };
    },
  )(joined);
};

const RPFILTER_OPTIONS = ["--loose", "--validmark", "--accept-local"];

const rpfilter: WholeMatch = (options) => {
  const names = options.map(({ name }) => name);
  const isKnown = options.every(({ args, not }) => args.length === 0 && !not);
  const asked = RPFILTER_OPTIONS.filter((name) => names.includes(name));
  const not = names.includes("--invert");
  if (!isKnown || asked.length + (not ? 1 : 0) !== names.length) return undefined;
  return [negated({ is: "rpfilter", options: asked.map((name) => name.slice(2)) }, not)];
};

const socket: WholeMatch = (options) => {
  const names = options.map(({ name }) => name);
  const isKnown = options.every(
    ({ name, args, not }) => /^--(transparent|nowildcard)$/.test(name) && !not && args.length === 0,
  );
  if (!isKnown || !names.includes("--transparent")) return undefined;
  return [{ is: "socket", options: names.map((name) => name.slice(2)) }];
};

/** Matches whose options each are a condition, or all of them one. */
const MATCHES: ReadonlyMap<string, WholeMatch> = new Map(
  Object.entries({
    tcp: each({
      ...PORTS,
      "--tcp-flags": ({ args, not }) => {
        const [mask, compare] = args;
        if (mask === undefined || compare === undefined || args.length !== 2) return undefined;
        return negated({ is: "tcp-flags", mask: flags(mask), set: flags(compare) }, not);
      },
      "--syn": ({ args, not }) =>
        args.length === 0 ? negated({ is: "tcp-flags", mask: SYN_FLAGS, set: ["SYN"] }, not) : undefined,
    }),
    udp: each(PORTS),
    udplite: each(PORTS),
    sctp: each(PORTS),
    dccp: each(PORTS),
    icmp: each({ "--icmp-type": icmpType }),
    icmp6: each({ "--icmpv6-type": icmpType }),
    multiport: each({
      "--sports": ports("source-port", "multiport"),
      "--dports": ports("destination-port", "multiport"),
      "--ports": ports("any-port", "multiport"),
    }),
    comment: each({
      "--comment": one((comment, not) => (not ? undefined : { is: "comment", comment: unquoted(comment) })),
    }),
    conntrack,
    state: each({ "--state": ctState("state") }),
    mark: each({ "--mark": mark("mark") }),
    connmark: each({ "--mark": mark("connmark") }),
    addrtype: addressTypes,
    set,
    statistic,
    limit,
    recent,
    rpfilter,
    socket,
    physdev: each({
      "--physdev-in": one((device, not) => negated({ is: "physdev", in: device }, not)),
      "--physdev-out": one((device, not) => negated({ is: "physdev", out: device }, not)),
      "--physdev-is-bridged": ({ args, not }) =>
        args.length === 0 ? negated({ is: "physdev", bridged: true }, not) : undefined,
      "--physdev-is-in": ({ args, not }) =>
        args.length === 0 ? negated({ is: "physdev", has: "in" }, not) : undefined,
      "--physdev-is-out": ({ args, not }) =>
        args.length === 0 ? negated({ is: "physdev", has: "out" }, not) : undefined,
    }),
    iprange: each({ "--src-range": addressRange("source"), "--dst-range": addressRange("destination") }),
    pkttype: each({ "--pkt-type": one((type, not) => negated({ is: "packet-type", type }, not)) }),
    owner: each({
      "--uid-owner": owner,
      "--gid-owner": owner,
      "--socket-exists": owner,
      "--suppl-groups": owner,
    }),
    nfacct: each({ "--nfacct-name": one((name, not) => (not ? undefined : { is: "counter", name: unquoted(name) })) }),
  } satisfies Record<string, WholeMatch>),
);

/** Matches that may stand without any option and then hold for every packet. */
const BARE = new Set(["tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmp6", "conntrack"]);

/** Reads `tcp --dport 80`: the conditions of one `-m`. */
export function readMatch(text: string): readonly Condition[] {
  const { name, options } = splitOptions(text);
  const whole = [unknownMatch(name, text.slice(name.length).trim())];
  if (!options) return whole;
  if (options.length === 0 && BARE.has(name)) return [{ is: "bare", match: name }];
  const conditions = MATCHES.get(name)?.(options);
  if (!conditions || conditions.length === 0 || conditions.every((condition) => condition === undefined)) return whole;
  return conditions.map((condition, index) => {
    const known: Condition = condition ?? unknownMatch(name, options[index]!.text);
    return index === 0 ? known : { ...known, sameMatch: true };
  });
}
