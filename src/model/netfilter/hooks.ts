/**
 * What all tables of a node do with a packet at one hook, in the kernel's order, with what happens between them.
 *
 *   raw -300 · conntrack -200 · mangle -150 · nat (destination) -100 · filter 0 · security 50 · nat (source) 100
 *   (include/uapi/linux/netfilter_ipv4.h)
 *
 * A packet passes prerouting, then input or forward and postrouting; what the node sends itself passes output and
 * postrouting. Which way it goes is routing's business, not ours. A node can have rule sets of both back ends; all are
 * asked.
 */
import type { Ip } from "../../net/ip.ts";
import type { Context } from "./condition.ts";
import { callChain, intern, type Run, startRun } from "./evaluate.ts";
import { distinct, type Ending, type Outcome, outcomesOf, type State, startOf } from "./outcome.ts";
import { type End, hasConnection, type Maybe, originalOf, type Packet } from "./packet.ts";
import type { Base, Hook, Layer, Ruleset, RulesetChain } from "./ruleset.ts";
import type { Translation } from "./translation.ts";
import { also, type Fork, type When } from "./when.ts";

const CONNTRACK = -200;
const NAT_DESTINATION = -100;
const NAT_SOURCE = 100;

/** A chain that the kernel calls at this hook, with the rule set it is of. */
type Called = { readonly ruleset: Ruleset; readonly chain: RulesetChain & { readonly base: Base } };

/** Takes packets through one stage: those that go on, and the ends of the others. */
type Stage = (
  run: Run,
  states: readonly State[],
) => { readonly on: readonly State[]; readonly ends: readonly Ending[] };

/**
 * What happens to a packet at a hook: it is accepted (with its marks, addresses and state as the hook leaves them), dropped,
 * rejected, given to a local socket (tproxy), or we cannot tell.
 *
 * @param rulesets all of the node: of iptables-nft, iptables-legacy, nftables. Those of the other family are passed over.
 * @param options `layer` bridge: a frame that a bridge passes on. (At ingress and egress all is asked that sees the device.)
 * `towards`: addresses; where chance chooses among several to send the packet to, only these are followed, if any of them
 * is among them
 */
export function hook(
  rulesets: Ruleset | readonly Ruleset[],
  name: Hook,
  packet: Packet,
  context: Context,
  {
    layer = "ip",
    towards,
  }: { readonly layer?: "ip" | "bridge"; readonly towards?: ReadonlySet<string> | undefined } = {},
): readonly Outcome[] {
  const atDevice = name === "ingress" || name === "egress";
  const all = "name" in rulesets ? [rulesets] : rulesets;
  const run = startRun(context, towards);
  // Connections are not looked up at devices; at bridges it depends on modules that are not recorded.
  const seen: Packet = atDevice
    ? { ...packet, ctState: "invalid" }
    : layer === "bridge"
      ? { ...packet, ctState: "unknown" }
      : packet;
  let states: readonly State[] = [startOf(intern(run, withDevices(seen, name)))];
  const ends: Ending[] = [];
  const order =
    atDevice || layer === "bridge"
      ? filterStages(calledAt(all, name, packet, layer).filter(({ chain }) => isOfDevice(chain.base, packet)))
      : stagesAt(all, name, packet);
  for (const stage of order) {
    const done = stage(run, states);
    states = done.on;
    ends.push(...done.ends);
  }
  const outcomes = outcomesOf([...ends, ...states.map(accepted)], run.isNarrowed);
  // the hooks behind a device's look the connection up
  return atDevice ? outcomes.map((one) => ({ ...one, packet: { ...one.packet, ctState: packet.ctState } })) : outcomes;
}

function calledAt(rulesets: readonly Ruleset[], name: Hook, { family }: Packet, layer: "ip" | "bridge"): Called[] {
  const layers: readonly Layer[] = name === "ingress" || name === "egress" ? ["ip", "device"] : [layer];
  return rulesets
    .filter((one) => one.families.includes(family) && layers.includes(one.layer ?? "ip"))
    .flatMap((ruleset) =>
      ruleset.bases.filter(({ base }) => base.hook === name).map((chain): Called => ({ ruleset, chain })),
    );
}

const prepared = new WeakMap<readonly Ruleset[], Map<string, readonly Stage[]>>();

