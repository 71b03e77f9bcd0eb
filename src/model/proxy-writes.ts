/** Whether kube-proxy writes the changes that it learns of, as it says itself: by its health, or else by its metrics. */
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import { counted } from "./counted.ts";
import type { CaptureTime } from "./time.ts";

/** Changes that a kube-proxy has known of for a while and has not written. */
export type HeldBack = {
  /** Whose changes wait; none if it does not tell the families apart. */
  readonly families: readonly ("IPv4" | "IPv6")[];
  /** RFC 3339: when it last wrote them, if it did. */
  readonly since?: string;
  readonly evidence: readonly Evidence[];
};

/**
 * Twice the time by which kube-proxy itself counts as unwell: a change is written within seconds, and by its metrics alone it
 * is our clock, or the API server's, that tells how long it has waited.
 */
const PATIENCE = 120_000;

const WRITTEN = "kubeproxy_sync_proxy_rules_last_timestamp_seconds";
const QUEUED = "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds";
const FAILURES = [
  "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
  "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
] as const;

const timeText = (seconds: number): string => new Date(seconds * 1000).toISOString();

export function heldBackOn(node: string, capture: Capture, time: CaptureTime): HeldBack | undefined {
  const health = capture.get("proxyHealth", { node });
  const metrics = capture.get("proxyMetrics", { node });
  const failures = counted(metrics, FAILURES);
  const said = known(health);
  if (said?.writes !== undefined) {
    if (said.writes) return undefined;
    const { late, writtenAt } = said;
    const words = `kube-proxy: healthy: false${late.length > 0 ? ` (${late.join(", ")})` : ""}, lastUpdated: ${writtenAt ?? "?"}`;
    return {
      families: late,
      ...(writtenAt !== undefined && { since: writtenAt }),
      evidence: [quoteOf(health.origin, words), ...failures],
    };
  }
  const samples = known(metrics);
  for (const queued of samples?.get(QUEUED) ?? []) {
    const family = queued.labels.get("ip_family");
    const written = samples?.get(WRITTEN)?.find(({ labels }) => labels.get("ip_family") === family);
    const waited = time.age(timeText(queued.value));
    if (!written || written.value >= queued.value || waited === undefined || waited < PATIENCE) continue;
    const quote = (line: number, words: string) => quoteOf({ ...metrics.origin, line }, words);
    return {
      families: family === "IPv4" || family === "IPv6" ? [family] : [],
      // none yet
      ...(written.value > 0 && { since: timeText(written.value) }),
      evidence: [
        quote(queued.line, `${QUEUED}: ${timeText(queued.value)}`),
        quote(written.line, `${WRITTEN}: ${timeText(written.value)}`),
        ...failures,
      ],
    };
  }
  return undefined;
}
