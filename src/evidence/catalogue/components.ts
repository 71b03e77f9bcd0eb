/** What components say, and what they count of themselves. */

import { type Metrics, metricsReader } from "../../parse/kubernetes/metrics.ts";
import { type ProxyHealth, parseProxyHealth } from "../../parse/kubernetes/proxy-health.ts";
import { type LogDigest, logDigestReader } from "../../parse/logs/digest.ts";
import type { Template } from "../../text.ts";
import { type Kind, parsedBy } from "../kind.ts";
import { unread } from "./shapes.ts";

function log(path: string, how: Kind<unknown>["how"], hides: Template): Kind<LogDigest> {
  return {
    path,
    how,
    open: () => logDigestReader(),
    empty: "nothing-there",
    hides,
    sensitivity: "may-hold-secrets",
    cost: "large",
  };
}

/** What a component counts of itself. @param names of the samples that are read */
function metrics(path: string, get: string, names: readonly string[], hides: Template): Kind<Metrics> {
  const wanted = new Set(names);
  return {
    path,
    how: { get },
    open: () => metricsReader(wanted),
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "medium",
  };
}

/** What metrics-server measured: for people, and for `kubectl top` against a replay. */
function usage(resource: "nodes" | "pods", hides: Template): Kind<readonly never[]> {
  return {
    path: `top/${resource}.json`,
    how: { get: `/apis/metrics.k8s.io/v1beta1/${resource}` },
    open: unread,
    empty: "tells-nothing",
    hides,
    sensitivity: "names",
    cost: "small",
  };
}

export const ofComponents = {
  containerLog: log(
    "logs/{namespace}/{pod}/{container}.log",
    { logs: "current" },
    {
      en: "what the container reports",
      zh: "容器的日志",
    },
  ),
  previousContainerLog: log(
    "logs/{namespace}/{pod}/{container}.previous.log",
    { logs: "previous" },
    {
      en: "why the container stopped last time",
      zh: "容器上一次退出的原因",
    },
  ),
  kubeletLog: log(
    "nodes/{node}/kubelet.log",
    { command: "journalctl -u kubelet -n 1500", where: "node" },
    {
      en: "what the kubelet reports",
      zh: "kubelet 的日志",
    },
  ),
  dnsMetrics: metrics(
    "metrics/coredns/{namespace}/{pod}.prom",
    "/api/v1/namespaces/{namespace}/pods/{pod}:9153/proxy/metrics",
    [
      "coredns_dns_responses_total",
      "coredns_forward_healthcheck_broken_total",
      // until 1.10, and since
      "coredns_forward_healthcheck_failures_total",
      "coredns_proxy_healthcheck_failures_total",
      "coredns_panics_total",
    ],
    {
      en: "how many queries CoreDNS could not answer since it started",
      zh: "CoreDNS 自启动以来有多少查询未能应答",
    },
  ),
  proxyHealth: {
    path: "metrics/kube-proxy/{node}.json",
    how: { get: "/api/v1/nodes/{node}:10256/proxy/healthz" },
    open: parsedBy(parseProxyHealth),
    empty: "tells-nothing",
    hides: {
      en: "whether kube-proxy on the node writes the changes that it learns of",
      zh: "节点上的 kube-proxy 是否把获知的变化写入了规则",
    },
    sensitivity: "plain",
    cost: "small",
  } satisfies Kind<ProxyHealth>,
  // on the node's loopback alone, unless `metricsBindAddress` says otherwise: then nobody but the node itself may ask
  proxyMetrics: metrics(
    "metrics/kube-proxy/{node}.prom",
    "/api/v1/nodes/{node}:10249/proxy/metrics",
    [
      "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
      "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
    ],
    {
      en: "when kube-proxy on the node last wrote its rules, and how often it failed to",
      zh: "节点上的 kube-proxy 上次写入规则的时间，以及写入失败的次数",
    },
  ),
  kubeletMetrics: metrics(
    "metrics/kubelet/{node}.prom",
    "/api/v1/nodes/{node}/proxy/metrics",
    [
      "kubelet_run_podsandbox_errors_total",
      "kubelet_started_pods_errors_total",
      "kubelet_runtime_operations_errors_total",
    ],
    {
      en: "how often the kubelet failed to start Pods and their network since it started",
      zh: "kubelet 自启动以来启动 Pod 及其网络失败的次数",
    },
  ),
  nodeUsage: usage("nodes", {
    en: "how much CPU and memory nodes use (`kubectl top nodes`)",
    zh: "节点的 CPU 与内存用量（`kubectl top nodes`）",
  }),
  podUsage: usage("pods", {
    en: "how much CPU and memory Pods use (`kubectl top pods`)",
    zh: "Pod 的 CPU 与内存用量（`kubectl top pods`）",
  }),
} satisfies Record<string, Kind<unknown>>;
