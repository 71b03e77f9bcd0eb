/** Whose log a file is, by the ways in which other tools name them. */
import { holdsWord } from "./words.ts";

export type LogPlace = {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly isPrevious: boolean;
};

/** A Pod that the bundle knows, by which names are told apart. */
export type KnownPod = {
  readonly namespace: string;
  readonly name: string;
  readonly containers: readonly string[];
  /** Whose network it shares. */
  readonly node: string | undefined;
};

/** The Pod whose whole name is in a path; the longest of them. */
export const podIn = (path: string, pods: readonly KnownPod[]): KnownPod | undefined =>
  pods.filter(({ name }) => holdsWord(path, name)).sort((a, b) => b.name.length - a.name.length)[0];

type Layout = { readonly is: RegExp; readonly isPrevious: (found: RegExpExecArray) => boolean };

/** Layouts that name everything, with groups namespace, pod and container. */
const LAYOUTS: readonly Layout[] = [
  {
    // must-gather (openshift/oc, pkg/cli/admin/inspect/pod.go)
    is: /(?:^|\/)namespaces\/(?<namespace>[^/]+)\/pods\/(?<pod>[^/]+)\/(?<container>[^/]+)\/[^/]+\/logs\/(?<which>current|previous)(?:\.insecure)?\.log$/,
    isPrevious: ({ groups }) => groups?.which === "previous",
  },
  {
    // Troubleshoot (pkg/collect/logs.go, pkg/constants)
    is: /(?:^|\/)cluster-resources\/pods\/logs\/(?<namespace>[^/]+)\/(?<pod>[^/]+)\/(?<container>[^/]+?)(?<which>-previous)?\.log$/,
    isPrevious: ({ groups }) => groups?.which !== undefined,
  },
];

export function logPlaceOf(path: string): LogPlace | undefined {
  for (const { is, isPrevious } of LAYOUTS) {
    const found = is.exec(path);
    if (!found?.groups) continue;
    const { namespace = "", pod = "", container = "" } = found.groups;
    return { namespace, pod, container, isPrevious: isPrevious(found) };
  }
  return undefined;
}

/** Of a log whose path names a Pod in some way: the Pod's whole name is in it, and its container's after that. */
export function logPlaceAmong(path: string, pods: readonly KnownPod[]): LogPlace | undefined {
  if (!/\.(log|txt)$/.test(path)) return undefined;
  const named = pods.filter(({ name }) => holdsWord(path, name)).sort((a, b) => b.name.length - a.name.length);
  const [first] = named;
  if (!first) return undefined;
  // Pods of one name in several namespaces: the path must tell which
  const same = named.filter(({ name }) => name === first.name);
  const pod = same.length === 1 ? first : same.find(({ namespace }) => path.split(/[/_]/).includes(namespace));
  if (!pod) return undefined;
  const rest = path.slice(path.lastIndexOf(pod.name) + pod.name.length);
  const container =
    pod.containers.length === 1
      ? pod.containers[0]
      : pod.containers.filter((one) => rest.includes(one)).sort((a, b) => b.length - a.length)[0];
  if (container === undefined) return undefined;
  return { namespace: pod.namespace, pod: pod.name, container, isPrevious: /prev(ious)?\b/.test(rest) };
}

const START = /^==== START logs for container (\S+) of pod ([^/\s]+)\/(\S+) ====$/;
const END = /^==== END logs for container /;

export type LogSection = { readonly place: LogPlace; readonly text: string };

/** The logs in a file of `kubectl cluster-info dump`: each container's between two lines that say so. */
export function logSections(text: string): readonly LogSection[] {
  const sections: { place: LogPlace; lines: string[] }[] = [];
  let isInside = false;
  for (const line of text.split("\n")) {
    const start = START.exec(line);
    if (start) {
      const [, container = "", namespace = "", pod = ""] = start;
      sections.push({ place: { namespace, pod, container, isPrevious: false }, lines: [] });
      isInside = true;
    } else if (END.test(line)) isInside = false;
    else if (isInside) sections.at(-1)!.lines.push(line);
  }
  return sections.map(({ place, lines }) => ({ place, text: lines.length === 0 ? "" : `${lines.join("\n")}\n` }));
}

const KLOG = /^[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d+)/;

/**
 * Logs that were taken without time stamps, given them: klog's headers tell all but the year.
 *
 * @param takenAt RFC 3339; without it nothing is known of the year
 */
export function stamped(text: string, takenAt: string | undefined): string {
  const taken = Date.parse(takenAt ?? "");
  if (Number.isNaN(taken)) return text;
  const year = new Date(taken).getUTCFullYear();
  return text
    .split("\n")
    .map((line) => {
      const [, month, day, time] = KLOG.exec(line) ?? [];
      if (month === undefined) return line;
      const at = (of: number) => `${of}-${month}-${day}T${time}Z`;
      // in January the log still tells of December; a day's grace for clocks and zones
      const isOfLastYear = Date.parse(at(year)) > taken + 86_400_000;
      return `${at(isOfLastYear ? year - 1 : year)} ${line}`;
    })
    .join("\n");
}
