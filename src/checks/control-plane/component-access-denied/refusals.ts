/** What components were told by the API server: refused for want of permission (403). */
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

/** The role that a refusal says is missing, if it names one. */
export function roleNotFound(message: string): Ref | undefined {
  const lost = ROLE_NOT_FOUND.exec(message);
  return lost ? ref(lost[1] ? "ClusterRole" : "Role", lost[2]!) : undefined;
}
