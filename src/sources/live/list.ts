/**
 * All objects of one resource, as the lines of a `.jsonl` file.
 *
 * Pages (`limit`, `continue`) are of one version and spare both ends' memory. Where far more objects follow than the
 * first page holds, a WatchList is asked for, which the server sends from its cache as fast as it can; a server that
 * does not know it goes on with pages, each asked for while the one before it still comes: the server makes it while we
 * take the other apart. A version that has expired under way (410) is asked for anew, in one piece. A
 * server that cannot read etcd may still answer from its cache (`resourceVersion=0`).
 */
import type { Ending } from "../../evidence/capture.ts";
import { listPage, type Reading, watchEvents } from "../../evidence/list-page.ts";
import type { Answer, Api, Failure } from "./api.ts";

/** Where the lines go. A list that has to begin again opens another one; the last one that ended counts. */
export type LineSink = { write(line: string): void; end(ending: Ending): void };

export type ListOutcome = {
  /** Objects that came. */
  readonly count: number;
  /** Why there are none, or not all. */
  readonly failure?: Failure;
};

export type ListOptions = {
  readonly onCount?: (count: number) => void;
  /** What of each object is wanted; all of it otherwise. */
  readonly projection?: Reading["projection"];
  readonly pageSize?: number;
  /** `labelSelector` and `fieldSelector`. */
  readonly selectors?: Readonly<Record<string, string>>;
  /** How many objects must follow the first page for a WatchList to be asked for. */
  readonly watchListFrom?: number;
};

const NEWLINE = 10;
/** Several times as fast as a TextDecoder, for the short texts that objects are. */
const decode = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString();
const PAGE_SIZE = 500;
/** Of lists of many thousand objects: each of these pages is worth a connection of its own. */
const LONG_PAGE_SIZE = 1000;
const WATCH_LIST_FROM = 5000;
/** Of a whole list, milliseconds. */
const LIMIT_MS = 90_000;
const OUT_OF_TIME: Failure = { kind: "timeout", message: "the time for reading had run out" };

/**
 * Reads all objects at `path`, e.g. `/api/v1/pods`.
 *
 * @param open a new sink for the lines; whatever was written to an earlier one is forgotten. One without lines is not ended
 */
export async function readList(
  api: Api,
  path: string,
  open: () => LineSink,
  {
    onCount = () => {},
    projection,
    pageSize = PAGE_SIZE,
    watchListFrom = WATCH_LIST_FROM,
    selectors = {},
  }: ListOptions = {},
): Promise<ListOutcome> {
  const until = Math.min(api.deadline, Date.now() + LIMIT_MS);
  const reading = { decode, ...(projection && { projection }) };
  let sink = open();
  let count = 0;
  let bytes = 0;
  const restart = () => {
    sink = open();
    count = 0;
    bytes = 0;
  };
  const take = (line: string) => {
    sink.write(`${line}\n`);
    bytes += line.length + 1;
    count++;
    if (count % 100 === 0) onCount(count);
  };
  const ended = (failure?: Failure): ListOutcome => {
    onCount(count);
    // a file without lines would tell nothing; what is in the sink proves what it shows
    if (count > 0) sink.end({ bytes, ...(failure && { cutOff: failure.message }) });
    return failure ? { count, failure } : { count };
  };

  let isWatchTried = false;
  const ask = (parameters: Readonly<Record<string, string>>): Asked => {
    const isLong = isWatchTried && parameters.continue !== undefined;
    return askAhead(api, `${path}?${new URLSearchParams({ ...selectors, ...parameters })}`, until, isLong);
  };
  const pageAt = (next: string) => ({
    limit: String(isWatchTried ? Math.max(pageSize, LONG_PAGE_SIZE) : pageSize),
    continue: next,
  });
  const leadsToWatchList = (remaining = 0): boolean => remaining >= watchListFrom && !isWatchTried;
  /** The page after the one that is being read. */
  let ahead: { readonly next: string; readonly asked: Asked } | undefined;
  const forget = () => {
    ahead?.asked.drop();
    ahead = undefined;
  };

  async function readPage(parameters: Readonly<Record<string, string>>) {
    let page = listPage(reading, take);
    const before = count;
    const isFirstPage = parameters.continue === undefined;
    /** So many of its objects came before it broke off. */
    let skip = 0;
    const again = () => {
      if (isFirstPage) {
        restart();
        forget();
      }
      // a page of a version that is fixed brings the same objects in the same order
      else skip = count - before;
      let index = 0;
      page = listPage(reading, (line) => {
        if (++index > skip) take(line);
      });
    };
    const onBytes = (piece: Uint8Array) => {
      page.write(piece);
      const { next, remaining } = page.onward ?? {};
      if (next !== undefined && !ahead && !leadsToWatchList(remaining)) ahead = { next, asked: ask(pageAt(next)) };
    };
    let asked = ahead && ahead.next === parameters.continue ? ahead.asked : undefined;
    ahead = undefined;
    for (let tried = 1; ; tried++) {
      if (Date.now() >= until) return { failure: OUT_OF_TIME };
      asked ??= ask(parameters);
      const answer = await asked.take(onBytes, again);
      asked = undefined;
      if (!answer.ok) return { failure: answer.failure };
      const end = page.end();
      if (end.flaw === undefined) return { end };
      // a body that says that it is whole and is not
      const failure: Failure = { kind: "cut-off", message: end.flaw };
      if (tried === 2) return { failure };
      again();
    }
  }

  try {
    return await readPages();
  } finally {
    forget();
  }

  async function readPages(): Promise<ListOutcome> {
    let next: string | undefined;
    let isFirst = true;
    for (;;) {
      const { end, failure } = await readPage(next === undefined ? { limit: String(pageSize) } : pageAt(next));
      if (failure) {
        if (failure.kind === "expired") {
          restart();
          const whole = await readPage({});
          return ended(whole.failure);
        }
        if (isFirst && (failure.kind === "server-error" || failure.kind === "timeout") && count === 0) {
          // etcd may be what does not answer
          const cached = await readPage({ resourceVersion: "0" });
          return ended(cached.failure && failure);
        }
        return ended(failure);
      }
      if (end.next === undefined) return ended();
      next = end.next;
      isFirst = false;
      if (leadsToWatchList(end.remaining)) {
        isWatchTried = true;
        const kept = { sink, count, bytes };
        restart();
        if (await readWatchList(api, path, { take, until, reading, selectors })) return ended();
        ({ sink, count, bytes } = kept);
      }
    }
  }
}

