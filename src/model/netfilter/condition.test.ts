import { describe, expect, it } from "vitest";
import { parseIp } from "../../net/ip.ts";
import { parseIptablesSave, type Rule } from "../../parse/iptables/save.ts";
import { type Answer, ask, type Context } from "./condition.ts";
import type { Packet } from "./packet.ts";
import { BLIND, ipset, node, packet } from "./testing.ts";
import { readTranslation } from "./translation.ts";

function ruleOf(words: string): Rule {
  const { value, gaps } = parseIptablesSave(`*nat\n:A - [0:0]\n-A A ${words}\nCOMMIT\n`);
  expect(gaps).toEqual([]);
  return value.tables[0]!.chains[0]!.rules[0]!;
}

/** The answer to the last condition of a rule. */
const answer = (words: string, one: Packet, context: Context = BLIND): Answer =>
  ask(ruleOf(words).conditions.at(-1)!, one, context);

const TCP = packet("tcp 10.0.0.1:1024 > 10.0.0.2:80");
const UDP = packet("udp 10.0.0.1:1024 > 10.0.0.2:53");
const ICMP = packet("icmp 10.0.0.1 > 10.0.0.2", { icmpType: 3, icmpCode: 4 });
/** As it is after the DNAT of a Service. */
const VIA_SERVICE: Packet = {
  ...packet("udp 10.244.0.2:40000 > 10.244.1.7:5353", { dnatted: true }),
  original: {
    source: { address: parseIp("10.244.0.2")!, port: 40000 },
    destination: { address: parseIp("10.96.0.10")!, port: 53 },
  },
};
const VAGUE = packet("? ?:? > ?:?", {
  inDevice: "unknown",
  outDevice: "unknown",
  ctState: "unknown",
  markUnknown: 0xffffffff,
});

type Case = readonly [words: string, packet: Packet, answer: Answer];

describe("addresses, protocols and devices", () => {
  it.each<Case>([
    ["-s 10.0.0.0/8", TCP, "yes"],
    ["! -s 10.0.0.0/8", TCP, "no"],
    ["-d 10.0.0.1", TCP, "no"],
    ["-d 10.0.0.1", VAGUE, "unknown"],
    ["! -d 10.0.0.1", VAGUE, "unknown"],
    ["-d 0.0.0.0/0", VAGUE, "yes"],
    ["-p tcp", TCP, "yes"],
    ["! -p 6", TCP, "no"],
    ["-p udp", TCP, "no"],
    ["-p udp", VAGUE, "unknown"],
    ["-p ipencap", packet("4 10.0.0.1 > 10.0.0.2"), "yes"],
    ["-p quantum", TCP, "unknown"],
    ["-i eth0", { ...TCP, inDevice: "eth0" }, "yes"],
    ["-i eth+", { ...TCP, inDevice: "eth1" }, "yes"],
    ["! -i eth+", { ...TCP, inDevice: "cni0" }, "yes"],
    ["-i eth0", TCP, "no"],
    ["! -i eth0", TCP, "yes"],
    ["-o eth0", VAGUE, "unknown"],
    ["-o +", VAGUE, "yes"],
    ["-f", TCP, "no"],
    ["! -f", { ...TCP, fragment: true }, "no"],
  ])("%s", (words, one, expected) => expect(answer(words, one)).toBe(expected));
});

