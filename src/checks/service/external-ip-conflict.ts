import { known } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, ref } from "../../model/ref.ts";
import type { Protocol } from "../../model/services/services.ts";
import { canonicalIp, formatIp, formatSocket } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "nodes" | "forwarding" | "dns" | "objects">;

const say = texts("external-ip-conflict", {
  api: {
    en: "Service {service} takes what is sent to the API server: its external address is {address}",
    zh: "Service {service} 截走了发往 API Server 的流量：其外部地址为 {address}",
  },
  kubelet: {
    en: "Service {service} takes what is sent to a kubelet: its external address is {address}",
    zh: "Service {service} 截走了发往 kubelet 的流量：其外部地址为 {address}",
  },
  upstream: {
    en: "Service {service} takes what is sent to an upstream DNS server: its external address is {address}",
    zh: "Service {service} 截走了发往上游 DNS 服务器的流量：其外部地址为 {address}",
  },
  service: {
    en: "Service {service} has the cluster IP of another as external address: {address} is {other}",
    zh: "Service {service} 将另一个 Service 的 ClusterIP 用作外部地址：{address} 属于 {other}",
  },
  takeAway: { en: "Take the address from the Service", zh: "从该 Service 中去掉此地址" },
  takeAwayAtHome: {
    en: "Take the address from the Service, past the rules that take its packets: on a node of the control plane, by its loopback address",
    zh: "从该 Service 中去掉此地址，并绕开截走报文的规则：在控制面节点上通过回环地址访问 API Server",
  },
  removeRule: {
    en: "Where kube-proxy does not learn of it for want of the API server, take its rule out by hand",
    zh: "若 kube-proxy 因连不上 API Server 而未能更新，则手动删除其规则",
  },
  interrupts: { en: "Who calls the Service at that address", zh: "通过该地址访问此 Service 的客户端" },
  prevent: {
    en: "Let nobody set externalIPs who need not: the admission plugin DenyServiceExternalIPs refuses new ones",
    zh: "不要允许无关人员设置 externalIPs：准入插件 DenyServiceExternalIPs 可拒绝新增",
  },
});

/** Where somebody is reached whom the cluster needs. */
type Needed = {
  readonly kind: "api" | "kubelet" | "upstream" | "service";
  readonly breaks: Capability;
  readonly evidence: Evidence;
  readonly who?: Ref;
};

/** An address that kube-proxy gives to a Service on every node, for one of its ports. */
type Claim = {
  readonly service: Ref;
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly evidence: Evidence;
};

const keyOf = (address: string, port: number, protocol: string) =>
  `${protocol.toUpperCase()} ${formatSocket(address, port)}`;

const KUBELET = 10250;
const DNS = 53;

