/**
 * The Kubernetes objects that we read, each with the fields that we use and no others.
 *
 * Source: the API reference of the group and version named beside each; older versions of a group differ in nothing that
 * is read here. A field that may be missing may also be `null` (Go writes an empty slice so). An object whose fields have
 * other types than these cannot come from an API server: it is handed back as unreadable, and its list is incomplete.
 */
import { z } from "zod";
import {
  condition,
  flag,
  intOrString,
  labelSelector,
  labels,
  maybe,
  metadata,
  number,
  text,
} from "./objects/shared.ts";

export * from "./objects/calico.ts";
export * from "./objects/cilium.ts";
export type { LabelSelector, Metadata } from "./objects/shared.ts";

const containerPort = z.object({
  name: maybe(text),
  containerPort: number,
  protocol: maybe(text),
  hostPort: maybe(number),
  hostIP: maybe(text),
});

const httpGet = z.object({ port: intOrString, path: maybe(text) });
const probe = z.object({
  httpGet: maybe(httpGet),
  tcpSocket: maybe(z.object({ port: intOrString })),
  grpc: maybe(z.object({ port: number })),
  exec: maybe(z.object({ command: maybe(z.array(text)) })),
});

const optionalRef = z.object({ name: maybe(text), optional: maybe(flag) });

const container = z.object({
  env: maybe(
    z.array(
      z.object({
        name: text,
        value: maybe(text),
        valueFrom: maybe(z.object({ configMapKeyRef: maybe(optionalRef.extend({ key: maybe(text) })) })),
      }),
    ),
  ),
  envFrom: maybe(z.array(z.object({ configMapRef: maybe(optionalRef) }))),
  name: text,
  image: maybe(text),
  command: maybe(z.array(text)),
  args: maybe(z.array(text)),
  ports: maybe(z.array(containerPort)),
  readinessProbe: maybe(probe),
  resources: maybe(z.object({ limits: maybe(z.object({ memory: maybe(intOrString) })) })),
  restartPolicy: maybe(text),
});

const podSpec = z.object({
  nodeName: maybe(text),
  hostNetwork: maybe(flag),
  serviceAccountName: maybe(text),
  automountServiceAccountToken: maybe(flag),
  dnsPolicy: maybe(text),
  dnsConfig: maybe(
    z.object({
      nameservers: maybe(z.array(text)),
      searches: maybe(z.array(text)),
      options: maybe(z.array(z.object({ name: maybe(text), value: maybe(text) }))),
    }),
  ),
  nodeSelector: labels,
  restartPolicy: maybe(text),
  containers: z.array(container),
  initContainers: maybe(z.array(container)),
  readinessGates: maybe(z.array(z.object({ conditionType: text }))),
  tolerations: maybe(
    z.array(z.object({ key: maybe(text), operator: maybe(text), value: maybe(text), effect: maybe(text) })),
  ),
  affinity: maybe(
    z.object({
      nodeAffinity: maybe(
        z.object({
          requiredDuringSchedulingIgnoredDuringExecution: maybe(
            z.object({
              nodeSelectorTerms: maybe(
                z.array(
                  z.object({
                    matchExpressions: labelSelector.shape.matchExpressions,
                    matchFields: labelSelector.shape.matchExpressions,
                  }),
                ),
              ),
            }),
          ),
        }),
      ),
    }),
  ),
  volumes: maybe(
    z.array(
      z.object({
        name: text,
        configMap: maybe(optionalRef),
        projected: maybe(
          z.object({
            sources: maybe(
              z.array(
                z.object({
                  configMap: maybe(optionalRef),
                  serviceAccountToken: maybe(z.object({ path: maybe(text) })),
                }),
              ),
            ),
          }),
        ),
      }),
    ),
  ),
});

const containerState = z.object({
  running: maybe(z.object({ startedAt: maybe(text) })),
  waiting: maybe(z.object({ reason: maybe(text), message: maybe(text) })),
  terminated: maybe(
    z.object({
      exitCode: number,
      reason: maybe(text),
      message: maybe(text),
      startedAt: maybe(text),
      finishedAt: maybe(text),
    }),
  ),
});

const containerStatus = z.object({
  name: text,
  ready: flag,
  started: maybe(flag),
  restartCount: number,
  image: maybe(text),
  containerID: maybe(text),
  state: maybe(containerState),
  lastState: maybe(containerState),
});

const podTemplate = z.object({ metadata: maybe(z.object({ labels, annotations: labels })), spec: podSpec });

/** core/v1 */
export const pod = z.object({
  metadata,
  spec: podSpec,
  status: maybe(
    z.object({
      phase: maybe(text),
      reason: maybe(text),
      message: maybe(text),
      podIP: maybe(text),
      podIPs: maybe(z.array(z.object({ ip: maybe(text) }))),
      hostIP: maybe(text),
      startTime: maybe(text),
      conditions: maybe(z.array(condition)),
      containerStatuses: maybe(z.array(containerStatus)),
      initContainerStatuses: maybe(z.array(containerStatus)),
    }),
  ),
});

