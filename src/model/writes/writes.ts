/**
 * Who wrote what, as the audit log of the API server tells: a person with kubectl, a pipeline, a controller; and what was
 * deleted, as Events of those that deploy from Git tell. A log tells of
 * a time, and of that only what its policy lets through: what it does not tell may have happened all the same.
 */
import type { Capture } from "../../evidence/capture.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import { isObject } from "../../parse/fields.ts";
import type { AuditWrite } from "../../parse/logs/audit.ts";
import { parseLabelSelector } from "../../parse/selectors/label.ts";
import { type Labels, meets } from "../labels.ts";
import type { ModelParts } from "../model.ts";
import { KIND_NAMES, listOfKind } from "../objects.ts";
import { isBootstrapObject } from "../permissions/baselines.ts";
import type { Ref } from "../ref.ts";
import { timeOf } from "../time.ts";
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
  /**
   * Those to an object, and to collections that it belonged to by its labels; the newest first.
   *
   * @param beside what belongs to the same component: where nothing records the labels of an object that is gone, those of
   * the component's workload stand for them
   */
  of(object: Ref, beside?: readonly Ref[]): readonly Write[];
}

type Parts = Pick<ModelParts, "objects" | "releases" | "components">;

/** kube-apiserver puts it on all that it makes (plugin/pkg/auth/authorizer/rbac/bootstrappolicy). */
const BOOTSTRAP_LABELS: Labels = { "kubernetes.io/bootstrapping": "rbac-defaults" };

const CALICO = new Set(["crd.projectcalico.org", "projectcalico.org"]);

/** The name by which netwhy knows the kind of a resource; Calico's NetworkPolicies are of another kind than Kubernetes'. */
function kindOf({ apiGroup, resource }: AuditWrite): string | undefined {
  const list = CALICO.has(apiGroup) && /^network(policies|sets)$/.test(resource) ? `calico${resource}` : resource;
  return Object.hasOwn(KIND_NAMES, list) ? KIND_NAMES[list as keyof typeof KIND_NAMES] : undefined;
}

export function writesOf(capture: Capture, parts: Parts): Writes {
  const { objects } = parts;
  const selectors: Selectors = new Map();
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
    of(object, beside = []) {
      const { kind, namespace, name } = object;
      const near = (byKind.get(kind) ?? []).filter(
        (write) => write.namespace === namespace && (write.name ?? name) === name,
      );
      const labels = near.some(isCollection) ? labelSetsOf(object, beside, parts) : [];
      // what had been deleted before was in no collection any more
      let isThere = true;
      return near
        .toReversed()
        .filter((write) => {
          if (isCollection(write)) return isThere && isOfCollection(object, write, labels, selectors);
          isThere = write.verb !== "delete";
          return true;
        })
        .reverse();
    },
  };
}

/** Selectors as they are read, each once. */
type Selectors = Map<string, ReturnType<typeof parseLabelSelector>>;

/** The log does not tell what of it there was. */
const isCollection = ({ verb, name }: AuditWrite): boolean => verb === "deletecollection" && name === undefined;

function isOfCollection(
  { name }: Ref,
  { labelSelector = "", fieldSelector }: AuditWrite,
  labelSets: readonly Labels[],
  selectors: Selectors,
): boolean {
  const named = /(?:^|,)metadata\.name==?([^,]*)/.exec(fieldSelector ?? "")?.[1];
  const selector = selectors.get(labelSelector) ?? parseLabelSelector(labelSelector);
  selectors.set(labelSelector, selector);
  if ((named !== undefined && named !== name) || !selector.ok) return false;
  return (
    selector.value.length === 0 ||
    labelSets.some((labels) => selector.value.every((requirement) => meets(requirement, labels)))
  );
}

/** What is known of the labels that an object has, or had: more than one set where it is not known which. */
function labelSetsOf(object: Ref, beside: readonly Ref[], { objects, releases, components }: Parts): readonly Labels[] {
  const list = listOfKind(object.kind);
  const there = list && objects.find(list, object.name, object.namespace);
  if (there?.state === "present") return [there.value.metadata.labels ?? {}];
  const recorded = releases.installed(object)?.object.metadata.labels;
  if (isObject(recorded)) return [recorded as Labels];
  const bootstrap = isBootstrapObject(object) ? [BOOTSTRAP_LABELS] : [];
  const workloads = beside.flatMap((one) => components.byRef(one)?.workload ?? []);
  const marks = workloads.flatMap(({ metadata, spec }) => [metadata.labels, spec.template.metadata?.labels]);
  return [...bootstrap, ...marks.filter((labels) => labels !== undefined && labels !== null)];
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
