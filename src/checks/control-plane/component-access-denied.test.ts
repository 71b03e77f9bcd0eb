import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { clusterWith } from "../../../testing/cluster-components.ts";
import { addObjects, editObjects, editPods, edits, installed, said } from "../../../testing/cluster-edits.ts";
import { workload } from "../../../testing/cluster-objects.ts";
import { ago, crashing, ready } from "../../../testing/object-states.ts";
import { releasedVariants } from "../../../testing/rbac-baselines.ts";
import type { Draft } from "../../model/changes/changes.ts";
import { ref } from "../../model/ref.ts";
import type { ComponentDescription } from "../../parse/component-file.ts";
import type { PolicyRule } from "../../parse/objects.ts";
import { componentAccessDenied } from "./component-access-denied.ts";

const role = (name: string) => ({ do: "delete", target: ref("ClusterRole", name) }) as const;
const binding = (name: string) => ({ do: "delete", target: ref("ClusterRoleBinding", name) }) as const;
const REFUSED =
  'E failed to list: nodes is forbidden: User "system:serviceaccount:kube-flannel:flannel" cannot list resource "nodes" in API group ""';
const flannel = ref("DaemonSet", "kube-flannel-ds", "kube-flannel");

const calico = clusterWith(
  releasedVariants().find(({ component, variant }) => component === "calico-manifest" && variant === "v3.28")!,
);

/** Canal: calico-node enforces policies for what flannel connects, by roles that allow less than Calico's own. */
const canal = calico.edit(
  editObjects("daemonsets", "calico-node", ({ spec, ...set }) => {
    const [container, ...more] = spec.template.spec.containers;
    const env = [{ name: "CALICO_NETWORKING_BACKEND", value: "none" }];
    const template = {
      ...spec.template,
      spec: { ...spec.template.spec, containers: [{ ...container!, env }, ...more] },
    };
    return { ...set, spec: { ...spec, template } };
  }),
  editObjects("clusterroles", "calico-node", ({ rules, ...own }) => ({
    ...own,
    rules: (rules ?? []).filter(
      ({ resources }) => !resources?.some((one) => /^(ipam|blockaffinities$)/.test(one)) || resources.length > 3,
    ),
  })),
  editObjects("clusterroles", "calico-cni-plugin", ({ rules, ...own }) => ({
    ...own,
    rules: (rules ?? []).slice(0, 2),
  })),
);

/** A release from before all whose roles are known, without a rule that all of those have. */
const ancientCalico = calico.edit(
  editObjects("daemonsets", "calico-node", ({ spec, ...set }) => {
    const containers = spec.template.spec.containers.map((one) => ({ ...one, image: "calico/node:v3.8.2" }));
    return { ...set, spec: { ...spec, template: { ...spec.template, spec: { ...spec.template.spec, containers } } } };
  }),
  editObjects("clusterroles", "calico-node", ({ rules, ...own }) => ({
    ...own,
    rules: (rules ?? []).filter(({ apiGroups }) => !apiGroups?.includes("networking.k8s.io")),
  })),
);

const withConfigContainer = clusterWith(
  releasedVariants().find(({ component, variant }) => component === "cilium-agent" && variant === "v1.17")!,
).edit(
  editObjects("daemonsets", "cilium", ({ spec, ...set }) => {
    const initContainers = [{ name: "config", image: "quay.io/cilium/cilium:v1.17.1" }];
    const template = { ...spec.template, spec: { ...spec.template.spec, initContainers } };
    return { ...set, spec: { ...spec, template } };
  }),
);

/** RKE2's: images that are called otherwise, one account for both programs, and no account for the CNI plugin. */
const CANAL = { namespace: "kube-system", name: "canal" };
const rke2Canal = canal.edit(
  addObjects("serviceaccounts", { metadata: CANAL }),
  editObjects("daemonsets", "calico-node", ({ spec, ...set }) => {
    const { containers, ...pod } = spec.template.spec;
    const renamed = containers.map((one) => ({
      ...one,
      image: "rancher/hardened-calico:v3.28.1-build20240806",
      env: [...(one.env ?? []), { name: "CALICO_CNI_SERVICE_ACCOUNT" }],
    }));
    const template = { ...spec.template, spec: { ...pod, serviceAccountName: CANAL.name, containers: renamed } };
    return { ...set, spec: { ...spec, template } };
  }),
  editObjects("clusterroles", "calico-cni-plugin", () => undefined),
  editObjects("clusterrolebindings", "calico-cni-plugin", () => undefined),
  editObjects("serviceaccounts", "calico-cni-plugin", () => undefined),
  editObjects("clusterroles", "calico-node", ({ rules, ...own }) => ({
    ...own,
    rules: (rules ?? []).map((rule) => (rule.resourceNames ? { ...rule, resourceNames: [CANAL.name] } : rule)),
  })),
  editObjects("clusterrolebindings", "calico-node", (own) => ({
    ...own,
    metadata: { name: "canal-calico" },
    subjects: [{ kind: "ServiceAccount", ...CANAL }],
  })),
);