describe("ports and types", () => {
  it.each<Case>([
    ["-m tcp --dport 80", TCP, "yes"],
    ["-m tcp ! --dport 80", TCP, "no"],
    ["-m tcp --dport 81:90", TCP, "no"],
    ["-m tcp --sport 1024:65535", TCP, "yes"],
    ["-m tcp --dport 80", packet("tcp 10.0.0.1 > 10.0.0.2"), "unknown"],
    ["-m tcp --dport 0:65535", packet("tcp 10.0.0.1 > 10.0.0.2"), "yes"],
    ["-m tcp --dport 80", VAGUE, "unknown"],
    // A later fragment has no ports: the match fails, even if it is negated.
    ["-m tcp ! --dport 81", { ...TCP, fragment: true }, "no"],
    ["-m tcp ! --dport 81", ICMP, "no"],
    ["-m multiport --ports 53,1024", UDP, "yes"],
    ["-m multiport ! --ports 53,1024", UDP, "no"],
    ["-m multiport ! --ports 54", UDP, "yes"],
    ["-m multiport --ports 53", packet("udp 10.0.0.1:? > 10.0.0.2:53"), "yes"],
    ["-m multiport --ports 54", packet("udp 10.0.0.1:? > 10.0.0.2:53"), "unknown"],
    ["-m multiport ! --ports 54", ICMP, "no"],
    ["-m tcp --syn", { ...TCP, tcpFlags: ["SYN"] }, "yes"],
    ["-m tcp --syn", { ...TCP, tcpFlags: ["SYN", "ACK"] }, "no"],
    ["-m tcp ! --syn", { ...TCP, tcpFlags: ["ACK"] }, "yes"],
    ["-m tcp --syn", TCP, "unknown"],
    ["-m tcp --tcp-flags ALL NONE", { ...TCP, tcpFlags: [] }, "yes"],
    ["-m tcp --tcp-flags SYN ACK", { ...TCP, tcpFlags: ["ACK"] }, "no"],
    ["-m icmp --icmp-type 3", ICMP, "yes"],
    ["-m icmp --icmp-type 3/4", ICMP, "yes"],
    ["-m icmp ! --icmp-type 3/1", ICMP, "yes"],
    ["-m icmp --icmp-type fragmentation-needed", ICMP, "yes"],
    ["-m icmp --icmp-type any", VAGUE, "yes"],
    ["-m icmp --icmp-type 8", VAGUE, "unknown"],
    [
      "-m icmp6 --icmpv6-type neighbour-solicitation",
      packet("ipv6-icmp fd00::1 > fd00::2", { icmpType: 135 }),
      "unknown",
    ],
  ])("%s", (words, one, expected) => expect(answer(words, one)).toBe(expected));
});

