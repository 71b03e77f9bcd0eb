import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Observation } from "../../model/observations.ts";
import type { PodView } from "../../model/pods.ts";
import { refId } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";
import { rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "observations" | "services" | "dns" | "objects" | "pods">;

const say = texts("dns-policy-ignored", {
  ignored: {
    en: "Pods of {owner} do not resolve {name}: on the host network dnsPolicy ClusterFirst means the node's own name servers, which know no Services",
    zh: "{owner} 的 Pod 解析不了 {name}：使用主机网络时，dnsPolicy 为 ClusterFirst 等于使用节点自己的域名服务器，它们不认识 Service",
  },
  ofNode: {
    en: "Pods of {owner} do not resolve {name}: dnsPolicy Default means the node's own name servers, which know no Services",
    zh: "{owner} 的 Pod 解析不了 {name}：dnsPolicy 为 Default 等于使用节点自己的域名服务器，它们不认识 Service",
  },
  ofItself: {
    en: "Pods of {owner} do not resolve {name}: with dnsPolicy None they ask {servers}, none of which is cluster DNS",
    zh: "{owner} 的 Pod 解析不了 {name}：dnsPolicy 为 None，使用的域名服务器 {servers} 都不是集群 DNS",
  },
  set: {
    en: "Say dnsPolicy {policy} in the Pod template",
    zh: "在 Pod 模板中设置 dnsPolicy 为 {policy}",
  },
  restarts: { en: "Its Pods are made anew, one after the other", zh: "其 Pod 会逐个重建" },
  prevent: {
    en: "Let admission set ClusterFirstWithHostNet for Pods with hostNetwork that do not choose (ValidatingAdmissionPolicy, Kyverno)",
    zh: "通过准入策略（ValidatingAdmissionPolicy、Kyverno）为使用 hostNetwork 且未指定策略的 Pod 设置 ClusterFirstWithHostNet",
  },
});

/** The Service of a name as a Pod of a namespace calls it; undefined if there is none. */
function serviceOf(name: string, { namespace }: PodView, { services }: Model) {
  const [first = "", second = namespace] = name.split(".");
  return services.get(second, first);
}

/** Policies by which a Pod off the host network asks others than cluster DNS, as its template says. */
const OTHER_SERVERS = /^(?:Default|None)$/;

/** Whether all that a Pod's template says leads it to servers that are none of the cluster's. */
function isIgnored(pod: PodView, { dns, services, pods }: Model): boolean {
  const { node = "", hostNetwork, object } = pod;
  const { dnsConfig } = object.spec;
  const policy = policyOf(pod);
  if (!OTHER_SERVERS.test(policy) && !(hostNetwork && policy === "ClusterFirst")) return false;
  const ofNode = policy === "None" ? [] : (known(dns.nodeResolver(node))?.nameservers ?? []);
  const asked = [...(dnsConfig?.nameservers ?? []), ...ofNode];
  const ofCluster = dns.clusterDnsOf(node)?.addresses ?? [];
  const mayKnow = (address: string) =>
    ofCluster.includes(address) ||
    services.byClusterIp(address) !== undefined ||
    pods.byAddress(address) !== undefined ||
    dns.isNodeLocal(address);
  return !asked.some(mayKnow);
}

/** Programs call Services by name, and the resolver that their dnsPolicy gives them knows none. */
export const dnsPolicyIgnored = defineCheck({
  id: "dns-policy-ignored",
  reads: ["observations", "services", "dns", "objects", "pods"],

  *find(model): Iterable<Finding> {
    // who is made by the kubelet itself, as control planes are, is not asked
    const complaints = model.observations.failed.flatMap((one) => {
      const { target, client } = one;
      const { pod } = client;
      if (one.how !== "heard" || target.is !== "name" || !pod?.owner || !isIgnored(pod, model)) return [];
      const service = serviceOf(target.name, pod, model);
      return service ? [{ pod, owner: pod.owner, service, name: target.name, one }] : [];
    });
    for (const group of Map.groupBy(complaints, ({ owner }) => refId(owner)).values()) {
      const [first] = group;
      if (!first) continue;
      const { pod, owner, name } = first;
      const pods = [...new Set(group.map((complaint) => complaint.pod))];
      const resolver = model.dns.nodeResolver(pod.node ?? "");
      const policy = policyOf(pod);
      const own = pod.object.spec.dnsConfig?.nameservers ?? [];
      const servers = policy === "None" ? [] : (known(resolver)?.nameservers ?? []);
      const said = [
        ...(pod.hostNetwork ? ["hostNetwork: true"] : []),
        `dnsPolicy: ${policy}`,
        ...(own.length > 0 ? [`nameservers: ${own.join(", ")}`] : []),
      ];
      yield fault({
        repair: owner,
        related: [...pods.map(({ ref }) => ref), ...new Set(group.map(({ service }) => service.ref))],
        nodes: [...new Set(pods.flatMap(({ node }) => node ?? []))],
        breaks: pods.map(({ node = "", key }) => ({ name: "dns.client", node, pod: key })),
        title:
          policy === "None"
            ? say.ofItself({ owner: refId(owner), name, servers: own })
            : (policy === "Default" ? say.ofNode : say.ignored)({ owner: refId(owner), name }),
        evidence: [
          model.objects.quote("pods", pod.object, `${pod.key}: ${said.join(", ")}`),
          ...(servers.length > 0 ? [quoteOf(resolver.origin, `${pod.node}: nameserver ${servers.join(", ")}`)] : []),
          ...group.slice(0, 2).map(({ one }: { readonly one: Observation }) => one.evidence),
        ],
        strength: "direct",
        // its template says so
        lost: true,
        facts: { policy, right: pod.hostNetwork ? "ClusterFirstWithHostNet" : "ClusterFirst" },
      });
    }
  },

  remedies({ repair, facts }) {
    const right = String(facts.right);
    const to = (dnsPolicy: string) =>
      ({ do: "patch", target: repair, patch: { spec: { template: { spec: { dnsPolicy } } } } }) as const;
    const step = {
      why: say.set({ policy: right }),
      change: to(right),
      undo: to(String(facts.policy)),
      verify: rolledOut(repair),
    };
    return [
      { id: "ask-cluster-dns", risk: "low", interrupts: say.restarts(), steps: [step], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: {
      en: "A Pod's dnsPolicy keeps it from resolving Services",
      zh: "Pod 的 dnsPolicy 使其解析不了 Service",
    },
    page: {
      en: `A Pod with \`hostNetwork: true\` and the usual dnsPolicy (ClusterFirst, which is also what is taken if nothing is said) gets the resolv.conf of its node: the kubelet falls back to \`Default\` without saying so. Names of Services are asked of the node's name servers, which do not know them. So it is with \`dnsPolicy: Default\`, which is not the default, and with \`None\` and name servers outside the cluster in \`dnsConfig\`.

**How it looks.** Could not resolve host / NXDOMAIN for names of Services, from these Pods alone, on every node; external names resolve, and so do Services by address.

**How it comes about.** \`hostNetwork: true\` was added to a workload that had used Services by name (metrics agents, ingress controllers, VPN and storage daemons). \`Default\` or \`None\` was set to avoid slow lookups of external names.

**When this is not the cause.** If the node's own resolver forwards the cluster's domain to cluster DNS, such names resolve, and nothing is said. If other Pods fail too, cluster DNS itself is at fault.`,
      zh: `\`hostNetwork: true\` 且 dnsPolicy 为默认值（ClusterFirst，未填写时也是它）的 Pod 得到的是所在节点的 resolv.conf：kubelet 会静默地按 \`Default\` 处理。Service 的域名于是发给了节点的域名服务器，而它们并不认识。\`dnsPolicy: Default\`（它并不是默认值），以及 \`None\` 加上 \`dnsConfig\` 中集群外的域名服务器，结果相同。

**现象。** 只有这些 Pod 在所有节点上解析 Service 域名时报 Could not resolve host 或 NXDOMAIN；外部域名正常，用地址访问 Service 也正常。

**成因。** 给原本按名称访问 Service 的工作负载（监控代理、Ingress 控制器、VPN 和存储守护进程）加上了 \`hostNetwork: true\`；或者为避免外部域名解析缓慢而设置了 \`Default\` 或 \`None\`。

**何时不是它。** 若节点自己的解析器会把集群域名转发给集群 DNS，则能够解析，不会报告。若其他 Pod 也解析失败，问题在集群 DNS 本身。`,
    },
  },
});

const policyOf = ({ object }: PodView): string => object.spec.dnsPolicy ?? "ClusterFirst";
