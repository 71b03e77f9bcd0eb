import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectNoneLost } from "../../../testing/outcomes.ts";
import { parseIptablesSave } from "../../parse/iptables/save.ts";
import type { Context } from "./condition.ts";
import { traverse } from "./evaluate.ts";
import { isChosen, type Outcome } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import { iptablesRulesets, type Ruleset, rulesetOf } from "./ruleset.ts";
import { BLIND, ends, ipset, node, packet, rules } from "./testing.ts";

const TCP = packet("tcp 10.0.0.1:1024 > 10.0.0.2:80");

function forward(ruleset: Ruleset, one: Packet = TCP, context: Context = node()): readonly Outcome[] {
  return traverse(ruleset, { table: "filter", chain: "FORWARD" }, one, context);
}

/** `FORWARD 3, A 2`: chain and rule by their place among the lines given. */
const ways = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.map(({ rules: steps }) =>
    steps.map(({ chain, rule }) => (rule ? `${chain} ${rule.target.does}` : `${chain} policy`)).join(", "),
  );

describe("chains", () => {
  const cases: readonly { name: string; rules: readonly string[]; ends: readonly string[]; way?: string }[] = [
    { name: "an empty chain gives its policy", rules: [], ends: ["accept"], way: "FORWARD policy" },
    { name: "a policy of DROP", rules: ["filter FORWARD policy DROP"], ends: ["drop"], way: "FORWARD policy" },
    {
      name: "the first rule that matches decides",
      rules: ["filter FORWARD -p udp -j DROP", "filter FORWARD -p tcp -j ACCEPT", "filter FORWARD -j DROP"],
      ends: ["accept"],
      way: "FORWARD accept",
    },
    {
      name: "the end of a user chain goes on after the jump",
      rules: ["filter FORWARD -j A", "filter FORWARD -j DROP", "filter A -p udp -j ACCEPT"],
      ends: ["drop"],
      way: "FORWARD drop",
    },
    {
      name: "so does RETURN",
      rules: ["filter FORWARD -j A", "filter FORWARD -j DROP", "filter A -j RETURN", "filter A -j ACCEPT"],
      ends: ["drop"],
    },
    {
      name: "RETURN in a chain that the kernel called gives its policy",
      rules: ["filter FORWARD policy DROP", "filter FORWARD -j RETURN", "filter FORWARD -j ACCEPT"],
      ends: ["drop"],
      way: "FORWARD policy",
    },
    {
      name: "a verdict ends all calls",
      rules: ["filter FORWARD -j A", "filter FORWARD -j DROP", "filter A -j B", "filter B -j ACCEPT"],
      ends: ["accept"],
      way: "FORWARD jump, A jump, B accept",
    },
    {
      name: "the end of a chain gone to is the end of the chain that went there",
      rules: [
        "filter FORWARD -j A",
        "filter FORWARD -j DROP",
        "filter A -g B",
        "filter A -j ACCEPT",
        "filter B -p udp -j ACCEPT",
      ],
      ends: ["drop"],
      way: "FORWARD drop",
    },
    {
      name: "a goto in the chain that the kernel called comes back to its policy",
      rules: ["filter FORWARD policy DROP", "filter FORWARD -g A", "filter FORWARD -j ACCEPT", "filter A"],
      ends: ["drop"],
      way: "FORWARD policy",
    },
    {
      name: "logging and counting change nothing",
      rules: [
        "filter FORWARD -j LOG --log-prefix x",
        "filter FORWARD",
        "filter FORWARD -j NFLOG",
        "filter FORWARD -j REJECT",
      ],
      ends: ["reject icmp-port-unreachable"],
    },
    {
      name: "marks are seen by the rules after",
      rules: [
        "filter FORWARD -j MARK --or-mark 0x4000",
        "filter FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
        "filter FORWARD -j DROP",
      ],
      ends: ["accept mark 0x4000"],
    },
    {
      name: "--xor-mark takes a mark away again",
      rules: ["filter FORWARD -j MARK --set-xmark 0x4001/0xffffffff", "filter FORWARD -j MARK --xor-mark 0x4000"],
      ends: ["accept mark 0x1"],
    },
    {
      name: "the mark goes to the connection and back",
      rules: [
        "filter FORWARD -j MARK --set-xmark 0x3/0xffffffff",
        "filter FORWARD -j CONNMARK --save-mark --nfmask 0x2 --ctmask 0xffffffff",
        "filter FORWARD -j MARK --set-xmark 0x8/0xffffffff",
        "filter FORWARD -j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf",
      ],
      ends: ["accept mark 0x2"],
    },
    {
      name: "TPROXY gives the packet to a socket",
      rules: [
        "filter FORWARD -j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x200/0xffffffff",
        "filter FORWARD -j DROP",
      ],
      ends: ["tproxy 15001 mark 0x200"],
    },
  ];
  it.each(cases)("$name", ({ rules: lines, ends: expected, way }) => {
    const outcomes = forward(rules(...lines));
    expect(ends(outcomes)).toEqual(expected);
    expect(outcomes.map(({ certainty }) => certainty)).toEqual(["certain"]);
    if (way !== undefined) expect(ways(outcomes)).toEqual([way]);
  });

  it("of a user chain that is asked alone, its end is no verdict", () => {
    const ruleset = rules("filter A -p udp -j DROP");
    expect(ends(traverse(ruleset, { table: "filter", chain: "A" }, TCP, node()))).toEqual(["through"]);
  });

  it("nothing comes of a chain that is not there", () => {
    expect(traverse(rules(), { table: "filter", chain: "A" }, TCP, node())).toEqual([]);
  });

  it("says where the rules are, and which ones the packet met on its way", () => {
    const ruleset = rules(
      "nat PREROUTING -j A",
      "nat A -j MARK --or-mark 0x1",
      "nat A -p tcp -j DNAT --to-destination 10.0.0.9:8080",
    );
    const [outcome] = traverse(ruleset, { table: "nat", chain: "PREROUTING" }, TCP, node());
    expect(outcome!.rules.map(({ ruleset: name, table, chain, line }) => [name, table, chain, line])).toEqual([
      ["iptables", "nat", "PREROUTING", 18],
      ["iptables", "nat", "A", 20],
    ]);
    expect(outcome!.met.map(({ chain, line }) => [chain, line])).toEqual([
      ["PREROUTING", 18],
      ["A", 19],
      ["A", 20],
    ]);
  });
});

