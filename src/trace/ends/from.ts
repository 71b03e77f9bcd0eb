/** FROM: a Pod, a node, or somebody outside. */
import { formatIp, parseIp } from "../../net/ip.ts";
import {
  isProblem,
  MOST_NAMED,
  type Model,
  namespaceOf,
  nodeNames,
  type Problem,
  SOMEBODY,
  type Source,
  unknownNode,
} from "./goal.ts";
import { onePod, oneService, podNames } from "./pods.ts";
import { type Name, nameOf, OUTSIDE } from "./typed.ts";
import { say } from "./words.ts";

export function sourceOf(typed: string, namespace: string | undefined, model: Model): Source | Problem {
  if (OUTSIDE.includes(typed)) return { outside: SOMEBODY[4] };
  const address = parseIp(typed);
  if (address) {
    const text = formatIp(address);
    const pod = model.pods.byAddress(text);
    if (pod) return namespaceOf(pod);
    const node = model.nodes.byAddress(text);
    return node ? { node: node.name } : { outside: address };
  }
  const meant = nameOf(typed, namespace);
  if (meant.kind === "service") return serviceSends(meant, model);
  if (meant.kind === "node" || (meant.kind === undefined && !typed.includes("/") && model.nodes.get(typed))) {
    const { name } = meant;
    return model.nodes.get(name) ? { node: name } : unknownNode(name, model);
  }
  const pod = onePod(typed, meant, model, say.sender(), () => podNames(meant, model).concat(nodeNames(model)));
  return isProblem(pod) ? pod : namespaceOf(pod);
}

function serviceSends(meant: Name, model: Model): Problem {
  const service = oneService(meant, model);
  if (isProblem(service)) return service;
  const pods = model.services.selected(service).map(({ key }) => `\`${key}\``);
  const named = `${service.namespace}/${service.name}`;
  return {
    problem: say.serviceSends({ service: named }),
    hint: pods.length > 0 ? say.serviceSendsHint({ pods: pods.slice(0, MOST_NAMED) }) : say.notRunningHint(),
  };
}
