import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseBridgeFdb } from "./bridge-fdb.ts";

/** iproute2 6.1 */
const FDB = `[{"mac":"33:33:00:00:00:01","ifname":"eth0","flags":["self"],"state":"permanent"},{"mac":"22:9e:4a:2d:39:75","ifname":"veth3c830f7d","flags":[],"master":"cni0","state":""},{"mac":"26:ca:5d:fe:62:1e","ifname":"veth3c830f7d","vlan":1,"flags":[],"master":"cni0","state":"permanent"},{"mac":"de:0d:53:b7:a7:aa","ifname":"flannel.1","dst":"192.168.50.12","flags":["self"],"state":"permanent"},{"mac":"aa:bb:cc:00:00:05","ifname":"vx0","dst":"fd00:1::9","port":4790,"vni":7,"flags":["self"],"state":"permanent"}]
`;

describe("bridge -j fdb", () => {
  it("gives the entries, and where VXLAN devices send", () => {
    const { value, gaps } = parseBridgeFdb(FDB);
    expect(gaps).toEqual([]);
    expect(value[1]).toEqual({
      mac: "22:9e:4a:2d:39:75",
      device: "veth3c830f7d",
      master: "cni0",
      state: "",
      flags: [],
    });
    expect(value[3]).toEqual({
      mac: "de:0d:53:b7:a7:aa",
      device: "flannel.1",
      destination: "192.168.50.12",
      state: "permanent",
      flags: ["self"],
    });
    expect(value[4]?.destination).toBe("fd00:1::9");
  });

  it("hands back what it cannot read", () => {
    const { value, gaps } = parseBridgeFdb(
      `[{"mac":"x","ifname":"a"},{"mac":"aa:bb:cc:00:00:05","ifname":"a","dst":"w1"},[]]\n`,
    );
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.what)).toEqual([
      "mac: x is no MAC address",
      "dst: w1 is no address",
      "expected an object",
    ]);
  });

  it("never throws", () => neverThrows(parseBridgeFdb, FDB));
  it("never invents from a part", () => truncationsAreHonest(parseBridgeFdb, FDB, (entries) => entries));
});