/** A request that may be made before its answer is wanted. */
type Asked = {
  /** Gives what came, and what still comes. @param onRetry what came until then does not count */
  take(onBytes: (piece: Uint8Array) => void, onRetry: () => void): Promise<Answer>;
  /** Its answer is not wanted any more. */
  drop(): void;
};

function askAhead(api: Api, path: string, until: number, isLong: boolean): Asked {
  const dropped = new AbortController();
  let waiting: Uint8Array[] = [];
  let onBytes = (piece: Uint8Array): void => void waiting.push(piece);
  let onRetry = (): void => {
    waiting = [];
  };
  const answer = api.get(path, {
    // what comes by a long exchange is overwritten by what comes next
    onBytes: (piece) => onBytes(isLong ? Uint8Array.from(piece) : piece),
    onRetry: () => onRetry(),
    isLong,
    limitMs: Math.max(1, until - Date.now()),
    signal: dropped.signal,
  });
  // whoever takes it is told
  answer.catch(() => {});
  return {
    take(give, again) {
      for (const piece of waiting) give(piece);
      waiting = [];
      onBytes = give;
      onRetry = again;
      return answer;
    },
    drop: () => dropped.abort(),
  };
}

type WatchListOptions = {
  readonly take: (line: string) => void;
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly reading: Reading;
  readonly selectors: Readonly<Record<string, string>>;
};

/** @returns whether all objects came; if not, none of what came counts */
async function readWatchList(
  api: Api,
  path: string,
  { take, until, reading, selectors }: WatchListOptions,
): Promise<boolean> {
  const parameters = new URLSearchParams({
    ...selectors,
    watch: "1",
    sendInitialEvents: "true",
    allowWatchBookmarks: "true",
    resourceVersionMatch: "NotOlderThan",
    timeoutSeconds: String(Math.max(1, Math.round((until - Date.now()) / 1000))),
  });
  const done = new AbortController();
  let isWhole = false;
  let isFailed = false;
  const read = watchEvents(reading);
  /** A line that has begun. */
  let begun: Uint8Array[] = [];
  const onLine = (line: Uint8Array) => {
    if (isWhole || isFailed || line.length === 0) return;
    const event = read(line);
    if (event.type === "object") take(event.line);
    else if (event.type === "other") return;
    else {
      isWhole = event.type === "end";
      isFailed = !isWhole;
      // the watch would go on
      done.abort();
    }
  };
  const answer: Answer = await api.get(`${path}?${parameters}`, {
    tries: 1,
    isLong: true,
    signal: done.signal,
    limitMs: Math.max(1, until - Date.now()),
    onBytes(piece) {
      let start = 0;
      for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, start)) {
        const rest = piece.subarray(start, end);
        onLine(begun.length === 0 ? rest : Buffer.concat([...begun, rest]));
        begun = [];
        start = end + 1;
      }
      if (start < piece.length) begun.push(Buffer.from(piece.subarray(start)));
    },
  });
  return isWhole && (answer.ok || done.signal.aborted);
}
