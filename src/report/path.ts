/**
 * The path: what becomes of packets from one end to another, as data. Every drawing of it is made from it alone.
 *
 * Versioned as the report is. docs/generated/path.schema.json is made from this file.
 */
import { z } from "zod";
import { command, evidence, reference, text } from "./schema-parts.ts";

const place = z.object({
  node: z.string(),
  pod: z.string().optional().describe("namespace/name; without one, the node's own network namespace"),
});

const packet = z.object({
  protocol: z.string(),
  source: z.string().optional().describe("absent: not known"),
  sourcePort: z.number().optional(),
  destination: z.string().optional(),
  destinationPort: z.number().optional(),
  mark: z.number().optional(),
});

const step = z.discriminatedUnion("did", [
  z.object({ did: z.literal("send"), at: place, packet }),
  z
    .object({
      did: z.literal("pass"),
      at: place,
      hook: z.string(),
      before: packet,
      packet,
      rules: z.array(evidence).describe("those that decided, the last first"),
      met: z.array(evidence).optional().describe("with --explain: all that the packet met"),
    })
    .describe("the rules of a hook let it pass, perhaps changed"),
  z.object({
    did: z.literal("balance"),
    by: z.enum(["ipvs", "cilium"]).optional(),
    at: place,
    before: packet,
    packet,
    evidence: z.array(evidence),
  }),
  z
    .object({
      did: z.literal("admit"),
      at: place,
      endpoint: z.string().describe("namespace/name of the Pod, or the endpoint's number"),
      direction: z.enum(["ingress", "egress"]),
      identity: z.number().describe("of the other end"),
      evidence: z.array(evidence),
    })
    .describe("the policy of an endpoint of Cilium lets it pass"),
  z.object({
    did: z.literal("route"),
    at: place,
    device: z.string(),
    gateway: z.string().optional(),
    evidence: z.array(evidence),
  }),
  z.object({ did: z.literal("resolve"), at: place, device: z.string(), evidence: z.array(evidence) }),
  z.object({ did: z.literal("cross"), from: place, to: place, device: z.string() }),
  z.object({
    did: z.literal("encapsulate"),
    at: place,
    device: z.string(),
    to: z.string(),
    evidence: z.array(evidence),
  }),
  z.object({ did: z.literal("carry"), from: z.string(), to: z.string(), device: z.string() }),
  z.object({ did: z.literal("decapsulate"), at: place, device: z.string() }),
  z.object({ did: z.literal("receive"), at: place, evidence: z.array(evidence) }),
]);

const way = z.object({
  steps: z.array(step),
  answer: z.number().optional().describe("from this step on they are those of the answer"),
  certainty: z.enum(["certain", "chosen", "guessed"]),
  doubts: z.array(evidence).describe("rules of which it is not known whether packets meet them"),
  end: z.object({
    is: z.string().describe("one of a closed list: answered, refused, rejected, dropped, no-route …, insufficient"),
    says: text,
    at: place.optional(),
    hook: z.string().optional(),
    evidence: z.array(evidence),
    met: z.array(evidence).optional(),
    settle: z.array(command).describe("commands that would tell"),
  }),
});

const result = z.enum(["answered", "failed", "sometimes", "left", "unclear"]);

const backEnd = z.object({
  address: z.string(),
  port: z.number().optional(),
  object: reference.optional(),
  node: z.string().optional(),
  via: z.string().optional().describe("the address that was asked, where several could be"),
  result,
  ways: z.array(way).describe("the most telling first"),
});

const end = z.object({
  typed: z.string(),
  kind: z.enum(["pod", "node", "outside", "service", "address", "name"]),
  object: reference.optional(),
  node: z.string().optional(),
  addresses: z.array(z.string()),
});

const answer = z.object({
  is: z.enum(["addresses", "alias", "no-data", "nxdomain", "outside", "refused", "unknown"]),
  addresses: z.array(z.string()).optional(),
  to: z.string().optional(),
  service: reference.optional(),
  servers: z.array(z.string()).optional(),
  because: z.string().optional(),
});

export const pathSchema = z
  .object({
    schema: z.literal("netwhy.path/v1"),
    tool: z.object({ version: z.string() }),
    cluster: z.object({ name: z.string(), version: z.string().optional(), capturedAt: z.string().optional() }),
    from: end,
    to: end,
    protocol: z.enum(["tcp", "udp", "sctp", "icmp"]),
    port: z.number().optional(),
    size: z.number().optional(),
    verdict: z.enum(["reaches", "fails", "sometimes", "leaves", "unclear"]),
    summary: text,
    notes: z.array(text),
    resolution: z
      .object({
        name: z.string(),
        servers: z.array(z.string()),
        ndots: z.number().optional(),
        evidence: z.array(evidence),
        queries: z.array(z.object({ name: z.string(), answer })),
        answer,
        settle: z.array(command),
        server: z.object({ address: z.string(), result, backEnds: z.array(backEnd) }).optional(),
      })
      .optional()
      .describe("if the name has to be resolved first"),
    backEnds: z.array(backEnd),
    tests: z
      .array(z.object({ outcome: z.enum(["ok", "failed"]), evidence }))
      .describe("tests of the same path in the evidence"),
    captured: z
      .array(z.object({ says: text, evidence: z.array(evidence) }))
      .optional()
      .describe("where packet captures last saw its packets, if they were not answered"),
    captures: z
      .array(command)
      .optional()
      .describe("commands that capture its packets, where the walk does not tell what becomes of them"),
  })
  .describe("A netwhy path");

export type Path = z.infer<typeof pathSchema>;
export type PathBackEnd = Path["backEnds"][number];
export type PathWay = PathBackEnd["ways"][number];
export type PathStep = PathWay["steps"][number];
export type PathPlace = z.infer<typeof place>;
export type PathPacket = z.infer<typeof packet>;