describe("connections", () => {
  it.each<Case>([
    ["-m conntrack --ctstate NEW", TCP, "yes"],
    ["-m conntrack --ctstate RELATED,ESTABLISHED", TCP, "no"],
    ["-m conntrack ! --ctstate NEW", VAGUE, "unknown"],
    ["-m conntrack --ctstate DNAT", { ...TCP, dnatted: true }, "yes"],
    ["-m conntrack --ctstate DNAT", TCP, "no"],
    ["-m conntrack --ctstate DNAT", { ...TCP, dnatted: "unknown" }, "unknown"],
    ["-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT", { ...TCP, dnatted: true }, "no"],
    ["-m conntrack --ctstate DNAT", { ...TCP, ctState: "untracked", dnatted: true }, "no"],
    ["-m conntrack --ctstate SNAT", { ...TCP, ctState: "unknown", snatted: true }, "yes"],
    ["-m state --state UNTRACKED", { ...TCP, ctState: "untracked" }, "yes"],
    ["-m connmark --mark 0x0/0x1", TCP, "yes"],
    ["-m connmark --mark 0x1/0x1", { ...TCP, ctState: "established" }, "unknown"],
    ["-m connmark --mark 0x1/0x1", { ...TCP, ctState: "established", connmark: 3 }, "yes"],
    // connmark_mt: without a connection the match fails, even if it is negated.
    ["-m connmark ! --mark 0x1/0x1", { ...TCP, ctState: "untracked" }, "no"],
    ["-m conntrack --ctorigdst 10.96.0.10 --ctorigdstport 53", VIA_SERVICE, "yes"],
    ["-m conntrack --ctorigdst 10.96.0.0/16", VIA_SERVICE, "yes"],
    ["-m conntrack ! --ctorigdst 10.96.0.10", VIA_SERVICE, "no"],
    ["-m conntrack --ctorigdstport 50:52", VIA_SERVICE, "no"],
    ["-m conntrack --ctorigsrc 10.244.0.2 --ctorigsrcport 40000", VIA_SERVICE, "yes"],
    ["-m conntrack --ctorigdst 10.0.0.2", UDP, "yes"],
    ["-m conntrack ! --ctorigdst 10.96.0.10", { ...VIA_SERVICE, ctState: "untracked" }, "no"],
    ["-m conntrack --ctorigdst 10.96.0.10", { ...UDP, ctState: "established" }, "unknown"],
    // of packets without connection the kernel asks nothing else where states are asked for
    ["-m conntrack --ctstate INVALID --ctorigdst 10.96.0.10", { ...UDP, ctState: "invalid" }, "yes"],
    ["-m conntrack --ctstate INVALID --ctdir REPLY", { ...UDP, ctState: "invalid" }, "yes"],
    ["-m conntrack --ctdir ORIGINAL", { ...UDP, ctState: "invalid" }, "no"],
    // the kernel test's seed 83: an echo request has its type and code where others have a port
    ["-m conntrack --ctorigdstport 8080", packet("icmp 10.0.0.1 > 10.0.0.2", { icmpType: 8, icmpCode: 0 }), "no"],
    ["-m conntrack --ctorigdstport 2048", packet("icmp 10.0.0.1 > 10.0.0.2", { icmpType: 8, icmpCode: 0 }), "yes"],
    ["-m conntrack --ctorigsrcport 8080", packet("icmp 10.0.0.1 > 10.0.0.2", { icmpType: 8, icmpCode: 0 }), "unknown"],
    ["-m conntrack --ctdir ORIGINAL", UDP, "yes"],
    ["-m conntrack --ctdir REPLY", UDP, "no"],
    ["-m conntrack --ctdir REPLY", { ...UDP, ctState: "established", isReply: true }, "yes"],
    ["-m conntrack --ctdir REPLY", { ...UDP, ctState: "established" }, "unknown"],
    ["-m iprange --src-range 10.0.0.1-10.0.0.9", UDP, "yes"],
    ["-m iprange ! --dst-range 10.0.0.1-10.0.0.9", UDP, "no"],
    ["-m iprange --dst-range 10.0.0.3-10.0.0.9", UDP, "no"],
    ["-m iprange --dst-range 10.0.0.3-10.0.0.9", VAGUE, "unknown"],
    ["-m pkttype --pkt-type unicast", UDP, "unknown"],
    ["-m conntrack --ctproto 6", TCP, "unknown"],
  ])("%s", (words, one, expected) => expect(answer(words, one)).toBe(expected));
});

describe("marks", () => {
  it.each<Case>([
    ["-m mark --mark 0x4000/0x4000", { ...TCP, mark: 0x4001 }, "yes"],
    ["-m mark ! --mark 0x4000/0x4000", TCP, "yes"],
    ["-m mark --mark 0x4000", { ...TCP, mark: 0x4001 }, "no"],
    ["-m mark --mark 0x80000000/0x80000000", { ...TCP, mark: 0x80000000 }, "yes"],
    ["-m mark --mark 0x3/0x1", { ...TCP, mark: 3 }, "no"],
    ["-m mark --mark 0x1/0x1", { ...TCP, markUnknown: 1 }, "unknown"],
    ["-m mark --mark 0x3/0x3", { ...TCP, mark: 0, markUnknown: 1 }, "no"],
    ["-m mark --mark 0x2/0x2", { ...TCP, mark: 2, markUnknown: 1 }, "yes"],
  ])("%s", (words, one, expected) => expect(answer(words, one)).toBe(expected));
});

