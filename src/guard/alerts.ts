/**
 * Alert rules for Prometheus on metrics that exist, with the unit tests that `promtool test rules` runs.
 *
 * Sources: k8s.io/apiserver metrics (`apiserver_request_total`, `apiserver_admission_*`), k8s.io/kube-aggregator
 * (`aggregator_*`), k8s.io/component-base (`rest_client_requests_total`), pkg/proxy/metrics (`kubeproxy_*`), CoreDNS plugins
 * (`coredns_*`), node_exporter (`node_nf_conntrack_*`), kube-state-metrics (`kube_*`).
 */
import type { Ref } from "../model/ref.ts";
import type { ProtectedObject } from "./protected.ts";

type Series = { readonly series: string; readonly values: string };

type Alert = {
  readonly alert: string;
  /** `Kind/namespace/name`, of those that there are for each. */
  readonly workload?: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: "warning" | "critical";
  readonly summary: string;
  readonly next: string;
  readonly test: {
    readonly firing: readonly Series[];
    readonly quiet: readonly Series[];
    readonly labels: Readonly<Record<string, string>>;
  };
};

/** What agents of the network list and watch. */
const WATCHED = "endpoints|endpointslices|services|nodes|pods|namespaces|networkpolicies|cilium.*|ippools|ipamblocks";

