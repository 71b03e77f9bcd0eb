import type { Evidence } from "../../../evidence/origin.ts";
import type { Capability } from "../../../model/capability.ts";
import type { Removal } from "../../../model/forwarding/packet-filter.ts";
import { isKubeProxys, type Programmed, type Vantage } from "../../../model/programmed.ts";
import { cameSince, hasLeft } from "../../../model/services/overtaken.ts";
import { clusterIpOf, type ServicePort } from "../../../model/services/services.ts";
import { timeOf } from "../../../model/time.ts";
import { formatSocket } from "../../../net/ip.ts";
import type { Text, TextArg } from "../../../text.ts";
import { absence } from "./evidence.ts";
import type { Model, Served } from "./served.ts";
import { say } from "./words.ts";

export const VANTAGES = ["pod", "host", "outside"] as const;

export type Deviation = {
  readonly port: ServicePort;
  readonly what: "missing" | "refused" | "foreign" | "diverted" | "stale" | "lacking";
  readonly vantage: Vantage;
  readonly to: Programmed["to"];
  readonly title: Text;
  readonly evidence: readonly Evidence[];
  /** Of somebody else's rule: its line, and the commands that take it away. */
  readonly line?: number;
  readonly removal?: Removal;
  /** The rule takes packets of Pods out of connection tracking: answers of Pods on the node are not translated back either. */
  readonly untracks?: boolean;
  /** The back ends that are wrong or missing, where others are right: then only some connections fail. */
  readonly some: readonly string[];
};

/** The back ends that a vantage point of a node should be delivered to. */
export function expectedFor({ port, node, family }: Served, { vantage, to }: Programmed, { services }: Model) {
  const choice = services.expected(port, node, family);
  const { internalLocal, externalLocal } = port.service.policy;
  // what comes from inside to a node port is not bound to the node
  const isLocal = vantage === "outside" ? externalLocal : to === "cluster-ip" && internalLocal;
  return { endpoints: (isLocal ? choice.local : choice.cluster) ?? [], any: choice.any, isLocal };
}

/** A few of many, for a title. */
export function shortList(items: readonly string[]): TextArg {
  const [first = "", ...others] = items;
  return others.length < 2 ? items : say.more({ first, count: others.length });
}

function differenceOf(served: Served, programmed: Programmed, model: Model) {
  const { delivered } = programmed;
  const { endpoints, any, isLocal } = expectedFor(served, programmed, model);
  const expected = new Map(endpoints.map((one) => [formatSocket(one.address, one.port), one]));
  const extra = [...delivered.keys()].filter((target) => !expected.has(target));
  const lacking = [...expected.keys()].filter((target) => !delivered.has(target));
  return { expected, any, isLocal, extra, lacking };
}

/**
 * Whether what differs shows that the node was read after the lists: its rules know of a back end that came since, or no
 * longer of one that has left.
 */
export function isOvertaken(served: Served, programmed: Programmed, model: Model): boolean {
  const { expected, extra, lacking } = differenceOf(served, programmed, model);
  const came = (target: string) => cameSince(target.slice(0, target.lastIndexOf(":")), served.port.service, model);
  return extra.some(came) || lacking.some((target) => hasLeft(expected.get(target)!, model));
}

