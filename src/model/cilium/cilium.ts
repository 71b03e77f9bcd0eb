/**
 * Cilium's datapath on each node: what its agent says of its own tables.
 *
 * The programs on the devices decide by maps; the agent prints them (`cilium-dbg`). A node whose agent could not be asked
 * is unknown: the programs go on with the maps that they have, and nothing shows those.
 */
import type { Capture } from "../../evidence/capture.ts";
import type { KindId, Missing } from "../../evidence/catalogue.ts";
import type { Place } from "../../evidence/kind.ts";
import { known, type Observed } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { CiliumEndpoint } from "../../parse/cilium/endpoints.ts";
import type { CiliumIdentity } from "../../parse/cilium/identities.ts";
import type { IpcacheEntry } from "../../parse/cilium/ipcache.ts";
import type { LbFrontend } from "../../parse/cilium/lb.ts";
import type { CiliumService } from "../../parse/cilium/services.ts";
import type { CiliumStatus } from "../../parse/cilium/status.ts";
import type { CiliumTunnel } from "../../parse/cilium/tunnels.ts";
import type { Components } from "../components/components.ts";
import type { Objects } from "../objects.ts";
import type { Pods, PodView } from "../pods.ts";

/** Identities that are the same in every cluster (pkg/identity/numericidentity.go). */
export const IDENTITY = { host: 1, world: 2, health: 4, init: 5, remoteNode: 6, apiServer: 7 } as const;

/** bpf/lib/identity.h: identity_is_reserved */
export const isOfNodesOrWorld = (identity: number): boolean =>
  [0, IDENTITY.host, IDENTITY.world, IDENTITY.remoteNode, IDENTITY.apiServer, 9, 10].includes(identity);

const KINDS = [
  "ciliumStatus",
  "ciliumEndpoints",
  "ciliumIdentities",
  "ciliumIpcache",
  "ciliumLb",
  "ciliumServices",
  "ciliumTunnels",
] as const satisfies readonly KindId[];

export type CiliumKind = (typeof KINDS)[number];

/** What the agent of a node says. All unknown where none could be asked. */
export type CiliumNode = {
  readonly node: string;
  readonly status: Observed<CiliumStatus>;
  readonly endpoints: Observed<readonly CiliumEndpoint[]>;
  readonly identities: Observed<readonly CiliumIdentity[]>;
  readonly ipcache: Observed<readonly IpcacheEntry[]>;
  readonly lb: Observed<readonly LbFrontend[]>;
  readonly services: Observed<readonly CiliumService[]>;
  readonly tunnels: Observed<readonly CiliumTunnel[]>;
  /** What would have told. */
  missing(kind: CiliumKind): Missing;
  /** The endpoint of a Pod, by its address where the agent does not know its name. */
  endpointOf(pod: PodView): Observed<CiliumEndpoint>;
  quoteEndpoint(endpoint: CiliumEndpoint, words: string): Evidence;
};

export interface Cilium {
  /** Whether Cilium connects the Pods of this cluster. */
  readonly runs: boolean;
  /**
   * Whether packets between Pods stay out of the kernel's own stack and its filter: the programs put them into the tunnel, and
   * hand them to the Pods' devices, themselves (bpf_lxc.c, bpf_overlay.c). What leaves the Pod network goes through the stack.
   */
  readonly carriesPods: boolean;
  /** To which UDP port nodes send what they encapsulate: of VXLAN, or of Geneve (pkg/defaults, TunnelPortVXLAN and TunnelPortGeneve). */
  readonly tunnelPort: number;
  of(node: string): CiliumNode;
  /** A setting of its ConfigMap. */
  setting(key: string): string | undefined;
  /** Whether sockets of a node, or of its Pods, translate the addresses of Services themselves. */
  socketLb(node: string, of: "node" | "pod"): boolean | "unknown";
}

