import { isWhole, known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Range } from "../../model/ranges.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import type { ServiceEndpoint, ServicePort } from "../../model/services/services.ts";
import { isSettled } from "../../model/services/settled.ts";
import { contains, formatSocket, parseIp } from "../../net/ip.ts";
import type { EndpointSlice } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, type Missing, presumed, works } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "services" | "pods" | "nodes" | "objects" | "ranges" | "sockets" | "forwarding" | "time" | "observations"
>;

const say = texts("endpoint-address-wrong", {
  byHand: {
    en: "{slice}, which no controller keeps, sends Service {service} to {address}, {why} ({dead} of its {all} {all:back end|back ends})",
    zh: "{slice} 不由控制器维护，它把 Service {service} 指向 {address}，{why}（{all} 个后端中的 {dead} 个）",
  },
  beside: {
    en: "{slice}, which no controller keeps, sends Service {service} to {address}, {why}, beside the Pods that its selector selects ({dead} of {all} {all:back end|back ends})",
    zh: "{slice} 不由控制器维护，它在选择器选中的 Pod 之外，还把 Service {service} 指向 {address}，{why}（{all} 个后端中的 {dead} 个）",
  },
  leftOver: {
    en: "Service {service} has lost its selector: nobody keeps {slice} any more, which sends it to {address}, {why} ({dead} of {all} {all:back end|back ends})",
    zh: "Service {service} 已没有选择器：{slice} 不再有控制器维护，仍指向 {address}，{why}（{all} 个后端中的 {dead} 个）",
  },
  noPod: { en: "an address of the Pod network that no Pod has", zh: "该地址属于 Pod 网络，但没有任何 Pod 使用它" },
  noHost: {
    en: "which nobody answers for in the network of node {node}",
    zh: "在节点 {node} 所在的网络中无人应答该地址",
  },
  clusterIp: {
    en: "the cluster IP of Service {other}, to which no rule translates a second time",
    zh: "这是 Service {other} 的 ClusterIP，规则不会再次转换",
  },
  notListening: {
    en: "where {whose} listens on {listening} only",
    zh: "而 {whose} 只监听 {listening}",
  },
  silent: { en: "which does not answer", zh: "而该地址没有应答" },
  nothing: { en: "nothing", zh: "无" },
  changing: { en: "its back ends had just been written", zh: "其后端刚刚写入" },
  correct: {
    en: "Write the address at which the back end is now into {object}, or delete the object if the Service should not use it",
    zh: "在 {object} 中写入后端现在的地址；若该 Service 不应使用它，则删除该对象",
  },
  select: {
    en: "Give the Service its selector again: the controller then writes its EndpointSlices",
    zh: "恢复 Service 的选择器：控制器会重新写入其 EndpointSlice",
  },
  interrupts: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Let a selector choose Pods wherever there are Pods, give machines outside the cluster fixed addresses or a name (ExternalName), and check what is written by hand from outside: nothing in the cluster does",
    zh: "凡后端是 Pod 的都用选择器；集群外的主机使用固定地址或域名（ExternalName）；手工写入的后端集群不会检查，需要另行探测",
  },
});

/** Why nobody answers at a back end. */
type Wrong = {
  readonly why: Text;
  readonly evidence: readonly Evidence[];
  readonly strength: "direct" | "heard";
};

type Judged =
  | { readonly is: "wrong"; readonly wrong: Wrong }
  | { readonly is: "there"; readonly evidence: readonly Evidence[] }
  | { readonly is: "unseen"; readonly missing: readonly Missing[] }
  | { readonly is: "elsewhere" };

const wrong = (why: Text, evidence: readonly Evidence[], strength: Wrong["strength"] = "direct"): Judged => ({
  is: "wrong",
  wrong: { why, evidence, strength },
});

