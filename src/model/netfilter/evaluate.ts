/**
 * What a chain does with a packet: all ends that it can have.
 *
 * As the kernel does it (ipt_do_table in net/ipv4/netfilter/ip_tables.c, nft_do_chain in net/netfilter/nf_tables_core.c):
 * rules in order; a jump comes back to the next rule, a goto to where its own chain was called from; the end of a user
 * chain and RETURN go back to the caller, in a chain that the kernel called they give its policy. Rules of nftables have
 * parts; where the conditions of one do not hold, the next rule is asked. Where a rule cannot be decided both ways are
 * followed, where a map has several values for a packet all of them; ways that meet again with the same packet are one, so
 * that their number stays small.
 */
import type { NftVerdict } from "../../parse/nftables/json.ts";
import { ask, type Context, type Doubt } from "./condition.ts";
import { leadsTo } from "./destinations.ts";
import { afterUnknown, connmarked, isPolicyQueue, marked, markedAnyhow, untracked } from "./effect.ts";
import { isNegated, lookedUp, type Scope } from "./nft-expression.ts";
import { mangled } from "./nft-mangle.ts";
import { translationsOf } from "./nft-translation.ts";
import {
  distinct,
  type Ending,
  type Insufficiency,
  listed,
  type Outcome,
  outcomesOf,
  type State,
  startOf,
  type Trail,
  type Verdict,
} from "./outcome.ts";
import { connmarkOf, flowKey, isSame, markOf, originalOf, type Packet, packetKey } from "./packet.ts";
import type { Condition, Part, Rule, Target } from "./rule.ts";
import type { RuleIndex, Ruleset, RulesetChain } from "./ruleset.ts";
import { readTranslation } from "./translation.ts";
import { also, assumed, either, type Fork, type Question, refuted, type Step, stepOf } from "./when.ts";

export type { Outcome } from "./outcome.ts";

/** How often ways may fork, how many steps and endings there may be, how deep calls go: far beyond real rule sets. */
const LIMITS = { forks: 100_000, steps: 300_000, endings: 20_000, states: 256, depth: 512 };

/** One evaluation: its limits, and its packets, of which equal ones are one object. */
export type Run = {
  readonly context: Context;
  /** Those that were met first to a destination, which are compared one by one; most evaluations have no more. */
  readonly few: Map<number | bigint | "unknown", Packet[]>;
  readonly packets: Map<string, Packet>;
  /** Addresses: where chance chooses, ways to others are not followed if there are ways to these. */
  readonly towards: ReadonlySet<string> | undefined;
  /** Some ways were not followed. */
  isNarrowed: boolean;
  forks: number;
  steps: number;
};

const FEW = 4;

export function startRun(context: Context, towards?: ReadonlySet<string>): Run {
  return { context, few: new Map(), packets: new Map(), towards, isNarrowed: false, forks: 0, steps: 0 };
}

export function intern({ few, packets }: Run, packet: Packet): Packet {
  const { destination } = packet;
  const to = destination === "unknown" ? destination : destination.value;
  const alike = few.get(to);
  if (!alike) {
    few.set(to, [packet]);
    return packet;
  }
  for (const one of alike) if (one === packet || isSame(one, packet)) return one;
  if (alike.length < FEW) {
    alike.push(packet);
    return packet;
  }
  const key = packetKey(packet);
  const known = packets.get(key);
  if (known) return known;
  packets.set(key, packet);
  return packet;
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
  return outcomesOf(callChain(run, ruleset, chain, [startOf(intern(run, packet))]));
}

