import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import { printIptablesSave } from "../../parse/iptables-print.ts";
import { parseIptablesSave } from "../../parse/iptables-save.ts";
import { serviceRulesDuplicate } from "./service-rules-duplicate.ts";

const inIptables = cluster();
const inNft = cluster({ proxy: "nftables" });

/** The nat rules of w1 as kube-proxy writes them in iptables mode, changed. */
function natOf(change: (text: string) => string) {
  const plane = inIptables.model().forwarding.of("w1").iptables;
  if (plane.state !== "present") throw new Error("the built cluster has no iptables of w1");
  const save = { ...plane.value, tables: plane.value.tables.filter(({ name }) => name === "nat") };
  return parseIptablesSave(change(printIptablesSave(save))).value;
}

const same = (text: string): string => text;
/** As long as a back end had another address. */
const stale = (text: string): string => text.replaceAll(/\b10\.128\.2\.4\b/g, "10.128.2.99");
/** Without jumps, as a clean-up leaves chains that it cannot delete. */
const entered = (text: string): string => text.replaceAll(/.*-A (PREROUTING|OUTPUT) .*-j KUBE-SERVICES\n/g, "");

/** Rules in iptables-legacy, of a kube-proxy whose image used that. */
const legacy =
  (change: (text: string) => string): Edit =>
  (draft) => {
    const { backend: _, ...save } = natOf((text) => change(text.replaceAll(" (nf_tables)", "")));
    draft.set("iptablesLegacy", { node: "w1" }, { ...save, backend: "legacy" });
  };

/** netfilter-persistent brought back what was saved when kube-proxy was in iptables mode. */
const restored =
  (change: (text: string) => string): Edit =>
  (draft) =>
    editNode(draft, "iptables", "w1", (save) => ({
      ...save,
      tables: save.tables.map((table) => (table.name === "nat" ? natOf(change).tables[0]! : table)),
    }));

/** kube-proxy's table of nftables mode was not taken away. */
const leftTable =
  (change: (text: string) => string): Edit =>
  (draft) => {
    const old = inNft.model().forwarding.of("w1").nftables;
    if (old.state !== "present") throw new Error("the built cluster has no nftables of w1");
    const tables = old.value.tables.filter(({ name }) => name === "kube-proxy");
    const changed = JSON.parse(change(JSON.stringify(tables))) as typeof tables;
    editNode(draft, "nftables", "w1", (ruleset) => ({ ...ruleset, tables: [...ruleset.tables, ...changed] }));
  };

const found = (given: Cluster, says: string, by: Cluster) => ({
  ...{ given, repair: "Node/w1", says: [says], breaks: ["service.rules"] as const, healedBy: () => by },
  strength: "differing" as const,
});

testCheck(serviceRulesDuplicate, {
  finds: {
    "an older kube-proxy left its rules in iptables-legacy": found(
      inIptables.edit(legacy(stale)),
      "those left in iptables-legacy send Service shop/backend:http to 10.128.2.99:8080, which is not among its back ends",
      inIptables,
    ),
    "kube-proxy keeps to iptables-legacy, and iptables-nft holds what another one wrote": found(
      inIptables.edit(restored(stale), legacy(same)),
      "those left in iptables-nft send Service shop/backend:http to 10.128.2.99:8080",
      inIptables,
    ),
    "in nftables mode, rules of iptables mode were restored from a file": found(
      inNft.edit(restored(stale)),
      "those left in iptables-nft send Service shop/backend:http to 10.128.2.99:8080",
      inNft,
    ),
    "the mode was set back to iptables, and the table of nftables mode is still there": found(
      inIptables.edit(leftTable(stale)),
      "those left in nftables send Service shop/backend:http to 10.128.2.99:8080",
      inIptables,
    ),
    "nobody knows the mode; the set that is right is the one that is kept": found(
      inNft.edit(restored(stale)).without("configmaps"),
      "those left in iptables-nft send Service shop/backend:http to 10.128.2.99:8080",
      inNft,
    ),
  },
  warns: {
    "both say the same, for now": {
      given: inIptables.edit(legacy(same)),
      repair: "Node/w1",
      says: ["Node w1 has kube-proxy's rules twice, those in iptables-legacy beside those in iptables"],
    },
  },
  clears: {
    "a healthy cluster": inIptables,
    "nftables mode": inNft,
    "iptables is iptables-legacy, and both were asked": inIptables.edit(legacy(same), (draft) => {
      const plane = inIptables.model().forwarding.of("w1").iptables;
      if (plane.state === "present") draft.set("iptables", { node: "w1" }, { ...plane.value, backend: "legacy" });
    }),
    "chains were left that nothing jumps to": inIptables.edit(legacy((text) => entered(stale(text)))),
  },
  cannotTell: {
    "service.rules": {
      "we may not read EndpointSlices": inIptables.edit(legacy(stale)).without("endpointslices"),
    },
  },
});
