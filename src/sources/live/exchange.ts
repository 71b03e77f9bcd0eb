/** One request and its answer, by node:http: over connections that are kept alive, and through proxies. */
import { type IncomingHttpHeaders, type IncomingMessage, request as overHttp, type RequestOptions } from "node:http";
import { request as overHttps } from "node:https";
import type { Socket } from "node:net";
import { createGunzip } from "node:zlib";

export type Request = {
  readonly server: URL;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: string | undefined;
  /** Agent and certificates. */
  readonly options: RequestOptions;
  /** Ends it, with its reason. */
  readonly signal: AbortSignal;
  /** Of silence, milliseconds. */
  readonly idleMs: number;
};

export type Response = {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  /** What a refusal says, or its beginning. */
  readonly body: string;
};

/** What is known of an exchange that fails. */
export type Course = {
  /** The head of an answer has come. */
  isAnswered: boolean;
  /** It went over a connection that had been used before. */
  isReused: boolean;
};

/**
 * Carries a request out.
 *
 * @param onBytes is given the body of an answer that is none but success, piece by piece
 * @throws what the connection says, TooSlow after silence, or the reason of the signal
 */
export type Exchange = (request: Request, onBytes: (piece: Uint8Array) => void, course: Course) => Promise<Response>;

export class TooSlow extends Error {}

export const LARGEST_REFUSAL = 64 * 1024;

export const silentFor = (ms: number): TooSlow => new TooSlow(`silent for ${seconds(ms)}`);
export const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** What tells that something came. */
const progressOf = ({ connecting, bytesRead }: Socket): string => `${connecting} ${bytesRead}`;

/**
 * Ends what a socket with a timeout carries once it is silent. A process that got no time itself runs its timers before it reads
 * what has come meanwhile: so it looks a second time, a tenth later.
 *
 * @returns ends the looking
 */
export function onSilence(socket: Socket, idleMs: number, end: (error: TooSlow) => void): () => void {
  let again: NodeJS.Timeout | undefined;
  const look = () => {
    const before = progressOf(socket);
    again = setTimeout(() => {
      if (progressOf(socket) === before) end(silentFor(idleMs));
    }, idleMs / 10);
  };
  socket.on("timeout", look);
  return () => {
    clearTimeout(again);
    socket.off("timeout", look);
  };
}

export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "");
export const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === "https:" ? 443 : 80));

export const isSuccess = (status: number): boolean => status >= 200 && status < 300;

export const httpExchange: Exchange = async (request, onBytes, course) => {
  const { server, path, method, headers, body, options, signal, idleMs } = request;
  const send = server.protocol === "https:" ? overHttps : overHttp;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = send(
      { ...options, hostname: hostOf(server), port: portOf(server), path, method, headers, signal },
      resolve,
    );
    sent.setTimeout(idleMs);
    // its own event comes once, and a socket may seem silent more than once
    sent.on("socket", (socket) => {
      sent.on(
        "close",
        onSilence(socket, idleMs, (error) => sent.destroy(error)),
      );
    });
    sent.on("error", (error) => {
      course.isReused = sent.reusedSocket;
      reject(error);
    });
    sent.end(body);
  });
  course.isAnswered = true;
  const { statusCode: status = 0, statusMessage: reason = "" } = response;
  const unpacked = response.headers["content-encoding"] === "gzip" ? response.pipe(createGunzip()) : response;
  // an error of the response does not go through the pipe
  if (unpacked !== response) response.on("error", (error) => unpacked.destroy(error));
  const refusal: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of unpacked as AsyncIterable<Uint8Array>) {
    if (isSuccess(status)) onBytes(piece);
    else {
      refusal.push(piece);
      bytes += piece.length;
      if (bytes > LARGEST_REFUSAL) break;
    }
  }
  return { status, reason, headers: response.headers, body: Buffer.concat(refusal).toString() };
};
