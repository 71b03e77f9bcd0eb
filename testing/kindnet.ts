/**
 * The built cluster as kind makes one: kindnet in place of flannel.
 *
 * Source: kubernetes-sigs/kind images/kindnetd (a conflist with the ptp plugin, a route to each other node's range by that
 * node's address, the chain KIND-MASQ-AGENT), pkg/build/nodeimage/const_cni.go, images/base (Docker's resolver under the
 * gateway's address); containernetworking/plugins plugins/main/ptp (a route to each Pod, the range's first address on each
 * device); kube-network-policies pkg/dataplane (the table kindnet-network-policies).
 */
import type { Change } from "../src/model/changes/change.ts";
import { modelOf } from "../src/model/model.ts";
import { formatIp, nthAddress, parseIp, parsePrefix } from "../src/net/ip.ts";
import type { Route } from "../src/parse/iproute2/route.ts";
import { parseNft } from "../src/parse/nftables/json.ts";
import { type Cluster, cluster, editNode } from "./cluster.ts";
import { withReleases } from "./cluster-components.ts";
import { addRules, dropRules, type Edit } from "./cluster-edits.ts";

const POD_SUBNET = "10.128.0.0/9";
const QUEUE = { queue: { num: 101, flags: "bypass" } };
const up = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const match = (left: unknown, right: unknown, op = "==") => ({ match: { op, left, right } });
const accept = { accept: null };

/** What it hands to itself: first packets of the Pods that policies select on the node. */
const QUEUED: Readonly<Record<string, { readonly prio: number; readonly rules: readonly (readonly unknown[])[] }>> = {
  postrouting: {
    prio: 95,
    rules: [
      [match(payload("udp", "dport"), 53), accept],
      [match({ meta: { key: "skuid" } }, 0), { counter: { packets: 9, bytes: 900 } }, accept],
      [
        match({ ct: { key: "state" } }, ["established", "related"], "in"),
        { counter: { packets: 9, bytes: 900 } },
        accept,
      ],
      [match(payload("ip", "saddr"), "@podips-v4"), QUEUE],
      [match(payload("ip", "daddr"), "@podips-v4"), QUEUE],
    ],
  },
  input: {
    prio: 101,
    rules: [
      [match({ meta: { key: "iifname" } }, "lo"), accept],
      [match(payload("ip", "saddr"), "@podips-v4"), match({ ct: { key: "state" } }, "new", "in"), QUEUE],
    ],
  },
  prerouting: {
    prio: -95,
    rules: [
      [match({ meta: { key: "l4proto" } }, "udp", "!="), accept],
      [match(payload("udp", "dport"), 53, "!="), accept],
      [match(payload("ip", "saddr"), "@podips-v4"), QUEUE],
      [match(payload("ip", "daddr"), "@podips-v4"), QUEUE],
    ],
  },
};

/** The table of a node, with the addresses of its Pods that policies select. */
export const queueing =
  (node: string, pods: readonly string[]): Edit =>
  (draft) => {
    const own = { family: "inet", table: "kindnet-network-policies" };
    const set = { ...own, name: "podips-v4", type: "ipv4_addr", handle: 2, ...(pods.length > 0 && { elem: pods }) };
    const items = [
      { table: { family: "inet", name: own.table, handle: 900 } },
      { set },
      ...Object.entries(QUEUED).map(([hook, { prio }], at) => ({
        chain: { ...own, name: hook, handle: 10 + at, type: "filter", hook, prio, policy: "accept" },
      })),
      ...Object.entries(QUEUED).flatMap(([chain, { rules }], at) =>
        rules.map((expr, n) => ({ rule: { ...own, chain, handle: 100 * at + n, expr } })),
      ),
    ];
    const { value } = parseNft(JSON.stringify({ nftables: items }));
    editNode(draft, "nftables", node, (before) => ({
      ...before,
      tables: [...before.tables.filter(({ name }) => name !== own.table), ...value.tables],
    }));
  };

const hop = (destination: string, more: Partial<Route>): Route => ({
  ...{ type: "unicast", family: "inet", destination, table: "main", protocol: "boot", flags: [], nextHops: [] },
  ...more,
});

