import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseIpAddr } from "./addr.ts";

/** A node of a flannel cluster (iproute2 6.1), shortened to the keys around those that are read. */
const FLANNEL = `[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue","operstate":"UNKNOWN","group":"default","txqlen":1000,"link_type":"loopback","address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"::1","prefixlen":128,"scope":"host","valid_life_time":4294967295,"preferred_life_time":4294967295}]},{"ifindex":2,"link_index":5,"ifname":"eth0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"operstate":"UP","link_type":"ether","address":"5e:7f:3a:b1:07:79","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"linkinfo":{"info_kind":"veth"},"addr_info":[{"family":"inet","local":"192.168.50.11","prefixlen":24,"scope":"global","label":"eth0"},{"family":"inet6","local":"fe80::5c7f:3aff:feb1:779","prefixlen":64,"scope":"link"}]},{"ifindex":3,"ifname":"flannel.1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1450,"operstate":"UNKNOWN","link_type":"ether","address":"C2:67:4f:04:9a:cc","linkinfo":{"info_kind":"vxlan","info_data":{"id":1,"local":"192.168.50.12","link":"eth0","port_range":{"low":0,"high":0},"port":8472,"learning":false,"ttl":0,"df":"unset","ageing":300}},"addr_info":[{"family":"inet","local":"10.244.2.0","prefixlen":32,"scope":"global","label":"flannel.1"}]},{"ifindex":5,"link_index":2,"ifname":"veth3c830f7d","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1450,"master":"cni0","operstate":"UP","link_type":"ether","address":"26:ca:5d:fe:62:1e","link_netnsid":2,"linkinfo":{"info_kind":"veth","info_slave_kind":"bridge","info_slave_data":{"state":"forwarding","hairpin":true}},"addr_info":[]}]
`;

describe("ip -j -d addr", () => {
  const { value, gaps } = parseIpAddr(FLANNEL);
  const [lo, eth0, flannel, veth] = value;

  it("gives the links with their addresses", () => {
    expect(gaps).toEqual([]);
    expect(value.map((link) => link.name)).toEqual(["lo", "eth0", "flannel.1", "veth3c830f7d"]);
    expect(lo?.addresses).toEqual([
      { family: "inet", local: "127.0.0.1", prefixLength: 8, scope: "host" },
      { family: "inet6", local: "::1", prefixLength: 128, scope: "host" },
    ]);
    expect(eth0).toMatchObject({
      index: 2,
      mtu: 1500,
      operState: "UP",
      mac: "5e:7f:3a:b1:07:79",
      kind: "veth",
      peerIndex: 5,
    });
    expect(veth).toMatchObject({ master: "cni0", peerIndex: 2, addresses: [] });
  });

  it("gives what a VXLAN device is made of, its MAC in lower case", () => {
    expect(flannel?.vxlan).toEqual({ id: 1, port: 8472, local: "192.168.50.12", learning: false, device: "eth0" });
    expect(flannel?.mac).toBe("c2:67:4f:04:9a:cc");
    expect(flannel).not.toHaveProperty("peerIndex");
  });

  it("reads VXLAN over IPv6, and one that Cilium makes, without id and address of its own", () => {
    const text = `[{"ifindex":6,"ifname":"vx6","flags":["BROADCAST"],"mtu":1500,"linkinfo":{"info_kind":"vxlan","info_data":{"id":43,"local6":"fd00:1::1","port_range":{"low":0,"high":0},"port":8472,"learning":false}},"addr_info":[]},{"ifindex":8,"ifname":"cilium_vxlan","flags":[],"mtu":1500,"linkinfo":{"info_kind":"vxlan","info_data":{"external":true,"id":0,"port":8472,"learning":false}},"addr_info":[]}]\n`;
    expect(parseIpAddr(text).value.map((link) => link.vxlan)).toEqual([
      { id: 43, port: 8472, local: "fd00:1::1", learning: false },
      { id: 0, port: 8472, learning: false },
    ]);
  });

  it("finds the peer of a veth by name when both ends are in one namespace", () => {
    const text = `[{"ifindex":3,"link":"v0","ifname":"v1","flags":[],"mtu":1500,"linkinfo":{"info_kind":"veth"},"addr_info":[]},{"ifindex":4,"link":"v1","ifname":"v0","flags":[],"mtu":1500,"linkinfo":{"info_kind":"veth"},"addr_info":[]},{"ifindex":7,"link":"v1","ifname":"mv0","flags":[],"mtu":1500,"linkinfo":{"info_kind":"macvlan"},"addr_info":[]}]\n`;
    expect(parseIpAddr(text).value.map((link) => link.peerIndex)).toEqual([4, 3, undefined]);
  });

  it("takes the address of a tunnel for no MAC, and skips the empty objects of iproute2", () => {
    const text = `[{},{"ifindex":9,"ifname":"tunl0","flags":["NOARP"],"mtu":1480,"link_type":"ipip","address":"0.0.0.0","linkinfo":{"info_kind":"ipip"},"addr_info":[{}]},{}]\n`;
    const { value, gaps } = parseIpAddr(text);
    expect(gaps).toEqual([]);
    expect(value).toEqual([{ index: 9, name: "tunl0", flags: ["NOARP"], mtu: 1480, kind: "ipip", addresses: [] }]);
  });

  it("hands back a link without a name, and of another only the address that is none", () => {
    const text = `[{"ifindex":1,"mtu":1},{"ifindex":2,"ifname":"eth0","mtu":1500,"addr_info":[{"family":"inet","local":"10.0.0.256","prefixlen":24,"scope":"global"},{"family":"inet","local":"10.0.0.2","prefixlen":24,"scope":"global"}]},{"ifindex":"3","ifname":"eth1","mtu":1500}]\n`;
    const { value, gaps } = parseIpAddr(text);
    expect(value.map((link) => [link.name, link.addresses.length])).toEqual([["eth0", 1]]);
    expect(gaps).toEqual([
      { pointer: "/0", what: "ifname: expected string, is missing" },
      { pointer: "/1/addr_info/0", what: "local: 10.0.0.256/24 is no address" },
      { pointer: "/2", what: "ifindex: expected integer" },
    ]);
  });

  it("takes [] for no links, and an empty text for one that was lost", () => {
    expect(parseIpAddr("[]\n")).toEqual({ value: [], gaps: [] });
    expect(parseIpAddr("").gaps).toHaveLength(1);
  });

  it("never throws", () => neverThrows(parseIpAddr, FLANNEL));
  it("never invents from a part", () =>
    truncationsAreHonest(parseIpAddr, FLANNEL, (links) =>
      links.flatMap((link) => Object.entries(link).map((entry) => [link.index, entry])),
    ));
});
