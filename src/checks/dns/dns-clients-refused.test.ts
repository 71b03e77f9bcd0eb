import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editConfig, probed } from "../../../testing/cluster-edits.ts";
import { dnsClientsRefused } from "./dns-clients-refused.ts";

/** Before the line with `kubernetes`. */
const added = (lines: string): Edit =>
  editConfig("coredns", "Corefile", (text) => text.replace(/^( *)kubernetes /m, `$1${lines}\n$1kubernetes `));
const given = (lines: string) => cluster().edit(added(lines));
const repair = "ConfigMap/kube-system/coredns";
const breaks = ["dns.admit"] as const;

testCheck(dnsClientsRefused, {
  finds: {
    "acl blocks the range of all Pods": {
      given: given("acl {\n  block net 10.128.0.0/16\n}"),
      repair,
      says: ["CoreDNS refuses what Pods ask: plugin acl of its Corefile (ConfigMap/kube-system/coredns, line"],
      breaks,
      strength: "direct",
    },
    "the list of those who may ask leaves the Pods of one node out": {
      given: given("acl {\n  allow net 10.128.0.0/24 10.128.1.0/24 172.16.0.0/16 \n  drop\n}"),
      repair,
      says: ["leaves what the Pods of w2 ask without an answer"],
      breaks,
    },
    "names of the cluster are filtered for the Pods of one node": {
      given: given("acl cluster.local {\n  filter type A net 10.128.2.0/24\n}"),
      repair,
      says: ["answers the Pods of w2 with nothing"],
    },
    "one Pod is shut out, and its queries fail": {
      given: cluster().edit((draft) => {
        const pod = draft.list("pods").find(({ metadata }) => metadata.name.startsWith("frontend-"))!;
        added(`acl {\n  block net ${pod.status!.podIP}\n}`)(draft);
        probed("frontend", "dns", "kubernetes.default.svc.cluster.local", "refused")(draft);
      }),
      repair,
      says: ["CoreDNS refuses what Pod shop/frontend-"],
    },
    "bind to the loopback device": {
      given: given("bind 127.0.0.1 ::1"),
      repair,
      says: ["CoreDNS listens at 127.0.0.1, ::1 only"],
      breaks,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "names of others are blocked": given("acl ads.example {\n  block\n}"),
    "all Pods may ask, and nobody else": given("acl {\n  allow net 10.128.0.0/16\n  block\n}"),
    "text records are filtered": given("acl {\n  filter type TXT\n}"),
    "what is not allowed by the first list is looked for in no second": given(
      "acl cluster.local {\n  allow net *\n}\nacl corp.example {\n  block net *\n}",
    ),
    "another block listens at the loopback device": cluster().edit(
      editConfig("coredns", "Corefile", (text) => `${text}\ncorp.example:53 {\n  bind 127.0.0.1\n  whoami\n}\n`),
    ),
  },
  cannotTell: {},
});
