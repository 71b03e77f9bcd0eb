import type { Evidence } from "../../evidence/origin.ts";
import type { CalicoPool } from "../../model/calico/calico.ts";
import type { Capability } from "../../model/capability.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref } from "../../model/ref.ts";
import { contains } from "../../net/ip.ts";
import { type Text, texts } from "../../text.ts";
import { defineCheck, fault } from "../check.ts";

type Model = Pick<ClusterModel, "calico" | "nodes" | "components">;

const say = texts("calico-overlay-off", {
  never: {
    en: "IPPool {pool} uses no encapsulation, and Calico runs without BGP (calico_backend: {backend}): nothing carries packets to Pods of other nodes",
    zh: "IPPool {pool} 未使用任何封装，而 Calico 未运行 BGP（calico_backend: {backend}）：没有任何机制传送到其他节点 Pod 的报文",
  },
  ipip: {
    en: "IPPool {pool} uses IPIP, for which BIRD writes the routes, and Calico runs without BGP (calico_backend: {backend}): nothing carries packets to Pods of other nodes",
    zh: "IPPool {pool} 使用 IPIP，其路由由 BIRD 写入，而 Calico 未运行 BGP（calico_backend: {backend}）：没有任何机制传送到其他节点 Pod 的报文",
  },
  off: {
    en: "{config} turns VXLAN off (vxlanEnabled: false), which IPPool {pool} asks for: nodes have neither vxlan.calico nor routes to Pods of other nodes",
    zh: "{config} 关闭了 VXLAN（vxlanEnabled: false），而 IPPool {pool} 要求使用：节点没有 vxlan.calico，也没有通往其他节点 Pod 的路由",
  },
  differs: {
    en: "{config} gives {node} another {key} ({value}) than other nodes have ({others}): their tunnels do not meet",
    zh: "{config} 使 {node} 的 {key}（{value}）与其他节点（{others}）不同：隧道两端无法对接",
  },
  encapsulate: { en: "Let the pool use VXLAN again", zh: "让该地址池重新使用 VXLAN" },
  remove: {
    en: "Take {key} out of it: Felix then does what the pools ask for",
    zh: "从中去掉 {key}：Felix 会按地址池的要求工作",
  },
  interrupts: { en: "Nothing that works: Felix writes its routes anew", zh: "不影响正常部分：Felix 会重新写入路由" },
  prevent: {
    en: "Change pools and FelixConfigurations by the same review as the CNI's manifest, and test a Pod of another node after each change",
    zh: "IPPool 与 FelixConfiguration 的变更应与 CNI 清单同样评审，每次变更后测试跨节点的 Pod 连通性",
  },
});

type Off = {
  readonly repair: Ref;
  readonly title: Text;
  readonly evidence: readonly Evidence[];
  readonly breaks: readonly Capability[];
  readonly key: "vxlanMode" | "vxlanEnabled" | "vxlanPort" | "vxlanVNI";
};

const isVxlan = ({ object }: CalicoPool): boolean => ["Always", "CrossSubnet"].includes(object.spec.vxlanMode ?? "");
const isIpip = ({ object }: CalicoPool): boolean => ["Always", "CrossSubnet"].includes(object.spec.ipipMode ?? "");

/** BIRD carries what is in no tunnel of Felix'; without it nobody does. */
function* unencapsulated({ calico, nodes }: Model, inUse: readonly CalicoPool[]): Iterable<Off> {
  const { backend } = calico;
  const isFelix = nodes.all.some(({ name }) => calico.setting(name, "programClusterRoutes")?.value === "Enabled");
  if (backend !== "vxlan" || isFelix) return;
  for (const pool of inUse) {
    if (isVxlan(pool)) continue;
    const { vxlanMode, ipipMode } = pool.object.spec;
    const words = `IPPool ${pool.ref.name}: vxlanMode: ${vxlanMode ?? "Never"}, ipipMode: ${ipipMode ?? "Never"}`;
    yield {
      repair: pool.ref,
      title: (isIpip(pool) ? say.ipip : say.never)({ pool: pool.ref.name, backend }),
      evidence: [pool.quote(words)],
      breaks: [{ name: "pod-network.entries" }, { name: "pod-network.config" }],
      key: "vxlanMode",
    };
  }
}

function* turnedOff({ calico, nodes }: Model, inUse: readonly CalicoPool[]): Iterable<Off> {
  const pool = inUse.find(isVxlan);
  if (!pool) return;
  const told = nodes.all.flatMap(({ name }) => {
    const setting = calico.setting(name, "vxlanEnabled");
    return setting?.value === false ? [{ name, setting }] : [];
  });
  for (const of of Map.groupBy(told, ({ setting }) => setting.ref.name).values()) {
    const [{ setting }] = of as [(typeof of)[number]];
    const evidence = [
      setting.evidence,
      pool.quote(`IPPool ${pool.ref.name}: vxlanMode: ${pool.object.spec.vxlanMode}`),
    ];
    const title = say.off({ config: `FelixConfiguration/${setting.ref.name}`, pool: pool.ref.name });
    const breaks = of.flatMap(({ name }): Capability[] => [
      { name: "pod-network.entries", node: name },
      { name: "pod-network.config", node: name },
    ]);
    yield { repair: setting.ref, title, evidence, breaks, key: "vxlanEnabled" };
  }
}

