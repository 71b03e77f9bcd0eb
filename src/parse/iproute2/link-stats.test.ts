import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseIpLinkStats } from "./link-stats.ts";

/** iproute2 6.1: a node's uplink, and its VXLAN device while FDB entries were missing. */
const DEVICES = `[{"ifindex":2,"link_index":4,"ifname":"eth0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"qdisc":"noqueue","operstate":"UP","linkmode":"DEFAULT","group":"default","txqlen":1000,"link_type":"ether","address":"1a:a6:6e:68:a9:91","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"stats64":{"rx":{"bytes":1903337,"packets":7468,"errors":2,"dropped":0,"over_errors":0,"multicast":0},"tx":{"bytes":5341352,"packets":6769,"errors":0,"dropped":0,"carrier_errors":3,"collisions":0}}},{"ifindex":3,"ifname":"flannel.1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1450,"qdisc":"noqueue","operstate":"UNKNOWN","linkmode":"DEFAULT","group":"default","link_type":"ether","address":"be:6f:ef:3f:f7:e1","broadcast":"ff:ff:ff:ff:ff:ff","stats64":{"rx":{"bytes":129211,"packets":434,"errors":0,"dropped":0,"over_errors":0,"multicast":0},"tx":{"bytes":125859,"packets":563,"errors":0,"dropped":10,"carrier_errors":0,"collisions":0}}}]
`;

describe("ip -j -s link", () => {
  it("gives what went wrong with packets", () => {
    expect(parseIpLinkStats(DEVICES)).toEqual({
      value: [
        { name: "eth0", received: { errors: 2, dropped: 0 }, sent: { errors: 0, dropped: 0, noCarrier: 3 } },
        { name: "flannel.1", received: { errors: 0, dropped: 0 }, sent: { errors: 0, dropped: 10, noCarrier: 0 } },
      ],
      gaps: [],
    });
  });

  it("hands back what it cannot read, and keeps the rest of the device", () => {
    const { value, gaps } = parseIpLinkStats(
      '[{"ifname":"a","stats64":{"rx":{"errors":"many","dropped":1}}},{"mtu":1}]\n',
    );
    expect(value).toMatchObject([{ name: "a", received: { errors: 0, dropped: 1 } }]);
    expect(gaps).toHaveLength(2);
  });

  it("never throws", () => neverThrows(parseIpLinkStats, DEVICES));
  it("never invents from a part", () => truncationsAreHonest(parseIpLinkStats, DEVICES, (devices) => devices));
});
