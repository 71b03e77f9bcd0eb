/**
 * The walk against what really happened: every active test of every recording is walked, and its result predicted.
 *
 * None may be wrong, but those that are listed here with the reason; and few may be untold.
 */
import { describe, expect, it } from "vitest";
import { known } from "../../src/evidence/observed.ts";
import { modelOf } from "../../src/model/model.ts";
import { isRight, predict, tellingWay } from "../../src/trace/probe.ts";
import { captureOf, RECORDINGS, readRecording } from "../recordings.ts";

/** What no state of any node foretells. */
const UNFORETOLD: Readonly<Record<string, readonly string[]>> = {
  // the table was full from time to time: not when it was looked at
  "conntrack-full": ["dns kubernetes.default.svc.cluster.local: timeout"],
};

/** Where more may be untold, and why. */
const MOSTLY_UNTOLD: Readonly<Record<string, string>> = {
  "cilium-rbac-deleted-by-label": "Cilium's agent on w2 does not run: nobody could be asked what its programs hold",
  "etcd-rolled-back": "Pods run that the API does not know any more",
};

describe.each(RECORDINGS)("%s", (id) => {
  it("every test ends as the walk says", async () => {
    const model = modelOf(captureOf((await readRecording(id)).files));
    const wrong: string[] = [];
    let untold = 0;
    const all = model.observations.all.flatMap(({ probe }) => probe ?? []);
    for (const probe of all) {
      const prediction = predict(probe, model);
      const right = prediction && isRight(prediction, probe);
      if (right === undefined) untold++;
      if (right !== false) continue;
      const said = `${probe.test} ${probe.target}: ${probe.result}`;
      if (UNFORETOLD[id]?.includes(said)) continue;
      const end = tellingWay(prediction!.trace)?.end;
      wrong.push(`${probe.from.network}@${probe.from.node} ${said}, predicted ${end?.is}: ${end?.evidence[0]?.quote}`);
    }
    expect(wrong).toEqual([]);
    expect(all.length).toBeGreaterThan(0);
    if (MOSTLY_UNTOLD[id] === undefined) expect(untold / all.length, "untold").toBeLessThan(0.05);
  });
});

it("a recording has tests", async () => {
  const { files } = await readRecording("healthy-iptables");
  expect(known(captureOf(files).get("probes"))?.length).toBe(96);
});
