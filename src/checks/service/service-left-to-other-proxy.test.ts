import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { editObjects, probed } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import { serviceLeftToOtherProxy } from "./service-left-to-other-proxy.ts";

const labelled = cluster()
  .edit(
    editObjects("services", "backend", (one) => ({
      ...one,
      metadata: { ...one.metadata, labels: { "service.kubernetes.io/service-proxy-name": "kpng" } },
    })),
  )
  .with({ do: "restart", component: ref("DaemonSet", "kube-proxy", "kube-system") });
const called = (result: string) => probed("client", "tcp", "10.96.10.1:8080", result);
const broken = labelled.edit(called("timeout"));

testCheck(serviceLeftToOtherProxy, {
  finds: {
    "a manifest brought the label along": {
      given: broken,
      repair: "Service/shop/backend",
      says: ["Nobody serves Service shop/backend: its label service.kubernetes.io/service-proxy-name=kpng"],
      breaks: ["service.rules"],
      strength: "direct",
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "nobody calls it": labelled,
    "somebody else serves it": labelled.edit(called("ok")),
    "a Service without the label fails": cluster().edit(called("timeout")),
  },
});

it("is the one root of calls that fail", () => {
  const { rootCauses, unexplained } = diagnose(broken.capture);
  expect(rootCauses.map(({ id }) => id)).toEqual(["service-left-to-other-proxy/Service/shop/backend"]);
  expect(unexplained).toEqual([]);
});
