import { beforeAll, describe, expect, it } from "vitest";
import { captureOf, readRecording } from "../../../../testing/recordings.ts";
import { known } from "../../../evidence/observed.ts";
import { modelOf } from "../../../model/model.ts";
import { formatIp, parseIp } from "../../../net/ip.ts";
import { openingPacket } from "../../packet.ts";
import type { Way } from "../../trace.ts";
import { walk } from "../../walk.ts";

/** By node, of the recording cilium-healthy. */
const AGENTS = { cp1: "cilium-79fv6", w1: "cilium-hz6m8", w2: "cilium-qx6sn" } as const;
const CLIENT = "tools/client-wnls8"; // on cp1
const BACKEND = "shop/backend-56bf5fd956-z2g7b"; // on w1
const NEIGHBOUR = "shop/backend-56bf5fd956-v5z4j"; // on w1 too
const FRONTEND = "shop/frontend-7f78cbd994-r4mf9"; // on w1
const AT = { [CLIENT]: "10.244.0.22", [BACKEND]: "10.244.2.209", [NEIGHBOUR]: "10.244.2.34" } as const;
const SERVICE = "10.96.132.190";

let recording: ReadonlyMap<string, string>;
beforeAll(async () => {
  const { files } = await readRecording("cilium-healthy");
  recording = new Map([...files].filter(([path]) => WALKED.test(path)));
});

/** What the walk looks at: the rest, logs and events, takes long to read. */
const WALKED =
  /^(exec|nodes\/\w+\/(ip-|iptables|ipset|sysctl|ss\.|pods|bridge))|^api\/v1\/(pods|nodes|services|configmaps)|^apis\/(apps|discovery)/;

type Edit = { readonly node: keyof typeof AGENTS; readonly file: string; readonly to: (text: string) => string };

const edit = (node: Edit["node"], name: string, to: Edit["to"]): Edit => ({
  node,
  file: `exec/kube-system/${AGENTS[node]}/cilium-dbg-${name}`,
  to,
});
const withoutLines = (node: Edit["node"], name: string, match: RegExp): Edit =>
  edit(node, name, (text) => text.replace(new RegExp(`^.*${match.source}.*\n`, "gm"), ""));
const endpoint = (node: Edit["node"], pod: string, change: (status: Record<string, unknown>) => void): Edit =>
  edit(node, "endpoint-list.json", (text) => {
    const list = JSON.parse(text) as { status: Record<string, unknown> & { "external-identifiers": object } }[];
    const found = list.find(({ status }) => JSON.stringify(status["external-identifiers"]).includes(`"${pod}"`));
    if (!found) throw new Error(`no endpoint of ${pod}`);
    change(found.status);
    return JSON.stringify(list);
  });

type Sent = { from: string; to: string; port?: number; how?: "tcp" | "udp" | "icmp" };

/** @param edits undefined text: the file is not there */
function ways({ from, to, port = 8080, how = "tcp" }: Sent, ...edits: readonly Edit[]): readonly Way[] {
  const files = new Map(recording);
  for (const { file, to: change } of edits) {
    const text = change(files.get(file) ?? "");
    if (text === "") files.delete(file);
    else files.set(file, text);
  }
  const model = modelOf(captureOf(files));
  const [namespace = "", name] = from.split("/");
  const pod = name === undefined ? undefined : model.pods.get(namespace, name);
  const source = pod?.addresses.map(parseIp)[0];
  const packet = openingPacket(how, source, parseIp(to)!, port);
  return walk({ from: pod ? { node: pod.node ?? "", pod } : { node: namespace }, packet }, model).ways;
}

const ends = (all: readonly Way[]): readonly string[] => [...new Set(all.map(({ end }) => end.is))].sort();
const steps = (way: Way | undefined): readonly string[] =>
  way?.steps.map((step) => {
    if (step.did === "admit") return `${step.direction} ${step.identity}`;
    return step.did === "pass" ? step.hook : step.did;
  }) ?? [];

