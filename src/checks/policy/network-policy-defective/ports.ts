/** Ports that are let in to Pods which do not listen there. */
import { known } from "../../../evidence/observed.ts";
import { quoteOf } from "../../../evidence/origin.ts";
import type { PodView } from "../../../model/pods.ts";
import { namedPorts, type PolicyView } from "../../../model/policies/views.ts";
import type { PolicyPort } from "../../../parse/objects.ts";
import { cannotTell, type Finding, fault } from "../../check.ts";
import { allowing, breaksOf, type Model, nameOf, names, quoteSpec } from "./policies.ts";
import { say } from "./words.ts";

const formatPort = ({ port, endPort, protocol }: PolicyPort) =>
  `${port ?? "*"}${endPort ? `-${endPort}` : ""}/${protocol ?? "TCP"}`;

/** The ports on which a Pod is seen to listen, or that it declares where nobody looked. */
function openPorts(pod: PodView, { sockets }: Model): { protocol: string; port: number }[] {
  const seen = known(sockets.of(pod));
  if (seen && seen.length > 0)
    return seen
      .filter(({ address }) => !address.startsWith("127.") && address !== "::1")
      .map(({ protocol, port }) => ({ protocol: protocol.toUpperCase(), port }));
  return pod.object.spec.containers.flatMap(({ ports }) =>
    (ports ?? []).map(({ containerPort, protocol }) => ({ protocol: protocol ?? "TCP", port: containerPort })),
  );
}

function isOpen(wanted: PolicyPort, pod: PodView, model: Model): boolean {
  const protocol = wanted.protocol ?? "TCP";
  const open = openPorts(pod, model)
    .filter((port) => port.protocol === protocol)
    .map(({ port }) => port);
  if (wanted.port === null || wanted.port === undefined) return true;
  if (typeof wanted.port === "string")
    return namedPorts(pod, wanted.port, protocol).some((number) => open.includes(number));
  return open.some((port) => port >= Number(wanted.port) && port <= (wanted.endPort ?? Number(wanted.port)));
}

/** Whether a policy lets anything in to a port on which the Pod listens. */
const letsIn = (policy: PolicyView, pod: PodView, model: Model): boolean =>
  allowing(policy, "ingress").some(({ ports }) => ports.length === 0 || ports.some((port) => isOpen(port, pod, model)));

export function* judgePorts(policy: PolicyView, pods: readonly PodView[], model: Model): Iterable<Finding> {
  const ports = allowing(policy, "ingress").flatMap((rule) => rule.ports);
  if (ports.length === 0 || pods.some((pod) => letsIn(policy, pod, model))) return;
  // policies add up: another may let in what this one is not about
  const deaf = pods.filter(
    (pod) =>
      openPorts(pod, model).length > 0 &&
      !model.policies.isolating(pod, "ingress").some((other) => letsIn(other, pod, model)),
  );
  const [first] = deaf;
  if (!first) return;
  // what a container declares is no proof of what its program does
  const unseen = deaf.filter((pod) => !known(model.sockets.of(pod))?.length);
  if (unseen.length > 0) {
    yield cannotTell(
      breaksOf([policy])[0]!,
      unseen.map(({ node, namespace, name }) => ({
        kind: "podSockets",
        place: { node: node ?? "", namespace, pod: name },
      })),
    );
    return;
  }
  const listening = [
    ...new Set(deaf.flatMap((pod) => openPorts(pod, model).map(({ port, protocol }) => `${port}/${protocol}`))),
  ];
  yield fault({
    repair: policy.ref,
    related: first.owner ? [first.owner] : [],
    breaks: breaksOf([policy]),
    title: say.noSuchPort({
      policy: nameOf(policy),
      allowed: ports.map(formatPort),
      pods: names(deaf),
      listening: listening,
    }),
    evidence: [
      quoteSpec(policy, model),
      quoteOf(model.sockets.of(first).origin, `${first.key} listens on ${listening.join(", ")}`),
    ],
    strength: "direct",
    facts: { case: "ports", listening },
  });
}
