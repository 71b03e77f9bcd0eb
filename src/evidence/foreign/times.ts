/** When a bundle that does not say so was taken, by what beats in a cluster: leases, heartbeats, events. */
import type { ObjectLists } from "./lists.ts";

type Beating = {
  readonly spec?: { readonly renewTime?: string };
  readonly status?: { readonly conditions?: readonly { readonly lastHeartbeatTime?: string }[] };
  readonly lastTimestamp?: string;
  readonly eventTime?: string;
};

/** @returns RFC 3339 */
export function newestTime(lists: ObjectLists): string | undefined {
  let newest = Number.NEGATIVE_INFINITY;
  for (const kind of ["leases", "nodes", "events"] as const) {
    for (const object of lists.objectsOf(kind)) {
      const { spec, status, lastTimestamp, eventTime } = object as Beating;
      const conditions = Array.isArray(status?.conditions) ? status.conditions : [];
      const times = [spec?.renewTime, lastTimestamp, eventTime, ...conditions.map((one) => one?.lastHeartbeatTime)];
      for (const time of times) {
        const at = Date.parse(String(time));
        if (at > newest) newest = at;
      }
    }
  }
  return Number.isFinite(newest) ? new Date(newest).toISOString() : undefined;
}
