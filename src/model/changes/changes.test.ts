/** Changes: the model with them sees what the cluster would become, and the original sees nothing of it. */
import { describe, expect, it } from "vitest";
import { cluster } from "../../../testing/cluster.ts";
import { addRules } from "../../../testing/cluster-edits.ts";
import { known } from "../../evidence/observed.ts";
import { printIptablesSave } from "../../parse/iptables/print.ts";
import { type ClusterModel, MODEL_PARTS, modelOf } from "../model.ts";
import { ref } from "../ref.ts";
import type { Change } from "./change.ts";

const CLUSTER = cluster();
const BACKEND = ref("Deployment", "backend", "shop");
const KUBE_PROXY = ref("DaemonSet", "kube-proxy", "kube-system");
const service = (name: string, spec: object, more: object = {}): Change => ({
  do: "apply",
  object: {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "shop", ...more },
    spec: { type: "ClusterIP", ...spec },
  },
});

const podNames = ({ pods }: ClusterModel, app: string) =>
  pods.withLabels("shop", { app }).map(({ name, node }) => `${name}@${node}`);
const endpointsOf = ({ services }: ClusterModel, name: string) =>
  services.get("shop", name)!.ports.flatMap((port) => services.endpoints(port).map(({ address }) => address));
const podAddresses = ({ pods }: ClusterModel, app: string) =>
  pods.withLabels("shop", { app }).flatMap(({ addresses }) => addresses);
const rulesOf = ({ forwarding }: ClusterModel, node: string) => printIptablesSave(known(forwarding.of(node).iptables)!);
const deliveredTo = (model: ClusterModel, name: string, node: string) =>
  [
    ...(model.proxy.programmed(model.services.get("shop", name)!.ports[0]!, node, 4)?.[0]?.delivered.keys() ?? []),
  ].sort();

/** All that a model's evidence says, of what changes can touch. */
function everything(model: ClusterModel): string {
  const lists = (["pods", "services", "endpointslices", "configmaps", "deployments", "clusterroles"] as const).map(
    (list) => model.objects.all(list),
  );
  return JSON.stringify([
    lists,
    model.nodes.all.map(({ name }) => [rulesOf(model, name), known(model.forwarding.of(name).routes)]),
  ]);
}

describe("a change to one object", () => {
  const configOf = (model: ClusterModel) => model.objects.find("configmaps", "coredns", "kube-system");

  it("makes it, changes it, and deletes it", () => {
    const made = CLUSTER.model().with([service("new", { clusterIP: "10.96.30.1", ports: [{ port: 80 }] })]);
    expect(made.services.get("shop", "new")?.clusterIps).toEqual(["10.96.30.1"]);
    const applied = made.with([service("new", { clusterIP: "10.96.30.2", ports: [{ port: 81 }] })]);
    expect(applied.services.get("shop", "new")).toMatchObject({ clusterIps: ["10.96.30.2"], ports: [{ port: 81 }] });
    // what is applied is the whole object
    const bare = made.with([service("new", { ports: [{ port: 80 }] })]);
    expect(bare.services.get("shop", "new")?.clusterIps).toEqual([]);
    expect(applied.objects.all("services").filter(({ metadata }) => metadata.name === "new")).toHaveLength(1);
    expect(
      applied.with([{ do: "delete", target: ref("Service", "new", "shop") }]).services.get("shop", "new"),
    ).toBeUndefined();
  });

  it("merges a patch as RFC 7386 says: null removes, arrays are replaced, other fields stay", () => {
    const patch = { spec: { selector: { app: null, tier: "x" }, ports: [{ port: 9 }], sessionAffinity: "ClientIP" } };
    const patched = CLUSTER.model().with([{ do: "patch", target: ref("Service", "backend", "shop"), patch }]);
    expect(patched.services.get("shop", "backend")).toMatchObject({
      selector: { tier: "x" },
      ports: [{ port: 9 }],
      object: { spec: { sessionAffinity: "ClientIP", clusterIP: "10.96.10.1" } },
    });
    expect(patched.services.get("shop", "backend")?.ports).toHaveLength(1);
  });

  it.each<[string, Change]>([
    ["a patch of what is not there", { do: "patch", target: ref("Service", "none", "shop"), patch: { spec: {} } }],
    [
      "a patch of the same name elsewhere",
      { do: "patch", target: ref("Service", "backend", "data"), patch: { spec: { type: "NodePort" } } },
    ],
    ["a kind that is not read", { do: "delete", target: ref("Secret", "backend", "shop") }],
    ["a deletion of what is not there", { do: "delete", target: ref("ConfigMap", "coredns", "shop") }],
    [
      "a patch that no object fits",
      { do: "patch", target: ref("Service", "backend", "shop"), patch: { spec: { ports: "all" } } },
    ],
    ["the restart of nothing", { do: "restart", component: ref("DaemonSet", "none", "shop") }],
  ])("leaves all as it was: %s", (_, change) => {
    expect(everything(CLUSTER.model().with([change]))).toBe(everything(CLUSTER.model()));
  });

  it("sets a kernel parameter of one node", () => {
    const model = CLUSTER.model().with([{ do: "sysctl", node: "w1", key: "net.ipv4.ip_forward", value: "0" }]);
    const valueOn = (node: string) => known(model.forwarding.of(node).sysctl("net.ipv4.ip_forward"))?.value;
    expect(["w1", "w2"].map(valueOn)).toEqual(["0", "1"]);
  });

  it("says where an object stands after another was deleted before it", () => {
    const model = CLUSTER.model().with([{ do: "delete", target: ref("ConfigMap", "kube-proxy", "kube-system") }]);
    const found = configOf(model);
    expect(found.state).toBe("present");
    expect(model.objects.find("configmaps", "kube-proxy", "kube-system").state).toBe("absent");
  });
});

