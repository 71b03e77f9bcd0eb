/**
 * Service proxying: in which mode each node does it, and what its rules really deliver.
 *
 * `programmed` does not compare texts: it sends the first packet of a connection through the node's rules and sees where
 * it comes out, from a Pod, from the node itself and from outside.
 */
import type { Capture } from "../evidence/capture.ts";
import { known as knownOf } from "../evidence/observed.ts";
import type { Evidence } from "../evidence/origin.ts";
import {
  bitsOf,
  contains,
  type Family,
  formatIp,
  formatSocket,
  type Ip,
  isOfFamily,
  nthAddress,
  parseIp,
} from "../net/ip.ts";
import { withoutBrackets } from "../parse/fields.ts";
import { parseKubeProxyConfig } from "../parse/kubernetes/kube-proxy-config.ts";
import type { Component, Components } from "./components/components.ts";
import { type UsualRules, usualRules } from "./forwarding/kube-services.ts";
import { isOfKubeProxy, usualNftRules } from "./forwarding/kube-services-nft.ts";
import { firstPacket, type PacketFilter } from "./forwarding/packet-filter.ts";
import type { Forwarding, NodePlane } from "./forwarding/plane.ts";
import { type ServiceRuleset, serviceRulesets, withoutServices } from "./forwarding/service-rulesets.ts";
import type { Nodes } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import {
  entering,
  ipvsProgrammed,
  isRefusedAsService,
  PROTOCOLS,
  type Programmed,
  programmedBy,
  refusedAsService,
  sameIp,
  sameKeys,
} from "./programmed.ts";
import { type HeldBack, heldBackOn } from "./proxy-writes.ts";
import { type Ref, ref } from "./ref.ts";
import { nodePortAddress } from "./services/node-port-addresses.ts";
import { clusterIpOf, type ServicePort, type Services } from "./services/services.ts";
import type { CaptureTime } from "./time.ts";

export type ProxyMode = "iptables" | "ipvs" | "nftables";

export type NodePortPlace = {
  /** nodePortAddresses */
  readonly ranges: readonly string[];
  readonly config: Ref;
  readonly evidence: Evidence;
  /** One of them; undefined if the node has none in the ranges. */
  readonly address?: Ip;
};

export interface ServiceProxy {
  /** The mode that a kube-proxy is configured for; undefined if its configuration was not seen. */
  configuredMode(component: Component): ProxyMode | undefined;
  /** How a node proxies Services; undefined if nothing there shows it. */
  mode(node: string): ProxyMode | undefined;
  /** The range of Pod addresses of a family by which kube-proxy tells Pods from others. */
  clusterRange(family: Family): string | undefined;
  /**
   * At which of a node's addresses its kube-proxy is to serve node ports; undefined where it is told of no ranges, and serves
   * them at all.
   */
  nodePorts(node: string, family: Family): NodePortPlace | undefined;
  /** Whether a node surely delivers a port to just the back ends that it should, from everywhere; of one family. */
  isRight(port: ServicePort, node: string, family: Family): boolean;
  /**
   * What becomes of connections to a port's cluster IP of a family (or to the node port, from outside); undefined if it
   * cannot be told.
   */
  programmed(port: ServicePort, node: string, family: Family): readonly Programmed[] | undefined;
  /** The same of what comes from inside to the node port, and of back ends on the node that are given themselves. */
  programmedInside(port: ServicePort, node: string, family: Family): readonly Programmed[] | undefined;
  /**
   * Rule sets of the node that translate Services too, beside the one of their family that is kept up to date. What `programmed` tells is
   * without them: which of them decides is not known.
   */
  beside(node: string): readonly ServiceRuleset[];
  /** Changes that the node's kube-proxy knows of and has not written, as it says itself. */
  heldBack(node: string): HeldBack | undefined;
  /** Whether the node's kube-proxy was asked whether it writes, or any of the node's rules were seen. */
  showsWrites(node: string): boolean;
}

