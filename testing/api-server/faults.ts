/** What can go wrong between a client and an API server, to be told by tests. */
import type { ServerResponse } from "node:http";
import type { Answer, ApiRequest } from "../../src/replay/answer.ts";
import { statusAnswer } from "../../src/replay/answer.ts";
import { send } from "../../src/replay/server.ts";
import { StatusError, type StatusReason } from "../../src/replay/status.ts";

type Effect =
  /** The answer comes, and late. */
  | { readonly does: "slow"; readonly ms: number }
  /** Nothing comes, or nothing more after so many bytes of the body; the connection stays. */
  | { readonly does: "stall"; readonly afterBytes?: number }
  /** The connection is reset, before the answer or after so many bytes of its body. */
  | { readonly does: "reset"; readonly afterBytes?: number }
  /** The connection is closed in order, after so many bytes of a body that promised more. */
  | { readonly does: "cut"; readonly afterBytes: number }
  /** Content-Length tells so many bytes more, or fewer, than there are; then the connection is closed. */
  | { readonly does: "lie"; readonly bytes: number }
  /** Another answer: a Status, with Retry-After if so many seconds are said. */
  | { readonly does: "refuse"; readonly reason: StatusReason; readonly message?: string; readonly retryAfter?: number }
  /** Another body, as a proxy in between writes one. */
  | { readonly does: "answer"; readonly status: number; readonly body: string; readonly type?: string };

export type Fault = Effect & {
  /** Compared with e.g. `GET /api/v1/pods?limit=500`. */
  readonly on: RegExp;
  /** How many requests it befalls; all, if not said. */
  readonly times?: number;
  /** How many it lets pass before. */
  readonly after?: number;
};

/** @returns how an answer is delivered with this fault */
export async function deliverBroken(fault: Fault, res: ServerResponse, answer: Answer): Promise<void> {
  switch (fault.does) {
    case "slow":
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      return send(res, answer);
    case "refuse":
      return send(res, refusal(fault));
    case "answer":
      return send(res, {
        status: fault.status,
        headers: { "content-type": fault.type ?? "text/html" },
        body: fault.body,
      });
    case "stall":
      if (fault.afterBytes !== undefined) writeRaw(res, answer, fault.afterBytes);
      return;
    case "reset":
      if (fault.afterBytes !== undefined) await flushed(res, () => writeRaw(res, answer, fault.afterBytes));
      res.socket?.resetAndDestroy();
      return;
    case "cut":
      writeRaw(res, answer, fault.afterBytes);
      res.socket?.end();
      return;
    case "lie":
      writeRaw(res, answer, Number.POSITIVE_INFINITY, fault.bytes);
      res.socket?.end();
  }
}

function refusal({ reason, message, retryAfter }: Extract<Effect, { does: "refuse" }>): Answer {
  const details = retryAfter === undefined ? undefined : { retryAfterSeconds: retryAfter };
  return statusAnswer(new StatusError(reason, message ?? `injected: ${reason}`, details));
}

/** What was written must leave before the connection is torn down. */
async function flushed(res: ServerResponse, write: () => void): Promise<void> {
  write();
  await new Promise((resolve) => res.socket?.write("", resolve));
  await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Writes a head that promises the whole body, and so much of the body, past Node, which would keep the promise. */
function writeRaw(res: ServerResponse, { status, headers, body }: Answer, limit = 0, lie = 0): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : Buffer.concat([...body]);
  const lines = Object.entries({ ...headers, "content-length": bytes.byteLength + lie });
  const head = [`HTTP/1.1 ${status} Injected`, ...lines.map(([name, value]) => `${name}: ${value}`), "", ""].join(
    "\r\n",
  );
  res.socket?.write(head);
  res.socket?.write(bytes.subarray(0, Math.min(limit, bytes.byteLength)));
}

/** Faults that wait for their requests. */
export function faultList() {
  const waiting: { fault: Fault; passed: number; befallen: number }[] = [];
  return {
    /** @returns how to end it */
    add(fault: Fault): () => void {
      const entry = { fault, passed: 0, befallen: 0 };
      waiting.push(entry);
      return () => void waiting.splice(waiting.indexOf(entry), 1);
    },
    /** The fault that befalls a request, which is counted. */
    next({ method, path, query }: ApiRequest): Fault | undefined {
      const search = query.toString();
      const line = `${method} ${path}${search === "" ? "" : `?${decodeURIComponent(search)}`}`;
      for (const entry of waiting) {
        const { on, times = Number.POSITIVE_INFINITY, after = 0 } = entry.fault;
        if (!on.test(line) || entry.befallen >= times || entry.passed++ < after) continue;
        entry.befallen++;
        return entry.fault;
      }
      return undefined;
    },
  };
}
