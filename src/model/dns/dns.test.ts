import { describe, expect, it } from "vitest";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { addDevice, addObjects, type Edit, editConfig, editObjects, edits } from "../../../testing/cluster-edits.ts";
import { service } from "../../../testing/cluster-objects.ts";
import { ref } from "../ref.ts";

const NODES = ["cp1", "w1", "w2"];
const dnsOf = (...changes: readonly Edit[]) =>
  cluster()
    .edit(edits(...changes))
    .model().dns;
const names = (services: readonly { readonly namespace: string; readonly name: string }[]) =>
  services.map(({ namespace, name }) => `${namespace}/${name}`);
const forwardTo = (...to: readonly string[]): Edit =>
  editConfig("coredns", "Corefile", (text) => text.replace("forward . /etc/resolv.conf", `forward . ${to.join(" ")}`));
const kubelets = (config: { readonly clusterDNS?: readonly string[]; readonly clusterDomain?: string }): Edit =>
  edits(
    ...NODES.map(
      (node): Edit =>
        (draft) =>
          draft.set("kubeletConfig", { node }, config),
    ),
  );

describe("the Services of cluster DNS", () => {
  const extra = (name: string, spec: object): Edit =>
    addObjects("services", service(name, "kube-system", { clusterIP: "10.96.0.11", ...spec }));

  it("is the one with that name", () => expect(names(dnsOf().services)).toEqual(["kube-system/kube-dns"]));

  it("are also others that select its servers, at port 53", () => {
    const selector = { "k8s-app": "kube-dns" };
    const ports = [{ name: "dns", port: 53, protocol: "UDP", targetPort: 53 }];
    expect(names(dnsOf(extra("upstream", { selector, ports })).services)).toContain("kube-system/upstream");
    const metrics = [{ name: "metrics", port: 9153, targetPort: 9153 }];
    expect(names(dnsOf(extra("metrics", { selector, ports: metrics })).services)).toEqual(["kube-system/kube-dns"]);
  });

  it("misses ready servers that carry other labels than it asks for", () => {
    const { dns } = cluster()
      .with({
        do: "patch",
        target: ref("Service", "kube-dns", "kube-system"),
        patch: { spec: { selector: { app: "x" } } },
      })
      .model();
    expect(dns.missedBy(dns.services[0]!)).toHaveLength(2);
    expect(dnsOf().missedBy(dnsOf().services[0]!)).toEqual([]);
  });

  it("is asked where kubelets give its address, a cache's, or none that is known", () => {
    const isAsked = (...clusterDNS: readonly string[]) => {
      const dns = dnsOf(kubelets({ clusterDNS }));
      return dns.isAsked(dns.services[0]!);
    };
    expect([isAsked("10.96.0.10"), isAsked("169.254.20.10"), isAsked(), isAsked("10.43.0.10")]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe("the domain of the cluster", () => {
  it("is what kubelets say, else what CoreDNS serves, else the usual one", () => {
    const zone = editConfig("coredns", "Corefile", (text) =>
      text.replace("kubernetes cluster.local", "kubernetes a.lan."),
    );
    expect(dnsOf(kubelets({ clusterDomain: "b.lan." }), zone).domain).toBe("b.lan");
    expect(dnsOf(kubelets({}), zone).domain).toBe("a.lan");
    expect(
      dnsOf(
        kubelets({}),
        editObjects("configmaps", "coredns", () => undefined),
      ).domain,
    ).toBe("cluster.local");
  });
});

describe("what kubelets give to Pods", () => {
  it("is read in one spelling, node by node, with the line that says it", () => {
    const dns = dnsOf((draft) => editNode(draft, "kubeletConfig", "w1", () => ({ clusterDNS: ["FD00:0::A"] })));
    expect(dns.clusterDnsOf("w1")).toMatchObject({
      addresses: ["fd00::a"],
      evidence: { quote: "clusterDNS: FD00:0::A" },
    });
    expect(dns.clusterDnsOf("w2")?.addresses).toEqual(["10.96.0.10"]);
    expect(cluster().without("kubeletConfig").model().dns.clusterDnsOf("w1")).toBeUndefined();
  });

  it("is told by kubeadm's ConfigMap where files were not seen", () => {
    const data = { kubelet: "kind: KubeletConfiguration\nclusterDNS:\n- 10.96.0.10\n" };
    const map = { metadata: { name: "kubelet-config", namespace: "kube-system" }, data };
    expect(dnsOf(addObjects("configmaps", map)).commonClusterDns).toEqual(["10.96.0.10"]);
    expect(dnsOf().commonClusterDns).toBeUndefined();
  });

  it("may be the address of a cache on the node, link-local or on a device of its own", () => {
    const dns = dnsOf(addDevice("w1", "nodelocaldns", "10.99.0.10"));
    expect(["169.254.20.10", "10.99.0.10", "10.96.0.10"].map(dns.isNodeLocal)).toEqual([true, true, false]);
  });
});

describe("where CoreDNS asks in turn", () => {
  it("is read with its zone and line", () => {
    expect(dnsOf(forwardTo("10.0.0.1", "10.0.0.2")).forwards).toMatchObject([
      { zone: ".", to: ["10.0.0.1", "10.0.0.2"], line: 13 },
    ]);
  });

  it("could be the servers of its nodes, if they are others and none that lead back to it", () => {
    const upstream = (to: readonly string[], nameserver: string) => {
      const dns = dnsOf(
        forwardTo(...to),
        ...NODES.map(
          (node): Edit =>
            (draft) =>
              draft.set("nodeResolvConf", { node }, { nameservers: [nameserver], search: [], options: new Map() }),
        ),
      );
      return dns.upstreamOfNodes(dns.forwards[0]!);
    };
    expect(upstream(["10.0.0.1"], "192.0.2.53")).toEqual(["192.0.2.53"]);
    expect(upstream(["192.0.2.53"], "192.0.2.53")).toBeUndefined();
    expect(upstream(["10.0.0.1"], "127.0.0.53")).toBeUndefined();
    expect(upstream(["10.0.0.1"], "10.96.0.10")).toBeUndefined();
    expect(upstream(["/etc/resolv.conf"], "192.0.2.53")).toBeUndefined();
  });
});
