/**
 * The two ends of a path as a person types them, and what they mean in this cluster.
 *
 *   FROM   client · tools/client · deploy/frontend · client@w1 · shop:pod/web-0 · w1 · node/w1 · outside · 203.0.113.7
 *   TO     backend.shop · svc/backend · shop/backend · data/db-0 · 10.96.0.10 · node/w1 · https://api.example.org
 *          with :PORT (a number, or the name of one) and /tcp, /udp, /sctp or /icmp behind it
 *
 * Nothing is guessed where a name can mean several things: then it is said which.
 */
import type { ClusterModel } from "../model/model.ts";
import type { PodView } from "../model/pods.ts";
import type { ServiceView } from "../model/services/services.ts";
import { formatIp, type Ip, parseIp } from "../net/ip.ts";
import { type Text, texts } from "../text.ts";
import type { Protocol } from "./packet.ts";
import { lookup } from "./resolve.ts";
import type { Namespace } from "./trace.ts";

const say = texts("path-ends", {
  pod: { en: "Pod", zh: " Pod" },
  workloadOrPod: { en: "Pod or workload", zh: " Pod 或工作负载" },
  service: { en: "Service", zh: " Service" },
  node: { en: "node", zh: "节点" },
  anything: { en: "Pod, workload, Service or node", zh: " Pod、工作负载、Service 或节点" },
  sender: { en: "Pod, workload or node", zh: " Pod、工作负载或节点" },
  unknownIn: { en: "{kind} in namespace {namespace}", zh: "命名空间 {namespace} 中的{kind}" },
  several: { en: "`{typed}` can mean several: {names}", zh: "`{typed}` 对应多个对象：{names}" },
  pickOne: {
    en: "Name one of them; NAME@NODE picks the Pod on a node, e.g. `{example}`.",
    zh: "请指明其中一个；也可用 NAME@NODE 指定某个节点上的 Pod，例如 `{example}`。",
  },
  pickNamespace: { en: "Say in which namespace, e.g. `{example}`.", zh: "请指明命名空间，例如 `{example}`。" },
  notRunning: {
    en: "Pod {pod} has no network to walk through: it is {phase}",
    zh: "Pod {pod} 尚无网络可供检查：当前状态为 {phase}",
  },
  notRunningHint: { en: "Take a Pod that runs.", zh: "请选择一个正在运行的 Pod。" },
  serviceSends: {
    en: "A Service sends nothing; {service} cannot be where a path begins",
    zh: "Service 本身不发送报文，{service} 不能作为路径起点",
  },
  serviceSendsHint: { en: "Take one of its Pods: {pods}", zh: "请使用其后端 Pod 之一：{pods}" },
  badPort: {
    en: "`{port}` is no port: it is a number from 1 to 65535, or the name of a port",
    zh: "`{port}` 不是有效端口：应为 1–65535 的数字或端口名称",
  },
  noSuchPort: { en: "{what} has no port named `{port}`", zh: "{what} 没有名为 `{port}` 的端口" },
  itsPorts: { en: "It has {ports}.", zh: "已有端口：{ports}。" },
  noPorts: { en: "It names no ports: give a number.", zh: "该对象未声明端口名称，请使用端口号。" },
  whichPort: { en: "Service {service} has several ports", zh: "Service {service} 有多个端口" },
  whichPortHint: {
    en: "Say which, e.g. `{example}`. It has {ports}.",
    zh: "请指明端口，例如 `{example}`。已有端口：{ports}。",
  },
  wantsPort: { en: "{protocol} needs a port", zh: "{protocol} 需要端口" },
  wantsPortHint: {
    en: "Write `{typed}:PORT/{protocol}`, or leave the protocol out to send a ping.",
    zh: "请写成 `{typed}:端口/{protocol}`；不写协议则发送 ping。",
  },
  pingHasNoPort: { en: "A ping goes to no port: `{typed}`", zh: "ping 不使用端口：`{typed}`" },
  pingHasNoPortHint: { en: "Leave out the port, or /icmp.", zh: "请去掉端口，或去掉 /icmp。" },
  empty: { en: "FROM and TO must not be empty", zh: "FROM 和 TO 不能为空" },
  emptyHint: { en: "For example: `tools/client backend.shop:8080`", zh: "例如：`tools/client backend.shop:8080`" },
  outsideTo: {
    en: "“outside” is no address: a path can begin there, not end there",
    zh: "outside 不是具体地址：只能作为起点，不能作为终点",
  },
  outsideToHint: {
    en: "Give an address outside, e.g. `203.0.113.7:443`.",
    zh: "请给出集群外的具体地址，例如 `203.0.113.7:443`。",
  },
  notHere: {
    en: "Pods of namespace {namespace} know no `{name}`",
    zh: "命名空间 {namespace} 中的 Pod 无法解析 `{name}`",
  },
  seenServices: {
    en: "A Service of that name is in another namespace: {names}",
    zh: "其他命名空间中有同名 Service：{names}",
  },
});

