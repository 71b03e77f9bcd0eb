/**
 * Components of any release in the built cluster: what runs of them, as their manifests have it, with the RBAC objects that
 * the release comes with.
 */
import type { ListId, ObjectOf } from "../src/evidence/catalogue.ts";
import type { Change, ManifestObject } from "../src/model/changes/change.ts";
import { isBootstrapObject } from "../src/model/permissions/baselines.ts";
import { ref } from "../src/model/ref.ts";
import type { PodSpec, Workload } from "../src/parse/objects.ts";
import { type Cluster, cluster } from "./cluster.ts";
import { type Edit, edits } from "./cluster-edits.ts";
import { workload } from "./cluster-objects.ts";
import { type ReleasedVariant, releasedVariants } from "./rbac-baselines.ts";

type Runs = {
  readonly kind: "DaemonSet" | "Deployment";
  readonly name: string;
  readonly account: string;
  readonly image: string;
  readonly labels?: Readonly<Record<string, string>>;
};

const daemonSet = (name: string, account: string, image: string): Runs => ({ kind: "DaemonSet", name, account, image });
const deployment = (name: string, account: string, image: string): Runs => ({
  ...{ kind: "Deployment", name, account, image },
});

/** What runs of a component: its images have the variant's release. */
const RUNS: Readonly<Record<string, readonly Runs[]>> = {
  antrea: [
    daemonSet("antrea-agent", "kube-system/antrea-agent", "antrea/antrea-agent-ubuntu"),
    deployment("antrea-controller", "kube-system/antrea-controller", "antrea/antrea-controller-ubuntu"),
  ],
  "calico-manifest": [
    daemonSet("calico-node", "kube-system/calico-node", "docker.io/calico/node"),
    deployment("calico-kube-controllers", "kube-system/calico-kube-controllers", "docker.io/calico/kube-controllers"),
  ],
  "calico-typha": [deployment("calico-typha", "kube-system/calico-node", "docker.io/calico/typha")],
  "cilium-agent": [daemonSet("cilium", "kube-system/cilium", "quay.io/cilium/cilium")],
  "cilium-operator": [deployment("cilium-operator", "kube-system/cilium-operator", "quay.io/cilium/operator-generic")],
  "ingress-nginx": [
    deployment("ingress-nginx-controller", "ingress-nginx/ingress-nginx", "registry.k8s.io/ingress-nginx/controller"),
  ],
  kindnet: [daemonSet("kindnet", "kube-system/kindnet", "docker.io/kindest/kindnetd")],
  "kube-router": [daemonSet("kube-router", "kube-system/kube-router", "docker.io/cloudnativelabs/kube-router")],
  "metrics-server": [
    deployment("metrics-server", "kube-system/metrics-server", "registry.k8s.io/metrics-server/metrics-server"),
  ],
  nodelocaldns: [daemonSet("node-local-dns", "kube-system/node-local-dns", "registry.k8s.io/dns/k8s-dns-node-cache")],
  "tigera-operator": [deployment("tigera-operator", "tigera-operator/tigera-operator", "quay.io/tigera/operator")],
  "weave-net": [daemonSet("weave-net", "kube-system/weave-net", "docker.io/weaveworks/weave-kube")],
};

/** The releases of variants that are not named for one, and of those whose components count otherwise. */
const RELEASES: Readonly<Record<string, string>> = {
  "coredns v1.6": "v1.6.7",
  "coredns v1.7": "v1.12.0",
  "coredns kubespray": "v1.11.3",
  "coredns multicluster": "v1.12.0",
  "flannel kubespray": "v0.22.0",
  "flannel helm": "v0.28.4",
  "flannel v0.24": "v0.28.4",
  "kindnet any": "v20250512-df8de77b",
  "kube-proxy v1.19": "v1.32.5",
};

const releaseOf = ({ component, variant }: ReleasedVariant): string =>
  RELEASES[`${component} ${variant}`] ?? (/\d/.test(variant) ? `${variant}.1` : "v1.0.0");

type Meta = { readonly metadata: { readonly name: string; readonly namespace?: string | null | undefined } };

