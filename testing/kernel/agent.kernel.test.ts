/**
 * netwhy's agent in the real kernel: in a network namespace that stands for a node, with the capabilities that its
 * manifest gives it and no others, in as much memory as its manifest allows, reached as through the API server.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Capture, createIntake } from "../../src/evidence/capture.ts";
import type { ObjectOf } from "../../src/evidence/catalogue.ts";
import { known } from "../../src/evidence/observed.ts";
import { apiOf } from "../../src/sources/live/api.ts";
import { connect } from "../../src/sources/live/connection.ts";
import { nodeAgents } from "../../src/sources/live/node-agent.ts";
import { nodeIntake } from "../../src/sources/live/read-nodes.ts";
import { buildAgent } from "../../tools/build-agent.ts";
import { type Answering, refuse, sendJson, stubServer } from "../stub-api-server.ts";
import { addNamespace, canAsk, deleteNamespace, inNamespace } from "./namespaces.ts";

type DaemonSet = {
  kind: string;
  spec: {
    template: {
      spec: {
        containers: {
          securityContext: { capabilities: { add: string[] } };
          resources: { limits: { memory: string } };
        }[];
      };
    };
  };
};
const MANIFEST = readFileSync(fileURLToPath(new URL("../../manifests/agent.yaml", import.meta.url)), "utf8");
const [CONTAINER] = (loadAll(MANIFEST) as DaemonSet[]).find(({ kind }) => kind === "DaemonSet")!.spec.template.spec
  .containers;
const CAPABILITIES = CONTAINER!.securityContext.capabilities.add.map((name) => `+${name.toLowerCase()}`);
const MEMORY = Number(/^(\d+)Mi$/.exec(CONTAINER!.resources.limits.memory)![1]) * 1024 * 1024;

const PORT = 10471;
const KEY = "k".repeat(64);
const CGROUPS = "/sys/fs/cgroup/memory";
const NODE = { node: "w1" };
const agentPod = (labels: object, namespace = "netwhy") =>
  ({
    metadata: { name: "netwhy-agent-x", namespace, uid: "a", labels },
    spec: { nodeName: "w1", hostNetwork: true, containers: [{ name: "agent", ports: [{ containerPort: PORT }] }] },
    status: { phase: "Running" },
  }) as unknown as ObjectOf<"pods">;
const AGENT = agentPod({ "app.kubernetes.io/name": "netwhy-agent" });
const POD = {
  metadata: { name: "web", namespace: "shop", uid: "0a610a53-69ed-4b13-8409-1ec400f743f0" },
  spec: { nodeName: "w1", containers: [] },
  status: { phase: "Running", podIP: "10.244.1.7" },
} as unknown as ObjectOf<"pods">;

/** Asks the agent inside its network namespace, as the API server's proxy would. */
function proxyTo(port: number): Answering {
  return (url, response, { headers }) => {
    const match = /^\/api\/v1\/namespaces\/netwhy\/pods\/netwhy-agent-x:10471\/proxy(\/.*)$/.exec(url.pathname);
    if (!match) return false;
    const { authorization: _, ...passed } = headers;
    const asked = request({ port, path: match[1] + url.search, headers: passed }, (answered) => {
      response.writeHead(answered.statusCode!, answered.headers);
      answered.pipe(response);
    });
    asked.on("error", () => refuse(response, 502, "no agent there"));
    asked.end();
    return undefined;
  };
}

const secret =
  (key: string): Answering =>
  ({ pathname }, response) =>
    pathname === "/api/v1/namespaces/netwhy/secrets/netwhy-agent"
      ? sendJson(response, { kind: "Secret", data: { key: Buffer.from(key).toString("base64") } })
      : false;

