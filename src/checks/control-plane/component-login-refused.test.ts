import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { editObjects, editPods, edits, said } from "../../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../../testing/cluster-nodes.ts";
import { ago, waiting } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
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
const STRANGER = get("certificate signed by unknown authority");
const unknown = <O extends { readonly status?: object | null | undefined }>(node: O): O => ({
  ...node,
  status: { ...node.status, conditions: [{ type: "Ready", status: "Unknown" }] },
});
const healedBy = () => cluster();
const madeAnew = (at: string) =>
  editObjects("serviceaccounts", "kube-proxy", ({ metadata, ...own }) => ({
    ...own,
    metadata: { ...metadata, creationTimestamp: at },
  }));

testCheck(componentLoginRefused, {
  finds: {
    "kube-proxy alone is refused, for no reason that is seen": {
      given: cluster().edit(said("kube-proxy", list("Unauthorized"))),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["The API server does not accept the credentials of kube-proxy: Unauthorized (401)"],
      breaks: ["component.learn"],
      strength: "heard",
      healedBy,
    },
    "its account is younger than its Pods": {
      given: cluster().edit(said("kube-proxy", list("Unauthorized")), madeAnew(ago(600))),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["ServiceAccount kube-system/kube-proxy was made anew at", "tokens of the account that was deleted"],
      breaks: ["component.login"],
      healedBy,
    },
    "its account was made anew, and it has not been refused yet": {
      given: cluster().edit(madeAnew(ago(120))),
      repair: "DaemonSet/kube-system/kube-proxy",
      says: ["accepts the tokens of kube-proxy no more", "was made anew at"],
      breaks: ["component.login"],
      strength: "direct",
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
      breaks: ["component.login", "api.reach"],
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
    "kube-controller-manager publishes another authority to Pods, and nodes are Ready": {
      given: cluster().edit(edits(said("kube-proxy", STRANGER), said("coredns", STRANGER))),
      repair: "Pod/kube-system/kube-controller-manager-cp1",
      says: ["Pods do not trust the API server (CoreDNS, kube-proxy), and nodes do: ConfigMap kube-root-ca.crt"],
      breaks: ["component.login"],
      healedBy,
    },
    "the API server has a certificate of a new authority: no node reports any more": {
      given: cluster().edit(
        edits(said("kube-proxy", STRANGER), said("coredns", STRANGER)),
        ...["cp1", "w1", "w2"].map((node) => editObjects("nodes", node, unknown)),
      ),
      repair: "Pod/kube-system/kube-apiserver-cp1",
      says: [
        "The API server's certificate is not accepted by CoreDNS, kube-proxy: it is signed by an unknown authority",
      ],
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
    "its account was made anew, and the kubelet has fetched new tokens since": cluster().edit(madeAnew(ago(3000))),
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

it("is told once, as the root, and not as a warning of permissions again", () => {
  const { rootCauses, warnings } = diagnose(cluster().edit(said("kube-proxy", list("Unauthorized"))).capture);
  expect(rootCauses.map(({ id }) => id)).toEqual(["component-login-refused/DaemonSet/kube-system/kube-proxy"]);
  expect(warnings).toEqual([]);
});

it("stands above the crash loop of what was started anew with it", () => {
  const unauthorized =
    "Failed to create SubnetManager: error retrieving pod spec for 'kube-flannel/kube-flannel-ds-9vxtb': Unauthorized";
  const { rootCauses } = diagnose(
    cluster().edit(
      said("kube-flannel-ds", [`E1121 02:59:50.000000       1 main.go:247] ${unauthorized}`], NOW, "w1"),
      editPods("kube-flannel-ds", waiting("CrashLoopBackOff"), "w1"),
      editObjects("serviceaccounts", "flannel", ({ metadata, ...own }) => ({
        ...own,
        metadata: { ...metadata, creationTimestamp: ago(600) },
      })),
    ).capture,
  );
  expect(rootCauses.map(({ id }) => id)).toEqual(["component-login-refused/DaemonSet/kube-flannel/kube-flannel-ds"]);
});
