/** Looking into nodes: through agents, through Pods of ours, and when neither can be. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  type Answering,
  discovers,
  lists,
  podObject,
  refuse,
  type StubServer,
  sendJson,
  stubServer,
} from "../../../testing/stub-api-server.ts";
import { type ExecStub, execStub } from "../../../testing/stub-exec.ts";
import { createIntake } from "../../evidence/capture.ts";
import { known } from "../../evidence/observed.ts";
import { connect } from "./connection.ts";
import { type ReadOptions, readCluster } from "./read-cluster.ts";
import { chooseNodes } from "./read-nodes.ts";

const nodeObject = (name: string, ready = "True") => ({
  metadata: { name },
  status: { conditions: [{ type: "Ready", status: ready }] },
});

/** An agent that shares the node's network. */
const agent = (container: string, node = "w1", more: object = {}) =>
  podObject(`${container}-${node}`, {
    metadata: { name: `${container}-${node}`, namespace: "kube-system", uid: `${container}-${node}` },
    spec: { nodeName: node, hostNetwork: true, containers: [{ name: container }] },
    status: {
      phase: "Running",
      containerStatuses: [{ name: container, ready: true, restartCount: 0, state: { running: {} } }],
      ...more,
    },
  });

/** What the script prints: files by their paths. */
const printed = (mark: string, files: Record<string, string>, isWhole = true) =>
  [
    `${mark} node w1`,
    ...Object.entries(files).flatMap(([path, content]) => [`${mark} + ${path}`, content, `${mark} - 0 `]),
    ...(isWhole ? [`${mark} end`] : []),
    "",
  ].join("\n");

const answers =
  (byPod: (pod: string) => Record<string, string>): NonNullable<ExecStub["run"]> =>
  (url) => {
    const mark = url.searchParams.getAll("command")[3]!;
    const pod = url.pathname.split("/").at(-2)!;
    return { command: ["printf", "%s", printed(mark, byPod(pod))] };
  };

const LINKS = '[{"ifindex":1,"ifname":"lo","flags":["UP"],"mtu":65536,"link_type":"loopback","addr_info":[]}]\n';

async function read(server: StubServer, options: Partial<ReadOptions> = {}) {
  const connection = await connect({ kubeconfig: server.kubeconfig });
  try {
    const signal = new AbortController().signal;
    return await readCluster(connection, { signal, nodes: "all", pauseMs: 5, budgetMs: 6000, ...options });
  } finally {
    connection.close();
  }
}

async function cluster(stub: ExecStub, pods: readonly object[], ...answering: readonly Answering[]) {
  const objects = { "/api/v1/nodes": [nodeObject("w1")], "/api/v1/pods": pods };
  const kubelet: Answering = ({ pathname }, response) =>
    /\/proxy\/|\/log$/.test(pathname) ? refuse(response, 403, "not for you") : false;
  const server = await stubServer(...answering, kubelet, discovers(), lists(objects));
  server.upgrade.current = execStub(stub);
  return server;
}

const W1 = { node: "w1" };

