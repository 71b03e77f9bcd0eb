/**
 * Requests to the API server: GET and what may go wrong with it, each kind of trouble told as what it is.
 *
 * One agent whose connections are kept alive. What may pass (429, 5xx, a connection that was reset, silence) is tried
 * again with growing pauses and jitter, or after as long as `Retry-After` says; what will not (401, 403, 404, 410) is
 * not. Every request ends: after silence, at its own limit, at the deadline of the whole run, or when it is aborted.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "./connection.ts";
import { type Course, httpExchange, isSuccess, type Response, seconds, TooSlow } from "./exchange.ts";
import { longExchange } from "./long-exchange.ts";

export type FailureKind =
  /** No connection: refused, no route, no such name, a certificate that is not trusted. */
  | "unreachable"
  /** Connected, and silent or too slow. */
  | "timeout"
  /** The answer ended before its end. */
  | "cut-off"
  | "unauthorized"
  | "forbidden"
  | "not-found"
  /** 410: the version that was asked for is no longer kept. */
  | "expired"
  /** 429 to the end. */
  | "throttled"
  /** 5xx to the end. */
  | "server-error"
  /** Any other refusal: 400, 405, 406, 422. */
  | "refused";

export type Failure = { readonly kind: FailureKind; readonly status?: number; readonly message: string };

export type Answer =
  /** `date`: the server's clock, RFC 3339. */
  | { readonly ok: true; readonly bytes: number; readonly date?: string }
  /** `bytes` of the body came before it failed; `body` is that of a refusal. */
  | { readonly ok: false; readonly failure: Failure; readonly bytes: number; readonly body?: string };

export type GetOptions = {
  /** Is given the body, piece by piece, once its status says that it is what was asked for. */
  readonly onText?: (piece: string) => void;
  /** The same, before it is text. The bytes are not changed afterwards, unless the answer is long. */
  readonly onBytes?: (piece: Uint8Array) => void;
  /** Is told before a try that is not the first: what came until then does not count. */
  readonly onRetry?: () => void;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tries?: number;
  /** Of the whole request, milliseconds. */
  readonly limitMs?: number;
  /** Of silence, milliseconds. */
  readonly idleMs?: number;
  /** The API server asks somebody else, whose silence is not its own. */
  readonly isRelayed?: boolean;
  /** So much will come that it is worth a connection of its own; each piece is overwritten by the next one. */
  readonly isLong?: boolean;
  /** Aborts this request alone. */
  readonly signal?: AbortSignal;
};

/** How the body of a request is to be taken: an object, a change of one, or what is to become of one. */
export type BodyType = "application/json" | "application/merge-patch+json" | "application/apply-patch+yaml";

type Method = "POST" | "DELETE" | "PATCH";
type Sent = GetOptions & { readonly method?: Method; readonly body?: object; readonly bodyType?: BodyType };

export interface Api {
  get(path: string, options: GetOptions): Promise<Answer>;
  /** A small body as text. */
  text(path: string, options?: Partial<GetOptions>): Promise<{ readonly answer: Answer; readonly text: string }>;
  /** POST, DELETE or PATCH, once. */
  send(
    method: Method,
    path: string,
    body: object,
    bodyType?: BodyType,
  ): Promise<{ readonly answer: Answer; readonly text: string }>;
  /** When the whole run ends, milliseconds since the epoch. */
  readonly deadline: number;
  readonly requests: number;
}

export type ApiOptions = {
  readonly signal: AbortSignal;
  readonly deadline: number;
  /** Tests do not wait so long. */
  readonly pauseMs?: number;
  /** The most that any request may be silent, milliseconds; else each what it says of itself. */
  readonly idleMs?: number;
};

/** Of a request that says nothing of itself, milliseconds. */
const IDLE = 15_000;
const TRIES = 4;
/** A server that wants a longer pause is not waited for. */
const LONGEST_PAUSE = 15_000;
/** So many requests in a row that nobody answered: nobody will answer the next one either. */
const MOST_SILENCE = 3;
const LARGEST_TEXT = 16 * 1024 * 1024;

