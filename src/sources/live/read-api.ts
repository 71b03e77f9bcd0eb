/** What the API server itself tells: its version, whether it is ready, and every list that the catalogue knows. */
import type { Intake } from "../../evidence/capture.ts";
import { catalogue, type KindId } from "../../evidence/catalogue.ts";
import type { Kind } from "../../evidence/kind.ts";
import type { Api, Failure } from "./api.ts";
import { discover } from "./discovery.ts";
import { type ListOptions, readList } from "./list.ts";

/** What is being read, for who waits. */
export type Progress = (what: string, count?: number) => void;

export type ReadApiOptions = ListOptions & {
  /** Read in these where the whole cluster may not be listed. */
  readonly namespaces: readonly string[];
  readonly progress: Progress;
  /** Whether objects are kept as they are; else only what is read of them. */
  readonly keepsWhole?: boolean;
  /** Only these lists; all of the catalogue otherwise. */
  readonly kinds?: readonly KindId[];
};

/** Says why a file is missing, as a bundle does: `<path>.err`. */
export function tellFailure(intake: Intake, path: string, message: string): void {
  const sink = intake.open(`${path}.err`);
  sink?.write(message);
  sink?.end({ bytes: message.length });
}

export function tellText(intake: Intake, path: string, text: string, cutOff?: string): void {
  const sink = intake.open(path);
  sink?.write(text);
  sink?.end({ bytes: Buffer.byteLength(text), ...(cutOff !== undefined && { cutOff }) });
}

/** What the first call found. */
export type FirstContact =
  | { readonly ok: true; readonly version?: string; readonly date?: string }
  | { readonly ok: false; readonly failure: Failure };

/** Asks for the version, which nearly everybody may see. */
export async function greet(api: Api, intake: Intake): Promise<FirstContact> {
  const { answer, text } = await api.text("/version", { tries: 2, idleMs: 8000 });
  if (answer.ok) {
    tellText(intake, "version.json", text);
    const version = /"gitVersion"\s*:\s*"([^"]+)"/.exec(text)?.[1];
    return {
      ok: true,
      ...(version !== undefined && { version }),
      ...(answer.date !== undefined && { date: answer.date }),
    };
  }
  const { failure } = answer;
  tellFailure(intake, "version.json", failure.message);
  // it answers, whatever it says
  return failure.kind === "unreachable" || failure.kind === "timeout" || failure.kind === "unauthorized"
    ? { ok: false, failure }
    : { ok: true };
}

async function readReadiness(api: Api, intake: Intake): Promise<void> {
  const { answer, text } = await api.text("/readyz?verbose", { tries: 1 });
  // not ready is an answer, too: it says what is not
  if (answer.ok) tellText(intake, "readyz.txt", text);
  else if (answer.body?.startsWith("[")) tellText(intake, "readyz.txt", answer.body);
  else tellFailure(intake, "readyz.txt", answer.failure.message);
}

/** The kinds that are lists, in the order in which they are read. */
export const LISTED = (Object.keys(catalogue) as KindId[]).filter((kind) => "list" in catalogue[kind].how);

const NO_OBJECTS = '{"kind":"List","items":[]}\n';

const CLUSTER_WIDE: ReadonlySet<KindId> = new Set([
  "nodes",
  "namespaces",
  "clusterroles",
  "clusterrolebindings",
  "validatingwebhookconfigurations",
  "mutatingwebhookconfigurations",
  "apiservices",
  "certificatesigningrequests",
  "customresourcedefinitions",
  "ciliumclusterwidenetworkpolicies",
  "ciliumnodes",
  "globalnetworkpolicies",
  "globalnetworksets",
  "hostendpoints",
  "ippools",
  "ipamblocks",
  "felixconfigurations",
]);

/** Reads all lists. What cannot be had is told as what it is: absent, or unknown with the reason. */
export async function readApi(api: Api, intake: Intake, options: ReadApiOptions): Promise<void> {
  const { kinds = LISTED, progress } = options;
  progress("readyz");
  await readReadiness(api, intake);
  progress("apis");
  const templates = kinds.map(templateOf);
  const discovery = await discover(api, templates, (root, message) => tellFailure(intake, `${root}.json`, message));
  for (const kind of kinds) {
    const template = templateOf(kind);
    const { path, served } = discovery.locate(template);
    const name = path.split("/").at(-1)!;
    progress(name);
    const file = path.slice(1);
    const { failure, count } = await readList(api, path, () => intake.open(`${file}.jsonl`)!, {
      ...options,
      projection: (!options.keepsWhole && (catalogue[kind] as Kind<unknown>).projection?.()) || "whole",
      onCount: (so) => progress(name, so),
    });
    if (!failure && count === 0) tellText(intake, `${file}.json`, NO_OBJECTS);
    if (!failure || count > 0) continue;
    // what is absent is said twice to be: a server that is being lied to, or lies, does both rarely
    if (failure.kind === "not-found" && served === false) intake.absent(`${file}.json`);
    else if (failure.kind !== "forbidden" || CLUSTER_WIDE.has(kind))
      tellFailure(intake, `${file}.json`, failure.message);
    else await readNamespaces(api, intake, path, failure, options);
  }
}

function templateOf(kind: KindId): string {
  const { how } = catalogue[kind];
  return "list" in how ? how.list : "";
}

/** Who may not list all namespaces may list some: what they show exists, and what they do not show is not known. */
async function readNamespaces(
  api: Api,
  intake: Intake,
  path: string,
  forbidden: Failure,
  { namespaces }: ReadApiOptions,
): Promise<void> {
  const file = path.slice(1);
  const slash = path.lastIndexOf("/");
  const lines: string[] = [];
  const read: string[] = [];
  for (const namespace of namespaces) {
    const part: string[] = [];
    const narrow = `${path.slice(0, slash)}/namespaces/${encodeURIComponent(namespace)}${path.slice(slash)}`;
    const { failure, count } = await readList(api, narrow, () => {
      part.length = 0;
      return { write: (line) => void part.push(line), end: () => {} };
    });
    if (failure && count === 0) continue;
    read.push(namespace);
    for (const line of part) lines.push(line);
  }
  if (lines.length === 0) tellFailure(intake, `${file}.json`, forbidden.message);
  else tellText(intake, `${file}.jsonl`, lines.join(""), `only of ${read.join(", ")}: ${forbidden.message}`);
}