describe("chance", () => {
  const KUBE_SVC = rules(
    "nat PREROUTING -d 10.96.0.10/32 -j KUBE-SVC-DNS",
    "nat KUBE-SVC-DNS ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ",
    "nat KUBE-SVC-DNS -m statistic --mode random --probability 0.33333333349 -j KUBE-SEP-1",
    "nat KUBE-SVC-DNS -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-2",
    "nat KUBE-SVC-DNS -j KUBE-SEP-3",
    "nat KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    ...[1, 2, 3].flatMap((n) => [
      `nat KUBE-SEP-${n} -s 10.244.0.${n}/32 -j KUBE-MARK-MASQ`,
      `nat KUBE-SEP-${n} -p udp -j DNAT --to-destination 10.244.0.${n}:53`,
    ]),
  );
  const prerouting = (one: Packet): readonly Outcome[] =>
    traverse(KUBE_SVC, { table: "nat", chain: "PREROUTING" }, one, node());

  it("all back ends of a Service come out, each for sure for some packets", () => {
    const outcomes = prerouting(packet("udp 10.244.1.1:1024 > 10.96.0.10:53"));
    expect(ends(outcomes)).toEqual(["dnat 10.244.0.1:53", "dnat 10.244.0.2:53", "dnat 10.244.0.3:53"]);
    expect(outcomes.map(({ certainty }) => certainty)).toEqual(["depends", "depends", "depends"]);
    expect(outcomes.every(isChosen)).toBe(true);
  });

  it("a back end that reaches itself is masqueraded, and so is who is not in the cluster", () => {
    expect(ends(prerouting(packet("udp 10.244.0.2:1024 > 10.96.0.10:53")))).toEqual([
      "dnat 10.244.0.1:53",
      "dnat 10.244.0.2:53 mark 0x4000",
      "dnat 10.244.0.3:53",
    ]);
    expect(ends(prerouting(packet("udp 172.16.0.1:1024 > 10.96.0.10:53")))).toEqual([
      "dnat 10.244.0.1:53 mark 0x4000",
      "dnat 10.244.0.2:53 mark 0x4000",
      "dnat 10.244.0.3:53 mark 0x4000",
    ]);
  });

  it("a last back end with a probability leaves some packets as they are", () => {
    const broken = rules(
      "nat PREROUTING -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.8",
      "nat PREROUTING -m statistic --mode random --probability 0.99999999953 -j DNAT --to-destination 10.0.0.9",
    );
    expect(ends(traverse(broken, { table: "nat", chain: "PREROUTING" }, TCP, node()))).toEqual([
      "dnat 10.0.0.8",
      "dnat 10.0.0.9",
      "accept",
    ]);
  });

  it("session affinity depends on packets before", () => {
    const affinity = rules(
      "nat PREROUTING -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-1 --rsource -j DNAT --to-destination 10.0.0.8",
      "nat PREROUTING -m recent --set --name KUBE-SEP-2 -j DNAT --to-destination 10.0.0.9",
    );
    const outcomes = traverse(affinity, { table: "nat", chain: "PREROUTING" }, TCP, node());
    expect(ends(outcomes)).toEqual(["dnat 10.0.0.8", "dnat 10.0.0.9"]);
    expect(outcomes.map(isChosen)).toEqual([false, false]);
    expect(outcomes[0]!.reasons).toMatchObject([{ about: "rule", holds: true, doubts: [{ doubt: "history" }] }]);
  });

  it("a probability of one is no chance", () => {
    expect(ends(forward(rules("filter FORWARD -m statistic --mode random --probability 1.0 -j DROP")))).toEqual([
      "drop",
    ]);
  });

  it("of a thousand back ends none is lost", () => {
    const lines = Array.from({ length: 1000 }, (_, i) => {
      const chance = i < 999 ? `-m statistic --mode random --probability ${(1 / (1000 - i)).toFixed(11)} ` : "";
      return `nat PREROUTING ${chance}-j DNAT --to-destination 10.${i >> 8}.${i & 255}.1:80`;
    });
    const outcomes = traverse(rules(...lines), { table: "nat", chain: "PREROUTING" }, TCP, node());
    expect(outcomes.length).toBe(1000);
    expect(outcomes.every(isChosen)).toBe(true);
  });
});

