import { describe, expect, it } from "vitest";
import type { Context } from "./condition.ts";
import { hook } from "./hooks.ts";
import type { Outcome } from "./outcome.ts";
import { type Packet, replyTo } from "./packet.ts";
import type { Hook, Ruleset } from "./ruleset.ts";
import { BLIND, ends, flow, node, packet, rules, rulesFor } from "./testing.ts";

const NODE = node(["192.168.0.2/24 eth0", "10.244.0.1/24 cni0"]);
const TO_VIP = packet("tcp 10.244.0.5:1024 > 10.96.0.1:443", { inDevice: "cni0" });

/** The packet that comes out of a hook for certain. */
function out(outcomes: readonly Outcome[]): Packet {
  expect(outcomes.map(({ verdict, certainty }) => [verdict.is, certainty])).toEqual([["accept", "certain"]]);
  return outcomes[0]!.packet;
}

describe("the order of the tables", () => {
  const cases: readonly {
    name: string;
    hook: Hook;
    rules: readonly string[];
    more?: Partial<Packet>;
    ends: readonly string[];
  }[] = [
    {
      name: "raw comes before mangle, mangle before nat, whatever the order in the file",
      hook: "prerouting",
      rules: [
        "nat PREROUTING -m mark --mark 0x3/0x3 -j MARK --or-mark 0x4",
        "mangle PREROUTING -m mark --mark 0x1 -j MARK --or-mark 0x2",
        "raw PREROUTING -j MARK --or-mark 0x1",
      ],
      ends: ["accept mark 0x7"],
    },
    {
      name: "ACCEPT is for one table only",
      hook: "forward",
      rules: ["mangle FORWARD -j ACCEPT", "filter FORWARD policy DROP"],
      ends: ["drop"],
    },
    {
      name: "DROP is for all",
      hook: "forward",
      rules: ["mangle FORWARD -j DROP", "filter FORWARD -j REJECT"],
      ends: ["drop"],
    },
    {
      name: "before conntrack every packet is invalid",
      hook: "prerouting",
      rules: [
        "raw PREROUTING -m conntrack --ctstate INVALID -j MARK --or-mark 0x1",
        "mangle PREROUTING -m conntrack --ctstate NEW -j MARK --or-mark 0x2",
      ],
      ends: ["accept mark 0x3"],
    },
    {
      name: "an untracked packet stays so",
      hook: "output",
      rules: ["raw OUTPUT -j CT --notrack", "filter OUTPUT -m conntrack --ctstate UNTRACKED -j DROP"],
      ends: ["drop"],
    },
    {
      name: "and is not translated",
      hook: "output",
      rules: ["raw OUTPUT -j NOTRACK", "nat OUTPUT -j DROP"],
      ends: ["accept"],
    },
    {
      name: "what is established does not ask the nat chains",
      hook: "prerouting",
      rules: ["nat PREROUTING -j MARK --or-mark 0x1"],
      more: { ctState: "established" },
      ends: ["accept"],
    },
    {
      name: "the first packet of a related connection does",
      hook: "prerouting",
      rules: ["nat PREROUTING -j MARK --or-mark 0x1"],
      more: { ctState: "related" },
      ends: ["accept mark 0x1"],
    },
    {
      name: "an ICMP error does not",
      hook: "prerouting",
      rules: ["nat PREROUTING -j MARK --or-mark 0x1"],
      more: { ctState: "related", protocol: "icmp" },
      ends: ["accept"],
    },
    {
      name: "of a packet of unknown state we do not know whether it does",
      hook: "prerouting",
      rules: ["nat PREROUTING -j MARK --or-mark 0x1"],
      more: { ctState: "unknown" },
      ends: ["accept mark 0x1", "accept"],
    },
    {
      name: "nor need we, if there is nothing that translates",
      hook: "postrouting",
      rules: [],
      more: { ctState: "unknown" },
      ends: ["accept"],
    },
    {
      name: "no way out is known in prerouting",
      hook: "prerouting",
      rules: ["filter FORWARD -j DROP", "mangle PREROUTING ! -o eth0 -j DROP"],
      more: { outDevice: "eth0" },
      ends: ["drop"],
    },
    {
      name: "what the node sends has no way in",
      hook: "output",
      rules: ["mangle OUTPUT -i cni0 -j DROP"],
      ends: ["accept"],
    },
    { name: "a hook without rules", hook: "input", rules: [], ends: ["accept"] },
    {
      name: "INPUT has a nat chain of its own, for the source",
      hook: "input",
      rules: ["nat INPUT -j SNAT --to-source 10.0.0.9", "filter INPUT -s 10.0.0.9 -j DROP"],
      ends: ["accept"],
    },
    {
      name: "TPROXY ends the hook",
      hook: "prerouting",
      rules: ["mangle PREROUTING -p tcp -j TPROXY --on-port 15001"],
      ends: ["tproxy 15001"],
    },
  ];
  it.each(cases)("$name", ({ hook: name, rules: lines, more, ends: expected }) => {
    expect(ends(hook(rules(...lines), name, { ...TO_VIP, ...more }, NODE))).toEqual(expected);
  });

  it("packets of the other family are none of a rule set's business", () => {
    const drop = rulesFor(6, "mangle FORWARD -j DROP");
    expect(ends(hook(drop, "forward", TO_VIP, NODE))).toEqual(["accept"]);
    expect(ends(hook(drop, "forward", packet("tcp fd00::1 > fd00::2"), NODE))).toEqual(["drop"]);
  });

  it("says what decided at each chain, and that a policy did", () => {
    const [outcome] = hook(rules("mangle FORWARD -j ACCEPT"), "forward", TO_VIP, NODE);
    expect(
      outcome!.rules.map(({ table, chain, rule }) => `${table} ${chain} ${rule ? rule.target.does : "policy"}`),
    ).toEqual(["mangle FORWARD accept", "filter FORWARD policy"]);
  });
});