describe("chance, history and what only others know", () => {
  it.each<Case>([
    ["-m statistic --mode random --probability 0.5", TCP, "choice"],
    ["-m statistic --mode random ! --probability 0.0", TCP, "yes"],
    ["-m statistic --mode nth --every 2 --packet 0", TCP, "choice"],
    ["-m statistic --mode nth --every 1 --packet 0", TCP, "yes"],
    ["-m limit --limit 1/sec", TCP, "history"],
    ["-m recent --set --name a", TCP, "yes"],
    ["-m recent ! --set --name a", TCP, "no"],
    ["-m recent ! --rcheck --name a", TCP, "history"],
    ["-m comment --comment a", TCP, "yes"],
    ["-m nfacct --nfacct-name  a", TCP, "yes"],
    ["-m tcp", TCP, "yes"],
    ["-m rpfilter", TCP, "unknown"],
    ["-m u32 --u32 1=1", TCP, "unknown"],
    ["-m owner --uid-owner 0", TCP, "unknown"],
    // A packet of another machine has no owner.
    ["-m owner --uid-owner 0", { ...TCP, inDevice: "eth0" }, "no"],
    ["-m owner ! --uid-owner 0", { ...TCP, inDevice: "eth0" }, "yes"],
    ["-m physdev --physdev-is-bridged", TCP, "no"],
    ["-m physdev ! --physdev-is-bridged", TCP, "yes"],
    ["-m physdev --physdev-is-bridged", { ...TCP, physIn: "veth1", physOut: "veth2" }, "yes"],
    ["-m physdev --physdev-is-bridged", { ...TCP, physIn: "veth1" }, "no"],
    ["-m physdev --physdev-is-in", TCP, "no"],
    ["-m physdev ! --physdev-is-out", { ...TCP, physIn: "veth1" }, "yes"],
    ["-m physdev --physdev-is-in", { ...TCP, physIn: "veth1" }, "yes"],
    ["-m physdev --physdev-in veth+", { ...TCP, physIn: "veth1" }, "yes"],
    ["-m physdev --physdev-out veth2", { ...TCP, physIn: "veth1", physOut: "veth2" }, "yes"],
    ["-m physdev ! --physdev-out veth2", { ...TCP, physIn: "veth1" }, "no"],
  ])("%s", (words, one, expected) => expect(answer(words, one)).toBe(expected));
});

describe("types of addresses", () => {
  const NODE = node(["192.168.0.2/24 eth0", "10.244.0.1/24 cni0", "10.96.0.1/32 kube-ipvs0", "fd00::2/64 eth0"]);
  const to = (address: string, more: Partial<Packet> = {}): Packet => ({
    ...packet(`tcp ${address.includes(":") ? "fd00::9" : "10.0.0.1"} > ${address}`),
    ...more,
  });
  it.each<Case>([
    ["-m addrtype --dst-type LOCAL", to("192.168.0.2"), "yes"],
    ["-m addrtype --dst-type LOCAL", to("192.168.0.3"), "no"],
    ["-m addrtype ! --dst-type LOCAL", to("127.0.0.53"), "no"],
    ["-m addrtype --dst-type UNICAST", to("192.168.0.3"), "yes"],
    ["-m addrtype --dst-type UNICAST", to("192.168.0.2"), "no"],
    ["-m addrtype --dst-type BROADCAST", to("192.168.0.255"), "yes"],
    ["-m addrtype --dst-type BROADCAST", to("255.255.255.255"), "yes"],
    ["-m addrtype --dst-type LOCAL,MULTICAST", to("224.0.0.251"), "yes"],
    ["-m addrtype --dst-type BLACKHOLE", to("10.9.9.9"), "unknown"],
    ["-m addrtype --src-type LOCAL", packet("tcp 10.244.0.1 > 10.0.0.1"), "yes"],
    ["-m addrtype --dst-type LOCAL --limit-iface-in", to("192.168.0.2", { inDevice: "eth0" }), "yes"],
    ["-m addrtype --dst-type LOCAL --limit-iface-in", to("10.244.0.1", { inDevice: "eth0" }), "no"],
    [
      "-m addrtype ! --src-type LOCAL --limit-iface-out",
      packet("tcp 10.244.0.1 > 10.0.0.1", { outDevice: "eth0" }),
      "yes",
    ],
    ["-m addrtype --dst-type LOCAL --limit-iface-in", to("10.244.0.1", { inDevice: "unknown" }), "unknown"],
    ["-m addrtype --dst-type LOCAL", to("?"), "unknown"],
    ["-m addrtype --dst-type LOCAL", to("fd00::2"), "yes"],
    // For IPv6, local addresses are unicast too.
    ["-m addrtype --dst-type UNICAST", to("fd00::2"), "yes"],
    ["-m addrtype --dst-type MULTICAST", to("ff02::1"), "yes"],
    ["-m addrtype --dst-type LOCAL", to("::1"), "yes"],
    ["-m addrtype --dst-type LOCAL,MULTICAST", to("fd00::2"), "no"],
    ["-m addrtype --dst-type ANYCAST", to("fd00::"), "unknown"],
  ])("%s", (words, one, expected) => expect(answer(words, one, NODE)).toBe(expected));

  it.each<Case>([
    ["-m addrtype --dst-type LOCAL", to("192.168.0.2"), "unknown"],
    ["-m addrtype --dst-type LOCAL", to("127.0.0.1"), "yes"],
    ["-m addrtype --dst-type MULTICAST", to("224.0.0.1"), "yes"],
  ])("%s of a node whose addresses were not seen", (words, one, expected) => expect(answer(words, one)).toBe(expected));
});

