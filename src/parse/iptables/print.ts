/**
 * Prints what iptables-save would print: `parseIptablesSave` in reverse, with counters where the rules have them.
 *
 * The order and form of options are those of the extensions' save functions (iptables, extensions/libxt_*.c). Values
 * that were not read from a file print as well; a condition then has a match of its own, which means the same.
 */
import { formatIp, formatPrefix, type Prefix } from "../../net/ip.ts";
import type { Condition, IptablesSave, PortRange, Rule, Target } from "./save.ts";

/** A word as xtables_save_string prints it: quoted unless it is made of plain letters, digits, - and _. */
function quoted(text: string): string {
  return /^[A-Za-z0-9_-]+$/.test(text) ? text : `"${text.replace(/["\\']/g, "\\$&")}"`;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const masked = (value: number, mask: number): string =>
  mask === 0xffffffff ? hex(value) : `${hex(value)}/${hex(mask)}`;
const SIDES = { source: "src", destination: "dst" } as const;
/** conntrack prints a single address without its length (libxt_conntrack.c, conntrack_dump_addr). */
const addressOrPrefix = (prefix: Prefix): string =>
  prefix.length === (prefix.ip.family === 4 ? 32 : 128) ? formatIp(prefix.ip) : formatPrefix(prefix);
const range = ({ from, to }: PortRange): string => (from === to ? `${from}` : `${from}:${to}`);

/** The match that knows the ports or types of a protocol. */
function protocolMatch(protocol: string): string {
  switch (protocol) {
    case "6":
      return "tcp";
    case "17":
      return "udp";
    case "1":
      return "icmp";
    case "58":
    case "ipv6-icmp":
    case "icmpv6":
      return "icmp6";
    default:
      return protocol;
  }
}

const FLAGS_NONE = "NONE";
const joinFlags = (flags: readonly string[]): string => (flags.length === 0 ? FLAGS_NONE : flags.join(","));

/** The match that a condition belongs to, "" for the options of iptables itself, and its option. */
function printedCondition(condition: Condition, protocol: string): readonly [match: string, option: string] {
  const bang = "not" in condition && condition.not ? "! " : "";
  switch (condition.is) {
    case "source":
      return ["", `${bang}-s ${formatPrefix(condition.prefix)}`];
    case "destination":
      return ["", `${bang}-d ${formatPrefix(condition.prefix)}`];
    case "protocol":
      return ["", `${bang}-p ${condition.protocol}`];
    case "in":
      return ["", `${bang}-i ${condition.device}`];
    case "out":
      return ["", `${bang}-o ${condition.device}`];
    case "fragment":
      return ["", `${bang}-f`];
    case "source-port":
    case "destination-port": {
      const side = condition.is === "source-port" ? "sport" : "dport";
      const ports = condition.ports.map(range).join(",");
      if (condition.via === "multiport" || condition.ports.length > 1)
        return ["multiport", `${bang}--${side}s ${ports}`];
      return [protocolMatch(protocol), `${bang}--${side} ${ports}`];
    }
    case "any-port":
      return ["multiport", `${bang}--ports ${condition.ports.map(range).join(",")}`];
    case "tcp-flags":
      return ["tcp", `${bang}--tcp-flags ${joinFlags(condition.mask)} ${joinFlags(condition.set)}`];
    case "icmp-type":
      return protocolMatch(protocol) === "icmp6"
        ? ["icmp6", `${bang}--icmpv6-type ${condition.type}`]
        : ["icmp", `${bang}--icmp-type ${condition.type}`];
    case "conntrack-state":
      return condition.via === "state"
        ? ["state", `${bang}--state ${condition.states.join(",")}`]
        : ["conntrack", `${bang}--ctstate ${condition.states.join(",")}`];
    case "original-address":
      return ["conntrack", `${bang}--ctorig${SIDES[condition.side]} ${addressOrPrefix(condition.prefix)}`];
    case "original-port":
      return ["conntrack", `${bang}--ctorig${SIDES[condition.side]}port ${condition.ports.map(range).join(",")}`];
    case "mark":
    case "connmark":
      return [condition.is, `${bang}--mark ${masked(condition.value, condition.mask)}`];
    case "address-type":
      return ["addrtype", `${bang}--${condition.side === "source" ? "src" : "dst"}-type ${condition.type}`];
    case "set": {
      const sides = condition.sides.map((side) => (side === "source" ? "src" : "dst")).join(",");
      const nomatch = condition.returnNomatch ? " --return-nomatch" : "";
      return ["set", `${bang}--match-set ${condition.name} ${sides}${nomatch}`];
    }
    case "random":
      return ["statistic", `--mode random ${bang}--probability ${condition.probability.toFixed(11)}`];
    case "every-nth":
      return ["statistic", `--mode nth ${bang}--every ${condition.every} --packet ${condition.packet}`];
    case "limit":
      return [
        "limit",
        `--limit ${condition.rate}${condition.burst === undefined ? "" : ` --limit-burst ${condition.burst}`}`,
      ];
    case "recent":
      return ["recent", printedRecent(condition, bang)];
    case "physdev":
      return [
        "physdev",
        condition.in !== undefined
          ? `${bang}--physdev-in ${condition.in}`
          : condition.out !== undefined
            ? `${bang}--physdev-out ${condition.out}`
            : `${bang}--physdev-is-${condition.has ?? "bridged"}`,
      ];
    case "address-range":
      return [
        "iprange",
        `${bang}--${SIDES[condition.side]}-range ${formatIp(condition.from)}-${formatIp(condition.to)}`,
      ];
    case "connection-direction":
      return ["conntrack", `--ctdir ${condition.direction}`];
    case "packet-type":
      return ["pkttype", `${bang}--pkt-type ${condition.type}`];
    case "rpfilter":
      return [
        "rpfilter",
        [...condition.options.map((option) => `--${option}`), ...(condition.not ? ["--invert"] : [])].join(" "),
      ];
    case "socket":
      return ["socket", condition.options.map((option) => `--${option}`).join(" ")];
    case "owner":
      return ["owner", `${bang}${condition.options}`];
    case "comment":
      return ["comment", `--comment ${quoted(condition.comment)}`];
    case "counter":
      return ["nfacct", `--nfacct-name  ${quoted(condition.name)}`];
    case "bare":
      return [condition.match, ""];
    case "unknown":
      return [condition.match, condition.text];
  }
}

function printedRecent(condition: Condition & { readonly is: "recent" }, bang: string): string {
  const action = { set: "--set", check: "--rcheck", update: "--update", remove: "--remove" }[condition.action];
  return [
    `${bang}${action}`,
    ...(condition.seconds === undefined ? [] : [`--seconds ${condition.seconds}`]),
    ...(condition.reap ? ["--reap"] : []),
    ...(condition.hits === undefined ? [] : [`--hitcount ${condition.hits}`]),
    ...(condition.ttl ? ["--rttl"] : []),
    `--name ${condition.list}`,
    ...(condition.mask === undefined ? [] : [`--mask ${condition.mask}`]),
    ...(condition.side === undefined ? [] : [condition.side === "source" ? "--rsource" : "--rdest"]),
  ].join(" ");
}

const randomness = (target: { readonly random?: true; readonly fully?: true; readonly persistent?: true }): string =>
  (target.fully ? " --random-fully" : target.random ? " --random" : "") + (target.persistent ? " --persistent" : "");

function printedTarget(target: Target): string {
  switch (target.does) {
    case "accept":
    case "drop":
    case "return":
      return ` -j ${target.does.toUpperCase()}`;
    case "notrack":
      return target.via === "NOTRACK" ? " -j NOTRACK" : " -j CT --notrack";
    case "jump":
      return ` -j ${target.chain}`;
    case "goto":
      return ` -g ${target.chain}`;
    case "dnat":
      return ` -j DNAT --to-destination ${target.to}${randomness(target)}`;
    case "snat":
      return ` -j SNAT --to-source ${target.to}${randomness(target)}`;
    case "redirect":
      return ` -j REDIRECT${target.to === "" ? "" : ` --to-ports ${target.to}`}${randomness(target)}`;
    case "masquerade":
      return ` -j MASQUERADE${target.ports === undefined ? "" : ` --to-ports ${target.ports}`}${randomness(target)}`;
    case "reject":
      return ` -j REJECT --reject-with ${target.with}`;
    case "set-mark":
      return ` -j MARK --set-xmark ${hex(target.value)}/${hex(target.mask)}`;
    case "connmark":
      if (target.operation === "set") return ` -j CONNMARK --set-xmark ${hex(target.value ?? 0)}/${hex(target.mask)}`;
      return ` -j CONNMARK --${target.operation}-mark --nfmask ${hex(target.packetMask ?? target.mask)} --ctmask ${hex(target.mask)}`;
    case "tproxy":
      return ` -j TPROXY --on-port ${target.port} --on-ip ${target.address} --tproxy-mark ${hex(target.value)}/${hex(target.mask)}`;
    case "nothing":
      if (target.name === "") return "";
      return ` -j ${target.name}${target.text ? ` ${target.text}` : ""}`;
    case "unknown":
      if (target.name === "") return ` ${target.text}`;
      return ` -j ${target.name}${target.text ? ` ${target.text}` : ""}`;
  }
}

/** What stands after `-A CHAIN`, with a space before it. */
function printedBody({ conditions, target }: Rule): string {
  const named = conditions.find((condition) => condition.is === "protocol");
  const protocol = named?.is === "protocol" ? named.protocol : "tcp";
  let out = "";
  for (let i = 0; i < conditions.length; i++) {
    const condition = conditions[i]!;
    const [match, option] = printedCondition(condition, protocol);
    if (match !== "" && !condition.sameMatch) out += ` -m ${match}`;
    if (option !== "") out += ` ${option}`;
    // --limit-iface-in and -out belong to all types of their match and are printed last.
    if (condition.is === "address-type" && condition.limitIface && !conditions[i + 1]?.sameMatch) {
      out += ` --limit-iface-${condition.limitIface}`;
    }
  }
  return out + printedTarget(target);
}

/** One rule as iptables-save prints it, without line end. */
export function printIptablesRule(chain: string, rule: Rule): string {
  const counters = rule.packets === undefined ? "" : `[${rule.packets}:${rule.bytes ?? 0}] `;
  return `${counters}-A ${chain}${printedBody(rule)}`;
}

export function printIptablesSave(save: IptablesSave): string {
  const lines: string[] = (save.warnings ?? []).map((warning) => `# ${warning}`);
  for (const table of save.tables) {
    const backend = table.backend ?? save.backend;
    const program = `${save.family === 6 ? "ip6tables" : "iptables"}-save`;
    const on = save.on === undefined ? "" : ` on ${save.on}`;
    if (save.version !== undefined) {
      lines.push(`# Generated by ${program} v${save.version}${backend === "nf_tables" ? " (nf_tables)" : ""}${on}`);
    }
    lines.push(`*${table.name}`);
    for (const { name, policy = "-", packets = 0, bytes = 0 } of table.chains) {
      lines.push(`:${name} ${policy} [${packets}:${bytes}]`);
    }
    for (const chain of table.chains) {
      for (const rule of chain.rules) lines.push(printIptablesRule(chain.name, rule));
    }
    if (table.complete) lines.push("COMMIT");
    if (table.complete && save.on !== undefined) lines.push(`# Completed${on}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}