/** Whether somebody listens on a port: a Pod's, or a node's, unless the node's rules send the port elsewhere. */
function judgePort(endpoint: ServiceEndpoint, { protocol }: ServicePort, model: Model): Judged {
  const { pods, nodes, sockets, services, forwarding } = model;
  const pod = pods.byAddress(endpoint.address);
  const node = nodes.byAddress(endpoint.address);
  const observed = pod ? sockets.of(pod) : forwarding.of(node!.name).sockets;
  const whose = pod ? `Pod ${pod.key}` : `node ${node!.name}`;
  const listed = known(observed);
  const ofProtocol = (listed ?? []).filter((one) => one.protocol === protocol.toLowerCase());
  const anywhere = new Set(["*", "0.0.0.0", "::", endpoint.address]);
  const open = ofProtocol.filter(({ address }) => anywhere.has(address));
  const found = open.find(({ port }) => port === endpoint.port);
  if (found) {
    const line = `${whose}: ${found.protocol} LISTEN ${formatSocket(found.address, found.port)}`;
    return { is: "there", evidence: [quoteOf({ ...observed.origin, line: found.line }, line)] };
  }
  const isForwarded =
    node !== undefined &&
    (services.byNodePort(endpoint.port, protocol) !== undefined ||
      pods
        .onNode(node.name)
        .some(({ object }) =>
          object.spec.containers.some(({ ports }) => ports?.some(({ hostPort }) => hostPort === endpoint.port)),
        ));
  if (isForwarded) return { is: "elsewhere" };
  if (!isWhole(observed) || listed!.length === 0 || (protocol === "SCTP" && !sockets.showSctp)) {
    const missing: Missing = pod
      ? { kind: "podSockets", place: { node: pod.node ?? "", namespace: pod.namespace, pod: pod.name } }
      : { kind: "sockets", place: { node: node!.name } };
    return { is: "unseen", missing: [missing] };
  }
  const ports = [...new Set(open.map(({ port }) => port))].sort((a, b) => a - b);
  const quoted = quoteOf(observed.origin, `${whose}: ${protocol} ports that listen: ${ports || "none"}`);
  return wrong(say.notListening({ whose, listening: ports || say.nothing() }), [quoted]);
}

/** Nodes in whose own network the address would be, and where nobody has answered for it. */
function unanswered(address: string, { nodes, forwarding }: Model): { node: string; evidence: Evidence } | undefined {
  const seen = nodes.all.flatMap(({ name }) => {
    const { neighbours } = forwarding.of(name);
    const entry = (known(neighbours) ?? []).find((one) => one.address === address);
    return entry ? [{ node: name, entry, origin: neighbours.origin }] : [];
  });
  const failed = seen.find(({ entry }) => entry.states.includes("FAILED"));
  if (!failed || seen.some(({ entry }) => entry.mac !== undefined)) return undefined;
  const { node, entry, origin } = failed;
  const words = `${node}: ${address} dev ${entry.device} ${entry.states.join(" ")}`;
  return { node, evidence: quoteOf(origin, words) };
}

/** Of an address outside the cluster only those tell who called it: in vain, while others outside answer them. */
function judgeOutside(port: ServicePort, address: string, model: Model): Judged {
  const silent = unanswered(address, model);
  if (silent) return wrong(say.noHost({ node: silent.node }), [silent.evidence]);
  const { observations, services } = model;
  const isOnly = services.endpoints(port).every((one) => one.address === address);
  const calls = ({ target }: (typeof observations.all)[number]) => target.is === "service" && target.port === port;
  const answered = observations.worked.some(calls);
  const inVain = observations.failed.filter((one) => one.how === "measured" && calls(one));
  const reaching = new Set(
    observations.worked.filter(({ target }) => target.is === "outside").map(({ client }) => client.node),
  );
  const isElsewhereWell = inVain.length > 0 && inVain.every(({ client }) => reaching.has(client.node));
  if (!isOnly || answered || !isElsewhereWell) return { is: "elsewhere" };
  return wrong(
    say.silent(),
    inVain.slice(0, 2).map(({ evidence }) => evidence),
    "heard",
  );
}

