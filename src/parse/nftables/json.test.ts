import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { type NftRule, type NftRuleset, type NftStatement, nftRulesetReader, parseNft } from "./json.ts";
import { printNftRule } from "./print.ts";

/** What nft 1.0.6 printed of tables with nearly every statement that it knows. */
const EVERY = readFileSync(new URL("../../../testing/nft/every-statement.json", import.meta.url), "utf8");

const rulesOf = ({ tables }: NftRuleset): readonly NftRule[] =>
  tables.flatMap(({ chains }) => chains.flatMap(({ rules }) => rules));

const CHAIN = { family: "ip", table: "t" };
const inChain = (...expr: readonly unknown[]): string =>
  JSON.stringify({
    nftables: [
      { metainfo: { version: "1.0.6", release_name: "Lester Gooch #5", json_schema_version: 1 } },
      { table: { family: "ip", name: "t", handle: 1 } },
      { chain: { ...CHAIN, name: "c", handle: 2, type: "filter", hook: "input", prio: 0, policy: "drop" } },
      { rule: { ...CHAIN, chain: "c", handle: 3, comment: "why", expr } },
    ],
  });

function ruleOf(...expr: readonly unknown[]): NftRule {
  const { value, gaps } = parseNft(inChain(...expr));
  expect(gaps).toEqual([]);
  return value.tables[0]!.chains[0]!.rules[0]!;
}
const statementOf = (expr: unknown): NftStatement => ruleOf(expr).statements[0]!;

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const SADDR = { is: "payload", protocol: "ip", field: "saddr" };

describe("the frame", () => {
  it("tables, chains, rules, with their places", () => {
    expect(parseNft(inChain({ accept: null }))).toEqual({
      gaps: [],
      value: {
        version: "1.0.6",
        tables: [
          {
            ...{ family: "ip", name: "t", item: 1, handle: 1, flags: [], sets: [], objects: [] },
            chains: [
              {
                ...{ name: "c", item: 2, handle: 2 },
                base: { type: "filter", hook: "input", priority: 0, policy: "drop" },
                rules: [
                  { item: 3, handle: 3, comment: "why", statements: [{ does: "verdict", verdict: { is: "accept" } }] },
                ],
              },
            ],
          },
        ],
      },
    });
  });

  it("sets, maps and objects", () => {
    const { value, gaps } = parseNft(EVERY);
    expect(gaps).toEqual([]);
    const table = value.tables.find(({ family }) => family === "inet")!;
    const set = (name: string) => table.sets.find((one) => one.name === name);
    expect(set("s1")).toMatchObject({
      types: ["ipv4_addr"],
      elements: [{ key: "10.0.0.1" }, { key: "10.0.0.2", comment: "two" }],
    });
    expect(set("s2")).toMatchObject({
      flags: ["interval"],
      elements: [
        { key: { is: "prefix", address: "10.0.0.0", length: 8 } },
        { key: "172.16.0.1" },
        { key: { is: "range", from: "192.168.0.1", to: "192.168.0.9" } },
      ],
    });
    expect(set("s4")).toMatchObject({ flags: ["timeout"], timeout: 3600, size: 100, elements: [] });
    expect(set("s3")!.elements[1]).toEqual({ key: { is: "concat", of: ["1.2.3.4", 443] } });
    expect(set("m1")).toMatchObject({ mapsTo: "mark", elements: [{ key: "10.0.0.1", data: 16 }] });
    expect(set("m2")!.elements[1]).toEqual({ key: 443, data: { is: "jump", chain: "u" } });
    expect(set("m3")!.elements[0]!.data).toEqual({ is: "concat", of: ["10.0.0.1", 8080] });
    expect(table.objects.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      ...["counter c1", "quota q1", "limit l1", "ct helper ftp", "synproxy sp"],
    ]);
  });

  it("says where a rule set was cut off", () => {
    const text = inChain({ accept: null });
    const { value, gaps } = parseNft(text.slice(0, -30));
    expect(gaps).not.toEqual([]);
    expect(value.tables[0]!.chains[0]).toMatchObject({ name: "c", isCut: true, rules: [] });
    expect(parseNft("").gaps).toEqual([{ pointer: "/nftables/0", what: "cut off here" }]);
  });
});

