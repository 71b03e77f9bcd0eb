import type { Evidence } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, ref, refId } from "../../model/ref.ts";
import type { ServicePort } from "../../model/services/services.ts";
import type { ApiService } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { fewOf, type Text, texts } from "../../text.ts";
import { defineCheck, fault, presumed } from "../check.ts";

type Model = Pick<ClusterModel, "objects" | "services" | "pods" | "nodes" | "policies" | "time">;

const say = texts("aggregated-api-unavailable", {
  unavailable: {
    en: "The API {api}, which another program serves, is unavailable: {why}. {effect}",
    zh: "由其他程序提供的 API {api} 不可用：{why}。{effect}",
  },
  noService: { en: "Service {service} does not exist", zh: "Service {service} 不存在" },
  noPort: { en: "Service {service} has no port {port}", zh: "Service {service} 没有端口 {port}" },
  noBackend: { en: "Service {service} has no ready back end", zh: "Service {service} 没有就绪的后端" },
  noAnswer: {
    en: "Service {service} does not answer the API server as it should ({words})",
    zh: "Service {service} 没有正常应答 API Server（{words}）",
  },
  denied: {
    en: "{policy} denies the API server the way to Service {service} ({words})",
    zh: "{policy} 禁止 API Server 访问 Service {service}（{words}）",
  },
  metrics: {
    en: "`kubectl top` and HorizontalPodAutoscalers get no figures",
    zh: "`kubectl top` 和 HorizontalPodAutoscaler 得不到指标",
  },
  discovery: {
    en: "kubectl complains of it, and a namespace that is deleted stays Terminating",
    zh: "kubectl 会因此报错，被删除的命名空间会一直处于 Terminating",
  },
  waiting: {
    en: "{namespaces} {count:stays|stay} Terminating for it",
    zh: "{namespaces}因此一直处于 Terminating",
  },
  both: { en: "{first}; {second}", zh: "{first}；{second}" },
  bringBack: {
    en: "Bring back what serves the API",
    zh: "恢复提供该 API 的程序",
  },
  allow: {
    en: "Let the policy allow the API server's nodes to reach the port of these Pods",
    zh: "让该策略放行 API Server 所在节点对这些 Pod 端口的访问",
  },
  remove: {
    en: "If what it belonged to is gone for good, delete the APIService: namespaces that wait are deleted then",
    zh: "若它所属的程序已不再使用，删除该 APIService，等待中的命名空间随即会被删除",
  },
  isGone: { en: "Nobody uses this API any more", zh: "该 API 已无人使用" },
  registerAnew: {
    en: "Install the program that serves it anew: its manifest brings the APIService",
    zh: "重新安装提供该 API 的程序，其清单中包含此 APIService",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Alert on the API server's metric aggregator_unavailable_apiservice, and delete the APIService together with the program that serves it",
    zh: "对 API Server 的指标 aggregator_unavailable_apiservice 设置告警；卸载程序时一并删除其 APIService",
  },
});

/** Milliseconds: the API server asks every half minute, and a program that has just started needs a moment. */
const SETTLING = 60_000;
const MOST_SAID = 160;
const METRICS = /(^|\.)metrics\.k8s\.io$/;

/** What the API server asked, before what it was answered: kube-aggregator remote_available_controller.go, net/url.Error */
const ASKED = /^failing or missing response from \S+: (?:Get "[^"]*": )?/;

const shortened = (words: string): string =>
  words.length > MOST_SAID ? `${words.slice(0, words.lastIndexOf(" ", MOST_SAID))} …` : words;

type Waiting = { readonly refs: readonly Ref[]; readonly evidence: readonly Evidence[] };

/**
 * The namespaces that are not deleted because an API cannot be asked what is in them.
 *
 * Source: kubernetes pkg/controller/namespace/deletion/status_condition_utils.go; the group and version stand in the error of
 * client-go discovery, ErrGroupDiscoveryFailed: `metrics.k8s.io/v1beta1: stale GroupVersion discovery: …`
 */
function waitingFor(groupVersion: string, { objects }: Model): Waiting {
  const told = objects.all("namespaces").flatMap((object) => {
    const condition = object.status?.conditions?.find(
      ({ type, status, message }) =>
        type === "NamespaceDeletionDiscoveryFailure" && status === "True" && message?.includes(`${groupVersion}:`),
    );
    if (!condition) return [];
    const quoted = `Namespace ${object.metadata.name}: ${condition.type}: ${shortened(condition.message ?? "")}`;
    return [{ ref: ref("Namespace", object.metadata.name), evidence: objects.quote("namespaces", object, quoted) }];
  });
  return { refs: told.map((one) => one.ref), evidence: told.slice(0, 2).map((one) => one.evidence) };
}

