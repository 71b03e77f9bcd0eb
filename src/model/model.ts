/**
 * The model: one vocabulary for every cluster, in parts that answer questions and never judge.
 *
 * Parts are made when they are first asked for, and only once.
 */
import type { Capture } from "../evidence/capture.ts";
import { type Calico, calicoOf } from "./calico/calico.ts";
import type { Change } from "./changes/change.ts";
import { captureWith } from "./changes/changes.ts";
import { type Cilium, ciliumOf } from "./cilium/cilium.ts";
import { type Cni, cniOf } from "./cni.ts";
import { type Components, componentsOf } from "./components/components.ts";
import { type Connections, connectionsOf } from "./connections.ts";
import { type Dns, dnsOf } from "./dns/dns.ts";
import { type Flannel, flannelOf } from "./flannel.ts";
import { type Forwarding, forwardingOf } from "./forwarding/plane.ts";
import { type Kindnet, kindnetOf } from "./kindnet.ts";
import { type Logs, logsOf } from "./logs.ts";
import { type Needs, needsOf } from "./needs/needs.ts";
import { type Nodes, nodesOf } from "./nodes.ts";
import { type Objects, objectsOf } from "./objects.ts";
import { type Observations, observationsOf } from "./observations.ts";
import { type PacketCaptures, packetCapturesOf } from "./packet-captures.ts";
import { type Permissions, permissionsOf } from "./permissions/permissions.ts";
import { type PodNamespaces, podNamespacesOf } from "./pod-namespaces.ts";
import { type Pods, podsOf } from "./pods.ts";
import { type Policies, policiesOf } from "./policies/policies.ts";
import { proxyOf, type ServiceProxy } from "./proxy.ts";
import { type Ranges, rangesOf } from "./ranges.ts";
import { type Rbac, rbacOf } from "./rbac.ts";
import { type Releases, releasesOf } from "./releases.ts";
import { type Sandboxes, sandboxesOf } from "./sandboxes.ts";
import { type Services, servicesOf } from "./services/services.ts";
import { type Sockets, socketsOf } from "./sockets.ts";
import { type CaptureTime, captureTime } from "./time.ts";
import { type Tunnels, tunnelsOf } from "./tunnels/tunnels.ts";
import { type Writes, writesOf } from "./writes/writes.ts";

export type ModelParts = {
  readonly time: CaptureTime;
  readonly objects: Objects;
  readonly nodes: Nodes;
  readonly pods: Pods;
  readonly services: Services;
  readonly rbac: Rbac;
  readonly components: Components;
  readonly permissions: Permissions;
  readonly releases: Releases;
  readonly logs: Logs;
  readonly writes: Writes;
  readonly packetCaptures: PacketCaptures;
  readonly forwarding: Forwarding;
  readonly flannel: Flannel;
  readonly calico: Calico;
  readonly kindnet: Kindnet;
  readonly cni: Cni;
  readonly cilium: Cilium;
  readonly tunnels: Tunnels;
  readonly connections: Connections;
  readonly podNamespaces: PodNamespaces;
  readonly sockets: Sockets;
  readonly sandboxes: Sandboxes;
  readonly proxy: ServiceProxy;
  readonly policies: Policies;
  readonly dns: Dns;
  readonly ranges: Ranges;
  readonly needs: Needs;
  readonly observations: Observations;
};

export type ModelPart = keyof ModelParts;

export type ClusterModel = ModelParts & {
  /** The model of the cluster as it would be after these changes. */
  with(changes: readonly Change[]): ClusterModel;
};

type Makers = {
  readonly [P in ModelPart]: (model: ModelParts, capture: Capture, before?: ModelParts) => ModelParts[P];
};

const MAKERS: Makers = {
  time: (_, capture) => captureTime(capture),
  objects: (_, capture) => objectsOf(capture),
  nodes: ({ objects }, capture) => nodesOf(capture, objects),
  pods: ({ objects }) => podsOf(objects),
  services: ({ objects, pods, nodes }) => servicesOf(objects, pods, nodes),
  rbac: ({ objects }) => rbacOf(objects),
  components: ({ objects, pods, nodes }, capture, before) =>
    componentsOf(capture, objects, pods, nodes, before?.components),
  permissions: ({ objects, rbac, components }, capture) => permissionsOf(capture, { objects, rbac, components }),
  releases: (_, capture) => releasesOf(capture),
  logs: ({ time }, capture) => logsOf(capture, time),
  writes: (parts, capture) => writesOf(capture, parts),
  packetCaptures: ({ nodes }, capture) => packetCapturesOf(capture, nodes),
  forwarding: (_, capture) => forwardingOf(capture),
  flannel: ({ objects, nodes, components, forwarding }, capture) =>
    flannelOf({ capture, objects, nodes, components, forwarding }),
  calico: ({ objects, nodes, components, forwarding }) => calicoOf({ objects, nodes, components, forwarding }),
  kindnet: ({ objects, nodes, components, forwarding }) => kindnetOf({ objects, nodes, components, forwarding }),
  cni: (_, capture) => cniOf(capture),
  cilium: ({ objects, components, pods }, capture) => ciliumOf(capture, objects, components, pods),
  sandboxes: (_, capture) => sandboxesOf(capture),
  podNamespaces: (_, capture) => podNamespacesOf(capture),
  sockets: (_, capture) => socketsOf(capture),
  tunnels: ({ nodes, forwarding, flannel, calico }) => tunnelsOf(nodes, forwarding, flannel, calico),
  connections: ({ nodes, forwarding }) => connectionsOf(nodes, forwarding),
  proxy: ({ objects, nodes, services, components, forwarding, time }, capture) =>
    proxyOf(capture, { objects, nodes, services, components, forwarding, time }),
  policies: ({ objects, pods, nodes, components, forwarding }) =>
    policiesOf(objects, pods, nodes, components, forwarding),
  dns: ({ objects, nodes, pods, services, components }, capture) =>
    dnsOf(capture, objects, nodes, pods, services, components),
  ranges: ({ objects, nodes, components, flannel }, capture) => rangesOf(capture, objects, nodes, components, flannel),
  needs: ({ objects, nodes, pods, services, components, policies, dns, cilium }) =>
    needsOf({ nodes, pods, services, components, policies, dns, cilium, objects }),
  observations: ({ time, nodes, pods, services, dns, needs }, capture) =>
    observationsOf(capture, { time, nodes, pods, services, dns, needs }),
};

export const MODEL_PARTS = Object.keys(MAKERS) as ModelPart[];

/** @param before of a cluster after changes: what it was, of which it keeps what ran there */
export function modelOf(capture: Capture, before?: ModelParts): ClusterModel {
  const made: Partial<Record<ModelPart, unknown>> = {};
  const model: ClusterModel = {
    with: (changes: readonly Change[]) =>
      modelOf(
        captureWith(capture, changes, (made) => modelOf(made)),
        model,
      ),
  } as ClusterModel;
  for (const part of MODEL_PARTS) {
    Object.defineProperty(model, part, {
      enumerable: true,
      get() {
        made[part] ??= MAKERS[part](model, capture, before);
        return made[part];
      },
    });
  }
  return model;
}