type Parts = {
  readonly objects: Objects;
  readonly nodes: Nodes;
  readonly services: Services;
  readonly components: Components;
  readonly forwarding: Forwarding;
  readonly time: CaptureTime;
};

const FAMILIES = [4, 6] as const;
const OUTSIDE = { 4: parseIp("198.51.100.1")!, 6: parseIp("2001:db8::1")! } as const; // RFC 5737, RFC 3849

/** kubeadm has it in the ConfigMap kube-proxy under config.conf, EKS in kube-proxy-config under config. */
const CONFIGURES = /^kind:\s*["']?KubeProxyConfiguration\b/m;

function configOf(component: Component, objects: Objects) {
  const names = (component.spec?.volumes ?? []).map(({ configMap }) => configMap?.name);
  return objects.all("configmaps").flatMap((map) => {
    const isMounted = map.metadata.namespace === component.ref.namespace && names.includes(map.metadata.name);
    const { "config.conf": usual, ...others } = (isMounted ? map.data : undefined) ?? {};
    const text = usual ?? Object.values(others).find((one) => CONFIGURES.test(one));
    return text === undefined ? [] : [{ map, ...parseKubeProxyConfig(text).value }];
  })[0];
}

export function proxyOf(
  capture: Capture,
  { objects, nodes, services, components, forwarding, time }: Parts,
): ServiceProxy {
  const proxies = components.byId("kube-proxy");
  const configs = new Map(proxies.map((component) => [component, configOf(component, objects)]));
  const modeOfConfig = (component: Component): ProxyMode | undefined => {
    const config = configs.get(component);
    if (!config) return undefined;
    return config.mode === "ipvs" || config.mode === "nftables" ? config.mode : "iptables";
  };

  const modes = new Map<string, ProxyMode | undefined>();
  function mode(name: string): ProxyMode | undefined {
    if (!modes.has(name)) modes.set(name, modeOf(name));
    return modes.get(name);
  }

  const proxyOn = (name: string): Component | undefined =>
    proxies.find((component) => component.belongsOn(name) ?? component.pods.some((pod) => pod.node === name));

  function modeOf(name: string): ProxyMode | undefined {
    const plane = forwarding.of(name);
    const device = knownOf(plane.links)?.find((link) => link.name === "kube-ipvs0");
    if (device && device.addresses.length > 0) return "ipvs";
    const here = proxyOn(name);
    const configured = here && modeOfConfig(here);
    if (configured === "nftables" || configured === "ipvs") return configured;
    if (configured) return "iptables";
    const chain = [plane.iptables, plane.iptablesLegacy, plane.ip6tables]
      .flatMap((save) => knownOf(save)?.tables ?? [])
      .find((table) => table.name === "nat" && table.chains.some((one) => one.name === "KUBE-SERVICES"));
    const table = knownOf(plane.nftables)?.tables.some(isOfKubeProxy);
    if (chain && table) {
      const sets = FAMILIES.map((family) => serviceRulesets(plane.filter, family)).find(({ length }) => length > 0);
      return bestOf(sets ?? [], name)?.mode ?? "iptables";
    }
    return chain ? "iptables" : table ? "nftables" : undefined;
  }

  type Live = { readonly plane: NodePlane; readonly beside: readonly ServiceRuleset[] };
  const lives = { 4: new WeakMap<PacketFilter, Live>(), 6: new WeakMap<PacketFilter, Live>() } as const;
  /**
   * The node with the one rule set for Services of a family that is kept up to date: of its mode, the one that is right most
   * often.
   */
  function liveOf(name: string, family: Family): Live {
    const plane = forwarding.of(name);
    const { filter } = plane;
    const known = lives[family].get(filter);
    if (known) return known;
    const sets = mode(name) === "ipvs" ? [] : serviceRulesets(filter, family);
    const live = bestOf(
      sets.filter((one) => one.mode === mode(name)),
      name,
    );
    const beside = live ? sets.filter((one) => one !== live) : [];
    const found = { plane: beside.length > 0 ? withoutServices(plane, beside) : plane, beside };
    lives[family].set(filter, found);
    return found;
  }

  function bestOf(sets: readonly ServiceRuleset[], name: string): ServiceRuleset | undefined {
    const [first, ...others] = sets;
    if (others.length === 0) return first;
    return sets.toSorted((a, b) => rightness(b, name) - rightness(a, name))[0];
  }

  /** For how many of a few ports a rule set has just the back ends that it should have. */
  const rightness = (set: ServiceRuleset, name: string): number =>
    services.all
      .filter(({ proxied }) => proxied)
      .slice(0, 100)
      .flatMap(({ ports }) => ports)
      .filter((port) => {
        const targets = set.delivery(port);
        return targets !== undefined && sameKeys(targets, keysOf(port, name, set.family));
      }).length;

  /** An address of a Pod of the node: one of its range, in use or not. */
  function podAddress(name: string, family: Family): Ip | undefined {
    const range = nodes.get(name)?.podRanges.find(({ ip }) => ip.family === family);
    return range && nthAddress(range, 2 ** Math.min(bitsOf(family) - range.length, 16) - 2);
  }

  /** The address by which a node is known, unless none of its devices has it. */
  function ownAddress(name: string, family: Family): Ip | undefined {
    const own = nodes.get(name)?.ips[family];
    const local = knownOf(forwarding.of(name).localAddresses);
    return own && local?.has(formatIp(own)) === false ? undefined : own;
  }

  function nodePorts(name: string, family: Family): NodePortPlace | undefined {
    const proxy = proxyOn(name);
    const config = proxy && configs.get(proxy);
    const ranges = config?.nodePortAddresses ?? [];
    if (!config || ranges.length === 0) return undefined;
    const { metadata } = config.map;
    const address = addressOfNodePorts(name, family);
    return {
      ranges,
      config: ref("ConfigMap", metadata.name, metadata.namespace),
      evidence: objects.quote("configmaps", config.map, `nodePortAddresses: ${ranges.join(", ")}`),
      ...(address && { address }),
    };
  }

  /** An address of the node at which it is to serve node ports. */
  function addressOfNodePorts(name: string, family: Family): Ip | undefined {
    const proxy = proxyOn(name);
    const said = (proxy && configs.get(proxy)?.nodePortAddresses) ?? [];
    const local = [...(knownOf(forwarding.of(name).localAddresses) ?? [])].flatMap((text) => parseIp(text) ?? []);
    return nodePortAddress(said, family, ownAddress(name, family), local);
  }

  type Usual = { readonly rules: UsualRules; readonly masks: boolean; readonly tried?: ServicePort };
  const usual = { 4: new WeakMap<PacketFilter, Usual>(), 6: new WeakMap<PacketFilter, Usual>() } as const;
  /** A node's usual rules, and a port on which walking them came to the same. */
  function usualOf(name: string, family: Family) {
    const { filter } = liveOf(name, family).plane;
    const known = usual[family].get(filter);
    if (known) return known;
    const read = mode(name) === "nftables" ? usualNftRules : usualRules;
    const rules = read(filter.rulesetsFor(family), family);
    const candidates = services.all
      .filter(({ proxied, families }) => proxied && families.includes(family))
      .flatMap(({ ports }) => ports);
    const masks = candidates.slice(0, 20).some((port) => rules.marksStrangers(port));
    const started: Usual = { rules, masks };
    // walking asks for it
    usual[family].set(filter, started);
    const tried = candidates.find((port) => {
      const quick = port.protocol === "TCP" && !port.service.policy.external ? rules.delivery(port) : undefined;
      return quick !== undefined && quick.size > 0 && rules.marksStrangers(port) === masks;
    });
    const walked = tried && programmed(tried, name, family);
    const quick = tried && rules.delivery(tried);
    const isSame = walked?.every(
      ({ vantage, delivered, refusedBy, untouched, unmasked, marked }) =>
        refusedBy.length === 0 &&
        !untouched &&
        sameKeys(delivered, quick!) &&
        unmasked.size === 0 &&
        (vantage !== "host" || marked === masks),
    );
    const made = tried && isSame ? { ...started, tried } : started;
    usual[family].set(filter, made);
    return made;
  }

  const expectedKeys = { 4: new Map<ServicePort, ReadonlySet<string>>(), 6: new Map() } as const;
  /** Hints make back ends differ from node to node; without them one answer serves all nodes. */
  function keysOf(port: ServicePort, name: string, family: Family): ReadonlySet<string> {
    const known = expectedKeys[family].get(port);
    if (known) return known;
    const chosen = services.expected(port, name, family).cluster ?? [];
    const keys = new Set(chosen.map(({ address, port: number }) => formatSocket(address, number)));
    const hasHints = services
      .endpoints(port, family)
      .some(({ zoneHints, nodeHints }) => zoneHints.length + nodeHints.length > 0);
    if (!hasHints) expectedKeys[family].set(port, keys);
    return keys;
  }

  return {
    isRight(port, name, family) {
      const { policy } = port.service;
      if (isAnsweredHere(port, name, family)) return true;
      if (policy.external || policy.internalLocal || !isWalked(name, family)) return false;
      const { rules, tried, masks } = usualOf(name, family);
      if (!tried || (tried !== port && rules.distinguishes(tried, port))) return false;
      if (rules.marksStrangers(port) !== masks) return false;
      const quick = rules.delivery(port);
      if (rules.hairpins && quick && !mayBeGivenThemselves(quick, rules.hairpins, name)) return false;
      return quick !== undefined && sameKeys(quick, keysOf(port, name, family));
    },
    configuredMode: modeOfConfig,
    mode,
    nodePorts,
    heldBack: (node) => heldBackOn(node, capture, time),
    showsWrites: (node) =>
      FAMILIES.some((family) => forwarding.of(node).filter.stateOf(family) !== "unknown") ||
      [capture.get("proxyHealth", { node }), capture.get("proxyMetrics", { node })].some(
        ({ state }) => state === "present",
      ),
    clusterRange: (family) =>
      [...configs.values()]
        .map((config) => config?.clusterCIDR)
        .find((ranges) => ranges)
        ?.split(",")
        .find((range) => isOfFamily(range, family)),
    programmed,
    programmedInside,
    beside: (name) => FAMILIES.flatMap((family) => liveOf(name, family).beside),
  };

  function mayBeGivenThemselves(targets: ReadonlySet<string>, hairpins: ReadonlySet<string>, name: string): boolean {
    const ranges = nodes.get(name)?.podRanges ?? [];
    return [...targets].every((target) => {
      const address = withoutBrackets(target.slice(0, target.lastIndexOf(":")));
      const ip = parseIp(address);
      return hairpins.has(address) || !ip || !ranges.some((range) => contains(range, ip));
    });
  }

  /** Whether a cluster IP is the node's own: NodeLocal DNSCache binds that of cluster DNS, and keeps it from any rule. */
  function isAnsweredHere({ service }: ServicePort, name: string, family: Family): boolean {
    const local = knownOf(forwarding.of(name).localAddresses);
    return mode(name) !== "ipvs" && local?.has(clusterIpOf(service, family) ?? "") === true;
  }

  /** Whether the rules are seen that proxy Services on a node. */
  function isWalked(name: string, family: Family): boolean {
    const { filter, nftables } = liveOf(name, family).plane;
    const nodeMode = mode(name);
    return (
      filter.stateOf(family) === "whole" &&
      (nodeMode === "iptables" || (nodeMode === "nftables" && nftables.state === "present"))
    );
  }

  function programmed(port: ServicePort, name: string, family: Family): readonly Programmed[] | undefined {
    const { plane } = liveOf(name, family);
    const nodeMode = mode(name);
    const own = ownAddress(name, family);
    if (nodeMode === "ipvs") {
      const nodePortAt = addressOfNodePorts(name, family);
      return ipvsProgrammed(port, plane, family, { pod: podAddress(name, family), own, nodePortAt });
    }
    if (!isWalked(name, family)) return undefined;
    const address = parseIp(clusterIpOf(port.service, family) ?? "");
    if (!address) return undefined;
    const protocol = PROTOCOLS[port.protocol];
    const found: (Programmed | undefined)[] = [];
    const pod = podAddress(name, family);
    if (pod) {
      const packet = firstPacket({ protocol, source: pod, destination: address, port: port.port, inDevice: "cni0" });
      const ends = entering(packet, address, "forward", plane);
      found.push(
        programmedBy({ vantage: "pod", to: "cluster-ip" }, ends, address, plane, refusedAsService(ends, plane)),
      );
    }
    if (own) {
      const packet = firstPacket({ protocol, source: own, destination: address, port: port.port });
      const ends = plane.filter.at("output", packet);
      const way = { vantage: "host", to: "cluster-ip", masks: usualOf(name, family).masks } as const;
      found.push(programmedBy(way, ends, address, plane, ends.filter(isRefusedAsService)));
    }
    const served = port.nodePort === undefined ? undefined : addressOfNodePorts(name, family);
    if (served && port.nodePort !== undefined) {
      const packet = firstPacket({
        protocol,
        source: OUTSIDE[family],
        destination: served,
        port: port.nodePort,
        inDevice: "eth0",
      });
      const way = { vantage: "outside", to: "node-port", masks: !port.service.policy.externalLocal } as const;
      found.push(programmedBy(way, entering(packet, served, "input", plane), served, plane));
    }
    const known = found.filter((one) => one !== undefined);
    return known.length > 0 ? known : undefined;
  }

  function programmedInside(port: ServicePort, name: string, family: Family): readonly Programmed[] | undefined {
    const { plane } = liveOf(name, family);
    const address = parseIp(clusterIpOf(port.service, family) ?? "");
    const own = addressOfNodePorts(name, family);
    if (mode(name) === "ipvs" || !isWalked(name, family) || !address) return undefined;
    const protocol = PROTOCOLS[port.protocol];
    const { externalLocal } = port.service.policy;
    const found: (Programmed | undefined)[] = [];
    const pod = podAddress(name, family);
    // without a range of Pod addresses those of Pods are as any other
    if (own && pod && port.nodePort !== undefined && (!externalLocal || usualOf(name, family).masks)) {
      const flow = { protocol, source: pod, destination: own, port: port.nodePort, inDevice: "cni0" } as const;
      const way = { vantage: "pod", to: "node-port", masks: !externalLocal } as const;
      found.push(programmedBy(way, entering(firstPacket(flow), own, "input", plane), own, plane));
    }
    if (own && port.nodePort !== undefined) {
      const packet = firstPacket({ protocol, source: own, destination: own, port: port.nodePort });
      const way = { vantage: "host", to: "node-port", masks: true } as const;
      found.push(programmedBy(way, plane.filter.at("output", packet), own, plane));
    }
    const { cluster = [] } = services.expected(port, name, family);
    for (const endpoint of cluster) {
      const source = parseIp(endpoint.address);
      if (!source || !nodes.get(name)?.podRanges.some((range) => contains(range, source))) continue;
      const flow = { protocol, source, destination: address, port: port.port, inDevice: "cni0" } as const;
      const toItself = plane.filter
        .at("prerouting", firstPacket(flow))
        .filter(({ packet }) => packet.destination !== "unknown" && sameIp(packet.destination, source));
      found.push(programmedBy({ vantage: "pod", to: "itself", masks: true }, toItself, address, plane));
    }
    return found.filter((one) => one !== undefined);
  }
}
