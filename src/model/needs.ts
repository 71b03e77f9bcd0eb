/**
 * What every capability needs: the one place that says what depends on what.
 *
 * A need is all-of or any-of, and either "now" (without it, it does not work) or "to follow change" (without it, it keeps
 * working as it is, and only what changed since is wrong). The trees are made on demand, for what was observed or found
 * faulty, never for all pairs of anything.
 */
import { type Family, isOfFamily } from "../net/ip.ts";
import type { Capability, Work } from "./capability.ts";
import type { Cilium } from "./cilium/cilium.ts";
import type { Component, Components } from "./components/components.ts";
import type { Dns } from "./dns.ts";
import type { Nodes } from "./nodes.ts";
import type { Pods, PodView } from "./pods.ts";
import type { Policies } from "./policies.ts";
import type { Denying, PolicyEnd } from "./policy-views.ts";
import { ref, refId } from "./ref.ts";
import type { ServiceEndpoint, ServicePort, Services } from "./services/services.ts";

export type Need =
  | { readonly is: "capability"; readonly of: Capability }
  /** Works on without it, but does not follow changes and does not survive a restart. */
  | { readonly is: "to-follow-change"; readonly of: Capability }
  | { readonly is: "all"; readonly of: readonly Need[] }
  | { readonly is: "any"; readonly of: readonly Need[] }
  /** It may depend on it: whether it does is not known. */
  | { readonly is: "perhaps"; readonly of: Need }
  /** A policy that is meant so denies it. */
  | { readonly is: "denied"; readonly by: readonly Denying[]; readonly direction: "ingress" | "egress" };

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

export interface Needs {
  /** What a capability needs; undefined if it needs nothing that we model. */
  of(capability: Capability): Need | undefined;
  reachPod(client: Client, pod: PodView, port?: { protocol: string; number: number }): Need;
  /** An address in a node's Pod range that belongs to no Pod that we know. */
  reachPodRange(client: Client, node: string): Need;
  reachService(client: Client, port: ServicePort): Need;
  reachNodePort(client: Client, node: string, port: ServicePort): Need;
  reachNode(client: Client, node: string): Need;
  reachOutside(client: Client): Need;
  /** @param server which it asks, if it was told one: a Service's, or the one that Pods are given; else that of its resolv.conf */
  resolve(client: Client, zone: "cluster" | "external", server?: ServicePort | "as-pod"): Need;
}

export const all = (...of: readonly (Need | undefined)[]): Need => {
  const needs = of.filter((need) => need !== undefined);
  return needs.length === 1 ? needs[0]! : { is: "all", of: needs };
};
export const any = (of: readonly Need[]): Need => (of.length === 1 ? of[0]! : { is: "any", of });
export const perhaps = (of: Need): Need => ({ is: "perhaps", of });
const now = (of: Capability): Need => ({ is: "capability", of });
const toFollow = (of: Capability): Need => ({ is: "to-follow-change", of });

type Parts = {
  readonly nodes: Nodes;
  readonly pods: Pods;
  readonly services: Services;
  readonly components: Components;
  readonly policies: Policies;
  readonly dns: Dns;
  readonly cilium: Cilium;
};

/** A pair of nodes has one underlay, whichever way. */
export function pair(a: string, b: string): { readonly node: string; readonly peer: string } {
  return a < b ? { node: a, peer: b } : { node: b, peer: a };
}

