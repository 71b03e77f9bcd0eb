/**
 * Who wrote what, as the audit log of the API server tells: a person with kubectl, a pipeline, a controller; and what was
 * deleted, as Events of those that deploy from Git tell. A log tells of
 * a time, and of that only what its policy lets through: what it does not tell may have happened all the same.
 */
import type { Capture } from "../evidence/capture.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import type { AuditWrite } from "../parse/audit-log.ts";
import { KIND_NAMES, type Objects } from "./objects.ts";
import type { Ref } from "./ref.ts";
import { timeOf } from "./time.ts";
import { deletesInEvents } from "./told-deletes.ts";

export type Write = AuditWrite & {
  /** What was written; undefined for a collection, or a kind that netwhy does not know. */
  readonly target: Ref | undefined;
  readonly evidence: Evidence;
};

export interface Writes {
  /** All of them, the newest first. */
  readonly all: readonly Write[];
  /** Between which times the logs tell; undefined without any. */
  readonly told: { readonly from: string; readonly to: string } | undefined;
  /** Those to an object, and to collections that it belonged to; the newest first. */
  of(object: Ref): readonly Write[];
}

const CALICO = new Set(["crd.projectcalico.org", "projectcalico.org"]);

/** The name by which netwhy knows the kind of a resource; Calico's NetworkPolicies are of another kind than Kubernetes'. */
function kindOf({ apiGroup, resource }: AuditWrite): string | undefined {
  const list = CALICO.has(apiGroup) && /^network(policies|sets)$/.test(resource) ? `calico${resource}` : resource;
  return Object.hasOwn(KIND_NAMES, list) ? KIND_NAMES[list as keyof typeof KIND_NAMES] : undefined;
}

export function writesOf(capture: Capture, objects: Objects): Writes {
  const logs = capture.all("auditLog").flatMap(({ observed }) => (observed.state === "present" ? [observed] : []));
  const all = logs
    .flatMap(({ value, origin }) => value.writes.map((write) => toWrite(write, origin)))
    .concat(deletesInEvents(objects))
    .sort((a, b) => (timeOf(b.at) ?? 0) - (timeOf(a.at) ?? 0));
  const times = logs.flatMap(({ value: { firstAt, lastAt } }) =>
    firstAt !== undefined && lastAt !== undefined ? [firstAt, lastAt] : [],
  );
  const sorted = times.sort((a, b) => (timeOf(a) ?? 0) - (timeOf(b) ?? 0));
  const [from] = sorted;
  const byKind = Map.groupBy(all, kindOf);
  return {
    all,
    told: from === undefined ? undefined : { from, to: sorted.at(-1)! },
    of: ({ kind, namespace, name }) =>
      (byKind.get(kind) ?? []).filter(
        (write) =>
          write.namespace === namespace &&
          (write.name === name || (write.name === undefined && write.verb === "deletecollection")),
      ),
  };
}

function toWrite(write: AuditWrite, origin: Evidence["origin"]): Write {
  const { name, namespace, line, at } = write;
  const kind = kindOf(write);
  const target =
    kind === undefined || name === undefined
      ? undefined
      : { kind, name, ...(namespace !== undefined && { namespace }) };
  return { ...write, target, evidence: quoteOf({ ...origin, line, at }, wordsOf(write), at) };
}

/** As the log has it, without what does not matter. */
function wordsOf({
  verb,
  resource,
  apiGroup,
  namespace,
  name,
  user,
  by,
  userAgent,
  labelSelector,
  fieldSelector,
  count,
}: AuditWrite): string {
  const object = [apiGroup === "" ? resource : `${resource}.${apiGroup}`, namespace, name].filter(Boolean).join("/");
  const [agent] = (userAgent ?? "").split(/[ (]/);
  return [
    `${user}${by === undefined ? "" : ` (in truth ${by})`}: ${verb} ${object}`,
    labelSelector === undefined ? "" : `-l ${labelSelector}`,
    fieldSelector === undefined ? "" : `--field-selector ${fieldSelector}`,
    agent === "" ? "" : `by ${agent}`,
    count > 1 ? `(${count} times)` : "",
  ]
    .filter((part) => part !== "")
    .join(" ");
}