describe("ipsets", () => {
  const NODE = node(
    [],
    ipset("ip", "hash:ip", "10.0.0.2", "10.0.0.7"),
    ipset("net", "hash:net", "10.0.0.0/8", "10.0.0.0/24 nomatch", "10.0.0.2"),
    ipset("port", "bitmap:port", "80"),
    ipset("ip-port", "hash:ip,port", "10.0.0.2,tcp:80", "10.0.0.1,udp:1024", "10.0.0.2,icmp:3/4"),
    ipset("loop", "hash:ip,port,ip", "10.0.0.2,tcp:80,10.0.0.1"),
    ipset("sources", "hash:ip,port,net", "10.0.0.2,tcp:80,10.0.0.0/30"),
    ipset("nets", "hash:net,net", "10.0.0.0/24,10.0.0.0/30", "10.0.0.0/8,0.0.0.0/1"),
    ipset("iface", "hash:net,iface", "10.0.0.0/24,eth0"),
    ipset("none", "hash:ip"),
    ipset("all", "list:set", "none", "ip"),
    ipset("odd", "hash:ip", "10.0.0.2-10.0.0.9"),
    ipset("mac", "hash:ip,mac", "10.0.0.2,00:11:22:33:44:55"),
    ipset("six", "hash:net", "fd00::/64"),
  );
  it.each<Case>([
    ["-m set --match-set ip dst", TCP, "yes"],
    ["-m set --match-set ip src", TCP, "no"],
    ["-m set ! --match-set ip src", TCP, "yes"],
    ["-m set --match-set ip dst", VAGUE, "unknown"],
    ["-m set --match-set none dst", VAGUE, "no"],
    // The longest network counts, and nomatch is an exception.
    ["-m set --match-set net dst", TCP, "yes"],
    ["-m set --match-set net src", TCP, "no"],
    ["-m set --match-set net src --return-nomatch", TCP, "yes"],
    ["-m set --match-set net dst", packet("tcp 1.1.1.1 > 10.9.9.9"), "yes"],
    ["-m set --match-set net dst", packet("tcp 1.1.1.1 > 11.9.9.9"), "no"],
    ["-m set --match-set port dst", TCP, "yes"],
    ["-m set --match-set port src", TCP, "no"],
    ["-m set --match-set port dst", ICMP, "no"],
    ["-m set --match-set ip-port dst,dst", TCP, "yes"],
    ["-m set --match-set ip-port dst,dst", UDP, "no"],
    ["-m set --match-set ip-port src,src", UDP, "yes"],
    ["-m set --match-set ip-port dst,dst", ICMP, "yes"],
    ["-m set --match-set ip-port dst,dst", packet("tcp 10.0.0.1:1024 > 10.0.0.2:?"), "unknown"],
    // A rule that names fewer ends than the set has is never met.
    ["-m set --match-set ip-port dst", TCP, "no"],
    ["-m set --match-set loop dst,dst,src", TCP, "yes"],
    ["-m set --match-set loop src,src,dst", TCP, "no"],
    ["-m set --match-set sources dst,dst,src", TCP, "yes"],
    ["-m set --match-set nets src,dst", TCP, "yes"],
    ["-m set --match-set nets src,dst", packet("tcp 10.0.0.1 > 10.0.0.200"), "yes"],
    ["-m set --match-set nets src,dst", packet("tcp 10.0.0.1 > 200.0.0.1"), "no"],
    ["-m set --match-set iface src,src", { ...TCP, inDevice: "eth0" }, "yes"],
    ["-m set --match-set iface src,src", { ...TCP, inDevice: "eth1" }, "no"],
    ["-m set --match-set all dst", TCP, "yes"],
    ["-m set --match-set all src", TCP, "no"],
    ["-m set --match-set odd dst", TCP, "unknown"],
    ["-m set --match-set mac dst", TCP, "unknown"],
    ["-m set --match-set gone dst", TCP, "unknown"],
    ["-m set --match-set six dst", TCP, "no"],
    ["-m set --match-set six dst", packet("tcp fd00::1 > fd00::2"), "yes"],
  ])("%s", (words, one, expected) => expect(answer(words, one, NODE)).toBe(expected));
});

