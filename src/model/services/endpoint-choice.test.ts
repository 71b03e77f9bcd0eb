import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chooseEndpoints, type Endpoint } from "./endpoint-choice.ts";

type Case = {
  id: string;
  nodeName: string;
  nodeLabels: Record<string, string> | null;
  /** The feature gate PreferSameTrafficDistribution: without it, kube-proxy ignores hints for nodes. */
  preferSameTrafficDistribution: boolean;
  service: { internalTrafficPolicyLocal: boolean; externalTrafficPolicyLocal: boolean; nodePort: number };
  endpoints:
    | {
        endpoint: string;
        isLocal: boolean;
        ready: boolean;
        serving: boolean;
        terminating: boolean;
        zoneHints: string[] | null;
        nodeHints: string[] | null;
      }[]
    | null;
  expect: {
    hasAnyEndpoints: boolean;
    allEndpoints: string[] | null;
    clusterEndpoints: string[] | null;
    localEndpoints: string[] | null;
  };
};

const cases = readFileSync(
  new URL("../../../testing/semantics/kube-proxy-categorize-endpoints.jsonl", import.meta.url),
  "utf8",
)
  .split("\n")
  .filter((line) => line.trim())
  .map((line) => JSON.parse(line) as Case);

describe("the choice that kube-proxy makes, case by case", () => {
  it.each(cases)("$id", (each) => {
    const name = each.nodeName || "here";
    const zone = each.nodeLabels?.["topology.kubernetes.io/zone"];
    const endpoints = (each.endpoints ?? []).map((endpoint): Endpoint => {
      const [address = "", port = "0"] = endpoint.endpoint.split(":");
      return {
        address,
        port: Number(port),
        node: endpoint.isLocal ? name : "elsewhere",
        ready: endpoint.ready,
        serving: endpoint.serving,
        terminating: endpoint.terminating,
        zoneHints: endpoint.zoneHints ?? [],
        nodeHints: each.preferSameTrafficDistribution ? (endpoint.nodeHints ?? []) : [],
      };
    });
    const { internalTrafficPolicyLocal, externalTrafficPolicyLocal, nodePort } = each.service;
    const choice = chooseEndpoints(
      endpoints,
      {
        internalLocal: internalTrafficPolicyLocal,
        externalLocal: externalTrafficPolicyLocal,
        external: nodePort !== 0,
      },
      { name, ...(zone && { zone }) },
    );
    const keys = (list: readonly Endpoint[] | undefined) =>
      list?.map(({ address, port }) => `${address}:${port}`).sort() ?? [];
    expect({
      any: choice.any,
      cluster: keys(choice.cluster),
      local: keys(choice.local),
      all: [...new Set([...keys(choice.cluster), ...keys(choice.local)])].sort(),
    }).toEqual({
      any: each.expect.hasAnyEndpoints,
      cluster: (each.expect.clusterEndpoints ?? []).toSorted(),
      local: (each.expect.localEndpoints ?? []).toSorted(),
      all: (each.expect.allEndpoints ?? []).toSorted(),
    });
  });

  it("has them all", () => {
    expect(cases).toHaveLength(32);
  });
});
