/**
 * What happens to clusters, as edits of their evidence, in the words in which stories tell it:
 *
 *   cluster().edit(addRules("w1", "mangle", "-A PREROUTING -d 10.96.10.1/32 -j DROP"))
 *   cluster().edit(editPods("coredns", crashing()), said("coredns", ["plugin/loop: Loop …"]))
 */
import type { ListId, ObjectOf } from "../src/evidence/catalogue.ts";
import type { Draft } from "../src/model/changes.ts";
import { modelOf } from "../src/model/model.ts";
import { printIptablesSave } from "../src/parse/iptables-print.ts";
import { type IptablesSave, parseIptablesSave } from "../src/parse/iptables-save.ts";
import type { VirtualServer } from "../src/parse/ipvsadm.ts";
import type { Pod } from "../src/parse/objects.ts";
import type { Probe } from "../src/parse/probes.ts";
import { editNode } from "./cluster.ts";
import { CREATED, logOf, NOW } from "./cluster-nodes.ts";

export type Edit = (draft: Draft) => void;

export const edits =
  (...all: readonly Edit[]): Edit =>
  (draft) => {
    for (const edit of all) edit(draft);
  };

/** A time before the capture. */
export const ago = (seconds: number): string => new Date(Date.parse(NOW) - seconds * 1000).toISOString();

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
const isOf =
  (workload: string, node?: string) =>
  ({ metadata, spec }: Pod): boolean =>
    metadata.name.startsWith(`${workload}-`) && (node === undefined || spec.nodeName === node);

/** Changes the Pods of a workload, on one node or on all; `undefined` removes them. */
export function editPods(workload: string, change: (pod: Pod) => Pod | undefined, node?: string): Edit {
  return (draft) => {
    const isMeant = isOf(workload, node);
    const pods = draft.list("pods");
    if (!pods.some(isMeant)) throw new Error(`the built cluster has no Pods of ${workload} on ${node ?? "any node"}`);
    draft.setList(
      "pods",
      pods.flatMap((pod) => (isMeant(pod) ? (change(pod) ?? []) : pod)),
    );
  };
}

type Status = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];

/** A Pod that is not ready, with what its containers are doing. */
export function unready(state: Partial<Status> = {}, phase = "Running", since = CREATED): (pod: Pod) => Pod {
  return (pod) => ({
    ...pod,
    status: {
      ...pod.status,
      phase,
      conditions: [{ type: "Ready", status: "False", lastTransitionTime: since }],
      containerStatuses: (pod.status?.containerStatuses ?? []).map((status) => ({ ...status, ready: false, ...state })),
    },
  });
}

/** What the kubelet waits for before it starts a container. */
export const waiting = (reason: string, phase = "Pending") => unready({ state: { waiting: { reason } } }, phase);

export const crashing = (exitCode = 1) =>
  unready({
    restartCount: 6,
    state: { waiting: { reason: "CrashLoopBackOff" } },
    lastState: { terminated: { exitCode, reason: "Error", startedAt: ago(64), finishedAt: ago(63) } },
  });

export const created =
  (at: string) =>
  <T extends { readonly metadata: object }>(object: T): T => ({
    ...object,
    metadata: { ...object.metadata, creationTimestamp: at },
  });

/** What the containers of a workload's Pods said. */
export function said(workload: string, messages: readonly string[], at = NOW, node?: string): Edit {
  return (draft) => {
    for (const { metadata, spec } of draft.list("pods").filter(isOf(workload, node))) {
      const place = { namespace: metadata.namespace!, pod: metadata.name, container: spec.containers[0]!.name };
      draft.set("containerLog", place, logOf(messages, at));
    }
  };
}

/** Active tests: what a Pod (the first of a workload) got for an answer. */
export function probed(workload: string, test: Probe["test"], target: string, result: string): Edit {
  return (draft) => {
    const client = draft.list("pods").find(isOf(workload))!;
    const earlier = draft.get("probes", {}) ?? [];
    const from = {
      node: client.spec.nodeName!,
      network: "pod" as const,
      pod: `${client.metadata.namespace}/${client.metadata.name}`,
    };
    draft.set("probes", {}, [...earlier, { line: earlier.length + 1, at: NOW, from, test, target, result }]);
  };
}

/** A dummy device that holds addresses of no network, as NodeLocal DNSCache and IPVS make them. */
export function addDevice(node: string, name: string, ...addresses: readonly string[]): Edit {
  const held = addresses.map((local) => ({ family: "inet" as const, local, prefixLength: 32, scope: "global" }));
  const device = { index: 90, name, flags: ["NOARP"], mtu: 1500, kind: "dummy", addresses: held };
  return (draft) => editNode(draft, "links", node, (links) => [...links, device]);
}

/** kube-proxy of a node works in IPVS mode: its device holds the cluster IPs, its table has the back ends. */
export function ipvsMode(node: string): Edit {
  return (draft) => {
    const { services } = modelOf(draft.capture());
    const proxied = services.all.filter((service) => service.proxied);
    addDevice(node, "kube-ipvs0", ...proxied.flatMap(({ clusterIps }) => clusterIps))(draft);
    const servers = proxied
      .flatMap((service) => service.ports)
      .map((port, index): VirtualServer => {
        const { cluster = [] } = services.expected(port, node);
        const realServers = cluster.map(({ address, port: number }) => ({ address, port: number, weight: 1 }));
        return {
          protocol: port.protocol,
          address: port.service.clusterIps[0]!,
          port: port.port,
          scheduler: "rr",
          line: index + 4,
          realServers: realServers.map((real) => ({ ...real, forwarding: "Masq", line: index + 5 })),
        };
      });
    draft.set("ipvs", { node }, servers);
  };
}

/** A node's iptables, edited as the text that iptables-save prints and iptables-restore takes. */
export function editIptables(node: string, change: (text: string) => string): Edit {
  return (draft) =>
    editNode(draft, "iptables", node, (save: IptablesSave) => {
      const before = printIptablesSave(save);
      const after = change(before);
      if (after === before) throw new Error(`nothing of the iptables of ${node} was changed`);
      return parseIptablesSave(after).value;
    });
}

/** Rules before all others of their chains, as `iptables -I` puts them; chains that are not there are made. */
export function addRules(node: string, table: string, ...rules: readonly string[]): Edit {
  return editIptables(node, (text) => {
    const start = text.indexOf(`*${table}\n`);
    const first = start + text.slice(start).search(/^(\[|-A|COMMIT)/m);
    const declared = text.slice(start, first);
    const chains = new Set(rules.map((rule) => rule.split(" ")[1]!));
    const made = [...chains].filter((chain) => !declared.includes(`:${chain} `)).map((chain) => `:${chain} - [0:0]`);
    return [text.slice(0, first), ...[...made, ...rules].map((line) => `${line}\n`), text.slice(first)].join("");
  });
}

/** Lines that match are gone. */
export const dropRules = (node: string, pattern: RegExp): Edit =>
  editIptables(node, (text) =>
    text
      .split("\n")
      .filter((line) => !/^(\[[\d:]+\] )?-A /.test(line) || !pattern.test(line))
      .join("\n"),
  );
