import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import { parseConntrack } from "../parse/conntrack/entries.ts";

/** A table in which a Pod of w1 asks CoreDNS' Service and a Service of the shop. */
const table = (...lines: readonly string[]) =>
  cluster()
    .edit((draft) =>
      draft.set("conntrack", { node: "w1" }, parseConntrack(lines.map((line) => `${line}\n`).join("")).value),
    )
    .model().connections;

const TO_SHOP = "src=10.128.1.4 dst=10.96.10.2 sport=40000 dport=80";
const FROM_POD = "src=10.128.2.3 dst=10.128.1.4 sport=8080 dport=40000";
const tcp = (state: string, seconds: number, flags = "[ASSURED] ") =>
  `tcp      6 ${seconds} ${state} ${TO_SHOP} ${FROM_POD} ${flags}mark=0 use=1`;

describe("who answered lately", () => {
  it.each([
    ["a connection that has just ended", tcp("TIME_WAIT", 100), true],
    ["one that is in use", tcp("ESTABLISHED", 431_990), true],
    ["one that has been silent for a day", tcp("ESTABLISHED", 345_600), false],
    ["one that was refused", tcp("CLOSE", 5, ""), false],
    ["one that nobody answered", `tcp      6 100 SYN_SENT ${TO_SHOP} [UNREPLIED] ${FROM_POD} mark=0 use=1`, false],
  ])("%s", (_, line, isShown) => {
    const connections = table(line);
    expect(connections.answeredFrom("tcp", "10.128.2.3", 8080) !== undefined).toBe(isShown);
    expect(connections.answeredFrom("udp", "10.128.2.3", 8080)).toBeUndefined();
    expect(connections.answeredFrom("tcp", "10.128.2.3", 8081)).toBeUndefined();
  });

  it("of a node, whom its own Pods ask", () => {
    const asked = "src=10.128.1.4 dst=10.96.0.10 sport=5353 dport=53";
    const connections = table(`udp      17 20 ${asked} src=10.128.2.2 dst=10.128.1.4 sport=53 dport=5353 mark=0 use=1`);
    const ask = (node: string, source: string) =>
      connections.answeredTo(node, new Set([source]), "10.96.0.10", 53)?.quote;
    expect(ask("w1", "10.128.1.4")).toBe("udp src=10.128.1.4 dst=10.96.0.10 dport=53 answered by 10.128.2.2:53");
    expect([ask("w2", "10.128.1.4"), ask("w1", "10.128.1.5")]).toEqual([undefined, undefined]);
  });
});
