/**
 * What happens to clusters, as edits of their evidence, in the words in which stories tell it:
 *
 *   cluster().edit(addRules("w1", "mangle", "-A PREROUTING -d 10.96.10.1/32 -j DROP"))
 *   cluster().edit(editPods("coredns", crashing()), said("coredns", ["plugin/loop: Loop …"]))
 */
import { catalogue, type ListId, type ObjectOf } from "../src/evidence/catalogue.ts";
import type { ManifestObject } from "../src/model/changes/change.ts";
import type { Draft } from "../src/model/changes/changes.ts";
import { modelOf } from "../src/model/model.ts";
import { type Family, formatIp } from "../src/net/ip.ts";
import type { Route } from "../src/parse/iproute2/route.ts";
import type { SocketProtocol } from "../src/parse/iproute2/ss.ts";
import { printIptablesSave } from "../src/parse/iptables/print.ts";
import { type IptablesSave, parseIptablesSave } from "../src/parse/iptables/save.ts";
import type { VirtualServer } from "../src/parse/ipvsadm.ts";
import { type NftElement, type NftRule, type NftTable, parseNft } from "../src/parse/nftables/json.ts";
import { printNftRule } from "../src/parse/nftables/print.ts";
import type { Pod, Workload } from "../src/parse/objects.ts";
import type { Reader } from "../src/parse/parsed.ts";
import type { Probe } from "../src/parse/probes.ts";
import { editNode } from "./cluster.ts";
import { localRoute, logOf, NOW } from "./cluster-nodes.ts";
import { workload } from "./cluster-objects.ts";

export type Edit = (draft: Draft) => void;

export const edits =
  (...all: readonly Edit[]): Edit =>
  (draft) => {
    for (const edit of all) edit(draft);
  };

type Named = { readonly metadata: { readonly name: string } };

/** Changes the objects of a list that have this name; `undefined` removes them. */
export function editObjects<K extends ListId>(
  list: K,
  name: string,
  change: (object: ObjectOf<K>) => ObjectOf<K> | undefined,
): Edit {
  return (draft) => {
    const objects = draft.list(list);
    const isMeant = (object: ObjectOf<K>) => (object as Named).metadata.name === name;
    if (!objects.some(isMeant)) throw new Error(`the built cluster has no ${name} among its ${list}`);
    draft.setList(
      list,
      objects.flatMap((object) => (isMeant(object) ? (change(object) ?? []) : object)),
    );
  };
}

export function addObjects<K extends ListId>(list: K, ...objects: readonly ObjectOf<K>[]): Edit {
  return (draft) => draft.setList(list, [...draft.list(list), ...objects]);
}

/** The Pods of a workload, on one node or on all. */
function podsOf(draft: Draft, owner: string, node?: string): readonly Pod[] {
  const pods = draft
    .list("pods")
    .filter(({ metadata, spec }) => metadata.name.startsWith(`${owner}-`) && (!node || spec.nodeName === node));
  if (pods.length === 0) throw new Error(`the built cluster has no Pods of ${owner} on ${node ?? "any node"}`);
  return pods;
}

/** Changes the Pods of a workload, on one node or on all; `undefined` removes them. */
export function editPods(owner: string, change: (pod: Pod) => Pod | undefined, node?: string): Edit {
  return (draft) => {
    const meant = new Set(podsOf(draft, owner, node));
    draft.setList(
      "pods",
      draft.list("pods").flatMap((pod) => (meant.has(pod) ? (change(pod) ?? []) : pod)),
    );
  };
}

/** Changes one file of a ConfigMap. */
export const editConfig = (map: string, file: string, change: (text: string) => string): Edit =>
  editObjects("configmaps", map, (object) => ({
    ...object,
    data: { ...object.data, [file]: change(object.data?.[file] ?? "") },
  }));

/** The change by which a workload is installed. */
export const installed = (kind: "DaemonSet" | "Deployment" | "StatefulSet", made: Workload) =>
  ({ do: "apply", object: { apiVersion: "apps/v1", kind, ...made } as ManifestObject }) as const;

/** An agent that runs on every node, on its network. */
export const agent = (name: string, image: string): Workload =>
  workload(
    name,
    "kube-system",
    { "k8s-app": name },
    { hostNetwork: true, tolerations: [{ operator: "Exists" }], containers: [{ name, image }] },
  );

/** The change by which a NetworkPolicy of the shop is made. */
export const networkPolicy = (name: string, spec: object) =>
  ({
    do: "apply",
    object: { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name, namespace: "shop" }, spec },
  }) as const;