describe("what is not known", () => {
  const inSet = "-m set --match-set KUBE-SRC src";

  it("is named among the reasons", () => {
    const outcomes = forward(rules(`filter FORWARD ${inSet} -j DROP`), TCP, BLIND);
    expect(ends(outcomes)).toEqual(["accept", "drop"].toSorted((a) => (a === "drop" ? -1 : 1)));
    const [drop, accept] = outcomes;
    expect(drop).toMatchObject({
      certainty: "depends",
      reasons: [
        { about: "rule", holds: true, doubts: [{ condition: { is: "set", name: "KUBE-SRC" }, doubt: "unknown" }] },
      ],
    });
    expect(accept!.reasons).toMatchObject([{ about: "rule", holds: false }]);
  });

  it("does not matter where both ways come to the same", () => {
    const outcomes = forward(rules(`filter FORWARD ${inSet} -j DROP`, "filter FORWARD policy DROP"), TCP, BLIND);
    expect(ends(outcomes)).toEqual(["drop"]);
    expect(outcomes[0]).toMatchObject({ certainty: "certain", reasons: [] });
  });

  it("does not matter where it only decided on a log", () => {
    const ruleset = rules(`filter FORWARD ${inSet} -j LOG`, "filter FORWARD -m set --match-set B dst -j DROP");
    expect(forward(ruleset, TCP, BLIND).map(({ reasons }) => reasons.length)).toEqual([1, 1]);
  });

  it("has the same answer each time it is asked (kube-router: mark if it is in the sets, return if marked)", () => {
    const sets = "-m set --match-set KUBE-SRC src -m set --match-set KUBE-DST dst";
    const policy = rules(
      "filter FORWARD -j KUBE-NWPLCY",
      "filter FORWARD -m mark ! --mark 0x10000/0x10000 -j REJECT",
      `filter KUBE-NWPLCY ${sets} -j MARK --set-xmark 0x10000/0x10000`,
      `filter KUBE-NWPLCY ${sets} -m mark --mark 0x10000/0x10000 -j RETURN`,
      "filter KUBE-NWPLCY -m mark --mark 0x10000/0x10000 -j DROP",
    );
    expect(ends(forward(policy, TCP, BLIND))).toEqual(["reject icmp-port-unreachable", "accept mark 0x10000"]);
  });

  it("answers its own opposite", () => {
    const both = rules(
      `filter FORWARD ${inSet} -j ACCEPT`,
      `filter FORWARD ${inSet.replace("--match", "! --match").replace("! --match", "--match")} -j DROP`,
    );
    expect(ends(forward(both, TCP, BLIND))).toEqual(["accept"]);
    const opposite = rules(
      `filter FORWARD ${inSet} -j ACCEPT`,
      "filter FORWARD -m set ! --match-set KUBE-SRC src -j DROP",
      "filter FORWARD -j REJECT",
    );
    expect(ends(forward(opposite, TCP, BLIND))).toEqual(["accept", "drop"]);
  });

  it("a mark of which one bit is set is known by that bit", () => {
    const ruleset = rules(
      "filter FORWARD -j MARK --or-mark 0x4000",
      "filter FORWARD -m mark --mark 0x4000/0x4000 -j DROP",
    );
    expect(ends(forward(ruleset, { ...TCP, markUnknown: 0xffffffff }))).toEqual(["drop"]);
  });

  it("an unknown destination meets rules for any", () => {
    const ruleset = rules("filter FORWARD -d 10.0.0.0/8 -j DROP", "filter FORWARD -d 0.0.0.0/0 -j REJECT");
    expect(ends(forward(ruleset, packet("tcp 10.0.0.1:1 > ?:80")))).toEqual(["drop", "reject icmp-port-unreachable"]);
  });

  it("is answered by whoever can", () => {
    const ruleset = rules("filter FORWARD -m rpfilter --validmark --invert -j DROP");
    expect(ends(forward(ruleset))).toEqual(["drop", "accept"]);
    const context: Context = { ...node(), answer: ({ is }) => (is === "rpfilter" ? "no" : undefined) };
    expect(ends(forward(ruleset, TCP, context))).toEqual(["accept"]);
  });

  it("a target that we do not know may end the way or not, and may have marked the packet", () => {
    expect(ends(forward(rules("filter FORWARD -j QUANTUM --leap", "filter FORWARD -j DROP")))).toEqual([
      "insufficient unknown-target",
      "drop",
    ]);
    expect(ends(forward(rules("filter FORWARD -j QUANTUM --leap")))).toEqual([
      "insufficient unknown-target",
      "accept mark ?",
    ]);
    expect(ends(forward(rules("filter FORWARD -j NFQUEUE --queue-num 5", "filter FORWARD -j DROP")))).toEqual([
      "insufficient unknown-target",
    ]);
    expect(ends(forward(rules("filter FORWARD -j CT --zone 5", "filter FORWARD -j DROP")))).toEqual(["drop"]);
  });

  it("so may a rule that could not be read", () => {
    expect(ends(forward(rules("filter FORWARD -j DROP -j ACCEPT", "filter FORWARD -j DROP")))).toEqual([
      "insufficient unknown-target",
      "drop",
    ]);
  });

  it("rules that were cut off may have done anything, unless something decided before", () => {
    const cut = (more: string): Ruleset =>
      iptablesRulesets(
        parseIptablesSave(`*filter\n:FORWARD ACCEPT [0:0]\n${more}-A FORWARD -p udp -j DROP\n`).value,
        4,
      )[0]!;
    expect(ends(forward(cut("")))).toEqual(["insufficient cut-off", "accept"]);
    expect(ends(forward(cut("-A FORWARD -j REJECT\n")))).toEqual(["reject icmp-port-unreachable"]);
  });

  it("a jump to a chain that is not there", () => {
    const dangling = rulesetOf(
      "x",
      [4],
      [
        {
          ...{ ruleset: "x", table: "filter", name: "FORWARD", line: 1 },
          base: { hook: "forward", priority: 0, type: "filter", policy: "accept" },
          rules: [{ line: 2, conditions: [], target: { does: "jump", chain: "GONE" } }],
        },
      ],
    );
    expect(ends(forward(dangling))).toEqual(["insufficient missing-chain", "accept"]);
  });
});

