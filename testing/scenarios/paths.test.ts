/**
 * Paths through every recording: from a Pod, from a node and from outside to every Service. What is said fits its schema,
 * no test in the evidence contradicts it, and in a healthy cluster whoever should be reached is.
 */
import { describe, expect, it } from "vitest";
import type { Capture } from "../../src/evidence/capture.ts";
import { modelOf } from "../../src/model/model.ts";
import type { PodView } from "../../src/model/pods.ts";
import { buildPath } from "../../src/report/build-path.ts";
import { PATH_FORMATS } from "../../src/report/formats/path.ts";
import { type Path, pathSchema } from "../../src/report/path.ts";
import { answerOf } from "../../src/trace/answer.ts";
import { endsOf } from "../../src/trace/ends/ends.ts";
import { isProblem } from "../../src/trace/ends/goal.ts";
import { captureOf, RECORDINGS, readRecording, truthOf } from "../recordings.ts";

/** Where only the programs of Cilium know, and where policies deny some calls on purpose. */
const NOT_ALL_REACHED = ["cilium-healthy", "calico-healthy"];

function pathsThrough(capture: Capture): { readonly path: Path; readonly asked: string }[] {
  const model = modelOf(capture);
  const runs = (pod: PodView) => pod.owner?.name === "client" && pod.node !== undefined && !pod.finished;
  const client = model.pods.all.find(runs);
  const froms = [...(client ? [client.key] : []), model.nodes.all.at(-1)!.name, "outside"];
  const ports = model.services.all.flatMap((service) => service.ports);
  return froms.flatMap((from) =>
    ports.map(({ service: { name, namespace }, port, protocol }) => {
      const to = `${name}.${namespace}.svc.cluster.local:${port}/${protocol.toLowerCase()}`;
      const ends = endsOf({ from, to }, model);
      if (isProblem(ends)) throw new Error(ends.problem.en);
      const answer = answerOf(ends, model);
      return { path: buildPath({ answer, typed: { from, to }, capture, version: "0" }), asked: `${from} > ${to}` };
    }),
  );
}

describe.each(RECORDINGS)("%s", (id) => {
  it("paths through it are sound", async () => {
    const paths = pathsThrough(captureOf((await readRecording(id)).files));
    expect(paths.length).toBeGreaterThan(10);
    for (const { path, asked } of paths) {
      expect(pathSchema.strict().parse(path), asked).toEqual(path);
      expect(PATH_FORMATS.text(path, { lang: "en", width: 100, color: false }), asked).not.toContain("undefined");
      expect(path.summary.id, `${asked}: ${path.summary.en}`).not.toMatch(/^path\/should-/);
    }
    if (!truthOf(id).healthy || NOT_ALL_REACHED.includes(id)) return;
    const wrong = paths.filter(
      ({ path: { verdict, from } }) => from.kind !== "outside" && !["reaches", "leaves"].includes(verdict),
    );
    expect(wrong.map(({ asked, path }) => `${asked}: ${path.summary.en}`)).toEqual([]);
  });
});
