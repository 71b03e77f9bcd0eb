/** The API objects of the built cluster, as kubeadm, flannel's manifest and a small shop would make them. */
import type { ListId, ObjectOf } from "../src/evidence/catalogue.ts";
import { grantsOf } from "../src/model/permissions/baseline.ts";
import { baselineOf, isBootstrapObject } from "../src/model/permissions/baselines.ts";
import type { Ref } from "../src/model/ref.ts";
import type { Family } from "../src/net/ip.ts";
import type { ConfigMap, Node, Pod, PodSpec, Role, RoleBinding, Service, Workload } from "../src/parse/objects.ts";
import type { ClusterOptions } from "./cluster.ts";
import { nodeAddress, podRange, RANGES, serviceAddress } from "./cluster-addresses.ts";
import { CREATED } from "./cluster-nodes.ts";

export type Workloads = "shop" | "none" | { readonly services: number; readonly replicas: number };
type Flavour = NonNullable<ClusterOptions["flavour"]>;
type Lists = { readonly [K in ListId]: readonly ObjectOf<K>[] };

const meta = (name: string, namespace?: string, labels: Record<string, string> = {}) => ({
  name,
  ...(namespace !== undefined && { namespace }),
  labels,
  creationTimestamp: CREATED,
});

const ANNOTATED = { 4: ["public-ip", "backend-data"], 6: ["public-ipv6", "backend-v6-data"] } as const;

/** How flannel of a node tells the others that it is reached. */
function flannelAnnotations(index: number, families: readonly Family[]): Record<string, string> {
  const prefix = "flannel.alpha.coreos.com/";
  const announced = families.flatMap((family) => {
    const bytes = [2, family === 4 ? 66 : 68, 0, 0, index >> 8, index & 255];
    const VtepMAC = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    const [address, data] = ANNOTATED[family];
    return [
      [`${prefix}${address}`, nodeAddress(index, family)],
      [`${prefix}${data}`, JSON.stringify({ VNI: 1, VtepMAC })],
    ];
  });
  return Object.fromEntries([
    [`${prefix}backend-type`, "vxlan"],
    [`${prefix}kube-subnet-manager`, "true"],
    ...announced,
  ]);
}

function nodeObject(index: number, flavour: Flavour, families: readonly Family[]): Node {
  const isControlPlane = index === 0 && flavour === "kubeadm";
  const name = isControlPlane ? "cp1" : `w${flavour === "kubeadm" ? index : index + 1}`;
  const podCIDRs = families.map((family) => podRange(index, family));
  return {
    metadata: {
      ...meta(name, undefined, { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" }),
      // a managed cluster's network is the cloud's: its routes are not on the nodes
      annotations: flavour === "managed" ? {} : flannelAnnotations(index, families),
    },
    spec: {
      podCIDR: podCIDRs[0],
      podCIDRs,
      ...(isControlPlane && { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] }),
    },
    status: {
      addresses: families.map((family) => ({ type: "InternalIP", address: nodeAddress(index, family) })),
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "KubeletReady",
          message: "kubelet is posting ready status",
          lastTransitionTime: CREATED,
        },
      ],
      nodeInfo: { kubeletVersion: flavour === "k3s" ? "v1.33.1+k3s1" : "v1.33.1" },
    },
  };
}

type ContainerSpec = PodSpec["containers"][number];
const container = (
  name: string,
  image: string,
  ports: NonNullable<ContainerSpec["ports"]> = [],
  more: Partial<ContainerSpec> = {},
): ContainerSpec => ({ name, image, ports, ...more });

export function workload(
  name: string,
  namespace: string,
  labels: Record<string, string>,
  spec: PodSpec,
  replicas?: number,
): Workload {
  return {
    metadata: meta(name, namespace, labels),
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec },
      ...(replicas !== undefined && { replicas }),
    },
    status: {},
  };
}

export function service(name: string, namespace: string, spec: Service["spec"]): Service {
  return { metadata: meta(name, namespace), spec: { type: "ClusterIP", ...spec } };
}

const ANYWHERE = [{ operator: "Exists" }];
const COREFILE = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`;

function systemConfigMaps(flavour: Flavour, families: readonly Family[]): ConfigMap[] {
  const map = (name: string, namespace: string, data: Record<string, string>): ConfigMap => ({
    metadata: meta(name, namespace),
    data,
  });
  const coredns = map("coredns", "kube-system", { Corefile: COREFILE });
  if (flavour !== "kubeadm") return [coredns];
  const ranges = families.map((family) => RANGES[family].pods).join(",");
  const kubeProxy = `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: ${ranges}\nmode: iptables\n`;
  const netConf = JSON.stringify({
    ...(families.includes(4) ? { Network: RANGES[4].pods } : { EnableIPv4: false }),
    ...(families.includes(6) && { EnableIPv6: true, IPv6Network: RANGES[6].pods }),
    Backend: { Type: "vxlan" },
  });
  const kubeadm = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.33.1\n";
  return [
    coredns,
    map("kubeadm-config", "kube-system", { ClusterConfiguration: kubeadm }),
    map("cluster-info", "kube-public", { kubeconfig: CLUSTER_INFO }),
    map("kube-proxy", "kube-system", { "config.conf": kubeProxy }),
    map("kube-flannel-cfg", "kube-flannel", { "net-conf.json": netConf }),
  ];
}

/** What nodes that join are told before they log in; the tokens by which it was signed have expired. */
const CLUSTER_INFO = `apiVersion: v1
kind: Config
clusters:
- cluster:
    server: https://control-plane.example.org:6443
  name: ""
