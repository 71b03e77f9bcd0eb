/** Objects of Cilium: cilium.io/v2. */
import { z } from "zod";
import { flag, labelSelector, maybe, metadata, number, text } from "./shared.ts";

const ciliumPortRule = z.object({
  ports: maybe(z.array(z.object({ port: maybe(text), endPort: maybe(number), protocol: maybe(text) }))),
  rules: maybe(z.record(text, z.unknown())),
});
const ciliumRule = z.object({
  fromEndpoints: maybe(z.array(labelSelector)),
  fromRequires: maybe(z.array(labelSelector)),
  fromEntities: maybe(z.array(text)),
  fromCIDR: maybe(z.array(text)),
  fromCIDRSet: maybe(z.array(z.object({ cidr: maybe(text), except: maybe(z.array(text)) }))),
  fromNodes: maybe(z.array(labelSelector)),
  fromGroups: maybe(z.array(z.unknown())),
  toEndpoints: maybe(z.array(labelSelector)),
  toRequires: maybe(z.array(labelSelector)),
  toEntities: maybe(z.array(text)),
  toCIDR: maybe(z.array(text)),
  toCIDRSet: maybe(z.array(z.object({ cidr: maybe(text), except: maybe(z.array(text)) }))),
  toNodes: maybe(z.array(labelSelector)),
  toGroups: maybe(z.array(z.unknown())),
  toFQDNs: maybe(z.array(z.object({ matchName: maybe(text), matchPattern: maybe(text) }))),
  toServices: maybe(z.array(z.unknown())),
  toPorts: maybe(z.array(ciliumPortRule)),
  icmps: maybe(z.array(z.unknown())),
});
const ciliumPolicySpec = z.object({
  endpointSelector: maybe(labelSelector),
  nodeSelector: maybe(labelSelector),
  enableDefaultDeny: maybe(z.object({ ingress: maybe(flag), egress: maybe(flag) })),
  ingress: maybe(z.array(ciliumRule)),
  ingressDeny: maybe(z.array(ciliumRule)),
  egress: maybe(z.array(ciliumRule)),
  egressDeny: maybe(z.array(ciliumRule)),
});

/** cilium.io/v2 CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy */
export const ciliumPolicy = z.object({
  metadata,
  spec: maybe(ciliumPolicySpec),
  specs: maybe(z.array(ciliumPolicySpec)),
});

/** cilium.io/v2 CiliumNode: what an agent says of its node, and the operator's answer */
export const ciliumNode = z.object({
  metadata,
  spec: maybe(
    z.object({
      addresses: maybe(z.array(z.object({ type: maybe(text), ip: maybe(text) }))),
      ipam: maybe(z.object({ podCIDRs: maybe(z.array(text)) })),
    }),
  ),
  status: maybe(z.object({ ipam: maybe(z.object({ "operator-status": maybe(z.object({ error: maybe(text) })) })) })),
});

export type CiliumPolicy = z.infer<typeof ciliumPolicy>;
export type CiliumNodeObject = z.infer<typeof ciliumNode>;
export type CiliumPolicySpec = z.infer<typeof ciliumPolicySpec>;
export type CiliumPolicyRule = z.infer<typeof ciliumRule>;
