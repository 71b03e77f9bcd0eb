import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { editObjects, edits, said } from "../../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../../testing/cluster-nodes.ts";
import { ago } from "../../../testing/object-states.ts";
import { componentLoginRefused } from "./component-login-refused.ts";

const list = (why: string): readonly string[] => [
  `E1121 02:59:50.000000       1 reflector.go:200] "Failed to watch" err="failed to list *v1.Service: ${why}" reflector="k8s.io/client-go/informers/factory.go:160" type="*v1.Service"`,
];
const get = (why: string) =>
  list(`Get \\"https://10.96.0.1:443/api/v1/services?limit=500\\": tls: failed to verify certificate: x509: ${why}`);
const EXPIRED = get(
  "certificate has expired or is not yet valid: current time 2026-11-21T02:59:50Z is after 2026-11-20T00:00:00Z",
);
const NOT_HERE = get(
  "certificate has expired or is not yet valid: current time 2027-11-21T02:59:50Z is after 2027-11-20T00:00:00Z",
);
const healedBy = () => cluster();

testCheck(componentLoginRefused, {
  finds: {
    "the ServiceAccount of kube-proxy was made anew": {
      given: cluster().edit(said("kube-proxy", list("Unauthorized"))),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["The API server does not accept the credentials of kube-proxy: Unauthorized (401)"],
      breaks: ["component.learn"],
      strength: "heard",
      healedBy,
    },
    "its account is younger than its Pods": {
      given: cluster().edit(
        said("kube-proxy", list("Unauthorized")),
        editObjects("serviceaccounts", "kube-proxy", ({ metadata, ...own }) => ({
          ...own,
          metadata: { ...metadata, creationTimestamp: ago(600) },
        })),
      ),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["ServiceAccount kube-system/kube-proxy was made anew at", "tokens of the account that was deleted"],
      healedBy,
    },
    "sa.key was replaced": {
      given: cluster().edit(edits(said("kube-proxy", list("Unauthorized")), said("coredns", list("Unauthorized")))),
      repair: "Pod/kube-system/kube-apiserver-cp1",
      says: ["accepts the credentials of nobody who tells of it (CoreDNS, kube-proxy)"],
      healedBy,
    },
    "the API server's certificate ended": {
      given: cluster().edit(said("kube-proxy", EXPIRED)),
      repair: "Pod/kube-system/kube-apiserver-cp1",
      says: ["The API server's certificate is not accepted by kube-proxy: it has expired"],
      healedBy,
    },
    "the clock of w1 is wrong": {
      given: cluster().edit(
        edits(said("kube-proxy", NOT_HERE, NOW, "w1"), (draft) =>
          draft.set("kubeletLog", { node: "w1" }, logOf(NOT_HERE, NOW)),
        ),
      ),
      repair: "Node/w1",
      says: ["On node w1 alone the API server's certificate counts as expired or not valid yet (kube-proxy, kubelet)"],
      breaks: ["component.learn", "api.reach"],
      healedBy,
    },
    "the API server's certificate ended, and only w1's logs were had": {
      given: cluster().edit(said("kube-proxy", EXPIRED, NOW, "w1")),
      repair: "Pod/kube-system/kube-apiserver-cp1",
      says: ["The API server's certificate is not accepted by kube-proxy: it has expired"],
      healedBy,
    },
    "flannel has the CA of an older cluster": {
      given: cluster().edit(said("kube-flannel-ds", get("certificate signed by unknown authority"))),
      repair: "DaemonSet/kube-flannel/kube-flannel-ds",
      says: ["it is signed by an unknown authority"],
      healedBy,
    },
    "the address of the Service is not in the certificate": {
      given: cluster().edit(said("coredns", get("certificate is valid for 10.43.0.1, 172.16.0.1, not 10.96.0.1"))),
      repair: "Pod/kube-system/kube-apiserver-cp1",
      says: ["it is not for the address that is asked"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "it was so an hour ago": cluster().edit(said("kube-proxy", list("Unauthorized"), ago(3600))),
    "what a Pod may not do is another matter": cluster().edit(
      said("kube-proxy", list("services is forbidden: User cannot list resource")),
    ),
    "the API server hears of a stranger's token": cluster().edit(
      said("kube-apiserver", [
        'E1121 02:59:50.000000 1 authentication.go:73] "Unable to authenticate the request" err="x509: certificate has expired or is not yet valid"',
      ]),
    ),
  },
});
