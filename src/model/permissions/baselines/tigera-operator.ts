/**
 * The operator that installs Calico and makes its objects again. Its own role nobody makes again.
 *
 * Source: projectcalico/calico manifests/tigera-operator.yaml (v3.28, v3.30, v3.32). That these are the operator's releases
 * 1.34, 1.38 and 1.42 is from memory: nothing that we keep of the manifests holds their images.
 */
import { type Baseline, bound, clusterRole, may, ofGroup, releases, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/tigera-operator", {
  unmade: {
    en: "it makes nothing any more: what is deleted or changed of Calico stays so",
    zh: "不再生成任何对象：Calico 被删除或改动的部分不会恢复",
    breaks: ["start"],
  },
  partly: {
    en: "what it manages with it is neither made nor corrected; what runs of Calico runs on",
    zh: "相应对象不再生成或纠正，正在运行的 Calico 不受影响",
  },
});

/** What Calico keeps, in its own API and, but for one name, in the cluster's. */
const KEPT = `
  bgpconfigurations bgpfilters bgppeers blockaffinities caliconodestatuses clusterinformations
  felixconfigurations globalnetworkpolicies stagedglobalnetworkpolicies globalnetworksets hostendpoints
  ipamblocks ipamhandles ippools ipreservations kubecontrollersconfigurations networkpolicies
  stagednetworkpolicies stagedkubernetesnetworkpolicies networksets tiers`;

const OF_OPERATOR = `
  apiservers gatewayapis imagesets installations tigerastatuses whiskers goldmanes
  managementclusterconnections`;

/** Of the Gateway API, and of Envoy Gateway. */
const OF_GATEWAYS = `
  backendlbpolicies.gateway.networking.k8s.io backendtlspolicies.gateway.networking.k8s.io
  gatewayclasses.gateway.networking.k8s.io gateways.gateway.networking.k8s.io
  grpcroutes.gateway.networking.k8s.io httproutes.gateway.networking.k8s.io
  referencegrants.gateway.networking.k8s.io tcproutes.gateway.networking.k8s.io
  tlsroutes.gateway.networking.k8s.io udproutes.gateway.networking.k8s.io
  xbackendtrafficpolicies.gateway.networking.x-k8s.io backends.gateway.envoyproxy.io
  backendtrafficpolicies.gateway.envoyproxy.io clienttrafficpolicies.gateway.envoyproxy.io
  envoyextensionpolicies.gateway.envoyproxy.io envoypatchpolicies.gateway.envoyproxy.io
  envoyproxies.gateway.envoyproxy.io httproutefilters.gateway.envoyproxy.io
  securitypolicies.gateway.envoyproxy.io`;

