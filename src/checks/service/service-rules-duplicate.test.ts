import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import { printIptablesSave } from "../../parse/iptables/print.ts";
import { parseIptablesSave } from "../../parse/iptables/save.ts";
import { serviceRulesDuplicate } from "./service-rules-duplicate.ts";

const inIptables = cluster();
const inNft = cluster({ proxy: "nftables" });

/** The nat rules of w1 as kube-proxy writes them in iptables mode, changed. */
function natOf(change: (text: string) => string, given = inIptables, kind: "iptables" | "ip6tables" = "iptables") {
  const plane = given.model().forwarding.of("w1")[kind];
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

const dual = cluster({ families: "dual-stack" });
const dualNft = cluster({ families: "dual-stack", proxy: "nftables" });
const [old6 = ""] = dual
  .model()
  .services.endpoints(dual.model().services.get("shop", "backend")!.ports[0]!, 6)
  .map(({ address }) => address);
const stale6 = (text: string): string => text.replaceAll(new RegExp(`${old6}\\b`, "g"), "fd00:10:128:3::99");
const legacy6 =
  (change: (text: string) => string): Edit =>
  (draft) => {
    const { backend: _, ...save } = natOf((text) => change(text.replaceAll(" (nf_tables)", "")), dual, "ip6tables");
    draft.set("ip6tablesLegacy", { node: "w1" }, { ...save, backend: "legacy" });
  };
const restored6 =
  (change: (text: string) => string): Edit =>
  (draft) =>
    editNode(draft, "ip6tables", "w1", (save) => ({
      ...save,
      tables: save.tables.map((table) => (table.name === "nat" ? natOf(change, dual, "ip6tables").tables[0]! : table)),
    }));

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
    "dual stack: an older kube-proxy left its IPv6 rules in ip6tables-legacy": found(
      dual.edit(legacy6(stale6)),
      "those left in ip6tables-legacy send Service shop/backend:http to [fd00:10:128:3::99]:8080",
      dual,
    ),
    "dual stack, nftables mode: rules of ip6tables were restored from a file": found(
      dualNft.edit(restored6(stale6)),
      "those left in ip6tables-nft send Service shop/backend:http to [fd00:10:128:3::99]:8080",
      dualNft,
    ),
  },
  warns: {
    "dual stack: both say the same of IPv6, for now": {
      given: dual.edit(legacy6(same)),
      repair: "Node/w1",
      says: ["those in ip6tables-legacy beside those in ip6tables: only one of the two follows changes (IPv6)"],
    },
    "both say the same, for now": {
      given: inIptables.edit(legacy(same)),
      repair: "Node/w1",
      says: ["Node w1 has kube-proxy's rules twice, those in iptables-legacy beside those in iptables"],
    },
  },
  clears: {
    "a healthy cluster": inIptables,
    "nftables mode": inNft,
    "a dual-stack cluster": dual,
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
