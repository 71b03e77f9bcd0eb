/**
 * The NGINX ingress controller, and the Job that makes the certificate of its webhook.
 *
 * Source: kubernetes/ingress-nginx deploy/static/provider/cloud/deploy.yaml of controller-v1.15.1.
 */
import { type Baseline, bound, clusterRole, may, role, without } from "../baseline.ts";
import { consequences, LOSS } from "../consequences.ts";

const OWN = consequences("permission/ingress-nginx", {
  freezes: {
    en: "Ingresses are served as they were learned last, and a restart does not become ready",
    zh: "Ingress 仍按最后一次获知的状态服务，重启后无法就绪",
    breaks: ["start"],
  },
  addressUnwritten: {
    en: "Ingresses show no address; they are served all the same",
    zh: "Ingress 不显示地址，转发不受影响",
  },
  webhookWithoutCertificate: {
    en: "the next installation or upgrade cannot give its webhook a certificate, and Ingresses are refused",
    zh: "下次安装或升级时无法为 webhook 签发证书，Ingress 会被拒绝",
  },
});

export const INGRESS_NGINX: Baseline = {
  id: "ingress-nginx",
  releasesOf: "image",
  variants: [{ id: "any" }],
  grants: [
    clusterRole("ingress-nginx", {
      rules: [
        may("list watch", "configmaps endpoints namespaces nodes pods secrets"),
        may("list watch", "leases", { in: "coordination.k8s.io" }),
        may("get", "nodes"),
        may("get list watch", "services"),
        may("get list watch", "ingresses", { in: "networking.k8s.io" }),
        may("create patch", "events"),
        may("update", "ingresses/status", { in: "networking.k8s.io" }),
        may("get list watch", "ingressclasses", { in: "networking.k8s.io" }),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io" }),
      ],
      to: [bound("ingress-nginx", "ingress-nginx/ingress-nginx")],
    }),
    clusterRole("ingress-nginx-admission", {
      rules: [may("get update", "validatingwebhookconfigurations", { in: "admissionregistration.k8s.io" })],
      to: [bound("ingress-nginx-admission", "ingress-nginx/ingress-nginx-admission")],
    }),
    role("ingress-nginx", "ingress-nginx", {
      rules: [
        may("get", "namespaces"),
        may("get list watch", "configmaps endpoints pods secrets"),
        may("get list watch", "services"),
        may("get list watch", "ingresses", { in: "networking.k8s.io" }),
        may("update", "ingresses/status", { in: "networking.k8s.io" }),
        may("get list watch", "ingressclasses", { in: "networking.k8s.io" }),
        may("get update", "leases", { in: "coordination.k8s.io", named: "ingress-nginx-leader" }),
        may("create", "leases", { in: "coordination.k8s.io" }),
        may("create patch", "events"),
        may("get list watch", "endpointslices", { in: "discovery.k8s.io" }),
      ],
      to: [bound("ingress-nginx", "ingress-nginx/ingress-nginx", { in: "ingress-nginx" })],
    }),
    role("ingress-nginx", "ingress-nginx-admission", {
      rules: [may("get create", "secrets")],
      to: [bound("ingress-nginx-admission", "ingress-nginx/ingress-nginx-admission", { in: "ingress-nginx" })],
    }),
  ],
  losses: [
    without("*", "*", OWN.webhookWithoutCertificate, { of: "ingress-nginx-admission" }),
    without("*", "events", LOSS.eventsLost),
    without("*", "ingresses/status", OWN.addressUnwritten),
    without("*", "leases", LOSS.stateUnwritten),
    without(
      "*",
      "ingresses ingressclasses services endpointslices configmaps secrets pods namespaces nodes",
      OWN.freezes,
    ),
    without("*", "*", LOSS.otherReleases),
  ],
};
