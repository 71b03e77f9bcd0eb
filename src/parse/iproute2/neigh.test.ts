import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseIpNeigh } from "./neigh.ts";

/** iproute2 6.1; the lab's node w1, and entries made by hand. */
const NEIGHBOURS = `[{"dst":"10.244.2.0","dev":"flannel.1","lladdr":"DE:0d:53:b7:a7:aa","state":["PERMANENT"]},{"dst":"10.244.1.2","dev":"cni0","lladdr":"22:9e:4a:2d:39:75","state":["REACHABLE"]},{"dst":"192.168.50.99","dev":"eth0","state":["FAILED"]},{"dst":"fd00:1::50","dev":"br0","lladdr":"aa:bb:cc:00:00:02","router":null,"state":["STALE"]},{}]
`;

describe("ip -j neigh", () => {
  it("gives the neighbours", () => {
    const { value, gaps } = parseIpNeigh(NEIGHBOURS);
    expect(gaps).toEqual([]);
    expect(value).toEqual([
      { address: "10.244.2.0", device: "flannel.1", mac: "de:0d:53:b7:a7:aa", states: ["PERMANENT"] },
      { address: "10.244.1.2", device: "cni0", mac: "22:9e:4a:2d:39:75", states: ["REACHABLE"] },
      { address: "192.168.50.99", device: "eth0", states: ["FAILED"] },
      { address: "fd00:1::50", device: "br0", mac: "aa:bb:cc:00:00:02", states: ["STALE"] },
    ]);
  });

  it("hands back what it cannot read", () => {
    const { value, gaps } = parseIpNeigh(
      `[{"dst":"10.0.0","dev":"eth0"},{"dst":"10.0.0.1"},{"dst":"10.0.0.2","dev":"eth0","state":"STALE"}]\n`,
    );
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.what)).toEqual([
      "dst: 10.0.0 is no address",
      "dev: expected string, is missing",
      "state: expected strings",
    ]);
  });

  it("never throws", () => neverThrows(parseIpNeigh, NEIGHBOURS));
  it("never invents from a part", () => truncationsAreHonest(parseIpNeigh, NEIGHBOURS, (neighbours) => neighbours));
});
