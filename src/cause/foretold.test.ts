import { describe, expect, it } from "vitest";
import { cluster } from "../../testing/cluster.ts";
import type { Capability } from "../model/capability.ts";
import { type Foretold, foretoldBy } from "./foretold.ts";

const model = cluster().model();
const KUBE_PROXY = "DaemonSet/kube-system/kube-proxy";

const told = (predictions: readonly Foretold[], depth = 0): string[] =>
  predictions.flatMap(({ capability: { name, zone }, later, leadsTo }) => [
    `${"  ".repeat(depth)}${name}${zone === undefined ? "" : ` ${zone}`}${later ? " later" : ""}`,
    ...told(leadsTo, depth + 1),
  ]);
const predicted = (...broken: Capability[]) => told(foretoldBy(broken, model));

describe("what a broken capability leads to", () => {
  it("is told from what is needed to what users do, each thing once", () => {
    expect(predicted({ name: "component.permit", component: KUBE_PROXY })).toEqual([
      "component.learn",
      "  service.rules later",
      "    dns.resolve cluster later",
      "    dns.resolve external later",
      "    service.reach later",
    ]);
  });

  it("comes at once where nothing in between works on as it is", () => {
    expect(predicted({ name: "node.ip-forward" }).toSorted()).toEqual([
      "dns.resolve cluster",
      "dns.resolve external",
      "outside.reach",
      "pod.reach",
      "service.reach",
    ]);
  });

  it("is not what has another way: cluster DNS has a replica on another node", () => {
    expect(predicted({ name: "node.ip-forward", node: "w1" })).toEqual(["service.reach", "pod.reach", "outside.reach"]);
  });

  it("stays with the Service that it is about", () => {
    expect(predicted({ name: "service.select", service: "shop/backend" })).toEqual([
      "service.endpoints",
      "  service.reach",
    ]);
  });

  it("is nothing for what nobody's need rests on", () => {
    expect(predicted({ name: "pod.hairpin", node: "w1", pod: "shop/nobody" })).toEqual([]);
  });
});
