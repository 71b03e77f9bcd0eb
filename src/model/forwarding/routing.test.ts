import { describe, expect, it } from "vitest";
import { captureOf } from "../../../testing/recordings.ts";
import { parseIp } from "../../net/ip.ts";
import { forwardingOf } from "./plane.ts";
import { lookupRoute, type RoutedPacket } from "./routing.ts";

/** Routes and rules as one writes them: `table 7 10.0.0.0/8 dev a`, `100: from 10.0.0.0/8 lookup 7`. */
type Tables = {
  readonly routes: readonly string[];
  readonly rules?: readonly string[];
  readonly rules6?: readonly string[];
  /** Devices as `ip -j addr` has them. */
  readonly links?: readonly object[];
};

const word = (words: readonly string[], name: string) => words[words.indexOf(name) + 1];

function routeOf(line: string): object {
  const words = line.split(" ");
  const has = (name: string) => words.includes(name);
  const type = ["blackhole", "unreachable", "prohibit", "throw", "local", "anycast", "broadcast"].find(has);
  const dst = words.find((one) => one === "default" || /^[\da-f]*[.:][\d.:a-f]*(\/\d+)?$/.test(one));
  const hops = line.split(" nexthop ").slice(1);
  const hopOf = (text: string) => {
    const of = text.split(" ");
    const flags = ["dead", "linkdown"].filter((flag) => of.includes(flag));
    return {
      ...(of.includes("via") && { gateway: word(of, "via") }),
      ...(of.includes("dev") && { dev: word(of, "dev") }),
      flags,
    };
  };
  return {
    dst,
    ...(type && { type }),
    ...(has("table") && { table: word(words, "table") }),
    ...(has("metric") && { metric: Number(word(words, "metric")) }),
    ...(hops.length > 0 ? { flags: [], nexthops: hops.map(hopOf) } : hopOf(line)),
  };
}

function ruleOf(line: string): object {
  const words = line.split(/:? /);
  const has = (name: string) => words.includes(name);
  const [mark, mask] = (has("fwmark") ? word(words, "fwmark")! : "").split("/");
  const range = (name: string, key: string) => {
    const [address, length] = (has(name) ? word(words, name)! : "").split("/");
    return address ? { [key]: address, ...(length && { [`${key}len`]: Number(length) }) } : {};
  };
  return {
    priority: Number(words[0]),
    src: "all",
    ...range("from", "src"),
    ...range("to", "dst"),
    ...(has("iif") && { iif: word(words, "iif") }),
    ...(has("oif") && { oif: word(words, "oif") }),
    ...(mark && { fwmark: mark, ...(mask && { fwmask: mask }) }),
    ...(has("not") && { not: null }),
    ...(has("dport") && { dport: 53 }),
    ...(has("lookup") && { table: word(words, "lookup") }),
    ...(has("suppress_prefixlength") && { suppress_prefixlen: Number(word(words, "suppress_prefixlength")) }),
    ...(has("goto") && { goto: Number(word(words, "goto")) }),
    ...(has("nop") && { nop: null }),
    ...(["blackhole", "unreachable", "prohibit"].some(has) && { action: words.at(-1) }),
  };
}

const planeOf = ({ routes, rules, rules6, links }: Tables) =>
  forwardingOf(
    captureOf(
      new Map([
        ["nodes/n/ip-route.json", `${JSON.stringify(routes.map(routeOf))}\n`],
        ...(rules ? [["nodes/n/ip-rule.json", `${JSON.stringify(rules.map(ruleOf))}\n`] as const] : []),
        ...(links ? [["nodes/n/ip-addr.json", `${JSON.stringify(links)}\n`] as const] : []),
        ...(rules6 ? [["nodes/n/ip-6-rule.json", `${JSON.stringify(rules6.map(ruleOf))}\n`] as const] : []),
      ]),
    ),
  ).of("n");

type Words = { readonly source?: string; readonly inDevice?: string; readonly mark?: number };

