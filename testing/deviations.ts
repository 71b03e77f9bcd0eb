/**
 * What is wrong in each recorded incident, as deviations from any healthy cluster.
 */
import { ref } from "../src/model/ref.ts";
import type { Cluster } from "./cluster.ts";
import { editNode } from "./cluster.ts";

export type Deviation = {
  readonly put: (cluster: Cluster) => Cluster;
  /** refIds of the objects to repair. */
  readonly roots: readonly string[];
  /** Incidents that cannot be told apart from this one when both are there: one takes away what shows the other. */
  readonly excludes?: readonly string[];
};

const role = (name: string) => ({ do: "delete", target: ref("ClusterRole", name) }) as const;
const binding = (name: string) => ({ do: "delete", target: ref("ClusterRoleBinding", name) }) as const;
const FLANNEL = ref("DaemonSet", "kube-flannel-ds", "kube-flannel");
const KUBE_PROXY = ref("DaemonSet", "kube-proxy", "kube-system");
const COREDNS = ref("Deployment", "coredns", "kube-system");

export const DEVIATIONS: Readonly<Record<string, Deviation>> = {
  "flannel-role-deleted": {
    put: (cluster) =>
      cluster
        .with(role("flannel"), binding("flannel"), { do: "restart", component: FLANNEL, node: "w2" })
        .edit((draft) => {
          editNode(draft, "links", "w2", (links) => links.filter(({ name }) => name !== "flannel.1"));
          editNode(draft, "routes", "w2", (routes) =>
            routes.filter(({ nextHops }) => nextHops.every(({ device }) => device !== "flannel.1")),
          );
          editNode(draft, "neighbours", "w2", (all) => all.filter(({ device }) => device !== "flannel.1"));
          editNode(draft, "fdb", "w2", (all) => all.filter(({ device }) => device !== "flannel.1"));
        }),
    roots: ["ClusterRole/flannel"],
  },
  "kube-proxy-role-deleted": {
    put: (cluster) =>
      cluster
        .with(role("system:node-proxier"), { do: "restart", component: KUBE_PROXY })
        .with({ do: "scale", target: ref("Deployment", "backend", "shop"), replicas: 5 }),
    roots: ["ClusterRole/system:node-proxier"],
  },
  "corefile-broken": {
    put: (cluster) =>
      cluster
        .edit((draft) => {
          draft.setList(
            "configmaps",
            draft
              .list("configmaps")
              .map((map) =>
                map.metadata.name === "coredns"
                  ? { ...map, data: { Corefile: map.data!.Corefile!.replace("forward", "forwrd") } }
                  : map,
              ),
          );
        })
        .with({ do: "restart", component: COREDNS }),
    roots: ["ConfigMap/kube-system/coredns"],
  },
  "flannel-fdb-lost": {
    put: (cluster) =>
      cluster.edit((draft) => {
        const peer = draft.list("nodes").find(({ metadata }) => metadata.name === "w1")!;
        const range = peer.spec!.podCIDR!;
        editNode(draft, "routes", "cp1", (routes) => routes.filter(({ destination }) => destination !== range));
        editNode(draft, "neighbours", "cp1", (all) => all.filter(({ address }) => `${address}/24` !== range));
        editNode(draft, "fdb", "cp1", (all) =>
          all.filter(({ destination }) => destination !== peer.status!.addresses![0]!.address),
        );
      }),
    roots: ["Node/cp1"],
  },
  "forward-drop": {
    put: (cluster) =>
      cluster.edit((draft) => {
        editNode(draft, "iptables", "w1", (save) => ({
          ...save,
          tables: save.tables.map((table) =>
            table.name !== "filter"
              ? table
              : {
                  ...table,
                  chains: table.chains.map((chain) =>
                    chain.name !== "FORWARD"
                      ? chain
                      : {
                          ...chain,
                          policy: "DROP",
                          rules: chain.rules.filter(
                            ({ target }) => !("chain" in target && target.chain === "FLANNEL-FWD"),
                          ),
                        },
                  ),
                },
          ),
        }));
      }),
    roots: ["Node/w1"],
  },
  "ip-forward-off": {
    put: (cluster) => cluster.with({ do: "sysctl", node: "w3", key: "net.ipv4.ip_forward", value: "0" }),
    roots: ["Node/w3"],
  },
  "conntrack-full": {
    put: (cluster) =>
      cluster.edit((draft) => draft.set("conntrackCount", { node: "w4" }, { count: 262144, max: 262144 })),
    roots: ["Node/w4"],
  },
  "service-selector-mismatch": {
    put: (cluster) =>
      cluster.with({
        do: "patch",
        target: ref("Service", "frontend", "shop"),
        patch: { spec: { selector: { app: "frontend-v2" } } },
      }),
    roots: ["Service/shop/frontend"],
  },
  "service-target-port": {
    put: (cluster) =>
      cluster.with({
        do: "patch",
        target: ref("Service", "backend", "shop"),
        patch: { spec: { ports: [{ name: "http", port: 8080, targetPort: 8088 }] } },
      }),
    roots: ["Service/shop/backend"],
  },
  "netpol-default-deny-egress": {
    put: (cluster) =>
      cluster.with(
        {
          do: "apply",
          object: policy("deny-all-egress", {
            podSelector: { matchLabels: { app: "frontend" } },
            policyTypes: ["Egress"],
          }),
        },
        {
          do: "apply",
          object: policy("frontend-egress", {
            podSelector: { matchLabels: { app: "frontend" } },
            policyTypes: ["Egress"],
            egress: [{ to: [{ podSelector: { matchLabels: { app: "backend" } } }] }],
          }),
        },
      ),
    roots: ["NetworkPolicy/shop/frontend-egress"],
  },
};

function policy(name: string, spec: Record<string, unknown>) {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: "shop" },
    spec,
  } as const;
}