/** The stages of a hook for packets of a family and a state of connection, made once for the rule sets of a node. */
function stagesAt(rulesets: readonly Ruleset[], name: Hook, packet: Packet): readonly Stage[] {
  let ofRulesets = prepared.get(rulesets);
  if (!ofRulesets) {
    ofRulesets = new Map();
    prepared.set(rulesets, ofRulesets);
  }
  const key = `${name} ${packet.family} ${hasConntrackBefore(packet) ? "" : packet.ctState}`;
  const known = ofRulesets.get(key);
  if (known) return known;
  const made = stages(calledAt(rulesets, name, packet, "ip"), name, packet);
  ofRulesets.set(key, made);
  return made;
}

/** Chains of ingress and egress are called for their devices; some versions of nft do not print which. */
function isOfDevice({ hook, devices }: Base, { inDevice, outDevice }: Packet): boolean {
  if (hook !== "ingress" && hook !== "egress") return true;
  const device = hook === "ingress" ? inDevice : outDevice;
  return !devices || device === undefined || device === "unknown" || devices.includes(device);
}

/** nf_hook_state: at each hook only some devices are known to rules. */
function withDevices(packet: Packet, hook: Hook): Packet {
  const hasIn = hook !== "output" && hook !== "egress";
  const hasOut = hook === "forward" || hook === "output" || hook === "postrouting" || hook === "egress";
  const { inDevice, outDevice } = packet;
  if ((hasIn || inDevice === undefined) && (hasOut || outDevice === undefined)) return packet;
  return { ...packet, inDevice: hasIn ? inDevice : undefined, outDevice: hasOut ? outDevice : undefined };
}

/** Chains by their priority, lowest first. */
function byPriority(called: readonly Called[]): readonly (readonly [priority: number, chains: readonly Called[]])[] {
  return [...Map.groupBy(called, ({ chain }) => chain.base.priority)].sort(([a], [b]) => a - b);
}

const filterStages = (called: readonly Called[]): readonly Stage[] =>
  byPriority(called).map(([, chains]) => filterStage(chains));

function stages(called: readonly Called[], hook: Hook, packet: Packet): readonly Stage[] {
  const isStart = hook === "prerouting" || hook === "output";
  const nat = called.filter(({ chain }) => chain.base.type === "nat");
  const list: (readonly [priority: number, Stage])[] = byPriority(
    called.filter(({ chain }) => chain.base.type !== "nat"),
  ).map(([priority, chains]) => [priority, filterStage(chains)]);
  // The nat chains of all tables are called from one place (nf_nat_inet_fn), in the order of their priorities.
  if (hook !== "forward") {
    list.push(
      isStart ? [NAT_DESTINATION, natStage(nat, "destination", hook)] : [NAT_SOURCE, natStage(nat, "source", hook)],
    );
  }
  // Where no chain comes before conntrack, nobody sees that the packet had no entry yet.
  if (isStart && list.some(([priority]) => priority <= CONNTRACK)) list.push(...conntrackStages(packet));
  return list.sort(([a], [b]) => a - b).map(([, stage]) => stage);
}

/**
 * Before nf_conntrack_in a packet has no entry, and rules see it as invalid; an untracked one stays so. What a node sends
 * to itself has its entry already when it comes in.
 */
function conntrackStages(packet: Packet): readonly (readonly [number, Stage])[] {
  if (hasConntrackBefore(packet)) return [];
  const each =
    (change: (packet: Packet) => Packet): Stage =>
    (run, states) => ({
      on: states.map((state) => ({ ...state, packet: intern(run, change(state.packet)) })),
      ends: [],
    });
  return [
    [Number.NEGATIVE_INFINITY, each((one) => ({ ...one, ctState: "invalid" }))],
    [CONNTRACK, each((one) => (one.ctState === "untracked" ? one : { ...one, ctState: packet.ctState }))],
  ];
}

const hasConntrackBefore = ({ natDone, ctState }: Packet): boolean => natDone !== undefined || ctState === "untracked";

const isAccepted = ({ verdict }: Ending): boolean => verdict.is === "accept";
const goOn = ({ packet, when, decided, met }: Ending): State => ({ packet, when, decided, met });
const accepted = (state: State): Ending => ({ ...state, verdict: { is: "accept" } });

/** One chain after the other; what one does not accept the next does not see. */
function inSequence(run: Run, chains: readonly Called[], states: readonly State[]): readonly Ending[] {
  let on = states;
  const ends: Ending[] = [];
  for (const { ruleset, chain } of chains) {
    const all = callChain(run, ruleset, chain, on);
    if (chains.length === 1 && all.length === 1) return all;
    ends.push(...all.filter((ending) => !isAccepted(ending)));
    on = all.filter(isAccepted).map(goOn);
  }
  return [...ends, ...on.map(accepted)];
}

