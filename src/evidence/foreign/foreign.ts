/**
 * Bundles that other tools made: Troubleshoot support bundles, `kubectl cluster-info dump`, must-gather, `cilium sysdump`,
 * results of Sonobuoy, of the log collectors of Rancher and EKS, and folders of `kubectl get -o yaml|json` and command output.
 * What a file holds is recognised by its content, not by its name; it is then taken in as if it stood in a bundle of ours.
 */

import { parseManifests } from "../../parse/kubernetes/manifests.ts";
import { type Text, texts } from "../../text.ts";
import type { Intake, Sink } from "../capture.ts";
import type { KindId } from "../catalogue.ts";
import { pathOf } from "../path.ts";
import { HIDDEN } from "./hidden.ts";
import { type Completeness, type ListFile, ObjectLists } from "./lists.ts";
import { type KnownPod, type LogPlace, logPlaceAmong, logPlaceOf, logSections, podIn, stamped } from "./logs.ts";
import { commandIn, joined, kindOfCommand, nodeIn, type Output, outputIn, withTable } from "./outputs.ts";
import { newestTime } from "./times.ts";

const say = texts("foreign-bundle", {
  troubleshoot: { en: "a Troubleshoot support bundle", zh: "Troubleshoot 支持包" },
  mustGather: { en: "OpenShift must-gather", zh: "OpenShift must-gather" },
  sonobuoy: { en: "results of Sonobuoy", zh: "Sonobuoy 结果" },
  dump: { en: "`kubectl cluster-info dump`", zh: "`kubectl cluster-info dump`" },
  sysdump: { en: "`cilium sysdump`", zh: "`cilium sysdump`" },
  folder: { en: "files of kubectl and of commands on nodes", zh: "kubectl 与节点命令的输出文件" },
  taken: {
    en: "taken for {what}: {count} {count:object|objects}; the report names files as a bundle of netwhy would",
    zh: "识别为{what}：共 {count} 个对象；报告中的文件名按 netwhy 证据包的布局给出",
  },
  tooLarge: { en: "not read: larger than {limit} MiB", zh: "未读取：超过 {limit} MiB" },
  whichNode: {
    en: "not used: of which node it is, neither its name nor its folder tells",
    zh: "未使用：文件名和目录均未表明属于哪个节点",
  },
});

type Layout = Completeness & { readonly is: RegExp; readonly name: () => Text };

