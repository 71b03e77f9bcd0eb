import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Observation } from "../../model/observations.ts";
import type { PodView } from "../../model/pods.ts";
import { refId } from "../../model/ref.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";
import { rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "observations" | "services" | "dns" | "objects">;

const say = texts("dns-policy-ignored", {
  ignored: {
    en: "Pods of {owner} do not resolve {name}: on the host network dnsPolicy ClusterFirst means the node's own name servers, which know no Services",
    zh: "{owner} 的 Pod 解析不了 {name}：使用主机网络时，dnsPolicy 为 ClusterFirst 等于使用节点自己的域名服务器，它们不认识 Service",
  },
  set: {
    en: "Say dnsPolicy ClusterFirstWithHostNet in the Pod template",
    zh: "在 Pod 模板中设置 dnsPolicy 为 ClusterFirstWithHostNet",
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

/** Whether a Pod on the host network was to ask cluster DNS, for all that its template says, and asks its node's servers. */
function isIgnored({ node = "", hostNetwork, object }: PodView, { dns }: Model): boolean {
  const { dnsPolicy, dnsConfig } = object.spec;
  if (!hostNetwork || (dnsPolicy ?? "ClusterFirst") !== "ClusterFirst") return false;
  const asked = [...(dnsConfig?.nameservers ?? []), ...(known(dns.nodeResolver(node))?.nameservers ?? [])];
  const ofCluster = dns.clusterDnsOf(node)?.addresses ?? [];
  return !asked.some((address) => ofCluster.includes(address));
}

/** Programs on the host network call Services by name, and their resolver knows none. */
export const dnsPolicyIgnored = defineCheck({
  id: "dns-policy-ignored",
  reads: ["observations", "services", "dns", "objects"],

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
      const servers = known(resolver)?.nameservers ?? [];
      yield fault({
        repair: owner,
        related: [...pods.map(({ ref }) => ref), ...new Set(group.map(({ service }) => service.ref))],
        nodes: [...new Set(pods.flatMap(({ node }) => node ?? []))],
        breaks: pods.map(({ node = "", key }) => ({ name: "dns.client", node, pod: key })),
        title: say.ignored({ owner: refId(owner), name }),
        evidence: [
          model.objects.quote("pods", pod.object, `${pod.key}: hostNetwork: true, dnsPolicy: ${policyOf(pod)}`),
          ...(servers.length > 0 ? [quoteOf(resolver.origin, `${pod.node}: nameserver ${servers.join(", ")}`)] : []),
          ...group.slice(0, 2).map(({ one }: { readonly one: Observation }) => one.evidence),
        ],
        strength: "direct",
        // its template says so
        lost: true,
      });
    }
  },

  remedies({ repair }) {
    const to = (dnsPolicy: string) =>
      ({ do: "patch", target: repair, patch: { spec: { template: { spec: { dnsPolicy } } } } }) as const;
    const step = {
      why: say.set(),
      change: to("ClusterFirstWithHostNet"),
      undo: to("ClusterFirst"),
      verify: rolledOut(repair),
    };
    return [
      { id: "ask-cluster-dns", risk: "low", interrupts: say.restarts(), steps: [step], prevent: [say.prevent()] },
    ];
  },

  manual: {
    title: {
      en: "A Pod on the host network cannot resolve Services",
      zh: "使用主机网络的 Pod 解析不了 Service",
    },
    page: {
      en: `A Pod with \`hostNetwork: true\` and the usual dnsPolicy (ClusterFirst, which is also what is taken if nothing is said) gets the resolv.conf of its node: the kubelet falls back to \`Default\` without saying so. Names of Services are asked of the node's name servers, which do not know them.

**How it looks.** Could not resolve host / NXDOMAIN for names of Services, from these Pods alone, on every node; external names resolve, and so do Services by address.

**How it comes about.** \`hostNetwork: true\` was added to a workload that had used Services by name (metrics agents, ingress controllers, VPN and storage daemons).

**When this is not the cause.** If the node's own resolver forwards the cluster's domain to cluster DNS, such names resolve, and nothing is said. If Pods off the host network fail too, cluster DNS itself is at fault.`,
      zh: `\`hostNetwork: true\` 且 dnsPolicy 为默认值（ClusterFirst，未填写时也是它）的 Pod 得到的是所在节点的 resolv.conf：kubelet 会静默地按 \`Default\` 处理。Service 的域名于是发给了节点的域名服务器，而它们并不认识。

**现象。** 只有这些 Pod 在所有节点上解析 Service 域名时报 Could not resolve host 或 NXDOMAIN；外部域名正常，用地址访问 Service 也正常。

**成因。** 给原本按名称访问 Service 的工作负载（监控代理、Ingress 控制器、VPN 和存储守护进程）加上了 \`hostNetwork: true\`。

**何时不是它。** 若节点自己的解析器会把集群域名转发给集群 DNS，则能够解析，不会报告。若不使用主机网络的 Pod 也解析失败，问题在集群 DNS 本身。`,
    },
  },
});

const policyOf = ({ object }: PodView): string => object.spec.dnsPolicy ?? "ClusterFirst";
