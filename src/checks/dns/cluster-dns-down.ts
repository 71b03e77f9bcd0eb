import { quoteOf } from "../../evidence/origin.ts";
import { formatSelector } from "../../model/labels.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, works } from "../check.ts";

const say = texts("cluster-dns-down", {
  notReady: {
    en: "Cluster DNS does not answer: no Pod of {workload} is ready (0 of {count})",
    zh: "集群 DNS 不可用：{workload} 的 {count} 个 Pod 均未就绪",
  },
  noPods: {
    en: "Cluster DNS does not answer: Service {service} selects no Pod",
    zh: "集群 DNS 不可用：Service {service} 没有选中任何 Pod",
  },
  noUdp: {
    en: "Service {service} has no UDP port 53, on which Pods ask for names",
    zh: "Service {service} 没有 UDP 53 端口，而 Pod 正是通过它查询域名",
  },
  addUdp: { en: "Give the Service its UDP port 53 again", zh: "为该 Service 恢复 UDP 53 端口" },
  changing: { en: "its Pods were coming up", zh: "其 Pod 正在启动或更替" },
  look: {
    en: "See why its Pods are not ready: what they say, and what their readiness probe is answered",
    zh: "查看其 Pod 未就绪的原因：日志，以及就绪探针得到的响应",
  },
  lookSelector: {
    en: "See which Pods the Service means, and whether its selector is theirs",
    zh: "查看该 Service 应选中哪些 Pod，以及选择器是否与其一致",
  },
  prevent: {
    en: "Run at least two replicas on different nodes, with a PodDisruptionBudget, and alert when fewer than two are ready",
    zh: "在不同节点上运行至少两个副本并配置 PodDisruptionBudget，就绪少于两个时告警",
  },
  nothing: { en: "Nothing", zh: "无" },
});

const SETTLING = 60_000;

type Model = Pick<ClusterModel, "time">;

/** Made or deleted a moment ago, by a rollout for one. */
function isPassing({ object, terminating }: PodView, { time }: Model): boolean {
  const { creationTimestamp, deletionTimestamp } = object.metadata;
  return (time.age(terminating ? deletionTimestamp : creationTimestamp) ?? SETTLING) < SETTLING;
}

