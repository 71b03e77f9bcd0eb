/** What there is to be replaced: names in objects of the API and in paths, and ranges of addresses. */
import { parseIp, parsePrefix, prefixOf } from "../net/ip.ts";
import type { Link } from "../parse/iproute2/addr.ts";
import type { Addresses } from "./addresses.ts";
import type { Derived } from "./derived.ts";
import type { Names } from "./names.ts";
import { isObject, isOfUser } from "./object.ts";
import { isKept, isOfVocabulary, isSystemNamespace, isTopLevel, knownDomain } from "./words.ts";

type Object_ = Readonly<Record<string, unknown>>;
export type Pupils = { readonly names: Names; readonly addresses: Addresses; readonly derived: Derived };

const part = (object: unknown, key: string): Object_ => {
  const inner = isObject(object) ? object[key] : undefined;
  return isObject(inner) ? inner : {};
};
const listOf = (object: unknown, key: string): readonly Object_[] => {
  const inner = isObject(object) ? object[key] : undefined;
  return Array.isArray(inner) ? inner.filter(isObject) : [];
};
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Keys whose values are names of things, wherever they stand. */
const NAME_FIELDS =
  /^(?:name|serviceAccountName|serviceAccount|claimName|secretName|configMapName|storageClassName|priorityClassName|schedulerName|subdomain|hostname|nodeName|serviceName)$/;

/** Labels by which whoever made them names their things. */
const TELLING_LABEL = /^(?:app|name|component|tier|role|run|k8s-app|release|chart|service|version|heritage)$/;

/** @param resource as in the path of its list: `pods` */
export function learnObject(object: unknown, resource: string, { names, addresses, derived }: Pupils): void {
  const metadata = part(object, "metadata");
  const name = text(metadata.name);
  const namespace = text(metadata.namespace);
  if (resource === "events") return;
  if (resource === "namespaces") {
    if (!isSystemNamespace(name)) names.learn(name);
  } else if (resource === "nodes") names.learn(name);
  else if (namespace === "" || isSystemNamespace(namespace)) names.learnSystem(name);
  else {
    names.learn(namespace);
    names.learn(name, suffixOf(metadata, name));
    names.learnPair(namespace, name);
    learnStrings(object, names);
  }
  const owner = resource === "namespaces" ? name : namespace;
  const ofSystem = resource !== "nodes" && (owner === "" || isSystemNamespace(owner));
  learnLabels(part(metadata, "labels"), ofSystem, names);

  if (resource === "pods") {
    names.learn(text(part(object, "spec").nodeName));
    const containers = ["containers", "initContainers"].flatMap((key) => listOf(part(object, "spec"), key));
    for (const { name: container, command, args, image } of containers) {
      if (isOfUser(namespace)) learnImage(text(image), names);
      const words = [command, args].flatMap((list) => (Array.isArray(list) ? list : []));
      for (const word of words) learnRanges(text(word), addresses);
      if (isOfUser(namespace)) names.learn(text(container));
    }
  }
  if (resource === "nodes") {
    const { podCIDRs, podCIDR } = part(object, "spec");
    for (const range of [podCIDR, ...(Array.isArray(podCIDRs) ? podCIDRs : [])]) keep(text(range), addresses);
    for (const { address, type } of listOf(part(object, "status"), "addresses")) {
      if (/DNS|Hostname/.test(text(type)) && !parseIp(text(address))) names.learn(text(address));
    }
  }
  if (resource === "services") learnService(object, namespace, name, derived);
  if (resource === "endpointslices") learnSlice(object, namespace, derived);
  if (resource === "configmaps" && isSystemNamespace(namespace)) {
    for (const data of Object.values(part(object, "data"))) learnRanges(text(data), addresses);
  }
  for (const subject of listOf(object, "subjects")) if (!isKept(text(subject.name))) learnSubject(subject, names);
}

/** Who may do something: users and groups of an organisation; accounts are objects themselves. */
function learnSubject({ kind, name, namespace }: Object_, names: Names): void {
  if (kind === "User" || kind === "Group") {
    if (!isOfVocabulary(text(name))) names.learn(text(name));
  } else if (isOfUser(namespace)) names.learn(text(name));
  else names.learnSystem(text(name));
}

/** What Kubernetes appended to the name of whatever made it. */
function suffixOf(metadata: Object_, name: string): string {
  const hash = text(part(metadata, "labels")["pod-template-hash"]);
  if (hash !== "" && name.includes(`-${hash}`)) return name.slice(name.lastIndexOf(`-${hash}`));
  const generated = text(metadata.generateName);
  return generated !== "" && name.startsWith(generated) ? name.slice(generated.length - 1) : "";
}

