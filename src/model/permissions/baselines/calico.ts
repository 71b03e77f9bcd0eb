/**
 * Calico by its manifest, with Kubernetes as datastore. The operator makes roles of the same names, and makes them again.
 *
 * Source: projectcalico/calico manifests/calico.yaml of each release.
 */
import { type Baseline, bound, clusterRole, may, releases, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/calico", {
  pluginRefused: {
    en: "the CNI plugin is refused: new Pods get no network",
    zh: "CNI 插件被拒绝：新建 Pod 无法接入网络",
    breaks: ["pods"],
  },
  tiersUnread: {
    en: "kube-controller-manager does not collect Calico's policies as garbage",
    zh: "kube-controller-manager 无法回收 Calico 的网络策略",
  },
  tokenStale: {
    en: "the CNI plugin's token is not renewed: within a day new Pods get no network (Unauthorized)",
    zh: "CNI 插件的令牌不再续期：一天之内，新建 Pod 会因 Unauthorized 无法接入网络",
    breaks: ["pods"],
  },
  tunnelWithoutAddress: {
    en: "nodes that join get no address for their tunnel, and their Pods no block",
    zh: "新节点的隧道分配不到地址，其 Pod 也分配不到地址块",
    breaks: ["nodes", "start"],
  },
  blocksFreeze: {
    en: "routes to other nodes' address blocks stay as they are",
    zh: "通往其他节点地址块的路由停留在原样",
    breaks: ["nodes"],
  },
  felixOutOfSync: {
    en: "Felix never gets in sync after a restart: routes and policies stay as they are, and the Pod does not become ready",
    zh: "重启后 Felix 无法完成同步：路由和策略停留在原样，Pod 无法就绪",
    breaks: ["nodes", "policies", "start"],
  },
  peersFreeze: {
    en: "BGP peers stay as they are",
    zh: "BGP 对等体停留在原样",
    breaks: ["nodes"],
  },
  accountRules: {
    en: "policies that select by ServiceAccount stay as they were learned last",
    zh: "按 ServiceAccount 选择的策略停留在最后一次获知的状态",
  },
  addressesLeak: {
    en: "addresses of nodes that are gone are not freed",
    zh: "已删除节点占用的地址不会释放",
  },
});

/** In Canal flannel connects the Pods, and elsewhere a cloud: Calico enforces policies and gives no addresses. */
const POLICIES_ONLY = { unlessEnv: "CALICO_NETWORKING_BACKEND=none" };

const RELEASES = releases("3.24 3.26 3.28 3.30 3.31 3.32");

