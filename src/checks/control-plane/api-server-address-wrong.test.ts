import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit, editConfig, editObjects, said } from "../../../testing/cluster-edits.ts";
import { CREATED } from "../../../testing/cluster-nodes.ts";
import { ago } from "../../../testing/object-states.ts";
import { apiServerAddressWrong } from "./api-server-address-wrong.ts";

const kubeconfig = (address: string): Edit =>
  editConfig(
    "kube-proxy",
    "kubeconfig.conf",
    () => `apiVersion: v1\nclusters:\n- cluster:\n    server: https://${address}:6443\n`,
  );
const complains = (address: string, at?: string): Edit =>
  said(
    "kube-proxy",
    [
      `"Failed to retrieve node info" err="Get \\"https://${address}:6443/api/v1/nodes/w1\\": dial tcp ${address}:6443: connect: no route to host"`,
    ],
    at,
    "w1",
  );
const told = (address: string, ...edits: readonly Edit[]) => cluster().edit(kubeconfig(address), ...edits);
/** Who wrote the kubeconfig, and when. */
const written = (at: string, key = "kubeconfig.conf"): Edit =>
  editObjects("configmaps", "kube-proxy", (map) => ({
    ...map,
    metadata: {
      ...map.metadata,
      managedFields: [
        { manager: "kubeadm", time: CREATED, fieldsV1: { "f:data": { "f:config.conf": {} } } },
        { manager: "kubectl-edit", time: at, fieldsV1: { "f:data": { [`f:${key}`]: {} } } },
      ],
    },
  }));
const withoutKubeadm: Edit = (draft) => {
  const maps = draft.list("configmaps").filter(({ metadata }) => metadata.name !== "kubeadm-config");
  draft.setList("configmaps", maps);
};
const kubeadm = (more = ""): Edit =>
  addObjects("configmaps", {
    metadata: { name: "kubeadm-config", namespace: "kube-system" },
    data: { ClusterConfiguration: `apiServer:\n  certSANs:\n  - 172.16.0.1${more}\nclusterName: kubernetes\n` },
  });
const endpoint = "172.16.0.1";

testCheck(apiServerAddressWrong, {
  finds: {
    "the ConfigMap of kube-proxy was restored from before the control plane moved": {
      given: told("172.16.99.20", complains("172.16.99.20")),
      repair: "ConfigMap/kube-system/kube-proxy",
      says: ["tells kube-proxy to look for the API server at 172.16.99.20, where it is not"],
      breaks: ["component.learn"],
      strength: "direct",
      healedBy: () => cluster(),
    },
    "latent: somebody wrote another address, and no kube-proxy has read it yet": {
      given: told("172.16.99.20", written(ago(60)), kubeadm()),
      repair: "ConfigMap/kube-system/kube-proxy",
      says: ["names 172.16.99.20 as the API server's address", "will reach nothing once it restarts"],
      breaks: ["component.restart"],
      strength: "differing",
      healedBy: () => cluster(),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a load balancer that the certificate names": told("172.16.99.20", written(ago(60)), kubeadm("\n  - 172.16.99.20")),
    "a load balancer of which nobody told: no kubeadm, and the certificate is not known": told(
      "172.16.99.20",
      written(ago(60)),
      withoutKubeadm,
    ),
    "all started after it was written, and nobody complains": told("172.16.99.20", written(ago(86_400)), kubeadm()),
    "another file of the ConfigMap was written lately": told(
      "172.16.99.20",
      written(ago(60), "config.conf"),
      kubeadm(),
    ),
    "nobody knows who wrote it": told("172.16.99.20", kubeadm()),
    "the API server was away for a moment, at the right address": told(endpoint, complains(endpoint)),
    "it is configured wrongly, says the log of a day ago, and was corrected": told(
      endpoint,
      complains("172.16.99.20", ago(86_400)),
    ),
  },
});
