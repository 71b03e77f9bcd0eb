/**
 * `ip -j -s link`: what each device counted of its packets since it was made; also without -j.
 *
 * Format: a JSON array, an object a device (iproute2, ip/ipaddress.c: print_link_stats64): ifname, and in stats64 rx and tx, each
 * with packets, errors and dropped, tx with carrier_errors as well. Plain, the counts stand below their names:
 *   2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
 *       RX:  bytes packets errors dropped  missed   mcast
 *              864      12      0       0       0      12
 *       TX:  bytes packets errors dropped carrier collsns
 *             1086      11      0       0       0       0
 */
import { type Fields, fitEach, fitted, wholeNumber } from "../fields.ts";
import type { Gap, Parser } from "../parsed.ts";
import { type Block, deviceIn, readPrinted, wordsOf } from "./plain.ts";

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

/** The counts of a direction by the names above them, e.g. `RX: bytes packets errors …`. */
function countsBelow(below: readonly string[], direction: "RX" | "TX"): Fields | undefined {
  const at = below.findIndex((line) => line.startsWith(`${direction}: `));
  const counts = wordsOf(below[at + 1] ?? "");
  const names = wordsOf(below[at] ?? "").slice(1);
  if (at < 0 || counts.length < names.length) return undefined;
  return Object.fromEntries(
    names.map((name, index) => [name === "carrier" ? "carrier_errors" : name, wholeNumber(counts[index]!)]),
  );
}

function plainCounters({ head, below }: Block): Fields | string {
  const device = deviceIn(head);
  const rx = countsBelow(below, "RX");
  const tx = countsBelow(below, "TX");
  if (!device || !rx || !tx) return "is no device with its counts";
  return { ifname: device.name, stats64: { rx, tx } };
}

export const parseIpLinkStats: Parser<readonly LinkCounters[]> = (text) => readPrinted(text, plainCounters, toCounters);
