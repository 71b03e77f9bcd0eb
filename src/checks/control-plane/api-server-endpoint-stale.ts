import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import { ref, refId } from "../../model/ref.ts";
import { formatSocket } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, presumed, works } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "nodes" | "pods" | "components" | "objects" | "forwarding" | "time">;

const say = texts("api-server-endpoint-stale", {
  stale: {
    en: "EndpointSlice default/kubernetes still names {address}, where no API server is: {dead} of every {all} connections to {service} {dead:goes|go} there",
    zh: "EndpointSlice default/kubernetes 仍列有 {address}，而那里没有 API Server：发往 {service} 的每 {all} 个连接中有 {dead} 个会落空",
  },
  reachable: { en: "nothing shows whether an API server is there", zh: "没有证据表明那里是否有 API Server" },
  see: {
    en: "See which API servers there are, and how they keep their addresses (`--endpoint-reconciler-type`: with `lease`, the default, one that is gone is taken out within seconds)",
    zh: "查看现有哪些 API Server，以及它们如何登记地址（`--endpoint-reconciler-type`：默认的 `lease` 会在数秒内移除已消失的地址）",
  },
  remove: {
    en: "Take the address out of Endpoints and EndpointSlice; with `master-count`, correct --apiserver-count first, or it is written again",
    zh: "从 Endpoints 和 EndpointSlice 中删除该地址；若使用 `master-count`，应先更正 --apiserver-count，否则会被重新写入",
  },
  interrupts: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Keep `--endpoint-reconciler-type=lease`, and remove control-plane nodes with `kubeadm reset`, then from etcd's members and the load balancer",
    zh: "保持 `--endpoint-reconciler-type=lease`；移除控制面节点时使用 `kubeadm reset`，并将其从 etcd 成员和负载均衡中删除",
  },
});

/** An API server renews its own lease every ten seconds (kubernetes pkg/controlplane/apiserver/server.go). */
const FRESH = 120_000;
const IDENTITY = "apiserver.kubernetes.io/identity";

/** How many API servers say that they are there; undefined if none ever does (before 1.26). */
function livingServers({ objects, time }: Model): number | undefined {
  const leases = objects.all("leases").filter(({ metadata }) => metadata.labels?.[IDENTITY] !== undefined);
  if (leases.length === 0 || !objects.isWhole("leases")) return undefined;
  return leases.filter(({ spec }) => (time.age(spec?.renewTime) ?? 0) < FRESH).length;
}

type Servers = readonly {
  readonly ready: boolean;
  readonly addresses: ReadonlySet<string>;
  readonly evidence: Evidence;
}[];

/** The API servers that run as Pods, with the addresses that they have or are told to give out. */
function serversOf({ components, objects }: Model): Servers {
  return components
    .byId("kube-apiserver")
    .flatMap((component) => component.pods)
    .map((pod) => {
      const told = pod.object.spec.containers
        .flatMap(({ command, args }) => [...(command ?? []), ...(args ?? [])])
        .flatMap((word) => /^--advertise-address=(.+)$/.exec(word)?.[1] ?? []);
      return {
        ready: pod.ready,
        addresses: new Set([...pod.addresses, ...told]),
        evidence: objects.quote("pods", pod.object, `${pod.key}: ${pod.addresses.join(", ")}`),
      };
    });
}

