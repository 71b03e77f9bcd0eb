/**
 * The fields by which objects may be selected, beside their name and namespace.
 *
 * Source: kubernetes, pkg/apis/core/v1/conversion.go and the other groups' (AddFieldLabelConversionFuncs), 1.33;
 * pkg/registry/core/pod/strategy.go (ToSelectableFields).
 */

type Value = Readonly<Record<string, unknown>>;

/** Paths, each with what a missing value stands for. */
const SELECTABLE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "/pods": {
    "spec.nodeName": "",
    "spec.restartPolicy": "",
    "spec.schedulerName": "",
    "spec.serviceAccountName": "",
    "spec.hostNetwork": "false",
    "status.phase": "",
    "status.podIP": "",
    "status.podIPs": "",
    "status.nominatedNodeName": "",
  },
  "/nodes": { "spec.unschedulable": "false" },
  "/namespaces": { "status.phase": "" },
  "/secrets": { type: "" },
  "/services": { "spec.clusterIP": "", "spec.type": "" },
  "/replicationcontrollers": { "status.replicas": "0" },
  "/events": {
    "involvedObject.kind": "",
    "involvedObject.namespace": "",
    "involvedObject.name": "",
    "involvedObject.uid": "",
    "involvedObject.apiVersion": "",
    "involvedObject.resourceVersion": "",
    "involvedObject.fieldPath": "",
    reason: "",
    reportingComponent: "",
    source: "",
    type: "",
  },
  "events.k8s.io/events": {
    "regarding.kind": "",
    "regarding.namespace": "",
    "regarding.name": "",
    "regarding.uid": "",
    "regarding.apiVersion": "",
    "regarding.resourceVersion": "",
    "regarding.fieldPath": "",
    reason: "",
    reportingController: "",
    type: "",
  },
  "apps/replicasets": { "status.replicas": "0" },
  "batch/jobs": { "status.successful": "0" },
  "certificates.k8s.io/certificatesigningrequests": { "spec.signerName": "" },
};

const FROM: Readonly<Record<string, string>> = {
  "status.podIPs": "status.podIP",
  "status.successful": "status.succeeded",
  source: "source.component",
};

function at(value: Value, path: string): unknown {
  let part: unknown = value;
  for (const key of path.split(".")) {
    if (typeof part !== "object" || part === null) return undefined;
    part = (part as Value)[key];
  }
  return part;
}

/** The selectable fields of an object, by their paths. */
export function fieldsOf(group: string, plural: string, object: Value): Readonly<Record<string, string>> {
  const selectable = SELECTABLE[`${group}/${plural}`];
  if (!selectable) return NONE;
  const fields: Record<string, string> = {};
  for (const [path, missing] of Object.entries(selectable)) {
    const value = at(object, FROM[path] ?? path);
    fields[path] = value === undefined || value === null ? missing : String(value);
  }
  return fields;
}

const NONE = {};

/** @returns why objects of a resource cannot be selected by a field; undefined if they can */
export function whyNotSelectable(group: string, plural: string, field: string): string | undefined {
  if (field === "metadata.name" || field === "metadata.namespace") return undefined;
  const selectable = SELECTABLE[`${group}/${plural}`];
  if (!selectable) {
    return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
  }
  return Object.hasOwn(selectable, field) ? undefined : `field label not supported: ${field}`;
}
