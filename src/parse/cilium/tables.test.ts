import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { formatPrefix } from "../../net/ip.ts";
import { parseCiliumIpcache } from "./ipcache.ts";
import { parseCiliumLb } from "./lb.ts";
import { parseCiliumServices } from "./services.ts";
import { parseCiliumTunnels } from "./tunnels.ts";

describe("cilium-dbg bpf ipcache list", () => {
  /** Cilium 1.15.19 in the recording cilium-healthy. */
  const SAMPLE = `IP PREFIX/ADDRESS   IDENTITY
192.168.50.12/32    identity=6 encryptkey=0 tunnelendpoint=0.0.0.0             
0.0.0.0/0           identity=2 encryptkey=0 tunnelendpoint=0.0.0.0             
10.244.1.28/32      identity=326 encryptkey=0 tunnelendpoint=192.168.50.12     
`;

  it("gives the identity of each address, and the node that it is behind", () => {
    const { value, gaps } = parseCiliumIpcache(SAMPLE);
    expect(gaps).toEqual([]);
    expect(value.map(({ prefix, ...rest }) => ({ ...rest, prefix: formatPrefix(prefix) }))).toEqual([
      { prefix: "192.168.50.12/32", text: "192.168.50.12/32", identity: 6, flags: [], line: 2 },
      { prefix: "0.0.0.0/0", text: "0.0.0.0/0", identity: 2, flags: [], line: 3 },
      {
        prefix: "10.244.1.28/32",
        text: "10.244.1.28/32",
        identity: 326,
        tunnelEndpoint: "192.168.50.12",
        flags: [],
        line: 4,
      },
    ]);
  });

  it("reads the flags of 1.17", () => {
    const { value } = parseCiliumIpcache(
      "IP PREFIX/ADDRESS   IDENTITY\n10.244.1.0/24   identity=2 encryptkey=0 tunnelendpoint=192.168.50.12 flags=hastunnel\n10.0.0.9/32   identity=6 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>\n",
    );
    expect(value.map(({ flags }) => flags)).toEqual([["hastunnel"], []]);
  });

  it("hands back what makes no sense", () => {
    const { value, gaps } = parseCiliumIpcache(
      "a/b identity=1\n10.0.0.1/32 id=4\n10.0.0.1/32 identity=4 tunnelendpoint=x\n",
    );
    expect(value).toEqual([]);
    expect(gaps.map(({ line }) => line)).toEqual([1, 2, 3]);
  });

  it("says that an empty map is empty", () =>
    expect(parseCiliumIpcache("No entries found.\n")).toEqual({ value: [], gaps: [] }));
  it("never throws", () => neverThrows(parseCiliumIpcache, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseCiliumIpcache, SAMPLE, (value) => value));
});

