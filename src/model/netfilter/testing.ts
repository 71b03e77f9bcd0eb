/** Short words for rule sets, packets and outcomes, for the tests of this folder. */
import { formatIp, parseIp } from "../../net/ip.ts";
import type { Ipset } from "../../parse/ipset.ts";
import { parseIptablesSave } from "../../parse/iptables/save.ts";
import { addressesOf } from "./addresses.ts";
import type { Context } from "./condition.ts";
import type { Outcome } from "./outcome.ts";
import type { ConntrackState, Maybe, Packet } from "./packet.ts";
import { iptablesRulesets, type Ruleset } from "./ruleset.ts";

const BUILT_IN = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

/**
 * A rule set from lines like `nat PREROUTING -j DNAT --to-destination 10.0.0.1`; chains are made as they are named, and
 * `filter FORWARD policy DROP` sets a policy.
 */
export function rules(...lines: readonly string[]): Ruleset {
  return rulesFor(4, ...lines);
}

export function rulesFor(family: 4 | 6, ...lines: readonly string[]): Ruleset {
  const text = Object.entries(BUILT_IN).map(([table, builtIn]) => {
    const own = lines.filter((line) => line.startsWith(`${table} `)).map((line) => line.slice(table.length + 1));
    const policies = new Map(
      own.filter((line) => line.includes(" policy ")).map((line) => line.split(" policy ") as [string, string]),
    );
    const chains = new Set([...builtIn, ...own.map((line) => line.split(" ")[0]!)]);
    return [
      `*${table}`,
      ...[...chains].map(
        (chain) => `:${chain} ${policies.get(chain) ?? (builtIn.includes(chain) ? "ACCEPT" : "-")} [0:0]`,
      ),
      ...own.filter((line) => !line.includes(" policy ")).map((line) => `-A ${line}`.trimEnd()),
      "COMMIT\n",
    ].join("\n");
  });
  const { value, gaps } = parseIptablesSave(text.join(""));
  if (gaps.some(({ what }) => what !== "two targets")) throw new Error(JSON.stringify(gaps));
  return iptablesRulesets(value, family)[0]!;
}

/** `tcp 10.0.0.1:1024 > 10.0.0.2:80`, `icmp 10.0.0.1 > 10.0.0.2`; `?` for what is not known. */
export function packet(text: string, more: Partial<Packet> = {}): Packet {
  const [protocol, source, , destination] = text.split(" ") as [string, string, string, string];
  const end = (word: string): { readonly ip: Packet["source"]; readonly port: Maybe<number> | undefined } => {
    const [, address, port] = /^\[?([^\]]*?)\]?(?::(\d+|\?))?$/.exec(
      word.includes("::") && !word.startsWith("[") ? `[${word}]` : word,
    )!;
    return {
      ip: address === "?" ? "unknown" : parseIp(address!)!,
      port: port === undefined ? undefined : port === "?" ? "unknown" : Number(port),
    };
  };
  const [from, to] = [end(source), end(destination)];
  const known = from.ip !== "unknown" ? from.ip : to.ip;
  return {
    family: known === "unknown" ? 4 : known.family,
    protocol: protocol === "?" ? "unknown" : protocol,
    source: from.ip,
    destination: to.ip,
    ...(from.port === undefined ? {} : { sourcePort: from.port }),
    ...(to.port === undefined ? {} : { destinationPort: to.port }),
    mark: 0,
    ctState: "new" satisfies ConntrackState,
    ...more,
  };
}

export const ipset = (name: string, type: string, ...entries: readonly string[]): Ipset => ({
  name,
  type,
  family: entries.some((entry) => entry.includes("::")) ? "inet6" : "inet",
  entries: entries.map((entry) => ({ value: entry.replace(" nomatch", ""), nomatch: entry.endsWith(" nomatch") })),
  line: 1,
});

/** A node with the addresses `192.168.0.2/24 eth0` and so on, and some ipsets. */
export function node(addresses: readonly string[] = ["192.168.0.2/24 eth0"], ...sets: readonly Ipset[]): Context {
  return {
    addresses: addressesOf(
      addresses.map((text) => {
        const [ip, length, device] = text.split(/[/ ]/);
        return { ip: parseIp(ip!)!, ...(length ? { length: Number(length) } : {}), ...(device ? { device } : {}) };
      }),
    ),
    ipsets: new Map(sets.map((set) => [set.name, set])),
  };
}

export const BLIND: Context = { addresses: "unknown", ipsets: "unknown" };

function verdictOf({ verdict }: Outcome): string {
  switch (verdict.is) {
    case "reject":
      return `reject ${verdict.with}`;
    case "insufficient":
      return `insufficient ${verdict.why}`;
    case "tproxy":
      return `tproxy ${verdict.port}`;
    case "translate": {
      const { does, addresses, ports } = verdict.to;
      const address = addresses ? formatIp(addresses.from) : "";
      return `${does} ${address}${ports ? `:${ports.from}` : ""}`.trimEnd();
    }
    default:
      return verdict.is;
  }
}

/** The outcomes in short: `accept`, `drop`, `dnat 10.0.0.1:80`, with `mark 0x1` if there is one. */
export function ends(outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.map((outcome) => {
    const { mark, markUnknown = 0 } = outcome.packet;
    const marks = markUnknown !== 0 ? " mark ?" : mark !== 0 ? ` mark 0x${mark.toString(16)}` : "";
    const isGone =
      outcome.verdict.is === "drop" || outcome.verdict.is === "reject" || outcome.verdict.is === "insufficient";
    return `${verdictOf(outcome)}${isGone ? "" : marks}`;
  });
}

/** `10.0.0.1:1024 > 10.0.0.2:80`: where an accepted packet goes. */
export function flow({ source, sourcePort, destination, destinationPort }: Packet): string {
  const end = (ip: Packet["source"], port: Maybe<number> | undefined): string =>
    `${ip === "unknown" ? "?" : formatIp(ip)}${port === undefined ? "" : `:${port === "unknown" ? "?" : port}`}`;
  return `${end(source, sourcePort)} > ${end(destination, destinationPort)}`;
}