describe("what is assumed of an unknown mark", () => {
  const anyMark = { mark: 0, markUnknown: 0xffffffff };
  const endsOf = (...lines: readonly string[]) =>
    ends(forward(rules(...lines), packet("tcp 10.0.0.1:1 > 10.0.0.2:80", { ...anyMark, connmarkUnknown: 0xffffffff })));

  it("holds as long as the mark stays as it is", () => {
    expect(
      endsOf("filter FORWARD -m mark ! --mark 2/3 -j ACCEPT", "filter FORWARD -m mark ! --mark 2/3 -j DROP"),
    ).toEqual(["accept mark ?"]);
  });

  it.each([
    ["bits are flipped", "-j MARK --xor-mark 0x2"],
    ["the connection's unknown mark takes its place", "-j CONNMARK --restore-mark"],
    ["a target that we do not know may have set it", "-j ODD"],
  ])("holds no longer when %s", (_, change) => {
    const after = endsOf(
      "filter FORWARD -m mark ! --mark 2/3 -j ACCEPT",
      `filter FORWARD ${change}`,
      "filter FORWARD -m mark ! --mark 2/3 -j DROP",
    );
    expect(after.join()).toMatch(/accept.*drop/);
  });
});

describe("hostile rule sets come to an end", () => {
  it("circles", () => {
    const circle = rules("filter FORWARD -j A", "filter A -p udp -j ACCEPT", "filter A -j B", "filter B -g A");
    expect(ends(forward(circle))).toEqual(["insufficient loop"]);
  });

  it("a circle that no packet enters does no harm", () => {
    expect(ends(forward(rules("filter FORWARD -j A", "filter A -p udp -j A")))).toEqual(["accept"]);
  });

  it("deep calls", () => {
    const deep = Array.from({ length: 600 }, (_, i) => `filter C${i} -j C${i + 1}`);
    expect(ends(forward(rules("filter FORWARD -j C0", ...deep, "filter C600 -j DROP")))).toEqual(["insufficient loop"]);
  });

  it("calls that double at each level", () => {
    const doubling = Array.from({ length: 40 }, (_, i) => [
      `filter C${i} -j C${i + 1}`,
      `filter C${i} -j C${i + 1}`,
    ]).flat();
    expect(ends(forward(rules("filter FORWARD -j C0", ...doubling, "filter C40 -p udp -j DROP")))).toContain(
      "insufficient too-many",
    );
  });

  it("as many marks as there are bits", () => {
    const marks = Array.from(
      { length: 32 },
      (_, i) => `filter FORWARD -m set --match-set S${i} src -j MARK --or-mark 0x${(2 ** i).toString(16)}`,
    );
    expect(ends(forward(rules(...marks), TCP, BLIND))).toContain("insufficient too-many");
  });

  it("thousands of rules of which none is known", () => {
    const many = Array.from(
      { length: 1000 },
      (_, i) => `filter FORWARD -m set --match-set S${i} src -j ${i % 2 ? "DROP" : "ACCEPT"}`,
    );
    expect(ends(forward(rules(...many), TCP, BLIND))).toEqual(["accept", "drop"]);
  });
});

