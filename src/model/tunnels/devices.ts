/** The VXLAN devices by which nodes carry packets of Pods to each other: one a node of each kind, alike but for their addresses. */
import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { Forwarding } from "../forwarding/plane.ts";
import type { Nodes, NodeView } from "../nodes.ts";

export type TunnelDevice = {
  readonly node: NodeView;
  readonly link: Link;
  readonly vxlan: NonNullable<Link["vxlan"]>;
  readonly evidence: Evidence;
};

/** Devices of one kind have one name on all nodes; flannel's has its VNI in it. */
const kindOf = (name: string): string => name.replace(/^(flannel(?:-v6)?)\.\d+$/, "$1");

/** By kind, for each kind that more than one node has. */
export function tunnelDevices(nodes: Nodes, forwarding: Forwarding): ReadonlyMap<string, readonly TunnelDevice[]> {
  const all = nodes.all.flatMap((node): TunnelDevice[] => {
    const { links } = forwarding.of(node.name);
    return (known(links) ?? []).flatMap((link) => {
      const { vxlan } = link;
      if (!vxlan) return [];
      const words = `${link.name} ${link.mac ?? ""}: vxlan id ${vxlan.id} dstport ${vxlan.port ?? "?"}`;
      return [{ node, link, vxlan, evidence: quoteOf(links.origin, words) }];
    });
  });
  const byKind = Map.groupBy(all, ({ link }) => kindOf(link.name));
  // a node has several of its own, of virtual machines say
  const isOverlay = (devices: readonly TunnelDevice[]) => new Set(devices.map(({ node }) => node)).size > 1;
  return new Map([...byKind].filter(([, devices]) => isOverlay(devices)));
}