/** Where a packet goes, in a word or two. */
function way(tables: Tables, destination: string, { source, ...more }: Words = {}): string {
  const packet: RoutedPacket = {
    destination: parseIp(destination)!,
    ...(source && { source: parseIp(source)! }),
    ...more,
  };
  const lookup = lookupRoute(planeOf(tables), packet);
  if (lookup.end !== "via") return lookup.end;
  return lookup.hops.map(({ gateway, device }) => [gateway, device].filter(Boolean).join(" ")).join(" or ");
}

describe("one table", () => {
  const routes = [
    "default via 172.16.0.254 dev eth0",
    "10.244.0.0/16 dev wide",
    "10.244.1.0/24 dev narrow",
    "10.244.1.7 dev host",
    "10.244.2.0/24 dev slow metric 100",
    "10.244.2.0/24 dev fast metric 10",
    "10.244.2.0/24 dev late metric 10",
    "blackhole 10.244.3.0/24",
    "unreachable 10.244.4.0/24",
    "prohibit 10.244.5.0/24",
    "throw 10.244.6.0/24",
    "table local local 10.0.0.1 dev eth0",
  ];

  it.each([
    ["8.8.8.8", "172.16.0.254 eth0"],
    ["10.244.9.1", "wide"],
    ["10.244.1.1", "narrow"],
    ["10.244.1.7", "host"],
    // of equal prefixes the smallest metric, of equal metrics the first
    ["10.244.2.1", "fast"],
    ["10.244.3.1", "refused"],
    ["10.244.4.1", "refused"],
    ["10.244.5.1", "refused"],
    // thrown out of main, and the table "default" has nothing
    ["10.244.6.1", "no-route"],
    ["10.0.0.1", "local"],
    // IPv6 packets take no IPv4 routes
    ["fd00::1", "no-route"],
  ])("%s goes %s", (destination, expected) => expect(way({ routes }, destination)).toBe(expected));

  it("of those that were not asked for may lead elsewhere: it is not known", () => {
    const routes = ["default via 172.16.0.254 dev eth0", "10.0.0.0/8 dev a"];
    const rules = ["0: lookup local", "100: from 10.1.0.0/16 lookup 42", "32766: lookup main"];
    expect(way({ routes, rules }, "8.8.8.8", { source: "10.1.0.5" })).toBe("unknown");
    expect(way({ routes, rules }, "8.8.8.8", { source: "10.2.0.5" })).toBe("172.16.0.254 eth0");
    const links = [
      {
        ifindex: 2,
        ifname: "a",
        flags: ["UP"],
        mtu: 1500,
        operstate: "UP",
        addr_info: [{ family: "inet", local: "10.0.0.1", prefixlen: 8, scope: "global" }],
      },
    ];
    expect(way({ routes, links }, "10.0.0.1")).toBe("unknown");
    expect(way({ routes, links }, "10.0.0.2")).toBe("a");
  });

  it("without a default route leads nowhere", () => {
    expect(way({ routes: ["10.0.0.0/8 dev a"] }, "8.8.8.8")).toBe("no-route");
    expect(way({ routes: [] }, "8.8.8.8")).toBe("no-route");
  });

  it("has one default route for each family", () => {
    const both = ["default via 172.16.0.254 dev eth0", "default via fd00::1 dev eth0"];
    expect(way({ routes: both }, "8.8.8.8")).toBe("172.16.0.254 eth0");
    expect(way({ routes: both }, "2001:db8::1")).toBe("fd00::1 eth0");
  });
});

describe("next hops that are dead", () => {
  it.each([
    ["a route of which the only hop is dead", ["default via 10.0.0.1 dev a dead linkdown"], "no-route"],
    ["the next best route is taken", ["default dev a", "10.0.0.0/8 via 10.0.0.1 dev b dead"], "a"],
    ["a route that is only without carrier", ["default dev a", "10.0.0.0/8 via 10.0.0.1 dev b linkdown"], "10.0.0.1 b"],
    ["some of several", ["default nexthop via 10.0.0.1 dev a dead nexthop via 10.0.0.2 dev b"], "10.0.0.2 b"],
    ["none of several", ["default nexthop via 10.0.0.1 dev a nexthop via 10.0.0.2 dev b"], "10.0.0.1 a or 10.0.0.2 b"],
    ["all of several", ["default nexthop via 10.0.0.1 dev a dead nexthop via 10.0.0.2 dev b dead"], "no-route"],
  ])("%s", (_, routes, expected) => expect(way({ routes }, "10.1.1.1")).toBe(expected));
});