/** Nobody has renewed a lease since. @param at RFC 3339 */
export const leasesRenewed =
  (at: string): Edit =>
  (draft) =>
    draft.setList(
      "leases",
      draft.list("leases").map((lease) => ({ ...lease, spec: { ...lease.spec, renewTime: at } })),
    );

/** The Pods of a workload listen on these sockets, of TCP if not said, and no others. */
export function listening(
  owner: string,
  sockets: readonly (readonly [address: string, port: number, protocol?: SocketProtocol])[],
  node?: string,
): Edit {
  const processes = [{ name: "app", pid: 1 }];
  const listed = sockets.map(([address, port, protocol = "tcp"], index) => ({
    ...{ protocol, address, port, processes },
    line: index + 1,
  }));
  return (draft) => {
    for (const { metadata, spec } of podsOf(draft, owner, node)) {
      const place = { node: spec.nodeName!, namespace: metadata.namespace!, pod: metadata.name };
      draft.set("podSockets", place, listed);
    }
  };
}

/** What the containers of a workload's Pods said. */
export function said(owner: string, messages: readonly string[], at = NOW, node?: string): Edit {
  return (draft) => {
    for (const { metadata, spec } of podsOf(draft, owner, node)) {
      const place = { namespace: metadata.namespace!, pod: metadata.name, container: spec.containers[0]!.name };
      draft.set("containerLog", place, logOf(messages, at));
    }
  };
}

/** Events about an object, one for each message. */
export function addEvents(
  involvedObject: { readonly kind: string; readonly namespace?: string; readonly name: string },
  reason: string,
  messages: readonly string[],
  at = NOW,
): Edit {
  const events = messages.map((message, index) => ({
    metadata: { name: `${involvedObject.name}.${index}`, namespace: involvedObject.namespace ?? "default" },
    ...{ involvedObject, reason, message, lastTimestamp: at },
  }));
  return addObjects("events", ...events);
}

/** What a workload's Pods expose as metrics, a sample a line. */
export function exposing(owner: string, kind: "dnsMetrics", samples: readonly string[]): Edit {
  return (draft) => {
    for (const { metadata } of podsOf(draft, owner)) {
      const reader = catalogue[kind].open();
      reader.write(samples.map((sample) => `${sample}\n`).join(""));
      draft.set(kind, { namespace: metadata.namespace!, pod: metadata.name }, reader.end().value);
    }
  };
}

/** What a component of a node answers: samples of metrics, or its health, a line each. */
export function exposingOn(
  node: string,
  kind: "kubeletMetrics" | "proxyMetrics" | "proxyHealth",
  lines: readonly string[],
): Edit {
  return (draft) => {
    const reader = catalogue[kind].open() as Reader<unknown>;
    reader.write(lines.map((line) => `${line}\n`).join(""));
    draft.set(kind, { node }, reader.end().value as never);
  };
}

/** Active tests: what a Pod (the first of a workload) got for an answer. */
export function probed(owner: string, test: Probe["test"], target: string, result: string): Edit {
  return (draft) => {
    const { metadata, spec } = podsOf(draft, owner)[0]!;
    const earlier = draft.get("probes", {}) ?? [];
    const from = { node: spec.nodeName!, network: "pod", pod: `${metadata.namespace}/${metadata.name}` } as const;
    draft.set("probes", {}, [...earlier, { line: earlier.length + 1, at: NOW, from, test, target, result }]);
  };
}

/** What becomes of a packet from one node to another: to a Pod or to the node itself, of this size. */
export type Passage = (from: string, to: string, kind: "pod" | "node", size: number) => boolean;

/** Active tests from every node and a Pod on it to a Pod of every other and to the node itself, small ones and full-size ones. */
export function probedPairs(passes: Passage): Edit {
  return (draft) => {
    const clients = podsOf(draft, "client");
    const probes: Probe[] = [];
    for (const { metadata, spec } of clients) {
      const own = { node: spec.nodeName!, network: "host" } as const;
      const pod = { node: own.node, network: "pod", pod: `${metadata.namespace}/${metadata.name}` } as const;
      for (const other of clients) {
        const to = other.spec.nodeName!;
        if (to === own.node) continue;
        const node = draft.list("nodes").find((one) => one.metadata.name === to)!;
        const address = node.status!.addresses!.find(({ type }) => type === "InternalIP")!.address;
        for (const [kind, target] of [
          ["pod", other.status!.podIP!],
          ["node", address],
        ] as const) {
          for (const size of [84, 1400]) {
            const result = passes(own.node, to, kind, size) ? "ok" : "timeout";
            for (const from of [pod, own])
              probes.push({ line: probes.length + 1, at: NOW, from, test: "icmp", target, size, result });
          }
        }
      }
    }
    draft.set("probes", {}, probes);
  };
}

