/** Other tools' bundles: the same root causes as ours, as far as they hold what shows them; else a blind spot. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  asClusterInfoDump,
  asFolder,
  asMustGather,
  asSysdump,
  asTroubleshoot,
} from "../../../testing/foreign-bundles.ts";
import { readRecording } from "../../../testing/recordings.ts";
import { diagnose } from "../../diagnose.ts";
import { parseIpAddr } from "../../parse/iproute2/addr.ts";
import { parseBridgeFdb } from "../../parse/iproute2/bridge-fdb.ts";
import { parseBridgeLink } from "../../parse/iproute2/bridge-link.ts";
import { parseIpLinkStats } from "../../parse/iproute2/link-stats.ts";
import { parseIpNeigh } from "../../parse/iproute2/neigh.ts";
import { parseIpRoute } from "../../parse/iproute2/route.ts";
import { parseIpRule } from "../../parse/iproute2/rule.ts";
import type { IptablesSave } from "../../parse/iptables/save.ts";
import type { Report } from "../../report/report.ts";
import { type Capture, createIntake } from "../capture.ts";
import type { KindId } from "../catalogue.ts";
import { foreignIntake } from "./foreign.ts";

type Files = ReadonlyMap<string, string>;

function captureOf(files: Files): Capture {
  const intake = createIntake();
  const foreign = foreignIntake(intake);
  for (const [path, text] of files) {
    const sink = foreign.open(path);
    sink?.write(text);
    sink?.end({ bytes: text.length });
  }
  foreign.finish();
  return intake.capture();
}

const rootsOf = ({ rootCauses }: Report) => rootCauses.map(({ id }) => id);
const object = (kind: string, name: string, namespace?: string) =>
  JSON.stringify({
    apiVersion: "v1",
    kind,
    metadata: { name, ...(namespace && { namespace }) },
    spec: { containers: [] },
  });
const list = (...items: readonly string[]) => `{"kind":"List","apiVersion":"v1","items":[${items.join(",")}]}`;
const files = (given: Readonly<Record<string, string>>): Files => new Map(Object.entries(given));

describe.each([
  ["a Troubleshoot support bundle", asTroubleshoot, "a Troubleshoot support bundle"],
  ["must-gather", asMustGather, "OpenShift must-gather"],
  ["cilium sysdump", asSysdump, "`cilium sysdump`"],
  ["a folder of kubectl's and commands' output", asFolder, "files of kubectl"],
] as const)("%s", (name, packed, words) => {
  // no must-gather holds all roles
  const role = name === "must-gather" ? [] : ["kube-proxy-role-deleted"];
  it.each([...role, "corefile-broken", "service-selector-mismatch"])("%s", async (id) => {
    const { truth, files: recorded } = await readRecording(id);
    const capture = captureOf(packed(recorded));
    const report = diagnose(capture);
    const named = report.rootCauses.flatMap(({ object: { kind, namespace, name } }) => [kind, namespace, name]);
    for (const { objects } of truth.root_causes)
      expect(objects.some((one) => one.split("/").every((part) => named.includes(part)))).toBe(true);
    expect(report.rootCauses).toHaveLength(truth.root_causes.length);
    expect(capture.notes.map(({ what }) => what.en).join()).toContain(words);
  });

  it("of a healthy cluster accuses nobody", async () => {
    const report = diagnose(captureOf(packed((await readRecording("healthy-iptables")).files)));
    expect(rootsOf(report)).toEqual([]);
  });
});

describe("a Troubleshoot support bundle whose addresses are hidden", () => {
  const isAddress = /"(ip|podIP|hostIP|clusterIP|address|host)":\s*"[^"]+"/g;
  const listed = /("(?:clusterIPs|addresses|podCIDRs)":\s*\[)\s*"[^\]]*\]/g;
  const hidden = async (id: string) =>
    captureOf(
      new Map(
        [...asTroubleshoot((await readRecording(id)).files)].map(([path, text]) => [
          path,
          text.replaceAll(isAddress, '"$1": "***HIDDEN***"').replaceAll(listed, '$1"***HIDDEN***"]'),
        ]),
      ),
    );

  it.each(["healthy-iptables", "calico-healthy", "cilium-healthy"])("%s accuses nobody", async (id) => {
    const capture = await hidden(id);
    const report = diagnose(capture);
    expect([rootsOf(report), report.warnings.map(({ id: warned }) => warned)]).toEqual([[], []]);
    expect(capture.get("pods")).toMatchObject({ gaps: [{ what: "values are hidden by a redactor" }] });
    expect(capture.get("nodes")).toMatchObject({ value: { items: { length: 3 } } });
  });

  it("still shows a role that is gone", async () => {
    const { rootCauses } = diagnose(await hidden("kube-proxy-role-deleted"));
    expect(rootCauses.map(({ check }) => check)).toEqual(["component-access-denied"]);
  });
});

describe("kubectl cluster-info dump", () => {
  it("holds no roles: the logs still tell, less surely", async () => {
    const report = diagnose(captureOf(asClusterInfoDump((await readRecording("kube-proxy-role-deleted")).files)));
    expect(report.rootCauses.map(({ check, confidence }) => [check, confidence])).toEqual([
      ["component-access-denied", "likely"],
    ]);
  });

  it("of a healthy cluster leaves blind spots, and no fault", async () => {
    const report = diagnose(captureOf(asClusterInfoDump((await readRecording("healthy-iptables")).files)));
    expect([report.verdict, rootsOf(report)]).toEqual(["unclear", []]);
    expect(report.blindSpots.length).toBeGreaterThan(0);
  });
});

describe("must-gather", () => {
  const home = "must-gather/sha256/";
  const yaml = (kind: string, name: string, namespace?: string) =>
    `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}${namespace ? `, namespace: ${namespace}` : ""}}\n`;

  it("takes what operators name of accounts and namespaces, object by object: others may exist", () => {
    const capture = captureOf(
      files({
        [`${home}cluster-scoped-resources/core/nodes/w1.yaml`]: yaml("Node", "w1"),
        [`${home}namespaces/dns/dns.yaml`]: yaml("Namespace", "dns"),
        [`${home}namespaces/dns/core/serviceaccounts/builder.yaml`]: yaml("ServiceAccount", "builder", "dns"),
        [`${home}namespaces/dns/core/services.yaml`]: "apiVersion: v1\nkind: ServiceList\nitems: []\n",
      }),
    );
    const gapsOf = (kind: "nodes" | "namespaces" | "serviceaccounts" | "services") => {
      const observed = capture.get(kind);
      return observed.state === "present" ? observed.gaps.map(({ what }) => what) : observed.state;
    };
    const single = ["single objects, not a list of all"];
    expect([gapsOf("nodes"), gapsOf("services")]).toEqual([[], []]);
    expect([gapsOf("namespaces"), gapsOf("serviceaccounts")]).toEqual([single, single]);
  });
});

describe("results of Sonobuoy", () => {
  it("hold a file for a kind of a namespace only where there are such objects", () => {
    const capture = captureOf(
      files({
        "resources/cluster/core_v1_namespaces.json": `[${object("Namespace", "a")},${object("Namespace", "b")}]`,
        "resources/ns/a/core_v1_pods.json": `[${object("Pod", "x", "a")}]`,
        "resources/ns/b/core_v1_configmaps.json": `[${object("ConfigMap", "c", "b")}]`,
      }),
    );
    expect(capture.get("pods")).toMatchObject({ state: "present", gaps: [] });
    expect(capture.notes.map(({ what }) => what.en).join()).toContain("Sonobuoy");
  });
});

describe("what commands printed without -j", () => {
  const recorded = (file: string) =>
    readFileSync(new URL(`../../../testing/iproute2/${file}.txt`, import.meta.url), "utf8");
  const nodes = list(object("Node", "w1"), object("Node", "w2"));
  const shown = (capture: Capture, kind: KindId, node = "w1") => {
    const observed = capture.get(kind, { node });
    return observed.state === "present" ? observed.value : observed.state;
  };
  const SS = "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n";
  const NAT = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"].map((chain) => `-P ${chain} ACCEPT\n`).join("");
  const FILTER = ["INPUT", "FORWARD", "OUTPUT"].map((chain) => `-P ${chain} ACCEPT\n`).join("");

  it.each([
    ["addr", "links", parseIpAddr],
    ["route", "routes", parseIpRoute],
    ["rule", "routingRules", parseIpRule],
    ["neigh", "neighbours", parseIpNeigh],
    ["fdb", "fdb", parseBridgeFdb],
    ["bridge-link", "bridgePorts", parseBridgeLink],
    ["link-stats", "linkCounters", parseIpLinkStats],
  ] as const)("%s is recognised by its content", (file, kind, parse) => {
    const text = recorded(file);
    const capture = captureOf(files({ "n.json": nodes, "w1/output": text }));
    expect(shown(capture, kind)).toEqual(parse(text).value);
    expect(capture.all("links").length).toBe(kind === "links" ? 1 : 0);
  });

  it("a folder of Rancher's log collector for each node: by hostname, both families", () => {
    const home = "w1-2026-11-21_10_00_00/networking";
    const capture = captureOf(
      files({
        "n.json": nodes,
        [`${home}/iproute`]:
          "default via 10.0.0.1 dev eth0 \nlocal 10.0.0.5 dev eth0 table local proto kernel scope host src 10.0.0.5 \n",
        [`${home}/ipv6route`]: "fd00::/64 dev eth0 proto kernel metric 256 pref medium\n",
        [`${home}/iprule`]:
          "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n",
        [`${home}/ipv6rule`]: "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n",
        [`${home}/ipneighbour`]: "10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE\n10.0.0.9 dev eth0  FAILED\n",
        [`${home}/ipv6neighbour`]: "fe80::1 dev eth0 lladdr 02:00:00:00:00:01 router STALE\n",
        [`${home}/ipv6addrshow`]:
          "1: lo: <LOOPBACK,UP> mtu 65536 state UNKNOWN qlen 1000\n    inet6 ::1/128 scope host\n",
        [`${home}/ss4apn`]: `${SS}tcp   LISTEN 0 128 127.0.0.1:10248 0.0.0.0:*\n`,
        [`${home}/iptables`]: "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n",
      }),
    );
    expect(shown(capture, "routes")).toMatchObject([{ family: "inet" }, { table: "local" }, { family: "inet6" }]);
    expect([shown(capture, "routingRules"), shown(capture, "routingRules6")]).toMatchObject([
      { length: 3 },
      { length: 2 },
    ]);
    expect(shown(capture, "neighbours")).toHaveLength(3);
    expect(capture.get("sockets", { node: "w1" })).toMatchObject({ gaps: [{ what: "only sockets of IPv4" }] });
    expect([shown(capture, "links"), shown(capture, "iptables")]).toEqual(["unknown", "unknown"]);
  });

  it("Rancher's and EKS' collectors without any object: the node is the one that they name", () => {
    const rule = "0:\tfrom all lookup local\n";
    const nodeOf = (given: Readonly<Record<string, string>>) =>
      captureOf(files(given))
        .all("routingRules")
        .map(({ place }) => place.node);
    expect(nodeOf({ "x/systeminfo/hostname": "w7\n", "x/networking/iprule": rule })).toEqual(["w7"]);
    expect(nodeOf({ "eks_i-0ab1_2026-11-21_1000-UTC_0.7.8/networking/iprule.txt": rule })).toEqual(["i-0ab1"]);
    expect(nodeOf({ "x/networking/iprule": rule })).toEqual([]);
  });

  it("both tables of iptables -S; what iptables-save printed goes before it", () => {
    const tablesOf = (given: Readonly<Record<string, string>>) => {
      const save = shown(captureOf(files({ "n.json": nodes, ...given })), "iptables") as IptablesSave;
      return save.tables.map(({ name, complete }) => `${name} ${complete}`);
    };
    expect(tablesOf({ "w1/nat.txt": NAT, "w1/filter.txt": FILTER })).toEqual(["nat true", "filter true"]);
    expect(tablesOf({ "w1/filter.txt": FILTER })).toEqual(["filter true", "nat false"]);
    const ofIpv6 = captureOf(
      files({ "n.json": nodes, "w1/ip6tablessave": "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n" }),
    );
    expect([shown(ofIpv6, "iptables"), shown(ofIpv6, "ip6tables")]).toMatchObject([
      "unknown",
      { tables: { length: 1 } },
    ]);
    const saved = "*mangle\n:FORWARD ACCEPT [0:0]\nCOMMIT\n";
    expect(tablesOf({ "w1/save.txt": saved, "w1/nat.txt": NAT })).toEqual(["mangle true"]);
  });

  it("a table of routes that Cilium's bugtool asked for by its number", () => {
    const markdown = (command: string, output: string) => `# ${command}\n\n\`\`\`\n${output}\n\`\`\`\n`;
    const capture = captureOf(
      files({
        "n.json": nodes,
        "w1/cmd/ip--4-r.md": markdown("ip -4 r", "default via 10.0.0.1 dev eth0 "),
        "w1/cmd/ip-t.md": markdown("ip -4 route show table 2004", "local default dev lo proto kernel scope host "),
      }),
    );
    expect(shown(capture, "routes")).toMatchObject([{ table: "main" }, { table: "2004", type: "local" }]);
  });
});

describe("what a folder holds", () => {
  const isWhole = (capture: Capture, kind: "pods" | "nodes") => {
    const observed = capture.get(kind);
    return observed.state === "present" && observed.gaps.length === 0;
  };
  const NAMESPACES = list(object("Namespace", "a"), object("Namespace", "b"));

  it.each([
    [
      "a list of several namespaces is whole",
      { "p.json": list(object("Pod", "x", "a"), object("Pod", "y", "b")) },
      true,
    ],
    [
      "a list of one namespace of several is not",
      { "p.json": list(object("Pod", "x", "a")), "n.json": NAMESPACES },
      false,
    ],
    [
      "a list of one namespace, when nobody knows of others, is not",
      { "p.json": list(object("Pod", "x", "a")) },
      false,
    ],
    [
      "lists of all namespaces are, the empty ones included",
      {
        "a/pods.json": list(object("Pod", "x", "a")),
        "b/pods.json": '{"kind":"PodList","items":null}',
        "n.json": NAMESPACES,
      },
      true,
    ],
    ["single objects are not", { "x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a}\n" }, false],
  ])("%s", (_, given, whole) => expect(isWhole(captureOf(files(given)), "pods")).toBe(whole));

  it("leases of one namespace that were read an hour after those of another accuse no controller", () => {
    const lease = (namespace: string, name: string, renewTime: string) =>
      list(
        JSON.stringify({
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { name, namespace },
          spec: { holderIdentity: "cp1_1", renewTime },
        }),
      );
    const report = diagnose(
      captureOf(
        files({
          "kube-system/leases.yaml": lease("kube-system", "kube-controller-manager", "2026-11-21T10:00:00.000000Z"),
          "ingress/leases.yaml": lease("ingress", "leader", "2026-11-21T11:00:00.000000Z"),
        }),
      ),
    );
    expect(rootsOf(report)).toEqual([]);
  });

  it("a single node is not all nodes", () => {
    expect(isWhole(captureOf(files({ "w1.json": object("Node", "w1") })), "nodes")).toBe(false);
    expect(isWhole(captureOf(files({ "nodes.json": list(object("Node", "w1")) })), "nodes")).toBe(true);
  });

  it("output of a command belongs to the node that its path names, or to the only one", () => {
    const nodes = list(object("Node", "w1"), object("Node", "w1-a"));
    const save = "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n";
    const nodesOf = (given: Readonly<Record<string, string>>) => {
      const capture = captureOf(files(given));
      return [...capture.all("iptables").map(({ place }) => place.node), ...capture.notes.map(({ path }) => path)];
    };
    expect(nodesOf({ "n.json": nodes, "w1/x.txt": save })).toEqual(["w1", "bundle"]);
    expect(nodesOf({ "n.json": nodes, "save-w1-a.txt": save })).toEqual(["w1-a", "bundle"]);
    expect(nodesOf({ "n.json": nodes, "save.txt": save })).toEqual(["save.txt", "bundle"]);
    expect(nodesOf({ "n.json": list(object("Node", "w9")), "save.txt": save })).toEqual(["w9", "bundle"]);
  });

  it("a log of a Pod whose name two namespaces have belongs to the one that its path names", () => {
    const pods = list(object("Pod", "x-0", "a"), object("Pod", "x-0", "b")).replaceAll(
      '"containers":[]',
      '"containers":[{"name":"c"}]',
    );
    const placesOf = (path: string) =>
      captureOf(files({ "p.json": pods, [path]: "hello\n" }))
        .all("containerLog")
        .map(({ place }) => place.namespace);
    expect(placesOf("logs/b_x-0.log")).toEqual(["b"]);
    expect(placesOf("x-0.log")).toEqual([]);
  });

  it("hostile files hurt nobody", () => {
    const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
    const bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nkind: List\n";
    const odd = '{"kind":"PodList","apiVersion":{},"items":[1,null,{"metadata":null},{"metadata":{"name":{}}}]}';
    const capture = captureOf(
      files({ "d.json": deep, "b.yaml": bomb, "o.json": odd, "n.json": list(object("Node", "w1")) }),
    );
    expect(diagnose(capture).rootCauses).toEqual([]);
    expect(capture.get("nodes").state).toBe("present");
  });
});