describe("translation", () => {
  const at = (name: Hook, line: string, one: Packet = TO_VIP, context: Context = NODE): Packet =>
    out(hook(rules(line), name, one, context));

  it.each([
    ["-j DNAT --to-destination 10.0.0.9", "10.244.0.5:1024 > 10.0.0.9:443", true],
    ["-p tcp -j DNAT --to-destination 10.0.0.9:6443", "10.244.0.5:1024 > 10.0.0.9:6443", true],
    ["-p tcp -j DNAT --to-destination :6443", "10.244.0.5:1024 > 10.96.0.1:6443", true],
    ["-p tcp -j DNAT --to-destination 10.0.0.9:80-90", "10.244.0.5:1024 > 10.0.0.9:?", "unknown"],
    ["-j DNAT --to-destination 10.0.0.8-10.0.0.9", "10.244.0.5:1024 > ?:443", "unknown"],
    ["-j DNAT --to-destination 10.96.0.1", "10.244.0.5:1024 > 10.96.0.1:443", false],
    ["-p udp -j DNAT --to-destination 10.0.0.9", "10.244.0.5:1024 > 10.96.0.1:443", false],
    ["-p tcp -j REDIRECT --to-ports 15001", "10.244.0.5:1024 > 10.244.0.1:15001", "unknown"],
  ])("prerouting %s", (words, goes, dnatted) => {
    const context: Context = { ...NODE, redirectTo: () => ({ family: 4, value: 0x0af40001 }) };
    const packetOut = at("prerouting", `nat PREROUTING ${words}`, TO_VIP, context);
    expect(flow(packetOut)).toBe(goes);
    expect(packetOut.dnatted ?? false).toBe(words.includes("REDIRECT") ? true : dnatted);
    expect(packetOut.natDone).toEqual({ destination: true });
  });

  it("without knowing the device's address, REDIRECT goes somewhere", () => {
    expect(flow(at("prerouting", "nat PREROUTING -j REDIRECT"))).toBe("10.244.0.5:1024 > ?:443");
    expect(flow(at("output", "nat OUTPUT -j REDIRECT"))).toBe("10.244.0.5:1024 > 127.0.0.1:443");
  });

  it("later tables see the new destination", () => {
    const ruleset = rules(
      "nat OUTPUT -j DNAT --to-destination 10.0.0.9",
      "mangle OUTPUT -d 10.96.0.1 -j MARK --or-mark 0x1",
      "filter OUTPUT -d 10.0.0.9 -m conntrack --ctstate DNAT -j DROP",
    );
    expect(ends(hook(ruleset, "output", TO_VIP, NODE))).toEqual(["drop"]);
  });

  it("and still know the one that the packet was sent to", () => {
    const ruleset = rules(
      "nat OUTPUT -j DNAT --to-destination 10.0.0.9:8443",
      "filter OUTPUT -p tcp -m conntrack --ctorigdst 10.96.0.1 --ctorigdstport 443 -j DROP",
    );
    expect(ends(hook(ruleset, "output", TO_VIP, NODE))).toEqual(["drop"]);
  });

  it.each([
    ["-j SNAT --to-source 192.168.0.2", "192.168.0.2:1024 > 10.96.0.1:443"],
    ["-j SNAT --to-source 192.168.0.2 --random-fully", "192.168.0.2:? > 10.96.0.1:443"],
    ["-j MASQUERADE", "?:1024 > 10.96.0.1:443"],
    ["-p tcp -j MASQUERADE --to-ports 5000-6000", "?:? > 10.96.0.1:443"],
  ])("postrouting %s", (words, goes) => {
    const packetOut = at("postrouting", `nat POSTROUTING ${words}`);
    expect(flow(packetOut)).toBe(goes);
    expect(packetOut.snatted).toBe(
      words.includes("--to-source 192.168.0.2") && !words.includes("random") ? true : "unknown",
    );
  });

  it("kube-proxy masquerades what it has marked, and takes the mark away", () => {
    const ruleset = rules(
      "nat POSTROUTING -j KUBE-POSTROUTING",
      "nat KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
      "nat KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
      "nat KUBE-POSTROUTING -j MASQUERADE --random-fully",
    );
    const marked = out(hook(ruleset, "postrouting", { ...TO_VIP, mark: 0x4000 }, NODE));
    expect([flow(marked), marked.mark]).toEqual(["?:? > 10.96.0.1:443", 0]);
    expect(flow(out(hook(ruleset, "postrouting", TO_VIP, NODE)))).toBe("10.244.0.5:1024 > 10.96.0.1:443");
  });

  it("what a node sends to itself asks the nat chains on its way out, not again on its way in", () => {
    const ruleset = rules(
      "nat OUTPUT -j DNAT --to-destination 192.168.0.2:8080 -p tcp",
      "nat PREROUTING -j DNAT --to-destination 10.0.0.9",
      "nat INPUT -j SNAT --to-source 10.0.0.8",
      "raw PREROUTING -j NOTRACK",
    );
    const sent = out(
      hook(ruleset, "output", packet("tcp 192.168.0.2:1024 > 10.96.0.1:443", { outDevice: "eth0" }), NODE),
    );
    const looped = out(hook(ruleset, "postrouting", { ...sent, outDevice: "lo" }, NODE));
    const routed = out(hook(ruleset, "prerouting", { ...looped, inDevice: "lo" }, NODE));
    const arrived = out(hook(ruleset, "input", routed, NODE));
    expect(flow(arrived)).toBe("192.168.0.2:1024 > 192.168.0.2:8080");
    expect(arrived.ctState).toBe("new");
  });
});

