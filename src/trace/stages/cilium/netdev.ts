/**
 * What Cilium's programs on a node's own devices do to packets that come over the wire (bpf_host.c: cil_from_netdev): its host
 * firewall, and node ports where it stands in for kube-proxy. Whom they let in and to whom they hand them is not walked: it is
 * told that they decide.
 */
import { known } from "../../../evidence/observed.ts";
import { balance } from "../../../model/cilium/load-balancer.ts";
import type { Way } from "../../trace.ts";
import { cannotTell, isKnown, type Moving, textOf, type Walk } from "../moving.ts";

/** Devices of Cilium's own, of Pods, and of what a node sends to itself. */
const NOT_WIRED = /^(lo$|cilium_|lxc)/;

/** @returns undefined where the kernel's own rules are the first to see the packet */
export function fromNetdev({ world }: Walk, moving: Moving, node: string, device: string): Way[] | undefined {
  const { cilium, forwarding } = world;
  if (!cilium.runs || NOT_WIRED.test(device) || moving.answer !== undefined || moving.inner.length > 0)
    return undefined;
  const own = cilium.of(node);
  const status = known(own.status);
  const { destination, destinationPort, protocol } = moving.packet;
  if (!status || !isKnown(destination)) return undefined;
  const at = { node };
  const address = textOf(destination);
  const isOwn = known(forwarding.of(node).localAddresses)?.has(address) ?? false;
  if (isOwn && status.hostFirewall === "Enabled") return cannotTell(moving, at, [], "Cilium's host firewall");
  const isReplaced = !/^(False|Disabled)$/i.test(status.kubeProxyReplacement ?? "False");
  if (!isReplaced || !isKnown(destinationPort) || (protocol !== "tcp" && protocol !== "udp")) return undefined;
  const asked = balance(own, protocol, address, destinationPort);
  const found = asked.is === "not-a-service" && isOwn ? balance(own, protocol, "0.0.0.0", destinationPort) : asked;
  if (found.is === "not-a-service") return undefined;
  if (found.is === "unknown") return cannotTell(moving, at, [own.missing("ciliumLb")], found.because);
  return cannotTell(moving, at, [], "Cilium's node ports");
}