/** Puts objects into a list: instead of those of the same name, or beside the others. */
function put<K extends ListId>(list: K, objects: readonly ObjectOf<K>[]): Edit {
  const keyOf = ({ metadata: { name, namespace } }: Meta) => `${namespace ?? ""}/${name}`;
  return (draft) => {
    const keys = new Set(objects.map((object) => keyOf(object as Meta)));
    draft.setList(list, [...draft.list(list).filter((object) => !keys.has(keyOf(object as Meta))), ...objects]);
  };
}

function runningOf({ kind, name, account, image }: Runs, release: string): Workload {
  const [namespace = "", serviceAccountName = ""] = account.split("/");
  const spec: PodSpec = {
    serviceAccountName,
    hostNetwork: true,
    tolerations: [{ operator: "Exists" }],
    containers: [{ name, image: `${image}:${release}` }],
  };
  return workload(name, namespace, { "k8s-app": name }, spec, kind === "Deployment" ? 1 : undefined);
}

/** The release of a component that the built cluster has anyway. */
const withRelease =
  (component: string, release: string): Edit =>
  (draft) => {
    const renewed = (spec: PodSpec): PodSpec => ({
      ...spec,
      containers: spec.containers.map(({ image, ...container }) => ({
        ...container,
        image: image?.includes(`/${component}:`) ? image.replace(/:[^:]*$/, `:${release}`) : image,
      })),
    });
    for (const list of ["daemonsets", "deployments"] as const)
      draft.setList(
        list,
        draft.list(list).map((one) => {
          const template = { ...one.spec.template, spec: renewed(one.spec.template.spec) };
          return { ...one, spec: { ...one.spec, template } };
        }),
      );
    draft.setList(
      "pods",
      draft.list("pods").map((pod) => ({ ...pod, spec: renewed(pod.spec) })),
    );
  };

/** flannel of before v0.19 and of kubespray lives in kube-system. */
const movedTo =
  (namespace: string): Edit =>
  (draft) => {
    for (const list of ["daemonsets", "pods", "configmaps", "serviceaccounts"] as const)
      draft.setList(
        list,
        draft
          .list(list)
          .map((object) =>
            object.metadata.namespace === "kube-flannel"
              ? { ...object, metadata: { ...object.metadata, namespace } }
              : object,
          ) as never,
      );
  };

const labelled =
  (name: string, labels: Readonly<Record<string, string>>): Edit =>
  (draft) =>
    draft.setList(
      "daemonsets",
      draft
        .list("daemonsets")
        .map((one) =>
          one.metadata.name === name
            ? { ...one, metadata: { ...one.metadata, labels: { ...one.metadata.labels, ...labels } } }
            : one,
        ),
    );

/** By whom it was installed shows in names and labels. */
function installerOf({ component, variant, serviceAccounts }: ReleasedVariant): Edit {
  const home = serviceAccounts[0]?.namespace ?? "kube-system";
  return edits(
    ...(component === "flannel" && home !== "kube-flannel" ? [movedTo(home)] : []),
    ...(variant === "kubespray" ? [put("daemonsets", [nodelocaldns()])] : []),
    ...(variant === "helm" ? [labelled("kube-flannel-ds", { "app.kubernetes.io/managed-by": "Helm" })] : []),
    ...(variant === "multicluster" ? [withMulticluster] : []),
  );
}

const nodelocaldns = (): Workload => ({
  ...runningOf(
    daemonSet("nodelocaldns", "kube-system/nodelocaldns", "registry.k8s.io/dns/k8s-dns-node-cache"),
    "1.25.0",
  ),
  spec: {
    selector: { matchLabels: { "k8s-app": "nodelocaldns" } },
    template: {
      metadata: { labels: { "k8s-app": "nodelocaldns" } },
      // it runs nowhere: that it is there says who installed the cluster
      spec: {
        nodeSelector: { none: "here" },
        containers: [{ name: "node-cache", image: "k8s-dns-node-cache:1.25.0" }],
      },
    },
  },
});

const withMulticluster: Edit = (draft) =>
  draft.setList(
    "configmaps",
    draft.list("configmaps").map((map) =>
      map.metadata.name === "coredns"
        ? {
            ...map,
            data: {
              Corefile: (map.data?.Corefile ?? "").replace("ttl 30", "ttl 30\n       multicluster clusterset.local"),
            },
          }
        : map,
    ),
  );

