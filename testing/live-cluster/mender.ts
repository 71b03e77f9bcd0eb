/**
 * A process of its own that mends what tests break in a cluster. It is told how before anything is broken; when the tests
 * end in whatever way, killed or not, its input ends, and it mends what is not mended yet, the last first.
 *
 *   node mender.ts KUBECONFIG      {"id": 1, "mend": [steps]}   is to be mended
 *                                  {"done": 1}                  mend it now; {"id": 1} or {"id": 1, "failed": "…"} answers
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../../src/sources/live/connection.ts";
import { carryOut, type Step } from "./steps.ts";

export type Order = { readonly id: number; readonly mend: readonly Step[] } | { readonly done: number };
export type Outcome = { readonly id: number; readonly failed?: string };

/** The API server itself may be what was broken. Milliseconds. */
const PATIENCE = 240_000;

async function main(kubeconfig: string): Promise<void> {
  const connection = await connect({ kubeconfig });
  const pending = new Map<number, readonly Step[]>();

  async function insist(step: Step): Promise<void> {
    const until = Date.now() + PATIENCE;
    for (;;) {
      try {
        return await carryOut(connection, step);
      } catch (error) {
        if (Date.now() > until) throw error;
        await sleep(2000);
      }
    }
  }

  async function mend(id: number): Promise<Outcome> {
    const steps = pending.get(id) ?? [];
    pending.delete(id);
    const failures: string[] = [];
    // a step that fails does not keep the others from being done
    for (const step of steps) {
      await insist(step).catch((error: unknown) =>
        failures.push(error instanceof Error ? error.message : String(error)),
      );
    }
    return { id, ...(failures.length > 0 && { failed: failures.join("; ") }) };
  }

  // a terminal's Ctrl-C is for those who break
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  // who reads it may be gone
  process.stdout.on("error", () => {});
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order;
    if ("mend" in order) {
      pending.set(order.id, order.mend);
      process.stdout.write(`${JSON.stringify({ id: order.id })}\n`);
    } else process.stdout.write(`${JSON.stringify(await mend(order.done))}\n`);
  }
  for (const id of [...pending.keys()].reverse()) {
    const { failed } = await mend(id);
    if (failed !== undefined) process.stderr.write(`not mended: ${failed}\n`);
  }
  connection.close();
}

await main(process.argv[2]!);
