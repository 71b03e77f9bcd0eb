/** Random rule sets for the router of three-hosts.ts: small, and about the addresses and ports that are really used. */
import type { Ipset } from "../../src/parse/ipset.ts";
import type { seededRandom } from "../random.ts";
import { ADDRESSES, type Family } from "./three-hosts.ts";

export type Random = ReturnType<typeof seededRandom>;

export const PORTS = [53, 80, 443, 8080];
const USER_CHAINS = ["A", "B", "C"];
const HOOKS = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
} as const;
type TableName = keyof typeof HOOKS;

const not = (random: Random): string => (random.chance(0.2) ? "! " : "");

/** Whether a rule set may leave things to chance. Of one that does not we say what every rule counts. */
export type Manner = "chance" | "certain";

function conditions(random: Random, family: Family, table: TableName, chain: string, manner: Manner): string {
  const { client, near, far, servers, virtual, clientNet, serverNet, virtualNet } = ADDRESSES[family];
  const out: string[] = [];
  const any = [client, near, far, ...servers, ...virtual, clientNet, serverNet, virtualNet];
  if (random.chance(0.25)) out.push(`${not(random)}-s ${random.pick([client, clientNet, serverNet, far])}`);
  if (random.chance(0.4)) out.push(`${not(random)}-d ${random.pick(any)}`);
  const isUser = USER_CHAINS.includes(chain);
  const seesIn = isUser || ["PREROUTING", "INPUT", "FORWARD"].includes(chain);
  const seesOut = isUser || ["POSTROUTING", "OUTPUT", "FORWARD"].includes(chain);
  if (seesIn && random.chance(0.15)) out.push(`${not(random)}-i ${random.pick(["rc", "rs", "r+", "lo"])}`);
  if (seesOut && random.chance(0.15)) out.push(`${not(random)}-o ${random.pick(["rc", "rs", "r+", "lo"])}`);
  const icmp = family === 4 ? "icmp" : "ipv6-icmp";
  const protocol = random.pick(["", "", "tcp", "udp", icmp]);
  if (protocol !== "") out.push(`${protocol === icmp ? not(random) : ""}-p ${protocol}`);
  const hasNot = out.at(-1)?.startsWith("! ") ?? false;
  if (protocol === icmp && !hasNot && random.chance(0.5)) {
    out.push(
      family === 4
        ? `-m icmp ${not(random)}--icmp-type ${random.pick([8, 0])}`
        : `-m icmp6 ${not(random)}--icmpv6-type ${random.pick([128, 129])}`,
    );
  }
  if ((protocol === "tcp" || protocol === "udp") && random.chance(0.5)) {
    const port = random.pick(PORTS);
    out.push(
      random.pick([
        `-m ${protocol} ${not(random)}--dport ${port}`,
        `-m ${protocol} --dport 53:${port + 10}`,
        `-m multiport ${not(random)}--dports ${port},${random.pick(PORTS)}`,
        `-m multiport ${not(random)}--ports ${port},8080:9000`,
        `-m ${protocol} ${not(random)}--sport 1024:65535`,
        `-m multiport ${not(random)}--sports 1024:30000,30002:65535`,
        `-m multiport ${not(random)}--dports 50:60,${port}`,
      ]),
    );
  }
  if (protocol === "tcp" && random.chance(0.2))
    out.push(`-m tcp ${not(random)}--tcp-flags FIN,SYN,RST,ACK ${random.pick(["SYN", "ACK", "SYN,ACK"])}`);
  const states = (): string => random.pick(["", "", "--ctstate NEW,INVALID ", "! --ctstate ESTABLISHED "]);
  const others: (() => string)[] = [
    () => '-m comment --comment "no matter"',
    () =>
      `-m conntrack ${not(random)}--ctstate ${random.pick(["NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "DNAT", "SNAT", "UNTRACKED", "NEW,DNAT"])}`,
    () => `-m mark ${not(random)}--mark ${random.pick(["0x1/0x1", "0x2/0x2", "0x3", "0x0/0x1", "0x4/0x6"])}`,
    () => `-m mark ${not(random)}--mark ${random.pick(["0x1/0x1", "0x2/0x2", "0x3", "0x0/0x1", "0x4/0x6"])}`,
    () => `-m connmark ${not(random)}--mark ${random.pick(["0x1/0x1", "0x0", "0x2/0x3"])}`,
    () =>
      `-m addrtype ${not(random)}--${random.pick(["src", "dst"])}-type ${random.pick(["LOCAL", "UNICAST", "LOCAL"])}`,
    () =>
      `-m set ${not(random)}--match-set nwkt${random.pick(["-ip", "-port", "-net"])}${family} ${random.pick(["dst,dst", "src,dst", "dst,src"])}`,
    () => `-m statistic --mode random ${not(random)}--probability ${random.pick(["0.0", "1.0"])}`,
    () => "-m statistic --mode nth --every 1 --packet 0",
    () => `-m recent ${not(random)}--set --name nwkt`,
    // is-out is refused where locally made packets may pass
    () => `-m physdev ${not(random)}--physdev-is-${random.pick(["bridged", "in", chain === "FORWARD" ? "out" : "in"])}`,
    () => `-m iprange ${not(random)}--src-range ${random.pick([`${client}-${client}`, `${near}-${client}`])}`,
    () =>
      `-m iprange ${not(random)}--dst-range ${random.pick([`${servers[0]}-${servers[1]}`, `${virtual[0]}-${virtual[1]}`])}`,
    () => `-m conntrack ${states()}--ctdir ${random.pick(["ORIGINAL", "REPLY"])}`,
    () => `-m conntrack ${states()}${not(random)}--ctorigdst ${random.pick([...virtual, ...servers, serverNet])}`,
    () => `-m conntrack ${states()}${not(random)}--ctorigsrc ${random.pick([client, clientNet, far])}`,
    () => `-m conntrack ${states()}${not(random)}--ctorigdstport ${random.pick(PORTS)}`,
    ...(seesIn && !isUser
      ? [() => `-m pkttype ${not(random)}--pkt-type ${random.pick(["unicast", "broadcast"])}`]
      : []),
    ...(["PREROUTING", "INPUT"].includes(chain)
      ? [() => `-m addrtype ${not(random)}--dst-type LOCAL --limit-iface-in`]
      : []),
    ...(["POSTROUTING", "OUTPUT"].includes(chain)
      ? [() => `-m addrtype ${not(random)}--src-type LOCAL --limit-iface-out`]
      : []),
    () => `-m addrtype ${not(random)}--dst-type ${random.pick(["MULTICAST", "LOCAL,UNICAST", "UNICAST,MULTICAST"])}`,
    () =>
      `-m set ${not(random)}--match-set nwkt${random.pick(["-mixed", "-all"])}${family} ${random.pick(["src,dst", "dst,src"])}`,
    () =>
      `-m set ${not(random)}--match-set nwkt${random.pick(["-triple", "-two"])}${family} ${random.pick(["src,dst,dst", "dst,dst,src"])}`,
    () => `-m set --match-set nwkt-net${family} ${random.pick(["src", "dst"])} --return-nomatch`,
  ];
  const byChance = [
    () => "-m statistic --mode random --probability 0.5000000000",
    () => "-m statistic --mode nth --every 2 --packet 1",
    () => "-m limit --limit 1/min --limit-burst 3",
    () => `-m recent ${not(random)}--${random.pick(["rcheck", "update", "remove"])} --name nwkt`,
  ];
  if (manner === "chance") others.push(...byChance);
  for (let n = random.pick([0, 0, 1, 1, 1, 2]); n > 0; n--) out.push(random.pick(others)());
  if (table === "raw") return out.filter((one) => !one.includes("DNAT") && !one.includes("SNAT")).join(" ");
  return out.join(" ");
}

