import { describe, expect, it } from "vitest";
import { captureOf } from "../../testing/recordings.ts";
import { verbatim } from "../text.ts";
import { createIntake } from "./capture.ts";
import type { KindId } from "./catalogue.ts";

const files = (all: Record<string, string>) => captureOf(new Map(Object.entries(all)));

const POD = { metadata: { name: "a", namespace: "shop" }, spec: { containers: [] } };
const list = (...items: readonly unknown[]) => JSON.stringify({ kind: "PodList", items });
const PODS = "api/v1/pods.json";
const COUNT = "nodes/w1/conntrack-count.txt";

/** How one file shows, in short. */
function shown(kind: KindId, all: Record<string, string>, place = {}): string {
  const observed = files(all).get(kind, place);
  if (observed.state === "present") return observed.gaps.length === 0 ? "whole" : `gaps: ${observed.gaps[0]!.what}`;
  return observed.state === "unknown" ? observed.why.reason : observed.state;
}

describe("one file", () => {
  it.each<[what: string, kind: KindId, path: string, text: string, expected: string]>([
    ["a list", "pods", PODS, list(POD), "whole"],
    ["an empty list", "pods", PODS, list(), "whole"],
    ["a list that is null", "pods", PODS, '{"kind":"PodList","items":null}', "whole"],
    ["an empty file where a list should be", "pods", PODS, "", "unreadable"],
    ["the body of a refused call", "pods", PODS, '{"kind":"Status","code":403,"reason":"Forbidden"}', "unreadable"],
    ["a list that is cut off", "pods", PODS, list(POD, POD).slice(0, -9), "gaps: cut off here"],
    ["a list cut off before its first object", "pods", PODS, '{"kind":"PodList","items":[{"meta', "unreadable"],
    ["a list with an object that does not fit", "pods", PODS, list(POD, { metadata: {} }), "gaps: metadata.name"],
    ["a list of which no object fits", "pods", PODS, list({}, []), "unreadable"],
    ["objects a line each", "pods", `${PODS}l`, `${JSON.stringify(POD)}\n`, "whole"],
    ["objects a line each, the last cut off", "pods", `${PODS}l`, `${JSON.stringify(POD)}\n{"me`, "gaps: cut off here"],
    ["no objects, a line each", "pods", `${PODS}l`, "", "unreadable"],
    ["output of a tool that prints nothing when there is nothing", "ipset", "nodes/w1/ipset.txt", "", "whole"],
    ["an empty file that tells nothing", "links", "nodes/w1/ip-addr.json", "", "unreadable"],
    ["the reason why there is none", "pods", "api/v1/pods.err", "forbidden\n", "failed"],
    ["what was not collected", "pods", "README.md", "hello", "not-collected"],
  ])("%s", (_, kind, path, text, expected) => {
    const place = path.startsWith("nodes/w1") ? { node: "w1" } : {};
    expect(shown(kind, { [path]: text }, place).slice(0, expected.length)).toBe(expected);
  });

  it("keeps the words of the reason, and says where they stand", () => {
    const observed = files({ "api/v1/pods.json.err": "  pods is forbidden\n" }).get("pods");
    expect(observed).toEqual({
      state: "unknown",
      why: { reason: "failed", message: "pods is forbidden" },
      origin: { kind: "api", path: "api/v1/pods.json.err" },
    });
  });

  it("keeps a long reason short", () => {
    const observed = files({ "api/v1/pods.err": "x".repeat(100_000) }).get("pods");
    expect(observed.state === "unknown" && observed.why.reason === "failed" && observed.why.message.length).toBe(500);
  });

  it.each<[KindId, string, object]>([
    ["pods", PODS, { kind: "api", path: PODS }],
    ["services", "api/v1/services.json", { kind: "api", path: "api/v1/services.json" }],
    ["conntrackCount", COUNT, { kind: "command", path: COUNT, node: "w1" }],
    ["kubeletLog", "nodes/w1/kubelet.log", { kind: "log", path: "nodes/w1/kubelet.log", node: "w1" }],
    ["containerLog", "logs/a/b/c.log", { kind: "log", path: "logs/a/b/c.log" }],
    ["cluster", "cluster.json", { kind: "file", path: "cluster.json" }],
    ["probes", "probes.jsonl", { kind: "probe", path: "probes.jsonl" }],
    [
      "kubeletConfig",
      "nodes/w1/files/var/lib/kubelet/config.yaml",
      { kind: "file", path: "nodes/w1/files/var/lib/kubelet/config.yaml", node: "w1" },
    ],
  ])("%s comes from where it stands", (kind, path, origin) => {
    const [{ observed, place }] = files({ [path]: "{}\n" }).all(kind) as [never];
    expect((observed as { origin: object }).origin).toEqual(origin);
    // what was not collected has the origin at which it would stand
    const [kindOnly] = [files({}).get(kind, place).origin];
    expect(kindOnly).toEqual(origin);
  });
});

describe("entries that stand on many nodes", () => {
  const neighbours = (...last: readonly number[]) =>
    JSON.stringify(last.map((n) => ({ dst: `10.42.${n}.0`, dev: "flannel.1", lladdr: `02:00:00:00:00:0${n}` })));

  it("are kept once, and each node has those that it has", () => {
    const capture = files({ "nodes/w1/ip-neigh.json": neighbours(1, 2), "nodes/w2/ip-neigh.json": neighbours(2, 3) });
    const [[first, second], [third, fourth]] = ["w1", "w2"].map((node) => {
      const observed = capture.get("neighbours", { node });
      return observed.state === "present" ? observed.value : [];
    }) as [readonly object[], readonly object[]];
    expect(third).toBe(second);
    expect([first, second, fourth].map((one) => (one as { address: string }).address)).toEqual([
      "10.42.1.0",
      "10.42.2.0",
      "10.42.3.0",
    ]);
  });
});

