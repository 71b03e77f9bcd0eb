import { calicoCluster, editPool, POOL } from "../../../testing/calico.ts";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built, type Cluster } from "../../../testing/cluster.ts";
import type { ConntrackEntry } from "../../parse/conntrack/entries.ts";
import { ipPoolMasqueradeOff } from "./ip-pool-masquerade-off.ts";

const healthy = await calicoCluster();

/** Queries of CoreDNS on w1 to a server outside. */
const asked = (given: Cluster, replied: boolean, source = "10.244.190.66"): Cluster =>
  given.edit((draft) => {
    const entries = [1, 2, 3].map(
      (line): ConntrackEntry => ({
        line,
        protocol: "udp",
        secondsLeft: 20,
        assured: false,
        replied,
        original: { source, destination: "198.51.100.53", sourcePort: 40_000 + line, destinationPort: 53 },
        reply: { source: "198.51.100.53", destination: source, sourcePort: 53, destinationPort: 40_000 + line },
      }),
    );
    for (const node of ["cp1", "w1", "w2"]) draft.set("conntrack", { node }, node === "w1" ? entries : []);
  });
const off = healthy.edit(editPool({ natOutgoing: false }));

testCheck(ipPoolMasqueradeOff, {
  finds: {
    "a pool was made without natOutgoing": {
      given: asked(off, false),
      repair: `IPPool/${POOL}`,
      says: ["natOutgoing of IPPool default-ipv4-ippool is off"],
      breaks: ["node.masquerade"],
      strength: "direct",
    },
  },
  clears: {
    "as it was installed": asked(healthy, false),
    "routers outside know the Pods": asked(off, true),
    "the server answers not even the node": asked(off, false, "192.168.50.11"),
    "a cluster with flannel": built(),
  },
  cannotTell: {
    "node.masquerade": { "connection tracking was not read": asked(off, false).without("conntrack") },
  },
});
