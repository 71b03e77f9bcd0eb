import { testCheck } from "../../../testing/check-stories.ts";
import { cluster as built, clusterOf, editNode } from "../../../testing/cluster.ts";
import { type Edit, editObjects } from "../../../testing/cluster-edits.ts";
import { captureOf, readRecording } from "../../../testing/recordings.ts";
import type { KindId, ValueOf } from "../../evidence/catalogue.ts";
import { canonicalIp, parsePrefix } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import { ciliumTableMismatch } from "./cilium-table-mismatch.ts";

/** What the check looks at: the rest takes long to read. */
const LOOKED_AT =
  /^(cluster\.json|exec|nodes\/\w+\/ip-|api\/v1\/(pods|nodes|services|configmaps)|apis\/(apps|discovery))/;
const { files } = await readRecording("cilium-healthy");
const healthy = clusterOf(captureOf(new Map([...files].filter(([path]) => LOOKED_AT.test(path)))));

/** cp1's agent. */
const AGENT = { namespace: "kube-system", pod: "cilium-79fv6" };
/** Of cp1's only Pod of the Pod network. */
const CLIENT = "tools/client-wnls8";

const onCp1 =
  <K extends KindId>(kind: K, change: (value: ValueOf<K>) => ValueOf<K>): Edit =>
  (draft) => {
    const value = draft.get(kind, AGENT);
    if (value === undefined) throw new Error(`no ${kind} of cp1`);
    draft.set(kind, AGENT, change(value));
  };
const withoutEndpoint = onCp1("ciliumEndpoints", (all) => all.filter(({ pod }) => pod !== CLIENT));
const backends = (change: (addresses: readonly string[]) => readonly string[]): Edit =>
  onCp1("ciliumLb", (all) =>
    all.map((frontend) =>
      frontend.address === "10.96.132.190" && frontend.port === 8080
        ? {
            ...frontend,
            backends: change(frontend.backends.map(({ address }) => address)).map((address, index) => ({
              address,
              port: 8080,
              slot: index + 1,
              line: frontend.line,
            })),
          }
        : frontend,
    ),
  );

const withLink =
  (name: string, change: (link: Link) => Link | undefined): Edit =>
  (draft) =>
    editNode(draft, "links", "cp1", (links) =>
      links.flatMap((link) => (link.name === name ? (change(link) ?? []) : link)),
    );

const geneveWanted = editObjects("configmaps", "cilium-config", (map) => ({
  ...map,
  data: { ...map.data, "tunnel-protocol": "geneve" },
}));
const geneveOnW1: Edit = (draft) =>
  editNode(draft, "links", "w1", (links) =>
    links.map((link) => (link.name === "cilium_vxlan" ? { ...link, name: "cilium_geneve" } : link)),
  );

const six = (text: string): string =>
  canonicalIp(`fd00::${text.split(".").slice(0, 2).join(":")}:${text.split(".").slice(2).join(":")}`)!;

/** All that the recorded cluster has of IPv4 in IPv6 as well: 10.244.2.7 is fd00::10:244:2:7. */
const dual = healthy.edit(
  (draft) => {
    draft.setList(
      "services",
      draft.list("services").map((one) => {
        const own = one.spec.clusterIP;
        const ips = own && own !== "None" ? { clusterIPs: [own, six(own)], ipFamilies: ["IPv4", "IPv6"] } : {};
        return { ...one, spec: { ...one.spec, ...ips } };
      }),
    );
    draft.setList(
      "endpointslices",
      draft.list("endpointslices").flatMap((one) => [
        one,
        {
          ...one,
          metadata: { ...one.metadata, name: `${one.metadata.name}-v6` },
          addressType: "IPv6",
          endpoints: (one.endpoints ?? []).map((end) => ({ ...end, addresses: (end.addresses ?? []).map(six) })),
        },
      ]),
    );
    draft.setList(
      "pods",
      draft.list("pods").map((one) => {
        const own = one.status?.podIP;
        return own ? { ...one, status: { ...one.status, podIPs: [{ ip: own }, { ip: six(own) }] } } : one;
      }),
    );
  },
  (draft) => {
    for (const { place } of healthy.capture.all("ciliumLb")) {
      const lb = draft.get("ciliumLb", place) ?? [];
      const toSix = <T extends { readonly address: string }>(end: T): T => ({ ...end, address: six(end.address) });
      const added = lb.map((one) => ({ ...toSix(one), backends: one.backends.map(toSix) }));
      draft.set("ciliumLb", place, [...lb, ...added]);
      const ipcache = draft.get("ciliumIpcache", place) ?? [];
      const known = ipcache.filter(({ prefix }) => prefix.length === 32);
      const entries = known.map((one) => {
        const text = `${six(one.text.split("/")[0]!)}/128`;
        return { ...one, text, prefix: parsePrefix(text)! };
      });
      draft.set("ciliumIpcache", place, [...ipcache, ...entries]);
    }
  },
);

