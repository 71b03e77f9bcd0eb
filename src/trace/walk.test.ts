/**
 * Stories of packets: every end that a walk can have, with the place and the evidence that decided; ways there and back;
 * back ends; and that knowing less never makes another end.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Cluster, cluster, editNode } from "../../testing/cluster.ts";
import { addNftTable, addRules, dropRules, type Edit, ipvsMode, listening } from "../../testing/cluster-edits.ts";
import { LONG } from "../../testing/long.ts";
import { catalogue, type KindId } from "../evidence/catalogue.ts";
import { formatIp, parseIp } from "../net/ip.ts";
import type { Route } from "../parse/iproute2/route.ts";
import { parseWg } from "../parse/wg.ts";
import { openingPacket, type Protocol } from "./packet.ts";
import { ENDS, type EndName, type Namespace, type Way } from "./trace.ts";
import { walk } from "./walk.ts";

type Sent = {
  /** A Pod, a node, or an address outside. */
  readonly from?: string;
  readonly to: string;
  readonly port?: number;
  readonly how?: Protocol;
  readonly size?: number;
  readonly towards?: readonly string[];
  readonly explain?: boolean;
};

type Story = Sent & {
  readonly given: Cluster;
  readonly end: EndName;
  /** Where it ends: a Pod or a node. */
  readonly at?: string;
  /** Words of the evidence that decided. */
  readonly because?: string | RegExp;
  readonly way?: "there" | "back";
};

const CLIENT = "tools/client-w1";
/** A back end on the same node, one on another, and the Pod that is on both sides of a hairpin. */
const NEAR = "10.128.1.4";
const FAR = "10.128.2.4";
const SERVICE = "10.96.10.1";
const NODE_PORT = 30080;

function ways(
  given: Cluster,
  { from = CLIENT, to, port = 8080, how = "tcp", size, towards, explain = false }: Sent,
): readonly Way[] {
  const model = given.model();
  const [namespace = "", name = ""] = from.split("/");
  const pod = model.pods.get(namespace, name);
  const place: Namespace | "outside" = pod
    ? { node: pod.node!, pod }
    : model.nodes.get(from)
      ? { node: from }
      : "outside";
  const source = pod ? pod.addresses[0] : place === "outside" ? from : undefined;
  const packet = openingPacket(how, source === undefined ? undefined : parseIp(source), parseIp(to)!, port);
  const more = { ...(size !== undefined && { size }), ...(towards && { towards: new Set(towards) }), explain };
  return walk({ from: place, packet, ...more }, model).ways;
}

const placeOf = (at: Namespace | undefined): string => at?.pod?.key ?? at?.node ?? "";

// ---- what happens to clusters

const healthy = cluster();
const given = (...changes: readonly Edit[]): Cluster => healthy.edit(...changes);
const sysctl =
  (node: string, key: string, value: string): Edit =>
  (draft) =>
    editNode(draft, "sysctls", node, (all) => new Map([...all, [key, { value, line: 99 }]]));
const ports =
  (node: string, change: { hairpin?: boolean; isolated?: boolean; state?: string }): Edit =>
  (draft) =>
    editNode(draft, "bridgePorts", node, (all) => all.map((port) => ({ ...port, ...change })));
const route = (destination: string, more: Partial<Route>): Route => ({
  type: "unicast",
  family: "inet",
  destination,
  table: "main",
  nextHops: [],
  flags: [],
  ...more,
});
const routes =
  (node: string, change: (all: readonly Route[]) => readonly Route[]): Edit =>
  (draft) =>
    editNode(draft, "routes", node, change);
const via = (device: string, gateway?: string) => ({
  nextHops: [{ device, flags: [], ...(gateway !== undefined && { gateway }) }],
});
const down =
  (node: string, device: string): Edit =>
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) => (link.name === device ? { ...link, flags: ["BROADCAST"] } : link)),
    );
const mtu =
  (node: string, device: string, bytes: number): Edit =>
  (draft) =>
    editNode(draft, "links", node, (links) =>
      links.map((link) => (link.name === device ? { ...link, mtu: bytes } : link)),
    );
