/**
 * The two ends of a path as a person types them, and what they mean in this cluster.
 *
 *   FROM   client · tools/client · deploy/frontend · client@w1 · shop:pod/web-0 · w1 · node/w1 · outside · 203.0.113.7
 *   TO     backend.shop · svc/backend · shop/backend · data/db-0 · 10.96.0.10 · node/w1 · https://api.example.org
 *          with :PORT (a number, or the name of one) and /tcp, /udp, /sctp or /icmp behind it
 *
 * Nothing is guessed where a name can mean several things: then it is said which.
 */

import type { Family } from "../../net/ip.ts";
import type { Protocol } from "../packet.ts";
import { sourceOf } from "./from.ts";
import { familiesOf, type Goal, isProblem, type Model, type Problem, type Source } from "./goal.ts";
import { flowOf } from "./port.ts";
import { goalOf } from "./to.ts";
import { aimOf } from "./typed.ts";
import { say } from "./words.ts";

export type Ends = {
  readonly from: Source;
  readonly to: Goal;
  /** The address families in question: of what has addresses of several, the first of these is taken. */
  readonly families: readonly Family[];
  readonly protocol: Protocol;
  /** Absent for a ping. */
  readonly port?: number;
};

export type Typed = {
  readonly from: string;
  readonly to: string;
  readonly namespace?: string | undefined;
  /** Only this address family. */
  readonly family?: Family | undefined;
};

/** @returns what was meant, or why that cannot be told */
export function endsOf({ from, to, namespace, family }: Typed, model: Model): Ends | Problem {
  if (from === "" || to === "") return { problem: say.empty(), hint: say.emptyHint() };
  const source = sourceOf(from, namespace, model);
  if (isProblem(source)) return source;
  const aim = aimOf(to);
  const goal = goalOf(aim.what, namespace, source, model);
  if (isProblem(goal)) return goal;
  const flow = flowOf(to, aim, goal, source, model);
  if (isProblem(flow)) return flow;
  const families = family === undefined ? familiesOf(source, model) : [family];
  return { from: source, to: goal, families, ...flow };
}
