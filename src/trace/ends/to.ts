/** TO: what there is of that name, or what the sender has to resolve. */
import type { PodView } from "../../model/pods.ts";
import { parseIp } from "../../net/ip.ts";
import { lookupFirst } from "../resolve.ts";
import {
  familiesOf,
  type Goal,
  isProblem,
  type Model,
  namespaceOf,
  nodeNames,
  type Problem,
  type Source,
  unknown,
  unknownNode,
} from "./goal.ts";
import {
  byClusterName,
  isOfNamespace,
  onePod,
  oneService,
  podNames,
  podsMeant,
  serviceMeant,
  serviceNames,
} from "./pods.ts";
import { type Name, nameOf, OUTSIDE } from "./typed.ts";
import { say } from "./words.ts";

export function goalOf(typed: string, namespace: string | undefined, from: Source, model: Model): Goal | Problem {
  if (OUTSIDE.includes(typed)) return { problem: say.outsideTo(), hint: say.outsideToHint() };
  const address = parseIp(typed);
  if (address) return { is: "address", address };
  const meant = nameOf(typed, namespace);
  switch (meant.kind) {
    case "node":
      return model.nodes.get(meant.name) ? { is: "node", node: meant.name } : unknownNode(meant.name, model);
    case "service": {
      const service = oneService(meant, model, from);
      return isProblem(service) ? service : { is: "service", service };
    }
    case "pod":
    case "workload":
      return podGoal(onePod(typed, meant, model, say.workloadOrPod(), () => podNames(meant, model)));
    default:
      return anyGoal(typed, meant, from, model);
  }
}

const podGoal = (pod: PodView | Problem): Goal | Problem => {
  if (isProblem(pod)) return pod;
  const place = namespaceOf(pod);
  return isProblem(place) ? place : { is: "pod", pod };
};

/** NAME, NAME.NAMESPACE, NAMESPACE/NAME: as an application would have it, so first of all by its name resolution. */
function anyGoal(typed: string, meant: Name, from: Source, model: Model): Goal | Problem {
  const { nodes } = model;
  const isPath = typed.includes("/");
  if (!isPath && meant.on === undefined) {
    const resolves = "outside" in from ? undefined : lookupFirst(typed, from, familiesOf(from, model), model);
    const isAnswered = resolves?.queries.some(({ answer }) => "service" in answer || answer.is === "addresses");
    if (isAnswered) return { is: "name", name: typed };
    const service = byClusterName(typed, model);
    // a node does not ask the cluster's DNS, and whoever is outside cannot
    if (service && ("outside" in from || from.pod === undefined)) return { is: "service", service };
    if (service) return { is: "name", name: typed };
  }
  const pods = podsMeant(meant, model);
  const isPod = pods.some(({ name }) => name === meant.name);
  const service = isPod || meant.on !== undefined ? undefined : serviceMeant(meant, from, model);
  if (service && isProblem(service)) return service;
  if (service) return { is: "service", service };
  if (pods.length > 0) return podGoal(onePod(typed, meant, model, say.workloadOrPod(), () => []));
  if (!isPath && nodes.get(typed)) return { is: "node", node: typed };
  if (!isPath && typed.includes(".") && !isOfNamespace(typed, model)) return { is: "name", name: typed };
  const known = [...serviceNames(model), ...podNames({ name: "" }, model), ...nodeNames(model)];
  return unknown(say.anything(), typed, isPath ? known : [...known, ...known.map((one) => one.split(/[./]/)[0]!)]);
}