function filterStage(chains: readonly Called[]): Stage {
  return (run, states) => {
    const endings = inAnyOrder(run, chains, states);
    return { on: endings.filter(isAccepted).map(goOn), ends: endings.filter((ending) => !isAccepted(ending)) };
  };
}

/**
 * Chains of equal priority are called in the order in which they were registered. Of several rule sets we do not know it,
 * so all orders are followed; if they come to the same, it does not matter.
 */
function inAnyOrder(run: Run, chains: readonly Called[], states: readonly State[]): readonly Ending[] {
  if (chains.length < 2) return inSequence(run, chains, states);
  const byRuleset = Map.groupBy(chains, ({ ruleset }) => ruleset.name);
  const names = [...byRuleset.keys()];
  if (names.length < 2) return inSequence(run, chains, states);
  const commuted = commute(run, [...byRuleset.values()], states);
  if (commuted) return commuted;
  const pairs = names.flatMap((first, i) =>
    names.slice(i + 1).map((second) => {
      const fork: Fork = { questions: [], assume: (holds) => ({ about: "order", first, second, holds }) };
      return { first, second, fork };
    }),
  );
  const endings = orders(names).flatMap((order) => {
    const assuming = (when: When): When =>
      pairs.reduce<When>(
        (all, { first, second, fork }) => also(all, fork, order.indexOf(first) < order.indexOf(second)),
        when,
      );
    const ordered = order.flatMap((name) => chains.filter(({ ruleset }) => ruleset.name === name));
    return inSequence(
      run,
      ordered,
      states.map((state) => ({ ...state, when: assuming(state.when) })),
    );
  });
  return distinct(endings);
}

/**
 * What the chains of several rule sets do one after the other, if the chains of all but one let all these packets pass and
 * none changes them: then their order makes no difference. Else nothing.
 */
function commute(
  run: Run,
  rulesets: readonly (readonly Called[])[],
  states: readonly State[],
): readonly Ending[] | undefined {
  const packets = new Set(states.map(({ packet }) => packet));
  const ends: Ending[] = [];
  let on = states;
  let isUntouched = true;
  let hasEnded = false;
  for (const chains of rulesets) {
    // what those before left untouched is as if they had not been asked
    const alone = inSequence(run, chains, isUntouched ? on : states);
    if (alone.some((one) => isAccepted(one) && !packets.has(one.packet))) return undefined;
    const isEnding = !alone.every(isAccepted);
    if (isEnding && hasEnded) return undefined;
    hasEnded ||= isEnding;
    const endings = isUntouched ? alone : inSequence(run, chains, on);
    ends.push(...endings.filter((ending) => !isAccepted(ending)));
    on = endings.filter(isAccepted).map(goOn);
    isUntouched &&=
      on.length === states.length &&
      on.every(({ packet, when }, i) => packet === states[i]!.packet && when === states[i]!.when);
  }
  return [...ends, ...on.map(accepted)];
}

/** All orders; of more rule sets than a node ever has only two. */
function orders(names: readonly string[]): readonly (readonly string[])[] {
  if (names.length < 2) return [names];
  if (names.length > 4) return [names, names.toReversed()];
  return names.flatMap((first) => orders(names.filter((name) => name !== first)).map((rest) => [first, ...rest]));
}

/**
 * nf_nat_inet_fn in net/netfilter/nf_nat_core.c: the first packet of a connection asks the chains until one translates; the
 * others get what was decided then. Packets without an entry are left alone.
 */
