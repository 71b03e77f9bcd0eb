/**
 * Faults of all layers that can be had in any cluster of the kind that they need, each with how it is mended. A cluster
 * that cannot have one says why.
 */
import type { ObjectOf } from "../../src/evidence/catalogue.ts";
import type { LiveCluster, Thing } from "./live-cluster.ts";
import { NAMESPACE, type Step } from "./steps.ts";

export type Plan = {
  readonly breaks: readonly Step[];
  readonly mends: readonly Step[];
  /** The check that finds it, and the object that it names: the beginnings of a root cause's id. */
  readonly found: readonly string[];
};

export type Fault = {
  readonly name: string;
  /** @returns why this cluster cannot have it, if it cannot */
  plan(cluster: LiveCluster): Promise<Plan | string>;
};

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const SYSTEM = "/api/v1/namespaces/kube-system";
const SYSTEM_APPS = "/apis/apps/v1/namespaces/kube-system";
const OURS = `/api/v1/namespaces/${NAMESPACE}`;

const node = (name: string, script: string): Step => ({ do: "node", node: name, script });
const request = (method: "POST" | "PATCH" | "PUT" | "DELETE", path: string, body?: object): Step => ({
  do: "request",
  method,
  path,
  ...(body && { body }),
  unless: method === "DELETE" ? [404] : method === "POST" ? [409] : [],
});

/** An object as it can be made anew. */
function remade({ status: _, ...thing }: Thing): object {
  const { name, namespace, labels, annotations } = thing.metadata as Record<string, unknown>;
  return { ...thing, metadata: { name, namespace, labels, annotations } };
}

/** One object is deleted. */
const deleted = (path: string, thing: Thing, apiVersion: string, kind: string) => ({
  breaks: [request("DELETE", `${path}/${encodeURIComponent(thing.metadata.name)}`)],
  mends: [request("POST", path, { ...remade(thing), apiVersion, kind })],
});

type Account = { readonly kind?: string; readonly name?: string; readonly namespace?: string };
type Binding = Thing & { readonly subjects?: readonly Account[]; readonly roleRef?: Account };

const bindingsOf = async (cluster: LiveCluster, account: RegExp) =>
  (await cluster.list<Binding>(`${RBAC}/clusterrolebindings`)).filter(({ subjects }) =>
    subjects?.some(({ kind, name = "" }) => kind === "ServiceAccount" && account.test(name)),
  );

type DaemonSet = Thing & {
  readonly spec: { readonly template: { readonly spec: { readonly nodeSelector?: object } } };
};
const daemonSet = async (cluster: LiveCluster, name: string) =>
  (await cluster.list<DaemonSet>(`${SYSTEM_APPS}/daemonsets`)).find(({ metadata }) => metadata.name === name);

const CONTROL_PLANE = "node-role.kubernetes.io/control-plane";
const isControlPlane = ({ metadata }: ObjectOf<"nodes">) => metadata.labels?.[CONTROL_PLANE] !== undefined;
export const controlPlaneOf = ({ nodes }: LiveCluster) => nodes.find(isControlPlane)?.metadata.name;

/** One that the control plane does not run on, if there is any. */
export const workerOf = ({ nodes }: LiveCluster) =>
  (nodes.find((each) => !isControlPlane(each)) ?? nodes[0]!).metadata.name;

/** What its node object says; of Calico and Cilium the addresses of Pods come from elsewhere. */
const podRange = ({ nodes }: LiveCluster, name: string) =>
  (nodes.find(({ metadata }) => metadata.name === name)?.spec as { podCIDR?: string } | undefined)?.podCIDR;

/** The addresses of a node's Pods, as iptables takes them, whoever gave them out. */
async function podAddresses(cluster: LiveCluster, name: string): Promise<string | undefined> {
  const pods = await cluster.list<ObjectOf<"pods">>(`/api/v1/pods?fieldSelector=spec.nodeName%3D${name}`);
  const own = pods.filter(({ spec, status }) => !spec.hostNetwork && status?.phase === "Running" && status.podIP);
  return own.length === 0 ? undefined : own.map(({ status }) => status!.podIP).join(",");
}

const isOfCilium = async (cluster: LiveCluster) => (await daemonSet(cluster, "cilium")) !== undefined;