`;

function coredns(): Workload {
  const ports = [
    { name: "dns", containerPort: 53, protocol: "UDP" },
    { name: "dns-tcp", containerPort: 53, protocol: "TCP" },
    { name: "metrics", containerPort: 9153, protocol: "TCP" },
  ];
  return workload(
    "coredns",
    "kube-system",
    { "k8s-app": "kube-dns" },
    {
      serviceAccountName: "coredns",
      dnsPolicy: "Default",
      containers: [container("coredns", "registry.k8s.io/coredns/coredns:v1.12.0", ports)],
      tolerations: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }],
      volumes: [{ name: "config-volume", configMap: { name: "coredns" } }],
    },
    2,
  );
}

function systemDaemonSets(flavour: Flavour, enforcer: boolean): Workload[] {
  const kubeRouter = workload(
    "kube-router",
    "kube-system",
    { "k8s-app": "kube-router" },
    {
      serviceAccountName: "kube-router",
      hostNetwork: true,
      tolerations: ANYWHERE,
      containers: [container("kube-router", "docker.io/cloudnativelabs/kube-router:v2.5.0")],
    },
  );
  const enforcers = enforcer ? [kubeRouter] : [];
  if (flavour !== "kubeadm") return enforcers;
  return [
    ...enforcers,
    workload(
      "kube-proxy",
      "kube-system",
      { "k8s-app": "kube-proxy" },
      {
        serviceAccountName: "kube-proxy",
        hostNetwork: true,
        tolerations: ANYWHERE,
        containers: [container("kube-proxy", "registry.k8s.io/kube-proxy:v1.33.1")],
        volumes: [{ name: "kube-proxy", configMap: { name: "kube-proxy" } }],
      },
    ),
    workload(
      "kube-flannel-ds",
      "kube-flannel",
      { app: "flannel" },
      {
        serviceAccountName: "flannel",
        hostNetwork: true,
        tolerations: ANYWHERE,
        initContainers: [container("install-cni", "ghcr.io/flannel-io/flannel:v0.28.4")],
        containers: [container("kube-flannel", "ghcr.io/flannel-io/flannel:v0.28.4")],
        volumes: [{ name: "flannel-cfg", configMap: { name: "kube-flannel-cfg" } }],
      },
    ),
  ];
}

function staticPods(flavour: Flavour, nodes: readonly Node[], families: readonly Family[]): Pod[] {
  if (flavour !== "kubeadm") return [];
  const ranges = (of: "pods" | "services") => families.map((family) => RANGES[family][of]).join(",");
  const flags: Record<string, string[]> = {
    "kube-apiserver": ["kube-apiserver", `--service-cluster-ip-range=${ranges("services")}`],
    "kube-controller-manager": [
      "kube-controller-manager",
      `--cluster-cidr=${ranges("pods")}`,
      "--use-service-account-credentials=true",
    ],
    "kube-scheduler": ["kube-scheduler"],
    etcd: ["etcd"],
  };
  const address = nodes[0]!.status!.addresses![0]!.address;
  return Object.entries(flags).map(([name, command]) => ({
    metadata: {
      ...meta(`${name}-cp1`, "kube-system", { component: name }),
      ownerReferences: [{ kind: "Node", name: "cp1", controller: true }],
    },
    spec: {
      nodeName: "cp1",
      hostNetwork: true,
      containers: [container(name, `registry.k8s.io/${name}:v1.33.1`, [], { command })],
    },
    status: {
      phase: "Running",
      podIP: address,
      conditions: [{ type: "Ready", status: "True", lastTransitionTime: CREATED }],
      containerStatuses: [{ name, ready: true, restartCount: 0, state: { running: { startedAt: CREATED } } }],
    },
  }));
}

/** Who is granted what: the API server's own policy, kubeadm's bindings, and what the components come with. */
function grants(flavour: Flavour, enforcer: boolean) {
  const accounts: Record<string, readonly [string, string]> = {
    coredns: ["kube-system", "coredns"],
    "endpointslice-controller": ["kube-system", "endpointslice-controller"],
    ...(enforcer && { "kube-router": ["kube-system", "kube-router"] as const }),
    ...(flavour === "kubeadm" && {
      "kube-proxy": ["kube-system", "kube-proxy"] as const,
      flannel: ["kube-flannel", "flannel"] as const,
    }),
  };
  const policy = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "endpointslice-controller"];
  const installed = flavour === "kubeadm" ? [...policy, "kubeadm"] : policy;
  return {
    accounts: Object.values(accounts),
    ...rbacObjects([...new Set([...installed, ...Object.keys(accounts)])]),
  };
}

/** The RBAC objects of these baselines' newest variants. */
function rbacObjects(baselines: readonly string[]) {
  const granted = baselines.flatMap((id) => {
    const baseline = baselineOf(id);
    const newest = baseline?.variants.findLast(({ installer, option }) => !installer && !option);
    return baseline && newest ? grantsOf(baseline, newest) : [];
  });
  const metaOf = (object: Ref, labels: Readonly<Record<string, string>> = {}) =>
    meta(object.name, object.namespace, {
      ...labels,
      ...(isBootstrapObject(object) && { "kubernetes.io/bootstrapping": "rbac-defaults" }),
    });
  const roles = granted.flatMap(({ role, rules, isForeign, labels, aggregates }): [Ref, Role][] =>
    isForeign
      ? []
      : [
          [
            role,
            {
              metadata: metaOf(role, labels),
              rules: [...rules],
              ...(aggregates && { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { ...aggregates } }] } }),
            },
          ],
        ],
  );
  const bindings = granted.flatMap(({ role, bindings: all }) =>
    all.map(({ ref: self, subjects }): [Ref, RoleBinding] => [
      self,
      {
        metadata: metaOf(self),
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: role.kind, name: role.name },
        subjects: [...subjects],
      },
    ]),
  );
  const ofKind = <T>(all: readonly (readonly [Ref, T])[], kind: string): T[] =>
    all.flatMap(([self, object]) => (self.kind === kind ? [object] : []));
  return {
    clusterroles: ofKind(roles, "ClusterRole"),
    roles: ofKind(roles, "Role"),
    clusterrolebindings: ofKind(bindings, "ClusterRoleBinding"),
    rolebindings: ofKind(bindings, "RoleBinding"),
  };
}

const http = (name = "http") => [{ name, containerPort: 8080, protocol: "TCP" }];
const IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53";

function shop(): { deployments: Workload[]; statefulsets: Workload[]; daemonsets: Workload[]; services: Service[] } {
  const app = (name: string) => ({
    containers: [container("app", IMAGE, http())],
    dnsPolicy: "ClusterFirst",
    serviceAccountName: name,
  });
  return {
    deployments: [
      workload("backend", "shop", { app: "backend" }, app("default"), 3),
      workload("frontend", "shop", { app: "frontend" }, app("default"), 2),
    ],
    statefulsets: [
      workload(
        "db",
        "data",
        { app: "db" },
        { containers: [container("db", IMAGE, [{ name: "pg", containerPort: 5432, protocol: "TCP" }])] },
        2,
      ),
    ],
    daemonsets: [
      workload(
        "client",
        "tools",
        { app: "client" },
        { containers: [container("client", IMAGE)], tolerations: ANYWHERE },
      ),
    ],
    services: [
      service("backend", "shop", {
        clusterIP: "10.96.10.1",
        selector: { app: "backend" },
        ports: [{ name: "http", port: 8080, targetPort: "http" }],
      }),
      service("frontend", "shop", {
        type: "NodePort",
        clusterIP: "10.96.10.2",
        selector: { app: "frontend" },
        ports: [{ name: "http", port: 80, targetPort: 8080, nodePort: 30080 }],
      }),
      service("backend-local", "shop", {
        type: "NodePort",
        externalTrafficPolicy: "Local",
        clusterIP: "10.96.10.3",
        selector: { app: "backend" },
        ports: [{ name: "http", port: 8080, targetPort: "http", nodePort: 30081 }],
      }),
      service("db", "data", {
        clusterIP: "None",
        selector: { app: "db" },
        ports: [{ name: "pg", port: 5432, targetPort: "pg" }],
      }),
    ],
  };
}

function many(count: number, replicas: number): ReturnType<typeof shop> {
  const names = Array.from({ length: count }, (_, i) => `app-${i}`);
  return {
    deployments: names.map((name) =>
      workload(name, "load", { app: name }, { containers: [container("app", IMAGE, http())] }, replicas),
    ),
    statefulsets: [],
    daemonsets: [],
    services: names.map((name, i) =>
      service(name, "load", {
        clusterIP: `10.96.${32 + Math.floor(i / 250)}.${(i % 250) + 1}`,
        selector: { app: name },
        ports: [{ name: "http", port: 80, targetPort: "http" }],
      }),
    ),
  };
}

/** Of a control plane that is no node. */
const API_SERVER = { 4: "172.16.254.1", 6: "fd00:172:16::fe01" } as const;
const NO_APPS: ReturnType<typeof shop> = { deployments: [], statefulsets: [], daemonsets: [], services: [] };

/** A Service with an address of each family instead of one of IPv4. */
function withFamilies({ spec, ...object }: Service, families: readonly Family[]): Service {
  const { clusterIP } = spec;
  if (families.every((family) => family === 4)) return { ...object, spec };
  const isHeadless = clusterIP === "None" || !clusterIP;
  const clusterIPs = isHeadless ? [clusterIP ?? ""] : families.map((family) => serviceAddress(clusterIP, family));
  return {
    ...object,
    spec: { ...spec, clusterIP: clusterIPs[0], clusterIPs, ipFamilies: families.map((family) => `IPv${family}`) },
  };
}

export function clusterObjects(
  count: number,
  flavour: Flavour,
  workloads: Workloads,
  enforcer: boolean,
  families: readonly Family[],
): Lists {
  const nodes = Array.from({ length: count }, (_, index) => nodeObject(index, flavour, families));
  const first = families.slice(0, 1);
  const apps =
    workloads === "shop" ? shop() : workloads === "none" ? NO_APPS : many(workloads.services, workloads.replicas);
  const { accounts, ...rbac } = grants(flavour, enforcer);
  const dnsPorts = [
    { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
    { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
  ];
  const names = [
    ...new Set([
      "default",
      "kube-system",
      "kube-node-lease",
      "kube-public",
      ...(flavour === "kubeadm" ? ["kube-flannel"] : []),
      ...[...apps.deployments, ...apps.statefulsets, ...apps.daemonsets].map(({ metadata }) => metadata.namespace!),
    ]),
  ];
  return {
    nodes,
    namespaces: names.map((name) => ({ metadata: meta(name, undefined, { "kubernetes.io/metadata.name": name }) })),
    pods: staticPods(flavour, nodes, families),
    services: [
      // these two have one address in a dual-stack cluster as well
      withFamilies(
        service("kubernetes", "default", {
          clusterIP: "10.96.0.1",
          ports: [{ name: "https", port: 443, targetPort: 6443 }],
        }),
        first,
      ),
      {
        ...withFamilies(
          service("kube-dns", "kube-system", {
            clusterIP: "10.96.0.10",
            selector: { "k8s-app": "kube-dns" },
            ports: dnsPorts,
          }),
          first,
        ),
        metadata: meta("kube-dns", "kube-system", { "k8s-app": "kube-dns" }),
      },
      ...apps.services.map((one) => withFamilies(one, families)),
    ],
    endpointslices: [
      {
        metadata: meta("kubernetes", "default", { "kubernetes.io/service-name": "kubernetes" }),
        addressType: `IPv${families[0] ?? 4}`,
        ports: [{ name: "https", port: 6443, protocol: "TCP" }],
        endpoints: [
          {
            addresses: [
              flavour === "kubeadm" ? nodes[0]!.status!.addresses![0]!.address : API_SERVER[families[0] ?? 4],
            ],
            conditions: { ready: true },
          },
        ],
      },
    ],
    configmaps: [
      ...systemConfigMaps(flavour, families),
      ...names.map((name) => ({
        metadata: meta("kube-root-ca.crt", name),
        data: { "ca.crt": "-----BEGIN CERTIFICATE-----\n" },
      })),
    ],
    serviceaccounts: [...accounts, ...names.map((name): readonly [string, string] => [name, "default"])].map(
      ([namespace, name]) => ({ metadata: meta(name, namespace) }),
    ),
    events: [],
    daemonsets: [...systemDaemonSets(flavour, enforcer), ...apps.daemonsets],
    deployments: [coredns(), ...apps.deployments],
    statefulsets: apps.statefulsets,
    replicasets: [],
    networkpolicies: [],
    ...rbac,
    leases: nodes.map(({ metadata }) => ({
      metadata: meta(metadata.name, "kube-node-lease"),
      spec: { holderIdentity: metadata.name, renewTime: "2026-11-21T02:59:55Z" },
    })),
    validatingwebhookconfigurations: [],
    mutatingwebhookconfigurations: [],
    apiservices: [],
    certificatesigningrequests: [],
    customresourcedefinitions: [],
    ciliumnetworkpolicies: [],
    ciliumclusterwidenetworkpolicies: [],
    ciliumnodes: [],
    caliconetworkpolicies: [],
    globalnetworkpolicies: [],
    caliconetworksets: [],
    globalnetworksets: [],
    hostendpoints: [],
    ippools: [],
    ipamblocks: [],
    felixconfigurations: [],
  };
}
