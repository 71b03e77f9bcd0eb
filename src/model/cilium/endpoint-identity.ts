/** Which Pods a node's agent connects, and whether it knows who they are. */
import { known } from "../../evidence/observed.ts";
import type { CiliumEndpoint } from "../../parse/cilium/endpoints.ts";
import type { Pods, PodView } from "../pods.ts";
import type { CaptureTime } from "../time.ts";
import { type CiliumNode, IDENTITY } from "./cilium.ts";

export type Connected = { readonly pod: PodView; readonly endpoint: CiliumEndpoint };

/** A new Pod has its labels and its identity within seconds. */
const SETTLING = 60_000;

const isSteady = ({ hostNetwork, finished, terminating, object }: PodView, time: CaptureTime): boolean =>
  !hostNetwork && !finished && !terminating && (time.age(object.metadata.creationTimestamp) ?? 0) >= SETTLING;

/** Pods of a node that have been there for a while: those with an identity of their own, and those without one. */
export function connectedPods(
  node: CiliumNode,
  { pods, time }: { readonly pods: Pods; readonly time: CaptureTime },
): { readonly identified: readonly Connected[]; readonly nameless: readonly Connected[] } {
  const connected = pods.onNode(node.node).flatMap((pod): Connected[] => {
    const endpoint = known(node.endpointOf(pod));
    return endpoint?.identity !== undefined && isSteady(pod, time) ? [{ pod, endpoint }] : [];
  });
  const isNameless = ({ endpoint }: Connected) => endpoint.identity === IDENTITY.init;
  return { identified: connected.filter((one) => !isNameless(one)), nameless: connected.filter(isNameless) };
}
