/** What the judgements share: how policies are named and quoted, and which of them alone deny something. */
import type { Evidence } from "../../../evidence/origin.ts";
import type { ClusterModel } from "../../../model/model.ts";
import type { PodView } from "../../../model/pods.ts";
import type { Denying, Direction, PolicyRuleView, PolicyTraffic, PolicyView } from "../../../model/policies/views.ts";
import { refId, sameRef } from "../../../model/ref.ts";
import type { Text } from "../../../text.ts";
import { say } from "./words.ts";

export type Model = Pick<
  ClusterModel,
  "policies" | "pods" | "nodes" | "services" | "dns" | "sockets" | "observations" | "components" | "objects" | "ranges"
>;

export function names(pods: readonly PodView[]): Text | string {
  const first = pods[0]!.owner ? refId(pods[0]!.owner) : pods[0]!.key;
  const rest = pods.filter((pod) => (pod.owner ? refId(pod.owner) : pod.key) !== first).length;
  return rest === 0 ? first : say.somePods({ first, total: pods.length });
}

export const quoteSpec = (policy: PolicyView, { policies }: Model): Evidence =>
  policies.quote(policy, `${nameOf(policy)}: ${JSON.stringify(policy.spec)}`);
export const nameOf = ({ ref: { kind, namespace, name } }: PolicyView) =>
  `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
export const refsOf = (views: readonly PolicyView[]) => views.map(nameOf);
export const breaksOf = (views: readonly PolicyView[]) =>
  views.map(({ ref }) => ({ name: "policy.allow", policy: refId(ref) }) as const);

export const allowing = ({ rules }: PolicyView, direction: Direction): readonly PolicyRuleView[] =>
  rules.filter((rule) => rule.direction === direction && rule.action === "allow");

/** Whether NetworkPolicies alone deny it, at one end if that is told: what others deny, too, is theirs. */
export function isDenied(
  from: PodView,
  to: PodView,
  traffic: PolicyTraffic,
  model: Model,
  at: Direction | "any" = "any",
): boolean {
  const verdict = model.policies.verdict({ pod: from }, { pod: to }, traffic);
  if (verdict.state !== "denied" || ownOf(verdict.by, model) === undefined) return false;
  return at === "any" || verdict.direction === at;
}

/** Those that deny, unless others than these are among them: Calico's own have a check of their own. */
export function ownOf(by: readonly Denying[], { policies }: Model): readonly PolicyView[] | undefined {
  const own = by.flatMap(({ ref }) => policies.all.find((policy) => sameRef(policy.ref, ref)) ?? []);
  return own.length === by.length ? own : undefined;
}