const ALWAYS: readonly Alert[] = [
  {
    alert: "NetworkAgentForbidden",
    expr: `sum by (resource) (rate(apiserver_request_total{code="403",verb=~"LIST|WATCH",resource=~"${WATCHED}"}[5m])) > 0.01`,
    for: "5m",
    severity: "critical",
    summary: "lists and watches of {{ $labels.resource }} are refused: some agent has lost its permissions",
    next: "netwhy rbac check",
    test: {
      firing: [
        {
          series: 'apiserver_request_total{code="403",verb="LIST",resource="endpointslices",instance="cp1"}',
          values: "0+6x30",
        },
      ],
      quiet: [
        {
          series: 'apiserver_request_total{code="403",verb="LIST",resource="secrets",instance="cp1"}',
          values: "0+6x30",
        },
        { series: 'apiserver_request_total{code="200",verb="LIST",resource="nodes",instance="cp1"}', values: "0+6x30" },
      ],
      labels: { resource: "endpointslices" },
    },
  },
  {
    alert: "NetworkAgentRefusedByApiServer",
    expr: 'sum by (job, instance, code) (rate(rest_client_requests_total{code=~"401|403"}[5m])) > 0.01',
    for: "5m",
    severity: "critical",
    summary: "{{ $labels.job }} on {{ $labels.instance }} is answered {{ $labels.code }} by the API server",
    next: "netwhy rbac check",
    test: {
      firing: [
        { series: 'rest_client_requests_total{code="403",job="kube-proxy",instance="w1:10249"}', values: "0+6x30" },
      ],
      quiet: [
        { series: 'rest_client_requests_total{code="200",job="kube-proxy",instance="w1:10249"}', values: "0+6x30" },
      ],
      labels: { job: "kube-proxy", instance: "w1:10249", code: "403" },
    },
  },
  {
    alert: "AdmissionWebhookUnanswered",
    expr: 'sum by (name) (rate(apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error"}[5m])) > 0',
    for: "5m",
    severity: "critical",
    summary: "writes are refused because nobody answers for the admission webhook {{ $labels.name }}",
    next: "netwhy explain admission-webhook-failing",
    test: {
      firing: [
        {
          series:
            'apiserver_admission_webhook_rejection_count{name="guard.example.org",type="validating",operation="CREATE",error_type="calling_webhook_error",rejection_code="500",instance="cp1"}',
          values: "0+6x30",
        },
      ],
      quiet: [
        {
          series:
            'apiserver_admission_webhook_rejection_count{name="guard.example.org",type="validating",operation="CREATE",error_type="no_error",rejection_code="403",instance="cp1"}',
          values: "0+6x30",
        },
      ],
      labels: { name: "guard.example.org" },
    },
  },
  {
    alert: "AggregatedApiUnavailable",
    expr: "max by (name) (aggregator_unavailable_apiservice) > 0",
    for: "5m",
    severity: "warning",
    summary: "nobody serves the API {{ $labels.name }}: namespaces that are deleted stay Terminating",
    next: "netwhy explain aggregated-api-unavailable",
    test: {
      firing: [
        { series: 'aggregator_unavailable_apiservice{name="v1beta1.metrics.k8s.io",instance="cp1"}', values: "1x30" },
      ],
      quiet: [
        { series: 'aggregator_unavailable_apiservice{name="v1beta1.metrics.k8s.io",instance="cp1"}', values: "0x30" },
      ],
      labels: { name: "v1beta1.metrics.k8s.io" },
    },
  },
  {
    alert: "KubeProxyRulesStale",
    expr: "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds - kubeproxy_sync_proxy_rules_last_timestamp_seconds > 60",
    for: "5m",
    severity: "critical",
    summary: "kube-proxy on {{ $labels.instance }} has changes that it does not write",
    next: "netwhy diagnose --nodes all",
    test: {
      firing: [
        {
          series: 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="w1:10249"}',
          values: "1000+60x30",
        },
        { series: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="w1:10249"}', values: "900x30" },
      ],
      quiet: [
        { series: 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{instance="w1:10249"}', values: "1000x30" },
        { series: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds{instance="w1:10249"}', values: "1001x30" },
      ],
      labels: { instance: "w1:10249" },
    },
  },
  {
    alert: "ClusterDnsFails",
    expr: 'sum(rate(coredns_dns_responses_total{rcode="SERVFAIL"}[5m])) / sum(rate(coredns_dns_responses_total[5m])) > 0.05',
    for: "5m",
    severity: "critical",
    summary: "more than 5 % of what cluster DNS is asked ends in SERVFAIL",
    next: "netwhy diagnose",
    test: {
      firing: [
        { series: 'coredns_dns_responses_total{rcode="SERVFAIL"}', values: "0+60x30" },
        { series: 'coredns_dns_responses_total{rcode="NOERROR"}', values: "0+60x30" },
      ],
      quiet: [
        { series: 'coredns_dns_responses_total{rcode="SERVFAIL"}', values: "0+1x30" },
        { series: 'coredns_dns_responses_total{rcode="NOERROR"}', values: "0+600x30" },
      ],
      labels: {},
    },
  },
  {
    alert: "ConntrackNearlyFull",
    expr: "node_nf_conntrack_entries / node_nf_conntrack_entries_limit > 0.8",
    for: "5m",
    severity: "warning",
    summary:
      "{{ $labels.instance }} tracks {{ $value | humanizePercentage }} of the connections that it can: then it drops new ones",
    next: "netwhy explain conntrack-table-full",
    test: {
      firing: [
        { series: 'node_nf_conntrack_entries{instance="w1:9100"}', values: "90x30" },
        { series: 'node_nf_conntrack_entries_limit{instance="w1:9100"}', values: "100x30" },
      ],
      quiet: [
        { series: 'node_nf_conntrack_entries{instance="w1:9100"}', values: "10x30" },
        { series: 'node_nf_conntrack_entries_limit{instance="w1:9100"}', values: "100x30" },
      ],
      labels: { instance: "w1:9100" },
    },
  },
];

/** Of the workloads that this cluster's network is made of. */
function workloadAlerts(workloads: readonly Ref[]): Alert[] {
  return workloads.flatMap(({ kind, namespace = "", name }): Alert[] => {
    const workload = `${kind}/${namespace}/${name}`;
    const isDaemonSet = kind === "DaemonSet";
    const label = isDaemonSet ? "daemonset" : "deployment";
    const of = `{namespace="${namespace}",${label}="${name}"}`;
    const metric = isDaemonSet
      ? "kube_daemonset_status_number_unavailable"
      : "kube_deployment_status_replicas_available";
    return [
      {
        alert: isDaemonSet ? "NetworkAgentUnavailable" : "NetworkControllerUnavailable",
        workload,
        expr: isDaemonSet
          ? `max by (namespace, daemonset) (${metric}${of}) > 0`
          : `max by (namespace, deployment) (${metric}${of}) < 1`,
        for: "10m",
        severity: "critical",
        summary: `{{ $labels.namespace }}/{{ $labels.${label} }}: ${isDaemonSet ? "{{ $value }} of its Pods are not available" : "no replica is available"}`,
        next: "netwhy diagnose",
        test: {
          firing: [{ series: metric + of, values: isDaemonSet ? "1x30" : "0x30" }],
          quiet: [{ series: metric + of, values: isDaemonSet ? "0x30" : "2x30" }],
          labels: { namespace, [label]: name },
        },
      },
      {
        alert: "NetworkComponentGone",
        workload,
        // what was there an hour ago, and is not any more
        expr: `group by (namespace, ${label}) (${metric}${of} offset 1h) unless group by (namespace, ${label}) (${metric}${of})`,
        for: "5m",
        severity: "critical",
        summary: `${kind} {{ $labels.namespace }}/{{ $labels.${label} }} does not exist any more`,
        next: "netwhy diagnose",
        test: {
          firing: [{ series: metric + of, values: "1x10 stale" }],
          quiet: [{ series: metric + of, values: isDaemonSet ? "0x120" : "2x120" }],
          labels: { namespace, [label]: name },
        },
      },
    ];
  });
}

/** The rules, and their tests: each fires where it should, and keeps quiet where it should. */
export function alertRules(objects: readonly ProtectedObject[]): { rules: object; tests: object } {
  const workloads = objects
    .map(({ object }) => object)
    .filter(({ kind }) => kind === "DaemonSet" || kind === "Deployment");
  const alerts = [...ALWAYS, ...workloadAlerts(workloads)];
  // rules of one name have to differ in their labels
  const labelsOf = ({ severity, workload }: Alert) => ({ severity, from: "netwhy", ...(workload && { workload }) });
  const rules = alerts.map((alert) => ({
    alert: alert.alert,
    expr: alert.expr,
    for: alert.for,
    labels: labelsOf(alert),
    annotations: { summary: alert.summary, next_step: alert.next },
  }));
  const tests = alerts.flatMap((alert) => {
    const { firing, quiet, labels } = alert.test;
    const at = alert.alert === "NetworkComponentGone" ? "65m" : "20m";
    const test = (series: readonly Series[], isFiring: boolean) => ({
      interval: "1m",
      input_series: series,
      // by an expression: the words of an alert are not what is tested
      promql_expr_test: [
        {
          expr: `count by (alertname, ${[...Object.keys(labels), "severity"].join(", ")}) (ALERTS{alertname="${alert.alert}",alertstate="firing"})`,
          eval_time: at,
          exp_samples: isFiring
            ? [{ labels: promLabels({ alertname: alert.alert, ...labels, severity: alert.severity }), value: 1 }]
            : [],
        },
      ],
    });
    return [test(firing, true), test(quiet, false)];
  });
  return {
    rules: { groups: [{ name: "netwhy", rules }] },
    tests: { rule_files: ["alerts.yaml"], evaluation_interval: "1m", tests },
  };
}

const promLabels = (labels: Readonly<Record<string, string>>): string =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(", ")}}`;
