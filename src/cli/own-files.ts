/** Evidence that somebody has in files of its own, beside a bundle or a cluster: audit logs and packet captures. */
import { basename } from "node:path";
import type { Intake } from "../evidence/capture.ts";
import { pathOf } from "../evidence/path.ts";
import { readOneFile } from "../sources/bundle.ts";
import type { Given } from "./commands/command.ts";

/**
 * Takes in what `--audit-log` and `--capture` name.
 *
 * @throws DiagnosisError if there is no such file
 */
export async function takeOwnFiles({ auditLog = [], capture = [] }: Given, intake: Intake): Promise<void> {
  const files = { auditLog, packetCapture: capture } as Record<"auditLog" | "packetCapture", readonly string[]>;
  for (const kind of ["auditLog", "packetCapture"] as const) {
    for (const [index, path] of files[kind].entries()) {
      await readOneFile(
        path,
        intake.open(pathOf(kind, { file: `${index + 1}-${basename(path).replace(/\.(gz|zst)$/, "")}` }))!,
      );
    }
  }
}
