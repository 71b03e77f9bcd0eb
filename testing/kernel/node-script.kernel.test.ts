/**
 * The node script in the real kernel: a node with a bridge, a VXLAN device, rules of both kinds and a process that stands
 * for a Pod. What it prints parses and equals what was set up; with tools missing it says which, and nothing wrong.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createIntake } from "../../src/evidence/capture.ts";
import { catalogue, type KindId, type ObjectOf } from "../../src/evidence/catalogue.ts";
import type { Kind } from "../../src/evidence/kind.ts";
import { known } from "../../src/evidence/observed.ts";
import { DEFAULT_MARK } from "../../src/sources/live/node-output.ts";
import { nodeIntake, nodeScript } from "../../src/sources/live/read-nodes.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace } from "./namespaces.ts";

const NODE = { node: "w1" };
const POD = {
  metadata: { name: "web", namespace: "shop", uid: "0a610a53-69ed-4b13-8409-1ec400f743f0" },
  spec: { nodeName: "w1", containers: [] },
  status: { phase: "Running", podIP: "10.244.1.7" },
} as unknown as ObjectOf<"pods">;

const SET_UP = [
  "ip link set lo up",
  "ip link add eth0 type bridge",
  "ip addr add 192.0.2.11/24 dev eth0",
  "ip link set eth0 up",
  "ip link add cni0 type bridge",
  "ip addr add 10.244.1.1/24 dev cni0",
  "ip link set cni0 up",
  "ip link add flannel.1 type vxlan id 1 dstport 8472 dev eth0 local 192.0.2.11",
  "ip link set flannel.1 up",
  "ip route add 10.244.2.0/24 dev cni0 via 10.244.1.9",
  "ip rule add fwmark 0x10 lookup 100",
  "bridge fdb append 02:00:00:00:00:02 dev flannel.1 dst 192.0.2.12",
  "ip neigh add 10.244.2.0 lladdr 02:00:00:00:00:02 dev flannel.1",
  "iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT",
  "nft add table inet netwhy_test",
  "nft add chain inet netwhy_test drops { type filter hook forward priority 10 ; policy accept ; }",
  "nft add rule inet netwhy_test drops ip daddr 192.0.2.99 tcp dport 81 drop",
  "ipset create netwhy hash:ip",
  "ipset add netwhy 192.0.2.77",
  "sysctl -qw net.ipv4.ip_forward=1",
];

/** Runs the script, where there are no tools but those of a folder. */
function printed(namespace: string, tools?: string, mode = "host"): string {
  const script = tools === undefined ? nodeScript() : nodeScript().replace(/^ {2}PATH=.*$/m, `  PATH=${tools}`);
  return spawnSync("ip", ["netns", "exec", namespace, "/bin/sh", "-s", mode, DEFAULT_MARK], {
    input: script,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  }).stdout;
}

function read(namespace: string, tools?: string, mode = "host") {
  const stdout = printed(namespace, tools, mode);
  const intake = createIntake();
  const files = nodeIntake(intake, NODE.node, [POD]);
  const reader = files.reader(DEFAULT_MARK);
  reader.write(stdout);
  const isWhole = reader.end();
  files.end();
  return { capture: intake.capture(), isWhole };
}

const TOOLS = "iptables nft ipset bridge conntrack ss nsenter sysctl ps dmesg";

