/**
 * kube-controller-manager and the accounts of its controllers, by the API server's bootstrap policy.
 *
 * Source: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy (1.32, 1.36).
 */
import { type Baseline, bound, clusterRole, may, releases, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/kube-controller-manager", {
  accountLess: {
    en: "its controllers get no tokens of their accounts, and do not start",
    zh: "各控制器拿不到各自账号的令牌，无法启动",
    breaks: ["start"],
  },
  jobsFreeze: {
    en: "Jobs, CronJobs and ReplicationControllers are not run",
    zh: "Job、CronJob 和 ReplicationController 不再执行",
  },
  endpointsFreeze: {
    en: "Endpoints freeze: what still reads them, and not EndpointSlices, keeps old back ends",
    zh: "Endpoints 停止更新：仍读取它而不读 EndpointSlice 的组件只看到旧后端",
  },
  namespacesWithoutAccount: {
    en: "new namespaces get no ServiceAccount default: their Pods are refused",
    zh: "新建命名空间没有 default ServiceAccount，其中的 Pod 会被拒绝创建",
    stops: ["pod.create"],
  },
  namespacesWithoutAuthority: {
    en: "new namespaces get no kube-root-ca.crt: their Pods wait for their volumes",
    zh: "新建命名空间没有 kube-root-ca.crt，其中的 Pod 一直等待挂载",
    stops: ["config.publish"],
  },
  certificatesUnissued: {
    en: "requests for certificates are not approved or signed: nodes cannot join, and those that are there drop out when their certificates run out",
    zh: "证书申请无人批准或签发：新节点无法加入，现有节点在证书到期后掉线",
    stops: ["certificate.issue"],
  },
  nodesUnfollowed: {
    en: "nodes that die keep their Pods in Services, and nodes that join get no Pod range",
    zh: "失联节点上的 Pod 仍留在 Service 中，新节点分配不到 Pod 网段",
    stops: ["pod-network.config"],
  },
  cloudFreezes: {
    en: "routes and load balancers of a cloud are not made",
    zh: "云上的路由和负载均衡不再创建",
  },
  rolesUncollected: {
    en: "ClusterRoles that collect others' rules (admin, edit, view) stay as they are",
    zh: "聚合类 ClusterRole（admin、edit、view）停留在原样",
  },
  rangesUnready: {
    en: "ServiceCIDRs that are added do not become ready",
    zh: "新增的 ServiceCIDR 无法就绪",
  },
  scalesFreeze: {
    en: "autoscaling, disruption budgets and quotas stand still",
    zh: "自动扩缩容、PDB 和配额停止更新",
  },
});

