/** What else could be asked of a running cluster, where a report of it lacks what only nodes and Pods themselves show. */
import type { Command } from "../shell.ts";
import type { Report } from "./report.ts";

/**
 * One command that looks into all nodes, in place of those that look into them one by one.
 *
 * @param deeper diagnoses the same cluster again, and reads more
 */
export function withDeeperLook(report: Report, deeper: Command): Report {
  const isOfNode = ({ node }: Report["blindSpots"][number]["settle"][number]) => node !== undefined;
  return {
    ...report,
    blindSpots: report.blindSpots.map((spot) =>
      spot.settle.some(isOfNode)
        ? { ...spot, settle: [deeper, ...spot.settle.filter((command) => !isOfNode(command))] }
        : spot,
    ),
  };
}
