import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { formatPrefix } from "../net/ip.ts";
import { parseWg } from "./wg.ts";

/** As wireguard-tools 1.0.20210914 prints it. */
const SAMPLE = `interface: flannel-wg
  public key: 9xWmQcUIVMZ8QxGxwzW8aDqY2z2r0v6xY0m4nO1c0Eg=
  private key: (hidden)
  listening port: 51820
  fwmark: 0xca6c

peer: mF1j5bGkC1tGv0m3zq0X2bC8lI5T1d9r7a1wKQ2m3Wc=
  endpoint: 192.168.50.11:51820
  allowed ips: 10.244.1.0/24, fd00:1::/64
  latest handshake: 1 minute, 22 seconds ago
  transfer: 1.32 MiB received, 884.20 KiB sent

peer: q7bJc2mC0tHh2m3zq0X2bC8lI5T1d9r7a1wKQ2m3AAA=
  allowed ips: (none)

interface: wg6
  listening port: 51821

peer: 777Jc2mC0tHh2m3zq0X2bC8lI5T1d9r7a1wKQ2m3AAA=
  endpoint: [fd00::11]:51821
  allowed ips: 0.0.0.0/0
`;

describe("wg show all", () => {
  const { value, gaps } = parseWg(SAMPLE);

  it("gives devices with their peers", () => {
    expect(gaps).toEqual([]);
    expect(value.map(({ name, listeningPort, mark, line }) => [name, listeningPort, mark, line])).toEqual([
      ["flannel-wg", 51820, 0xca6c, 1],
      ["wg6", 51821, undefined, 16],
    ]);
    const [first, second] = value[0]!.peers;
    expect(first).toMatchObject({ endpoint: { address: "192.168.50.11", port: 51820 }, shaken: true, line: 7 });
    expect(first!.allowed.map(formatPrefix)).toEqual(["10.244.1.0/24", "fd00:1::/64"]);
    expect(second).toMatchObject({ allowed: [], shaken: false });
    expect(second).not.toHaveProperty("endpoint");
    expect(value[1]!.peers[0]).toMatchObject({ endpoint: { address: "fd00::11", port: 51821 } });
  });

  it("hands back what is none of its lines", () => {
    expect(parseWg("Unable to access interface: Operation not permitted\n").gaps).toMatchObject([{ line: 1 }]);
  });

  it("reads any text", () => neverThrows(parseWg, SAMPLE));

  it("says where a text was cut off", () => {
    truncationsAreHonest(parseWg, SAMPLE, (devices) =>
      devices.flatMap(({ peers }) =>
        peers.flatMap(({ publicKey, allowed }) => [publicKey, ...allowed.map(formatPrefix)]),
      ),
    );
  });
});
