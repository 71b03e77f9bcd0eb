/** Objects of Calico: crd.projectcalico.org/v1. */
import { z } from "zod";
import { flag, intOrString, labels, maybe, metadata, number, text } from "./shared.ts";

/** crd.projectcalico.org/v1 IPPool */
export const ipPool = z.object({
  metadata,
  spec: z.object({
    cidr: text,
    vxlanMode: maybe(text),
    ipipMode: maybe(text),
    natOutgoing: maybe(flag),
    disabled: maybe(flag),
    allowedUses: maybe(z.array(text)),
    /** Which nodes take addresses of it, in the language of Calico's policies; all of them unless it says otherwise. */
    nodeSelector: maybe(text),
  }),
});

/** crd.projectcalico.org/v1 IPAMBlock: for each address of the block who has it (an index of `attributes`), or null */
export const ipamBlock = z.object({
  metadata,
  spec: z.object({
    cidr: text,
    affinity: maybe(text),
    deleted: maybe(flag),
    allocations: maybe(z.array(z.number().nullable())),
    attributes: maybe(z.array(z.object({ secondary: labels }))),
  }),
});

/** crd.projectcalico.org/v1 FelixConfiguration: `default`, and `node.NAME` for one node */
export const felixConfiguration = z.object({
  metadata,
  spec: maybe(
    z.object({
      vxlanEnabled: maybe(flag),
      /** Its programs carry packets, past most rules of the kernel's filter. */
      bpfEnabled: maybe(flag),
      vxlanPort: maybe(number),
      vxlanVNI: maybe(number),
      /** Whether Felix writes the routes that BIRD writes otherwise (IPIP, none): `Enabled` since 3.31. */
      programClusterRoutes: maybe(text),
      /** How the names of Pods' devices begin; several are divided by commas. */
      interfacePrefix: maybe(text),
      /** What becomes of what Pods send to their own node: Drop unless said otherwise. */
      defaultEndpointToHostAction: maybe(text),
    }),
  ),
});

const calicoEntity = maybe(
  z.object({
    nets: maybe(z.array(text)),
    notNets: maybe(z.array(text)),
    ports: maybe(z.array(intOrString)),
    notPorts: maybe(z.array(intOrString)),
    selector: maybe(text),
    notSelector: maybe(text),
    namespaceSelector: maybe(text),
    serviceAccounts: maybe(z.object({ names: maybe(z.array(text)), selector: maybe(text) })),
    services: maybe(z.object({ name: maybe(text), namespace: maybe(text) })),
  }),
);

const calicoRule = z.object({
  action: text,
  protocol: maybe(intOrString),
  notProtocol: maybe(intOrString),
  ipVersion: maybe(number),
  source: calicoEntity,
  destination: calicoEntity,
});

/** crd.projectcalico.org/v1 NetworkPolicy and GlobalNetworkPolicy */
export const calicoPolicy = z.object({
  metadata,
  spec: maybe(
    z.object({
      tier: maybe(text),
      order: maybe(number),
      selector: maybe(text),
      namespaceSelector: maybe(text),
      serviceAccountSelector: maybe(text),
      types: maybe(z.array(text)),
      ingress: maybe(z.array(calicoRule)),
      egress: maybe(z.array(calicoRule)),
      doNotTrack: maybe(flag),
      preDNAT: maybe(flag),
    }),
  ),
});

/** crd.projectcalico.org/v1 HostEndpoint: an interface of a node, to which policies apply as to a Pod's */
export const hostEndpoint = z.object({
  metadata,
  spec: maybe(z.object({ node: maybe(text), interfaceName: maybe(text), profiles: maybe(z.array(text)) })),
});

/** crd.projectcalico.org/v1 NetworkSet and GlobalNetworkSet: addresses with labels, by which rules select them */
export const calicoNetworkSet = z.object({ metadata, spec: maybe(z.object({ nets: maybe(z.array(text)) })) });

export type IpPool = z.infer<typeof ipPool>;
export type IpamBlock = z.infer<typeof ipamBlock>;
export type CalicoPolicy = z.infer<typeof calicoPolicy>;
export type HostEndpoint = z.infer<typeof hostEndpoint>;
export type CalicoRule = z.infer<typeof calicoRule>;
export type CalicoEntity = z.infer<typeof calicoEntity>;
export type FelixConfiguration = z.infer<typeof felixConfiguration>;