/** Of these the API server's whole policy is of one release. */
const KUBERNETES = new Set(["bootstrap-all", "kube-controller-manager", "kube-scheduler", "kubelet-node"]);

/** With the label of the bootstrap policy, where an object is of it. */
function ofPolicy<T extends Meta>(kind: string, objects: readonly T[]): T[] {
  return objects.map((object) => {
    const { name, namespace } = object.metadata;
    const labels = isBootstrapObject(ref(kind, name, namespace))
      ? { "kubernetes.io/bootstrapping": "rbac-defaults" }
      : {};
    return { ...object, metadata: { ...object.metadata, labels } };
  });
}

const rbacOf = ({ clusterroles, clusterrolebindings, roles, rolebindings }: ReleasedVariant): Edit =>
  edits(
    put("clusterroles", ofPolicy("ClusterRole", clusterroles)),
    put("clusterrolebindings", ofPolicy("ClusterRoleBinding", clusterrolebindings)),
    put("roles", ofPolicy("Role", roles)),
    put("rolebindings", ofPolicy("RoleBinding", rolebindings)),
  );

function release(component: string, variant: string): ReleasedVariant {
  const found = releasedVariants().find((one) => one.component === component && one.variant === variant);
  if (!found) throw new Error(`no release ${variant} of ${component}`);
  return found;
}

const started = (runs: readonly Runs[], version: string): Change[] =>
  runs.map((one) => ({
    do: "apply",
    object: { apiVersion: "apps/v1", kind: one.kind, ...runningOf(one, version) } as unknown as ManifestObject,
  }));

/** What Cilium's agent of each node and its operator write. */
const ciliumNodes: Edit = (draft) =>
  draft.setList(
    "ciliumnodes",
    draft.list("nodes").map(({ metadata: { name }, status }, index) => ({
      metadata: { name },
      spec: {
        addresses: (status?.addresses ?? []).flatMap(({ type, address }) =>
          type === "InternalIP" ? [{ type, ip: address }] : [],
        ),
        ipam: { podCIDRs: [`10.0.${index}.0/24`] },
      },
    })),
  );

const objectsOf = ({ component }: ReleasedVariant): readonly Edit[] =>
  component === "cilium-agent" ? [ciliumNodes] : [];

const accountsOf = ({ serviceAccounts }: ReleasedVariant): Edit =>
  put(
    "serviceaccounts",
    serviceAccounts.map((metadata) => ({ metadata })),
  );

/** A cluster in which what runs has the permissions that these releases come with, each by its component and variant. */
export const withPermissions = (
  healthy: Cluster,
  wanted: readonly (readonly [component: string, variant: string])[],
): Cluster => healthy.edit(...wanted.map(([component, variant]) => rbacOf(release(component, variant))));

/** A cluster that these releases are installed in as well, each by its component and variant. */
export function withReleases(
  healthy: Cluster,
  wanted: readonly (readonly [component: string, variant: string])[],
): Cluster {
  const all = wanted.map(([component, variant]) => release(component, variant));
  return healthy
    .edit(...all.flatMap((one) => [rbacOf(one), accountsOf(one), ...objectsOf(one)]))
    .with(...all.flatMap((one) => started(RUNS[one.component] ?? [], releaseOf(one))));
}

/** A small healthy cluster that this release of a component is installed in, by whoever installs it so. */
export function clusterWith(released: ReleasedVariant): Cluster {
  const { component, variant } = released;
  const tag = releaseOf(released);
  const runs = RUNS[component] ?? [];
  const base = cluster({ nodes: 1, workloads: "none", ...(runs.length > 0 && { flavour: "managed" as const }) });
  const isKubernetes = KUBERNETES.has(component);
  const gitVersion = isKubernetes ? tag : "v1.33.1";
  const installed = base.edit(
    (draft) => draft.set("version", {}, { gitVersion }),
    ...(isKubernetes ? [rbacOf(release("bootstrap-all", variant)), withRelease("kube-proxy", tag)] : []),
    rbacOf(released),
    accountsOf(released),
    ...objectsOf(released),
    withRelease(component, tag),
    installerOf(released),
  );
  return installed.with(...started(runs, tag));
}

/** Names the variant in tests. */
export const variantId = ({ component, variant }: ReleasedVariant): string => `${component} ${variant}`;
