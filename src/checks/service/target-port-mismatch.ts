import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { DnsServer } from "../../model/dns/dns.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { namedPorts } from "../../model/policies/views.ts";
import { kubectlName, refId } from "../../model/ref.ts";
import type { ServicePort } from "../../model/services/services.ts";
import { timeOf } from "../../model/time.ts";
import type { ListeningSocket } from "../../parse/iproute2/ss.ts";
import { sh, shellWord } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Facts, type Finding, fault, presumed, warning, works } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "services" | "objects" | "observations" | "sockets" | "time" | "sandboxes" | "pods" | "connections" | "dns"
>;

const say = texts("target-port-mismatch", {
  wrongNumber: {
    en: "Service {service} sends to port {target}; its Pods listen on {listening}",
    zh: "Service {service} 转发到端口 {target}，而其 Pod 监听的是 {listening}",
  },
  wrongName: {
    en: "Service {service} sends to the port named “{target}”, which its Pods do not have ({names})",
    zh: "Service {service} 转发到名为“{target}”的端口，而其 Pod 没有该名称的端口（现有：{names}）",
  },
  notListening: {
    en: "The Pods of {workload} listen on {listening}, not on port {target} as they declare (Service {service})",
    zh: "{workload} 的 Pod 监听 {listening}，而非其声明的端口 {target}（Service {service}）",
  },
  onlyLoopback: {
    en: "The Pods of {workload} listen on port {target} at {address} only: Service {service} cannot reach them",
    zh: "{workload} 的 Pod 只在 {address} 上监听端口 {target}，通过 Service {service} 无法访问",
  },
  foreign: {
    en: "Service {service} also selects Pods of {workload}, which do not listen on port {target}: {count} of its {all} back ends refuse",
    zh: "Service {service} 还选中了 {workload} 的 Pod，而它们不监听端口 {target}：{all} 个后端中有 {count} 个会拒绝连接",
  },
  narrow: {
    en: "Let the Service select its own Pods only: by a label that the others lack, or take the label from the others",
    zh: "让 Service 只选中自己的 Pod：改用其他 Pod 没有的标签，或去掉其他 Pod 的该标签",
  },
  changing: { en: "its Pods have just started", zh: "其 Pod 刚刚启动" },
  noSockets: {
    en: "some of its Pods show no socket at all, as those of sandboxed runtimes do",
    zh: "其部分 Pod 中看不到任何套接字（沙箱类运行时即如此）",
  },
  nothing: { en: "nothing", zh: "无" },
  noNames: { en: "none has a name", zh: "均无名称" },
  setTarget: { en: "Send to the port on which the Pods listen", zh: "改为 Pod 实际监听的端口" },
  chooseTarget: {
    en: "Decide which port is meant, and let the Service send to it",
    zh: "确定应使用的端口，并让 Service 转发到它",
  },
  changeApp: {
    en: "Let the program listen on port {port}, on all addresses (`0.0.0.0`, `::`): by its arguments, environment or configuration",
    zh: "通过参数、环境变量或配置，让程序在所有地址（`0.0.0.0`、`::`）上监听端口 {port}",
  },
  uninterrupted: { en: "Nothing", zh: "无" },
  rollsOut: { en: "Its Pods are made anew, a few at a time", zh: "其 Pod 会分批重建" },
  prevent: {
    en: "Name the container's port and send to the name; give the Pods a readiness probe on it, so that a Pod that does not listen gets no traffic",
    zh: "为容器端口命名并按名称转发；在该端口上设置就绪探针，未监听的 Pod 就不会接收流量",
  },
});

type Listening = { readonly pod: PodView; readonly sockets: readonly ListeningSocket[] };

const STARTING = 60_000;
const LOOPBACK = /^(127\.|::1$)/;

/** Whether a socket answers packets to one of the Pod's addresses. */
function isReachable({ address }: ListeningSocket, pod: PodView): boolean {
  return address === "*" || address === "0.0.0.0" || address === "::" || pod.addresses.includes(address);
}