const entries =
  (node: string, kind: "fdb" | "neighbours"): Edit =>
  (draft) =>
    editNode(draft, kind, node, () => []);

/** A WireGuard device in place of flannel.1 on w1 and w2, as flannel's backend of that name makes it. */
function wireGuard(change: (text: string, node: string) => string = (text) => text): readonly Edit[] {
  const text = (peer: number, node: string) =>
    change(
      `interface: flannel-wg
  public key: key-of-w${3 - peer}
  listening port: 51820

peer: key-of-w${peer}
  endpoint: 172.16.0.${peer + 1}:51820
  allowed ips: 10.128.${peer}.0/24
  latest handshake: 5 seconds ago
`,
      node,
    );
  return [1, 2].map((own) => (draft) => {
    const node = `w${own}`;
    const peer = 3 - own;
    editNode(draft, "links", node, (links) => [
      ...links,
      {
        ...links[0]!,
        index: 99,
        name: "flannel-wg",
        kind: "wireguard",
        flags: ["UP", "LOWER_UP"],
        mtu: 1420,
        addresses: [],
      },
    ]);
    editNode(draft, "routes", node, (all) => [
      ...all.filter(({ destination }) => destination !== `10.128.${peer}.0/24`),
      route(`10.128.${peer}.0/24`, via("flannel-wg")),
    ]);
    draft.set("wireguard", { node }, parseWg(text(peer, node)).value);
  });
}

// ---- the stories

/** Those of the kernel; `denied` is Cilium's, in stages/cilium. */
type KernelEnd = Exclude<EndName, "denied">;

