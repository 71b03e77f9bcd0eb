/**
 * What kube-proxy answers at `/healthz` (port 10256), with status 200 or 503:
 *   {"lastUpdated":"2026-11-22T07:10:16.730915731Z","currentTime":"2026-11-22T07:12:24.323300748Z","nodeEligible":true,
 *    "healthy":false,"status":{"IPv4":{"lastUpdated":"…","healthy":false},"IPv6":{"lastUpdated":"…","healthy":true}}}
 * (pkg/proxy/healthcheck/proxy_health.go, 1.33). A family is unhealthy if a change has waited for twice its `syncPeriod`
 * (a minute) to be written. Older ones (1.29) have neither `healthy` nor `status`, and times as Go prints them, "2023-04-01
 * 10:00:00.5 +0000 UTC m=+63.1"; `lastUpdated` is `currentTime` as long as all is well. `nodeEligible: false`, which gives 503
 * as well, only says that the node is about to be taken away.
 */
import { z } from "zod";
import { type Parser, parseJson } from "../parsed.ts";

export type ProxyHealth = {
  /** Whether it writes what it learns; undefined if its answer does not tell. */
  readonly writes: boolean | undefined;
  /** Address families whose changes wait, where they are told apart. */
  readonly late: readonly ("IPv4" | "IPv6")[];
  /** RFC 3339, by the node's clock: when what waits was last written. */
  readonly writtenAt?: string;
};

const state = z.object({ lastUpdated: z.string(), healthy: z.boolean() });
const schema = z.object({
  lastUpdated: z.string(),
  currentTime: z.string(),
  nodeEligible: z.boolean().optional(),
  healthy: z.boolean().optional(),
  status: z.record(z.string(), state).optional(),
});

/** `Time.String()` of Go, and RFC 3339. */
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d*(?:Z| ?([+-]\d\d):?(\d\d))/;

function rfc3339(text: string): string | undefined {
  const [, date, time, hours, minutes] = TIME.exec(text) ?? [];
  const at = Date.parse(`${date}T${time}${hours === undefined ? "Z" : `${hours}:${minutes}`}`);
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
}

export const parseProxyHealth: Parser<ProxyHealth> = (text) => {
  const parsed = parseJson(text);
  const health = parsed.ok ? schema.safeParse(parsed.value) : undefined;
  if (!health?.success) {
    return { value: { writes: undefined, late: [] }, gaps: [{ what: "expected the answer of kube-proxy's /healthz" }] };
  }
  const { lastUpdated, currentTime, nodeEligible, healthy, status = {} } = health.data;
  const late = (["IPv4", "IPv6"] as const).filter((family) => status[family]?.healthy === false);
  const written = rfc3339(status[late[0] ?? ""]?.lastUpdated ?? lastUpdated);
  const now = rfc3339(currentTime);
  // a node that is about to go is told its real last update, late or not
  const isUpToDate =
    written === undefined || now === undefined ? undefined : Date.parse(now) - Date.parse(written) < 1000;
  const writes = healthy ?? (isUpToDate === false && nodeEligible === false ? undefined : isUpToDate);
  return { value: { writes, late, ...(written !== undefined && { writtenAt: written }) }, gaps: [] };
};
