/** What programs need that run as Pods: agents, controllers, cluster DNS. */
import type { Capability, Work } from "../capability.ts";
import type { Component, Components } from "../components/components.ts";
import type { Dns } from "../dns/dns.ts";
import type { PodView } from "../pods.ts";
import { ref, refId } from "../ref.ts";
import type { Services } from "../services/services.ts";
import { all, any, type Need, now, on, perhaps, toFollow } from "./need.ts";
import { clientOf, type Ways } from "./ways.ts";

type ProgramParts = {
  readonly services: Services;
  readonly components: Components;
  readonly dns: Dns;
  readonly ways: Pick<Ways, "attach" | "backends" | "reachOutside">;
};

export function programsOf({ services, components, dns, ways }: ProgramParts) {
  const { attach, backends, reachOutside } = ways;
  const componentOn = (duty: Parameters<Components["withDuty"]>[0], node: string | undefined): Component[] => {
    const candidates = components.withDuty(duty);
    const here =
      node === undefined ? [] : candidates.filter((c) => c.belongsOn(node) ?? c.pods.some((pod) => pod.node === node));
    return here.length > 0 ? here : [...candidates];
  };

  /** Agents with a duty on a node go on as they are without it; undefined if there are none. */
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
        : [
            toFollow({ name: "pod.create" }),
            toFollow({ name: "pod.admit", component: capability.component! }),
            toFollow({ name: "pod.schedule", component: capability.component! }),
          ]),
      servedBy(definition),
      toFollow(on(capability.node, { name: "component.login", component: capability.component! })),
      // what starts without permission or without the API server ends again, or does not become ready
      toFollow({ name: "component.permit", component: capability.component!, work: "start" }),
      // leaders end when they cannot renew their leases, and agents write when they start
      toFollow({ name: "api.write" }),
      // a Pod whose ConfigMap is not there is not started
      toFollow({ name: "component.config", component: capability.component! }),
      toFollow(on(capability.node, { name: "api.connect", component: capability.component! })),
      toFollow({ name: "pod.mount", component: capability.component! }),
    );
  }

  return { learns, runs, dnsServe, componentRun };
}