/** core/v1 */
export const node = z.object({
  metadata,
  spec: maybe(
    z.object({
      /** Who made it: `aws:///…`, `gce://…`; of clusters without a cloud missing. */
      providerID: maybe(text),
      podCIDR: maybe(text),
      podCIDRs: maybe(z.array(text)),
      unschedulable: maybe(flag),
      taints: maybe(z.array(z.object({ key: text, value: maybe(text), effect: text }))),
    }),
  ),
  status: maybe(
    z.object({
      addresses: maybe(z.array(z.object({ type: text, address: text }))),
      conditions: maybe(z.array(condition)),
      nodeInfo: maybe(
        z.object({
          kubeletVersion: maybe(text),
          kubeProxyVersion: maybe(text),
          kernelVersion: maybe(text),
          osImage: maybe(text),
          containerRuntimeVersion: maybe(text),
          bootID: maybe(text),
        }),
      ),
    }),
  ),
});

/** core/v1 */
export const service = z.object({
  metadata,
  spec: z.object({
    type: maybe(text),
    clusterIP: maybe(text),
    clusterIPs: maybe(z.array(text)),
    ipFamilies: maybe(z.array(text)),
    externalIPs: maybe(z.array(text)),
    externalName: maybe(text),
    loadBalancerIP: maybe(text),
    loadBalancerClass: maybe(text),
    loadBalancerSourceRanges: maybe(z.array(text)),
    selector: labels,
    sessionAffinity: maybe(text),
    externalTrafficPolicy: maybe(text),
    internalTrafficPolicy: maybe(text),
    trafficDistribution: maybe(text),
    publishNotReadyAddresses: maybe(flag),
    healthCheckNodePort: maybe(number),
    ports: maybe(
      z.array(
        z.object({
          name: maybe(text),
          protocol: maybe(text),
          port: number,
          targetPort: maybe(intOrString),
          nodePort: maybe(number),
          appProtocol: maybe(text),
        }),
      ),
    ),
  }),
  status: maybe(
    z.object({
      loadBalancer: maybe(
        z.object({
          ingress: maybe(z.array(z.object({ ip: maybe(text), hostname: maybe(text), ipMode: maybe(text) }))),
        }),
      ),
    }),
  ),
});

/** discovery.k8s.io/v1 (v1beta1 has the conditions in the same place) */
export const endpointSlice = z.object({
  metadata,
  addressType: maybe(text),
  ports: maybe(z.array(z.object({ name: maybe(text), protocol: maybe(text), port: maybe(number) }))),
  endpoints: maybe(
    z.array(
      z.object({
        addresses: maybe(z.array(text)),
        conditions: maybe(z.object({ ready: maybe(flag), serving: maybe(flag), terminating: maybe(flag) })),
        hostname: maybe(text),
        nodeName: maybe(text),
        zone: maybe(text),
        hints: maybe(
          z.object({
            forZones: maybe(z.array(z.object({ name: text }))),
            forNodes: maybe(z.array(z.object({ name: text }))),
          }),
        ),
        targetRef: maybe(z.object({ kind: maybe(text), namespace: maybe(text), name: maybe(text), uid: maybe(text) })),
      }),
    ),
  ),
});

const written = z.object({
  time: maybe(text),
  fieldsV1: maybe(z.object({ "f:data": maybe(z.record(text, z.unknown())) })),
});

/** core/v1; only ConfigMaps of the network are read closer, and of those who wrote them which files */
export const configMap = z.object({
  metadata: metadata.extend({
    managedFields: maybe(z.array(written.extend({ manager: maybe(text), operation: maybe(text) }))),
  }),
  data: labels,
});

/** apiextensions.k8s.io/v1 CustomResourceDefinition: that it exists */
export const named = z.object({ metadata });

/** core/v1 */
export const namespace = z.object({ metadata, status: maybe(z.object({ conditions: maybe(z.array(condition)) })) });

/** apiregistration.k8s.io/v1: without a Service, the API server serves it itself */
export const apiService = z.object({
  metadata,
  spec: z.object({
    group: maybe(text),
    version: maybe(text),
    service: maybe(z.object({ namespace: text, name: text, port: maybe(number) })),
  }),
  status: maybe(z.object({ conditions: maybe(z.array(condition)) })),
});

/** certificates.k8s.io/v1 */
export const certificateSigningRequest = z.object({
  metadata,
  spec: z.object({
    /** PEM in base64. */
    request: maybe(text),
    signerName: maybe(text),
    /** Who asks, as the API server knew them. */
    username: maybe(text),
    groups: maybe(z.array(text)),
  }),
  status: maybe(z.object({ certificate: maybe(text), conditions: maybe(z.array(condition)) })),
});

/** core/v1 ServiceAccount */
export const serviceAccount = z.object({ metadata, automountServiceAccountToken: maybe(flag) });