const STORIES: { readonly [E in KernelEnd]: Readonly<Record<string, Story>> } = {
  answered: {
    "a Pod on the same node, across the bridge": { given: healthy, to: NEAR, end: "answered", at: CLIENT },
    "a Pod on another node, through the tunnel": { given: healthy, to: FAR, end: "answered", at: CLIENT },
    "a Pod on another node, through WireGuard": { given: given(...wireGuard()), to: FAR, end: "answered", at: CLIENT },
    "a Pod on a host network": { given: healthy, to: "172.16.0.3", port: 10250, end: "answered", at: CLIENT },
    "from a node": { given: healthy, from: "cp1", to: FAR, end: "answered", at: "cp1" },
    "from a node to itself": { given: healthy, from: "w1", to: "172.16.0.2", port: 10250, end: "answered", at: "w1" },
    echo: { given: healthy, to: FAR, how: "icmp", size: 1400, end: "answered", at: CLIENT },
    "a Pod's own address": { given: healthy, from: "shop/backend-7d9f8c6b5-aaaa0", to: NEAR, end: "answered" },
    "UDP to the cluster's DNS": { given: healthy, to: "10.96.0.10", port: 53, how: "udp", end: "answered" },
    "ip_forward is off, but the Pod is behind the same bridge": {
      given: given(sysctl("w1", "net.ipv4.ip_forward", "0"), sysctl("w2", "net.ipv4.ip_forward", "0")),
      to: NEAR,
      end: "answered",
    },
    "several next hops, all of which lead there": {
      given: given(
        routes("w1", (all) => [
          ...all.filter(({ destination }) => destination !== "10.128.2.0/24"),
          route("10.128.2.0/24", {
            nextHops: [1, 2].map(() => ({ gateway: "10.128.2.0", device: "flannel.1", flags: ["onlink"] })),
          }),
        ]),
      ),
      to: FAR,
      end: "answered",
    },
  },
  refused: {
    "nothing listens on that port": {
      given: healthy,
      to: FAR,
      port: 81,
      end: "refused",
      at: "shop/backend-7d9f8c6b5-aaaa1",
      because: `nothing listens on tcp ${FAR}:81`,
    },
    "it listens on its loopback address only": {
      given: given(listening("backend", [["127.0.0.1", 8080]])),
      to: FAR,
      end: "refused",
      at: "shop/backend-7d9f8c6b5-aaaa1",
    },
  },
  rejected: {
    "a Service without back ends": {
      given: given(
        addRules(
          "w1",
          "filter",
          "-A KUBE-SERVICES -d 10.96.10.9/32 -p tcp -j REJECT --reject-with icmp-port-unreachable",
        ),
      ),
      to: "10.96.10.9",
      end: "rejected",
      at: "w1",
      because: "-d 10.96.10.9/32",
    },
    "by a reset": {
      given: given(addRules("w2", "filter", "-A FORWARD -p tcp -m tcp --dport 8080 -j REJECT --reject-with tcp-reset")),
      to: FAR,
      end: "rejected",
      at: "w2",
      because: "tcp-reset",
    },
    "the answer, of which the asker hears nothing": {
      given: given(
        addRules("w2", "filter", "-A FORWARD -p tcp -m tcp --sport 8080 -j REJECT --reject-with icmp-port-unreachable"),
      ),
      to: FAR,
      end: "rejected",
      at: "w2",
      way: "back",
    },
  },
  dropped: {
    "by a rule on the way there": {
      given: given(addRules("w1", "mangle", `-A PREROUTING -d ${FAR}/32 -j DROP`)),
      to: FAR,
      end: "dropped",
      at: "w1",
      because: `-A PREROUTING -d ${FAR}/32 -j DROP`,
    },
    "by a rule on the way back": {
      given: given(addRules("w1", "mangle", `-A PREROUTING -s ${FAR}/32 -j DROP`)),
      to: FAR,
      end: "dropped",
      at: "w1",
      way: "back",
    },
    "the tunnel's packets, by a firewall": {
      given: given(addRules("w2", "filter", "-A INPUT -p udp -m udp --dport 8472 -j DROP")),
      to: FAR,
      end: "dropped",
      at: "w2",
      because: "8472",
    },
    "the tunnel's packets, by rules at the device": {
      given: given(
        addNftTable("w2", "guard", [
          {
            hook: "ingress",
            prio: 0,
            rules: [
              [
                { match: { op: "==", left: { payload: { protocol: "udp", field: "dport" } }, right: 8472 } },
                { drop: null },
              ],
            ],
          },
        ]),
      ),
      to: FAR,
      end: "dropped",
      at: "w2",
      because: "8472",
    },
    "the refusal is dropped: the asker waits": {
      given: given(addRules("w1", "mangle", `-A PREROUTING -s ${FAR}/32 -p tcp --tcp-flags RST RST -j DROP`)),
      to: FAR,
      port: 81,
      end: "dropped",
      at: "w1",
      way: "back",
    },
    "the message that it was rejected is dropped": {
      given: given(
        addRules("cp1", "filter", "-A OUTPUT -p icmp -j DROP"),
        addRules("cp1", "filter", "-A OUTPUT -d 10.96.10.9/32 -j REJECT --reject-with icmp-port-unreachable"),
      ),
      from: "cp1",
      to: "10.96.10.9",
      end: "dropped",
      at: "cp1",
      way: "back",
    },
    "Pods of one node, although bridged": {
      given: given(addRules("w1", "filter", `-A FORWARD -d ${NEAR}/32 -j DROP`)),
      to: NEAR,
      end: "dropped",
      at: "w1",
    },
  },
  "no-route": {
    "the node has none": {
      given: given(routes("w1", (all) => all.filter(({ destination }) => !/^(10\.128\.2|0\.0)/.test(destination)))),
      to: FAR,
      end: "no-route",
      at: "w1",
      because: `no route to ${FAR}`,
    },
    "the Pod has none": {
      given: given((draft) => draft.set("podRoutes", { node: "w1", namespace: "tools", pod: "client-w1" }, [])),
      to: FAR,
      end: "no-route",
      at: CLIENT,
    },
  },
  unreachable: {
    "WireGuard: the peer's endpoint is not known": {
      given: given(...wireGuard((text) => text.replace(/ {2}endpoint.*\n/, ""))),
      to: FAR,
      end: "unreachable",
      at: "w1",
      because: "peer key-of-w2 of flannel-wg has no endpoint",
    },
    "WireGuard: no peer is allowed it": {
      given: given(...wireGuard((text) => text.replace(/10\.128\.\d/, "10.77.0"))),
      to: FAR,
      end: "unreachable",
      at: "w1",
      because: "no peer of flannel-wg is allowed 10.128.2.4",
    },
    "a blackhole": {
      given: given(routes("w1", (all) => [...all, route(`${FAR}/32`, { type: "blackhole" })])),
      to: FAR,
      end: "unreachable",
      at: "w1",
      because: `blackhole ${FAR}/32`,
    },
    "the tunnel's neighbour is not there": {
      given: given(entries("w1", "neighbours")),
      to: FAR,
      end: "unreachable",
      at: "w1",
      because: "no neighbour 10.128.2.0 on flannel.1",
    },
    "nobody has the address on the bridge": {
      given: healthy,
      from: "w1",
      to: "10.128.1.99",
      end: "unreachable",
      at: "w1",
      because: "nobody on cni0 has it",
    },
    "the bridge has lost its address, by which Pods leave": {
      given: given((draft) =>
        editNode(draft, "links", "w1", (links) =>
          links.map((link) => (link.name === "cni0" ? { ...link, addresses: [] } : link)),
        ),
      ),
      to: FAR,
      end: "unreachable",
      at: "w1",
      because: "nobody on cni0 has 10.128.1.1",
    },
    "the Pod has lost its address": {
      given: given((draft) => {
        const place = { node: "w2", namespace: "shop", pod: "backend-7d9f8c6b5-aaaa1" };
        draft.set("podLinks", place, [{ ...draft.get("podLinks", place)![0]!, addresses: [] }]);
      }),
      to: FAR,
      end: "unreachable",
      at: "w2",
    },
  },
  "not-forwarded": {
    "ip_forward is off": {
      given: given(sysctl("w1", "net.ipv4.ip_forward", "0")),
      to: FAR,
      end: "not-forwarded",
      at: "w1",
      because: "net.ipv4.ip_forward = 0",
    },
    "even to a Pod behind the same bridge, if the rules send it there": {
      given: given(sysctl("w1", "net.ipv4.ip_forward", "0")),
      to: SERVICE,
      end: "not-forwarded",
      at: "w1",
    },
    "forwarding is off for one device": {
      given: given(sysctl("w2", "net.ipv4.conf.flannel/1.forwarding", "0")),
      to: FAR,
      end: "not-forwarded",
      at: "w2",
      because: "flannel/1.forwarding = 0",
    },
  },
  "not-accepted": {
    "WireGuard: the far end allows the peer other addresses": {
      given: given(...wireGuard((text, node) => (node === "w2" ? text.replace("10.128.1.0", "10.128.9.0") : text))),
      to: FAR,
      end: "not-accepted",
      at: "w2",
      because: "peer key-of-w1 allowed ips: 10.128.9.0/24",
    },
    "strict source check, and another way back": {
      given: given(
        sysctl("w2", "net.ipv4.conf.all.rp_filter", "1"),
        sysctl("w2", "net.ipv4.conf.flannel/1.rp_filter", "1"),
        routes("w2", (all) => [
          ...all.filter(({ destination }) => destination !== "10.128.1.0/24"),
          route("10.128.1.0/24", via("eth0", "172.16.0.2")),
        ]),
      ),
      to: FAR,
      end: "not-accepted",
      at: "w2",
      because: /rp_filter 1: 10\.128\.1\.2 came by flannel\.1/,
    },
    "its source is an address of the node that it comes to": {
      given: given(
        routes("w2", (all) => [...all, route("10.128.1.2/32", { type: "local", table: "local", ...via("lo") })]),
        sysctl("w2", "net.ipv4.conf.all.accept_local", "0"),
        sysctl("w2", "net.ipv4.conf.flannel/1.accept_local", "0"),
      ),
      to: FAR,
      end: "not-accepted",
      at: "w2",
      because: "is the node's own address",
    },
    "a node port at the loopback address": {
      given: given(
        sysctl("w1", "net.ipv4.conf.all.route_localnet", "0"),
        ...["eth0", "cni0", "flannel/1"].map((device) => sysctl("w1", `net.ipv4.conf.${device}.route_localnet`, "0")),
      ),
      from: "w1",
      to: "127.0.0.1",
      port: NODE_PORT,
      end: "not-accepted",
      at: "w1",
      because: "route_localnet is off",
    },
  },
  "not-bridged": {
    "to itself through its Service, with hairpin off": {
      given: given(ports("w1", { hairpin: false }), listening("backend", [["*", 8080]])),
      from: "shop/backend-7d9f8c6b5-aaaa0",
      to: SERVICE,
      end: "not-bridged",
      at: "w1",
      because: "hairpin off",
    },
    "isolated ports": {
      given: given(ports("w1", { isolated: true })),
      to: NEAR,
      end: "not-bridged",
      at: "w1",
      because: "are isolated",
    },
    "a port that does not forward": {
      given: given(ports("w1", { state: "disabled" })),
      to: FAR,
      end: "not-bridged",
      at: "w1",
      because: "state disabled",
    },
  },
  "too-big": {
    "the tunnel's device takes less than the Pod's": {
      given: given(mtu("w1", "flannel.1", 1300)),
      to: FAR,
      how: "icmp",
      size: 1400,
      end: "too-big",
      at: "w1",
      because: "flannel.1 mtu 1300",
    },
    "the answer is": {
      given: given(mtu("w2", "flannel.1", 1300)),
      to: FAR,
      size: 1400,
      end: "too-big",
      at: "w2",
      way: "back",
    },
  },
  "table-full": {
    "nothing new gets through": {
      given: given((draft) => draft.set("conntrackCount", { node: "w1" }, { count: 65536, max: 65536 })),
      to: FAR,
      end: "table-full",
      at: "w1",
      because: "65536 of 65536 entries",
    },
  },
  lost: {
    "WireGuard: the far end has another key": {
      given: given(...wireGuard((text, node) => (node === "w2" ? text.replace("peer: key-of-w1", "peer: old") : text))),
      to: FAR,
      end: "lost",
      at: "w2",
      because: "flannel-wg has no peer key-of-w1",
    },
    "the tunnel's entry is not there": {
      given: given(entries("w1", "fdb")),
      to: FAR,
      end: "lost",
      at: "w1",
      because: "no entry for",
    },
    "a Service that no rule knows leaves by the default route": {
      given: given(dropRules("w1", new RegExp(SERVICE))),
      to: SERVICE,
      end: "lost",
      at: "w1",
      because: `${SERVICE} leaves by eth0`,
    },
    "the neighbour's hardware address is not the tunnel's": {
      given: given((draft) =>
        editNode(draft, "neighbours", "w1", (all) => all.map((one) => ({ ...one, mac: "02:00:00:00:99:99" }))),
      ).edit((draft) =>
        editNode(draft, "fdb", "w1", (all) => all.map((one) => ({ ...one, mac: "02:00:00:00:99:99" }))),
      ),
      to: FAR,
      end: "lost",
    },
  },
  "device-down": {
    "the tunnel's": {
      given: given(down("w1", "flannel.1")),
      to: FAR,
      end: "device-down",
      at: "w1",
      because: "flannel.1",
    },
    "the bridge of the other node": { given: given(down("w2", "cni0")), to: FAR, end: "device-down", at: "w2" },
    "the uplink of the other node": { given: given(down("w2", "eth0")), to: FAR, end: "device-down", at: "w2" },
    "the tunnel's device is gone": {
      given: given((draft) =>
        editNode(draft, "links", "w2", (links) => links.filter(({ name }) => name !== "flannel.1")),
      ),
      to: FAR,
      end: "device-down",
      at: "w2",
      because: "no vxlan device with id 1",
    },
  },
  "left-cluster": {
    "to the world": { given: healthy, to: "203.0.113.9", port: 443, end: "left-cluster", at: "w1" },
  },
  "wrong-answer": {
    "a Pod of the same node answers past the rules": {
      given: given(sysctl("w1", "net.bridge.bridge-nf-call-iptables", "0")),
      to: SERVICE,
      end: "wrong-answer",
      at: CLIENT,
      because: /^10\.128\.1\.[45]:8080 instead of 10\.96\.10\.1:8080/,
      way: "back",
    },
  },
  loops: {
    "two nodes that send to each other": {
      given: given(
        routes("w1", (all) => [...all, route("10.200.0.0/16", via("eth0", "172.16.0.3"))]),
        routes("w2", (all) => [...all, route("10.200.0.0/16", via("eth0", "172.16.0.2"))]),
      ),
      to: "10.200.0.1",
      end: "loops",
    },
  },
  insufficient: {
    "WireGuard: nobody recorded its peers": {
      given: given(...wireGuard()).without("wireguard"),
      to: FAR,
      end: "insufficient",
      at: "w1",
      because: "wireguard",
    },
    "the rules of the node were not had": {
      given: healthy.without("iptables", { node: "w1" }),
      to: FAR,
      end: "insufficient",
      at: "w1",
      because: "iptables",
    },
    "a rule that nobody can read": {
      given: given(addRules("w1", "filter", "-A FORWARD -j STRANGE")),
      to: FAR,
      end: "insufficient",
      at: "w1",
    },
    "what listens in the Pod is not known": {
      given: healthy.without("podSockets"),
      to: FAR,
      end: "insufficient",
      because: "podSockets",
    },
    "whether anybody on the bridge has the address": {
      given: healthy.without("neighbours", { node: "w1" }),
      from: "w1",
      to: "10.128.1.77",
      end: "insufficient",
      at: "w1",
      because: "neighbours",
    },
    "IPVS was not listed": {
      given: given(ipvsMode("w1"), dropRules("w1", /KUBE-S/)).without("ipvs", { node: "w1" }),
      to: SERVICE,
      end: "insufficient",
      at: "w1",
      because: "ipvs",
    },
  },
};

