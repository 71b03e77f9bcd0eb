import type { PodView } from "../../model/pods.ts";
import { calicoRef } from "../../model/ref.ts";
import { formatPrefix, type Ip, parseIp, prefixOf } from "../../net/ip.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

const say = texts("ip-block-missing", {
  gone: {
    en: "{pods} {pods:Pod|Pods} of {node} {pods:has|have} addresses that no IPAMBlock holds, such as {address}: other nodes have no route to them, and they may be given out again",
    zh: "{node} 上 {pods} 个 Pod 的地址（例如 {address}）不属于任何 IPAMBlock：其他节点没有通往它们的路由，且这些地址可能被再次分配",
  },
  restore: {
    en: "Put the block back from a backup of the cluster, as it was",
    zh: "从集群备份中按原样恢复该地址块",
  },
  remake: {
    en: "Without one, make these Pods anew: all of them, before others get their addresses",
    zh: "若没有备份，重建这些 Pod：须全部重建，以免其地址被分配给其他 Pod",
  },
  interrupts: { en: "The Pods that are made anew", zh: "被重建的 Pod" },
  prevent: {
    en: "Never delete IPAMBlocks by hand: calicoctl ipam release and calico-kube-controllers free what nobody uses",
    zh: "不要手工删除 IPAMBlock：应使用 calicoctl ipam release，或由 calico-kube-controllers 回收无人使用的地址",
  },
});

/** Milliseconds: blocks and Pods are not read at one moment. */
const SETTLING = 60_000;
const MOST_NAMED = 20;

type Lost = { readonly pod: PodView; readonly ip: Ip; readonly address: string };

/** Calico's name for a block: `10-244-80-192-26`. */
const blockName = (ip: Ip, length: number): string => formatPrefix(prefixOf(ip, length)).replaceAll(/[.:/]/g, "-");

/** A block of addresses is gone, and the Pods that have addresses of it are there. */
export const ipBlockMissing = defineCheck({
  id: "ip-block-missing",
  reads: ["calico", "pods", "nodes", "objects", "time"],

  *find({ calico, pods, nodes, objects, time }) {
    // with an IPAM of somebody else there are no blocks
    if (!calico.used || calico.pools.length === 0) return;
    if (!objects.isWhole("ipamblocks")) {
      yield cannotTell({ name: "pod-network.entries" }, [{ kind: "ipamblocks" }]);
      return;
    }
    if (calico.blocks.length === 0) return;
    const lost = pods.all.flatMap((pod): Lost[] => {
      const { hostNetwork, finished, terminating, object } = pod;
      const isOld = (time.age(object.metadata.creationTimestamp) ?? 0) >= SETTLING;
      if (hostNetwork || finished || terminating || !isOld || pod.node === undefined || !nodes.get(pod.node)) return [];
      const address = pod.addresses.find((one) => !one.includes(":"));
      const ip = address === undefined ? undefined : parseIp(address);
      // of what lies in no pool, ip-pool-missing tells
      return ip && address !== undefined && calico.poolOf(ip) && !calico.blockOf(ip) ? [{ pod, ip, address }] : [];
    });
    for (const [node = "", all] of Map.groupBy(lost, ({ pod }) => pod.node)) {
      const [first] = all as [Lost, ...Lost[]];
      const length = calico.blocks[0]!.prefix.length;
      yield fault({
        repair: calicoRef("IPAMBlock", blockName(first.ip, length)),
        related: [nodes.get(node)!.ref],
        breaks: [{ name: "pod-network.entries", peer: node }],
        title: say.gone({ pods: all.length, node, address: first.address }),
        evidence: [
          objects.quoteAbsence(
            "ipamblocks",
            `IPAMBlocks: ${calico.blocks
              .map(({ prefix }) => formatPrefix(prefix))
              .slice(0, 8)
              .join(", ")}`,
          ),
          ...all
            .slice(0, 2)
            .map(({ pod, address }) => objects.quote("pods", pod.object, `${pod.key}: ${address} on ${node}`)),
        ],
        strength: "direct",
        facts: { pods: all.slice(0, MOST_NAMED).map(({ pod }) => pod.key) },
      });
    }
  },

  remedies({ facts }) {
    const deletes = (facts.pods as readonly string[]).map((key) => {
      const [namespace = "", name = ""] = key.split("/");
      return sh`kubectl delete pod -n ${namespace} ${name}`;
    });
    const verify = { run: "kubectl get ipamblocks.crd.projectcalico.org" };
    const steps = [
      { why: say.restore(), verify },
      { why: say.remake(), change: { run: deletes.join("; ") }, verify },
    ];
    return [{ id: "restore-block", risk: "medium", interrupts: say.interrupts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "A block of Pods' addresses is gone", zh: "Pod 地址所属的地址块已丢失" },
    page: {
      en: `Calico's IPAM keeps which addresses are in use in IPAMBlocks (of 64 addresses each), and Felix on every node writes its routes to other nodes' Pods from them. A block was deleted while Pods had addresses of it.

**How it looks.** The Pods of one node, or some of them, are reached from that node only: the other nodes' routes to the block are gone within a second, and their packets go to the default gateway. Nothing is said in any log, and everything is Ready. The next Pod that is made there may get an address that another one has.

**How it comes about.** Somebody cleaned up "leaked" blocks or addresses by kubectl; a restore of etcd or of CRDs left them out; \`calicoctl ipam release\` was run with a list that was old.

**When this is not the cause.** A block that has lost its affinity (its node) only, and still holds the addresses, does no harm: Felix writes a route to each. Where another IPAM gives out the addresses there are no blocks.`,
      zh: `Calico 的 IPAM 用 IPAMBlock（每块 64 个地址）记录地址的使用情况，各节点的 Felix 据此写入通往其他节点 Pod 的路由。某个地址块在仍有 Pod 使用其地址时被删除。

**现象。** 某节点上的全部或部分 Pod 只能从本节点访问：其他节点通往该地址块的路由在一秒内消失，报文被发往默认网关。日志中没有任何提示，所有组件均为 Ready。此后在该节点新建的 Pod 可能得到已被占用的地址。

**成因。** 有人用 kubectl 清理“泄漏”的地址块或地址；恢复 etcd 或 CRD 时遗漏了它们；使用过期的清单执行了 \`calicoctl ipam release\`。

**何时不是它。** 地址块仅失去亲和性（所属节点）而仍记录着地址时没有影响：Felix 会为每个地址写入路由。若地址由其他 IPAM 分配，则没有地址块。`,
    },
  },
});
