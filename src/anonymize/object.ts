/**
 * Objects of the API under other names, field by field: what Kubernetes fixed stays, what a user wrote is replaced, and what
 * a user wrote that no diagnosis reads is left out.
 */
import type { Names } from "./names.ts";
import { ENCODED_PEM, labelKeyOf, OMITTED } from "./text.ts";
import { isBuiltIn, isOfVocabulary, isSystemNamespace, knownDomain } from "./words.ts";

type Object_ = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Object_ =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Fields whose values Kubernetes fixed, or that are random. */
const FIXED = new Set(
  "apiVersion kind apiGroup apiGroups verbs resources protocol type phase reason policyTypes operator effect resourceVersion restartPolicy dnsPolicy imagePullPolicy sessionAffinity internalTrafficPolicy externalTrafficPolicy ipFamilyPolicy creationTimestamp deletionTimestamp time manager operation fieldsType subresource lastTransitionTime lastHeartbeatTime lastProbeTime lastUpdateTime startTime startedAt finishedAt renewTime acquireTime firstTimestamp lastTimestamp eventTime qosClass containerID imageID pathType scope appProtocol terminationMessagePath terminationMessagePolicy kernelVersion osImage containerRuntimeVersion kubeletVersion kubeProxyVersion operatingSystem architecture".split(
    " ",
  ),
);

/** What tells one machine from all others. */
const MACHINE = new Set(["machineID", "systemUUID", "bootID", "providerID"]);

/** Maps whose keys users choose: labels, and what selects by them. */
const LABELS = new Set(["labels", "matchLabels", "selector", "nodeSelector"]);

const STARTS_JSON = /^\s*[[{]/;

/** Characters. */
const UUID = 36;

export type ObjectTools = { readonly names: Names; readonly text: (text: string) => string };

/** Whether its content is that of a user, and not of a component of the cluster. */
export const isOfUser = (namespace: unknown): boolean => typeof namespace === "string" && !isSystemNamespace(namespace);

/**
 * @param resource as in the path of its list: `configmaps`; items of lists do not tell their kind
 * @returns the object, or the list of them, under other names
 */
export function objectOf(tools: ObjectTools, resource: string | undefined): (object: unknown) => unknown {
  const { names, text } = tools;

  /** Whole values can be names, even if they are words of tools. */
  function value(one: string): string {
    if (isBuiltIn(one)) return one;
    // without padding it would pass for a name
    if (one.startsWith(ENCODED_PEM)) return OMITTED;
    return /^[\w-]+$/.test(one) && one.length !== UUID ? names.other(one, "name") : text(one);
  }

  function visit(one: unknown, key: string, ofUser: boolean): unknown {
    if (typeof one === "string") return string(one, key);
    if (Array.isArray(one)) {
      return FIXED.has(key) ? one : one.map((item) => visit(item, key, ofUser));
    }
    if (!isObject(one)) return one;
    const metadata = isObject(one.metadata) ? one.metadata : undefined;
    const within = metadata?.namespace === undefined ? ofUser : isOfUser(metadata.namespace);
    const isConfigMap = within && metadata !== undefined && resource === "configmaps";
    return Object.fromEntries(
      Object.entries(one).map(([name, part]) => [nameOf(key, name), field(one, name, part, key, within, isConfigMap)]),
    );
  }

  function string(one: string, key: string): string {
    if (FIXED.has(key)) return one;
    if (MACHINE.has(key)) return one === "" ? one : names.whole(one);
    return value(one);
  }

  function field(
    owner: Object_,
    name: string,
    part: unknown,
    key: string,
    ofUser: boolean,
    isConfigMap: boolean,
  ): unknown {
    if (name === "annotations" && isObject(part)) return annotations(part, ofUser);
    if (name === "binaryData" || (isConfigMap && name === "data")) return emptied(part);
    // an environment variable
    if (ofUser && name === "value" && typeof part === "string" && typeof owner.name === "string" && key === "env") {
      return part === "" ? part : OMITTED;
    }
    // a label of Kubernetes' own, with a value of its own
    if (LABELS.has(key) && typeof part === "string") return value(part);
    if (name === "fieldsV1") return keysOf(part);
    // of a selector's expression
    if (name === "key" && typeof part === "string") return labelKey(part);
    return visit(part, name, ofUser);
  }

  /** The key of an entry: the schema's, unless users choose the keys of that map. */
  function nameOf(key: string, name: string): string {
    if (LABELS.has(key)) return labelKey(name);
    return key === "data" ? text(name) : name;
  }

  const labelKey = (key: string): string => labelKeyOf(key, text);

  function annotations(all: Object_, ofUser: boolean): Object_ {
    return Object.fromEntries(
      Object.entries(all).map(([key, part]) => {
        const slash = key.indexOf("/");
        const isKnown = slash >= 0 && knownDomain(key.slice(0, slash)) !== undefined;
        if (typeof part !== "string") return [labelKey(key), part];
        if (!isKnown && ofUser) return [labelKey(key), OMITTED];
        return [labelKey(key), json(part, ofUser) ?? value(part)];
      }),
    );
  }

  /** An object in a string: `last-applied-configuration`, what CNIs note on nodes. */
  function json(part: string, ofUser: boolean): string | undefined {
    if (!STARTS_JSON.test(part)) return undefined;
    try {
      return JSON.stringify(visit(JSON.parse(part), "", ofUser));
    } catch {
      return undefined;
    }
  }

  const emptied = (part: unknown): unknown =>
    isObject(part) ? Object.fromEntries(Object.keys(part).map((key) => [text(key), OMITTED])) : part;

  /** Of managed fields: `f:data`, `k:{"name":"web"}`. */
  function keysOf(part: unknown): unknown {
    if (!isObject(part)) return part;
    return Object.fromEntries(
      Object.entries(part).map(([key, inner]) => [
        key.startsWith("f:") ? `f:${fieldKey(key.slice(2))}` : text(key),
        keysOf(inner),
      ]),
    );
  }

  const fieldKey = (name: string): string =>
    /^[a-z][A-Za-z0-9]*$/.test(name) && isOfVocabulary(name) ? name : labelKey(name);

  return (object) => visit(object, "", false);
}