describe("a healthy cluster", () => {
  it("takes a Pod's packet by its Service, through the tunnel, past both policies, and back without asking them", () => {
    const all = ways({ from: CLIENT, to: SERVICE });
    expect(ends(all)).toEqual(["answered"]);
    expect(all).toHaveLength(3);
    const way = all.find(({ steps: made }) => made.some((step) => step.did === "carry" && step.to === "w1"));
    expect(way?.certainty).toBe("chosen");
    expect(steps(way).filter((step) => !/^(output|input|prerouting|postrouting|route)$/.test(step))).toEqual([
      ...["send", "cross", "balance", "egress 326", "encapsulate", "carry", "decapsulate", "ingress 2136", "cross"],
      ...["receive", "send", "cross", "encapsulate", "carry", "decapsulate", "cross", "receive"],
    ]);
  });

  it("keeps a Pod's packets for another of its node past the kernel's rules", () => {
    const [way] = ways({ from: FRONTEND, to: AT[BACKEND] });
    expect(way?.end.is).toBe("answered");
    expect(steps(way)).toEqual([
      ...["send", "cross", "egress 326", "ingress 27867", "cross", "receive"],
      ...["send", "cross", "cross", "receive"],
    ]);
  });

  it("takes nodes for remote ones elsewhere, and lets their own Pods be asked", () => {
    expect(ends(ways({ from: "cp1", to: AT[BACKEND] }))).toEqual(["denied"]);
    expect(ends(ways({ from: "w1", to: AT[BACKEND] }))).toEqual(["answered"]);
    expect(ends(ways({ from: "cp1", to: AT[CLIENT], how: "icmp" }))).toEqual(["answered"]);
  });

  it("lets a Pod reach itself by its Service, and none of its like", () => {
    const all = ways({ from: BACKEND, to: SERVICE });
    expect(all.map(({ end }) => end.is).toSorted()).toEqual(["answered", "denied", "denied"]);
  });

  it("hands node ports to kube-proxy, with the Pod's identity in the mark", () => {
    const all = ways({ from: CLIENT, to: "192.168.50.10", port: 30080 });
    expect(ends(all)).toEqual(["answered"]);
    expect(all.every((way) => steps(way).includes("ingress 2136"))).toBe(true);
  });

  it("denies by port and protocol", () => {
    expect(ends(ways({ from: FRONTEND, to: AT[BACKEND], port: 9999 }))).toEqual(["denied"]);
    expect(ends(ways({ from: FRONTEND, to: AT[BACKEND], how: "icmp" }))).toEqual(["denied"]);
    const [way] = ways({ from: FRONTEND, to: AT[CLIENT] });
    expect(way?.end).toMatchObject({ is: "denied", at: { node: "w1" } });
    expect(way?.end.evidence[0]?.quote).toContain(`${FRONTEND} egress: allowed-egress-identities [326]`);
  });
});

describe("what the tables lack", () => {
  it("a Service without back ends refuses or drops", () => {
    const none = withoutLines("cp1", "bpf-lb-list.txt", /10\.96\.132\.190:8080 \([1-9]\)/);
    const all = ways({ from: CLIENT, to: SERVICE }, none);
    expect(ends(all)).toEqual(["dropped", "rejected"]);
    expect(all[0]?.end.evidence[0]?.quote).toBe("10.96.132.190:8080 no back end");
  });

  it("a back end on its way out is not chosen", () => {
    const retired = edit("cp1", "service-list.txt", (text) =>
      text.replace(/(10\.244\.1\.28:8080) \(active\)/g, "$1 (terminating)"),
    );
    expect(ways({ from: CLIENT, to: SERVICE }, retired)).toHaveLength(2);
  });

  it("an address without an entry is of the world, and still behind the tunnel of its range", () => {
    const gone = withoutLines("w1", "bpf-ipcache-list.txt", /10\.244\.0\.22\/32/);
    const [denied] = ways({ from: FRONTEND, to: AT[CLIENT] }, gone);
    expect(denied?.end.evidence[0]?.quote).toContain("asked for identity 2");
    const [way] = ways({ from: BACKEND, to: AT[CLIENT], how: "icmp" }, gone);
    expect(way?.end.is).toBe("answered");
    expect(steps(way)).toContain("encapsulate");
  });

  it("an identity that nobody gave is let nowhere", () => {
    const init = endpoint("cp1", CLIENT, (status) => {
      status.identity = { id: 5, labels: ["reserved:init"] };
    });
    const all = ways({ from: CLIENT, to: AT[BACKEND] }, init);
    expect(all[0]?.end).toMatchObject({ is: "denied", at: { node: "w1" } });
  });
});