describe("long chains", () => {
  const services = Array.from({ length: 80 }, (_, i) => [
    `nat KUBE-SERVICES -d 10.96.0.${i}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.${i}:80`,
    ...(i % 50 === 0 ? [`nat KUBE-SERVICES -s 10.0.9.${i}/32 -j RETURN`] : []),
    ...(i % 20 === 0
      ? [`nat KUBE-SERVICES -p tcp -m tcp --dport ${30000 + i} -j DNAT --to-destination 10.0.1.${i}:80`]
      : []),
    ...(i % 70 === 0 ? [`nat KUBE-SERVICES ! -d 10.96.0.${i}/32 -p udp -j DNAT --to-destination 10.0.2.${i}`] : []),
  ]).flat();
  const indexed = rules("nat PREROUTING -j KUBE-SERVICES", ...services);
  const plain = rulesetOf(
    indexed.name,
    indexed.families,
    [...indexed.chains.values()].flatMap((table) => [...table.values()].map(({ index, ...chain }) => chain)),
  );

  it("are the same with and without their index", () => {
    expect(indexed.chains.get("nat")!.get("KUBE-SERVICES")!.index).toBeDefined();
    const address = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(
        fc.constantFrom("tcp", "udp", "?"),
        address,
        fc.option(address),
        fc.constantFrom("80", "30000", "30040", "1", "?"),
        (protocol, source, destination, port) => {
          const to = destination === null ? "?" : `10.96.0.${destination}`;
          const one = packet(`${protocol} 10.0.9.${source}:1024 > ${to}:${port}`);
          const at = { table: "nat", chain: "PREROUTING" };
          expect(traverse(indexed, at, one, node())).toEqual(traverse(plain, at, one, node()));
        },
      ),
      { numRuns: 60 },
    );
  });
});

