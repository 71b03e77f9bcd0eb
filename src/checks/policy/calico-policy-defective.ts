import type { Evidence } from "../../evidence/origin.ts";
import type { CalicoPolicyView } from "../../model/calico/policies.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import type { Denying, PolicyTraffic } from "../../model/policies/views.ts";
import { kubectlName, refId, sameRef } from "../../model/ref.ts";
import type { ServicePort } from "../../model/services/services.ts";
import { type Text, texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault } from "../check.ts";

const PARTS = ["policies", "pods", "services", "dns", "observations", "components"] as const;
type Model = Pick<ClusterModel, (typeof PARTS)[number]>;

const say = texts("calico-policy-defective", {
  dns: {
    en: "Calico's {policies} {count:keeps|keep} {pods} {pods:Pod|Pods} from cluster DNS, such as {pod}: {how}",
    zh: "Calico 策略 {policies} 使 {pods} 个 Pod 无法访问集群 DNS（例如 {pod}）：{how}",
  },
  callers: {
    en: "Calico's {policies} {count:denies|deny} every caller of {services} {services:Service|Services}, such as {service}: {how}",
    zh: "Calico 策略 {policies} 拒绝了 {services} 个 Service（例如 {service}）的所有调用方：{how}",
  },
  byRule: { en: "a Deny rule of {direction} comes first", zh: "{direction} 方向的 Deny 规则先命中" },
  byEnd: { en: "none of their rules of {direction} allows it", zh: "{direction} 方向没有任何规则放行" },
  allowDns: {
    en: "Let the Pods ask cluster DNS, port 53 by UDP and TCP: by a rule of this policy, or by a policy with a lower order",
    zh: "放行这些 Pod 访问集群 DNS 的 53 端口（UDP 和 TCP）：在该策略中加规则，或用 order 更小的策略放行",
  },
  allowCallers: {
    en: "Decide who may call {service}: correct the policy's selectors or its order, add a rule that allows them, or remove it",
    zh: "确定允许谁访问 {service}：修正该策略的选择器或 order，添加放行规则，或删除该策略",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Begin with a policy of the action Log, or limit a default-deny policy to namespaces with a label, and try it on one; exclude kube-system and calico-system, and allow DNS in the same change",
    zh: "先用 Log 动作观察，或把默认拒绝策略限定在带标签的命名空间并先在一个上试用；排除 kube-system 和 calico-system，并在同一次变更中放行 DNS",
  },
  unread: {
    en: "whom policies of Calico select could not be read",
    zh: "无法解读 Calico 策略选择了哪些 Pod",
  },
});

const isCalico = (policy: Denying): boolean => policy.ref.kind !== "NetworkPolicy";

/** What policies deny a connection, if Calico's own are among them. */
type Denial = { readonly direction: "ingress" | "egress"; readonly by: readonly Denying[] };

function denialOf(from: PodView, to: PodView, traffic: PolicyTraffic, { policies }: Model): Denial | undefined {
  const verdict = policies.verdict({ pod: from }, { pod: to }, traffic);
  return verdict.state === "denied" && verdict.by.some(isCalico) ? verdict : undefined;
}

/** The denial that all of these come to; undefined if one is let through. */
function common(denials: Iterable<Denial | undefined>): Denial | undefined {
  let first: Denial | undefined;
  for (const denial of denials) {
    if (!denial) return undefined;
    first ??= denial;
  }
  return first;
}

const keyOf = ({ direction, by }: Denial): string => `${direction} ${by.map(({ ref }) => refId(ref)).join(" ")}`;

function toDns(pod: PodView, model: Model): Denial | undefined {
  const asked = model.dns.services.flatMap((service) =>
    service.ports
      // resolvers ask by UDP, and by TCP only when they are told to
      .filter(({ port, protocol }) => port === 53 && protocol === "UDP")
      .flatMap((port) => backendsOf(port, model).map((backend) => ({ ...backend, protocol: port.protocol }))),
  );
  if (asked.length === 0 || asked.some((server) => server.pod.key === pod.key)) return undefined;
  return common(asked.map(({ pod: server, protocol, port }) => denialOf(pod, server, { protocol, port }, model)));
}

type Backend = { readonly pod: PodView; readonly port: number };

/** A Service's Pods, with the port on which each is spoken to. */
const backendsOf = (port: ServicePort, { services, pods }: Model): Backend[] =>
  services.endpoints(port).flatMap(({ pod: target, port: number }) => {
    const pod = target && pods.get(target.namespace, target.name);
    return pod && number !== undefined ? [{ pod, port: number }] : [];
  });

