import type { ClusterModel } from "../../model/model.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "observations" | "components">;

/** core/v1: kube-proxy, and Cilium in its place, leave a Service with this label to another program. */
const LABEL = "service.kubernetes.io/service-proxy-name";

const say = texts("service-left-to-other-proxy", {
  left: {
    en: "Nobody serves Service {service}: its label {label}={proxy} keeps kube-proxy from it",
    zh: "没有组件转发 Service {service}：其标签 {label}={proxy} 使 kube-proxy 不处理它",
  },
  remove: {
    en: "Take the label away, or run the proxy that it names",
    zh: "删除该标签，或运行它所指定的代理",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Let only those who run another service proxy set this label (ValidatingAdmissionPolicy)",
    zh: "只允许运行其他 Service 代理的人设置该标签（ValidatingAdmissionPolicy）",
  },
});

/** A Service is labelled for a proxy that does not serve it. */
export const serviceLeftToOtherProxy = defineCheck({
  id: "service-left-to-other-proxy",
  reads: ["services", "observations", "components"],

  *find({ services, observations, components }: Model) {
    for (const service of services.all) {
      const proxy = service.object.metadata.labels?.[LABEL];
      if (proxy === undefined || service.clusterIps.length === 0) continue;
      // whoever it is left to may serve it well: only those who call it in vain tell
      const failed = observations.failedOn(service);
      const isServed = observations.worked.some(
        ({ target }) => target.is === "service" && target.port.service === service,
      );
      if (failed.length === 0 || isServed) continue;
      const key = `${service.namespace}/${service.name}`;
      yield fault({
        repair: service.ref,
        related: components.withDuty("service-proxy").map(({ ref }) => ref),
        breaks: [{ name: "service.rules", service: key }],
        title: say.left({ service: key, label: LABEL, proxy }),
        evidence: [
          services.quote(service, `Service ${key}: ${LABEL}: ${proxy}`),
          ...failed.slice(0, 2).map(({ evidence }) => evidence),
        ],
        strength: "direct",
        facts: { proxy },
      });
    }
  },

  remedies({ repair, facts }) {
    const labels = (value: string | null) =>
      ({ do: "patch", target: repair, patch: { metadata: { labels: { [LABEL]: value } } } }) as const;
    const step = {
      why: say.remove(),
      change: labels(null),
      undo: labels(String(facts.proxy)),
      verify: { run: sh`kubectl get service -n ${repair.namespace ?? ""} ${repair.name} --show-labels` },
    };
    return [{ id: "take-label-away", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A Service is left to a proxy that does not serve it", zh: "Service 被交给了并不转发它的代理" },
    page: {
      en: `A Service with the label \`${LABEL}\` is none of kube-proxy's business: neither kube-proxy nor Cilium in its place writes rules for it (pkg/proxy/apis/well_known_labels.go).

**How it looks.** The Service has ready back ends, and connections to its cluster IP time out on every node alike; nothing on any node knows the address. Other Services are well.

**How it comes about.** The label came along with a manifest, from a cluster with another proxy for Services, or was set to try one.

**When this is not the cause.** Where another program serves the Service, the label is right: it is only told where calls fail and none succeeds.`,
      zh: `带有标签 \`${LABEL}\` 的 Service 不归 kube-proxy 管：kube-proxy 以及替代它的 Cilium 都不会为其写入规则（pkg/proxy/apis/well_known_labels.go）。

**现象。** Service 有就绪的后端，但在所有节点上访问其 ClusterIP 都超时，节点上没有任何规则认识该地址。其他 Service 正常。

**成因。** 该标签随清单一起从使用其他 Service 代理的集群带来，或是为试用某个代理而设置。

**何时不是它。** 若确有其他程序转发该 Service，则标签是对的：只有访问失败且没有一次成功时才会报告。`,
    },
  },
});
