import { known } from "../../evidence/observed.ts";
import { quoteOf } from "../../evidence/origin.ts";
import type { Component } from "../../model/components/components.ts";
import type { ClusterModel } from "../../model/model.ts";
import { containerStatuses } from "../../model/pods.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { canonicalIp, formatSocket } from "../../net/ip.ts";
import type { ConfigMap } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "components" | "objects" | "services" | "nodes" | "logs">;

const say = texts("api-server-address-wrong", {
  wrong: {
    en: "{config} tells {component} to look for the API server at {address}, where it is not: it is at {right}",
    zh: "{config} 让 {component} 到 {address} 访问 API Server，而 API Server 实际在 {right}",
  },
  waiting: {
    en: "{config} names {address} as the API server's address, where it is not: it is at {right}. {component} still uses the one that it started with, and will reach nothing once it restarts",
    zh: "{config} 中的 API Server 地址 {address} 有误，实际在 {right}。{component} 仍在使用启动时读取的地址，一旦重启就无法访问 API Server",
  },
  correct: {
    en: "Write the API server's address into {config}, and the CA with it if that has changed",
    zh: "在 {config} 中写入 API Server 的正确地址；若 CA 也变了，一并更新",
  },
  restart: {
    en: "Restart {component}: it reads its kubeconfig when it starts",
    zh: "重启 {component}：它只在启动时读取 kubeconfig",
  },
  interrupts: { en: "Nothing: rules stay as they are until it has synced", zh: "无：规则在同步完成前保持不变" },
  prevent: {
    en: "Give the control plane one stable name (controlPlaneEndpoint) before the first node joins, and change addresses behind it",
    zh: "在第一个节点加入之前为控制面设定一个稳定的名字（controlPlaneEndpoint），之后只改变其背后的地址",
  },
});

/** How client-go says that it cannot connect: the address that it was told. */
const NO_CONNECTION =
  /(?:dial tcp|https:\/\/)\s*\[?([0-9a-fA-F.:]+?)\]?:(\d+)[:/].*(?:no route to host|connection refused|i\/o timeout|connection timed out|network is unreachable|context deadline exceeded|x509)/;

/** Where the API server can be found, as the cluster itself says: its end points, its Service, its configured name. */
function addressesOf({ services, objects, nodes }: Model): ReadonlySet<string> {
  const service = services.get("default", "kubernetes");
  const configured = objects
    .all("configmaps")
    .filter(({ metadata: { name } }) => name === "kubeadm-config" || name === "cluster-info")
    .flatMap(({ data }) => Object.values(data ?? {}))
    .flatMap((text) => [
      ...text.matchAll(/(?:server:\s*https:\/\/|controlPlaneEndpoint:\s*"?)\[?([0-9a-fA-F.:]+?)\]?(?::\d+)?["\s]/g),
    ])
    .map(([, address]) => canonicalIp(address!) ?? "");
  return new Set([
    ...(service?.clusterIps ?? []),
    ...(service?.ports ?? []).flatMap((port) => services.endpoints(port).map(({ address }) => address)),
    // a control-plane node may be told of itself, and every node may run a proxy of its own
    ...nodes.all.flatMap(({ addresses }) => addresses),
    ...configured,
  ]);
}

/** Every address of which kubeadm's own configuration speaks: names in the API server's certificate (certSANs) among them. */
function kubeadmsAddresses({ objects }: Model): ReadonlySet<string> | undefined {
  const map = objects.find("configmaps", "kubeadm-config", "kube-system");
  const text = known(map)?.data?.ClusterConfiguration;
  if (text === undefined) return undefined;
  return new Set([...text.matchAll(/[0-9a-fA-F.:]{3,}/g)].map(([found]) => canonicalIp(found) ?? ""));
}

/** An address that a component is to use from its next start on; its Pods started before somebody wrote it. */
type Waiting = { readonly address: string; readonly map: ConfigMap; readonly key: string; readonly said: string };