describe("policy rules", () => {
  const MAIN = "32766: from all lookup main";
  const routes = [
    "default dev main",
    "table 7 default dev seven",
    "table 8 10.0.0.0/8 dev eight",
    "table 9 throw default",
    "table local local 10.9.0.1 dev main",
  ];
  const go = (rules: readonly string[], packet?: Words, to = "10.1.1.1") =>
    way({ routes, rules: [...rules, MAIN] }, to, packet);

  it.each<[what: string, rules: string[], packet: Words, expected: string]>([
    ["nothing", [], {}, "main"],
    ["all", ["5: from all lookup 7"], {}, "seven"],
    ["the smallest priority first, wherever it stands", ["6: from all lookup 8", "5: from all lookup 7"], {}, "seven"],
    ["a source", ["5: from 10.2.0.0/16 lookup 7"], { source: "10.2.3.4" }, "seven"],
    ["another source", ["5: from 10.2.0.0/16 lookup 7"], { source: "10.3.3.4" }, "main"],
    ["a source that the packet does not have yet", ["5: from 10.2.0.0/16 lookup 7"], {}, "main"],
    ["a destination", ["5: from all to 10.1.0.0/16 lookup 7"], {}, "seven"],
    ["another destination", ["5: from all to 10.9.0.0/16 lookup 7"], {}, "main"],
    ["not a destination", ["5: not from all to 10.9.0.0/16 lookup 7"], {}, "seven"],
    ["a device", ["5: from all iif a lookup 7"], { inDevice: "a" }, "seven"],
    ["another device", ["5: from all iif a lookup 7"], { inDevice: "b" }, "main"],
    ["what the node sends itself", ["5: from all iif lo lookup 7"], {}, "seven"],
    ["what the node does not send itself", ["5: from all iif lo lookup 7"], { inDevice: "a" }, "main"],
    ["a socket bound to a device", ["5: from all oif a lookup 7"], {}, "main"],
    ["a mark", ["5: from all fwmark 0x200/0xf00 lookup 7"], { mark: 0x1234 }, "seven"],
    ["another mark", ["5: from all fwmark 0x200/0xf00 lookup 7"], { mark: 0x1134 }, "main"],
    ["a mark that has bits outside its mask", ["5: from all fwmark 0x2ff/0xf00 lookup 7"], { mark: 0x234 }, "seven"],
    ["the highest bit", ["5: from all fwmark 0x80000000/0x80000000 lookup 7"], { mark: 0x80000001 }, "seven"],
    ["no mark", ["5: from all fwmark 0x1 lookup 7"], {}, "main"],
    ["not a mark", ["5: not from all fwmark 0x1 lookup 7"], {}, "seven"],
    ["a table without a route", ["5: from all lookup 10"], {}, "main"],
    ["a table that throws", ["5: from all lookup 9", "6: from all lookup 8"], {}, "eight"],
    ["a refusal", ["5: from all blackhole"], {}, "no-route"],
    ["a refusal of others", ["5: from 10.9.0.0/16 prohibit"], { source: "10.1.0.1" }, "main"],
    ["nothing to do", ["5: from all nop"], {}, "main"],
    ["no default route of a table", ["5: from all lookup 7 suppress_prefixlength 0"], {}, "main"],
    ["only more than a default route of a table", ["5: from all lookup 8 suppress_prefixlength 0"], {}, "eight"],
    ["a jump", ["5: from all goto 9", "7: from all blackhole", "9: from all lookup 8"], {}, "eight"],
    [
      "a jump that is for others",
      ["5: from 10.9.0.0/16 goto 9", "7: from all lookup 7", "9: from all lookup 8"],
      {},
      "seven",
    ],
    ["a jump to nowhere", ["5: from all goto 8", "7: from all lookup 7"], {}, "seven"],
    ["a port, which is not known", ["5: from all dport 53 lookup 7"], {}, "unknown"],
    ["a port of another source", ["5: from 10.9.0.0/16 dport 53 lookup 7"], { source: "10.1.0.1" }, "main"],
    ["a port, too late to matter", ["5: from all lookup 7", "6: from all dport 53 lookup 8"], {}, "seven"],
  ])("for %s", (_, rules, packet, expected) => expect(go(rules, packet)).toBe(expected));

  it("are the kernel's own where they were not gathered", () => expect(way({ routes }, "10.1.1.1")).toBe("main"));

  it("lead nowhere if there are none", () => expect(way({ routes, rules: [] }, "10.1.1.1")).toBe("no-route"));
});

