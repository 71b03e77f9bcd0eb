/**
 * What a chain does with a packet: all ends that it can have.
 *
 * As the kernel does it (ipt_do_table in net/ipv4/netfilter/ip_tables.c, nft_do_chain in net/netfilter/nf_tables_core.c):
 * rules in order; a jump comes back to the next rule, a goto to where its own chain was called from; the end of a user
 * chain and RETURN go back to the caller, in a chain that the kernel called they give its policy. Where a rule cannot be
 * decided both ways are followed; ways that meet again with the same packet are one, so that their number stays small.
 */
import type { Rule, Target } from "../../parse/iptables-save.ts";
import { type Answer, ask, type Context, type Doubt } from "./condition.ts";
import { connmarkOf, flowKey, hasConnection, markOf, type Packet, packetKey, setBits } from "./packet.ts";
import type { RuleIndex, Ruleset, RulesetChain } from "./ruleset.ts";
import { readTranslation, type Translation } from "./translation.ts";
import {
  type Assumption,
  also,
  assumed,
  assumptions,
  either,
  type Fork,
  type Question,
  refuted,
  type Step,
  stepOf,
  type When,
} from "./when.ts";

export type Verdict =
  /** This table's chains at this hook are done with the packet; the next table sees it. */
  | { readonly is: "accept" }
  | { readonly is: "drop" }
  | { readonly is: "reject"; readonly with: string }
  /** Of chains of type nat. The packet is not changed yet: `hook` does that. */
  | { readonly is: "translate"; readonly to: Translation }
  /** To a local socket if there is one, else dropped. */
  | { readonly is: "tproxy"; readonly port: number; readonly address: string }
  /** The end of a user chain, or RETURN: the caller goes on. */
  | { readonly is: "through" }
  /** The evidence does not tell what happens. */
  | { readonly is: "insufficient"; readonly why: Insufficiency };

export type Insufficiency =
  /** a rule that we could not read, or a target that we do not know */
  | "unknown-target"
  /** a jump to a chain that is not there */
  | "missing-chain"
  /** rules that were cut off */
  | "cut-off"
  /** chains that call each other in a circle, or too deep */
  | "loop"
  /** more possibilities than we follow */
  | "too-many";

export type Outcome = {
  readonly verdict: Verdict;
  /** The packet with the marks and state that the rules gave it. */
  readonly packet: Packet;
  readonly certainty: "certain" | "depends";
  /** If it depends: the assumptions that lead here. If all are choices, the outcome does happen to some packets. */
  readonly reasons: readonly Assumption[];
  /** The jumps and, last, the rule (or policy) that decided. */
  readonly rules: readonly Step[];
  /** The rules that changed the packet on its way, e.g. set a mark. */
  readonly changedBy: readonly Step[];
};

/** How often ways may fork, how many steps and endings there may be, how deep calls go: far beyond real rule sets. */
const LIMITS = { forks: 100_000, steps: 20_000_000, endings: 20_000, states: 256, depth: 512 };

/** A list that grows at its end and is shared by what comes after. */
export type Trail<T> = undefined | { readonly last: T; readonly before: Trail<T> };

export const listed = <T>(trail: Trail<T>): readonly T[] => {
  const list: T[] = [];
  for (let at = trail; at; at = at.before) list.push(at.last);
  return list.reverse();
};

/** A packet on its way. */
export type State = {
  readonly packet: Packet;
  readonly when: When;
  /** What decided at earlier chains, and what changed the packet. */
  readonly decided: Trail<Step>;
  readonly changed: Trail<Step>;
};

/** Where a way ends. */
export type Ending = State & { readonly verdict: Verdict };

/** One evaluation: its limits, and its packets, of which equal ones are one object. */
export type Run = {
  readonly context: Context;
  readonly packets: Map<string, Packet>;
  forks: number;
  steps: number;
};

export function startRun(context: Context): Run {
  return { context, packets: new Map(), forks: 0, steps: 0 };
}

export function intern(run: Run, packet: Packet): Packet {
  const key = packetKey(packet);
  const known = run.packets.get(key);
  if (known) return known;
  run.packets.set(key, packet);
  return packet;
}

/** Endings with the same effect are one; after a drop it does not matter any more which marks the packet had. */
function endingKey({ verdict, packet }: Ending): string {
  switch (verdict.is) {
    case "drop":
      return verdict.is;
    case "reject":
      return `reject ${verdict.with}`;
    case "insufficient":
      return `insufficient ${verdict.why}`;
    case "translate": {
      const { does, addresses, ports, random } = verdict.to;
      const range = addresses ? `${addresses.from.value}-${addresses.to.value}` : "";
      return `${does} ${range} ${ports?.from}-${ports?.to} ${random} ${packetKey(packet)}`;
    }
    case "tproxy":
      return `tproxy ${verdict.port} ${verdict.address} ${packetKey(packet)}`;
    default:
      return `${verdict.is} ${packetKey(packet)}`;
  }
}

