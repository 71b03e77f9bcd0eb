/** What packets need on their ways between Pods, nodes, Services and the world, there and back. */
import { type Family, isOfFamily } from "../../net/ip.ts";
import type { Capability } from "../capability.ts";
import type { Cilium } from "../cilium/cilium.ts";
import type { Dns } from "../dns/dns.ts";
import type { Nodes } from "../nodes.ts";
import type { Pods, PodView } from "../pods.ts";
import type { Policies } from "../policies/policies.ts";
import type { PolicyEnd } from "../policies/views.ts";
import type { ServiceEndpoint, ServicePort, Services } from "../services/services.ts";
import { all, any, type Need, now, pair, perhaps, toFollow } from "./need.ts";

/** Where a connection begins. */
export type Client = {
  readonly node: string;
  readonly network: "pod" | "host";
  readonly pod?: PodView;
  /** `namespace/name`, also of a Pod that is gone or was not seen. */
  readonly podKey?: string;
  /** Its packets carry kube-proxy's mark, which KUBE-FORWARD accepts whatever else the chain says. */
  readonly marked?: true;
  /** The address family of its packets, where it is known: else the first that what it speaks to has. */
  readonly family?: Family;
  /**
   * Its packets are of full size: they tell of the path's MTU, and of it only if small ones pass. One that may not be split
   * has to fit; a stream learns what does.
   */
  readonly large?: "packet" | "stream";
};

/** Of a client, what decides how nodes treat its packets. */
type Sending = Pick<Client, "node" | "family" | "marked">;

/** What connections need. */
export interface Ways {
  reachPod(client: Client, pod: PodView, port?: { protocol: string; number: number }): Need;
  /** An address in a node's Pod range that belongs to no Pod that we know. */
  reachPodRange(client: Client, node: string): Need;
  reachService(client: Client, port: ServicePort): Need;
  reachNodePort(client: Client, node: string, port: ServicePort): Need;
  reachNode(client: Client, node: string): Need;
  /** A Pod at a port of its node (hostPort). */
  reachHostPort(client: Client, node: string, pod: PodView): Need;
  reachOutside(client: Client): Need;
  /** @param server which it asks, if it was told one: a Service's, or the one that Pods are given; else that of its resolv.conf */
  resolve(client: Client, zone: "cluster" | "external", server?: ServicePort | "as-pod"): Need;
  /** Of a Service's port: its rules on a node, and one of its back ends. @param from where its packets come from */
  backends(client: Client, port: ServicePort, node: string, from?: Capability["from"]): Need;
  /** The network that a Pod is connected to; nothing of one that uses its node's. */
  attach(pod: PodView): Need | undefined;
  /** Out of the Pod network, to the servers that cluster DNS forwards to. */
  leavingOf(pod: PodView): Need | undefined;
}

export type WayParts = {
  readonly nodes: Nodes;
  readonly pods: Pods;
  readonly services: Services;
  readonly policies: Policies;
  readonly dns: Dns;
  readonly cilium: Cilium;
};

/** A Pod as the one that begins a connection. */
export const clientOf = (pod: PodView, node: string): Client => ({
  node,
  network: pod.hostNetwork ? "host" : "pod",
  pod,
  podKey: pod.key,
});

