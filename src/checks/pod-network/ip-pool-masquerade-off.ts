import { isWhole } from "../../evidence/observed.ts";
import type { CalicoPool } from "../../model/calico/calico.ts";
import { ENOUGH_LEAVING, insideOf, type Leaving, leavingFrom, quoteUnanswered } from "../../model/leaving.ts";
import type { NodeView } from "../../model/nodes.ts";
import { contains } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault } from "../check.ts";

const say = texts("ip-pool-masquerade-off", {
  off: {
    en: "natOutgoing of IPPool {pool} is off: packets of Pods leave the cluster with the Pods' addresses, and nobody outside answers them",
    zh: "IPPool {pool} 未启用 natOutgoing：Pod 报文以 Pod 自身地址离开集群，外部无人应答",
  },
  turnOn: {
    en: "Let the nodes masquerade what Pods of this pool send out",
    zh: "让节点对该地址池 Pod 的出集群报文做源地址转换",
  },
  nothing: {
    en: "Nothing: Felix adds its rule; connections that Pods have keep their addresses",
    zh: "无：Felix 会添加相应规则，Pod 已有的连接地址不变",
  },
  prevent: {
    en: "Turn natOutgoing off only where routers outside have routes to the Pods' addresses, and test that from a Pod before",
    zh: "只有外部路由器具备到 Pod 网段的路由时才关闭 natOutgoing，并事先从 Pod 中测试",
  },
});

type Silent = { readonly node: NodeView; readonly pool: CalicoPool; readonly leaving: Leaving };

/** Calico does not masquerade, as its pool says, and nobody outside answers the Pods. */
export const ipPoolMasqueradeOff = defineCheck({
  id: "ip-pool-masquerade-off",
  reads: ["nodes", "services", "calico", "components", "forwarding"],

  *find(model) {
    const { calico, nodes, components, forwarding } = model;
    const off = calico.pools.filter(({ object }) => object.spec.natOutgoing !== true);
    if (!calico.used || off.length === 0) return;
    const inside = insideOf(
      model,
      calico.pools.map(({ prefix }) => prefix),
    );
    const found: Silent[] = [];
    for (const node of nodes.all) {
      if (!node.sampled) continue;
      const blocks = calico.blocks.filter((block) => block.node === node.name).map(({ prefix }) => prefix);
      const pool = off.find(({ prefix }) => blocks.some(({ ip }) => contains(prefix, ip)));
      if (!pool) continue;
      const { conntrack } = forwarding.of(node.name);
      // what is missing of it may be the answers
      if (!isWhole(conntrack)) {
        const missing = [{ kind: "conntrack", place: { node: node.name } }] as const;
        yield cannotTell({ name: "node.masquerade", node: node.name }, missing);
        continue;
      }
      found.push({ node, pool, leaving: leavingFrom(node, blocks, inside, conntrack.value) });
    }
    for (const [pool, members] of Map.groupBy(found, (one) => one.pool)) {
      // one answer, and there is a way back to Pods
      if (members.some(({ leaving }) => leaving.answered.length > 0)) continue;
      const hurt = members.find(({ leaving }) => leaving.unanswered.length >= ENOUGH_LEAVING);
      if (!hurt) continue;
      const { conntrack } = forwarding.of(hurt.node.name);
      yield fault({
        repair: pool.ref,
        related: components.byId("calico-node").map(({ ref }) => ref),
        nodes: members.map(({ node }) => node.name),
        breaks: members.map(({ node }) => ({ name: "node.masquerade", node: node.name })),
        title: say.off({ pool: pool.ref.name }),
        evidence: [
          pool.quote(`IPPool ${pool.ref.name}: natOutgoing: ${pool.object.spec.natOutgoing ?? false}`),
          ...hurt.leaving.unanswered.slice(0, 2).map((entry) => quoteUnanswered(entry, conntrack.origin)),
        ],
        strength: "direct",
      });
    }
  },

  remedies({ repair, nodes: [node = ""] }) {
    const natOutgoing = (value: boolean) =>
      ({ do: "patch", target: repair, patch: { spec: { natOutgoing: value } } }) as const;
    const verify = { run: "iptables-save -t nat | grep cali-nat-outgoing", node };
    const step = { why: say.turnOn(), change: natOutgoing(true), undo: natOutgoing(false), verify };
    return [{ id: "masquerade", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "An IPPool does not masquerade, and nobody answers its Pods",
      zh: "IPPool 未做源地址转换，外部无人应答 Pod",
    },
    page: {
      en: `\`natOutgoing\` of the IPPool is false, so that what its Pods send out of the cluster keeps the Pods' addresses. The nodes' connection tracking shows such connections, none of which was answered: routers outside do not know the way to the Pods.

**How it looks.** Pods reach each other and the Services, and nothing outside; the nodes reach everything. CoreDNS, which is a Pod, does not reach its upstream servers either: external names fail everywhere, and its log speaks of \`i/o timeout\`. Pods may not reach the API server where its nodes have no route to Pods.

**How it comes about.** A pool made by hand without the field, whose default is false; a setting for BGP, kept when the cluster moved to VXLAN.

**When this is not the cause.** Where routers know the Pods' addresses (BGP with the network), a pool is meant to be so: then some connection is answered, and nothing is found here. What does not answer the nodes either is down by itself.`,
      zh: `IPPool 的 \`natOutgoing\` 为 false，其 Pod 发往集群外的报文保留 Pod 地址。节点的连接跟踪表中有这类连接，但没有一条得到应答：外部路由器不知道到 Pod 的路由。

**现象。** Pod 之间及访问 Service 正常，但访问不到任何外部地址；节点本身一切正常。CoreDNS 也是 Pod，同样访问不到上游服务器：所有外部域名解析失败，其日志出现 \`i/o timeout\`。若 API Server 所在节点没有到 Pod 的路由，Pod 也访问不到它。

**成因。** 手工创建的地址池缺少该字段（默认 false）；迁移到 VXLAN 后仍沿用 BGP 时的设置。

**何时不是它。** 若路由器知道 Pod 网段的路由（与网络建立了 BGP），这样设置是正确的：此时总有连接得到应答，不会报告本故障。若目标对节点也不应答，则是目标自身的问题。`,
    },
  },
});
