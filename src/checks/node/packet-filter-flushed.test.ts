import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import { dropRules, type Edit, editIptables, edits, probed } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import type { Family } from "../../net/ip.ts";
import { packetFilterFlushed } from "./packet-filter-flushed.ts";

/** `iptables -t TABLE -F`; what `but` matches was written again since. */
const flushed = (table: string, but = /^$/, family: Family = 4, node = "w1"): Edit =>
  editIptables(
    node,
    (text) =>
      text.replace(new RegExp(`\\*${table}\\n[^]*?COMMIT`), (rules) =>
        rules
          .split("\n")
          .filter((line) => !/^(\[[\d:]+\] )?-A /.test(line) || but.test(line))
          .join("\n"),
      ),
    family,
  );

const policy = (chain: string, to: string): Edit =>
  editIptables("w1", (text) => {
    const [before = "", after = ""] = text.split("*filter\n");
    return `${before}*filter\n${after.replace(`:${chain} ACCEPT`, `:${chain} ${to}`)}`;
  });

/** `nft flush ruleset` */
const nothingLeft: Edit = (draft) => {
  editNode(draft, "iptables", "w1", (save) => ({ ...save, tables: [] }));
  editNode(draft, "nftables", "w1", (listed) => ({ ...listed, tables: [] }));
};

const nft = cluster({ proxy: "nftables" });
const dual = cluster({ families: "dual-stack" });
const story = (given: Cluster, says: string, by = cluster()) => ({
  given,
  repair: "Node/w1",
  says: [says],
  breaks: ["node.keep-rules"],
  strength: "direct" as const,
  healedBy: () => by,
});

testCheck(packetFilterFlushed, {
  finds: {
    "somebody typed iptables -t nat -F on w1": story(
      cluster().edit(flushed("nat")),
      "emptied the nat table of node w1: its chains are there without a rule (kube-proxy, flannel)",
    ),
    "flannel has written its rules again since": story(
      cluster().edit(flushed("nat", /flannel/i)),
      "its chains are there without a rule (kube-proxy)",
    ),
    "dual stack: ip6tables -t nat -F": story(
      dual.edit(flushed("nat", /^$/, 6)),
      "its chains are there without a rule (kube-proxy, flannel) (IPv6)",
      dual,
    ),
    "iptables -F where FORWARD has policy DROP": story(
      cluster().edit(edits(policy("FORWARD", "DROP"), flushed("filter"))),
      "emptied the filter table of node w1 and left policy DROP: nothing passes FORWARD",
    ),
    "a firewall on INPUT was stopped, its policy stays": story(
      cluster().edit(edits(policy("INPUT", "DROP"), policy("FORWARD", "DROP"), flushed("filter"))),
      "nothing passes INPUT, FORWARD",
    ),
    "nft flush ruleset": story(cluster().edit(nothingLeft), "flushed the packet filter of node w1"),
    "nft flush ruleset, kube-proxy in nftables mode": story(
      nft.edit(nothingLeft),
      "flushed the packet filter of node w1",
      nft,
    ),
  },
  warns: {
    "iptables -F where the policies are ACCEPT": {
      given: cluster().edit(flushed("filter")),
      repair: "Node/w1",
      says: ["emptied the filter table of node w1: packets pass"],
    },
    "flannel has let packets pass FORWARD again since, as it does within seconds": {
      given: cluster().edit(edits(policy("FORWARD", "DROP"), flushed("filter", /flannel/i))),
      repair: "Node/w1",
      says: ["emptied the filter table of node w1: packets pass"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "kube-proxy in nftables mode": nft,
    "dual stack": dual,
    "one chain of a Service was emptied": cluster().edit(dropRules("w1", /-A KUBE-SVC-/)),
  },
  cannotTell: {
    "node.keep-rules": { "nobody read the rules of w1": cluster().without("iptables", { node: "w1" }) },
  },
});

const rootsOf = (given: Cluster): readonly string[] => {
  return diagnose(given.capture).rootCauses.map(({ id }) => id);
};

it.each<[string, Cluster]>([
  ["the nat table", cluster().edit(flushed("nat"))],
  ["both tables", cluster().edit(edits(flushed("nat"), flushed("filter")))],
  ["the filter table, with policy DROP", cluster().edit(edits(policy("FORWARD", "DROP"), flushed("filter")))],
  [
    "all, with policy DROP everywhere",
    cluster().edit(
      edits(policy("INPUT", "DROP"), policy("FORWARD", "DROP"), policy("OUTPUT", "DROP"), flushed("filter")),
      flushed("nat"),
    ),
  ],
  ["the whole rule set", cluster().edit(nothingLeft)],
])("is the one root of what follows from it: %s", (_, given) => {
  expect(rootsOf(given)).toEqual(["packet-filter-flushed/Node/w1"]);
});

it("owns the tests that failed for it, and what Pods send out of the cluster", () => {
  const given = cluster().edit(
    flushed("nat", undefined, 4, "cp1"),
    probed("client", "dns", "kubernetes.default.svc.cluster.local", "timeout"),
    probed("client", "tcp", "203.0.113.80:80", "timeout"),
  );
  const { rootCauses, unexplained } = diagnose(given.capture);
  expect(rootCauses.map(({ id }) => id)).toEqual(["packet-filter-flushed/Node/cp1"]);
  expect(unexplained).toEqual([]);
});
