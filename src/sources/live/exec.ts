/**
 * A command inside a container, by the official client library: the one other place that knows it.
 *
 * It speaks WebSockets to the API server (subprotocols v5 and v4 of channel.k8s.io). What it does not do (2.0.1) is done
 * here: an end to waiting for a connection, for output, or for a command that does not end.
 */
import { PassThrough, Writable } from "node:stream";
import type { ExecConnection, ExecStatus } from "@kubernetes/client-node";
import { deniedInWords } from "../../evidence/rights.ts";
import type { Connection } from "./connection.ts";

export type Target = { readonly namespace: string; readonly pod: string; readonly container: string };

export type ExecOptions = {
  /** Is written to the command's input. */
  readonly input: string;
  readonly onText: (piece: string) => void;
  readonly limitMs: number;
  readonly signal: AbortSignal;
};

export type ExecOutcome = { readonly ok: true } | { readonly ok: false; readonly message: string };

const MOST_COMPLAINTS = 2000;
/** Of output, all in all: a command that prints more does not do what it was asked for. */
const MOST_BYTES = 256 * 1024 * 1024;

const failed = (message: string): ExecOutcome => ({ ok: false, message });

/** The library passes on what `ws` says of a refused handshake: an event with an error in it. */
function reasonOf(error: unknown): string {
  const { message, error: inner } = error as { message?: string; error?: { message?: string } };
  return (message || inner?.message || String(error)).slice(0, 300);
}

/**
 * Runs a command.
 *
 * @throws the reason of `signal` if it is aborted; nothing else
 */
export async function execIn(
  connection: Connection,
  { namespace, pod, container }: Target,
  command: readonly string[],
  { input, onText, limitMs, signal }: ExecOptions,
): Promise<ExecOutcome> {
  const { Exec } = await import("@kubernetes/client-node");
  const decoder = new TextDecoder();
  let complaints = "";
  let bytes = 0;
  // the library ends what it is given; the input is left open, for before v5 its end is the end of everything
  const stdin = new PassThrough();
  return new Promise<ExecOutcome>((resolve, reject) => {
    let socket: ExecConnection | undefined;
    let isOver = false;
    const finish = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      stdin.destroy();
      onText(decoder.decode());
      socket?.terminate();
      settle();
    };
    const end = (outcome: ExecOutcome) => finish(() => resolve(outcome));
    const onAbort = () => finish(() => reject(signal.reason));
    const timer = setTimeout(() => end(failed(`not done within ${Math.round(limitMs / 1000)} s`)), limitMs);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const stdout = new Writable({
      write(chunk: Buffer, _, done) {
        bytes += chunk.length;
        if (!isOver && bytes <= MOST_BYTES) onText(decoder.decode(chunk, { stream: true }));
        if (bytes > MOST_BYTES) end(failed("it printed too much"));
        done();
      },
    });
    const stderr = new Writable({
      write(chunk: Buffer, _, done) {
        if (complaints.length < MOST_COMPLAINTS) complaints += chunk.toString();
        done();
      },
    });
    const onStatus = ({ status, message = "" }: ExecStatus) =>
      end(status === "Success" ? { ok: true } : failed(`${message} ${complaints}`.trim().slice(0, 300)));
    new Exec(connection.config)
      .exec(namespace, pod, container, [...command], stdout, stderr, stdin, false, onStatus)
      .then((opened) => {
        socket = opened;
        if (isOver) {
          opened.terminate();
          return;
        }
        opened.on("close", () => end(failed("the connection ended before the command did")));
        opened.on("error", (error) => end(failed(reasonOf(error))));
        stdin.write(input);
      })
      .catch((error: unknown) => {
        const message = reasonOf(error);
        // a refused handshake says no more than its status
        const why = /\b403\b/.test(message) ? `: ${deniedInWords("create", "pods/exec", namespace)}` : "";
        end(failed(message + why));
      });
  });
}
