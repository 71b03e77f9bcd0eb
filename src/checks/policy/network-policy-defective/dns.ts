/** Pods that may not ask cluster DNS, by policies of their own or of its servers. */
import type { PodView } from "../../../model/pods.ts";
import { namedPorts, type PolicyView } from "../../../model/policies/views.ts";
import { refId } from "../../../model/ref.ts";
import { type Finding, fault } from "../../check.ts";
import { breaksOf, isDenied, type Model, names, ownOf, quoteSpec, refsOf } from "./policies.ts";
import { say } from "./words.ts";

/** Pods that ask cluster DNS: the default of the API. */
const usesClusterDns = ({ object, hostNetwork }: PodView) =>
  !hostNetwork && ["ClusterFirst", "ClusterFirstWithHostNet", null, undefined].includes(object.spec.dnsPolicy);

/** Groups Pods by the policies that isolate them: one verdict for each group. */
function groupsBy(
  pods: readonly PodView[],
  key: (pod: PodView) => readonly PolicyView[],
): { policies: readonly PolicyView[]; pods: PodView[] }[] {
  const groups = new Map<string, { policies: readonly PolicyView[]; pods: PodView[] }>();
  for (const pod of pods) {
    const policies = key(pod);
    if (policies.length === 0) continue;
    const id = policies.map(({ ref }) => refId(ref)).join(" ");
    const group = groups.get(id);
    if (group) group.pods.push(pod);
    else groups.set(id, { policies, pods: [pod] });
  }
  return [...groups.values()];
}

/** The DNS servers' Pods, each with the ports on which it is asked: rules are about the Pod's port, not the Service's. */
export function dnsServers({ dns, services }: Model): { readonly pod: PodView; readonly port: number }[] {
  return dns.services.flatMap((service) =>
    services
      .selected(service)
      .filter(({ finished }) => !finished)
      .flatMap((pod) =>
        service.ports
          .filter(({ port }) => port === 53)
          .flatMap(({ targetPort, protocol }) =>
            typeof targetPort === "number" ? targetPort : namedPorts(pod, targetPort, protocol),
          )
          .map((port) => ({ pod, port })),
      ),
  );
}

export function* judgeDns(model: Model): Iterable<Finding> {
  const { policies, pods, observations, components } = model;
  const servers = dnsServers(model);
  if (servers.length === 0) return;
  // a cache on the Pod's own node is asked, to which policies always let it
  const cached = new Set(components.withDuty("node-dns").flatMap(({ pods: caches }) => caches.map(({ node }) => node)));
  const isolated = policies.all.some(({ directions }) => directions.includes("egress")) ? pods.all : [];
  for (const group of groupsBy(
    isolated.filter((pod) => !pod.finished && usesClusterDns(pod) && !cached.has(pod.node)),
    (pod) => policies.isolating(pod, "egress"),
  )) {
    const pod = group.pods[0]!;
    const reaches = servers.some(
      (server) =>
        server.pod.key === pod.key ||
        // resolvers ask by UDP, and by TCP only when they are told to
        !isDenied(pod, server.pod, { protocol: "UDP", port: server.port }, model, "egress"),
    );
    if (reaches) continue;
    // who may send nothing at all is locked in on purpose; who may send to Pods by label looks for them by name
    const meantToTalk = group.policies.some(({ rules }) =>
      rules.some(({ direction, peers }) => direction === "egress" && peers.some(({ by }) => by !== undefined)),
    );
    const complains = observations.failed.filter(
      ({ client, target }) => target.is === "name" && group.pods.some(({ key }) => key === client.pod?.key),
    );
    if (!meantToTalk && complains.length === 0) continue;
    const byRules = [...group.policies].sort((a, b) => b.rules.length - a.rules.length);
    yield fault({
      repair: byRules[0]!.ref,
      related: [...byRules.slice(1).map(({ ref }) => ref), ...group.pods.flatMap(({ owner }) => owner ?? [])],
      breaks: breaksOf(group.policies),
      title: say.noDns({
        policies: refsOf(group.policies),
        count: group.policies.length,
        pods: names(group.pods),
      }),
      evidence: [
        ...byRules.map((policy) => quoteSpec(policy, model)),
        ...complains.slice(0, 2).map(({ evidence }) => evidence),
      ],
      strength: "direct",
      facts: { case: "dns", pod: pod.key },
    });
  }
}

