/** What all parts of a page share: the reader's language, how much is shown, and what was quoted already. */
import { isText, type Language, type Text } from "../../text.ts";
import type { Cause, Effect, ReportEvidence } from "../report.ts";
import type { Link } from "./chain.ts";
import { type Block, type Branch, type CommandBlock, type Item, line, prose, type Quote } from "./document.ts";
import { words } from "./words.ts";
import { clipped } from "./wrap.ts";

type Ref = Cause["object"];

/** How much of it fits on a page that a tired person reads. */
const MOST = {
  causeQuotes: 3,
  symptoms: 4,
  named: 4,
  nodes: 4,
  commands: 2,
  quoteColumns: 320,
  linkColumns: 240,
  linkQuoteColumns: 120,
};
const ALL = {
  causeQuotes: 99,
  symptoms: 999,
  named: 999,
  nodes: 999,
  commands: 99,
  quoteColumns: 1e6,
  linkColumns: 1e6,
  linkQuoteColumns: 1e6,
};

export type Speaker = {
  readonly say: (text: Text) => string;
  readonly most: typeof MOST;
  readonly wide: boolean;
  /** Between names in a row. */
  readonly comma: string;
  /** What was quoted already: no line of evidence is shown twice. */
  readonly quoted: Set<string>;
};

export function speakerFor(lang: Language, wide: boolean): Speaker {
  const comma = lang === "zh" ? "\u3001" : ", ";
  return { say: (text) => text[lang], most: wide ? ALL : MOST, wide, comma, quoted: new Set() };
}

export const refId = ({ kind, namespace, name }: Ref) =>
  [kind, namespace, name].filter((part) => part !== undefined).join("/");

export function headline(tone: "good" | "doubt" | "bad", mark: string, label: string, text: string): Block {
  return { shape: "headline", tone, mark, label, line: prose(text, "strong") };
}

export function section(title: string, blocks: readonly Block[], note?: string): Block[] {
  return blocks.length === 0 ? [] : [{ shape: "section", title, note, blocks }];
}

export function listOf(items: readonly Item[]): Block[] {
  return items.length === 0 ? [] : [{ shape: "list", items }];
}

/** `2026-11-21 03:16:06 UTC`; what is no time in UTC stays as it is. */
export function timeOf(at: string): string {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/.exec(at);
  return match ? `${match[1]} ${match[2]} UTC` : at;
}

/** `path:line`, or `path#pointer` for an object in a list. */
export function whereOf({ origin: { path, line: number, pointer } }: ReportEvidence): string {
  if (number !== undefined) return `${path}:${number}`;
  return pointer === undefined ? path : `${path}#${pointer}`;
}

/** Evidence as quotes: the same words in several places are one quote; what was shown before is left out. */
export function quotesOf(
  evidence: readonly ReportEvidence[],
  most: number,
  columns: number,
  { quoted }: Speaker,
): Quote[] {
  const places = new Map<string, string[]>();
  for (const item of evidence) {
    if (item.quote.trim() === "") continue;
    const where = places.get(item.quote);
    if (!where) places.set(item.quote, [whereOf(item)]);
    else if (!where.includes(whereOf(item))) where.push(whereOf(item));
  }
  const fresh = [...places].filter(([quote]) => !quoted.has(quote)).slice(0, most);
  for (const [quote] of fresh) quoted.add(quote);
  return fresh.map(([quote, where]) => ({ words: clipped(quote, columns), where: where.slice(0, 3) }));
}

/** Of a symptom a test, and the words of a program that met it: those are what somebody came with. */
export function tellingOf({ is, evidence }: Pick<Effect, "is" | "evidence">): Effect["evidence"] {
  if (is !== "symptom") return evidence;
  return [...Map.groupBy(evidence, ({ origin }) => origin.kind).values()].map(([first]) => first!);
}

/** Where it happens: the node that its evidence is from, else what it is said of. */
function placeOf({ evidence, subject }: Effect): string {
  return evidence.find(({ origin }) => origin.node !== undefined)?.origin.node ?? subject.name;
}

/** @param isPredicted it is said above that this, too, is foretold */
function branchOf({ effect, peers, links, rest }: Link, isPredicted: boolean, speaker: Speaker): Branch {
  const { say, most, wide, comma } = speaker;
  const names = [...new Set(peers.map(placeOf))].sort().join(comma);
  const text = clipped(say(effect.says), most.linkColumns);
  const says = peers.length === 0 ? text : say(words.likewise({ says: text, names }));
  const told = effect.state === "predicted" && !isPredicted ? say(words.predicted({ says })) : says;
  // a sentence that already holds the quote needs it not a second time
  const unsaid = effect.evidence.filter(({ quote }) => !say(effect.says).includes(quote));
  const telling = wide ? unsaid : tellingOf({ is: effect.is, evidence: unsaid });
  const quotes = effect.is === "symptom" ? 2 : 1;
  return {
    line: prose(told),
    quotes: quotesOf(telling, wide ? 99 : quotes, most.linkQuoteColumns, speaker),
    branches: branchesOf({ links, rest }, speaker, effect.state === "predicted"),
  };
}

export function branchesOf(
  { links, rest }: { links: readonly Link[]; rest: readonly Effect[] },
  speaker: Speaker,
  isPredicted = false,
): Branch[] {
  const branches = links.map((link) => branchOf(link, isPredicted, speaker));
  if (rest.length > 0) branches.push({ line: line(restOf(rest, speaker), "faint"), quotes: [], branches: [] });
  return branches;
}

/** Symptoms in a row, by what they are about: `Service/shop/db (3 of 4)`. */
function restOf(rest: readonly Effect[], { say, most, comma }: Speaker): string {
  const names = rest.slice(0, most.named).map(({ of, says, subject }) => {
    const { what } = says.args;
    const name = isText(what) ? say(what) : refId(subject);
    return of === undefined ? name : say(words.ratio({ what: name, failed: of[0], total: of[1] }));
  });
  const dots = rest.length > names.length ? " …" : "";
  return say(words.more({ count: rest.length, names: names.join(comma) + dots }));
}

export function commandBlock(
  { run, node }: { readonly run: string; readonly node?: string | undefined },
  lead: { here?: Text; there: (node: string) => Text },
  { say }: Speaker,
): CommandBlock {
  const text = node === undefined ? lead.here : lead.there(node);
  return { shape: "command", run, ...(text && { lead: say(text) }) };
}