describe.each(Object.keys(ENDS).filter((name): name is KernelEnd => name !== "denied"))("%s", (name) => {
  it("has a story", () => expect(Object.keys(STORIES[name]).length).toBeGreaterThan(0));
  it.each(Object.entries(STORIES[name]))("%s", (_, story) => {
    const all = ways(story.given, story);
    const way = all.find(({ end }) => end.is === story.end);
    if (!way) expect.fail(`ended ${all.map(({ end }) => `${end.is} at ${placeOf(end.at)}`).join(", ")}`);
    if (story.at !== undefined) expect(placeOf(way.end.at)).toBe(story.at);
    if (story.way) expect(way.answer === undefined ? "there" : "back").toBe(story.way);
    const said = [
      ...way.end.evidence.map(({ quote }) => quote ?? ""),
      way.end.because ?? "",
      ...(way.end.missing ?? []).map(({ kind }) => kind as string),
    ];
    if (story.because !== undefined) expect(said.join("\n")).toMatch(story.because);
  });
});

describe("the way", () => {
  const steps = ({ steps: all }: Way): string[] =>
    all.map((step) =>
      step.did === "pass"
        ? `${step.hook} ${step.at.node}`
        : step.did === "cross"
          ? `cross ${placeOf(step.from)} ${placeOf(step.to)}`
          : "at" in step
            ? `${step.did} ${placeOf(step.at)}`
            : `${step.did} ${step.from} ${step.to}`,
    );

  it("goes there and back through the tunnel", () => {
    const [way, ...others] = ways(healthy, { to: FAR });
    expect(others).toEqual([]);
    expect(way!.certainty).toBe("certain");
    const told = steps(way!).filter((step) => !/forward|postrouting|prerouting|input|output/.test(step));
    const backend = "shop/backend-7d9f8c6b5-aaaa1";
    const through = (a: string, b: string) => [
      `route ${a}`,
      `encapsulate ${a}`,
      `route ${a}`,
      `carry ${a} ${b}`,
      `decapsulate ${b}`,
      `route ${b}`,
    ];
    expect(told).toEqual([
      `send ${CLIENT}`,
      `cross ${CLIENT} w1`,
      ...through("w1", "w2"),
      `cross w2 ${backend}`,
      `receive ${backend}`,
      `send ${backend}`,
      `cross ${backend} w2`,
      ...through("w2", "w1"),
      `cross w1 ${CLIENT}`,
      `receive ${CLIENT}`,
    ]);
    expect(way!.answer).toBe(
      told.indexOf(`receive ${backend}`) +
        steps(way!).length -
        told.length -
        steps(way!)
          .slice(way!.answer)
          .filter((step) => /forward|postrouting|prerouting|input|output/.test(step)).length +
        1,
    );
  });

  const takers = (all: readonly Way[]): string[] =>
    all
      .map(({ steps: list, answer }) => list.slice(0, answer).findLast(({ did }) => did === "receive"))
      .map((step) => (step?.did === "receive" ? placeOf(step.at) : "nobody"))
      .sort();
  const sourceAtTaker = ({ steps: list, answer }: Way): string => {
    const last = list.slice(0, answer).findLast((step) => "packet" in step);
    return last && "packet" in last && last.packet.source !== "unknown" ? formatIp(last.packet.source) : "unknown";
  };
  const BACKENDS = [0, 1, 2].map((n) => `shop/backend-7d9f8c6b5-aaaa${n}`);

  it.each(["tools/client-w1", "w1", "cp1"])("of %s to a Service: one to each back end, all chosen", (from) => {
    const all = ways(healthy, { from, to: SERVICE });
    expect(takers(all)).toEqual(BACKENDS);
    expect(all.map(({ certainty, end }) => `${certainty} ${end.is}`)).toEqual(BACKENDS.map(() => "chosen answered"));
  });

  it("through IPVS: the same", () => {
    const all = ways(given(ipvsMode("w1"), dropRules("w1", /KUBE-(SVC|SEP)/)), { to: SERVICE });
    expect(new Set(takers(all))).toEqual(new Set(BACKENDS));
  });

  it.each(["tools/client-w1", "w2", "203.0.113.9"])("of %s to a node port of another node: as that node", (from) => {
    const all = ways(healthy, { from, to: "172.16.0.1", port: NODE_PORT });
    expect(takers(all)).toEqual([0, 1].map((n) => `shop/frontend-7d9f8c6b5-aaaa${n}`));
    for (const way of all) {
      expect(way.end.is).toBe("answered");
      expect(sourceAtTaker(way)).toBe("10.128.0.0");
    }
  });

  it("to itself through its Service is masqueraded as the bridge", () => {
    const [self] = BACKENDS;
    const own = ways(healthy, { from: self!, to: SERVICE }).find(({ steps: list, answer }) =>
      list.slice(0, answer).some((step) => step.did === "receive" && placeOf(step.at) === self),
    );
    expect(own?.end.is).toBe("answered");
    expect(sourceAtTaker(own!)).toBe("10.128.1.1");
  });
});

