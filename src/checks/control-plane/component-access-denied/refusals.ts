/** What components were told by the API server: refused for want of permission (403). */
import { quoteOf } from "../../../evidence/origin.ts";
import type { Component } from "../../../model/components/components.ts";
import type { ClusterModel } from "../../../model/model.ts";
import { type Ref, ref } from "../../../model/ref.ts";
import { timeOf } from "../../../model/time.ts";

type Model = Pick<ClusterModel, "components" | "logs">;

/** What the API server answers to an account without permission (apiserver, pkg/endpoints/handlers/responsewriters/errors.go). */
const FORBIDDEN = /is forbidden: User \\*"system:serviceaccount:([^:"\\]+):([^"\\]+)\\*" cannot/;
const ROLE_NOT_FOUND = /RBAC: \[?(cluster)?role\.rbac\.authorization\.k8s\.io \\*"([^"\\]+)\\*" not found/;

/** Until it has loaded its roles, a kube-apiserver that starts refuses everybody: that is no loss of permission. */
const API_START = 90_000;

function isFromApiStart(at: string | undefined, { components }: Model): boolean {
  const said = timeOf(at);
  const starts = components
    .byId("kube-apiserver")
    .flatMap(({ pods }) => pods)
    .flatMap(({ object }) => object.status?.containerStatuses ?? [])
    .map(({ state }) => timeOf(state?.running?.startedAt));
  return (
    said !== undefined &&
    starts.some((start) => start !== undefined && said >= start - API_START && said < start + API_START)
  );
}

/** What a component was told, newest last: ever, now, and of that what tells most. */
export function refusalsOf({ account, pods }: Component, model: Model) {
  const isMine = (message: string) => {
    const match = FORBIDDEN.exec(message);
    return match?.[1] === account?.namespace && match?.[2] === account?.name;
  };
  const all = pods.flatMap((pod) => model.logs.said(pod, FORBIDDEN)).filter(({ entry }) => isMine(entry.last.message));
  const current = all.filter(({ current: isCurrent, entry }) => isCurrent && !isFromApiStart(entry.last.at, model));
  // what it may not write into Events is the least of it
  const telling = current.filter(({ entry }) => !/resource \\*"events/.test(entry.last.message));
  const heard = (telling.length > 0 ? telling : current).slice(-1).map(({ evidence }) => evidence);
  return { all, current, heard };
}

/** What the API server answers to a token that it does not accept (apimachinery, pkg/api/errors: NewUnauthorized). */
const UNAUTHORIZED = /\bUnauthorized\b|the server has asked for the client to provide credentials/;

/** The newest complaint of the first of a component's Pods whose token is not accepted (401), if it still is not. */
export const unauthorizedOf = ({ pods }: Component, { logs }: Model) =>
  pods.flatMap((pod) => logs.said(pod, UNAUTHORIZED).findLast(({ current }) => current) ?? [])[0];

const WANTED = /cannot (\w+) resource \\*"([^"\\]+)\\*"/;

/** What the API server said, without what the component says around it. */
const tellingPart = (line: string): string =>
  /[\w.-]+(?: \\*"[^"\\]+\\*")? is forbidden: .*?(?:at the cluster scope|in the namespace \\*"[^"\\]+\\*")(?:: RBAC: .*)?/
    .exec(line)?.[0]
    .replaceAll('\\"', '"') ?? line;

/** Without these it learns of nothing: they are told first. */
const FIRST = ["pods", "services", "endpointslices", "nodes", "namespaces", "networkpolicies"];
const rankOf = ({ resource }: { readonly resource: string }) =>
  FIRST.includes(resource) ? FIRST.indexOf(resource) : FIRST.length;

/** Of those that run on all the same: where they are refused, and what; what their work needs before what it only tells. */
export function refusedOf({ pods }: Component, { current }: ReturnType<typeof refusalsOf>) {
  const wants = current.flatMap(({ entry, place, evidence }) => {
    const [, verb, resource] = WANTED.exec(entry.last.message) ?? [];
    const pod = pods.find(({ namespace, name }) => place.namespace === namespace && place.pod === name);
    if (verb === undefined || resource === undefined || pod?.node === undefined || !pod.ready) return [];
    const { message, line, at } = entry.first;
    const first = quoteOf({ ...evidence.origin, line }, tellingPart(message), at);
    return [{ verb, resource, node: pod.node, evidence: first }];
  });
  const vital = wants.filter(({ resource }) => resource !== "events");
  const telling = vital.length > 0 ? vital : wants;
  return {
    nodes: [...new Set(telling.map(({ node }) => node))].sort(),
    wants: [...Map.groupBy(telling, ({ resource }) => resource).values()]
      .map(([first]) => first!)
      .sort((a, b) => rankOf(a) - rankOf(b)),
  };
}

/** The role that a refusal says is missing, if it names one. */
export function roleNotFound(message: string): Ref | undefined {
  const lost = ROLE_NOT_FOUND.exec(message);
  return lost ? ref(lost[1] ? "ClusterRole" : "Role", lost[2]!) : undefined;
}
