/**
 * Permissions that are gone, made again without a backup: from what the cluster itself still knows of them, and else from
 * what their component is granted by its release.
 *
 * Sources, the best first: Helm's record of the release holds the very object; kube-apiserver has its own policy built in;
 * kubeadm's add-ons are the same in every cluster of a version; other baselines are those of the component's manifest or
 * chart, which whoever installed it may have changed.
 */

import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import type { ManifestObject } from "../model/changes/change.ts";
import { modelOf } from "../model/model.ts";
import type { Objects } from "../model/objects.ts";
import type { BaselineGrant, Subject } from "../model/permissions/baseline.ts";
import { isBootstrapObject } from "../model/permissions/baselines.ts";
import type { ComponentPermissions, Flaw } from "../model/permissions/permissions.ts";
import { type Ref, ref, refId } from "../model/ref.ts";
import { type HelmRelease, ownedBy } from "../parse/kubernetes/helm-release.ts";
import { type Text, texts } from "../text.ts";
import { KINDS, refOf } from "./kinds.ts";

export type RecoverySource = "helm" | "bootstrap" | "kubeadm" | "baseline";

export type Recovered = {
  readonly object: ManifestObject;
  readonly source: RecoverySource;
  /** Where it comes from, and what of the object that was there it may lack. */
  readonly from: Text;
};

export type Recovery = {
  /** In the order in which they are applied. */
  readonly recovered: readonly Recovered[];
  /** Missing, and nothing tells what they were. */
  readonly lost: readonly Ref[];
  /** Helm's records were not had: a better source than the one that was taken may be there. */
  readonly isHelmUnseen: boolean;
};

const say = texts("recovery", {
  helm: {
    en: "Helm's record of {chart}, release {namespace}/{name}, revision {revision}: as it was installed; lacks what was changed by hand since",
    zh: "来自 Helm 记录（{chart}，Release {namespace}/{name}，版本 {revision}）：与安装时一致，不含此后的手工修改",
  },
  bootstrap: {
    en: "the policy built into kube-apiserver {release}, which also makes it again when it starts; lacks nothing",
    zh: "来自 kube-apiserver {release} 内置策略（重启 kube-apiserver 也会自动重建）：完整",
  },
  kubeadm: {
    en: "what kubeadm {release} sets up; lacks what was changed since",
    zh: "来自 kubeadm {release} 的默认配置：不含此后的修改",
  },
  baseline: {
    en: "what {component} {release} is granted by its manifest or chart ({variant}); lacks labels and annotations, and whatever was changed at its installation",
    zh: "来自 {component} {release} 官方清单或 Chart 的权限（{variant}）：不含标签和注解，以及安装时的改动",
  },
  described: {
    en: "what {component} needs as {variant} describes it; lacks labels and annotations",
    zh: "来自 {variant} 对 {component} 所需权限的描述：不含标签和注解",
  },
  nearest: {
    en: "what {component} is granted by releases near {release} ({variant}), which is not known itself; lacks labels and annotations, and may lack or have too much",
    zh: "来自与 {component} {release} 相近版本的权限（{variant}，该版本本身未收录）：不含标签和注解，权限可能偏少或偏多",
  },
  owned: {
    en: "{from}; marked as of Helm's release {namespace}/{name}, so that `helm upgrade` takes it over",
    zh: "{from}；已标记为 Helm Release {namespace}/{name} 所有，以便 `helm upgrade` 接管",
  },
});

const GROUP = "rbac.authorization.k8s.io";
const KUBEADM = new Set(["kube-proxy", "coredns", "kubeadm"]);

/** @param wanted these, whether they are there or not; without any, all that is missing */
export function recoveryOf(capture: Capture, wanted: readonly Ref[] = []): Recovery {
  const model = modelOf(capture);
  const observed = capture.get("helmReleases");
  const releases = known(observed) ?? [];
  // what is not in the record of its release was never installed
  const isUnrecorded = (permissions: ComponentPermissions) => {
    const owner = releaseOf(permissions);
    return !releases.some(({ name, namespace }) => name === owner?.name && namespace === owner.namespace);
  };
  const permissions = model.permissions.all.filter(isUnrecorded);
  const offers = [...fromReleases(releases), ...permissions.flatMap(fromBaseline)];
  const best = new Map<string, Recovered>();
  for (const offer of offers.sort((a, b) => rankOf(a) - rankOf(b))) {
    const id = refId(refOf(offer.object));
    if (!best.has(id)) best.set(id, offer);
  }
  const isMissing = (object: Ref): boolean => {
    const list = KINDS.find(({ kind }) => kind === object.kind)?.plural as "clusterroles" | undefined;
    return list !== undefined && model.objects.find(list, object.name, object.namespace).state === "absent";
  };
  const missing =
    wanted.length > 0 ? wanted : missingIn({ permissions, objects: model.objects }, releases).filter(isMissing);
  const recovered = missing.flatMap((object) => best.get(refId(object)) ?? []);
  return {
    recovered: [...new Set(recovered)].sort((a, b) => orderOf(a) - orderOf(b)),
    lost: missing.filter((object) => !best.has(refId(object))),
    isHelmUnseen: observed.state === "unknown" || (observed.state === "present" && observed.gaps.length > 0),
  };
}

