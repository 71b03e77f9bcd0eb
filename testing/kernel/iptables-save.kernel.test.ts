/**
 * Our parser and printer against iptables itself: generated rule sets are loaded into the kernel and saved, parsed,
 * printed, loaded and saved again. Both saves must be the same, and so must be what we print.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { printIptablesSave } from "../../src/parse/iptables/print.ts";
import { parseIptablesSave } from "../../src/parse/iptables/save.ts";
import { seededRandom } from "../random.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace } from "./namespaces.ts";

const CASES = process.env.NETWHY_LONG ? 2000 : 12;
const RULES_PER_CHAIN = 8;

type Random = ReturnType<typeof seededRandom>;

const TABLES = {
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  raw: ["PREROUTING", "OUTPUT"],
};
type TableName = keyof typeof TABLES;
const OWN_CHAINS = ["KUBE-SERVICES", "cali-fw-x", "A"];

function address(random: Random, family: 4 | 6): string {
  const any = random.below(65536);
  if (family === 6)
    return `${random.pick(["fd00", "2001", "64"])}:${any.toString(16)}::/${random.pick([16, 32, 64, 128])}`;
  return `10.${any >> 8}.${any & 255}.0/${random.pick([8, 13, 24, 32])}`;
}

function words(random: Random): string {
  const text = Array.from({ length: 1 + random.below(20) }, () => random.pick([..."aZ09-_ :/.,'\\\"→é!"])).join("");
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

const ports = (random: Random): string => {
  const from = random.below(60000);
  return random.chance(0.5) ? `${from}` : `${from}:${from + random.below(5000)}`;
};
const u32 = (random: Random): string => `0x${(random.below(65536) * 65536 + random.below(65536)).toString(16)}`;
const bang = (random: Random): string => (random.chance(0.3) ? "! " : "");

/** Matches that need a protocol come with it: some words for iptables-restore. */
function conditions(random: Random, family: 4 | 6, chain: string): string {
  const out: string[] = [];
  if (random.chance(0.4)) out.push(`${bang(random)}-s ${address(random, family)}`);
  if (random.chance(0.4)) out.push(`${bang(random)}-d ${address(random, family)}`);
  if (["PREROUTING", "INPUT", "FORWARD"].includes(chain) && random.chance(0.3)) {
    out.push(`${bang(random)}-i ${random.pick(["eth0", "cali+", "vxlan.calico"])}`);
  }
  if (["POSTROUTING", "OUTPUT", "FORWARD"].includes(chain) && random.chance(0.3)) out.push("-o cni+");
  const protocol = random.pick(["", "", "tcp", "udp", "sctp", "icmp", "ipencap"]);
  if (protocol === "icmp") {
    const [name, match] = family === 4 ? ["icmp", "icmp --icmp-type"] : ["ipv6-icmp", "icmp6 --icmpv6-type"];
    out.push(`-p ${name} -m ${match} ${random.pick(family === 4 ? ["8", "3/4", "0"] : ["128", "1/4", "133"])}`);
  } else if (protocol !== "") {
    out.push(`${protocol === "ipencap" ? bang(random) : ""}-p ${protocol}`);
  }
  const hasPorts = ["tcp", "udp", "sctp"].includes(protocol);
  if (hasPorts && random.chance(0.3)) out.push(`-m ${protocol}`);
  else if (hasPorts && random.chance(0.6)) {
    out.push(
      `-m ${protocol} ${bang(random)}--dport ${ports(random)}${random.chance(0.3) ? ` --sport ${ports(random)}` : ""}`,
    );
  }
  if (hasPorts && random.chance(0.2)) out.push(`-m multiport ${bang(random)}--dports ${random.below(100)},1000:2000`);
  if (hasPorts && random.chance(0.1)) out.push(`-m multiport --${random.pick(["ports", "sports"])} 53`);
  if (protocol === "tcp" && random.chance(0.2))
    out.push(`-m tcp ${bang(random)}--tcp-flags SYN,ACK,RST ${random.pick(["SYN", "NONE"])}`);
  const others: (() => string)[] = [
    () => `-m comment --comment ${words(random)}`,
    () => `-m comment --comment ${words(random)}`,
    () =>
      `-m conntrack ${bang(random)}--ctstate ${random.pick(["NEW", "RELATED,ESTABLISHED", "INVALID", "DNAT,SNAT", "UNTRACKED"])}`,
    () => "-m conntrack --ctproto 6 --ctdir ORIGINAL",
    () => `-m state --state ${random.pick(["NEW", "ESTABLISHED"])}`,
    () => `-m mark ${bang(random)}--mark ${u32(random)}${random.chance(0.5) ? `/${u32(random)}` : ""}`,
    () => `-m connmark ${bang(random)}--mark ${u32(random)}/${u32(random)}`,
    () => `-m addrtype ${bang(random)}--src-type LOCAL --dst-type ${random.pick(["LOCAL", "UNICAST,MULTICAST"])}`,
    () => `-m statistic --mode random ${bang(random)}--probability ${(random.below(1000) / 1000).toFixed(10)}`,
    () => `-m statistic --mode nth ${bang(random)}--every ${2 + random.below(5)} --packet ${random.below(2)}`,
    () =>
      `-m limit --limit ${random.pick(["10/min", "3/hour", "5/sec"])}${random.chance(0.5) ? " --limit-burst 10" : ""}`,
    () => `-m recent ${bang(random)}--set --name KUBE-SEP-X`,
    () => "-m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-X",
    () => "-m recent --update --seconds 30 --hitcount 6 --name x --rdest",
    () => `-m physdev ${bang(random)}--physdev-is-bridged`,
    () => `-m length --length 5:${10 + random.below(100)}`,
    () => "-m pkttype --pkt-type multicast",
    () =>
      `-m set ${bang(random)}--match-set ${family === 4 ? "nw-kt-4" : "nw-kt-6"} ${random.pick(["src", "dst", "src,dst"])}`,
    () => "-m socket --transparent",
  ];
  const isSocket = chain === "PREROUTING" || chain === "INPUT";
  for (let n = random.below(3); n > 0; n--) {
    const other = random.pick(others)();
    if (!other.includes("socket") || isSocket) out.push(other);
  }
  if (chain === "OUTPUT" && random.chance(0.2)) out.push(`-m owner ${bang(random)}--uid-owner ${random.below(1000)}`);
  return out.join(" ");
}

