import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import {
  type Denying,
  type Direction,
  namedPorts,
  type PeerView,
  type PolicyRuleView,
  type PolicyTraffic,
  type PolicyView,
} from "../../model/policy-views.ts";
import { kubectlName, type Ref, refId, sameRef } from "../../model/ref.ts";
import type { ServiceView } from "../../model/services/services.ts";
import { covers, parsePrefix } from "../../net/ip.ts";
import type { CiliumPolicySpec, NetworkPolicy, PolicyPort } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault } from "../check.ts";
import { type Remedy, rolledOut } from "../remedy.ts";

type Model = Pick<
  ClusterModel,
  "policies" | "pods" | "services" | "dns" | "sockets" | "observations" | "components" | "objects" | "ranges"
>;

const say = texts("network-policy-defective", {
  noDns: {
    en: "{pods} may not ask cluster DNS: {policies} {count:lets|let} it send only elsewhere",
    zh: "{pods} 无法访问集群 DNS：{policies} 的出站规则遗漏了 53 端口",
  },
  closedDns: {
    en: "{policies} {count:keeps|keep} {clients} {clients:Pod|Pods} from asking cluster DNS, such as {first}",
    zh: "{policies} 使 {clients} 个 Pod 无法访问集群 DNS，例如 {first}",
  },
  noServices: {
    en: "{policy} lets {pods} send to addresses of Services ({blocks}), which their packets no longer bear when policies are applied",
    zh: "{policy} 放行 {pods} 访问 Service 地址（{blocks}），但策略生效时报文的目的地址已被换成 Pod 地址",
  },
  noSuchPort: {
    en: "{policy} lets {allowed} in to {pods}, which listen on {listening}",
    zh: "{policy} 放行到 {pods} 的 {allowed}，而它们监听的是 {listening}",
  },
  noSuchPeer: {
    en: "{policy} cuts off {pods}: it allows only peers that do not exist",
    zh: "{policy} 使 {pods} 被隔离：它只放行并不存在的对端",
  },
  deniesAll: {
    en: "{policies} {count:denies|deny} every caller of Service {service}",
    zh: "{policies} 拒绝了 Service {service} 的所有调用方",
  },
  somePods: { en: "{first} and others ({total} Pods)", zh: "{first} 等 {total} 个 Pod" },
  allowDns: {
    en: "Allow the Pods to send to cluster DNS, port 53 by UDP and TCP",
    zh: "放行这些 Pod 访问集群 DNS 的 53 端口（UDP 和 TCP）",
  },
  allowPods: {
    en: "Allow the Pods behind the Services, by their labels, instead of the Services' addresses",
    zh: "改为按标签放行 Service 背后的 Pod，而不是 Service 的地址",
  },
  correctPort: { en: "Allow the port on which the Pods listen", zh: "放行 Pod 实际监听的端口" },
  choosePort: {
    en: "Decide which of the ports on which the Pods listen is meant, and allow it",
    zh: "确定应放行 Pod 监听的哪个端口，并修正策略",
  },
  correctPeer: {
    en: "Decide who is meant: see which labels Pods and namespaces carry, then correct the selectors",
    zh: "确定应放行谁：查看 Pod 和命名空间的标签，然后修正选择器",
  },
  enforceByDefault: {
    en: "Set enable-policy to default in {config} (or write the policies that all Pods need, DNS first)",
    zh: "将 {config} 中的 enable-policy 改回 default（或为所有 Pod 补上所需的策略，首先是 DNS）",
  },
  restartAgents: { en: "Let Cilium's agents read it", zh: "让 Cilium 代理读取该配置" },
  allowClients: {
    en: "Let all Pods ask cluster DNS, port 53 by UDP and TCP",
    zh: "允许所有 Pod 访问集群 DNS 的 53 端口（UDP 和 TCP）",
  },
  allowCallers: {
    en: "Decide who may call {service}, and add an ingress rule for them (or remove the policy)",
    zh: "确定允许谁访问 {service}，并为其添加入站规则（或删除该策略）",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Review policies by what they allow, in CI: `netwhy diagnose` on a bundle of the staging cluster names policies whose ports and peers match nothing",
    zh: "在 CI 中按实际放行的内容审查策略：对预发集群的采集包运行 `netwhy diagnose`，会指出端口或对端匹配不到任何对象的策略",
  },
  preventDns: {
    en: "Where a policy denies a namespace all egress by default, let the same policy allow DNS",
    zh: "若某条策略默认拒绝整个命名空间的出站流量，应在同一条策略中放行 DNS",
  },
  unknownEnforcer: {
    en: "nothing shows whether anything enforces NetworkPolicies here",
    zh: "无法确定此集群是否有组件执行 NetworkPolicy",
  },
});

