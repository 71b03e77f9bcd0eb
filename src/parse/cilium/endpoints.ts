/**
 * `cilium-dbg endpoint list -o json`: the ends that an agent connects, with the policy that is in force for each.
 *
 * Format (Cilium 1.15 to 1.17, api/v1/models/endpoint*.go): a JSON array of endpoints. Read here, below `status`:
 * `state`, `identity.id`, `networking` (addressing, interface-name, interface-index), `external-identifiers` (pod-name,
 * as `namespace/name`), `controllers` (`resolve-labels-NAMESPACE/NAME` asks for the Pod's labels until it has them; with
 * `status.consecutive-failure-count` and `last-failure-msg`), and `policy.realized`: what is in the policy map (`allowed-ingress-identities`: those that may
 * do all, 0 for anybody) and the rules by port (`l4`), each with a `rule` that is JSON in a string:
 *   {"port":8080,"protocol":"TCP","l7-rules":[{"&LabelSelector{…}":null}]}
 */
import { canonicalIp } from "../../net/ip.ts";
import { compact, type Fields, fitted, isObject, readObjects } from "../fields.ts";
import { type Gap, type Parser, parseJson } from "../parsed.ts";
import { type IdentityRequirement, parseIdentitySelector } from "../selectors/cilium.ts";

/** Who is meant by a rule, and what becomes of them. */
export type CiliumPeer = {
  /** Undefined where it is selected by other things than labels. */
  readonly requirements?: readonly IdentityRequirement[];
  /** `other`: by way of a proxy, or authenticated. */
  readonly action: "allow" | "deny" | "other";
};

export type CiliumRule = {
  /** 0 for all. */
  readonly port: number;
  readonly endPort?: number;
  /** Upper-case; ANY for all. */
  readonly protocol: string;
  readonly peers: readonly CiliumPeer[];
  /** `namespace/name` of the policies that it comes from. */
  readonly from: readonly string[];
};

export type CiliumDirection = {
  /** Identities that may do all; 0 is anybody. */
  readonly allowed: readonly number[];
  readonly denied: readonly number[];
  readonly rules: readonly CiliumRule[];
  /** A rule is there that cannot be read, or names a port that is a number of each other end's own. */
  readonly unreadable?: true;
};

export type CiliumEndpoint = {
  readonly id: number;
  readonly state: string;
  readonly identity?: number;
  readonly labels: readonly string[];
  /** Canonical. */
  readonly addresses: readonly string[];
  readonly device?: string;
  /** `namespace/name`; missing for the agent's own. */
  readonly pod?: string;
  readonly policy?: { readonly ingress: CiliumDirection; readonly egress: CiliumDirection };
  /** What policies deny is only logged. */
  readonly audits: boolean;
  /** The agent does not get the Pod's labels: how often it has tried in vain since it last did, and what it was told. */
  readonly withoutLabels?: { readonly tries: number; readonly because: string };
  /** Where it stands in the list. */
  readonly index: number;
};

const numbersOf = (value: unknown): readonly number[] =>
  Array.isArray(value) ? value.filter((one) => Number.isSafeInteger(one)) : [];

function toPeers(value: unknown): readonly CiliumPeer[] {
  const pairs = (Array.isArray(value) ? value : [value]).filter(isObject).flatMap((one) => Object.entries(one));
  return pairs.map(([selector, what]) => {
    const denies = isObject(what) && Object.entries(what).some(([key, on]) => /^is-?deny$/i.test(key) && on === true);
    const action: CiliumPeer["action"] = what === null ? "allow" : denies ? "deny" : "other";
    const requirements = parseIdentitySelector(selector);
    return requirements ? { requirements, action } : { action };
  });
}

/** `k8s:io.cilium.k8s.policy.namespace=shop` and `…policy.name=…` of each policy. */
function namesOf(value: unknown): readonly string[] {
  const lists = Array.isArray(value) ? value.filter(Array.isArray) : [];
  return lists.flatMap((labels: readonly unknown[]) => {
    const labelled = (key: string) =>
      labels.flatMap((label) => {
        const [, found] = typeof label === "string" ? label.split(`io.cilium.k8s.policy.${key}=`) : [];
        return found ?? [];
      })[0];
    const name = labelled("name");
    return name === undefined ? [] : [`${labelled("namespace") ?? ""}/${name}`];
  });
}

/** The numbers of an endpoint's ports, by name and protocol. */
type PortNames = ReadonlyMap<string, number>;