export const KUBE_CONTROLLER_MANAGER: Baseline = {
  id: "kube-controller-manager",
  releasesOf: "kubernetes",
  isBootstrap: true,
  variants: releases("1.32 1.36"),
  grants: [
    clusterRole("system:kube-controller-manager", {
      rules: [
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("create", "leases", { in: "coordination.k8s.io" }),
        may("get update", "leases", { in: "coordination.k8s.io", named: "kube-controller-manager" }),
        may("create", "secrets serviceaccounts"),
        may("delete", "secrets"),
        may("get", "configmaps namespaces secrets serviceaccounts"),
        may("update", "secrets serviceaccounts"),
        may("create", "tokenreviews", { in: "authentication.k8s.io" }),
        may("create", "subjectaccessreviews", { in: "authorization.k8s.io" }),
        may("list watch", "*", { in: "*" }),
        may("create", "serviceaccounts/token"),
      ],
      to: [bound("system:kube-controller-manager", "user:system:kube-controller-manager")],
    }),
    clusterRole("system:controller:attachdetach-controller", {
      rules: [
        may("list watch", "persistentvolumeclaims persistentvolumes"),
        may("get list watch", "nodes"),
        may("update patch", "nodes/status"),
        may("list watch", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("get list watch create delete", "volumeattachments", { in: "storage.k8s.io" }),
        may("get list watch", "csidrivers", { in: "storage.k8s.io" }),
        may("get list watch", "csinodes", { in: "storage.k8s.io" }),
      ],
      to: [bound("system:controller:attachdetach-controller", "kube-system/attachdetach-controller")],
    }),
    clusterRole("system:controller:certificate-controller", {
      rules: [
        may("get list watch delete", "certificatesigningrequests", { in: "certificates.k8s.io" }),
        may("update", "certificatesigningrequests/approval certificatesigningrequests/status", {
          in: "certificates.k8s.io",
        }),
        may("approve", "signers", { in: "certificates.k8s.io", named: "kubernetes.io/kube-apiserver-client-kubelet" }),
        may("sign", "signers", {
          in: "certificates.k8s.io",
          named: `
          kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet
          kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown`,
        }),
        may("create", "subjectaccessreviews", { in: "authorization.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:certificate-controller", "kube-system/certificate-controller")],
    }),
    clusterRole("system:controller:clusterrole-aggregation-controller", {
      rules: [may("get list watch update patch escalate", "clusterroles", { in: "rbac.authorization.k8s.io" })],
      to: [
        bound("system:controller:clusterrole-aggregation-controller", "kube-system/clusterrole-aggregation-controller"),
      ],
    }),
    clusterRole("system:controller:cronjob-controller", {
      rules: [
        may("get list watch update", "cronjobs", { in: "batch" }),
        may("get list watch create update patch delete", "jobs", { in: "batch" }),
        may("update", "cronjobs/status", { in: "batch" }),
        may("update", "cronjobs/finalizers", { in: "batch" }),
        may("list watch delete", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:cronjob-controller", "kube-system/cronjob-controller")],
    }),
    clusterRole("system:controller:daemon-set-controller", {
      rules: [
        may("get list watch", "daemonsets", { in: "apps extensions" }),
        may("update", "daemonsets/status", { in: "apps extensions" }),
        may("update", "daemonsets/finalizers", { in: "apps extensions" }),
        may("list watch", "nodes"),
        may("list watch create patch delete", "pods"),
        may("create", "pods/binding"),
        may("get list watch create update patch delete", "controllerrevisions", { in: "apps" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:daemon-set-controller", "kube-system/daemon-set-controller")],
    }),
    clusterRole("system:controller:deployment-controller", {
      rules: [
        may("get list watch update", "deployments", { in: "apps extensions" }),
        may("update", "deployments/status", { in: "apps extensions" }),
        may("update", "deployments/finalizers", { in: "apps extensions" }),
        may("get list watch create update patch delete", "replicasets", { in: "apps extensions" }),
        may("get list watch update", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:deployment-controller", "kube-system/deployment-controller")],
    }),
    clusterRole("system:controller:disruption-controller", {
      rules: [
        may("get list watch", "deployments", { in: "apps extensions" }),
        may("get list watch", "replicasets", { in: "apps extensions" }),
        may("get list watch", "replicationcontrollers"),
        may("get list watch", "poddisruptionbudgets", { in: "policy" }),
        may("get list watch", "statefulsets", { in: "apps" }),
        may("update", "poddisruptionbudgets/status", { in: "policy" }),
        may("update patch", "pods/status"),
        may("get", "*/scale", { in: "*" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:disruption-controller", "kube-system/disruption-controller")],
    }),
    clusterRole("system:controller:endpoint-controller", {
      rules: [
        may("get list watch", "pods services"),
        may("get list watch create update delete", "endpoints"),
        may("create", "endpoints/restricted"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:endpoint-controller", "kube-system/endpoint-controller")],
    }),
    clusterRole("system:controller:endpointslicemirroring-controller", {
      rules: [
        may("get list watch", "endpoints services"),
        may("update", "services/finalizers"),
        may("update", "endpoints/finalizers"),
        may("get list watch create update delete", "endpointslices", { in: "discovery.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [
        bound("system:controller:endpointslicemirroring-controller", "kube-system/endpointslicemirroring-controller"),
      ],
    }),
    clusterRole("system:controller:ephemeral-volume-controller", {
      rules: [
        may("get list watch", "pods"),
        may("update", "pods/finalizers"),
        may("get list watch create", "persistentvolumeclaims"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:ephemeral-volume-controller", "kube-system/ephemeral-volume-controller")],
    }),
    clusterRole("system:controller:expand-controller", {
      rules: [
        may("get list watch update patch", "persistentvolumes"),
        may("update patch", "persistentvolumeclaims/status"),
        may("get list watch", "persistentvolumeclaims"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("get", "services", { for: "v1.32" }),
      ],
      to: [bound("system:controller:expand-controller", "kube-system/expand-controller")],
    }),
    clusterRole("system:controller:generic-garbage-collector", {
      rules: [
        may("get list watch update patch delete", "*", { in: "*" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:generic-garbage-collector", "kube-system/generic-garbage-collector")],
    }),
    clusterRole("system:controller:horizontal-pod-autoscaler", {
      rules: [
        may("get list watch", "horizontalpodautoscalers", { in: "autoscaling" }),
        may("update", "horizontalpodautoscalers/status", { in: "autoscaling" }),
        may("get update", "*/scale", { in: "*" }),
        may("list watch", "pods"),
        may("list watch", "pods", { in: "metrics.k8s.io" }),
        may("get list watch", "*", { in: "custom.metrics.k8s.io" }),
        may("get list watch", "*", { in: "external.metrics.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:horizontal-pod-autoscaler", "kube-system/horizontal-pod-autoscaler")],
    }),
    clusterRole("system:controller:job-controller", {
      rules: [
        may("get list watch update patch", "jobs", { in: "batch" }),
        may("update", "jobs/status", { in: "batch" }),
        may("update", "jobs/finalizers", { in: "batch" }),
        may("list watch create patch delete", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:job-controller", "kube-system/job-controller")],
    }),
    clusterRole("system:controller:legacy-service-account-token-cleaner", {
      rules: [
        may("get", "configmaps", { named: "kube-apiserver-legacy-service-account-token-tracking" }),
        may("patch delete", "secrets"),
      ],
      to: [
        bound(
          "system:controller:legacy-service-account-token-cleaner",
          "kube-system/legacy-service-account-token-cleaner",
        ),
      ],
    }),
    clusterRole("system:controller:namespace-controller", {
      rules: [
        may("get list watch delete", "namespaces"),
        may("update", "namespaces/finalize namespaces/status"),
        may("get list watch delete deletecollection", "*", { in: "*" }),
      ],
      to: [bound("system:controller:namespace-controller", "kube-system/namespace-controller")],
    }),
    clusterRole("system:controller:node-controller", {
      rules: [
        may("get list watch update patch delete", "nodes"),
        may("update patch", "nodes/status"),
        may("update patch", "pods/status"),
        may("get list watch delete", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:node-controller", "kube-system/node-controller")],
    }),
    clusterRole("system:controller:persistent-volume-binder", {
      rules: [
        may("get list watch create update delete", "persistentvolumes"),
        may("update", "persistentvolumes/status"),
        may("get list watch update", "persistentvolumeclaims"),
        may("update", "persistentvolumeclaims/status"),
        may("get list watch create delete", "pods"),
        may("get list watch", "storageclasses", { in: "storage.k8s.io" }),
        may("list watch", "nodes"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("watch", "events"),
        may("get", "services", { for: "v1.32" }),
      ],
      to: [bound("system:controller:persistent-volume-binder", "kube-system/persistent-volume-binder")],
    }),
    clusterRole("system:controller:pod-garbage-collector", {
      rules: [may("list watch delete", "pods"), may("get list watch", "nodes"), may("patch", "pods/status")],
      to: [bound("system:controller:pod-garbage-collector", "kube-system/pod-garbage-collector")],
    }),
    clusterRole("system:controller:pv-protection-controller", {
      rules: [
        may("get list watch update", "persistentvolumes"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:pv-protection-controller", "kube-system/pv-protection-controller")],
    }),
    clusterRole("system:controller:pvc-protection-controller", {
      rules: [
        may("get list watch update", "persistentvolumeclaims"),
        may("update", "persistentvolumeclaims/status", { for: "v1.36" }),
        may("get list watch", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:pvc-protection-controller", "kube-system/pvc-protection-controller")],
    }),
    clusterRole("system:controller:replicaset-controller", {
      rules: [
        may("get list watch update", "replicasets", { in: "apps extensions" }),
        may("update", "replicasets/status", { in: "apps extensions" }),
        may("update", "replicasets/finalizers", { in: "apps extensions" }),
        may("list watch create patch delete", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:replicaset-controller", "kube-system/replicaset-controller")],
    }),
    clusterRole("system:controller:replication-controller", {
      rules: [
        may("get list watch update", "replicationcontrollers"),
        may("update", "replicationcontrollers/status"),
        may("update", "replicationcontrollers/finalizers"),
        may("list watch create patch delete", "pods"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:replication-controller", "kube-system/replication-controller")],
    }),
    clusterRole("system:controller:resourcequota-controller", {
      rules: [
        may("list watch", "*", { in: "*" }),
        may("update", "resourcequotas/status"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:resourcequota-controller", "kube-system/resourcequota-controller")],
    }),
    clusterRole("system:controller:root-ca-cert-publisher", {
      rules: [may("create update", "configmaps"), may("create update patch", "events", { in: "core events.k8s.io" })],
      to: [bound("system:controller:root-ca-cert-publisher", "kube-system/root-ca-cert-publisher")],
    }),
    clusterRole("system:controller:route-controller", {
      rules: [
        may("list watch", "nodes"),
        may("patch", "nodes/status"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:route-controller", "kube-system/route-controller")],
    }),
    clusterRole("system:controller:service-account-controller", {
      rules: [may("create", "serviceaccounts"), may("create update patch", "events", { in: "core events.k8s.io" })],
      to: [bound("system:controller:service-account-controller", "kube-system/service-account-controller")],
    }),
    clusterRole("system:controller:service-controller", {
      rules: [
        may("get list watch", "services"),
        may("update patch", "services/status"),
        may("list watch", "nodes"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:service-controller", "kube-system/service-controller")],
    }),
    clusterRole("system:controller:statefulset-controller", {
      rules: [
        may("list watch", "pods"),
        may("get list watch", "statefulsets", { in: "apps" }),
        may("update", "statefulsets/status", { in: "apps" }),
        may("update", "statefulsets/finalizers", { in: "apps" }),
        may("get create update patch delete", "pods"),
        may("get list watch create update patch delete", "controllerrevisions", { in: "apps" }),
        may("get list watch create", "persistentvolumeclaims"),
        may("update delete", "persistentvolumeclaims"),
        may("update", "pods/finalizers"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:statefulset-controller", "kube-system/statefulset-controller")],
    }),
    clusterRole("system:controller:ttl-after-finished-controller", {
      rules: [
        may("get list watch delete", "jobs", { in: "batch" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:ttl-after-finished-controller", "kube-system/ttl-after-finished-controller")],
    }),
    clusterRole("system:controller:ttl-controller", {
      rules: [
        may("list watch update patch", "nodes"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:ttl-controller", "kube-system/ttl-controller")],
    }),
    clusterRole("system:controller:validatingadmissionpolicy-status-controller", {
      rules: [
        may("get list watch", "validatingadmissionpolicies", { in: "admissionregistration.k8s.io" }),
        may("get update patch", "validatingadmissionpolicies/status", { in: "admissionregistration.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [
        bound(
          "system:controller:validatingadmissionpolicy-status-controller",
          "kube-system/validatingadmissionpolicy-status-controller",
        ),
      ],
    }),
    role("kube-public", "system:controller:bootstrap-signer", {
      rules: [
        may("get list watch", "configmaps"),
        may("update", "configmaps", { named: "cluster-info" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:bootstrap-signer", "kube-system/bootstrap-signer", { in: "kube-public" })],
    }),
    role("kube-system", "system::leader-locking-kube-controller-manager", {
      rules: [
        may("get list watch create update", "leases", { in: "coordination.k8s.io" }),
        may("get list watch create update", "leasecandidates", { in: "coordination.k8s.io" }),
        may("watch", "configmaps", { for: "v1.32" }),
        may("get update", "configmaps", { named: "kube-controller-manager", for: "v1.32" }),
      ],
      to: [
        bound(
          "system::leader-locking-kube-controller-manager",
          "user:system:kube-controller-manager kube-system/kube-controller-manager kube-system/leader-election-controller",
          { in: "kube-system" },
        ),
      ],
    }),
    role("kube-system", "system:controller:bootstrap-signer", {
      rules: [may("get list watch", "secrets")],
      to: [bound("system:controller:bootstrap-signer", "kube-system/bootstrap-signer", { in: "kube-system" })],
    }),
    role("kube-system", "system:controller:cloud-provider", {
      rules: [may("get list watch create", "configmaps")],
      to: [bound("system:controller:cloud-provider", "kube-system/cloud-provider", { in: "kube-system" })],
    }),
    role("kube-system", "system:controller:token-cleaner", {
      rules: [
        may("get list watch delete", "secrets"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:token-cleaner", "kube-system/token-cleaner", { in: "kube-system" })],
    }),
    clusterRole("system:controller:device-taint-eviction-controller", {
      for: "v1.36",
      rules: [
        may("get list watch delete", "pods"),
        may("update patch", "pods/status"),
        may("get list watch", "resourceclaims", { in: "resource.k8s.io" }),
        may("get list watch", "resourceslices", { in: "resource.k8s.io" }),
        may("get list watch", "deviceclasses", { in: "resource.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:device-taint-eviction-controller", "kube-system/device-taint-eviction-controller")],
    }),
    clusterRole("system:controller:resource-claim-controller", {
      for: "v1.36",
      rules: [
        may("get list watch", "pods"),
        may("update", "pods/finalizers"),
        may("get list watch create delete", "resourceclaims", { in: "resource.k8s.io" }),
        may("update patch", "resourceclaims resourceclaims/status", { in: "resource.k8s.io" }),
        may("update patch", "pods/status"),
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("update patch", "resourceclaims/binding", { in: "resource.k8s.io" }),
      ],
      to: [bound("system:controller:resource-claim-controller", "kube-system/resource-claim-controller")],
    }),
    clusterRole("system:controller:selinux-warning-controller", {
      for: "v1.36",
      rules: [
        may("create update patch", "events", { in: "core events.k8s.io" }),
        may("get list watch", "persistentvolumes"),
        may("get list watch", "persistentvolumeclaims"),
        may("get list watch", "pods"),
        may("get list watch", "csidrivers", { in: "storage.k8s.io" }),
      ],
      to: [bound("system:controller:selinux-warning-controller", "kube-system/selinux-warning-controller")],
    }),
    clusterRole("system:controller:service-cidrs-controller", {
      for: "v1.36",
      rules: [
        may("get list watch update patch", "servicecidrs", { in: "networking.k8s.io" }),
        may("update patch", "servicecidrs/finalizers", { in: "networking.k8s.io" }),
        may("update patch", "servicecidrs/status", { in: "networking.k8s.io" }),
        may("get list watch", "ipaddresses", { in: "networking.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [bound("system:controller:service-cidrs-controller", "kube-system/service-cidrs-controller")],
    }),
    clusterRole("system:controller:volumeattributesclass-protection-controller", {
      for: "v1.36",
      rules: [
        may("get list watch", "persistentvolumeclaims"),
        may("get list watch", "persistentvolumes"),
        may("get list watch update", "volumeattributesclasses", { in: "storage.k8s.io" }),
        may("create update patch", "events", { in: "core events.k8s.io" }),
      ],
      to: [
        bound(
          "system:controller:volumeattributesclass-protection-controller",
          "kube-system/volumeattributesclass-protection-controller",
        ),
      ],
    }),
  ],
  losses: [
    without("*", "events", LOSS.eventsLost),
    without("*", "configmaps", LOSS.otherReleases, { of: "system::leader-locking-kube-controller-manager" }),
    without("*", "*", LOSS.leaderLess, { of: "system::leader-locking-kube-controller-manager" }),
    without("*", "leases", LOSS.leaderLess, { of: "system:kube-controller-manager" }),
    without("*", "serviceaccounts serviceaccounts/token", OWN.accountLess, { of: "system:kube-controller-manager" }),
    without("list watch", "*", LOSS.startBlocks, { of: "system:kube-controller-manager" }),
    without("*", "*", LOSS.metricsClosed, { of: "system:kube-controller-manager" }),
    without("*", "*", LOSS.workloadsFreeze, {
      of: `system:controller:daemon-set-controller system:controller:deployment-controller system:controller:replicaset-controller system:controller:statefulset-controller`,
    }),
    without("*", "*", OWN.jobsFreeze, {
      of: "system:controller:job-controller system:controller:cronjob-controller system:controller:replication-controller",
    }),
    without("*", "*", OWN.endpointsFreeze, {
      of: "system:controller:endpoint-controller system:controller:endpointslicemirroring-controller",
    }),
    without("*", "*", OWN.namespacesWithoutAccount, { of: "system:controller:service-account-controller" }),
    without("*", "*", OWN.namespacesWithoutAuthority, { of: "system:controller:root-ca-cert-publisher" }),
    without("*", "*", OWN.nodesUnfollowed, { of: "system:controller:node-controller" }),
    without("*", "*", OWN.cloudFreezes, {
      of: "system:controller:route-controller system:controller:service-controller system:controller:cloud-provider",
    }),
    without("delete", "certificatesigningrequests", LOSS.garbageStays, {
      of: "system:controller:certificate-controller",
    }),
    without("*", "*", OWN.certificatesUnissued, { of: "system:controller:certificate-controller" }),
    without("*", "*", LOSS.joinStops, { of: "system:controller:bootstrap-signer system:controller:token-cleaner" }),
    without("*", "*", OWN.rolesUncollected, { of: "system:controller:clusterrole-aggregation-controller" }),
    without("*", "*", OWN.rangesUnready, { of: "system:controller:service-cidrs-controller" }),
    without("*", "*", OWN.scalesFreeze, {
      of: "system:controller:horizontal-pod-autoscaler system:controller:disruption-controller system:controller:resourcequota-controller",
    }),
    without("*", "*", LOSS.volumesFreeze, {
      of: `system:controller:attachdetach-controller system:controller:expand-controller system:controller:persistent-volume-binder system:controller:pv-protection-controller
        system:controller:pvc-protection-controller system:controller:ephemeral-volume-controller system:controller:selinux-warning-controller system:controller:volumeattributesclass-protection-controller`,
    }),
    without("*", "*", LOSS.stateUnwritten, { of: "system:controller:validatingadmissionpolicy-status-controller" }),
    without("*", "*", LOSS.optionsOnly, {
      of: "system:controller:resource-claim-controller system:controller:device-taint-eviction-controller",
    }),
    without("*", "*", LOSS.garbageStays),
  ],
};