describe("where packets are translated to", () => {
  const ip = (text: string) => parseIp(text)!;
  const at = (low: string, high = low) => ({ from: ip(low), to: ip(high) });
  it.each([
    ["DNAT --to-destination 10.0.0.1", { does: "dnat", addresses: at("10.0.0.1") }],
    ["DNAT --to-destination 10.0.0.1:80", { does: "dnat", addresses: at("10.0.0.1"), ports: { from: 80, to: 80 } }],
    [
      "DNAT --to-destination 10.0.0.1-10.0.0.9:80-90",
      { does: "dnat", addresses: at("10.0.0.1", "10.0.0.9"), ports: { from: 80, to: 90 } },
    ],
    [
      "DNAT --to-destination 10.0.0.1:80-90/70",
      { does: "dnat", addresses: at("10.0.0.1"), ports: { from: 80, to: 90 } },
    ],
    ["DNAT --to-destination :80", { does: "dnat", ports: { from: 80, to: 80 } }],
    ["DNAT --to-destination fd00::1", { does: "dnat", addresses: at("fd00::1") }],
    ["DNAT --to-destination [fd00::1]:80", { does: "dnat", addresses: at("fd00::1"), ports: { from: 80, to: 80 } }],
    [
      "DNAT --to-destination [fd00::1-fd00::9]:80",
      { does: "dnat", addresses: at("fd00::1", "fd00::9"), ports: { from: 80, to: 80 } },
    ],
    ["SNAT --to-source 10.0.0.1 --random-fully", { does: "snat", addresses: at("10.0.0.1"), random: true }],
    ["REDIRECT --to-ports 80", { does: "redirect", ports: { from: 80, to: 80 } }],
    ["REDIRECT", { does: "redirect" }],
    ["MASQUERADE --to-ports 1024-2048", { does: "masquerade", ports: { from: 1024, to: 2048 } }],
    ["DNAT --to-destination example.com", undefined],
    ["DNAT --to-destination 10.0.0.1:http", undefined],
    ["DNAT --to-destination [10.0.0.1", undefined],
  ])("%s", (words, expected) => {
    const { target } = ruleOf(`-j ${words}`);
    expect(readTranslation(target as Parameters<typeof readTranslation>[0])).toEqual(expected);
  });
});
