import { describe, expect, it } from "vitest";
import { cluster } from "../../../testing/cluster.ts";
import { agent, edits, installed } from "../../../testing/cluster-edits.ts";
import type { CiliumPolicySpec } from "../../parse/objects.ts";
import type { ClusterModel } from "../model.ts";
import type { PolicyEnd } from "../policies/views.ts";

const bare = cluster().with(installed("DaemonSet", agent("cilium", "quay.io/cilium/cilium:v1.15.19")));

type Written = { readonly spec: CiliumPolicySpec; readonly clusterwide?: true };

function withPolicies(...policies: readonly Written[]): ClusterModel {
  const listed = (clusterwide: boolean) =>
    policies
      .filter((one) => (one.clusterwide ?? false) === clusterwide)
      .map(({ spec }, index) => ({
        metadata: { name: `p${index}`, ...(!clusterwide && { namespace: "shop" }) },
        spec,
      }));
  return bare
    .edit(
      edits(
        (draft) => draft.setList("ciliumnetworkpolicies", listed(false)),
        (draft) => draft.setList("ciliumclusterwidenetworkpolicies", listed(true)),
      ),
    )
    .model();
}

const app = (name: string) => ({ matchLabels: { app: name } });
const BACKEND = { endpointSelector: app("backend") };
const port = (number: string, protocol?: string) => ({ ports: [{ port: number, ...(protocol && { protocol }) }] });

/** From an app, a node (`node:w1`) or an address to an app or address. */
function verdict(model: ClusterModel, from: string, to: string, number = 8080, protocol = "TCP"): string {
  const end = (name: string): PolicyEnd => {
    const node = name.startsWith("node:") ? model.nodes.get(name.slice(5)) : undefined;
    if (node) return { address: node.addresses[0]!, node: node.name };
    const pod = model.pods.all.find(({ labels }) => (labels.app ?? labels["k8s-app"]) === name);
    return pod ? { pod } : { address: name };
  };
  return model.policies.verdict(end(from), end(to), { protocol, port: number }).state;
}

const isolated = (spec: CiliumPolicySpec) => withPolicies({ spec: { ...BACKEND, ...spec } });

describe("whom a rule lets in", () => {
  it.each<[string, CiliumPolicySpec, string, string]>([
    ["by label, of its own namespace", { ingress: [{ fromEndpoints: [app("frontend")] }] }, "frontend", "allowed"],
    ["and none of another", { ingress: [{ fromEndpoints: [app("client")] }] }, "client", "denied"],
    [
      "by source and label",
      { ingress: [{ fromEndpoints: [{ matchLabels: { "k8s:app": "frontend" } }] }] },
      "frontend",
      "allowed",
    ],
    [
      "by the label of a namespace",
      {
        ingress: [{ fromEndpoints: [{ matchLabels: { app: "client", "k8s:io.kubernetes.pod.namespace": "tools" } }] }],
      },
      "client",
      "allowed",
    ],
    [
      "by another namespace than it names",
      {
        ingress: [
          {
            fromEndpoints: [
              { matchExpressions: [{ key: "io.kubernetes.pod.namespace", operator: "NotIn", values: ["tools"] }] },
            ],
          },
        ],
      },
      "client",
      "denied",
    ],
    [
      "by a label that makes no identity",
      { ingress: [{ fromEndpoints: [{ matchExpressions: [{ key: "pod-template-hash", operator: "Exists" }] }] }] },
      "frontend",
      "denied",
    ],
    ["anybody of the namespace", { ingress: [{ fromEndpoints: [{}] }] }, "frontend", "allowed"],
    ["nobody, by an empty rule", { ingress: [{}] }, "frontend", "denied"],
    ["nobody, by an empty list", { ingress: [{ fromEndpoints: [] }] }, "frontend", "denied"],
    ["anybody, by a port alone", { ingress: [{ toPorts: [port("8080")] }] }, "client", "allowed"],
    ["the cluster", { ingress: [{ fromEntities: ["cluster"] }] }, "client", "allowed"],
    ["the world is no Pod", { ingress: [{ fromEntities: ["world"] }] }, "client", "denied"],
    ["the world", { ingress: [{ fromEntities: ["world"] }] }, "203.0.113.9", "allowed"],
    [
      "a range",
      { ingress: [{ fromCIDRSet: [{ cidr: "203.0.113.0/24", except: ["203.0.113.8/29"] }] }] },
      "203.0.113.9",
      "denied",
    ],
    ["a range is never of Pods", { ingress: [{ fromCIDR: ["0.0.0.0/0"] }] }, "client", "denied"],
    ["its own node, always", { ingress: [{}] }, "node:own", "allowed"],
    ["other nodes", { ingress: [{ fromEntities: ["remote-node"] }] }, "node:other", "allowed"],
    ["no other node", { ingress: [{ fromEntities: ["host"] }] }, "node:other", "denied"],
    ["whoever serves the API", { ingress: [{ fromEntities: ["kube-apiserver"] }] }, "node:other", "unknown"],
  ])("%s", (_, spec, from, expected) => {
    const model = isolated(spec);
    const own = model.pods.all.find(({ labels }) => labels.app === "backend")!.node!;
    const other = model.nodes.all.find(({ name }) => name !== own)!.name;
    expect(
      verdict(model, from.replace("node:own", `node:${own}`).replace("node:other", `node:${other}`), "backend"),
    ).toBe(expected);
  });
});