describe("a change is carried through", () => {
  it("from a ClusterRole to those that collect its rules, and to no others", () => {
    const part = (name: string, verbs: string[]): Change => ({
      do: "apply",
      object: {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name, labels: { part: "yes" } },
        rules: [{ apiGroups: [""], resources: ["pods"], verbs }],
      },
    });
    const whole: Change = {
      do: "apply",
      object: {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "whole", labels: { wider: "yes" } },
        aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: "yes" } }] },
        rules: [],
      },
    };
    const wider: Change = {
      do: "apply",
      object: {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "wider" },
        aggregationRule: { clusterRoleSelectors: [{ matchLabels: { wider: "yes" } }] },
        rules: [],
      },
    };
    const verbsOf = (name: string, ...changes: Change[]) => {
      const found = CLUSTER.with(...changes)
        .model()
        .objects.find("clusterroles", name);
      return found.state === "present" ? found.value.rules?.flatMap(({ verbs }) => verbs) : found.state;
    };
    const made = [whole, wider, part("a", ["get"]), part("b", ["list"])];
    expect(verbsOf("whole", ...made)).toEqual(["get", "list"]);
    expect(verbsOf("wider", ...made)).toEqual(["get", "list"]);
    const gone: Change = { do: "delete", target: ref("ClusterRole", "a") };
    expect(verbsOf("whole", ...made, gone)).toEqual(["list"]);
    expect(verbsOf("wider", ...made, gone)).toEqual(["list"]);
    expect(verbsOf("flannel", ...made, gone)).toEqual(verbsOf("flannel"));
  });

  it("from a Deployment to Pods, EndpointSlices and the rules of every node", () => {
    const model = CLUSTER.model().with([{ do: "scale", target: BACKEND, replicas: 5 }]);
    expect(podNames(model, "backend")).toHaveLength(5);
    expect(endpointsOf(model, "backend").sort()).toEqual(podAddresses(model, "backend").sort());
    for (const { name } of model.nodes.all)
      expect(deliveredTo(model, "backend", name)).toEqual(
        podAddresses(model, "backend")
          .map((ip) => `${ip}:8080`)
          .sort(),
      );
  });

  it("and back: Pods that stay are the same", () => {
    const before = podNames(CLUSTER.model(), "backend");
    const fewer = CLUSTER.model().with([{ do: "scale", target: BACKEND, replicas: 1 }]);
    expect(podNames(fewer, "backend")).toHaveLength(1);
    expect(before).toContain(podNames(fewer, "backend")[0]);
    const again = fewer.with([{ do: "scale", target: BACKEND, replicas: 3 }]);
    expect(podNames(again, "backend")).toHaveLength(3);
    expect(podAddresses(again, "backend").sort()).toEqual(podAddresses(CLUSTER.model(), "backend").sort());
  });

  it("gives no address to two Pods", () => {
    const model = CLUSTER.model().with([
      { do: "scale", target: BACKEND, replicas: 40 },
      { do: "scale", target: ref("Deployment", "frontend", "shop"), replicas: 40 },
    ]);
    const addresses = model.pods.all.filter(({ hostNetwork }) => !hostNetwork).flatMap(({ addresses: own }) => own);
    expect(new Set(addresses).size).toBe(addresses.length);
  });

  it("to nothing left, when a workload is deleted", () => {
    const model = CLUSTER.model().with([{ do: "delete", target: BACKEND }]);
    expect(podNames(model, "backend")).toEqual([]);
    expect(endpointsOf(model, "backend")).toEqual([]);
    expect(rulesOf(model, "w1")).toContain("shop/backend:http has no endpoints");
    expect(podNames(model, "frontend")).toHaveLength(2);
  });

  it("from a selector to its back ends", () => {
    const patch = { spec: { selector: { app: "frontend" } } };
    const model = CLUSTER.model().with([{ do: "patch", target: ref("Service", "backend", "shop"), patch }]);
    expect(endpointsOf(model, "backend").sort()).toEqual(podAddresses(model, "frontend").sort());
  });

  it("one after the other", () => {
    const steps: Change[] = [
      { do: "scale", target: BACKEND, replicas: 2 },
      { do: "delete", target: ref("Service", "backend", "shop") },
      service("backend", {
        clusterIP: "10.96.10.9",
        selector: { app: "backend" },
        ports: [{ name: "http", port: 8080, targetPort: "http" }],
      }),
    ];
    const together = CLUSTER.model().with(steps);
    const apart = steps.reduce<ClusterModel>((model, step) => model.with([step]), CLUSTER.model());
    expect(deliveredTo(together, "backend", "w1")).toHaveLength(2);
    expect(deliveredTo(apart, "backend", "w1")).toEqual(deliveredTo(together, "backend", "w1"));
  });
});

