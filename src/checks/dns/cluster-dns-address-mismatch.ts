import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { PodView } from "../../model/pods.ts";
import { ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, presumed, works } from "../check.ts";

type Model = Pick<
  ClusterModel,
  "dns" | "nodes" | "services" | "pods" | "objects" | "connections" | "forwarding" | "components" | "time"
>;

const LINK_LOCAL = /^(169\.254\.|fe80:)/;

const say = texts("cluster-dns-address-mismatch", {
  nodeWrong: {
    en: "The kubelet of {node} gives Pods {address} as DNS server, which is none; cluster DNS is at {right}",
    zh: "节点 {node} 的 kubelet 让 Pod 使用 {address} 作为 DNS，而该地址不是 DNS Service；集群 DNS 的地址是 {right}",
  },
  nodeUntold: {
    en: "The kubelet of {node} has no clusterDNS: its Pods ask the node's own name servers, which know no Services; cluster DNS is at {right}",
    zh: "节点 {node} 的 kubelet 没有配置 clusterDNS：其 Pod 使用节点自己的域名服务器，它们不认识 Service；集群 DNS 的地址是 {right}",
  },
  cacheMissing: {
    en: "The kubelet of {node} gives its Pods {address} as DNS server, an address for a cache on the node, which has none",
    zh: "节点 {node} 的 kubelet 将 {address} 作为 DNS 服务器下发给 Pod，该地址属于节点本地缓存，而节点上并没有",
  },
  cacheLost: {
    en: "The kubelet of {node} gives its Pods {address} as DNS server, and no device of the node has that address any more: {cache} makes it when it starts",
    zh: "节点 {node} 的 kubelet 将 {address} 作为 DNS 服务器下发给 Pod，但节点上已没有网卡持有该地址：它由 {cache} 在启动时创建",
  },
  restartCache: {
    en: "Restart {cache} on {node}: it makes its device and its rules anew",
    zh: "重启 {node} 上的 {cache}：它会重新创建网卡和规则",
  },
  preventCache: {
    en: "Keep network managers off the device of the cache (NetworkManager: unmanaged-devices, systemd-networkd: Unmanaged=yes), and alert where Pods of a node resolve nothing",
    zh: "让网络管理程序不要管理缓存的网卡（NetworkManager：unmanaged-devices；systemd-networkd：Unmanaged=yes），并对节点上 Pod 无法解析域名设置告警",
  },
  nodeLost: {
    en: "The kubelet of {node} gives Pods {address} as DNS server; the cluster has no DNS Service",
    zh: "节点 {node} 的 kubelet 让 Pod 使用 {address} 作为 DNS，而该地址不是 DNS Service；集群中没有 DNS Service",
  },
  serviceWrong: {
    en: "All kubelets give Pods {address} as DNS server, which no Service has; {service} is at {right}",
    zh: "所有节点都让 Pod 使用 {address} 作为 DNS，而没有任何 Service 使用该地址；{service} 的地址是 {right}",
  },
  serviceMissing: {
    en: "All kubelets give Pods {address} as DNS server, and no Service has that address",
    zh: "所有节点都让 Pod 使用 {address} 作为 DNS，而没有任何 Service 使用该地址",
  },
  deleteService: {
    en: "Delete the Service: the address of one that exists cannot be changed",
    zh: "删除该 Service：已有 Service 的地址不能修改",
  },
  correctKubelet: {
    en: "Set clusterDNS to {right} and restart the kubelet",
    zh: "把 clusterDNS 改为 {right} 并重启 kubelet",
  },
  recreatePods: {
    en: "Make the Pods of the node anew, elsewhere for now: they keep the resolv.conf with which they were made",
    zh: "驱逐并重建该节点上的 Pod：Pod 会一直使用创建时生成的 resolv.conf",
  },
  restoreService: {
    en: "Make the Service again with the address that the kubelets give out",
    zh: "用 kubelet 下发的地址重建该 Service",
  },
  theRight: { en: "the address of the DNS Service", zh: "DNS Service 的地址" },
  preventConfig: {
    en: "Correct it in ConfigMap kube-system/kubelet-config as well: nodes that join, and `kubeadm upgrade node`, take it from there",
    zh: "同时修正 ConfigMap kube-system/kubelet-config：新加入的节点和 `kubeadm upgrade node` 都从那里取值",
  },
  preventService: {
    en: "Never delete the DNS Service to change it; deny its deletion by an admission policy",
    zh: "不要为了修改而删除 DNS Service；用准入策略禁止删除它",
  },
  evicts: {
    en: "Nothing at first; then the Pods of the node are made anew, as their disruption budgets allow",
    zh: "起初无影响；随后在 PodDisruptionBudget 允许的范围内重建该节点上的 Pod",
  },
  interrupts: { en: "Name resolution for a moment", zh: "域名解析短暂中断" },
});

