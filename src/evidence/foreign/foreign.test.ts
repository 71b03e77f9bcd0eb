/** Other tools' bundles: the same root causes as ours, as far as they hold what shows them; else a blind spot. */
import { describe, expect, it } from "vitest";
import {
  asClusterInfoDump,
  asFolder,
  asMustGather,
  asSysdump,
  asTroubleshoot,
} from "../../../testing/foreign-bundles.ts";
import { readRecording } from "../../../testing/recordings.ts";
import { diagnose } from "../../diagnose.ts";
import type { Report } from "../../report/report.ts";
import { type Capture, createIntake } from "../capture.ts";
import { foreignIntake } from "./foreign.ts";

type Files = ReadonlyMap<string, string>;

function captureOf(files: Files): Capture {
  const intake = createIntake();
  const foreign = foreignIntake(intake);
  for (const [path, text] of files) {
    const sink = foreign.open(path);
    sink?.write(text);
    sink?.end({ bytes: text.length });
  }
  foreign.finish();
  return intake.capture();
}

const rootsOf = ({ rootCauses }: Report) => rootCauses.map(({ id }) => id);
const object = (kind: string, name: string, namespace?: string) =>
  JSON.stringify({
    apiVersion: "v1",
    kind,
    metadata: { name, ...(namespace && { namespace }) },
    spec: { containers: [] },
  });
const list = (...items: readonly string[]) => `{"kind":"List","apiVersion":"v1","items":[${items.join(",")}]}`;
const files = (given: Readonly<Record<string, string>>): Files => new Map(Object.entries(given));

describe.each([
  ["a Troubleshoot support bundle", asTroubleshoot, "a Troubleshoot support bundle"],
  ["must-gather", asMustGather, "OpenShift must-gather"],
  ["cilium sysdump", asSysdump, "`cilium sysdump`"],
  ["a folder of kubectl's and commands' output", asFolder, "files of kubectl"],
] as const)("%s", (_, packed, words) => {
  it.each(["kube-proxy-role-deleted", "corefile-broken", "service-selector-mismatch"])("%s", async (id) => {
    const { truth, files: recorded } = await readRecording(id);
    const capture = captureOf(packed(recorded));
    const report = diagnose(capture);
    const named = report.rootCauses.flatMap(({ object: { kind, namespace, name } }) => [kind, namespace, name]);
    for (const { objects } of truth.root_causes)
      expect(objects.some((one) => one.split("/").every((part) => named.includes(part)))).toBe(true);
    expect(report.rootCauses).toHaveLength(truth.root_causes.length);
    expect(capture.notes.map(({ what }) => what.en).join()).toContain(words);
  });

  it("of a healthy cluster accuses nobody", async () => {
    const report = diagnose(captureOf(packed((await readRecording("healthy-iptables")).files)));
    expect(rootsOf(report)).toEqual([]);
  });
});

describe("kubectl cluster-info dump", () => {
  it("holds no roles: the logs still tell, less surely", async () => {
    const report = diagnose(captureOf(asClusterInfoDump((await readRecording("kube-proxy-role-deleted")).files)));
    expect(report.rootCauses.map(({ check, confidence }) => [check, confidence])).toEqual([
      ["component-access-denied", "likely"],
    ]);
  });

  it("of a healthy cluster leaves blind spots, and no fault", async () => {
    const report = diagnose(captureOf(asClusterInfoDump((await readRecording("healthy-iptables")).files)));
    expect([report.verdict, rootsOf(report)]).toEqual(["unclear", []]);
    expect(report.blindSpots.length).toBeGreaterThan(0);
  });
});

describe("what a folder holds", () => {
  const isWhole = (capture: Capture, kind: "pods" | "nodes") => {
    const observed = capture.get(kind);
    return observed.state === "present" && observed.gaps.length === 0;
  };
  const NAMESPACES = list(object("Namespace", "a"), object("Namespace", "b"));

  it.each([
    [
      "a list of several namespaces is whole",
      { "p.json": list(object("Pod", "x", "a"), object("Pod", "y", "b")) },
      true,
    ],
    [
      "a list of one namespace of several is not",
      { "p.json": list(object("Pod", "x", "a")), "n.json": NAMESPACES },
      false,
    ],
    [
      "a list of one namespace, when nobody knows of others, is not",
      { "p.json": list(object("Pod", "x", "a")) },
      false,
    ],
    [
      "lists of all namespaces are, the empty ones included",
      {
        "a/pods.json": list(object("Pod", "x", "a")),
        "b/pods.json": '{"kind":"PodList","items":null}',
        "n.json": NAMESPACES,
      },
      true,
    ],
    ["single objects are not", { "x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a}\n" }, false],
  ])("%s", (_, given, whole) => expect(isWhole(captureOf(files(given)), "pods")).toBe(whole));

  it("a single node is not all nodes", () => {
    expect(isWhole(captureOf(files({ "w1.json": object("Node", "w1") })), "nodes")).toBe(false);
    expect(isWhole(captureOf(files({ "nodes.json": list(object("Node", "w1")) })), "nodes")).toBe(true);
  });

  it("output of a command belongs to the node that its path names, or to the only one", () => {
    const nodes = list(object("Node", "w1"), object("Node", "w1-a"));
    const save = "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n";
    const nodesOf = (given: Readonly<Record<string, string>>) => {
      const capture = captureOf(files(given));
      return [...capture.all("iptables").map(({ place }) => place.node), ...capture.notes.map(({ path }) => path)];
    };
    expect(nodesOf({ "n.json": nodes, "w1/x.txt": save })).toEqual(["w1", "bundle"]);
    expect(nodesOf({ "n.json": nodes, "save-w1-a.txt": save })).toEqual(["w1-a", "bundle"]);
    expect(nodesOf({ "n.json": nodes, "save.txt": save })).toEqual(["save.txt", "bundle"]);
    expect(nodesOf({ "n.json": list(object("Node", "w9")), "save.txt": save })).toEqual(["w9", "bundle"]);
  });

  it("a log of a Pod whose name two namespaces have belongs to the one that its path names", () => {
    const pods = list(object("Pod", "x-0", "a"), object("Pod", "x-0", "b")).replaceAll(
      '"containers":[]',
      '"containers":[{"name":"c"}]',
    );
    const placesOf = (path: string) =>
      captureOf(files({ "p.json": pods, [path]: "hello\n" }))
        .all("containerLog")
        .map(({ place }) => place.namespace);
    expect(placesOf("logs/b_x-0.log")).toEqual(["b"]);
    expect(placesOf("x-0.log")).toEqual([]);
  });

  it("hostile files hurt nobody", () => {
    const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
    const bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nkind: List\n";
    const odd = '{"kind":"PodList","apiVersion":{},"items":[1,null,{"metadata":null},{"metadata":{"name":{}}}]}';
    const capture = captureOf(
      files({ "d.json": deep, "b.yaml": bomb, "o.json": odd, "n.json": list(object("Node", "w1")) }),
    );
    expect(diagnose(capture).rootCauses).toEqual([]);
    expect(capture.get("nodes").state).toBe("present");
  });
});
