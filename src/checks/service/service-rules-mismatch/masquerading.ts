import type { Capability } from "../../../model/capability.ts";
import type { NodeView } from "../../../model/nodes.ts";
import type { Programmed, Vantage } from "../../../model/programmed.ts";
import type { ProxyMode } from "../../../model/proxy.ts";
import type { ServicePort } from "../../../model/services/services.ts";
import type { Family } from "../../../net/ip.ts";
import type { Text } from "../../../text.ts";
import { type Finding, fault } from "../../check.ts";
import { wasWritten } from "./deviation.ts";
import { absenceOfMark, showing, showingMarks } from "./evidence.ts";
import type { Model } from "./served.ts";
import { say } from "./words.ts";

export const FROM: Readonly<Record<Vantage, () => Text>> = {
  pod: say.fromPods,
  host: say.fromNode,
  outside: say.fromOutside,
};

export type Unmasked = { readonly port: ServicePort; readonly ways: readonly Programmed[] };

/** Packets for Services that leave with the client's address where kube-proxy would put in the node's own. */
export function* judgeMasquerading(
  node: NodeView,
  unmasked: readonly Unmasked[],
  isAll: boolean,
  mode: ProxyMode,
  family: Family,
  model: Model,
): Iterable<Finding> {
  const { name } = node;
  const ofFamily = model.services.ofFamily(family);
  const [first] = unmasked;
  if (!first) return;
  const proxies = model.components.withDuty("service-proxy").map(({ ref: self }) => self);
  const common = { repair: node.ref, nodes: [name], strength: "differing" as const };
  if (isAll) {
    const services = [...new Set(unmasked.map(({ port }) => port.service.ref))];
    yield fault({
      ...common,
      related: [...proxies, ...services],
      breaks: [
        { name: "service.masquerade", node: name, ...ofFamily },
        { name: "pod.hairpin", node: name, ...ofFamily },
      ],
      title: say.unmarked({ node: name }),
      evidence: absenceOfMark(name, family, model),
      lost: unmasked.every(({ port }) => wasWritten(name, port, model)),
      facts: { case: "unmarked", shows: showingMarks(mode, family) },
    });
    return;
  }
  for (const { port, ways } of unmasked) {
    const [way] = ways;
    const args = { node: name, service: port.key };
    const breaks = ways.flatMap(({ to, vantage, unmasked: targets }): Capability[] =>
      to === "itself"
        ? [...targets.keys()].flatMap((target) => {
            const pod = model.pods.byAddress(target.slice(0, target.lastIndexOf(":")).replace(/^\[|\]$/g, ""));
            return pod ? [{ name: "pod.hairpin", node: name, pod: pod.key, service: port.key, ...ofFamily }] : [];
          })
        : [{ name: "service.masquerade", node: name, service: port.key, from: vantage, ...ofFamily }],
    );
    if (!way || breaks.length === 0) continue;
    yield fault({
      ...common,
      related: [...proxies, port.service.ref],
      breaks,
      title: way.to === "itself" ? say.hairpin(args) : say.unmasked({ ...args, from: FROM[way.vantage]() }),
      evidence: [...way.unmasked.values()].slice(0, 2),
      lost: wasWritten(name, port, model),
      facts: { case: "unmasked", shows: showing(port, mode, family) },
    });
  }
}
