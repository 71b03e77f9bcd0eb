import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectNoneLost } from "../../../testing/outcomes.ts";
import { parseIp } from "../../net/ip.ts";
import { parseNft } from "../../parse/nftables/json.ts";
import type { Context } from "./condition.ts";
import { hook } from "./hooks.ts";
import { nftRulesets } from "./nftables.ts";
import { type Packet, replyTo } from "./packet.ts";
import type { Hook, Ruleset } from "./ruleset.ts";
import { BLIND, ends, flow, node, packet } from "./testing.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const is = (left: Json, right: Json, op = "==") => ({ match: { op, left, right } });
const [SADDR, DADDR, DPORT, TH] = [
  payload("ip", "saddr"),
  payload("ip", "daddr"),
  payload("tcp", "dport"),
  payload("th", "dport"),
];
const MARK = { meta: { key: "mark" } };
const L4PROTO = { meta: { key: "l4proto" } };
const STATE = { ct: { key: "state" } };
const [ACCEPT, DROP, RETURN] = [{ accept: null }, { drop: null }, { return: null }];
const jump = (target: string) => ({ jump: { target } });
const goTo = (target: string) => ({ goto: { target } });
const setMark = (value: Json) => ({ mangle: { key: MARK, value } });
const prefix = (addr: string, len: number) => ({ prefix: { addr, len } });
const set = (...elements: readonly Json[]) => ({ set: elements });
const map = (key: Json, data: Json) => ({ map: { key, data } });
const random = (mod: number) => ({ numgen: { mode: "random", mod, offset: 0 } });

type Base = readonly [hook: Hook, priority?: number, type?: string, policy?: string];
type Chains = Readonly<Record<string, { readonly at?: Base; readonly rules?: readonly (readonly Json[])[] }>>;

/** Tables as nft lists them; chains that come later are registered later. */
function table(
  chains: Chains,
  sets: readonly Json[] = [],
  family = "ip",
  more: { readonly [key: string]: Json } = {},
): readonly Ruleset[] {
  const own = { family, table: "t" };
  const items = [
    { table: { family, name: "t", handle: 1, ...more } },
    ...sets.map((one) => {
      const [kind, fields] = Object.entries(one as { [kind: string]: Json })[0]!;
      return { [kind]: { ...own, ...(fields as object) } };
    }),
    ...Object.entries(chains).map(([name, { at }], index) => ({
      chain: {
        ...{ ...own, name, handle: index + 1 },
        ...(at && { hook: at[0], prio: at[1] ?? 0, type: at[2] ?? "filter", policy: at[3] ?? "accept" }),
      },
    })),
    ...Object.entries(chains).flatMap(([chain, { rules = [] }]) =>
      rules.map((expr, index) => ({ rule: { ...own, chain, handle: 100 + index, expr } })),
    ),
  ];
  const { value, gaps } = parseNft(JSON.stringify({ nftables: items }));
  expect(gaps).toEqual([]);
  return nftRulesets(value);
}

const FORWARD: Base = ["forward"];
const TCP = packet("tcp 10.0.0.1:1024 > 10.0.0.2:80", { inDevice: "eth0", outDevice: "cni0", tcpFlags: ["SYN"] });

/** What becomes of a packet at forward under these rules. */
const forwarded = (
  rules: readonly (readonly Json[])[],
  one: Packet = TCP,
  context: Context = node(),
  more: Chains = {},
  sets: readonly Json[] = [],
  family = "ip",
) => ends(hook(table({ f: { at: FORWARD, rules }, ...more }, sets, family), "forward", one, context));

const IPV6 = packet("tcp [fd00::1]:1024 > [fd00::2]:80", { inDevice: "eth0", outDevice: "cni0" });

