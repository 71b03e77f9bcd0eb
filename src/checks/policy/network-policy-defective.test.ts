import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { ciliumCluster } from "../../../testing/cilium-cluster.ts";
import { cluster } from "../../../testing/cluster.ts";
import {
  agent,
  editConfig,
  editObjects,
  editPods,
  edits,
  installed,
  networkPolicy,
  probed,
  said,
} from "../../../testing/cluster-edits.ts";
import { withContainers } from "../../../testing/object-states.ts";
import type { Change } from "../../model/changes/change.ts";
import { ref } from "../../model/ref.ts";
import type { Fault } from "../check.ts";
import { networkPolicyDefective } from "./network-policy-defective.ts";

const enforced = () => cluster({ enforcer: true });
const labels = (app: string) => ({ podSelector: { matchLabels: { app } } });
const inNamespace = (name: string) => ({ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } } });
const tcp = (...ports: readonly (number | string)[]) => ports.map((port) => ({ port, protocol: "TCP" }));
/** The Pods of an app may send only so, or be sent to only so. */
const egress = (app: string, ...rules: readonly object[]) =>
  networkPolicy(`${app}-egress`, { ...labels(app), policyTypes: ["Egress"], egress: rules });
const ingress = (app: string, ...rules: readonly object[]) =>
  networkPolicy(`${app}-ingress`, { ...labels(app), policyTypes: ["Ingress"], ingress: rules });
const toBackend = { to: [labels("backend")] };
const dns = (port = 53) => ({
  to: [inNamespace("kube-system")],
  ports: ["UDP", "TCP"].map((protocol) => ({ protocol, port })),
});
const forgetsDns = egress("frontend", toBackend);
const wrongPort = ingress("backend", { from: [labels("frontend")], ports: tcp(8081) });
const forNobody = ingress("backend", { from: [{ ...labels("frontend"), ...inNamespace("shopp") }] });
const ofCoreDns = (...rules: readonly object[]): Change => ({
  do: "apply",
  object: {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "lockdown", namespace: "kube-system" },
    spec: { podSelector: { matchLabels: { "k8s-app": "kube-dns" } }, policyTypes: ["Egress"], egress: rules },
  },
});
const noIngress = networkPolicy("default-deny", { podSelector: {}, policyTypes: ["Ingress"] });
/** CoreDNS listens on another port than its Service, as OpenShift's does. */
const dnsOn5353 = edits(
  editObjects("services", "kube-dns", ({ spec, ...one }) => ({
    ...one,
    spec: { ...spec, ports: (spec.ports ?? []).map((port) => ({ ...port, targetPort: port.name! })) },
  })),
  editPods(
    "coredns",
    withContainers((one) => ({ ...one, ports: (one.ports ?? []).map((port) => ({ ...port, containerPort: 5353 })) })),
  ),
);
const cache = installed("DaemonSet", agent("node-local-dns", "registry.k8s.io/dns/k8s-dns-node-cache:1.26"));
const called = probed("client", "tcp", "10.96.10.1:8080", "timeout");
const complaint = said("frontend", ["curl: (6) Could not resolve host: backend"]);
const asleep = { do: "scale", target: ref("Deployment", "frontend", "shop"), replicas: 0 } as const;

const cilium = ciliumCluster;
const ciliumPolicy = (kind: string, name: string, spec: object): Change => ({
  do: "apply",
  object: {
    apiVersion: "cilium.io/v2",
    kind,
    metadata: { name, ...(kind === "CiliumNetworkPolicy" && { namespace: "shop" }) },
    spec,
  },
});
const endpoints = (app: string) => ({ endpointSelector: { matchLabels: { app } } });
const byNames = ciliumPolicy("CiliumNetworkPolicy", "frontend-egress", {
  ...endpoints("frontend"),
  egress: [{ toFQDNs: [{ matchName: "api.example.org" }] }],
});
const BACKEND = { repair: "NetworkPolicy/shop/backend-ingress", healedBy: enforced };

