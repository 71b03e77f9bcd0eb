import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseBridgeLink } from "./bridge-link.ts";

/** iproute2 6.1, with the port's peer named wrongly: it looks up the index in its own namespace. */
const PORTS = `[{"ifindex":5,"link":"eth0","ifname":"veth3c830f7d","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1450,"master":"cni0","state":"forwarding","priority":32,"cost":2,"hairpin":true,"guard":false,"root_block":false,"fastleave":false,"learning":true,"flood":true,"isolated":false,"locked":false},{"ifindex":4,"ifname":"v0","flags":["BROADCAST"],"mtu":1500,"master":"br0","state":"disabled","priority":32,"cost":2}]
`;

describe("bridge -j -d link", () => {
  it("gives the ports; without -d they have no flags", () => {
    expect(parseBridgeLink(PORTS)).toEqual({
      value: [
        { name: "veth3c830f7d", master: "cni0", state: "forwarding", mtu: 1450, hairpin: true, isolated: false },
        { name: "v0", master: "br0", state: "disabled", mtu: 1500 },
      ],
      gaps: [],
    });
  });

  it("hands back what it cannot read", () => {
    const { value, gaps } = parseBridgeLink(`[{"ifname":"a","hairpin":"on"},{"state":"forwarding"}]\n`);
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.what)).toEqual(["hairpin: expected boolean", "ifname: expected string, is missing"]);
  });

  it("never throws", () => neverThrows(parseBridgeLink, PORTS));
  it("never invents from a part", () => truncationsAreHonest(parseBridgeLink, PORTS, (ports) => ports));
});