/** Asks cluster DNS unless told otherwise, which is the default of the API. */
const usesClusterDns = ({ object, hostNetwork, finished }: PodView) =>
  !hostNetwork &&
  !finished &&
  ["ClusterFirst", "ClusterFirstWithHostNet", null, undefined].includes(object.spec.dnsPolicy);

type Group = { readonly denial: Denial; readonly pods: PodView[] };

function* judgeDns(model: Model): Iterable<Defect> {
  const { pods, observations, components } = model;
  const cached = new Set(components.withDuty("node-dns").flatMap((cache) => cache.pods.map(({ node }) => node)));
  const groups = new Map<string, Group>();
  for (const pod of pods.all) {
    if (!usesClusterDns(pod) || cached.has(pod.node)) continue;
    const denial = toDns(pod, model);
    if (!denial) continue;
    const group = groups.get(keyOf(denial)) ?? { denial, pods: [] };
    group.pods.push(pod);
    groups.set(keyOf(denial), group);
  }
  for (const { denial, pods: cut } of groups.values()) {
    const complains = observations.failed.filter(
      ({ client, target }) => target.is === "name" && cut.some(({ key }) => key === client.pod?.key),
    );
    // a namespace alone may be locked in on purpose
    const namespaces = new Set(cut.map(({ namespace }) => namespace));
    if (complains.length === 0 && namespaces.size === 1) continue;
    yield {
      denial,
      title: (how) =>
        say.dns({ policies: namesOf(denial), count: denial.by.length, pods: cut.length, pod: cut[0]!.key, how }),
      evidence: complains.map(({ evidence }) => evidence),
      facts: { case: "dns" },
    };
  }
}

/** Services that Pods call in vain, and whose Pods no other Pod of the cluster is let in to. */
function* judgeCallers(model: Model): Iterable<Defect> {
  const groups = new Map<string, { denial: Denial; services: string[]; evidence: Evidence[] }>();
  for (const service of model.services.all) {
    if (!service.selector) continue;
    const failed = model.observations.failedOn(service).filter(({ client }) => client.network === "pod");
    const [port] = service.ports;
    const backends = port ? backendsOf(port, model) : [];
    if (failed.length === 0 || !port || backends.length === 0) continue;
    const callers = model.pods.all.filter(
      (one) => !one.hostNetwork && !one.finished && !backends.some(({ pod }) => pod.key === one.key),
    );
    const traffic = (to: Backend) => ({ protocol: port.protocol, port: to.port });
    const isLetIn = callers.some((from) =>
      backends.some((to) => model.policies.verdict({ pod: from }, { pod: to.pod }, traffic(to)).state !== "denied"),
    );
    const inVain = failed.flatMap(({ client }) => client.pod ?? []);
    const denial = common(inVain.flatMap((from) => backends.map((to) => denialOf(from, to.pod, traffic(to), model))));
    if (isLetIn || !denial) continue;
    const group = groups.get(keyOf(denial)) ?? { denial, services: [], evidence: [] };
    group.services.push(`${service.namespace}/${service.name}`);
    group.evidence.push(...failed.slice(0, 2).map(({ evidence }) => evidence));
    groups.set(keyOf(denial), group);
  }
  for (const { denial, services, evidence } of groups.values()) {
    const service = services[0]!;
    const args = { policies: namesOf(denial), count: denial.by.length, services: services.length, service };
    yield { denial, title: (how) => say.callers({ ...args, how }), evidence, facts: { case: "callers", service } };
  }
}

type Defect = {
  readonly denial: Denial;
  readonly title: (how: Text) => Text;
  readonly evidence: readonly Evidence[];
  readonly facts: { readonly case: "dns" | "callers"; readonly service?: string };
};

const namesOf = ({ by }: Denial) => by.map(({ ref }) => refId(ref));

/** The one whose rule denies; of those that only do not allow, the first in Calico's order. */
const culpritOf = ({ by }: Denial): Denying => by.find(isCalico)!;

const deniesByRule = ({ by, direction }: Denial, { policies }: Model): boolean => {
  const view = policies.calico.all.find(({ ref }) => by.length === 1 && sameRef(ref, by[0]!.ref));
  return view?.object.spec?.[direction]?.some(({ action }) => action === "Deny") === true;
};

const quoteOf = ({ by }: Denial, { policies }: Model): Evidence[] =>
  by.map(
    (policy) =>
      policies.calico.all.find((view): view is CalicoPolicyView => sameRef(view.ref, policy.ref))?.evidence ??
      policies.quote(policy, refId(policy.ref)),
  );