export const CALICO_NODE: Baseline = {
  id: "calico-node",
  releasesOf: "image",
  variants: RELEASES,
  grants: [
    clusterRole("calico-node", {
      rules: [
        may("create", "serviceaccounts/token", { named: "calico-cni-plugin", for: "v3.26.." }),
        may("get", "namespaces nodes pods"),
        may("list watch", "endpointslices", { in: "discovery.k8s.io" }),
        may("get list watch", "endpoints services"),
        may("get", "configmaps"),
        may("update patch", "nodes/status"),
        may("list watch", "networkpolicies", { in: "networking.k8s.io" }),
        may("list watch", "clusternetworkpolicies", { in: "policy.networking.k8s.io", for: "v3.32" }),
        may("list watch", "namespaces pods serviceaccounts"),
        may("patch", "pods/status"),
        may(
          "get list watch",
          `
          bgpconfigurations bgpfilters bgppeers blockaffinities caliconodestatuses clusterinformations
          felixconfigurations globalbgpconfigs globalfelixconfigs globalnetworkpolicies globalnetworksets
          hostendpoints ipamblocks ippools ipreservations networkpolicies networksets
          stagedglobalnetworkpolicies stagedkubernetesnetworkpolicies stagednetworkpolicies tiers`,
          { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" },
        ),
        may("create", "tiers", { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" }),
        may("create update", "bgpconfigurations clusterinformations felixconfigurations ippools", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may("update", "caliconodestatuses", { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" }),
        may("get list watch", "nodes"),
        may("create update", "bgpconfigurations bgppeers", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may("get list create update delete", "blockaffinities ipamblocks ipamhandles", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may("get create", "ipamconfigs ipamconfigurations", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may("watch", "blockaffinities", { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" }),
        may("get", "daemonsets", { in: "apps" }),
        may("get list watch", "virtualmachineinstancemigrations", { in: "kubevirt.io", for: "v3.32" }),
        may("list watch", "adminnetworkpolicies baselineadminnetworkpolicies", {
          in: "policy.networking.k8s.io",
          for: "v3.30 v3.31",
        }),
        may(
          "get list watch",
          `
          bgpconfigurations bgpfilters bgppeers blockaffinities caliconodestatuses clusterinformations
          felixconfigurations globalbgpconfigs globalfelixconfigs globalnetworkpolicies globalnetworksets
          hostendpoints ipamblocks ippools ipreservations networkpolicies networksets
          stagedglobalnetworkpolicies stagedkubernetesnetworkpolicies stagednetworkpolicies tiers`,
          { in: "crd.projectcalico.org", for: "v3.30 v3.31" },
        ),
        may("create", "tiers", { in: "crd.projectcalico.org", for: "v3.30 v3.31" }),
        may("create update", "clusterinformations felixconfigurations ippools", {
          in: "crd.projectcalico.org",
          for: "..v3.31",
        }),
        may("update", "caliconodestatuses", { in: "crd.projectcalico.org", for: "..v3.31" }),
        may("create update", "bgpconfigurations bgppeers", { in: "crd.projectcalico.org", for: "..v3.31" }),
        may("get list create update delete", "blockaffinities ipamblocks ipamhandles", {
          in: "crd.projectcalico.org",
          for: "..v3.31",
        }),
        may("get create", "ipamconfigs", { in: "crd.projectcalico.org", for: "..v3.31" }),
        may("watch", "blockaffinities", { in: "crd.projectcalico.org", for: "..v3.31" }),
        may(
          "get list watch",
          `
          bgpconfigurations bgpfilters bgppeers blockaffinities caliconodestatuses clusterinformations
          felixconfigurations globalbgpconfigs globalfelixconfigs globalnetworkpolicies globalnetworksets
          hostendpoints ipamblocks ippools ipreservations networkpolicies networksets`,
          { in: "crd.projectcalico.org", for: "v3.26 v3.28" },
        ),
        may("create", "serviceaccounts/token", { named: "calico-node", for: "v3.24" }),
        may(
          "get list watch",
          `
          bgpconfigurations bgppeers blockaffinities caliconodestatuses clusterinformations
          felixconfigurations globalbgpconfigs globalfelixconfigs globalnetworkpolicies globalnetworksets
          hostendpoints ipamblocks ippools ipreservations networkpolicies networksets`,
          { in: "crd.projectcalico.org", for: "v3.24" },
        ),
      ],
      to: [bound("calico-node", "kube-system/calico-node")],
    }),
    clusterRole("calico-cni-plugin", {
      for: "v3.26..",
      rules: [
        may("get", "namespaces nodes pods"),
        may("patch", "pods/status"),
        may(
          "get list create update delete",
          `
          blockaffinities clusterinformations ipamblocks ipamconfigs ipamconfigurations ipamhandles ippools
          ipreservations`,
          { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" },
        ),
        may("get", "virtualmachineinstances virtualmachines", { in: "kubevirt.io", for: "v3.32" }),
        may(
          "get list create update delete",
          `
          blockaffinities clusterinformations ipamblocks ipamconfigs ipamhandles ippools ipreservations`,
          { in: "crd.projectcalico.org", for: "v3.26..v3.31" },
        ),
      ],
      to: [bound("calico-cni-plugin", "kube-system/calico-cni-plugin")],
    }),
    clusterRole("calico-tier-getter", {
      for: "v3.30..",
      rules: [may("get", "tiers", { in: "projectcalico.org" })],
      to: [bound("calico-tier-getter", "user:system:kube-controller-manager")],
    }),
  ],
  losses: [
    // where Calico only enforces policies, the plugin uses another account, or another plugin is used
    without("*", "*", OWN.pluginRefused, { of: "calico-cni-plugin", ...POLICIES_ONLY }),
    without("*", "*", LOSS.optionsOnly, { of: "calico-cni-plugin" }),
    without("*", "*", OWN.tiersUnread, { of: "calico-tier-getter" }),
    without("get list watch", "felixconfigurations ippools clusterinformations", OWN.felixOutOfSync),
    // with this, the plugin has the token of another account, and the rule another name
    without("create", "serviceaccounts/token", OWN.tokenStale, { unlessEnv: "CALICO_CNI_SERVICE_ACCOUNT" }),
    without("*", "nodes/status", LOSS.taintStays),
    without("create delete update", "blockaffinities ipamblocks ipamhandles", OWN.tunnelWithoutAddress, POLICIES_ONLY),
    without("get list watch", "blockaffinities ipamblocks", OWN.blocksFreeze, POLICIES_ONLY),
    without("get list watch", "nodes", LOSS.nodesFreeze),
    without("list watch", "pods namespaces networkpolicies", LOSS.policiesFreeze),
    without("list watch", "globalnetworkpolicies networksets globalnetworksets tiers", LOSS.policiesFreeze),
    without("list watch", "bgpconfigurations bgppeers bgpfilters", OWN.peersFreeze),
    without("list watch", "serviceaccounts", OWN.accountRules),
    without("*", "pods/status", LOSS.stateUnwritten),
    without("update", "caliconodestatuses", LOSS.stateUnwritten),
    without("*", "*", LOSS.optionsOnly),
  ],
};
export const CALICO_KUBE_CONTROLLERS: Baseline = {
  id: "calico-kube-controllers",
  releasesOf: "image",
  variants: RELEASES,
  grants: [
    clusterRole("calico-kube-controllers", {
      rules: [
        may("get list watch", "nodes"),
        may("get list watch", "pods"),
        may("get list watch", "namespaces", { for: "v3.31.." }),
        may("get list watch update", "services services/status", { for: "v3.30.." }),
        may("list", "ipreservations", { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" }),
        may(
          "get list watch create update delete",
          "blockaffinities ipamblocks ipamconfigs ipamconfigurations ipamhandles tiers",
          { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" },
        ),
        may("list watch", "ippools", { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" }),
        may("get list watch create update delete", "hostendpoints", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may("get list watch create update", "clusterinformations", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may("get list watch create update", "kubecontrollersconfigurations", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may("get update", "kubecontrollersconfigurations/status", {
          in: "projectcalico.org crd.projectcalico.org",
          for: "v3.32",
        }),
        may(
          "get list watch create update delete",
          "globalnetworkpolicies networkpolicies stagedglobalnetworkpolicies stagednetworkpolicies",
          { in: "projectcalico.org crd.projectcalico.org", for: "v3.32" },
        ),
        may("get list watch", "daemonsets deployments", { in: "apps", for: "v3.32" }),
        may("get list watch create update patch", "datastoremigrations datastoremigrations/status", {
          in: "migration.projectcalico.org",
          for: "v3.32",
        }),
        may("get list watch delete", "customresourcedefinitions", { in: "apiextensions.k8s.io", for: "v3.32" }),
        may("get list watch create delete", "apiservices", { in: "apiregistration.k8s.io", for: "v3.32" }),
        may("get list watch create update patch delete", "*", { in: "projectcalico.org", for: "v3.32" }),
        may("get list watch", "*", { in: "crd.projectcalico.org", for: "v3.32" }),
        may("get list watch", "virtualmachineinstances virtualmachines", { in: "kubevirt.io", for: "v3.32" }),
        may("list", "ipreservations", { in: "crd.projectcalico.org", for: "..v3.31" }),
        may("get list watch create update delete", "blockaffinities ipamblocks ipamconfigs ipamhandles tiers", {
          in: "crd.projectcalico.org",
          for: "v3.30 v3.31",
        }),
        may("list watch", "ippools", { in: "crd.projectcalico.org", for: "..v3.31" }),
        may("get list watch create update delete", "hostendpoints", {
          in: "crd.projectcalico.org",
          for: "v3.30 v3.31",
        }),
        may("get list watch create update", "clusterinformations", { in: "crd.projectcalico.org", for: "..v3.31" }),
        may("get list watch create update", "kubecontrollersconfigurations", {
          in: "crd.projectcalico.org",
          for: "v3.28..v3.31",
        }),
        may("get list watch create update delete", "blockaffinities ipamblocks ipamhandles", {
          in: "crd.projectcalico.org",
          for: "..v3.28",
        }),
        may("get list create update delete", "hostendpoints", { in: "crd.projectcalico.org", for: "..v3.28" }),
        may("get watch create update", "kubecontrollersconfigurations", {
          in: "crd.projectcalico.org",
          for: "..v3.26",
        }),
      ],
      to: [bound("calico-kube-controllers", "kube-system/calico-kube-controllers")],
    }),
  ],
  losses: [
    without("list watch", "nodes", OWN.addressesLeak),
    without("*", "ipamblocks blockaffinities ipamhandles", OWN.addressesLeak),
    without("*", "*", LOSS.optionsOnly),
  ],
};
