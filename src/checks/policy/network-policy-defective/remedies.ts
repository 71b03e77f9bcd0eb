/** How a policy is put right. */
import type { PolicyView } from "../../../model/policies/views.ts";
import { kubectlName, type Ref, refId, sameRef } from "../../../model/ref.ts";
import type { CiliumPolicySpec, NetworkPolicy } from "../../../parse/objects.ts";
import { sh } from "../../../shell.ts";
import type { Facts } from "../../check.ts";
import { type Remedy, rolledOut } from "../../remedy.ts";
import { dnsServers } from "./dns.ts";
import type { Model } from "./policies.ts";
import { say } from "./words.ts";

const low = (id: string) => ({ id, risk: "low", interrupts: say.nothing() }) as const;

type Labelled = { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };

const peerFor = ({ namespace, labels }: Labelled) => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
  podSelector: { matchLabels: labels },
});

const prefixed = (labels: Labelled["labels"]) =>
  Object.fromEntries(Object.entries(labels).map(([key, value]) => [`k8s:${key}`, value]));

type Ingress = NetworkPolicy["spec"]["ingress"];

/** The rules of a policy with the one port that can be meant; undefined if several can. */
function withPort(ingress: Ingress, listening: readonly string[]): Ingress {
  const [only, ...others] = listening;
  const wrong = (ingress ?? []).flatMap(({ ports }) => ports ?? []);
  if (!only || others.length > 0 || wrong.length !== 1) return undefined;
  const [port, protocol] = only.split("/");
  return ingress!.map((rule) => (rule.ports?.length ? { ...rule, ports: [{ protocol, port: Number(port) }] } : rule));
}

/** Pods that no policy selects are let alone again. */
function leftToPolicies(config: Ref, { components }: Model): Remedy[] {
  const [agent] = components.byId("cilium");
  const edit = { run: `kubectl edit ${kubectlName(config)}` };
  const verify = { run: sh`kubectl get configmap -n ${config.namespace ?? ""} ${config.name} -o yaml` };
  const steps = [
    { why: say.enforceByDefault({ config: refId(config) }), change: edit, undo: edit, verify },
    ...(agent
      ? [
          {
            why: say.restartAgents(),
            change: { do: "restart", component: agent.ref } as const,
            verify: rolledOut(agent.ref),
          },
        ]
      : []),
  ];
  return [{ ...low("enforce-by-default"), steps, prevent: [say.prevent()] }];
}

/** What is to be decided by people, by the case that was found. */
const DECISIONS = {
  ports: say.choosePort,
  blocks: say.allowPods,
  peers: say.correctPeer,
  servers: say.allowClients,
  api: say.allowServer,
};

function corrected(repair: Ref, facts: Facts, spec: NetworkPolicy["spec"] | undefined): Remedy {
  const edit = { run: `kubectl edit ${kubectlName(repair)}` };
  const ingress = facts.case === "ports" ? withPort(spec?.ingress, facts.listening as readonly string[]) : undefined;
  const patched = (rules: unknown) => ({ do: "patch", target: repair, patch: { spec: { ingress: rules } } }) as const;
  const labels = sh`kubectl get pods -n ${repair.namespace ?? "default"} --show-labels; kubectl get namespaces --show-labels`;
  const step = ingress
    ? { why: say.correctPort(), change: patched(ingress), undo: patched(spec?.ingress) }
    : {
        why:
          facts.case === "callers"
            ? say.allowCallers({ service: String(facts.service) })
            : DECISIONS[facts.case as keyof typeof DECISIONS](),
        change: facts.case === "peers" ? { run: `${labels}; ${edit.run}` } : edit,
        undo: edit,
      };
  const verify = { run: `kubectl describe ${kubectlName(repair)}` };
  return { ...low("correct-policy"), steps: [{ ...step, verify }], prevent: [say.prevent()] };
}

/** A policy beside the one that forgot DNS: for the Pods that are isolated already, and no others. */
function allowingDns({ kind, namespace, name }: Ref, policy: PolicyView | undefined, { dns, ...model }: Model) {
  const [service] = dns.services;
  const numbers = [...new Set(dnsServers({ dns, ...model }).map(({ port }) => port))];
  const metadata = { name: `${name}-allow-dns`, ...(namespace !== undefined && { namespace }) };
  const servers = {
    namespace: service?.namespace ?? "kube-system",
    labels: service?.selector ?? { "k8s-app": "kube-dns" },
  };
  if (kind === "NetworkPolicy") {
    const { podSelector = {} } = (policy?.spec ?? {}) as Partial<NetworkPolicy["spec"]>;
    const ports = numbers.flatMap((port) => ["UDP", "TCP"].map((protocol) => ({ protocol, port })));
    const spec = { podSelector, policyTypes: ["Egress"], egress: [{ to: [peerFor(servers)], ports }] };
    return { apiVersion: "networking.k8s.io/v1", kind, metadata, spec };
  }
  const { endpointSelector = {} } = (policy?.spec ?? {}) as CiliumPolicySpec;
  const matchLabels = { ...prefixed(servers.labels), "k8s:io.kubernetes.pod.namespace": servers.namespace };
  const toPorts = [{ ports: numbers.map((port) => ({ port: String(port), protocol: "ANY" })) }];
  const spec = { endpointSelector, egress: [{ toEndpoints: [{ matchLabels }], toPorts }] };
  return { apiVersion: "cilium.io/v2", kind, metadata, spec };
}

export function remediesFor(repair: Ref, facts: Facts, model: Model): Remedy[] {
  if (repair.kind === "ConfigMap") return leftToPolicies(repair, model);
  const policy = model.policies.all.find((one) => sameRef(one.ref, repair));
  const isTheApis = repair.kind === "NetworkPolicy";
  if (facts.case !== "dns")
    return [corrected(repair, facts, isTheApis ? (policy?.spec as NetworkPolicy["spec"] | undefined) : undefined)];
  const object = allowingDns(repair, policy, model);
  const { namespace, name } = object.metadata;
  const [podNamespace = "", pod = ""] = String(facts.pod).split("/");
  const step = {
    why: say.allowDns(),
    change: { do: "apply", object },
    undo: { do: "delete", target: { kind: object.kind, ...(namespace && { namespace }), name } },
    verify: { run: sh`kubectl exec -n ${podNamespace} ${pod} -- getent hosts kubernetes.default.svc` },
  } as const;
  return [{ ...low("allow-dns"), steps: [step], prevent: [say.preventDns()] }];
}
