import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseIpvsadm } from "./ipvsadm.ts";

/** ipvsadm 1.31 in the recording healthy-ipvs, and an IPv6 service. */
const SAMPLE = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.1:443 rr
  -> 192.168.50.10:6443           Masq    1      1          0         
TCP  10.96.233.37:8080 rr persistent 10800
  -> 10.244.1.4:8080              Masq    1      0          0         
  -> 10.244.2.4:8080              Masq    0      0          0         
UDP  10.96.0.10:53 rr
TCP  [fd00::10]:80 sh (sh-fallback,sh-port)
  -> [fd00:2::4]:8080             Masq    1      0          0         
`;

describe("ipvsadm -Ln", () => {
  const { value, gaps } = parseIpvsadm(SAMPLE);

  it("gives the virtual servers with their real servers", () => {
    expect(gaps).toEqual([]);
    expect(value[0]).toEqual({
      protocol: "TCP",
      address: "10.96.0.1",
      port: 443,
      scheduler: "rr",
      realServers: [{ address: "192.168.50.10", port: 6443, forwarding: "Masq", weight: 1, line: 5 }],
      line: 4,
    });
    expect(value[1]).toMatchObject({ persistentSeconds: 10800, realServers: [{ weight: 1 }, { weight: 0 }] });
    expect(value[2]).toMatchObject({ protocol: "UDP", realServers: [] });
    expect(value[3]).toMatchObject({
      address: "fd00::10",
      port: 80,
      scheduler: "sh",
      realServers: [{ address: "fd00:2::4" }],
    });
  });

  it("passes over services by firewall mark, and does not give their servers to others", () => {
    const { value, gaps } = parseIpvsadm(`${SAMPLE}FWM  1 rr\n  -> 10.0.0.9:0 Masq    1      0          0         \n`);
    expect(gaps).toEqual([]);
    expect(value.flatMap((server) => server.realServers.map((real) => real.address))).not.toContain("10.0.0.9");
  });

  it("hands back names in place of addresses, with the servers under them", () => {
    const { value, gaps } = parseIpvsadm(
      "TCP  kubernetes:https rr\n  -> cp1:6443 Masq 1 0 0\n  -> 10.0.0.1:6443 Masq 1 0 0\nmodprobe: FATAL\n",
    );
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.line)).toEqual([1, 2, 3, 4]);
  });

  it("tells nothing from an empty text: even no services have a header", () => {
    expect(parseIpvsadm("").gaps).toEqual([{ what: "empty" }]);
    expect(parseIpvsadm(SAMPLE.split("\n").slice(0, 3).join("\n").concat("\n"))).toEqual({ value: [], gaps: [] });
  });

  it("never throws", () => neverThrows(parseIpvsadm, SAMPLE));
  it("never invents from a part", () =>
    truncationsAreHonest(parseIpvsadm, SAMPLE, (servers) =>
      servers.flatMap(({ realServers, ...server }) => [server, ...realServers.map((real) => [server.line, real])]),
    ));
});
