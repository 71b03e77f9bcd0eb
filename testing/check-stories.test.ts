/**
 * The harness of story tests, tried on mutants: checks with one mistake each, which it must not let pass.
 */
import { describe, expect, it } from "vitest";
import { type Check, cannotTell, defineCheck, type Finding, fault, works } from "../src/checks/check.ts";
import type { Remedy, Step } from "../src/checks/remedy.ts";
import type { ClusterModel, ModelPart } from "../src/model/model.ts";
import { ref, refId } from "../src/model/ref.ts";
import { texts } from "../src/text.ts";
import { type Stories, storyTests } from "./check-stories.ts";
import { cluster } from "./cluster.ts";

type Model = Pick<ClusterModel, "objects" | "forwarding" | "nodes" | "services" | "pods">;
type Part = keyof Model;

const say = texts("mutant", {
  off: { en: "Node {node} forwards nothing", zh: "节点 {node} 不转发报文" },
  empty: { en: "Service {service} selects no Pod", zh: "Service {service} 没有选中任何 Pod" },
  repair: { en: "Put it right", zh: "修复" },
});
const page = "**How it looks.** …\n\n**When this is not the cause.** …";
const manual = { title: { en: "A mutant", zh: "变异体" }, page: { en: page, zh: `${page} 变异` } };
const remedyOf = (change: NonNullable<Step["change"]>): Remedy => ({
  id: "repair",
  risk: "low",
  interrupts: say.repair(),
  steps: [{ why: say.repair(), change, undo: say.repair(), verify: { run: "kubectl get nodes" } }],
  prevent: [],
});
const KEY = "net.ipv4.ip_forward";
const FRONTEND = ref("Service", "frontend", "shop");

/** Whether nodes forward; `judge` says what of one node. */
function forwarding(
  judge: (name: string, model: Model) => Iterable<Finding>,
  reads: readonly Part[] = [],
): Check<Part> {
  return defineCheck({
    id: "forwarding-mutant",
    reads: ["nodes", "forwarding", ...reads],
    manual,
    *find(model) {
      for (const { name } of model.nodes.all) yield* judge(name, model);
    },
    remedies: ({ nodes }) => nodes.map((node) => remedyOf({ do: "sysctl", node, key: KEY, value: "1" })),
  });
}

function off(node: string, { forwarding: planes }: Model): Finding | undefined {
  const setting = planes.of(node).sysctl(KEY);
  if (setting.state !== "present" || setting.value.value !== "0") return undefined;
  const [title, evidence] = [say.off({ node }), [setting.value.evidence]];
  return fault({
    repair: ref("Node", node),
    nodes: [node],
    breaks: [{ name: "node.forward", node }],
    title,
    evidence,
    strength: "direct",
  });
}

const forwardingStories: Stories = {
  finds: { off: { given: cluster().with({ do: "sysctl", node: "w2", key: KEY, value: "0" }), repair: "Node/w2" } },
  clears: { healthy: cluster() },
  cannotTell: { "node.forward": { blind: cluster().without("sysctls") } },
};

/** Whether Services select Pods. */
function selecting(find: (model: Pick<Model, "services">) => Iterable<Finding>): Check<"services"> {
  return defineCheck({
    id: "selecting-mutant",
    reads: ["services"],
    manual,
    find,
    remedies: () => [remedyOf({ run: "kubectl edit service" })],
  });
}

const empty = (service: string, model: Pick<Model, "services">): Finding =>
  fault({
    repair: ref("Service", service, "shop"),
    breaks: [{ name: "service.select", service: `shop/${service}` }],
    title: say.empty({ service }),
    evidence: [model.services.quote(model.services.get("shop", service)!, "selector")],
    strength: "direct",
  });
const select = (app: string) => ({ do: "patch", target: FRONTEND, patch: { spec: { selector: { app } } } }) as const;
const selectingStories: Stories = {
  finds: { mistyped: { given: cluster().with(select("frontnd")), repair: refId(FRONTEND), healedBy: () => cluster() } },
  clears: { healthy: cluster() },
};

/** The claims in which a check fails. */
function failuresOf<R extends ModelPart>(check: Check<R>, stories: Stories): string[] {
  return storyTests(check, stories).flatMap(({ story, claim, run }) => {
    try {
      run();
      return [];
    } catch {
      return `${story} ${claim}`;
    }
  });
}

function* rightly(node: string, model: Model): Iterable<Finding> {
  const capability = { name: "node.forward", node } as const;
  const setting = model.forwarding.of(node).sysctl(KEY);
  const found = off(node, model);
  if (found) yield found;
  else if (setting.state === "present") yield works(capability, [setting.value.evidence]);
  else yield cannotTell(capability, [{ kind: "sysctls", place: { node } }]);
}

describe("the harness of story tests", () => {
  it("lets a right check pass", () => {
    expect(failuresOf(forwarding(rightly), forwardingStories)).toEqual([]);
  });

  it("catches a check that ignores unknown", () => {
    const mutant = forwarding(function* (node, model) {
      yield off(node, model) ?? works({ name: "node.forward", node }, []);
    });
    expect(failuresOf(mutant, forwardingStories)).toEqual([
      "off is never called well when evidence of it is missing",
      "blind cannot be told",
    ]);
  });

  it("catches a check that reads “not collected” as “none”", () => {
    const mutant = selecting(function* (model) {
      for (const service of model.services.all)
        if (service.namespace === "shop" && model.services.selected(service).length === 0)
          yield empty(service.name, model);
    });
    expect(failuresOf(mutant, selectingStories)).toEqual([
      "healthy and no fault is made of evidence that was not had",
      "healthy nor of evidence that was cut off",
    ]);
  });

  it("catches a check that depends on the order of lists", () => {
    const mutant = forwarding(
      function* (node, model) {
        const found = off(node, model);
        if (found?.outcome !== "fault") return yield* rightly(node, model);
        // whoever comes first is blamed
        yield {
          ...found,
          repair: ref(
            "Node",
            model.objects.all("nodes").find(({ metadata }) => metadata.name !== "cp1")!.metadata.name,
          ),
        };
      },
      ["objects"],
    );
    const stories = { ...forwardingStories, finds: { off: { ...forwardingStories.finds.off!, repair: "Node/w1" } } };
    expect(failuresOf(mutant, stories)).toEqual(["off does not depend on the order of lists"]);
  });

  it("catches a remedy that does not heal, a part that is not read, and a part that is read undeclared", () => {
    const story = forwardingStories.finds.off!;
    const stories = { ...forwardingStories, finds: { off: { ...story, healedBy: () => story.given } } };
    expect(failuresOf(forwarding(rightly), stories)).toEqual(["off is clear once repaired"]);
    const claim = "over all stories reads the parts of the model that it declares";
    expect(failuresOf(forwarding(rightly, ["pods"]), forwardingStories)).toEqual([claim]);
    const undeclared = forwarding(function* (node, model) {
      if (model.pods.whole) yield* rightly(node, model);
    });
    expect(failuresOf(undeclared, forwardingStories)).toContain("healthy is clear");
  });

  it("refuses a story that is told twice", () => {
    const twice = {
      ...forwardingStories,
      cannotTell: { "node.forward": { blind: cluster() }, "node.up": { blind: cluster() } },
    };
    expect(() => storyTests(forwarding(rightly), twice)).toThrow("told twice: blind: cannot be told");
  });
});