function socketsFor(sockets: readonly ListeningSocket[], protocol: string): readonly ListeningSocket[] {
  return sockets.filter((socket) => socket.protocol === protocol.toLowerCase());
}

function formatPorts(sockets: readonly ListeningSocket[]) {
  const ports = [...new Set(sockets.filter(({ address }) => !LOOPBACK.test(address)).map(({ port }) => port))];
  return ports.length === 0 ? say.nothing() : ports.sort((a, b) => a - b);
}

function declares(pod: PodView, number: number, protocol: string): boolean {
  return pod.object.spec.containers.some(({ ports }) =>
    (ports ?? []).some((port) => port.containerPort === number && (port.protocol ?? "TCP") === protocol),
  );
}

/** Whether a readiness probe by network asks this port: a Pod that is ready answers it. */
function isProbed(pod: PodView, number: number | undefined, protocol: string): boolean {
  if (protocol !== "TCP") return false;
  return pod.object.spec.containers.some(({ readinessProbe, ports }) => {
    const asked = readinessProbe?.httpGet?.port ?? readinessProbe?.tcpSocket?.port ?? readinessProbe?.grpc?.port;
    const named = typeof asked === "string" ? (ports ?? []).find(({ name }) => name === asked)?.containerPort : asked;
    return number !== undefined && named === number;
  });
}

const isCalled = (port: ServicePort, { observations, dns }: Model): boolean =>
  // Pods are told to ask it
  (port.port === 53 && dns.services.includes(port.service)) ||
  observations.failedOn(port.service).some(({ target }) => "port" in target && target.port === port);

function* judgeName(port: ServicePort, name: string, pods: readonly PodView[], model: Model): Iterable<Finding> {
  const lacking = pods.filter((pod) => namedPorts(pod, name, port.protocol).length === 0);
  if (lacking.length < pods.length) return;
  const names = pods[0]!.object.spec.containers.flatMap(({ ports }) =>
    (ports ?? []).map((p) => `${p.name ?? "-"}:${p.containerPort}`),
  );
  const owner = pods[0]!.owner ?? pods[0]!.ref;
  const title = say.wrongName({
    service: port.key,
    target: name,
    names: names.length > 0 ? names : say.noNames(),
  });
  const evidence = [
    model.services.quote(port.service, `Service ${port.key}: targetPort ${name}`),
    model.objects.quote("pods", pods[0]!.object, `${pods[0]!.key}: ports ${names.join(", ") || "none"}`),
  ];
  yield fault({
    ...unheardOn(port),
    repair: port.service.ref,
    related: [owner],
    title,
    evidence,
    facts: factsOf(port, pods, model),
  });
}

const unheardOn = (port: ServicePort) =>
  ({ breaks: [{ name: "pod.listen", service: port.key }], strength: "direct" }) as const;

/** The port that is meant, if there is only one that can be: open, and better if declared; by its name if it has one. */
function targetFor(
  { protocol }: ServicePort,
  pods: readonly PodView[],
  { sockets }: Model,
): string | number | undefined {
  const declared = pods[0]!.object.spec.containers
    .flatMap(({ ports }) => ports ?? [])
    .filter((port) => (port.protocol ?? "TCP") === protocol);
  const open = pods.flatMap((pod) =>
    socketsFor(known(sockets.of(pod)) ?? [], protocol)
      .filter((socket) => isReachable(socket, pod))
      .map(({ port }) => port),
  );
  const likely = open.length === 0 ? declared : declared.filter(({ containerPort }) => open.includes(containerPort));
  if (likely.length > 1) return undefined;
  if (likely[0]) return likely[0].name ?? likely[0].containerPort;
  return new Set(open).size === 1 ? open[0] : undefined;
}

