/**
 * The plain forms say what the forms with -j say: recorded of one network namespace (iproute2 6.1) with bridge, veth, VXLAN,
 * next-hop objects, tunnels, dead ends, rules of every kind; testing/iproute2 has each output in both forms.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import type { Parser } from "../parsed.ts";
import { parseIpAddr } from "./addr.ts";
import { parseBridgeFdb } from "./bridge-fdb.ts";
import { parseBridgeLink } from "./bridge-link.ts";
import { parseIpLinkStats } from "./link-stats.ts";
import { parseIpNeigh } from "./neigh.ts";
import { parseIpRoute } from "./route.ts";
import { parseIpRule } from "./rule.ts";

const recorded = (file: string): string =>
  readFileSync(new URL(`../../../testing/iproute2/${file}`, import.meta.url), "utf8");

/** What values say, one thing each: a list in a value may be a part of the whole list. */
const said = (values: readonly object[]): readonly unknown[] =>
  values.flatMap((value) =>
    Object.entries(value).flatMap(([key, one]) => (Array.isArray(one) ? one : [one]).map((part) => [key, part])),
  );

describe.each<readonly [string, Parser<readonly object[]>, string]>([
  ["addr", parseIpAddr, "6: "],
  ["route", parseIpRoute, "10.24."],
  ["route-d", parseIpRoute, "unicast 10.24."],
  ["rule", parseIpRule, "9:"],
  ["neigh", parseIpNeigh, "10.1.0.10 "],
  ["fdb", parseBridgeFdb, "02:22:"],
  ["bridge-link", parseBridgeLink, "4: "],
  ["link-stats", parseIpLinkStats, "6: "],
])("%s", (name, parse, from) => {
  const plain = recorded(`${name}.txt`);

  it("says the same in both forms", () => {
    const { value, gaps } = parse(plain);
    const json = parse(recorded(`${name}.json`));
    expect(value).toEqual(json.value);
    expect(value.length).toBeGreaterThan(1);
    expect(gaps).toHaveLength(json.gaps.length);
  });

  const blocks = plain.trimEnd().split(/\n(?=\S)/);
  const start = blocks.findIndex((block) => block.startsWith(from));
  const part = `${blocks.slice(start, start + 3).join("\n")}\n`;
  it("never throws", () => neverThrows(parse, part));
  it("never invents from a part", () => truncationsAreHonest(parse, part, said));
});

describe("what a plain form does not say", () => {
  it("kinds of devices, without -d", () => {
    const { value, gaps } = parseIpAddr(
      "6: flannel.1: <BROADCAST,UP> mtu 1450 qdisc noqueue state UNKNOWN group default\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n    inet 10.244.2.0/32 scope global flannel.1\n       valid_lft forever preferred_lft forever\n",
    );
    expect(value).toEqual([
      {
        ...{ index: 6, name: "flannel.1", flags: ["BROADCAST", "UP"], mtu: 1450, operState: "UNKNOWN" },
        mac: "02:00:00:00:00:01",
        addresses: [{ family: "inet", local: "10.244.2.0", prefixLength: 32, scope: "global" }],
      },
    ]);
    expect(gaps).toEqual([{ what: "kinds of devices are printed with -d only" }]);
  });
});

describe("words that are not known", () => {
  it.each([
    ["a route", parseIpRoute, "10.0.0.0/8 dev eth0 sidewards\n", "sidewards: is not known, or lacks its value"],
    ["a route's next hop", parseIpRoute, "10.0.0.0/8\n\tlasthop via 10.0.0.1\n", "lasthop: is not known"],
    ["what is no route", parseIpRoute, "bash: ip: command not found\n", "ip:: is not known"],
    ["a rule", parseIpRule, "9:\tfrom all on mondays lookup main\n", "on: is not known"],
    [
      "a neighbour",
      parseIpNeigh,
      "10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 ASLEEP\n",
      "ASLEEP: is not known, or lacks its value",
    ],
    ["an entry", parseBridgeFdb, "02:00:00:00:00:01 dev eth0 whither 10.0.0.1 self\n", "whither: is not known"],
    ["a device", parseIpAddr, "2: eth0 mtu 1500\n", "is no device"],
    ["a port", parseBridgeLink, "eth0 hairpin on\n", "is no port"],
    [
      "counters without their counts",
      parseIpLinkStats,
      "2: eth0: <UP> mtu 1500\n    RX: bytes errors\n",
      "is no device with its counts",
    ],
  ] as const)("%s is handed back whole", (_, parse, text, what) => {
    const { value, gaps } = parse(text);
    expect([value, gaps.find(({ line }) => line === 1)?.what]).toEqual([[], what]);
  });
});
