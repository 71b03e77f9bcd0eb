/** placeholder */
import type { Component, Components } from "./components/components.ts";
import { parseKubeProxyConfig } from "../parse/kube-proxy-config.ts";
import type { Forwarding } from "./forwarding/plane.ts";
import type { Nodes } from "./nodes.ts";
import type { Objects } from "./objects.ts";
import type { Services } from "./services/services.ts";
export type ProxyMode = "iptables" | "ipvs" | "nftables";
export interface Proxy {
  /** The mode that a kube-proxy is configured for; undefined if its configuration was not seen. */
  configuredMode(component: Component): ProxyMode | undefined;
}
export function proxyOf({ objects }: { objects: Objects; nodes: Nodes; services: Services; components: Components; forwarding: Forwarding }): Proxy {
  return {
    configuredMode(component) {
      const names = (component.spec?.volumes ?? []).map(({ configMap }) => configMap?.name);
      const map = objects.all("configmaps").find(({ metadata }) => metadata.namespace === component.ref.namespace && names.includes(metadata.name));
      const config = map?.data?.["config.conf"];
      if (config === undefined) return undefined;
      const { mode } = parseKubeProxyConfig(config).value;
      return mode === "ipvs" || mode === "nftables" ? mode : "iptables";
    },
  };
}
