/** What CoreDNS' own counters prove. They count since its start, so they tell that nothing failed and not when something did. */
import { isWhole, type Observed } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import { type Metrics, sumOf } from "../../parse/kubernetes/metrics.ts";
import { counted } from "../counted.ts";

const UPSTREAM_FAILURES = [
  "coredns_forward_healthcheck_broken_total",
  "coredns_forward_healthcheck_failures_total",
  "coredns_proxy_healthcheck_failures_total",
] as const;

/**
 * Whether a CoreDNS has answered every query since it started, names of the outside among them, and no upstream server has
 * failed a health check: `forward` makes one as soon as a query gets no answer (plugin/pkg/proxy, `Healthcheck`).
 *
 * @returns false also where the counters do not tell: of a server block without `prometheus` there are none
 */
export function hasAnsweredAll(observed: Observed<Metrics>): boolean {
  if (!isWhole(observed)) return false;
  const metrics = observed.value;
  // a counter without labels is there from the start: it shows that `forward` is at work and counts
  if (!metrics.has("coredns_forward_healthcheck_broken_total")) return false;
  const failures = [
    ...UPSTREAM_FAILURES.map((name) => sumOf(metrics, name)),
    sumOf(metrics, "coredns_panics_total"),
    sumOf(metrics, "coredns_dns_responses_total", { rcode: "SERVFAIL" }),
  ];
  return (
    failures.every((count) => count === 0) &&
    sumOf(metrics, "coredns_dns_responses_total", { zone: ".", plugin: "forward" }) > 0
  );
}

/** What a CoreDNS counts of upstream servers that failed a health check and of queries that it could not answer. */
export const upstreamFailures = (observed: Observed<Metrics>): readonly Evidence[] => [
  ...counted(observed, UPSTREAM_FAILURES),
  ...counted(observed, ["coredns_dns_responses_total"], ({ labels }) => labels.get("rcode") === "SERVFAIL"),
];