describe("walked again", () => {
  const stories = Object.values(STORIES).flatMap((byName) => Object.entries(byName));
  // what was found for the first time is told of the others
  it.each(stories.filter(([, { size }]) => size === undefined))("%s: it ends the same", (_, story) => {
    const first = ways(story.given, story);
    expect(ways(story.given, story)).toEqual(first);
    expect(ways(story.given, { ...story, explain: true }).map(({ end: { met, ...end } }) => end)).toEqual(
      first.map(({ end }) => end),
    );
  });

  it("whatever else was asked before, it goes the same way", () => {
    const questions: readonly Sent[] = [CLIENT, "shop/backend-7d9f8c6b5-aaaa0", "w2", "cp1", "203.0.113.9"].flatMap(
      (from) =>
        [NEAR, FAR, SERVICE, "10.96.0.10", "192.168.10.11"].flatMap((to) =>
          [8080, 53, NODE_PORT].flatMap((port) =>
            (["tcp", "udp"] as const).flatMap((how) => [
              { from, to, port, how },
              { from, to, port, how, towards: [FAR] },
            ]),
          ),
        ),
    );
    const asked = (all: readonly Sent[]) => {
      const fresh = cluster();
      return new Map(all.map((one) => [one, ways(fresh, one)]));
    };
    const forwards = asked(questions);
    const backwards = asked(questions.toReversed());
    for (const [question, found] of forwards) expect(backwards.get(question), JSON.stringify(question)).toEqual(found);
    const reach = [...forwards.values()].filter((found) => found.some(({ end }) => end.is === "answered"));
    expect(reach.length).toBeGreaterThan(20);
  });

  it("by way of a Service and to the Pod itself: through the tunnel it goes alike", () => {
    const inTunnel = ({ steps }: Way) => {
      const from = steps.findIndex(({ did }) => did === "encapsulate");
      return steps.slice(from, steps.findIndex(({ did }) => did === "decapsulate") + 1);
    };
    const [toPod] = ways(healthy, { to: FAR });
    const [byService] = ways(healthy, { to: SERVICE, towards: [FAR] });
    expect(inTunnel(byService!)).toEqual(inTunnel(toPod!));
    expect([toPod!.certainty, byService!.certainty]).toEqual(["certain", "chosen"]);
    const back = byService!.steps[byService!.answer!];
    expect(back?.did).toBe("send");
  });
});

