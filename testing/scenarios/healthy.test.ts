/**
 * Healthy clusters of many shapes: no root cause, no false warning.
 */
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { catalogue, type KindId } from "../../src/evidence/catalogue.ts";
import { ref } from "../../src/model/ref.ts";
import { type Cluster, cluster } from "../cluster.ts";
import { addObjects, agent, editPods, installed, networkPolicy } from "../cluster-edits.ts";
import { logOf, NOW } from "../cluster-nodes.ts";
import { service, workload } from "../cluster-objects.ts";
import { kindCluster } from "../kindnet.ts";
import { LONG } from "../long.ts";

function expectHealthy(built: Cluster): void {
  const report = diagnose(built.capture);
  expect(report.rootCauses.map(({ id, title }) => `${id}: ${title.en}`)).toEqual([]);
  expect(report.warnings.map(({ id }) => id)).toEqual([]);
  expect(report.unexplained).toEqual([]);
  expect(report.checks.filter(({ outcome }) => outcome === "crashed")).toEqual([]);
  expect(report.verdict).toBe("healthy");
}

describe("healthy clusters stay healthy", () => {
  it.each([1, 2, 3, 10, 60, ...(LONG ? [300, 1000] : [])])("%i nodes", (nodes) => {
    expectHealthy(cluster({ nodes, workloads: nodes > 10 ? { services: nodes, replicas: 3 } : "shop" }));
  });

  it.each([
    ["dual-stack", "iptables"],
    ["dual-stack", "nftables"],
    ["ipv6", "iptables"],
    ["ipv6", "nftables"],
  ] as const)("%s, kube-proxy in mode %s", (families, proxy) => expectHealthy(cluster({ families, proxy })));

  it("k3s-like: no control-plane Pods, kube-proxy and flannel inside one process", () => {
    expectHealthy(cluster({ flavour: "k3s" }));
  });

  it("kind: kindnet, Docker's resolver under the gateway's address, NetworkPolicies by a queue", () => {
    expectHealthy(kindCluster());
    const ingress = [{ from: [{ podSelector: { matchLabels: { app: "frontend" } } }] }];
    const spec = { podSelector: { matchLabels: { app: "backend" } }, policyTypes: ["Ingress"], ingress };
    expectHealthy(kindCluster(networkPolicy("only-frontend", spec)));
  });

  it("managed-like: the control plane and the Pod network are the cloud's", () => {
    expectHealthy(cluster({ flavour: "managed" }));
  });

  it.each([
    ["aws-node", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.19.0-eksbuild.1"],
    ["azure-cns", "mcr.microsoft.com/containernetworking/azure-cns:v1.6.21"],
    ["terway-eniip", "registry-cn-hangzhou.ack.aliyuncs.com/acs/terway:v1.16.8"],
  ])("managed-like, with %s on its nodes", (name, image) => {
    expectHealthy(cluster({ flavour: "managed" }).with(installed("DaemonSet", agent(name, image))));
  });

  it("Services without Pods on purpose", () => {
    const off = workload("batch", "shop", { app: "batch" }, { containers: [{ name: "app", image: "batch:1" }] }, 0);
    expectHealthy(
      cluster()
        .edit((draft) => {
          draft.setList("deployments", [...draft.list("deployments"), off]);
          draft.setList("services", [
            ...draft.list("services"),
            service("batch", "shop", { clusterIP: "10.96.20.1", selector: { app: "batch" }, ports: [{ port: 80 }] }),
            service("by-hand", "shop", { clusterIP: "10.96.20.2", ports: [{ port: 80 }] }),
            service("partner", "shop", { type: "ExternalName", externalName: "api.example.org" }),
            service("standby-green", "shop", {
              clusterIP: "10.96.20.3",
              selector: { app: "frontend", colour: "green" },
              ports: [{ port: 80 }],
            }),
          ]);
        })
        .with({ do: "restart", component: ref("DaemonSet", "kube-proxy", "kube-system") }),
    );
  });

  it("applications that crash-loop and that no Service selects", () => {
    const broken = workload(
      "importer",
      "shop",
      { app: "importer" },
      { containers: [{ name: "app", image: "importer:1" }] },
      2,
    );
    expectHealthy(
      cluster()
        .with({ do: "apply", object: { apiVersion: "apps/v1", kind: "Deployment", ...broken } as never })
        .edit((draft) => {
          draft.setList(
            "pods",
            draft.list("pods").map((pod) =>
              pod.metadata.labels?.app !== "importer"
                ? pod
                : {
                    ...pod,
                    status: {
                      ...pod.status,
                      conditions: [{ type: "Ready", status: "False" }],
                      containerStatuses: [
                        {
                          name: "app",
                          ready: false,
                          restartCount: 40,
                          state: { waiting: { reason: "CrashLoopBackOff" } },
                        },
                      ],
                    },
                  },
            ),
          );
        }),
    );
  });

  it("noisy and old logs: trouble that is over, applications that complain", () => {
    expectHealthy(
      cluster().edit((draft) => {
        for (const pod of draft.list("pods")) {
          const [container] = pod.spec.containers;
          const place = { namespace: pod.metadata.namespace ?? "", pod: pod.metadata.name, container: container!.name };
          const user = `system:serviceaccount:${pod.metadata.namespace}:${pod.spec.serviceAccountName}`;
          draft.set(
            "previousContainerLog",
            place,
            logOf(
              [
                `E reflector.go:1] nodes is forbidden: User "${user}" cannot list resource "nodes" in API group "" at the cluster scope`,
                "dial tcp 10.96.0.1:443: i/o timeout",
                "[ERROR] plugin/errors: 2 example.org. A: read udp 10.128.1.2:1->172.16.255.254:53: i/o timeout",
                'plugin/loop: Loop (127.0.0.1:1 -> :53) detected for zone "."',
              ],
              "2026-11-21T01:10:00Z",
            ),
          );
        }
      }),
    );
  });

  it("Pods that come and go while the evidence is taken", () => {
    expectHealthy(
      cluster().edit((draft) => {
        const [moved] = draft.list("pods").filter((pod) => pod.metadata.labels?.app === "backend");
        const fresh = {
          ...moved!,
          metadata: { ...moved!.metadata, name: "backend-new", creationTimestamp: "2026-11-21T02:59:58Z" },
        };
        // the list was taken after the nodes: slices name a Pod that the rules do not know yet
        draft.setList("pods", [
          ...draft.list("pods").filter((pod) => pod !== moved),
          { ...fresh, status: { ...fresh.status, podIP: "10.128.1.200", podIPs: [{ ip: "10.128.1.200" }] } },
        ]);
        draft.setList(
          "endpointslices",
          draft.list("endpointslices").map((slice) => ({
            ...slice,
            endpoints: (slice.endpoints ?? []).map((endpoint) =>
              endpoint.addresses?.[0] === moved!.status?.podIP
                ? { ...endpoint, addresses: ["10.128.1.200"] }
                : endpoint,
            ),
          })),
        );
      }),
    );
  });
});

describe("a healthy cluster of which not all was seen", () => {
  const kubeletConfig = addObjects("configmaps", {
    metadata: { name: "kubelet-config", namespace: "kube-system" },
    data: { kubelet: "kind: KubeletConfiguration\nclusterDNS:\n- 10.96.0.10\n" },
  });
  /** What agents on the host network see of their nodes: not their files, nor the insides of other Pods. */
  const asAgentsSee = (built: Cluster): Cluster =>
    (
      ["podSockets", "podLinks", "podRoutes", "podResolvConf", "kubeletConfig", "cniConfig", "processes"] as const
    ).reduce((seen, kind) => seen.without(kind), built);

  it("is healthy where nothing casts doubt on what agents cannot see", () =>
    expectHealthy(asAgentsSee(cluster().edit(kubeletConfig))));

  it("is not called so where nobody looked into any node", () => {
    const ofNodes = (Object.keys(catalogue) as KindId[]).filter((kind) => catalogue[kind].path.startsWith("nodes/"));
    const report = diagnose(ofNodes.reduce((seen, kind) => seen.without(kind), cluster()).capture);
    expect(report).toMatchObject({ verdict: "unclear", doubt: "unseen", rootCauses: [] });
  });

  it("is healthy while a Pod that has just been made is not ready yet", () => {
    const made = new Date(Date.parse(NOW) - 20_000).toISOString();
    const starting = editPods("frontend", (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, creationTimestamp: made },
      status: {
        ...pod.status,
        conditions: [{ type: "Ready", status: "False", lastTransitionTime: made }],
      },
    }));
    const report = diagnose(cluster().edit(starting).with().capture);
    expect(report).toMatchObject({ verdict: "healthy", rootCauses: [] });
    expect(JSON.stringify(report.blindSpots)).toContain("its Pods were coming or going");
  });
});
