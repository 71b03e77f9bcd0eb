/**
 * One GET whose answer is very long, over a connection of its own that ends with it.
 *
 * node:http gives new memory to each 64 kB and hands them through a stream: to read half a gigabyte takes ten times the
 * CPU that curl needs, more than to take its objects apart. Here the kernel writes into one piece of memory over and
 * over. What is known of HTTP/1.1 (RFC 9112) is what a body needs: its length, or its chunks, or the end of the connection.
 */
import type { IncomingHttpHeaders } from "node:http";
import { connect as connectPlainly, isIP, type OnReadOpts, type Socket } from "node:net";
import { connect as connectByTls } from "node:tls";
import { type Exchange, hostOf, isSuccess, LARGEST_REFUSAL, onSilence, portOf } from "./exchange.ts";

/** Bytes that one look at the socket may bring. */
const WINDOW = 256 * 1024;
const LARGEST_HEAD = 64 * 1024;
const NEWLINE = 10;
const END_OF_HEAD = "\r\n\r\n";

type Head = { readonly status: number; readonly reason: string; readonly headers: IncomingHttpHeaders };

function headOf(text: string): Head {
  const [line = "", ...fields] = text.split("\r\n");
  const [, status, reason = ""] = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(line) ?? [];
  if (status === undefined) throw new Error(`Parse Error: ${line.slice(0, 100)}`);
  const headers: IncomingHttpHeaders = {};
  for (const field of fields) {
    const colon = field.indexOf(":");
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
  }
  return { status: Number(status), reason, headers };
}

/** Finds the body among the bytes of a connection. */
interface Body {
  /** @returns whether the body has ended */
  take(bytes: Buffer): boolean;
  /** Whether the end of the connection is the body's end, too. */
  readonly endsWithConnection: boolean;
}

function bodyOf({ status, headers }: Head, onBytes: (piece: Buffer) => void): Body {
  if (/\bchunked\b/i.test(headers["transfer-encoding"] ?? "")) return chunkedBody(onBytes);
  const length = status === 204 ? 0 : Number(headers["content-length"] ?? Number.NaN);
  let left = length;
  return {
    endsWithConnection: Number.isNaN(length),
    take(bytes) {
      const piece = bytes.length > left ? bytes.subarray(0, left) : bytes;
      if (piece.length > 0) onBytes(piece);
      left -= piece.length;
      return left === 0;
    },
  };
}

/** `1a\r\n` and so many bytes and `\r\n`, again and again; a chunk of length 0 is the last one. */
function chunkedBody(onBytes: (piece: Buffer) => void): Body {
  let line = "";
  let left = 0;
  let isInChunk = false;
  return {
    endsWithConnection: false,
    take(bytes) {
      let at = 0;
      while (at < bytes.length) {
        if (isInChunk && left > 0) {
          const end = Math.min(bytes.length, at + left);
          onBytes(bytes.subarray(at, end));
          left -= end - at;
          at = end;
          continue;
        }
        const newline = bytes.indexOf(NEWLINE, at);
        const end = newline === -1 ? bytes.length : newline + 1;
        line += bytes.toString("latin1", at, end);
        at = end;
        if (line.length > LARGEST_HEAD) throw new Error("Parse Error: a chunk without a length");
        if (newline === -1) continue;
        const isEnd = isInChunk;
        const size = line.split(";")[0]!.trim();
        line = "";
        isInChunk = !isEnd;
        if (isEnd) continue;
        if (!/^[0-9a-f]{1,8}$/i.test(size)) throw new Error("Parse Error: a chunk without a length");
        left = Number.parseInt(size, 16);
        if (left === 0) return true;
      }
      return false;
    },
  };
}

/** Like `httpExchange`, for GET alone and not through proxies. The bytes of a piece are overwritten by the next one. */
export const longExchange: Exchange = ({ server, path, headers, options, signal, idleMs }, onBytes, course) =>
  new Promise((resolve, reject) => {
    let begun = "";
    let head: Head | undefined;
    let body: Body | undefined;
    let refusal = "";
    let isDone = false;

    const leave = () => {
      isDone = true;
      signal.removeEventListener("abort", aborted);
      socket.destroy();
    };
    const fail = (error: unknown) => {
      if (isDone) return;
      leave();
      reject(error);
    };
    const finish = () => {
      if (isDone || !head) return;
      leave();
      resolve({ ...head, body: refusal });
    };
    const aborted = () => fail(signal.reason);

    function takeBody(bytes: Buffer): void {
      if (body?.take(bytes) || refusal.length > LARGEST_REFUSAL) finish();
    }

    function takeHead(bytes: Buffer): void {
      // bytes of the body that came along must stay bytes
      begun += bytes.toString("latin1");
      const end = begun.indexOf(END_OF_HEAD);
      if (end === -1 && begun.length > LARGEST_HEAD) throw new Error("Parse Error: a head without end");
      if (end === -1) return;
      const read = headOf(begun.slice(0, end));
      const rest = Buffer.from(begun.slice(end + END_OF_HEAD.length), "latin1");
      begun = "";
      // an answer before the answer
      if (read.status >= 200) {
        head = read;
        course.isAnswered = true;
        body = bodyOf(read, (piece) => {
          if (isSuccess(read.status)) onBytes(piece);
          else refusal += piece.toString();
        });
        takeBody(rest);
      } else if (rest.length > 0) takeHead(rest);
    }

    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(WINDOW),
      callback(count, buffer) {
        try {
          const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, count);
          if (isDone) return false;
          if (head) takeBody(bytes);
          else takeHead(bytes);
        } catch (error) {
          fail(error);
        }
        return !isDone;
      },
    };
    const { agent: _, headers: __, ...certificates } = options;
    const host = hostOf(server);
    // node:https names the server to itself (SNI), node:tls does not; an address is no name (RFC 6066 §3)
    const place = { ...(!isIP(host) && { servername: host }), ...certificates, host, port: portOf(server), onread };
    const socket: Socket = server.protocol === "https:" ? connectByTls(place as object) : connectPlainly(place);
    socket.setTimeout(idleMs);
    socket.on("close", onSilence(socket, idleMs, fail));
    socket.on("error", fail);
    socket.on("close", () => {
      if (body?.endsWithConnection) finish();
      else fail(Object.assign(new Error(head ? "aborted" : "socket hang up"), { code: "ECONNRESET" }));
    });
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted);
    const fields = Object.entries({ host: server.host, connection: "close", ...headers });
    socket.write([`GET ${path} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n"));
  });
