/** A small API server over plain HTTP, whose every answer a test decides: for what goes wrong on the wire. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { catalogue, type KindId } from "../src/evidence/catalogue.ts";
import type { Upgrade } from "./stub-exec.ts";

/** Answers a request, or keeps silent; false, and nothing else, lets the next one answer. */
export type Answering = (url: URL, response: ServerResponse, request: IncomingMessage) => unknown;

export type StubServer = {
  readonly origin: string;
  /** A kubeconfig that leads there. */
  readonly kubeconfig: string;
  /** Paths with their query, in the order in which they were asked for. */
  readonly asked: string[];
  readonly connections: () => number;
  /** Who answers WebSockets. */
  readonly upgrade: { current: Upgrade | undefined };
};

/** Starts a server that ends with the test. The first of `answering` that answers does; nobody: 404. */
export async function stubServer(...answering: readonly Answering[]): Promise<StubServer> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const upgrade: StubServer["upgrade"] = { current: undefined };
  let connections = 0;
  const server = createServer((request, response) => {
    const url = new URL(request.url!, "http://stub");
    asked.push(request.url!);
    if (!answering.some((answer) => answer(url, response, request) !== false)) refuse(response, 404, "no such path");
  });
  server.on("upgrade", (request, socket, head) => {
    asked.push(request.url!);
    upgrade.current?.(request, socket, head);
  });
  server.on("connection", (socket) => {
    connections++;
    sockets.add(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = mkdtempSync(join(tmpdir(), "netwhy-stub-"));
  onTestFinished(async () => {
    rmSync(folder, { recursive: true });
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, JSON.stringify(configFor(origin)));
  return { origin, kubeconfig, asked, connections: () => connections, upgrade };
}

export function configFor(server: string, user: object = {}) {
  return {
    "current-context": "stub",
    contexts: [{ name: "stub", context: { cluster: "stub-cluster", user: "me" } }],
    clusters: [{ name: "stub-cluster", cluster: { server } }],
    users: [{ name: "me", user }],
  };
}

export function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** A Status, as the API server refuses with. */
export function refuse(response: ServerResponse, code: number, message: string): void {
  sendJson(response, { kind: "Status", apiVersion: "v1", status: "Failure", code, message }, code);
}

/** Discovery of all that the catalogue knows, but for some; and a version. */
export function discovers({ without = [] }: { readonly without?: readonly KindId[] } = {}): Answering {
  const served = new Map<string, string[]>();
  for (const [kind, { how }] of Object.entries(catalogue)) {
    if (!("list" in how) || without.includes(kind as KindId)) continue;
    const [, root, group, , resource] = how.list.split("/");
    if (root === "api") served.set("", [...(served.get("") ?? []), how.list.split("/").at(-1)!]);
    else served.set(group!, [...(served.get(group!) ?? []), resource!]);
  }
  const item = (group: string) => ({
    metadata: { name: group },
    versions: [{ version: "v1", resources: (served.get(group) ?? []).map((resource) => ({ resource })) }],
  });
  return ({ pathname }, response) => {
    if (pathname === "/version") sendJson(response, { gitVersion: "v1.33.0" });
    else if (pathname === "/readyz") response.end("[+]ping ok\nreadyz check passed\n");
    else if (pathname === "/api") sendJson(response, { kind: "APIGroupDiscoveryList", items: [item("")] });
    else if (pathname === "/apis") {
      const groups = [...served.keys()].filter((group) => group !== "");
      sendJson(response, { kind: "APIGroupDiscoveryList", items: groups.map(item) });
    } else return false;
    return undefined;
  };
}

/** Lists at their paths, in pages as they are asked for; every other list of the API is empty. */
export function lists(objects: Readonly<Record<string, readonly object[]>>): Answering {
  return (url, response) => {
    if (!url.pathname.startsWith("/api")) return false;
    if (url.searchParams.has("watch")) {
      refuse(response, 422, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled");
      return undefined;
    }
    const all = objects[url.pathname] ?? [];
    const from = Number(url.searchParams.get("continue") ?? 0);
    const limit = Number(url.searchParams.get("limit") ?? all.length);
    const items = all.slice(from, from + limit);
    const rest = all.length - from - items.length;
    const metadata = {
      resourceVersion: "7",
      ...(rest > 0 && { continue: String(from + items.length), remainingItemCount: rest }),
    };
    sendJson(response, { kind: "List", apiVersion: "v1", metadata, items });
    return undefined;
  };
}

/** One fault for one path, the first `times` times that it is asked for. */
export function fails(path: string, fault: Answering, times = Number.POSITIVE_INFINITY): Answering {
  let left = times;
  return (url, response, request) => (url.pathname === path && left-- > 0 ? fault(url, response, request) : false);
}

export const podObject = (name: string, more: object = {}) => ({
  metadata: { name, namespace: "shop", uid: name },
  spec: { containers: [{ name: "main" }], nodeName: "w1" },
  status: { phase: "Running" },
  ...more,
});