export const TIGERA_OPERATOR: Baseline = {
  id: "tigera-operator",
  releasesOf: "image",
  variants: releases("1.34 1.38 1.42"),
  grants: [
    clusterRole("tigera-operator", {
      rules: [
        may("get list watch create", "customresourcedefinitions", { in: "apiextensions.k8s.io", for: "v1.38.." }),
        may("update", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: ofGroup(`${KEPT} ipamconfigs`, "crd.projectcalico.org"),
          for: "v1.42",
        }),
        may("update", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: ofGroup(`${KEPT} ipamconfigurations`, "projectcalico.org"),
          for: "v1.42",
        }),
        may("update", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: ofGroup(`${OF_OPERATOR} istios`, "operator.tigera.io"),
          for: "v1.42",
        }),
        may("update delete", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: "clusternetworkpolicies.policy.networking.k8s.io",
          for: "v1.42",
        }),
        may(
          "get list watch create update delete",
          "configmaps endpoints events namespaces pods podtemplates serviceaccounts services",
          { for: "v1.38.." },
        ),
        may("get list watch", "resourcequotas secrets", { for: "v1.38.." }),
        may("get list watch create update delete", "resourcequotas", {
          named: "calico-critical-pods tigera-critical-pods",
        }),
        may("get list watch patch", "nodes"),
        may("create", "tokenreviews", { in: "authentication.k8s.io", for: "v1.38.." }),
        may(
          "get list watch create update delete bind escalate",
          "clusterrolebindings clusterroles rolebindings roles",
          { in: "rbac.authorization.k8s.io" },
        ),
        may("get list watch create update patch delete", "daemonsets deployments statefulsets", { in: "apps" }),
        may("update", "deployments/finalizers", { in: "apps", named: "tigera-operator" }),
        may(
          "get list watch update patch",
          `
          apiservers apiservers/finalizers apiservers/status gatewayapis gatewayapis/finalizers goldmanes
          goldmanes/finalizers goldmanes/status imagesets installations installations/finalizers
          installations/status istios istios/finalizers istios/status managementclusterconnections
          managementclusterconnections/finalizers managementclusterconnections/status tigerastatuses
          tigerastatuses/finalizers tigerastatuses/status whiskers whiskers/finalizers whiskers/status`,
          { in: "operator.tigera.io", for: "v1.42" },
        ),
        may("create delete", "tigerastatuses", { in: "operator.tigera.io" }),
        may("delete", "apiservers goldmanes installations whiskers", { in: "operator.tigera.io", for: "v1.38.." }),
        may("get list watch create update delete", "networkpolicies", { in: "networking.k8s.io" }),
        may("get list watch create patch", "bgpconfigurations felixconfigurations ippools", {
          in: "crd.projectcalico.org projectcalico.org",
          for: "v1.42",
        }),
        may("get list watch", "bgpconfigurations clusterinformations kubecontrollersconfigurations", {
          in: "crd.projectcalico.org projectcalico.org",
          for: "v1.42",
        }),
        may("get list watch create update patch delete", "ippools", { in: "projectcalico.org" }),
        may("get list watch", "clusterinformations ipamconfigurations", { in: "projectcalico.org", for: "v1.42" }),
        may("get list watch create update delete", "priorityclasses", { in: "scheduling.k8s.io" }),
        may("get list watch create update delete", "poddisruptionbudgets", { in: "policy" }),
        may("list watch create update delete", "apiservices", { in: "apiregistration.k8s.io", for: "v1.42" }),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io", for: "v1.42" }),
        may("get list watch create delete", "mutatingwebhookconfigurations validatingwebhookconfigurations", {
          in: "admissionregistration.k8s.io",
          for: "v1.42",
        }),
        may("update", "mutatingwebhookconfigurations", {
          in: "admissionregistration.k8s.io",
          named: "envoy-gateway-topology-injector.tigera-gateway",
          for: "v1.38..",
        }),
        may("update", "validatingwebhookconfigurations", {
          in: "admissionregistration.k8s.io",
          named: "istiod-default-validator istio-validator-calico-system",
          for: "v1.42",
        }),
        may("get list watch create update delete", "validatingadmissionpolicies validatingadmissionpolicybindings", {
          in: "admissionregistration.k8s.io",
          for: "v1.42",
        }),
        may("get list watch create update delete", "leases", { in: "coordination.k8s.io" }),
        may("get list watch create update delete", "csidrivers", { in: "storage.k8s.io" }),
        may("list watch", "certificatesigningrequests", { in: "certificates.k8s.io" }),
        may("get list watch create update delete", "validatingwebhookconfigurations", {
          in: "admissionregistration.k8s.io",
          for: "v1.42",
        }),
        may("get list watch create update delete", "mutatingadmissionpolicies mutatingadmissionpolicybindings", {
          in: "admissionregistration.k8s.io",
          for: "v1.42",
        }),
        may("use", "podsecuritypolicies", { in: "policy", named: "tigera-operator" }),
        may("get list watch create update delete", "podsecuritypolicies", { in: "policy" }),
        may("get list watch create update patch delete", "globalnetworkpolicies networkpolicies networksets", {
          in: "projectcalico.org",
          for: "v1.42",
        }),
        may("get list watch create update delete", "tier.globalnetworkpolicies tier.networkpolicies", {
          in: "projectcalico.org",
          named: "calico-system.*",
          for: "v1.42",
        }),
        may("get list watch", "tier.globalnetworkpolicies tier.networkpolicies", {
          in: "projectcalico.org",
          for: "v1.42",
        }),
        may("get update delete", "tiers", { in: "projectcalico.org", named: "calico-system", for: "v1.42" }),
        may("get list watch create", "tiers", { in: "projectcalico.org", for: "v1.42" }),
        may("update", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: `${OF_GATEWAYS} xmeshes.gateway.networking.x-k8s.io listenersets.gateway.networking.k8s.io`,
          for: "v1.42",
        }),
        may("get list watch create update delete", "gatewayclasses", {
          in: "gateway.networking.k8s.io",
          for: "v1.38..",
        }),
        may("get list watch create update delete", "envoyproxies", { in: "gateway.envoyproxy.io", for: "v1.38.." }),
        may("list watch create", "jobs", { in: "batch", for: "v1.38.." }),
        may("update", "jobs", { in: "batch", named: "tigera-gateway-api-gateway-helm-certgen", for: "v1.38.." }),
        may("get list watch", "virtualmachineinstancemigrations", { in: "kubevirt.io", for: "v1.42" }),
        may("get list watch create", "horizontalpodautoscalers", { in: "autoscaling", for: "v1.42" }),
        may("update", "horizontalpodautoscalers", { in: "autoscaling", named: "istiod", for: "v1.42" }),
        may("get list watch", "datastoremigrations", { in: "migration.projectcalico.org", for: "v1.42" }),
        may("update", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: `${ofGroup(OF_OPERATOR, "operator.tigera.io")} ${ofGroup(`${KEPT} ipamconfigs`, "crd.projectcalico.org")}`,
          for: "v1.38",
        }),
        may("update delete", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: `
          adminnetworkpolicies.policy.networking.k8s.io baselineadminnetworkpolicies.policy.networking.k8s.io`,
          for: "v1.38",
        }),
        may(
          "get list watch update patch",
          `
          apiservers apiservers/finalizers apiservers/status gatewayapis gatewayapis/finalizers
          gatewayapis/status goldmanes goldmanes/finalizers goldmanes/status imagesets installations
          installations/finalizers installations/status managementclusterconnections
          managementclusterconnections/finalizers managementclusterconnections/status tigerastatuses
          tigerastatuses/finalizers tigerastatuses/status whiskers whiskers/finalizers whiskers/status`,
          { in: "operator.tigera.io", for: "v1.38" },
        ),
        may("get list watch create patch", "felixconfigurations ippools", {
          in: "crd.projectcalico.org",
          for: "..v1.38",
        }),
        may("get list watch", "bgpconfigurations clusterinformations kubecontrollersconfigurations", {
          in: "crd.projectcalico.org",
          for: "v1.38",
        }),
        may("get list watch", "ipamconfigurations", { in: "projectcalico.org", for: "..v1.38" }),
        may("list watch create update", "apiservices", { in: "apiregistration.k8s.io", for: "..v1.38" }),
        may("get list watch create delete", "mutatingwebhookconfigurations", {
          in: "admissionregistration.k8s.io",
          for: "v1.38",
        }),
        may("get list watch create update delete", "tier.globalnetworkpolicies tier.networkpolicies", {
          in: "projectcalico.org",
          named: "allow-tigera.*",
          for: "v1.38",
        }),
        may("get update delete", "tiers", { in: "projectcalico.org", named: "allow-tigera", for: "v1.38" }),
        may("list watch create", "tiers", { in: "projectcalico.org", for: "v1.38" }),
        may("update", "customresourcedefinitions", {
          in: "apiextensions.k8s.io",
          named: `${OF_GATEWAYS} xlistenersets.gateway.networking.x-k8s.io`,
          for: "v1.38",
        }),
        may(
          "get list watch create update delete",
          "configmaps endpoints events namespaces pods podtemplates secrets serviceaccounts services",
          { for: "v1.34" },
        ),
        may("get list watch", "resourcequotas", { for: "v1.34" }),
        may(
          "get list watch update patch",
          `
          apiservers apiservers/finalizers apiservers/status imagesets installations installations/finalizers
          installations/status tigerastatuses tigerastatuses/finalizers tigerastatuses/status`,
          { in: "operator.tigera.io", for: "v1.34" },
        ),
        may("delete", "apiservers installations", { in: "operator.tigera.io", for: "v1.34" }),
        may("get list watch", "bgpconfigurations kubecontrollersconfigurations", {
          in: "crd.projectcalico.org",
          for: "v1.34",
        }),
      ],
      to: [bound("tigera-operator", "tigera-operator/tigera-operator")],
    }),
    clusterRole("tigera-operator-secrets", {
      for: "v1.38..",
      rules: [may("create update delete", "secrets")],
      to: [bound("tigera-operator-secrets", "tigera-operator/tigera-operator", { in: "tigera-operator" })],
    }),
  ],
  losses: [
    without("*", "leases", LOSS.leaderLess),
    without(
      "*",
      "daemonsets deployments clusterroles clusterrolebindings roles rolebindings serviceaccounts",
      OWN.unmade,
    ),
    without("get list watch", "installations installations/status tigerastatuses", OWN.unmade),
    without("*", "*", OWN.partly),
  ],
};
