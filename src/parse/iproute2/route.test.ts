import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseIpRoute } from "./route.ts";

/** `ip -j -d route show table all` of a flannel node (iproute2 6.1). */
const NODE = `[{"type":"unicast","dst":"default","gateway":"192.168.50.1","dev":"eth0","table":"main","protocol":"boot","scope":"global","flags":[]},{"type":"unicast","dst":"10.244.0.0/24","gateway":"10.244.0.0","dev":"flannel.1","table":"main","protocol":"boot","scope":"global","flags":["onlink"]},{"type":"unicast","dst":"10.244.1.0/24","dev":"cni0","table":"main","protocol":"kernel","scope":"link","prefsrc":"10.244.1.1","flags":[]},{"type":"local","dst":"10.244.1.1","dev":"cni0","table":"local","protocol":"kernel","scope":"host","prefsrc":"10.244.1.1","flags":[]},{"type":"broadcast","dst":"10.244.1.255","dev":"cni0","table":"local","protocol":"kernel","scope":"link","prefsrc":"10.244.1.1","flags":[]},{"type":"unicast","dst":"fe80::/64","dev":"eth0","table":"main","protocol":"kernel","scope":"global","metric":256,"flags":[],"pref":"medium"},{"type":"multicast","dst":"ff00::/8","dev":"eth0","table":"local","protocol":"kernel","scope":"global","metric":256,"flags":[],"pref":"medium"}]
`;

/** Parses single routes as `ip -j route` prints them. */
const routes = (...objects: string[]) => parseIpRoute(`[${objects.join(",")}]\n`);
const families = (...objects: string[]) => routes(...objects).value.map((route) => route.family);