async function flannelDevice(cluster: LiveCluster, name: string): Promise<string | undefined> {
  const links = await cluster.on(name, "ls /sys/class/net");
  return /^flannel\.\d+$/m.exec(links)?.[0];
}

const anotherThan = ({ nodes }: LiveCluster, name: string) =>
  nodes.find(({ metadata }) => metadata.name !== name)?.metadata.name;

const NO_FLANNEL = "not of this CNI: it needs flannel with VXLAN";

/** The name of the Service, its selector and port are what faults of Services change. */
export const WEB = "web";

const LAYERS: Readonly<Record<string, Readonly<Record<string, Fault["plan"]>>>> = {
  "control plane": {
    "kube-proxy's binding is deleted": async (cluster) => {
      const [binding] = await bindingsOf(cluster, /^kube-proxy$/);
      if (!binding) return "it has no ServiceAccount of kube-proxy";
      return {
        ...deleted(`${RBAC}/clusterrolebindings`, binding, "rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        found: ["component-access-denied/ClusterRoleBinding"],
      };
    },
    "the CNI's role is deleted": async (cluster) => {
      const [binding] = await bindingsOf(cluster, /^(?:flannel|calico-node|cilium)$/);
      const name = binding?.roleRef?.name;
      const roles = await cluster.list(`${RBAC}/clusterroles`);
      const role = roles.find(({ metadata }) => metadata.name === name);
      if (!role) return "it has no role of flannel, Calico or Cilium";
      return {
        ...deleted(`${RBAC}/clusterroles`, role, "rbac.authorization.k8s.io/v1", "ClusterRole"),
        found: [`component-access-denied/ClusterRole/${role.metadata.name}`],
      };
    },
    "kube-proxy belongs nowhere": async (cluster) => {
      const proxy = await daemonSet(cluster, "kube-proxy");
      if (!proxy) return "it has no DaemonSet of kube-proxy";
      const path = `${SYSTEM_APPS}/daemonsets/kube-proxy`;
      const selected = (value: string | null) => ({
        spec: { template: { spec: { nodeSelector: { nowhere: value } } } },
      });
      return {
        breaks: [request("PATCH", path, selected("true"))],
        mends: [request("PATCH", path, selected(null))],
        found: ["component-missing/DaemonSet/kube-system/kube-proxy"],
      };
    },
    "the controller manager is gone": async (cluster) => {
      const home = controlPlaneOf(cluster);
      const file = "/etc/kubernetes/manifests/kube-controller-manager.yaml";
      if (home === undefined || (await cluster.on(home, `test -e ${file} && echo yes || :`)) === "") {
        return "its control plane is not of kubeadm";
      }
      const aside = "/etc/kubernetes/netwhy-test.kube-controller-manager.yaml";
      return {
        breaks: [node(home, `mv ${file} ${aside}`)],
        mends: [node(home, `! test -e ${aside} || mv ${aside} ${file}`)],
        found: ["controller-lease-expired/"],
      };
    },
  },
  nodes: {
    "a node does not forward": async (cluster) => {
      const name = workerOf(cluster);
      return {
        breaks: [node(name, "echo 0 > /proc/sys/net/ipv4/ip_forward")],
        mends: [node(name, "echo 1 > /proc/sys/net/ipv4/ip_forward")],
        found: ["ip-forwarding-off/Node"],
      };
    },
    "a node's filter drops what Pods send": async (cluster) => {
      const name = workerOf(cluster);
      const pods = await podAddresses(cluster, name);
      if (pods === undefined) return `${name} has no Pods`;
      const rule = `FORWARD -s ${pods} -m comment --comment netwhy-test -j DROP`;
      return {
        breaks: [node(name, `iptables -I ${rule}`)],
        mends: [node(name, `while iptables -D ${rule} 2>/dev/null; do :; done`)],
        found: ["packet-filter-drop/Node"],
      };
    },
    "the device of a node is too small": async (cluster) => {
      const name = workerOf(cluster);
      if ((await flannelDevice(cluster, name)) === undefined) return NO_FLANNEL;
      const device = (await cluster.on(name, "ip -4 route show default")).match(/ dev (\S+)/)?.[1];
      if (device === undefined) return "its nodes have no default route";
      const mtu = (await cluster.on(name, `cat /sys/class/net/${device}/mtu`)).trim();
      return {
        breaks: [node(name, `ip link set ${device} mtu 1300`)],
        mends: [node(name, `ip link set ${device} mtu ${mtu}`)],
        found: ["node-mtu-too-small/Node"],
      };
    },
  },
  "Pod network": {
    "a node's way to another one's Pods is gone": async (cluster) => {
      const name = workerOf(cluster);
      const device = await flannelDevice(cluster, name);
      const other = anotherThan(cluster, name);
      const range = other === undefined ? undefined : podRange(cluster, other);
      if (device === undefined || range === undefined) return NO_FLANNEL;
      const route = (await cluster.on(name, `ip -4 route show ${range}`)).trim();
      if (route === "") return "flannel does without that route here";
      return {
        breaks: [node(name, `ip route del ${range}`)],
        mends: [node(name, `ip route replace ${route}`)],
        found: ["pod-network-entry-mismatch/Node"],
      };
    },
    "the bridge of a node is down": async (cluster) => {
      const name = workerOf(cluster);
      if (!/^cni0$/m.test(await cluster.on(name, "ls /sys/class/net"))) return "its Pods have no bridge cni0";
      return {
        breaks: [node(name, "ip link set cni0 down")],
        mends: [node(name, "ip link set cni0 up")],
        found: ["pod-path-broken/Node"],
      };
    },
    "a node drops what other nodes send it in tunnels": async (cluster) => {
      const name = workerOf(cluster);
      const port = /\bdstport (\d+)/.exec(await cluster.on(name, "ip -d link show type vxlan"))?.[1];
      if (port === undefined) return "it has no VXLAN";
      const rule = `INPUT -p udp --dport ${port} -m comment --comment netwhy-test -j DROP`;
      return {
        breaks: [node(name, `iptables -I ${rule}`)],
        mends: [node(name, `while iptables -D ${rule} 2>/dev/null; do :; done`)],
        found: ["packet-filter-drop/Node"],
      };
    },
  },
  Services: {
    "a node has lost the rules of Services": async (cluster) => {
      const name = workerOf(cluster);
      const rules = await cluster.on(name, "iptables-save -t nat 2>/dev/null || :");
      if (!/^-A KUBE-SERVICES /m.test(rules)) return "kube-proxy does not use iptables here";
      return {
        breaks: [node(name, "iptables -t nat -F KUBE-SERVICES")],
        // it writes them all when it starts
        mends: [
          request("DELETE", `${SYSTEM}/pods?labelSelector=k8s-app%3Dkube-proxy&fieldSelector=spec.nodeName%3D${name}`),
        ],
        found: ["service-rules-mismatch/Node"],
      };
    },
    "a Service selects no Pod": async () => ({
      breaks: [request("PATCH", `${OURS}/services/${WEB}`, { spec: { selector: { app: "wbe" } } })],
      mends: [request("PATCH", `${OURS}/services/${WEB}`, { spec: { selector: { app: WEB } } })],
      found: [`service-without-endpoints/Service/${NAMESPACE}/${WEB}`],
    }),
    "a Service leads to a port that nobody listens on": async () => {
      const path = `${OURS}/services/${WEB}`;
      const target = (value: number) => [{ op: "replace", path: "/spec/ports/0/targetPort", value }];
      return {
        breaks: [request("PATCH", path, target(8081))],
        mends: [request("PATCH", path, target(8080))],
        found: [`target-port-mismatch/Service/${NAMESPACE}/${WEB}`],
      };
    },
    "no Pod of a Service is ready": async () => {
      const path = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${WEB}`;
      const probe = (value: object | null) => [
        { op: "add", path: "/spec/template/spec/containers/0/readinessProbe", value },
      ];
      return {
        breaks: [request("PATCH", path, probe({ tcpSocket: { port: 9 }, periodSeconds: 1 }))],
        mends: [request("PATCH", path, probe(null))],
        found: ["service-without-endpoints/"],
      };
    },
  },
  DNS: {
    "CoreDNS is scaled to nothing": async (cluster) => {
      const deployments = await cluster.list<Thing & { spec: { replicas?: number } }>(`${SYSTEM_APPS}/deployments`);
      const coredns = deployments.find(({ metadata }) => metadata.name === "coredns");
      if (!coredns) return "it has no Deployment coredns";
      const path = `${SYSTEM_APPS}/deployments/coredns`;
      return {
        breaks: [request("PATCH", path, { spec: { replicas: 0 } })],
        mends: [request("PATCH", path, { spec: { replicas: coredns.spec.replicas ?? 1 } })],
        found: ["cluster-dns-down/", "component-missing/Deployment/kube-system/coredns"],
      };
    },
    "the Corefile does not parse": async (cluster) => {
      const maps = await cluster.list<Thing & { data?: { Corefile?: string } }>(`${SYSTEM}/configmaps`);
      const corefile = maps.find(({ metadata }) => metadata.name === "coredns")?.data?.Corefile;
      if (corefile === undefined || !/^\s*forward /m.test(corefile)) return "it has no ConfigMap coredns";
      const path = `${SYSTEM}/configmaps/coredns`;
      const write = (text: string) => request("PATCH", path, { data: { Corefile: text } });
      const restart = request("DELETE", `${SYSTEM}/pods?labelSelector=k8s-app%3Dkube-dns`);
      return {
        breaks: [write(corefile.replace(/^(\s*)forward /m, "$1forwrad ")), restart],
        mends: [write(corefile), restart],
        found: ["corefile-invalid/ConfigMap/kube-system/coredns"],
      };
    },
    "Pods' queries for DNS are rejected on a node": async (cluster) => {
      const name = workerOf(cluster);
      const pods = await podAddresses(cluster, name);
      if (pods === undefined) return `${name} has no Pods`;
      if (await isOfCilium(cluster)) return "Cilium carries Pods' queries past that chain";
      const rule = `FORWARD -s ${pods} -p udp --dport 53 -m comment --comment netwhy-test -j REJECT`;
      return {
        breaks: [node(name, `iptables -I ${rule}`)],
        mends: [node(name, `while iptables -D ${rule} 2>/dev/null; do :; done`)],
        found: ["packet-filter-drop/Node"],
      };
    },
  },
  NetworkPolicies: {
    "a policy isolates Pods from DNS": async (cluster) => {
      const agents = await cluster.list("/apis/apps/v1/daemonsets");
      if (
        !agents.some(({ metadata }) =>
          /^(?:calico-node|cilium|antrea-agent|kube-router|weave-net)$/.test(metadata.name),
        )
      ) {
        return "nothing enforces NetworkPolicies here";
      }
      const path = `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies`;
      const policy = {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: "only-web" },
        spec: {
          podSelector: {},
          policyTypes: ["Egress"],
          egress: [{ to: [{ podSelector: { matchLabels: { app: WEB } } }] }],
        },
      };
      return {
        breaks: [request("POST", path, policy)],
        mends: [request("DELETE", `${path}/only-web`)],
        found: [`network-policy-defective/NetworkPolicy/${NAMESPACE}/only-web`],
      };
    },
  },
};

export const FAULTS: readonly Fault[] = Object.entries(LAYERS).flatMap(([layer, faults]) =>
  Object.entries(faults).map(([name, plan]) => ({ name: `${layer}: ${name}`, plan })),
);

/**
 * An application with a Service, for faults of such: CoreDNS without a Corefile, which answers at any port that it is told,
 * and whose image clusters have.
 *
 * @returns why this cluster cannot have it, if it cannot
 */
export async function webApplication(cluster: LiveCluster): Promise<readonly Step[] | string> {
  const [dns] = await cluster.list<ObjectOf<"pods">>(`${SYSTEM}/pods?labelSelector=k8s-app%3Dkube-dns`);
  const container = dns?.spec.containers.find(({ image }) => image?.includes("coredns"));
  if (!dns || !container) return "it has no Pod of CoreDNS, whose image is the application's";
  return [
    request("POST", `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: WEB },
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" },
        selector: { matchLabels: { app: WEB } },
        template: {
          metadata: { labels: { app: WEB } },
          spec: {
            terminationGracePeriodSeconds: 0,
            nodeName: dns.spec.nodeName,
            tolerations: [{ operator: "Exists" }],
            containers: [
              {
                name: WEB,
                image: container.image,
                imagePullPolicy: "Never",
                args: ["-dns.port", "8080"],
                ports: [{ containerPort: 8080 }],
              },
            ],
          },
        },
      },
    }),
    request("POST", `${OURS}/services`, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: WEB },
      spec: { selector: { app: WEB }, ports: [{ port: 80, targetPort: 8080 }] },
    }),
  ];
}