/** A dummy device that holds addresses of no network, as NodeLocal DNSCache and IPVS make them. */
export function addDevice(node: string, name: string, ...addresses: readonly string[]): Edit {
  const held = addresses.map((local) => ({ family: "inet" as const, local, prefixLength: 32, scope: "global" }));
  const device = { index: 90, name, flags: ["NOARP"], mtu: 1500, kind: "dummy", addresses: held };
  return (draft) => {
    editNode(draft, "links", node, (links) => [...links, device]);
    const own = addresses.map((address) => localRoute(`${address}/32`, name, address));
    editNode(draft, "routes", node, (routes) => [...routes, ...own]);
  };
}

/** kube-proxy of a node works in IPVS mode: its device holds the cluster IPs, its table has the back ends. */
export function ipvsMode(node: string): Edit {
  return (draft) => {
    const { services, nodes } = modelOf(draft.capture());
    const proxied = services.all.filter((service) => service.proxied);
    addDevice(node, "kube-ipvs0", ...proxied.flatMap(({ clusterIps }) => clusterIps))(draft);
    const own = nodes.get(node)?.ips[4];
    let line = 3;
    const servers = proxied
      .flatMap((service) => service.ports)
      .flatMap((port): VirtualServer[] => {
        const { cluster = [], local = [] } = services.expected(port, node);
        const server = (address: string, number: number, ends: typeof cluster): VirtualServer => ({
          protocol: port.protocol,
          address,
          port: number,
          scheduler: "rr",
          line: ++line,
          realServers: ends.map((end) => ({
            address: end.address,
            port: end.port,
            weight: 1,
            forwarding: "Masq",
            line: ++line,
          })),
        });
        // without a back end of its own a node sends on to all (syncEndpoint in pkg/proxy/ipvs/proxier.go)
        const outside = port.service.policy.externalLocal && local.length > 0 ? local : cluster;
        return [
          server(port.service.clusterIps[0]!, port.port, cluster),
          ...(own && port.nodePort !== undefined ? [server(formatIp(own), port.nodePort, outside)] : []),
        ];
      });
    draft.set("ipvs", { node }, servers);
  };
}

/** Calico on a node, as it shows in routes and rules: a device for each Pod, from and to which its chains accept. */
export function calico(node: string): Edit {
  const rules = addRules(
    node,
    "filter",
    "-A FORWARD -j cali-FORWARD",
    "-A FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT",
    "-A cali-FORWARD -i cali+ -j cali-tw",
    "-A cali-FORWARD -o cali+ -j cali-tw",
    "-A cali-tw -j MARK --set-xmark 0x10000/0x10000",
  );
  return (draft) => {
    const pods = draft.list("pods").filter(({ spec }) => spec.nodeName === node && !spec.hostNetwork);
    const routeTo = ({ status }: Pod, index: number): Route => ({
      type: "unicast",
      family: "inet",
      destination: `${status!.podIP}/32`,
      table: "main",
      nextHops: [{ device: `cali0000000000${index}`, flags: [] }],
      flags: [],
    });
    const viaBridge = ({ nextHops }: Route) => nextHops.some(({ device }) => device === "cni0");
    editNode(draft, "routes", node, (routes) => [...routes.filter((one) => !viaBridge(one)), ...pods.map(routeTo)]);
    editNode(draft, "links", node, (links) => links.filter(({ name }) => name !== "cni0"));
    rules(draft);
  };
}

/** A node's iptables, edited as the text that iptables-save prints and iptables-restore takes. */
export function editIptables(node: string, change: (text: string) => string, family: Family = 4): Edit {
  return (draft) =>
    editNode(draft, family === 4 ? "iptables" : "ip6tables", node, (save: IptablesSave) => {
      const before = printIptablesSave(save);
      const after = change(before);
      if (after === before) throw new Error(`nothing of the iptables of ${node} was changed`);
      return parseIptablesSave(after).value;
    });
}

/** Rules before all others of their chains, as `iptables -I` puts them; chains that are not there are made. */
export const addRules = rulesAdder(4);
/** The same with ip6tables. */
export const addRules6 = rulesAdder(6);

