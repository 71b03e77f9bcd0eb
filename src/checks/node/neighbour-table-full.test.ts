import { testCheck } from "../../../testing/check-stories.ts";
import { type Cluster, cluster, editNode } from "../../../testing/cluster.ts";
import type { Edit } from "../../../testing/cluster-edits.ts";
import { parseKernelLog } from "../../parse/logs/kernel.ts";
import { neighbourTableFull } from "./neighbour-table-full.ts";

const limited =
  (max: number): Edit =>
  (draft) =>
    editNode(draft, "sysctls", "w1", (all) =>
      new Map(all).set("net.ipv4.neigh.default.gc_thresh3", { value: String(max), line: 900 }),
    );

/** Hosts of the node's segment to which it speaks. */
const speakingTo =
  (hosts: number, states: readonly string[] = ["STALE"]): Edit =>
  (draft) =>
    editNode(draft, "neighbours", "w1", (all) => [
      ...all,
      ...Array.from({ length: hosts }, (_, index) => ({
        address: `172.20.${index >> 8}.${index & 255}`,
        device: "eth0",
        mac: "02:00:00:00:00:01",
        states,
      })),
    ]);

/** What net/core/neighbour.c prints. */
const LINE = "neighbour: arp_cache: neighbor table overflow!";
const kernelSays =
  (sinceBoot: number, uptime: number): Edit =>
  (draft) => {
    const text = `[${sinceBoot.toFixed(6)}] ${LINE}\n[${(sinceBoot + 5).toFixed(6)}] net_ratelimit: 118 callbacks suppressed\n`;
    draft.set("kernelLog", { node: "w1" }, parseKernelLog(text).value);
    draft.set("uptime", { node: "w1" }, uptime);
  };

const full = cluster().edit(limited(1024), speakingTo(1024));

testCheck(neighbourTableFull, {
  finds: {
    "a scan of the segment fills the table of w1": {
      given: full,
      repair: "Node/w1",
      says: ["The IPv4 neighbour table of node w1 is full", "of 1024"],
      breaks: ["node.neighbours"],
      strength: "direct",
      healedBy: (broken: Cluster) => broken.edit(limited(8192)),
    },
    "the kernel log said so two minutes ago": {
      given: cluster().edit(kernelSays(5000, 5120)),
      repair: "Node/w1",
      says: ["The neighbour table of node w1 overflows"],
      strength: "heard",
      healedBy: () => cluster(),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a large table with room": cluster().edit(limited(8192), speakingTo(4000)),
    "entries that were put in for good are not counted": cluster().edit(limited(1024), speakingTo(2000, ["PERMANENT"])),
  },
  cannotTell: {
    "node.neighbours": {
      "the kernel log has no time to compare with": cluster().edit(kernelSays(5000, 5120)).without("uptime"),
      "nobody looked at the kernel log": cluster().without("kernelLog"),
    },
  },
  remembers: { "the limit was raised yesterday": cluster().edit(kernelSays(5000, 90_000)) },
});