function factsOf(port: ServicePort, pods: readonly PodView[], model: Model): Facts {
  const target = targetFor(port, pods, model);
  return { index: port.service.ports.indexOf(port), ...(target !== undefined && { target }) };
}

const ownerOf = (pod: PodView): string => refId(pod.owner ?? pod.ref);

function* judgePort(port: ServicePort, pods: readonly PodView[], model: Model): Iterable<Finding> {
  if (typeof port.targetPort === "string") {
    yield* judgeName(port, port.targetPort, pods, model);
    if (pods.every((pod) => namedPorts(pod, String(port.targetPort), port.protocol).length === 0)) return;
  }
  const numberIn = (pod: PodView) =>
    typeof port.targetPort === "number" ? port.targetPort : namedPorts(pod, port.targetPort, port.protocol)[0];
  const capability = { name: "pod.listen", service: port.key } as const;
  if (port.protocol === "SCTP" && !model.sockets.showSctp) {
    yield cannotTell(capability, pods.map(socketsIn));
    return;
  }
  // of Pods of several workloads, those of one prove nothing of the others
  const isMixed = new Set(pods.map(ownerOf)).size > 1;
  const of = (pod: PodView) => (isMixed ? { ...capability, pod: pod.key } : capability);
  const seen: Listening[] = [];
  const unseen: PodView[] = [];
  for (const pod of pods) {
    const sockets = model.sockets.of(pod);
    const open = sockets.state === "present" ? socketsFor(sockets.value, port.protocol) : [];
    if (open.some((socket) => socket.port === numberIn(pod) && isReachable(socket, pod))) {
      yield works(of(pod), [quoteSocket(pod, open.find((socket) => socket.port === numberIn(pod))!, model)]);
      return;
    }
    // a readiness probe that succeeds is kubelet's connection to the port
    if (isProbed(pod, numberIn(pod), port.protocol)) {
      yield works(of(pod), [
        model.objects.quote("pods", pod.object, `${pod.key}: Ready, its readiness probe asks port ${numberIn(pod)}`),
      ]);
      return;
    }
    const answered = pod.addresses
      .map((address) => model.connections.answeredFrom(port.protocol.toLowerCase(), address, numberIn(pod) ?? 0))
      .find((one) => one !== undefined);
    if (answered && !pod.hostNetwork) {
      yield works(of(pod), [answered]);
      return;
    }
    // what is listed in part proves no absence
    if (sockets.state !== "present" || sockets.gaps.length > 0) unseen.push(pod);
    else seen.push({ pod, sockets: open });
  }
  const first = seen[0];
  if (!first || unseen.length > 0) {
    const heirs = heirsOf(pods, model);
    for (const heir of heirs) {
      const socket = socketsFor(known(model.sockets.of(heir)) ?? [], port.protocol).find(
        (one) => one.port === numberIn(heir) && isReachable(one, heir),
      );
      if (!socket) continue;
      yield works(of(heir), [quoteSocket(heir, socket, model)]);
      return;
    }
    if (heirs.length > 0) {
      yield presumed(capability, [], say.changing());
      return;
    }
    const configured = portsOfCoreDns(port, pods, model);
    const target = numberIn(pods[0]!) ?? 0;
    if (configured && !configured.ports.includes(target) && !declares(pods[0]!, target, port.protocol)) {
      yield fault({
        ...unheardOn(port),
        repair: port.service.ref,
        related: [pods[0]!.owner ?? pods[0]!.ref],
        title: say.wrongNumber({ service: port.key, target, listening: configured.ports.join(", ") }),
        evidence: [
          model.services.quote(port.service, `Service ${port.key}: targetPort ${port.targetPort}`),
          configured.evidence,
        ],
        facts: { ...factsOf(port, pods, model), target: configured.ports[0]! },
      });
      return;
    }
    // a port is declared by who knows the program, and can be wrong all the same
    const isDeclared = unseen.every((pod) => declares(pod, numberIn(pod) ?? 0, port.protocol));
    yield (isDeclared ? presumed : cannotTell)(capability, unseen.map(socketsIn));
    return;
  }
  if (pods.some((pod) => known(model.sockets.of(pod))?.length === 0)) {
    yield cannotTell(capability, [], say.noSockets());
    return;
  }
  if (pods.some((pod) => hasJustStarted(pod, model))) {
    yield presumed(capability, [], say.changing());
    return;
  }
  const { pod, sockets } = first;
  const number = numberIn(pod) ?? 0;
  const loopback = sockets.find((socket) => socket.port === number && LOOPBACK.test(socket.address));
  const owner = pod.owner ?? pod.ref;
  const listening = formatPorts(sockets);
  const evidence = [
    model.services.quote(port.service, `Service ${port.key}: targetPort ${port.targetPort}`),
    ...(sockets.length > 0
      ? sockets.slice(0, 3).map((socket) => quoteSocket(pod, socket, model))
      : [quoteOf(model.sockets.of(pod).origin, `${pod.key}: no ${port.protocol} socket`)]),
  ];
  const facts = factsOf(port, pods, model);
  const common = { ...unheardOn(port), evidence };
  const byApp = {
    ...common,
    repair: owner,
    related: [port.service.ref],
    facts: { ...facts, case: "app", port: number },
  };
  const args = { workload: refId(owner), target: number, service: port.key };
  if (loopback) {
    const title = say.onlyLoopback({ ...args, address: loopback.address });
    yield fault({ ...byApp, title, evidence: [quoteSocket(pod, loopback, model), ...evidence] });
  } else if (declares(pod, number, port.protocol) && !declares(pod, sockets[0]?.port ?? -1, port.protocol)) {
    yield fault({ ...byApp, title: say.notListening({ ...args, listening }) });
  } else {
    const title = say.wrongNumber({ service: port.key, target: number, listening });
    yield fault({ ...common, repair: port.service.ref, related: [owner], title, facts });
  }
}

