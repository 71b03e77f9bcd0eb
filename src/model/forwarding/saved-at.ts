/** When a node's rules were read, as iptables-save says at the head of what it prints. */
import { known } from "../../evidence/observed.ts";
import type { CaptureTime } from "../time.ts";
import type { NodePlane } from "./plane.ts";

const HOUR = 3_600_000;
/** Most clocks around the world differ by multiples of this. */
const ZONE = HOUR / 2;

/**
 * Milliseconds since 1970 (UTC); undefined if nothing tells. The head is in the node's local time and does not say which that
 * is: what is hours from the time of the capture is taken for that of another zone.
 */
export function savedAt({ iptables, ip6tables }: NodePlane, { now }: CaptureTime): number | undefined {
  const on = known(iptables)?.on ?? known(ip6tables)?.on;
  const local = on === undefined ? Number.NaN : Date.parse(`${on} UTC`);
  if (Number.isNaN(local) || now === undefined) return undefined;
  const away = local - now;
  return Math.abs(away) < HOUR ? local : local - Math.round(away / ZONE) * ZONE;
}
