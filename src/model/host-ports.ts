/**
 * Ports of nodes that Pods ask for (hostPort), and who answers at them.
 *
 * The portmap plugin writes a rule for each when a Pod's network is made and none afterwards (plugins/meta/portmap: chains
 * CNI-HOSTPORT-DNAT and CNI-DN-… of iptables, since 1.6 the table cni_hostport of nftables): nobody writes again what was lost.
 * Cilium's programs serve such ports themselves where they serve node ports.
 */
import { type Family, formatIp, type Ip, isOfFamily, parseIp } from "../net/ip.ts";
import { firstPacket, type PacketFilter } from "./forwarding/packet-filter.ts";
import type { Outcome } from "./netfilter/evaluate.ts";
import type { Rule } from "./netfilter/rule.ts";
import type { Ruleset } from "./netfilter/ruleset.ts";
import type { Step } from "./netfilter/when.ts";
import { ipOf, type Pods, type PodView } from "./pods.ts";
import type { Protocol } from "./services/services.ts";

export type HostPort = {
  readonly pod: PodView;
  readonly protocol: Protocol;
  readonly port: number;
  /** At one of the node's addresses only. */
  readonly hostIp?: Ip;
  /** Where the Pod itself listens. */
  readonly to: { readonly ip: Ip; readonly port: number };
};

const UNSPECIFIED = /^(0\.0\.0\.0|::)?$/;

/** Those of Pods that run on a node; Pods on the host network open their ports themselves. */
export function hostPortsOf(node: string, family: Family, pods: Pods): readonly HostPort[] {
  return pods.onNode(node).flatMap((pod): HostPort[] => {
    const ip = ipOf(pod, family);
    const runs = pod.object.status?.phase === "Running" && !pod.finished && !pod.terminating;
    if (!ip || !runs || pod.hostNetwork) return [];
    return pod.object.spec.containers.flatMap(({ ports }) =>
      (ports ?? []).flatMap(({ hostPort, hostIP, containerPort, protocol = "TCP" }): HostPort[] => {
        if (!hostPort) return [];
        const own = UNSPECIFIED.test(hostIP ?? "") ? undefined : parseIp(hostIP!);
        if (hostIP && !UNSPECIFIED.test(hostIP) && own?.family !== family) return [];
        if (hostIP && UNSPECIFIED.test(hostIP) && !isOfFamily(hostIP, family)) return [];
        const asked = { pod, protocol: protocol as Protocol, port: hostPort, to: { ip, port: containerPort } };
        return [own ? { ...asked, hostIp: own } : asked];
      }),
    );
  });
}

const OF_PORTMAP = /^CNI-(HOSTPORT-|DN-)/;

const isPortmap = ({ ruleset, chain }: Pick<Step, "ruleset" | "chain">): boolean =>
  OF_PORTMAP.test(chain) || / cni_hostport$/.test(ruleset);

/** Whether the plugin has ever written rules for a family there: what it made for all Pods stays. */
export const hasPortmap = (rulesets: readonly Ruleset[]): boolean =>
  rulesets.some(
    ({ name, chains }) =>
      / cni_hostport$/.test(name) || [...(chains.get("nat")?.keys() ?? [])].some((chain) => OF_PORTMAP.test(chain)),
  );

export type Answering =
  | { readonly is: "itself" }
  /** The plugin's rule for another Pod, or for one that is gone, comes first. */
  | {
      readonly is: "other";
      readonly to: { readonly ip: Ip; readonly port: number };
      readonly by: Step & { rule: Rule };
    }
  /** No rule sends the packet anywhere. */
  | { readonly is: "nobody" }
  | { readonly is: "unknown" };

const CLIENT = { 4: parseIp("198.51.100.1")!, 6: parseIp("2001:db8::1")! } as const; // RFC 5737, RFC 3849

/** To whom a node's rules lead what somebody outside sends to a port of it. */
export function answering(one: HostPort, at: Ip, device: string, filter: PacketFilter): Answering {
  const protocol = one.protocol.toLowerCase() as "tcp" | "udp" | "sctp";
  const source = CLIENT[at.family];
  const ends = filter.at(
    "prerouting",
    firstPacket({ protocol, source, destination: at, port: one.port, inDevice: device }),
  );
  const [first] = ends;
  if (!first || !ends.every(({ verdict }) => verdict.is === "accept")) return { is: "unknown" };
  const goals = new Set(ends.map(goalOf));
  const [goal] = goals;
  if (goals.size > 1 || goal === undefined) return { is: "unknown" };
  if (goal === socketOf(one.to.ip, one.to.port)) return { is: "itself" };
  if (goal === socketOf(at, one.port)) return { is: "nobody" };
  const by = first.rules.find((step) => isPortmap(step) && step.rule?.target.does !== "jump" && step.rule);
  const { destination, destinationPort } = first.packet;
  if (!by?.rule || destination === "unknown" || typeof destinationPort !== "number") return { is: "unknown" };
  return { is: "other", to: { ip: destination, port: destinationPort }, by: { ...by, rule: by.rule } };
}

const socketOf = (ip: Ip, port: number): string => `${formatIp(ip)} ${port}`;

const goalOf = ({ packet: { destination, destinationPort } }: Outcome): string | undefined =>
  destination === "unknown" || typeof destinationPort !== "number" ? undefined : socketOf(destination, destinationPort);