describe("towards some back ends", () => {
  const taken = (one: Cluster, ...towards: string[]) =>
    ways(one, { to: SERVICE, ...(towards.length > 0 && { towards }) }).flatMap(({ steps }) => {
      const step = steps.find(
        (one) => (one.did === "pass" || one.did === "balance") && one.before.destination !== one.packet.destination,
      );
      return step && "packet" in step && step.packet.destination !== "unknown"
        ? [formatIp(step.packet.destination)]
        : [];
    });

  it.each([
    ["iptables", healthy],
    ["nftables", cluster({ proxy: "nftables" })],
    ["IPVS", given(ipvsMode("w1"), dropRules("w1", /KUBE-(SVC|SEP)/))],
  ] as const)("with %s only these are followed", (_, one) => {
    expect(new Set(taken(one)).size).toBe(3);
    expect(taken(one, FAR)).toEqual([FAR]);
    expect(taken(one, NEAR, FAR).sort()).toEqual([NEAR, FAR]);
  });

  it("all are, if none of them is a back end", () => {
    expect(taken(healthy, "192.0.2.1")).toHaveLength(3);
  });

  it("ends are what they are without", () => {
    const all = ways(healthy, { to: SERVICE });
    const far = ways(healthy, { to: SERVICE, towards: [FAR] });
    expect(all).toEqual(expect.arrayContaining([...far]));
  });
});

