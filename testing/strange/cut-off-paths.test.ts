/**
 * Paths over what was cut off anywhere: with less evidence a path is told as with all of it, or it cannot be told. What
 * fails never arrives, and what arrives never fails.
 *
 * A seeded sample in the ordinary run: NETWHY_SEED chooses another, NETWHY_LONG=1 tries many more.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Capture } from "../../src/evidence/capture.ts";
import { overlay } from "../../src/evidence/overlay.ts";
import { matchPath } from "../../src/evidence/path.ts";
import { type ClusterModel, modelOf } from "../../src/model/model.ts";
import { answerOf, type Result } from "../../src/trace/answer.ts";
import { endsOf, type Typed } from "../../src/trace/ends/ends.ts";
import { isProblem } from "../../src/trace/ends/goal.ts";
import { LONG } from "../long.ts";
import { seededRandom } from "../random.ts";
import { captureOf, RECORDINGS, type Recording, readRecording } from "../recordings.ts";

const USED = LONG ? RECORDINGS : ["forward-drop", "healthy-nftables", "flannel-role-deleted", "two-faults"];
const CASES = LONG ? 3000 : 60;

type Whole = {
  readonly id: string;
  readonly files: Recording["files"];
  readonly capture: Capture;
  /** What of its nodes was recorded, and can be cut. */
  readonly paths: readonly string[];
  readonly told: readonly { readonly typed: Typed; readonly result: Result }[];
};

const resultOf = (typed: Typed, model: ClusterModel): Result | "problem" => {
  const ends = endsOf(typed, model);
  return isProblem(ends) ? "problem" : answerOf(ends, model).result;
};

function asked({ pods, nodes, services }: ClusterModel): Typed[] {
  const clients = pods.all.filter((pod) => pod.owner?.name === "client" && pod.node !== undefined && !pod.finished);
  const froms = [...clients.map(({ key }) => key), ...nodes.all.map(({ name }) => name)];
  const tos = services.all
    .filter(({ namespace }) => namespace === "shop" || namespace === "default")
    .flatMap(({ namespace, name, ports }) => ports.slice(0, 1).map(({ port }) => `${namespace}:svc/${name}:${port}`));
  return [
    ...froms.flatMap((from) => tos.map((to) => ({ from, to }))),
    ...clients.map(({ key }) => ({ from: froms[0]!, to: key })),
  ];
}

describe("with something cut off", () => {
  const wholes: Whole[] = [];
  beforeAll(async () => {
    for (const id of USED) {
      const { files } = await readRecording(id);
      const capture = captureOf(files);
      const model = modelOf(capture);
      const told = asked(model).flatMap((typed) => {
        const ends = endsOf(typed, model);
        if (isProblem(ends)) return [];
        const { result, contradicting } = answerOf(ends, model);
        // where tests decide against the walk, what it says of less is no news
        return contradicting.length > 0 ? [] : [{ typed, result }];
      });
      // probes decide about a path as well: here is what the walk says
      const paths = [...files.keys()].filter((path) => path.startsWith("nodes/") && matchPath(path)?.isError === false);
      wholes.push({ id, files, capture, paths, told });
    }
  });

  it("a path is told as before, or not at all", () => {
    const random = seededRandom(Number(process.env.NETWHY_SEED ?? 3));
    const wrong: string[] = [];
    const seen = new Map<string, number>();
    for (let at = 0; at < CASES; at++) {
      const { id, files, capture, paths, told } = random.pick(wholes);
      const path = random.pick(paths);
      const { kind, place } = matchPath(path)!;
      const text = files.get(path)!;
      const length = random.below(text.length + 1);
      // lines that are all whole are another node's state: that some are missing, only a manifest could tell
      if (length === 0 || text[length - 1] === "\n") continue;
      const observed = captureOf(new Map([[path, text.slice(0, length)]])).get(kind, place);
      const model = modelOf(overlay(capture, [{ kind, place, observed }]));
      const concerned = told.filter(({ typed }) => LONG || random.chance(0.4) || typed.from === place.node);
      for (const { typed, result } of concerned) {
        const now = resultOf(typed, model);
        seen.set(`${result} > ${now}`, (seen.get(`${result} > ${now}`) ?? 0) + 1);
        if (now === result || now === "unclear") continue;
        // of some of several back ends it is not known any more
        if (now === "sometimes" && result === "failed") continue;
        wrong.push(`${id} ${path} at ${length}: ${typed.from} > ${typed.to}: ${result}, then ${now}`);
      }
    }
    expect(wrong, JSON.stringify([...seen])).toEqual([]);
    expect([...seen.keys()]).toContain("answered > unclear");
  }, 3_600_000);

  it("a table that may come after the cut may translate: the list of nft ends before that of kube-proxy", () => {
    const { capture, files } = wholes.find(({ id }) => id === "healthy-nftables")!;
    const path = "nodes/w2/nft-ruleset.json";
    const { kind, place } = matchPath(path)!;
    const text = files.get(path)!;
    const cut = text.slice(0, text.indexOf('{"table": {"family": "ip", "name": "nat"') + 20);
    const observed = captureOf(new Map([[path, cut]])).get(kind, place);
    const typed = { from: "w2", to: "shop:svc/backend:8080" };
    expect(resultOf(typed, modelOf(capture))).toBe("answered");
    expect(resultOf(typed, modelOf(overlay(capture, [{ kind, place, observed }])))).toBe("unclear");
  });
});
