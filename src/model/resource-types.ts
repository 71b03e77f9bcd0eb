/**
 * The resources that Kubernetes itself serves: how they are named, and whether they live in namespaces.
 *
 * Source: aggregated discovery of kube-apiserver 1.33.13. What is in every version from 1.25 on is marked by standing in
 * a list of its own: an API server has those whether a bundle holds them or not.
 */

/** A kind of object that an API serves. */
export type ResourceType = {
  readonly group: string;
  readonly version: string;
  /** As paths name it: `pods`. */
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  readonly shortNames: readonly string[];
  /** Sets that `kubectl get` knows it by: `all`. */
  readonly categories: readonly string[];
};

/** kind, plural, and what else there is: `-` for cluster-wide, short names, `@category`. */
type Row = readonly [kind: string, plural: string, ...more: readonly string[]];
type Rows = Readonly<Record<string, readonly Row[]>>;

/** Those that every API server of a version from 1.25 on serves. */
const ALWAYS: Rows = {
  v1: [
    ["ConfigMap", "configmaps", "cm"],
    ["Endpoints", "endpoints", "ep"],
    ["Event", "events", "ev"],
    ["LimitRange", "limitranges", "limits"],
    ["Namespace", "namespaces", "-", "ns"],
    ["Node", "nodes", "-", "no"],
    ["PersistentVolumeClaim", "persistentvolumeclaims", "pvc"],
    ["PersistentVolume", "persistentvolumes", "-", "pv"],
    ["Pod", "pods", "po", "@all"],
    ["PodTemplate", "podtemplates"],
    ["ReplicationController", "replicationcontrollers", "rc", "@all"],
    ["ResourceQuota", "resourcequotas", "quota"],
    ["Secret", "secrets"],
    ["ServiceAccount", "serviceaccounts", "sa"],
    ["Service", "services", "svc", "@all"],
  ],
  "apiregistration.k8s.io/v1": [["APIService", "apiservices", "-", "@api-extensions"]],
  "apps/v1": [
    ["ControllerRevision", "controllerrevisions"],
    ["DaemonSet", "daemonsets", "ds", "@all"],
    ["Deployment", "deployments", "deploy", "@all"],
    ["ReplicaSet", "replicasets", "rs", "@all"],
    ["StatefulSet", "statefulsets", "sts", "@all"],
  ],
  "events.k8s.io/v1": [["Event", "events", "ev"]],
  "autoscaling/v2": [["HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "@all"]],
  "batch/v1": [
    ["CronJob", "cronjobs", "cj", "@all"],
    ["Job", "jobs", "@all"],
  ],
  "certificates.k8s.io/v1": [["CertificateSigningRequest", "certificatesigningrequests", "-", "csr"]],
  "networking.k8s.io/v1": [
    ["IngressClass", "ingressclasses", "-"],
    ["Ingress", "ingresses", "ing"],
    ["NetworkPolicy", "networkpolicies", "netpol"],
  ],
  "policy/v1": [["PodDisruptionBudget", "poddisruptionbudgets", "pdb"]],
  "rbac.authorization.k8s.io/v1": [
    ["ClusterRoleBinding", "clusterrolebindings", "-"],
    ["ClusterRole", "clusterroles", "-"],
    ["RoleBinding", "rolebindings"],
    ["Role", "roles"],
  ],
  "storage.k8s.io/v1": [
    ["CSIDriver", "csidrivers", "-"],
    ["CSINode", "csinodes", "-"],
    ["CSIStorageCapacity", "csistoragecapacities"],
    ["StorageClass", "storageclasses", "-", "sc"],
    ["VolumeAttachment", "volumeattachments", "-"],
  ],
  "admissionregistration.k8s.io/v1": [
    ["MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "-", "@api-extensions"],
    ["ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "-", "@api-extensions"],
  ],
  "apiextensions.k8s.io/v1": [
    ["CustomResourceDefinition", "customresourcedefinitions", "-", "crd", "crds", "@api-extensions"],
  ],
  "scheduling.k8s.io/v1": [["PriorityClass", "priorityclasses", "-", "pc"]],
  "coordination.k8s.io/v1": [["Lease", "leases"]],
  "node.k8s.io/v1": [["RuntimeClass", "runtimeclasses", "-"]],
  "discovery.k8s.io/v1": [["EndpointSlice", "endpointslices"]],
};

/** Those that are served by some versions, or that may be switched off. */
const SOMETIMES: Rows = {
  v1: [["ComponentStatus", "componentstatuses", "-", "cs"]],
  "networking.k8s.io/v1": [
    ["IPAddress", "ipaddresses", "-", "ip"],
    ["ServiceCIDR", "servicecidrs", "-"],
  ],
  "admissionregistration.k8s.io/v1": [
    ["ValidatingAdmissionPolicy", "validatingadmissionpolicies", "-", "@api-extensions"],
    ["ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "-", "@api-extensions"],
  ],
  "flowcontrol.apiserver.k8s.io/v1": [
    ["FlowSchema", "flowschemas", "-"],
    ["PriorityLevelConfiguration", "prioritylevelconfigurations", "-"],
  ],
};

function typesOf(rows: Rows): ResourceType[] {
  return Object.entries(rows).flatMap(([groupVersion, list]) => {
    const [version = "", group = ""] = groupVersion.split("/").reverse();
    return list.map(([kind, plural, ...more]) => ({
      group,
      version,
      plural,
      singular: kind.toLowerCase(),
      kind,
      isNamespaced: !more.includes("-"),
      shortNames: more.filter((word) => word !== "-" && !word.startsWith("@")),
      categories: more.filter((word) => word.startsWith("@")).map((word) => word.slice(1)),
    }));
  });
}

/** Those that every API server serves. */
export const BUILT_IN: readonly ResourceType[] = typesOf(ALWAYS);

const KNOWN = new Map([...BUILT_IN, ...typesOf(SOMETIMES)].map((type) => [`${type.group}/${type.plural}`, type]));

/** A resource of Kubernetes' own, in the version that it is asked for; undefined for any other. */
export function builtIn(group: string, version: string, plural: string): ResourceType | undefined {
  const known = KNOWN.get(`${group}/${plural}`);
  return known && { ...known, version };
}