describe("a node, through its agents", () => {
  it("is read in each of them, and each file is taken from the first that has it", async () => {
    const run = answers((pod) =>
      pod.startsWith("kube-proxy")
        ? { "ip-addr.json": LINKS }
        : { "ip-addr.json": "[]\n", "files/run/flannel/subnet.env": "FLANNEL_MTU=1450\n" },
    );
    const { capture } = await read(await cluster({ run }, [agent("kube-flannel"), agent("kube-proxy")]));
    expect(known(capture.get("links", W1))?.map(({ name }) => name)).toEqual(["lo"]);
    expect(capture.get("subnetEnv", W1).state).toBe("present");
  });

  it("has the kubelet's configuration in force, for who may ask for it", async () => {
    const configz: Answering = ({ pathname }, response) =>
      pathname === "/api/v1/nodes/w1/proxy/configz"
        ? sendJson(response, { kubeletconfig: { clusterDNS: ["10.96.0.10"], clusterDomain: "cluster.local" } })
        : false;
    const { capture } = await read(await cluster({}, [], configz));
    expect(known(capture.get("kubeletConfig", W1))).toMatchObject({ clusterDNS: ["10.96.0.10"] });
  });

  it.each<[string, ExecStub, readonly object[], RegExp]>([
    ["where exec is forbidden", { refuse: 403 }, [agent("kube-proxy")], /exec in kube-system\/kube-proxy-w1: .*403/],
    ["where no agent runs", {}, [], /no agent of the network runs there/],
    ["where an agent does not run", {}, [agent("kube-proxy", "w1", { containerStatuses: [] })], /no agent/],
    ["where exec never ends", { run: () => "silence" }, [agent("kube-proxy")], /not done within/],
  ])("%s is unknown, with the reason", async (_, stub, pods, expected) => {
    const started = performance.now();
    const { capture } = await read(await cluster(stub, pods), { budgetMs: 3000 });
    expect(performance.now() - started).toBeLessThan(8000);
    const links = capture.get("links", W1);
    expect(links.state === "unknown" && "message" in links.why && links.why.message).toMatch(expected);
  });

  it("that does not report, and whose kubelet is silent, is not waited for in each of its agents", async () => {
    const isOfW2 = (url: URL) => /\/nodes\/w2\/|-w2\/(?:log|exec)$/.test(url.pathname);
    const gone: Answering = (url) => (isOfW2(url) ? undefined : false);
    const both = lists({ "/api/v1/nodes": [nodeObject("w1"), nodeObject("w2", "Unknown")] });
    const nodes: Answering = (url, ...rest) => (url.pathname === "/api/v1/nodes" ? both(url, ...rest) : false);
    const run: ExecStub["run"] = (url) => (isOfW2(url) ? "silence" : answers(() => ({ "ip-addr.json": LINKS }))(url));
    const agents = ["w1", "w2"].flatMap((node) => [agent("kube-proxy", node), agent("kube-flannel", node)]);
    const server = await cluster({ run }, agents, gone, nodes);
    const { capture } = await read(server, { budgetMs: 60_000 });
    expect(capture.get("links", W1)).toMatchObject({ state: "present" });
    expect(capture.get("links", { node: "w2" })).toMatchObject({
      why: { message: "not tried: the kubelet of w2 is silent, and all exec comes through it" },
    });
    expect(server.asked.filter((path) => /-w2\/exec/.test(path))).toEqual([]);
  });

  it("that is cut off proves what came", async () => {
    const run: ExecStub["run"] = (url) => {
      const mark = url.searchParams.getAll("command")[3]!;
      const text = printed(mark, { "ip-addr.json": LINKS }, false);
      return { command: ["printf", "%s", `${text}${mark} + ss.txt\nhalf of a li`] };
    };
    const { capture } = await read(await cluster({ run }, [agent("kube-proxy")]));
    expect(capture.get("links", W1)).toMatchObject({ state: "present", gaps: [] });
    const sockets = capture.get("sockets", W1);
    expect(sockets.state === "present" && sockets.gaps.length).not.toBe(0);
  });
});