describe("statements", () => {
  it("of every kind that nft 1.0.6 knows; what we do not model is unknown, with its text", () => {
    const text = JSON.stringify(rulesOf(parseNft(EVERY).value));
    const unknown = [...text.matchAll(/"is":"unknown","name":"([^"]*)"/g)].map(([, name]) => name);
    expect([...new Set(unknown)].sort()).toEqual([
      ...["exthdr", "ip option", "ipsec", "osf", "payload", "rt", "sctp chunk", "socket", "tcp option"],
    ]);
    const statements = rulesOf(parseNft(EVERY).value).flatMap((rule) => rule.statements);
    expect(statements.filter(({ does }) => does === "unknown").map((one) => printNftStatementText(one))).toEqual([
      "add @m1 { ip saddr : 0x00000005 }",
      "update @m1 { ip saddr : meta mark }",
    ]);
  });

  it.each([
    [
      { match: { op: "==", left: payload("ip", "saddr"), right: "10.0.0.1" } },
      { does: "match", op: "==", left: SADDR, right: "10.0.0.1" },
    ],
    [
      { match: { op: "in", left: { ct: { key: "state" } }, right: ["established", "related"] } },
      {
        ...{ does: "match", op: "in", left: { is: "ct", key: "state" } },
        right: { is: "list", of: ["established", "related"] },
      },
    ],
    [
      {
        vmap: {
          key: { numgen: { mode: "random", mod: 2, offset: 0 } },
          data: { set: [[0, { goto: { target: "a" } }]] },
        },
      },
      {
        ...{ does: "vmap", key: { is: "numgen", mode: "random", mod: 2, offset: 0 } },
        data: { is: "set", elements: [{ key: 0, data: { is: "goto", chain: "a" } }] },
      },
    ],
    [
      { mangle: { key: { meta: { key: "mark" } }, value: { "|": [{ meta: { key: "mark" } }, 16384] } } },
      {
        ...{ does: "mangle", key: { is: "meta", key: "mark" } },
        value: { is: "binary", op: "|", of: [{ is: "meta", key: "mark" }, 16384] },
      },
    ],
    [
      { dnat: { family: "ip", addr: { map: { key: payload("ip", "saddr"), data: "@m" } }, flags: "random" } },
      {
        ...{ does: "dnat", family: "ip", flags: ["random"] },
        address: { is: "map", key: SADDR, data: { is: "named", name: "m" } },
      },
    ],
    [{ masquerade: null }, { does: "masquerade", flags: [] }],
    [
      { reject: { type: "icmpx", expr: "port-unreachable" } },
      { does: "reject", type: "icmpx", with: "port-unreachable" },
    ],
    [
      { set: { op: "update", elem: payload("ip", "saddr"), set: "@s", stmt: [{ limit: { rate: 5 } }] } },
      { does: "set", op: "update", element: SADDR, set: "s", statements: ["limit"] },
    ],
    [{ tproxy: { port: 5000 } }, { does: "tproxy", port: 5000 }],
    [{ xt: null }, { does: "xt" }],
    [{ xt: { type: "match", name: "comment" } }, { does: "xt", type: "match", name: "comment" }],
    [{ queue: { num: 3 } }, { does: "elsewhere", name: "queue", text: '{"queue":{"num":3}}' }],
    [{ log: null }, { does: "nothing", name: "log", text: '{"log":null}' }],
    [{ teleport: { to: "mars" } }, { does: "unknown", name: "teleport", text: '{"teleport":{"to":"mars"}}' }],
    [
      { match: { op: "~", left: 1, right: 1 } },
      { does: "unknown", name: "match", text: '{"match":{"op":"~","left":1,"right":1}}' },
    ],
    [{ jump: {} }, { does: "unknown", name: "jump", text: '{"jump":{}}' }],
    ["update @m { ip saddr : 1 }", { does: "unknown", name: "", text: "update @m { ip saddr : 1 }" }],
  ])("%j", (expr, expected) => expect(statementOf(expr)).toEqual(expected));

  it("of iptables are left to iptables-save where nft has no words for them", () => {
    const text = inChain({ xt: { type: "match", name: "statistic" } }, { counter: { packets: 1, bytes: 2 } })
      .replaceAll('"t"', '"nat"')
      .replaceAll('"c"', '"PREROUTING"');
    expect(parseNft(text).value.tables[0]!.chains[0]!.rules[0]!.statements).toEqual([{ does: "xt" }]);
  });

  it("print as nft prints them", () => {
    const rule = ruleOf(
      {
        match: {
          op: "==",
          left: { concat: [payload("ip", "daddr"), { meta: { key: "iifname" } }] },
          right: { set: [{ concat: ["10.0.0.1", "lo"] }] },
        },
      },
      { match: { op: "==", left: { "&": [{ meta: { key: "mark" } }, 16384] }, right: 16384 } },
      { counter: { packets: 1, bytes: 2 } },
      { jump: { target: "services" } },
    );
    expect(printNftRule(rule)).toBe(
      'ip daddr . iifname { 10.0.0.1 . "lo" } meta mark & 0x00004000 == 16384 counter packets 1 bytes 2 jump services comment "why"',
    );
  });
});

const printNftStatementText = (statement: NftStatement): string => ("text" in statement ? statement.text : "");

describe("whatever the text", () => {
  const SMALL = inChain(
    {
      match: {
        op: "==",
        left: payload("ip", "saddr"),
        right: { set: ["10.0.0.1", { prefix: { addr: "10.0.1.0", len: 24 } }] },
      },
    },
    { vmap: { key: payload("th", "dport"), data: { set: [[80, { jump: { target: "c" } }]] } } },
    { dnat: { addr: "10.0.0.1", port: 80 } },
  );

  it("never throws", () => {
    neverThrows(parseNft, SMALL);
    neverThrows(parseNft, EVERY.slice(0, 6000));
  });

  it("never throws while it prints", () => {
    neverThrows((text) => {
      const parsed = parseNft(text);
      for (const rule of rulesOf(parsed.value)) expect(printNftRule(rule)).toBeTypeOf("string");
      return parsed;
    }, SMALL);
  });

  it("never invents from a part", () =>
    truncationsAreHonest(parseNft, SMALL, (value) => [
      ...value.tables.map(({ name }) => name),
      ...rulesOf(value).map(({ item, statements }) => ({ item, statements })),
    ]));

  it("reads the same in pieces", () => {
    for (const size of [1, 7, 4096]) {
      const reader = nftRulesetReader();
      for (let at = 0; at < EVERY.length; at += size) reader.write(EVERY.slice(at, at + size));
      expect(reader.end()).toEqual(parseNft(EVERY));
    }
  });

  it("reads all that kube-proxy's tests made the kernel list", () => {
    const file = new URL("../../../testing/semantics/kube-proxy-nftables-flows.jsonl.gz", import.meta.url);
    for (const line of gunzipSync(readFileSync(file)).toString("utf8").trimEnd().split("\n")) {
      const { value, gaps } = parseNft(JSON.stringify(JSON.parse(line).nft));
      expect(gaps).toEqual([]);
      expect(JSON.stringify(rulesOf(value))).not.toContain("unknown");
    }
  });
});
