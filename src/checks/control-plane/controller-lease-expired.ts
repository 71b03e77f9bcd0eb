import { newestRenewal } from "../../model/leases.ts";
import type { ClusterModel } from "../../model/model.ts";
import { type Ref, ref, refId } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "objects" | "nodes" | "components">;

const say = texts("controller-lease-expired", {
  silent: {
    en: "{controller} does not run: nobody has renewed its lease for {seconds} s (last {holder})",
    zh: "{controller} 未在运行：其租约已有 {seconds} 秒无人续约（最后持有者 {holder}）",
  },
  released: {
    en: "{controller} does not run: its last leader gave its lease up {seconds} s ago, and nobody has taken it since",
    zh: "{controller} 未在运行：最后的 leader 在 {seconds} 秒前释放了租约，此后无人获取",
  },
  bringBack: {
    en: "Bring {controller} back: see whether its static Pod's manifest is there, and what it said last",
    zh: "恢复 {controller}：检查其静态 Pod 清单是否存在，以及它最后的日志",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Watch the leases of kube-system: without these controllers a cluster looks well until something changes",
    zh: "监控 kube-system 中的租约：没有这些控制器，集群在发生变更之前看起来一切正常",
  },
});

/** Who holds a lease while it works, and what stops without it. */
const CONTROLLERS = ["kube-controller-manager", "kube-scheduler"] as const;

/** A leader renews every two seconds and may fail to for fifteen (component-base/config LeaderElectionConfiguration). */
const PATIENCE = 60_000;

/** The node that a leader's identity names: `<host>_<uuid>`. */
function nodeOf(holder: string, { nodes }: Model): Ref | undefined {
  return nodes.get(holder.replace(/_[0-9a-f-]+$/, ""))?.ref;
}

/** The controller took to a lease of another namespace since, as OpenShift's kube-scheduler did (`openshift-kube-scheduler`). */
const isLeftBehind = (controller: string, renewed: number, { objects }: Model): boolean =>
  objects
    .all("leases")
    .some(
      ({ metadata: { name, namespace }, spec }) =>
        name === controller && namespace !== "kube-system" && (timeOf(spec?.renewTime) ?? 0) > renewed,
    );

/** A controller of the control plane has stopped: what it keeps up to date freezes. */
export const controllerLeaseExpired = defineCheck({
  id: "controller-lease-expired",
  reads: ["objects", "nodes", "components"],

  *find(model) {
    const { objects, components } = model;
    const newest = newestRenewal(objects, objects.isWhole("leases") ? undefined : "kube-system")?.when ?? 0;
    for (const controller of CONTROLLERS) {
      const lease = objects.find("leases", controller, "kube-system");
      const running = components.byId(controller);
      const replicas =
        running.length > 0 ? running.map((component) => component.ref) : [ref("Pod", controller, "kube-system")];
      const breaks = replicas.map((replica) => ({ name: "component.run", component: refId(replica) }) as const);
      if (lease.state === "unknown") {
        yield cannotTell(breaks[0]!, [{ kind: "leases" }]);
        continue;
      }
      const renewed = lease.state === "present" ? timeOf(lease.value.spec?.renewTime) : undefined;
      // managed clusters keep theirs elsewhere
      if (lease.state !== "present" || renewed === undefined || isLeftBehind(controller, renewed, model)) continue;
      const { holderIdentity: holder, renewTime } = lease.value.spec ?? {};
      if (!holder && !objects.isWhole("leases")) {
        yield cannotTell(breaks[0]!, [{ kind: "leases" }]);
        continue;
      }
      const evidence = [
        objects.quote(
          "leases",
          lease.value,
          `Lease kube-system/${controller}: renewed ${renewTime} by ${holder || "nobody"}`,
        ),
      ];
      // that one holds it now does not show that it works: one that crash-loops does now and then
      if (newest - renewed < PATIENCE) continue;
      const node = nodeOf(holder ?? "", model);
      const own = node && ref("Pod", `${controller}-${node.name}`, "kube-system");
      const seconds = Math.round((newest - renewed) / 1000);
      yield fault({
        repair: own ?? replicas[0]!,
        related: [...(node ? [node] : []), ...replicas],
        breaks,
        title: holder ? say.silent({ controller, seconds, holder }) : say.released({ controller, seconds }),
        evidence,
        strength: "direct",
        since: renewTime ?? undefined,
        facts: { controller, ...(node && { node: node.name }) },
      });
    }
  },

  remedies({ facts }) {
    const controller = String(facts.controller);
    const at = typeof facts.node === "string" ? { node: facts.node } : {};
    const manifest = `/etc/kubernetes/manifests/${controller}.yaml`;
    const logs = sh`crictl logs --tail 20 $(crictl ps -aq --name ${`^${controller}$`}`;
    const run = `${sh`ls -l ${manifest}; crictl ps -a --name ${`^${controller}$`}`}; ${logs} | head -n 1)`;
    const verify = { run: sh`kubectl get lease -n kube-system ${controller}` };
    const step = { why: say.bringBack({ controller }), change: { run, ...at }, verify };
    return [{ id: "bring-back", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A controller of the control plane has stopped", zh: "控制面的控制器已停止" },
    page: {
      en: `kube-controller-manager or kube-scheduler does not run: the lease by which its replicas agree on a leader has not been renewed for a minute, while others have been.

**How it looks.** Everything that exists works on. Pods that are deleted are not made again, or stay Pending; EndpointSlices go on naming Pods that are gone, so some connections of a Service run into nothing; nodes that join get no Pod range.

**How it comes about.** The static Pod's manifest was moved away or does not parse, its certificate or kubeconfig expired, a flag contradicts the cluster (\`--cluster-cidr\`), the API server or etcd does not answer it.

**When this is not the cause.** If no lease of the cluster is renewed, the API server or etcd is the place to look. Managed clusters run these controllers, and their leases, elsewhere.`,
      zh: `kube-controller-manager 或 kube-scheduler 未在运行：各副本用于选主的租约已有一分钟无人续约，而其他租约仍在续约。

**现象。** 已有的一切仍然正常。被删除的 Pod 不再重建，或一直 Pending；EndpointSlice 仍指向已不存在的 Pod，Service 的部分连接因此落空；新加入的节点得不到 Pod 网段。

**成因。** 静态 Pod 清单被移走或无法解析，证书或 kubeconfig 过期，参数与集群矛盾（\`--cluster-cidr\`），API Server 或 etcd 不响应它。

**何时不是它。** 若集群中没有任何租约在续约，应检查 API Server 或 etcd。托管集群的这些控制器及其租约不在集群内。`,
    },
  },
});