/** As RKE2's chart names them. */
const COREDNS_OF_RKE2 = "rke2-coredns-rke2-coredns";
const rke2 = cluster().edit(
  editObjects("clusterroles", "system:coredns", (own) => ({ ...own, metadata: { name: COREDNS_OF_RKE2 } })),
  editObjects("clusterrolebindings", "system:coredns", ({ roleRef, ...own }) => ({
    ...own,
    metadata: { name: COREDNS_OF_RKE2 },
    roleRef: { ...roleRef, name: COREDNS_OF_RKE2 },
  })),
);

const rulesOf = (name: string) =>
  cluster()
    .model()
    .objects.all("clusterroles")
    .find(({ metadata }) => metadata.name === name)!.rules!;

const retyped = (name: string, change: (rule: PolicyRule) => PolicyRule) =>
  cluster().edit(editObjects("clusterroles", name, (own) => ({ ...own, rules: (own.rules ?? []).map(change) })));
const singular = (resource: string) => resource.replace(/s(?=\/|$)/, "");

/** Somebody made flannel's role collect its rules from parts. */
const PART = { "rbac.acme.example/flannel": "true" };
const collecting = cluster().edit(
  editObjects("clusterroles", "flannel", (own) => ({
    ...own,
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: PART }] },
  })),
  addObjects("clusterroles", { metadata: { name: "flannel-part", labels: PART }, rules: rulesOf("flannel") }),
);

const TOKEN = { name: "kube-api-access-x7k2p", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } };
const withToken = editPods("kube-flannel-ds", (pod) => ({ ...pod, spec: { ...pod.spec, volumes: [TOKEN] } }));
const account = (automountServiceAccountToken: boolean) =>
  editObjects("serviceaccounts", "flannel", (own) => ({ ...own, automountServiceAccountToken }));

/** A network agent that netwhy does not know, and what those who run it say of it. */
const ACME: ComponentDescription = {
  name: "acme-agent",
  image: "acme/net-agent*",
  duties: ["policy"],
  roles: [
    {
      kind: "ClusterRole",
      name: "acme-agent",
      rules: [
        {
          apiGroups: [""],
          resources: ["nodes"],
          verbs: ["list", "watch"],
          without: { en: "no tunnels to new nodes", zh: "没有到新节点的隧道", breaks: ["nodes"] },
        },
        { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["list", "watch"] },
        { apiGroups: [""], resources: ["events"], verbs: ["create"] },
      ],
    },
  ],
};

const described = (draft: Draft) => draft.set("components", { file: "acme" }, [ACME]);

const acme = cluster()
  .edit(
    described,
    edits(
      addObjects("serviceaccounts", { metadata: { name: "acme-agent", namespace: "kube-system" } }),
      addObjects("clusterroles", {
        metadata: { name: "acme-agent" },
        rules: ACME.roles[0]!.rules.map(({ without: _, ...rule }) => rule),
      }),
      addObjects("clusterrolebindings", {
        metadata: { name: "acme-agent" },
        roleRef: { kind: "ClusterRole", name: "acme-agent" },
        subjects: [{ kind: "ServiceAccount", name: "acme-agent", namespace: "kube-system" }],
      }),
    ),
  )
  .with(
    installed(
      "DaemonSet",
      workload(
        "acme-agent",
        "kube-system",
        { app: "acme-agent" },
        {
          hostNetwork: true,
          serviceAccountName: "acme-agent",
          tolerations: [{ operator: "Exists" }],
          containers: [{ name: "agent", image: "registry.acme.example/acme/net-agent-amd64:v7" }],
        },
      ),
    ),
  );

