/**
 * Antrea: the agent with its diagnostic tool, and the controller.
 *
 * Source: antrea-io/antrea build/yamls/antrea.yml of v2.4.5 and v2.7.0.
 */
import { type Baseline, bound, clusterRole, may, releases, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/antrea", {
  authorityUnknown: {
    en: "it does not learn the certificate of its controller: after a change it is refused there, and policies stay as they are",
    zh: "获知不了控制器的证书：证书变更后无法连接控制器，策略停留在原样",
    breaks: ["policies"],
  },
  policiesUnknown: {
    en: "no policies are computed any more: agents keep what they were told last",
    zh: "不再计算网络策略，agent 保持最后一次收到的内容",
    breaks: ["policies"],
  },
  agentsRefused: {
    en: "it cannot tell who asks: agents get no policies from it",
    zh: "无法核实访问者身份，agent 得不到策略",
    breaks: ["policies"],
  },
  certificateUnpublished: {
    en: "its certificate is not published when it changes: agents and the API server refuse to talk to it",
    zh: "证书变更后无法发布，agent 和 API Server 会拒绝与其通信",
    breaks: ["policies"],
  },
});

const RELEASES = releases("2.4 2.7");

export const ANTREA_AGENT: Baseline = {
  id: "antrea-agent",
  releasesOf: "image",
  variants: RELEASES,
  grants: [
    clusterRole("antrea-agent", {
      rules: [
        may("create", "nodelatencystats", { in: "stats.antrea.io" }),
        may("get list watch", "nodes"),
        may("patch", "nodes/status"),
        may("get list watch", "pods"),
        may("update patch", "pods/status"),
        may("get list watch", "endpoints namespaces services"),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io" }),
        may("get update", "antreaagentinfos", { in: "crd.antrea.io" }),
        may("get list watch", "addressgroups appliedtogroups networkpolicies", { in: "controlplane.antrea.io" }),
        may("get list watch", "egressgroups", { in: "controlplane.antrea.io" }),
        may("create", "nodestatssummaries", { in: "controlplane.antrea.io" }),
        may("get create", "networkpolicies/status", { in: "controlplane.antrea.io" }),
        may("get list watch", "supportbundlecollections", { in: "controlplane.antrea.io" }),
        may("create", "supportbundlecollections/status", { in: "controlplane.antrea.io" }),
        may("create", "tokenreviews", { in: "authentication.k8s.io" }),
        may("create", "subjectaccessreviews", { in: "authorization.k8s.io" }),
        may("get list watch", "configmaps", { named: "extension-apiserver-authentication" }),
        may("get list watch", "configmaps", { named: "antrea-ca" }),
        may("get list watch create update patch delete", "traceflows traceflows/status", { in: "crd.antrea.io" }),
        may("get list watch", "packetcaptures", { in: "crd.antrea.io" }),
        may("update", "packetcaptures/status", { in: "crd.antrea.io" }),
        may("get list watch", "egresses", { in: "crd.antrea.io" }),
        may("update", "egresses/status", { in: "crd.antrea.io" }),
        may("get list watch", "bgppolicies externalippools ippools nodelatencymonitors trafficcontrols", {
          in: "crd.antrea.io",
        }),
        may("update", "ippools/status", { in: "crd.antrea.io" }),
        may("get list watch", "flowexporterdestinations", { in: "crd.antrea.io", for: "v2.7" }),
        may("get list watch", "network-attachment-definitions", { in: "k8s.cni.cncf.io" }),
        may("get list watch create", "certificatesigningrequests", { in: "certificates.k8s.io" }),
        may("get list watch patch", "gateways", { in: "multicluster.crd.antrea.io" }),
        may("get list watch", "clusterinfoimports labelidentities", { in: "multicluster.crd.antrea.io" }),
        may("get list watch", "secrets", {
          named: "antrea-bgp-passwords antrea-packetcapture-fileserver-auth antrea-memberlist-keys",
          for: "v2.7",
        }),
        may("create update patch", "events", { in: "events.k8s.io", for: "v2.7" }),
        may("get list watch", "antreanodeconfigs", { in: "crd.antrea.io", for: "v2.7" }),
        may("create update patch", "events", { for: "v2.4" }),
        may("get list watch", "secrets", {
          named: "antrea-bgp-passwords antrea-packetcapture-fileserver-auth",
          for: "v2.4",
        }),
      ],
      to: [bound("antrea-agent", "kube-system/antrea-agent")],
    }),
    clusterRole("antctl", {
      rules: [
        may("get list", "addressgroups appliedtogroups networkpolicies", { in: "controlplane.antrea.io" }),
        may("create", "networkpolicyevaluation", { in: "controlplane.antrea.io" }),
        may("get list", "antreaclusternetworkpolicystats antreanetworkpolicystats networkpolicystats", {
          in: "stats.antrea.io",
        }),
        may("get", "controllerinfos", { in: "system.antrea.io" }),
        may("get create", "supportbundles", { in: "system.antrea.io" }),
        may("get", "supportbundles/download", { in: "system.antrea.io" }),
        may(
          "get",
          `
          /addressgroups /agentinfo /appliedtogroups /bgppeers /bgppolicy /bgproutes /debug/pprof
          /debug/pprof/* /featuregates /fqdncache /loglevel /memberlist /metrics /networkpolicies /ovsflows
          /ovstracing /podinterfaces /podmulticaststats /serviceexternalip`,
          { for: "v2.7" },
        ),
        may("get list", "antreaagentinfos antreacontrollerinfos", { in: "crd.antrea.io" }),
        may("list", "pods"),
        may("get list", "nodes"),
        may("list", "daemonsets deployments replicasets", { in: "apps" }),
        may("get", "configmaps", { named: "antrea-config antrea-ca antrea-ipsec-ca antrea-cluster-identity" }),
        may(
          "get",
          `
          /addressgroups /agentinfo /appliedtogroups /debug/pprof /debug/pprof/* /featuregates /loglevel
          /metrics /networkpolicies /ovsflows /ovstracing /podinterfaces /serviceexternalip`,
          { for: "v2.4" },
        ),
      ],
      to: [bound("antctl", "kube-system/antctl")],
    }),
    clusterRole("antrea-cluster-identity-reader", {
      rules: [may("get", "configmaps", { named: "antrea-cluster-identity" })],
      to: [],
    }),
  ],
  losses: [
    without("*", "*", LOSS.toolsOnly, { of: "antctl antrea-cluster-identity-reader" }),
    without("get list watch", "nodes", LOSS.nodesFreeze),
    without("list watch", "networkpolicies appliedtogroups addressgroups", LOSS.policiesFreeze),
    without("list watch", "services endpointslices", LOSS.servicesFreeze),
    without("*", "events", LOSS.eventsLost),
    without("*", "tokenreviews subjectaccessreviews", LOSS.metricsClosed),
    without("*", "nodes/status pods/status antreaagentinfos networkpolicies/status", LOSS.stateUnwritten),
    without("*", "configmaps", OWN.authorityUnknown),
    without("*", "endpoints", LOSS.otherReleases),
    without("*", "*", LOSS.optionsOnly),
  ],
};
export const ANTREA_CONTROLLER: Baseline = {
  id: "antrea-controller",
  releasesOf: "image",
  variants: RELEASES,
  grants: [
    clusterRole("antrea-controller", {
      rules: [
        may("get list watch", "configmaps namespaces pods services"),
        may("get list watch patch", "nodes"),
        may("update", "services/status"),
        may("get list watch", "networkpolicies", { in: "networking.k8s.io" }),
        may("create", "tokenreviews", { in: "authentication.k8s.io" }),
        may("create", "subjectaccessreviews", { in: "authorization.k8s.io" }),
        may("get list update", "customresourcedefinitions", { in: "apiextensions.k8s.io" }),
        may("get list watch", "configmaps", { named: "extension-apiserver-authentication" }),
        may("get update", "configmaps", { named: "antrea-ca antrea-ipsec-ca antrea-cluster-identity" }),
        may("get list watch update", "secrets", {
          named: "antrea-controller-tls antrea-ipsec-ca antrea-memberlist-keys",
          for: "v2.7",
        }),
        may("create", "configmaps secrets"),
        may("list update", "apiservices", { in: "apiregistration.k8s.io" }),
        may("list update", "mutatingwebhookconfigurations validatingwebhookconfigurations", {
          in: "admissionregistration.k8s.io",
        }),
        may("get list watch", "certificatesigningrequests", { in: "certificates.k8s.io" }),
        may("update", "certificatesigningrequests/approval certificatesigningrequests/status", {
          in: "certificates.k8s.io",
        }),
        may("approve sign", "signers", { in: "certificates.k8s.io", named: "antrea.io/antrea-agent-ipsec-tunnel" }),
        may("get create update delete", "antreacontrollerinfos", { in: "crd.antrea.io" }),
        may("list create delete", "antreaagentinfos", { in: "crd.antrea.io" }),
        may("get list watch create update patch delete", "clusternetworkpolicies networkpolicies", {
          in: "crd.antrea.io",
        }),
        may("update", "clusternetworkpolicies/status networkpolicies/status", { in: "crd.antrea.io" }),
        may("get list watch create update patch delete", "tiers", { in: "crd.antrea.io" }),
        may("get list watch create update patch delete", "traceflows traceflows/status", { in: "crd.antrea.io" }),
        may("get list watch create update patch delete", "clustergroups externalentities groups", {
          in: "crd.antrea.io",
        }),
        may("update", "clustergroups/status egresses/status groups/status", { in: "crd.antrea.io" }),
        may("get list watch update patch", "egresses", { in: "crd.antrea.io" }),
        may("get list watch", "externalippools ippools", { in: "crd.antrea.io" }),
        may("update patch", "externalippools/status ippools/status", { in: "crd.antrea.io" }),
        may("get list watch", "externalnodes", { in: "crd.antrea.io" }),
        may("get list watch", "statefulsets", { in: "apps" }),
        may("get list watch", "supportbundlecollections", { in: "crd.antrea.io" }),
        may("update", "supportbundlecollections/status", { in: "crd.antrea.io" }),
        may("get list watch", "labelidentities", { in: "multicluster.crd.antrea.io" }),
        may("get list watch", "adminnetworkpolicies baselineadminnetworkpolicies clusternetworkpolicies", {
          in: "policy.networking.k8s.io",
          for: "v2.7",
        }),
        may("get list watch update", "secrets", { named: "antrea-controller-tls antrea-ipsec-ca", for: "v2.4" }),
        may("get list watch", "adminnetworkpolicies baselineadminnetworkpolicies", {
          in: "policy.networking.k8s.io",
          for: "v2.4",
        }),
      ],
      to: [bound("antrea-controller", "kube-system/antrea-controller")],
    }),
  ],
  losses: [
    without("list watch", "pods namespaces networkpolicies", OWN.policiesUnknown),
    without("*", "nodes", LOSS.garbageStays),
    without("*", "tokenreviews subjectaccessreviews", OWN.agentsRefused),
    without("*", "configmaps secrets", OWN.certificateUnpublished),
    without(
      "*",
      "apiservices mutatingwebhookconfigurations validatingwebhookconfigurations",
      OWN.certificateUnpublished,
    ),
    without("*", "antreacontrollerinfos antreaagentinfos services/status", LOSS.stateUnwritten),
    without("*", "clusternetworkpolicies tiers", LOSS.policiesFreeze),
    without("*", "*", LOSS.optionsOnly),
  ],
};
