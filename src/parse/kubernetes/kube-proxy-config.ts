/**
 * kube-proxy's configuration, `config.conf` of its ConfigMap: kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration.
 */
import { compact, fitEach } from "../fields.ts";
import type { Parser } from "../parsed.ts";
import { parseConfig } from "../yaml.ts";

export type KubeProxyConfig = {
  /** "" means the platform's default, iptables on Linux. */
  readonly mode?: string;
  readonly clusterCIDR?: string;
  readonly detectLocalMode?: string;
  readonly nodePortAddresses?: readonly string[];
  readonly hostnameOverride?: string;
  /** Of the mode: from the section nftables, or iptables for all other modes. */
  readonly masqueradeAll?: boolean;
};

const SPEC = {
  mode: "string?",
  clusterCIDR: "string?",
  detectLocalMode: "string?",
  nodePortAddresses: "strings?",
  hostnameOverride: "string?",
  iptables: "object?",
  nftables: "object?",
} as const;

/** Its text comes whole out of an API object, and need not end with a newline. */
export const parseKubeProxyConfig: Parser<KubeProxyConfig> = (text) => {
  const { fields, gaps } = parseConfig(text, "KubeProxyConfiguration");
  const { iptables, nftables, ...config } = fitEach(fields, SPEC, gaps);
  // mode ipvs masquerades by the settings of iptables
  const [section, key] = config.mode === "nftables" ? [nftables, "nftables"] : [iptables, "iptables"];
  const { masqueradeAll } = fitEach(section ?? {}, { masqueradeAll: "boolean?" }, gaps, `/${key}`);
  return { value: compact({ ...config, masqueradeAll }), gaps };
};
