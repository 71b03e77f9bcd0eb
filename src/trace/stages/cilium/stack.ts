/** From Cilium's programs to the kernel's own stack, with the sender's identity in the mark (bpf_lxc.c: pass_to_stack). */
import { known } from "../../../evidence/observed.ts";
import type { CiliumNode } from "../../../model/cilium/cilium.ts";
import type { Namespace } from "../../trace.ts";
import { cannotTell, type Moving, type Next, textOf, type Walk } from "../moving.ts";

/** bpf/lib/common.h: MARK_MAGIC_*, and set_identity_mark. */
export const MARK = { mask: 0xf00, host: 0xc00, identity: 0xf00 } as const;

const markOf = (identity: number): number =>
  ((((identity & 0xffff) << 16) | ((identity & 0xff0000) >> 16) | MARK.identity) >>> 0) as number;

/** The identity that a mark holds. */
export const identityIn = (mark: number): number => (((mark & 0xff) << 16) | (mark >>> 16)) >>> 0;

export function toStack(walk: Walk, moving: Moving, node: CiliumNode, identity: number, device: string): Next[] {
  const { world } = walk;
  const at: Namespace = { node: node.node };
  const status = known(node.status);
  if (!status) return cannotTell(moving, at, [node.missing("ciliumStatus")]);
  const address = textOf(moving.packet.destination);
  const isOwn = known(world.forwarding.of(node.node).localAddresses)?.has(address) ?? false;
  if (isOwn && status.hostFirewall === "Enabled") return cannotTell(moving, at, [], "Cilium's host firewall");
  // by the kernel's routes, past its rules (fib_redirect)
  if (!isOwn && status.hostRouting === "BPF") return [{ go: "route", moving, node: node.node }];
  return [{ go: "arrive", moving, node: node.node, device, mark: markOf(identity) }];
}