describe("a node with netwhy's own agent", () => {
  const ours = podObject("netwhy-agent-w1", {
    metadata: {
      name: "netwhy-agent-w1",
      namespace: "netwhy",
      uid: "a",
      labels: { "app.kubernetes.io/name": "netwhy-agent" },
    },
    spec: { nodeName: "w1", hostNetwork: true, containers: [{ name: "agent", ports: [{ containerPort: 10471 }] }] },
    status: { phase: "Running" },
  });
  const PROXY = "/api/v1/namespaces/netwhy/pods/netwhy-agent-w1:10471/proxy";
  const agentApi =
    (answerNode: Answering): Answering =>
    (url, response, request) => {
      if (url.pathname === "/api/v1/namespaces/netwhy/secrets/netwhy-agent") {
        return sendJson(response, { data: { key: btoa("secret") } });
      }
      if (url.pathname === `${PROXY}/challenge`) return void response.end("7.abc\n");
      return url.pathname === `${PROXY}/node` ? answerNode(url, response, request) : false;
    };
  const execSees: ExecStub["run"] = answers(() => ({ "ip-addr.json": LINKS }));
  const isExec = (path: string) => path.includes("/exec?");

  it("is read by it, and no further if it saw the Pods", async () => {
    let proof: unknown;
    const answered = agentApi((url, response, { headers }) => {
      proof = headers["x-netwhy-proof"];
      const mark = url.searchParams.get("mark")!;
      const whole = printed(mark, { "ip-addr.json": LINKS }, false);
      response.end(`${whole}${mark} netns 4026 \n${mark} end\n`);
    });
    const server = await cluster({ run: execSees }, [agent("kube-proxy"), ours], answered);
    const { capture } = await read(server);
    expect(capture.get("links", W1).state).toBe("present");
    expect(proof).toMatch(/^7\.abc [0-9a-f]{64}$/);
    expect(server.asked.filter(isExec)).toEqual([]);
  });

  const denied =
    'pods "x" is forbidden: User "jane" cannot get resource "pods/proxy" in API group "" in the namespace "netwhy"';

  it.each<[string, Answering, RegExp]>([
    ["may not be asked", (_, response) => refuse(response, 403, denied), /cannot get resource "pods\/proxy"/],
    ["has another key", (_, response) => void response.writeHead(401).end("no proof\n"), /no proof/],
    ["is gone", (_, response) => refuse(response, 503, "dial tcp: connection refused"), /connection refused/],
    ["hangs", () => undefined, /not answered|silent|time/],
    [
      "is cut off",
      (_, response) => void response.writeHead(200).write("x", () => response.socket!.destroy()),
      /ended early/,
    ],
  ])("that %s, is read in the next way; without one, it is told", { timeout: 20_000 }, async (_, fault, says) => {
    const next = await cluster({ run: execSees }, [agent("kube-proxy"), ours], agentApi(fault));
    expect((await read(next, { budgetMs: 6000 })).capture.get("links", W1).state).toBe("present");
    const none = await cluster({}, [ours], agentApi(fault));
    const links = (await read(none, { budgetMs: 2000 })).capture.get("links", W1);
    expect(links.state === "unknown" && "message" in links.why && links.why.message).toMatch(says);
  });
});

/** What happens to Pods of ours. */
function debugApi(phase: string) {
  const pods = new Map<string, { spec: { containers: { image: string; imagePullPolicy: string }[] } }>();
  const made: string[] = [];
  const removals: unknown[] = [];
  const answer: Answering = ({ pathname }, response, request) => {
    const name = /^\/api\/v1\/namespaces\/kube-system\/pods\/?([^/]*)$/.exec(pathname)?.[1];
    if (pathname === "/api/v1/nodes/w1") {
      const images = [
        { names: ["registry.k8s.io/pause:3.10"] },
        { names: ["registry.k8s.io/kube-proxy@sha256:1", "registry.k8s.io/kube-proxy:v1.33.0"] },
      ];
      return sendJson(response, { status: { images } });
    }
    if (name === undefined) return false;
    if (request.method === "POST" || request.method === "DELETE") {
      let body = "";
      request.on("data", (data) => {
        body += data;
      });
      request.on("end", () => {
        const content = JSON.parse(body);
        if (request.method === "DELETE") {
          removals.push(content);
          if (pods.delete(name)) sendJson(response, {});
          else refuse(response, 404, "not found");
          return;
        }
        pods.set(content.metadata.name, content);
        made.push(content.metadata.name);
        sendJson(response, content, 201);
      });
      return undefined;
    }
    if (name === "") {
      const old = { metadata: { name: "netwhy-debug-old", creationTimestamp: "2020-01-01T00:00:00Z" } };
      return sendJson(response, { kind: "PodList", metadata: {}, items: pods.has("netwhy-debug-old") ? [old] : [] });
    }
    return sendJson(response, { ...pods.get(name), status: { phase } });
  };
  return { answer, pods, made, removals };
}