describe.skipIf(!canAsk(...TOOLS.split(" ")))("the node script", () => {
  let node = "";
  let pod = "";
  let process_: ChildProcess | undefined;
  const folder = mkdtempSync(join(tmpdir(), "netwhy-tools-"));

  beforeAll(async () => {
    node = addNamespace();
    pod = addNamespace();
    for (const command of SET_UP) inNamespace(node, command.split(" "));
    inNamespace(node, `ip link add veth0 master cni0 up type veth peer name eth0 netns ${pod}`.split(" "));
    inNamespace(pod, ["ip", "addr", "add", "10.244.1.7/24", "dev", "eth0"]);
    inNamespace(pod, ["ip", "link", "set", "eth0", "up"]);
    inNamespace(pod, ["ip", "link", "set", "lo", "up"]);
    process_ = spawn("ip", [
      "netns",
      "exec",
      pod,
      process.execPath,
      "-e",
      "require('net').createServer().listen(8080, '0.0.0.0', () => console.log('up'))",
    ]);
    await new Promise((resolve) => process_!.stdout!.once("data", resolve));
  });
  afterAll(() => {
    process_?.kill();
    for (const name of [node, pod]) if (name !== "") deleteNamespace(name);
    rmSync(folder, { recursive: true });
  });

  it("reads what was set up", () => {
    const { capture, isWhole } = read(node);
    expect(isWhole).toBe(true);
    const links = known(capture.get("links", NODE)) ?? [];
    expect(links.map(({ name }) => name)).toEqual(expect.arrayContaining(["lo", "eth0", "cni0", "flannel.1"]));
    expect(JSON.stringify(known(capture.get("routes", NODE)))).toContain("10.244.1.9");
    expect(JSON.stringify(known(capture.get("routingRules", NODE)))).toContain("100");
    expect(JSON.stringify(known(capture.get("fdb", NODE)))).toContain("02:00:00:00:00:02");
    expect(JSON.stringify(known(capture.get("neighbours", NODE)))).toContain("10.244.2.0");
    expect(JSON.stringify(known(capture.get("ipset", NODE)))).toContain("192.0.2.77");
    expect(capture.get("iptables", NODE)).toMatchObject({ state: "present", gaps: [] });
    expect(capture.get("nftables", NODE)).toMatchObject({ state: "present", gaps: [] });
    expect(known(capture.get("sysctls", NODE))?.get("net.ipv4.ip_forward")?.value).toBe("1");
    expect(known(capture.get("conntrackCount", NODE))?.max).toBeGreaterThan(0);
  });

  it("reads it value by value: devices, the overlay, routes, entries, rules", () => {
    const { capture } = read(node);
    const links = new Map(known(capture.get("links", NODE))?.map((link) => [link.name, link]));
    expect(links.get("flannel.1")).toMatchObject({
      kind: "vxlan",
      vxlan: { id: 1, port: 8472, local: "192.0.2.11", device: "eth0" },
    });
    expect(links.get("cni0")?.kind).toBe("bridge");
    expect(links.get("cni0")?.addresses).toContainEqual(
      expect.objectContaining({ local: "10.244.1.1", prefixLength: 24 }),
    );
    expect(links.get("veth0")).toMatchObject({ kind: "veth", master: "cni0" });
    expect(known(capture.get("bridgePorts", NODE))).toMatchObject([{ name: "veth0", master: "cni0" }]);
    const routes = known(capture.get("routes", NODE))?.filter(({ destination }) => destination === "10.244.2.0/24");
    expect(routes).toMatchObject([{ nextHops: [{ gateway: "10.244.1.9", device: "cni0" }] }]);
    expect(known(capture.get("fdb", NODE))).toContainEqual(
      expect.objectContaining({ mac: "02:00:00:00:00:02", device: "flannel.1", destination: "192.0.2.12" }),
    );
    const chains = known(capture.get("iptables", NODE))?.tables.flatMap((table) => table.chains) ?? [];
    expect(chains.find(({ name }) => name === "FORWARD")?.rules).toMatchObject([
      { conditions: [{ is: "source", prefix: { length: 16 } }], target: { does: "accept" } },
    ]);
    const table = known(capture.get("nftables", NODE))?.tables.find(({ name }) => name === "netwhy_test");
    expect(table).toMatchObject({ family: "inet", chains: [{ name: "drops" }] });
    expect(JSON.stringify(table)).toMatch(/192\.0\.2\.99.*81.*drop.*forward/);
  });

  it("reads everything on a node that the catalogue knows of, or says why not", () => {
    const { capture } = read(node);
    // a node has these only if something there makes them
    const seldom: readonly KindId[] = [
      "ipvs",
      "wireguard",
      "cniConfig",
      "kubeletConfig",
      "subnetEnv",
      "nodeResolvConf",
    ];
    for (const kind of Object.keys(catalogue) as KindId[]) {
      const { how } = catalogue[kind] as Kind<unknown>;
      if (!("command" in how) || how.where !== "node" || seldom.includes(kind)) continue;
      const observed = capture.get(kind, NODE);
      const isTold = observed.state !== "unknown" || observed.why.reason !== "not-collected";
      expect(isTold, kind).toBe(true);
    }
  });

  it.skipIf(!canAsk("ethtool"))(
    "shows what devices do in the kernel's place but for Pods' links, and what runs beside",
    () => {
      const text = printed(node);
      const told = [...text.matchAll(/^\S+ \+ ethtool\/(\S+)\.txt\n(.*)/gm)];
      expect(told.map(([, device]) => device)).toEqual(["cni0", "eth0", "flannel.1"]);
      for (const [, device, first] of told) expect(first).toBe(`Features for ${device}:`);
      // or that they are not there
      for (const file of ["modules", "selinux", "services"])
        expect(text).toMatch(new RegExp(`^\\S+ [+!] ${file}\\.txt`, "m"));
    },
  );

  it("looks into the network of a Pod, which it knows by its address", () => {
    const { capture } = read(node);
    const place = { ...NODE, namespace: "shop", pod: "web" };
    expect(JSON.stringify(known(capture.get("podLinks", place)))).toContain("10.244.1.7");
    expect(known(capture.get("podSockets", place))?.map(({ port }) => port)).toEqual([8080]);
    expect(JSON.stringify(known(capture.get("podRoutes", place)))).toContain("10.244.1.0");
  });

  /** The tools of this machine but for one, which may be another. */
  function toolsBut(tool: string, instead?: string): string {
    const some = mkdtempSync(join(folder, "tools-"));
    const { stdout } = spawnSync("sh", ["-c", "ls -d /bin/* /sbin/* /usr/bin/* /usr/sbin/*"], { encoding: "utf8" });
    const paths = new Map(stdout.split("\n").map((path) => [path.split("/").at(-1)!, path]));
    for (const [name, path] of paths) if (name !== tool && name !== "") symlinkSync(path, join(some, name));
    if (instead !== undefined) writeFileSync(join(some, tool), instead, { mode: 0o755 });
    return some;
  }

  it.each([
    ["nft", "nftables"],
    ["ipset", "ipset"],
    ["conntrack", "conntrack"],
    ["iptables-save", "iptables"],
    ["bridge", "fdb"],
    ["dmesg", "kernelLog"],
    ["ss", "sockets"],
  ] as const)("without %s says that it is missing, and reads the rest", (tool, kind) => {
    const { capture, isWhole } = read(node, toolsBut(tool), "agent");
    expect(isWhole).toBe(true);
    expect(capture.get(kind, NODE)).toMatchObject({ state: "unknown", why: { message: `${tool}: not found` } });
    expect(capture.get("links", NODE).state).toBe("present");
  });

  it("with an ip that knows no JSON, as busybox's, says what that said", () => {
    const busybox = '#!/bin/sh\necho "ip: unrecognized option: j" >&2\nexit 1\n';
    const { capture, isWhole } = read(node, toolsBut("ip", busybox), "agent");
    expect(isWhole).toBe(true);
    for (const kind of ["links", "routes", "neighbours"] as const) {
      expect(capture.get(kind, NODE)).toMatchObject({
        state: "unknown",
        why: { message: "exit status 1: ip: unrecognized option: j" },
      });
    }
    expect(capture.get("iptables", NODE).state).toBe("present");
  });

  it("without sysctl reads what decides about packets, by any tool that reads files", () => {
    const { capture } = read(node, toolsBut("sysctl"), "agent");
    expect(known(capture.get("sysctls", NODE))?.get("net.ipv4.ip_forward")?.value).toBe("1");
    expect(known(capture.get("sysctls", NODE))?.get("net.ipv4.conf.flannel/1.rp_filter")).toBeDefined();
  });

  it("in a shell that has nothing says that everything is missing, and ends", () => {
    const script = nodeScript().replace(/^ {2}PATH=.*$/m, "  PATH=/nowhere");
    const { stdout } = spawnSync("/bin/sh", ["-s", "agent", DEFAULT_MARK], { input: script, encoding: "utf8" });
    expect(stdout).toContain(`${DEFAULT_MARK} ! ip-addr.json ip: not found`);
    expect(stdout.endsWith(`${DEFAULT_MARK} end\n`)).toBe(true);
    // of what it could not read it does not print a part: a shell reads one digit of a file under /proc/sys
    expect(stdout).not.toMatch(/conntrack-count\.txt\n\d/);
  });
});