/** No replica of cluster DNS is ready to answer. */
export const clusterDnsDown = defineCheck({
  id: "cluster-dns-down",
  reads: ["dns", "services", "objects", "pods", "time", "components"],

  *find(model) {
    const { dns, services, objects, pods, components } = model;
    const capability = { name: "dns.serve" } as const;
    if (dns.services.length === 0 && !services.whole) yield cannotTell(capability, [{ kind: "services" }]);
    for (const service of dns.services) {
      // without selector it leads to servers that are no Pods of the cluster
      if (!service.selector || !dns.isAsked(service)) continue;
      if (!service.ports.some(({ port, protocol }) => port === 53 && protocol === "UDP")) {
        const key = `${service.namespace}/${service.name}`;
        const ports = service.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(", ");
        yield fault({
          repair: service.ref,
          breaks: [capability],
          title: say.noUdp({ service: key }),
          evidence: [services.quote(service, `Service ${key}: ports ${ports}`)],
          strength: "direct",
          facts: { case: "no-udp" },
        });
        continue;
      }
      const selected = services.selected(service).filter(({ finished }) => !finished);
      const ready = selected.filter((pod) => pod.ready);
      const server =
        dns.servers.find(({ component }) => component.pods.some((pod) => selected.includes(pod))) ?? dns.servers[0];
      const vanished = components.withDuty("cluster-dns").find(({ leftBehind }) => leftBehind);
      const repair = server?.component.ref ?? vanished?.ref ?? service.ref;
      if (!pods.whole && ready.length === 0) {
        yield cannotTell(capability, [{ kind: "pods" }]);
      } else if (ready.length > 0) {
        // that a Pod is ready is no proof of an answer; it only leaves nothing to complain of
        yield works({ name: "pod.ready", service: `${service.namespace}/${service.name}` }, [
          quoteOf(objects.origin("pods", ready[0]!.object), `${ready[0]!.key}: Ready`),
        ]);
      } else if (selected.length === 0) {
        // its servers are there and it asks for others: that is said of every Service alike
        if (dns.missedBy(service).length > 0) continue;
        const title = say.noPods({ service: `${service.namespace}/${service.name}` });
        yield fault({
          repair,
          related: [service.ref],
          breaks: [capability],
          title,
          evidence: [
            services.quote(
              service,
              `Service ${service.namespace}/${service.name}: selector ${formatSelector({ matchLabels: { ...service.selector } })}, 0 Pods`,
            ),
          ],
          strength: "direct",
          facts: { case: "no-pods" },
        });
      } else {
        if (selected.every((pod) => isPassing(pod, model))) {
          yield cannotTell(capability, [], say.changing());
          continue;
        }
        const title = say.notReady({ count: selected.length, workload: refId(repair) });
        const evidence = selected.slice(0, 3).map((pod) => {
          const status = pod.object.status?.containerStatuses?.find((container) => !container.ready);
          return objects.quote(
            "pods",
            pod.object,
            `${pod.key}: not ready (${status?.state?.waiting?.reason ?? pod.object.status?.phase})`,
          );
        });
        yield fault({
          repair,
          related: [service.ref, ...selected.map((pod) => pod.ref)],
          breaks: [capability],
          title,
          evidence,
          strength: "direct",
        });
      }
    }
  },

  remedies({ repair, related, facts }, { services }) {
    const { namespace = "kube-system", name } = facts.case === "no-udp" ? repair : related[0]!;
    const service = services.get(namespace, name);
    if (facts.case === "no-udp") {
      const before = service?.object.spec.ports ?? [];
      const targetPort = before.find(({ port }) => port === 53)?.targetPort ?? 53;
      const holding = (ports: readonly object[]) =>
        ({ do: "patch", target: repair, patch: { spec: { ports } } }) as const;
      const step = {
        why: say.addUdp(),
        change: holding([{ name: "dns", port: 53, protocol: "UDP", targetPort }, ...before]),
        undo: holding(before),
        verify: { run: sh`kubectl get service -n ${namespace} ${name}` },
      };
      return [{ id: "add-udp", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [] }];
    }
    const labels = Object.entries(service?.selector ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(",");
    const slices = sh`kubectl get endpointslices -n ${namespace} -l ${`kubernetes.io/service-name=${name}`}`;
    const pods = sh`kubectl describe pods -n ${namespace} -l ${labels}`;
    const logs = sh`kubectl logs -n ${namespace} -l ${labels} --tail=20`;
    const shown = sh`kubectl get pods -n ${namespace} --show-labels; kubectl get service -n ${namespace} ${name} -o wide`;
    const step =
      facts.case === "no-pods"
        ? { why: say.lookSelector(), change: { run: shown }, verify: { run: slices } }
        : { why: say.look(), change: { run: `${pods}; ${logs}` }, verify: { run: slices } };
    return [{ id: "find-out", risk: "none", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "Cluster DNS is down", zh: "集群 DNS 不可用" },
    page: {
      en: `The Service of cluster DNS has no ready back end: CoreDNS is absent, crash-loops, or runs without becoming ready.

**How it looks.** Every name fails everywhere, cluster names and external ones. In iptables mode the query is refused at once ("no servers could be reached", \`connection refused\`); applications report "Temporary failure in name resolution" or "bad address". Connections by address work.

**When this is not the cause.** It is usually a link of the chain: behind it stand a Corefile that does not parse, a forwarding loop, lost permissions, or a network that keeps CoreDNS from the API server. If CoreDNS is ready and names fail on some nodes only, look at the rules and routes of those nodes.`,
      zh: `集群 DNS 的 Service 没有就绪的后端：CoreDNS 不存在、反复崩溃，或虽在运行却未就绪。

**现象。** 任何地方的任何域名都解析失败，包括集群内和外部域名。iptables 模式下查询立即被拒绝（“no servers could be reached”“connection refused”）；应用报告 “Temporary failure in name resolution” 或 “bad address”。直接使用地址则正常。

**何时不是它。** 它通常只是链条中的一环：背后可能是无法解析的 Corefile、转发环路、权限丢失，或网络问题使 CoreDNS 连不上 API Server。若 CoreDNS 已就绪而仅部分节点解析失败，应检查那些节点的规则和路由。`,
    },
  },
});