/** Where CoreDNS listens, as its Corefile says, if its Pods were started with that. */
function portsOfCoreDns(port: ServicePort, pods: readonly PodView[], { dns, objects }: Model) {
  if (port.port !== 53 || !dns.services.includes(port.service)) return undefined;
  const isOf = (one: PodView) => (server: DnsServer) => server.component.pods.some(({ key }) => key === one.key);
  const server = dns.servers.find(isOf(pods[0]!));
  const { corefile, map, configMap } = server ?? {};
  if (!corefile || !map || !configMap || corefile.errors.length > 0 || corefile.servers.length === 0) return undefined;
  const { creationTimestamp, managedFields } = map.metadata;
  const written = Math.max(
    ...[creationTimestamp, ...(managedFields ?? []).map(({ time }) => time)].map((at) => timeOf(at) ?? 0),
  );
  const isStartedSo = pods.every((pod) => isOf(pod)(server!) && (timeOf(pod.object.status?.startTime) ?? 0) > written);
  const ports = [...new Set(corefile.servers.filter(({ scheme }) => scheme === "dns").map((one) => one.port))];
  if (!isStartedSo || ports.length === 0) return undefined;
  const evidence = objects.quote("configmaps", map, `Corefile: servers on port ${ports.join(", ")}`);
  return { ports, evidence };
}