const DEFAULTS = { vxlanPort: 4789, vxlanVNI: 4096 } as const;

function* differing({ calico, nodes }: Model, inUse: readonly CalicoPool[]): Iterable<Off> {
  if (!inUse.some(isVxlan)) return;
  for (const key of ["vxlanPort", "vxlanVNI"] as const) {
    const all = nodes.all.map(({ name }) => {
      const setting = calico.setting(name, key);
      return { name, setting, value: setting?.value ?? DEFAULTS[key] };
    });
    const byValue = [...Map.groupBy(all, ({ value }) => value)].sort(([, a], [, b]) => b.length - a.length);
    const others = byValue[0]?.[0];
    for (const { name, setting, value } of byValue.slice(1).flatMap(([, members]) => members)) {
      if (!setting || others === undefined) continue;
      yield {
        repair: setting.ref,
        title: say.differs({ config: `FelixConfiguration/${setting.ref.name}`, node: name, key, value, others }),
        evidence: [setting.evidence],
        breaks: [
          { name: "node.tunnel", node: name },
          ...all.flatMap((peer): Capability[] =>
            peer.value === value ? [] : [{ name: "node.tunnel", node: peer.name, peer: name }],
          ),
        ],
        key,
      };
    }
  }
}

/** Calico is set up so that nothing carries packets between nodes. */
export const calicoOverlayOff = defineCheck({
  id: "calico-overlay-off",
  reads: ["calico", "nodes", "components"],

  *find(model) {
    const { calico, nodes, components } = model;
    if (!calico.used || nodes.all.length < 2) return;
    const owners = new Set(calico.blocks.map(({ node }) => node));
    const inUse = calico.pools.filter(({ prefix }) => calico.blocks.some((block) => contains(prefix, block.prefix.ip)));
    if (owners.size < 2) return;
    const agents = components.byId("calico-node").map(({ ref }) => ref);
    for (const judge of [unencapsulated, turnedOff, differing])
      for (const { key, ...off } of judge(model, inUse))
        yield fault({ ...off, related: agents, strength: "direct", facts: { key } });
  },

  remedies({ repair, facts }) {
    const key = String(facts.key);
    // a pool has one encapsulation
    const patch = { spec: key === "vxlanMode" ? { ipipMode: "Never", vxlanMode: "Always" } : { [key]: null } };
    const step = {
      why: key === "vxlanMode" ? say.encapsulate() : say.remove({ key }),
      change: { do: "patch", target: repair, patch } as const,
      undo: { run: `kubectl edit ${kubectlName(repair)}` },
      verify: { run: `kubectl get ${kubectlName(repair)} -o yaml` },
    };
    const rest = { interrupts: say.interrupts(), steps: [step], prevent: [say.prevent()] };
    return [{ id: "carry-again", risk: "low", ...rest }];
  },

  manual: {
    title: { en: "Calico is set up to carry nothing between nodes", zh: "Calico 的配置使节点之间无法传送 Pod 报文" },
    page: {
      en: `How packets get to Pods of other nodes is said in two places: an IPPool names the encapsulation (vxlanMode, ipipMode), and FelixConfigurations, one for all and one for each node that differs, can turn VXLAN off or move it to another port. netwhy looks whether they fit together.

**How it looks.** Pods reach those of their own node and nobody else's. If a pool's mode or vxlanEnabled is the reason, \`vxlan.calico\` is gone and so are its routes, and packets leave by the default route. If ports differ, everything looks right on each node and the tunnel of one of them answers nobody.

**How it comes about.** Encapsulation switched off for a test in one subnet, on a cluster that runs without BGP; a FelixConfiguration \`node.NAME\` left behind by a move of the port; \`vxlanEnabled: false\` out of a guide for BGP.

**When this is not the cause.** With BGP (calico_backend: bird) a pool without encapsulation is right where the network knows the Pods' routes. What environment variables of calico-node say comes before every FelixConfiguration.`,
      zh: `到其他节点 Pod 的报文如何传送由两处决定：IPPool 指定封装方式（vxlanMode、ipipMode），FelixConfiguration（一个全局、若干按节点）可以关闭 VXLAN 或改变端口。netwhy 检查两者是否相符。

**现象。** Pod 只能访问本节点的 Pod。若原因是地址池的模式或 vxlanEnabled，\`vxlan.calico\` 及其路由都会消失，报文从默认路由离开；若端口不同，各节点看上去都正常，但其中一个的隧道谁也不应答。

**成因。** 在未运行 BGP 的集群上为测试而关闭了封装；改端口后残留的 \`node.名称\` FelixConfiguration；照搬 BGP 指南设置了 \`vxlanEnabled: false\`。

**何时不是它。** 使用 BGP（calico_backend: bird）且网络知道 Pod 路由时，不封装是正确的。calico-node 的环境变量优先于任何 FelixConfiguration。`,
    },
  },
});
