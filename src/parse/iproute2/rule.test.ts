import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseIpRule } from "./rule.ts";

/** iproute2 6.1 */
const RULES = `[{"priority":0,"src":"all","table":"local"},{"priority":9,"src":"all","fwmark":"0x200","fwmask":"0xf00","table":"2004"},{"priority":10,"src":"10.1.0.0","srclen":24,"dst":"10.9.9.0","dstlen":24,"iif":"br0","table":"200"},{"priority":11,"not":null,"src":"10.5.5.5","oif":"v1","action":"prohibit"},{"priority":12,"src":"all","fwmark":"0x5","goto":32766},{"priority":13,"src":"all","ipproto":"tcp","dport":80,"table":"5"},{"priority":15,"src":"all","table":"main","suppress_prefixlen":0},{"priority":23,"src":"all","table":"5","nop":null},{"priority":1000,"src":"all","l3mdev":null},{"priority":32766,"src":"all","table":"main"}]
`;

describe("ip -j rule", () => {
  const { value, gaps } = parseIpRule(RULES);
  const rule = (priority: number) => value.find((one) => one.priority === priority);

  it("gives the rules by priority", () => {
    expect(gaps).toEqual([]);
    expect(rule(0)).toEqual({ priority: 0, negated: false, table: "local", action: "lookup" });
    expect(rule(10)).toMatchObject({
      source: "10.1.0.0/24",
      destination: "10.9.9.0/24",
      inputDevice: "br0",
      table: "200",
    });
  });

  it("gives marks with their mask, which is every bit if none is printed", () => {
    expect(rule(9)?.mark).toEqual({ value: 0x200, mask: 0xf00 });
    expect(rule(12)?.mark).toEqual({ value: 5, mask: 0xffffffff });
  });

  it("knows a negation, though it is printed as null", () => {
    expect(rule(11)).toEqual({
      priority: 11,
      source: "10.5.5.5/32",
      outputDevice: "v1",
      negated: true,
      action: "prohibit",
    });
  });

  it("gives a table only where it is looked into", () => {
    expect(rule(12)).toMatchObject({ action: "goto", goto: 32766 });
    expect(rule(1000)).toMatchObject({ action: "l3mdev" });
    expect(rule(23)).toEqual({ priority: 23, negated: false, action: "nop" });
  });

  it("says what else decides: ports, suppressed prefixes", () => {
    expect(rule(13)?.otherSelectors).toEqual(["ipproto", "dport"]);
    expect(rule(15)?.suppressPrefixLength).toBe(0);
    expect(rule(32766)).not.toHaveProperty("otherSelectors");
  });

  it("hands back what it cannot read", () => {
    const { value, gaps } = parseIpRule(
      `[{"src":"all"},{"priority":1,"src":"x","table":"5"},{"priority":2,"fwmark":"5","table":"5"},{"priority":3,"src":"all"}]\n`,
    );
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.pointer)).toEqual(["/0", "/1", "/2", "/3"]);
  });

  it("never throws", () => neverThrows(parseIpRule, RULES));
  it("never invents from a part", () => truncationsAreHonest(parseIpRule, RULES, (rules) => rules));
});