const withRules = (keep: (resource: string) => boolean) =>
  acme.with({
    do: "patch",
    target: ref("ClusterRole", "acme-agent"),
    patch: { rules: ACME.roles[0]!.rules.filter(({ resources: [first] = [] }) => first !== undefined && keep(first)) },
  });

testCheck(componentAccessDenied, {
  finds: {
    "a network agent of the users' own, which a file describes, has lost its role": {
      given: acme.with(role("acme-agent")),
      repair: "ClusterRole/acme-agent",
      says: ["acme-agent has lost its permissions", "no tunnels to new nodes"],
      breaks: ["component.permit"],
      strength: "direct",
    },
    "it lost its binding": {
      given: acme.with(binding("acme-agent")),
      repair: "ClusterRoleBinding/acme-agent",
      says: ["ServiceAccount kube-system/acme-agent"],
    },
    "it lost a rule of which the file says nothing, and which its duty needs": {
      given: withRules((resource) => resource !== "networkpolicies"),
      repair: "ClusterRole/acme-agent",
      says: ["may not list/watch networkpolicies", "policies stay as they were learned last"],
    },
    "a clean-up by label took flannel's role and its binding, and flannel was restarted on one node": {
      given: cluster().with(role("flannel"), binding("flannel"), { do: "restart", component: flannel, node: "w2" }),
      repair: "ClusterRole/flannel",
      says: [
        "flannel has lost its permissions",
        "neither ClusterRole/flannel nor a binding for ServiceAccount kube-flannel/flannel exists",
      ],
      breaks: ["component.permit"],
      strength: "direct",
    },
    "kube-proxy's role is gone and its binding left dangling": {
      given: cluster().with(role("system:node-proxier")),
      repair: "ClusterRole/system:node-proxier",
      says: ["kube-proxy has lost its permissions: ClusterRole/system:node-proxier does not exist"],
    },
    "kubeadm's binding for kube-proxy is gone, the role is there": {
      given: cluster().with(binding("kubeadm:node-proxier")),
      repair: "ClusterRoleBinding/kubeadm:node-proxier",
      says: ["no binding gives ClusterRole/system:node-proxier to ServiceAccount kube-system/kube-proxy"],
    },
    "the binding names another ServiceAccount": {
      given: cluster().with({
        do: "patch",
        target: ref("ClusterRoleBinding", "flannel"),
        patch: { subjects: [{ kind: "ServiceAccount", name: "flannel", namespace: "kube-system" }] },
      }),
      repair: "ClusterRoleBinding/flannel",
      says: ["does not name ServiceAccount kube-flannel/flannel"],
    },
    "one rule of CoreDNS' role was lost in an upgrade": {
      given: cluster().with({
        do: "patch",
        target: ref("ClusterRole", "system:coredns"),
        patch: {
          rules: [{ apiGroups: [""], resources: ["services", "pods", "namespaces"], verbs: ["list", "watch"] }],
        },
      }),
      repair: "ClusterRole/system:coredns",
      says: ["CoreDNS may not list/watch endpointslices: no rule of ClusterRole/system:coredns allows it"],
    },
    "the EndpointSlice controller lost its role": {
      given: cluster().with(role("system:controller:endpointslice-controller")),
      repair: "ClusterRole/system:controller:endpointslice-controller",
      healedBy: () => cluster(),
    },
    "a Calico of old lacks a rule, and says that it was refused": {
      given: ancientCalico.edit(
        said("calico-node", [
          'E failed to list: networkpolicies is forbidden: User "system:serviceaccount:kube-system:calico-node" cannot list resource "networkpolicies" in API group "networking.k8s.io" at the cluster scope',
        ]),
      ),
      repair: "ClusterRole/calico-node",
    },
    "flannel's ServiceAccount was deleted": {
      given: cluster().with({ do: "delete", target: ref("ServiceAccount", "flannel", "kube-flannel") }),
      repair: "ServiceAccount/kube-flannel/flannel",
      healedBy: () => cluster(),
    },
    "we may not read ClusterRoles ourselves, but flannel says what it was refused": {
      given: cluster().with(role("flannel"), { do: "restart", component: flannel, node: "w2" }).without("clusterroles"),
      repair: "ClusterRole/flannel",
      strength: "heard",
      healedBy: () => cluster(),
    },
    "the role is there and was emptied": {
      given: cluster().with({ do: "patch", target: ref("ClusterRole", "flannel"), patch: { rules: [] } }),
      repair: "ClusterRole/flannel",
      says: ["no rule of ClusterRole/flannel allows it"],
    },
    "its rules were typed in capitals": {
      given: retyped("flannel", (rule) => ({ ...rule, verbs: (rule.verbs ?? []).map((verb) => verb.toUpperCase()) })),
      repair: "ClusterRole/flannel",
      says: ["has a rule for it that does not count, because verbs are compared letter by letter", "PATCH"],
    },
    "its rules name resources in the singular": {
      given: retyped("flannel", (rule) => ({ ...rule, resources: (rule.resources ?? []).map(singular) })),
      repair: "ClusterRole/flannel",
      says: ["resources go by their plural in small letters, and it names node/status"],
    },
    "its rules have the core group's version for a group": {
      given: retyped("system:coredns", (rule) => ({
        ...rule,
        apiGroups: (rule.apiGroups ?? []).map((group) => (group === "" ? "v1" : `${group}/v1`)),
      })),
      repair: "ClusterRole/system:coredns",
      says: ['the core group is "": it has v1'],
    },
    "its rules are for one name": {
      given: retyped("system:coredns", (rule) => ({ ...rule, resourceNames: ["kube-dns"] })),
      repair: "ClusterRole/system:coredns",
      says: ["it holds for kube-dns alone (resourceNames)"],
    },
    "a RoleBinding was made in place of the ClusterRoleBinding": {
      given: cluster()
        .with(binding("flannel"))
        .edit(
          addObjects("rolebindings", {
            metadata: { name: "flannel", namespace: "kube-flannel" },
            roleRef: { kind: "ClusterRole", name: "flannel" },
            subjects: [{ kind: "ServiceAccount", name: "flannel", namespace: "kube-flannel" }],
          }),
        ),
      repair: "ClusterRoleBinding/flannel",
      says: [
        "RoleBinding/kube-flannel/flannel gives ClusterRole/flannel to ServiceAccount kube-flannel/flannel in one namespace",
      ],
    },
    "a chart was installed into another namespace than its binding names": {
      given: cluster().with({
        do: "patch",
        target: ref("ClusterRoleBinding", "flannel"),
        patch: { subjects: [{ kind: "ServiceAccount", name: "flannel", namespace: "kube-system" }] },
      }),
      repair: "ClusterRoleBinding/flannel",
      says: ["ClusterRoleBinding/flannel does not name ServiceAccount kube-flannel/flannel"],
    },
    "the binding refers to a role that never was": {
      given: cluster().with({
        do: "patch",
        target: ref("ClusterRoleBinding", "flannel"),
        patch: { roleRef: { kind: "ClusterRole", name: "flanel" } },
      }),
      repair: "ClusterRoleBinding/flannel",
      says: ["ClusterRoleBinding/flannel does not refer to ClusterRole/flannel"],
    },
    "the binding was pointed at everybody's role, and then its own was deleted": {
      given: cluster()
        .with({
          do: "patch",
          target: ref("ClusterRoleBinding", "flannel"),
          patch: { roleRef: { kind: "ClusterRole", name: "view" } },
        })
        .with(role("flannel")),
      repair: "ClusterRole/flannel",
      says: ["ClusterRole/flannel does not exist, and ClusterRoleBinding/flannel refers to ClusterRole/view"],
    },
    "a role collects its rules, and the part that holds them has lost its label": {
      given: collecting.with({
        do: "patch",
        target: ref("ClusterRole", "flannel-part"),
        patch: { metadata: { labels: null } },
      }),
      repair: "ClusterRole/flannel-part",
      says: ["no rule of ClusterRole/flannel allows it"],
    },
    "the binding of a role that its installer calls otherwise is gone": {
      given: rke2.with(binding(COREDNS_OF_RKE2)),
      repair: `ClusterRoleBinding/${COREDNS_OF_RKE2}`,
      says: [`no binding gives ClusterRole/${COREDNS_OF_RKE2} to ServiceAccount kube-system/coredns`],
    },
    "the role that its installer calls otherwise is gone": {
      given: rke2.with(role(COREDNS_OF_RKE2)),
      repair: `ClusterRole/${COREDNS_OF_RKE2}`,
      says: [`ClusterRole/${COREDNS_OF_RKE2} does not exist`],
      healedBy: () => rke2,
    },
    "the part is gone that the role collected its rules from": {
      given: collecting.with(role("flannel-part")),
      repair: "ClusterRole/flannel",
      says: ["no rule of ClusterRole/flannel allows it"],
    },
    "Canal has lost the role of its policies": {
      given: canal.with(role("calico-node")),
      repair: "ClusterRole/calico-node",
      says: ["Felix never gets in sync after a restart"],
    },
    "RKE2's Canal has lost it": {
      given: rke2Canal.with(role("calico-node")),
      repair: "ClusterRole/calico-node",
      says: ["calico-node has lost its permissions: ClusterRole/calico-node does not exist"],
    },
    "the Role is gone with its binding by which Cilium's init container reads its configuration": {
      given: withConfigContainer.with(
        { do: "delete", target: ref("Role", "cilium-config-agent", "kube-system") },
        { do: "delete", target: ref("RoleBinding", "cilium-config-agent", "kube-system") },
      ),
      repair: "Role/kube-system/cilium-config-agent",
      says: ["its init container cannot read cilium-config"],
      breaks: ["component.permit"],
    },
    "the account of flannel was hardened: its next Pods get no token": {
      given: cluster().edit(withToken, account(false)),
      repair: "ServiceAccount/kube-flannel/flannel",
      says: ["flannel's next Pods get no token"],
      breaks: ["component.restart"],
      strength: "direct",
    },
    "they were made without a token, and fail": {
      given: cluster().edit(account(false), editPods("kube-flannel-ds", crashing(4), "w1")),
      repair: "ServiceAccount/kube-flannel/flannel",
      breaks: ["component.restart", "component.run"],
    },
    "the account whose token Calico's CNI plugin uses is gone": {
      given: calico.with({ do: "delete", target: ref("ServiceAccount", "calico-cni-plugin", "kube-system") }),
      repair: "ServiceAccount/kube-system/calico-cni-plugin",
      says: ["calico-node works by ServiceAccount kube-system/calico-cni-plugin as well, which does not exist"],
      breaks: ["component.permit"],
      strength: "direct",
    },
  },
  warns: {
    "a Calico of old lacks a rule that all later releases have, and was refused nothing": {
      given: ancientCalico,
      repair: "ClusterRole/calico-node",
      says: ["networkpolicies"],
    },
    "flannel may not get its node, as in Canal: it lists and watches it": {
      given: cluster().with({
        do: "patch",
        target: ref("ClusterRole", "flannel"),
        patch: {
          rules: rulesOf("flannel").map((one) =>
            one.resources?.[0] === "nodes" ? { ...one, verbs: ["list", "watch"] } : one,
          ),
        },
      }),
      repair: "ClusterRole/flannel",
      says: ["may not get nodes", "another MAC address"],
    },
    "the agent may no longer do what nothing is said to follow from": {
      given: withRules((resource) => resource !== "events"),
      repair: "ClusterRole/acme-agent",
      says: ["may not create events", "what it needs this for is not described"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "an agent that a file describes has what it needs": acme,
    "CoreDNS as RKE2 names it": rke2,
    "Canal's roles allow less than Calico's, and it needs no more": canal,
    "RKE2's Canal, which calls everything otherwise": rke2Canal,
    "a role that collects its rules": collecting,
    "no token is mounted, and its Pods work all the same: they log in by other means": cluster().edit(account(false)),
    "k3s, where agents have no accounts": cluster({ flavour: "k3s" }),
    "Roles were not collected, and nothing that matters is in them": cluster().without("roles").without("rolebindings"),
    "somebody runs a CoreDNS for names of their own": cluster().edit((draft) => {
      const containers = [{ name: "dns", image: "registry.k8s.io/coredns/coredns:v1.12.0" }];
      draft.setList("deployments", [
        ...draft.list("deployments"),
        workload("names", "tools", { app: "names" }, { containers }, 0),
      ]);
    }),
  },
  remembers: {
    "flannel was refused this morning, and may again": cluster().edit(said("kube-flannel-ds", [REFUSED], ago(20_000))),
    "all were refused while the API server started": cluster().edit(
      editPods("kube-apiserver", ready(ago(60), { state: { running: { startedAt: ago(60) } } })),
      said("kube-flannel-ds", [REFUSED], ago(50)),
    ),
  },
  cannotTell: {
    "component.permit": {
      "we may not read ClusterRoles ourselves": cluster().without("clusterroles"),
      "nor bindings": cluster().without("clusterrolebindings"),
      "nor those of an agent that a file describes": acme.with(role("acme-agent")).without("clusterroles"),
    },
  },
});
