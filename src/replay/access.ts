/**
 * "May I?", posted as SelfSubjectAccessReview, SelfSubjectRulesReview or SelfSubjectReview. Of a replay, what the bundle
 * holds may be read, and nothing may be changed.
 */
import { parseJson } from "../parse/parsed.ts";
import { type Answer, type ApiRequest, jsonAnswer } from "./answer.ts";
import { readReview } from "./protobuf.ts";
import { StatusError } from "./status.ts";
import type { Store } from "./store.ts";

const READ_VERBS = ["get", "list", "watch"];

type ResourceAttributes = {
  readonly verb?: string;
  readonly group?: string;
  readonly version?: string;
  readonly resource?: string;
  readonly subresource?: string;
};
type Spec = {
  readonly resourceAttributes?: ResourceAttributes;
  readonly nonResourceAttributes?: { readonly verb?: string; readonly path?: string };
};

type Access = { readonly allowed: boolean; readonly reason?: string };

/** @throws StatusError for a body that is no such review */
export function reviewAnswer(kind: string, request: ApiRequest, store: Store, isWritable: boolean): Answer {
  const { spec = {}, apiVersion = "v1" } = reviewOf(kind, request);
  const status = statusOf(kind, spec, store, isWritable);
  return jsonAnswer({ kind, apiVersion, metadata: { creationTimestamp: null }, spec, status }, 201);
}

type Review = { readonly spec?: Spec; readonly apiVersion?: string };

function reviewOf(kind: string, { body, headers }: ApiRequest): Review {
  if (headers["content-type"]?.startsWith("application/vnd.kubernetes.protobuf")) {
    const review = readReview(kind, body);
    if (review) return { ...review, apiVersion: kind === "SelfSubjectReview" ? AUTHENTICATION : AUTHORIZATION };
  } else {
    const parsed = parseJson(Buffer.from(body).toString());
    if (parsed.ok && typeof parsed.value === "object" && parsed.value !== null) return parsed.value;
  }
  throw new StatusError("BadRequest", `the body of the request is no ${kind}`);
}

const AUTHENTICATION = "authentication.k8s.io/v1";
const AUTHORIZATION = "authorization.k8s.io/v1";

function statusOf(kind: string, spec: Spec, store: Store, isWritable: boolean): unknown {
  switch (kind) {
    case "SelfSubjectReview":
      return { userInfo: { username: "netwhy:replay", groups: ["system:authenticated"] } };
    case "SelfSubjectRulesReview":
      return rules(store, isWritable);
    default:
      return accessOf(spec, store, isWritable);
  }
}

function accessOf({ resourceAttributes, nonResourceAttributes }: Spec, store: Store, isWritable: boolean): Access {
  if (!resourceAttributes) return { allowed: nonResourceAttributes?.verb === "get" };
  const { verb = "", group = "", version = "", resource = "", subresource = "" } = resourceAttributes;
  if (!READ_VERBS.includes(verb) && !isWritable) return { allowed: false, reason: "a replay is read-only" };
  if (subresource !== "") return { allowed: resource === "pods" && subresource === "log" && verb === "get" };
  const types = store.types.filter(
    (type) =>
      type.plural === resource &&
      type.group === group &&
      (version === "" || version === "*" || version === type.version),
  );
  const readings = types.map((type) => store.served(type.group, type.version, type.plural)?.served);
  if (resource === "*" || readings.some((served) => served?.state === "readable")) return { allowed: resource !== "*" };
  const why = readings.find((served) => served?.state === "forbidden");
  return { allowed: false, reason: why ? `${resource}: ${why.why}` : `the bundle has no ${resource}` };
}

function rules(store: Store, isWritable: boolean) {
  const readable = store.types.filter(
    ({ group, version, plural }) => store.served(group, version, plural)?.served.state === "readable",
  );
  const groups = [...new Set(readable.map(({ group }) => group))];
  return {
    resourceRules: groups.map((group) => ({
      verbs: isWritable ? ["*"] : READ_VERBS,
      apiGroups: [group],
      resources: [
        ...new Set(readable.filter((type) => type.group === group).map(({ plural }) => plural)),
        ...(group === "" ? ["pods/log"] : []),
      ],
    })),
    nonResourceRules: [{ verbs: ["get"], nonResourceURLs: ["*"] }],
    incomplete: false,
  };
}
