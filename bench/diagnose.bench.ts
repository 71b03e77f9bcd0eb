/**
 * How long a diagnosis takes, and in how much memory: `node --expose-gc bench/diagnose.bench.ts`.
 *
 *   recorded   a bundle of three nodes, read and diagnosed: under a second is what we hold ourselves to
 *   built      1,000 nodes and 30,000 Pods in 300 Services, of which the state of 10 nodes was collected
 *   whole      the same number of Pods, the state of every node collected (minutes): only with `--whole`
 *
 * Each case runs in a process of its own, so that none warms up or fills the heap for the next.
 */
import { execFileSync } from "node:child_process";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { diagnose } from "../src/diagnose.ts";
import type { Capture } from "../src/evidence/capture.ts";
import type { Place } from "../src/evidence/kind.ts";
import { unknown } from "../src/evidence/observed.ts";
import { readBundle } from "../src/sources/bundle.ts";
import { cluster } from "../testing/cluster.ts";
import { recordingPath } from "../testing/recordings.ts";

const NODES = 1000;
const SERVICES = 300;
const REPLICAS = 100;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const MB = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const ms = (since: number): string => `${(performance.now() - since).toFixed(0)} ms`;

function timed(name: string, capture: Capture): void {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const started = performance.now();
  const report = diagnose(capture, { clock: () => performance.now() });
  const took = ms(started);
  const slowest = [...report.checks].sort((a, b) => (b.ms ?? 0) - (a.ms ?? 0)).slice(0, 3);
  print(
    `${name}: ${report.verdict} in ${took}, evidence ${MB(before)}, at most ${MB(process.resourceUsage().maxRSS * 1024)}`,
  );
  print(`  slowest: ${slowest.map(({ id, ms: taken }) => `${id} ${taken?.toFixed(0)} ms`).join(", ")}`);
}

const made = () => cluster({ nodes: NODES, workloads: { services: SERVICES, replicas: REPLICAS } });

/** The same evidence, as if the state of a few nodes only had been collected. */
function sampled(capture: Capture): Capture {
  const isSeen = ({ node }: Place = {}) => node === undefined || /^(cp1|w[1-9])$/.test(node);
  return {
    ...capture,
    get: (kind, place) =>
      isSeen(place) ? capture.get(kind, place) : unknown({ reason: "not-collected" }, { kind: "file", path: "" }),
    all: (kind) => capture.all(kind).filter(({ place }) => isSeen(place)),
  };
}

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  async recorded() {
    const started = performance.now();
    const capture = await readBundle(recordingPath("flannel-role-deleted"));
    print(`read in ${ms(started)}`);
    timed("recorded", capture);
    print(`read and diagnosed in ${ms(started)}`);
  },
  async built() {
    timed("built", sampled(made().capture));
  },
  async whole() {
    timed("whole", made().capture);
  },
};

const [only] = process.argv.slice(2).filter((word) => !word.startsWith("--"));
if (only !== undefined) await CASES[only]!();
else {
  const names = Object.keys(CASES).filter((name) => name !== "whole" || process.argv.includes("--whole"));
  for (const name of names) {
    const options = ["--expose-gc", "--max-old-space-size=8192", fileURLToPath(import.meta.url), name];
    execFileSync(process.execPath, options, { stdio: "inherit" });
  }
}
