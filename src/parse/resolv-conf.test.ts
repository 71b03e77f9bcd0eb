import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { neverThrows, RUNS, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseResolvConf, type ResolvConf } from "./resolv-conf.ts";

/** Written for a Pod by the kubelet. */
const POD = `search shop.svc.cluster.local svc.cluster.local cluster.local lab.test
nameserver 10.96.0.10
options ndots:5
`;

const print = ({ nameservers, search, options }: ResolvConf) =>
  [
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...[...options].map(([name, value]) => `options ${value === "" ? name : `${name}:${value}`}`),
  ]
    .map((line) => `${line}\n`)
    .join("");

describe("resolv.conf", () => {
  it("gives servers, search domains and options", () => {
    expect(parseResolvConf(POD)).toEqual({
      value: {
        nameservers: ["10.96.0.10"],
        search: ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "lab.test"],
        options: new Map([["ndots", "5"]]),
      },
      gaps: [],
    });
  });

  it("reads what systemd-resolved writes", () => {
    const { value, gaps } = parseResolvConf(
      "# This is /run/systemd/resolve/stub-resolv.conf\n; old\n\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n",
    );
    expect(gaps).toEqual([]);
    expect(value.nameservers).toEqual(["127.0.0.53"]);
    expect(value.search).toEqual(["."]);
    expect([...value.options]).toEqual([
      ["edns0", ""],
      ["trust-ad", ""],
    ]);
  });

  it("takes the last of search and domain, and all options", () => {
    const { value } = parseResolvConf(
      "search a b\ndomain c d\noptions ndots:1\noptions ndots:2 rotate\nnameserver fe80::1%eth0\nsortlist 1.2.3.0\n",
    );
    expect(value.search).toEqual(["c"]);
    expect(value.options).toEqual(
      new Map([
        ["ndots", "2"],
        ["rotate", ""],
      ]),
    );
    expect(value.nameservers).toEqual(["fe80::1%eth0"]);
  });

  it("does not take 10.96.0.1 for 10.96.0.10", () => {
    const { value, gaps } = parseResolvConf("nameserver 10.96.0.2\nnameserver 10.96.0.1");
    expect(value.nameservers).toEqual(["10.96.0.2"]);
    expect(gaps).toHaveLength(1);
  });

  it("hands back servers that are none, indented lines and unknown words", () => {
    const { value, gaps } = parseResolvConf(
      "nameserver dns.local\nnameserver\n nameserver 1.1.1.1\nnameservers 1.1.1.1\n",
    );
    expect(value.nameservers).toEqual([]);
    expect(gaps.map((gap) => gap.line)).toEqual([1, 2, 3, 4]);
  });

  it("says that an empty file is empty", () => expect(parseResolvConf("").gaps).toEqual([{ what: "empty" }]));

  it("reads back what it is printed as", () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9.-]{0,12}$/);
    const config = fc.record({
      nameservers: fc.array(fc.ipV4(), { minLength: 1, maxLength: 3 }),
      search: fc.array(word, { maxLength: 4 }),
      options: fc.array(fc.tuple(word, fc.constantFrom("", "5"))).map((options) => new Map(options)),
    });
    fc.assert(
      fc.property(config, (value) => {
        expect(parseResolvConf(print(value))).toEqual({ value, gaps: [] });
      }),
      { numRuns: RUNS },
    );
  });

  it("never throws", () => neverThrows(parseResolvConf, POD));
  it("never invents from a part", () =>
    truncationsAreHonest(parseResolvConf, POD, ({ nameservers, search, options }) => [
      ...nameservers,
      ...search,
      ...options,
    ]));
});
