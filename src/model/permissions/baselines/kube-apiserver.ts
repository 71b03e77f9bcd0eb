/**
 * What the API server's bootstrap policy grants to users, nodes and whoever is bound to its roles.
 *
 * Source: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy (1.32, 1.36).
 */
import { type Baseline, bound, clusterRole, may, releases, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/kube-apiserver", {
  discoveryClosed: {
    en: "clients cannot ask which APIs there are: kubectl fails for all but administrators, namespaces that are deleted stay Terminating, garbage collection and quotas stand still",
    zh: "客户端无法查询有哪些 API：管理员以外的 kubectl 失败，被删除的命名空间一直处于 Terminating，垃圾回收和配额停止工作",
  },
  probesRefused: {
    en: "health checks without credentials are refused: load balancers take kube-apiserver out, and kubelets restart it, which makes the object again",
    zh: "不带凭据的健康检查会被拒绝：负载均衡会摘除 kube-apiserver，kubelet 会重启它，重启后该对象会被重建",
  },
  ownRightsHidden: {
    en: "nobody can ask what they may do themselves: `kubectl auth can-i` and programs that ask before they act fail",
    zh: "无法查询自身权限：`kubectl auth can-i` 以及先查权限再操作的程序会失败",
  },
  kubeletClosed: {
    en: "kubelets refuse the API server: no `kubectl logs`, `exec` and `port-forward`",
    zh: "kubelet 拒绝 API Server：`kubectl logs`、`exec`、`port-forward` 不可用",
  },
  nodeAuthorizer: {
    en: "nothing where the Node authorizer is on, as it is by default; else kubelets are refused",
    zh: "启用 Node 鉴权（默认启用）时没有影响，否则 kubelet 会被拒绝",
  },
  delegatesClosed: {
    en: "API servers that are aggregated, and other components, cannot tell who asks them",
    zh: "聚合 API Server 等组件无法核实访问者身份",
  },
  monitoringClosed: {
    en: "metrics, health checks or the issuer's keys are not given to whom they are meant for",
    zh: "指标、健康检查或签发者公钥无法被相应主体读取",
  },
  kubeDnsOnly: {
    en: "nothing for CoreDNS, which has a role of its own; only the old kube-dns needs it",
    zh: "对 CoreDNS 没有影响（它有自己的角色），仅旧的 kube-dns 需要",
  },
});

