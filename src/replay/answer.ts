/** What is asked of the API, and what is answered, apart from how HTTP carries them. */
import { STATUS_CODES, type StatusError, statusBody } from "./status.ts";

export type ApiRequest = {
  readonly method: string;
  /** Without the query, its segments still as they were encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
};

/** Writes a piece of an answer that has no end of its own. */
export type Write = (piece: Uint8Array | string) => void;

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A text is sent at once; pieces as fast as they are taken. */
  readonly body: string | Iterable<Uint8Array>;
  /**
   * Goes on when the body has been sent, until `end` is called or the other side leaves.
   *
   * @returns what to do when it is over
   */
  readonly follow?: (write: Write, end: () => void) => () => void;
};

export function jsonAnswer(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { "content-type": "application/json", ...headers }, body: `${JSON.stringify(value)}\n` };
}

export function textAnswer(body: string, status = 200): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body };
}

/** A refusal as a Status. */
export function statusAnswer({ reason, message, details }: StatusError): Answer {
  const seconds = details?.retryAfterSeconds;
  const headers = seconds === undefined ? undefined : { "retry-after": String(seconds) };
  return jsonAnswer(statusBody(reason, message, details), STATUS_CODES[reason], headers);
}