function judge(endpoint: ServiceEndpoint, port: ServicePort, model: Model): Judged {
  const { services, pods, nodes, ranges, objects } = model;
  const { address } = endpoint;
  if (pods.byAddress(address) || nodes.byAddress(address)) return judgePort(endpoint, port, model);
  const other = services.byClusterIp(address);
  if (other) {
    const name = `${other.namespace}/${other.name}`;
    const quoted = services.quote(other, `Service ${name}: clusterIP ${address}`);
    return wrong(say.clusterIp({ other: name }), [quoted]);
  }
  const isOfNode = nodes.all.some(({ name }) => known(model.forwarding.of(name).localAddresses)?.has(address));
  if (isOfNode) return { is: "elsewhere" };
  const ip = parseIp(address);
  // a network that was drawn so wide that nodes are in it holds others, too
  const isOfPods = ({ of, prefix }: Range) =>
    of === "node-pods" || (of === "pod-network" && nodes.all.every(({ ipv4 }) => !ipv4 || !contains(prefix, ipv4)));
  const range = ip && ranges.all.find((one) => contains(one.prefix, ip) && isOfPods(one));
  if (!range) return judgeOutside(port, address, model);
  if (!pods.whole) return { is: "unseen", missing: [{ kind: "pods" }] };
  if (!nodes.whole) return { is: "unseen", missing: [{ kind: "nodes" }] };
  return wrong(say.noPod(), [objects.quoteAbsence("pods", `no Pod has ${address}`), range.evidence]);
}

/** Who wrote a slice, as a person would edit it: an Endpoints object is mirrored to a slice that is its own. */
function writtenAs({ metadata }: EndpointSlice): Ref {
  const source = metadata.ownerReferences?.find(({ kind }) => kind === "Endpoints");
  return source
    ? ref("Endpoints", source.name, metadata.namespace)
    : ref("EndpointSlice", metadata.name, metadata.namespace);
}

function* judgeService(port: ServicePort, model: Model): Iterable<Finding> {
  const { services, objects } = model;
  const { service } = port;
  const all = service.families.flatMap((family) => services.endpoints(port, family)).filter(({ ready }) => ready);
  const loose = all.filter(({ slice }) => !services.keeps(service, slice));
  if (loose.length === 0) return;
  const capabilityOf = ({ address }: ServiceEndpoint) =>
    ({ name: "service.backend", service: port.key, address }) as const;
  if (!isSettled(port, services, model.time)) {
    for (const one of loose) yield presumed(capabilityOf(one), [], say.changing());
    return;
  }
  const dead: { readonly endpoint: ServiceEndpoint; readonly wrong: Wrong }[] = [];
  for (const endpoint of loose) {
    const judged = judge(endpoint, port, model);
    if (judged.is === "wrong") dead.push({ endpoint, wrong: judged.wrong });
    else if (judged.is === "there") yield works(capabilityOf(endpoint), judged.evidence);
    else if (judged.is === "unseen")
      yield (judged.missing.some(({ kind }) => kind === "pods" || kind === "nodes") ? cannotTell : presumed)(
        capabilityOf(endpoint),
        judged.missing,
      );
  }
  for (const [slice, inSlice] of Map.groupBy(dead, ({ endpoint }) => endpoint.slice)) {
    const [first] = inSlice as [(typeof dead)[number], ...typeof dead];
    const written = writtenAs(slice);
    const isLeft = !service.selector && slice.metadata.labels?.[MANAGED_BY] === CONTROLLER;
    const title = isLeft ? say.leftOver : service.selector ? say.beside : say.byHand;
    yield fault({
      repair: isLeft ? service.ref : written,
      related: isLeft ? [written] : [service.ref],
      breaks: inSlice.map(({ endpoint }) => capabilityOf(endpoint)),
      title: title({
        slice: refId(written),
        service: port.key,
        address: formatSocket(first.endpoint.address, first.endpoint.port),
        why: first.wrong.why,
        dead: inSlice.length,
        all: all.length,
      }),
      evidence: [
        objects.quote(
          "endpointslices",
          slice,
          `${slice.metadata.namespace}/${slice.metadata.name}: ${inSlice.map(({ endpoint: { address, port: number } }) => formatSocket(address, number)).join(", ")}`,
        ),
        ...inSlice.slice(0, 2).flatMap((one) => one.wrong.evidence),
        ...model.observations
          .failedOn(service)
          .slice(0, 2)
          .map(({ evidence }) => evidence),
      ],
      strength: first.wrong.strength,
      facts: { case: isLeft ? "selector" : "address" },
    });
  }
}

