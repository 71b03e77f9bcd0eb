/** `iptables -S` says what iptables-save says of the same table (iptables 1.8.9). */
import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseIptables } from "./list-rules.ts";
import { type IptablesSave, parseIptablesSave } from "./save.ts";

const FILTER = `-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT
-N KUBE-FORWARD
-A FORWARD -m comment --comment "kubernetes -c 1 2 forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
`;
const NAT = `-P PREROUTING ACCEPT
-P INPUT ACCEPT
-P OUTPUT ACCEPT
-P POSTROUTING ACCEPT
-N KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
`;
const SAVED = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes -c 1 2 forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
COMMIT
`;

/** Without the places in the text. */
const withoutLines = (save: IptablesSave): unknown =>
  JSON.parse(JSON.stringify(save, (key, value: unknown) => (key === "line" ? undefined : value)));
const tablesOf = (text: string) => parseIptables(text).value.tables.map(({ name, complete }) => [name, complete]);

describe("iptables -S", () => {
  it("of filter and of nat says what iptables-save says, at its own lines", () => {
    const { value, gaps } = parseIptables(FILTER + NAT);
    expect(gaps).toEqual([]);
    expect(withoutLines(value)).toEqual(withoutLines(parseIptablesSave(SAVED).value));
    const [filter, nat] = value.tables;
    const places = [filter?.chains[1], filter?.chains[1]?.rules[0], nat?.chains[0], nat?.chains[4]?.rules[0]];
    const lines = (FILTER + NAT).split("\n");
    expect(places.map((place) => lines[place!.line - 1]?.slice(0, 14))).toEqual([
      "-P FORWARD DRO",
      "-A FORWARD -m ",
      "-P PREROUTING ",
      "-A KUBE-MARK-M",
    ]);
  });

  it("with -v has counters", () => {
    const [input, ...rest] = FILTER.split("\n");
    const counted = [`${input} -c 10 600`, ...rest].join("\n").replace(" -j DROP", " -c 3 180 -j DROP");
    const [filter] = parseIptables(counted).value.tables;
    expect(filter?.chains[0]).toMatchObject({ policy: "ACCEPT", packets: 10, bytes: 600 });
    expect(filter?.chains.at(-1)?.rules).toMatchObject([{ packets: 3, bytes: 180, target: { does: "drop" } }]);
    expect(filter?.chains[1]?.rules).toMatchObject([{ target: { does: "jump" } }]);
    expect(filter?.chains[1]?.rules[0]).not.toHaveProperty("packets");
  });

  it("does not claim that the table that was not asked for is empty", () => {
    expect(tablesOf(FILTER)).toEqual([
      ["filter", true],
      ["nat", false],
    ]);
    expect(parseIptables(FILTER).gaps).toEqual([{ what: "table nat is not in it" }]);
  });

  it("knows the tables by their chains", () => {
    const policies = (...chains: string[]) => chains.map((chain) => `-P ${chain} ACCEPT\n`).join("");
    expect(tablesOf(policies("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"))[0]).toEqual(["mangle", true]);
    expect(tablesOf(policies("PREROUTING", "OUTPUT"))[0]).toEqual(["raw", true]);
    const { value, gaps } = parseIptables("-N KUBE-FORWARD\n-A KUBE-FORWARD -j DROP\n");
    expect(value.tables.every(({ complete }) => !complete)).toBe(true);
    expect(gaps[0]).toEqual({ line: 1, what: "rules of a table that its chains do not tell" });
  });

  it("leaves what iptables-save printed as it is", () =>
    expect(parseIptables(SAVED)).toEqual(parseIptablesSave(SAVED)));

  it("never throws", () => neverThrows(parseIptables, FILTER + NAT));
  it("never invents from a part", () =>
    truncationsAreHonest(parseIptables, NAT + FILTER, ({ tables }) =>
      tables.flatMap(({ name, chains }) =>
        chains.flatMap((chain) => chain.rules.map((rule) => [name, chain.name, rule])),
      ),
    ));
});
