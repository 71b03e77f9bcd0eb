import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editConfig } from "../../../testing/cluster-edits.ts";
import { dnsNamesSwallowed } from "./dns-names-swallowed.ts";

/** Before the line with `kubernetes`. */
const added = (lines: string): Edit =>
  editConfig("coredns", "Corefile", (text) => text.replace(/^( *)kubernetes /m, `$1${lines}\n$1kubernetes `));
const given = (lines: string) => cluster().edit(added(lines));
const repair = "ConfigMap/kube-system/coredns";
const healedBy = () => cluster();

testCheck(dnsNamesSwallowed, {
  finds: {
    "somebody added a name by hosts, without fallthrough": {
      given: given("hosts {\n  10.9.8.7 db.corp.example\n}"),
      repair,
      says: ["Plugin hosts of the Corefile (ConfigMap/kube-system/coredns, line", "answers for all names"],
      breaks: ["dns.serve"],
      strength: "direct",
    },
    "hosts reads a file, and has no block": {
      given: given("hosts /etc/coredns/extra.hosts"),
      repair,
      says: ["answers for all names and passes none on"],
    },
    "what it passes on is the reverse zone only": {
      given: given("hosts {\n  10.9.8.7 db.corp.example\n  fallthrough in-addr.arpa\n}"),
      repair,
      says: ["answers for all names"],
      healedBy,
    },
    "a template for all addresses matches everything": {
      given: given("template IN A {\n  rcode NXDOMAIN\n}"),
      repair,
      says: ["Plugin template of the Corefile"],
      healedBy,
    },
    "a template in the cluster's zone matches some names, and refuses the others": {
      given: given('template IN A cluster.local {\n  match "^old[.]"\n  answer "{{ .Name }} 60 IN A 10.0.0.1"\n}'),
      repair,
      says: ["answers for the names of the cluster and passes none on"],
      healedBy,
    },
    "a zone file without its zone takes the outside": {
      given: given("file /etc/coredns/corp.db"),
      repair,
      says: ["answers for all names outside the cluster"],
      healedBy,
    },
  },
  warns: {
    "hosts holds an old address of a Service": {
      given: given("hosts {\n  10.96.77.77 backend.shop.svc.cluster.local\n  fallthrough\n}"),
      repair,
      says: ["answers backend.shop.svc.cluster.local with 10.96.77.77, before the cluster does"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "hosts passes on what it does not know": given("hosts {\n  10.9.8.7 db.corp.example\n  fallthrough\n}"),
    "hosts is for a zone of its own": given("hosts /etc/coredns/extra.hosts corp.example {\n}"),
    "IPv6 addresses are answered with nothing": given("template IN AAAA {\n  rcode NOERROR\n}"),
    "a server block of its own": cluster().edit(
      editConfig("coredns", "Corefile", (text) => `${text}\ncorp.example:53 {\n  hosts /etc/coredns/extra.hosts\n}\n`),
    ),
  },
  cannotTell: {},
});