function learnLabels(labels: Object_, ofSystem: boolean, names: Names): void {
  for (const [key, value] of Object.entries(labels)) {
    const slash = key.indexOf("/");
    const domain = slash < 0 ? "" : key.slice(0, slash);
    if (domain !== "" && knownDomain(domain) === undefined) learnDomain(domain, names);
    const own = key.slice(slash + 1);
    if (!isOfVocabulary(own) && knownDomain(domain) === undefined) names.learn(own);
    if (
      /hash$|generation$|^(?:kubernetes\.io|beta\.kubernetes\.io|node-role\.kubernetes\.io|node\.kubernetes\.io)\//.test(
        key,
      )
    )
      continue;
    if (
      !ofSystem &&
      typeof value === "string" &&
      (domain === "" || knownDomain(domain) === undefined || /name|instance|part-of|component/.test(own))
    )
      names.learn(value);
    else if (ofSystem && (domain === "" || TELLING_LABEL.test(own))) names.learnSystem(text(value));
  }
}

/** All that is called something in an object of a user: containers, volumes, accounts. */
function learnStrings(value: unknown, names: Names, key = ""): void {
  if (Array.isArray(value)) {
    for (const item of value) learnStrings(item, names, key);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === "managedFields" || name === "annotations" || name === "metadata") continue;
    if (typeof inner !== "string") learnStrings(inner, names, name);
    // names of ports and of environment variables say what they are for
    else if (NAME_FIELDS.test(name) && key !== "ports" && key !== "env" && !isOfVocabulary(inner)) names.learn(inner);
    if (["matchLabels", "labels"].includes(name) && isObject(inner)) learnLabels(inner, false, names);
  }
}

/** `registry.example.com/shop/web:1.2`: what is not public is a name. */
function learnImage(image: string, names: Names): void {
  const [path = ""] = image.split(/[@:](?=[^/]*$)/);
  const segments = path.split("/");
  const host = /[.:]|^localhost$/.test(segments[0] ?? "") && segments.length > 1 ? segments.shift()! : "";
  if (knownDomain(host) !== undefined && host !== "") return;
  if (host !== "") learnDomain(host.replace(/:\d+$/, ""), names);
  for (const segment of segments) if (!isOfVocabulary(segment)) names.learn(segment);
}

/** A domain of an organisation: `corp.example.com`. */
export function learnDomain(domain: string, names: Names): void {
  if (knownDomain(domain) !== undefined || parseIp(domain)) return;
  const labels = domain.split(".");
  const own = isTopLevel(labels.at(-1)!) ? labels.slice(0, -1) : labels;
  for (const [index, label] of own.entries())
    if (index === own.length - 1 || !isOfVocabulary(label)) names.learn(label);
}

function learnService(object: unknown, namespace: string, name: string, derived: Derived): void {
  for (const port of listOf(part(object, "spec"), "ports")) {
    derived.learnPort({ namespace, name, port: text(port.name), protocol: protocolOf(port) });
  }
}

function learnSlice(object: unknown, namespace: string, derived: Derived): void {
  const name = text(part(part(object, "metadata"), "labels")["kubernetes.io/service-name"]);
  for (const port of listOf(object, "ports")) {
    const one = { namespace, name, port: text(port.name), protocol: protocolOf(port) };
    for (const { addresses } of listOf(object, "endpoints")) {
      for (const address of Array.isArray(addresses) ? addresses : []) {
        derived.learnEndpoint(one, text(address), Number(port.port));
      }
    }
  }
}

const protocolOf = ({ protocol }: Object_): string => (text(protocol) || "TCP").toLowerCase();

function keep(range: string, addresses: Addresses): void {
  const prefix = parsePrefix(range);
  if (prefix && range.includes("/")) addresses.keepEndsOf(prefix);
}

/** Ranges that components are configured with: of Pods and Services. */
const CONFIGURED =
  /(?:cluster-cidr|service-cluster-ip-range|clusterCIDR|podSubnet|serviceSubnet|"Network"|IPV4POOL_CIDR|cluster-pool-ipv4-cidr)["'=:\s]+([\da-fA-F.:]+\/\d+(?:,[\da-fA-F.:]+\/\d+)*)/g;

export function learnRanges(config: string, addresses: Addresses): void {
  for (const [, ranges = ""] of config.matchAll(CONFIGURED))
    for (const range of ranges.split(",")) keep(range, addresses);
}

/** Ranges that devices of a node are in. @param links what `ip -j addr` printed */
export function learnLinks(links: readonly Link[], addresses: Addresses): void {
  for (const { local, prefixLength } of links.flatMap((link) => link.addresses)) {
    const ip = parseIp(local);
    if (ip) addresses.keepEndsOf(prefixOf(ip, prefixLength));
  }
}
