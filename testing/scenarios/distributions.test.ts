/**
 * What distributions put into their clusters, healthy: no root cause, no warning.
 *
 * Source: k3s-io/k3s manifests (coredns.yaml, traefik.yaml, ccm.yaml, local-storage.yaml, metrics-server) and
 * pkg/cloudprovider/servicelb.go; GKE's kube-dns (kubernetes cluster/addons/dns/kube-dns).
 */
import { expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { ref } from "../../src/model/ref.ts";
import { type Cluster, cluster } from "../cluster.ts";
import { addObjects, agent, type Edit, editConfig, editObjects, installed } from "../cluster-edits.ts";
import { otherAgents } from "../cluster-nodes.ts";
import { service, workload } from "../cluster-objects.ts";

function expectHealthy(built: Cluster): void {
  const report = diagnose(built.capture);
  expect(report.rootCauses.map(({ id, title }) => `${id}: ${title.en}`)).toEqual([]);
  expect(report.warnings.map(({ id, title }) => `${id}: ${title.en}`)).toEqual([]);
  expect(report.unexplained).toEqual([]);
  expect(report.verdict).toBe("healthy");
}

const deployment = (
  name: string,
  namespace: string,
  image: string,
  labels: Record<string, string>,
  ports: readonly number[] = [],
) =>
  installed(
    "Deployment",
    workload(
      name,
      namespace,
      labels,
      {
        serviceAccountName: name,
        containers: [{ name, image, ports: ports.map((containerPort) => ({ containerPort, protocol: "TCP" })) }],
      },
      1,
    ),
  );

/** Of a LoadBalancer Service, whose ports it forwards from those of the node (klipper-lb). */
const svclb = () => {
  const labels = { app: "svclb-traefik-6f2f4c1a", "svccontroller.k3s.cattle.io/svcname": "traefik" };
  const ports = [80, 443].map((hostPort) => ({
    name: `lb-tcp-${hostPort}`,
    image: "rancher/klipper-lb:v0.4.13",
    ports: [{ name: `lb-tcp-${hostPort}`, containerPort: hostPort, hostPort, protocol: "TCP" }],
  }));
  return installed(
    "DaemonSet",
    workload("svclb-traefik-6f2f4c1a", "kube-system", labels, {
      serviceAccountName: "svclb",
      tolerations: [{ operator: "Exists" }],
      containers: ports,
    }),
  );
};

const traefik = service("traefik", "kube-system", {
  type: "LoadBalancer",
  clusterIP: "10.96.77.1",
  selector: { "app.kubernetes.io/name": "traefik" },
  ports: [
    { name: "web", port: 80, targetPort: 8000, nodePort: 31080, protocol: "TCP" },
    { name: "websecure", port: 443, targetPort: 8443, nodePort: 31443, protocol: "TCP" },
  ],
});

it("k3s: traefik with its load balancer, files that the Corefile imports, jobs that are done", () => {
  const k3s = cluster({ flavour: "k3s" })
    .edit(
      editConfig(
        "coredns",
        "Corefile",
        (text) =>
          `${text.replace("    reload\n", "    reload\n    import /etc/coredns/custom/*.override\n")}import /etc/coredns/custom/*.server\n`,
      ),
      addObjects("services", { ...traefik, status: { loadBalancer: { ingress: [{ ip: "172.16.0.1" }] } } } as never),
    )
    .with(
      svclb(),
      deployment(
        "traefik",
        "kube-system",
        "rancher/mirrored-library-traefik:3.3.6",
        { "app.kubernetes.io/name": "traefik" },
        [8000, 8443],
      ),
      deployment("local-path-provisioner", "kube-system", "rancher/local-path-provisioner:v0.0.31", {
        app: "local-path-provisioner",
      }),
    );
  const done: Edit = (draft) =>
    draft.setList("pods", [
      ...draft.list("pods"),
      {
        metadata: {
          name: "helm-install-traefik-x7k2p",
          namespace: "kube-system",
          labels: { "helmcharts.helm.cattle.io/chart": "traefik" },
          creationTimestamp: "2026-11-21T01:00:00Z",
        },
        spec: {
          nodeName: "w1",
          serviceAccountName: "helm-traefik",
          restartPolicy: "OnFailure",
          containers: [{ name: "helm", image: "rancher/klipper-helm:v0.9.5" }],
        },
        status: { phase: "Succeeded", podIP: "10.128.1.99", podIPs: [{ ip: "10.128.1.99" }] },
      } as never,
    ]);
  expectHealthy(k3s.edit(done, (draft) => otherAgents(draft, "k3s")));
});

it("GKE without Dataplane V2: kube-dns in place of CoreDNS, netd", () => {
  const gke = cluster({ flavour: "managed" })
    .with({ do: "delete", target: ref("Deployment", "coredns", "kube-system") })
    .edit(editObjects("configmaps", "coredns", () => undefined))
    .with(
      installed("DaemonSet", agent("netd", "gke.gcr.io/netd-gke:v0.3.2")),
      installed(
        "Deployment",
        workload(
          "kube-dns",
          "kube-system",
          { "k8s-app": "kube-dns" },
          {
            serviceAccountName: "kube-dns",
            dnsPolicy: "Default",
            containers: [
              {
                name: "kubedns",
                image: "gke.gcr.io/k8s-dns-kube-dns:1.23.0",
                ports: [{ name: "dns-local", containerPort: 10053, protocol: "UDP" }],
              },
              {
                name: "dnsmasq",
                image: "gke.gcr.io/k8s-dns-dnsmasq-nanny:1.23.0",
                ports: [
                  { name: "dns", containerPort: 53, protocol: "UDP" },
                  { name: "dns-tcp", containerPort: 53, protocol: "TCP" },
                ],
              },
              { name: "sidecar", image: "gke.gcr.io/k8s-dns-sidecar:1.23.0" },
            ],
          },
          2,
        ),
      ),
    );
  expectHealthy(gke);
});