describe("conditions", () => {
  it.each<readonly [what: string, match: Json, one: Packet, expected: readonly string[]]>([
    ["an address", is(DADDR, "10.0.0.2"), TCP, ["drop"]],
    ["another", is(DADDR, "10.0.0.3"), TCP, ["accept"]],
    ["none of these", is(DADDR, set("10.0.0.3", "10.0.0.4"), "!="), TCP, ["drop"]],
    ["a network in a set", is(DADDR, set(prefix("10.0.0.0", 24), "1.1.1.1")), TCP, ["drop"]],
    ["a range", is(DPORT, { range: [80, 90] }), TCP, ["drop"]],
    ["before a range", is(DPORT, { range: [81, 90] }), TCP, ["accept"]],
    ["less than", is(DPORT, 81, "<"), TCP, ["drop"]],
    ["a port of another protocol, negated", is(payload("udp", "dport"), 53, "!="), TCP, ["accept"]],
    ["any flag", is(payload("tcp", "flags"), ["syn", "ack"], "in"), TCP, ["drop"]],
    ["no flag", is(payload("tcp", "flags"), "ack", "!"), TCP, ["drop"]],
    ["exactly these flags", is(payload("tcp", "flags"), "syn"), TCP, ["drop"]],
    ["a device by its beginning", is({ meta: { key: "iifname" } }, "eth*"), TCP, ["drop"]],
    ["devices by their beginning, in a set", is({ meta: { key: "iifname" } }, set("lo", "eth*")), TCP, ["drop"]],
    ["a state of several", is(STATE, ["established", "new"], "in"), TCP, ["drop"]],
    ["a mark with a mask", is({ "&": [MARK, 0xff] }, 1), { ...TCP, mark: 0x101 }, ["drop"]],
    ["a status", is({ ct: { key: "status" } }, "dnat", "in"), { ...TCP, dnatted: true }, ["drop"]],
    [
      "a status without connection",
      is({ ct: { key: "status" } }, "dnat", "!"),
      { ...TCP, ctState: "untracked" },
      ["accept"],
    ],
    ["the direction of an answer", is({ ct: { key: "direction" } }, "reply"), replyTo(TCP, TCP), ["drop"]],
    [
      "the node's own address",
      is({ fib: { result: "type", flags: ["daddr"] } }, "local"),
      { ...TCP, destination: parseIp("192.168.0.2")! },
      ["drop"],
    ],
    ["no broadcast for IPv6", is({ meta: { key: "pkttype" } }, "broadcast"), IPV6, ["accept"]],
    [
      "all of a concatenation",
      is({ concat: [DADDR, L4PROTO, TH] }, set({ concat: ["10.0.0.2", "tcp", 80] })),
      TCP,
      ["drop"],
    ],
    [
      "a concatenation with intervals",
      is({ concat: [SADDR, TH] }, set({ concat: [prefix("10.0.0.0", 8), { range: [80, 90] }] })),
      TCP,
      ["drop"],
    ],
    ["the checksum of ICMP as a port", is(TH, 80), packet("icmp 10.0.0.1 > 10.0.0.2"), ["accept", "drop"]],
    ["all of one dice", is(random(4), 4, "<"), TCP, ["drop"]],
    ["some of a dice", is(random(4), 2, "<"), TCP, ["accept", "drop"]],
    ["a raw part", is({ payload: { base: "nh", offset: 0, len: 8 } }, 69), TCP, ["accept", "drop"]],
    ["a match of iptables that nft has no words for", { xt: { type: "match", name: "bpf" } }, TCP, ["accept", "drop"]],
    ["a comment of iptables", { xt: { type: "match", name: "comment" } }, TCP, ["drop"]],
    ["a rate", { limit: { rate: 1, per: "second" } }, TCP, ["accept", "drop"]],
  ])("%s", (_, match, one, expected) => {
    const family = one.family === 6 ? "inet" : "ip";
    expect([...forwarded([[match, DROP]], one, node(), {}, [], family)].map((end) => end.split(" ")[0]).sort()).toEqual(
      expected,
    );
  });

  it("of IPv4 end rules for IPv6 packets, whatever they compare", () => {
    expect(forwarded([[is(SADDR, "10.0.0.1", "!="), DROP]], IPV6, node(), {}, [], "inet")).toEqual(["accept"]);
  });

  it("of sets that rules change depend on what came before", () => {
    const seen = { set: { name: "seen", type: "ipv4_addr", elem: ["9.9.9.9"] } };
    const update = { set: { op: "update", elem: SADDR, set: "@seen" } };
    expect(forwarded([[is(SADDR, "@seen"), DROP]], TCP, node(), {}, [seen])).toEqual(["accept"]);
    expect(forwarded([[is(SADDR, "@seen"), DROP], [update]], TCP, node(), {}, [seen]).toSorted()).toEqual([
      "accept",
      "drop",
    ]);
    expect(forwarded([[is(SADDR, "@gone"), DROP]]).toSorted()).toEqual(["accept", "drop"]);
  });
});