export function waysOf({ nodes, pods, services, policies, dns, cilium }: WayParts): Ways {
  function policyNeed(from: PolicyEnd, to: PolicyEnd, protocol: string, port: number): Need | undefined {
    if (policies.enforcement !== "enforced") return undefined;
    const verdict = policies.verdict(from, to, { protocol, port });
    return verdict.state === "denied" ? { is: "denied", by: verdict.by, direction: verdict.direction } : undefined;
  }

  /** Rules that enforce policies can refuse what no policy denies. */
  const policyRules = (client: Client, node: string, pod: string): Need | undefined =>
    policies.enforcement === "enforced"
      ? perhaps(now({ name: "policy.rules", node, pod, ...ofFamily(client) }))
      : undefined;

  const endOf = (client: Client): PolicyEnd =>
    client.network === "pod" && client.pod
      ? { pod: client.pod, ...(client.family && { family: client.family }) }
      : { address: nodes.get(client.node)?.addresses[0] ?? "", node: client.node };

  const attach = (pod: PodView): Need | undefined =>
    pod.node === undefined || pod.hostNetwork ? undefined : attachedTo(pod.node, pod.key);
  const attachedTo = (node: string, pod: string): Need => now({ name: "pod.attach", node, pod });

  /** @param node the one that forwards a client's packets, or their answers */
  const forwards = (client: Sending, node = client.node, peer?: string): Need => {
    const passes = now({ name: "node.forward", node, ...(peer !== undefined && { peer }), ...ofFamily(client) });
    const isMarked = client.marked && node === client.node;
    return all(now({ name: "node.ip-forward", node, ...ofFamily(client) }), isMarked ? perhaps(passes) : passes);
  };

  /** What full-size packets need of the nodes' own devices. */
  function fits(client: Client, node: string, pod?: string): Need | undefined {
    if (client.large === undefined) return undefined;
    const at = (of: string | undefined) => ({ ...(of !== undefined && { pod: of }), ...ofFamily(client) });
    const way = (from: string, sender: string | undefined, to: string, taker: string | undefined) => [
      now({ name: "node.send-large", node: from, ...at(sender) }),
      now({ name: "node.take-large", node: to, ...at(taker) }),
    ];
    const there = way(client.node, client.podKey, node, pod);
    const back = way(node, pod, client.node, client.podKey);
    // its answer may be split, unless it meets a device where nobody does
    if (client.large === "packet") return all(...there, perhaps(all(...back)));
    const tells = (of: string, end: string | undefined) => now({ name: "node.tell-size", node: of, ...at(end) });
    return any([all(...there, ...back), all(tells(client.node, client.podKey), tells(node, pod))]);
  }

  /** The way of packets between two nodes' Pods, there and back. */
  function between(client: Client, node: string): Need {
    if (client.node === node) {
      // on one bridge, FORWARD is passed only with br_netfilter, and ip_forward does not matter
      const passes = all(
        now({ name: "node.forward", node, ...ofFamily(client) }),
        now({ name: "node.route", node, ...ofFamily(client) }),
      );
      return client.network === "pod" ? perhaps(passes) : all();
    }
    const diverted = (from: string, to: string) => {
      const need = now({ name: "node.route", node: from, peer: to, ...ofFamily(client) });
      // rules of policy routing ask for Pods' addresses and devices, and a node has others as well
      return client.network === "pod" ? need : perhaps(need);
    };
    return all(
      diverted(client.node, node),
      diverted(node, client.node),
      now({ name: "pod-network.entries", node: client.node, peer: node, ...ofFamily(client) }),
      now({ name: "pod-network.entries", node, peer: client.node, ...ofFamily(client) }),
      now({ name: "node.tunnel", node: client.node, peer: node, ...ofFamily(client) }),
      now({ name: "node.tunnel", node, peer: client.node, ...ofFamily(client) }),
      now({ name: "underlay.carry", ...pair(client.node, node) }),
      client.large && now({ name: "underlay.carry-large", ...pair(client.node, node) }),
      client.network === "pod" ? forwards(client, client.node, node) : undefined,
      forwards(client, node, client.node),
    );
  }

  const ends = (client: Client, node: string): Need =>
    all(
      now({ name: "node.up", node: client.node }),
      now({ name: "node.track", node: client.node }),
      // neighbours that it knows stay known
      toFollow({ name: "node.neighbours", node: client.node }),
      ...(client.node === node
        ? []
        : [
            now({ name: "node.up", node }),
            now({ name: "node.track", node }),
            toFollow({ name: "node.neighbours", node }),
          ]),
      ...(client.network === "pod" && client.podKey !== undefined
        ? [attachedTo(client.node, client.podKey), policyRules(client, client.node, client.podKey)]
        : []),
    );

  function reachPodRange(client: Client, node: string): Need {
    return all(ends(client, node), between(client, node), perhaps(now({ name: "pod-network.ranges", node })));
  }

  function reachPod(client: Client, pod: PodView, port?: { protocol: string; number: number }): Need {
    const node = pod.node ?? client.node;
    if (pod.hostNetwork) return reachNode(client, node);
    // to itself a Pod sends without leaving its own network namespace
    if (client.podKey === pod.key) return all(port && now({ name: "pod.listen", pod: pod.key }));
    const attached = attach(pod);
    // its own node reaches a Pod even where nobody else does: policies let it, and no route is needed
    const isOwnNode = client.network === "host" && client.node === node;
    return all(
      reachPodRange(client, node),
      fits(client, node, pod.key),
      attached && isOwnNode ? perhaps(attached) : attached,
      // a ping has no port, and only rules without any let it pass
      policyNeed(
        endOf(client),
        { pod, ...(client.family && { family: client.family }) },
        port?.protocol ?? "ICMP",
        port?.number ?? 0,
      ),
      policyRules(client, node, pod.key),
      port && now({ name: "pod.listen", pod: pod.key }),
    );
  }

  /**
   * Packets of Pods to what is not in the Pod network leave with the node's address, or no answer finds back; other nodes know
   * the way to Pods nevertheless.
   *
   * @param back by which answers come to the Pod's own address
   */
  const leaving = ({ node, family }: Sending, back?: Need): Need => {
    const sending = { node, ...(family && { family }) };
    const masked = now({ name: "node.masquerade", node, ...ofFamily(sending) });
    return all(
      forwards(sending),
      // what carries packets between Pods past the node's filter leaves these to it
      cilium.carriesPods ? toFollow({ name: "node.let-out", node, ...ofFamily(sending) }) : undefined,
      back ? any([masked, back]) : masked,
      perhaps(now({ name: "node.route", node, ...ofFamily(sending) })),
    );
  };

  const leavingOf = ({ node, hostNetwork }: PodView): Need | undefined =>
    node === undefined || hostNetwork
      ? undefined
      : all(leaving({ node }), now({ name: "node.lead-to-upstream", node }));

  /** Policies for a node's own interfaces apply to what it sends and takes itself, and spare some ports. */
  const admits = (node: string): Need | undefined =>
    policies.calico.hosts.some((host) => host.node === node) ? perhaps(now({ name: "node.admit", node })) : undefined;

  function reachNode(client: Client, node: string): Need {
    return all(
      ...(client.node === node ? [] : [client.network === "host" ? admits(client.node) : undefined, admits(node)]),
      ends(client, node),
      client.network === "pod" && client.node !== node ? leaving(client, between(client, node)) : undefined,
      client.node === node ? undefined : now({ name: "node.reach", ...pair(client.node, node) }),
      client.large && client.node !== node
        ? now({ name: "underlay.carry-large", ...pair(client.node, node) })
        : undefined,
    );
  }

  function reachOutside(client: Client): Need {
    return all(
      ends(client, client.node),
      client.network === "pod" ? leaving(client) : undefined,
      now({ name: "outside.reach", node: client.node }),
    );
  }

  function reachEndpoint(client: Client, endpoint: ServiceEndpoint, port: ServicePort): Need {
    const way = wayToEndpoint(client, endpoint, port);
    const { address, slice } = endpoint;
    return services.keeps(port.service, slice)
      ? way
      : all(now({ name: "service.backend", service: port.key, address }), way);
  }

  function wayToEndpoint(client: Client, endpoint: ServiceEndpoint, port: ServicePort): Need {
    const pod = endpoint.pod ? pods.get(endpoint.pod.namespace, endpoint.pod.name) : pods.byAddress(endpoint.address);
    if (pod && client.pod?.key === pod.key) {
      // through its own Service back to itself: hairpin, and a policy may or may not count it as itself
      const itself = perhaps(reachPod(client, pod, { protocol: port.protocol, number: endpoint.port }));
      return all(
        now({ name: "pod.hairpin", node: client.node, pod: pod.key, service: port.key, ...ofFamily(client) }),
        itself,
      );
    }
    if (pod) {
      const isBeside = pod.node === client.node && client.network === "pod" && !pod.hostNetwork;
      const direct = all(
        reachPod(client, pod, { protocol: port.protocol, number: endpoint.port }),
        now({ name: "pod.listen", service: port.key, pod: pod.key }),
      );
      return isBeside ? all(direct, now({ name: "node.bridge", node: client.node, ...ofFamily(client) })) : direct;
    }
    const node = nodes.byAddress(endpoint.address);
    if (node) {
      const to = { address: endpoint.address, node: node.name };
      return all(reachNode(client, node.name), policyNeed(endOf(client), to, port.protocol, endpoint.port));
    }
    return endpoint.node === undefined ? reachOutside(client) : reachPodRange(client, endpoint.node);
  }

  /** The family of a client's packets, where capabilities tell families apart; if nothing tells, its node's first. */
  function ofFamily({ family, node }: Sending): { readonly family?: Family } {
    const first = isOfFamily(nodes.get(node)?.addresses[0] ?? "", 6) ? 6 : 4;
    return services.ofFamily(family ?? first);
  }

  function backends(client: Client, port: ServicePort, node: string, from: Capability["from"] = client.network): Need {
    const family = client.family ?? port.service.families[0] ?? 4;
    const choice = services.expected(port, node, family);
    const { externalLocal, internalLocal } = port.service.policy;
    const isLocal = from === "outside" ? externalLocal : internalLocal;
    const endpoints = (isLocal ? choice.local : choice.cluster) ?? [];
    const isApi = port.service.namespace === "default" && port.service.name === "kubernetes";
    const subject = { node, service: port.key, ...services.ofFamily(family) };
    return all(
      isApi && client.network === "pod" ? now({ name: "node.lead-to-api", node: client.node }) : undefined,
      now({ name: "service.endpoints", service: port.key }),
      isLocal ? now({ name: "service.local", node, service: port.key }) : undefined,
      now({ name: "service.rules", ...subject, ...(from && { from }) }),
      // in IPVS mode the node holds the cluster IP, and begins its own connections to it with it
      from === "host" ? perhaps(now({ name: "service.masquerade", ...subject, from })) : undefined,
      // who stays with one source port is sent where its first packet was
      port.protocol === "UDP" && client.podKey !== undefined
        ? toFollow({ name: "service.flows", node, service: port.key, pod: client.podKey })
        : undefined,
      now({ name: "pod.listen", service: port.key }),
      endpoints.length > 0
        ? any(endpoints.map((endpoint) => reachEndpoint({ ...client, family }, endpoint, port)))
        : undefined,
    );
  }

  function resolve(client: Client, zone: "cluster" | "external", server?: ServicePort | "as-pod"): Need {
    const told = server === "as-pod" ? undefined : server;
    const asksAsPod = server === "as-pod" || (client.network === "pod" && !server);
    const port = told ?? dns.services.flatMap(({ ports }) => ports).find((p) => p.port === 53 && p.protocol === "UDP");
    return all(
      asksAsPod ? now({ name: "dns.client", node: client.node }) : undefined,
      // of a Pod on the host network its own dnsPolicy decides
      client.pod?.hostNetwork ? now({ name: "dns.client", node: client.node, pod: client.pod.key }) : undefined,
      now({ name: "dns.serve", zone }),
      now({
        name: "dns.admit",
        node: client.node,
        from: client.network,
        zone,
        ...(client.podKey && { pod: client.podKey }),
      }),
      port && backends(client, port, client.node),
      !port ? ends(client, client.node) : undefined,
    );
  }

  function reachHostPort(client: Client, node: string, pod: PodView): Need {
    return all(
      reachNode(client, node),
      now({ name: "pod.host-port", node, pod: pod.key, ...ofFamily(client) }),
      attach(pod),
      now({ name: "pod.listen", pod: pod.key }),
    );
  }

  function reachNodePort(client: Client, node: string, port: ServicePort): Need {
    // from the node on, the packet is forwarded with the node's address
    const onward: Client =
      client.node === node && client.network === "host"
        ? client
        : { node, network: "pod", marked: true, ...(client.large && { large: client.large }) };
    const subject = { node, service: port.key, ...ofFamily(client) };
    // only back ends on the node itself answer without
    const masquerade = perhaps(now({ name: "service.masquerade", ...subject }));
    // the node's own connections, and those of its Pods, meet the rules for node ports from where they begin
    const own = (from: Capability["from"]) => perhaps(now({ name: "service.rules", ...subject, from: from! }));
    return all(
      reachNode(client, node),
      masquerade,
      ...(client.node === node ? [own("outside"), own(client.network)] : []),
      backends(onward, port, node, onward.marked ? "outside" : client.network),
    );
  }

  return {
    attach,
    leavingOf,
    backends,
    reachPod,
    reachPodRange,
    reachService: (client, port) => backends(client, port, client.node),
    reachNodePort,
    reachNode,
    reachHostPort,
    reachOutside,
    resolve,
  };
}
