import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseKubeletConfig } from "./kubelet-config.ts";

/** As kubeadm 1.32 writes it, shortened; resolvConf as on a node with systemd-resolved. */
const SAMPLE = `apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
clusterDNS:
- 10.96.0.10
- fd00:10:96::a
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
evictionHard:
  imagefs.available: 0%
kind: KubeletConfiguration
maxPods: 110
resolvConf: /run/systemd/resolve/resolv.conf
staticPodPath: /etc/kubernetes/manifests
volumeStatsAggPeriod: 0s
`;

describe("the kubelet's config.yaml", () => {
  it("gives what Pods' networks depend on", () => {
    expect(parseKubeletConfig(SAMPLE)).toEqual({
      value: {
        clusterDNS: ["10.96.0.10", "fd00:10:96::a"],
        clusterDomain: "cluster.local",
        resolvConf: "/run/systemd/resolve/resolv.conf",
        staticPodPath: "/etc/kubernetes/manifests",
        maxPods: 110,
      },
      gaps: [],
    });
  });

  it("reads JSON, which some installers write", () => {
    expect(
      parseKubeletConfig('{"kind": "KubeletConfiguration", "clusterDNS": ["10.96.0.10"], "maxPods": null}\n').value,
    ).toEqual({ clusterDNS: ["10.96.0.10"] });
  });

  it("does not take 10.96.0.1 for 10.96.0.10", () => {
    expect(parseKubeletConfig("clusterDNS:\n- 10.96.0.1")).toEqual({
      value: {},
      gaps: [{ line: 2, what: "cut off here" }],
    });
    expect(parseKubeletConfig("maxPods: 110\nclusterDNS: [10.96.0.1")).toEqual({
      value: { maxPods: 110 },
      gaps: [{ line: 2, what: "cut off here" }],
    });
    expect(parseKubeletConfig("clusterDNS: [10.96.0.10,\n").value).toEqual({});
  });

  it("hands back fields of a wrong type and keeps the others", () => {
    const { value, gaps } = parseKubeletConfig("clusterDNS: 10.96.0.10\nmaxPods: many\nclusterDomain: cluster.local\n");
    expect(value).toEqual({ clusterDomain: "cluster.local" });
    expect(gaps).toEqual([
      { pointer: "/clusterDNS", what: "expected strings" },
      { pointer: "/maxPods", what: "expected integer" },
    ]);
  });

  it("gives nothing of another kind of file, of nonsense and of nothing", () => {
    expect(parseKubeletConfig("kind: KubeProxyConfiguration\nmaxPods: 5\n")).toMatchObject({
      value: {},
      gaps: [{ what: "kind: expected KubeletConfiguration" }],
    });
    for (const text of ["", "\n", "- 1\n", "a: [\n", "a: 1\na: 2\n", "a: 1\n---\nb: 2\n"]) {
      expect(parseKubeletConfig(text)).toMatchObject({ value: {}, gaps: [{}] });
    }
  });

  it("refuses aliases, of which bombs are made", () => {
    const bomb = [
      "a: &a [x, x]",
      ...Array.from("bcdefghij", (name, i) => `${name}: &${name} [*${"abcdefghi"[i]}, *${"abcdefghi"[i]}]`),
    ].join("\n");
    expect(parseKubeletConfig(`${bomb}\n`)).toMatchObject({ value: {}, gaps: [{}] });
  });

  it("never throws", () => neverThrows(parseKubeletConfig, SAMPLE));
  it("never invents from a part", () =>
    truncationsAreHonest(parseKubeletConfig, SAMPLE, ({ clusterDNS = [], ...rest }) => [
      ...clusterDNS,
      ...Object.entries(rest),
    ]));
});