const MOST_NAMED = 3;

function effectOf(group: string, { refs }: Waiting): Text {
  const namespaces = fewOf(refs.map(refId), MOST_NAMED);
  const waits = refs.length > 0 ? say.waiting({ namespaces, count: refs.length }) : say.discovery();
  return METRICS.test(group) ? say.both({ first: say.metrics(), second: waits }) : waits;
}

/** The policies that keep an API server from every back end, from each node that one runs on. */
function denying(port: ServicePort, { services, pods, nodes, policies }: Model) {
  const servers = services.apiServerNodes.flatMap((name) => nodes.get(name) ?? []);
  const backends = services
    .endpoints(port)
    .flatMap(({ pod, port: number }) => (pod ? [{ pod: pods.get(pod.namespace, pod.name), number }] : []));
  if (policies.enforcement !== "enforced") return [];
  const verdicts = servers.flatMap(({ name, addresses }) =>
    backends.map(({ pod, number }) =>
      pod
        ? policies.verdict(
            { address: addresses[0] ?? "", node: name },
            { pod },
            { protocol: port.protocol, port: number },
          )
        : ({ state: "unknown" } as const),
    ),
  );
  return verdicts.every(({ state }) => state === "denied")
    ? verdicts.flatMap((verdict) => (verdict.state === "denied" ? verdict.by : []))
    : [];
}

type Behind = NonNullable<ApiService["spec"]["service"]>;

type Found = {
  readonly case: "gone" | "empty" | "silent" | "denied";
  readonly why: Text;
  readonly repair?: Ref;
  readonly evidence?: readonly Evidence[];
};

/** Why, as the lists tell, or in the API server's own words where they show nothing. */
function reasonOf(behind: Behind, said: string, model: Model): Found & { readonly asked: string } {
  const { services } = model;
  const { namespace, name } = behind;
  const number = behind.port ?? 443;
  const key = `${namespace}/${name}`;
  const service = services.get(namespace, name);
  const words = shortened(said.replace(ASKED, ""));
  const silent = { case: "silent", why: say.noAnswer({ service: key, words }), asked: key } as const;
  if (!service) return services.whole ? { case: "gone", why: say.noService({ service: key }), asked: key } : silent;
  const port = service.ports.find((one) => one.port === number);
  const evidence = [services.quote(service, `Service ${key}: ${service.ports.map((one) => one.port).join(", ")}`)];
  if (!port) return { case: "gone", why: say.noPort({ service: key, port: number }), evidence, asked: key };
  if (!services.endpoints(port).some(({ ready }) => ready) && services.endpointsWhole)
    return { case: "empty", why: say.noBackend({ service: key }), evidence, asked: port.key };
  const [policy] = denying(port, model);
  if (!policy) return { ...silent, asked: port.key };
  return {
    case: "denied",
    why: say.denied({ policy: refId(policy.ref), service: key, words }),
    repair: policy.ref,
    evidence: [model.policies.quote(policy, `${refId(policy.ref)}: no rule allows the API server's node`)],
    asked: port.key,
  };
}