function target(
  random: Random,
  family: Family,
  table: TableName,
  chain: string,
  later: readonly string[],
  manner: Manner,
): string {
  const { servers, near, far, virtual } = ADDRESSES[family];
  const to = (address: string, port: number): string => (family === 4 ? `${address}:${port}` : `[${address}]:${port}`);
  const marks = [
    "--set-xmark 0x1/0x1",
    "--set-xmark 0x2/0x2",
    "--set-xmark 0x0/0x1",
    "--set-xmark 0x3/0xffffffff",
    "--xor-mark 0x4",
  ];
  const choices: string[] = [
    "RETURN",
    "RETURN",
    "ACCEPT",
    `MARK ${random.pick(marks)}`,
    `MARK ${random.pick(marks)}`,
    "",
  ];
  if (table !== "raw")
    choices.push(
      `CONNMARK ${random.pick(["--set-xmark 0x1/0x3", "--save-mark", "--restore-mark", "--restore-mark --nfmask 0x2 --ctmask 0x3", "--save-mark --nfmask 0x3 --ctmask 0x6", "--and-mark 0x5", "--xor-mark 0x3"])}`,
    );
  if (table === "filter" || (table !== "nat" && random.chance(0.4))) choices.push("DROP");
  for (const one of later) choices.push(one, one, one);
  if (table === "raw") choices.push("CT --notrack");
  if (table === "filter") {
    const kinds =
      family === 4
        ? ["icmp-port-unreachable", "icmp-host-prohibited", "icmp-net-unreachable"]
        : ["icmp6-port-unreachable", "icmp6-adm-prohibited"];
    for (const kind of kinds) choices.push(`REJECT --reject-with ${kind}`);
    choices.push("-p tcp -j REJECT --reject-with tcp-reset", "-p tcp -j REJECT --reject-with tcp-reset");
  }
  if (table === "nat" && (chain === "PREROUTING" || chain === "OUTPUT" || (chain === "A" && later.length >= 0))) {
    const address = random.pick([...servers, ...servers, near, far, ...virtual]);
    choices.push(`DNAT --to-destination ${address}`, `DNAT --to-destination ${address}`);
    choices.push(
      `-p tcp -j DNAT --to-destination ${to(address, random.pick(PORTS))}`,
      `-p udp -j DNAT --to-destination ${to(address, random.pick(PORTS))}`,
    );
    choices.push("REDIRECT", "-p udp -j REDIRECT --to-ports 8080");
    if (manner === "chance")
      choices.push("-p udp -j REDIRECT --to-ports 8080-8090", `-p tcp -j DNAT --to-destination ${to(address, 80)}-90`);
    if (manner === "chance") choices.push(`-p tcp -j DNAT --to-destination ${to(`${servers[0]}-${servers[1]}`, 80)}`);
  }
  if (table === "nat" && chain === "POSTROUTING")
    choices.push(`SNAT --to-source ${random.pick([near, far])}`, "MASQUERADE", "MASQUERADE");
  const chosen = random.pick(choices);
  if (chosen === "") return "";
  if (chosen.startsWith("-p")) return ` ${chosen}`;
  return ` -${later.includes(chosen) && random.chance(0.3) ? "g" : "j"} ${chosen}`;
}

