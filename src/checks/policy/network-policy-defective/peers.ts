/** Peers that do not exist, that no packet bears, or that were forgotten. */
import type { PodView } from "../../../model/pods.ts";
import type { PeerView, PolicyRuleView, PolicyView } from "../../../model/policies/views.ts";
import type { ServiceView } from "../../../model/services/services.ts";
import { covers, parsePrefix } from "../../../net/ip.ts";
import { type Finding, fault } from "../../check.ts";
import { allowing, breaksOf, isDenied, type Model, nameOf, names, quoteSpec, refsOf } from "./policies.ts";
import { say } from "./words.ts";

/** The blocks of a rule whose peers are addresses of Services and nothing else. */
function blocksOfServices({ peers }: PolicyRuleView, { ranges }: Model): readonly string[] {
  const blocks = peers.map(({ block }) => block?.cidr ?? "");
  const isOfServices = (cidr: string) => {
    const block = parsePrefix(cidr);
    return block !== undefined && ranges.services.some(({ prefix }) => covers(prefix, block));
  };
  return blocks.length > 0 && blocks.every(isOfServices) ? blocks : [];
}

/** Addresses of Services are those of Pods by the time that a packet meets the policies. */
export function* judgeServiceBlocks(policy: PolicyView, pods: readonly PodView[], model: Model): Iterable<Finding> {
  const rules = policy.rules.filter(({ direction, action }) => direction === "egress" && action === "allow");
  const isForDns = ({ peers, ports }: PolicyRuleView) =>
    peers.length === 0 && ports.length > 0 && ports.every(({ port }) => port === 53);
  const meant = rules.filter((rule) => !isForDns(rule));
  const blocks = meant.map((rule) => blocksOfServices(rule, model));
  if (meant.length === 0 || blocks.some((of) => of.length === 0)) return;
  const others = model.policies.isolating(pods[0]!, "egress").filter((other) => other !== policy);
  if (others.some((other) => other.rules.some((rule) => rule.direction === "egress" && !isForDns(rule)))) return;
  yield fault({
    repair: policy.ref,
    related: pods[0]!.owner ? [pods[0]!.owner] : [],
    breaks: breaksOf([policy]),
    title: say.noServices({ policy: nameOf(policy), pods: names(pods), blocks: blocks.flat() }),
    evidence: [quoteSpec(policy, model)],
    strength: "direct",
    facts: { case: "blocks" },
  });
}

/** Whether a peer means a workload that has no Pods now: one that is switched off, or not scheduled yet. */
const meansWorkload = (peer: PeerView, { objects, policies }: Model): boolean =>
  (["deployments", "statefulsets", "daemonsets"] as const)
    .flatMap((list) => objects.all(list))
    .some(({ metadata, spec: { template } }) => {
      const { serviceAccountName } = template.spec;
      const of = policies.selectable(
        metadata.namespace ?? "",
        template.metadata?.labels ?? {},
        serviceAccountName ?? undefined,
      );
      return peer.means(of) !== false;
    });

const matchesNothing = ({ peers }: PolicyRuleView, model: Model): boolean =>
  peers.length > 0 && peers.every((peer) => model.policies.peerPods(peer)?.length === 0 && !meansWorkload(peer, model));

export function* judgePeers(policy: PolicyView, pods: readonly PodView[], model: Model): Iterable<Finding> {
  for (const direction of policy.directions) {
    const rules = allowing(policy, direction);
    if (rules.length === 0 || !rules.every((rule) => matchesNothing(rule, model))) continue;
    // another policy may let in what this one means to
    const others = model.policies
      .isolating(pods[0]!, direction)
      .filter((other) => other !== policy && allowing(other, direction).length > 0);
    if (others.length > 0) continue;
    yield fault({
      repair: policy.ref,
      related: pods[0]!.owner ? [pods[0]!.owner] : [],
      breaks: breaksOf([policy]),
      title: say.noSuchPeer({ policy: nameOf(policy), pods: names(pods) }),
      evidence: [quoteSpec(policy, model)],
      strength: "direct",
      facts: { case: "peers" },
    });
  }
}

/** A Service that somebody calls in vain, and whose Pods no Pod of the cluster is let in to. */
export function* judgeCallers(service: ServiceView, model: Model): Iterable<Finding> {
  const { policies, services, pods, observations } = model;
  const backends = services.selected(service).filter(({ ready }) => ready);
  const pod = backends[0];
  if (!pod || service.ports.length === 0) return;
  const isolating = policies.isolating(pod, "ingress");
  const callers = observations
    .failedOn(service)
    .filter(({ client }) => client.network === "pod" && !backends.some(({ key }) => key === client.pod?.key));
  if (isolating.length === 0 || callers.length === 0) return;
  // rules whose ports or peers are wrong are told as what they are
  if (isolating.some((policy) => allowing(policy, "ingress").length > 0)) return;
  const open = services.endpoints(service.ports[0]!)[0]?.port ?? service.ports[0]!.port;
  const isLetIn = pods.all.some(
    (from) =>
      !backends.includes(from) &&
      !from.hostNetwork &&
      !isDenied(from, pod, { protocol: service.ports[0]!.protocol, port: open }, model),
  );
  if (isLetIn) return;
  yield fault({
    repair: isolating[0]!.ref,
    related: [...isolating.slice(1).map(({ ref }) => ref), service.ref],
    breaks: breaksOf(isolating),
    title: say.deniesAll({
      policies: refsOf(isolating),
      count: isolating.length,
      service: `${service.namespace}/${service.name}`,
    }),
    evidence: [
      ...isolating.map((policy) => quoteSpec(policy, model)),
      ...callers.slice(0, 2).map(({ evidence }) => evidence),
    ],
    strength: "direct",
    facts: { case: "callers", service: `${service.namespace}/${service.name}` },
  });
}
