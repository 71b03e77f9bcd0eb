/** The rules at a hook, and what becomes of a packet there. */
import type { Evidence } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { isOfSome, type Outcome } from "../../model/netfilter/outcome.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { Part, Rule, Target } from "../../model/netfilter/rule.ts";
import type { Hook } from "../../model/netfilter/ruleset.ts";
import { CUT_OFF } from "../../parse/parsed.ts";
import type { Namespace, Way } from "../trace.ts";
import { type Judged, judged } from "./judged.ts";
import {
  after,
  cannotTell,
  end,
  followed,
  isIpv4,
  isKnown,
  isSameIp,
  type Moving,
  type Next,
  onNode,
  textOf,
  type Walk,
} from "./moving.ts";
import { refuse } from "./reply.ts";
import { deviceAddress, routeOf } from "./routes.ts";

/** More than that is no answer. */
const MOST_WAYS = 4096;
const MOST_STEPS = 200;

/** Takes a packet through all rules of a hook, and each that they accept on. */
export function atHook(walk: Walk, moving: Moving, node: string, hook: Hook, on: (passed: Moving) => Next[]): Next[] {
  const { nftables } = walk.world.forwarding.of(node);
  const isCut = nftables.state === "present" && nftables.gaps.some(({ what }) => what === CUT_OFF);
  if (!isCut || moving.certainty === "guessed") return throughRules(walk, moving, node, hook, on);
  // tables that would have come after may have chains at any hook
  const hidden = cannotTell(moving, { node }, onNode(node, "nftables"), "cut-off");
  return [...hidden, ...throughRules(walk, { ...moving, certainty: "guessed" }, node, hook, on)];
}

/** Rules at the device itself, before all others: most nodes have none. */
export function atDevice(walk: Walk, moving: Moving, node: string, on: (passed: Moving) => Next[]): Next[] {
  const rulesets = walk.world.forwarding.of(node).filter.rulesetsFor(moving.packet.family);
  const isAsked = rulesets.some(({ bases }) => bases.some(({ base }) => base.hook === "ingress"));
  return isAsked ? throughRules(walk, moving, node, "ingress", on) : on(moving);
}

function throughRules(walk: Walk, moving: Moving, node: string, hook: Hook, on: (passed: Moving) => Next[]): Next[] {
  const at: Namespace = { node };
  const plane = walk.world.forwarding.of(node);
  const { filter } = plane;
  const saved = isIpv4(moving.packet) ? "iptables" : "ip6tables";
  const { [saved]: save } = plane;
  // a node that has no iptables says so; what nobody asked for may hold anything, the legacy back end's rules even unlisted
  const isUnasked = save.state === "unknown" && save.why.reason === "not-collected";
  if (filter.stateOf(moving.packet.family) === "unknown" || isUnasked)
    return cannotTell(moving, at, onNode(node, saved));
  if ((moving.trail?.length ?? 0) > MOST_STEPS) return end(moving, { is: "loops", at, evidence: [] });
  const backEndOf = ({
    outcome: {
      packet: { destination },
    },
  }: Judged): string | undefined =>
    moving.answer !== undefined || isSameIp(destination, moving.packet.destination) ? undefined : textOf(destination);
  // only a question that no node has sent on yet has back ends to choose from
  const isOpen = moving.answer === undefined && moving.inner.length === 0 && !moving.packet.natDone?.destination;
  const towards = isOpen ? walk.sending.towards : undefined;
  const outcomes = judged(filter.at(hook, moving.packet, towards), node, moving, walk.world);
  const place: Place = { at, hook, filter, saved };
  if (outcomes.length === 1) return withOutcome(walk, moving, place, outcomes[0]!, on);
  return followed(walk, outcomes, backEndOf).flatMap((outcome) => withOutcome(walk, moving, place, outcome, on));
}

type Place = {
  readonly at: Namespace;
  readonly hook: Hook;
  readonly filter: NodePlane["filter"];
  readonly saved: "iptables" | "ip6tables";
};

