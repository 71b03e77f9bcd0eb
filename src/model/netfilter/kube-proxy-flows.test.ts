/**
 * Where kube-proxy's own tests say that packets go, in iptables and in nftables mode: rule sets that kube-proxy generated
 * (those of nftables as the kernel lists them), and for each some packets with the outcome that upstream asserts
 * (testing/semantics/NOTICE.txt).
 *
 * Upstream's words: `output` lists the endpoints that a packet can come to, or is DROP, REJECT, ACCEPT, or empty where
 * kube-proxy leaves the packet alone; `masq` says that it is masqueraded.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { formatIp, parseIp } from "../../net/ip.ts";
import { parseIptablesSave } from "../../parse/iptables/save.ts";
import { parseNft } from "../../parse/nftables/json.ts";
import { addressesOf } from "./addresses.ts";
import type { Context } from "./condition.ts";
import { hook } from "./hooks.ts";
import { nftRulesets } from "./nftables.ts";
import type { Outcome } from "./outcome.ts";
import type { Packet } from "./packet.ts";
import { iptablesRulesets, type Ruleset } from "./ruleset.ts";

type Flow = {
  readonly name: string;
  readonly sourceIP: string;
  readonly protocol: string;
  readonly destIP: string;
  readonly destPort: number;
  readonly output: string;
  readonly masq: boolean;
};
type RecordedRules = {
  readonly id: string;
  readonly nodeIPs: readonly string[];
  /** Of iptables mode: what iptables-save prints. */
  readonly rules: string;
  /** Of nftables mode: what `nft -j list ruleset` prints. */
  readonly nft?: unknown;
  readonly flows: readonly Flow[];
};

const read = (name: string): Buffer => readFileSync(new URL(`../../../testing/semantics/${name}`, import.meta.url));
const records = [
  read("kube-proxy-iptables-flows.jsonl"),
  gunzipSync(read("kube-proxy-nftables-flows.jsonl.gz")),
].flatMap((text) =>
  text
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line): RecordedRules => JSON.parse(line)),
);

/** Upstream's fake iptables prints comments without quotation marks; the real one always has them. */
const quoteComments = (rules: string): string =>
  rules.replace(/--comment ([^"].*?)(?= -[a-zA-Z] | ! -|$)/gm, (_, comment) => `--comment "${comment}"`);

function rulesets({ rules, nft }: RecordedRules, family: 4 | 6): readonly Ruleset[] {
  if (nft !== undefined) {
    const { value, gaps } = parseNft(JSON.stringify(nft));
    expect(gaps).toEqual([]);
    return nftRulesets(value);
  }
  const { value, gaps } = parseIptablesSave(quoteComments(rules.trimStart()));
  expect(gaps).toEqual([]);
  return iptablesRulesets(value, family);
}

const only = (outcomes: readonly Outcome[], verdict: string): readonly Outcome[] =>
  outcomes.filter((outcome) => outcome.verdict.is === verdict);

/** The whole way of a packet through the node, put into upstream's words. */
function walk(
  rules: readonly Ruleset[],
  packet: Packet,
  context: Context,
  nodeIPs: readonly string[],
): Pick<Flow, "output" | "masq"> {
  const isOfNode = (one: Packet, side: "source" | "destination"): boolean =>
    one[side] !== "unknown" && nodeIPs.includes(formatIp(one[side]));
  const isSent = isOfNode(packet, "source");
  const routed = hook(rules, isSent ? "output" : "prerouting", packet, context);
  const filtered = only(routed, "accept").flatMap((outcome) => {
    if (isOfNode(outcome.packet, "destination")) return hook(rules, "input", outcome.packet, context);
    return isSent ? [outcome] : hook(rules, "forward", outcome.packet, context);
  });
  for (const [verdict, output] of [
    ["drop", "DROP"],
    ["reject", "REJECT"],
  ] as const) {
    if (only([...routed, ...filtered], verdict).length > 0) return { output, masq: false };
  }
  const sent = filtered.flatMap((outcome) =>
    isOfNode(outcome.packet, "destination") ? [outcome] : hook(rules, "postrouting", outcome.packet, context),
  );
  for (const outcome of [...routed, ...filtered, ...sent]) expect(outcome.verdict.is).toBe("accept");
  const endpoints = sent
    .filter((outcome) => outcome.packet.dnatted)
    .map(({ packet: { destination, destinationPort } }) => {
      const address = destination === "unknown" ? destination : formatIp(destination);
      return `${address.includes(":") ? `[${address}]` : address}:${destinationPort}`;
    });
  const isAcceptedByRule = filtered.some(({ rules: steps }) =>
    steps.some(({ table, rule }) => table === "filter" && rule?.target.does === "accept"),
  );
  return {
    output: endpoints.length > 0 ? endpoints.sort().join(", ") : isAcceptedByRule ? "ACCEPT" : "",
    masq: sent.some(({ packet: { source } }) => source === "unknown"),
  };
}

describe.each(records)("$id", (record) => {
  const { flows, nodeIPs } = record;
  it.each(flows)("$name", ({ sourceIP, protocol, destIP, destPort, output, masq }) => {
    const source = parseIp(sourceIP)!;
    const context: Context = {
      addresses: addressesOf(nodeIPs.map((ip) => ({ ip: parseIp(ip)! }))),
      ipsets: new Map(),
    };
    const packet: Packet = {
      family: source.family,
      protocol: protocol.toLowerCase(),
      source,
      destination: parseIp(destIP)!,
      sourcePort: 40000,
      destinationPort: destPort,
      mark: 0,
      ctState: "new",
    };
    const sorted = output.split(", ").sort().join(", ");
    expect(walk(rulesets(record, source.family), packet, context, nodeIPs)).toEqual({ output: sorted, masq });
  });
});