/** The ptp plugin in place of a bridge, and routes in place of a tunnel. */
const pointToPoint: Edit = (draft) => {
  const ranges = new Map(draft.list("nodes").map(({ metadata, spec }) => [metadata.name, spec?.podCIDR ?? ""]));
  const addresses = new Map(
    draft.list("nodes").map(({ metadata, status }) => [metadata.name, status?.addresses?.[0]?.address ?? ""]),
  );
  for (const [node, range] of ranges) {
    const place = { node };
    const gateway = formatIp(nthAddress(parsePrefix(range)!, 1));
    const pods = draft
      .list("pods")
      .filter(({ spec }) => spec.nodeName === node && !spec.hostNetwork)
      .map(({ metadata, status }) => ({
        at: { node, namespace: metadata.namespace ?? "", pod: metadata.name },
        address: status?.podIP ?? "",
      }));
    const indexes = pods.map(({ at }) => draft.get("podLinks", at)?.[0]?.peerIndex ?? 0);
    const isPaired = (index: number) => indexes.includes(index);
    const isKept = (name: string) => name === "lo" || name === "eth0";
    editNode(draft, "links", node, (all) =>
      all.flatMap(({ master: _, ...link }) =>
        isKept(link.name)
          ? link
          : isPaired(link.index)
            ? {
                ...link,
                mtu: 1500,
                flags: up,
                addresses: [{ family: "inet" as const, local: gateway, prefixLength: 32, scope: "global" }],
              }
            : [],
      ),
    );
    const nameOf = (index: number) => draft.get("links", place)!.find((link) => link.index === index)!.name;
    const devices = pods.map((_, n) => nameOf(indexes[n]!));
    editNode(draft, "routes", node, (all) => [
      ...all.filter(({ nextHops }) => nextHops.every(({ device = "" }) => isKept(device))),
      ...[...ranges].flatMap(([other, to]) =>
        other === node
          ? []
          : hop(to, { nextHops: [{ gateway: addresses.get(other)!, device: "eth0", flags: [] }], scope: "global" }),
      ),
      ...pods.map(({ address }, n) =>
        hop(`${address}/32`, { nextHops: [{ device: devices[n]!, flags: [] }], scope: "host" }),
      ),
      ...devices.slice(0, 1).map((device) =>
        hop(`${gateway}/32`, {
          ...{ type: "local", table: "local", protocol: "kernel", scope: "host", source: gateway },
          nextHops: [{ device, flags: [] }],
        }),
      ),
    ]);
    for (const kind of ["neighbours", "fdb", "bridgePorts"] as const) draft.set(kind, place, []);
    for (const { at, address } of pods) {
      const to = { gateway, device: "eth0", flags: [] };
      editNodePod(draft, at, address, range);
      draft.set("podRoutes", at, [
        hop("0.0.0.0/0", { nextHops: [to], scope: "global" }),
        hop(range, { nextHops: [to], scope: "global", source: address }),
        hop(`${gateway}/32`, { nextHops: [{ device: "eth0", flags: [] }], scope: "link", source: address }),
      ]);
    }
    draft.set(
      "cniConfig",
      { node, file: "10-kindnet.conflist" },
      {
        name: "kindnet",
        cniVersion: "0.3.1",
        plugins: [{ type: "ptp", mtu: 1500, ipam: { type: "host-local", subnets: [range] } }, { type: "portmap" }],
      },
    );
  }
};

type PodPlace = { readonly node: string; readonly namespace: string; readonly pod: string };

function editNodePod(draft: Parameters<Edit>[0], at: PodPlace, address: string, range: string): void {
  const prefixLength = parsePrefix(range)!.length;
  const links = draft.get("podLinks", at) ?? [];
  draft.set(
    "podLinks",
    at,
    links.map((link) => ({
      ...link,
      mtu: 1500,
      addresses: [{ family: "inet" as const, local: formatIp(parseIp(address)!), prefixLength, scope: "global" }],
    })),
  );
}

const MASQUERADE = [
  `-A KIND-MASQ-AGENT -d ${POD_SUBNET} -m comment --comment "kind-masq-agent: local traffic is not subject to MASQUERADE" -j RETURN`,
  '-A KIND-MASQ-AGENT -m comment --comment "kind-masq-agent: outbound traffic is subject to MASQUERADE (must be last in chain)" -j MASQUERADE',
  '-A POSTROUTING -m addrtype ! --dst-type LOCAL -m comment --comment "kind-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom KIND-MASQ-AGENT chain" -j KIND-MASQ-AGENT',
];

/** What kindnetd writes into the nat table of its node. */
export const masquerading = (node: string): Edit => addRules(node, "nat", ...MASQUERADE);

/** Docker's resolver in a node, as kind's entrypoint makes it reachable for Pods. */
const resolver = (gateway: string) => [
  `-A PREROUTING -d ${gateway}/32 -j DOCKER_OUTPUT`,
  `-A OUTPUT -d ${gateway}/32 -j DOCKER_OUTPUT`,
  `-A POSTROUTING -d ${gateway}/32 -j DOCKER_POSTROUTING`,
  `-A DOCKER_OUTPUT -d ${gateway}/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:42029`,
  `-A DOCKER_OUTPUT -d ${gateway}/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:45217`,
  `-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 42029 -j SNAT --to-source ${gateway}:53`,
  `-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport 45217 -j SNAT --to-source ${gateway}:53`,
];

const GATEWAY = "172.16.255.254";

/** The table of each node as kindnetd makes it of the policies that are there. */
const policiesQueued: Edit = (draft) => {
  const model = modelOf(draft.capture());
  for (const { name } of model.nodes.all) {
    const selected = model.policies.all.flatMap((policy) => model.policies.selected(policy));
    const own = selected.filter(({ node }) => node === name).flatMap(({ addresses }) => addresses);
    queueing(name, [...new Set(own)])(draft);
  }
};

const LISTS = [
  "daemonsets",
  "pods",
  "configmaps",
  "serviceaccounts",
  "clusterroles",
  "clusterrolebindings",
  "namespaces",
] as const;

const withoutFlannel: Edit = (draft) => {
  for (const list of LISTS)
    draft.setList(
      list,
      draft.list(list).filter(({ metadata }) => !/flannel/.test(`${metadata.namespace} ${metadata.name}`)) as never,
    );
  draft.setList(
    "nodes",
    draft.list("nodes").map(({ metadata, ...node }) => ({ ...node, metadata: { ...metadata, annotations: {} } })),
  );
};

/** @param changes NetworkPolicies, say, of which the nodes' tables are made */
export function kindCluster(...changes: readonly Change[]): Cluster {
  const made = withReleases(cluster().edit(withoutFlannel), [["kindnet", "any"]])
    .with(...changes)
    .edit(pointToPoint, policiesQueued);
  const nodes = made.model().nodes.all.map(({ name }) => name);
  const rules = nodes.flatMap((node) => [
    dropRules(node, /FLANNEL/),
    masquerading(node),
    addRules(node, "nat", ...resolver(GATEWAY)),
  ]);
  const file = "10-flannel.conflist";
  return nodes
    .reduce((all, node) => all.without("cniConfig", { node, file }), made.edit(...rules))
    .without("subnetEnv");
}