function withOutcome(
  walk: Walk,
  moving: Moving,
  { at, hook, filter, saved }: Place,
  { outcome, denied }: Judged,
  on: (passed: Moving) => Next[],
): Next[] {
  const { node } = at;
  if (++walk.count > MOST_WAYS) return cannotTell(moving, at, [], "more ways than are followed");
  const { verdict } = outcome;
  const decisive = decisiveOf(outcome, filter);
  const certainty = lessSure(moving, outcome);
  const doubts = certainty === "guessed" ? [...moving.doubts, ...doubtsOf(outcome, filter)] : moving.doubts;
  const sure: Moving =
    certainty === moving.certainty && doubts === moving.doubts ? moving : { ...moving, certainty, doubts };
  const met = walk.sending.explain ? { met: outcome.met.map((step) => filter.quote(step)) } : {};
  if (denied)
    return end(sure, { is: "denied", at, hook, evidence: [...denied.slice(0, 2), ...decisive.slice(0, 1)], ...met });
  if (verdict.is === "drop" || verdict.is === "reject") {
    const by = outcome.rules.at(-1);
    const packets = by && filter.countOf(by);
    const counted = packets === undefined ? {} : { counted: packets > 0 };
    const there = { at, hook, evidence: decisive.slice(0, 2), ...counted, ...met };
    if (verdict.is === "drop") return end(sure, { is: "dropped", ...there });
    return refuse(sure, at, { is: "rejected", with: verdict.with, ...there });
  }
  if (verdict.is !== "accept") {
    const why = verdict.is === "insufficient" ? verdict.why : verdict.is;
    return end(sure, {
      is: "insufficient",
      at,
      hook,
      evidence: decisive.slice(0, 1),
      missing: onNode(node, saved),
      because: why,
    });
  }
  const packet = filled(walk, node, outcome.packet, hook);
  // what connection tracking changes, no rule does
  const hasEffect =
    outcome.rules.some(({ rule }) => rule !== undefined) ||
    isTranslated(moving.packet, packet) ||
    (met.met ?? []).length > 0;
  if (!hasEffect) return on({ ...sure, packet });
  const rules = isTranslated(moving.packet, packet) ? translatingFirst(outcome, filter) : decisive;
  return on(after(sure, { did: "pass", at, hook, before: moving.packet, packet, rules, ...met }, { packet }));
}

const decisive = new WeakMap<Outcome["rules"], readonly Evidence[]>();

/** The rules that decided, the last first. */
function decisiveOf({ rules }: Outcome, filter: NodePlane["filter"]): readonly Evidence[] {
  let quoted = decisive.get(rules);
  if (!quoted) {
    quoted = rules.toReversed().map((step) => filter.quote(step));
    decisive.set(rules, quoted);
  }
  return quoted;
}

const TRANSLATIONS: ReadonlySet<Target["does"]> = new Set(["dnat", "snat", "redirect", "masquerade", "nat"]);

const isTranslating = (part: Rule | Part | undefined): boolean =>
  part !== undefined && (TRANSLATIONS.has(part.target.does) || isTranslating(part.then));

const translating = new WeakMap<Outcome["rules"], readonly Evidence[]>();

/** The same, and before them the one that translates: the filter table, which comes after, only lets the packet pass. */
function translatingFirst(outcome: Outcome, filter: NodePlane["filter"]): readonly Evidence[] {
  const { rules } = outcome;
  const known = translating.get(rules);
  if (known) return known;
  const quoted = decisiveOf(outcome, filter);
  const first = rules.findLast(({ rule }) => isTranslating(rule));
  const quote = first && filter.quote(first);
  const ordered = quote ? [quote, ...quoted.filter((one) => one !== quote)] : quoted;
  translating.set(rules, ordered);
  return ordered;
}

export function throughHooks(
  walk: Walk,
  moving: Moving,
  node: string,
  hooks: readonly Hook[],
  on: (passed: Moving) => Next[],
): Next[] {
  const [first, ...rest] = hooks;
  if (first === undefined) return on(moving);
  return atHook(walk, moving, node, first, (passed) => throughHooks(walk, passed, node, rest, on));
}

const lessSure = (moving: Moving, outcome: Outcome): Way["certainty"] =>
  outcome.certainty === "certain"
    ? moving.certainty
    : isOfSome(outcome) && moving.certainty !== "guessed"
      ? "chosen"
      : "guessed";

const isTranslated = (a: Packet, b: Packet): boolean =>
  !isSameIp(a.source, b.source) ||
  !isSameIp(a.destination, b.destination) ||
  a.sourcePort !== b.sourcePort ||
  a.destinationPort !== b.destinationPort;

/** The rules of which it is not known whether the packet meets them. */
const doubtsOf = ({ reasons }: Outcome, filter: NodePlane["filter"]): readonly Evidence[] =>
  reasons.flatMap((reason) => (reason.about === "rule" || reason.about === "effect" ? filter.quote(reason.step) : []));

/**
 * MASQUERADE takes an address of the device that the packet leaves by (nf_nat_masquerade.c: inet_select_addr, for IPv6
 * ipv6_dev_get_saddr).
 */
function filled({ world }: Walk, node: string, packet: Packet, hook: Hook): Packet {
  if (hook !== "postrouting" || isKnown(packet.source) || !isKnown(packet.destination)) return packet;
  const plane = world.forwarding.of(node);
  const route = routeOf(plane, packet);
  const source = typeof route === "object" ? deviceAddress(plane, route, packet.destination) : undefined;
  return source ? { ...packet, source, snatted: true } : packet;
}
