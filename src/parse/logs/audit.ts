/**
 * The audit log of kube-apiserver: an Event of audit.k8s.io/v1 a line. Of a log of gigabytes, what stays is who wrote what
 * of the things that a network depends on, with the selector if there was one; equal writes of one user to one object are
 * one, with their number. Memory is bounded whatever the file holds.
 *
 * Only answered requests count (stage ResponseComplete with a code below 300), and none that were a dry run.
 */
import { compact, type Fields, isObject } from "../fields.ts";
import { lineSplitter } from "../line-splitter.ts";
import { CUT_OFF, type Gap, parseJson, type Reader } from "../parsed.ts";

export type WriteVerb = "create" | "update" | "patch" | "delete" | "deletecollection";

/** A write that the API server carried out. */
export type AuditWrite = {
  /** Of the last one. */
  readonly line: number;
  /** RFC 3339: the first, and the last. */
  readonly firstAt: string;
  readonly at: string;
  readonly count: number;
  readonly verb: WriteVerb;
  /** As whom it was done. */
  readonly user: string;
  /** Who did it, if as another. */
  readonly by?: string;
  readonly userAgent?: string;
  readonly sourceIp?: string;
  readonly apiGroup: string;
  readonly resource: string;
  readonly namespace?: string;
  /** Missing for a collection, where the log does not hold what the API server answered (level RequestResponse). */
  readonly name?: string;
  /** Of a collection that was deleted; of the list by which `kubectl delete -l` found what it deleted. */
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
};

export type AuditLog = {
  /** In the order of their last times. */
  readonly writes: readonly AuditWrite[];
  /** Between which times it tells. */
  readonly firstAt?: string;
  readonly lastAt?: string;
};

const VERBS: readonly string[] = ["create", "update", "patch", "delete", "deletecollection"] satisfies WriteVerb[];

/** What a network depends on, by group; `*`: all of the group. */
const RESOURCES: Readonly<Record<string, readonly string[] | "*">> = {
  "": ["configmaps", "services", "nodes", "namespaces", "serviceaccounts"],
  apps: ["daemonsets", "deployments", "statefulsets"],
  "rbac.authorization.k8s.io": "*",
  "networking.k8s.io": ["networkpolicies", "servicecidrs"],
  "discovery.k8s.io": ["endpointslices"],
  "apiextensions.k8s.io": ["customresourcedefinitions"],
  "admissionregistration.k8s.io": ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
  "crd.projectcalico.org": "*",
  "projectcalico.org": "*",
  "operator.tigera.io": "*",
  "cilium.io": ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies", "ciliumnodeconfigs", "ciliumpodippools"],
  "policy.networking.k8s.io": "*",
};

/** The etcd limit of an object is 1.5 MiB, and an event can hold two. Characters. */
const LONGEST_LINE = 4 * 1024 * 1024;
/** The fields that tell whether a line matters stand before the objects. */
const HEAD = 16_384;
const MOST_WRITES = 50_000;
const MOST_LISTS = 100;
const MOST_GAPS = 100;
/** Between the list by which kubectl finds what to delete, and the deletion. */
const LIST_TO_DELETE_MS = 60_000;

/** Names have 253 characters at most; what is longer says nothing, and would be kept 50,000 times. */
const LONGEST_FIELD = 4096;

const VERB = /"verb"\s*:\s*"(create|update|patch|delete|deletecollection|list)"/;
const string = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" && value.length <= LONGEST_FIELD ? value : undefined;

const isWanted = (apiGroup: string, resource: string): boolean => {
  const wanted = Object.hasOwn(RESOURCES, apiGroup) ? RESOURCES[apiGroup] : undefined;
  return wanted === "*" || (wanted?.includes(resource) ?? false);
};

/** What the control plane and kubelets write all day is no change: leases, their own status, what they reconcile. */
const isRoutine = (user: string, apiGroup: string, resource: string): boolean =>
  resource === "endpointslices" || apiGroup === "crd.projectcalico.org"
    ? user.startsWith("system:")
    : user.startsWith("system:node:") || (user === "system:apiserver" && resource !== "services");

type Read =
  | readonly [AuditWrite, ...AuditWrite[]]
  | { readonly list: string; readonly at: string; readonly labelSelector: string };

