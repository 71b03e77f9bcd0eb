/**
 * What every capability needs: the one place that says what depends on what.
 *
 * The trees are made on demand, for what was observed or found faulty, never for all pairs of anything.
 */
import type { Capability } from "../capability.ts";
import type { Components } from "../components/components.ts";
import type { Objects } from "../objects.ts";
import type { PodView } from "../pods.ts";
import { all, any, type Need, now, on, pair, perhaps, toFollow } from "./need.ts";
import { programsOf } from "./programs.ts";
import { unansweredPods } from "./unanswered.ts";
import { clientOf, type WayParts, type Ways, waysOf } from "./ways.ts";

export interface Needs extends Ways {
  /** What a capability needs; undefined if it needs nothing that we model. */
  of(capability: Capability): Need | undefined;
}

export function needsOf(parts: WayParts & { readonly components: Components; readonly objects: Objects }): Needs {
  const { nodes, pods, services, components, dns, objects } = parts;
  const ways = waysOf(parts);
  const { learns, runs, dnsServe, componentRun } = programsOf({ services, components, dns, ways });

  /** Cilium balances what Pods send, also beside kube-proxy, which does so for the node. */
  const balancedByCni = ({ node, from }: Capability): Need | undefined =>
    from === "host" || components.byId("cilium").length === 0 ? undefined : learns("cni", node, "services");

  /** Cilium drops what Pods send and receive that it has no identity for (`reserved:init`). */
  const identified = (capability: Capability): Need | undefined =>
    components.byId("cilium").length === 0 ? undefined : now({ ...capability, name: "pod.identity" });

  function nodeAt(address = ""): Need | undefined {
    const node = nodes.byAddress(address);
    return node && now({ name: "node.up", node: node.name });
  }

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

  let silent: ReadonlySet<string> | undefined;
  function isUnanswered({ key }: PodView): boolean {
    silent ??= unansweredPods(objects);
    return silent.has(key);
  }

  /** What Pods that are to be ready and are not need of the network; where others are of the same Service, it may do without. */
  function connected({ service: key, pod: name }: Capability): Need | undefined {
    const [namespace = "", own = ""] = (key ?? name ?? "").split(":")[0]!.split("/");
    const service = key === undefined ? undefined : services.get(namespace, own);
    const meant = service ? services.selected(service) : name === undefined ? [] : [pods.get(namespace, own)];
    const waiting = meant.flatMap((pod) => {
      if (pod?.node === undefined || pod.hostNetwork) return [];
      const { node } = pod;
      // the kubelet mounts the volumes of a Pod before it asks for its network
      if (pod.addresses.length === 0)
        return all(now({ name: "pod.mount", pod: pod.key }), now({ name: "pod.attach", node, pod: pod.key }));
      if (pod.ready || !isUnanswered(pod)) return [];
      return all(
        ways.reachPod({ node, network: "host" }, pod),
        // answers to the kubelet's probes go by them where the node's address is none of the Pods' range
        perhaps(now({ name: "pod-network.gateway", node })),
        perhaps(now({ name: "node.route", node })),
      );
    });
    if (waiting.length === 0) return undefined;
    return waiting.length < meant.length ? perhaps(any(waiting)) : any(waiting);
  }

  /** A Service that API servers call by its address, from the nodes that they run on. */
  function called({ service: key = "" }: Capability): Need | undefined {
    const [namespace = "", name = ""] = key.split(":")[0]!.split("/");
    const ports = services.get(namespace, name)?.ports ?? [];
    const port = ports.find((one) => one.key === key) ?? ports[0];
    if (!port) return undefined;
    const hosts = services.apiServerNodes;
    return hosts.length === 0
      ? now({ name: "service.endpoints", service: port.key })
      : any(hosts.map((node) => ways.reachService({ node, network: "host" }, port)));
  }

  /** Of who asks the API server by its Service. */
  function byService({ node, service: key, pod: name }: Capability): Need | undefined {
    const port = services.get("default", "kubernetes")?.ports.find((one) => one.key === key);
    const [namespace = "", own = ""] = (name ?? "").split("/");
    const pod = pods.get(namespace, own);
    if (!port || node === undefined) return undefined;
    return ways.reachService(pod ? clientOf(pod, node) : { node, network: "host" }, port);
  }

  /** What agents wrote on a node, somebody may have taken away. */
  const kept = ({ node, family }: Capability): Need | undefined =>
    node === undefined
      ? undefined
      : perhaps(now({ name: "node.keep-rules", node, ...(family !== undefined && { family }) }));

  return {
    ...ways,
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
          return all(
            learns("service-proxy", node, "services"),
            perhaps(now({ name: "service.pod-range" })),
            kept(capability),
          );
        case "node.keep-source":
          return all(perhaps(now({ name: "service.pod-range" })), kept(capability));
        case "service.health":
          return learns("service-proxy", node, "services");
        case "pod.host-port":
        case "node.forward":
        case "node.let-out":
        case "node.tunnel":
        case "node.lead-to-api":
        case "node.lead-to-upstream":
          return kept(capability);
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
            kept(capability),
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
            toFollow(on(node, { name: "pod-network.backend" })),
          );
        case "pod.release":
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
            // the plugin gives no Pod a gateway that its node's bridge does not have
            perhaps(now(on(node, { name: "pod-network.gateway" }))),
          );
        case "pod.identity":
          return now({ ...capability, name: "pod.labels" });
        case "pod.labels":
          return learns("cni", node, "pods");
        case "policy.rules":
          return all(learns("policy", node, "policies"), identified(capability), kept(capability));
        case "node.masquerade":
          return all(
            learns("cni", node, "start"),
            toFollow(on(node, { name: "pod-network.config" })),
            kept(capability),
          );
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
        case "kubelet.answer":
          return all(
            now(on(node, { name: "node.ready" })),
            ...(components.byId("kube-apiserver")[0]?.pods ?? []).flatMap((server) =>
              server.node === undefined || node === undefined || server.node === node
                ? []
                : now({ name: "node.reach", ...pair(server.node, node) }),
            ),
          );
        case "node.report":
          return all(
            now(on(node, { name: "api.reach" })),
            now(on(node, { name: "node.login" })),
            toFollow({ name: "api.write" }),
          );
        case "node.login":
          // a certificate counts until it runs out
          return toFollow(on(node, { name: "node.renew" }));
        case "node.join":
          return now({ name: "certificate.issue" });
        case "node.renew":
          return all(now({ name: "certificate.renew" }), now({ name: "certificate.issue" }));
        case "certificate.issue":
        case "config.publish":
          return all(runs("kube-controller-manager"), toFollow({ name: "api.write" }));
        case "pod.mount":
          return now({ name: "config.publish" });
        case "node.ready":
          return all(now({ ...capability, name: "node.report" }), now({ ...capability, name: "cni.config" }));
        case "pod.ready":
          return all(
            perhaps(now({ name: "api.remember" })),
            toFollow({ name: "pod.create" }),
            capability.service === undefined
              ? undefined
              : toFollow({ name: "pod.schedule", service: capability.service }),
            connected(capability),
            // Pods of a node that is not ready count as not ready, whatever they do
            node === undefined ? undefined : all(now({ name: "node.up", node }), now({ name: "node.ready", node })),
          );
        case "pod.listen":
          // the Corefile says where CoreDNS listens
          return dns.services.some(({ ports }) => ports.some(({ key }) => key === capability.service))
            ? now({ name: "dns.admit" })
            : undefined;
        case "dns.upstream":
          return perhaps(all(...dns.servers.flatMap((server) => server.component.pods).map(ways.leavingOf)));
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
                now(on(node, { name: "component.login", component })),
                now({ name: "component.permit", component, ...(work && { work }) }),
                now(on(node, { name: "api.connect", component })),
              );
        case "component.run":
          return componentRun(capability);
        case "api.connect":
          return all(now(on(node, { name: "api.reach" })), byService(capability));
        case "api.reach":
          return now({ name: "api.serve" });
        case "api.extend":
        case "api.ask":
          return called(capability);
        default:
          return undefined;
      }
    },
  };
}