/** Lets packets into a chain as the kernel does. */
export function callChain(
  run: Run,
  ruleset: Ruleset,
  chain: RulesetChain,
  states: readonly State[],
): readonly Ending[] {
  const endings: Ending[] = [];
  const verdict: Verdict = { is: chain.base ? chain.base.policy : "through" };
  // Packets that differ in more than marks can meet different rules of long chains.
  const flows = states.length < 2 ? [states] : Map.groupBy(states, ({ packet }) => flowKey(packet)).values();
  for (const alike of flows) {
    const call: Call = { run, chains: ruleset.chains.get(chain.table)!, endings, open: new Set() };
    for (const state of walk(call, chain, alike, undefined)) {
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

/** Ends the way of a packet at a step, which `path` (the jumps) leads to. */
function end(call: Call, state: State, verdict: Verdict, path: Trail<Step>, step: Step): void {
  const { endings } = call;
  if (endings.length > LIMITS.endings) return;
  const isLast = endings.length === LIMITS.endings;
  let { decided } = state;
  for (const jump of listed(path)) decided = { last: jump, before: decided };
  decided = { last: step, before: decided };
  endings.push({ ...state, verdict: isLast ? { is: "insufficient", why: "too-many" } : verdict, decided });
}

/** The same packet on another way is not another state. */
function together(states: readonly State[]): readonly State[] {
  if (states.length < 2) return states;
  const byPacket = new Map<Packet, State>();
  for (const state of states) {
    const known = byPacket.get(state.packet);
    byPacket.set(state.packet, known ? { ...known, when: either(known.when, state.when) } : state);
  }
  return [...byPacket.values()];
}

/** Takes the states through the rules of one chain. @returns those that come back from it */
function walk(call: Call, chain: RulesetChain, arriving: readonly State[], path: Trail<Step>): readonly State[] {
  const { run, open } = call;
  if (open.has(chain) || open.size >= LIMITS.depth) {
    for (const state of arriving) end(call, state, { is: "insufficient", why: "loop" }, path, stepOf(chain));
    return [];
  }
  open.add(chain);
  const returning: State[] = [];
  let here = arriving;
  for (const position of candidates(chain, arriving)) {
    if (here.length === 0) break;
    const rule = chain.rules[position]!;
    run.steps += here.length;
    let next: State[] | undefined;
    for (let i = 0; i < here.length; i++) {
      const state = here[i]!;
      const answer = meets(run, chain, rule, rule.conditions, state);
      if (answer === "no") {
        next?.push(state);
        continue;
      }
      next ??= here.slice(0, i);
      take({ call, chain, rule, path, next, returning }, rule, state, answer);
    }
    if (next) here = together(next);
    if (here.length > LIMITS.states || run.forks > LIMITS.forks || run.steps > LIMITS.steps) {
      for (const state of here) end(call, state, { is: "insufficient", why: "too-many" }, path, stepOf(chain, rule));
      here = [];
    }
  }
  open.delete(chain);
  for (const state of here) returning.push(chain.isCut ? mayEnd(call, state, "cut-off", path, stepOf(chain)) : state);
  return together(returning);
}

/** Where a rule leads packets: to the next one, or back to where the chain was called from. */
type Ways = {
  readonly call: Call;
  readonly chain: RulesetChain;
  readonly rule: Rule;
  readonly path: Trail<Step>;
  readonly next: State[];
  readonly returning: State[];
};

/** Takes a packet through a part of a rule, whose conditions it meets or may meet, and through what comes after it. */
function take(ways: Ways, part: Rule | Part, state: State, answer: "yes" | Fork): void {
  const { call, chain, rule, path, next, returning } = ways;
  const step = stepOf(chain, rule);
  if (answer !== "yes") {
    call.run.forks++;
    const course = courseOf(call, chain, part, answer);
    if (course !== "both") call.run.isNarrowed = true;
    if (course !== "here") next.push({ ...state, when: also(state.when, answer, false) });
    if (course === "elsewhere") return;
  }
  const when = answer === "yes" ? state.when : also(state.when, answer, true);
  const met = part === rule ? { last: step, before: state.met } : state.met;
  const after = act(call, part.target, { ...state, when, met }, path, step);
  returning.push(...after.returning);
  if (after.ended) next.push(...after.ended);
  const { then } = part;
  if (!then || after.isVerdict) next.push(...after.next);
  else {
    for (const one of after.next) {
      const answered = meets(call.run, chain, rule, then.conditions, one);
      if (answered === "no") next.push(one);
      else take(ways, then, one, answered);
    }
  }
}

/** Where chance chooses: whether what is asked for is all where this part leads, all elsewhere in the chain, or in both. */
function courseOf(
  { run: { towards }, chains }: Call,
  chain: RulesetChain,
  { target }: Rule | Part,
  { isChoice }: Fork,
): "here" | "elsewhere" | "both" {
  if (!towards || !isChoice || !("chain" in target)) return "both";
  const here = leadsTo(chains.get(target.chain), chains, towards);
  if (here === "all") return "here";
  return here === "none" && leadsTo(chain, chains, towards) !== "none" ? "elsewhere" : "both";
}

/** Positions of the rules that packets of this flow can meet. */
function candidates({ index, rules }: RulesetChain, [state]: readonly State[]): Iterable<number> {
  return index && state ? indexed(index, rules.length, state.packet) : rules.keys();
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

type Doubtful = { readonly condition: Condition; readonly doubt: Doubt };

/** Whether the packet meets all these conditions of the rule, or the fork at which the ways part. */
function meets(
  run: Run,
  chain: RulesetChain,
  rule: Rule,
  conditions: readonly Condition[],
  state: State,
): "yes" | "no" | Fork {
  let doubts: Doubtful[] | undefined;
  for (const condition of conditions) {
    // nearly every rule of kube-proxy has one
    if (condition.is === "comment") continue;
    const answer = ask(condition, state.packet, run.context);
    if (answer === "no") return "no";
    if (answer !== "yes") {
      doubts ??= [];
      doubts.push({ condition, doubt: answer });
    }
  }
  return doubts ? forkOf(run, chain, rule, doubts, state) : "yes";
}

function forkOf(
  run: Run,
  chain: RulesetChain,
  rule: Rule,
  doubts: readonly Doubtful[],
  state: State,
): "yes" | "no" | Fork {
  const open: Doubtful[] = [];
  const questions: Question[] = [];
  for (const one of doubts) {
    const question = one.doubt === "unknown" ? questionOf(one.condition, state.packet) : undefined;
    // Looking back is work as well, if less than a rule is.
    if (question) run.steps += (state.when?.length ?? 0) / 8;
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
function questionOf(condition: Condition, packet: Packet): Question {
  if (condition.is === "compare") {
    const { match, sets } = condition;
    const { left, op, right } = match;
    const asked = textOf([sets.table, left, op === "!=" ? "==" : op === "!" ? "in" : op, right]);
    const about = /"is":"ct"|"key":"mark"/.test(textOf(left)) ? packetKey(packet) : flowKey(packet);
    return { key: `${asked} ${about}`, wanted: !isNegated(match) };
  }
  if (condition.is === "element") return { key: `${condition.text} ${packetKey(packet)}`, wanted: true };
  const { sameMatch, via, ...rest } = condition as Condition & { readonly sameMatch?: true; readonly via?: string };
  const { not, ...asked } = rest as typeof rest & { readonly not?: true };
  return { key: `${textOf(asked)} ${lookedAt(condition, packet)}`, wanted: !not };
}

/** JSON has no big integers, as IPv6 addresses are. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part));

function lookedAt({ is }: Condition, packet: Packet): string {
  switch (is) {
    case "mark":
      return textOf([markOf(packet), packet.unknowns]);
    case "connmark":
      return textOf([connmarkOf(packet), packet.unknowns]);
    case "conntrack-state":
      return `${packet.ctState} ${packet.dnatted} ${packet.snatted}`;
    case "original-address":
    case "original-port":
      return textOf(originalOf(packet) ?? "?");
    default:
      return flowKey(packet);
  }
}

/** The way may end here, we cannot tell how; or the packet goes on. */
function mayEnd(call: Call, state: State, why: Insufficiency, path: Trail<Step>, step: Step): State {
  call.run.forks++;
  const fork: Fork = { questions: [], assume: (holds) => ({ about: "effect", step, holds }) };
  end(call, { ...state, when: also(state.when, fork, false) }, { is: "insufficient", why }, path, step);
  return { ...state, when: also(state.when, fork, true) };
}

/**
 * Where a packet is after a target: going on, on its way back to the caller; or nowhere, its way has ended. `isVerdict`: what
 * the rule says after this does not count. `ended`: for these the rule is over, as if its conditions did not hold.
 */
type After = {
  readonly next: readonly State[];
  readonly returning: readonly State[];
  readonly isVerdict?: true;
  readonly ended?: readonly State[];
};

const ENDED: After = { next: [], returning: [] };
const goOn = (...next: readonly State[]): After => ({ next, returning: [] });

/** Does what the target says with a packet that meets the rule. */
function act(call: Call, target: Target, state: State, path: Trail<Step>, step: Step): After {
  const ends = (verdict: Verdict, last: State = state): After => {
    end(call, last, verdict, path, step);
    return ENDED;
  };
  const changed = (packet: Packet): State => ({ ...state, packet: intern(call.run, packet) });
  switch (target.does) {
    case "nothing":
      return goOn(state);
    case "accept":
    case "drop":
      return ends({ is: target.does });
    case "reject":
      return ends({ is: "reject", with: target.with });
    case "return":
      return { next: [], returning: [state] };
    case "jump":
    case "goto": {
      const chain = call.chains.get(target.chain);
      if (!chain) return goOn(mayEnd(call, state, "missing-chain", path, step));
      const back = walk(call, chain, [state], { last: step, before: path });
      return target.does === "jump"
        ? { next: back, returning: [], isVerdict: true }
        : { next: [], returning: back, isVerdict: true };
    }
    case "vmap": {
      const scope: Scope = { packet: state.packet, sets: target.sets, context: call.run.context };
      const found = lookedUp(target.key, target.data, scope);
      if (!found) return goOn(mayEnd(call, state, "unknown-target", path, step));
      const options = meant(
        call,
        found.doubt,
        alike(found.hits.map(({ key, data }) => ({ of: [key], does: verdictOf(data) }))),
      );
      const ways = among(call, step, state, options, found.mayMiss || options.length === 0, found.doubt);
      const ends: After[] = ways.hits.map(([one, at]) => act(call, at.does, one, path, step));
      return {
        next: ends.flatMap(({ next, isVerdict }) => (isVerdict ? [] : next)),
        returning: ends.flatMap(({ returning }) => returning),
        ended: [...ends.flatMap(({ next, isVerdict }) => (isVerdict ? next : [])), ...ways.misses],
      };
    }
    case "mangle": {
      const scope: Scope = { packet: state.packet, sets: target.sets, context: call.run.context };
      const { doubt, options, mayEnd: ends } = mangled(target.key, target.value, scope, step);
      const ways = among(call, step, state, options, ends, doubt);
      const next = ways.hits.map(([one, { packet }]) => ({ ...one, packet: intern(call.run, packet) }));
      return { next, returning: [], ended: ways.misses };
    }
    case "nat": {
      const { family } = target.nat;
      // nft_nat_inet_eval: not of this family, nothing is done.
      if (family !== undefined && family !== (state.packet.family === 4 ? "ip" : "ip6")) return goOn(state);
      const scope: Scope = { packet: state.packet, sets: target.sets, context: call.run.context };
      const { doubt, possible } = translationsOf(target.nat, scope);
      const options = possible.filter(({ to }) => to !== "ends");
      const ways = among(call, step, state, options, options.length < possible.length, doubt);
      for (const [one, { to }] of ways.hits) {
        const verdict: Verdict =
          typeof to === "string" ? { is: "insufficient", why: "unknown-target" } : { is: "translate", to };
        end(call, one, verdict, path, step);
      }
      return { next: [], returning: [], ended: ways.misses };
    }
    case "reject-by-family":
      return ends({ is: "reject", with: target.with[state.packet.family] });
    case "dnat":
    case "snat":
    case "redirect":
    case "masquerade": {
      const to = readTranslation(target);
      return ends(to ? { is: "translate", to } : { is: "insufficient", why: "unknown-target" });
    }
    case "tproxy":
      return ends(
        { is: "tproxy", port: target.port, address: target.address },
        changed(marked(state.packet, target, step)),
      );
    case "set-mark":
      return goOn(changed(marked(state.packet, target, step)));
    case "connmark":
      return goOn(changed(connmarked(state.packet, target, step)));
    case "notrack":
      return goOn(changed(untracked(state.packet)));
    case "unknown": {
      const what = afterUnknown(target.name);
      if (what === "goes-on") return goOn(state);
      if (what === "judged" && isPolicyQueue(step.ruleset)) {
        call.run.forks++;
        const { packet, when } = state;
        const fork: Fork = { questions: [], assume: (holds) => ({ about: "judgement", step, packet, holds }) };
        ends({ is: "drop" }, { ...state, when: also(when, fork, false) });
        return ends({ is: "accept" }, { ...state, when: also(when, fork, true) });
      }
      if (what !== "unknown") return ends({ is: "insufficient", why: "unknown-target" });
      const after = mayEnd(call, state, "unknown-target", path, step);
      return goOn({ ...after, packet: intern(call.run, markedAnyhow(after.packet, step)) });
    }
  }
}

/** What a verdict map maps to, as a target. */
function verdictOf(data: unknown): Target {
  const verdict = data as NftVerdict | undefined;
  switch (verdict?.is) {
    case "accept":
    case "drop":
    case "return":
      return { does: verdict.is };
    case "jump":
    case "goto":
      return { does: verdict.is, chain: verdict.chain };
    case "continue":
      return { does: "nothing", name: "continue" };
    default:
      return { does: "unknown", name: "", text: "" };
  }
}

/** What elements of a map give: `of` are their keys. */
type Chosen = { readonly of: readonly unknown[] };

/** Of what chance chooses from that which leads to what is asked for, if any does. */
function meant<T extends { readonly does: Target }>({ run, chains }: Call, doubt: Doubt, options: readonly T[]) {
  const { towards } = run;
  if (!towards || doubt !== "choice" || options.length < 2) return options;
  const leading = options.filter(({ does }) => {
    const there = "chain" in does ? leadsTo(chains.get(does.chain), chains, towards) : undefined;
    return there === "all" || there === "some";
  });
  if (leading.length === 0 || leading.length === options.length) return options;
  run.isNarrowed = true;
  return leading;
}

/** Elements that lead to the same are one. */
function alike(options: readonly (Chosen & { readonly does: Target })[]) {
  if (options.length < 2) return options;
  const same = Map.groupBy(options, ({ does }) => `${does.does} ${"chain" in does ? does.chain : ""}`);
  return [...same.values()].map(([first, ...others]) =>
    others.length === 0 ? first! : { ...first!, of: [first!, ...others].flatMap(({ of }) => of) },
  );
}

/** The ways of a packet for which a map has several possible values: one for each, and one if it may have none. */
function among<T extends Chosen>(
  call: Call,
  step: Step,
  state: State,
  options: readonly T[],
  mayMiss: boolean,
  doubt: Doubt,
): { readonly hits: readonly (readonly [State, T])[]; readonly misses: readonly State[] } {
  if (options.length === 0) return { hits: [], misses: mayMiss ? [state] : [] };
  if (options.length === 1 && !mayMiss) return { hits: [[state, options[0]!]], misses: [] };
  const hits: (readonly [State, T])[] = [];
  let rest = state;
  for (const [at, option] of options.entries()) {
    if (at === options.length - 1 && !mayMiss) {
      hits.push([rest, option]);
      return { hits, misses: [] };
    }
    // Most of these texts are never asked for.
    const conditionOf = (): Condition => ({
      is: "element",
      text: `${step.ruleset} ${step.line} ${option.of.map(textOf).join(" ")}`,
    });
    const questions = doubt === "unknown" ? [questionOf(conditionOf(), state.packet)] : [];
    const known = questions[0] && assumed(rest.when, questions[0].key);
    if (known === true) return { hits: [[rest, option]], misses: [] };
    if (known === false) continue;
    call.run.forks++;
    const fork: Fork = {
      questions,
      isChoice: doubt === "choice",
      assume: (holds) => ({ about: "rule", step, holds, doubts: [{ condition: conditionOf(), doubt }] }),
    };
    hits.push([{ ...rest, when: also(rest.when, fork, true) }, option]);
    rest = { ...rest, when: also(rest.when, fork, false) };
  }
  return { hits, misses: mayMiss ? [rest] : [] };
}