export function ciliumOf(capture: Capture, objects: Objects, components: Components, pods: Pods): Cilium {
  const agents = new Map<string, Place>();
  for (const { pods: running } of components.byId("cilium"))
    for (const { node, namespace, name } of running) if (node !== undefined) agents.set(node, { namespace, pod: name });
  // of two agents of a node, the one that answered
  for (const { place, observed } of KINDS.flatMap((kind) => capture.all(kind))) {
    const node = pods.get(place.namespace ?? "", place.pod ?? "")?.node;
    if (node !== undefined && observed.state === "present") agents.set(node, place);
  }
  const nodes = new Map<string, CiliumNode>();
  const of: Cilium["of"] = (node) => {
    const made = nodes.get(node) ?? nodeOf(capture, node, agents.get(node) ?? {});
    nodes.set(node, made);
    return made;
  };
  const config = objects.all("configmaps").find(({ metadata }) => metadata.name === "cilium-config")?.data;
  const setting: Cilium["setting"] = (key) => config?.[key];
  const runs = agents.size > 0;
  const isSet = (key: string, usual: string) => (setting(key) ?? usual) === usual;
  return {
    runs,
    carriesPods:
      runs &&
      config !== undefined &&
      isSet("routing-mode", "tunnel") &&
      setting("tunnel") !== "disabled" &&
      isSet("enable-endpoint-routes", "false") &&
      isSet("cni-chaining-mode", "none"),
    tunnelPort:
      Number(setting("tunnel-port") ?? 0) ||
      ((setting("tunnel-protocol") ?? setting("tunnel")) === "geneve" ? 6081 : 8472),
    of,
    setting,
    socketLb(node, ends) {
      if (!runs) return false;
      const status = known(of(node).status);
      const coverage =
        status?.socketLbCoverage ?? (setting("bpf-lb-sock-hostns-only") === "true" ? "Hostns-only" : "Full");
      const isOn =
        status?.socketLb ?? (REPLACED.test(status?.kubeProxyReplacement ?? "") ? "Enabled" : configured(config));
      if (isOn === undefined) return "unknown";
      return isOn === "Enabled" && (ends === "node" || coverage === "Full");
    },
  };
}

/** `Strict` before 1.14. */
const REPLACED = /^(true|strict)$/i;

/** What the configuration asks for; undefined if it was not seen. */
function configured(config: Readonly<Record<string, string>> | null | undefined): "Enabled" | "Disabled" | undefined {
  if (!config) return undefined;
  const isOn = REPLACED.test(config["kube-proxy-replacement"] ?? "") || config["bpf-lb-sock"] === "true";
  return isOn ? "Enabled" : "Disabled";
}

function nodeOf(capture: Capture, node: string, { namespace = "", pod = "" }: Place): CiliumNode {
  const place = { namespace, pod };
  const endpoints = capture.get("ciliumEndpoints", place);
  return {
    node,
    status: capture.get("ciliumStatus", place),
    endpoints,
    identities: capture.get("ciliumIdentities", place),
    ipcache: capture.get("ciliumIpcache", place),
    lb: capture.get("ciliumLb", place),
    services: capture.get("ciliumServices", place),
    tunnels: capture.get("ciliumTunnels", place),
    missing: (kind) => ({ kind, place: { node, ...place } }),
    endpointOf(self) {
      const list = known(endpoints);
      const found =
        list?.find((one) => one.pod === self.key) ??
        list?.find((one) => one.pod === undefined && one.addresses.some((address) => self.addresses.includes(address)));
      if (found) return { state: "present", value: found, gaps: [], origin: endpoints.origin };
      if (endpoints.state !== "present") return endpoints;
      return endpoints.gaps.length === 0
        ? { state: "absent", origin: endpoints.origin }
        : { state: "unknown", why: { reason: "cut-off" }, origin: endpoints.origin };
    },
    quoteEndpoint: ({ index }, words) => quoteOf({ ...endpoints.origin, pointer: `/${index}` }, words),
  };
}
