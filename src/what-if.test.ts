import { describe, expect, it } from "vitest";
import { type Cluster, cluster } from "../testing/cluster.ts";
import { calico, probed } from "../testing/cluster-edits.ts";
import type { Typed } from "./model/changes/intent.ts";
import { WHAT_IF_FORMATS } from "./report/formats/what-if.ts";
import type { WhatIf } from "./report/what-if.ts";
import { whatIfSchema } from "./report/what-if.ts";
import { intentOf, isMisunderstood, whatIf } from "./what-if.ts";

function asked(typed: Typed, of: Cluster = cluster()): WhatIf {
  const intent = intentOf(typed);
  if (isMisunderstood(intent)) throw new Error(intent.problem.en);
  return whatIf(of.capture, intent);
}
const breaks = ({ breaks: causes }: WhatIf) => causes.map(({ id }) => id);

const WITHOUT_FLANNEL: Typed = { delete: ["clusterrole/flannel"] };
const NO_BACKEND: Typed = { patch: [`svc/backend={"spec":{"selector":{"app":"nobody"}}}`], namespace: "shop" };

describe("what would break", () => {
  it("is what the change takes from the network, with what follows from it", () => {
    const answer = asked(WITHOUT_FLANNEL);
    expect([answer.verdict, breaks(answer)]).toEqual(["breaks", ["component-access-denied/ClusterRole/flannel"]]);
    expect(answer.breaks[0]?.latent).toBe(true);
    expect(answer.breaks[0]?.explains.map(({ state, capability }) => [state, capability])).toEqual([
      ["predicted", "component.learn"],
    ]);
    expect(answer.taken).toMatchObject([
      {
        object: { kind: "ClusterRole", name: "flannel" },
        loses: [
          {
            subject: { kind: "ServiceAccount", namespace: "kube-flannel", name: "flannel" },
            all: true,
            runs: [{ kind: "DaemonSet", name: "kube-flannel-ds" }],
          },
        ],
        roots: ["component-access-denied/ClusterRole/flannel"],
      },
    ]);
    expect(whatIfSchema.parse(JSON.parse(JSON.stringify(answer)))).toEqual(answer);
  });

  it("is felt at once where it is", () => {
    const answer = asked(NO_BACKEND);
    expect([answer.verdict, breaks(answer)]).toEqual(["breaks", ["service-without-endpoints/Service/shop/backend"]]);
    expect(answer.breaks[0]?.latent).toBe(false);
  });

  it("is a component that is deleted, also where nothing would tell of it later", () => {
    const answer = asked({ delete: ["ds/kube-proxy"], namespace: "kube-system" });
    expect(breaks(answer)).toEqual(["component-missing/DaemonSet/kube-system/kube-proxy"]);
    const dns = asked({ delete: ["deploy/coredns"], namespace: "kube-system" });
    expect(breaks(dns)).toContain("component-missing/Deployment/kube-system/coredns");
  });

  it("does not count what was broken before", () => {
    const broken = cluster().with({ do: "delete", target: { kind: "ClusterRole", name: "flannel" } });
    const answer = asked(NO_BACKEND, broken);
    expect(breaks(answer)).toEqual(["service-without-endpoints/Service/shop/backend"]);
    expect(answer.remains.map(({ id }) => id)).toEqual(["component-access-denied/ClusterRole/flannel"]);
  });
});

describe("what breaks nothing", () => {
  it("may repair what is broken", () => {
    const broken = cluster().with({
      do: "patch",
      target: { kind: "Service", name: "backend", namespace: "shop" },
      patch: { spec: { selector: { app: "nobody" } } },
    });
    const answer = asked({ patch: [`svc/backend={"spec":{"selector":{"app":"backend"}}}`], namespace: "shop" }, broken);
    expect([answer.verdict, answer.repairs.map(({ id }) => id)]).toEqual([
      "repairs",
      ["service-without-endpoints/Service/shop/backend"],
    ]);
  });

  it("is harmless, or nothing at all", () => {
    expect(asked({ scale: ["deploy/backend=3"], namespace: "shop" }).verdict).toBe("harmless");
    expect(asked({ delete: ["clusterrole"], selector: "no=such" }).verdict).toBe("nothing");
  });

  it("cannot be told of what was not read", () => {
    const answer = asked({ delete: ["secrets"], selector: "a=b" });
    expect([answer.verdict, answer.unclear[0]?.settle[0]?.run]).toEqual([
      "unclear",
      "kubectl get secrets -A --show-labels",
    ]);
    const blind = asked({ delete: ["clusterroles"], selector: "a=b" }, cluster().without("clusterroles"));
    expect(blind.verdict).toBe("unclear");
  });
});

describe("policies that end what works", () => {
  const enforcing = cluster().edit(
    ...["cp1", "w1", "w2"].map(calico),
    probed("client", "dns", "kubernetes.default.svc.cluster.local", "ok"),
  );
  const lockdown = (namespace: string, ingress: boolean, podSelector: object = {}): Typed => {
    const spec = { podSelector, policyTypes: [ingress ? "Ingress" : "Egress"] };
    const metadata = { name: "lock", namespace };
    const policy = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec };
    return { manifests: [{ file: "lock.yaml", text: JSON.stringify(policy) }] };
  };

  it("may be meant: the calls that were tested are told, and the Pods that could do anything", () => {
    const answer = asked(lockdown("tools", false), enforcing);
    expect([answer.verdict, breaks(answer)]).toEqual(["unclear", []]);
    expect(answer.unclear.map(({ what }) => what.en)).toEqual([
      expect.stringMatching(
        /^NetworkPolicy\/tools\/lock would deny \d+ calls? that worked when tested, such as tools\/client-/,
      ),
      expect.stringMatching(/^NetworkPolicy\/tools\/lock would let \d+ Pods send nothing that are free to now/),
    ]);
  });

  it("are a cause for DNS servers, with what follows from it, and told once", () => {
    const answer = asked(lockdown("kube-system", true, { matchLabels: { "k8s-app": "kube-dns" } }), enforcing);
    expect([answer.verdict, breaks(answer)]).toEqual([
      "breaks",
      ["network-policy-defective/NetworkPolicy/kube-system/lock"],
    ]);
    expect(answer.breaks[0]?.explains.map(({ capability }) => capability)).toContain("dns.resolve");
    expect(answer.unclear).toEqual([]);
  });
});

describe("the answer drawn", () => {
  const answer = asked(WITHOUT_FLANNEL);
  const draw = (format: keyof typeof WHAT_IF_FORMATS, lang: "en" | "zh" = "en") =>
    WHAT_IF_FORMATS[format](answer, { lang, width: 100, color: false });

  it("says what goes, what breaks, and when it is felt", () => {
    expect(draw("text")).toContain("✗ BREAKS  Would break the network: flannel has lost its permissions");
    expect(draw("text")).toContain("not at once: at the next restart or change");
    expect(draw("text", "zh")).toContain("ServiceAccount/kube-flannel/flannel 将失去全部自有权限");
  });

  it("lets a pipeline refuse", () => {
    expect(draw("junit")).toContain('failures="1"');
    expect(JSON.parse(draw("sarif")).runs[0].results[0]).toMatchObject({
      ruleId: "component-access-denied",
      level: "error",
    });
    expect(draw("yaml")).toContain("verdict: breaks");
  });
});
