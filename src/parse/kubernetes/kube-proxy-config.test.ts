import { describe, expect, it } from "vitest";
import { neverThrows } from "../../../testing/parser-properties.ts";
import { parseKubeProxyConfig } from "./kube-proxy-config.ts";

/** config.conf of kubeadm 1.32, shortened. */
const SAMPLE = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clusterCIDR: 10.244.0.0/16
conntrack:
  maxPerCore: 0
  min: null
detectLocal:
  bridgeInterface: ""
detectLocalMode: ""
hostnameOverride: ""
iptables:
  masqueradeAll: false
  masqueradeBit: null
ipvs:
  scheduler: ""
kind: KubeProxyConfiguration
mode: iptables
nftables:
  masqueradeAll: true
nodePortAddresses: null`;

describe("kube-proxy's config.conf", () => {
  it("gives the settings; the last line needs no newline", () => {
    expect(parseKubeProxyConfig(SAMPLE)).toEqual({
      value: {
        mode: "iptables",
        clusterCIDR: "10.244.0.0/16",
        detectLocalMode: "",
        hostnameOverride: "",
        masqueradeAll: false,
      },
      gaps: [],
    });
  });

  it("takes masqueradeAll from the section of the mode", () => {
    expect(parseKubeProxyConfig(SAMPLE.replace("mode: iptables", "mode: nftables")).value.masqueradeAll).toBe(true);
    expect(parseKubeProxyConfig(SAMPLE.replace("mode: iptables", "mode: ipvs")).value.masqueradeAll).toBe(false);
    expect(parseKubeProxyConfig("mode: nftables\n").value).toEqual({ mode: "nftables" });
  });

  it("gives the addresses for node ports", () => {
    expect(parseKubeProxyConfig("nodePortAddresses:\n- primary\n- 192.168.0.0/16").value).toEqual({
      nodePortAddresses: ["primary", "192.168.0.0/16"],
    });
  });

  it("hands back fields of a wrong type and keeps the others", () => {
    const { value, gaps } = parseKubeProxyConfig(
      "mode: [ipvs]\nclusterCIDR: 10.244.0.0/16\niptables: {masqueradeAll: yes}\nnodePortAddresses: [1]\n",
    );
    expect(value).toEqual({ clusterCIDR: "10.244.0.0/16" });
    expect(gaps.map((gap) => gap.pointer)).toEqual(["/mode", "/nodePortAddresses", "/iptables/masqueradeAll"]);
    expect(parseKubeProxyConfig("").gaps).toEqual([{ what: "empty" }]);
  });

  it("never throws", () => neverThrows(parseKubeProxyConfig, SAMPLE));
});
