/**
 * Walks every active test of bundles and tells how many ended as foretold.
 *
 *   node tools/foretell.ts                the recordings of testing/
 *   node tools/foretell.ts BUNDLE…        these
 *
 * Prints the shares of right, wrong and untold ones for each bundle, each wrong one with the way that misled, and the
 * reasons of those that cannot be told. Exits with 1 if any is wrong.
 */
import { basename, dirname } from "node:path";
import { modelOf } from "../src/model/model.ts";
import { readBundle } from "../src/sources/bundle.ts";
import { isRight, predict, tellingWay } from "../src/trace/probe.ts";
import { RECORDINGS, recordingPath } from "../testing/recordings.ts";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const share = (part: number, all: number): string => `${part} (${all === 0 ? 0 : ((100 * part) / all).toFixed(1)} %)`;
const total = { right: 0, wrong: 0, untold: 0 };

const given = process.argv.slice(2);
for (const path of given.length > 0 ? given : RECORDINGS.map(recordingPath)) {
  const model = modelOf(await readBundle(path));
  const counts = { right: 0, wrong: 0, untold: 0 };
  const remarks = new Map<string, number>();
  const remark = (text: string) => remarks.set(text, (remarks.get(text) ?? 0) + 1);
  for (const probe of model.observations.all.flatMap((one) => one.probe ?? [])) {
    const prediction = predict(probe, model);
    const right = prediction && isRight(prediction, probe);
    counts[right === undefined ? "untold" : right ? "right" : "wrong"]++;
    const end = prediction && tellingWay(prediction.trace)?.end;
    const from = `${probe.from.network}@${probe.from.node}`;
    if (right === false)
      remark(
        `wrong: ${from} ${probe.test} ${probe.target}: ${probe.result}, not ${end?.is} (${end?.evidence[0]?.quote})`,
      );
    else if (right === undefined) {
      const missing = (prediction?.missing ?? []).map(
        ({ kind, place }) => `${kind} of ${place?.node ?? "the cluster"}`,
      );
      remark(
        `untold: ${[...new Set([...missing, ...(prediction?.because ?? ["no test that can be walked"])])].join(", ")}`,
      );
    }
  }
  const all = counts.right + counts.wrong + counts.untold;
  const name = basename(path).startsWith("bundle") ? basename(dirname(path)) : basename(path);
  print(
    `${name}: ${share(counts.right, all)} right, ${share(counts.wrong, all)} wrong, ${share(counts.untold, all)} untold`,
  );
  for (const [text, count] of remarks) print(`  ${count} × ${text}`);
  for (const key of ["right", "wrong", "untold"] as const) total[key] += counts[key];
}
const all = total.right + total.wrong + total.untold;
print(`all: ${share(total.right, all)} right, ${share(total.wrong, all)} wrong, ${share(total.untold, all)} untold`);
process.exitCode = total.wrong > 0 ? 1 : 0;
