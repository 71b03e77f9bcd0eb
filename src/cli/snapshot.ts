/** The objects of a cluster that a backup is made of, from the cluster itself or from a bundle of it. */
import type { ArchiveHead, Snapshot, Without } from "../backup/archive.ts";
import { apiVersionOf, KINDS, type Kind, listPathOf, refOf } from "../backup/kinds.ts";
import { isRedacted, restorable } from "../backup/restorable.ts";
import { selectedForBackup } from "../backup/selection.ts";
import { DiagnosisError } from "../errors.ts";
import { createIntake } from "../evidence/capture.ts";
import type { Matcher } from "../model/components/definitions.ts";
import { describedIn } from "../model/components/described.ts";
import { readStore } from "../replay/replay.ts";
import { objectOf, type Store } from "../replay/store.ts";
import { type Api, apiOf } from "../sources/live/api.ts";
import { type Connection, connect } from "../sources/live/connection.ts";
import { readObjects } from "../sources/live/read-objects.ts";
import { texts } from "../text.ts";
import type { Given } from "./commands/command.ts";
import { describer } from "./described.ts";
import { interruptible, millisecondsOf, noAnswer } from "./live.ts";
import { progressLine } from "./progress-line.ts";
import type { Surroundings } from "./surroundings.ts";
import { VERSION } from "./version.ts";

const say = texts("snapshot", {
  reading: { en: "reading {context}", zh: "正在读取 {context}" },
  nothing: { en: "No RBAC object can be read: {why}", zh: "无法读取任何 RBAC 对象：{why}" },
  mayYou: {
    en: "`kubectl auth can-i list clusterroles` shows whether you may.",
    zh: "可用 `kubectl auth can-i list clusterroles` 检查权限。",
  },
});

/** The objects of one kind, as they came, or why they did not. */
type Listed = { readonly kind: Kind; readonly objects: readonly unknown[]; readonly why?: string };

type Head = Pick<ArchiveHead, "cluster" | "takenAt">;

function snapshotOf(listed: readonly Listed[], head: Head, described: readonly Matcher[]): Snapshot {
  const objects = listed.flatMap(({ kind, objects: raw }) => raw.flatMap((object) => restorable(object, kind) ?? []));
  const chosen = selectedForBackup(objects, described);
  const isChosen = new Set(chosen);
  const redacted = chosen.filter(isRedacted);
  const without: Without[] = [
    ...listed.flatMap(({ kind: { kind }, why }) => (why === undefined ? [] : [{ kind, why }])),
    ...redacted.map((object) => ({ ...refOf(object), why: "redacted" })),
  ];
  const clusterUid = uidOf(listed);
  return {
    head: { ...head, ...(clusterUid !== undefined && { clusterUid }), tool: VERSION, without },
    objects: chosen.filter((object) => !redacted.includes(object)),
    others: objects.filter((object) => !isChosen.has(object)),
  };
}

function uidOf(listed: readonly Listed[]): string | undefined {
  type Named = { readonly metadata?: { readonly name?: unknown; readonly uid?: unknown } };
  const namespaces = listed.find(({ kind }) => kind.kind === "Namespace")?.objects as readonly Named[] | undefined;
  const uid = namespaces?.find(({ metadata }) => metadata?.name === "kube-system")?.metadata?.uid;
  return typeof uid === "string" ? uid : undefined;
}

/** @throws DiagnosisError if nothing of RBAC was read: that is no backup and nothing to compare with */
function required(snapshot: Snapshot, listed: readonly Listed[]): Snapshot {
  const rbac = listed.filter(({ kind }) => kind.group.startsWith("rbac."));
  if (rbac.some(({ why }) => why === undefined)) return snapshot;
  throw new DiagnosisError("no-evidence", say.nothing({ why: rbac[0]?.why ?? "" }), say.mayYou());
}

function listedIn(store: Store, kind: Kind): Listed {
  const [version = ""] = apiVersionOf(kind).split("/").slice(-1);
  const served = store.served(kind.group, version, kind.plural)?.served;
  if (served?.state !== "readable") return { kind, objects: [], why: served?.why ?? "not in the bundle" };
  const { items, incomplete } = served.collection;
  return { kind, objects: items.map(objectOf), ...(incomplete !== undefined && { why: incomplete }) };
}

/** @throws DiagnosisError if there is no bundle, or no RBAC object in it */
async function snapshotInBundle(path: string, described: readonly Matcher[]): Promise<Snapshot> {
  const { store } = await readStore(path);
  const listed = KINDS.map((kind) => listedIn(store, kind));
  const takenAt = new Date(store.now()).toISOString();
  const name = clusterNameIn(store.files.get("cluster.json")) ?? path;
  return required(snapshotOf(listed, { cluster: name, takenAt }, described), listed);
}

function clusterNameIn(file: Uint8Array | undefined): string | undefined {
  try {
    const { name } = JSON.parse(Buffer.from(file ?? []).toString()) as { name?: unknown };
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}

/** @throws DiagnosisError if the API server cannot be asked, or tells nothing of RBAC */
export async function snapshotNow(
  api: Api,
  connection: Connection,
  show: (what: string) => void = () => {},
  described: readonly Matcher[] = [],
): Promise<Snapshot> {
  const listed: Listed[] = [];
  for (const kind of KINDS) {
    show(kind.plural);
    const { objects, failure } = await readObjects(api, listPathOf(kind));
    const isSilent = failure && ["unreachable", "timeout", "unauthorized"].includes(failure.kind);
    if (isSilent && listed.length === 0) throw noAnswer(failure, connection);
    listed.push({ kind, objects, ...(failure && { why: failure.message }) });
  }
  const head = { cluster: connection.cluster, takenAt: new Date().toISOString() };
  return required(snapshotOf(listed, head, described), listed);
}

const BUDGET_MS = 180_000;

/** Hands over the API server of the context that the command line names. */
export async function withApi<T>(
  given: Given,
  { lang, ...surroundings }: Surroundings,
  use: (api: Api, connection: Connection, show: (what: string) => void) => Promise<T>,
): Promise<T> {
  const { context, kubeconfig, timeout } = given as Readonly<Record<string, string | undefined>>;
  const deadline = Date.now() + (millisecondsOf(timeout) ?? BUDGET_MS);
  const connection = await connect({ context, kubeconfig });
  const line = progressLine(say.reading({ context: connection.context }), { lang, ...surroundings });
  try {
    return await interruptible((signal) => use(apiOf(connection, { signal, deadline }), connection, line.show));
  } finally {
    line.clear();
    connection.close();
  }
}

/** Of the bundle that the command line names, else of the cluster as it is now. */
export async function snapshotFor(given: Given, surroundings: Surroundings): Promise<Snapshot> {
  const described = describedIn((await describer(given))(createIntake().capture())).map(({ image }) => image);
  if (given.bundle !== undefined) return snapshotInBundle(given.bundle as string, described);
  return withApi(given, surroundings, (api, connection, show) => snapshotNow(api, connection, show, described));
}

export const isWhole = ({ head }: Snapshot): boolean => head.without.length === 0;
