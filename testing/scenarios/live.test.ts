/**
 * Every recorded cluster, read as if it still ran: its API from what `netwhy replay` serves, its nodes by exec into agents
 * that print what was recorded there. The diagnosis is that of the bundle.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { createIntake } from "../../src/evidence/capture.ts";
import { matchPath } from "../../src/evidence/path.ts";
import type { Report } from "../../src/report/report.ts";
import { readBundle } from "../../src/sources/bundle.ts";
import { bundleWriter } from "../../src/sources/bundle-writer.ts";
import { connect } from "../../src/sources/live/connection.ts";
import { readCluster } from "../../src/sources/live/read-cluster.ts";
import { apiServer } from "../api-server/api-server.ts";
import { LONG } from "../long.ts";
import { captureOf, RECORDINGS, type Recording, readRecording, recordingPath } from "../recordings.ts";
import { type Answering, stubServer } from "../stub-api-server.ts";
import { execStub } from "../stub-exec.ts";

const folder = mkdtempSync(join(tmpdir(), "netwhy-live-"));
afterAll(() => rmSync(folder, { recursive: true }));

type PodItem = { metadata: { name: string; namespace: string }; spec: { nodeName?: string } };

/** Recorded on the nodes and not had from a cluster that runs: tests were made, and nobody makes them here. */
const isProbe = (path: string) => path === "probes.jsonl";

/** What the script would have printed on a node. */
function printedOn(node: string, files: ReadonlyMap<string, string>, mark: string): string {
  const lines = [`${mark} node ${node}`];
  for (const [path, text] of files) {
    if (!path.startsWith(`nodes/${node}/`)) continue;
    const file = path.slice(`nodes/${node}/`.length);
    if (file.endsWith(".err")) lines.push(`${mark} ! ${file.slice(0, -4)} ${text.trim().split("\n")[0]}`);
    else lines.push(`${mark} + ${file}`, text, `${mark} - 0 `);
  }
  return [...lines, `${mark} end`, ""].join("\n");
}

/** What an agent's own command printed. */
function agentOutput(namespace: string, pod: string, command: readonly string[], files: ReadonlyMap<string, string>) {
  const name = command.join("-").replaceAll(/[^a-z0-9-]/g, "");
  const paths = [...files.keys()].filter((path) => path.startsWith(`exec/${namespace}/${pod}/`));
  const words = (path: string) =>
    path
      .split("/")
      .at(-1)!
      .replace(/\.\w+$/, "");
  return files.get(paths.find((path) => name.startsWith(words(path))) ?? "") ?? "";
}

async function readAsLive({ id, files }: Recording) {
  await using api = await apiServer({ bundle: recordingPath(id) });
  const { items } = JSON.parse(files.get("api/v1/pods.json")!) as { items: readonly PodItem[] };
  const { capturedAt } = JSON.parse(files.get("cluster.json")!) as { capturedAt: string };
  const forward: Answering = async ({ pathname, search }, response, { headers }) => {
    const answered = await fetch(api.url + pathname + search, { headers: { accept: headers.accept ?? "*/*" } });
    response.writeHead(answered.status, { date: new Date(capturedAt).toUTCString() });
    response.end(Buffer.from(await answered.arrayBuffer()));
  };
  const server = await stubServer(forward);
  let count = 0;
  server.upgrade.current = execStub({
    run(url) {
      const [, , , , namespace = "", , pod = ""] = url.pathname.split("/");
      const command = url.searchParams.getAll("command");
      const node = items.find(({ metadata }) => metadata.name === pod)?.spec.nodeName ?? "";
      const text =
        command[0] === "sh" ? printedOn(node, files, command[3]!) : agentOutput(namespace, pod, command, files);
      const path = join(folder, `${id}-${count++}`);
      writeFileSync(path, text);
      return { command: ["cat", path] };
    },
  });
  const connection = await connect({ kubeconfig: server.kubeconfig });
  const archive = join(folder, `${id}.tar.gz`);
  const writer = await bundleWriter(archive, createIntake());
  const { signal } = new AbortController();
  const { capture } = await readCluster(connection, { signal, nodes: "all", intake: writer.intake });
  connection.close();
  await writer.finish();
  return { capture, archive, asked: server.asked };
}

const short = ["healthy-iptables", "flannel-role-deleted", "two-faults", "cilium-healthy"];

describe.each(LONG ? RECORDINGS : RECORDINGS.filter((id) => short.includes(id)))("%s, read live", (id) => {
  it("is diagnosed as its bundle is", { timeout: 120_000 }, async () => {
    const recording = await readRecording(id);
    const { capture, archive, asked } = await readAsLive(recording);
    const files = new Map([...recording.files].filter(([path]) => !isProbe(path) && matchPath(path)));
    const bundle = diagnose(captureOf(files));
    const live = diagnose(capture);
    // which comes first may differ: logs of Pods that are well are not read from a cluster that runs
    const causes = ({ rootCauses }: Report) => rootCauses.map((cause) => cause.id).sort();
    expect(causes(live)).toEqual(causes(bundle));
    expect(live.verdict).toBe(bundle.verdict);
    // what was taken away says the same
    const taken = diagnose(await readBundle(archive));
    expect(causes(taken)).toEqual(causes(live));
    expect(taken.verdict).toBe(live.verdict);
    expect(taken.blindSpots).toEqual(live.blindSpots);
    expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
    // lists, logs and nodes: no request for an object
    const objects = asked.filter((path) => /^\/apis?\/[^?]*\/namespaces\/[^/]+\/(?!pods\/)[^/]+\/[^/]+/.test(path));
    expect(objects).toEqual([]);
  });
});
