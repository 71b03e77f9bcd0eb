/** `netwhy replay`: a bundle, served. */
import type { CaptureNote } from "../evidence/capture.ts";
import { foreignIntake } from "../evidence/foreign/foreign.ts";
import { nothingIn, readFiles } from "../sources/bundle.ts";
import type { Text } from "../text.ts";
import { answer } from "./api.ts";
import { createStoreIntake } from "./bundle-store.ts";
import { type Listening, listen } from "./server.ts";
import type { Store } from "./store.ts";

/**
 * Reads what of a bundle can be served.
 *
 * @throws DiagnosisError if there is no bundle at `path`, or nothing in it to serve
 */
export async function readStore(path: string): Promise<{ store: Store; notes: readonly CaptureNote[] }> {
  const intake = createStoreIntake();
  const notes: CaptureNote[] = [];
  const own = { open: intake.open, note: (at: string, what: Text) => void notes.push({ path: at, what }) };
  await readFiles(path, own);
  if (!intake.holdsCluster) {
    const foreign = foreignIntake(own);
    await readFiles(path, foreign);
    foreign.finish();
  }
  if (!intake.holdsCluster) throw nothingIn(path);
  return { store: intake.store(), notes };
}

/** Serves a store on loopback, read-only. */
export function serveStore(store: Store, port = 0): Promise<Listening> {
  return listen((request) => answer(request, store), port);
}

/** A kubeconfig for a server on loopback; it holds no secret. */
export function kubeconfig(port: number, name = "netwhy-replay"): string {
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name, cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name, user: {} }],
      contexts: [{ name, context: { cluster: name, user: name } }],
      "current-context": name,
    },
    undefined,
    2,
  )}\n`;
}