export function judge(served: Served, programmed: Programmed, model: Model): Deviation | undefined {
  const { port, node } = served;
  const { vantage, to, delivered, divertedBy, refusedBy, untouched, unheld } = programmed;
  const { expected, any, isLocal, extra, lacking } = differenceOf(served, programmed, model);
  const { filter } = model.forwarding.of(node);
  const args = { node, service: port.key };
  const isPartly = [...delivered.keys()].some((target) => expected.has(target));
  const deviation = (
    what: Deviation["what"],
    title: Text,
    evidence: readonly Evidence[],
    targets: readonly string[] = [],
  ): Deviation => ({ port, what, vantage, to, title, evidence, some: isPartly ? targets : [] });
  const refusals = () => refusedBy.slice(0, 1).map(filter.quote);

  const foreign = refusedBy.find((step) => !isKubeProxys(step));
  if (foreign && (expected.size > 0 || !isLocal)) {
    const { table, chain, line, rule } = foreign;
    const one = deviation("foreign", say.foreign({ ...args, table, chain }), [filter.quote(foreign)]);
    const untracks = rule?.target.does === "notrack";
    return { ...one, line, untracks, ...(rule && { removal: filter.removal({ ...foreign, rule }) }) };
  }
  // nothing to deliver: being refused, dropped or left alone comes to the same for the client
  if (expected.size === 0 && (any || extra.length === 0)) return undefined;
  if (expected.size > 0 && delivered.size === 0) {
    const count = expected.size;
    if (refusedBy.length > 0) return deviation("refused", say.refused({ ...args, count }), refusals());
    const address = clusterIpOf(port.service, served.family) ?? "";
    const title = unheld ? say.unheld({ ...args, address }) : say.missing({ ...args, count });
    if (untouched) return deviation("missing", title, absence(served, vantage, model));
  }
  const diverted = extra.find((target) => divertedBy.has(target));
  if (diverted !== undefined) {
    const by = divertedBy.get(diverted)!;
    const { table, chain, line, rule } = by;
    const title = say.diverted({ ...args, extra: diverted, table, chain });
    const one = deviation("diverted", title, [filter.quote(by)], [diverted]);
    return { ...one, line, ...(rule && { removal: filter.removal({ ...by, rule }) }) };
  }
  if (extra.length > 0) {
    const wrong = extra.slice(0, 2).map((target) => delivered.get(target)!);
    return deviation("stale", say.stale({ ...args, extra: shortList(extra), count: extra.length }), wrong, extra);
  }
  if (lacking.length === 0 && untouched && expected.size > 0)
    return deviation("lacking", say.partly(args), [...delivered.values()].slice(0, 1), [...expected.keys()]);
  if (lacking.length === 0) return undefined;
  const others = [...delivered.values()].slice(0, 1);
  const evidence = others.length > 0 ? others : absence(served, vantage, model);
  return deviation("lacking", say.lacking({ ...args, missing: shortList(lacking) }), evidence, lacking);
}

/** A Service of local policy without a back end on the node: its packets are dropped, so that nobody takes them for refused. */
export function isUndropped(served: Served, programmed: Programmed, model: Model): boolean {
  const { endpoints, any, isLocal } = expectedFor(served, programmed, model);
  const { delivered, refusedBy, untouched } = programmed;
  return isLocal && any && endpoints.length === 0 && delivered.size === 0 && refusedBy.length === 0 && untouched;
}

/** What kube-proxy says once it knows all Services and has written its rules (client-go shared_informer.go). */
export const SYNCED = /Caches are synced for (service|endpoint slice) config/;

/** kube-proxy of the node was seen at work after the Service had come to be as it is: what differs was lost since. */
export function wasWritten(node: string, port: ServicePort, { components, logs, services }: Model): boolean {
  const pod = components
    .withDuty("service-proxy")
    .flatMap(({ pods }) => pods)
    .find((candidate) => candidate.node === node);
  if (!pod?.ready) return false;
  const synced = Math.max(...logs.said(pod, SYNCED).map(({ entry }) => timeOf(entry.last.at) ?? 0), 0);
  const changed = [
    port.service.object.metadata,
    ...services.slices(port.service).map(({ metadata }) => metadata),
  ].flatMap(({ creationTimestamp, managedFields }) => [
    creationTimestamp,
    ...(managedFields ?? []).map((entry) => entry.time),
  ]);
  return synced > 0 && changed.every((at) => (timeOf(at) ?? 0) < synced);
}

/** What deviations of one port break: from where they show, and for which back ends if others are right. */
export function brokenBy(
  mine: readonly Deviation[],
  { port, node, family }: Served,
  rules: Capability,
  { proxy, services }: Model,
): Capability[] {
  const seen = proxy.programmed(port, node, family)?.length ?? 0;
  const here = services.expected(port, node, family).cluster?.find((endpoint) => endpoint.node === node);
  return mine.flatMap(({ vantage, some, untracks }) => {
    const from = mine.length < seen ? { ...rules, from: vantage } : rules;
    // a part of what is needed from there
    if (some.length > 0) return some.map((target) => ({ ...rules, from: vantage, pod: target }));
    const others = untracks && here ? VANTAGES.filter((other) => other !== vantage) : [];
    return [from, ...others.map((other) => ({ ...rules, from: other, pod: here!.address }))];
  });
}
