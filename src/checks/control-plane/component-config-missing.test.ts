import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { ref } from "../../model/ref.ts";
import { componentConfigMissing } from "./component-config-missing.ts";

const KUBE_PROXY = ref("DaemonSet", "kube-proxy", "kube-system");
const without = (name: string, namespace: string) =>
  cluster().with({ do: "delete", target: ref("ConfigMap", name, namespace) });
const healthy = () => cluster();
const reading = (reference: object) =>
  cluster().with({
    do: "patch",
    target: KUBE_PROXY,
    patch: {
      spec: {
        template: {
          spec: { containers: [{ name: "kube-proxy", image: "registry.k8s.io/kube-proxy:v1.33.1", ...reference }] },
        },
      },
    },
  });

testCheck(componentConfigMissing, {
  finds: {
    "kube-proxy's ConfigMap was deleted, its Pods run on": {
      given: without("kube-proxy", "kube-system"),
      repair: "ConfigMap/kube-system/kube-proxy",
      says: ["The configuration of kube-proxy is gone", "DaemonSet/kube-system/kube-proxy wants it"],
      breaks: ["component.config"],
      strength: "direct",
      healedBy: healthy,
    },
    "so was CoreDNS's": {
      given: without("coredns", "kube-system"),
      repair: "ConfigMap/kube-system/coredns",
      says: ["The configuration of CoreDNS is gone"],
      breaks: ["component.config"],
      healedBy: healthy,
    },
    "the environment is from a ConfigMap that there is not": {
      given: reading({ env: [{ name: "MODE", valueFrom: { configMapKeyRef: { name: "modes", key: "mode" } } }] }),
      repair: "ConfigMap/kube-system/modes",
      says: ["The configuration of kube-proxy is gone"],
      breaks: ["component.config"],
      healedBy: healthy,
    },
    "so is all of the environment": {
      given: reading({ envFrom: [{ configMapRef: { name: "modes" } }] }),
      repair: "ConfigMap/kube-system/modes",
      says: ["The configuration of kube-proxy is gone"],
      breaks: ["component.config"],
      healedBy: healthy,
    },
  },
  clears: {
    "all is there": cluster(),
    "what is optional may be missing": reading({ envFrom: [{ configMapRef: { name: "modes", optional: true } }] }),
  },
  cannotTell: {
    "component.config": { "the ConfigMaps were not read": cluster().without("configmaps") },
  },
});