/** As every installer makes them (cmd/kubeadm/app/phases/addons/dns/manifests.go). */
const DNS_PORTS = [
  { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
  { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
];

/** An address that a node must have itself, unless Cilium leads what is sent there to a Pod (LocalRedirectPolicy). */
const isMissingOn = (node: string, address: string, { forwarding, components }: Model): boolean =>
  LINK_LOCAL.test(address) &&
  components.byId("cilium").length === 0 &&
  known(forwarding.of(node).localAddresses)?.has(address) === false;

const isSeenOn = (node: string, address: string, { forwarding, components }: Model): boolean =>
  !LINK_LOCAL.test(address) ||
  components.byId("cilium").length > 0 ||
  known(forwarding.of(node).localAddresses) !== undefined;

/** Whether something that answers DNS may be at this address. */
function isDnsAddress(address: string, { dns, services, pods }: Model): boolean {
  const service = services.byClusterIp(address);
  if (service) return dns.services.includes(service) || service.ports.some(({ port }) => port === 53);
  return dns.isNodeLocal(address) || pods.byAddress(address) !== undefined;
}

/** Whether all that a Pod knows of DNS servers is what the kubelet gave it. */
const isToldByKubelet = ({ object: { spec } }: PodView): boolean =>
  (spec.dnsPolicy ?? "ClusterFirst") === "ClusterFirst" && (spec.dnsConfig?.nameservers ?? []).length === 0;

/** What a kubelet gives to its Pods, where its configuration was not seen: by what Pods ask, and by what the file is made from. */
function unseen({ name }: NodeView, model: Model): Finding {
  const { dns, pods, connections } = model;
  const capability = { name: "dns.client", node: name } as const;
  const askers = pods.onNode(name).filter((pod) => !pod.hostNetwork && isToldByKubelet(pod));
  const sources = new Set(askers.flatMap(({ addresses }) => addresses));
  const answered = dns.services
    .flatMap(({ clusterIps }) => clusterIps)
    .map((address) => connections.answeredTo(name, sources, address, 53))
    .find((one) => one !== undefined);
  if (answered) return works(capability, [answered]);
  const common = dns.commonClusterDns?.some((address) => isDnsAddress(address, model)) ?? false;
  return (common ? presumed : cannotTell)(capability, [{ kind: "kubeletConfig", place: { node: name } }]);
}

/** Newer than an hour: by default the API server forgets Events then. */
const FRESH = 3_600_000;

/** The kubelet says of its node that it has no address of cluster DNS (pkg/kubelet/network/dns/dns.go), since it was asked for one. */
function saidUntold(node: string, { objects, time }: Model): Evidence | undefined {
  const said = objects
    .all("events")
    .find(
      ({ reason, involvedObject, series, lastTimestamp, eventTime }) =>
        reason === "MissingClusterDNS" &&
        involvedObject?.kind === "Node" &&
        involvedObject.name === node &&
        (time.age(series?.lastObservedTime ?? lastTimestamp ?? eventTime) ?? FRESH) < FRESH,
    );
  return said && objects.quote("events", said, `Node ${node}: ${said.message ?? "MissingClusterDNS"}`);
}

function* untold(node: NodeView, evidence: Evidence, { dns, pods }: Model): Iterable<Finding> {
  const right = dns.services[0]?.clusterIps[0];
  const asking = pods.onNode(node.name).flatMap((pod) => {
    const resolver = dns.resolverOf(pod);
    const servers = resolver.state === "present" && isToldByKubelet(pod) ? resolver.value.nameservers : [];
    return servers.length > 0 ? [quoteOf(resolver.origin, `${pod.key}: nameserver ${servers[0]}`)] : [];
  });
  yield fault({
    repair: node.ref,
    related: [ref("ConfigMap", "kubelet-config", "kube-system")],
    nodes: [node.name],
    breaks: [{ name: "dns.client", node: node.name }],
    title: say.nodeUntold({ node: node.name, right: right ?? say.theRight() }),
    evidence: [evidence, ...asking.slice(0, 2)],
    strength: "direct",
    facts: { case: "untold", ...(right && { right }) },
  });
}

type Judged = { readonly node: NodeView; readonly wrong: string | undefined; readonly evidence: Evidence };

/** The kubelet gives Pods a DNS server that is none. */
export const clusterDnsAddressMismatch = defineCheck({
  id: "cluster-dns-address-mismatch",
  reads: ["dns", "nodes", "services", "pods", "objects", "connections", "forwarding", "components", "time"],

  *find(model) {
    const { dns, nodes, services, pods, objects } = model;
    const judged: Judged[] = [];
    for (const node of nodes.all) {
      if (!node.sampled) continue;
      const given = dns.clusterDnsOf(node.name);
      const capability = { name: "dns.client", node: node.name } as const;
      // what the file does not say may be said by the kubelet's flags
      if (!services.whole) {
        yield cannotTell(capability, [{ kind: "services" }]);
        continue;
      }
      if (!given || given.addresses.length === 0) {
        const said = saidUntold(node.name, model);
        if (said) yield* untold(node, said, model);
        else yield unseen(node, model);
        continue;
      }
      const isRight = given.addresses.some(
        (address) => isDnsAddress(address, model) && !isMissingOn(node.name, address, model),
      );
      const wrong = isRight ? undefined : given.addresses[0];
      judged.push({ node, wrong, evidence: given.evidence });
      if (!isRight) continue;
      // of the node's own addresses nothing is known: one for a cache may be among them
      const isSeen = given.addresses.some(
        (address) => isDnsAddress(address, model) && isSeenOn(node.name, address, model),
      );
      if (isSeen) yield works(capability, [given.evidence]);
      else yield presumed(capability, [{ kind: "links", place: { node: node.name } }]);
    }
    const wrong = judged.filter((one) => one.wrong !== undefined);
    const first = wrong[0];
    if (!first) return;
    const service = dns.services[0];
    const right = service?.clusterIps[0];
    // if all nodes agree on one address, it is the Service that moved or went away
    const isService =
      wrong.length === judged.length &&
      !LINK_LOCAL.test(first.wrong ?? "") &&
      (service === undefined || judged.length > 1) &&
      wrong.every((one) => one.wrong === first.wrong);
    if (isService) {
      const repair = service?.ref ?? ref("Service", "kube-dns", "kube-system");
      const title = service
        ? say.serviceWrong({ address: first.wrong!, service: refId(repair), right: right ?? "None" })
        : say.serviceMissing({ address: first.wrong! });
      yield fault({
        repair,
        nodes: wrong.map(({ node }) => node.name),
        breaks: wrong.map(({ node }) => ({ name: "dns.client", node: node.name }) as const),
        title,
        evidence: [
          ...wrong.slice(0, 3).map(({ evidence }) => evidence),
          service
            ? services.quote(service, `${refId(repair)}: clusterIP ${service.clusterIps.join(", ") || "None"}`)
            : objects.quoteAbsence("services", `no Service has the address ${first.wrong}`),
        ],
        strength: "direct",
        facts: { case: "service", address: first.wrong! },
      });
      return;
    }
    const [cache] = model.components.withDuty("node-dns").map((component) => component.ref);
    for (const { node, wrong: address, evidence } of wrong) {
      const isCache = LINK_LOCAL.test(address!);
      const affected = pods.onNode(node.name).flatMap((pod) => {
        const resolver = dns.resolverOf(pod);
        const asked = resolver.state === "present" && resolver.value.nameservers.includes(address!);
        return asked ? [quoteOf(resolver.origin, `${pod.key}: nameserver ${address}`)] : [];
      });
      yield fault({
        repair: node.ref,
        related: isCache && cache ? [cache] : [ref("ConfigMap", "kubelet-config", "kube-system")],
        nodes: [node.name],
        breaks: [{ name: "dns.client", node: node.name }],
        title: isCache
          ? cache
            ? say.cacheLost({ node: node.name, address: address!, cache: refId(cache) })
            : say.cacheMissing({ node: node.name, address: address! })
          : right
            ? say.nodeWrong({ node: node.name, address: address!, right })
            : say.nodeLost({ node: node.name, address: address! }),
        evidence: [
          evidence,
          ...(isCache
            ? [quoteOf(model.forwarding.of(node.name).links.origin, `no device of ${node.name} has ${address}`)]
            : []),
          ...affected.slice(0, 3),
        ],
        strength: "direct",
        facts: { case: isCache && cache ? "cache" : "node", address: address!, ...(right && { right }) },
      });
    }
  },

  remedies({ repair, related, facts }, { services }) {
    const cache = facts.case === "cache" ? related[0] : undefined;
    if (cache) {
      const { name: node } = repair;
      const step = {
        why: say.restartCache({ cache: refId(cache), node }),
        change: { do: "restart", component: cache, node } as const,
        verify: { run: sh`ip -brief address | grep -F ${String(facts.address)}`, node },
      };
      return [
        {
          id: "restart-cache",
          risk: "low",
          interrupts: say.interrupts(),
          steps: [step],
          prevent: [say.preventCache()],
        },
      ];
    }
    if (facts.case === "service") {
      const { namespace, name } = repair as { namespace: string; name: string };
      const object = services.get(namespace, name)?.object;
      const verify = { run: sh`kubectl get service -n ${namespace} ${name}` };
      const labels = object?.metadata.labels ?? { "k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS" };
      const { clusterIPs: _, ...spec } = object?.spec ?? { selector: { "k8s-app": "kube-dns" }, ports: DNS_PORTS };
      const restore = {
        why: say.restoreService(),
        change: {
          do: "apply",
          object: {
            apiVersion: "v1",
            kind: "Service",
            metadata: { name, namespace, labels },
            spec: { ...spec, clusterIP: String(facts.address) },
          },
        },
        undo: { do: "delete", target: repair },
        verify,
      } as const;
      const remove = {
        why: say.deleteService(),
        change: { do: "delete", target: repair },
        undo: {
          do: "apply",
          object: { apiVersion: "v1", kind: "Service", metadata: { name, namespace, labels }, spec: object?.spec },
        },
        verify,
      } as const;
      const steps = object ? [remove, restore] : [restore];
      return [
        { id: "restore-service", risk: "medium", interrupts: say.interrupts(), steps, prevent: [say.preventService()] },
      ];
    }
    const node = repair.name;
    const { address, right } = facts as { address?: string; right?: string };
    const set = (from: string, to: string) => {
      const expression = `/^clusterDNS:/,/^[^- ]/s/^ *- "*${from.replaceAll(".", "\\.")}"*$/- ${to}/`;
      return { run: sh`sed -i ${expression} /var/lib/kubelet/config.yaml && systemctl restart kubelet`, node };
    };
    const byHand = { run: "vi /var/lib/kubelet/config.yaml && systemctl restart kubelet", node };
    const verify = { run: "grep -A2 '^clusterDNS' /var/lib/kubelet/config.yaml", node };
    const correct = {
      why: say.correctKubelet({ right: right ?? say.theRight() }),
      change: right === undefined || address === undefined ? byHand : set(address, right),
      undo: right === undefined || address === undefined ? byHand : set(right, address),
      verify,
    };
    const drain = sh`kubectl drain ${node} --ignore-daemonsets --delete-emptydir-data`;
    const back = sh`kubectl uncordon ${node}`;
    const recreate = {
      why: say.recreatePods(),
      change: { run: `${drain} && ${back}` },
      undo: { run: back },
      verify: { run: "kubectl run -it --rm ask --image=busybox --restart=Never -- nslookup kubernetes.default" },
    };
    const prevent = [say.preventConfig()];
    return [{ id: "correct-kubelet", risk: "medium", interrupts: say.evicts(), steps: [correct, recreate], prevent }];
  },

  manual: {
    title: { en: "Pods are told a DNS server that is none", zh: "下发给 Pod 的 DNS 地址有误" },
    page: {
      en: `The kubelet writes the addresses of its \`clusterDNS\` into the resolv.conf of every Pod that it makes. On a node, or on all, this address belongs to no DNS Service. Or a kubelet has none to give: then it takes the node's own resolv.conf, and says so by Events \`MissingClusterDNS\`.

**How it looks.** Pods of the node resolve nothing ("no servers could be reached"), while asking the real address works (\`nslookup name 10.96.0.10\`). A Pod keeps the resolv.conf with which it was made: older ones may work while new ones fail, or the other way round after a correction.

**When this is not the cause.** Link-local addresses such as 169.254.20.10 are NodeLocal DNSCache and belong to no Service: the cache gives them to a device of its node (\`nodelocaldns\`) while it runs. Only where that is missing nobody answers.`,
      zh: `kubelet 把 \`clusterDNS\` 中的地址写入它创建的每个 Pod 的 resolv.conf。在某个节点（或所有节点）上，这个地址不属于任何 DNS Service。若 kubelet 没有配置该地址，则使用节点自己的 resolv.conf，并产生 \`MissingClusterDNS\` 事件。

**现象。** 该节点的 Pod 什么都解析不了（“no servers could be reached”），而直接向真正的地址查询则成功（\`nslookup name 10.96.0.10\`）。Pod 会一直使用创建时的 resolv.conf：因此旧 Pod 可能正常而新 Pod 失败，修正之后则相反。

**何时不是它。** 169.254.20.10 之类的链路本地地址属于 NodeLocal DNSCache，本来就不对应任何 Service：缓存运行时会把它配在节点的 \`nodelocaldns\` 网卡上。只有该网卡缺失时才无人应答。`,
    },
  },
});