export const KUBE_APISERVER: Baseline = {
  id: "kube-apiserver",
  releasesOf: "kubernetes",
  isBootstrap: true,
  variants: releases("1.32 1.36"),
  grants: [
    clusterRole("admin", {
      aggregates: { "rbac.authorization.k8s.io/aggregate-to-admin": "true" },
      rules: [],
      to: [],
    }),
    clusterRole("cluster-admin", {
      rules: [may("*", "*", { in: "*" }), { rule: { nonResourceURLs: ["*"], verbs: ["*"] } }],
      to: [bound("cluster-admin", "group:system:masters")],
    }),
    clusterRole("edit", {
      aggregates: { "rbac.authorization.k8s.io/aggregate-to-edit": "true" },
      labels: { "rbac.authorization.k8s.io/aggregate-to-admin": "true" },
      rules: [],
      to: [],
    }),
    clusterRole("system:aggregate-to-admin", {
      labels: { "rbac.authorization.k8s.io/aggregate-to-admin": "true" },
      rules: [
        may("create", "localsubjectaccessreviews", { in: "authorization.k8s.io" }),
        may("get list watch create update patch delete deletecollection", "rolebindings roles", {
          in: "rbac.authorization.k8s.io",
        }),
      ],
      to: [],
    }),
    clusterRole("system:aggregate-to-edit", {
      labels: { "rbac.authorization.k8s.io/aggregate-to-edit": "true" },
      rules: [
        may("get list watch", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
        may("impersonate", "serviceaccounts"),
        may("create update patch delete deletecollection", "pods pods/attach pods/exec pods/portforward pods/proxy"),
        may("create", "pods/eviction"),
        may(
          "create update patch delete deletecollection",
          `
          configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets
          serviceaccounts services services/proxy`,
          { for: "v1.36" },
        ),
        may("create", "serviceaccounts/token"),
        may("create update patch delete deletecollection", "events", { in: "core events.k8s.io", for: "v1.36" }),
        may(
          "create update patch delete deletecollection",
          `
          daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale
          statefulsets statefulsets/scale`,
          { in: "apps" },
        ),
        may("create update patch delete deletecollection", "horizontalpodautoscalers", { in: "autoscaling" }),
        may("create update patch delete deletecollection", "cronjobs jobs", { in: "batch" }),
        may(
          "create update patch delete deletecollection",
          `
          daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets
          replicasets/scale replicationcontrollers/scale`,
          { in: "extensions" },
        ),
        may("create update patch delete deletecollection", "poddisruptionbudgets", { in: "policy" }),
        may("create update patch delete deletecollection", "ingresses networkpolicies", { in: "networking.k8s.io" }),
        may("get list watch create update patch delete deletecollection", "leases", { in: "coordination.k8s.io" }),
        may("create update patch delete deletecollection", "resourceclaims resourceclaimtemplates", {
          in: "resource.k8s.io",
          for: "v1.36",
        }),
        may(
          "create update patch delete deletecollection",
          `
          configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets
          serviceaccounts services services/proxy`,
          { for: "v1.32" },
        ),
      ],
      to: [],
    }),
    clusterRole("system:aggregate-to-view", {
      labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" },
      rules: [
        may(
          "get list watch",
          `
          configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods
          replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status`,
        ),
        may(
          "get list watch",
          `
          bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status
          resourcequotas resourcequotas/status`,
          { for: "v1.36" },
        ),
        may("get list watch", "namespaces"),
        may("get list watch", "events", { in: "core events.k8s.io", for: "v1.36" }),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io" }),
        may(
          "get list watch",
          `
          controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status
          replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status`,
          { in: "apps" },
        ),
        may("get list watch", "horizontalpodautoscalers horizontalpodautoscalers/status", { in: "autoscaling" }),
        may("get list watch", "cronjobs cronjobs/status jobs jobs/status", { in: "batch" }),
        may(
          "get list watch",
          `
          daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses
          ingresses/status networkpolicies replicasets replicasets/scale replicasets/status
          replicationcontrollers/scale`,
          { in: "extensions" },
        ),
        may("get list watch", "poddisruptionbudgets poddisruptionbudgets/status", { in: "policy" }),
        may("get list watch", "ingresses ingresses/status networkpolicies", { in: "networking.k8s.io" }),
        may("get list watch", "resourceclaims resourceclaims/status resourceclaimtemplates", {
          in: "resource.k8s.io",
          for: "v1.36",
        }),
        may(
          "get list watch",
          `
          bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status
          resourcequotas resourcequotas/status`,
          { for: "v1.32" },
        ),
      ],
      to: [],
    }),
    clusterRole("system:auth-delegator", {
      rules: [
        may("create", "tokenreviews", { in: "authentication.k8s.io" }),
        may("create", "subjectaccessreviews", { in: "authorization.k8s.io" }),
      ],
      to: [],
    }),
    clusterRole("system:basic-user", {
      rules: [
        may("create", "selfsubjectaccessreviews selfsubjectrulesreviews", { in: "authorization.k8s.io" }),
        may("create", "selfsubjectreviews", { in: "authentication.k8s.io" }),
      ],
      to: [bound("system:basic-user", "group:system:authenticated")],
    }),
    clusterRole("system:certificates.k8s.io:certificatesigningrequests:nodeclient", {
      rules: [may("create", "certificatesigningrequests/nodeclient", { in: "certificates.k8s.io" })],
      to: [],
    }),
    clusterRole("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", {
      rules: [may("create", "certificatesigningrequests/selfnodeclient", { in: "certificates.k8s.io" })],
      to: [],
    }),
    clusterRole("system:certificates.k8s.io:kube-apiserver-client-approver", {
      rules: [may("approve", "signers", { in: "certificates.k8s.io", named: "kubernetes.io/kube-apiserver-client" })],
      to: [],
    }),
    clusterRole("system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", {
      rules: [
        may("approve", "signers", { in: "certificates.k8s.io", named: "kubernetes.io/kube-apiserver-client-kubelet" }),
      ],
      to: [],
    }),
    clusterRole("system:certificates.k8s.io:kubelet-serving-approver", {
      rules: [may("approve", "signers", { in: "certificates.k8s.io", named: "kubernetes.io/kubelet-serving" })],
      to: [],
    }),
    clusterRole("system:certificates.k8s.io:legacy-unknown-approver", {
      rules: [may("approve", "signers", { in: "certificates.k8s.io", named: "kubernetes.io/legacy-unknown" })],
      to: [],
    }),
    clusterRole("system:discovery", {
      rules: [may("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")],
      to: [bound("system:discovery", "group:system:authenticated")],
    }),
    clusterRole("system:heapster", {
      rules: [
        may("get list watch", "events namespaces nodes pods"),
        may("get list watch", "deployments", { in: "extensions" }),
      ],
      to: [],
    }),
    clusterRole("system:kube-aggregator", {
      rules: [may("get list watch", "endpoints services")],
      to: [],
    }),
    clusterRole("system:kube-dns", {
      rules: [may("list watch", "endpoints services")],
      to: [bound("system:kube-dns", "kube-system/kube-dns")],
    }),
    clusterRole("system:kubelet-api-admin", {
      rules: [
        may("get list watch", "nodes"),
        may("proxy", "nodes"),
        may("*", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
        may("*", "nodes/configz nodes/healthz nodes/pods", { for: "v1.36" }),
      ],
      to: [],
    }),
    clusterRole("system:monitoring", {
      rules: [
        may("get", "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz", {
          for: "v1.36",
        }),
        may("get", "nodes/metrics", { for: "v1.36" }),
        may("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*", { for: "v1.32" }),
      ],
      to: [bound("system:monitoring", "group:system:monitoring")],
    }),
    clusterRole("system:node", {
      rules: [
        may("create", "tokenreviews", { in: "authentication.k8s.io" }),
        may("create", "localsubjectaccessreviews subjectaccessreviews", { in: "authorization.k8s.io" }),
        may("get list watch", "services"),
        may("get list watch create", "nodes"),
        may("update patch", "nodes/status"),
        may("update patch", "nodes"),
        may("create update patch", "events", { in: "core events.k8s.io", for: "v1.36" }),
        may("get list watch", "pods"),
        may("create delete", "pods"),
        may("update patch", "pods/status"),
        may("create", "pods/eviction"),
        may("get list watch", "configmaps secrets"),
        may("get", "persistentvolumeclaims persistentvolumes"),
        may("get", "endpoints"),
        may("get list watch create", "certificatesigningrequests", { in: "certificates.k8s.io" }),
        may("get create update patch delete", "leases", { in: "coordination.k8s.io" }),
        may("get", "volumeattachments", { in: "storage.k8s.io" }),
        may("create", "serviceaccounts/token"),
        may("get update patch", "persistentvolumeclaims/status"),
        may("get list watch", "csidrivers", { in: "storage.k8s.io" }),
        may("get create update patch delete", "csinodes", { in: "storage.k8s.io" }),
        may("get list watch", "runtimeclasses", { in: "node.k8s.io" }),
        may("get", "resourceclaims", { in: "resource.k8s.io", for: "v1.36" }),
        may("deletecollection", "resourceslices", { in: "resource.k8s.io", for: "v1.36" }),
        may("get", "serviceaccounts", { for: "v1.36" }),
        may("create update patch", "events", { for: "v1.32" }),
      ],
      to: [bound("system:node", "")],
    }),
    clusterRole("system:node-bootstrapper", {
      rules: [may("get list watch create", "certificatesigningrequests", { in: "certificates.k8s.io" })],
      to: [],
    }),
    clusterRole("system:node-problem-detector", {
      rules: [
        may("get", "nodes"),
        may("patch", "nodes/status"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [],
    }),
    clusterRole("system:persistent-volume-provisioner", {
      rules: [
        may("get list watch create delete", "persistentvolumes"),
        may("get list watch update", "persistentvolumeclaims"),
        may("get list watch", "storageclasses", { in: "storage.k8s.io" }),
        may("watch", "events"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [],
    }),
    clusterRole("system:public-info-viewer", {
      rules: [may("get", "/healthz /livez /readyz /version /version/")],
      to: [bound("system:public-info-viewer", "group:system:authenticated group:system:unauthenticated")],
    }),
    clusterRole("system:service-account-issuer-discovery", {
      rules: [
        may(
          "get",
          `
          /.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks
          /openid/v1/jwks/`,
        ),
      ],
      to: [bound("system:service-account-issuer-discovery", "group:system:serviceaccounts")],
    }),
    clusterRole("view", {
      aggregates: { "rbac.authorization.k8s.io/aggregate-to-view": "true" },
      labels: { "rbac.authorization.k8s.io/aggregate-to-edit": "true" },
      rules: [],
      to: [],
    }),
    role("kube-system", "extension-apiserver-authentication-reader", {
      rules: [may("get list watch", "configmaps", { named: "extension-apiserver-authentication" })],
      to: [
        bound(
          "system::extension-apiserver-authentication-reader",
          "user:system:kube-controller-manager user:system:kube-scheduler",
          { in: "kube-system" },
        ),
      ],
    }),
  ],
  losses: [
    // warnings, both: rules, routes and names are served on, what watches goes on watching, and the next start of
    // kube-apiserver makes the objects again. Tried with 1.33: namespace, quota and garbage controllers say "unknown", and
    // no others; anonymous /livez gets 403, so the kubelet starts kube-apiserver anew by itself, which ends it
    without("*", "*", OWN.discoveryClosed, { of: "system:discovery" }),
    without("*", "*", OWN.ownRightsHidden, { of: "system:basic-user" }),
    without("*", "*", OWN.probesRefused, { of: "system:public-info-viewer" }),
    without("*", "*", OWN.kubeletClosed, { of: "system:kubelet-api-admin" }),
    without("*", "*", OWN.nodeAuthorizer, { of: "system:node" }),
    without("*", "*", LOSS.joinStops, { of: "system:node-bootstrapper system:certificates.k8s.io:*" }),
    without("*", "*", OWN.delegatesClosed, { of: "system:auth-delegator extension-apiserver-authentication-reader" }),
    without("*", "*", OWN.monitoringClosed, { of: "system:monitoring system:service-account-issuer-discovery" }),
    without("*", "*", OWN.kubeDnsOnly, { of: "system:kube-dns" }),
    without("*", "*", LOSS.holdersLose),
  ],
};
