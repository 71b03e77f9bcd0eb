import type { Evidence } from "../../evidence/origin.ts";
import type { CalicoPool } from "../../model/calico/calico.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { calicoRef, kubectlName, type Ref } from "../../model/ref.ts";
import { parseIp } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, works } from "../check.ts";

type Model = Pick<ClusterModel, "calico" | "pods" | "nodes" | "components" | "objects">;

const say = texts("ip-pool-missing", {
  disabled: {
    en: "IPPool {pool} ({cidr}) is disabled and there is no other: new Pods get no address, and nodes give up their tunnels to the {pods} that {pods:has|have} one",
    zh: "IPPool {pool}（{cidr}）已禁用且没有其他地址池：新 Pod 得不到地址，节点也不再维护通往已有 {pods} 个 Pod 的隧道",
  },
  gone: {
    en: "Calico has no IPPool: new Pods get no address, and nodes know no way to the {pods} that {pods:has|have} one",
    zh: "Calico 没有任何 IPPool：新 Pod 得不到地址，节点也没有通往已有 {pods} 个 Pod 的路由",
  },
  elsewhere: {
    en: "{pods} {pods:Pod has|Pods have} addresses that belong to no IPPool, such as {address}: nodes know no way to them and do not masquerade them; IPPool {pool} is {cidr}",
    zh: "{pods} 个 Pod 的地址（例如 {address}）不属于任何 IPPool：节点没有通往它们的路由，也不做源地址转换；IPPool {pool} 为 {cidr}",
  },
  enable: { en: "Enable the pool", zh: "启用该地址池" },
  restore: {
    en: "Put the pool back as it was: with a range in which the Pods' addresses lie, and with its encapsulation and natOutgoing. Without any pool, calico-node makes the one of its CALICO_IPV4POOL_ variables when it starts",
    zh: "按原样恢复地址池：网段须包含现有 Pod 的地址，并恢复封装方式和 natOutgoing。若一个地址池都没有，calico-node 启动时会按其 CALICO_IPV4POOL_ 环境变量创建",
  },
  nothing: {
    en: "Nothing: nodes write what leads to the Pods again within seconds",
    zh: "无：节点会在数秒内重新写入通往 Pod 的路由",
  },
  prevent: {
    en: "Replace a pool only as Calico's guide for it says: add the new one, disable the old one, make the Pods anew, and delete the old one last",
    zh: "更换地址池须按 Calico 指南进行：先添加新池，再禁用旧池，重建 Pod，最后删除旧池",
  },
});

/** Pods that the network reaches by their addresses. */
function connected({ pods, nodes }: Model): { readonly pod: PodView; readonly address: string }[] {
  return pods.all.flatMap((pod) => {
    const address = pod.addresses.find((one) => !one.includes(":"));
    const isOfPool = !pod.hostNetwork && !pod.finished && pod.node !== undefined && nodes.get(pod.node);
    return isOfPool && address !== undefined ? [{ pod, address }] : [];
  });
}

/** Where calico-node keeps the first pool (libcalico-go/lib/apiconfig, startup.go). */
const DEFAULT = "default-ipv4-ippool";