export type Source = Namespace | { readonly outside: Ip };

export type Goal =
  | { readonly is: "pod"; readonly pod: PodView }
  | { readonly is: "service"; readonly service: ServiceView }
  | { readonly is: "node"; readonly node: string }
  | { readonly is: "address"; readonly address: Ip }
  /** The sender has to resolve it first. */
  | { readonly is: "name"; readonly name: string };

export type Ends = {
  readonly from: Source;
  readonly to: Goal;
  readonly protocol: Protocol;
  /** Absent for a ping. */
  readonly port?: number;
};

/** Why what was typed is no path. */
export type Problem = {
  readonly problem: Text;
  readonly hint: Text;
  /** What was typed is the name of nothing: of what it might have been, and all names that there are. */
  readonly unknown?: { readonly kind: Text; readonly name: string; readonly names: readonly string[] };
};

export type Typed = { readonly from: string; readonly to: string; readonly namespace?: string | undefined };

type Model = Pick<ClusterModel, "nodes" | "pods" | "services" | "dns" | "objects">;

const KINDS: Readonly<Record<string, "pod" | "service" | "node" | "workload">> = {
  ...Object.fromEntries(["pod", "pods", "po"].map((word) => [word, "pod"])),
  ...Object.fromEntries(["service", "services", "svc"].map((word) => [word, "service"])),
  ...Object.fromEntries(["node", "nodes", "no"].map((word) => [word, "node"])),
  ...Object.fromEntries(
    ["deployment", "deployments", "deploy", "daemonset", "daemonsets", "ds", "statefulset", "statefulsets", "sts"]
      .concat(["replicaset", "replicasets", "rs", "job", "jobs"])
      .map((word) => [word, "workload"]),
  ),
};

const OUTSIDE = ["outside", "internet", "external"];
/** An address for documentation (RFC 5737): nobody's. */
const SOMEBODY: Ip = { family: 4, value: 0xc6336401 };
/** As many names as fit into one sentence. */
const MOST_NAMED = 6;

const isProblem = (value: object): value is Problem => "problem" in value;

export { isProblem };

/** A name with what was typed around it. */
type Name = {
  readonly kind?: "pod" | "service" | "node" | "workload";
  readonly namespace?: string;
  readonly name: string;
  readonly on?: string;
};

/** `[NS:][KIND/][NS/]NAME[@NODE]` */
function nameOf(typed: string, fallback: string | undefined): Name {
  const before = /^([a-z0-9-]+):(?=[A-Za-z]+\/)(.*)$/.exec(typed);
  const [path = "", on] = (before?.[2] ?? typed).split("@");
  const parts = path.split("/").filter((part) => part !== "");
  const kind = parts.length > 1 ? KINDS[parts[0]!.toLowerCase()] : undefined;
  const rest = kind ? parts.slice(1) : parts;
  const inside = rest.length > 1 ? rest[0] : before?.[1];
  const last = rest.at(-1) ?? "";
  // svc/NAME.NAMESPACE
  const dot = kind === "service" ? last.indexOf(".") : -1;
  const name = dot < 0 ? last : last.slice(0, dot);
  const namespace = dot < 0 ? (inside ?? fallback) : last.slice(dot + 1).split(".")[0];
  return { ...(kind && { kind }), ...(namespace !== undefined && { namespace }), name, ...(on && { on }) };
}

type Aim = { readonly what: string; readonly port?: string; readonly protocol?: Protocol };