function rulesAdder(family: Family) {
  const put = (before: string, table: string, rules: readonly string[]): string => {
    const hasTable = before.includes(`*${table}\n`);
    // only raw is not there unless somebody uses it
    const text = hasTable ? before : `${before}*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n`;
    const start = text.indexOf(`*${table}\n`);
    const first = start + text.slice(start).search(/^(\[|-A|COMMIT)/m);
    const declared = text.slice(start, first);
    const chains = new Set(rules.map((rule) => rule.split(" ")[1]!));
    const made = [...chains].filter((chain) => !declared.includes(`:${chain} `)).map((chain) => `:${chain} - [0:0]`);
    return [text.slice(0, first), ...[...made, ...rules].map((line) => `${line}\n`), text.slice(first)].join("");
  };
  return (node: string, table: string, ...rules: readonly string[]): Edit =>
    editIptables(node, (text) => put(text, table, rules), family);
}

/** Lines that match are gone. */
export const dropRules = (node: string, pattern: RegExp, family: Family = 4): Edit =>
  editIptables(
    node,
    (text) =>
      text
        .split("\n")
        .filter((line) => !/^(\[[\d:]+\] )?-A /.test(line) || !pattern.test(line))
        .join("\n"),
    family,
  );

/** A table of somebody else in a node's nftables: its base chains, each with its rules as nft lists them. */
export function addNftTable(
  node: string,
  name: string,
  chains: readonly {
    readonly hook: string;
    readonly prio: number;
    readonly policy?: string;
    readonly rules?: readonly object[][];
  }[],
): Edit {
  const own = { family: "inet", table: name };
  const items = [
    { table: { family: "inet", name, handle: 1 } },
    ...chains.map(({ hook, prio, policy = "accept" }, at) => ({
      chain: { ...own, name: hook, handle: at + 1, type: "filter", hook, prio, policy },
    })),
    ...chains.flatMap(({ hook, rules = [] }) =>
      rules.map((expr, at) => ({ rule: { ...own, chain: hook, handle: 100 + at, expr } })),
    ),
  ];
  const { tables } = parseNft(JSON.stringify({ nftables: items })).value;
  return (draft) => {
    const current = draft.get("nftables", { node }) ?? { version: "1.0.6", tables: [] };
    draft.set("nftables", { node }, { ...current, tables: [...current.tables, ...tables] });
  };
}

/** One table of a node's nftables, changed; `undefined` removes it. */
export function editNft(
  node: string,
  name: string,
  change: (table: NftTable) => NftTable | undefined,
  family: NftTable["family"] = "ip",
): Edit {
  const isMeant = (table: NftTable) => table.name === name && table.family === family;
  return (draft) =>
    editNode(draft, "nftables", node, (ruleset) => {
      if (!ruleset.tables.some(isMeant)) throw new Error(`${node} has no table ${family} ${name}`);
      return {
        ...ruleset,
        tables: ruleset.tables.flatMap((table) => (isMeant(table) ? (change(table) ?? []) : table)),
      };
    });
}

/** Rules of kube-proxy's table that match, as `CHAIN: RULE`, are gone. */
export function dropNftRules(node: string, pattern: RegExp): Edit {
  return editNft(node, "kube-proxy", (table) => {
    const isMeant = (chain: string, rule: NftRule) => pattern.test(`${chain}: ${printNftRule(rule)}`);
    if (!table.chains.some(({ name, rules }) => rules.some((rule) => isMeant(name, rule))))
      throw new Error(`no rule of ${node} matches ${pattern}`);
    const chains = table.chains.map((chain) => ({
      ...chain,
      rules: chain.rules.filter((rule) => !isMeant(chain.name, rule)),
    }));
    return { ...table, chains };
  });
}

/** The elements of a set or map of kube-proxy's table, changed; `undefined` removes one. */
export function editNftElements(
  node: string,
  set: string,
  change: (element: NftElement) => NftElement | undefined,
): Edit {
  return editNft(node, "kube-proxy", (table) => ({
    ...table,
    sets: table.sets.map((one) =>
      one.name === set ? { ...one, elements: one.elements.flatMap((element) => change(element) ?? []) } : one,
    ),
  }));
}

/** A rule before all others of a chain of kube-proxy's table. */
export function addNftRule(node: string, chain: string, ...statements: NftRule["statements"]): Edit {
  return editNft(node, "kube-proxy", (table) => ({
    ...table,
    chains: table.chains.map((one) =>
      one.name === chain ? { ...one, rules: [{ item: 9999, handle: 9999, statements }, ...one.rules] } : one,
    ),
  }));
}