/** The Pods' addresses lie in no pool that is in force. */
export const ipPoolMissing = defineCheck({
  id: "ip-pool-missing",
  reads: ["calico", "pods", "nodes", "components", "objects"],

  *find(model) {
    const { calico, components, objects, pods } = model;
    // with an IPAM of somebody else there are no blocks
    if (!calico.used || calico.blocks.length === 0) return;
    if (!calico.poolsWhole) {
      yield cannotTell({ name: "pod-network.config" }, [{ kind: "ippools" }]);
      return;
    }
    const inBlocks = connected(model).filter(({ address }) => calico.blockOf(parseIp(address)!) !== undefined);
    const serving = calico.pools.filter(({ serves }) => serves);
    const poolsOf = (address: string) => calico.poolOf(parseIp(address)!);
    const lost = inBlocks.filter(({ address }) => {
      const pool = poolsOf(address);
      return pool === undefined || (pool.object.spec.disabled === true && serving.length === 0);
    });
    const agents = components.byId("calico-node").map(({ ref }) => ref);
    const [first] = lost;
    if (!first && serving.length > 0) {
      yield pods.whole
        ? works({ name: "pod-network.config" }, serving.slice(0, 1).map(inForce))
        : cannotTell({ name: "pod-network.config" }, [{ kind: "pods" }]);
      return;
    }
    const disabled = calico.pools.find(({ object }) => object.spec.disabled);
    const of = { pods: lost.length };
    const [repair, title, evidence]: [Ref, ReturnType<typeof say.gone>, Evidence] =
      serving.length === 0 && disabled
        ? [
            disabled.ref,
            say.disabled({ ...of, pool: disabled.ref.name, cidr: disabled.object.spec.cidr }),
            disabled.quote(`IPPool ${disabled.ref.name}: disabled: true`),
          ]
        : serving[0] && first
          ? [
              serving[0].ref,
              say.elsewhere({
                ...of,
                address: first.address,
                pool: serving[0].ref.name,
                cidr: serving.map(({ object }) => object.spec.cidr),
              }),
              inForce(serving[0]),
            ]
          : [calicoRef("IPPool", DEFAULT), say.gone(of), objects.quoteAbsence("ippools", "no IPPool")];
    yield fault({
      repair,
      related: agents,
      breaks: [
        { name: "pod-network.config" },
        ...(lost.length > 0 ? [{ name: "pod-network.entries" } as const] : []),
        // a disabled pool still masquerades
        ...(lost.length > 0 && repair !== disabled?.ref ? [{ name: "node.masquerade" } as const] : []),
      ],
      title,
      evidence: [
        evidence,
        ...lost.slice(0, 2).map(({ pod, address }) => objects.quote("pods", pod.object, `${pod.key}: ${address}`)),
      ],
      strength: "direct",
      facts: { case: disabled && serving.length === 0 ? "disabled" : "gone" },
    });
  },

  remedies({ repair, facts }) {
    const verify = { run: "kubectl get ippools.crd.projectcalico.org -o yaml" };
    const disabled = (value: boolean) =>
      ({ do: "patch", target: repair, patch: { spec: { disabled: value } } }) as const;
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const step =
      facts.case === "disabled"
        ? { why: say.enable(), change: disabled(false), undo: disabled(true), verify }
        : { why: say.restore(), change: edit, undo: edit, verify };
    return [{ id: "restore-pool", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "The Pods' addresses belong to no IPPool in force", zh: "Pod 地址不属于任何生效的 IPPool" },
    page: {
      en: `Calico gives Pods addresses out of IPPools, and a pool also says how packets to its addresses are carried and whether they are masqueraded on their way out. Pods keep their addresses when the pool is deleted, disabled or changed, but the nodes do no more for them what the pool said.

**How it looks.** Pods on one node reach each other; between nodes, and to the outside, everything times out: routes on \`vxlan.calico\` and the device's address are gone, or BGP no longer announces the blocks. New Pods stay in ContainerCreating (\`cannot find a qualified ippool\`, \`no configured Calico pools\`).

**How it comes about.** A pool deleted before its Pods were moved; \`disabled: true\` on the only pool; a range corrected in place, which Calico's own API forbids and kubectl on the CRD does not.

**When this is not the cause.** A disabled pool beside another one in force is how pools are replaced, and nothing is wrong. Where another IPAM gives out the addresses (host-local, a cloud's), Calico has no blocks, and this says nothing.`,
      zh: `Calico 从 IPPool 为 Pod 分配地址，地址池同时决定如何传送到这些地址的报文、出集群时是否做源地址转换。地址池被删除、禁用或修改后，Pod 仍保留原地址，但节点不再为其执行原有设置。

**现象。** 同一节点上的 Pod 互通；跨节点以及访问外部全部超时：\`vxlan.calico\` 上的路由和设备地址消失，或 BGP 不再通告这些地址块。新 Pod 一直处于 ContainerCreating（\`cannot find a qualified ippool\`、\`no configured Calico pools\`）。

**成因。** 尚未迁移 Pod 就删除了地址池；唯一的地址池被设为 \`disabled: true\`；直接修改了网段（Calico 自己的 API 禁止，而通过 kubectl 改 CRD 不受限制）。

**何时不是它。** 另有生效地址池时，禁用旧池是正常的更换步骤。若地址由其他 IPAM（host-local、云厂商）分配，Calico 没有地址块，本项不作判断。`,
    },
  },
});

const inForce = (pool: CalicoPool): Evidence => pool.quote(`IPPool ${pool.ref.name}: ${pool.object.spec.cidr}`);