/** The Pods that surely refuse what the Service sends them, beside others that take it. */
function* judgeDeaf(port: ServicePort, pods: readonly PodView[], model: Model): Iterable<Finding> {
  const numberIn = (pod: PodView) =>
    typeof port.targetPort === "number" ? port.targetPort : namedPorts(pod, port.targetPort, port.protocol)[0];
  const serving = pods.filter((pod) => numberIn(pod) !== undefined);
  const isDeaf = (pod: PodView): boolean => {
    const sockets = model.sockets.of(pod);
    const number = numberIn(pod)!;
    const isSeen = sockets.state === "present" && sockets.gaps.length === 0 && sockets.value.length > 0;
    if (!isSeen || pod.hostNetwork || hasJustStarted(pod, model) || isProbed(pod, number, port.protocol)) return false;
    const hears = socketsFor(sockets.value, port.protocol).some((one) => one.port === number && isReachable(one, pod));
    const answers = pod.addresses.some((address) =>
      model.connections.answeredFrom(port.protocol.toLowerCase(), address, number),
    );
    return !hears && !answers;
  };
  const deaf = serving.filter(isDeaf);
  const [first] = deaf;
  if (!first || deaf.length === serving.length) return;
  const owner = first.owner ?? first.ref;
  // in a rollout some Pods of one workload listen on a new port, and others still on the old one
  if (serving.some((pod) => !deaf.includes(pod) && deaf.some((one) => ownerOf(one) === ownerOf(pod)))) return;
  const args = { service: port.key, target: numberIn(first)!, count: deaf.length, all: serving.length };
  yield fault({
    repair: port.service.ref,
    related: [owner],
    breaks: deaf.map(({ key }) => ({ name: "pod.listen", service: port.key, pod: key })),
    title: say.foreign({ ...args, workload: refId(owner) }),
    evidence: [
      model.services.quote(port.service, `Service ${port.key}: targetPort ${port.targetPort}`),
      ...deaf.slice(0, 2).map((pod) => {
        const open = socketsFor(known(model.sockets.of(pod)) ?? [], port.protocol).map((one) => one.port);
        const words = `${pod.key}: ${port.protocol} ports ${[...new Set(open)].join(", ") || "none"}`;
        return quoteOf(model.sockets.of(pod).origin, words);
      }),
    ],
    strength: "direct",
    facts: { case: "foreign" },
  });
}

const socketsIn = ({ node = "", namespace, name }: PodView) =>
  ({ kind: "podSockets", place: { node, namespace, pod: name } }) as const;

/** Pods of the same workload that nodes run and the API server did not name yet: the list was read before, the nodes after. */
function heirsOf(pods: readonly PodView[], { sandboxes, pods: listed }: Model): PodView[] {
  return sandboxes.all.flatMap(({ namespace, pod: name, node }): PodView[] => {
    if (listed.get(namespace, name)) return [];
    const before = pods.find(({ owner }) => owner?.namespace === namespace && name.startsWith(`${owner.name}-`));
    return before ? [{ ...before, name, node, key: `${namespace}/${name}` }] : [];
  });
}

/** Ready without a readiness probe is as much as started: programs take a while to listen. */
function hasJustStarted({ object }: PodView, { time }: Model): boolean {
  const since = object.status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
  return (time.age(since) ?? STARTING) < STARTING;
}

function quoteSocket(pod: PodView, socket: ListeningSocket, { sockets }: Model) {
  const process = socket.processes[0] ? ` (${socket.processes[0].name})` : "";
  return quoteOf(
    { ...sockets.of(pod).origin, line: socket.line },
    `${pod.key}: ${socket.protocol} LISTEN ${socket.address}:${socket.port}${process}`,
  );
}