// ---------------------------------------------------------------------------------------------------------------------

describe("properties", () => {
  const condition = fc.constantFrom(
    ...[
      "",
      "-p tcp",
      "! -p tcp",
      "-p tcp -m tcp --dport 80",
      "-p udp -m multiport ! --dports 53,80",
      "-s 10.0.0.0/30",
      "! -d 10.0.0.2/32",
    ],
    ...[
      "-m mark --mark 0x1/0x1",
      "-m mark ! --mark 0x2/0x3",
      "-m conntrack --ctstate NEW",
      "-m conntrack ! --ctstate ESTABLISHED,DNAT",
    ],
    ...[
      "-m set --match-set S src",
      "-m set ! --match-set S src,dst",
      "-m addrtype --dst-type LOCAL",
      "-i eth0",
      "! -i cni+",
    ],
    ...[
      "-m set --match-set S src -m mark --mark 0x1/0x1",
      "-m connmark --mark 0x1/0x1",
      "-m statistic --mode random --probability 0.5",
    ],
  );
  const target = (later: readonly string[]) =>
    fc.constantFrom(
      "",
      "-j ACCEPT",
      "-j DROP",
      "-j RETURN",
      "-j MARK --or-mark 0x1",
      "-j MARK --xor-mark 0x2",
      "-j CONNMARK --save-mark",
      "-j CONNMARK --restore-mark",
      "-j CONNMARK --set-xmark 0x1/0x0",
      "-j ODD",
      ...later.flatMap((chain) => [`-j ${chain}`, `-g ${chain}`]),
    );
  const chain = (name: string, later: readonly string[]) =>
    fc
      .array(fc.tuple(condition, target(later)), { maxLength: 5 })
      .map((list) => list.map(([words, does]) => `filter ${name} ${words} ${does}`));
  const rulesets = fc
    .tuple(chain("FORWARD", ["A", "B"]), chain("A", ["B", "C"]), chain("B", ["C"]), chain("C", []))
    .map((chains) => rules("filter A", "filter B", "filter C", ...chains.flat()));
  const concrete = fc
    .record({
      protocol: fc.constantFrom("tcp", "udp"),
      source: fc.integer({ min: 1, max: 6 }),
      destination: fc.integer({ min: 1, max: 4 }),
      port: fc.constantFrom(53, 80, 443),
      mark: fc.integer({ min: 0, max: 3 }),
      state: fc.constantFrom("new" as const, "established" as const),
      device: fc.constantFrom("eth0", "cni0"),
      dnatted: fc.boolean(),
    })
    .map(({ protocol, source, destination, port, mark, state, device, dnatted }) =>
      packet(`${protocol} 10.0.0.${source}:1024 > 10.0.0.${destination}:${port}`, {
        mark,
        ctState: state,
        inDevice: device,
        dnatted,
        connmark: 0,
      }),
    );
  const context = node(["10.0.0.2/24 eth0"], ipset("S", "hash:ip", "10.0.0.1", "10.0.0.3"));
  const blurs: readonly Partial<Packet>[] = [
    { source: "unknown" },
    { destination: "unknown" },
    { destinationPort: "unknown" },
    { protocol: "unknown" },
    { ctState: "unknown" },
    { inDevice: "unknown" },
    { dnatted: "unknown" },
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
        (ruleset, one, less, seen) => {
          const known = forward(ruleset, one, context);
          const blurred = forward(ruleset, Object.assign({}, one, ...less), seen);
          expectNoneLost(known, blurred);
        },
      ),
      { numRuns: process.env.NETWHY_LONG ? 50_000 : 2000 },
    );
  });
});
