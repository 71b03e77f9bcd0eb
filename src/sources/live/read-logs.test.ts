import { expect, it } from "vitest";
import { cluster } from "../../../testing/cluster.ts";
import { createIntake } from "../../evidence/capture.ts";
import { known } from "../../evidence/observed.ts";
import type { Api } from "./api.ts";
import { kubeletsOf } from "./kubelets.ts";
import { readLogs } from "./read-logs.ts";

it("a kubelet that is silent is not asked for one log after the other", async () => {
  const crowded = cluster().edit((draft) =>
    draft.setList(
      "pods",
      draft.list("pods").map((pod) => ({
        ...pod,
        spec: { ...pod.spec, nodeName: pod.spec.nodeName === "w1" ? "w1" : "w2" },
      })),
    ),
  );
  const { capture } = crowded;
  const pods = known(capture.get("pods"))?.items ?? [];
  const nodeOf = (path: string) => pods.find(({ metadata }) => path.includes(`/${metadata.name}/`))?.spec.nodeName;
  const asked: (string | undefined | null)[] = [];
  const api = {
    async get(path: string) {
      const node = nodeOf(path);
      asked.push(node);
      return node === "w2"
        ? { ok: false, failure: { kind: "timeout", message: "silent for 8 s" }, bytes: 0 }
        : { ok: true, bytes: 0 };
    },
  } as unknown as Api;
  const intake = createIntake();
  const kubelets = kubeletsOf([]);
  await readLogs(api, capture, intake, { nodes: ["cp1", "w1", "w2"], kubelets, progress: () => {} });
  const ofSilent = intake
    .capture()
    .all("containerLog")
    .filter(({ place }) => pods.some(({ metadata, spec }) => metadata.name === place.pod && spec.nodeName === "w2"));
  const answers = ofSilent.map(({ observed }) =>
    observed.state === "unknown" && "message" in observed.why ? observed.why.message : observed.state,
  );
  // several are asked for at a time
  expect(asked.filter((node) => node === "w2").length).toBeLessThan(ofSilent.length);
  expect(new Set(answers)).toEqual(new Set(["silent for 8 s", "not asked: the kubelet of w2 is silent"]));
  expect(asked.filter((node) => node !== "w2").length).toBeGreaterThan(0);
});
