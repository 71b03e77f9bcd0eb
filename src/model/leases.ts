/** Leases, by which kubelets, controllers and API servers say every few seconds that they are there. */
import type { Evidence } from "../evidence/origin.ts";
import type { Objects } from "./objects.ts";
import { timeOf } from "./time.ts";

export type Renewal = {
  /** RFC 3339. */
  readonly at: string;
  /** Milliseconds since 1970. */
  readonly when: number;
  readonly evidence: Evidence;
};

/**
 * The newest renewal of any lease: the last time at which somebody was seen to write through the API server.
 *
 * @param namespace only of leases there: lists of single namespaces were read one after the other
 */
export function newestRenewal(objects: Objects, namespace?: string): Renewal | undefined {
  let newest: Omit<Renewal, "evidence"> | undefined;
  let words = "";
  let origin: ReturnType<Objects["all"]>[number] | undefined;
  for (const lease of objects.all("leases")) {
    if (namespace !== undefined && lease.metadata.namespace !== namespace) continue;
    const at = lease.spec?.renewTime ?? undefined;
    const when = timeOf(at);
    if (at === undefined || when === undefined || when <= (newest?.when ?? 0)) continue;
    newest = { at, when };
    words = `newest of all renewals: Lease ${lease.metadata.namespace ?? ""}/${lease.metadata.name}, ${at}`;
    origin = lease;
  }
  return newest && origin ? { ...newest, evidence: objects.quote("leases", origin, words) } : undefined;
}
