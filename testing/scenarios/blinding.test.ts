/**
 * Blinding: each file of each recording taken away, and cut at half. What is then said must be part of the truth, or a
 * broken point on the way from the truth to its symptoms that says what was not seen; never a wrong root, and never
 * "healthy" where something is broken.
 *
 * A seeded sample in the ordinary run, all in the long one.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { diagnose } from "../../src/diagnose.ts";
import type { Capture } from "../../src/evidence/capture.ts";
import { unknown } from "../../src/evidence/observed.ts";
import { overlay } from "../../src/evidence/overlay.ts";
import { matchPath } from "../../src/evidence/path.ts";
import { LONG } from "../long.ts";
import { random } from "../random.ts";
import { captureOf, names, RECORDINGS, type Recording, readRecording } from "../recordings.ts";

/** Points on the truth's own chains at which a diagnosis may end that cannot see the cause below. */
const CHAIN: Readonly<Record<string, readonly string[]>> = {
  // its rules for policies do not know the Pods that were made since
  "calico-role-deleted": ["DaemonSet/kube-system/calico-node", "Node/w1"],
  "cilium-rbac-deleted-by-label": [
    "DaemonSet/kube-system/cilium",
    "Deployment/kube-system/cilium-operator",
    "Deployment/kube-system/coredns",
    // Pods that were made since have no identity there
    "Node/cp1",
    "Node/w1",
  ],
  // CoreDNS on w1 is killed because its kubelet cannot connect to it
  "conntrack-full": ["Deployment/kube-system/coredns"],
  "corefile-broken": ["Deployment/kube-system/coredns"],
  "etcd-rolled-back": ["Service/shop/backend", "Deployment/shop/backend"],
  "flannel-role-deleted": ["DaemonSet/kube-flannel/kube-flannel-ds", "Node/w2"],
  "kube-proxy-role-deleted": ["DaemonSet/kube-system/kube-proxy", "Node/cp1", "Node/w1", "Node/w2"],
};

type Variant = { readonly id: string; readonly path: string; readonly how: "removed" | "cut at half" };

const recordings = new Map<string, { recording: Recording; capture: Capture }>();

function variants(): Variant[] {
  const all = [...recordings].flatMap(([id, { recording }]) =>
    [...recording.files.keys()]
      .filter((path) => matchPath(path)?.isError === false)
      .flatMap((path): Variant[] => [
        { id, path, how: "removed" },
        { id, path, how: "cut at half" },
      ]),
  );
  if (LONG) return all;
  const draw = random(4);
  // lists of the API decide most: half of the sample is of them
  const isList = ({ path }: Variant) => path.startsWith("api");
  const pick = (from: Variant[], count: number) =>
    Array.from({ length: count }, () => from.splice(Math.floor(draw() * from.length), 1)[0]!);
  return [
    ...pick(all.filter(isList), 50),
    ...pick(
      all.filter((one) => !isList(one)),
      50,
    ),
  ];
}

function blinded({ id, path, how }: Variant): Capture {
  const { recording, capture } = recordings.get(id)!;
  const { kind, place } = matchPath(path)!;
  const text = recording.files.get(path)!;
  const observed =
    how === "removed"
      ? unknown({ reason: "not-collected" }, { kind: "file", path })
      : captureOf(new Map([[path, text.slice(0, Math.floor(text.length / 2))]])).get(kind, place);
  return overlay(capture, [{ kind, place, observed }]);
}

describe("without one file, or with half of it", () => {
  beforeAll(async () => {
    for (const id of RECORDINGS) {
      const recording = await readRecording(id);
      recordings.set(id, { recording, capture: captureOf(recording.files) });
    }
  });

  it("nothing wrong is said, and nothing broken is called healthy", () => {
    const failures: string[] = [];
    for (const variant of variants()) {
      const { truth } = recordings.get(variant.id)!.recording;
      const report = diagnose(blinded(variant));
      const objects = truth.root_causes.flatMap((root) => root.objects);
      const chain = CHAIN[variant.id] ?? [];
      const where = `${variant.id}: ${variant.path} ${variant.how}`;
      for (const cause of report.rootCauses) {
        const isTrue = names(cause, objects);
        const isOnChain = names(cause, chain) && report.blindSpots.length > 0;
        if (!isTrue && !isOnChain) failures.push(`${where}: ${cause.id}`);
      }
      if (!truth.healthy && report.rootCauses.length === 0 && report.verdict !== "unclear")
        failures.push(`${where}: ${report.verdict}`);
      for (const check of report.checks)
        if (check.outcome === "crashed") failures.push(`${where}: ${check.id} crashed`);
    }
    expect(failures).toEqual([]);
  }, 3_600_000);
});