const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER = "endpointslice-controller.k8s.io";

/** An EndpointSlice that nobody keeps up to date sends a Service to where nobody is. */
export const endpointAddressWrong = defineCheck({
  id: "endpoint-address-wrong",
  reads: ["services", "pods", "nodes", "objects", "ranges", "sockets", "forwarding", "time", "observations"],

  *find(model) {
    for (const service of model.services.all) {
      // of the API servers they write themselves, and another check speaks
      const isApi = service.namespace === "default" && service.name === "kubernetes";
      if (service.kind === "ExternalName" || isApi) continue;
      for (const port of service.ports) yield* judgeService(port, model);
    }
  },

  remedies({ repair, related, facts }) {
    const service = [repair, ...related].find(({ kind }) => kind === "Service")!;
    const slices = sh`kubectl get endpointslices -n ${service.namespace ?? ""} -l ${`kubernetes.io/service-name=${service.name}`}`;
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const why = facts.case === "selector" ? say.select() : say.correct({ object: refId(repair) });
    const step = { why, change: edit, undo: edit, verify: { run: slices } };
    return [
      { id: "correct-address", risk: "low", interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: { en: "A Service is sent to an address where nobody is", zh: "Service 指向了无人应答的地址" },
    page: {
      en: `An EndpointSlice that no controller keeps up to date names a back end that is not there: an address of the Pod network that no Pod has (any more), one for which nobody answers in the nodes' network, another Service's cluster IP, or a Pod or node that does not listen on the port.

**How it looks.** Connections to the Service fail from everywhere: by time-out where nobody has the address, by refusal where nobody listens. If such a slice stands beside those that the controller writes, one of every few connections fails, at random, while all Pods are ready and \`kubectl describe service\` looks well.

**How it comes about.** A Service without a selector has the back ends that somebody wrote, as an EndpointSlice or as an Endpoints object, which kube-controller-manager mirrors to a slice. Nobody corrects them when a Pod or machine moves. The EndpointSlice controller keeps only slices that bear its own label \`endpointslice.kubernetes.io/managed-by\`; kube-proxy takes every slice with the label \`kubernetes.io/service-name\` (kubernetes pkg/controller/endpointslice, pkg/proxy/endpointslicecache.go). Where a Service loses its selector, its slices stay as they are.

**When this is not the cause.** An address outside of the cluster is nobody's business here: it is only blamed where no machine answers for it, or where those who call it in vain do reach others outside. A slice that has just been written is not judged.`,
      zh: `某个没有控制器维护的 EndpointSlice 列出了并不存在的后端：Pod 网络中（已）没有 Pod 使用的地址、节点网络中无人应答的地址、另一个 Service 的 ClusterIP，或没有监听该端口的 Pod 或节点。

**现象。** 从任何地方访问该 Service 都会失败：地址无人使用时超时，端口无人监听时被拒绝。若这样的 EndpointSlice 与控制器写入的并存，则每隔几次连接随机失败一次，而所有 Pod 都已就绪，\`kubectl describe service\` 也看不出异常。

**成因。** 没有选择器的 Service 使用手工写入的后端（EndpointSlice，或由 kube-controller-manager 镜像为 EndpointSlice 的 Endpoints 对象），Pod 或主机迁移后没有人更正。EndpointSlice 控制器只维护带有自己 \`endpointslice.kubernetes.io/managed-by\` 标签的对象，而 kube-proxy 会使用所有带 \`kubernetes.io/service-name\` 标签的 EndpointSlice（kubernetes pkg/controller/endpointslice、pkg/proxy/endpointslicecache.go）。Service 失去选择器后，其 EndpointSlice 会保持原样。

**何时不是它。** 集群外的地址不在判断范围内：只有在无人应答该地址，或访问它失败的一方能访问其他外部地址时才归因于它。刚写入的 EndpointSlice 不作判断。`,
    },
  },
});