/** A policy of Calico's own kinds denies what no policy means to deny. */
export const calicoPolicyDefective = defineCheck({
  id: "calico-policy-defective",
  reads: PARTS,

  *find(model): Iterable<Finding> {
    const { policies, pods } = model;
    if (policies.calico.all.length === 0) return;
    if (!policies.whole || !pods.whole) {
      const kinds = [
        ...(policies.whole ? [] : (["networkpolicies", "namespaces"] as const)),
        ...(pods.whole ? [] : (["pods"] as const)),
      ];
      yield cannotTell(
        { name: "policy.allow" },
        kinds.map((kind) => ({ kind })),
      );
      return;
    }
    const unread = pods.all.some((pod) =>
      (["ingress", "egress"] as const).some((direction) => !policies.calico.selecting(pod, direction)),
    );
    if (unread) yield cannotTell({ name: "policy.allow" }, [], say.unread());
    for (const { denial, title, evidence, facts } of [...judgeDns(model), ...judgeCallers(model)]) {
      const how = (deniesByRule(denial, model) ? say.byRule : say.byEnd)({ direction: denial.direction });
      const culprit = culpritOf(denial);
      yield fault({
        repair: culprit.ref,
        related: denial.by.map(({ ref }) => ref).filter((ref) => !sameRef(ref, culprit.ref)),
        breaks: denial.by.map(({ ref }) => ({ name: "policy.allow", policy: refId(ref) })),
        title: title(how),
        evidence: [...quoteOf(denial, model), ...evidence.slice(0, 2)],
        strength: "direct",
        facts,
      });
    }
  },

  remedies({ repair, facts }) {
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const why = facts.case === "dns" ? say.allowDns() : say.allowCallers({ service: String(facts.service) });
    const verify = { run: `kubectl get ${kubectlName(repair)} -o yaml` };
    const steps = [{ why, change: edit, undo: edit, verify }];
    return [{ id: "correct-policy", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A Calico policy denies what nobody means to deny", zh: "Calico 策略误拒了流量" },
    page: {
      en: `A GlobalNetworkPolicy or a NetworkPolicy of Calico's own kind (crd.projectcalico.org) keeps Pods from cluster DNS, or denies every caller of a Service that is called. netwhy puts all policies in Calico's order, NetworkPolicies of Kubernetes among them at 1000, and asks what becomes of each connection.

**How it looks.** Connections time out; nothing is refused, nothing is logged. Pods whose DNS is cut fail with \`Could not resolve host\`, whatever they call. \`kubectl get networkpolicy\` shows none of these policies: \`kubectl get globalnetworkpolicies.crd.projectcalico.org,networkpolicies.crd.projectcalico.org -A\` does.

**How it comes about.** A default-deny policy for the whole cluster without a rule for DNS. Policies are asked by their order, the lowest first, and the first Allow or Deny decides: a Deny with a low order comes before every Allow behind it. As soon as one policy selects a Pod for a direction, whatever no rule allows is denied. A selector with a typo allows nobody.

**When this is not the cause.** What a policy denies to some and allows to others is isolation, and is told as a denial that is meant. If rules on a node differ from the policies, that has a page of its own.`,
      zh: `GlobalNetworkPolicy 或 Calico 自有类型的 NetworkPolicy（crd.projectcalico.org）使 Pod 无法访问集群 DNS，或拒绝了某个正在被调用的 Service 的所有调用方。netwhy 按 Calico 的顺序排列所有策略（Kubernetes 的 NetworkPolicy 位于 1000），逐一判断每个连接的结果。

**现象。** 连接超时，既没有拒绝也没有日志。DNS 被切断的 Pod 无论访问什么都报 \`Could not resolve host\`。\`kubectl get networkpolicy\` 看不到这些策略，需用 \`kubectl get globalnetworkpolicies.crd.projectcalico.org,networkpolicies.crd.projectcalico.org -A\`。

**成因。** 面向整个集群的默认拒绝策略没有放行 DNS。策略按 order 从小到大依次匹配，先命中的 Allow 或 Deny 生效：order 小的 Deny 会先于其后所有 Allow。只要有一条策略在某方向上选中了 Pod，未被任何规则放行的流量就会被拒绝。选择器写错则等于谁也不放行。

**何时不是它。** 对一部分调用方拒绝、对另一部分放行属于隔离，报告中列为有意的拒绝。若节点上的规则与策略不一致，另有页面说明。`,
    },
  },
});