describe("ip -j route", () => {
  it("gives a node's routes", () => {
    const { value, gaps } = parseIpRoute(NODE);
    expect(gaps).toEqual([]);
    expect(value[0]).toEqual({
      type: "unicast",
      family: "inet",
      destination: "0.0.0.0/0",
      table: "main",
      protocol: "boot",
      scope: "global",
      nextHops: [{ gateway: "192.168.50.1", device: "eth0", flags: [] }],
      flags: [],
    });
    expect(value[1]).toMatchObject({ flags: ["onlink"], nextHops: [{ flags: ["onlink"] }] });
    expect(value[2]).toMatchObject({ source: "10.244.1.1", nextHops: [{ device: "cni0" }] });
    expect(value[3]).toMatchObject({ type: "local", table: "local", destination: "10.244.1.1/32" });
    expect(value.slice(5).map((route) => [route.family, route.destination])).toEqual([
      ["inet6", "fe80::/64"],
      ["inet6", "ff00::/8"],
    ]);
  });

  it("fills in what is not printed in a Pod: type, table", () => {
    const pod = `{"dst":"default","gateway":"10.244.1.1","dev":"eth0","flags":[],"metrics":[{"mtu":1450}]}`;
    expect(routes(pod).value).toMatchObject([{ type: "unicast", table: "main", mtu: 1450 }]);
  });

  it("gives every next hop of a multipath route", () => {
    const multipath = `{"dst":"default","flags":[],"nexthops":[{"gateway":"10.1.0.2","dev":"br0","weight":1,"flags":[]},{"gateway":"10.2.0.2","dev":"v1","weight":3,"flags":["dead","linkdown"]}]}`;
    expect(routes(multipath).value[0]?.nextHops).toEqual([
      { gateway: "10.1.0.2", device: "br0", weight: 1, flags: [] },
      { gateway: "10.2.0.2", device: "v1", weight: 3, flags: ["dead", "linkdown"] },
    ]);
  });

  it("gives the next hops of a next-hop object, printed with the route or only in it", () => {
    const group = `{"dst":"10.20.0.0/16","nhid":10,"flags":[],"nh_info":{"id":10,"group":[{"id":1},{"id":2}]},"nexthops":[{"gateway":"10.1.0.3","dev":"br0","weight":1,"flags":[]},{"gateway":"10.1.0.4","dev":"br0","weight":1,"flags":[]}]}`;
    const only = `{"dst":"10.21.0.0/16","nhid":1,"flags":[],"nh_info":{"id":1,"gateway":"10.1.0.3","dev":"br0","scope":"link","protocol":"unspec","flags":[]}}`;
    expect(routes(group, only).value.map((route) => route.nextHops.map((hop) => hop.gateway))).toEqual([
      ["10.1.0.3", "10.1.0.4"],
      ["10.1.0.3"],
    ]);
  });

  it("does not claim a route without next hops where they are not printed", () => {
    const { value, gaps } = routes(`{"dst":"10.22.0.0/16","nhid":7,"flags":[]}`);
    expect(value).toEqual([]);
    expect(gaps).toEqual([{ pointer: "/0", what: "has no next hop that is printed" }]);
  });

  it("gives routes that lead nowhere without next hops, also those that IPv6 hangs on lo", () => {
    const { value } = routes(
      `{"type":"blackhole","dst":"10.10.0.0/16","flags":[]}`,
      `{"type":"unreachable","dst":"10.11.0.0/16","metric":4278198272,"flags":[]}`,
      `{"type":"blackhole","dst":"fd99::/64","dev":"lo","metric":1024,"flags":[],"pref":"medium"}`,
    );
    expect(value.map((route) => [route.type, route.nextHops])).toEqual([
      ["blackhole", []],
      ["unreachable", []],
      ["blackhole", []],
    ]);
    expect(value[1]?.metric).toBe(4278198272);
  });

  it("knows the family of a default route", () => {
    expect(
      families(
        `{"dst":"default","gateway":"fe80::2","dev":"br0","metric":1024,"flags":[]}`,
        `{"dst":"default","flags":[],"nexthops":[{"gateway":"fe80::1","dev":"v1","weight":1,"flags":[]}]}`,
        `{"type":"unreachable","dst":"default","dev":"lo","metric":4278198272,"flags":[],"pref":"medium"}`,
      ),
    ).toEqual(["inet6", "inet6", "inet6"]);
    expect(
      families(
        `{"type":"blackhole","dst":"default","flags":[]}`,
        `{"dst":"default","dev":"tun0","scope":"link","flags":[]}`,
      ),
    ).toEqual(["inet", "inet"]);
  });

  it("takes a gateway of the other family for an IPv4 route's", () => {
    const via = `{"dst":"default","via":{"family":"inet6","host":"fe80::1"},"dev":"br0","flags":[]}`;
    expect(routes(via).value).toMatchObject([{ family: "inet", nextHops: [{ gateway: "fe80::1", device: "br0" }] }]);
  });

  it("takes a default route without any sign for one of the routes before it", () => {
    const bare = `{"type":"unreachable","dst":"default","dev":"lo","flags":[]}`;
    expect(families(bare, `{"dst":"fd00:1::/64","dev":"br0","flags":[]}`, bare)).toEqual(["inet", "inet6", "inet6"]);
  });

  it("hands back a route whose destination JSON.parse lost: encap prints a second dst", () => {
    const encap = `{"type":"unicast","dst":"10.31.0.0/16","encap":"ip","id":100,"src":"0.0.0.0","dst":"10.1.0.7","ttl":0,"tos":0,"dev":"br0","scope":"link","flags":[]}`;
    const { value, gaps } = routes(
      encap,
      `{"dst":"10.51.0.0/16","encap":"seg6","mode":"encap","segs":["fd00::9"],"dev":"br0","flags":[]}`,
    );
    expect(value.map((route) => route.destination)).toEqual(["10.51.0.0/16"]);
    expect(gaps).toHaveLength(1);
  });

  it("hands back routes that depend on source or TOS, and nonsense", () => {
    const { value, gaps } = routes(
      `{"dst":"fd05::/64","from":"fd06::/64","dev":"br0","flags":[],"pref":"medium"}`,
      `{"dst":"10.41.0.0/16","tos":"0x10","gateway":"10.1.0.2","dev":"br0","flags":[]}`,
      `{"dst":"10.0.0.0/33","dev":"br0"}`,
      `{"dst":"10.0.0.0/8","gateway":"fe80::1%eth0","dev":"br0"}`,
      `{"dst":10,"dev":"br0"}`,
      `{}`,
    );
    expect(value).toEqual([]);
    expect(gaps.map((gap) => gap.pointer)).toEqual(["/0", "/1", "/2", "/3", "/4"]);
  });

  it("never throws", () => neverThrows(parseIpRoute, NODE));
  it("never invents from a part", () => truncationsAreHonest(parseIpRoute, NODE, (value) => value));
});