function natStage(chains: readonly Called[], side: "destination" | "source", hook: Hook): Stage {
  const groups = byPriority(chains).map(([, group]) => group);
  return (run, states) => {
    const on: State[] = [];
    const ends: Ending[] = [];
    const put = (state: State, packet: Packet): void => void on.push({ ...state, packet: intern(run, packet) });
    const askAll = (state: State): readonly Ending[] => {
      let open: readonly State[] = [state];
      const done: Ending[] = [];
      for (const group of groups) {
        const endings = inAnyOrder(run, group, open);
        done.push(...endings.filter((ending) => !isAccepted(ending)));
        open = endings.filter(isAccepted).map(goOn);
      }
      return [...done, ...open.map(accepted)];
    };
    const asks = (state: State): void => {
      for (const ending of askAll(state)) {
        const { verdict, packet } = ending;
        if (verdict.is === "translate") put(goOn(ending), translated(packet, verdict.to, side, hook, run.context));
        else if (verdict.is === "accept")
          put(goOn(ending), { ...packet, natDone: { ...packet.natDone, [side]: true } });
        else ends.push(ending);
      }
    };
    for (const state of states) {
      const isFirst = asksNat(state.packet, side);
      if (isFirst === true) asks(state);
      else if (isFirst === false) put(state, asDecided(state.packet, side));
      else {
        const fork: Fork = { questions: [], assume: (holds) => ({ about: "connection", holds }) };
        asks({ ...state, when: also(state.when, fork, true) });
        put({ ...state, when: also(state.when, fork, false) }, asDecided(state.packet, side));
      }
    }
    return { on: on.length < 2 ? on : distinct(on.map(accepted)).map(goOn), ends };
  };
}

function asksNat({ ctState, protocol, natDone }: Packet, side: "destination" | "source"): Maybe<boolean> {
  if (natDone?.[side]) return false;
  if (ctState === "related")
    return protocol === "unknown" ? "unknown" : protocol !== "icmp" && protocol !== "ipv6-icmp";
  return ctState === "unknown" ? "unknown" : ctState === "new";
}

/** What conntrack does to a packet of a connection that was decided before. */
function asDecided(packet: Packet, side: "destination" | "source"): Packet {
  if (hasConnection(packet) === false) return packet;
  return { ...withEnd(packet, side, packet.translation?.[side] ?? {}), natDone: { ...packet.natDone, [side]: true } };
}

function withEnd(packet: Packet, side: "destination" | "source", { address, port }: End): Packet {
  const portName = side === "destination" ? "destinationPort" : "sourcePort";
  return {
    ...packet,
    ...(address === undefined ? {} : { [side]: address }),
    ...(port === undefined || packet[portName] === undefined ? {} : { [portName]: port }),
  };
}

function translated(
  packet: Packet,
  to: Translation,
  side: "destination" | "source",
  hook: Hook,
  context: Context,
): Packet {
  const isDestination = side === "destination";
  const was = isDestination ? packet.destination : packet.source;
  const portWas = isDestination ? packet.destinationPort : packet.sourcePort;
  const address = newAddress(packet, to, side, hook, context);
  const port = newPort(portWas, to);
  // nf_nat_setup_info sets IPS_DST_NAT and IPS_SRC_NAT only if the packet really changes.
  const wasTranslated = (isDestination ? packet.dnatted : packet.snatted) ?? false;
  const isUnknown = address === "unknown" || port === "unknown";
  const isChanged = !isUnknown && (differs(was, address) || portWas !== port);
  const isTranslated = wasTranslated === true || isChanged ? true : isUnknown ? "unknown" : wasTranslated;
  const original = originalOf(packet);
  const natDone = { ...packet.natDone, [side]: true };
  return isDestination
    ? { ...packet, destination: address, destinationPort: port, dnatted: isTranslated, original, natDone }
    : { ...packet, source: address, sourcePort: port, snatted: isTranslated, original, natDone };
}

const differs = (a: Maybe<Ip>, b: Maybe<Ip>): boolean => a !== "unknown" && b !== "unknown" && a.value !== b.value;

function newAddress(
  packet: Packet,
  to: Translation,
  side: "destination" | "source",
  hook: Hook,
  context: Context,
): Maybe<Ip> {
  if (to.does === "masquerade") return "unknown";
  if (to.does === "redirect") {
    // nf_nat_redirect: to the loopback address, or to the first one of the device that the packet came through.
    if (hook === "output") return packet.family === 4 ? { family: 4, value: 0x7f000001 } : { family: 6, value: 1n };
    return context.redirectTo?.(packet) ?? "unknown";
  }
  if (!to.addresses) return packet[side];
  const { from, to: last } = to.addresses;
  return from.value === last.value ? from : "unknown";
}

/** The port stays where it may: nf_nat_l4proto_unique_tuple takes another one only if it must, or is told to. */
function newPort(port: Maybe<number> | undefined, { does, ports, random }: Translation): Maybe<number> | undefined {
  if (port === undefined) return undefined;
  if (!ports) return random && does !== "dnat" ? "unknown" : port;
  if (ports.from === ports.to) return ports.from;
  return "unknown";
}