export function needsOf({ nodes, pods, services, components, policies, dns, cilium }: Parts): Needs {
  const componentOn = (duty: Parameters<Components["withDuty"]>[0], node: string | undefined): Component[] => {
    const candidates = components.withDuty(duty);
    const here =
      node === undefined ? [] : candidates.filter((c) => c.belongsOn(node) ?? c.pods.some((pod) => pod.node === node));
    return here.length > 0 ? here : [...candidates];
  };
  const learns = (
    duty: Parameters<Components["withDuty"]>[0],
    node: string | undefined,
    work: Work,
  ): Need | undefined => {
    const agents = componentOn(duty, node);
    if (agents.length === 0) return undefined;
    return all(
      ...agents.map((agent) => toFollow(on(node, { name: "component.learn", component: refId(agent.ref), work }))),
    );
  };
  const on = (node: string | undefined, capability: Capability): Capability =>
    node === undefined ? capability : { ...capability, node };

  function policyNeed(from: PolicyEnd, to: PolicyEnd, protocol: string, port: number): Need | undefined {
    if (policies.enforcement !== "enforced") return undefined;
    const verdict = policies.verdict(from, to, { protocol, port });
    return verdict.state === "denied" ? { is: "denied", by: verdict.by, direction: verdict.direction } : undefined;
  }

  /** Cilium balances what Pods send, also beside kube-proxy, which does so for the node. */
  const balancedByCni = ({ node, from }: Capability): Need | undefined =>
    from === "host" || components.byId("cilium").length === 0 ? undefined : learns("cni", node, "services");

  /** Cilium drops what Pods send and receive that it has no identity for (`reserved:init`). */
  const identified = (capability: Capability): Need | undefined =>
    components.byId("cilium").length === 0 ? undefined : now({ ...capability, name: "pod.identity" });

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
      const direct = reachPod(client, pod, { protocol: port.protocol, number: endpoint.port });
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
    return all(
      isApi && client.network === "pod" ? now({ name: "node.lead-to-api", node: client.node }) : undefined,
      now({ name: "service.endpoints", service: port.key }),
      isLocal ? now({ name: "service.local", node, service: port.key }) : undefined,
      now({ name: "service.rules", node, service: port.key, ...(from && { from }), ...services.ofFamily(family) }),
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
      now({ name: "dns.serve", zone }),
      port && backends(client, port, client.node),
      !port ? ends(client, client.node) : undefined,
    );
  }

  function nodeAt(address = ""): Need | undefined {
    const node = nodes.byAddress(address);
    return node && now({ name: "node.up", node: node.name });
  }

  const clientOf = (pod: PodView, node: string): Client => ({
    node,
    network: pod.hostNetwork ? "host" : "pod",
    pod,
    podKey: pod.key,
  });

  /** The Pods of a node that a Service of local traffic policy has there. */
  function localBackends({ node, service: key = "" }: Capability): Need | undefined {
    const [namespace = "", name = ""] = key.split(":")[0]!.split("/");
    const service = services.get(namespace, name);
    const here = service ? services.selected(service).filter((pod) => pod.node === node) : [];
    return all(
      now({ name: "service.endpoints", service: key }),
      ...here.map((pod) => now({ name: "pod.ready", pod: pod.key, ...(node !== undefined && { node }) })),
    );
  }

  /** What a program needs that runs as a Pod and talks to the API server. */
  function podRun(pod: PodView): Need | undefined {
    const apiService = services.get("default", "kubernetes")?.ports[0];
    if (pod.node === undefined) return undefined;
    return all(
      now({ name: "node.up", node: pod.node }),
      perhaps(now({ name: "node.report", node: pod.node })),
      now({ name: "node.track", node: pod.node }),
      attach(pod),
      apiService && !pod.hostNetwork ? perhaps(backends(clientOf(pod, pod.node), apiService, pod.node)) : undefined,
    );
  }

  function dnsServe(zone: Capability["zone"]): Need {
    const servers = dns.servers.map(({ component }) => component);
    const apiService = services.get("default", "kubernetes")?.ports[0];
    const replicas = servers.flatMap(({ pods: replica, ref }) =>
      replica.map((pod) =>
        all(
          now({ name: "pod.ready", pod: pod.key }),
          pod.node === undefined
            ? undefined
            : all(
                now(on(pod.node, { name: "component.run", component: refId(ref) })),
                now({ name: "pod.attach", node: pod.node, pod: pod.key }),
                apiService && zone !== "external"
                  ? perhaps(backends(clientOf(pod, pod.node), apiService, pod.node))
                  : undefined,
                zone === "cluster" ? undefined : perhaps(reachOutside(clientOf(pod, pod.node))),
              ),
        ),
      ),
    );
    return all(
      now({ name: "dns.config" }),
      zone === "cluster" ? undefined : perhaps(now({ name: "dns.upstream" })),
      ...servers.flatMap(({ ref }) => [
        now({ name: "component.run", component: refId(ref) }),
        toFollow({ name: "component.learn", component: refId(ref), work: "names" }),
      ]),
      replicas.length > 0 ? any(replicas) : undefined,
    );
  }

  /** Of several replicas of a controller one leads: any of them will do. */
  const runs = (id: string): Need => {
    const replicas = components.byId(id).map(({ ref: self }) => self);
    // of a control plane that is not seen, the name stands for all
    const known = replicas.length > 0 ? replicas : [ref("Pod", id, "kube-system")];
    return any(known.map((replica) => toFollow({ name: "component.run", component: refId(replica) })));
  };

  /** What stands between it and the API server: it starts without, and does not become ready. */
  function servedBy({ servedBy: id }: Component["definition"]): Need | undefined {
    const servers = id === undefined ? [] : components.byId(id);
    return servers.length === 0
      ? undefined
      : any(servers.map(({ ref: server }) => toFollow({ name: "component.run", component: refId(server) })));
  }

  function componentRun(capability: Capability): Need | undefined {
    const component = components.all.find((candidate) => refId(candidate.ref) === capability.component);
    if (!component) return undefined;
    const { definition } = component;
    const here = component.pods.filter(({ node }) => capability.node === undefined || node === capability.node);
    const running = here.map(podRun).filter((need) => need !== undefined);
    return all(
      // as a whole it runs while one of its Pods does
      ...(capability.node === undefined ? [any(running)] : running),
      definition.duties.includes("cluster-dns") ? now(on(capability.node, { name: "dns.config" })) : undefined,
      definition.duties.includes("cni") ? toFollow(on(capability.node, { name: "pod-network.config" })) : undefined,
      // it ends at its start if nodes have ranges that are none of its own
      definition.id === "kube-controller-manager"
        ? toFollow({ name: "pod-network.config", component: capability.component! })
        : undefined,
      definition.duties.includes("endpoints") ? runs("kube-controller-manager") : undefined,
      ...(definition.duties.includes("control-plane")
        ? []
        : [toFollow({ name: "pod.create" }), toFollow({ name: "pod.admit", component: capability.component! })]),
      servedBy(definition),
      // what starts without permission or without the API server ends again, or does not become ready
      toFollow({ name: "component.permit", component: capability.component!, work: "start" }),
      // leaders end when they cannot renew their leases, and agents write when they start
      toFollow({ name: "api.write" }),
      // a Pod whose ConfigMap is not there is not started
      toFollow({ name: "component.config", component: capability.component! }),
      toFollow(on(capability.node, { name: "api.reach" })),
    );
  }

  return {
    of(capability) {
      const { name, node, peer, component, work } = capability;
      switch (name) {
        case "service.endpoints":
          return all(
            now({ ...capability, name: "service.select" }),
            now({ ...capability, name: "pod.ready" }),
            toFollow({ ...capability, name: "service.follow" }),
            perhaps(now({ name: "api.remember" })),
          );
        case "service.backend":
          return nodeAt(capability.address);
        case "service.select":
          return all(toFollow({ name: "pod.create" }), toFollow({ ...capability, name: "pod.admit" }));
        case "service.flows":
          return all(
            now(on(node, { name: "service.rules", service: capability.service! })),
            now({ name: "service.endpoints", service: capability.service! }),
            learns("service-proxy", node, "services"),
          );
        case "service.masquerade":
          return all(learns("service-proxy", node, "services"), perhaps(now({ name: "service.pod-range" })));
        case "node.keep-source":
          return perhaps(now({ name: "service.pod-range" }));
        case "pod.create":
          return all(runs("kube-controller-manager"), runs("kube-scheduler"), toFollow({ name: "api.write" }));
        case "service.local":
          return localBackends(capability);
        case "service.follow":
          return learns("endpoints", undefined, "endpoints");
        case "service.rules":
          return all(
            learns("service-proxy", node, "services"),
            balancedByCni(capability),
            perhaps(now({ name: "service.pod-range" })),
            // of two Services with one address, one gets the packets
            capability.service === undefined
              ? undefined
              : perhaps(now({ name: "service.address", service: capability.service })),
            perhaps(now({ name: "api.remember" })),
          );
        case "pod-network.entries":
          return all(
            perhaps(now({ name: "api.remember" })),
            learns("cni", node, "nodes"),
            // of ranges that two claim, one gets the packets
            perhaps(now(on(node, { name: "pod-network.ranges" }))),
            capability.peer === undefined
              ? undefined
              : perhaps(now({ name: "pod-network.ranges", node: capability.peer })),
            // of MAC addresses that two have, as well
            perhaps(now(on(node, { name: "pod-network.address" }))),
            capability.peer === undefined
              ? undefined
              : perhaps(now({ name: "pod-network.address", node: capability.peer })),
            toFollow(on(node, { name: "pod-network.config" })),
          );
        case "pod.attach":
          // Pods of a node that does not report may be gone
          return all(
            learns("cni", node, "pods"),
            toFollow(on(node, { name: "cni.config" })),
            toFollow(on(node, { name: "cni.choice" })),
            identified(capability),
            toFollow(on(node, { name: "pod-network.config" })),
            node === undefined ? undefined : perhaps(now({ name: "node.report", node })),
            perhaps(now(on(node, { name: "pod-network.ranges" }))),
          );
        case "pod.identity":
          return now({ ...capability, name: "pod.labels" });
        case "pod.labels":
          return learns("cni", node, "pods");
        case "policy.rules":
          return all(learns("policy", node, "policies"), identified(capability));
        case "node.masquerade":
          return all(learns("cni", node, "start"), toFollow(on(node, { name: "pod-network.config" })));
        case "cni.config":
        case "cni.choice":
          return learns("cni", node, "start");
        case "pod-network.config":
          return component === undefined ? learns("pod-ranges", undefined, "nodes") : undefined;
        case "node.up":
          return perhaps(now({ ...capability, name: "node.report" }));
        case "underlay.carry":
          // what nodes do not get to each other at all, tunnels do not either
          return node === undefined || peer === undefined
            ? undefined
            : perhaps(now({ name: "node.reach", ...pair(node, peer) }));
        case "node.report":
          return all(now(on(node, { name: "api.reach" })), toFollow({ name: "api.write" }));
        case "node.ready":
          return all(now({ ...capability, name: "node.report" }), now({ ...capability, name: "cni.config" }));
        case "pod.ready":
          return all(
            perhaps(now({ name: "api.remember" })),
            toFollow({ name: "pod.create" }),
            // Pods of a node that is not ready count as not ready, whatever they do
            node === undefined ? undefined : all(now({ name: "node.up", node }), now({ name: "node.ready", node })),
          );
        case "dns.upstream":
          return perhaps(all(...dns.servers.flatMap((server) => server.component.pods).map(leavingOf)));
        case "dns.client":
          // a cache on the node has an address of its own there while it runs
          return components.withDuty("node-dns").length === 0 ? undefined : learns("node-dns", node, "start");
        case "dns.serve":
          return dnsServe(capability.zone);
        case "component.learn":
          return component === undefined
            ? undefined
            : all(
                now(on(node, { name: "component.run", component })),
                now({ name: "component.permit", component, ...(work && { work }) }),
                now(on(node, { name: "api.reach" })),
              );
        case "component.run":
          return componentRun(capability);
        case "api.reach":
          return now({ name: "api.serve" });
        default:
          return undefined;
      }
    },
    reachPod,
    reachPodRange,
    reachService: (client, port) => backends(client, port, client.node),
    reachNodePort(client, node, port) {
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
    },
    reachNode,
    reachOutside,
    resolve,
  };
}