describe("rules", () => {
  it("go on after a statement, and end where a condition does not hold", () => {
    const rule = [is(DADDR, "10.0.0.2"), setMark(1), is(DPORT, 443), DROP];
    expect(forwarded([rule])).toEqual(["accept mark 0x1"]);
    expect(forwarded([[setMark({ "|": [MARK, 0x4000] })], [is({ "&": [MARK, 0x4000] }, 0, "!="), DROP]])).toEqual([
      "drop",
    ]);
  });

  it("set a mark from a map, or end if it has none", () => {
    const marks = map(SADDR, set(["10.0.0.1", 5]));
    expect(forwarded([[setMark(marks)]])).toEqual(["accept mark 0x5"]);
    expect(forwarded([[setMark(map(DADDR, set(["10.0.0.1", 5]))), DROP]])).toEqual(["accept"]);
  });

  it("end where they read the mark of no connection, even if nothing would be changed", () => {
    const rule = [{ mangle: { key: { ct: { key: "mark" } }, value: { "|": [{ ct: { key: "mark" } }, 2] } } }, DROP];
    expect(forwarded([rule], { ...TCP, ctState: "untracked" })).toEqual(["accept"]);
    expect(forwarded([rule])).toEqual(["drop"]);
  });

  it("change what later rules see", () => {
    const rules = [[{ mangle: { key: DADDR, value: "10.0.0.9" } }], [is(DADDR, "10.0.0.9"), DROP]];
    expect(forwarded(rules)).toEqual(["drop"]);
  });

  it("jump, return, go to and continue, also by map", () => {
    const vmap = (...elements: readonly Json[]) => [{ vmap: { key: DPORT, data: set(...elements) } }];
    const more = { u: { rules: [[is(SADDR, "10.0.0.1"), RETURN], [DROP]] }, v: { rules: [[setMark(2)]] } };
    expect(forwarded([vmap([80, jump("u")]), [setMark(1)]], TCP, node(), more)).toEqual(["accept mark 0x1"]);
    expect(forwarded([vmap([80, goTo("u")]), [setMark(1)]], TCP, node(), more)).toEqual(["accept"]);
    expect(forwarded([vmap([80, jump("v")]), [DROP]], TCP, node(), more)).toEqual(["drop"]);
    expect(forwarded([vmap([443, DROP]), [setMark(3)]], TCP, node(), more)).toEqual(["accept mark 0x3"]);
    expect(forwarded([[...vmap([80, { continue: null }]), DROP]], TCP, node(), more)).toEqual(["drop"]);
    expect(forwarded([vmap([{ range: [1, 100] }, DROP])], TCP, node(), more)).toEqual(["drop"]);
    expect(forwarded([vmap(["*", DROP])], TCP, node(), more)).toEqual(["drop"]);
    expect(forwarded([[{ vmap: { key: DPORT, data: "@gone" } }]], TCP).toSorted()).toEqual([
      "accept",
      "insufficient unknown-target",
    ]);
  });

  it("refuse with what the family has", () => {
    expect(forwarded([[{ reject: { type: "icmpx", expr: "admin-prohibited" } }]], TCP, node(), {}, [], "inet")).toEqual(
      ["reject icmp-admin-prohibited"],
    );
    expect(
      forwarded([[{ reject: { type: "icmpx", expr: "admin-prohibited" } }]], IPV6, node(), {}, [], "inet"),
    ).toEqual(["reject icmp6-adm-prohibited"]);
    expect(forwarded([[{ reject: null }]])).toEqual(["reject icmp-port-unreachable"]);
  });

  it("that nobody knows may have done anything", () => {
    expect(forwarded([[{ teleport: null }], [DROP]], TCP).toSorted()).toEqual(["drop", "insufficient unknown-target"]);
    expect(forwarded([[{ queue: { num: 1 } }]])).toEqual(["insufficient unknown-target"]);
  });
});