export function ruleSet(random: Random, family: Family, manner: Manner): string {
  const lines: string[] = [];
  for (const [table, hooks] of Object.entries(HOOKS) as [TableName, readonly string[]][]) {
    lines.push(`*${table}`);
    const canDrop = table === "filter" || table === "mangle";
    const rules: string[] = [];
    for (const chain of hooks) {
      // The router's own refusals must get out: of what it sends only packets as ours are looked at.
      const isOutward = chain === "OUTPUT" || chain === "POSTROUTING";
      lines.push(
        `:${chain} ${canDrop && !isOutward && random.chance(table === "filter" ? 0.15 : 0.03) ? "DROP" : "ACCEPT"} [0:0]`,
      );
      if (isOutward) lines.push(`:${chain}-SENT - [0:0]`);
      const callable =
        table === "nat" ? (chain === "PREROUTING" || chain === "OUTPUT" ? USER_CHAINS : []) : USER_CHAINS;
      if (isOutward) {
        const echo = family === 4 ? "-p icmp -m icmp --icmp-type" : "-p ipv6-icmp -m icmp6 --icmpv6-type";
        const kinds = [
          "-p udp",
          "-p tcp -m tcp ! --tcp-flags RST RST",
          ...(family === 4 ? [8, 0] : [128, 129]).map((type) => `${echo} ${type}`),
        ];
        rules.push(...kinds.map((kind) => `-A ${chain} ${kind} -j ${chain}-SENT`));
      }
      for (let n = random.below(5); n > 0; n--) {
        const words = conditions(random, family, table, chain, manner);
        const does = target(random, family, table, chain, callable, manner);
        if (words.includes("-p ") && does.startsWith(" -p")) continue;
        rules.push(`-A ${chain}${isOutward ? "-SENT" : ""} ${words}${does}`);
      }
    }
    for (const [index, chain] of USER_CHAINS.entries()) {
      lines.push(`:${chain} - [0:0]`);
      for (let n = random.below(5); n > 0; n--) {
        const words = conditions(random, family, table, chain, manner);
        const does = target(random, family, table, chain, USER_CHAINS.slice(index + 1), manner);
        if (words.includes("-p ") && does.startsWith(" -p")) continue;
        rules.push(`-A ${chain} ${words}${does}`);
      }
    }
    lines.push(...rules, "COMMIT");
  }
  return `${lines.join("\n")}\n`;
}

