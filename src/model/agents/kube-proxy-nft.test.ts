import { beforeAll, describe, expect, it } from "vitest";
import { captureOf, readRecording } from "../../../testing/recordings.ts";
import type { NftRule, NftSet, NftTable } from "../../parse/nftables/json.ts";
import { printNftRule } from "../../parse/nftables/print.ts";
import { type ClusterModel, modelOf } from "../model.ts";
import { kubeProxyTable } from "./kube-proxy-nft.ts";

/** A table in words, without handles, comments and the order of what has none. */
function inWords({ sets, chains }: NftTable): readonly string[] {
  const ofSet = ({ name, elements }: NftSet): string =>
    `${name}: ${elements
      .map(({ key, data }) => `${JSON.stringify(key)} ${JSON.stringify(data)}`)
      .sort()
      .join(", ")}`;
  const words = ({ comment, ...rule }: NftRule): string => printNftRule(rule);
  return [
    ...sets.map(ofSet),
    ...chains.flatMap(({ name, rules }) => [name, ...rules.map((rule) => `${name}: ${words(rule)}`)]),
  ].sort();
}

describe("what kube-proxy 1.33 wrote on a recorded cluster", () => {
  let model: ClusterModel;
  beforeAll(async () => {
    model = modelOf(captureOf((await readRecording("healthy-nftables")).files));
  });

  it.each(["cp1", "w1", "w2"])("is what we write, on %s", (node) => {
    const { nftables } = model.forwarding.of(node);
    if (nftables.state !== "present") throw new Error("nftables were not recorded");
    const recorded = nftables.value.tables.find(({ family, name }) => family === "ip" && name === "kube-proxy")!;
    const address = model.nodes.get(node)?.ipv4;
    const table = kubeProxyTable(model.services, node, model.proxy.clusterRange(4), address && formatted(address), 4);
    // which range Services have is told by the API's ServiceCIDRs, which are not read
    const without = inWords(recorded).filter((line) => !/cluster-ips-check: ip daddr [\d./]+ drop/.test(line));
    expect(inWords(table)).toEqual(without);
  });
});

const formatted = ({ value }: { readonly value: number | bigint }): string =>
  [24, 16, 8, 0].map((bits) => Math.floor(Number(value) / 2 ** bits) % 256).join(".");
