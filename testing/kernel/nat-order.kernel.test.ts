/**
 * Two rule sets that translate the same address, in the kernel: the one whose chain was registered last is asked first, and
 * what it translates the other does not see. So a second set of kube-proxy's rules can decide (`service-rules-duplicate`),
 * and what was listed does not tell whether it does.
 */
import { describe, expect, it } from "vitest";
import { hook } from "../../src/model/netfilter/hooks.ts";
import { nftRulesets } from "../../src/model/netfilter/nftables.ts";
import { iptablesRulesets } from "../../src/model/netfilter/ruleset.ts";
import { formatIp, parseIp } from "../../src/net/ip.ts";
import { parseIptablesSave } from "../../src/parse/iptables/save.ts";
import { parseNft } from "../../src/parse/nftables/json.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace } from "./namespaces.ts";
import { PYTHON } from "./three-hosts.ts";

const SERVICE = "10.96.0.1";
const TARGETS = { "iptables-nft": "127.0.0.11", "iptables-legacy": "127.0.0.12", nft: "127.0.0.13" } as const;
type Tool = keyof typeof TARGETS;
const TOOLS = Object.keys(TARGETS) as Tool[];

const SENDS = `
import socket
there = {address: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for address in ${JSON.stringify(Object.values(TARGETS))}}
for address, one in there.items():
    one.bind((address, 53)); one.settimeout(0.3)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("${SERVICE}", 53))
for address, one in there.items():
    try: one.recv(9); print(address)
    except TimeoutError: pass
`;

function translate(namespace: string, tool: Tool): void {
  const to = TARGETS[tool];
  if (tool === "nft") {
    const chain = "chain ip kube-proxy nat-output";
    const lines = [
      "add table ip kube-proxy",
      `add ${chain} { type nat hook output priority -100; }`,
      `add rule ip kube-proxy nat-output ip daddr ${SERVICE} udp dport 53 dnat to ${to}`,
    ];
    return void inNamespace(namespace, ["nft", "-f", "-"], `${lines.join("\n")}\n`);
  }
  const rule = `-t nat -A OUTPUT -d ${SERVICE}/32 -p udp -j DNAT --to-destination ${to}`;
  inNamespace(namespace, [tool, ...rule.split(" ")]);
}

/** Where the rules of both send the packet, as we read them. */
function foretold(namespace: string, tools: readonly Tool[]): readonly string[] {
  const rulesets = tools.flatMap((tool) =>
    tool === "nft"
      ? nftRulesets(
          parseNft(inNamespace(namespace, ["nft", "-j", "list", "ruleset"])).value,
          ({ name }) => name === "nat",
        )
      : iptablesRulesets(parseIptablesSave(inNamespace(namespace, [`${tool}-save`])).value, 4),
  );
  const packet = {
    ...({ family: 4, protocol: "udp", mark: 0, ctState: "new" } as const),
    ...{ source: parseIp("127.0.0.1")!, destination: parseIp(SERVICE)!, sourcePort: 40000, destinationPort: 53 },
  };
  const ends = hook(rulesets, "output", packet, { addresses: "unknown", ipsets: "unknown" });
  return ends.map(({ packet: { destination } }) => (destination === "unknown" ? destination : formatIp(destination)));
}

const pairs = TOOLS.flatMap((first) =>
  TOOLS.filter((second) => second !== first).map((second) => [first, second] as const),
);

describe.skipIf(!canAsk("iptables-nft", "iptables-legacy", "nft", PYTHON))("two rule sets for one address", () => {
  it.each(pairs)("%s, then %s: the last one decides, and we say that either may", (first, second) => {
    const namespace = addNamespace();
    try {
      inNamespace(namespace, ["ip", "link", "set", "lo", "up"]);
      inNamespace(namespace, ["ip", "route", "add", "default", "dev", "lo"]);
      for (const tool of [first, second]) translate(namespace, tool);
      expect(inNamespace(namespace, [PYTHON, "-c", SENDS]).trim()).toBe(TARGETS[second]);
      expect(new Set(foretold(namespace, [first, second]))).toEqual(new Set([TARGETS[first], TARGETS[second]]));
    } finally {
      deleteNamespace(namespace);
    }
  });
});
