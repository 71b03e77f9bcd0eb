import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseSs } from "./ss.ts";

/** iproute2 6.1; sockets of the lab, and some opened for the purpose. */
const SAMPLE = `udp UNCONN 0      0                              0.0.0.0:4789  0.0.0.0:*                                      
udp UNCONN 0      0      [fe80::e8d8:51ff:fed9:3ffb]%v1:546     [::]:* users:(("python3",pid=24764,fd=5))
tcp LISTEN 0      4096   127.0.0.1:10248 0.0.0.0:* users:(("kubelet",pid=410,fd=18))    
tcp LISTEN 0      128                       0.0.0.0%br0:9002 0.0.0.0:* users:(("python3",pid=24764,fd=6))
tcp LISTEN 0      1                         [fd00:1::1]:8082    [::]:* users:(("nc",pid=24762,fd=3))     
tcp LISTEN 0      128                             *%br0:9004       *:* users:(("python3",pid=24764,fd=8))
tcp LISTEN 0      511          *:80       *:* users:(("nginx: worker",pid=8,fd=6),("nginx: (x),y",pid=1,fd=6),("nginx: worker",pid=8,fd=7))
`;

describe("ss -lntupSH", () => {
  const { value, gaps } = parseSs(SAMPLE);

  it("gives the sockets with the processes that hold them", () => {
    expect(gaps).toEqual([]);
    expect(value[0]).toEqual({ protocol: "udp", address: "0.0.0.0", port: 4789, processes: [], line: 1 });
    expect(value[2]).toEqual({
      protocol: "tcp",
      address: "127.0.0.1",
      port: 10248,
      processes: [{ name: "kubelet", pid: 410 }],
      line: 3,
    });
    expect(value[6]?.processes).toEqual([
      { name: "nginx: worker", pid: 8 },
      { name: "nginx: (x),y", pid: 1 },
    ]);
  });

  it("gives addresses without brackets, and the device they are bound to", () => {
    expect(value.map((socket) => [socket.address, socket.device])).toEqual([
      ["0.0.0.0", undefined],
      ["fe80::e8d8:51ff:fed9:3ffb", "v1"],
      ["127.0.0.1", undefined],
      ["0.0.0.0", "br0"],
      ["fd00:1::1", undefined],
      ["*", "br0"],
      ["*", undefined],
    ]);
  });

  it("tells the protocol by the state when one kind was asked for", () => {
    const { value } = parseSs(
      'State  Recv-Q Send-Q                  Local Address:Port Peer Address:PortProcess                       \nUNCONN 0      0                            10.1.0.1:8081      0.0.0.0:*    users:(("nc",pid=24761,fd=3))\nLISTEN 0      128                *:9000       *:*\n',
    );
    expect(value.map((socket) => [socket.protocol, socket.port])).toEqual([
      ["udp", 8081],
      ["tcp", 9000],
    ]);
  });

  it("tells sockets of SCTP; associations under them are none (print_sctp_assoc in misc/ss.c)", () => {
    const text =
      'sctp LISTEN 0      5       10.1.0.1:38412 0.0.0.0:* users:(("amf",pid=9,fd=3))\n`- ESTAB 0 0 10.1.0.1%eth0:38412 10.1.0.2:9487\n';
    const { value, gaps } = parseSs(text);
    expect(gaps).toEqual([]);
    expect(value).toEqual([
      { protocol: "sctp", address: "10.1.0.1", port: 38412, processes: [{ name: "amf", pid: 9 }], line: 1 },
    ]);
  });

  it("passes over other kinds of sockets and connections", () => {
    const text =
      "nl  UNCONN 0      0     0:0            * \nu_str LISTEN 0 4096 /run/x.sock 5 * 0\ntcp ESTAB 0 0 10.1.0.1:22 10.1.0.2:4000\n";
    expect(parseSs(text)).toEqual({ value: [], gaps: [] });
  });

  it("hands back names in place of ports, and nonsense", () => {
    expect(
      parseSs("tcp LISTEN 0 128 *:https *:*\ntcp LISTEN 0 128 localhost:80 *:*\nbash: ss: not found\n").gaps.map(
        (gap) => gap.line,
      ),
    ).toEqual([1, 2, 3]);
  });

  it("never throws", () => neverThrows(parseSs, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseSs, SAMPLE, (sockets) => sockets));
});