/** Takes the port and the protocol off the end; a URL tells them too. */
function aimOf(typed: string): Aim {
  const url = /^(https?|grpc|tcp|udp):\/\/(\[[^\]]+\]|[^/:?#]+)(?::(\w+))?/i.exec(typed);
  if (url) {
    const scheme = url[1]!.toLowerCase();
    const port = url[3] ?? { http: "80", https: "443" }[scheme];
    return {
      what: url[2]!.replace(/[[\]]/g, ""),
      ...(port !== undefined && { port }),
      protocol: scheme === "udp" ? "udp" : "tcp",
    };
  }
  const suffix = /^(.+)\/(tcp|udp|sctp|icmp)$/i.exec(typed);
  const rest = suffix?.[1] ?? typed;
  const protocol = suffix ? { protocol: suffix[2]!.toLowerCase() as Protocol } : {};
  const bracketed = /^\[([^\]]+)\](?::([^:]*))?$/.exec(rest);
  if (bracketed) return { what: bracketed[1]!, ...(bracketed[2] !== undefined && { port: bracketed[2] }), ...protocol };
  const at = rest.lastIndexOf(":");
  // an IPv6 address, or NS:KIND/NAME
  if (at < 0 || parseIp(rest) || rest.slice(at + 1).includes("/")) return { what: rest, ...protocol };
  return { what: rest.slice(0, at), port: rest.slice(at + 1), ...protocol };
}

/** @returns what was meant, or why that cannot be told */
export function endsOf({ from, to, namespace }: Typed, model: Model): Ends | Problem {
  if (from === "" || to === "") return { problem: say.empty(), hint: say.emptyHint() };
  const source = sourceOf(from, namespace, model);
  if (isProblem(source)) return source;
  const aim = aimOf(to);
  const goal = goalOf(aim.what, namespace, source, model);
  if (isProblem(goal)) return goal;
  const flow = flowOf(to, aim, goal, source, model);
  return isProblem(flow) ? flow : { from: source, to: goal, ...flow };
}

// ---- FROM

function sourceOf(typed: string, namespace: string | undefined, model: Model): Source | Problem {
  if (OUTSIDE.includes(typed)) return { outside: SOMEBODY };
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
    hint: pods.length > 0 ? say.serviceSendsHint({ pods: pods.slice(0, MOST_NAMED).join(", ") }) : say.notRunningHint(),
  };
}

const namespaceOf = (pod: PodView): Namespace | Problem => {
  if (pod.node === undefined || pod.finished || (pod.addresses.length === 0 && !pod.hostNetwork)) {
    const phase = pod.object.status?.phase ?? "Pending";
    return { problem: say.notRunning({ pod: pod.key, phase }), hint: say.notRunningHint() };
  }
  return { node: pod.node, pod };
};

const nodeNames = ({ nodes }: Model): string[] => nodes.all.map(({ name }) => name);

function unknownNode(name: string, model: Model): Problem {
  return unknown(say.node(), name, nodeNames(model));
}

function unknown(kind: Text, name: string, names: readonly string[]): Problem {
  // worded by whoever prints it, who knows what is near
  return { problem: kind, hint: kind, unknown: { kind, name, names } };
}

const podNames = ({ namespace }: Name, { pods }: Model): string[] => {
  const all = pods.all.filter((pod) => namespace === undefined || pod.namespace === namespace);
  return [
    ...new Set(all.flatMap(({ key, owner, namespace: inside }) => (owner ? [`${inside}/${owner.name}`, key] : key))),
  ];
};

/** Pods by their name, else those of a workload by its name. */
function podsMeant({ kind, namespace, name, on }: Name, { pods }: Model): readonly PodView[] {
  const near = pods.all.filter(
    (pod) => (namespace === undefined || pod.namespace === namespace) && (on === undefined || pod.node === on),
  );
  const exact = kind === "workload" ? [] : near.filter((pod) => pod.name === name);
  if (exact.length > 0) return exact;
  const isRunning = (pod: PodView) => pod.node !== undefined && !pod.finished && !pod.terminating;
  const owned = near.filter((pod) => isRunning(pod) && pod.owner?.name === name);
  if (owned.length > 0 || kind === "workload") return owned;
  return name === "" ? [] : near.filter((pod) => isRunning(pod) && pod.name.startsWith(`${name}-`));
}

function onePod(
  typed: string,
  meant: Name,
  model: Model,
  kind: Text,
  names: () => readonly string[],
): PodView | Problem {
  if (meant.on !== undefined && !model.nodes.get(meant.on)) return unknownNode(meant.on, model);
  const found = podsMeant(meant, model);
  const [first, ...others] = found;
  if (!first) {
    const where = meant.namespace === undefined ? kind : say.unknownIn({ kind, namespace: meant.namespace });
    const isQualified = typed.includes("/");
    const near = meant.namespace === undefined || isQualified ? names() : names().map((one) => one.split("/").at(-1)!);
    const plain = typed.split("@")[0] ?? "";
    const wanted = meant.kind === undefined ? plain : [meant.namespace, meant.name].filter(Boolean).join("/");
    return unknown(where, wanted, [...near, ...near.map((one) => one.split("/").at(-1)!)]);
  }
  if (others.length === 0) return first;
  const listed = found.slice(0, MOST_NAMED).map(({ key, node }) => `\`${key}\`${node ? ` (${node})` : ""}`);
  const dots = found.length > MOST_NAMED ? " …" : "";
  const onNodes = new Set(found.map(({ node }) => node)).size === found.length;
  const example = onNodes ? `${typed.split("@")[0]}@${first.node ?? ""}` : first.key;
  return {
    problem: say.several({ typed, names: listed.join(", ") + dots }),
    hint: onNodes ? say.pickOne({ example }) : say.pickNamespace({ example }),
  };
}