const ipset = (name: string, type: string, family: Family, entries: readonly string[]): Ipset => ({
  name,
  type,
  family: family === 4 ? "inet" : "inet6",
  entries: entries.map((entry) => ({ value: entry.replace(" nomatch", ""), nomatch: entry.endsWith(" nomatch") })),
  line: 1,
});

export const IPSETS: readonly Ipset[] = ([4, 6] as const).flatMap((family) => {
  const { client, servers, virtual, clientNet, serverNet, virtualNet } = ADDRESSES[family];
  return [
    ipset(`nwkt-ip${family}`, "hash:ip", family, [client, servers[0]!, virtual[0]!]),
    ipset(`nwkt-port${family}`, "hash:ip,port", family, [
      `${servers[1]},tcp:80`,
      `${virtual[0]},udp:53`,
      `${virtual[1]},tcp:443`,
    ]),
    ipset(`nwkt-two${family}`, "hash:ip,port,ip", family, [
      `${client},tcp:80,${servers[0]}`,
      `${client},udp:53,${virtual[0]}`,
    ]),
    ipset(`nwkt-mixed${family}`, "hash:net,port", family, [
      `${clientNet},tcp:80`,
      `${client},tcp:80 nomatch`,
      `${virtualNet},udp:53`,
      `${serverNet},tcp:443`,
    ]),
    ipset(`nwkt-triple${family}`, "hash:ip,port,net", family, [
      `${client},tcp:80,${serverNet}`,
      `${client},udp:53,${virtualNet}`,
      `${servers[0]},tcp:443,${clientNet}`,
    ]),
    ipset(`nwkt-net${family}`, "hash:net", family, [serverNet, `${servers[1]} nomatch`, virtualNet]),
    ipset(`nwkt-all${family}`, "list:set", family, [`nwkt-net${family}`, `nwkt-port${family}`]),
  ];
});

export const EMPTY = `${Object.entries(HOOKS)
  .map(([table, hooks]) => `*${table}\n${hooks.map((chain) => `:${chain} ACCEPT [0:0]\n`).join("")}COMMIT`)
  .join("\n")}\n`;
