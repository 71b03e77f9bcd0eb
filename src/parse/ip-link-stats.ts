/**
 * `ip -j -s link`: what each device counted of its packets since it was made.
 *
 * Format: a JSON array, an object a device (iproute2, ip/ipaddress.c: print_link_stats64): ifname, and in stats64 rx and tx, each
 * with packets, errors and dropped, tx with carrier_errors as well.
 */
import { type Fields, fitEach, fitted, readObjects } from "./fields.ts";
import type { Gap, Parser } from "./parsed.ts";

export type LinkCounters = {
  readonly name: string;
  /** Since the device was made; what it does not tell is 0. */
  readonly received: { readonly errors: number; readonly dropped: number };
  readonly sent: { readonly errors: number; readonly dropped: number; readonly noCarrier: number };
};

function toCounters(item: Fields, note: (gap: Gap) => void): LinkCounters | string {
  const fields = fitted(item, { ifname: "string", stats64: "object?" });
  if (typeof fields === "string") return fields;
  const gaps: Gap[] = [];
  const { rx = {}, tx = {} } = fitEach(fields.stats64 ?? {}, { rx: "object?", tx: "object?" }, gaps, "/stats64");
  const spec = { errors: "integer?", dropped: "integer?", carrier_errors: "integer?" } as const;
  const received = fitEach(rx, spec, gaps, "/stats64/rx");
  const sent = fitEach(tx, spec, gaps, "/stats64/tx");
  for (const gap of gaps) note(gap);
  return {
    name: fields.ifname,
    received: { errors: received.errors ?? 0, dropped: received.dropped ?? 0 },
    sent: { errors: sent.errors ?? 0, dropped: sent.dropped ?? 0, noCarrier: sent.carrier_errors ?? 0 },
  };
}

export const parseIpLinkStats: Parser<readonly LinkCounters[]> = (text) => readObjects(text, toCounters);