function target(random: Random, family: 4 | 6, table: TableName, chain: string, later: readonly string[]): string {
  const to = (port: string): string =>
    family === 4 ? `10.0.0.${random.below(255)}${port}` : `fd00::${random.below(999)}`;
  const choices = [
    "ACCEPT",
    table === "nat" ? "ACCEPT" : "DROP",
    "RETURN",
    'LOG --log-prefix "[UFW BLOCK] "',
    "NFLOG --nflog-group 100",
    "",
  ];
  choices.push(`MARK --set-xmark ${u32(random)}/${u32(random)}`, `MARK --or-mark ${u32(random)}`);
  choices.push(
    `CONNMARK --${random.pick(["save", "restore"])}-mark --nfmask 0xf --ctmask ${random.pick(["0xf", "0xff"])}`,
  );
  choices.push(`CONNMARK --set-xmark ${u32(random)}/${u32(random)}`, "NFQUEUE --queue-num 5");
  for (const one of later) choices.push(one, one);
  if (table === "filter") {
    choices.push("REJECT", `REJECT --reject-with ${family === 4 ? "icmp-host-prohibited" : "icmp6-adm-prohibited"}`);
  }
  if (table === "raw") choices.push("NOTRACK", "CT --notrack");
  if (table === "nat" && chain === "POSTROUTING") {
    choices.push(`SNAT --to-source ${to("")}`, "MASQUERADE", "MASQUERADE --random-fully", "MASQUERADE --random");
    choices.push(`SNAT --to-source ${to("")} --random-fully --persistent`);
  }
  if (table === "nat" && (chain === "PREROUTING" || chain === "OUTPUT")) {
    choices.push(`DNAT --to-destination ${to("")}`, `DNAT --to-destination ${to("")} --random`, "REDIRECT");
  }
  const chosen = random.pick(choices);
  return chosen === "" ? "" : ` -${later.includes(chosen) && random.chance(0.3) ? "g" : "j"} ${chosen}`;
}

function ruleSet(random: Random, family: 4 | 6): string {
  const lines: string[] = [];
  for (const [table, hooks] of Object.entries(TABLES) as [TableName, readonly string[]][]) {
    lines.push(`*${table}`);
    for (const hook of hooks) {
      lines.push(
        `:${hook} ${table === "nat" ? "ACCEPT" : random.pick(["ACCEPT", "DROP"])} [${random.below(1e6)}:${random.below(1e9)}]`,
      );
    }
    for (const chain of OWN_CHAINS) lines.push(`:${chain} - [0:0]`);
    for (const [index, chain] of [...hooks, ...OWN_CHAINS].entries()) {
      const later = OWN_CHAINS.slice(Math.max(0, index - hooks.length + 1));
      for (let n = random.below(RULES_PER_CHAIN); n > 0; n--) {
        const counters = `[${random.below(1e6)}:${random.below(2 ** 40)}]`;
        const does = target(random, family, table, chain, index < hooks.length ? OWN_CHAINS : later);
        lines.push(`${counters} -A ${chain} ${conditions(random, family, chain)}${does}`);
      }
    }
    lines.push("COMMIT");
  }
  return `${lines.join("\n")}\n`;
}

const rulesOnly = (text: string): string[] => text.split("\n").filter((line) => !line.startsWith("#"));

describe.skipIf(!canAsk("iptables-nft-restore", "iptables-legacy-restore", "ipset"))("iptables itself", () => {
  let namespace = "";
  beforeAll(() => {
    namespace = addNamespace();
    inNamespace(
      namespace,
      ["ipset", "restore"],
      "create nw-kt-4 hash:ip,port\ncreate nw-kt-6 hash:ip,port family inet6\n",
    );
  });
  afterAll(() => deleteNamespace(namespace));

  describe.each([
    ["iptables-nft", 4],
    ["iptables-legacy", 4],
    ["ip6tables-nft", 6],
    ["ip6tables-legacy", 6],
  ] as const)("%s", (program, family) => {
    const load = (text: string): void => void inNamespace(namespace, [`${program}-restore`, "-c"], text);
    const saved = (): string => inNamespace(namespace, [`${program}-save`, "-c"]);

    it.each(Array.from({ length: CASES }, (_, seed) => seed))("prints what we print (seed %i)", (seed) => {
      load(ruleSet(seededRandom(seed * 4 + family), family));
      const first = saved();
      const { value, gaps } = parseIptablesSave(first);
      expect(gaps).toEqual([]);
      expect(value.backend).toBe(program.endsWith("nft") ? "nf_tables" : "legacy");
      expect(value.family).toBe(family);
      const printed = printIptablesSave(value);
      expect(rulesOnly(printed)).toEqual(rulesOnly(first));
      load(printed);
      expect(rulesOnly(saved())).toEqual(rulesOnly(first));
    });
  });
});