/** The different endings of all ways. */
export function distinct(endings: readonly Ending[]): Ending[] {
  const byKey = new Map<string, Ending>();
  for (const ending of endings) {
    const key = endingKey(ending);
    const known = byKey.get(key);
    byKey.set(key, known ? { ...known, when: either(known.when, ending.when) } : ending);
  }
  return [...byKey.values()];
}

export function outcomesOf(endings: readonly Ending[]): readonly Outcome[] {
  const different = distinct(endings);
  return different.map(({ verdict, packet, when, decided, changed }) => ({
    verdict,
    packet,
    certainty: different.length === 1 ? "certain" : "depends",
    reasons: different.length === 1 ? [] : assumptions(when),
    rules: listed(decided),
    changedBy: listed(changed),
  }));
}

/**
 * What a chain does with a packet. At a chain that the kernel calls, what falls through gets the policy.
 *
 * @returns all outcomes that are possible; exactly one if it is certain. Nothing if there is no such chain.
 */
export function traverse(
  ruleset: Ruleset,
  at: { readonly table: string; readonly chain: string },
  packet: Packet,
  context: Context,
): readonly Outcome[] {
  const chain = ruleset.chains.get(at.table)?.get(at.chain);
  if (!chain) return [];
  const run = startRun(context);
  const state: State = { packet: intern(run, packet), when: undefined, decided: undefined, changed: undefined };
  return outcomesOf(callChain(run, ruleset, chain, [state]));
}

/** Lets packets into a chain as the kernel or a test does. */
export function callChain(
  run: Run,
  ruleset: Ruleset,
  chain: RulesetChain,
  states: readonly State[],
): readonly Ending[] {
  const endings: Ending[] = [];
  // Packets that differ in more than marks meet different rules of long chains.
  const flows = Map.groupBy(states, ({ packet }) => flowKey(packet));
  for (const alike of flows.values()) {
    const call: Call = { run, chains: ruleset.chains.get(chain.table)!, endings, open: new Set() };
    for (const state of walk(call, chain, alike, undefined)) {
      const verdict: Verdict = { is: chain.base ? (chain.base.policy === "drop" ? "drop" : "accept") : "through" };
      endings.push({ ...state, verdict, decided: { last: stepOf(chain), before: state.decided } });
    }
  }
  return distinct(endings);
}

type Call = {
  readonly run: Run;
  readonly chains: ReadonlyMap<string, RulesetChain>;
  readonly endings: Ending[];
  /** The chains that we are in. */
  readonly open: Set<RulesetChain>;
};

function end(call: Call, state: State, verdict: Verdict, path: Trail<Step>, step: Step): void {
  let decided = state.decided;
  for (const jump of listed(path)) decided = { last: jump, before: decided };
  if (call.endings.length >= LIMITS.endings) return;
  const isLast = call.endings.length === LIMITS.endings - 1;
  const said: Verdict = isLast ? { is: "insufficient", why: "too-many" } : verdict;
  call.endings.push({ ...state, verdict: said, decided: { last: step, before: decided } });
}

/** Adds a state to those at the same place; the same packet on another way is not another state. */
function join(states: State[], state: State): void {
  const at = states.findIndex(({ packet }) => packet === state.packet);
  if (at < 0) states.push(state);
  else states[at] = { ...states[at]!, when: either(states[at]!.when, state.when) };
}

const together = (states: readonly State[]): State[] => {
  const joined: State[] = [];
  for (const state of states) join(joined, state);
  return joined;
};

/** Takes the states through the rules of one chain. @returns those that come back from it */
function walk(call: Call, chain: RulesetChain, arriving: readonly State[], path: Trail<Step>): readonly State[] {
  const { run, open } = call;
  const why = open.has(chain) || open.size >= LIMITS.depth ? "loop" : undefined;
  if (why) {
    for (const state of arriving) end(call, state, { is: "insufficient", why }, path, stepOf(chain));
    return [];
  }
  open.add(chain);
  const returning: State[] = [];
  let here = arriving;
  for (const position of candidates(chain, arriving)) {
    const rule = chain.rules[position]!;
    if (here.length === 0) break;
    run.steps += here.length;
    let next: State[] | undefined;
    for (let i = 0; i < here.length; i++) {
      const state = here[i]!;
      const answer = meets(run, chain, rule, state);
      if (answer === "no") {
        next?.push(state);
        continue;
      }
      next ??= here.slice(0, i);
      if (answer === "yes") {
        act(call, chain, rule, state, path, next, returning);
        continue;
      }
      run.forks++;
      next.push({ ...state, when: also(state.when, answer, false) });
      act(call, chain, rule, { ...state, when: also(state.when, answer, true) }, path, next, returning);
    }
    if (next) here = next.length > 1 ? together(next) : next;
    if (here.length > LIMITS.states || run.forks > LIMITS.forks || run.steps > LIMITS.steps) {
      for (const state of here) end(call, state, { is: "insufficient", why: "too-many" }, path, stepOf(chain, rule));
      here = [];
    }
  }
  open.delete(chain);
  for (const state of here) returning.push(chain.isCut ? mayEnd(call, state, "cut-off", path, stepOf(chain)) : state);
  return together(returning);
}

