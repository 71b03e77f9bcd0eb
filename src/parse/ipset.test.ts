import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { neverThrows, RUNS, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { type Ipset, parseIpset } from "./ipset.ts";

/** ipset 7.17: sets of Calico, and of every kind that this kernel makes. */
const SAMPLE = `create cali40this-host hash:ip family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x26132f27
add cali40this-host 10.244.190.64
add cali40this-host 127.0.0.1
create cali40s:RGARhF_xU-KjWbJh9z7nNQd hash:net family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0xc2bb6bfd
add cali40s:RGARhF_xU-KjWbJh9z7nNQd 10.244.190.66
create a hash:ip,port,net family inet6 hashsize 1024 maxelem 65536 timeout 300 counters comment bucketsize 12 initval 0xa8a540b8
add a fd00::1,tcp:81,fd01::/64 timeout 299 packets 0 bytes 0 comment "say nomatch"
add a fd00::2,udp:53,fd01::/64 timeout 299 nomatch packets 0 bytes 0
create b bitmap:port range 30000-32767
add b 30080
create sp ace hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x827c2af0
add sp ace 1.2.3.4
create empty hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x9b51c036
create l list:set size 8
add l a
`;

const print = (sets: readonly Ipset[]) =>
  sets
    .flatMap(({ name, type, family, entries }) => [
      `create ${name} ${type} family ${family} hashsize 1024\n`,
      ...entries.map(({ value, nomatch }) => `add ${name} ${value}${nomatch ? " nomatch" : ""}\n`),
    ])
    .join("");

describe("ipset save", () => {
  const { value, gaps } = parseIpset(SAMPLE);
  const set = (name: string) => value.find((one) => one.name === name);

  it("gives the sets with their members", () => {
    expect(gaps).toEqual([]);
    expect(value.map((one) => [one.type, one.family, one.entries.length])).toEqual([
      ["hash:ip", "inet", 2],
      ["hash:net", "inet", 1],
      ["hash:ip,port,net", "inet6", 2],
      ["bitmap:port", "inet", 1],
      ["hash:ip", "inet", 1],
      ["hash:ip", "inet", 0],
      ["list:set", "inet", 1],
    ]);
    expect(set("cali40s:RGARhF_xU-KjWbJh9z7nNQd")?.line).toBe(4);
  });

  it("knows exceptions, and does not take a comment for one", () => {
    expect(set("a")?.entries).toEqual([
      { value: "fd00::1,tcp:81,fd01::/64", nomatch: false },
      { value: "fd00::2,udp:53,fd01::/64", nomatch: true },
    ]);
  });

  it("reads names with blanks, which ipset prints bare", () => {
    expect(set("sp ace")?.entries).toEqual([{ value: "1.2.3.4", nomatch: false }]);
  });

  it("hands back members of sets that it has not seen, and nonsense", () => {
    const { value, gaps } = parseIpset(
      "add x 1.2.3.4\ncreate y\nName: z\ncreate s hash:ip family inet\ncreate s hash:ip family inet\nadd s \n",
    );
    expect(value.map((one) => one.name)).toEqual(["s"]);
    expect(gaps.map((gap) => gap.line)).toEqual([1, 2, 3, 5, 6]);
  });

  it("gives no sets without gaps where there are none", () => expect(parseIpset("")).toEqual({ value: [], gaps: [] }));

  it("reads back what it is printed as", () => {
    const entry = fc.record({ value: fc.ipV4(), nomatch: fc.boolean() });
    const name = fc.stringMatching(/^[A-Za-z0-9:_-]{1,31}$/);
    const sets = fc.uniqueArray(
      fc.record({
        name,
        type: fc.constantFrom("hash:ip", "hash:net,port,net"),
        family: fc.constant("inet" as const),
        entries: fc.array(entry),
      }),
      { selector: (one) => one.name, maxLength: 5 },
    );
    fc.assert(
      fc.property(sets, (given) => {
        const { value, gaps } = parseIpset(print(given.map((one) => ({ ...one, line: 0 }))));
        expect(gaps).toEqual([]);
        expect(value.map(({ line: _, ...one }) => one)).toEqual(given);
      }),
      { numRuns: RUNS },
    );
  });

  it("never throws", () => neverThrows(parseIpset, SAMPLE));
  it("never invents from a part", () =>
    truncationsAreHonest(parseIpset, SAMPLE, (sets) =>
      sets.flatMap((one) => [[one.name, one.type], ...one.entries.map((entry) => [one.name, entry])]),
    ));
});
