/** Long answers, as a server may frame, cut and break them: both ways of asking tell the same. */
import { once } from "node:events";
import type { RequestOptions } from "node:https";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import type { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { TEST_CERTIFICATE } from "../../../testing/certificate.ts";
import { type Course, type Exchange, httpExchange } from "./exchange.ts";
import { longExchange } from "./long-exchange.ts";

const BODY = "«ä bödy with more bytes than letters» ".repeat(40_000);
const HEAD = "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n";

/** What a connection brings, and whether it then ends; `every`: in pieces of so many bytes. */
type Served = {
  readonly bytes: Buffer;
  readonly every?: number;
  readonly stays?: true;
  /** So long the process that asks gets no time once the answer is on its way, milliseconds. */
  readonly stallMs?: number;
};

function stall(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

async function asked(exchange: Exchange, { bytes, every = bytes.length, stays, stallMs = 0 }: Served, idleMs = 20_000) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.setNoDelay();
      const next = (at: number): void => {
        if (at < bytes.length) socket.write(bytes.subarray(at, at + every), () => next(at + every));
        else if (!stays) socket.end();
      };
      next(0);
      stall(stallMs);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const course: Course = { isAnswered: false, isReused: false };
  const pieces: Buffer[] = [];
  const request = {
    server: new URL(`http://127.0.0.1:${port}`),
    path: "/",
    method: "GET",
    headers: {},
    options: {},
    signal: new AbortController().signal,
    idleMs,
  };
  const outcome = await exchange(request, (piece) => pieces.push(Buffer.from(piece)), course).then(
    ({ status, reason, headers, body }) => ({ status, reason, date: headers.date, body }),
    (error: Error) => ({ error: error.message }),
  );
  return { outcome, text: Buffer.concat(pieces).toString(), isAnswered: course.isAnswered };
}

const chunked = (body: string, size: number, last = "0\r\n\r\n"): Buffer => {
  const bytes = Buffer.from(body);
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => {
    const piece = bytes.subarray(index * size, (index + 1) * size);
    return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);
  });
  return Buffer.concat([Buffer.from(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`), ...chunks, Buffer.from(last)]);
};
const measured = (body: string, length = Buffer.byteLength(body)): Buffer =>
  Buffer.from(`${HEAD}Content-Length: ${length}\r\n\r\n${body}`);
const SHORT = BODY.slice(0, 500);

const WHOLE: Readonly<Record<string, [Served, string]>> = {
  "with a length": [{ bytes: measured(BODY) }, BODY],
  "with a length, over a connection that stays": [{ bytes: measured(BODY), stays: true }, BODY],
  empty: [{ bytes: measured(""), stays: true }, ""],
  "up to the end of the connection": [{ bytes: Buffer.from(`${HEAD}\r\n${BODY}`) }, BODY],
  "in chunks": [{ bytes: chunked(BODY, 100_003), stays: true }, BODY],
  "in chunks larger than the window": [{ bytes: chunked(BODY, 1_000_000), stays: true }, BODY],
  "in chunks, byte by byte": [{ bytes: chunked(SHORT, 37), every: 1, stays: true }, SHORT],
  "with a trailer": [{ bytes: chunked(SHORT, 37, "0\r\nX-Checked: yes\r\n\r\n") }, SHORT],
  "after an answer that is none": [
    { bytes: Buffer.concat([Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"), measured(SHORT)]) },
    SHORT,
  ],
};

const WAYS: readonly [string, Exchange][] = [
  ["long", longExchange],
  ["node:http", httpExchange],
];

describe.each(WAYS)("by %s", (_, exchange) => {
  it.each(Object.entries(WHOLE))("a body %s is whole", async (__, [served, body]) => {
    const { outcome, text } = await asked(exchange, served);
    expect(outcome).toEqual({ status: 200, reason: "OK", date: "Sat, 21 Nov 2026 10:00:00 GMT", body: "" });
    expect(text === body).toBe(true);
  });

  it("a refusal is no body", async () => {
    const bytes = Buffer.from("HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\nno, never");
    expect(await asked(exchange, { bytes, stays: true })).toEqual({
      outcome: { status: 403, reason: "Forbidden", date: undefined, body: "no, never" },
      text: "",
      isAnswered: true,
    });
  });

  it.each<[string, Buffer]>([
    ["short of its length", measured(SHORT, 5000)],
    ["in the middle of a chunk", chunked(SHORT, 37).subarray(0, 300)],
    ["without the last chunk", chunked(SHORT, 37, "")],
    ["in a chunk without a length", chunked(SHORT, 37, "and then\r\n")],
  ])("a body that ends %s has failed, after what came", async (__, bytes) => {
    const { outcome, text, isAnswered } = await asked(exchange, { bytes });
    expect(outcome).toEqual({ error: expect.stringMatching(/aborted|Parse Error/) });
    expect(isAnswered).toBe(true);
    expect(SHORT.startsWith(text.replace(/�+$/, ""))).toBe(true);
  });

  it.each<[string, string]>([
    ["nothing", ""],
    ["half a head", HEAD],
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ])("%s is no answer", async (__, bytes) => {
    const { outcome, isAnswered } = await asked(exchange, { bytes: Buffer.from(bytes) });
    expect(outcome).toEqual({ error: expect.stringMatching(/hang up|Parse Error|ECONNRESET/) });
    expect(isAnswered).toBe(false);
  });

  it("silence ends it", async () => {
    const { outcome, text } = await asked(exchange, { bytes: measured(SHORT, 5000), stays: true }, 500);
    expect(outcome).toEqual({ error: expect.stringMatching(/^(silent for 0.5 s|aborted)$/) });
    expect(SHORT.startsWith(text)).toBe(true);
  });

  describe("through TLS", () => {
    async function askedByTls(host: string, options: RequestOptions) {
      const seen: { name?: unknown; isKnown?: boolean } = {};
      const server = createHttpsServer(
        { ...TEST_CERTIFICATE, ca: TEST_CERTIFICATE.cert, requestCert: true, rejectUnauthorized: false },
        (request, response) => {
          const socket = request.socket as TLSSocket;
          Object.assign(seen, { name: socket.servername, isKnown: socket.authorized });
          response.end(BODY);
        },
      ).listen(0, host);
      await once(server, "listening");
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      let text = "";
      const decoder = new TextDecoder();
      const request = {
        ...{ server: new URL(`https://${host}:${port}`), path: "/", method: "GET", headers: {}, options },
        ...{ signal: new AbortController().signal, idleMs: 20_000 },
      };
      const take = (piece: Uint8Array) => {
        text += decoder.decode(piece, { stream: true });
      };
      const error = await exchange(request, take, { isAnswered: false, isReused: false }).then(
        () => undefined,
        ({ code }: NodeJS.ErrnoException) => code,
      );
      return { error, isWhole: text === BODY, ...seen };
    }

    it("the server is told which name is meant, and who asks by a certificate is known", async () => {
      const options = { ca: TEST_CERTIFICATE.cert, ...TEST_CERTIFICATE };
      const told = { error: undefined, isWhole: true, isKnown: true };
      expect(await askedByTls("localhost", options)).toEqual({ ...told, name: "localhost" });
      expect(await askedByTls("127.0.0.1", options)).toEqual({ ...told, name: false });
    });

    it("a certificate that nobody vouches for is not trusted, unless that is wanted", async () => {
      expect(await askedByTls("localhost", {})).toEqual({ error: "DEPTH_ZERO_SELF_SIGNED_CERT", isWhole: false });
      const { error, isWhole } = await askedByTls("localhost", { rejectUnauthorized: false });
      expect([error, isWhole]).toEqual([undefined, true]);
    });
  });
});

describe.each([
  ["one after the other", httpExchange],
  ["over a connection of its own", longExchange],
])("a process that got no time itself, asking %s", (_, exchange) => {
  it("takes nobody for silent whose answer has come meanwhile", async () => {
    const { outcome, text } = await asked(exchange, { bytes: measured("here"), stays: true, stallMs: 250 }, 100);
    expect({ ...outcome, text }).toMatchObject({ status: 200, text: "here" });
  });

  it("waits no longer for who is silent", async () => {
    const { outcome } = await asked(exchange, { bytes: Buffer.from(HEAD), stays: true, stallMs: 250 }, 100);
    expect(outcome).toEqual({ error: "silent for 0.1 s" });
  });
});