/** An API that another program serves for the API server is unavailable. */
export const aggregatedApiUnavailable = defineCheck({
  id: "aggregated-api-unavailable",
  reads: ["objects", "services", "pods", "nodes", "policies", "time"],

  *find(model) {
    const { objects, time } = model;
    if (!objects.isWhole("apiservices")) yield presumed({ name: "api.extend" }, [{ kind: "apiservices" }]);
    for (const object of objects.all("apiservices")) {
      const { spec, status, metadata } = object;
      const available = status?.conditions?.find(({ type }) => type === "Available");
      if (!spec.service || available?.status !== "False") continue;
      if ((time.age(available.lastTransitionTime) ?? SETTLING) < SETTLING) continue;
      const own = ref("APIService", metadata.name);
      const asked = ref("Service", spec.service.name, spec.service.namespace);
      const found = reasonOf(spec.service, available.message ?? available.reason ?? "", model);
      const waiting = waitingFor(`${spec.group}/${spec.version}`, model);
      const said = `${metadata.name}: Available False, ${available.reason}: ${shortened(available.message ?? "")}`;
      const repair = found.repair ?? own;
      yield fault({
        repair,
        related: [...(repair === own ? [] : [own]), asked, ...waiting.refs],
        breaks: [{ name: "api.extend", service: found.asked }],
        title: say.unavailable({
          api: metadata.name,
          why: found.why,
          effect: effectOf(spec.group ?? "", waiting),
        }),
        evidence: [objects.quote("apiservices", object, said), ...(found.evidence ?? []), ...waiting.evidence],
        // that it does not answer is sure, and why is not
        strength: found.case === "silent" ? "heard" : "direct",
        since: available.lastTransitionTime ?? undefined,
        facts: {
          case: found.case,
          api: metadata.name,
          path: `/apis/${spec.group}/${spec.version}`,
          namespace: spec.service.namespace,
        },
      });
    }
  },

  remedies({ repair, facts }) {
    const api = kubectlName(ref("APIService", String(facts.api)));
    const verify = { run: `kubectl wait --for=condition=Available --timeout=2m ${api}` };
    const look = [
      sh`kubectl get service,endpointslices,pods -n ${String(facts.namespace)} -o wide`,
      sh`kubectl get --raw ${String(facts.path)}`,
    ].join("; ");
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const steps =
      facts.case === "denied"
        ? [{ why: say.allow(), change: edit, undo: edit, verify }]
        : [
            { why: say.bringBack(), change: { run: look }, verify },
            {
              why: say.remove(),
              precondition: say.isGone(),
              change: { run: `kubectl delete ${api}` },
              undo: say.registerAnew(),
              verify: { run: "kubectl get namespaces" },
            },
          ];
    return [{ id: "serve-again", risk: "low", interrupts: say.nothing(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "An aggregated API is unavailable", zh: "聚合 API 不可用" },
    page: {
      en: `An APIService tells the API server to hand the requests for a group of APIs to another program, by its Service: metrics-server, an adapter of metrics, Calico's or KubeVirt's API server. The API server asks it every half minute, and it does not answer: its Service does not exist (\`ServiceNotFound\`) or has no back end (\`MissingEndpoints\`, \`EndpointsNotFound\`), or nobody gets through to it (\`FailedDiscoveryCheck\`).

**How it looks.** \`kubectl get apiservices\` shows False. HorizontalPodAutoscalers stay at the number of Pods that they had (\`FailedGetResourceMetric\`), and \`kubectl top\` says \`Metrics API not available\`. Whatever asks the API server for all of its APIs gets an error with the rest: kubectl and helm complain of \`unable to retrieve the complete list of server APIs\`, and a namespace that is deleted stays Terminating with the condition NamespaceDeletionDiscoveryFailure, because nobody can tell whether something of that group is left in it. Pods and Services go on.

**How it comes about.** The program was removed and left its APIService; its Pods are not ready; the node of the control plane does not reach the Pod network (its own kube-proxy or CNI agent, a firewall, an API server that runs outside the Pod network); a NetworkPolicy of its namespace forgets the API server; its certificate does not fit \`caBundle\`.

**When this is not the cause.** If its Service has no back end for a reason of its own, or the way from the API server's node is broken, that reason stands above this.`,
      zh: `APIService 让 API Server 把某组 API 的请求经由 Service 转给另一个程序：metrics-server、指标适配器、Calico 或 KubeVirt 的 API Server。API Server 每半分钟询问它一次，而它没有应答：其 Service 不存在（\`ServiceNotFound\`）或没有后端（\`MissingEndpoints\`、\`EndpointsNotFound\`），或无法连通（\`FailedDiscoveryCheck\`）。

**现象。** \`kubectl get apiservices\` 显示 False。HorizontalPodAutoscaler 保持原有副本数（\`FailedGetResourceMetric\`），\`kubectl top\` 报 \`Metrics API not available\`。凡是向 API Server 查询全部 API 的操作都会连带出错：kubectl 和 helm 报 \`unable to retrieve the complete list of server APIs\`；被删除的命名空间一直处于 Terminating，带有 NamespaceDeletionDiscoveryFailure 条件，因为无法确认其中是否还有该组的对象。Pod 和 Service 不受影响。

**成因。** 程序已卸载却留下了 APIService；其 Pod 未就绪；控制面节点无法访问 Pod 网络（该节点的 kube-proxy 或 CNI 代理、防火墙，或 API Server 运行在 Pod 网络之外）；所在命名空间的 NetworkPolicy 遗漏了 API Server；其证书与 \`caBundle\` 不符。

**何时不是它。** 若其 Service 因自身原因没有后端，或从 API Server 所在节点出发的路径已断，该原因会排在本项之上。`,
    },
  },
});
