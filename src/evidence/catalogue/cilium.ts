/** What Cilium's agents know. */
import { parseCiliumEndpoints } from "../../parse/cilium/endpoints.ts";
import { parseCiliumIdentities } from "../../parse/cilium/identities.ts";
import { parseCiliumIpcache } from "../../parse/cilium/ipcache.ts";
import { parseCiliumLb } from "../../parse/cilium/lb.ts";
import { parseCiliumServices } from "../../parse/cilium/services.ts";
import { parseCiliumStatus } from "../../parse/cilium/status.ts";
import { parseCiliumTunnels } from "../../parse/cilium/tunnels.ts";
import type { Parser } from "../../parse/parsed.ts";
import type { Template } from "../../text.ts";
import { type Kind, parsedBy } from "../kind.ts";

/** What Cilium's agent on a node knows: the Pod is the agent's. */
function inCilium<T>(file: string, command: string, parse: Parser<T>, hides: Template): Kind<T> {
  return {
    path: `exec/{namespace}/{pod}/${file}`,
    how: { exec: `cilium-dbg ${command}`, container: "cilium-agent" },
    open: parsedBy(parse),
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "medium",
  };
}

export const ofCilium = {
  ciliumStatus: inCilium("cilium-dbg-status.txt", "status --verbose", parseCiliumStatus, {
    en: "how Cilium's datapath on the node is set up",
    zh: "节点上 Cilium 数据面的工作方式",
  }),
  ciliumEndpoints: inCilium("cilium-dbg-endpoint-list.json", "endpoint list -o json", parseCiliumEndpoints, {
    en: "which Pods Cilium connects on the node, with which identity and policy",
    zh: "Cilium 在节点上接入了哪些 Pod，以及它们的身份和策略",
  }),
  ciliumIdentities: inCilium("cilium-dbg-identity-list.json", "identity list -o json", parseCiliumIdentities, {
    en: "the labels of Cilium's identities, which its policies select",
    zh: "Cilium 各身份对应的标签（策略据此选择）",
  }),
  ciliumIpcache: inCilium("cilium-dbg-bpf-ipcache-list.txt", "bpf ipcache list", parseCiliumIpcache, {
    en: "which identity and node Cilium takes an address for",
    zh: "Cilium 认为某个地址属于哪个身份、在哪个节点后面",
  }),
  ciliumLb: inCilium("cilium-dbg-bpf-lb-list.txt", "bpf lb list", parseCiliumLb, {
    en: "the back ends to which Cilium sends packets for Services",
    zh: "Cilium 把发往 Service 的报文转发到哪些后端",
  }),
  ciliumServices: inCilium("cilium-dbg-service-list.txt", "service list", parseCiliumServices, {
    en: "the Services as Cilium's agent knows them",
    zh: "Cilium 代理所知的 Service",
  }),
  ciliumTunnels: inCilium("cilium-dbg-bpf-tunnel-list.txt", "bpf tunnel list", parseCiliumTunnels, {
    en: "the nodes to which Cilium's tunnel leads",
    zh: "Cilium 隧道通往哪些节点",
  }),
} satisfies Record<string, Kind<unknown>>;