testCheck(ciliumTableMismatch, {
  finds: {
    "a Pod is older than Cilium": {
      given: healthy.edit(withoutEndpoint),
      repair: "Node/cp1",
      says: ["has no endpoint for 1 Pod", CLIENT],
      breaks: ["pod.attach"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "the agent does not follow: a back end is another's by now": {
      given: healthy.edit(backends((all) => all.with(0, "10.244.2.99"))),
      repair: "Node/cp1",
      says: ["sends Service shop/backend:http to 10.244.2.99:8080"],
      breaks: ["service.rules"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "the agent does not follow: a new back end is not among those of the Service": {
      given: healthy.edit(backends((all) => all.slice(1))),
      repair: "Node/cp1",
      says: ["leaves out back ends of Service shop/backend:http"],
      breaks: ["service.rules"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "a Service was lost": {
      given: healthy.edit(onCp1("ciliumLb", (all) => all.filter(({ address }) => address !== "10.96.0.10"))),
      repair: "Node/cp1",
      says: ["does not know Service kube-system/kube-dns"],
      breaks: ["service.rules"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "of a dual-stack Service, IPv6 alone does not follow": {
      given: dual.edit(onCp1("ciliumLb", (all) => all.filter(({ address }) => address !== six("10.96.0.10")))),
      repair: "Node/cp1",
      says: ["does not know Service kube-system/kube-dns", "(IPv6)"],
      breaks: ["service.rules"],
      healedBy: () => dual,
    },
    "over IPv6, a node's Pods are looked for behind another": {
      given: dual.edit(
        onCp1("ciliumIpcache", (all) =>
          all.map((entry) =>
            entry.prefix.ip.family === 6 && entry.tunnelEndpoint === "192.168.50.12"
              ? { ...entry, tunnelEndpoint: "192.168.50.77" }
              : entry,
          ),
        ),
      ),
      repair: "Node/cp1",
      says: ["sends packets for Pods of node w2 to 192.168.50.77", "(IPv6)"],
      breaks: ["pod-network.entries"],
      healedBy: () => dual,
    },
    "no tunnel leads to a node": {
      given: healthy
        .edit(onCp1("ciliumIpcache", (all) => all.filter(({ tunnelEndpoint }) => tunnelEndpoint !== "192.168.50.12")))
        .edit(onCp1("ciliumTunnels", (all) => all.filter(({ to }) => to !== "192.168.50.12"))),
      repair: "Node/cp1",
      says: ["has no tunnel to the Pods of node w2"],
      breaks: ["pod-network.entries"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "a network manager has set the tunnel's device down": {
      given: healthy.edit(withLink("cilium_vxlan", (link) => ({ ...link, flags: ["BROADCAST", "MULTICAST"] }))),
      repair: "Node/cp1",
      says: ["Cilium's device cilium_vxlan on node cp1 is down"],
      breaks: ["node.tunnel"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "the tunnel's protocol was changed, and only w1's agent was started since": {
      given: healthy.edit(geneveWanted, geneveOnW1),
      repair: "Node/cp1",
      says: ["Cilium's device cilium_geneve on node cp1 is missing"],
      breaks: ["node.tunnel"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "somebody deleted the pair of devices by which the node reaches Pods": {
      given: healthy.edit(
        withLink("cilium_host", () => undefined),
        withLink("cilium_net", () => undefined),
      ),
      repair: "Node/cp1",
      says: ["Cilium's device cilium_host on node cp1 is missing"],
      breaks: ["pod.attach"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "answers to what another node sends itself go astray": {
      given: healthy.edit(
        onCp1("ciliumIpcache", (all) =>
          all.map((entry) =>
            entry.identity === 6 && entry.tunnelEndpoint === "192.168.50.12"
              ? { ...entry, tunnelEndpoint: "192.168.50.77" }
              : entry,
          ),
        ),
      ),
      repair: "Node/cp1",
      says: ["sends packets for Pods of node w2 to 192.168.50.77"],
      breaks: ["pod-network.entries"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "addresses leaked, and the next Pod gets none": {
      given: healthy.edit(
        onCp1("ciliumStatus", (status) => ({
          ...status,
          podRanges: status.podRanges.map((one) => ({ ...one, given: one.total })),
        })),
      ),
      repair: "Node/cp1",
      says: [
        "Cilium on node cp1 has no Pod address left: all 254 of 10.244.0.0/24 are given away, while 1 Pod has one",
      ],
      breaks: ["pod-network.config"],
      strength: "differing",
      healedBy: () => healthy,
    },
    "a node has got the address of another": {
      given: healthy.edit(
        onCp1("ciliumIpcache", (all) =>
          all.map((entry) =>
            entry.tunnelEndpoint === "192.168.50.12" ? { ...entry, tunnelEndpoint: "192.168.50.77" } : entry,
          ),
        ),
      ),
      repair: "Node/cp1",
      says: ["sends packets for Pods of node w2 to 192.168.50.77"],
      breaks: ["pod-network.entries"],
      strength: "differing",
      healedBy: () => healthy,
    },
  },
  clears: {
    "what an agent prints in a healthy cluster": healthy,
    "the tunnel's protocol was changed, and no agent was started since": healthy.edit(geneveWanted),
    "the same in both families": dual,
    "Services and Pods of both families, where the agent has one": dual.edit(
      onCp1("ciliumLb", (all) => all.filter(({ address }) => !address.includes(":"))),
      onCp1("ciliumIpcache", (all) => all.filter(({ prefix }) => prefix.ip.family === 4)),
    ),
    "flannel, of which Cilium knows nothing": built(),
    "an address without an entry, in a range that a tunnel leads to": healthy.edit(
      onCp1("ciliumIpcache", (all) => all.filter(({ text }) => text !== "10.244.1.28/32")),
    ),
    "a Pod that has just been made": healthy.edit(withoutEndpoint).edit(
      editObjects("pods", "client-wnls8", (pod) => ({
        ...pod,
        metadata: { ...pod.metadata, creationTimestamp: "2026-11-21T14:03:00Z" },
      })),
    ),
  },
});
