import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects, editPods } from "../../../testing/cluster-edits.ts";
import { ago, annotated, waiting } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { podSandboxFailing } from "./pod-sandbox-failing.ts";

const FULL = "no IP addresses available in range set: 10.128.2.1-10.128.2.254";

const NEW = "frontend-5d7c9b6f4-new01";
const OLD = "frontend-5d7c9b6f4-old01";

/** A Pod of w2 was made this many seconds ago and waits for its network; the kubelet says why. */
const waits =
  (
    message: string | undefined,
    { since = 110, said = 4, before = 'failed to setup network for sandbox "e40aba21": ', fresh = NEW } = {},
  ): Edit =>
  (draft) => {
    const [one] = draft.list("pods").filter(({ metadata }) => metadata.labels?.app === "frontend");
    const { podIP: _, podIPs: __, ...status } = one!.status ?? {};
    const metadata = { ...one!.metadata, name: fresh, creationTimestamp: ago(since) };
    draft.setList("pods", [
      ...draft.list("pods"),
      { ...one!, metadata, spec: { ...one!.spec, nodeName: "w2" }, status: { ...status, phase: "Pending" } },
    ]);
    if (message === undefined) return;
    const sandbox = `Failed to create pod sandbox: rpc error: code = Unknown desc = ${before}${message}`;
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
/** And something more was said of it. */
const event =
  (reason: string, message: string, said: number, name = NEW): Edit =>
  (draft) => {
    const involvedObject = { kind: "Pod", namespace: "shop", name };
    const metadata = { name: `more.${reason}`, namespace: "shop" };
    const times = { firstTimestamp: ago(300), lastTimestamp: ago(said) };
    draft.setList("events", [...draft.list("events"), { metadata, involvedObject, reason, message, ...times }]);
  };
/** Another has an address, and was deleted minutes ago. */
const ending: Edit = (draft) => {
  waits(undefined, { fresh: OLD })(draft);
  draft.setList(
    "pods",
    draft.list("pods").map((pod) =>
      pod.metadata.name === OLD
        ? {
            ...pod,
            metadata: { ...pod.metadata, deletionTimestamp: ago(200) },
            status: { ...pod.status, phase: "Running", podIP: "10.128.2.77", podIPs: [{ ip: "10.128.2.77" }] },
          }
        : pod,
    ),
  );
};
const UNAUTHORIZED = "error getting ClusterInformation: connection is unauthorized: Unauthorized";
const NO_FLANNEL = 'plugin type="flannel" failed (delete): failed to find plugin "flannel" in path [/opt/cni/bin]';
const KILL = (said: string) =>
  `error killing pod: failed to "KillPodSandbox" for "9e0b" with KillPodSandboxError: "rpc error: code = Unknown desc = failed to destroy network for sandbox \\"d87a\\": ${said.replaceAll('"', '\\"')}"`;
const failing = (message: string, times = {}) => cluster().edit(waits(message, times));
const USED_UP =
  'plugin type="calico" failed (add): failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: [10.245.255.0/29]';
const UNSELECTED = 'plugin type="calico" failed (add): no configured Calico pools for node w2';
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
    "the only pool was given a selector that no node meets": {
      given: cluster().edit(waits(UNSELECTED), (draft) =>
        draft.setList("ippools", [
          { metadata: { name: "main" }, spec: { cidr: "10.128.0.0/9", nodeSelector: 'zone == "a"' } },
        ]),
      ),
      repair: "IPPool/main",
      says: ['IPPool main is for nodes with zone == "a" only, and no other for w2'],
      breaks: ["pod.attach"],
      healedBy,
    },
    "a pool for all nodes is there, and Calico says there is none: that is not the pool's": {
      given: cluster().edit(waits(UNSELECTED), (draft) =>
        draft.setList("ippools", [
          { metadata: { name: "main" }, spec: { cidr: "10.128.0.0/9", nodeSelector: "all()" } },
        ]),
      ),
      repair: "Node/w2",
      says: ["no configured Calico pools"],
      healedBy,
    },
    "a kubelet of 1.23, with Docker, after the node got another Pod range": {
      given: cluster().edit(
        waits('failed to set bridge addr: "cni0" already has an IP address different from 10.128.2.1/24', {
          before:
            'failed to set up sandbox container "e5b0" network for pod "frontend-1": networkPlugin cni failed to set up pod "frontend-1_shop" network: ',
        }),
      ),
      repair: "Node/w2",
      says: ["1 Pod on node w2 gets no network: failed to set bridge addr"],
      healedBy,
    },
    "CRI-O, whose plugin is not allowed to ask": {
      given: cluster().edit(
        waits('plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized', {
          before:
            'failed to create pod network sandbox k8s_frontend-1_shop_5f2e_0(5a1c): error adding pod shop_frontend-1 to CNI network "k8s-pod-network": ',
        }),
      ),
      repair: "Node/w2",
      says: ['1 Pod on node w2 gets no network: plugin type="calico" failed (add): error getting ClusterInformation'],
      healedBy,
    },
    "the bridge plugin's binary was removed by an upgrade": {
      given: failing('plugin type="bridge" failed (add): failed to find plugin "bridge" in path [/opt/cni/bin]'),
      repair: "Node/w2",
      says: ["Node w2 has no CNI plugin bridge in /opt/cni/bin: 1 Pod waits there"],
      healedBy,
    },
    "the bridge has the address of a range that the node had before": {
      given: failing(
        'plugin type="flannel" failed (add): failed to set bridge addr: "cni0" already has an IP address different from 10.128.2.1/24',
      ),
      repair: "Node/w2",
      says: ["1 Pod on node w2 gets no network", '"cni0" already has an IP address different from 10.128.2.1/24'],
      healedBy,
    },
    "flannel's binary was removed: what was begun cannot be taken away, and the kubelet complains only once": {
      given: failing(NO_FLANNEL, { since: 600, said: 600 }).edit(event("SandboxChanged", "Pod sandbox changed", 3)),
      repair: "Node/w2",
      says: ["Node w2 has no CNI plugin flannel in /opt/cni/bin: 1 Pod waits there"],
      healedBy,
    },
    "flannel's binary was removed, and a Pod that is deleted does not end": {
      given: cluster().edit(ending, event("FailedKillPod", KILL(NO_FLANNEL), 3, OLD)),
      repair: "Node/w2",
      says: ["Node w2 has no CNI plugin flannel in /opt/cni/bin: 1 Pod waits there"],
      healedBy,
    },
    "Calico's plugin has a token that is not accepted: new Pods wait, and those that are deleted do not end": {
      given: failing(`plugin type="calico" failed (add): ${UNAUTHORIZED}`).edit(
        ending,
        event("FailedKillPod", KILL(`plugin type="calico" failed (delete): ${UNAUTHORIZED}`), 3, OLD),
      ),
      repair: "Node/w2",
      says: ['2 Pods on node w2 get no network: plugin type="calico" failed (add): error getting ClusterInformation'],
      breaks: ["pod.attach", "pod.release"],
      healedBy,
    },
    "a Pod that is deleted does not end, as the plugin does not reach its daemon": {
      given: cluster().edit(ending, event("FailedKillPod", KILL("unable to connect to Cilium agent"), 3, OLD)),
      repair: "Node/w2",
      says: ["1 Pod on node w2 cannot give its network back, and does not end: unable to connect to Cilium agent"],
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
    "a Pod that is deleted, and still within its grace": cluster().edit(
      ending,
      event("FailedKillPod", "error killing pod: context deadline exceeded", 3, OLD),
    ),
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

it("is the one root of a Service whose Pods wait for their network", () => {
  const unmade: Edit = (draft) =>
    draft.setList(
      "pods",
      draft
        .list("pods")
        .filter(({ metadata }) => metadata.labels?.app !== "frontend" || metadata.name.endsWith("new01")),
    );
  const { rootCauses, warnings } = diagnose(
    cluster().edit(
      waits(
        'plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized',
      ),
      unmade,
      editObjects("endpointslices", "frontend-00000", (slice) => ({ ...slice, endpoints: [] })),
      editPods("frontend", waiting("ContainerCreating")),
    ).capture,
  );
  const roots = rootCauses.map(({ check }) => check).filter((check) => !check.startsWith("service-rules"));
  expect(roots).toEqual(["pod-sandbox-failing"]);
  expect(warnings).toEqual([]);
});
