import type { ClusterModel } from "../../model/model.ts";
import type { ServiceView } from "../../model/services/services.ts";
import type { Event } from "../../parse/objects.ts";
import { texts } from "../../text.ts";
import { defineCheck, warning } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "objects" | "time">;

const say = texts("load-balancer-pending", {
  pending: {
    en: "Service {service} has waited for its external address since {since}: nothing in the cluster gives addresses to Services of type LoadBalancer",
    zh: "Service {service} 自 {since} 起一直在等待外部地址：集群中没有组件为 LoadBalancer 类型的 Service 分配地址",
  },
  refused: {
    en: "Service {service} gets no external address: {words}",
    zh: "Service {service} 未能得到外部地址：{words}",
  },
});

/** Milliseconds: clouds take a minute or two to make a load balancer. */
const MAKING = 5 * 60_000;

/** What controllers say of a load balancer that they could not make (cloud-provider service controller, MetalLB, Cilium). */
const FAILED = /^(SyncLoadBalancerFailed|UpdateLoadBalancerFailed|AllocationFailed|CreatingLoadBalancerFailed)$/;

const isOf =
  ({ namespace, name }: ServiceView) =>
  ({ involvedObject }: Event): boolean =>
    involvedObject?.kind === "Service" && involvedObject.namespace === namespace && involvedObject.name === name;

const words = (message: string | null | undefined): string => (message ?? "").slice(0, 160);

/** A Service of type LoadBalancer that nobody gives an address. */
export const loadBalancerPending = defineCheck({
  id: "load-balancer-pending",
  reads: ["services", "objects", "time"],

  *find({ services, objects, time }: Model) {
    for (const service of services.all) {
      const { spec, status, metadata } = service.object;
      const given = status?.loadBalancer?.ingress ?? [];
      if (spec.type !== "LoadBalancer" || given.length > 0 || service.externalIps.length > 0) continue;
      if ((time.age(metadata.creationTimestamp) ?? 0) < MAKING) continue;
      const key = `${service.namespace}/${service.name}`;
      const told = objects.all("events").filter(isOf(service));
      const failed = told.findLast(({ reason }) => FAILED.test(reason ?? ""));
      // a controller that has begun will say how it ends
      if (!failed && told.some(({ reason }) => reason === "EnsuringLoadBalancer")) continue;
      const title = failed
        ? say.refused({ service: key, words: words(failed.message) })
        : say.pending({ service: key, since: metadata.creationTimestamp ?? "" });
      yield warning(service.ref, title, [
        services.quote(service, `Service ${key}: type LoadBalancer, status.loadBalancer is empty`),
        ...(failed ? [objects.quote("events", failed, `${failed.reason}: ${words(failed.message)}`)] : []),
      ]);
    }
  },

  manual: {
    title: { en: "A Service waits for a load balancer", zh: "Service 在等待负载均衡地址" },
    page: {
      en: `A Service of type LoadBalancer has had no external address for more than five minutes: no controller in the cluster makes load balancers (a cloud's controller manager, MetalLB, kube-vip, Cilium's LB IPAM, k3s' servicelb), or the one that is there could not.

**How it looks.** \`kubectl get services\` shows EXTERNAL-IP \`<pending>\`. From inside the cluster all is well: the cluster IP and the node ports work as those of any other Service.

**How it comes about.** A manifest for a cloud was applied to a cluster without one; the controller's quota, address pool or credentials are exhausted.

**When this is not the cause.** It is never the cause of anything inside the cluster, so it is only a warning: who cannot reach the Service from inside has another trouble. Somebody outside who was promised an address uses a node port until then.`,
      zh: `LoadBalancer 类型的 Service 超过五分钟没有外部地址：集群中没有负责创建负载均衡的控制器（云厂商的 controller manager、MetalLB、kube-vip、Cilium 的 LB IPAM、k3s 的 servicelb），或者现有的控制器创建失败。

**现象。** \`kubectl get services\` 的 EXTERNAL-IP 显示为 \`<pending>\`。集群内部一切正常：ClusterIP 和 NodePort 与其他 Service 一样可用。

**成因。** 把面向云环境的清单用在了没有云的集群；控制器的配额、地址池或凭据已用尽。

**何时不是它。** 它不会导致集群内部的任何故障，因此只作为警告：集群内部无法访问该 Service 时另有原因。需要从外部访问时，可先使用 NodePort。`,
    },
  },
});
