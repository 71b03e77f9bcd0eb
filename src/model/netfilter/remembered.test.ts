import { describe, expect, it } from "vitest";
import { parseIp } from "../../net/ip.ts";
import { parseIptablesSave } from "../../parse/iptables/save.ts";
import { hook } from "./hooks.ts";
import type { Packet } from "./packet.ts";
import { remembered } from "./remembered.ts";
import { type Hook, iptablesRulesets } from "./ruleset.ts";

const CONTEXT = { addresses: "unknown", ipsets: "unknown" } as const;
const ip = (text: string) => parseIp(text)!;

/** A connection to a Service, on its way to a back end: what differs is only where it was sent first. */
const translated = (service: string, more: Partial<Packet> = {}): Packet => ({
  family: 4,
  protocol: "tcp",
  source: ip("10.244.1.5"),
  destination: ip("10.244.2.7"),
  sourcePort: 40000,
  destinationPort: 8080,
  inDevice: "cni0",
  outDevice: "flannel.1",
  mark: 0,
  ctState: "new",
  dnatted: true,
  natDone: { destination: true },
  original: {
    source: { address: ip("10.244.1.5"), port: 40000 },
    destination: { address: ip(service), port: 80 },
  },
  ...more,
});

/** A hook that remembers, and how often it evaluated rules. */
function counting(filterRules: string, natRules = "") {
  const text = `*nat\n:POSTROUTING ACCEPT [0:0]\n${natRules}COMMIT\n*filter\n:FORWARD ACCEPT [0:0]\n${filterRules}COMMIT\n`;
  const rulesets = iptablesRulesets(parseIptablesSave(text).value, 4);
  const evaluated = { times: 0 };
  const evaluate = (name: Hook, packet: Packet) => {
    evaluated.times++;
    return hook(rulesets, name, packet, CONTEXT);
  };
  const ask = remembered(evaluate);
  /** Asks, and holds that what is remembered is what would be evaluated. */
  const at = (name: Hook, packet: Packet) => {
    const outcomes = ask(name, packet);
    expect(outcomes).toEqual(hook(rulesets, name, packet, CONTEXT));
    return outcomes;
  };
  return { at, evaluated };
}

describe("outcomes of hooks are remembered", () => {
  it("of connections that were sent to different Services, each with its own history", () => {
    const { at, evaluated } = counting("-A FORWARD -d 10.244.2.7/32 -j MARK --set-xmark 0x1/0x1\n");
    at("forward", translated("10.96.0.10"));
    const [outcome] = at("forward", translated("10.96.0.11"));
    expect(evaluated.times).toBe(1);
    expect(outcome!.packet).toMatchObject({ mark: 1, original: { destination: { address: ip("10.96.0.11") } } });
  });

  it("but not where a rule asks where a connection was sent first", () => {
    const { at, evaluated } = counting("-A FORWARD -m conntrack --ctorigdst 10.96.0.11/32 -j DROP\n");
    expect(at("forward", translated("10.96.0.10"))[0]!.verdict.is).toBe("accept");
    expect(at("forward", translated("10.96.0.11"))[0]!.verdict.is).toBe("drop");
    expect(evaluated.times).toBe(2);
  });

  it.each<[what: string, other: Partial<Packet>]>([
    ["another mark", { mark: 0x4000 }],
    ["another port", { destinationPort: 8443 }],
    ["another state", { ctState: "established", isReply: true }],
    ["a known mark of the connection", { connmark: 0 }],
    ["no history", { original: undefined }],
  ])("not of packets with %s", (_, other) => {
    const { at, evaluated } = counting("-A FORWARD -m mark --mark 0x4000/0x4000 -j DROP\n");
    at("forward", translated("10.96.0.10"));
    at("forward", translated("10.96.0.10", other));
    expect(evaluated.times).toBe(2);
  });

  it("and what conntrack changes back is of each connection", () => {
    const { at } = counting("", "-A POSTROUTING -j MASQUERADE\n");
    for (const service of ["10.96.0.10", "10.96.0.11"]) {
      const source = { address: ip(service), port: 80 };
      const answer = translated(service, { ctState: "established", isReply: true, translation: { source } });
      expect(at("postrouting", answer)[0]!.packet.source).toEqual(ip(service));
    }
  });
});
