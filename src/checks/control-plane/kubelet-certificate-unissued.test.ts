import { describe, expect, it } from "vitest";
import { answered } from "../../../testing/answers.ts";
import { signingRequest } from "../../../testing/certificate-requests.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editObjects, editPods } from "../../../testing/cluster-edits.ts";
import { logOf, NOW } from "../../../testing/cluster-nodes.ts";
import { ago } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import { kubeletCertificateUnissued } from "./kubelet-certificate-unissued.ts";

type Asking = Parameters<typeof signingRequest>[0];
const asked = (...all: readonly Asking[]): Edit => addObjects("certificatesigningrequests", ...all.map(signingRequest));
const JOIN = "kubeadm:node-autoapprove-bootstrap";
const RENEW = "kubeadm:node-autoapprove-certificate-rotation";
const without = (kind: string, name: string) => cluster().with({ do: "delete", target: ref(kind, name) });
const approved = { type: "Approved", reason: "AutoApproved" };
const commandOf = (...flags: readonly string[]): Edit =>
  editPods("kube-controller-manager", (pod) => ({
    ...pod,
    spec: {
      ...pod.spec,
      containers: pod.spec.containers.map((one) => ({ ...one, command: ["kube-controller-manager", ...flags] })),
    },
  }));
const tls = (address: string) =>
  `Get "https://${address}:10250/containerLogs/shop/a/b": remote error: tls: internal error`;
const healedBy = () => cluster();

testCheck(kubeletCertificateUnissued, {
  finds: {
    "kubeadm's binding for nodes that join was deleted, and w3 waits": {
      given: without("ClusterRoleBinding", JOIN).edit(asked({})),
      repair: `ClusterRoleBinding/${JOIN}`,
      says: ["lets system:bootstrap:abcdef have no certificate", "Node w3 waits"],
      breaks: ["node.join"],
      strength: "direct",
      healedBy,
    },
    "that binding was pointed at another role": {
      given: cluster().edit(
        editObjects("clusterrolebindings", JOIN, (one) => ({ ...one, roleRef: { ...one.roleRef, name: "view" } })),
        asked({}),
      ),
      repair: `ClusterRoleBinding/${JOIN}`,
      healedBy,
    },
    "the role for nodes that join was deleted": {
      given: without("ClusterRole", "system:certificates.k8s.io:certificatesigningrequests:nodeclient").edit(asked({})),
      repair: "ClusterRole/system:certificates.k8s.io:certificatesigningrequests:nodeclient",
      healedBy,
    },
    "all is allowed, and nobody approves": {
      given: cluster().edit(asked({}), asked({ node: "w2" })),
      repair: "CertificateSigningRequest/csr-w2",
      says: ["Node w2 cannot renew the certificate of its kubelet: the request waits"],
      breaks: ["node.renew"],
      healedBy,
    },
    "somebody denied it": {
      given: cluster().edit(
        asked({
          said: [
            { type: "Denied", reason: "KubectlDeny", message: "This CSR was denied by kubectl certificate deny." },
          ],
        }),
      ),
      repair: "CertificateSigningRequest/csr-w3",
      says: ["Node w3 cannot join: its request for a certificate was denied (KubectlDeny: This CSR was denied"],
      healedBy,
    },
    "the signer refuses it": {
      given: cluster().edit(
        asked({
          node: "w1",
          said: [
            approved,
            { type: "Failed", reason: "SignerValidationFailure", message: "organization is not system:nodes" },
          ],
        }),
      ),
      repair: "CertificateSigningRequest/csr-w1",
      says: ["the signer refuses the request (SignerValidationFailure: organization is not system:nodes)"],
      healedBy,
    },
    "it is approved, and kube-controller-manager has no key to sign with": {
      given: cluster().edit(
        commandOf("--kubeconfig=/etc/kubernetes/controller-manager.conf"),
        asked({ node: "w1", said: [approved] }),
      ),
      repair: "Pod/kube-system/kube-controller-manager-cp1",
      says: ["without --cluster-signing-cert-file", "Node w1 waits for its"],
      breaks: ["certificate.issue"],
      healedBy,
    },
    "nobody approves serving certificates, and the API server gets no logs": {
      given: answered("w2", tls).edit(asked({ node: "w2", serving: true })),
      repair: "CertificateSigningRequest/csr-w2",
      says: ["serverTLSBootstrap", "tls: internal error"],
      breaks: ["kubelet.answer"],
      strength: "direct",
      healedBy,
    },
    "the request for a serving certificate is older than a day and was deleted": {
      given: answered("w2", tls),
      repair: "Node/w2",
      says: ["Kubelets have no certificate to be asked by (Node w2)"],
      strength: "heard",
      healedBy,
    },
  },
  warns: {
    "a serving certificate is asked for, and the kubelet still has one": {
      given: cluster().edit(asked({ node: "w2", serving: true })),
      repair: "CertificateSigningRequest/csr-w2",
      says: ["Node w2 asks for a serving certificate, and nobody approves it"],
    },
  },
  clears: {
    "all requests were approved and signed": cluster().edit(asked({ said: [approved], issued: true })),
    "it has just asked": cluster().edit(asked({ age: 5 })),
    "the kubelet asked again, and got it": cluster().edit(
      asked({ name: "csr-a", node: "w1", age: 4000 }, { name: "csr-b", node: "w1", said: [approved], issued: true }),
    ),
    "w2 has joined after its first request was left": cluster().edit(asked({}), (draft) =>
      draft.setList(
        "nodes",
        draft
          .list("nodes")
          .map((node) =>
            node.metadata.name === "w2" ? { ...node, metadata: { ...node.metadata, name: "w3" } } : node,
          ),
      ),
    ),
    "somebody asks another signer": cluster().edit(
      addObjects("certificatesigningrequests", {
        metadata: { name: "istio", creationTimestamp: ago(4000) },
        spec: { signerName: "example.org/mesh", username: "x" },
      }),
    ),
  },
  cannotTell: {
    "node.join": { "we may not list requests": cluster().without("certificatesigningrequests") },
  },
});