describe("what cannot be told", () => {
  const untold = (all: readonly Way[]): string => {
    expect(ends(all)).toEqual(["insufficient"]);
    const [{ end } = { end: undefined }] = all;
    return end?.because ?? end?.missing?.map(({ kind, place }) => `${kind} of ${place?.node}`).join() ?? "";
  };
  const nothing = () => "";

  it.each([
    ["endpoint-list.json", "ciliumEndpoints of cp1"],
    ["bpf-lb-list.txt", "ciliumLb of cp1"],
    ["bpf-ipcache-list.txt", "ciliumIpcache of cp1"],
    ["identity-list.json", ""],
  ])("without %s of the sender's node", (name, missing) => {
    const all = ways({ from: CLIENT, to: SERVICE }, edit("cp1", name, nothing));
    // whom the sender's policy means needs no labels: it lets it reach anybody
    if (missing === "") expect(ends(all)).toEqual(["answered"]);
    else expect(untold(all)).toBe(missing);
  });

  it("whom the receiver's policy means, without the labels of identities", () =>
    expect(untold(ways({ from: CLIENT, to: AT[BACKEND] }, edit("w1", "identity-list.json", nothing)))).toBe(
      "whom a rule means",
    ));

  it("an endpoint that has no programs yet", () => {
    const waiting = endpoint("w1", BACKEND, (status) => {
      status.state = "waiting-for-identity";
    });
    expect(untold(ways({ from: CLIENT, to: AT[BACKEND] }, waiting))).toBe(
      "an endpoint of Cilium that is waiting-for-identity",
    );
  });

  it("what a proxy decides", () => {
    const proxied = endpoint("w1", BACKEND, (status) => {
      const text = JSON.stringify(status)
        .replaceAll(":null}", ':{\\"http\\":[{}]}}')
        .replaceAll('\\":null', '\\":{\\"http\\":[{}]}');
      Object.assign(status, JSON.parse(text));
    });
    expect(untold(ways({ from: CLIENT, to: AT[BACKEND] }, proxied))).toBe("Cilium's proxy, or authentication");
  });
});

describe("kube-proxy replaced", () => {
  const replaced = (node: Edit["node"]): Edit =>
    edit(node, "status.txt", (text) =>
      text
        .replace(/KubeProxyReplacement: {3}False/, "KubeProxyReplacement:   True")
        .replace(/Socket LB: {14}Disabled/, "Socket LB:              Enabled"),
    );
  const nodePort = edit(
    "cp1",
    "bpf-lb-list.txt",
    (text) =>
      `${text}0.0.0.0:30080 (0)   0.0.0.0:0 (12) (0) [NodePort, non-routable]\n0.0.0.0:30080 (1)   10.244.2.195:8080 (12) (1)\n`,
  );

  it("a node's socket sends to the back end itself, and has its answer", () => {
    const all = ways({ from: "cp1", to: "10.96.231.224", port: 80 }, replaced("cp1"));
    expect(ends(all)).toEqual(["answered"]);
    expect(steps(all[0]).slice(0, 2)).toEqual(["send", "balance"]);
  });

  it("a node port of any node is one of the socket's", () => {
    const all = ways({ from: "cp1", to: "192.168.50.12", port: 30080 }, replaced("cp1"), nodePort);
    expect(ends(all)).toEqual(["answered"]);
    expect(all).toHaveLength(1);
  });
});