describe("base chains", () => {
  const both = (first: readonly Json[], second: readonly Json[]) =>
    ends(
      hook(table({ a: { at: FORWARD, rules: [first] }, b: { at: FORWARD, rules: [second] } }), "forward", TCP, node()),
    );

  it("of equal priority: the one that was registered last comes first", () => {
    expect(both([is(MARK, 7), DROP], [setMark(7)])).toEqual(["drop"]);
    expect(both([setMark(7)], [is(MARK, 7), DROP])).toEqual(["accept mark 0x7"]);
  });

  it("accept ends only its own chain, drop ends all", () => {
    const rulesets = table({
      a: { at: ["forward", 0], rules: [[ACCEPT]] },
      b: { at: ["forward", 10], rules: [[DROP]] },
    });
    expect(ends(hook(rulesets, "forward", TCP, node()))).toEqual(["drop"]);
  });

  it("of a dormant table are not called; their policy counts where nothing decides", () => {
    const chains: Chains = { a: { at: ["forward", 0, "filter", "drop"] } };
    expect(ends(hook(table(chains), "forward", TCP, node()))).toEqual(["drop"]);
    expect(ends(hook(table(chains, [], "ip", { flags: ["dormant"] }), "forward", TCP, node()))).toEqual(["accept"]);
  });

  it("see the families and layers of their tables", () => {
    const drop: Chains = { a: { at: FORWARD, rules: [[DROP]] } };
    expect(ends(hook(table(drop, [], "ip6"), "forward", TCP, node()))).toEqual(["accept"]);
    expect(ends(hook(table(drop, [], "inet"), "forward", IPV6, node()))).toEqual(["drop"]);
    expect(ends(hook(table(drop, [], "bridge"), "forward", TCP, node()))).toEqual(["accept"]);
    expect(ends(hook(table(drop, [], "bridge"), "forward", TCP, node(), { layer: "bridge" }))).toEqual(["drop"]);
    const ingress: Chains = { a: { at: ["ingress"], rules: [[is(DADDR, "10.0.0.2"), DROP]] } };
    expect(ends(hook(table(ingress, [], "netdev"), "ingress", TCP, node()))).toEqual(["drop"]);
    expect(ends(hook(table(ingress, [], "netdev"), "prerouting", TCP, node()))).toEqual(["accept"]);
  });
});

