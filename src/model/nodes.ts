/** The nodes, from the API and from what was gathered on them. */
import type { Capture } from "../evidence/capture.ts";
import { catalogue, type KindId } from "../evidence/catalogue.ts";
import { isWhole, known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { canonicalIp, type Family, type Ip, type Prefix, parseIp, parsePrefix } from "../net/ip.ts";
import type { Node } from "../parse/objects.ts";
import { type Labels, meets } from "./labels.ts";
import type { Objects } from "./objects.ts";
import { type Ref, ref } from "./ref.ts";

export type NodeView = {
  readonly name: string;
  readonly ref: Ref;
  /** Missing if the list of Nodes was not had, or if the Node was deleted; its files tell that the node exists. */
  readonly object?: Node;
  readonly labels: Labels;
  /** InternalIPs first, canonical; of a node without an object the one with which it leaves. */
  readonly addresses: readonly string[];
  /** The first of them that is IPv4. */
  readonly ipv4?: Ip;
  /** The first of them of each family. */
  readonly ips: Readonly<Partial<Record<Family, Ip>>>;
  readonly podRanges: readonly Prefix[];
  /** The condition Ready; undefined if unknown to us. */
  readonly ready: "True" | "False" | "Unknown" | undefined;
  /** Whether anything was gathered on the node itself. */
  readonly sampled: boolean;
  /** Whether its kubelet runs, if the node's processes were seen. */
  readonly kubelet?: { readonly runs: boolean; readonly evidence: Evidence };
};

export interface Nodes {
  readonly all: readonly NodeView[];
  get(name: string): NodeView | undefined;
  /** The node that has an address. */
  byAddress(address: string): NodeView | undefined;
  /** Whether `all` is all. */
  readonly whole: boolean;
}

function readiness(object: Node | undefined): NodeView["ready"] {
  const status = object?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return status === "True" || status === "False" || status === "Unknown" ? status : undefined;
}

function podRangesOf(object: Node | undefined): Prefix[] {
  const texts = object?.spec?.podCIDRs ?? (object?.spec?.podCIDR ? [object.spec.podCIDR] : []);
  return texts.map(parsePrefix).filter((prefix) => prefix !== undefined);
}

function addressesOf(object: Node | undefined): string[] {
  const order = ["InternalIP", "ExternalIP"];
  const addresses = (object?.status?.addresses ?? []).filter(({ type }) => order.includes(type));
  addresses.sort((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
  return addresses.map(({ address }) => canonicalIp(address)).filter((address) => address !== undefined);
}

/** The address with which a node of which there is no object leaves by its default route. */
function ownAddresses(capture: Capture, node: string): string[] {
  const routes = known(capture.get("routes", { node })) ?? [];
  const links = known(capture.get("links", { node })) ?? [];
  const leaving = routes.find(
    ({ destination, table, type }) =>
      (destination === "0.0.0.0/0" || destination === "::/0") && table === "main" && type === "unicast",
  );
  const device = links.find(({ name }) => name === leaving?.nextHops[0]?.device);
  const first = device?.addresses.find(({ scope }) => scope === "global")?.local;
  return first === undefined ? [] : [first];
}

const NODE_KINDS = (Object.keys(catalogue) as KindId[]).filter((kind) => catalogue[kind].path.startsWith("nodes/"));

function sampledNodes(capture: Capture): Set<string> {
  const names = new Set<string>();
  for (const kind of NODE_KINDS) {
    for (const { place, observed } of capture.all(kind)) {
      if (place.node !== undefined && observed.state === "present") names.add(place.node);
    }
  }
  return names;
}

/** By itself, or inside the one process of k3s, RKE2, k0s and MicroK8s. */
const KUBELET = /(^|\/)(kubelet|k3s|rke2|k0s|kubelite|hyperkube)(\s|$)/;

function kubeletOf(capture: Capture, node: string): NodeView["kubelet"] {
  const processes = capture.get("processes", { node });
  const found = known(processes)?.find(({ command }) => KUBELET.test(command));
  if (found) return { runs: true, evidence: quoteOf({ ...processes.origin, line: found.line }, found.command) };
  return isWhole(processes) && processes.value.length > 0
    ? { runs: false, evidence: quoteOf(processes.origin, `${node}: ${processes.value.length} processes, no kubelet`) }
    : undefined;
}

export function nodesOf(capture: Capture, objects: Objects): Nodes {
  const sampled = sampledNodes(capture);
  const byName = new Map(objects.all("nodes").map((object) => [object.metadata.name, object]));
  const names = [...new Set([...byName.keys(), ...sampled])].sort();
  const all = names.map((name): NodeView => {
    const object = byName.get(name);
    const addresses = object ? addressesOf(object) : ownAddresses(capture, name);
    const kubelet = kubeletOf(capture, name);
    const [ipv4, ipv6] = ([4, 6] as const).map((family) => addresses.map(parseIp).find((ip) => ip?.family === family));
    return {
      name,
      ref: ref("Node", name),
      ...(object && { object }),
      labels: object?.metadata.labels ?? {},
      addresses,
      ...(ipv4 && { ipv4 }),
      ips: { ...(ipv4 && { 4: ipv4 }), ...(ipv6 && { 6: ipv6 }) },
      podRanges: podRangesOf(object),
      ready: readiness(object),
      sampled: sampled.has(name),
      ...(kubelet && { kubelet }),
    };
  });
  const index = new Map(all.map((node) => [node.name, node]));
  const addresses = new Map(all.flatMap((node) => node.addresses.map((address) => [address, node] as const)));
  return {
    all,
    get: (name) => index.get(name),
    byAddress: (address) => addresses.get(address),
    whole: objects.isWhole("nodes"),
  };
}

type Scheduling = {
  readonly nodeName?: string | null | undefined;
  readonly nodeSelector?: Labels | null | undefined;
  readonly affinity?: import("../parse/objects.ts").PodSpec["affinity"];
  readonly tolerations?: import("../parse/objects.ts").PodSpec["tolerations"];
};

/**
 * Whether a DaemonSet's Pod belongs on a node: node selector, required node affinity and taints, as the DaemonSet
 * controller decides (pkg/controller/daemon, NodeShouldRunDaemonPod; it tolerates not-ready, unreachable, pressure and
 * unschedulable by itself).
 */
export function daemonPodBelongs(spec: Scheduling, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  if (spec.nodeName && spec.nodeName !== node.metadata.name) return false;
  if (!Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return false;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (terms && !terms.some((term) => termSelects(term, node))) return false;
  return (node.spec?.taints ?? []).every((taint) => toleratedByDaemons(taint) || tolerates(spec.tolerations, taint));
}

type Term = NonNullable<
  NonNullable<
    NonNullable<NonNullable<Scheduling["affinity"]>["nodeAffinity"]>["requiredDuringSchedulingIgnoredDuringExecution"]
  >["nodeSelectorTerms"]
>[number];

function termSelects({ matchExpressions, matchFields }: Term, node: Node): boolean {
  // an empty term selects nothing (core/v1 NodeSelectorTerm)
  if (!matchExpressions?.length && !matchFields?.length) return false;
  const fields = { "metadata.name": node.metadata.name };
  return (
    (matchExpressions ?? []).every((requirement) => meets(requirement, node.metadata.labels)) &&
    (matchFields ?? []).every((requirement) => meets(requirement, fields))
  );
}

type Taint = { readonly key: string; readonly value?: string | null | undefined; readonly effect: string };

const DAEMON_TOLERATIONS = new Set([
  "node.kubernetes.io/not-ready",
  "node.kubernetes.io/unreachable",
  "node.kubernetes.io/disk-pressure",
  "node.kubernetes.io/memory-pressure",
  "node.kubernetes.io/pid-pressure",
  "node.kubernetes.io/unschedulable",
  "node.kubernetes.io/network-unavailable",
]);

function toleratedByDaemons({ key, effect }: Taint): boolean {
  return effect === "PreferNoSchedule" || DAEMON_TOLERATIONS.has(key);
}

function tolerates(tolerations: Scheduling["tolerations"], taint: Taint): boolean {
  return (tolerations ?? []).some(
    ({ key, operator, value, effect }) =>
      (!effect || effect === taint.effect) &&
      (!key ? operator === "Exists" : key === taint.key) &&
      (operator === "Exists" || (value ?? "") === (taint.value ?? "")),
  );
}
