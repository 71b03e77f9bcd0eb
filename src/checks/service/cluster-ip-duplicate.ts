import type { ClusterModel } from "../../model/model.ts";
import { kubectlName } from "../../model/ref.ts";
import type { ServicePort, ServiceView } from "../../model/services/services.ts";
import { timeOf } from "../../model/time.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, warning } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "objects" | "observations">;

const say = texts("cluster-ip-duplicate", {
  shared: {
    en: "Services {a} and {b} have one and the same cluster IP, {address}: who calls port {ports} of the one may get the other",
    zh: "Service {a} 与 {b} 使用同一个 ClusterIP {address}：访问其中一个的端口 {ports} 可能会到达另一个",
  },
  apart: {
    en: "Services {a} and {b} have one and the same cluster IP, {address}, with different ports",
    zh: "Service {a} 与 {b} 使用同一个 ClusterIP {address}，端口不同",
  },
  keep: { en: "Keep the younger Service without its address", zh: "保存较新的 Service（去掉其地址）" },
  renew: {
    en: "Delete it and make it again: the API server gives it an address of its own. A cluster IP never changes otherwise",
    zh: "删除后重新创建：API Server 会为它分配独立的地址。ClusterIP 不能以其他方式更改",
  },
  interrupts: {
    en: "Calls of that Service until it is made again; who has looked its address up calls the old one for some seconds more",
    zh: "该 Service 在重建之前不可用；已解析过其域名的客户端会在数秒内继续访问旧地址",
  },
  prevent: {
    en: "Restore etcd with all API servers stopped, and read what they say of addresses afterwards (Event ClusterIPAlreadyAllocated)",
    zh: "恢复 etcd 时停止全部 API Server，并在恢复后检查其关于地址的报告（ClusterIPAlreadyAllocated 事件）",
  },
});

const bornAt = ({ object }: ServiceView): number => timeOf(object.metadata.creationTimestamp) ?? 0;
const keyOf = ({ namespace, name }: ServiceView) => `${namespace}/${name}`;

/** The ports of one that the other has, too. */
const clashing = (one: ServiceView, other: ServiceView): ServicePort[] =>
  one.ports.filter(({ port, protocol }) =>
    other.ports.some((theirs) => theirs.port === port && theirs.protocol === protocol),
  );

/** Two Services have one cluster IP. */
export const clusterIpDuplicate = defineCheck({
  id: "cluster-ip-duplicate",
  reads: ["services", "objects", "observations"],

  *find({ services, objects, observations }: Model) {
    if (!services.whole) yield cannotTell({ name: "service.address" }, [{ kind: "services" }]);
    const held = services.all.flatMap((service) => service.clusterIps.map((address) => ({ address, service })));
    for (const [address, group] of Map.groupBy(held, (one) => one.address)) {
      if (group.length < 2) continue;
      const byAge = (a: ServiceView, b: ServiceView) => bornAt(a) - bornAt(b) || (keyOf(a) < keyOf(b) ? -1 : 1);
      const [older, ...younger] = group.map(({ service }) => service).sort(byAge);
      for (const service of younger) {
        const ports = clashing(service, older!);
        const args = { a: keyOf(older!), b: keyOf(service), address };
        const said = objects
          .all("events")
          .filter(
            ({ reason, involvedObject }) =>
              reason === "ClusterIPAlreadyAllocated" &&
              [older!.name, service.name].includes(involvedObject?.name ?? ""),
          );
        const evidence = [
          services.quote(older!, `Service ${keyOf(older!)}: clusterIP ${address}`),
          services.quote(service, `Service ${keyOf(service)}: clusterIP ${address}`),
          ...said.slice(0, 1).map((event) => objects.quote("events", event, `${event.reason}: ${event.message ?? ""}`)),
          ...observations
            .failedOn(service)
            .slice(0, 2)
            .map((failure) => failure.evidence),
        ];
        if (ports.length === 0) {
          yield warning(service.ref, say.apart(args), evidence, [older!.ref]);
          continue;
        }
        yield fault({
          repair: service.ref,
          related: [older!.ref],
          breaks: [...ports, ...clashing(older!, service)].map(({ key }) => ({
            name: "service.address",
            service: key,
          })),
          title: say.shared({ ...args, ports: [...new Set(ports.map(({ port }) => port))] }),
          evidence,
          strength: "direct",
          since: service.object.metadata.creationTimestamp ?? undefined,
        });
      }
    }
  },

  remedies({ repair }) {
    const file = `service-${repair.name}.yaml`;
    const unassigned =
      "grep -vE '^  (clusterIP|clusterIPs|ipFamilies|internalTrafficPolicy|uid|resourceVersion):|^  - [0-9a-f.:]+$'";
    const verify = { run: `kubectl get services -A -o wide` };
    const steps = [
      {
        why: say.keep(),
        change: { run: `kubectl get ${kubectlName(repair)} -o yaml | ${unassigned} > ${file}` },
        verify,
      },
      {
        why: say.renew(),
        change: { run: `kubectl delete ${kubectlName(repair)}; kubectl create -f ${file}` },
        undo: { run: `kubectl create -f ${file}` },
        verify: { run: `kubectl get ${kubectlName(repair)} -o wide` },
      },
    ];
    return [{ id: "renew-address", risk: "medium", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "Two Services have one cluster IP", zh: "两个 Service 使用同一个 ClusterIP" },
    page: {
      en: `Two Services have the same cluster IP. The API server gives each address out once; it does not check those that are there.

**How it looks.** Where both have a port in common, kube-proxy's rules for the one stand before those for the other: calls of one Service are answered by the other's Pods, not on every node by the same. Both have ready back ends, and names resolve to the same address.

**How it comes about.** etcd was restored to an older state, with it the record of given-out addresses, and an address was given out again to a Service that was then restored from a manifest with its old clusterIP; or two clusters' objects were merged. The API server's repair loop notices it every three minutes: Event \`ClusterIPAlreadyAllocated\`, and \`the cluster IP … was assigned to multiple services; please recreate\` in its log (pkg/registry/core/service/ipallocator/controller).

**When this is not the cause.** Without a port in common both work, by chance: that is a warning. Services of type LoadBalancer may share an external address by intent; a cluster IP never.`,
      zh: `两个 Service 使用同一个 ClusterIP。API Server 只在分配时保证地址唯一，不会检查已有的对象。

**现象。** 若两者有相同的端口，kube-proxy 中一方的规则排在另一方之前：访问一个 Service 会由另一个 Service 的 Pod 应答，且各节点未必相同。两者都有就绪的后端，域名解析到同一地址。

**成因。** etcd 被恢复到较旧的状态，地址分配记录也随之回退，地址被再次分配，而原 Service 又从带有旧 clusterIP 的清单恢复；或合并了两个集群的对象。API Server 的修复循环每三分钟检查一次：产生 \`ClusterIPAlreadyAllocated\` 事件，日志中为 \`the cluster IP … was assigned to multiple services; please recreate\`（pkg/registry/core/service/ipallocator/controller）。

**何时不是它。** 若没有相同的端口，两者碰巧都能工作，只作为警告。LoadBalancer 类型的 Service 可以有意共用外部地址，而 ClusterIP 不可以。`,
    },
  },
});
