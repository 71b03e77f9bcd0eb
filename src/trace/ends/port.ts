/** The port and the protocol. */
import type { ServiceView } from "../../model/services/services.ts";
import { formatIp } from "../../net/ip.ts";
import type { Protocol } from "../packet.ts";
import { lookupFirst } from "../resolve.ts";
import type { Ends } from "./ends.ts";
import { familiesOf, type Goal, type Model, type Problem, type Source } from "./goal.ts";
import { byClusterName } from "./pods.ts";
import type { Aim } from "./typed.ts";
import { say } from "./words.ts";

type Flow = Pick<Ends, "protocol" | "port">;

type NamedPort = { readonly name: string; readonly number: number; readonly protocol: Protocol };

/** The ports that a goal names. */
function portsOf(
  goal: Goal,
  from: Source,
  model: Model,
): { readonly what: string; readonly ports: readonly NamedPort[] } {
  const service = serviceOf(goal, from, model);
  if (service) {
    const ports = service.ports.map(({ name, port, protocol }) => ({
      name,
      number: port,
      protocol: protocol.toLowerCase() as Protocol,
    }));
    return { what: `Service ${service.namespace}/${service.name}`, ports };
  }
  if (goal.is !== "pod") return { what: "", ports: [] };
  const ports = goal.pod.object.spec.containers.flatMap((container) =>
    (container.ports ?? []).map(({ name, containerPort, protocol }) => ({
      name: name ?? "",
      number: containerPort,
      protocol: (protocol ?? "TCP").toLowerCase() as Protocol,
    })),
  );
  return { what: `Pod ${goal.pod.key}`, ports };
}

/** The Service that a goal is, also by its name or by its address. */
export function serviceOf(goal: Goal, from: Source, model: Model): ServiceView | undefined {
  if (goal.is === "service") return goal.service;
  if (goal.is === "address") return model.services.byClusterIp(formatIp(goal.address));
  if (goal.is !== "name") return undefined;
  const found =
    "outside" in from
      ? undefined
      : lookupFirst(goal.name, from, familiesOf(from, model), model).queries.find(({ answer }) => "service" in answer);
  const answer = found?.answer;
  return (answer && "service" in answer ? answer.service : undefined) ?? byClusterName(goal.name, model);
}

export function flowOf(
  typed: string,
  { what: word, port, protocol }: Aim,
  goal: Goal,
  from: Source,
  model: Model,
): Flow | Problem {
  const { what, ports } = portsOf(goal, from, model);
  const isNumber = port !== undefined && /^\d+$/.test(port);
  if (port === undefined) return withoutPort(word, protocol, goal, from, model);
  if (protocol === "icmp") return { problem: say.pingHasNoPort({ typed }), hint: say.pingHasNoPortHint() };
  if (isNumber) {
    const number = Number(port);
    if (number < 1 || number > 65535) return badPort(port);
    const same = ports.filter((one) => one.number === number);
    // a port that there is for one protocol only is meant for that
    const only = same.some((one) => one.protocol === "tcp") ? undefined : same[0]?.protocol;
    return { protocol: protocol ?? only ?? "tcp", port: number };
  }
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(port)) return badPort(port);
  const named = ports.find((one) => one.name === port && (protocol === undefined || one.protocol === protocol));
  if (named) {
    const service = serviceOf(goal, from, model);
    const target = service?.kind === "Headless" ? targetOf(service, named.name, model) : undefined;
    return { protocol: named.protocol, port: target ?? named.number };
  }
  if (what === "") return badPort(port);
  const list = listOf(ports);
  return {
    problem: say.noSuchPort({ what, port }),
    hint: list.length === 0 ? say.noPorts() : say.itsPorts({ ports: list }),
  };
}

/** Whoever connects to a headless Service connects to its Pods, at their own port. */
const targetOf = (service: ServiceView, name: string, { services }: Model): number | undefined => {
  const port = service.ports.find((one) => one.name === name);
  return port && services.endpoints(port)[0]?.port;
};

function withoutPort(
  typed: string,
  protocol: Protocol | undefined,
  goal: Goal,
  from: Source,
  model: Model,
): Flow | Problem {
  const service = serviceOf(goal, from, model);
  if (protocol === "icmp") return { protocol };
  if (service && service.ports.length > 0) {
    const { ports } = portsOf(goal, from, model);
    const fitting = ports.filter((one) => protocol === undefined || one.protocol === protocol);
    const [only, ...others] = fitting;
    if (only && others.length === 0) {
      const target = service.kind === "Headless" ? targetOf(service, only.name, model) : undefined;
      return { protocol: only.protocol, port: target ?? only.number };
    }
    const example = `${typed}:${(only ?? ports[0])?.name || (only ?? ports[0])?.number}`;
    const named = `${service.namespace}/${service.name}`;
    return { problem: say.whichPort({ service: named }), hint: say.whichPortHint({ example, ports: listOf(ports) }) };
  }
  if (protocol !== undefined)
    return { problem: say.wantsPort({ protocol }), hint: say.wantsPortHint({ typed, protocol }) };
  return { protocol: "icmp" };
}

const badPort = (port: string): Problem => ({ problem: say.badPort({ port }), hint: say.emptyHint() });

const listOf = (ports: readonly NamedPort[]): readonly string[] =>
  ports.map(({ name, number, protocol }) => `${name === "" ? "" : `${name} `}${number}/${protocol}`);
