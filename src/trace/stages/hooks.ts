/** The rules at a hook, and what becomes of a packet there. */
import type { Evidence } from "../../evidence/origin.ts";
import type { NodePlane } from "../../model/forwarding/plane.ts";
import { isOfSome, type Outcome } from "../../model/netfilter/outcome.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { Hook } from "../../model/netfilter/ruleset.ts";
import { CUT_OFF } from "../../parse/parsed.ts";
import type { Namespace, Way } from "../trace.ts";
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
  const backEndOf = ({ packet: { destination } }: Outcome): string | undefined =>
    moving.answer !== undefined || isSameIp(destination, moving.packet.destination) ? undefined : textOf(destination);
  // only a question that no node has sent on yet has back ends to choose from
  const isOpen = moving.answer === undefined && moving.inner.length === 0 && !moving.packet.natDone?.destination;
  const towards = isOpen ? walk.sending.towards : undefined;
  return followed(walk, filter.at(hook, moving.packet, towards), backEndOf).flatMap((outcome) => {
    if (++walk.count > MOST_WAYS) return cannotTell(moving, at, [], "more ways than are followed");
    const { verdict } = outcome;
    const decisive = outcome.rules.toReversed().map((step) => filter.quote(step));
    const certainty = lessSure(moving, outcome);
    const doubts = certainty === "guessed" ? [...moving.doubts, ...doubtsOf(outcome, filter)] : moving.doubts;
    const sure: Moving =
      certainty === moving.certainty && doubts === moving.doubts ? moving : { ...moving, certainty, doubts };
    const met = walk.sending.explain ? { met: outcome.met.map((step) => filter.quote(step)) } : {};
    if (verdict.is === "drop") return end(sure, { is: "dropped", at, hook, evidence: decisive.slice(0, 2), ...met });
    if (verdict.is === "reject") {
      const evidence = decisive.slice(0, 2);
      return refuse(sure, at, { is: "rejected", at, hook, evidence, with: verdict.with, ...met });
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
    return on(
      hasEffect
        ? after(sure, { did: "pass", at, hook, before: moving.packet, packet, rules: decisive, ...met }, { packet })
        : { ...sure, packet },
    );
  });
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
