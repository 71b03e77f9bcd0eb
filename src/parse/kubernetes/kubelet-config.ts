/**
 * The kubelet's configuration file (/var/lib/kubelet/config.yaml), kubelet.config.k8s.io/v1beta1 KubeletConfiguration.
 */
import { compact, fitEach } from "../fields.ts";
import type { Parser } from "../parsed.ts";
import { parseConfigFile } from "../yaml.ts";

export type KubeletConfig = {
  readonly clusterDNS?: readonly string[];
  readonly clusterDomain?: string;
  readonly resolvConf?: string;
  readonly staticPodPath?: string;
  readonly maxPods?: number;
};

export const parseKubeletConfig: Parser<KubeletConfig> = (text) => {
  const { fields, gaps } = parseConfigFile(text, "KubeletConfiguration");
  const spec = {
    clusterDNS: "strings?",
    clusterDomain: "string?",
    resolvConf: "string?",
    staticPodPath: "string?",
    maxPods: "integer?",
  } as const;
  return { value: compact(fitEach(fields, spec, gaps)), gaps };
};
