/** Packets that rules hand to a program which does what NetworkPolicies say: kindnet's, in kind. */
import { describe, expect, it } from "vitest";
import type { Cluster } from "../../testing/cluster.ts";
import { editPods, networkPolicy } from "../../testing/cluster-edits.ts";
import { kindCluster } from "../../testing/kindnet.ts";
import { unready } from "../../testing/object-states.ts";
import { parseIp } from "../net/ip.ts";
import { openingPacket } from "./packet.ts";
import { walk } from "./walk.ts";

const backend = { podSelector: { matchLabels: { app: "backend" } } };
const onlyFrontend = networkPolicy("only-frontend", {
  ...backend,
  policyTypes: ["Ingress"],
  ingress: [{ from: [{ podSelector: { matchLabels: { app: "frontend" } } }] }],
});
const nothingOut = networkPolicy("nothing-out", { ...backend, policyTypes: ["Egress"], egress: [] });

/** Pods of the built cluster: a back end of w1, one of w2. */
const NEAR = "10.128.1.4";
const FAR = "10.128.2.4";

function ends(given: Cluster, from: string, to: string, port = 8080): string[] {
  const model = given.model();
  const pod = model.pods.all.find(({ name }) => name.startsWith(from) && name.includes("-"))!;
  const packet = openingPacket("tcp", parseIp(pod.addresses[0]!), parseIp(to)!, port);
  const { ways } = walk({ from: { node: pod.node!, pod }, packet }, model);
  return ways.map(({ end, certainty }) => `${end.is} ${end.at?.node} ${certainty}`);
}

const limited = kindCluster(onlyFrontend);

describe("kindnet decides as the policies say", () => {
  it("lets pass what they allow, there and back", () => {
    expect(ends(limited, "frontend", NEAR)).toEqual(["answered w1 certain"]);
    expect(ends(limited, "frontend", FAR)).toEqual(["answered w1 certain"]);
  });

  it("drops what they deny, on the node of the Pod that a policy selects", () => {
    expect(ends(limited, "client-w1", NEAR)).toEqual(["denied w1 certain"]);
    expect(ends(limited, "client-w1", FAR)).toEqual(["denied w2 certain"]);
    expect(ends(kindCluster(nothingOut), "backend", FAR)).toEqual(["denied w1 certain"]);
  });

  it("asks the policies of both ends, and no others", () => {
    expect(ends(limited, "backend", "10.128.1.2", 9)).toEqual(["refused w1 certain"]);
    expect(ends(kindCluster(), "client-w1", NEAR)).toEqual(["answered w1 certain"]);
  });

  it("also of what a Pod sends to its own node", () => {
    expect(ends(kindCluster(nothingOut), "backend", "172.16.0.2", 10250)).toEqual(["denied w1 certain"]);
    expect(ends(limited, "backend", "172.16.0.2", 10250)).toEqual(["answered w1 certain"]);
  });

  it("names the policy", () => {
    const model = limited.model();
    const pod = model.pods.get("tools", "client-w1")!;
    const packet = openingPacket("tcp", parseIp(pod.addresses[0]!), parseIp(NEAR)!, 8080);
    const [way] = walk({ from: { node: "w1", pod }, packet }, model).ways;
    expect(way?.end.evidence[0]?.quote).toBe("NetworkPolicy/shop/only-frontend denies 10.128.1.2 10.128.1.4:8080");
  });
});

describe("where it does not run", () => {
  it("its rules let everything pass", () => {
    const gone = limited.edit(editPods("kindnet", () => undefined, "w1"));
    expect(ends(gone, "client-w1", NEAR)).toEqual(["answered w1 certain"]);
  });

  it("or is not ready, nothing is certain", () => {
    const starting = limited.edit(editPods("kindnet", unready(), "w1"));
    const all = ends(starting, "client-w1", NEAR);
    expect(all.every((end) => end.endsWith("guessed"))).toBe(true);
    expect(all.map((end) => end.split(" ")[0]).toSorted()).toEqual(["answered", "dropped"]);
  });

  it("or the policies were not read, neither", () => {
    const blind = ends(limited.without("networkpolicies"), "client-w1", NEAR);
    expect(blind.every((end) => end.endsWith("guessed"))).toBe(true);
  });
});
