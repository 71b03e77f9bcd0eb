/** One thing that is otherwise than it was, as a line with what went (`-`) and what came (`+`). */
import { texts } from "../../text.ts";
import type { Diff } from "../diff.ts";
import { type Item, prose, type Quote } from "./document.ts";
import { refId, type Speaker, timeOf } from "./speaker.ts";
import { clipped } from "./wrap.ts";

const words = texts("difference", {
  added: { en: "{what} was added", zh: "新增 {what}" },
  removed: { en: "{what} is gone", zh: "{what} 已不存在" },
  changed: { en: "{what} is otherwise", zh: "{what} 有变化" },
  state: { en: "{kind} of {node}", zh: "{node} 的 {kind}" },
  written: { en: "{says} (written {at} by {by})", zh: "{says}（{at} 由 {by} 写入）" },
  writtenAt: { en: "{says} (written {at})", zh: "{says}（写入于 {at}）" },
  more: { en: "{count} more {count:line|lines}", zh: "另有 {count} 行" },
});

type Difference = Diff["differences"][number];

/** @param most lines of it that are shown */
export function itemOf(difference: Difference, most: number, { say, wide }: Speaker): Item {
  const { subject, kind, change, fields, more, at, by } = difference;
  const isState = subject.kind === "Node" && kind !== "nodes";
  const what = isState ? say(words.state({ kind, node: subject.name })) : refId(subject);
  const says = say(words[change]({ what }));
  const written =
    at === undefined
      ? says
      : by === undefined
        ? say(words.writtenAt({ says, at: timeOf(at) }))
        : say(words.written({ says, at: timeOf(at), by }));
  const lines = fields.flatMap(({ path, before, after }) => [
    ...(before === undefined ? [] : [{ sign: "-", path, text: before }]),
    ...(after === undefined ? [] : [{ sign: "+", path, text: after }]),
  ]);
  const shown = wide ? lines : lines.slice(0, most);
  const rest = lines.length - shown.length + more;
  const quotes: Quote[] = shown.map(({ sign, path, text }) => ({
    words: clipped(`${sign} ${path === "" ? "" : `${path}: `}${text}`, wide ? 1e6 : 160),
    where: [],
  }));
  return {
    line: prose(written),
    quotes: rest > 0 ? [...quotes, { words: say(words.more({ count: rest })), where: [] }] : quotes,
  };
}