describe("several files of the same evidence", () => {
  it("count more than a remark that something went wrong, in whatever order they come", () => {
    const [good, bad] = [
      [PODS, list(POD)],
      ["api/v1/pods.err", "timeout"],
    ] as const;
    for (const order of [
      [good, bad],
      [bad, good],
    ])
      expect(shown("pods", Object.fromEntries(order))).toBe("whole");
  });

  it("count as one, whatever version of the API they are of", () => {
    const slices = { "apis/discovery.k8s.io/v1beta1/endpointslices.json": '{"kind":"EndpointSliceList","items":[]}' };
    expect(files(slices).get("endpointslices")).toMatchObject({
      state: "present",
      origin: { path: "apis/discovery.k8s.io/v1beta1/endpointslices.json" },
    });
    expect(files(slices).size).toBe(1);
  });
});

describe("all of a kind", () => {
  it("are given in the order of their paths, those that failed among them", () => {
    const capture = files({
      "nodes/w2/conntrack-count.txt": "1\n9\n",
      "nodes/w1/conntrack-count.txt.err": "no such file",
      "nodes/cp1/conntrack-count.txt": "1\n9\n",
    });
    expect(capture.all("conntrackCount").map(({ place, observed }) => [place.node, observed.state])).toEqual([
      ["cp1", "present"],
      ["w1", "unknown"],
      ["w2", "present"],
    ]);
  });

  it("are none where none was collected", () => expect(files({}).all("links")).toEqual([]));
});

describe("the manifest", () => {
  const manifest = (entry: object) => `${JSON.stringify({ path: COUNT, ...entry })}\n`;
  const counted = (entry: object) =>
    shown("conntrackCount", { [COUNT]: "1\n9\n", "manifest.jsonl": manifest(entry) }, { node: "w1" });

  it.each<[string, object, string]>([
    ["keeps its promise", { bytes: 4, complete: true }, "whole"],
    ["promises nothing", {}, "whole"],
    ["promises more", { bytes: 5 }, "gaps: the manifest promises 5 bytes, 4 are here"],
    ["promises less", { bytes: 3 }, "gaps: the manifest promises 3 bytes, 4 are here"],
    ["says that the file is not all of it", { complete: false }, "gaps: the collector could not take all of it"],
    ["is about another file", { path: "x", complete: false }, "whole"],
  ])("%s", (_, entry, expected) => expect(counted(entry)).toBe(expected));

  it("counts for a file that came before it and for one that comes after", () => {
    const entry = manifest({ complete: false });
    const gaps = "gaps: the collector could not take all of it";
    expect(shown("conntrackCount", { "manifest.jsonl": entry, [COUNT]: "1\n9\n" }, { node: "w1" })).toBe(gaps);
    expect(shown("conntrackCount", { [COUNT]: "1\n9\n", "manifest.jsonl": entry }, { node: "w1" })).toBe(gaps);
  });

  it("makes nothing present that did not come", () => {
    expect(shown("conntrackCount", { "manifest.jsonl": manifest({ bytes: 4 }) }, { node: "w1" })).toBe("not-collected");
  });
});

describe("taking in", () => {
  it("does not read what the catalogue does not know", () => {
    expect(createIntake().open("README.md")).toBeUndefined();
  });

  it("says that a file ended early, and why", () => {
    const intake = createIntake();
    const sink = intake.open(PODS)!;
    sink.write(list(POD));
    sink.end({ bytes: 10, cutOff: "connection lost" });
    expect(intake.capture().get("pods")).toMatchObject({ state: "present", gaps: [{ what: "connection lost" }] });
  });

  it("shows a list without objects that ended early as unknown, not as empty", () => {
    const intake = createIntake();
    const sink = intake.open(PODS)!;
    sink.write(list());
    sink.end({ bytes: 10, cutOff: "connection lost" });
    expect(intake.capture().get("pods")).toMatchObject({ state: "unknown", why: { message: "connection lost" } });
  });

  it("reads a file the same in whatever pieces it comes", () => {
    const text = list(POD, { ...POD, metadata: { name: "bü" } });
    for (let at = 0; at <= text.length; at++) {
      const intake = createIntake();
      const sink = intake.open(PODS)!;
      for (const piece of [text.slice(0, at), "", text.slice(at)]) sink.write(piece);
      sink.end({ bytes: 1 });
      expect(intake.capture().get("pods")).toEqual(files({ [PODS]: text }).get("pods"));
    }
  });

  it("keeps remarks, and counts those that are too many", () => {
    const intake = createIntake();
    for (let count = 0; count < 1003; count++) intake.note(`file-${count}`, verbatim("refused"));
    const { notes } = intake.capture();
    expect(notes).toHaveLength(1001);
    expect(notes[0]).toEqual({ path: "file-0", what: verbatim("refused") });
    expect(notes.at(-1)).toMatchObject({ path: "", what: { en: "3 more remarks of this kind" } });
  });

  it("counts the files of evidence", () => {
    expect(files({ [PODS]: list(), [COUNT]: "1\n9\n", "README.md": "x", "api/v1/nodes.err": "x" }).size).toBe(3);
  });
});
