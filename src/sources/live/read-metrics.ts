/**
 * What CoreDNS counts, asked through the API server, which goes to its Pods: for who may (`pods/proxy`); and what
 * metrics-server measured.
 */
import type { Capture, Intake } from "../../evidence/capture.ts";
import { catalogue, type ObjectOf } from "../../evidence/catalogue.ts";
import type { Kind } from "../../evidence/kind.ts";
import { known } from "../../evidence/observed.ts";
import { filledWith, pathOf } from "../../evidence/path.ts";
import type { Api } from "./api.ts";
import { type Progress, tellFailure, tellText } from "./read-api.ts";

type Pod = ObjectOf<"pods">;

const MOST_PODS = 12;
const AT_A_TIME = 4;
/** Of one Pod, milliseconds. */
const LIMIT_MS = 8000;

const isCoreDns = ({ spec, status }: Pod) =>
  status?.phase === "Running" && spec.containers.some(({ name }) => name === "coredns");

/** Reads the metrics of the Pods that the capture shows. */
export async function readMetrics(api: Api, capture: Capture, intake: Intake, progress: Progress): Promise<void> {
  const waiting = (known(capture.get("pods"))?.items ?? []).filter(isCoreDns).slice(0, MOST_PODS);
  progress("metrics");
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (let pod = waiting.shift(); pod; pod = waiting.shift()) await readPod(api, intake, pod);
    }),
  );
}

async function readPod(api: Api, intake: Intake, { metadata }: Pod): Promise<void> {
  const place = { namespace: metadata.namespace ?? "", pod: metadata.name };
  const path = pathOf("dnsMetrics", place);
  const { how } = catalogue.dnsMetrics;
  if (!("get" in how)) return;
  const { answer, text } = await api.text(filledWith(place, how.get), {
    accept: "text/plain;version=0.0.4",
    tries: 1,
    limitMs: LIMIT_MS,
    isRelayed: true,
  });
  if (answer.ok) tellText(intake, path, text);
  else tellFailure(intake, path, answer.failure.message);
}

/** Reads what `kubectl top` shows. */
export async function readUsage(api: Api, intake: Intake, progress: Progress): Promise<void> {
  progress("top");
  for (const kind of ["nodeUsage", "podUsage"] as const) {
    const { how } = catalogue[kind] as Kind<unknown>;
    if (!("get" in how)) continue;
    const { answer, text } = await api.text(how.get, { tries: 1 });
    if (answer.ok) tellText(intake, pathOf(kind), text);
    // most clusters have no metrics-server
    else if (answer.failure.kind === "not-found") intake.absent(pathOf(kind));
    else tellFailure(intake, pathOf(kind), answer.failure.message);
  }
}