/** The Service `kubernetes` leads to an API server that is gone. */
export const apiServerEndpointStale = defineCheck({
  id: "api-server-endpoint-stale",
  reads: ["services", "nodes", "pods", "components", "objects", "forwarding", "time"],

  *find(model) {
    const { services, nodes, pods, objects, forwarding } = model;
    const port = services.get("default", "kubernetes")?.ports[0];
    if (!port) return;
    const endpoints = port.service.families.flatMap((family) => services.endpoints(port, family));
    const servers = serversOf(model);
    const living = livingServers(model);
    const isOfNodes = endpoints.some(({ address }) => nodes.byAddress(address));
    const isHeld = (address: string) =>
      nodes.all.some(({ name }) => known(forwarding.of(name).localAddresses)?.has(address));
    /** Whether an address at which no server is seen is nobody's. */
    const isNobodys = (address: string): boolean => {
      if (endpoints.length === 1 || (living !== undefined && living >= endpoints.length)) return false;
      const node = nodes.byAddress(address);
      if (servers.length > 0) return node !== undefined || !isHeld(address);
      // without Pods of them, only a count tells, and only where they are nodes
      return isOfNodes && node === undefined && !isHeld(address) && living !== undefined;
    };
    const stale: (typeof endpoints)[number][] = [];
    for (const endpoint of endpoints) {
      const { address } = endpoint;
      const capability = { name: "service.backend", service: port.key, address } as const;
      const server = servers.find((one) => one.addresses.has(address));
      // who answered with what we read is one of them
      const isOnly = endpoints.length === 1;
      const quoted = quoteOf(
        objects.origin("endpointslices", endpoint.slice),
        `default/kubernetes: ${formatSocket(address, endpoint.port)}`,
      );
      if (server?.ready) yield works(capability, [quoted, server.evidence]);
      else if (server) continue;
      else if (isOnly || (living !== undefined && living >= endpoints.length)) yield works(capability, [quoted]);
      else if (!pods.whole) yield cannotTell(capability, [{ kind: "pods" }]);
      else if (!nodes.whole) yield cannotTell(capability, [{ kind: "nodes" }]);
      else if (isNobodys(address)) stale.push(endpoint);
      else yield presumed(capability, [], say.reachable());
    }
    const [first] = stale;
    if (!first) return;
    const node = nodes.byAddress(first.address);
    yield fault({
      repair: ref("EndpointSlice", first.slice.metadata.name, "default"),
      related: [ref("Endpoints", "kubernetes", "default"), port.service.ref, ...(node ? [node.ref] : [])],
      breaks: stale.map(({ address }) => ({ name: "service.backend", service: port.key, address })),
      title: say.stale({
        address: stale.map(({ address, port: number }) => formatSocket(address, number)),
        dead: stale.length,
        all: endpoints.length,
        service: port.service.clusterIps.map((address) => formatSocket(address, port.port)),
      }),
      evidence: [
        objects.quote(
          "endpointslices",
          first.slice,
          `default/kubernetes: ${endpoints.map(({ address }) => address).join(", ")}`,
        ),
        node
          ? objects.quoteAbsence("pods", `no kube-apiserver on node ${node.name} (${first.address})`)
          : objects.quoteAbsence("nodes", `no Node has ${first.address}`),
        ...servers.slice(0, 3).map(({ evidence }) => evidence),
        ...(living === undefined ? [] : [objects.quoteAbsence("leases", `API servers that renew a lease: ${living}`)]),
      ],
      strength: "direct",
      facts: { addresses: stale.map(({ address }) => address) },
    });
  },

  remedies({ repair }) {
    const shown = { run: "kubectl get endpoints,endpointslices -n default kubernetes -o wide" };
    const servers = `kubectl get leases -n kube-system -l ${IDENTITY}; kubectl get pods -n kube-system -o yaml | grep -- --endpoint-reconciler-type`;
    const edit = {
      run: `kubectl edit -n default endpoints/kubernetes ${refId(repair).split("/")[0]!.toLowerCase()}/${repair.name}`,
    };
    const steps = [
      { why: say.see(), change: { run: servers }, verify: shown },
      { why: say.remove(), change: edit, undo: edit, verify: shown },
    ];
    return [{ id: "remove-address", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "The Service kubernetes leads to an API server that is gone",
      zh: "Service kubernetes 指向了已不存在的 API Server",
    },
    page: {
      en: `The EndpointSlice of Service default/kubernetes names an address at which there is no API server any more. API servers write it themselves, each its own address; no controller looks after it.

**How it looks.** Every n-th connection to the cluster IP (10.96.0.1) runs into nothing: clients in Pods (CoreDNS, operators, CNI agents) log \`dial tcp 10.96.0.1:443: i/o timeout\` or \`connect: no route to host\` now and then and try again, some do not start. \`kubectl\` from outside, by the load balancer or a node's own address, is well.

**How it comes about.** With the lease reconciler, the default, each API server's address is kept in etcd with a time limit of 15 seconds, and those that are gone are taken out by the others. It stays where the API servers use \`--endpoint-reconciler-type=master-count\` (or \`none\`) and one was removed, or its address changed; where somebody edited it; or after a restore of etcd (kubernetes pkg/controlplane/reconcilers).

**When this is not the cause.** An API server whose Pod is there and not ready is component-crash-loop's. Where the control plane is not to be seen (managed clusters), the address is trusted, unless fewer API servers renew their leases (label \`apiserver.kubernetes.io/identity\`) than there are addresses.`,
      zh: `Service default/kubernetes 的 EndpointSlice 中列有已没有 API Server 的地址。该对象由各 API Server 自己写入自己的地址，没有控制器维护它。

**现象。** 发往 ClusterIP（10.96.0.1）的连接每隔几个就有一个落空：Pod 中的客户端（CoreDNS、Operator、CNI 代理）不时输出 \`dial tcp 10.96.0.1:443: i/o timeout\` 或 \`connect: no route to host\` 并重试，有的无法启动。从集群外经负载均衡或节点自身地址使用 \`kubectl\` 则正常。

**成因。** 默认的 lease 方式在 etcd 中以 15 秒的期限保存各 API Server 的地址，消失的会被其他 API Server 移除。以下情况会残留：API Server 使用 \`--endpoint-reconciler-type=master-count\`（或 \`none\`），而其中一个被移除或更换了地址；有人手工编辑；或 etcd 被恢复（kubernetes pkg/controlplane/reconcilers）。

**何时不是它。** API Server 的 Pod 存在但未就绪，由 component-crash-loop 说明。看不到控制面时（托管集群）信任该地址，除非续租的 API Server（标签 \`apiserver.kubernetes.io/identity\`）少于地址数。`,
    },
  },
});