describe("cilium-dbg bpf lb list", () => {
  /** Cilium 1.15.19 in the recording cilium-healthy. */
  const SAMPLE = `SERVICE ADDRESS          BACKEND ADDRESS (REVNAT_ID) (SLOT)
10.96.0.10:53 (0)        0.0.0.0:0 (2) (0) [ClusterIP, non-routable]                     
10.96.133.67:8080 (2)    10.244.2.209:8080 (7) (2)                                       
10.96.133.67:8080 (0)    0.0.0.0:0 (7) (0) [ClusterIP, sessionAffinity, non-routable]    
10.96.133.67:8080 (1)    10.244.2.34:8080 (7) (1)                                        
`;

  it("gives the front ends with their back ends in the order of their slots", () => {
    const { value, gaps } = parseCiliumLb(SAMPLE);
    expect(gaps).toEqual([]);
    expect(value).toEqual([
      { address: "10.96.0.10", port: 53, flags: ["clusterip", "non-routable"], backends: [], line: 2 },
      {
        address: "10.96.133.67",
        port: 8080,
        flags: ["clusterip", "sessionaffinity", "non-routable"],
        backends: [
          { address: "10.244.2.34", port: 8080, slot: 1, line: 5 },
          { address: "10.244.2.209", port: 8080, slot: 2, line: 3 },
        ],
        line: 3,
      },
    ]);
  });

  it("reads the protocols of 1.17, scopes and IPv6", () => {
    const { value, gaps } = parseCiliumLb(`SERVICE ADDRESS          BACKEND ADDRESS (REVNAT_ID) (SLOT)
10.96.0.10:53/UDP (0)    0.0.0.0:0 (2) (0) [ClusterIP, non-routable]
10.96.0.10:53/UDP (1)    10.244.2.216:53/UDP (2) (1)
10.96.0.10:53/TCP (0)    0.0.0.0:0 (3) (0) [ClusterIP, non-routable]
[fd00::a]:80/TCP/i (0)   [::]:0 (4) (0) [NodePort, Local]
`);
    expect(gaps).toEqual([]);
    expect(value.map(({ address, port, protocol, backends }) => [address, port, protocol, backends.length])).toEqual([
      ["10.96.0.10", 53, "UDP", 1],
      ["10.96.0.10", 53, "TCP", 0],
      ["fd00::a", 80, "TCP", 0],
    ]);
  });

  it("reads the further lines of old versions as those of the front end above", () => {
    const { value, gaps } = parseCiliumLb(`SERVICE ADDRESS     BACKEND ADDRESS (REVNAT_ID) (SLOT)
10.96.0.1:443       192.168.50.10:6443 (1) (1)
                    0.0.0.0:0 (1) (0) [ClusterIP, non-routable]
`);
    expect(gaps).toEqual([]);
    expect(value.map(({ backends }) => backends.map(({ address }) => address))).toEqual([["192.168.50.10"]]);
  });

  it("never throws", () => neverThrows(parseCiliumLb, SAMPLE));
  it("never invents from a part", () =>
    truncationsAreHonest(parseCiliumLb, SAMPLE, (value) =>
      value.flatMap(({ address, port, backends }) => [{ address, port }, ...backends]),
    ));
});

describe("cilium-dbg service list", () => {
  /** Cilium 1.15.19 in the recording cilium-healthy. */
  const SAMPLE = `ID   Frontend             Service Type   Backend                            
1    10.96.0.1:443        ClusterIP      1 => 192.168.50.10:6443 (active)   
2    10.96.0.10:53        ClusterIP      1 => 10.244.2.216:53 (active)      
                                         2 => 10.244.1.156:53 (terminating)      
`;

  it("gives the Services with the states of their back ends", () => {
    const { value, gaps } = parseCiliumServices(SAMPLE);
    expect(gaps).toEqual([]);
    expect(value[1]).toEqual({
      address: "10.96.0.10",
      port: 53,
      id: 2,
      type: "ClusterIP",
      backends: [
        { address: "10.244.2.216", port: 53, state: "active", line: 3 },
        { address: "10.244.1.156", port: 53, state: "terminating", line: 4 },
      ],
      line: 3,
    });
  });

  it("reads a Service without back ends, and the protocols of 1.17", () => {
    const { value, gaps } = parseCiliumServices(`ID   Frontend                Service Type   Backend
7    10.96.9.9:80/TCP        ClusterIP      
8    0.0.0.0:30080/TCP       NodePort       1 => 10.244.2.195:8080/TCP (active)
`);
    expect(gaps).toEqual([]);
    expect(value.map(({ address, protocol, backends }) => [address, protocol, backends.length])).toEqual([
      ["10.96.9.9", "TCP", 0],
      ["0.0.0.0", "TCP", 1],
    ]);
  });

  it("never throws", () => neverThrows(parseCiliumServices, SAMPLE));
  it("never invents from a part", () =>
    truncationsAreHonest(parseCiliumServices, SAMPLE, (value) =>
      value.flatMap(({ address, port, backends }) => [{ address, port }, ...backends]),
    ));
});

describe("cilium-dbg bpf tunnel list", () => {
  /** Cilium 1.15.19 in the recording cilium-healthy. */
  const SAMPLE = `TUNNEL       VALUE
10.244.1.0   192.168.50.12:0   
10.244.0.0   192.168.50.10:0   
`;

  it("gives the node behind which a range is", () =>
    expect(parseCiliumTunnels(SAMPLE)).toEqual({
      value: [
        { range: "10.244.1.0", to: "192.168.50.12", line: 2 },
        { range: "10.244.0.0", to: "192.168.50.10", line: 3 },
      ],
      gaps: [],
    }));

  it("never throws", () => neverThrows(parseCiliumTunnels, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseCiliumTunnels, SAMPLE, (value) => value));
});
