/** The other pipeline: from evidence and two ends to the path between them. Pure, as that of diagnose.ts is. */
import { VERSION } from "./diagnose.ts";
import type { Capture } from "./evidence/capture.ts";
import { modelOf } from "./model/model.ts";
import { buildPath } from "./report/build-path.ts";
import type { Path } from "./report/path.ts";
import { type AnswerOptions, answerOf } from "./trace/answer.ts";
import { capturedOn } from "./trace/captured.ts";
import { endsOf, type Typed } from "./trace/ends/ends.ts";
import { isProblem, type Problem } from "./trace/ends/goal.ts";

/** @returns the path, or why what was typed is none */
export function pathBetween(capture: Capture, typed: Typed, options: AnswerOptions = {}): Path | Problem {
  const model = modelOf(capture);
  const ends = endsOf(typed, model);
  if (isProblem(ends)) return ends;
  const answer = answerOf(ends, model, options);
  const ways = answer.walked.backEnds.flatMap((backEnd) => backEnd.ways);
  const seen = ways.map((way) => capturedOn(way, model.packetCaptures)).filter((one) => one !== undefined);
  const sightings = [...new Map(seen.map((one) => [JSON.stringify(one.evidence), one])).values()];
  return buildPath({ answer, sightings, typed, capture, version: VERSION, size: options.size });
}

export { isProblem };