const MAY_PASS: ReadonlySet<FailureKind> = new Set(["throttled", "server-error", "cut-off", "timeout", "unreachable"]);
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"]);

/** A credential plugin failed, a certificate or token file is gone. */
class NoCredentials extends Error {}

/** A refusal in the API's own words: the message of its Status, or the first line of what came instead. */
function wordsOf({ body, status, reason }: Response): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    if (typeof message === "string" && message !== "") return message.slice(0, 500);
  } catch {
    // no Status: a proxy on the way, or a server that is not Kubernetes
  }
  const line = body.trim().split("\n")[0]!.slice(0, 200);
  return `HTTP ${status} ${reason}${line === "" ? "" : `: ${line}`}`.trim();
}

function kindOf(status: number): FailureKind {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not-found";
  if (status === 410) return "expired";
  if (status === 429) return "throttled";
  return status >= 500 ? "server-error" : "refused";
}

export function apiOf(connection: Connection, { signal, deadline, pauseMs = 500, idleMs }: ApiOptions): Api {
  const patience = (own = IDLE): number => Math.min(own, idleMs ?? own);
  const { server } = connection;
  const basePath = server.pathname.replace(/\/+$/, "");
  // what is near is sent faster than it is compressed
  const isNear = ["localhost", "127.0.0.1", "[::1]"].includes(server.hostname);
  let requests = 0;
  let silence = 0;
  let lastSilence: Failure | undefined;
  let isRenewed = false;

  type Try = Answer & { readonly retryAfterMs?: number; readonly isStale?: boolean };

  async function once(
    path: string,
    { onText, onBytes, method, body: content, bodyType = "application/json", ...given }: Sent,
  ): Promise<Try> {
    const limit = Math.max(1, Math.min(given.limitMs ?? Number.POSITIVE_INFINITY, deadline - Date.now()));
    const idle = Math.min(patience(given.idleMs), limit);
    const ends = new AbortController();
    const stop = () => ends.abort(signal.reason);
    const signals = [signal, ...(given.signal ? [given.signal] : [])];
    for (const each of signals) each.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(() => ends.abort(new TooSlow(`not answered within ${seconds(limit)}`)), limit);
    let bytes = 0;
    const course: Course = { isAnswered: false, isReused: false };
    requests++;
    const sentBody = content && JSON.stringify(content);
    try {
      const options = await connection.requestOptions().catch((error: Error) => {
        throw new NoCredentials(error.message.trim().split("\n")[0] || String(error));
      });
      const exchange = given.isLong && !connection.isProxied ? longExchange : httpExchange;
      const decoder = new TextDecoder();
      const request = {
        server,
        path: basePath + path,
        method: method ?? "GET",
        headers: {
          accept: given.accept ?? "application/json, */*",
          "user-agent": "netwhy",
          ...(!isNear && !given.isLong && { "accept-encoding": "gzip" }),
          // Node sends the body of a DELETE without its length, and the server takes it for the next request
          ...(sentBody && { "content-type": bodyType, "content-length": Buffer.byteLength(sentBody) }),
          ...given.headers,
          ...(options.headers as Record<string, string>),
        },
        body: sentBody,
        options,
        signal: ends.signal,
        idleMs: idle,
      };
      const take = (piece: Uint8Array) => {
        bytes += piece.length;
        onBytes?.(piece);
        onText?.(decoder.decode(piece, { stream: true }));
      };
      const response = await exchange(request, take, course);
      const { status, headers, body } = response;
      if (isSuccess(status)) {
        onText?.(decoder.decode());
        const date = new Date(headers.date ?? "");
        return { ok: true, bytes, ...(!Number.isNaN(date.getTime()) && { date: date.toISOString() }) };
      }
      const failure = { kind: kindOf(status), status, message: wordsOf(response) };
      const wait = Number(headers["retry-after"]);
      return { ok: false, failure, bytes: 0, body, ...(wait >= 0 && { retryAfterMs: wait * 1000 }) };
    } catch (error) {
      signal.throwIfAborted();
      const { isAnswered, isReused } = course;
      return { ok: false, failure: failureOf(error, isAnswered, ends.signal), bytes, isStale: isReused && !isAnswered };
    } finally {
      clearTimeout(timer);
      for (const each of signals) each.removeEventListener("abort", stop);
    }
  }

  function failureOf(error: unknown, isAnswered: boolean, ended: AbortSignal): Failure {
    const { code = "", message } = (ended.aborted ? ended.reason : error) as NodeJS.ErrnoException;
    if (error instanceof TooSlow || ended.reason instanceof TooSlow) return { kind: "timeout", message };
    if (error instanceof NoCredentials) return { kind: "unauthorized", message };
    if (isAnswered) return { kind: "cut-off", message: `the answer ended early: ${message || code}` };
    if (code === "ETIMEDOUT") return { kind: "unreachable", message };
    const text = message || code || String(error);
    return NOT_CONNECTED.has(code) || !/ECONNRESET|EPIPE|socket hang up|Parse Error|HPE_/.test(`${code} ${text}`)
      ? { kind: "unreachable", message: text }
      : { kind: "cut-off", message: `no answer: ${text}` };
  }

  function remember(answer: Answer, { isRelayed = false }: GetOptions): void {
    if (isRelayed && !answer.ok) return;
    const isSilent =
      !answer.ok && answer.bytes === 0 && (answer.failure.kind === "unreachable" || answer.failure.kind === "timeout");
    silence = isSilent ? silence + 1 : 0;
    lastSilence = answer.ok ? undefined : answer.failure;
  }

  async function get(path: string, options: GetOptions): Promise<Answer> {
    const { tries = TRIES, onRetry = () => {} } = options;
    for (let tried = 1; ; tried++) {
      signal.throwIfAborted();
      if (silence >= MOST_SILENCE && lastSilence) return { ok: false, failure: lastSilence, bytes: 0 };
      if (Date.now() >= deadline) {
        return { ok: false, failure: { kind: "timeout", message: "the time for reading had run out" }, bytes: 0 };
      }
      const answer = await once(path, options);
      if (answer.ok) {
        remember(answer, options);
        return answer;
      }
      const { failure } = answer;
      if (failure.kind === "unauthorized" && !isRenewed) {
        isRenewed = true;
        connection.renew();
        continue;
      }
      // the server closed a connection that it had kept: that is no answer to what was just asked
      if (answer.isStale && tried < tries) continue;
      remember(answer, options);
      const most = failure.kind === "timeout" ? Math.min(tries, 2) : tries;
      if (!MAY_PASS.has(failure.kind) || tried >= most || options.signal?.aborted) return answer;
      const pause = Math.max(answer.retryAfterMs ?? 0, pauseMs * 2 ** (tried - 1) * (0.5 + Math.random()));
      if (pause > LONGEST_PAUSE || Date.now() + pause >= deadline) return answer;
      await sleep(pause, undefined, { signal });
      onRetry();
    }
  }

  return {
    get,
    async text(path, options = {}) {
      let text = "";
      const answer = await get(path, {
        // bytes may come for ever, one by one: what is small has no right to the time of all else
        limitMs: 2 * patience(options.idleMs),
        ...options,
        onText: (piece) => {
          if (text.length < LARGEST_TEXT) text += piece;
        },
        onRetry: () => {
          text = "";
        },
      });
      return { answer, text };
    },
    async send(method, path, body, bodyType = "application/json") {
      let text = "";
      const answer = await once(path, {
        method,
        body,
        bodyType,
        onText: (piece) => {
          text += piece;
        },
      });
      return { answer, text };
    },
    deadline,
    get requests() {
      return requests;
    },
  };
}
