import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects } from "../../../testing/cluster-edits.ts";
import { ago, annotated } from "../../../testing/object-states.ts";
import { podSandboxFailing } from "./pod-sandbox-failing.ts";

const FULL = "no IP addresses available in range set: 10.128.2.1-10.128.2.254";

/** A Pod of w2 was made this many seconds ago and waits for its network; the kubelet says why. */
const waits =
  (message: string | undefined, { since = 110, said = 4 } = {}): Edit =>
  (draft) => {
    const fresh = "frontend-5d7c9b6f4-new01";
    const [one] = draft.list("pods").filter(({ metadata }) => metadata.labels?.app === "frontend");
    const { podIP: _, podIPs: __, ...status } = one!.status ?? {};
    const metadata = { ...one!.metadata, name: fresh, creationTimestamp: ago(since) };
    draft.setList("pods", [
      ...draft.list("pods"),
      { ...one!, metadata, spec: { ...one!.spec, nodeName: "w2" }, status: { ...status, phase: "Pending" } },
    ]);
    if (message === undefined) return;
    const sandbox = `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "e40aba21": ${message}`;
    draft.setList("events", [
      {
        metadata: { name: `${fresh}.1`, namespace: "shop" },
        involvedObject: { kind: "Pod", namespace: "shop", name: fresh },
        type: "Warning",
        reason: "FailedCreatePodSandBox",
        message: sandbox,
        firstTimestamp: ago(since),
        lastTimestamp: ago(said),
      },
    ]);
  };
const failing = (message: string, times = {}) => cluster().edit(waits(message, times));
const USED_UP =
  'plugin type="calico" failed (add): failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: [10.245.255.0/29]';
const healedBy = () => cluster();
const pool =
  (cidr: string): Edit =>
  (draft) =>
    draft.setList("ippools", [{ metadata: { name: "small" }, spec: { cidr } }]);

/** The pool has one block, of w2: the tunnel of w1 has an address in it. */
const borrowing: Edit = (draft) => {
  const cidr = "10.245.255.0/29";
  draft.setList("ipamblocks", [
    { metadata: { name: "10-245-255-0-29" }, spec: { cidr, affinity: "host:w2" } },
  ] as never);
  editObjects("nodes", "w1", annotated({ "projectcalico.org/IPv4VXLANTunnelAddr": "10.245.255.2" }))(draft);
  editNode(draft, "routes", "w2", (routes) => [
    ...routes,
    { type: "blackhole", family: "inet", destination: cidr, table: "main", nextHops: [], flags: [] } as const,
  ]);
};

testCheck(podSandboxFailing, {
  finds: {
    "host-local keeps the addresses of Pods that died with the node": {
      given: failing(`plugin type="flannel" failed (add): failed to allocate for range 0: ${FULL}`),
      repair: "Node/w2",
      says: ["Node w2 has no Pod address left in 10.128.2.1-10.128.2.254: 1 Pod waits for one"],
      breaks: ["pod.attach"],
      strength: "direct",
      healedBy,
    },
    "the bridge plugin's binary was removed by an upgrade": {
      given: failing('plugin type="bridge" failed (add): failed to find plugin "bridge" in path [/opt/cni/bin]'),
      repair: "Node/w2",
      says: ['1 Pod on node w2 gets no network: plugin type="bridge" failed (add): failed to find plugin'],
      healedBy,
    },
    "the only IPPool is used up, by the Pods of all nodes": {
      given: failing(USED_UP).edit(pool("10.245.255.0/29")),
      repair: "IPPool/small",
      says: ["IPPool small (10.245.255.0/29) has no address left: 1 Pod waits for one"],
      breaks: ["pod.attach"],
      strength: "direct",
      healedBy,
    },
    "an IPPool that is not among those that were read is used up": {
      given: failing("Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: [10.245.255.0/29]").edit(
        pool("10.9.0.0/16"),
      ),
      repair: "Node/w2",
      says: ["1 Pod on node w2 gets no network"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "a Pod that was made a moment ago": failing(FULL, { since: 10 }),
    "it failed once, and waits for its image since": failing(FULL, { since: 600, said: 400 }),
    "a Pod that waits for a volume": cluster().edit(waits(undefined)),
  },
  cannotTell: {
    "pod.attach": { "we may not read Events": failing(FULL).without("events") },
  },
});

it("cites the block of a used-up pool in which other nodes' tunnels had to find their addresses", () => {
  const { model } = failing(USED_UP).edit(pool("10.245.255.0/29"), borrowing);
  const cited = [...podSandboxFailing.find(model())].flatMap((one) =>
    one.outcome === "fault" ? one.evidence.map(({ quote }) => quote) : [],
  );
  expect(cited).toContain("blackhole 10.245.255.0/29");
  expect(cited).toContain("10.245.255.0/29 is of w2; tunnel addresses in it: w1 10.245.255.2");
});
