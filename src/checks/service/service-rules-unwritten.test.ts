import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, exposingOn, said } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { serviceRulesUnwritten } from "./service-rules-unwritten.ts";

/** What kube-proxy v1.33 answers at /healthz, `age` seconds after it last wrote the rules of IPv4. */
const health = (healthy: boolean, age = 128): Edit => {
  const [then, now] = [ago(age), ago(0)];
  return exposingOn("w1", "proxyHealth", [
    JSON.stringify({
      ...{ lastUpdated: now, currentTime: now, nodeEligible: true, healthy },
      status: { IPv4: { lastUpdated: then, healthy }, IPv6: { lastUpdated: now, healthy: true } },
    }),
  ]);
};

/** Its metrics: when it last queued and wrote, seconds before the capture. */
const synced = (queued: number, written: number, failures = 0): Edit => {
  const at = (age: number) => Date.parse(ago(age)) / 1000;
  return exposingOn("w1", "proxyMetrics", [
    `kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"} ${at(queued)}`,
    `kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} ${at(written)}`,
    `kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} ${failures}`,
  ]);
};

const complains = said(
  "kube-proxy",
  ["\texit status 4: iptables-restore v1.8.9 (nf_tables): RULE_INSERT failed (No space left on device)"],
  undefined,
  "w1",
);
const LOCKED =
  '"Failed to execute iptables-restore" err="exit status 4: Another app is currently holding the xtables lock; still 3s 0us time ahead to have a chance to grab the lock..."';
const failing = said("kube-proxy", Array<string>(4).fill(LOCKED), undefined, "w1");
const healedBy = () => cluster().edit(health(true));

testCheck(serviceRulesUnwritten, {
  finds: {
    "the kernel refuses a rule, and kube-proxy's Pod stays Ready": {
      given: cluster().edit(health(false), complains, synced(130, 140, 7)),
      repair: "Node/w1",
      says: [
        "kube-proxy on node w1 fails to write its rules: “iptables-restore v1.8.9 (nf_tables): RULE_INSERT failed",
      ],
      breaks: ["component.learn"],
      strength: "direct",
      healedBy,
    },
    "its log was not had": {
      given: cluster().edit(health(false)),
      repair: "Node/w1",
      says: ["changes of Services have waited for more than a minute"],
      healedBy,
    },
    "only its metrics were had": {
      given: cluster().edit(synced(900, 3600, 29)),
      repair: "Node/w1",
      says: ["changes of Services have waited"],
      healedBy: () => cluster().edit(synced(900, 899, 29)),
    },
    "nothing was had of the node but the log": {
      given: cluster().edit(failing).without("iptables").without("nftables"),
      repair: "Node/w1",
      says: ["fails to write its rules: “Failed to execute iptables-restore"],
      strength: "heard",
      healedBy: () => cluster().without("iptables").without("nftables"),
    },
  },
  clears: {
    "its rules are there, whatever it said": cluster().edit(failing),
    "all is written": cluster().edit(health(true), synced(30, 29)),
    "a change came a moment ago, after a quiet hour": cluster().edit(synced(1, 3600)),
    "it failed now and then, and wrote since": cluster().edit(synced(900, 870, 12)),
    "it says that it is well, whatever its metrics say": cluster().edit(health(true), synced(900, 3600)),
    "the rules of a family wait in which there is no Service": cluster().edit(
      exposingOn("w1", "proxyMetrics", [
        'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv6"} 1000',
        'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"} 900',
      ]),
    ),
    "nothing was had of it": cluster(),
  },
});