export function auditLogReader(): Reader<AuditLog> {
  const writes = new Map<string, AuditWrite>();
  const lists = new Map<string, { readonly at: string; readonly labelSelector: string }>();
  const gaps: Gap[] = [];
  let line = 0;
  let firstAt: string | undefined;
  let lastAt: string | undefined;
  let dropped = 0;
  let unread = 0;

  function add(write: AuditWrite): void {
    const found = lists.get(listKey(write.user, write.apiGroup, write.resource));
    const isBy = write.verb === "delete" && found && Date.parse(write.at) - Date.parse(found.at) < LIST_TO_DELETE_MS;
    const one = isBy && write.labelSelector === undefined ? { ...write, labelSelector: found.labelSelector } : write;
    const key = JSON.stringify([
      one.verb,
      one.user,
      one.by,
      one.apiGroup,
      one.resource,
      one.namespace,
      one.name,
      one.labelSelector,
    ]);
    const before = writes.get(key);
    // the newest stand last
    writes.delete(key);
    writes.set(key, before ? { ...one, firstAt: before.firstAt, count: before.count + 1 } : one);
    // one at a time would walk past all that went before it
    if (writes.size >= 2 * MOST_WRITES) dropOldest();
  }

  function dropOldest(): void {
    const old = [...writes.keys()].slice(0, -MOST_WRITES);
    for (const key of old) writes.delete(key);
    dropped += old.length;
  }

  function take(text: string): void {
    line++;
    if (text === "" || !VERB.test(text.slice(0, HEAD))) return;
    const json = parseJson(text);
    const read = json.ok ? (isObject(json.value) ? eventOf(json.value, line) : "expected an object") : json.why;
    if (typeof read === "string") {
      unread++;
      if (gaps.length < MOST_GAPS) gaps.push({ line, what: read });
      return;
    }
    if (!read) return;
    const { at } = "list" in read ? read : read[0];
    firstAt ??= at;
    lastAt = at;
    if (!("list" in read)) {
      for (const write of read) add(write);
      return;
    }
    lists.delete(read.list);
    lists.set(read.list, read);
    if (lists.size > MOST_LISTS) lists.delete(lists.keys().next().value!);
  }

  const lines = lineSplitter(LONGEST_LINE, take);
  return {
    write: lines.write,
    end() {
      if (lines.end() !== "") gaps.push({ line: line + 1, what: CUT_OFF });
      dropOldest();
      if (unread > MOST_GAPS) gaps.push({ what: `${unread - MOST_GAPS} more lines that make no sense` });
      if (dropped > 0) gaps.push({ what: `${dropped} older writes were not kept` });
      return {
        value: compact({ writes: [...writes.values()], firstAt, lastAt }),
        gaps,
      };
    },
  };
}

const listKey = (user: string, apiGroup: string, resource: string): string =>
  JSON.stringify([user, apiGroup, resource]);

/** @returns undefined for what is no write of interest, a text for what makes no sense */
function eventOf(event: Fields, line: number): Read | string | undefined {
  if (event.kind !== "Event" || typeof event.auditID !== "string") return "not an event of audit.k8s.io";
  if (event.stage !== "ResponseComplete") return undefined;
  const reference = isObject(event.objectRef) ? event.objectRef : undefined;
  const resource = string(reference?.resource);
  const apiGroup = string(reference?.apiGroup) ?? "";
  if (!reference || resource === undefined || !isWanted(apiGroup, resource) || reference.subresource) return undefined;
  const code = isObject(event.responseStatus) ? event.responseStatus.code : undefined;
  if (typeof code === "number" && code >= 300) return undefined;
  const real = usernameOf(event.user);
  if (real === undefined) return "user: expected a name";
  const user = usernameOf(event.impersonatedUser) ?? real;
  if (isRoutine(user, apiGroup, resource)) return undefined;
  const at = string(event.stageTimestamp) ?? string(event.requestReceivedTimestamp);
  if (at === undefined || Number.isNaN(Date.parse(at))) return "stageTimestamp: expected a time";
  const query = queryOf(typeof event.requestURI === "string" ? event.requestURI : "");
  if (query.has("dryRun")) return undefined;
  const labelSelector = query.get("labelSelector");
  const fieldSelector = query.get("fieldSelector");
  // without its selector it would seem to have taken everything
  if ([labelSelector, fieldSelector].some((one) => one !== undefined && one.length > LONGEST_FIELD))
    return "requestURI: its selector is too long to be kept";
  if (event.verb === "list") {
    return labelSelector === undefined ? undefined : { list: listKey(user, apiGroup, resource), at, labelSelector };
  }
  if (!VERBS.includes(event.verb as string)) return undefined;
  const [sourceIp] = Array.isArray(event.sourceIPs) ? event.sourceIPs : [];
  const write = compact({
    line,
    firstAt: at,
    at,
    count: 1,
    verb: event.verb as WriteVerb,
    user,
    by: user === real ? undefined : real,
    userAgent: string(event.userAgent),
    sourceIp: string(sourceIp),
    apiGroup,
    resource,
    namespace: string(reference.namespace),
    name: string(reference.name) ?? nameOfCreated(event),
    labelSelector,
    fieldSelector,
  });
  const taken = write.verb === "deletecollection" ? namesTaken(event) : undefined;
  if (!taken) return [write];
  const [first, ...others] = taken.map((name) => ({ ...write, name }));
  return first && [first, ...others];
}

const usernameOf = (user: unknown): string | undefined => (isObject(user) ? string(user.username) : undefined);

/** The reference of what is created by a generated name, or by older servers, has none; the response has. */
function nameOfCreated({ responseObject }: Fields): string | undefined {
  const metadata = isObject(responseObject) ? responseObject.metadata : undefined;
  return isObject(metadata) ? string(metadata.name) : undefined;
}

/** A collection that is deleted is answered with the list of what it held; at the level Metadata nothing of it is kept. */
function namesTaken({ responseObject }: Fields): string[] | undefined {
  const items = isObject(responseObject) ? responseObject.items : undefined;
  if (!Array.isArray(items)) return undefined;
  return items.flatMap((item: unknown) => {
    const metadata = isObject(item) ? item.metadata : undefined;
    return (isObject(metadata) && string(metadata.name)) || [];
  });
}

function queryOf(uri: string): ReadonlyMap<string, string> {
  const at = uri.indexOf("?");
  const pairs = at < 0 ? [] : uri.slice(at + 1).split("&");
  return new Map(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      const [name, value] = equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
      return [decoded(name), decoded(value)] as const;
    }),
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