describe.skipIf(!canAsk("iptables", "nft", "nsenter", "setpriv", "bridge"))("netwhy's agent", () => {
  const folder = mkdtempSync(join(tmpdir(), "netwhy-agent-"));
  const cgroup = join(CGROUPS, `netwhy-test-${process.pid}`);
  const canLimit = existsSync(join(CGROUPS, "memory.limit_in_bytes"));
  let node = "";
  let pod = "";
  let agent: ChildProcess;
  let relay: ChildProcess;
  let relayPort = 0;
  let holder: ChildProcess;

  beforeAll(async () => {
    buildAgent(join(folder, "agent"), { withNode: false });
    writeFileSync(join(folder, "key"), `${KEY}\n`);
    node = addNamespace();
    pod = addNamespace();
    for (const command of [
      "ip link set lo up",
      "ip link add cni0 type bridge",
      "ip addr add 10.244.1.1/24 dev cni0",
      "ip link set cni0 up",
      "ip link add flannel.1 type vxlan id 1 dstport 8472 dev cni0 local 10.244.1.1",
      "iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT",
      "nft add table inet netwhy_test",
    ])
      inNamespace(node, command.split(" "));
    inNamespace(node, `ip link add veth0 master cni0 up type veth peer name eth0 netns ${pod}`.split(" "));
    inNamespace(pod, ["ip", "addr", "add", "10.244.1.7/24", "dev", "eth0"]);
    inNamespace(pod, ["ip", "link", "set", "eth0", "up"]);
    // a Pod's process runs as somebody else
    holder = spawn("ip", ["netns", "exec", pod, "setpriv", "--reuid=65534", "--clear-groups", "sleep", "600"]);
    addRules(1000);

    if (canLimit) {
      mkdirSync(cgroup);
      writeFileSync(join(cgroup, "memory.limit_in_bytes"), String(MEMORY));
    }
    const limits = canLimit ? `echo $$ >${cgroup}/cgroup.procs;` : "";
    const run = [
      "setpriv",
      `--bounding-set=-all,${CAPABILITIES.join(",")}`,
      "--no-new-privs",
      // a Node of its own, whose pages count as the agent's
      join(folder, "node"),
      "--max-old-space-size=24",
      "--max-semi-space-size=1",
      join(folder, "agent/agent.mjs"),
      "--mode=host",
      `--key=${join(folder, "key")}`,
      `--port=${PORT}`,
    ];
    const script = `${limits} cp ${process.execPath} ${join(folder, "node")}; exec ip netns exec ${node} ${run.join(" ")}`;
    agent = spawn("sh", ["-c", script], { stdio: "inherit" });
    // the agent listens on the loopback device of its namespace: a process there passes bytes on
    const passOn = `const net = require("node:net"); net.createServer((from) => { const to = net.connect(${PORT}, "127.0.0.1");
      for (const [a, b] of [[from, to], [to, from]]) { a.pipe(b); a.on("error", () => b.destroy()); } })
      .listen(process.argv[1])`;
    const socket = join(folder, "relay.sock");
    relay = spawn("ip", ["netns", "exec", node, process.execPath, "-e", passOn, socket]);
    const { createServer, connect: dial } = await import("node:net");
    const front = createServer((from) => {
      const to = dial(socket);
      from.pipe(to).pipe(from);
      to.on("error", () => from.destroy());
      from.on("error", () => to.destroy());
    });
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
    front.unref();
    relayPort = (front.address() as { port: number }).port;
    // in so little memory a machine at work may take long to start Node
    for (let tried = 0; tried < 600; tried++) {
      if ((await ask("/healthz")).status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the agent does not answer");
  });

  afterAll(() => {
    agent?.kill();
    relay?.kill();
    holder?.kill();
    for (const name of [node, pod]) if (name !== "") deleteNamespace(name);
    rmSync(folder, { recursive: true, force: true });
    if (canLimit) {
      spawnSync("sh", ["-c", `while [ -n "$(cat ${cgroup}/cgroup.procs)" ]; do sleep 0.1; done`], { timeout: 5000 });
      rmdirSync(cgroup);
    }
  });

  const addRules = (count: number) => {
    const rules = Array.from({ length: count }, (_, n) => `-A FORWARD -d 10.9.${n >> 8}.${n & 255} -j ACCEPT`);
    inNamespace(node, ["iptables-restore", "--noflush"], `*filter\n${rules.join("\n")}\nCOMMIT\n`);
  };
  const forwardRules = (capture: Capture) =>
    known(capture.get("iptables", NODE))?.tables.flatMap(({ chains }) =>
      chains.filter(({ name }) => name === "FORWARD").flatMap(({ rules }) => rules),
    ).length;

  async function ask(path: string, headers: Record<string, string> = {}) {
    const answered = await fetch(`http://127.0.0.1:${relayPort}${path}`, { headers }).catch(() => undefined);
    return { status: answered?.status, text: (await answered?.text()) ?? "" };
  }

  async function read(key: string, pods: readonly ObjectOf<"pods">[] = [AGENT]) {
    const server = await stubServer(secret(key), proxyTo(relayPort));
    const connection = await connect({ kubeconfig: server.kubeconfig });
    const { signal } = new AbortController();
    const api = apiOf(connection, { signal, deadline: Date.now() + 60_000, pauseMs: 5 });
    const intake = createIntake();
    const files = nodeIntake(intake, "w1", [POD]);
    await nodeAgents(api, pods).read("w1", files, 60_000);
    files.end();
    connection.close();
    return { capture: intake.capture(), asked: server.asked };
  }

  it("shows what was set up, other Pods' networks included, with the capabilities that it has", async () => {
    const place = { ...NODE, namespace: "shop", pod: "web" };
    // where memory is short the kernel may end a tool in any reading: the next one is whole
    const isWhole = ({ capture }: { capture: Capture }) =>
      [
        ...(["links", "iptables", "nftables"] as const).map((kind) => capture.get(kind, NODE)),
        ...(["podLinks", "podRoutes"] as const).map((kind) => capture.get(kind, place)),
      ].every((observed) => observed.state === "present" && observed.gaps.length === 0);
    let reading = await read(KEY);
    for (let tried = 1; tried < 5 && !isWhole(reading); tried++) reading = await read(KEY);
    const { capture } = reading;
    const names = known(capture.get("links", NODE))?.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["cni0", "flannel.1", "veth0"]));
    expect(forwardRules(capture)).toBe(1001);
    for (const kind of ["iptables", "nftables"] as const) {
      const observed = capture.get(kind, NODE);
      expect([observed.state, observed.state === "present" && observed.gaps.length], kind).toEqual(["present", 0]);
    }
    expect(JSON.stringify(known(capture.get("podLinks", place)))).toContain("10.244.1.7");
    expect(JSON.stringify(known(capture.get("podRoutes", place)))).toContain("10.244.1.0");
  });

  it.skipIf(!canLimit)("stays within the memory that its manifest allows", async () => {
    const usage = (file: string) => Number(readFileSync(join(cgroup, file), "utf8"));
    const stat = readFileSync(join(cgroup, "memory.stat"), "utf8");
    const anonymous = Number(/^total_rss (\d+)$/m.exec(stat)![1]);
    expect(usage("memory.max_usage_in_bytes")).toBeLessThanOrEqual(MEMORY);
    expect(agent.exitCode).toBeNull();
    // what cannot be given back
    expect(anonymous).toBeLessThan(40 * 1024 * 1024);
  });

  it.skipIf(!canLimit)("outlives a tool that needs more, and says which", async () => {
    addRules(16_000);
    const { capture } = await read(KEY);
    expect(capture.get("nftables", NODE)).toMatchObject({
      state: "unknown",
      why: { message: expect.stringMatching(/^exit status 137/) },
    });
    // this one needs about what is there: it may be ended before its last line, and is told as cut off then
    const iptables = capture.get("iptables", NODE);
    expect(iptables.state).toBe("present");
    const isWhole = iptables.state === "present" && iptables.gaps.length === 0;
    expect(isWhole).toBe(forwardRules(capture) === 17_001);
    expect(agent.exitCode).toBeNull();
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("shows nothing to who does not know its key", async () => {
    const mark = `@@${randomUUID()}`;
    const path = `/node?mark=${mark}`;
    const { text } = await ask("/challenge");
    for (const proof of [undefined, "", text.trim(), `${text.trim()} ${"0".repeat(64)}`, `0.${"0".repeat(64)} x`]) {
      const { status, text: said } = await ask(path, proof === undefined ? {} : { "x-netwhy-proof": proof });
      expect([status, said.includes(mark)]).toEqual([401, false]);
    }
    const { capture } = await read("x".repeat(64));
    const links = capture.get("links", NODE);
    expect(links.state === "unknown" && "message" in links.why && links.why.message).toMatch(
      /^the agent netwhy\/netwhy-agent-x: .*did not prove to know/,
    );
  });

  it("runs nothing but the script, and takes no other method", async () => {
    expect((await ask("/")).status).toBe(404);
    expect((await ask("/node?mark=;id")).status).toBe(401);
    const answered = await fetch(`http://127.0.0.1:${relayPort}/node`, { method: "POST", body: "x" });
    expect(answered.status).toBe(405);
  });

  it("is none of ours in another namespace: its Secret is not asked for", async () => {
    const strangers = [agentPod({ "app.kubernetes.io/name": "netwhy-agent" }, "shop"), agentPod({ app: "x" })];
    const { asked } = await read(KEY, strangers);
    expect(asked).toEqual([]);
  });
});