describe("IPv6", () => {
  const routes = [
    "fd00:1::/64 dev wide metric 1024",
    "fd00:1::/64 dev near metric 256",
    "table local local fd00:1::1 dev near",
    "table local anycast fd00:1:: dev near",
    "fe80::/64 dev near",
    "fe80::/64 dev wide",
    "default via fe80::1 dev wide metric 1024",
    "table 7 default dev seven",
  ];

  it.each([
    ["fd00:1::9", "near"],
    ["fd00:1::1", "local"],
    // the address of the subnet's routers is the node's as well
    ["fd00:1::", "local"],
    ["2001:db8::1", "fe80::1 wide"],
    // on which device only who sends it knows
    ["fe80::9", "unknown"],
  ])("%s goes %s", (destination, expected) => expect(way({ routes }, destination)).toBe(expected));

  it("has policy rules of its own", () => {
    const all = "5: from all lookup 7";
    expect(way({ routes, rules: [all], rules6: ["32766: from all lookup main"] }, "2001:db8::1")).toBe("fe80::1 wide");
    expect(way({ routes, rules6: [all] }, "2001:db8::1")).toBe("seven");
    expect(way({ routes, rules6: [all] }, "8.8.8.8")).toBe("no-route");
  });

  it("looks for a route by one device, if it is asked for one", () => {
    const lookup = (outDevice: string) =>
      lookupRoute(planeOf({ routes }), { destination: parseIp("fd00:1::9")!, outDevice });
    expect(lookup("wide")).toMatchObject({ end: "via", hops: [{ device: "wide" }] });
    expect(lookup("other").end).toBe("no-route");
  });
});

describe("what was not seen whole", () => {
  const cut = (files: Record<string, string>) =>
    lookupRoute(forwardingOf(captureOf(new Map(Object.entries(files)))).of("n"), { destination: parseIp("10.0.0.1")! })
      .end;
  const ROUTES = '[{"dst":"10.0.0.0/8","dev":"a","flags":[]}]\n';

  it.each([
    ["routes that were not gathered", {}],
    ["routes cut off", { "nodes/n/ip-route.json": ROUTES.slice(0, -3) }],
    [
      "rules cut off",
      { "nodes/n/ip-route.json": ROUTES, "nodes/n/ip-rule.json": '[{"priority":0,"src":"all","table":"local"}' },
    ],
  ])("leaves the way unknown: %s", (_, files) => expect(cut(files as Record<string, string>)).toBe("unknown"));

  it("does not matter where it is whole", () => expect(cut({ "nodes/n/ip-route.json": ROUTES })).toBe("via"));
});

it("names the route that it took, as `ip route` prints it", () => {
  const lookup = lookupRoute(planeOf({ routes: ["10.0.0.0/8 via 172.16.0.1 dev eth0"] }), {
    destination: parseIp("10.1.1.1")!,
  });
  expect(lookup).toMatchObject({
    end: "via",
    route: { destination: "10.0.0.0/8" },
    evidence: { quote: "10.0.0.0/8 via 172.16.0.1 dev eth0", origin: { path: "nodes/n/ip-route.json", node: "n" } },
  });
});