/** core/v1; events.k8s.io/v1 has other names for the same */
export const event = z.object({
  metadata,
  involvedObject: maybe(
    z.object({ kind: maybe(text), namespace: maybe(text), name: maybe(text), fieldPath: maybe(text) }),
  ),
  type: maybe(text),
  reason: maybe(text),
  message: maybe(text),
  count: maybe(number),
  firstTimestamp: maybe(text),
  lastTimestamp: maybe(text),
  eventTime: maybe(text),
  series: maybe(z.object({ count: maybe(number), lastObservedTime: maybe(text) })),
});

/** admissionregistration.k8s.io/v1: MutatingWebhookConfiguration, ValidatingWebhookConfiguration */
const webhook = z.object({
  name: text,
  failurePolicy: maybe(text),
  rules: maybe(
    z.array(
      z.object({
        apiGroups: maybe(z.array(text)),
        resources: maybe(z.array(text)),
        operations: maybe(z.array(text)),
        scope: maybe(text),
      }),
    ),
  ),
  namespaceSelector: maybe(labelSelector),
  objectSelector: maybe(labelSelector),
  matchConditions: maybe(z.array(z.object({ name: maybe(text) }))),
  clientConfig: maybe(
    z.object({
      url: maybe(text),
      caBundle: maybe(text),
      service: maybe(z.object({ namespace: text, name: text, port: maybe(number) })),
    }),
  ),
});
export const webhookConfiguration = z.object({ metadata, webhooks: maybe(z.array(webhook)) });

/** apps/v1: DaemonSet, Deployment, StatefulSet, ReplicaSet */
export const workload = z.object({
  metadata,
  spec: z.object({
    replicas: maybe(number),
    selector: maybe(labelSelector),
    serviceName: maybe(text),
    template: podTemplate,
  }),
  status: maybe(
    z.object({
      observedGeneration: maybe(number),
      replicas: maybe(number),
      readyReplicas: maybe(number),
      availableReplicas: maybe(number),
      desiredNumberScheduled: maybe(number),
      currentNumberScheduled: maybe(number),
      numberReady: maybe(number),
      numberMisscheduled: maybe(number),
      conditions: maybe(z.array(condition)),
    }),
  ),
});

const policyPort = z.object({ protocol: maybe(text), port: maybe(intOrString), endPort: maybe(number) });
const policyPeer = z.object({
  podSelector: maybe(labelSelector),
  namespaceSelector: maybe(labelSelector),
  ipBlock: maybe(z.object({ cidr: text, except: maybe(z.array(text)) })),
});

/** networking.k8s.io/v1 */
export const networkPolicy = z.object({
  metadata,
  spec: z.object({
    podSelector: maybe(labelSelector),
    policyTypes: maybe(z.array(text)),
    ingress: maybe(z.array(z.object({ ports: maybe(z.array(policyPort)), from: maybe(z.array(policyPeer)) }))),
    egress: maybe(z.array(z.object({ ports: maybe(z.array(policyPort)), to: maybe(z.array(policyPeer)) }))),
  }),
});

const policyRule = z.object({
  apiGroups: maybe(z.array(text)),
  resources: maybe(z.array(text)),
  resourceNames: maybe(z.array(text)),
  nonResourceURLs: maybe(z.array(text)),
  verbs: maybe(z.array(text)),
});

/** rbac.authorization.k8s.io/v1: Role and ClusterRole */
export const role = z.object({
  metadata,
  rules: maybe(z.array(policyRule)),
  aggregationRule: maybe(z.object({ clusterRoleSelectors: maybe(z.array(labelSelector)) })),
});

/** rbac.authorization.k8s.io/v1: RoleBinding and ClusterRoleBinding */
export const roleBinding = z.object({
  metadata,
  roleRef: z.object({ apiGroup: maybe(text), kind: text, name: text }),
  subjects: maybe(z.array(z.object({ kind: text, apiGroup: maybe(text), name: text, namespace: maybe(text) }))),
});

/** coordination.k8s.io/v1 */
export const lease = z.object({
  metadata,
  spec: maybe(
    z.object({
      holderIdentity: maybe(text),
      leaseDurationSeconds: maybe(number),
      renewTime: maybe(text),
      acquireTime: maybe(text),
    }),
  ),
});

export type ContainerStatus = z.infer<typeof containerStatus>;
export type PodSpec = z.infer<typeof podSpec>;
export type Pod = z.infer<typeof pod>;
export type Node = z.infer<typeof node>;
export type Service = z.infer<typeof service>;
export type EndpointSlice = z.infer<typeof endpointSlice>;
export type Event = z.infer<typeof event>;
export type ConfigMap = z.infer<typeof configMap>;
export type CertificateSigningRequest = z.infer<typeof certificateSigningRequest>;
export type ApiService = z.infer<typeof apiService>;
export type WebhookConfiguration = z.infer<typeof webhookConfiguration>;
export type Workload = z.infer<typeof workload>;
export type NetworkPolicy = z.infer<typeof networkPolicy>;
export type PolicyPeer = z.infer<typeof policyPeer>;
export type PolicyPort = z.infer<typeof policyPort>;
export type Role = z.infer<typeof role>;
export type PolicyRule = z.infer<typeof policyRule>;
export type RoleBinding = z.infer<typeof roleBinding>;