describe("what comes over the wire", () => {
  const status = (node: Edit["node"], from: RegExp, to: string): Edit =>
    edit(node, "status.txt", (text) => {
      expect(text).toMatch(from);
      return text.replace(from, to);
    });
  const because = (all: readonly Way[]) => all.map(({ end }) => end.because ?? end.is);
  const nodePort = edit(
    "cp1",
    "bpf-lb-list.txt",
    (text) =>
      `${text}192.168.50.10:30080 (0)   0.0.0.0:0 (12) (0) [NodePort]\n192.168.50.10:30080 (1)   10.244.2.195:8080 (12) (1)\n`,
  );
  const replaced = status("cp1", /KubeProxyReplacement: {3}False/, "KubeProxyReplacement:   True");

  it("for a node port is Cilium's, where it stands in for kube-proxy", () => {
    const sent = { from: "w1", to: "192.168.50.10", port: 30080 };
    expect(because(ways(sent, nodePort, replaced))).toEqual(["Cilium's node ports"]);
    expect(because(ways({ ...sent, port: 30099 }, nodePort, replaced))).toEqual(["refused"]);
    expect(because(ways(sent, nodePort))).not.toContain("Cilium's node ports");
  });

  it("meets the host firewall, if there is one", () => {
    const firewall = status("cp1", /Host firewall: {10}Disabled/, "Host firewall:          Enabled");
    const sent = { from: "w1", to: "192.168.50.10", port: 10250 };
    expect(because(ways(sent, firewall))).toEqual(["Cilium's host firewall"]);
    expect(because(ways(sent))).toEqual(["answered"]);
  });

  it("is encrypted, and nobody tells how", () =>
    expect(
      because(
        ways(
          { from: CLIENT, to: AT[BACKEND] },
          status("cp1", /Encryption: {9}Disabled/, "Encryption:         Wireguard"),
        ),
      ),
    ).toEqual(["Cilium's encryption"]));
});

describe("masquerading by Cilium itself", () => {
  const NODE = "192.168.50.11"; // w1
  const OUTSIDE = "198.51.100.1";
  const byBpf = (said: string, host = "BPF"): Edit =>
    edit("cp1", "status.txt", (text) => {
      expect(text).toMatch(/Masquerading: {11}IPTables/);
      return text
        .replace(/(Masquerading: {11})IPTables.*/, `$1${said}`)
        .replace(/Host Routing:( +)Legacy/, `Host Routing:$1${host}`);
    });
  const usual = byBpf("BPF   [eth0]   10.244.0.0/16 [IPv4: Enabled, IPv6: Disabled]");
  const sourceIn = ({ steps: all }: Way): string | undefined => {
    const left = all.findLast((step) => step.did === "pass" && step.hook === "postrouting" && step.at.node === "cp1");
    return left?.did === "pass" && left.packet.source !== "unknown" ? formatIp(left.packet.source) : undefined;
  };

  it("gives what leaves for a node, and for the world, the device's address; answers find back", () => {
    const [toNode] = ways({ from: CLIENT, to: NODE, how: "icmp" }, usual);
    expect(toNode?.end.is).toBe("answered");
    expect(sourceIn(toNode!)).toBe("192.168.50.10");
    expect(toNode?.steps.at(-1)).toMatchObject({ did: "receive", at: { pod: { key: CLIENT } } });
    const [out] = ways({ from: CLIENT, to: OUTSIDE, port: 443 }, usual);
    expect(out?.end.is).toBe("left-cluster");
    expect(sourceIn(out!)).toBe("192.168.50.10");
  });

  it.each([
    ["a range that is routed", "BPF   [eth0]   192.168.0.0/16 [IPv4: Enabled, IPv6: Disabled]"],
    ["another device", "BPF   [eth1]   10.244.0.0/16 [IPv4: Enabled, IPv6: Disabled]"],
    ["another family", "BPF   [eth0]   10.244.0.0/16 [IPv4: Disabled, IPv6: Enabled]"],
  ])("leaves alone what goes to %s", (_, said) => {
    const [way] = ways({ from: CLIENT, to: NODE, how: "icmp" }, byBpf(said));
    expect(sourceIn(way!)).toBeUndefined();
  });

  it("is not told where an agent leaves out networks that nobody listed", () => {
    const [way] = ways(
      { from: CLIENT, to: OUTSIDE, port: 443 },
      byBpf("BPF (ip-masq-agent)   [eth0]   10.244.0.0/16 [IPv4: Enabled, IPv6: Disabled]"),
    );
    expect(way?.end.because).toBe("the networks that Cilium's ip-masq-agent leaves out");
  });
});

it("each node's agent is found by its Pod", () => {
  const { cilium } = modelOf(captureOf(recording));
  for (const [node, agent] of Object.entries(AGENTS)) {
    expect(cilium.of(node).missing("ciliumLb").place).toEqual({ node, namespace: "kube-system", pod: agent });
    expect(known(cilium.of(node).status)?.version).toBe("1.15.19");
  }
});
