/**
 * What enforces NetworkPolicies against what they say: from every Pod of a recording to every other, at every port that is
 * declared and one that is not, by the rules, sets and tables of the nodes, and by the objects.
 */
import { describe, expect, it } from "vitest";
import { modelOf } from "../../src/model/model.ts";
import type { PodView } from "../../src/model/pods.ts";
import { parseIp } from "../../src/net/ip.ts";
import { openingPacket } from "../../src/trace/packet.ts";
import type { Way } from "../../src/trace/trace.ts";
import { walk } from "../../src/trace/walk.ts";
import { captureOf, readRecording } from "../recordings.ts";

/** Logs and events take long to read, and say nothing here. */
const IRRELEVANT = /^logs\/|events|kubelet\.log|dmesg|probes/;

const portsOf = (pod: PodView) => [
  ...pod.object.spec.containers.flatMap(({ ports }) =>
    (ports ?? []).map(({ protocol, containerPort }) => ({ protocol: protocol ?? "TCP", port: containerPort })),
  ),
  { protocol: "TCP", port: 9 },
];

function outcomeOf(ways: readonly Way[], to: PodView): string {
  const arrived = ways.map(({ steps }) => steps.some((step) => step.did === "cross" && step.to.pod?.key === to.key));
  if (arrived.every((one) => one)) return "allowed";
  const refused = ways.every(({ end }) => end.is === "dropped" || end.is === "rejected" || end.is === "denied");
  return refused ? "denied" : ways.map(({ end }) => end.is).join();
}

describe.each(["calico-healthy", "cilium-healthy", "netpol-default-deny-egress"])("%s", (id) => {
  it("enforces what the policies say, between all Pods", async () => {
    const { files } = await readRecording(id);
    const model = modelOf(captureOf(new Map([...files].filter(([path]) => !IRRELEVANT.test(path)))));
    const pods = model.pods.all.filter(
      ({ hostNetwork, finished, addresses }) => !hostNetwork && !finished && addresses[0],
    );
    const differing: string[] = [];
    const counts = { allowed: 0, denied: 0 };
    for (const from of pods) {
      for (const to of pods) {
        if (from.key === to.key) continue;
        for (const { protocol, port } of portsOf(to)) {
          const verdict = model.policies.verdict({ pod: from }, { pod: to }, { protocol, port }).state;
          const [source, destination] = [from, to].map(({ addresses }) => parseIp(addresses[0]!));
          const packet = openingPacket(protocol === "UDP" ? "udp" : "tcp", source, destination!, port);
          const { ways } = walk({ from: { node: from.node!, pod: from }, packet }, model);
          const outcome = outcomeOf(ways, to);
          if (outcome !== verdict) differing.push(`${from.key} ${to.key}:${port}/${protocol} ${verdict}: ${outcome}`);
          if (verdict !== "unknown") counts[verdict]++;
        }
      }
    }
    expect(differing).toEqual([]);
    expect(counts.allowed).toBeGreaterThan(100);
    expect(counts.denied).toBeGreaterThan(100);
  });
});