const rootsOf = (given: Cluster) => diagnose(given.capture).rootCauses.map(({ id }) => id);

describe("requests that wait", () => {
  it("follow from the binding for renewals that is gone", () => {
    expect(rootsOf(without("ClusterRoleBinding", RENEW).edit(asked({ node: "w1" })))).toEqual([
      `component-access-denied/ClusterRoleBinding/${RENEW}`,
    ]);
  });

  it("follow from the approving controller that is off, those of nodes that join and that renew", () => {
    const given = cluster().edit(commandOf("--controllers=*,-csrapproving"), asked({}, { node: "w1" }));
    expect(rootsOf(given)).toEqual(["controller-switched-off/Pod/kube-system/kube-controller-manager-cp1"]);
  });

  it("follow from the role of the controller that approves", () => {
    const given = without("ClusterRole", "system:controller:certificate-controller").edit(asked({ node: "w1" }));
    expect(rootsOf(given)).toEqual(["component-access-denied/ClusterRole/system:controller:certificate-controller"]);
  });

  it("stand above the node whose certificate ran out", () => {
    const [root, ...others] = diagnose(
      without("ClusterRoleBinding", RENEW).edit(
        editObjects("nodes", "w2", (node) => ({
          ...node,
          status: {
            ...node.status,
            conditions: [
              {
                type: "Ready",
                status: "Unknown",
                lastTransitionTime: ago(600),
                message: "Kubelet stopped posting node status.",
              },
            ],
          },
        })),
        (draft) =>
          draft.set(
            "kubeletLog",
            { node: "w2" },
            logOf(
              [
                "E1121 02:59:50.000000     812 bootstrap.go:266] part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired: 2026-11-20 00:00:00 +0000 UTC",
              ],
              NOW,
            ),
          ),
      ).capture,
    ).rootCauses;
    expect(root?.check).toBe("component-access-denied");
    expect(others).toEqual([]);
  });
});
