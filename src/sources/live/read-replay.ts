/**
 * What a replayed bundle (`netwhy replay`) tells beyond the API: what was read from nodes and containers when it was
 * taken. Its nodes cannot be looked into; what was seen there then can.
 */
import type { Intake } from "../../evidence/capture.ts";
import type { Api } from "./api.ts";
import type { Connection } from "./connection.ts";
import { type Progress, tellFailure, tellText } from "./read-api.ts";

const FILES = "/netwhy/files/";

/** As the kubeconfig of a replay names it. */
export const isReplay = ({ cluster, server }: Pick<Connection, "cluster" | "server">): boolean =>
  cluster === "netwhy-replay" && server.hostname === "127.0.0.1";

export async function readReplayedFiles(api: Api, intake: Intake, progress: Progress): Promise<void> {
  const { answer, text } = await api.text(FILES);
  if (!answer.ok) {
    tellFailure(intake, "cluster.json", answer.failure.message);
    return;
  }
  for (const path of JSON.parse(text) as readonly string[]) {
    progress(path);
    const file = await api.text(`${FILES}${path.split("/").map(encodeURIComponent).join("/")}`);
    if (file.answer.ok) tellText(intake, path, file.text);
    else tellFailure(intake, path, file.answer.failure.message);
  }
}
