/** How a name was resolved, and what becomes of each back end. */
import type { Text } from "../../text.ts";
import type { Path, PathBackEnd } from "../path.ts";
import { type Block, line, type Marked, type Tone } from "./document.ts";
import { pathWords as words } from "./path-words.ts";
import { quotesOf, refId, type Speaker, section } from "./speaker.ts";

type Resolution = NonNullable<Path["resolution"]>;

export function resolutionSection({ resolution }: Path, speaker: Speaker): Block[] {
  if (!resolution) return [];
  const { say, comma, wide } = speaker;
  const { servers, ndots, queries, server, evidence } = resolution;
  const note =
    servers.length > 0 ? say(words.asksFor({ servers: servers.join(comma), ndots: ndots ?? "?" })) : undefined;
  const vain = queries.filter(({ answer }) => answer.is === "nxdomain");
  const isShort = !wide && vain.length > 0 && vain.length < queries.length;
  const shown = isShort ? queries.filter((query) => !vain.includes(query)) : queries;
  const items: Marked[] = (wide ? shown : mergedOutside(shown, comma)).map((query): Marked => {
    const [tone, mark] = QUERY_MARKS[query.answer.is];
    return { mark, tone, line: line(say(queryWords(query, comma))) };
  });
  if (isShort) {
    const names = vain.map(({ name }) => name).join(comma);
    items.unshift({ mark: "·", tone: "faint", line: line(say(words.nxdomains({ names })), "faint") });
  }
  if (server?.result === "answered" && !wide) {
    const { address, backEnds } = server;
    const text = words.serverAnswers({ address, count: backEnds.length });
    items.push({ mark: "✓", tone: "good", line: line(say(text)) });
  } else if (server) {
    items.push(
      ...server.backEnds.map((backEnd) => backEndItem(backEnd, speaker, words.server({ address: server.address }))),
    );
  }
  return section(
    say(words.resolution()),
    [
      ...(wide
        ? [{ shape: "quotes" as const, quotes: quotesOf(evidence, 9, speaker.most.quoteColumns, speaker) }]
        : []),
      { shape: "marks", items },
    ],
    note,
  );
}

/** What servers outside are asked, one after the other, is one line. */
function mergedOutside(queries: Resolution["queries"], comma: string): Resolution["queries"] {
  const outside = queries.filter(({ answer }) => answer.is === "outside");
  const [first] = outside;
  if (!first) return queries;
  const merged = { name: outside.map(({ name }) => name).join(comma), answer: first.answer };
  return queries.flatMap((query) => (query === first ? merged : outside.includes(query) ? [] : query));
}

const QUERY_MARKS: Readonly<Record<Resolution["answer"]["is"], readonly [Tone, string]>> = {
  addresses: ["good", "✓"],
  alias: ["good", "✓"],
  "no-data": ["faint", "·"],
  nxdomain: ["bad", "✗"],
  refused: ["bad", "✗"],
  outside: ["doubt", "→"],
  unknown: ["doubt", "?"],
};

function queryWords({ name, answer }: Resolution["queries"][number], comma: string): Text {
  const { addresses = [], servers = [], to = "", service, because } = answer;
  const list = addresses.join(comma);
  switch (answer.is) {
    case "addresses":
      return service
        ? words.answeredOf({ name, addresses: list, service: refId(service) })
        : words.answered({ name, addresses: list });
    case "alias":
      return words.alias({ name, to, service: service ? refId(service) : "" });
    case "no-data":
      return words.noData({ name });
    case "nxdomain":
      return words.nxdomain({ name });
    case "refused":
      return words.refused({ name });
    case "outside":
      return words.asked({ name, servers: servers.join(comma) });
    case "unknown":
      return because === undefined ? words.unknown({ name }) : words.unknownWhy({ name, because });
  }
}

const MARKS: Readonly<Record<PathBackEnd["result"], readonly [Tone, string]>> = {
  answered: ["good", "✓"],
  failed: ["bad", "✗"],
  sometimes: ["bad", "✗"],
  left: ["doubt", "→"],
  unclear: ["doubt", "?"],
};

const MOST_BACK_ENDS = 8;

/** `before`: what it is part of, if that is not clear. */
function backEndItem(backEnd: PathBackEnd, speaker: Speaker, before?: Text): Marked {
  const { say } = speaker;
  const { address, port, object, node, via, result, ways } = backEnd;
  const [tone, mark] = MARKS[result];
  const target = port === undefined ? address : `${address}:${port}`;
  const what = object && object.kind !== "Node" ? refId(object) : node;
  const on = what !== undefined && node !== undefined && what !== node ? say(words.on({ what, node })) : what;
  const worst = ways[0];
  const isTold = result !== "answered" && worst !== undefined;
  const colon = say(words.colon());
  const why = worst && result === "sometimes" ? words.sometimesOne({ why: worst.end.says }) : worst?.end.says;
  return {
    mark,
    tone,
    line: [
      ...(before ? [{ text: `${say(before)} → ` }] : []),
      { text: target, tone: "strong" },
      ...(on === undefined ? [] : [{ text: `  ${on}` }]),
      ...(via === undefined ? [] : [{ text: `  ${say(words.via({ via }))}`, tone: "faint" as const }]),
      ...(isTold && why ? [{ text: colon }, { text: say(why), tone }] : []),
    ],
  };
}

export function backEndSection({ backEnds, to }: Path, speaker: Speaker): Block[] {
  const { say, wide } = speaker;
  const [only] = backEnds;
  const isItself = backEnds.length === 1 && only !== undefined && to.addresses.includes(only.address);
  if (backEnds.length === 0 || (isItself && !wide)) return [];
  const shown = wide ? backEnds : backEnds.slice(0, MOST_BACK_ENDS);
  const items = shown.map((backEnd) => backEndItem(backEnd, speaker));
  const rest = backEnds.length - shown.length;
  if (rest > 0) items.push({ mark: "…", tone: "faint", line: line(say(words.moreBackEnds({ count: rest })), "faint") });
  return section(say(words.backEnds()), [{ shape: "marks", items }]);
}