testCheck(networkPolicyDefective, {
  finds: {
    "egress of the frontend is limited to the backend, and DNS is forgotten": {
      given: enforced().with(
        networkPolicy("deny-all-egress", { ...labels("frontend"), policyTypes: ["Egress"] }),
        forgetsDns,
      ),
      repair: "NetworkPolicy/shop/frontend-egress",
      says: [
        "Deployment/shop/frontend may not ask cluster DNS: NetworkPolicy shop/deny-all-egress, NetworkPolicy shop/frontend-egress let it",
      ],
      breaks: ["policy.allow"],
      strength: "direct",
    },
    "DNS is allowed by TCP alone": {
      given: enforced().with(
        networkPolicy("egress", {
          podSelector: {},
          policyTypes: ["Egress"],
          egress: [{ to: [{ podSelector: {} }] }, { ports: [{ port: 53, protocol: "TCP" }] }],
        }),
      ),
      repair: "NetworkPolicy/shop/egress",
      says: ["may not ask cluster DNS: NetworkPolicy shop/egress lets it send only elsewhere"],
    },
    "kube-system was isolated, and CoreDNS is in it": {
      given: enforced().with({
        do: "apply",
        object: {
          apiVersion: "networking.k8s.io/v1",
          kind: "NetworkPolicy",
          metadata: { name: "only-system", namespace: "kube-system" },
          spec: { podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] },
        },
      }),
      repair: "NetworkPolicy/kube-system/only-system",
      says: ["kube-system/only-system keeps", "from asking cluster DNS"],
      breaks: ["policy.allow"],
      strength: "direct",
      healedBy: enforced,
    },
    "somebody allows the range of the Services": {
      given: enforced().with(
        networkPolicy("egress", {
          podSelector: { matchLabels: { app: "frontend" } },
          policyTypes: ["Egress"],
          egress: [{ ports: [{ port: 53, protocol: "UDP" }] }, { to: [{ ipBlock: { cidr: "10.96.0.0/16" } }] }],
        }),
      ),
      repair: "NetworkPolicy/shop/egress",
      says: ["lets Deployment/shop/frontend send to addresses of Services (10.96.0.0/16)"],
      healedBy: enforced,
    },
    "a whole namespace may talk within itself only": {
      given: enforced().with(
        networkPolicy("within", { podSelector: {}, policyTypes: ["Egress"], egress: [{ to: [{ podSelector: {} }] }] }),
      ),
      repair: "NetworkPolicy/shop/within",
      says: ["Deployment/shop/backend and others (5 Pods) may not ask cluster DNS"],
    },
    "port 53 is allowed, and CoreDNS listens on 5353": {
      given: enforced()
        .edit(dnsOn5353)
        .with(egress("frontend", toBackend, dns(53))),
      repair: "NetworkPolicy/shop/frontend-egress",
      says: ["may not ask cluster DNS"],
    },
    "Pods that may send nothing complain that they cannot resolve": {
      given: enforced().with(egress("frontend")).edit(complaint),
      repair: "NetworkPolicy/shop/frontend-egress",
      says: ["may not ask cluster DNS"],
    },
    "a policy allows the Service's old port": {
      given: enforced().with(wrongPort),
      says: ["shop/backend-ingress lets 8081/TCP in to Deployment/shop/backend, which listen on 8080/TCP"],
      ...BACKEND,
    },
    "it allows a port by a name that no container has": {
      given: enforced().with(ingress("backend", { ports: tcp("web") })),
      says: ["lets web/TCP in"],
      ...BACKEND,
    },
    "the namespace of the callers is mistyped": {
      given: enforced().with(forNobody),
      says: ["shop/backend-ingress cuts off Deployment/shop/backend: it allows only peers that do not exist"],
      ...BACKEND,
    },
    "a default policy denies all, and what allows was forgotten for a Service that is called": {
      given: enforced().with(noIngress).edit(called),
      repair: "NetworkPolicy/shop/default-deny",
      says: ["NetworkPolicy shop/default-deny denies every caller of Service shop/backend"],
      healedBy: enforced,
    },
    "a policy of Cilium's leads to names, and forgets DNS": {
      given: cilium().with(byNames),
      repair: "CiliumNetworkPolicy/shop/frontend-egress",
      says: ["Deployment/shop/frontend may not ask cluster DNS: CiliumNetworkPolicy shop/frontend-egress lets it"],
      breaks: ["policy.allow"],
    },
    "one of Cilium's for the whole cluster leads to the world, and Pods complain": {
      given: cilium()
        .with(
          ciliumPolicy("CiliumClusterwideNetworkPolicy", "world", {
            ...endpoints("frontend"),
            egress: [{ toEntities: ["world"] }],
          }),
        )
        .edit(complaint),
      repair: "CiliumClusterwideNetworkPolicy/world",
      says: ["may not ask cluster DNS: CiliumClusterwideNetworkPolicy world lets it"],
    },
    "one of Cilium's lets in a label that no Pod has": {
      given: cilium().with(
        ciliumPolicy("CiliumNetworkPolicy", "backend-ingress", {
          ...endpoints("backend"),
          ingress: [{ fromEndpoints: [{ matchLabels: { app: "frontnd" } }] }],
        }),
      ),
      repair: "CiliumNetworkPolicy/shop/backend-ingress",
      says: ["CiliumNetworkPolicy shop/backend-ingress cuts off Deployment/shop/backend"],
      healedBy: cilium,
    },
    "one of Cilium's allows the port of the Service": {
      given: cilium().with(
        ciliumPolicy("CiliumNetworkPolicy", "backend-ingress", {
          ...endpoints("backend"),
          ingress: [{ fromEndpoints: [{}], toPorts: [{ ports: [{ port: "80", protocol: "TCP" }] }] }],
        }),
      ),
      repair: "CiliumNetworkPolicy/shop/backend-ingress",
      says: ["lets 80/TCP in to Deployment/shop/backend, which listen on 8080/TCP"],
      healedBy: cilium,
    },
    "Cilium is told to deny what no policy allows, and there is none": {
      given: cilium()
        .edit(editConfig("cilium-config", "enable-policy", () => "always"))
        .edit(complaint),
      repair: "ConfigMap/kube-system/cilium-config",
      says: ["may not ask cluster DNS: ConfigMap kube-system/cilium-config lets it send only elsewhere"],
      breaks: ["policy.allow"],
      healedBy: cilium,
    },
    "CoreDNS may send nothing": {
      given: enforced().with(ofCoreDns()),
      repair: "NetworkPolicy/kube-system/lockdown",
      says: ["NetworkPolicy kube-system/lockdown keeps CoreDNS from the API server ("],
      breaks: ["policy.allow"],
      healedBy: enforced,
    },
    "CoreDNS may send to its upstream servers only": {
      given: enforced().with(ofCoreDns({ ports: [{ protocol: "UDP", port: 53 }] })),
      repair: "NetworkPolicy/kube-system/lockdown",
      healedBy: enforced,
    },
    "nobody may ask CoreDNS": {
      given: cilium().with(
        ciliumPolicy("CiliumClusterwideNetworkPolicy", "guard", {
          endpointSelector: { matchLabels: { "k8s-app": "kube-dns" } },
          ingress: [{ fromEndpoints: [{ matchLabels: { "k8s:io.kubernetes.pod.namespace": "kube-system" } }] }],
        }),
      ),
      repair: "CiliumClusterwideNetworkPolicy/guard",
      says: ["CiliumClusterwideNetworkPolicy guard keeps", "Pods from asking cluster DNS"],
      breaks: ["policy.allow"],
      healedBy: cilium,
    },
  },
  clears: {
    "CoreDNS may send to the API server": enforced().with(ofCoreDns({ ports: tcp(6443) })),
    "the Services' range beside the Pods themselves": enforced().with(
      networkPolicy("egress", {
        podSelector: { matchLabels: { app: "frontend" } },
        policyTypes: ["Egress"],
        egress: [
          { ports: [{ port: 53, protocol: "UDP" }] },
          { to: [{ ipBlock: { cidr: "10.96.0.0/16" } }, { podSelector: {} }] },
        ],
      }),
    ),
    "a healthy cluster that enforces policies": enforced(),
    "policies as they should be": enforced().with(
      noIngress,
      egress("frontend", toBackend, dns()),
      ingress("backend", { from: [labels("frontend"), inNamespace("tools")], ports: tcp("http") }),
    ),
    "policies of Cilium's as they should be": cilium().with(
      byNames,
      ciliumPolicy("CiliumNetworkPolicy", "dns", {
        endpointSelector: {},
        egress: [
          {
            toEndpoints: [{ matchLabels: { "k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns" } }],
            toPorts: [{ ports: [{ port: "53", protocol: "ANY" }], rules: { dns: [{ matchPattern: "*" }] } }],
          },
        ],
      }),
      ciliumPolicy("CiliumClusterwideNetworkPolicy", "guard", {
        endpointSelector: { matchLabels: { "k8s-app": "kube-dns" } },
        ingress: [{ fromEntities: ["cluster"] }],
      }),
    ),
    "flannel alone, which enforces nothing": cluster().with(forgetsDns, wrongPort, forNobody),
    "DNS is allowed by a policy of its own": enforced().with(
      forgetsDns,
      networkPolicy("dns", { podSelector: {}, policyTypes: ["Egress"], egress: [dns()] }),
    ),
    "every node has a DNS cache, to which policies always let its Pods": enforced().with(cache, forgetsDns),
    "Pods are locked in on purpose": enforced().with(egress("frontend")),
    "Pods are locked in but for a network of the company, where they use addresses": enforced().with(
      egress("frontend", { to: [{ ipBlock: { cidr: "10.1.0.0/16" } }] }),
    ),
    "one policy lets in callers, another a monitoring that is not set up": enforced().with(
      ingress("backend", { from: [labels("frontend")], ports: tcp(8080) }),
      networkPolicy("metrics", { ...labels("backend"), ingress: [{ ports: tcp(9090) }] }),
    ),
    "the callers are switched off for the night": enforced().with(
      ingress("backend", { from: [labels("frontend")] }),
      asleep,
    ),
    "a Service is shut, and nobody calls it": enforced().with(noIngress),
  },
  cannotTell: {
    "policy.allow": {
      "we may not read NetworkPolicies": enforced().without("networkpolicies"),
      "we may not read Namespaces, by whose labels a policy selects": enforced().with(forNobody).without("namespaces"),
      "we may not read Pods": enforced().with(forgetsDns).without("pods"),
      "a port is not declared, and nobody looked whether it is open": enforced().with(wrongPort).without("podSockets"),
      "a managed cluster, which enforces policies or not": cluster({ flavour: "managed" }).with(forgetsDns),
    },
  },
});

it("mends DNS for the Pods that are isolated already, and isolates no others", () => {
  const model = enforced().with(forgetsDns).model();
  const [found] = networkPolicyDefective.find(model);
  const [remedy] = networkPolicyDefective.remedies({ ...found, check: networkPolicyDefective.id } as Fault, model);
  const { policies, pods } = model.with(remedy!.steps.map(({ change }) => change as Change));
  const isolated = pods.all.filter((pod) => policies.isolating(pod, "egress").length > 0);
  expect([...new Set(isolated.map(({ labels: { app } }) => app))]).toEqual(["frontend"]);
});
