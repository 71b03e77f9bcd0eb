/** The API on a port: HTTP/1.1 by Node, bodies in large pieces, no faster than the other side takes them. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Answer, type ApiRequest, statusAnswer } from "./answer.ts";
import { failureAnswer } from "./api.ts";
import { StatusError } from "./status.ts";

export type Handle = (request: ApiRequest) => Answer;

/** Bytes; the API server's own limit. */
const LARGEST_BODY = 3 * 1024 * 1024;

/**
 * Only who asks for this machine by one of its own names is answered: a page in a browser could otherwise read the
 * bundle by a name that it lets point here.
 */
const OWN_NAMES = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

export type Listening = { readonly port: number; close(): Promise<void> };

/** Carries an answer to who asked; tests have one that breaks it on the way. */
export type Deliver = (res: ServerResponse, answer: Answer, request: ApiRequest) => Promise<void>;

/**
 * Listens on loopback.
 *
 * @param port 0: one that is free
 * @throws what Node says if the port cannot be had
 */
export async function listen(handle: Handle, port = 0, deliver: Deliver = send): Promise<Listening> {
  const server = createServer((req, res) => {
    serve(req, res, handle, deliver).catch((error: Error) => res.destroy(error));
  });
  // watches last, and clients keep connections for their next request
  server.requestTimeout = 0;
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(req: IncomingMessage, res: ServerResponse, handle: Handle, deliver: Deliver): Promise<void> {
  const request = await requestOf(req);
  await deliver(res, answerTo(request, handle), request);
}

function answerTo(request: ApiRequest, handle: Handle): Answer {
  if (!OWN_NAMES.test(request.headers.host ?? "")) {
    return statusAnswer(new StatusError("Forbidden", "only requests to localhost are answered"));
  }
  if (request.body.byteLength > LARGEST_BODY) {
    return statusAnswer(new StatusError("BadRequest", "the body is larger than 3 MiB"));
  }
  try {
    return handle(request);
  } catch (error) {
    return failureAnswer(error);
  }
}

async function requestOf(req: IncomingMessage): Promise<ApiRequest> {
  const [path = "/", search = ""] = (req.url ?? "/").split(/\?(.*)/s);
  const headers = Object.fromEntries(
    Object.entries(req.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
  const body = req.method === "GET" ? NO_BODY : await bodyOf(req);
  return { method: req.method ?? "GET", path, query: new URLSearchParams(search), headers, body };
}

/** @returns no more than a little above what is allowed */
async function bodyOf(req: IncomingMessage): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of req as AsyncIterable<Uint8Array>) {
    if (bytes <= LARGEST_BODY) pieces.push(piece);
    bytes += piece.byteLength;
  }
  return Buffer.concat(pieces);
}

const NO_BODY = new Uint8Array();

/** Waits until the other side has taken what was written, or is gone. */
function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off("drain", done);
      res.off("close", done);
      resolve();
    };
    res.on("drain", done);
    res.on("close", done);
  });
}

/** Carries an answer as it is. */
export async function send(res: ServerResponse, { status, headers, body, follow }: Answer): Promise<void> {
  if (typeof body === "string" && !follow) {
    res.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
    res.end(body);
    return;
  }
  res.writeHead(status, headers);
  // who watches waits for the head
  if (follow) res.flushHeaders();
  for (const piece of typeof body === "string" ? [Buffer.from(body)] : body) {
    if (!res.write(piece)) await drained(res);
    if (res.destroyed) return;
  }
  if (!follow) {
    res.end();
    return;
  }
  const stop = follow(
    (piece) => void res.write(piece),
    () => void res.end(),
  );
  if (res.destroyed || res.writableEnded) stop();
  else {
    res.on("close", stop);
    res.on("error", stop);
  }
}
