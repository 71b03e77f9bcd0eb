/** What else keeps an incident from happening again: who did what, a copy of every night, ranges that stay apart. */
import { LABELS } from "./policies.ts";

/** Rules for the policy of audit of kube-apiserver (`--audit-policy-file`): who writes what the network works by. */
export const AUDIT_RULES = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    {
      level: "RequestResponse",
      verbs: ["create", "update", "patch", "delete", "deletecollection"],
      resources: [{ group: "rbac.authorization.k8s.io" }],
    },
    {
      level: "RequestResponse",
      verbs: ["update", "patch", "delete", "deletecollection"],
      resources: [
        { group: "", resources: ["configmaps", "serviceaccounts", "namespaces"] },
        {
          group: "apps",
          resources: ["daemonsets", "deployments", "deployments/scale", "statefulsets", "statefulsets/scale"],
        },
        { group: "networking.k8s.io", resources: ["networkpolicies"] },
      ],
      namespaces: ["kube-system", "kube-flannel", "calico-system", "tigera-operator", "cilium", "cilium-secrets"],
    },
    {
      level: "Metadata",
      verbs: ["create", "update", "patch", "delete"],
      resources: [{ group: "admissionregistration.k8s.io" }],
    },
  ],
};

const NAME = "netwhy-backup";
const NAMESPACE = "netwhy";
const named = { name: NAME, namespace: NAMESPACE, labels: LABELS };

/** `netwhy rbac backup` every night, into a volume of its own. It reads what a backup holds, and no Secret. */
export function backupManifests(image: string): object[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels: LABELS } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: named },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: NAME, labels: LABELS },
      rules: [
        {
          apiGroups: ["rbac.authorization.k8s.io"],
          resources: ["clusterroles", "clusterrolebindings", "roles", "rolebindings"],
          verbs: ["list"],
        },
        { apiGroups: [""], resources: ["namespaces", "serviceaccounts", "configmaps"], verbs: ["list"] },
        { apiGroups: ["apps"], resources: ["daemonsets", "deployments", "statefulsets"], verbs: ["list"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: NAME, labels: LABELS },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: NAME },
      subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }],
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: named,
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    },
    {
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: named,
      spec: {
        schedule: "17 2 * * *",
        concurrencyPolicy: "Forbid",
        jobTemplate: {
          spec: {
            backoffLimit: 1,
            template: {
              spec: {
                serviceAccountName: NAME,
                restartPolicy: "Never",
                securityContext: { runAsNonRoot: true, runAsUser: 65534, fsGroup: 65534 },
                containers: [
                  {
                    name: "backup",
                    image,
                    args: ["rbac", "backup", "-o", "/backups/", "--keep", "30"],
                    securityContext: {
                      allowPrivilegeEscalation: false,
                      readOnlyRootFilesystem: true,
                      capabilities: { drop: ["ALL"] },
                    },
                    volumeMounts: [{ name: "backups", mountPath: "/backups" }],
                  },
                ],
                volumes: [{ name: "backups", persistentVolumeClaim: { claimName: NAME } }],
              },
            },
          },
        },
      },
    },
  ];
}

/** The same by cron, outside the cluster: that also works when the cluster does not. */
export const CRONTAB = `# /etc/cron.d/netwhy: on a machine that has a kubeconfig, so that the backup outlives the cluster
17 2 * * * root netwhy rbac backup -o /var/backups/netwhy/ --keep 30
# Pod, Service, node and host ranges that overlap, and all else that is wrong; prints only what is (exit code 1)
37 2 * * * root netwhy diagnose -o text > /var/log/netwhy-nightly.txt || cat /var/log/netwhy-nightly.txt
`;