function names(pods: readonly PodView[]): Text | string {
  const first = pods[0]!.owner ? refId(pods[0]!.owner) : pods[0]!.key;
  const rest = pods.filter((pod) => (pod.owner ? refId(pod.owner) : pod.key) !== first).length;
  return rest === 0 ? first : say.somePods({ first, total: pods.length });
}

const quoteSpec = (policy: PolicyView, { policies }: Model): Evidence =>
  policies.quote(policy, `${nameOf(policy)}: ${JSON.stringify(policy.spec)}`);
const nameOf = ({ ref: { kind, namespace, name } }: PolicyView) =>
  `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
const refsOf = (views: readonly PolicyView[]) => views.map(nameOf).join(", ");
const breaksOf = (views: readonly PolicyView[]) =>
  views.map(({ ref }) => ({ name: "policy.allow", policy: refId(ref) }) as const);

const allowing = ({ rules }: PolicyView, direction: Direction): readonly PolicyRuleView[] =>
  rules.filter((rule) => rule.direction === direction && rule.action === "allow");

/** Pods that ask cluster DNS: the default of the API. */
const usesClusterDns = ({ object, hostNetwork }: PodView) =>
  !hostNetwork && ["ClusterFirst", "ClusterFirstWithHostNet", null, undefined].includes(object.spec.dnsPolicy);

/** Groups Pods by the policies that isolate them: one verdict for each group. */
function groupsBy(
  pods: readonly PodView[],
  key: (pod: PodView) => readonly PolicyView[],
): { policies: readonly PolicyView[]; pods: PodView[] }[] {
  const groups = new Map<string, { policies: readonly PolicyView[]; pods: PodView[] }>();
  for (const pod of pods) {
    const policies = key(pod);
    if (policies.length === 0) continue;
    const id = policies.map(({ ref }) => refId(ref)).join(" ");
    const group = groups.get(id);
    if (group) group.pods.push(pod);
    else groups.set(id, { policies, pods: [pod] });
  }
  return [...groups.values()];
}

/** The DNS servers' Pods, each with the ports on which it is asked: rules are about the Pod's port, not the Service's. */
function dnsServers({ dns, services }: Model): { readonly pod: PodView; readonly port: number }[] {
  return dns.services.flatMap((service) =>
    services
      .selected(service)
      .filter(({ finished }) => !finished)
      .flatMap((pod) =>
        service.ports
          .filter(({ port }) => port === 53)
          .flatMap(({ targetPort, protocol }) =>
            typeof targetPort === "number" ? targetPort : namedPorts(pod, targetPort, protocol),
          )
          .map((port) => ({ pod, port })),
      ),
  );
}

/** Whether NetworkPolicies alone deny it: what others deny, too, is theirs. */
function isDenied(from: PodView, to: PodView, traffic: PolicyTraffic, model: Model): boolean {
  const verdict = model.policies.verdict({ pod: from }, { pod: to }, traffic);
  return verdict.state === "denied" && ownOf(verdict.by, model) !== undefined;
}

/** Those that deny, unless others than these are among them: Calico's own have a check of their own. */
function ownOf(by: readonly Denying[], { policies }: Model): readonly PolicyView[] | undefined {
  const own = by.flatMap(({ ref }) => policies.all.find((policy) => sameRef(policy.ref, ref)) ?? []);
  return own.length === by.length ? own : undefined;
}

function* judgeDns(model: Model): Iterable<Finding> {
  const { policies, pods, observations, components } = model;
  const servers = dnsServers(model);
  if (servers.length === 0) return;
  // a cache on the Pod's own node is asked, to which policies always let it
  const cached = new Set(components.withDuty("node-dns").flatMap(({ pods: caches }) => caches.map(({ node }) => node)));
  const isolated = policies.all.some(({ directions }) => directions.includes("egress")) ? pods.all : [];
  for (const group of groupsBy(
    isolated.filter((pod) => !pod.finished && usesClusterDns(pod) && !cached.has(pod.node)),
    (pod) => policies.isolating(pod, "egress"),
  )) {
    const pod = group.pods[0]!;
    const reaches = servers.some(
      (server) =>
        server.pod.key === pod.key ||
        // resolvers ask by UDP, and by TCP only when they are told to
        !isDenied(pod, server.pod, { protocol: "UDP", port: server.port }, model),
    );
    if (reaches) continue;
    // who may send nothing at all is locked in on purpose; who may send to Pods by label looks for them by name
    const meantToTalk = group.policies.some(({ rules }) =>
      rules.some(({ direction, peers }) => direction === "egress" && peers.some(({ by }) => by !== undefined)),
    );
    const complains = observations.failed.filter(
      ({ client, target }) => target.is === "name" && group.pods.some(({ key }) => key === client.pod?.key),
    );
    if (!meantToTalk && complains.length === 0) continue;
    const byRules = [...group.policies].sort((a, b) => b.rules.length - a.rules.length);
    yield fault({
      repair: byRules[0]!.ref,
      related: [...byRules.slice(1).map(({ ref }) => ref), ...group.pods.flatMap(({ owner }) => owner ?? [])],
      breaks: breaksOf(group.policies),
      title: say.noDns({
        policies: refsOf(group.policies),
        count: group.policies.length,
        pods: names(group.pods),
      }),
      evidence: [
        ...byRules.map((policy) => quoteSpec(policy, model)),
        ...complains.slice(0, 2).map(({ evidence }) => evidence),
      ],
      strength: "direct",
      facts: { case: "dns", pod: pod.key },
    });
  }
}

/** Policies for the servers themselves, which let some of those in that are told to ask them, and not others. */
function* judgeDnsServers(model: Model): Iterable<Finding> {
  const { policies, pods, observations } = model;
  const servers = dnsServers(model);
  if (servers.length === 0 || servers.some(({ pod }) => policies.isolating(pod, "ingress").length === 0)) return;
  const clients = pods.all.filter(
    (pod) => !pod.finished && usesClusterDns(pod) && !servers.some((one) => one.pod.key === pod.key),
  );
  const denied = clients.flatMap((pod) => {
    const verdicts = servers.flatMap((server) =>
      ["UDP", "TCP"].map((protocol) => policies.verdict({ pod }, { pod: server.pod }, { protocol, port: server.port })),
    );
    const by = verdicts.flatMap((verdict) => {
      const alone = verdict.state === "denied" && verdict.direction === "ingress" && ownOf(verdict.by, model);
      return alone ? [alone] : [];
    });
    return by.length === verdicts.length ? [{ pod, by: by[0]! }] : [];
  });
  const [first] = denied;
  const complains = observations.failed.filter(
    ({ client, target }) => target.is === "name" && denied.some(({ pod }) => pod.key === client.pod?.key),
  );
  if (!first || (denied.length < clients.length && complains.length === 0)) return;
  const refs = first.by.map(({ ref }) => ref);
  yield fault({
    repair: refs[0]!,
    related: [...refs.slice(1), ...servers.slice(0, 1).flatMap(({ pod }) => pod.owner ?? [])],
    breaks: breaksOf(first.by),
    title: say.closedDns({
      policies: refsOf(first.by),
      count: first.by.length,
      clients: denied.length,
      first: first.pod.key,
    }),
    evidence: [
      ...first.by.map((policy) => quoteSpec(policy, model)),
      ...complains.slice(0, 2).map(({ evidence }) => evidence),
    ],
    strength: "direct",
    facts: { case: "servers" },
  });
}

/** The blocks of a rule whose peers are addresses of Services and nothing else. */
function blocksOfServices({ peers }: PolicyRuleView, { ranges }: Model): readonly string[] {
  const blocks = peers.map(({ block }) => block?.cidr ?? "");
  const isOfServices = (cidr: string) => {
    const block = parsePrefix(cidr);
    return block !== undefined && ranges.services.some(({ prefix }) => covers(prefix, block));
  };
  return blocks.length > 0 && blocks.every(isOfServices) ? blocks : [];
}

/** Addresses of Services are those of Pods by the time that a packet meets the policies. */
function* judgeServiceBlocks(policy: PolicyView, pods: readonly PodView[], model: Model): Iterable<Finding> {
  const rules = policy.rules.filter(({ direction, action }) => direction === "egress" && action === "allow");
  const isForDns = ({ peers, ports }: PolicyRuleView) =>
    peers.length === 0 && ports.length > 0 && ports.every(({ port }) => port === 53);
  const meant = rules.filter((rule) => !isForDns(rule));
  const blocks = meant.map((rule) => blocksOfServices(rule, model));
  if (meant.length === 0 || blocks.some((of) => of.length === 0)) return;
  const others = model.policies.isolating(pods[0]!, "egress").filter((other) => other !== policy);
  if (others.some((other) => other.rules.some((rule) => rule.direction === "egress" && !isForDns(rule)))) return;
  yield fault({
    repair: policy.ref,
    related: pods[0]!.owner ? [pods[0]!.owner] : [],
    breaks: breaksOf([policy]),
    title: say.noServices({ policy: nameOf(policy), pods: names(pods), blocks: blocks.flat().join(", ") }),
    evidence: [quoteSpec(policy, model)],
    strength: "direct",
    facts: { case: "blocks" },
  });
}

const formatPort = ({ port, endPort, protocol }: PolicyPort) =>
  `${port ?? "*"}${endPort ? `-${endPort}` : ""}/${protocol ?? "TCP"}`;

/** The ports on which a Pod is seen to listen, or that it declares where nobody looked. */
function openPorts(pod: PodView, { sockets }: Model): { protocol: string; port: number }[] {
  const seen = known(sockets.of(pod));
  if (seen && seen.length > 0)
    return seen
      .filter(({ address }) => !address.startsWith("127.") && address !== "::1")
      .map(({ protocol, port }) => ({ protocol: protocol.toUpperCase(), port }));
  return pod.object.spec.containers.flatMap(({ ports }) =>
    (ports ?? []).map(({ containerPort, protocol }) => ({ protocol: protocol ?? "TCP", port: containerPort })),
  );
}

function isOpen(wanted: PolicyPort, pod: PodView, model: Model): boolean {
  const protocol = wanted.protocol ?? "TCP";
  const open = openPorts(pod, model)
    .filter((port) => port.protocol === protocol)
    .map(({ port }) => port);
  if (wanted.port === null || wanted.port === undefined) return true;
  if (typeof wanted.port === "string")
    return namedPorts(pod, wanted.port, protocol).some((number) => open.includes(number));
  return open.some((port) => port >= Number(wanted.port) && port <= (wanted.endPort ?? Number(wanted.port)));
}

/** Whether a policy lets anything in to a port on which the Pod listens. */
const letsIn = (policy: PolicyView, pod: PodView, model: Model): boolean =>
  allowing(policy, "ingress").some(({ ports }) => ports.length === 0 || ports.some((port) => isOpen(port, pod, model)));

function* judgePorts(policy: PolicyView, pods: readonly PodView[], model: Model): Iterable<Finding> {
  const ports = allowing(policy, "ingress").flatMap((rule) => rule.ports);
  if (ports.length === 0 || pods.some((pod) => letsIn(policy, pod, model))) return;
  // policies add up: another may let in what this one is not about
  const deaf = pods.filter(
    (pod) =>
      openPorts(pod, model).length > 0 &&
      !model.policies.isolating(pod, "ingress").some((other) => letsIn(other, pod, model)),
  );
  const [first] = deaf;
  if (!first) return;
  // what a container declares is no proof of what its program does
  const unseen = deaf.filter((pod) => !known(model.sockets.of(pod))?.length);
  if (unseen.length > 0) {
    yield cannotTell(
      breaksOf([policy])[0]!,
      unseen.map(({ node, namespace, name }) => ({
        kind: "podSockets",
        place: { node: node ?? "", namespace, pod: name },
      })),
    );
    return;
  }
  const listening = [
    ...new Set(deaf.flatMap((pod) => openPorts(pod, model).map(({ port, protocol }) => `${port}/${protocol}`))),
  ];
  yield fault({
    repair: policy.ref,
    related: first.owner ? [first.owner] : [],
    breaks: breaksOf([policy]),
    title: say.noSuchPort({
      policy: nameOf(policy),
      allowed: ports.map(formatPort).join(", "),
      pods: names(deaf),
      listening: listening.join(", "),
    }),
    evidence: [
      quoteSpec(policy, model),
      quoteOf(model.sockets.of(first).origin, `${first.key} listens on ${listening.join(", ")}`),
    ],
    strength: "direct",
    facts: { case: "ports", listening },
  });
}

/** Whether a peer means a workload that has no Pods now: one that is switched off, or not scheduled yet. */
const meansWorkload = (peer: PeerView, { objects, policies }: Model): boolean =>
  (["deployments", "statefulsets", "daemonsets"] as const)
    .flatMap((list) => objects.all(list))
    .some(({ metadata, spec: { template } }) => {
      const { serviceAccountName } = template.spec;
      const of = policies.selectable(
        metadata.namespace ?? "",
        template.metadata?.labels ?? {},
        serviceAccountName ?? undefined,
      );
      return peer.means(of) !== false;
    });

const matchesNothing = ({ peers }: PolicyRuleView, model: Model): boolean =>
  peers.length > 0 && peers.every((peer) => model.policies.peerPods(peer)?.length === 0 && !meansWorkload(peer, model));

function* judgePeers(policy: PolicyView, pods: readonly PodView[], model: Model): Iterable<Finding> {
  for (const direction of policy.directions) {
    const rules = allowing(policy, direction);
    if (rules.length === 0 || !rules.every((rule) => matchesNothing(rule, model))) continue;
    // another policy may let in what this one means to
    const others = model.policies
      .isolating(pods[0]!, direction)
      .filter((other) => other !== policy && allowing(other, direction).length > 0);
    if (others.length > 0) continue;
    yield fault({
      repair: policy.ref,
      related: pods[0]!.owner ? [pods[0]!.owner] : [],
      breaks: breaksOf([policy]),
      title: say.noSuchPeer({ policy: nameOf(policy), pods: names(pods) }),
      evidence: [quoteSpec(policy, model)],
      strength: "direct",
      facts: { case: "peers" },
    });
  }
}

/** A Service that somebody calls in vain, and whose Pods no Pod of the cluster is let in to. */
function* judgeCallers(service: ServiceView, model: Model): Iterable<Finding> {
  const { policies, services, pods, observations } = model;
  const backends = services.selected(service).filter(({ ready }) => ready);
  const pod = backends[0];
  if (!pod || service.ports.length === 0) return;
  const isolating = policies.isolating(pod, "ingress");
  const callers = observations
    .failedOn(service)
    .filter(({ client }) => client.network === "pod" && !backends.some(({ key }) => key === client.pod?.key));
  if (isolating.length === 0 || callers.length === 0) return;
  // rules whose ports or peers are wrong are told as what they are
  if (isolating.some((policy) => allowing(policy, "ingress").length > 0)) return;
  const open = services.endpoints(service.ports[0]!)[0]?.port ?? service.ports[0]!.port;
  const isLetIn = pods.all.some(
    (from) =>
      !backends.includes(from) &&
      !from.hostNetwork &&
      !isDenied(from, pod, { protocol: service.ports[0]!.protocol, port: open }, model),
  );
  if (isLetIn) return;
  yield fault({
    repair: isolating[0]!.ref,
    related: [...isolating.slice(1).map(({ ref }) => ref), service.ref],
    breaks: breaksOf(isolating),
    title: say.deniesAll({
      policies: refsOf(isolating),
      count: isolating.length,
      service: `${service.namespace}/${service.name}`,
    }),
    evidence: [
      ...isolating.map((policy) => quoteSpec(policy, model)),
      ...callers.slice(0, 2).map(({ evidence }) => evidence),
    ],
    strength: "direct",
    facts: { case: "callers", service: `${service.namespace}/${service.name}` },
  });
}

type Labelled = { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };

const peerFor = ({ namespace, labels }: Labelled) => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
  podSelector: { matchLabels: labels },
});

const prefixed = (labels: Labelled["labels"]) =>
  Object.fromEntries(Object.entries(labels).map(([key, value]) => [`k8s:${key}`, value]));

type Ingress = NetworkPolicy["spec"]["ingress"];

/** The rules of a policy with the one port that can be meant; undefined if several can. */
function withPort(ingress: Ingress, listening: readonly string[]): Ingress {
  const [only, ...others] = listening;
  const wrong = (ingress ?? []).flatMap(({ ports }) => ports ?? []);
  if (!only || others.length > 0 || wrong.length !== 1) return undefined;
  const [port, protocol] = only.split("/");
  return ingress!.map((rule) => (rule.ports?.length ? { ...rule, ports: [{ protocol, port: Number(port) }] } : rule));
}

/** Pods that no policy selects are let alone again. */
function leftToPolicies(config: Ref, { components }: Model): Remedy[] {
  const [agent] = components.byId("cilium");
  const edit = { run: `kubectl edit ${kubectlName(config)}` };
  const verify = { run: sh`kubectl get configmap -n ${config.namespace ?? ""} ${config.name} -o yaml` };
  const steps = [
    { why: say.enforceByDefault({ config: refId(config) }), change: edit, undo: edit, verify },
    ...(agent
      ? [
          {
            why: say.restartAgents(),
            change: { do: "restart", component: agent.ref } as const,
            verify: rolledOut(agent.ref),
          },
        ]
      : []),
  ];
  return [{ id: "enforce-by-default", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
}

/** A NetworkPolicy denies what it can only have meant to allow. */
export const networkPolicyDefective = defineCheck({
  id: "network-policy-defective",
  reads: ["policies", "pods", "services", "dns", "sockets", "observations", "components", "objects", "ranges"],

  *find(model) {
    const { policies, pods, services } = model;
    if (policies.enforcement === "nothing" || (policies.whole && policies.all.length === 0)) return;
    if (policies.enforcement === "unknown" || !policies.whole || !pods.whole) {
      const missing = !policies.whole
        ? (
            ["networkpolicies", "namespaces", "ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"] as const
          ).filter((list) => !model.objects.isWhole(list) && model.objects.observed(list).state !== "absent")
        : !pods.whole
          ? (["pods"] as const)
          : [];
      yield cannotTell(
        { name: "policy.allow" },
        missing.map((kind) => ({ kind })),
        missing.length === 0 ? say.unknownEnforcer() : undefined,
      );
      return;
    }
    yield* judgeDns(model);
    yield* judgeDnsServers(model);
    for (const policy of policies.all) {
      const selected = policies.selected(policy).filter(({ finished }) => !finished);
      if (selected.length === 0) continue;
      yield* judgePorts(policy, selected, model);
      yield* judgePeers(policy, selected, model);
      yield* judgeServiceBlocks(policy, selected, model);
    }
    for (const service of services.all) if (service.selector) yield* judgeCallers(service, model);
  },

  remedies({ repair, facts }, model) {
    if (repair.kind === "ConfigMap") return leftToPolicies(repair, model);
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const describe = `kubectl describe ${kubectlName(repair)}`;
    const policy = model.policies.all.find((one) => sameRef(one.ref, repair));
    const spec = repair.kind === "NetworkPolicy" ? (policy?.spec as NetworkPolicy["spec"] | undefined) : undefined;
    if (facts.case !== "dns") {
      const corrected =
        facts.case === "ports" ? withPort(spec?.ingress, facts.listening as readonly string[]) : undefined;
      const labels = sh`kubectl get pods -n ${repair.namespace ?? "default"} --show-labels; kubectl get namespaces --show-labels`;
      const patched = (ingress: unknown) => ({ do: "patch", target: repair, patch: { spec: { ingress } } }) as const;
      const step = corrected
        ? { why: say.correctPort(), change: patched(corrected), undo: patched(spec?.ingress) }
        : facts.case === "ports"
          ? { why: say.choosePort(), change: edit, undo: edit }
          : facts.case === "blocks"
            ? { why: say.allowPods(), change: edit, undo: edit }
            : facts.case === "peers"
              ? { why: say.correctPeer(), change: { run: `${labels}; ${edit.run}` }, undo: edit }
              : facts.case === "servers"
                ? { why: say.allowClients(), change: edit, undo: edit }
                : { why: say.allowCallers({ service: String(facts.service) }), change: edit, undo: edit };
      const steps = [{ ...step, verify: { run: describe } }];
      return [{ id: "correct-policy", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
    }
    const [podNamespace = "", pod = ""] = String(facts.pod).split("/");
    const verify = { run: sh`kubectl exec -n ${podNamespace} ${pod} -- getent hosts kubernetes.default.svc` };
    const { dns } = model;
    const { namespace, name } = repair;
    const [service] = dns.services;
    const numbers = [...new Set(dnsServers(model).map(({ port }) => port))];
    const ports = numbers.flatMap((port) => ["UDP", "TCP"].map((protocol) => ({ protocol, port })));
    // for the Pods that are isolated already, and no others: a policy also isolates whom it selects
    const target = { kind: repair.kind, ...(namespace && { namespace }), name: `${name}-allow-dns` };
    const servers = {
      namespace: service?.namespace ?? "kube-system",
      labels: service?.selector ?? { "k8s-app": "kube-dns" },
    };
    const metadata = { name: target.name, ...(namespace !== undefined && { namespace }) };
    const object = spec
      ? {
          apiVersion: "networking.k8s.io/v1",
          kind: target.kind,
          metadata,
          spec: {
            podSelector: spec.podSelector ?? {},
            policyTypes: ["Egress"],
            egress: [{ to: [peerFor(servers)], ports }],
          },
        }
      : {
          apiVersion: "cilium.io/v2",
          kind: target.kind,
          metadata,
          spec: {
            endpointSelector: (policy?.spec as CiliumPolicySpec | undefined)?.endpointSelector ?? {},
            egress: [
              {
                toEndpoints: [
                  {
                    matchLabels: { ...prefixed(servers.labels), "k8s:io.kubernetes.pod.namespace": servers.namespace },
                  },
                ],
                toPorts: [{ ports: numbers.map((port) => ({ port: String(port), protocol: "ANY" })) }],
              },
            ],
          },
        };
    return [
      {
        id: "allow-dns",
        risk: "low",
        interrupts: say.nothing(),
        steps: [
          {
            why: say.allowDns(),
            change: { do: "apply", object },
            undo: { do: "delete", target },
            verify,
          },
        ],
        prevent: [say.preventDns()],
      },
    ];
  },

  manual: {
    title: { en: "A NetworkPolicy denies what it meant to allow", zh: "NetworkPolicy 拒绝了本应放行的流量" },
    page: {
      en: `A NetworkPolicy isolates Pods and allows less than it can have meant: it lets Pods send to others by label and forgets DNS, allows ports on which the Pods do not listen, names peers that do not exist, or lets nobody in to Pods behind a Service that is called.

**How it looks.** Timeouts (Calico, Cilium) or refusals (kube-router) for the isolated Pods only. With DNS forgotten, everything by name fails ("Temporary failure in name resolution") while connections by address work.

**When this is not the cause.** A connection that a policy denies and that nobody needs is isolation, not a fault: netwhy lists it under "denied on purpose". Pods that may send nothing at all are taken to be locked in on purpose. Where nothing enforces policies, they deny nothing.`,
      zh: `NetworkPolicy 隔离了 Pod，但放行的少于其本意：按标签放行了出站目标却遗漏 DNS、放行的端口并非 Pod 监听的端口、对端并不存在，或者有人调用的 Service 背后的 Pod 不接受任何来源。

**现象。** 仅被隔离的 Pod 出现超时（Calico、Cilium）或被拒绝（kube-router）。遗漏 DNS 时，凡用域名的访问都失败（“Temporary failure in name resolution”），直接用地址则正常。

**何时不是它。** 策略拒绝、且没有人需要的连接是隔离而非故障，netwhy 将其列在“有意拒绝”中。完全不允许出站的 Pod 视为有意封闭。没有组件执行策略时，策略不拒绝任何流量。`,
    },
  },
});
