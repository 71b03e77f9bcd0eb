import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { present } from "../../evidence/observed.ts";
import { overlay } from "../../evidence/overlay.ts";
import type { ConntrackEntry } from "../../parse/conntrack/entries.ts";
import { modelOf } from "../model.ts";

const CLUSTER = cluster();
const ip = (node: string) => CLUSTER.model().nodes.get(node)!.addresses[0]!;

const flow = (from: string, to: string, port = 8472, protocol = "udp"): ConntrackEntry =>
  ({
    ...{ protocol, line: 1, replied: false, flags: [] },
    original: { source: ip(from), destination: ip(to), sourcePort: 40000, destinationPort: port },
    reply: { source: ip(to), destination: ip(from), sourcePort: port, destinationPort: 40000 },
  }) as unknown as ConntrackEntry;

type Tables = Readonly<Record<string, readonly ConntrackEntry[]>>;
const given = (tables: Tables): Cluster =>
  CLUSTER.edit((draft) => {
    for (const [node, entries] of Object.entries(tables)) draft.set("conntrack", { node }, entries);
  });
const flows = (built: Cluster) => built.model().tunnels.flows("w1", "w2").state;

const SENT = flow("w1", "w2");
const BACK = flow("w2", "w1");

describe("encapsulated packets from w1 to w2", () => {
  it.each<[what: string, tables: Tables, expected: string]>([
    ["seen at both ends", { w1: [SENT, SENT], w2: [SENT] }, "arrived"],
    ["seen where they arrive", { w1: [], w2: [SENT] }, "arrived"],
    ["sent, while others arrive", { w1: [SENT, SENT], w2: [flow("cp1", "w2")] }, "lost"],
    ["sent, while the other way is seen", { w1: [SENT, SENT], w2: [BACK] }, "lost"],
    ["sent once: it can have expired", { w1: [SENT], w2: [BACK] }, "unknown"],
    ["sent to a node that tracks none at all", { w1: [SENT, SENT], w2: [] }, "unknown"],
    [
      "sent, while only other protocols are seen",
      { w1: [SENT, SENT], w2: [flow("cp1", "w2", 8472, "tcp")] },
      "unknown",
    ],
    ["sent to another port", { w1: [flow("w1", "w2", 53), flow("w1", "w2", 53)], w2: [BACK] }, "unknown"],
    ["sent to another node", { w1: [flow("w1", "cp1"), flow("w1", "cp1")], w2: [BACK] }, "unknown"],
    ["sent the other way", { w1: [BACK, BACK], w2: [flow("cp1", "w2")] }, "unknown"],
    ["not seen anywhere", { w1: [], w2: [] }, "unknown"],
  ])("%s", (_, tables, expected) => expect(flows(given(tables))).toBe(expected));

  it("sent to a node whose table was not gathered", () => {
    expect(flows(given({ w1: [SENT, SENT], w2: [BACK] }).without("conntrack", { node: "w2" }))).toBe("unknown");
  });

  it("sent to a node whose table was cut off", () => {
    const { capture } = given({ w1: [SENT, SENT] });
    const origin = { kind: "command", path: "nodes/w2/conntrack.txt" } as const;
    const observed = present([BACK], origin, [{ line: 2, what: "cut off here" }]);
    const model = modelOf(overlay(capture, [{ kind: "conntrack", place: { node: "w2" }, observed }]));
    // what is missing may be just these
    expect(model.tunnels.flows("w1", "w2").state).toBe("unknown");
  });

  it("quotes the sender's table where they are lost", () => {
    const told = given({ w1: [SENT, SENT], w2: [BACK] })
      .model()
      .tunnels.flows("w1", "w2");
    expect(told.state === "lost" && told.evidence[0]).toMatchObject({
      origin: { path: "nodes/w1/conntrack.txt", line: 1, node: "w1" },
      quote: `udp src=${ip("w1")} dst=${ip("w2")} sport=40000 dport=8472 [UNREPLIED]`,
    });
  });
});