/** Policies for the servers themselves, which let some of those in that are told to ask them, and not others. */
export function* judgeDnsServers(model: Model): Iterable<Finding> {
  const { policies, pods, observations } = model;
  const servers = dnsServers(model);
  if (servers.length === 0 || servers.some(({ pod }) => policies.isolating(pod, "ingress").length === 0)) return;
  const clients = pods.all.filter(
    (pod) => !pod.finished && usesClusterDns(pod) && !servers.some((one) => one.pod.key === pod.key),
  );
  const denied = clients.flatMap((pod) => {
    const verdicts = servers.flatMap((server) =>
      ["UDP", "TCP"].map((protocol) => policies.verdict({ pod }, { pod: server.pod }, { protocol, port: server.port })),
    );
    const by = verdicts.flatMap((verdict) => {
      const alone = verdict.state === "denied" && verdict.direction === "ingress" && ownOf(verdict.by, model);
      return alone ? [alone] : [];
    });
    return by.length === verdicts.length ? [{ pod, by: by[0]! }] : [];
  });
  const [first] = denied;
  const complains = observations.failed.filter(
    ({ client, target }) => target.is === "name" && denied.some(({ pod }) => pod.key === client.pod?.key),
  );
  if (!first || (denied.length < clients.length && complains.length === 0)) return;
  const refs = first.by.map(({ ref }) => ref);
  yield fault({
    repair: refs[0]!,
    related: [...refs.slice(1), ...servers.slice(0, 1).flatMap(({ pod }) => pod.owner ?? [])],
    breaks: breaksOf(first.by),
    title: say.closedDns({
      policies: refsOf(first.by),
      count: first.by.length,
      clients: denied.length,
      first: first.pod.key,
    }),
    evidence: [
      ...first.by.map((policy) => quoteSpec(policy, model)),
      ...complains.slice(0, 2).map(({ evidence }) => evidence),
    ],
    strength: "direct",
    facts: { case: "servers" },
  });
}

/** Policies for the servers themselves, which keep them from the API server: nobody means that. */
export function* judgeDnsEgress(model: Model): Iterable<Finding> {
  const { policies, services, nodes } = model;
  const api = services.get("default", "kubernetes")?.ports[0];
  const addresses = api ? services.endpoints(api) : [];
  const pods = [...new Set(dnsServers(model).map(({ pod }) => pod))].filter(({ hostNetwork }) => !hostNetwork);
  const [address] = addresses;
  if (!api || !address || pods.length === 0) return;
  const verdicts = pods.flatMap((pod) =>
    addresses.map(({ address: to, port }) => {
      const node = nodes.all.find((one) => one.addresses.includes(to));
      return policies.verdict(
        { pod },
        { address: to, ...(node && { node: node.name }) },
        { protocol: api.protocol, port },
      );
    }),
  );
  const by = verdicts.map((verdict) =>
    verdict.state === "denied" && verdict.direction === "egress" ? ownOf(verdict.by, model) : undefined,
  );
  const [first] = by;
  if (!first || by.includes(undefined)) return;
  yield fault({
    repair: first[0]!.ref,
    related: [...first.slice(1).map(({ ref }) => ref), ...pods.slice(0, 1).flatMap(({ owner }) => owner ?? [])],
    breaks: breaksOf(first),
    title: say.mutedDns({
      policies: refsOf(first),
      count: first.length,
      address: `${address.address}:${address.port}`,
    }),
    evidence: first.map((policy) => quoteSpec(policy, model)),
    strength: "direct",
    facts: { case: "api" },
  });
}