describe("translation", () => {
  const PREROUTING: Base = ["prerouting", -100, "nat"];
  const to = (rule: readonly Json[], one: Packet = TCP, sets: readonly Json[] = []) =>
    hook(table({ n: { at: PREROUTING, rules: [rule] } }, sets), "prerouting", one, node()).map(
      (outcome) => flow(outcome.packet).split(" > ")[1],
    );

  it("to what a dice chooses, all of it", () => {
    const targets = set([0, { concat: ["10.9.0.1", 8080] }], [1, { concat: ["10.9.0.2", 8081] }]);
    const outcomes = hook(
      table({ n: { at: PREROUTING, rules: [[{ dnat: { addr: map(random(2), targets) } }]] } }),
      ...(["prerouting", TCP, node()] as const),
    );
    expect(outcomes.map((outcome) => flow(outcome.packet))).toEqual([
      "10.0.0.1:1024 > 10.9.0.1:8080",
      "10.0.0.1:1024 > 10.9.0.2:8081",
    ]);
    for (const { reasons } of outcomes)
      for (const reason of reasons) expect(reason).toMatchObject({ about: "rule", doubts: [{ doubt: "choice" }] });
  });

  it("to what a map has for the packet, or not at all", () => {
    const backends = { map: { name: "m", type: "ipv4_addr", map: "ipv4_addr", elem: [["10.0.0.2", "10.9.0.5"]] } };
    expect(to([{ dnat: { addr: map(DADDR, "@m") } }], TCP, [backends])).toEqual(["10.9.0.5:80"]);
    expect(to([{ dnat: { addr: map(SADDR, "@m") } }], TCP, [backends])).toEqual(["10.0.0.2:80"]);
    expect(to([{ dnat: { addr: "10.9.0.1", port: map(DPORT, set([80, 8080])) } }])).toEqual(["10.9.0.1:8080"]);
  });

  it("of networks one to one", () => {
    const netmap = {
      dnat: { addr: map(DADDR, set([prefix("10.0.0.0", 24), prefix("10.7.0.0", 24)])), flags: "netmap" },
    };
    expect(to([netmap])).toEqual(["10.7.0.2:80"]);
  });

  it("only of the family that it is for, and only of the first packet", () => {
    expect(to([{ dnat: { family: "ip6", addr: "fd00::9" } }])).toEqual(["10.0.0.2:80"]);
    expect(to([{ dnat: { addr: "10.9.0.1" } }], { ...TCP, ctState: "established" })).toEqual(["10.0.0.2:80"]);
  });

  it("keeps apart to which back ends packets were refused", () => {
    const targets = set([0, "10.9.0.1"], [1, "10.9.0.2"]);
    const rulesets = table({
      n: { at: ["output", -100, "nat"], rules: [[{ dnat: { addr: map(random(2), targets) } }]] },
      f: { at: ["output"], rules: [[DROP]] },
    });
    const { inDevice, ...sent } = TCP;
    const outcomes = hook(rulesets, "output", sent, node());
    expect(outcomes.map((outcome) => flow(outcome.packet).split(" > ")[1])).toEqual(["10.9.0.1:80", "10.9.0.2:80"]);
  });
});

// ---------------------------------------------------------------------------------------------------------------------

