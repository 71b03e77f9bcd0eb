/** What gives a Service back ends again, by why it has none. */
import type { Labels } from "../../../model/labels.ts";
import type { ClusterModel } from "../../../model/model.ts";
import { kubectlName, refId } from "../../../model/ref.ts";
import { sh } from "../../../shell.ts";
import type { Fault } from "../../check.ts";
import type { Remedy } from "../../remedy.ts";
import { say } from "./words.ts";

export function remediesOf(
  { repair, related, facts }: Fault,
  { services }: Pick<ClusterModel, "services">,
): readonly Remedy[] {
  const service = [repair, ...related].find(({ kind }) => kind === "Service")!;
  const namespace = service.namespace ?? "default";
  const slices = sh`kubectl get endpointslices -n ${namespace} -l ${`kubernetes.io/service-name=${service.name}`}`;
  const verify = { run: slices };
  const edit = { run: `kubectl edit ${kubectlName(repair)}` };
  const describe = `kubectl describe ${kubectlName(repair)}`;
  switch (facts.case) {
    case "scaled": {
      const scale = (replicas: number) => ({ do: "scale", target: repair, replicas }) as const;
      const step = { why: say.scaleUp(), change: scale(1), undo: scale(0), verify };
      return [{ id: "scale-up", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.preventEmpty()] }];
    }
    case "selector": {
      const selector = services.get(namespace, service.name)?.selector ?? {};
      const carried = Object.fromEntries(
        ((facts.labels ?? []) as readonly string[]).map((label) => label.split("=") as [string, string]),
      );
      const keys = Object.keys(selector);
      const patched = (labels: Labels) =>
        ({ do: "patch", target: repair, patch: { spec: { selector: labels } } }) as const;
      const meant = related.find(({ kind }) => kind !== "Service");
      const labels = sh`kubectl get pods -n ${namespace} --show-labels`;
      const step =
        meant && keys.every((key) => carried[key] !== undefined)
          ? {
              why: say.correctSelector({ workload: refId(meant) }),
              change: patched(Object.fromEntries(keys.map((key) => [key, carried[key]!]))),
              undo: patched(selector),
              verify,
            }
          : { why: say.seeLabels(), change: { run: `${labels}; ${edit.run}` }, undo: edit, verify };
      return [
        {
          id: "correct-selector",
          risk: "low",
          interrupts: say.attaches(),
          steps: [step],
          prevent: [say.preventSelector(), say.preventEmpty()],
        },
      ];
    }
    case "not-written": {
      const { node, pod } = facts as Record<string, string>;
      const lease = "kubectl get lease -n kube-system kube-controller-manager -o yaml";
      const stop = "crictl ps -q --name '^kube-controller-manager$' | xargs crictl stop";
      const steps = [
        { why: say.lookAtController(), change: { run: lease }, verify },
        ...(node === undefined || pod === undefined
          ? []
          : [{ why: say.restartController(), change: { run: stop, node }, undo: say.nothing(), verify }]),
      ];
      return [{ id: "find-out", risk: "low", interrupts: say.controllers(), steps, prevent: [say.preventEmpty()] }];
    }
    default: {
      const { pod, port, listening } = facts as Record<string, string>;
      const isUnready = facts.case === "not-ready";
      const logs = pod === undefined ? "" : sh`; kubectl logs -n ${namespace} ${pod} --all-containers --tail=20`;
      const look = pod === undefined ? describe : `${sh`kubectl describe -n ${namespace} pod/${pod}`}${logs}`;
      const step = { why: isUnready ? say.lookAtPods() : say.lookAtWorkload(), change: { run: look }, verify };
      const correct =
        port === undefined
          ? []
          : [{ why: say.correctProbe({ port, listening: listening! }), change: edit, undo: edit, verify }];
      return [
        {
          id: "find-out",
          risk: port === undefined ? "none" : "low",
          interrupts: say.nothing(),
          steps: [...(port === undefined ? [step] : []), ...correct],
          prevent: [say.preventEmpty()],
        },
      ];
    }
  }
}