describe("the answer of a connection", () => {
  const ruleset = rules(
    "nat PREROUTING -d 10.96.0.1 -p tcp -j DNAT --to-destination 10.244.1.7:6443",
    "nat POSTROUTING -s 10.244.0.5 -j SNAT --to-source 192.168.0.2",
    "filter FORWARD policy DROP",
    "filter FORWARD -m conntrack --ctstate NEW -s 10.244.0.0/24 -j ACCEPT",
    "filter FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  );
  const forwarded = (one: Packet, ...hooks: readonly Hook[]): Packet =>
    hooks.reduce((at, name) => out(hook(ruleset, name, at, NODE)), one);

  it("goes back the way that the first packet came", () => {
    const arrived = forwarded(TO_VIP, "prerouting", "forward", "postrouting");
    expect(flow(arrived)).toBe("192.168.0.2:1024 > 10.244.1.7:6443");
    const answer = replyTo(TO_VIP, arrived);
    expect(flow(answer)).toBe("10.244.1.7:6443 > 192.168.0.2:1024");
    const routed = forwarded(answer, "prerouting");
    expect(flow(routed)).toBe("10.244.1.7:6443 > 10.244.0.5:1024");
    expect(flow(forwarded(routed, "forward", "postrouting"))).toBe("10.96.0.1:443 > 10.244.0.5:1024");
  });

  // The kernel test found this: we took the answer for untracked as well.
  it.each([
    ["udp", "new"],
    ["tcp", "invalid"],
    ["icmp", "invalid"],
    ["sctp", "unknown"],
  ])("to an untracked %s packet is the first that conntrack sees: %s", (protocol, state) => {
    const sent = packet(`${protocol} 10.0.0.1:1024 > 10.0.0.2:53`);
    expect(replyTo(sent, { ...sent, ctState: "untracked" }).ctState).toBe(state);
  });

  it("to an echo request is an echo reply", () => {
    const sent = packet("icmp 10.0.0.1 > 10.0.0.2", { icmpType: 8, icmpCode: 0 });
    expect(replyTo(sent, sent)).toMatchObject({ icmpType: 0, icmpCode: 0, ctState: "established" });
  });
});

describe("two back ends on one node", () => {
  const named = (ruleset: Ruleset, name: string): Ruleset => {
    const rename = <T extends { readonly ruleset: string }>(chain: T): T => ({ ...chain, ruleset: name });
    return {
      ...ruleset,
      name,
      chains: new Map(
        [...ruleset.chains].map(([table, chains]) => [
          table,
          new Map([...chains].map(([key, chain]) => [key, rename(chain)])),
        ]),
      ),
      bases: ruleset.bases.map(rename),
    };
  };
  const nft = (...lines: readonly string[]): Ruleset => named(rules(...lines), "iptables-nft");
  const legacy = (...lines: readonly string[]): Ruleset => named(rules(...lines), "iptables-legacy");
  const forward = (...rulesets: readonly Ruleset[]): readonly Outcome[] => hook(rulesets, "forward", TO_VIP, NODE);

  it("a packet must be accepted by both", () => {
    const outcomes = forward(nft("filter FORWARD -j ACCEPT"), legacy("filter FORWARD policy DROP"));
    expect(outcomes).toMatchObject([{ verdict: { is: "drop" }, certainty: "certain" }]);
    expect(outcomes[0]!.rules.at(-1)).toMatchObject({ ruleset: "iptables-legacy", chain: "FORWARD" });
  });

  it("which refuses it first depends on who was first", () => {
    const outcomes = forward(nft("filter FORWARD -j DROP"), legacy("filter FORWARD -j REJECT"));
    expect(ends(outcomes)).toEqual(["drop", "reject icmp-port-unreachable"]);
    expect(outcomes[0]!.reasons).toEqual([
      { about: "order", first: "iptables-nft", second: "iptables-legacy", holds: true },
    ]);
  });

  it("of two translations the first counts", () => {
    const dnat = (to: string) => `nat PREROUTING -j DNAT --to-destination ${to}`;
    const outcomes = hook([nft(dnat("10.0.0.8")), legacy(dnat("10.0.0.9"))], "prerouting", TO_VIP, NODE);
    expect(outcomes.map((outcome) => flow(outcome.packet))).toEqual([
      "10.244.0.5:1024 > 10.0.0.8:443",
      "10.244.0.5:1024 > 10.0.0.9:443",
    ]);
    const [one] = hook([nft("nat PREROUTING -j ACCEPT"), legacy(dnat("10.0.0.9"))], "prerouting", TO_VIP, NODE);
    expect(flow(one!.packet)).toBe("10.244.0.5:1024 > 10.0.0.9:443");
  });

  it("of three rule sets all orders are followed", () => {
    const [a, b, c] = ["ACCEPT", "DROP", "REJECT"].map((target, i) =>
      named(rules(`filter FORWARD -j ${target}`), `${i}`),
    );
    expect(ends(forward(a!, b!, c!))).toEqual(["drop", "reject icmp-port-unreachable"]);
    const marks = [1, 2, 3].map((n) => named(rules(`filter FORWARD -j MARK --set-xmark ${n}/0xffffffff`), `${n}`));
    expect(ends(forward(...marks)).toSorted()).toEqual(["accept mark 0x1", "accept mark 0x2", "accept mark 0x3"]);
  });

  it("their tables are called by priority, not one rule set after the other", () => {
    const outcomes = forward(
      nft("filter FORWARD -m mark ! --mark 0x1 -j DROP"),
      legacy("mangle FORWARD -j MARK --or-mark 0x1"),
    );
    expect(ends(outcomes)).toEqual(["accept mark 0x1"]);
  });
});

it("what is not known at one hook stays one question at the next table", () => {
  const ruleset = rules(
    "mangle FORWARD -m set --match-set S src -j MARK --or-mark 0x1",
    "filter FORWARD -m set --match-set S src -m mark ! --mark 0x1 -j DROP",
  );
  expect(ends(hook(ruleset, "forward", TO_VIP, BLIND))).toEqual(["accept mark 0x1", "accept"].toReversed());
});
