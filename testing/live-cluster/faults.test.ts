/**
 * Faults made in a real cluster: named while they last, by the cluster and by a bundle of it, and gone when they are mended.
 *
 * `NETWHY_KUBECONFIG=~/throw-away.conf npm run test:cluster`
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Report } from "../../src/report/report.ts";
import { FAULTS, WEB, webApplication } from "./faults.ts";
import { briefly, KUBECONFIG, type LiveCluster, liveCluster } from "./live-cluster.ts";
import { NAMESPACE } from "./steps.ts";

const ids = ({ rootCauses }: Report) => rootCauses.map(({ id }) => id);

describe.skipIf(!KUBECONFIG)("a fault in a running cluster", { timeout: 600_000, concurrent: false }, () => {
  let cluster: LiveCluster;
  let application: string | undefined;
  beforeAll(async () => {
    cluster = await liveCluster();
    const steps = await webApplication(cluster);
    if (typeof steps === "string") application = steps;
    else await cluster.damage(steps, []);
    await cluster.until(({ verdict }) => verdict === "healthy", "healthy before anything was broken");
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose](), 600_000);

  // a title that is made by a template would be cut off
  it.for(FAULTS.map((fault) => [fault.name, fault] as const))("%s", async ([name, { plan }], { skip }) => {
    if (application !== undefined && /Service (?:selects|leads)|Pod of a Service/.test(name)) skip(application);
    const planned = await plan(cluster);
    if (typeof planned === "string") return skip(planned);
    const { breaks, mends, found } = planned;
    const isNamed = (report: Report) =>
      report.rootCauses.length > 0 && ids(report).every((id) => found.some((begin) => id.startsWith(begin)));
    {
      await using damage = await cluster.damage(breaks, mends);
      const live = await cluster.until(isNamed, `named as ${found.join(" or ")}`);
      expect(live.verdict).toBe("faulty");
      const bundle = await cluster.collect();
      const { out } = await cluster.netwhy("diagnose", bundle, "-o", "json");
      const told = JSON.parse(out) as Report;
      expect(ids(told), briefly(told)).toEqual(ids(live));
      await damage.mend();
    }
    await cluster.until(({ verdict }) => verdict === "healthy", "healthy again");
  });

  it("leaves an application that is well", async () => {
    if (application !== undefined) return;
    const pods = await cluster.list(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app%3D${WEB}`);
    expect(pods).toHaveLength(1);
  });
});