/** A Service sends to a port on which nothing listens in its Pods, by number or by name. */
export const targetPortMismatch = defineCheck({
  id: "target-port-mismatch",
  reads: ["services", "objects", "observations", "sockets", "time", "sandboxes", "pods", "connections", "dns"],

  *find(model) {
    for (const service of model.services.all) {
      if (!service.selector || service.kind === "ExternalName") continue;
      const ready = model.services.selected(service).filter((pod) => pod.ready);
      if (ready.length === 0) continue;
      // a port that is not proxied matters to nobody: headless Services name Pods, not ports
      if (service.kind !== "ClusterIP") continue;
      const judged = service.ports.map((port) => ({
        port,
        findings: [...judgePort(port, ready, model), ...judgeDeaf(port, ready, model)],
      }));
      const isDeaf = judged.every(({ findings }) => findings.some(({ outcome }) => outcome === "fault"));
      for (const { port, findings } of judged) {
        // one port of several that nobody misses may be there for later
        for (const one of findings) {
          const isIdle = one.outcome === "fault" && !isDeaf && !isCalled(port, model);
          yield isIdle ? warning(one.repair, one.title, one.evidence, one.related) : one;
        }
      }
    }
  },

  remedies({ repair, related, facts }, { services }) {
    const { index, target, port } = facts as { index: number; target?: string | number; port?: number };
    const { namespace = "default", name } = [repair, ...related].find(({ kind }) => kind === "Service")!;
    const service = services.get(namespace, name);
    const ports = service?.object.spec.ports ?? [];
    const address = `${service?.clusterIps[0] ?? name} ${ports[index]?.port ?? ""}`.trim().split(" ");
    const ask = sh`kubectl run -n ${namespace} -it --rm ask --image=busybox --restart=Never -- nc -zv -w 3`;
    const verify = { run: `${ask} ${address.map(shellWord).join(" ")}` };
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const prevent = [say.prevent()];
    if (facts.case === "foreign") {
      const step = { why: say.narrow(), change: edit, undo: edit, verify };
      return [{ id: "serve-alone", risk: "low", interrupts: say.uninterrupted(), steps: [step], prevent }];
    }
    if (facts.case === "app") {
      const step = { why: say.changeApp({ port: port ?? "?" }), change: edit, undo: edit, verify };
      return [{ id: "change-application", risk: "medium", interrupts: say.rollsOut(), steps: [step], prevent }];
    }
    const withTarget = (targetPort: string | number | null | undefined) =>
      ({
        do: "patch",
        target: repair,
        patch: { spec: { ports: ports.map((one, at) => (at === index ? { ...one, targetPort } : one)) } },
      }) as const;
    const step =
      target === undefined
        ? { why: say.chooseTarget(), change: edit, undo: edit, verify }
        : { why: say.setTarget(), change: withTarget(target), undo: withTarget(ports[index]?.targetPort), verify };
    return [{ id: "correct-target-port", risk: "low", interrupts: say.uninterrupted(), steps: [step], prevent }];
  },

  manual: {
    title: { en: "Nothing listens on a Service's target port", zh: "Service 的目标端口无人监听" },
    page: {
      en: `The Pods of a Service are ready, and none of them listens on the port to which the Service sends: the number is wrong, no container has a port of that name, or the program listens elsewhere or on 127.0.0.1 only.

**How it looks.** Connections are refused at once by the Pod itself, from everywhere, while the Pod's real port answers. With a name that no container has, the EndpointSlice lacks the port and the node refuses.

Where only some of them do not listen (most often Pods of another workload that bear the label by which the Service selects), that share of connections is refused.

**How it is told.** By the sockets inside the Pods. \`containerPort\` is documentation: a port that is not declared may well be open, and a declared one closed.

**When this is not the cause.** If only some nodes or clients are refused, look at rules and policies. A port of several that nothing listens on and nobody calls is only a warning.`,
      zh: `Service 的 Pod 已就绪，但没有一个在监听 Service 转发到的端口：端口号写错、没有容器声明该名称的端口，或程序监听在别的端口，或只监听 127.0.0.1。

**现象。** 从任何地方访问都会立即被 Pod 自身拒绝，而 Pod 真正的端口可以应答。若使用了不存在的端口名，EndpointSlice 中没有该端口，由节点拒绝。

若只有一部分未监听（多为带有同样标签、因而被 Service 一并选中的其他工作负载的 Pod），则相应比例的连接被拒绝。

**如何判定。** 依据 Pod 内的套接字。\`containerPort\` 只是说明：未声明的端口可能开着，已声明的也可能没有监听。

**何时不是它。** 若只有部分节点或客户端被拒绝，应检查规则和策略。多端口 Service 中某个无人监听也无人访问的端口，只作为警告。`,
    },
  },
});
