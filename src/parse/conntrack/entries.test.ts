import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseConntrack } from "./entries.ts";

/** conntrack 1.4.7 on the lab's node w1, and entries made by hand with accounting, zones and time stamps on. */
const SAMPLE = `udp      17 9 src=10.244.190.66 dst=10.96.0.10 sport=54236 dport=53 src=10.244.176.2 dst=10.244.190.66 sport=53 dport=54236 mark=0 use=1
tcp      6 74 TIME_WAIT src=192.168.50.11 dst=10.244.190.65 sport=54520 dport=8080 src=10.244.190.65 dst=192.168.50.11 sport=8080 dport=54520 [ASSURED] mark=0 use=1
tcp      6 52 SYN_SENT src=10.244.190.65 dst=10.96.128.51 sport=43284 dport=8080 [UNREPLIED] src=10.244.80.193 dst=10.244.190.65 sport=8080 dport=43284 mark=0 use=1
tcp      6 99 ESTABLISHED src=10.1.0.1 dst=10.96.0.10 sport=4000 dport=53 packets=0 bytes=0 src=10.244.0.2 dst=10.1.0.1 sport=53 dport=4000 packets=0 bytes=0 [ASSURED] mark=16384 delta-time=0 use=1
icmpv6   58 29 src=fd00::1 dst=fd00::2 type=128 code=0 id=78 packets=0 bytes=0 [UNREPLIED] src=fd00::2 dst=fd00::1 type=129 code=0 id=78 packets=0 bytes=0 mark=0 delta-time=0 use=1
sctp     132 99 ESTABLISHED src=10.1.0.1 dst=10.1.0.2 sport=4000 dport=53 [UNREPLIED] src=10.1.0.2 dst=10.1.0.1 sport=53 dport=4000 mark=0 use=1
gre      47 29 src=10.1.0.1 dst=10.1.0.2 srckey=0x1 dstkey=0x2 [UNREPLIED] src=10.1.0.2 dst=10.1.0.1 srckey=0x2 dstkey=0x1 mark=0 use=1
unknown  89 29 src=10.1.0.1 dst=10.1.0.2 packets=0 bytes=0 [UNREPLIED] src=10.1.0.2 dst=10.1.0.1 packets=0 bytes=0 mark=0 delta-time=0 use=1
udp      17 29 src=10.1.0.1 dst=10.1.0.2 sport=10 dport=2 zone-orig=5 packets=0 bytes=0 [UNREPLIED] src=10.1.0.2 dst=10.1.0.1 sport=2 dport=10 packets=0 bytes=0 mark=0 delta-time=0 use=1
`;

const one = (line: string) => parseConntrack(`${line}\n`).value[0];

describe("conntrack -L", () => {
  const { value, gaps } = parseConntrack(SAMPLE);

  it("gives an entry a line", () => {
    expect(gaps).toEqual([]);
    expect(value).toHaveLength(9);
    expect(value[0]).toEqual({
      line: 1,
      protocol: "udp",
      secondsLeft: 9,
      original: { source: "10.244.190.66", destination: "10.96.0.10", sourcePort: 54236, destinationPort: 53 },
      reply: { source: "10.244.176.2", destination: "10.244.190.66", sourcePort: 53, destinationPort: 54236 },
      replied: true,
      assured: false,
      mark: 0,
    });
  });

  it("gives the state of protocols that have one, and the flags", () => {
    expect(value.map((entry) => entry.state)).toEqual([
      undefined,
      "TIME_WAIT",
      "SYN_SENT",
      "ESTABLISHED",
      undefined,
      "ESTABLISHED",
      undefined,
      undefined,
      undefined,
    ]);
    expect(value.slice(0, 4).map((entry) => [entry.replied, entry.assured])).toEqual([
      [true, false],
      [true, true],
      [false, false],
      [true, true],
    ]);
    expect(value[3]?.mark).toBe(16384);
  });

  it("gives no ports to protocols without, and the number of an unknown protocol", () => {
    expect(value[4]).toMatchObject({ protocol: "icmpv6", original: { source: "fd00::1", destination: "fd00::2" } });
    expect(value[4]?.original).not.toHaveProperty("sourcePort");
    expect(value[6]?.reply).toEqual({ source: "10.1.0.2", destination: "10.1.0.1" });
    expect(value[7]?.protocol).toBe("89");
  });

  it("reads the kernel's own form and -o extended", () => {
    const line =
      "ipv4     2 tcp      6 431999 ESTABLISHED src=10.1.0.1 dst=10.1.0.2 sport=1 dport=2 src=10.1.0.2 dst=10.1.0.1 sport=2 dport=1 [ASSURED] mark=0 secctx=system_u:object_r:unlabeled_t:s0 zone=0 [start=Sat Nov 21 15:10:50 2026] use=1 id=3351923315";
    expect(one(line)).toMatchObject({
      protocol: "tcp",
      secondsLeft: 431999,
      state: "ESTABLISHED",
      assured: true,
      mark: 0,
    });
  });

  it("gives an offloaded flow, which has no time-out, for ever", () => {
    const line =
      "tcp      6 src=10.1.0.1 dst=10.1.0.2 sport=1 dport=2 src=10.1.0.2 dst=10.1.0.1 sport=2 dport=1 [OFFLOAD] mark=0 use=2";
    expect(one(line)).toMatchObject({ secondsLeft: Number.POSITIVE_INFINITY, replied: true });
    expect(one(line)).not.toHaveProperty("state");
  });

  it("passes over what conntrack says at the end, and hands back nonsense", () => {
    const { value, gaps } = parseConntrack(
      [
        "conntrack v1.4.7 (conntrack-tools): 123 flow entries have been shown.",
        "tcp      6 x TIME_WAIT src=10.1.0.1 dst=10.1.0.2 sport=1 dport=2 src=10.1.0.2 dst=10.1.0.1 sport=2 dport=1",
        "tcp      6 9 TIME_WAIT src=10.1.0.1 dst=10.1.0.2 sport=1 dport=65536 src=10.1.0.2 dst=10.1.0.1 sport=2 dport=1",
        "tcp      6 9 TIME_WAIT src=10.1.0.1 dst=10.1.0.2 sport=1 dport=2",
        "tcp",
        "",
      ].join("\n"),
    );
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.line)).toEqual([2, 3, 4, 5]);
  });

  it("gives an empty table without gaps", () => expect(parseConntrack("")).toEqual({ value: [], gaps: [] }));
  it("never throws", () => neverThrows(parseConntrack, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseConntrack, SAMPLE, (entries) => entries));
});
