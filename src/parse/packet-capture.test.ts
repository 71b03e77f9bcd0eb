import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parsePacketCaptures } from "./packet-capture.ts";

/** As the command that netwhy prints makes it, with tcpdump 4.99. */
const OURS = `# netwhy capture node=w1 device=flannel.1 from=1700000000 filter=host 10.244.1.5 and host 10.244.2.7 and tcp port 8080
tcpdump: verbose output suppressed, use -v[v]... for full protocol decode
listening on flannel.1, link-type EN10MB (Ethernet), snapshot length 262144 bytes
1700000004.123456 IP 10.244.1.5.43284 > 10.244.2.7.8080: tcp 0
1700000005.123456 IP 10.244.1.5.43284 > 10.244.2.7.8080: tcp 0
2 packets captured
2 packets received by filter
0 packets dropped by kernel
# netwhy capture until=1700000060
`;

const packetsOf = (text: string) => parsePacketCaptures(text).value.flatMap(({ packets }) => packets);
const one = (line: string) => packetsOf(`${line}\n`)[0];

describe("captures of tcpdump", () => {
  it("that netwhy's command made say where and when, and are whole", () => {
    const { value, gaps } = parsePacketCaptures(OURS);
    expect(gaps).toEqual([]);
    expect(value).toEqual([
      {
        line: 1,
        lastLine: 9,
        node: "w1",
        device: "flannel.1",
        filter: "host 10.244.1.5 and host 10.244.2.7 and tcp port 8080",
        from: 1700000000,
        until: 1700000060,
        packets: [4, 5].map((line) => ({
          line,
          at: 1700000000.123456 + line,
          protocol: "tcp",
          source: "10.244.1.5",
          destination: "10.244.2.7",
          sourcePort: 43284,
          destinationPort: 8080,
        })),
        isWhole: true,
      },
    ]);
  });

  it.each([
    ["a line of it is missing", OURS.replace(/^1700000005.*\n/m, "")],
    ["its end is missing", OURS.replace(/^# netwhy capture until.*\n/m, "")],
    ["the kernel dropped some", OURS.replace("0 packets dropped", "3 packets dropped")],
    ["it was made on another device", OURS.replace("listening on flannel.1", "listening on eth0")],
    ["a line makes no sense", OURS.replace("2 packets captured", "bash: oops\n2 packets captured")],
  ])("are not whole if %s", (_, text) => {
    expect(parsePacketCaptures(text).value.map(({ isWhole }) => isWhole)).toEqual([false]);
  });

  it("are several if several were pasted", () => {
    const { value } = parsePacketCaptures(OURS + OURS.replace("node=w1", "node=w2"));
    expect(value.map(({ node, isWhole, packets }) => [node, isWhole, packets.length])).toEqual([
      ["w1", true, 2],
      ["w2", true, 2],
    ]);
  });

  it("are read with any time, hardware addresses, details, and on all devices", () => {
    const ends = { source: "10.244.1.5", destination: "10.244.2.7", sourcePort: 43284, destinationPort: 8080 };
    const rest = "10.244.1.5.43284 > 10.244.2.7.8080: Flags [S], seq 1, win 64860, length 0";
    for (const line of [
      `12:00:00.123456 IP ${rest}`,
      `2026-01-02 12:00:00.123456 IP ${rest}`,
      `1700000000.123456 eth0  Out IP ${rest}`,
      `12:00:00.1234 02:42:ac:11:00:02 > 02:42:ac:11:00:03, ethertype IPv4 (0x0800), length 74: ${rest}`,
      `1700000000.123456 eth0  Out ifindex 2 02:42:ac:11:00:02 ethertype IPv4 (0x0800), length 80: ${rest}`,
      `12:00:00.123456 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6), length 60)\n    ${rest}`,
    ])
      expect(one(line), line).toMatchObject({ protocol: "tcp", ...ends });
    expect(one(`1700000000.123456 eth0  Out IP ${rest}`)).toMatchObject({ device: "eth0", at: 1700000000.123456 });
    expect(one(`12:00:00.123456 IP ${rest}`)).not.toHaveProperty("at");
  });

  it("have UDP, whatever it carries, ICMP and IPv6", () => {
    expect(one("1700000000.123456 IP 10.1.0.1.5000 > 10.96.0.10.53: 4242+ A? a.b. (41)")).toMatchObject({
      protocol: "udp",
      destinationPort: 53,
    });
    expect(one("1700000000.123456 IP6 fd00::1.5000 > fd00:0::2.53: UDP, length 41")).toMatchObject({
      protocol: "udp",
      source: "fd00::1",
      destination: "fd00::2",
    });
    expect(
      one(
        "1700000000.123456 IP6 (flowlabel 0x1, hlim 64, next-header TCP (6) payload length: 40) fd00::1.1 > fd00::2.2: Flags [S]",
      ),
    ).toMatchObject({ protocol: "tcp", destinationPort: 2 });
    expect(one("1700000000.123456 IP 10.1.0.1 > 10.1.0.2: ICMP echo request, id 78, seq 1, length 64")).toMatchObject({
      protocol: "icmp",
      echo: "request",
      id: 78,
    });
    expect(one("1700000000.123456 IP6 fd00::2 > fd00::1: ICMP6, echo reply, id 78, seq 1, length 64")).toMatchObject({
      protocol: "ipv6-icmp",
      echo: "reply",
    });
  });

  it("have what VXLAN carries beside its carrier", () => {
    const text = `1700000000.123456 IP 192.168.50.11.45000 > 192.168.50.12.8472: OTV, flags [I] (0x08), overlay 0, instance 1
IP 10.244.1.5.43284 > 10.244.2.7.8080: Flags [S], seq 1, length 0
1700000001.123456 ARP, Request who-has 10.244.1.1 tell 10.244.1.5, length 28
`;
    const { value, gaps } = parsePacketCaptures(text);
    expect(gaps).toEqual([]);
    expect(value[0]?.packets.map(({ protocol, at, destinationPort }) => [protocol, at, destinationPort])).toEqual([
      ["udp", 1700000000.123456, 8472],
      ["tcp", 1700000000.123456, 8080],
    ]);
  });

  it("hand back lines that are no packet", () => {
    expect(parsePacketCaptures("root@w1:~# tcpdump\n").gaps).toEqual([
      { line: 1, what: "is no packet: root@w1:~# tcpdump" },
    ]);
  });

  it("never make the parser throw, and cut off prove no more than they show", () => {
    neverThrows(parsePacketCaptures, OURS);
    truncationsAreHonest(parsePacketCaptures, OURS, (value) => value.flatMap(({ packets }) => packets));
    for (let end = 0; end < OURS.length; end++)
      expect(parsePacketCaptures(OURS.slice(0, end)).value.some(({ isWhole }) => isWhole)).toBe(false);
  });

  it("take no longer than their length", () => {
    const started = performance.now();
    parsePacketCaptures(`${"1700000000.123456 IP (".repeat(20_000)}\n${"a".repeat(200_000)}\n`);
    parsePacketCaptures(`${`1700000000.1234 ${"(".repeat(2000)} ethertype IPv4\n`.repeat(50)}`);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