/** Positions of the rules that packets of this flow can meet. */
function candidates(chain: RulesetChain, [state]: readonly State[]): Iterable<number> {
  if (!chain.index || !state) return chain.rules.keys();
  return indexed(chain.index, chain.rules.length, state.packet);
}

function indexed({ byDestination, byPort, others }: RuleIndex, length: number, packet: Packet): Iterable<number> {
  const { destination, destinationPort } = packet;
  const ofAddress =
    destination === "unknown" ? [...byDestination.values()].flat() : (byDestination.get(destination.value) ?? []);
  const isPortKnown = typeof destinationPort === "number";
  const ofPort = isPortKnown ? (byPort.get(destinationPort) ?? []) : [...byPort.values()].flat();
  if (ofAddress.length + ofPort.length === 0) return others;
  const all = [...ofAddress, ...ofPort, ...others];
  return all.length === length ? Array.from({ length }, (_, position) => position) : all.sort((a, b) => a - b);
}

/** Whether the packet meets all conditions of the rule, or the fork at which the ways part. */
function meets(run: Run, chain: RulesetChain, rule: Rule, state: State): "yes" | "no" | Fork {
  const doubts: { condition: Rule["conditions"][number]; doubt: Doubt }[] = [];
  for (const condition of rule.conditions) {
    const answer: Answer = ask(condition, state.packet, run.context);
    if (answer === "no") return "no";
    if (answer !== "yes") doubts.push({ condition, doubt: answer });
  }
  if (doubts.length === 0) return "yes";
  if (doubts.some(({ doubt }) => doubt === "unknown")) run.steps += state.when?.length ?? 0;
  const open: typeof doubts = [];
  const questions: Question[] = [];
  for (const one of doubts) {
    const question = one.doubt === "unknown" ? questionOf(one.condition, state.packet) : undefined;
    const answer = question && assumed(state.when, question.key);
    if (question && answer !== undefined) {
      if (answer !== question.wanted) return "no";
      continue;
    }
    open.push(one);
    if (question) questions.push(question);
  }
  if (open.length === 0) return "yes";
  if (questions.length > 0 && refuted(state.when, questions)) return "no";
  const step = stepOf(chain, rule);
  // If chance is among the reasons, that the rule does not hold says nothing of the rest.
  const asked = questions.length === open.length ? questions : [];
  const isChoice = open.every(({ doubt }) => doubt === "choice");
  return { questions: asked, isChoice, assume: (holds) => ({ about: "rule", step, holds, doubts: open }) };
}