/**
 * Of an address that no Pod of a component has tried yet. It is wrong where kubeadm, which made the API server's certificate,
 * knows nothing of it: whoever listens there, the component would not take for the API server.
 */
function waitingFor(component: Component, right: ReadonlySet<string>, model: Model): Waiting | undefined {
  const { spec, ref: at, pods } = component;
  const told = kubeadmsAddresses(model);
  // a container that restarts reads anew what its Pod has mounted
  const started = pods.flatMap((pod) => [
    timeOf(pod.object.status?.startTime),
    ...containerStatuses(pod).map(({ status }) => timeOf(status.state?.running?.startedAt) ?? 0),
  ]);
  if (!told || started.length === 0 || started.includes(undefined)) return undefined;
  const names = (spec?.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
  for (const map of model.objects.all("configmaps")) {
    if (map.metadata.namespace !== at.namespace || !names.includes(map.metadata.name)) continue;
    for (const [key, text] of Object.entries(map.data ?? {})) {
      const found = SERVER.exec(text);
      const address = canonicalIp(found?.[1] ?? "");
      if (!found || address === undefined || right.has(address) || told.has(address) || address.startsWith("127."))
        continue;
      const writes = (map.metadata.managedFields ?? []).filter(({ fieldsV1 }) => fieldsV1?.["f:data"]?.[`f:${key}`]);
      const written = writes.map(({ time }) => timeOf(time ?? undefined) ?? 0);
      if (written.length === 0 || started.some((start) => start! >= Math.max(...written))) continue;
      return { address, map, key, said: found[0].trim() };
    }
  }
  return undefined;
}

/** A kubeconfig's address of the API server, where that is none of DNS. */
const SERVER = /server:\s*"?https:\/\/\[?([0-9a-fA-F.:]+?)\]?(?::\d+)?"?(?=\s|$)/;

/** The ConfigMap of a component's that holds an address as a server's. */
function configWith(address: string, { spec, ref: { namespace } }: Component, { objects }: Model) {
  const names = (spec?.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
  const server = (text: string) => text.split("\n").findIndex((line) => /server:/.test(line) && line.includes(address));
  for (const map of objects.all("configmaps")) {
    if (map.metadata.namespace !== namespace || !names.includes(map.metadata.name)) continue;
    for (const [key, text] of Object.entries(map.data ?? {})) {
      const line = server(text);
      if (line >= 0) return { map, key, said: text.split("\n")[line]!.trim() };
    }
  }
  return undefined;
}

const refOf = ({ metadata: { name, namespace } }: ConfigMap): Ref => ref("ConfigMap", name, namespace);

/** A component is configured with an address at which there is no API server. */
export const apiServerAddressWrong = defineCheck({
  id: "api-server-address-wrong",
  reads: ["components", "objects", "services", "nodes", "logs"],

  *find(model) {
    const { components, objects, services, nodes, logs } = model;
    const right = addressesOf(model);
    // who does not know where it is cannot say where it is not
    if (!services.endpointsWhole || !nodes.whole || !services.get("default", "kubernetes")) return;
    for (const component of components.all) {
      const heard = component.pods.flatMap((pod) =>
        logs.said(pod, NO_CONNECTION).flatMap((saying) => {
          const address = canonicalIp(NO_CONNECTION.exec(saying.entry.last.message)?.[1] ?? "");
          const isStrange = address !== undefined && !right.has(address) && !address.startsWith("127.");
          return saying.current && isStrange ? [{ saying, address, pod }] : [];
        }),
      );
      const api = services.get("default", "kubernetes")!.ports[0];
      const [endpoint] = api ? services.endpoints(api) : [];
      const at = endpoint ? formatSocket(endpoint.address, endpoint.port) : "–";
      const [first] = heard;
      const config = first && configWith(first.address, component, model);
      const waiting = heard.length === 0 ? waitingFor(component, right, model) : undefined;
      const { name } = component.definition;
      if (waiting) {
        const config = refId(refOf(waiting.map));
        yield fault({
          repair: refOf(waiting.map),
          related: [component.ref],
          breaks: [{ name: "component.restart", component: refId(component.ref) }],
          title: say.waiting({ config, address: waiting.address, right: at, component: name }),
          evidence: [quoteOf(objects.origin("configmaps", waiting.map), `${waiting.key}: ${waiting.said}`)],
          strength: "differing",
          facts: { name, case: "waiting" },
        });
      }
      if (!first || !config) continue;
      const on = [...new Set(heard.flatMap(({ pod }) => pod.node ?? []))];
      yield fault({
        repair: refOf(config.map),
        related: [component.ref],
        nodes: on,
        breaks: on.map((node) => ({ name: "component.learn", component: refId(component.ref), node })),
        title: say.wrong({
          config: refId(refOf(config.map)),
          component: name,
          address: first.address,
          right: at,
        }),
        evidence: [
          quoteOf(objects.origin("configmaps", config.map), `${config.key}: ${config.said}`),
          heard.at(-1)!.saying.evidence,
        ],
        strength: "direct",
        since: first.saying.entry.first.at,
        facts: { name, case: "tried" },
      });
    }
  },

  remedies({ repair, related: [component], facts }) {
    const config = refId(repair);
    const edit = { run: sh`kubectl edit configmap -n ${repair.namespace ?? ""} ${repair.name}` };
    const shown = { run: sh`kubectl get configmap -n ${repair.namespace ?? ""} ${repair.name} -o yaml | grep server:` };
    const steps = [
      { why: say.correct({ config }), change: edit, undo: edit, verify: shown },
      // who has not read it yet need not read it again
      ...(component && facts.case === "tried"
        ? [
            {
              why: say.restart({ component: String(facts.name) }),
              change: { do: "restart", component } as const,
              verify: { run: sh`kubectl get pods -n ${component.namespace ?? ""} -o wide` },
            },
          ]
        : []),
    ];
    return [{ id: "correct-address", risk: "low", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A component looks for the API server where it is not", zh: "组件配置的 API Server 地址有误" },
    page: {
      en: `The kubeconfig in a component's ConfigMap names an address that is none of the API server's: neither an end point of the Service default/kubernetes, nor its cluster IP, nor what kubeadm was told.

**How it looks.** The component runs and looks well, and learns nothing: kube-proxy keeps the rules that it finds, so Services that are new or have changed fail on the nodes where it has been restarted since. Its log repeats \`dial tcp ADDRESS:6443: connect: no route to host\` (or refused, or a time-out). Nodes whose Pod is older go on working, until they restart; so do all, if none has been restarted since (*latent*).

**How it comes about.** The control plane moved or got a load balancer; a ConfigMap was copied from another cluster, or restored from a backup of before the move.

**When this is not the cause.** If the address is right and does not answer, the way to it is broken, or the API server is down.`,
      zh: `组件 ConfigMap 中的 kubeconfig 写的地址不属于 API Server：既不是 Service default/kubernetes 的后端，也不是其 ClusterIP，也不是 kubeadm 中配置的地址。

**现象。** 组件在运行且看似正常，但获取不到任何变化：kube-proxy 保留已有的规则，因此在其重启过的节点上，新建或变更过的 Service 会失败。日志反复出现 \`dial tcp ADDRESS:6443: connect: no route to host\`（或被拒绝、超时）。Pod 未重启的节点仍然正常，直到重启；若写错之后还没有任何 Pod 重启过，则目前全部正常（潜伏故障）。

**成因。** 控制面迁移或改用负载均衡；ConfigMap 从其他集群复制而来，或由迁移之前的备份恢复。

**何时不是它。** 若地址正确但无应答，则是通往它的路径中断，或 API Server 已停止。`,
    },
  },
});
