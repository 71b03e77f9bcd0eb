/** Every recording, read from its replay as a running cluster is: the same root causes as from the bundle itself. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import { known } from "../../src/evidence/observed.ts";
import { CUT_OFF } from "../../src/parse/parsed.ts";
import type { Report } from "../../src/report/report.ts";
import { readBundle } from "../../src/sources/bundle.ts";
import { connect } from "../../src/sources/live/connection.ts";
import { readCluster } from "../../src/sources/live/read-cluster.ts";
import { type ApiServerOptions, apiServer } from "../api-server/api-server.ts";
import { captureOf, RECORDINGS, readRecording, recordingPath } from "../recordings.ts";

async function readReplayed(options: ApiServerOptions) {
  await using api = await apiServer(options);
  const folder = mkdtempSync(join(tmpdir(), "netwhy-replayed-"));
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, api.kubeconfig);
  const connection = await connect({ kubeconfig });
  try {
    return await readCluster(connection, { signal: new AbortController().signal });
  } finally {
    connection.close();
    rmSync(folder, { recursive: true });
  }
}

const told = ({ verdict, rootCauses }: Report) => ({
  verdict,
  rootCauses: rootCauses.map(({ id, confidence, object, nodes }) => ({ id, confidence, object, nodes })),
});

it("a list that was cut off is no whole list, and one that was not collected is unknown", async () => {
  const { files } = await readRecording(RECORDINGS[0]!);
  const pods = files.get("api/v1/pods.json")!;
  const broken = new Map([...files, ["api/v1/pods.json", pods.slice(0, pods.length / 2)]]);
  broken.delete("api/v1/services.json");
  const { capture } = await readReplayed({ files: broken });
  const seen = capture.get("pods");
  expect(seen).toMatchObject({ state: "present", gaps: [{ what: CUT_OFF }] });
  expect(known(seen)!.items.length).toBe(known(captureOf(broken).get("pods"))!.items.length);
  expect(capture.get("services")).toMatchObject({ state: "unknown", why: { reason: "failed" } });
});

describe.each(RECORDINGS)("%s", (id) => {
  it("has the same root causes from its replay", async () => {
    const bundle = recordingPath(id);
    const { capture } = await readReplayed({ bundle });
    expect(told(diagnose(capture))).toEqual(told(diagnose(await readBundle(bundle))));
  });
});
