import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { cluster } from "../../../testing/cluster.ts";
import type { NetworkPolicy, Pod } from "../../parse/objects.ts";
import type { PodView } from "../pods.ts";
import type { Policies } from "./policies.ts";

/** Connectivity under policies as cyclonus, the conformance tool for NetworkPolicies, computes it. */
type Case = {
  id: string;
  description: string;
  steps: {
    namespaces: Record<string, Record<string, string>>;
    pods: {
      namespace: string;
      name: string;
      ip: string;
      labels: Record<string, string>;
      ports: { name: string; port: number; protocol: string }[];
    }[];
    policies: NetworkPolicy[] | null;
    /** `namespace/name` of the Pods, in the order of rows and columns. */
    order: string[];
    /** By `PROTOCOL/port`: rows are from, columns to; `.` is allowed, `X` is not. */
    truth: Record<string, Record<"combined" | "ingress" | "egress", string[]>>;
  }[];
};

const cases = gunzipSync(readFileSync(new URL("../../../testing/semantics/netpol-cyclonus.jsonl.gz", import.meta.url)))
  .toString()
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line) as Case);

const base = cluster({ nodes: 1, workloads: "none" });

function modelOfStep(step: Case["steps"][number]) {
  return base
    .edit((draft) => {
      draft.setList(
        "namespaces",
        Object.entries(step.namespaces).map(([name, labels]) => ({ metadata: { name, labels } })),
      );
      draft.setList(
        "pods",
        step.pods.map(
          ({ namespace, name, ip, labels, ports }): Pod => ({
            metadata: { namespace, name, labels },
            spec: {
              nodeName: "node-1",
              containers: [{ name: "c", ports: ports.map((port) => ({ ...port, containerPort: port.port })) }],
            },
            status: { phase: "Running", podIP: ip, podIPs: [{ ip }] },
          }),
        ),
      );
      draft.setList("networkpolicies", step.policies ?? []);
    })
    .model();
}

const isDenied = (policies: Policies, from: PodView, to: PodView, protocol: string, port: number) =>
  policies.verdict({ pod: from }, { pod: to }, { protocol, port }).state === "denied";

describe("connectivity under policies, case by case", () => {
  it.each(cases)("$id: $description", ({ steps }) => {
    for (const step of steps) {
      const { pods, policies } = modelOfStep(step);
      const ordered = step.order.map((name) => pods.all.find((pod) => `${pod.namespace}/${pod.name}` === name)!);
      for (const [traffic, { combined }] of Object.entries(step.truth)) {
        const [protocol = "", port = ""] = traffic.split("/");
        const rows = ordered.map((from, row) =>
          ordered
            .map((to, column) => {
              // a Pod always reaches itself, whatever cyclonus says
              if (row === column) return combined[row]![column];
              return isDenied(policies, from, to, protocol, Number(port)) ? "X" : ".";
            })
            .join(""),
        );
        expect({ traffic, rows }).toEqual({ traffic, rows: combined });
      }
    }
  });

  it("has them all", () => {
    expect(cases).toHaveLength(230);
  });
});