describe("agents write only what they may, when they run", () => {
  const role: Change = { do: "delete", target: ref("ClusterRole", "system:node-proxier") };
  const scale: Change = { do: "scale", target: BACKEND, replicas: 5 };
  const back: Change = { do: "scale", target: BACKEND, replicas: 3 };

  it("without permission a node's rules stay as they were", () => {
    const model = CLUSTER.model().with([role, scale]);
    expect(endpointsOf(model, "backend")).toHaveLength(5);
    expect(deliveredTo(model, "backend", "w1")).toHaveLength(3);
    expect(rulesOf(model, "w1")).toBe(rulesOf(CLUSTER.model(), "w1"));
  });

  it("with it they follow, and what others wrote stays", () => {
    const edited = CLUSTER.edit(addRules("w1", "filter", "-A INPUT -s 192.0.2.1/32 -j DROP"));
    const model = edited.model().with([scale]);
    expect(deliveredTo(model, "backend", "w1")).toHaveLength(5);
    expect(rulesOf(model, "w1")).toContain("-A INPUT -s 192.0.2.1/32 -j DROP");
  });

  it("a restart brings back what was lost, on the node where it is", () => {
    const lost = CLUSTER.edit((draft) => {
      for (const node of ["w1", "w2"]) draft.set("iptables", { node }, { tables: [] });
    }).model();
    expect(deliveredTo(lost, "backend", "w1")).toEqual([]);
    const model = lost.with([{ do: "restart", component: KUBE_PROXY, node: "w1" }]);
    expect(["w1", "w2"].map((node) => deliveredTo(model, "backend", node).length)).toEqual([3, 0]);
  });

  it("a restart without permission shows in the component's Pods", () => {
    const flannel = ref("DaemonSet", "kube-flannel-ds", "kube-flannel");
    const model = CLUSTER.model().with([
      { do: "delete", target: ref("ClusterRole", "flannel") },
      { do: "restart", component: flannel, node: "w1" },
    ]);
    const ready = model.components
      .byRef(flannel)
      ?.pods.map((pod) => `${pod.node} ${pod.ready}`)
      .sort();
    expect(ready).toEqual(["cp1 true", "w1 false", "w2 true"]);
  });

  it("there and back again it is as it was", () => {
    const model = CLUSTER.model().with([scale]).with([back]);
    for (const { name } of model.nodes.all)
      expect(deliveredTo(model, "backend", name)).toEqual(deliveredTo(CLUSTER.model(), "backend", name));
  });
});

describe("the original", () => {
  const changes: Change[] = [
    { do: "scale", target: BACKEND, replicas: 7 },
    { do: "delete", target: ref("ConfigMap", "coredns", "kube-system") },
    { do: "sysctl", node: "w1", key: "net.ipv4.ip_forward", value: "0" },
    { do: "restart", component: KUBE_PROXY },
  ];

  it("sees nothing of what was changed, asked before or after", () => {
    const asked = modelOf(CLUSTER.capture);
    const before = everything(asked);
    const changed = asked.with(changes);
    expect(everything(changed)).not.toBe(before);
    expect(everything(asked)).toBe(before);
    expect(everything(modelOf(CLUSTER.capture))).toBe(before);
  });

  it("is what the model with no changes is", () => {
    expect(everything(CLUSTER.model().with([]))).toBe(everything(CLUSTER.model()));
  });

  it("has each of its parts once", () => {
    const model = modelOf(CLUSTER.capture);
    for (const part of MODEL_PARTS) expect(model[part], part).toBe(model[part]);
  });
});