describe("properties", () => {
  const sets: readonly Json[] = [
    { set: { name: "s", type: "ipv4_addr", elem: ["10.0.0.1", "10.0.0.3"] } },
    { set: { name: "n", type: "ipv4_addr", flags: ["interval"], elem: [prefix("10.0.0.2", 31)] } },
    {
      map: {
        name: "v",
        type: ["ipv4_addr", "inet_proto", "inet_service"],
        map: "verdict",
        elem: [
          [{ concat: ["10.0.0.2", "tcp", 80] }, DROP],
          [{ concat: ["10.0.0.3", "udp", 53] }, jump("c")],
        ],
      },
    },
    {
      map: {
        name: "m",
        type: "ipv4_addr",
        map: "mark",
        elem: [
          ["10.0.0.1", 1],
          ["10.0.0.2", 2],
        ],
      },
    },
  ];
  const KEY = { concat: [DADDR, L4PROTO, TH] };
  const conditions: readonly Json[] = [
    ...[
      is(L4PROTO, "tcp"),
      is(L4PROTO, "tcp", "!="),
      is(DPORT, 80),
      is(DPORT, { range: [1, 60] }, "!="),
      is(TH, 100, "<"),
    ],
    ...[is(SADDR, "@s"), is(SADDR, "@s", "!="), is(DADDR, "@n"), is(DADDR, set("10.0.0.1", prefix("10.0.0.2", 31)))],
    ...[is(MARK, 1), is({ "&": [MARK, 2] }, 2, "!="), is(MARK, set(0, { range: [2, 3] }))],
    ...[
      is(STATE, ["new", "related"], "in"),
      is(STATE, "established", "!="),
      is({ ct: { key: "status" } }, "dnat", "in"),
    ],
    ...[
      is({ ct: { key: "mark" } }, 1),
      is({ fib: { result: "type", flags: ["daddr"] } }, "local", "!="),
      is(random(2), 0),
    ],
    ...[
      is({ meta: { key: "iifname" } }, "eth*"),
      is(KEY, set({ concat: ["10.0.0.2", "tcp", 80] }, { concat: ["10.0.0.1", "udp", 53] })),
    ],
  ];
  const marking: readonly Json[] = [
    ...[setMark(1), setMark({ "^": [MARK, 2] }), setMark(map(SADDR, "@m")), setMark({ ct: { key: "mark" } })],
    { mangle: { key: { ct: { key: "mark" } }, value: MARK } },
  ];
  const verdicts = (later: readonly string[]): readonly Json[] => [
    ...[ACCEPT, DROP, RETURN, { continue: null }],
    ...later.flatMap((chain) => [jump(chain), goTo(chain)]),
    ...(later.includes("c") ? [{ vmap: { key: KEY, data: "@v" } }] : []),
    { vmap: { key: STATE, data: set(["new", later[0] ? jump(later[0]) : DROP], ["established", ACCEPT]) } },
    { vmap: { key: random(3), data: set([0, DROP], [1, later[0] ? goTo(later[0]) : ACCEPT]) } },
  ];
  const rule = (later: readonly string[]) =>
    fc
      .tuple(
        fc.array(fc.constantFrom(...conditions), { maxLength: 2 }),
        fc.array(fc.constantFrom(...marking, ...conditions), { maxLength: 2 }),
        fc.option(fc.constantFrom(...verdicts(later))),
      )
      .map(([first, then, last]) => [...first, ...then, ...(last === null ? [] : [last])]);
  const rules = (later: readonly string[]) => fc.array(rule(later), { maxLength: 4 });
  const rulesets = fc
    .tuple(rules(["a", "b"]), rules(["b", "c"]), rules(["c"]), rules([]), rules(["b", "c"]))
    .map(([f, a, b, c, g]) =>
      table(
        {
          a: { rules: a },
          b: { rules: b },
          c: { rules: c },
          f: { at: FORWARD, rules: f },
          g: { at: ["forward", 5], rules: g },
        },
        sets,
      ),
    );
  const concrete = fc
    .record({
      protocol: fc.constantFrom("tcp", "udp"),
      source: fc.integer({ min: 1, max: 4 }),
      destination: fc.integer({ min: 1, max: 4 }),
      port: fc.constantFrom(53, 80, 443),
      mark: fc.integer({ min: 0, max: 3 }),
      state: fc.constantFrom("new" as const, "established" as const),
      dnatted: fc.boolean(),
    })
    .map(({ protocol, source, destination, port, mark, state, dnatted }) =>
      packet(`${protocol} 10.0.0.${source}:1024 > 10.0.0.${destination}:${port}`, {
        ...{ mark, ctState: state, inDevice: "eth0", outDevice: "cni0", dnatted, connmark: 0 },
      }),
    );
  const context = node(["10.0.0.2/24 eth0"]);
  const blurs: readonly Partial<Packet>[] = [
    ...([
      { source: "unknown" },
      { destination: "unknown" },
      { destinationPort: "unknown" },
      { protocol: "unknown" },
    ] as const),
    ...([{ ctState: "unknown" }, { inDevice: "unknown" }, { dnatted: "unknown" }] as const),
    { mark: 0, markUnknown: 0xffffffff },
    { connmark: 0, connmarkUnknown: 0xffffffff },
  ];

  it("what is known less well leaves at least the outcomes of what is known, and one outcome is certain", () => {
    fc.assert(
      fc.property(
        rulesets,
        concrete,
        fc.subarray([...blurs]),
        fc.constantFrom(context, BLIND),
        (all, one, less, seen) => {
          const known = hook(all, "forward", one, context);
          const blurred = hook(all, "forward", Object.assign({}, one, ...less), seen);
          expectNoneLost(known, blurred);
        },
      ),
      { numRuns: process.env.NETWHY_LONG ? 50_000 : 1500 },
    );
  }, 600_000);
});