/** What is asked, in other words: the condition without its `not`, of the part of the packet that it looks at. */
function questionOf(condition: Rule["conditions"][number], packet: Packet): Question {
  const { sameMatch, via, ...rest } = condition;
  const { not, ...asked } = rest as typeof rest & { readonly not?: true };
  const text = JSON.stringify(asked, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  const { ctState, dnatted, snatted } = packet;
  const about =
    condition.is === "mark"
      ? JSON.stringify(markOf(packet))
      : condition.is === "connmark"
        ? JSON.stringify(connmarkOf(packet))
        : condition.is === "conntrack-state"
          ? `${ctState} ${dnatted} ${snatted}`
          : flowKey(packet);
  return { key: `${text} ${about}`, wanted: !not };
}

/** The way may end here, we cannot tell how; or the packet goes on. */
function mayEnd(call: Call, state: State, why: Insufficiency, path: Trail<Step>, step: Step): State {
  call.run.forks++;
  const fork: Fork = { questions: [], assume: (holds) => ({ about: "effect", step, holds }) };
  end(call, { ...state, when: also(state.when, fork, false) }, { is: "insufficient", why }, path, step);
  return { ...state, when: also(state.when, fork, true) };
}

/** Does what the rule's target says with a packet that meets it: it goes on, comes back, or ends. */
function act(
  call: Call,
  chain: RulesetChain,
  rule: Rule,
  state: State,
  path: Trail<Step>,
  next: State[],
  returning: State[],
): void {
  const { target } = rule;
  switch (target.does) {
    case "nothing":
      next.push(state);
      return;
    case "accept":
    case "drop":
      end(call, state, { is: target.does }, path, stepOf(chain, rule));
      return;
    case "reject":
      end(call, state, { is: "reject", with: target.with }, path, stepOf(chain, rule));
      return;
    case "return":
      returning.push(state);
      return;
    case "jump":
    case "goto": {
      const called = call.chains.get(target.chain);
      const step = stepOf(chain, rule);
      if (!called) {
        next.push(mayEnd(call, state, "missing-chain", path, step));
        return;
      }
      const back = walk(call, called, [state], { last: step, before: path });
      (target.does === "jump" ? next : returning).push(...back);
      return;
    }
    case "dnat":
    case "snat":
    case "redirect":
    case "masquerade": {
      const to = readTranslation(target);
      const verdict: Verdict = to ? { is: "translate", to } : { is: "insufficient", why: "unknown-target" };
      end(call, state, verdict, path, stepOf(chain, rule));
      return;
    }
    case "tproxy": {
      const marked = changed(call, state, chain, rule, marksOf(state.packet, target.value, target.mask));
      const { port, address } = target;
      end(call, marked, { is: "tproxy", port, address }, path, stepOf(chain, rule));
      return;
    }
    case "set-mark":
      next.push(changed(call, state, chain, rule, marksOf(state.packet, target.value, target.mask)));
      return;
    case "connmark":
      next.push(changed(call, state, chain, rule, connmarked(state.packet, target)));
      return;
    case "notrack":
      // xt_CT.c: a packet that has an entry already keeps it, as those do that a node sends to itself.
      next.push(state.packet.natDone ? state : changed(call, state, chain, rule, { ctState: "untracked" }));
      return;
    case "unknown":
      next.push(...unknownTarget(call, chain, rule, state, path));
      return;
  }
}

function changed(call: Call, state: State, chain: RulesetChain, rule: Rule, change: Partial<Packet>): State {
  const packet = intern(call.run, { ...state.packet, ...change });
  return packet === state.packet
    ? state
    : { ...state, packet, changed: { last: stepOf(chain, rule), before: state.changed } };
}

function marksOf(packet: Packet, value: number, mask: number): Partial<Packet> {
  const bits = setBits(markOf(packet), value, mask);
  return { mark: bits.value, markUnknown: bits.unknown };
}

/** connmark_tg in net/netfilter/xt_connmark.c. */
function connmarked(packet: Packet, target: Target & { readonly does: "connmark" }): Partial<Packet> {
  const connection = hasConnection(packet);
  if (connection === false) return {};
  const { mask, packetMask = mask, value = 0 } = target;
  const mark = markOf(packet);
  const connmark = connmarkOf(packet);
  if (target.operation === "restore") {
    const kept = setBits(mark, 0, packetMask);
    const unknown =
      (kept.unknown | (connmark.unknown & mask) | (connection === "unknown" ? packetMask | mask : 0)) >>> 0;
    return { mark: ((kept.value ^ (connmark.value & mask)) & ~unknown) >>> 0, markUnknown: unknown };
  }
  const source = target.operation === "save" ? mark : { value, unknown: 0 };
  const sourceMask = target.operation === "save" ? packetMask : 0xffffffff;
  const kept = setBits(connmark, 0, mask);
  const unknown =
    (kept.unknown | (source.unknown & sourceMask) | (connection === "unknown" ? sourceMask | mask : 0)) >>> 0;
  return { connmark: ((kept.value ^ (source.value & sourceMask)) & ~unknown) >>> 0, connmarkUnknown: unknown };
}

/** Targets after which the packet always goes on (they return XT_CONTINUE); what else they do is not seen by rules. */
const GO_ON = new Set(["CT", "SECMARK", "CONNSECMARK"]);
/** Targets that always end the way, in a manner that is decided elsewhere. */
const END = new Set(["NFQUEUE", "QUEUE", "SYNPROXY", "NETMAP", "CLUSTERIP", "MIRROR"]);

function unknownTarget(call: Call, chain: RulesetChain, rule: Rule, state: State, path: Trail<Step>): readonly State[] {
  const { name } = rule.target as Target & { readonly does: "unknown" };
  if (GO_ON.has(name)) return [state];
  const step = stepOf(chain, rule);
  if (END.has(name)) {
    end(call, state, { is: "insufficient", why: "unknown-target" }, path, step);
    return [];
  }
  const after = mayEnd(call, state, "unknown-target", path, step);
  const packet = intern(call.run, { ...after.packet, mark: 0, markUnknown: 0xffffffff });
  return [{ ...after, packet, changed: { last: step, before: after.changed } }];
}