describe("ports", () => {
  it.each<[string, string | undefined, number, string, string]>([
    ["8080", "TCP", 8080, "TCP", "allowed"],
    ["8080", "TCP", 8080, "UDP", "denied"],
    ["8080", "ANY", 8080, "UDP", "allowed"],
    ["8080", undefined, 8080, "UDP", "allowed"],
    ["0", "TCP", 9, "TCP", "allowed"],
    ["http", "TCP", 8080, "TCP", "allowed"],
    ["http", "TCP", 8081, "TCP", "denied"],
  ])("%s of %s", (written, of, number, protocol, expected) =>
    expect(
      verdict(isolated({ ingress: [{ toPorts: [port(written, of)] }] }), "frontend", "backend", number, protocol),
    ).toBe(expected),
  );
});

describe("what is denied", () => {
  const all = { ingress: [{ fromEntities: ["all"] }] };
  it("outranks what is allowed", () => {
    const model = isolated({ ...all, ingressDeny: [{ fromEndpoints: [app("frontend")] }] });
    expect(verdict(model, "frontend", "backend")).toBe("denied");
    expect(verdict(model, "client", "backend")).toBe("allowed");
  });

  it("isolates as well, unless it says that it does not", () => {
    const deny = { ingressDeny: [{ fromEndpoints: [app("frontend")] }] };
    expect(verdict(isolated(deny), "client", "backend")).toBe("denied");
    const open = isolated({ ...deny, enableDefaultDeny: { ingress: false } });
    expect(verdict(open, "client", "backend")).toBe("allowed");
    expect(verdict(open, "frontend", "backend")).toBe("denied");
  });
});

describe("a policy of the whole cluster", () => {
  const everywhere = (spec: CiliumPolicySpec) => withPolicies({ spec, clusterwide: true });

  it("selects and means Pods of all namespaces", () => {
    const model = everywhere({ endpointSelector: app("backend"), ingress: [{ fromEndpoints: [app("client")] }] });
    expect(verdict(model, "client", "backend")).toBe("allowed");
    expect(verdict(model, "frontend", "backend")).toBe("denied");
  });

  it("is none of Pods where it is about nodes", () =>
    expect(verdict(everywhere({ nodeSelector: {}, ingress: [{}] }), "client", "backend")).toBe("allowed"));

  it("adds up with those of a namespace", () => {
    const model = withPolicies(
      { spec: { endpointSelector: {}, ingress: [{}] }, clusterwide: true },
      { spec: { ...BACKEND, ingress: [{ fromEndpoints: [app("frontend")] }] } },
    );
    expect(verdict(model, "frontend", "backend")).toBe("allowed");
    expect(verdict(model, "client", "backend")).toBe("denied");
  });
});

describe("where it leads", () => {
  const egress = (...rules: NonNullable<CiliumPolicySpec["egress"]>) => isolated({ egress: rules });

  it("by names it is not known which addresses are meant, and Pods are not", () => {
    const model = egress({ toFQDNs: [{ matchName: "api.example.org" }] });
    expect(verdict(model, "backend", "203.0.113.80", 443)).toBe("unknown");
    expect(verdict(model, "backend", "kube-dns", 53, "UDP")).toBe("denied");
  });

  it("which names a proxy lets through is not known", () => {
    const dns = (rules: object[]) =>
      egress({ toEntities: ["cluster"], toPorts: [{ ...port("53"), rules: { dns: rules } }] });
    expect(verdict(dns([{ matchPattern: "*" }]), "backend", "kube-dns", 53, "UDP")).toBe("allowed");
    expect(verdict(dns([{ matchName: "example.org" }]), "backend", "kube-dns", 53, "UDP")).toBe("unknown");
  });

  it("ICMP alone is of no port", () => {
    const model = egress({ toEntities: ["all"], icmps: [{ fields: [{ type: 8 }] }] });
    expect(verdict(model, "backend", "frontend")).toBe("denied");
  });
});

it("enforces nothing if Cilium is told so", () => {
  const model = bare.edit((draft) =>
    draft.setList("configmaps", [
      ...draft.list("configmaps"),
      { metadata: { name: "cilium-config", namespace: "kube-system" }, data: { "enable-policy": "never" } },
    ]),
  );
  expect(model.model().policies.enforcement).toBe("nothing");
  expect(bare.model().policies.enforcement).toBe("enforced");
});

it("is unread where its list was not had", () => {
  const model = withPolicies({ spec: { ...BACKEND, ingress: [{}] } });
  expect(model.policies.whole).toBe(true);
  expect(bare.without("ciliumnetworkpolicies").model().policies.whole).toBe(false);
});
