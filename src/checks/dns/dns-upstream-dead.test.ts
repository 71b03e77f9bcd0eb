import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editObjects, exposing, probed, said } from "../../../testing/cluster-edits.ts";
import { ago } from "../../../testing/object-states.ts";
import { dnsUpstreamDead } from "./dns-upstream-dead.ts";

const healthy = () => cluster();
const timeout = (upstream: string, name = "example.org.", type = "A") =>
  `[ERROR] plugin/errors: 2 ${name} ${type}: read udp 10.128.1.3:41233->${upstream}:53: i/o timeout`;
const forwardTo = (target: string): Edit =>
  editObjects("configmaps", "coredns", (map) => ({
    ...map,
    data: { Corefile: map.data!.Corefile!.replace("/etc/resolv.conf", target) },
  }));
const complains = said("coredns", [timeout("172.16.255.254")]);
const fails = probed("client", "dns", "example.org", "servfail");
/** CoreDNS' counters: how many forwarded queries it answered, and how often an upstream server failed a health check. */
const counts = (answered: number, failed: number) =>
  exposing("coredns", "dnsMetrics", [
    ...(answered > 0 ? [`coredns_dns_responses_total{plugin="forward",rcode="NOERROR",zone="."} ${answered}`] : []),
    `coredns_forward_healthcheck_broken_total ${failed}`,
    ...(failed > 0 ? [`coredns_proxy_healthcheck_failures_total{proxy_name="forward",to="1.1.1.1:53"} ${failed}`] : []),
  ]);
const works = probed("client", "dns", "example.org", "ok");

testCheck(dnsUpstreamDead, {
  finds: {
    "a CoreDNS of 2018 says so in the words of its time": {
      given: cluster().edit(
        said("coredns", [
          "[ERROR] 2 example.org. A: unreachable backend: read udp 10.128.1.3:41293->172.16.255.254:53: i/o timeout",
        ]),
        fails,
      ),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS gets no answer from its upstream server 172.16.255.254"],
      healedBy: healthy,
    },
    "the name server of the nodes is down, CoreDNS says so and external names fail": {
      given: cluster().edit(complains, fails),
      repair: "ConfigMap/kube-system/coredns",
      says: ["CoreDNS gets no answer from its upstream server 172.16.255.254 (ConfigMap/kube-system/coredns)"],
      breaks: ["dns.upstream"],
      strength: "direct",
      healedBy: healthy,
    },
    "a Corefile names a server that was switched off, and nobody tested": {
      given: cluster({ flavour: "managed" }).edit(forwardTo("10.1.1.1"), said("coredns", [timeout("10.1.1.1")])),
      repair: "ConfigMap/kube-system/coredns",
      says: ["from its upstream server 10.1.1.1"],
      strength: "heard",
      healedBy: () => cluster({ flavour: "managed" }),
    },
    "CoreDNS holds all of its upstream servers for dead": {
      given: cluster().edit(
        forwardTo("10.1.1.1 10.1.1.2"),
        said("coredns", ["[ERROR] plugin/errors: 2 example.org. AAAA: no healthy proxies"]),
      ),
      repair: "ConfigMap/kube-system/coredns",
      says: ["from its upstream server 10.1.1.1, 10.1.1.2"],
      healedBy: healthy,
    },
    "it does, and we may not read which they are": {
      given: cluster()
        .edit(said("coredns", ["[ERROR] plugin/errors: 2 example.org. AAAA: no healthy proxies"]))
        .without("configmaps"),
      repair: "ConfigMap/kube-system/coredns",
      says: ["from its upstream server (its log does not say which)"],
      healedBy: healthy,
    },
    "whoever asks a public server directly gets an answer, which says nothing of CoreDNS": {
      given: cluster().edit(complains, (draft) =>
        draft.set("probes", {}, [
          {
            line: 1,
            from: { node: "w1", network: "pod" },
            test: "dns",
            target: "example.org",
            server: "9.9.9.9",
            result: "ok",
          },
        ]),
      ),
      repair: "ConfigMap/kube-system/coredns",
      strength: "heard",
      healedBy: healthy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a query got lost, and external names resolve": cluster().edit(complains, works),
    "the name server was down yesterday": cluster().edit(said("coredns", [timeout("172.16.255.254")], ago(86_400))),
    "the question of the loop plugin got lost": cluster().edit(
      said("coredns", [timeout("172.16.255.254", "4547991504243258144.3688648895315093531.", "HINFO")]),
    ),
    "a name of the cluster failed": cluster().edit(
      said("coredns", [timeout("172.16.255.254", "db.data.svc.cluster.local.")]),
    ),
    "its log was not collected, and it has counted no failure": cluster().edit(counts(12, 0)).without("containerLog"),
    "an external name does not exist": cluster().edit(probed("client", "dns", "nowhere.example.org", "nxdomain")),
  },
  cannotTell: {
    "dns.upstream": {
      "the logs of CoreDNS were not collected": cluster().without("containerLog"),
      "nor were they, and it counted failures, whenever that was": cluster()
        .edit(counts(12, 3))
        .without("containerLog"),
      "nor were they, and nobody has asked for an external name yet": cluster()
        .edit(counts(0, 0))
        .without("containerLog"),
    },
  },
});