describe("a Pod of ours", () => {
  const run = answers((pod) => (pod.startsWith("netwhy-debug") ? { "ip-addr.json": LINKS } : {}));

  it("runs an image that the node has, which is not pulled, and is removed", async () => {
    const api = debugApi("Running");
    const seen: unknown[] = [];
    const server = await cluster(
      {
        run: (url) => {
          seen.push([...api.pods.values()][0]?.spec.containers[0]);
          return run(url);
        },
      },
      [],
      api.answer,
    );
    const { capture } = await read(server, { debugPods: {} });
    expect(seen[0]).toMatchObject({ image: "registry.k8s.io/kube-proxy:v1.33.0", imagePullPolicy: "Never" });
    expect(capture.get("links", W1).state).toBe("present");
    expect(api.made).toHaveLength(1);
    expect([[...api.pods], api.removals]).toEqual([[], [{ gracePeriodSeconds: 0 }]]);
  });

  it("is not made unless it was asked for", async () => {
    const api = debugApi("Running");
    await read(await cluster({ run }, [], api.answer));
    expect(api.made).toEqual([]);
  });

  it.each<[string, string, ExecStub]>([
    ["does not start", "Pending", {}],
    ["fails", "Failed", {}],
    ["cannot be used", "Running", { refuse: 500 }],
    ["hangs", "Running", { run: () => "silence" }],
  ])("that %s is removed all the same", async (_, phase, stub) => {
    const api = debugApi(phase);
    const { capture } = await read(await cluster(stub, [], api.answer), { debugPods: {}, budgetMs: 5000 });
    expect(api.made).toHaveLength(1);
    expect([...api.pods]).toEqual([]);
    expect(capture.get("links", W1).state).toBe("unknown");
  });

  it("is removed when the run is interrupted", async () => {
    const api = debugApi("Running");
    const server = await cluster({ run: () => "silence" }, [], api.answer);
    const controller = new AbortController();
    const reading = read(server, { debugPods: {}, signal: controller.signal, budgetMs: 30_000 });
    while (api.made.length === 0) await sleep(20);
    await sleep(400);
    controller.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    expect([...api.pods]).toEqual([]);
  });

  it("that an earlier run left is removed", async () => {
    const api = debugApi("Running");
    api.pods.set("netwhy-debug-old", { spec: { containers: [] } });
    await read(await cluster({ run }, [], api.answer), { debugPods: {} });
    expect([...api.pods]).toEqual([]);
  });
});

describe("which nodes", () => {
  const many = Array.from({ length: 40 }, (_, index) => `n${String(index).padStart(2, "0")}`);
  const captureWith = (nodes: readonly object[], pods: readonly object[]) => {
    const intake = createIntake();
    for (const [path, items] of [["api/v1/nodes.json", nodes] as const, ["api/v1/pods.json", pods] as const]) {
      const sink = intake.open(path)!;
      sink.write(JSON.stringify({ kind: "List", items }));
      sink.end({ bytes: 1 });
    }
    return intake.capture();
  };
  const capture = captureWith(
    many.map((name) => nodeObject(name, name === "n07" ? "Unknown" : "True")),
    [
      ...many.map((name) =>
        podObject(name, {
          spec: { nodeName: name, containers: [] },
          status: {
            phase: "Running",
            conditions: [{ type: "Ready", status: name === "n31" ? "False" : "True" }],
          },
        }),
      ),
    ],
  );

  it("are those where something shows, and some that are well", () => {
    const chosen = chooseNodes(capture, "symptoms");
    expect(chosen).toEqual(expect.arrayContaining(["n07", "n31"]));
    expect(chosen).toHaveLength(5);
  });

  it("are all, a sample, or those that were named", () => {
    expect(chooseNodes(capture, "all")).toEqual(many);
    expect(chooseNodes(capture, "sample")).toHaveLength(3);
    expect(chooseNodes(capture, ["n03", "nix"])).toEqual(["n03"]);
  });

  it("are all of a small cluster", () => {
    expect(
      chooseNodes(
        captureWith(
          many.slice(0, 4).map((name) => nodeObject(name)),
          [],
        ),
        "symptoms",
      ),
    ).toHaveLength(4);
  });
});
