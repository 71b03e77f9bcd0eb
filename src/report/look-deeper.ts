/** What else could be asked of a running cluster, where a report of it lacks what only nodes and Pods themselves show. */
import type { Command } from "../shell.ts";
import type { Path, PathBackEnd } from "./path.ts";
import type { Report } from "./report.ts";

/**
 * One command that looks into all nodes, in place of those that look into them one by one.
 *
 * @param deeper diagnoses the same cluster again, and reads more
 */
export function withDeeperLook(report: Report, deeper: Command): Report {
  return {
    ...report,
    blindSpots: report.blindSpots.map((spot) => ({ ...spot, settle: inPlace(spot.settle, deeper) })),
  };
}

/** The same of a path, which ends where evidence ends. */
export function withDeeperWalk(path: Path, deeper: Command): Path {
  const { backEnds, resolution } = path;
  const walked = (all: readonly PathBackEnd[]) =>
    all.map((one) => ({
      ...one,
      ways: one.ways.map((way) => ({ ...way, end: { ...way.end, settle: inPlace(way.end.settle, deeper) } })),
    }));
  return {
    ...path,
    backEnds: walked(backEnds),
    ...(resolution && {
      resolution: {
        ...resolution,
        settle: inPlace(resolution.settle, deeper),
        ...(resolution.server && {
          server: { ...resolution.server, backEnds: walked(resolution.server.backEnds) },
        }),
      },
    }),
  };
}

type Settling = Path["backEnds"][number]["ways"][number]["end"]["settle"];

function inPlace(settle: Settling, deeper: Command): Settling {
  const isOfNode = ({ node }: Settling[number]) => node !== undefined;
  return settle.some(isOfNode) ? [deeper, ...settle.filter((command) => !isOfNode(command))] : settle;
}