const nameKey = (name: unknown, protocol: unknown) => `${String(name)} ${String(protocol)}`;

const toPortNames = (ports: readonly Fields[]): PortNames =>
  new Map(
    ports.flatMap(({ name, port, protocol }) =>
      typeof port === "number" ? [[nameKey(name, protocol), port] as const] : [],
    ),
  );

/** @param names of the endpoint that is asked for; of egress, that is another one for each packet */
function toRule(item: Fields, names: PortNames): CiliumRule | undefined {
  const json = typeof item.rule === "string" ? parseJson(item.rule) : undefined;
  if (!json?.ok || !isObject(json.value)) return undefined;
  const fields = fitted(json.value, { port: "integer", protocol: "string", endPort: "integer?" });
  if (typeof fields === "string") return undefined;
  const peers = toPeers(json.value["l7-rules"]);
  const { endPort, protocol } = fields;
  const name = json.value["port-name"];
  const port = name ? names.get(nameKey(name, protocol)) : fields.port;
  if (port === undefined) return undefined;
  return compact({ port, endPort: endPort || undefined, protocol, peers, from: namesOf(item["derived-from-rules"]) });
}

function toDirection(realized: Fields, name: "ingress" | "egress", names: PortNames): CiliumDirection {
  const l4 = isObject(realized.l4) ? realized.l4[name] : undefined;
  const all = (Array.isArray(l4) ? l4 : []).map((item) => (isObject(item) ? toRule(item, names) : undefined));
  const rules = all.filter((rule) => rule !== undefined);
  return {
    allowed: numbersOf(realized[`allowed-${name}-identities`]),
    denied: numbersOf(realized[`denied-${name}-identities`]),
    rules,
    ...(rules.length < all.length ? { unreadable: true as const } : {}),
  };
}

function failedLabels(controllers: readonly Fields[]): CiliumEndpoint["withoutLabels"] {
  const { status } =
    controllers.find(({ name }) => typeof name === "string" && name.startsWith("resolve-labels-")) ?? {};
  if (!isObject(status)) return undefined;
  const { "consecutive-failure-count": tries, "last-failure-msg": because } = status;
  return typeof tries === "number" && tries > 0
    ? { tries, because: typeof because === "string" ? because : "" }
    : undefined;
}

function toEndpoint(item: Fields, _note: (gap: Gap) => void, index: number): CiliumEndpoint | string {
  const fields = fitted(item, { id: "integer", status: "object" });
  if (typeof fields === "string") return fields;
  const { id } = fields;
  const status = fitted(fields.status, {
    state: "string",
    identity: "object?",
    networking: "object?",
    "external-identifiers": "object?",
    "named-ports": "objects?",
    policy: "object?",
    realized: "object?",
    controllers: "objects?",
  });
  if (typeof status === "string") return `status.${status}`;
  const identity = fitted(status.identity ?? {}, { id: "integer?", labels: "strings?" });
  const networking = fitted(status.networking ?? {}, { addressing: "objects?", "interface-name": "string?" });
  const names = fitted(status["external-identifiers"] ?? {}, { "pod-name": "string?" });
  if (typeof identity === "string") return `status.identity.${identity}`;
  if (typeof networking === "string") return `status.networking.${networking}`;
  if (typeof names === "string") return `status.external-identifiers.${names}`;
  const texts = (networking.addressing ?? []).flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
  const pod = names["pod-name"];
  const realized = status.policy?.realized;
  const own = toPortNames(status["named-ports"] ?? []);
  const options = isObject(status.realized?.options) ? status.realized.options : {};
  return compact({
    id,
    index,
    state: status.state,
    identity: identity.id,
    labels: identity.labels ?? [],
    addresses: texts.flatMap((text) => (typeof text === "string" ? (canonicalIp(text) ?? []) : [])),
    device: networking["interface-name"] || undefined,
    pod: pod === undefined || pod.length < 3 ? undefined : pod,
    policy: isObject(realized)
      ? { ingress: toDirection(realized, "ingress", own), egress: toDirection(realized, "egress", new Map()) }
      : undefined,
    audits: options.PolicyAuditMode === "Enabled",
    withoutLabels: failedLabels(status.controllers ?? []),
  });
}

export const parseCiliumEndpoints: Parser<readonly CiliumEndpoint[]> = (text) => readObjects(text, toEndpoint);
