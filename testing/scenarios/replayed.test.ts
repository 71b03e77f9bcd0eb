/** Every recording, read from its replay as a running cluster is: the same root causes as from the bundle itself. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Report } from "../../src/report/report.ts";
import { readBundle } from "../../src/sources/bundle.ts";
import { connect } from "../../src/sources/live/connection.ts";
import { readCluster } from "../../src/sources/live/read-cluster.ts";
import { apiServer } from "../api-server/api-server.ts";
import { RECORDINGS, recordingPath } from "../recordings.ts";

async function readReplayed(bundle: string) {
  await using api = await apiServer({ bundle });
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

describe.each(RECORDINGS)("%s", (id) => {
  it("has the same root causes from its replay", async () => {
    const bundle = recordingPath(id);
    const { capture } = await readReplayed(bundle);
    expect(told(diagnose(capture))).toEqual(told(diagnose(await readBundle(bundle))));
  });
});
