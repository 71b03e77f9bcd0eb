/** Of back ends among which chance chooses only some are asked for: the others are left out, and nothing else is. */
import { describe, expect, it } from "vitest";
import { formatIp, parseIp } from "../../net/ip.ts";
import { parseIptablesSave } from "../../parse/iptables/save.ts";
import { hook } from "./hooks.ts";
import { isChosen, type Outcome } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import { iptablesRulesets } from "./ruleset.ts";

const CONTEXT = { addresses: "unknown", ipsets: "unknown" } as const;
const PACKET: Packet = {
  family: 4,
  protocol: "tcp",
  source: parseIp("10.0.0.1")!,
  destination: parseIp("10.96.0.1")!,
  sourcePort: 40000,
  destinationPort: 80,
  mark: 0,
  ctState: "new",
};

/** A Service of three back ends, with more rules in its chain. */
function asked(more: readonly string[], ...towards: string[]): readonly Outcome[] {
  const end = (n: number) => `-A SEP${n} -p tcp -j DNAT --to-destination 10.0.1.${n}:8080`;
  const chains = ["SVC", "SEP1", "SEP2", "SEP3", "CHAOS"].map((name) => `:${name} - [0:0]`);
  const text = [
    ...["*nat", ":PREROUTING ACCEPT [0:0]", ...chains, "-A PREROUTING -d 10.96.0.1/32 -j SVC", ...more],
    ...["-A SVC -m statistic --mode random --probability 0.3 -j SEP1"],
    ...["-A SVC -m statistic --mode random --probability 0.5 -j SEP2", "-A SVC -j SEP3", end(1), end(2), end(3)],
    ...["-A CHAOS -j DROP", "COMMIT", ""],
  ];
  const rulesets = iptablesRulesets(parseIptablesSave(text.join("\n")).value, 4);
  const options = towards.length > 0 ? { towards: new Set(towards) } : {};
  return hook(rulesets, "prerouting", PACKET, CONTEXT, options);
}

const ends = (outcomes: readonly Outcome[]) =>
  outcomes.map(({ verdict, packet: { destination } }) =>
    verdict.is === "accept" && destination !== "unknown" ? formatIp(destination) : verdict.is,
  );

describe("towards", () => {
  it.each(["10.0.1.1", "10.0.1.2", "10.0.1.3"])("%s: the outcome that it has among all, still by choice", (address) => {
    const all = asked([]);
    const one = asked([], address);
    expect(ends(one)).toEqual([address]);
    expect(one).toEqual(all.filter((outcome) => ends([outcome])[0] === address));
    expect(one.every(isChosen) && one[0]!.certainty === "depends").toBe(true);
  });

  it("two of three", () => {
    expect(ends(asked([], "10.0.1.1", "10.0.1.2"))).toEqual(expect.arrayContaining(["10.0.1.1", "10.0.1.2"]));
    expect(ends(asked([], "10.0.1.2", "192.0.2.1"))).toContain("10.0.1.2");
  });

  it("none of them: all are followed", () => {
    expect(asked([], "192.0.2.1")).toEqual(asked([]));
  });

  it("chance that drops leads nowhere else, and is followed", () => {
    const chaos = "-A SVC -m statistic --mode random --probability 0.1 -j CHAOS";
    expect(new Set(ends(asked([chaos], "10.0.1.2")))).toEqual(new Set(["drop", "10.0.1.2"]));
  });

  it("where it is not chance that decides, all that may be is followed", () => {
    expect(ends(asked(["-A SVC -m recent --name a --rcheck -j SEP1"], "10.0.1.2"))).toEqual(
      expect.arrayContaining(["10.0.1.1", "10.0.1.2"]),
    );
  });
});