// ---- TO

function goalOf(typed: string, namespace: string | undefined, from: Source, model: Model): Goal | Problem {
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
    const resolves = "outside" in from ? undefined : lookup(typed, from, 4, model);
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

/** A Service by its name alone is one of the sender's namespace, unless the sender has none. */
function serviceMeant({ namespace, name }: Name, from: Source, { services }: Model): ServiceView | Problem | undefined {
  if (namespace !== undefined) return services.get(namespace, name);
  const [first, ...others] = services.all.filter((one) => one.name === name);
  if (!first) return undefined;
  const sender = "outside" in from ? undefined : from.pod?.namespace;
  if (sender === undefined && others.length === 0) return first;
  const names = [first, ...others].map((one) => `\`${one.name}.${one.namespace}\``).join(", ");
  const hint = say.seenServices({ names });
  return sender === undefined
    ? {
        problem: say.several({ typed: name, names }),
        hint: say.pickNamespace({ example: `${name}.${first.namespace}` }),
      }
    : { problem: say.notHere({ namespace: sender, name }), hint };
}

/** NAME.NAMESPACE of a namespace that there is: no name of the world outside. */
const isOfNamespace = (typed: string, { objects, services }: Model): boolean => {
  const [, namespace = "", svc] = typed.split(".");
  const isThere =
    objects.find("namespaces", namespace).state === "present" ||
    services.all.some((one) => one.namespace === namespace);
  return isThere && services.whole && (svc === undefined || svc === "svc");
};

const serviceNames = ({ services }: Model): string[] =>
  services.all.flatMap(({ name, namespace }) => [`${name}.${namespace}`, `${namespace}/${name}`]);

/** NAME.NAMESPACE, with or without .svc and the cluster's domain behind it. */
function byClusterName(typed: string, { dns, services }: Model): ServiceView | undefined {
  const bare = typed.replace(/\.$/, "").replace(new RegExp(`\\.${dns.domain.replaceAll(".", "\\.")}$`), "");
  const [name, namespace, svc, ...rest] = bare.split(".");
  if (name === undefined || namespace === undefined || rest.length > 0 || (svc !== undefined && svc !== "svc"))
    return undefined;
  return services.get(namespace, name);
}

function oneService(meant: Name, model: Model, from?: Source): ServiceView | Problem {
  const { services } = model;
  const { name } = meant;
  const home = from && "pod" in from ? from.pod?.namespace : undefined;
  const own = meant.namespace ?? home;
  const direct = own === undefined ? undefined : services.get(own, name);
  if (direct) return direct;
  const found = meant.namespace === undefined ? services.all.filter((one) => one.name === name) : [];
  const [first, ...others] = found;
  if (first && others.length === 0) return first;
  if (first) {
    const names = found.map(({ namespace }) => `\`svc/${name}.${namespace}\``).join(", ");
    const typed = `svc/${name}`;
    return {
      problem: say.several({ typed, names }),
      hint: say.pickNamespace({ example: `${typed}.${first.namespace}` }),
    };
  }
  const kind =
    meant.namespace === undefined ? say.service() : say.unknownIn({ kind: say.service(), namespace: meant.namespace });
  const names = services.all.flatMap((one) => [one.name, `${one.name}.${one.namespace}`]);
  return unknown(kind, meant.namespace === undefined ? name : `${name}.${meant.namespace}`, names);
}

// ---- port and protocol

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
    "outside" in from ? undefined : lookup(goal.name, from, 4, model).queries.find(({ answer }) => "service" in answer);
  const answer = found?.answer;
  return (answer && "service" in answer ? answer.service : undefined) ?? byClusterName(goal.name, model);
}

function flowOf(
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
  return { problem: say.noSuchPort({ what, port }), hint: list === "" ? say.noPorts() : say.itsPorts({ ports: list }) };
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
const listOf = (ports: readonly NamedPort[]): string =>
  ports.map(({ name, number, protocol }) => `${name === "" ? "" : `${name} `}${number}/${protocol}`).join(", ");
