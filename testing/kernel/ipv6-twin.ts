/**
 * The IPv6 twin of a text about small-cluster.ts: of its addresses, its commands and its rules. So the same clusters, damages
 * and questions serve both families.
 *
 *   ip route replace 10.244.2.0/24 via 192.168.50.2 dev eth0   →   ip -6 route replace fd00:10:244:2::/64 via fd00:50::2 dev eth0
 */

/** 10.244.1.0/24 is fd00:10:244:1::/64, and so on; a port behind an address puts it in brackets. */
function addresses(text: string): string {
  return text.replace(
    /(?<![\w.])(\d+)\.(\d+)\.(\d+)\.(\d+)(\/\d+)?(:\d+)?(?![\w.])/g,
    (_, a: string, b: string, c: string, d: string, length = "", port = "") => {
      const address = twinOf(a, b, c, d);
      const prefix = length === "" ? "" : `/${LENGTHS[length] ?? 128}`;
      return port === "" ? `${address}${prefix}` : `[${address}]${port}`;
    },
  );
}

const LENGTHS: Readonly<Record<string, number>> = { "/8": 128, "/4": 8, "/16": 48, "/24": 64, "/32": 128 };

function twinOf(a: string, b: string, c: string, d: string): string {
  const last = d === "0" ? "" : d;
  switch (a) {
    case "10":
      if (b === "96") return `fd00:10:96::${last}`;
      return c === "0" ? "fd00:10:244::" : `fd00:10:244:${c}::${last}`;
    case "192":
      return `fd00:50::${last}`;
    case "203":
      return `2001:db8:113::${last}`;
    case "127":
      return "::1";
    case "224":
      return "ff00::";
    default:
      return "::";
  }
}

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w-])ip (route|rule|neigh|addr)\b/g, "ip -6 $1"],
  [/\biptables(?=[\s-])/g, "ip6tables"],
  [/\bip_tables_names\b/g, "ip6_tables_names"],
  [/bridge-nf-call-iptables/g, "bridge-nf-call-ip6tables"],
  [/net\.ipv4\.ip_forward/g, "net.ipv6.conf.all.forwarding"],
  [/net\.ipv4\.icmp_echo_ignore_all/g, "net.ipv6.icmp.echo_ignore_all"],
  [/--reject-with icmp-port-unreachable/g, "--reject-with icmp6-port-unreachable"],
  [/--reject-with icmp-host-prohibited/g, "--reject-with icmp6-adm-prohibited"],
  [/--reject-with icmp-net-unreachable/g, "--reject-with icmp6-no-route"],
  [/-p icmp\b/g, "-p ipv6-icmp"],
  [/meta l4proto icmp\b/g, "meta l4proto ipv6-icmp"],
  [/reject with icmp /g, "reject with icmpv6 "],
  [/(?<!with )\bicmp type\b/g, "icmpv6 type"],
  [/\bip (saddr|daddr)\b/g, "ip6 $1"],
  [/\b(table|chain|map|set) ip (?=kube-proxy|outward)/g, "$1 ip6 "],
  [/"addressType":"IPv4"/g, '"addressType":"IPv6"'],
  // what a tunnel over IPv6 leaves
  [/\bmtu 1450\b/g, "mtu 1430"],
  // the routes to link-local addresses are the kernel's, and neighbour discovery needs them
  [/^route flush table main$/gm, "route flush table main root fc00::/7\nroute del default"],
  [/^(addr (?:replace|add) .*)$/gm, "$1 nodad"],
];

export const ipv6Twin = (text: string): string =>
  addresses(WORDS.reduce((twin, [pattern, by]) => twin.replace(pattern, by), text));
