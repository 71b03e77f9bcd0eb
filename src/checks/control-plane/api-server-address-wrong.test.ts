import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { type Edit, editConfig, said } from "../../../testing/cluster-edits.ts";
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
  },
  clears: {
    "a healthy cluster": cluster(),
    "the API server was away for a moment, at the right address": told(endpoint, complains(endpoint)),
    "it is configured wrongly, says the log of a day ago, and was corrected": told(
      endpoint,
      complains("172.16.99.20", ago(86_400)),
    ),
  },
});