const LAYOUTS: readonly Layout[] = [
  { is: /(^|\/)cluster-resources\//, name: say.troubleshoot },
  // of other kinds it takes what its operators name, and of namespaces those of the platform (openshift/must-gather, gather)
  {
    is: /(^|\/)(cluster-scoped-resources|namespaces\/[^/]+\/core)\//,
    name: say.mustGather,
    whole: ["nodes"],
    isByNamespace: true,
  },
  { is: /(^|\/)resources\/(cluster|ns\/[^/]+)\/[^/]+\.json$/, name: say.sonobuoy, isByNamespace: true },
  { is: /(^|\/)cilium-sysdump|(^|\/)k8s-(nodes|pods|services)[-.]|(^|\/)cilium-(ds|daemonset)-/, name: say.sysdump },
  { is: /(^|\/)[^/]+\/[^/]+\/logs\.txt$/, name: say.dump },
];

/** Whether a path is such as only other tools' bundles have. */
export const isForeignPath = (path: string): boolean => LAYOUTS.some(({ is }) => is.test(path));

const MIB = 1024 * 1024;
/** Files are held whole until it is known what they are. */
const LARGEST_FILE = 256 * MIB;
const MOST_HELD = 1024 * MIB;

type Held = { readonly path: string; readonly text: string; readonly cutOff?: string };

export interface ForeignIntake extends Pick<Intake, "open" | "note"> {
  /** Hands on what was gathered. @returns whether there was anything */
  finish(): boolean;
}

export function foreignIntake(intake: Pick<Intake, "open" | "note">): ForeignIntake {
  const lists = new ObjectLists();
  const layouts = new Map<Layout, number>();
  const waiting: Held[] = [];
  let held = 0;
  let version: string | undefined;

  function take(file: Held): void {
    const { path, text } = file;
    if (/\.(json|ya?ml)$/.test(path) || /^\s*([[{]|apiVersion:|kind:)/.test(text.slice(0, 200))) {
      const { value } = parseManifests(text);
      if (value) {
        lists.add(path, value, text.includes(HIDDEN));
        return;
      }
      version ??= /"gitVersion"\s*:\s*"(v[\d.]+[^"]*)"/.exec(text.slice(0, 10_000))?.[1];
    }
    held += text.length;
    waiting.push(file);
  }

  return {
    note: (path, what) => intake.note(path, what),

    open(path) {
      const layout = LAYOUTS.find(({ is }) => is.test(path));
      if (layout) layouts.set(layout, (layouts.get(layout) ?? 0) + 1);
      const place = logPlaceOf(path);
      if (place) return intake.open(logPath(place));
      if (held > MOST_HELD || /\.(html|tar|t?gz|zip|pcap|png)$/.test(path)) return undefined;
      const pieces: string[] = [];
      let length = 0;
      return {
        write(piece) {
          length += piece.length;
          if (length <= LARGEST_FILE) pieces.push(piece);
        },
        end({ cutOff }) {
          if (length > LARGEST_FILE) intake.note(path, say.tooLarge({ limit: LARGEST_FILE / MIB }));
          else take({ path, text: pieces.join(""), ...(cutOff !== undefined && { cutOff }) });
        },
      };
    },

    finish() {
      const nodes = nodesOf(lists, waiting);
      const pods = [...lists.objectsOf("pods")].map(knownPod);
      let outputs = 0;
      const takenAt = newestTime(lists);
      const parts: Part[] = [];
      for (const file of waiting) if (handOn(file, { nodes, pods, takenAt, parts }, intake)) outputs++;
      for (const [path, of] of Map.groupBy(parts, ({ kind, node }) => pathOf(kind, { node }))) {
        const { text, cutOff } = joined(of[0]!.kind, of);
        write(path, [text], intake, cutOff);
      }
      if (lists.size + outputs === 0) return false;
      const [layout] = [...layouts].sort(([, a], [, b]) => b - a)[0] ?? [];
      for (const file of lists.files(layout)) writeList(file, intake);
      writeCluster(takenAt, version, intake);
      intake.note("bundle", say.taken({ what: (layout?.name ?? say.folder)(), count: lists.size }));
      return true;
    },
  };
}

const logPath = ({ isPrevious, ...place }: LogPlace): string =>
  pathOf(isPrevious ? "previousContainerLog" : "containerLog", place);

function knownPod(object: Readonly<Record<string, unknown>>): KnownPod {
  const { name = "", namespace = "" } = object.metadata as { name?: string; namespace?: string };
  const { containers = [], initContainers = [] } = (object.spec ?? {}) as Record<
    string,
    { name?: string }[] | undefined
  >;
  const names = [...(containers ?? []), ...(initContainers ?? [])].map((container) => container?.name ?? "");
  const { nodeName, hostNetwork } = (object.spec ?? {}) as { nodeName?: string; hostNetwork?: boolean };
  return { name, namespace, containers: names, node: hostNetwork === true ? nodeName : undefined };
}

function write(path: string, pieces: Iterable<string>, intake: Pick<Intake, "open">, cutOff?: string): void {
  const sink: Sink | undefined = intake.open(path);
  if (!sink) return;
  let bytes = 0;
  for (const piece of pieces) {
    bytes += piece.length;
    sink.write(piece);
  }
  sink.end({ bytes, ...(cutOff !== undefined && { cutOff }) });
}

/** What a bundle's objects tell of where its other files belong. */
type Surroundings = {
  readonly nodes: ReadonlySet<string>;
  readonly pods: readonly KnownPod[];
  readonly takenAt: string | undefined;
  /** Takes what was printed on nodes: there may be more of the same kind. */
  readonly parts: Part[];
};

type Part = Output & { readonly kind: KindId; readonly node: string };

/**
 * The nodes that the objects name. Without any, those on which collectors ran that say so: Rancher's in
 * systeminfo/hostname (rancherlabs/support-tools), that of EKS in the name of its archive, by instance
 * (awslabs/amazon-eks-ami, log-collector-script).
 */
function nodesOf(lists: ObjectLists, files: readonly Held[]): ReadonlySet<string> {
  const named = lists.namesOf("nodes");
  if (named.size > 0) return named;
  const told = files.flatMap(({ path, text }) => {
    const hostname = /(^|\/)systeminfo\/hostname$/.test(path) ? text.trim() : undefined;
    return hostname || (/(?:^|\/)eks_(i-[0-9a-f]+)_/.exec(path)?.[1] ?? []);
  });
  return new Set(told);
}

/** A file that is no object: the output of a command on a node, or a log. */
function handOn(
  { path, text, cutOff }: Held,
  { nodes, pods, takenAt, parts }: Surroundings,
  intake: Pick<Intake, "open" | "note">,
): boolean {
  const told = commandIn(text);
  const pod = podIn(path, pods);
  const asked = told && kindOfCommand(told.command);
  if (asked && pod) {
    write(pathOf(asked, { namespace: pod.namespace, pod: pod.name }), [told.text], intake, cutOff);
    return true;
  }
  const output = told ? withTable(told.text, told.command) : text;
  const name = told?.command ?? path.slice(path.lastIndexOf("/") + 1);
  const kind = outputIn(output, name);
  if (kind) {
    // what was run in an agent's container shows the network of its node
    const node = nodeIn(path, nodes) ?? (told ? pod?.node : undefined);
    if (node === undefined) intake.note(path, say.whichNode());
    else parts.push({ kind, node, name, text: output, cutOff });
    return node !== undefined;
  }
  if (told) return false;
  const sections = logSections(text);
  for (const { place, text: log } of sections) write(logPath(place), [stamped(log, takenAt)], intake, cutOff);
  const place = sections.length === 0 ? logPlaceAmong(path, pods) : undefined;
  if (place) write(logPath(place), [stamped(text, takenAt)], intake, cutOff);
  return sections.length > 0 || place !== undefined;
}

function* listText(objects: ListFile["objects"]): Iterable<string> {
  yield '{"kind":"List","apiVersion":"v1","items":[';
  for (const [index, object] of objects.entries()) yield `${index === 0 ? "" : ","}${JSON.stringify(object)}`;
  yield "]}\n";
}

const writeList = ({ path, objects, lacks }: ListFile, intake: Pick<Intake, "open">): void =>
  write(path, listText(objects), intake, lacks);

/** When it was taken, nothing says: not before the newest time in it. */
function writeCluster(capturedAt: string | undefined, version: string | undefined, intake: Pick<Intake, "open">): void {
  const cluster = { ...(capturedAt && { capturedAt }), ...(version !== undefined && { kubernetesVersion: version }) };
  if (Object.keys(cluster).length > 0) write(pathOf("cluster"), [JSON.stringify(cluster)], intake);
}