/** With less known, an end is the same, or `insufficient`, or said to be a guess. */
describe("knowing less", () => {
  const KINDS: readonly (readonly [KindId, object])[] = (Object.keys(catalogue) as KindId[]).flatMap((kind) =>
    healthy.capture
      .all(kind)
      // that the table is full is seldom, and not feared where nobody looked
      .filter(({ place }) => place.node !== undefined && kind !== "conntrackCount")
      .map(({ place }) => [kind, place] as const),
  );
  const stories = Object.values(STORIES).flatMap((byName) => Object.entries(byName));
  const endsOf = (all: readonly Way[]) => new Set(all.map(({ end }) => end.is));
  const TAKEN_AS_USUAL: ReadonlySet<KindId> = new Set(["podLinks", "podRoutes", "bridgePorts"]);

  it("makes no other end", () => {
    fc.assert(
      fc.property(fc.constantFrom(...stories), fc.constantFrom(...KINDS), ([name, story], [kind, place]) => {
        const before = endsOf(ways(story.given, story));
        const after = ways(story.given.without(kind, place), story);
        for (const { end, certainty } of after) {
          const isKnown = end.is === "insufficient" || certainty === "guessed";
          const isFine = isKnown || before.has(end.is) || before.has("insufficient");
          // where nobody looked into a Pod, what comes later on the way may be what is found
          if (TAKEN_AS_USUAL.has(kind) && end.is !== "answered") continue;
          if (!isFine)
            expect.fail(`${name}, without ${kind} of ${JSON.stringify(place)}: ${end.is}, was ${[...before]}`);
        }
      }),
      { numRuns: LONG ? 20_000 : 400 },
    );
  });
});