const SOURCES: readonly RecoverySource[] = ["helm", "bootstrap", "kubeadm", "baseline"];
const rankOf = ({ source }: Recovered): number => SOURCES.indexOf(source);
const orderOf = ({ object }: Recovered): number => KINDS.findIndex(({ kind }) => kind === object.kind);

/** What may be missing: of releases, of baselines where one is wronged, and what bindings refer to. */
function missingIn(
  { permissions, objects }: { readonly permissions: readonly ComponentPermissions[]; readonly objects: Objects },
  releases: readonly HelmRelease[],
): readonly Ref[] {
  // what is for no component that is seen was perhaps never there; what every API server or kubeadm of a release makes was
  const isSure = ({ component, comparison: { baseline, fit } }: ComponentPermissions): boolean =>
    component !== undefined || (baseline.releasesOf === "kubernetes" && (fit === "exact" || fit === "between"));
  const flawed = permissions.flatMap(({ account, ...one }) => [
    ...(account ? [ref("ServiceAccount", account.name, account.namespace)] : []),
    ...one.flaws
      .filter(({ isPerhapsOption, reason }) => isSure(one) && !isPerhapsOption && reason !== "rule-missing")
      .flatMap(({ role, binding }) => [role, ...(binding ? [binding] : [])]),
  ]);
  const referred = [
    ...objects.all("clusterrolebindings").map(({ roleRef }) => ref("ClusterRole", roleRef.name)),
    ...objects
      .all("rolebindings")
      .map(({ roleRef: { kind, name }, metadata: { namespace } }) =>
        kind === "ClusterRole" ? ref(kind, name) : ref("Role", name, namespace ?? ""),
      ),
  ];
  const all = [
    ...releases.flatMap((release) => release.objects.map((object) => refOf(object))),
    ...flawed,
    ...referred,
  ];
  return [...new Map(all.map((object) => [refId(object), object])).values()];
}

const fromReleases = (releases: readonly HelmRelease[]): Recovered[] =>
  releases.flatMap(({ objects, name, namespace, revision, chart = name }) =>
    objects.map((object) => ({ object, source: "helm", from: say.helm({ chart, namespace, name, revision }) })),
  );

const metadataOf = ({ name, namespace }: Ref) => ({ name, ...(namespace !== undefined && { namespace }) });

const withGroup = (subject: Subject) => (subject.kind === "ServiceAccount" ? subject : { ...subject, apiGroup: GROUP });

function roleOf({ role, rules, labels, aggregates }: BaselineGrant): ManifestObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: role.kind,
    metadata: { ...metadataOf(role), ...(labels && { labels }) },
    ...(aggregates && { aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregates }] } }),
    rules,
  };
}

/** Roles that are another's come from that other's baseline. */
function objectsOf(grant: BaselineGrant): ManifestObject[] {
  const { role, bindings, isForeign } = grant;
  const bound = bindings.map(
    ({ ref: self, subjects }): ManifestObject => ({
      apiVersion: `${GROUP}/v1`,
      kind: self.kind,
      metadata: metadataOf(self),
      roleRef: { apiGroup: GROUP, kind: role.kind, name: role.name },
      subjects: subjects.map(withGroup),
    }),
  );
  return isForeign ? bound : [roleOf(grant), ...bound];
}

/** The binding of a role that its installer named otherwise than the baseline does. */
function bindingOf({ reason, object, role, subject }: Flaw): ManifestObject[] {
  if (reason !== "binding-missing" || !subject) return [];
  const roleRef = { apiGroup: GROUP, kind: role.kind, name: role.name };
  const metadata = metadataOf(object);
  return [{ apiVersion: `${GROUP}/v1`, kind: object.kind, metadata, roleRef, subjects: [withGroup(subject)] }];
}

/** The release of Helm that a component says it is of. */
function releaseOf({ component }: ComponentPermissions): Pick<HelmRelease, "name" | "namespace"> | undefined {
  const { labels, annotations } = component?.workload?.metadata ?? {};
  const name = annotations?.["meta.helm.sh/release-name"];
  const namespace = annotations?.["meta.helm.sh/release-namespace"];
  if (labels?.["app.kubernetes.io/managed-by"] !== "Helm" || !name || !namespace) return undefined;
  return { name, namespace };
}

function fromBaseline(permissions: ComponentPermissions): Recovered[] {
  const { grants, account, component, comparison, flaws } = permissions;
  const { baseline, fit, variants, release = "" } = comparison;
  const owner = releaseOf(permissions);
  const variant = variants.map(({ id }) => id).join(", ");
  const args = { component: component?.definition.name ?? baseline.id, release, variant };
  const accounts = account
    ? [{ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: account.name, namespace: account.namespace } }]
    : [];
  return [...accounts, ...grants.flatMap(objectsOf), ...flaws.flatMap(bindingOf)].map((object): Recovered => {
    if (isBootstrapObject(refOf(object))) return { object, source: "bootstrap", from: say.bootstrap({ release }) };
    const isKubeadm = KUBEADM.has(baseline.id) && fit === "exact" && !owner;
    const known = fit === "described" ? say.described(args) : fit === "exact" ? say.baseline(args) : say.nearest(args);
    const from = isKubeadm ? say.kubeadm({ release }) : known;
    if (!owner) return { object, source: isKubeadm ? "kubeadm" : "baseline", from };
    return { object: ownedBy(object, owner), source: "baseline", from: say.owned({ from, ...owner }) };
  });
}
