/** What a path may begin and end with. */
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import type { ServiceView } from "../../model/services/services.ts";
import { type Family, type Ip, isOfFamily } from "../../net/ip.ts";
import type { Text } from "../../text.ts";
import type { Namespace } from "../trace.ts";
import { say } from "./words.ts";

export type Source = Namespace | { readonly outside: Ip };

export type Goal =
  | { readonly is: "pod"; readonly pod: PodView }
  | { readonly is: "service"; readonly service: ServiceView }
  | { readonly is: "node"; readonly node: string }
  | { readonly is: "address"; readonly address: Ip }
  /** The sender has to resolve it first. */
  | { readonly is: "name"; readonly name: string };

/** Why what was typed is no path. */
export type Problem = {
  readonly problem: Text;
  readonly hint: Text;
  /** What was typed is the name of nothing: of what it might have been, and all names that there are. */
  readonly unknown?: { readonly kind: Text; readonly name: string; readonly names: readonly string[] };
};

/** The address families that a sender can use; the first is that of its first address. Whoever is outside has both. */
export function familiesOf(from: Source, { nodes }: Pick<Model, "nodes">): readonly Family[] {
  if ("outside" in from) return isSomebody(from.outside) ? [4, 6] : [from.outside.family];
  const own = from.pod && !from.pod.hostNetwork ? from.pod.addresses : (nodes.get(from.node)?.addresses ?? []);
  const families = own.map((address): Family => (isOfFamily(address, 6) ? 6 : 4));
  return families.length > 0 ? [...new Set(families)] : [4, 6];
}

/** Addresses for documentation (RFC 5737, RFC 3849): nobody's. */
export const SOMEBODY: Readonly<Record<Family, Ip>> = {
  4: { family: 4, value: 0xc6336401 },
  6: { family: 6, value: 0x20010db8000000000000000000000001n },
};
export const isSomebody = (ip: Ip): boolean => ip.value === SOMEBODY[ip.family].value;

export const isProblem = (value: object): value is Problem => "problem" in value;

export type Model = Pick<ClusterModel, "nodes" | "pods" | "services" | "dns" | "objects">;

export function unknown(kind: Text, name: string, names: readonly string[]): Problem {
  // worded by whoever prints it, who knows what is near
  return { problem: kind, hint: kind, unknown: { kind, name, names } };
}

export function unknownNode(name: string, model: Model): Problem {
  return unknown(say.node(), name, nodeNames(model));
}

export const nodeNames = ({ nodes }: Model): string[] => nodes.all.map(({ name }) => name);

export const namespaceOf = (pod: PodView): Namespace | Problem => {
  if (pod.node === undefined || pod.finished || (pod.addresses.length === 0 && !pod.hostNetwork)) {
    const phase = pod.object.status?.phase ?? "Pending";
    return { problem: say.notRunning({ pod: pod.key, phase }), hint: say.notRunningHint() };
  }
  return { node: pod.node, pod };
};

/** As many names as fit into one sentence. */
export const MOST_NAMED = 6;
