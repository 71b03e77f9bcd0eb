/** The incidents that are shipped with netwhy: scenarios/<name>/{story.md, story.zh.md, bundle or bundle.tar.gz}. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Language } from "../text.ts";

const FOLDER = fileURLToPath(new URL("../../scenarios", import.meta.url));

export type Incident = {
  readonly name: string;
  readonly title: string;
  readonly story: string;
  readonly bundle: string;
};

/** The one that `netwhy demo` tells of. */
export const FIRST_INCIDENT = "flannel-role-deleted";

export function incidentNames(): string[] {
  const entries = readdirSync(FOLDER, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

/** @param name one of `incidentNames()` */
export function readIncident(name: string, lang: Language): Incident {
  const folder = join(FOLDER, name);
  const story = readFileSync(join(folder, lang === "zh" ? "story.zh.md" : "story.md"), "utf8");
  const packed = join(folder, "bundle.tar.gz");
  const bundle = existsSync(packed) ? packed : join(folder, "bundle");
  return { name, title: /^# (.*)$/m.exec(story)?.[1] ?? name, story, bundle };
}
