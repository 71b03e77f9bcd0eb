/**
 * Kubelets, as far as they answer. Logs, exec and what a kubelet tells of itself all come through it: who is silent to some
 * of these requests is not asked for the rest, each of which would be waited for.
 */
import type { ObjectOf } from "../../evidence/catalogue.ts";

export interface Kubelets {
  /** How often one is asked, and how long it may be silent, in milliseconds. */
  patience(node: string): { readonly tries: number; readonly idleMs: number };
  heard(node: string, didAnswer: boolean): void;
  isSilent(node: string): boolean;
}

const PATIENT = { tries: 2, idleMs: 8000, silences: 3 };
/** Of a node that does not report any more. */
const IMPATIENT = { tries: 1, idleMs: 4000, silences: 1 };

export function kubeletsOf(nodes: readonly ObjectOf<"nodes">[]): Kubelets {
  const ready = ({ status }: ObjectOf<"nodes">) => status?.conditions?.find(({ type }) => type === "Ready")?.status;
  const gone = new Set(nodes.filter((node) => ready(node) === "Unknown").map(({ metadata }) => metadata.name));
  const silences = new Map<string, number>();
  const of = (node: string) => (gone.has(node) ? IMPATIENT : PATIENT);
  return {
    patience: of,
    heard: (node, didAnswer) => void silences.set(node, didAnswer ? 0 : (silences.get(node) ?? 0) + 1),
    isSilent: (node) => (silences.get(node) ?? 0) >= of(node).silences,
  };
}
