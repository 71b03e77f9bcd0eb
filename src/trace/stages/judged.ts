/**
 * What a program decides to whom rules hand packets: kube-network-policies, or kindnet, of which it is a part. It looks up
 * both ends by their addresses and does what the NetworkPolicies say of them (pkg/networkpolicy/engine.go), on whichever node
 * a policy selects one of them; what belongs to a connection that it has accepted goes on without it.
 */
import type { Evidence } from "../../evidence/origin.ts";
import { imageRepository } from "../../model/components/definitions.ts";
import type { Outcome } from "../../model/netfilter/outcome.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { Assumption, Step } from "../../model/netfilter/when.ts";
import type { Pods } from "../../model/pods.ts";
import type { PolicyEnd } from "../../model/policies/views.ts";
import { refId } from "../../model/ref.ts";
import { isKnown, type Moving, textOf, type World } from "./moving.ts";

type Judgement = Extract<Assumption, { about: "judgement" }>;
type Said = { readonly accepts: boolean | "unknown"; readonly evidence: readonly Evidence[] };

const isJudgement = (one: Assumption): one is Judgement => one.about === "judgement";

const READERS = /(^|\/)(kindnetd|kube-network-policies)$/;

/** Whether who reads a node's queue runs; undefined if nobody does there. */
const isRead = (pods: Pods, node: string): boolean | undefined =>
  pods
    .onNode(node)
    .find(({ object }) => object.spec.containers.some(({ image }) => READERS.test(imageRepository(image ?? ""))))
    ?.ready;

const EVERYTHING: Said = { accepts: true, evidence: [] };
const UNKNOWN: Said = { accepts: "unknown", evidence: [] };

/** Where nobody reads the queue, rules say what becomes of packets: `bypass` lets them pass. kindnet's all do. */
const isBypassed = ({ rule, ruleset }: Step): boolean =>
  ruleset.includes("kindnet") ||
  rule?.nft?.statements.some((one) => one.does === "elsewhere" && /\bbypass\b/.test(one.text)) === true;

function endOf(ip: Packet["source"], { pods, nodes }: World): PolicyEnd | undefined {
  if (!isKnown(ip)) return undefined;
  const address = textOf(ip);
  const pod = pods.byAddress(address);
  if (pod) return { pod, family: ip.family };
  const node = nodes.byAddress(address)?.name;
  return { address, ...(node !== undefined && { node }) };
}

function saidOf({ packet, step }: Judgement, node: string, moving: Moving, world: World): Said {
  if (moving.answer !== undefined || packet.ctState === "established") return EVERYTHING;
  const reads = isRead(world.pods, node);
  if (!reads) return reads === undefined && world.pods.whole && isBypassed(step) ? EVERYTHING : UNKNOWN;
  const [from, to] = [endOf(packet.source, world), endOf(packet.destination, world)];
  const { protocol, destinationPort: port = 0 } = packet;
  if (!from || !to || protocol === "unknown" || !isKnown(port)) return UNKNOWN;
  const verdict = world.policies.verdict(from, to, { protocol: protocol.toUpperCase(), port });
  if (verdict.state !== "denied") return { accepts: verdict.state === "allowed" ? true : "unknown", evidence: [] };
  const words = `denies ${textOf(packet.source)} ${textOf(packet.destination)}:${port}`;
  return {
    accepts: false,
    evidence: verdict.by.map((policy) => world.policies.quote(policy, `${refId(policy.ref)} ${words}`)),
  };
}

/** An outcome with what policies say about it, where they decide. */
export type Judged = { readonly outcome: Outcome; readonly denied?: readonly Evidence[] };

/** The outcomes that can be, once those who decide are asked. */
export function judged(outcomes: readonly Outcome[], node: string, moving: Moving, world: World): readonly Judged[] {
  if (!outcomes.some(({ reasons }) => reasons.some(isJudgement))) return outcomes.map((outcome) => ({ outcome }));
  const left = outcomes.flatMap((outcome): readonly Judged[] => {
    const asked = outcome.reasons.filter(isJudgement).map((one) => ({ one, said: saidOf(one, node, moving, world) }));
    if (asked.some(({ one, said }) => said.accepts === !one.holds)) return [];
    const isOpen = (reason: Assumption): boolean =>
      !asked.some(({ one, said }) => one === reason && said.accepts !== "unknown");
    const reasons = outcome.reasons.filter(isOpen);
    const told: Outcome = { ...outcome, reasons, certainty: reasons.length > 0 ? outcome.certainty : "certain" };
    const evidence = asked.flatMap(({ said }) => said.evidence);
    return [{ outcome: told, ...(evidence.length > 0 && { denied: evidence }) }];
  });
  const [only] = left;
  if (!only || left.length > 1 || only.outcome.reasons.some(({ about }) => about !== "rule")) return left;
  // it depended on whether it is asked, and it says the same as if it were not
  const isChance = only.outcome.reasons.some(
    (reason) => reason.about === "rule" && reason.doubts.some(({ doubt }) => doubt === "choice"),
  );
  return isChance ? left : [{ ...only, outcome: { ...only.outcome, reasons: [], certainty: "certain" } }];
}
