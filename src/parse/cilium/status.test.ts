import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseCiliumStatus } from "./status.ts";

/** Cilium 1.15.19 in the recording cilium-healthy, shortened. */
const SAMPLE = `KVStore:                Ok   Disabled
Kubernetes:             Ok   1.33 (v1.33.13) [linux/amd64]
KubeProxyReplacement:   False   [eth0   192.168.50.11 fe80::64d0:5cff:fe87:52f5]
Host firewall:          Disabled
Cilium:                 Ok   1.15.19 (v1.15.19-module)
IPAM:                   IPv4: 9/254 allocated from 10.244.2.0/24, 
Allocated addresses:
  10.244.2.177 (data/db-0)
Host Routing:           Legacy
Masquerading:           IPTables [IPv4: Enabled, IPv6: Disabled]
Controller Status:      53/53 healthy
  Name                                                  Last success   Last error   Count   Message
  cilium-health-ep                                      52s ago        never        0       no error   
KubeProxyReplacement Details:
  Status:                 False
  Socket LB:              Disabled
  Socket LB Tracing:      Disabled
  Socket LB Coverage:     Full
Encryption:        Disabled        
`;

describe("cilium-dbg status", () => {
  it("gives how the datapath is set up", () => {
    expect(parseCiliumStatus(SAMPLE)).toEqual({
      value: {
        version: "1.15.19",
        kubeProxyReplacement: "False",
        hostFirewall: "Disabled",
        hostRouting: "Legacy",
        masquerading: "IPTables [IPv4: Enabled, IPv6: Disabled]",
        socketLb: "Disabled",
        socketLbCoverage: "Full",
        encryption: "Disabled",
        podRanges: [{ range: "10.244.2.0/24", given: 9, total: 254 }],
      },
      gaps: [],
    });
  });

  it("reads routing as newer versions print it", () =>
    expect(
      parseCiliumStatus("Cilium:   Ok   1.17.3 (v1.17.3-abc)\nRouting:   Network: Tunnel [vxlan]   Host: BPF\n").value,
    ).toEqual({ version: "1.17.3", hostRouting: "BPF", podRanges: [] }));

  it("says that there is nothing in an empty file", () =>
    expect(parseCiliumStatus("").gaps).toEqual([{ what: "empty" }]));
  it("never throws", () => neverThrows(parseCiliumStatus, SAMPLE));
  it("never invents from a part", () =>
    truncationsAreHonest(parseCiliumStatus, SAMPLE, ({ podRanges, ...rest }) => [
      ...podRanges,
      ...Object.entries(rest),
    ]));
});