function neededIn({ services, nodes, forwarding, dns, objects }: Model): ReadonlyMap<string, Needed> {
  const needed = new Map<string, Needed>();
  const upstream = [
    ...dns.forwards.flatMap(({ to, server }) =>
      to.flatMap((one) => {
        const address = canonicalIp(one.replace(/^dns:\/\//, "").replace(/:53$/, ""));
        return address && server.map
          ? { address, evidence: objects.quote("configmaps", server.map, `Corefile: forward … ${one}`) }
          : [];
      }),
    ),
    ...nodes.all.flatMap(({ name }) => {
      const resolver = dns.nodeResolver(name);
      return (known(resolver)?.nameservers ?? []).map((address) => ({
        address,
        evidence: quoteOf(resolver.origin, `nameserver ${address}`),
      }));
    }),
  ];
  for (const { address, evidence } of upstream) {
    if (services.byClusterIp(address)) continue;
    for (const protocol of ["UDP", "TCP"])
      needed.set(keyOf(address, DNS, protocol), { kind: "upstream", breaks: { name: "dns.upstream" }, evidence });
  }
  for (const service of services.all) {
    for (const port of service.ports)
      for (const address of service.clusterIps)
        needed.set(keyOf(address, port.port, port.protocol), {
          kind: "service",
          breaks: { name: "service.address", service: port.key },
          evidence: services.quote(service, `Service ${port.key}: clusterIP ${address}`),
          who: service.ref,
        });
  }
  for (const { name: node, ref: who, addresses } of nodes.all) {
    const { sockets, localAddresses } = forwarding.of(node);
    const own = new Set([...addresses, ...(known(localAddresses) ?? [])]);
    for (const { address, port, protocol, processes, line } of known(sockets) ?? []) {
      const isApi = processes.some(({ name }) => name.startsWith("kube-apiserver"));
      const isKubelet = port === KUBELET && processes.some(({ name }) => name === "kubelet");
      if (protocol !== "tcp" || !(isApi || isKubelet)) continue;
      const evidence = quoteOf({ ...sockets.origin, line }, `${node}: ${processes[0]!.name} at port ${port}`);
      const one: Needed = isApi
        ? { kind: "api", breaks: { name: "api.reach" }, evidence, who }
        : { kind: "kubelet", breaks: { name: "kubelet.answer", node }, evidence, who };
      const isAny = address === "*" || address === "0.0.0.0" || address === "::";
      for (const at of isAny ? own : [address]) needed.set(keyOf(at, port, "TCP"), one);
    }
  }
  const api = services.get("default", "kubernetes")?.ports[0];
  for (const { address, port, slice } of api ? services.endpoints(api) : []) {
    const evidence = services.quote(api!.service, `EndpointSlice ${slice.metadata.name}: ${address}:${port}`);
    const key = keyOf(address, port, "TCP");
    needed.set(key, needed.get(key) ?? { kind: "api", breaks: { name: "api.reach" }, evidence });
  }
  return needed;
}

function claimsOfServices({ services }: Model): Claim[] {
  return services.all
    .filter(({ proxied }) => proxied)
    .flatMap((service) =>
      [...service.externalIps, ...service.loadBalancerIps].flatMap((address) =>
        service.ports.map(({ port, protocol }) => ({
          service: service.ref,
          ...{ address, port, protocol },
          evidence: services.quote(
            service,
            `Service ${service.namespace}/${service.name}: external address ${address}`,
          ),
        })),
      ),
    );
}

/** Where the API server is cut off, its rules on the nodes say what a Service claims (kube-proxy's comments). */
const CLAIMING = /^([^/ ]+)\/([^: ]+)(?::\S+)? (?:external|loadbalancer) IP$/;

function claimsOfRules(node: string, { forwarding }: Model): Claim[] {
  const { iptables } = forwarding.of(node);
  const nat = known(iptables)?.tables.find(({ name }) => name === "nat");
  const rules = nat?.chains.find(({ name }) => name === "KUBE-SERVICES")?.rules ?? [];
  return rules.flatMap((rule): Claim[] => {
    const { conditions, line } = rule;
    const comments = conditions.flatMap((one) => (one.is === "comment" ? one.comment : []));
    const [to] = conditions.flatMap((one) => (one.is === "destination" ? one.prefix.ip : []));
    const [port] = conditions.flatMap((one) => (one.is === "destination-port" ? one.ports[0]!.from : []));
    const [protocol] = conditions.flatMap((one) => (one.is === "protocol" ? one.protocol : []));
    const [, namespace, name] = CLAIMING.exec(comments[0] ?? "") ?? [];
    if (namespace === undefined || name === undefined || !to || port === undefined || protocol === undefined) return [];
    const address = formatIp(to);
    return [
      {
        service: ref("Service", name, namespace),
        ...{ address, port, protocol: protocol.toUpperCase() as Protocol },
        evidence: quoteOf({ ...iptables.origin, line }, `${node}: ${comments[0]}, ${address}:${port}`),
      },
    ];
  });
}

/** A Service claims an address at which the cluster reaches somebody else. */
export const externalIpConflict = defineCheck({
  id: "external-ip-conflict",
  reads: ["services", "nodes", "forwarding", "dns", "objects"],

  *find(model: Model) {
    const { services, nodes } = model;
    if (!services.whole) yield cannotTell({ name: "service.address" }, [{ kind: "services" }]);
    const claims = services.whole
      ? claimsOfServices(model)
      : nodes.all.flatMap(({ name }) => claimsOfRules(name, model));
    if (claims.length === 0) return;
    const needed = neededIn(model);
    const taken = claims.flatMap((claim) => {
      const at = needed.get(keyOf(claim.address, claim.port, claim.protocol));
      return at ? [{ claim, at }] : [];
    });
    const grouped = Map.groupBy(taken, ({ claim, at }) => `${kubectlName(claim.service)} ${at.kind}`);
    for (const all of grouped.values()) {
      const { claim, at } = all[0]!;
      const address = formatSocket(claim.address, claim.port);
      const service = `${claim.service.namespace}/${claim.service.name}`;
      yield fault({
        repair: claim.service,
        related: [...new Set(all.flatMap((one) => one.at.who ?? []))],
        breaks: all.map((one) => one.at.breaks),
        title: say[at.kind]({ service, address, other: at.who ? `${at.who.namespace}/${at.who.name}` : "" }),
        evidence: [claim.evidence, at.evidence],
        strength: "direct",
        facts: { kind: at.kind, address: claim.address, port: claim.port },
      });
    }
  },

  remedies({ repair, facts }, { services }) {
    const { kind, address } = facts as { kind: Needed["kind"]; address: string };
    const { namespace = "default", name } = repair;
    const spec = services.get(namespace, name)?.object.spec;
    const left = (spec?.externalIPs ?? []).filter((one) => canonicalIp(one) !== address);
    const verify = { run: sh`kubectl get -n ${namespace} service ${name} -o wide` };
    const patch = (externalIPs: readonly string[]) =>
      ({ do: "patch", target: repair, patch: { spec: { externalIPs } } }) as const;
    const atHome =
      "kubectl --kubeconfig /etc/kubernetes/admin.conf --server https://127.0.0.1:6443 --tls-server-name kubernetes";
    const steps =
      kind === "api"
        ? [
            {
              why: say.takeAwayAtHome(),
              change: {
                run: `${atHome} ${sh`patch -n ${namespace} service ${name} --type merge -p ${JSON.stringify({ spec: { externalIPs: left } })}`}`,
              },
              verify,
            },
            {
              why: say.removeRule(),
              change: {
                run: `iptables-save -t nat | grep '^-A KUBE-SERVICES -d ${address}/32 ' | sed 's/^-A/iptables -t nat -D/' | sh`,
              },
              verify: { run: sh`iptables -t nat -S KUBE-SERVICES` },
            },
          ]
        : [
            {
              why: say.takeAway(),
              change: patch(left),
              undo: patch(spec?.externalIPs ?? []),
              verify,
            },
          ];
    return [{ id: "take-address", risk: "medium", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A Service claims somebody else's address", zh: "Service 占用了他人的地址" },
    page: {
      en: `A Service has an external address (\`externalIPs\`, or one that a load balancer gave it) at which, on the same port, the cluster reaches somebody else: the API server, a kubelet, an upstream DNS server, or another Service by its cluster IP. kube-proxy gives all of the cluster's packets to that address to the Service's Pods, on every node, and nobody is asked whether the address is the Service's.

**How it looks.** Of the API server: within a moment \`kubectl\` and all components get answers of a stranger (“wrong version number”, “certificate signed by unknown authority”, refused); connections that are open go on. Everything already programmed works. Of a DNS server: names outside the cluster fail, names of the cluster resolve.

**How it comes about.** Somebody wants a Service at a node's address, and takes a port that is taken. Whoever may write Services can do it by intent, too (CVE-2020-8554).

**When this is not the cause.** A node's address with a port on which nothing of the cluster listens is the usual way to use \`externalIPs\`.`,
      zh: `某个 Service 的外部地址（\`externalIPs\` 或负载均衡器分配的地址）加端口，正是集群访问其他对象所用的地址：API Server、kubelet、上游 DNS 服务器，或另一个 Service 的 ClusterIP。kube-proxy 会在每个节点上把发往该地址的报文全部转给该 Service 的 Pod，且不会校验地址归属。

**现象。** 若是 API Server：\`kubectl\` 和各组件很快得到陌生的应答（“wrong version number”、“certificate signed by unknown authority”或连接被拒绝），已建立的连接不受影响，已下发的规则照常工作。若是 DNS 服务器：集群外的域名解析失败，集群内的正常。

**成因。** 想让 Service 使用节点地址，却选了已被占用的端口。有权写 Service 的人也可能有意为之（CVE-2020-8554）。

**何时不是它。** 使用节点地址而端口上没有集群组件监听，是 \`externalIPs\` 的正常用法。`,
    },
  },
});
