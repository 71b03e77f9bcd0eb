/** What programs said: the condensed logs of containers and kubelets. */
import type { Capture, Captured } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import { type Evidence, quoteOf } from "../evidence/origin.ts";
import type { LogDigest, LogEntry } from "../parse/logs/digest.ts";
import type { LogLine } from "../parse/logs/line.ts";
import { isCurrent, isOngoing } from "./observations.ts";
import type { PodView } from "./pods.ts";
import type { CaptureTime } from "./time.ts";

export type Saying = {
  readonly entry: LogEntry;
  /** It was still being said when the evidence was taken. */
  readonly current: boolean;
  /** It was being said up to the end: who relies on nothing else needs that. */
  readonly ongoing: boolean;
  readonly evidence: Evidence;
  readonly place: Captured<LogDigest>["place"];
};

export type Asked =
  | { readonly isHad: true }
  | { readonly isHad: false; readonly answer: string; readonly evidence: Evidence };

export interface Logs {
  /** What containers of a Pod said that matches, in the current and the previous run, oldest first. */
  said(pod: PodView, pattern: RegExp): readonly Saying[];
  /** What any container said. */
  saidAnywhere(pattern: RegExp): readonly Saying[];
  kubeletSaid(node: string, pattern: RegExp): readonly Saying[];
  /** The present run's logs of a Pod's containers that were asked for: whether they were had, else what was answered. */
  asked(pod: PodView): readonly Asked[];
  /** The last lines of a container's latest finished run, or of its present one. */
  lastWords(
    pod: PodView,
    container: string,
  ): { readonly lines: readonly LogLine[]; quote(line: LogLine): Evidence } | undefined;
}

export function logsOf(capture: Capture, time: CaptureTime): Logs {
  function sayings(captured: readonly Captured<LogDigest>[], pattern: RegExp): Saying[] {
    return captured.flatMap(({ place, observed }) =>
      (known(observed)?.entries ?? [])
        .filter(({ last, first }) => pattern.test(last.message) || pattern.test(first.message))
        .map((entry) => ({
          entry,
          place,
          current: isCurrent(entry, time),
          ongoing: isOngoing(entry, time),
          evidence: quoteOf({ ...observed.origin, line: entry.last.line }, entry.last.message, entry.last.at),
        })),
    );
  }
  const ofPod = (pod: PodView): Captured<LogDigest>[] => {
    const containers = [...(pod.object.spec.initContainers ?? []), ...pod.object.spec.containers];
    return containers.flatMap(({ name }) => {
      const place = { namespace: pod.namespace, pod: pod.name, container: name };
      return [
        { place, observed: capture.get("previousContainerLog", place) },
        { place, observed: capture.get("containerLog", place) },
      ];
    });
  };
  return {
    said: (pod, pattern) => sayings(ofPod(pod), pattern),
    saidAnywhere: (pattern) =>
      sayings([...capture.all("previousContainerLog"), ...capture.all("containerLog")], pattern),
    kubeletSaid: (node, pattern) =>
      sayings([{ place: { node }, observed: capture.get("kubeletLog", { node }) }], pattern),
    asked: (pod) =>
      pod.object.spec.containers.flatMap(({ name }): Asked[] => {
        const observed = capture.get("containerLog", { namespace: pod.namespace, pod: pod.name, container: name });
        if (observed.state === "present") return [{ isHad: true }];
        if (observed.state === "absent" || observed.why.reason !== "failed") return [];
        const { message: answer } = observed.why;
        return [{ isHad: false, answer, evidence: quoteOf(observed.origin, answer) }];
      }),
    lastWords(pod, container) {
      const place = { namespace: pod.namespace, pod: pod.name, container };
      const previous = capture.get("previousContainerLog", place);
      const observed =
        previous.state === "present" && previous.value.tail.length > 0 ? previous : capture.get("containerLog", place);
      const digest = known(observed);
      if (!digest) return undefined;
      return {
        lines: digest.tail,
        quote: (line) => quoteOf({ ...observed.origin, line: line.line }, line.message, line.at),
      };
    },
  };
}
