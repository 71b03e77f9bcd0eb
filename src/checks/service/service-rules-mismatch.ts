import { isWhole } from "../../evidence/observed.ts";
import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import { savedAt } from "../../model/forwarding/saved-at.ts";
import type { NodeView } from "../../model/nodes.ts";
import type { Programmed } from "../../model/programmed.ts";
import { refId } from "../../model/ref.ts";
import type { ServicePort } from "../../model/services/services.ts";
import { isSettled } from "../../model/services/settled.ts";
import { earlierOf } from "../../model/time.ts";
import type { Family } from "../../net/ip.ts";
import { cannotTell, defineCheck, type Finding, fault, presumed, warning, works } from "../check.ts";
import {
  brokenBy,
  type Deviation,
  isOvertaken,
  isUndropped,
  judge,
  shortList,
  VANTAGES,
  wasWritten,
} from "./service-rules-mismatch/deviation.ts";
import {
  absenceOfAll,
  kindOf,
  missingJump,
  quoteBackends,
  SAVED,
  showing,
  showingAll,
} from "./service-rules-mismatch/evidence.ts";
import { FROM, judgeMasquerading, type Unmasked } from "./service-rules-mismatch/masquerading.ts";
import type { Model, Served } from "./service-rules-mismatch/served.ts";
import { say } from "./service-rules-mismatch/words.ts";

function* judgeNode(node: NodeView, ports: readonly ServicePort[], family: Family, model: Model): Iterable<Finding> {
  const { name } = node;
  const ofFamily = model.services.ofFamily(family);
  const whole = { name: "service.rules", node: name, ...ofFamily } as const;
  const servedBy = (port: ServicePort): Served => ({ port, node: name, family });
  const proxies = model.components.withDuty("service-proxy").map(({ ref: self }) => self);
  const mode = model.proxy.mode(name);
  const plane = model.forwarding.of(name);
  const readAt = earlierOf(model.time, savedAt(plane, model.time));
  if (mode === undefined) {
    if (plane.filter.stateOf(family) !== "whole")
      yield cannotTell(whole, [{ kind: SAVED[family], place: { node: name } }]);
    return;
  }
  if (!model.services.whole || !model.services.endpointsWhole) {
    yield cannotTell(whole, [{ kind: model.services.whole ? "endpointslices" : "services" }]);
    return;
  }
  const deviations: Deviation[] = [];
  const judged: ServicePort[] = [];
  const moving: ServicePort[] = [];
  const unclear: ServicePort[] = [];
  const unmasked: Unmasked[] = [];
  let marked = false;
  const warned = new Set<number | undefined>();
  for (const port of ports) {
    if (model.proxy.isRight(port, name, family)) {
      judged.push(port);
      marked = true;
      continue;
    }
    const programmed = model.proxy.programmed(port, name, family);
    if (!programmed) {
      unclear.push(port);
      continue;
    }
    judged.push(port);
    const deviating = (all: readonly Programmed[]) =>
      all.map((one) => judge(servedBy(port), one, model)).filter((deviation) => deviation !== undefined);
    const inside = model.proxy.programmedInside(port, name, family) ?? [];
    const fromOthers = deviating(programmed);
    const found = fromOthers.length > 0 ? fromOthers : deviating(inside.filter(({ to }) => to !== "itself"));
    const ways = [...programmed, ...inside];
    marked ||= ways.some((way) => way.marked);
    const bare = ways.filter(
      (way) => way.unmasked.size > 0 && !found.some(({ vantage, to }) => vantage === way.vantage && to === way.to),
    );
    if (bare.length > 0 && isSettled(port, model.services, readAt)) unmasked.push({ port, ways: bare });
    if (found.length === 0) {
      const undropped = programmed.find((one) => isUndropped(servedBy(port), one, model));
      if (undropped && isSettled(port, model.services, readAt)) {
        const what = undropped.vantage === "outside" ? say.toNodePort() : say.toClusterIp();
        yield warning(
          node.ref,
          say.undropped({ node: name, service: port.key, what }),
          [quoteBackends({ port, family }, model)],
          [port.service.ref],
        );
      }
      continue;
    }
    // who shuts NodePorts to strangers may mean it
    const shut = found.filter(({ what, vantage }) => what === "foreign" && vantage === "outside");
    for (const { line, title, evidence } of shut) {
      if (!warned.has(line)) yield warning(node.ref, title, evidence, [port.service.ref]);
      warned.add(line);
    }
    const harm = found.filter((deviation) => !shut.includes(deviation));
    if (harm.length === 0) continue;
    const isMoving = ways.some((way) => isOvertaken(servedBy(port), way, model));
    if (!isMoving && isSettled(port, model.services, readAt)) deviations.push(...harm);
    else moving.push(port);
  }
  if (judged.length === 0) {
    yield cannotTell(whole, [{ kind: kindOf(mode, family), place: { node: name } }]);
    return;
  }
  // rules are as they were or as they will be: whether they follow is what cannot be told
  if (moving.length > 0) {
    const [proxy] = proxies;
    const follows = { name: "component.learn", node: name, ...(proxy && { component: refId(proxy) }) } as const;
    const services = [...new Set(moving.map(({ key }) => key))];
    yield cannotTell(follows, [], say.changing({ services: shortList(services) }));
  }
  // IPVS sees what Pods send if the node has the address
  const isUnseen = mode === "ipvs" && !isWhole(plane.localAddresses);
  // and rules may refuse what is for it before
  const isUnfiltered = mode === "ipvs" && plane.filter.stateOf(family) !== "whole";
  const proven = (capability: Capability, evidence: readonly Evidence[]): Finding =>
    isUnfiltered
      ? presumed(capability, [{ kind: SAVED[family], place: { node: name } }])
      : works({ ...capability, ...(isUnseen && { from: "host" }) }, evidence);
  if (isUnseen) yield presumed({ ...whole, from: "pod" }, [{ kind: "links", place: { node: name } }]);
  for (const port of unclear) yield cannotTell({ ...whole, service: port.key }, [], say.unclear());
  yield* judgeMasquerading(node, unmasked, !marked && unmasked.length > 1, mode, family, model);
  if (deviations.length + moving.length + unclear.length === 0) {
    yield proven(
      whole,
      [...(model.proxy.programmed(judged[0]!, name, family)?.[0]?.delivered.values() ?? [])].slice(0, 1),
    );
    return;
  }
  const common = { repair: node.ref, nodes: [name], strength: "differing" as const };
  const served = judged.filter((port) => model.services.expected(port, name, family).any);
  // what befalls all Services alike is one fault of the node
  const lost = deviations.filter(
    ({ what, vantage, to }) => what === "missing" && to === (vantage === "outside" ? "node-port" : "cluster-ip"),
  );
  const cutOff = VANTAGES.filter((vantage) => {
    const seen = served.filter((port) => vantage !== "outside" || port.nodePort !== undefined).length;
    return seen > 1 && lost.filter((deviation) => deviation.vantage === vantage).length === seen;
  });
  const [first] = cutOff;
  if (first) {
    // IPVS has one table for all, and sees what comes from Pods only if the node has its addresses
    const isAll = cutOff.includes("host") && (mode === "ipvs" || cutOff.includes("pod"));
    yield fault({
      ...common,
      related: proxies,
      breaks: isAll ? [whole] : cutOff.map((from) => ({ ...whole, from })),
      title: isAll
        ? (ofFamily.family ? say.nothingOfFamily : say.nothing)({ node: name, family })
        : mode === "ipvs"
          ? (cutOff.includes("pod") ? say.unheldAll : say.noNodePorts)({ node: name })
          : say.notEntered({ node: name, from: FROM[first](), ...missingJump(name, first, family, model) }),
      evidence: absenceOfAll(servedBy(lost[0]!.port), cutOff, model),
      lost: lost.every(({ port }) => wasWritten(name, port, model)),
      facts: {
        case: "all",
        shows: showingAll(mode, family),
      },
    });
    return;
  }
  for (const port of judged) {
    const mine = deviations.filter((deviation) => deviation.port === port);
    const found = mine[0];
    if (!found) {
      if (!moving.includes(port)) yield proven({ ...whole, service: port.key }, []);
      continue;
    }
    yield fault({
      ...common,
      related: [...proxies, port.service.ref],
      breaks: brokenBy(mine, servedBy(port), { ...whole, service: port.key }, model),
      title: found.title,
      evidence: [...found.evidence, ...(found.what === "foreign" ? [] : [quoteBackends({ port, family }, model)])],
      lost: found.what === "foreign" || found.what === "diverted" || wasWritten(name, port, model),
      facts: {
        case: found.what,
        shows: showing(port, mode, family, found.to),
        ...found.removal,
      },
    });
  }
}

/** A node's rules do not deliver a Service to the back ends that it has: missing, stale, or foreign rules. */
export const serviceRulesMismatch = defineCheck({
  id: "service-rules-mismatch",
  reads: ["nodes", "pods", "services", "proxy", "components", "logs", "time", "forwarding", "sandboxes"],

  *find(model) {
    const proxied = model.services.all.filter((service) => service.proxied);
    const used = new Set(proxied.flatMap(({ families }) => families));
    // of Services that were not seen, a node's rules tell nothing in any family
    for (const family of used.size > 0 ? used : [4 as const]) {
      const ports = proxied.filter(({ families }) => families.includes(family)).flatMap((service) => service.ports);
      for (const node of model.nodes.all) if (node.sampled) yield* judgeNode(node, ports, family, model);
    }
  },

  remedies({ nodes, related, facts }) {
    const proxy = related.find(({ kind }) => kind === "DaemonSet");
    const node = nodes[0]!;
    const { shows, run, undo, verify } = facts as Readonly<Record<string, string | undefined>>;
    if (run !== undefined && undo !== undefined && verify !== undefined) {
      const step = {
        why: say.removeRule(),
        change: { run, node },
        undo: { run: undo, node },
        verify: { run: verify, node },
      };
      const prevent = [say.preventForeign()];
      return [{ id: "remove-rule", risk: "low", interrupts: say.nothingElse(), steps: [step], prevent }];
    }
    const step = {
      why: say.restart({ node }),
      change: proxy
        ? ({ do: "restart", component: proxy, node } as const)
        : { run: "systemctl restart k3s-agent || systemctl restart k3s", node },
      verify: { run: shows!, node },
    };
    return [
      {
        id: "rewrite-rules",
        risk: "low",
        interrupts: say.interrupts(),
        steps: [step],
        prevent: [say.preventFlush(), say.preventAlert()],
        errata: ["X2"],
      },
    ];
  },

  manual: {
    title: { en: "A node's Service rules differ from what the API demands", zh: "节点的 Service 规则与 API 不一致" },
    page: {
      en: `For every node and Service netwhy sends the first packet of a connection through the node's rules (iptables) or table (IPVS) and compares where it comes out with the Service's ready back ends: from a Pod, from the node, from outside.

**How it looks.** A Service fails on one node and works on others. *Missing*: the packet leaves untranslated and times out. *Refused as if it had no back end*: the rule "has no endpoints" is older than the endpoints. *Stale*: connections time out or reach a Pod that is another's by now. *Foreign*: somebody's rule refuses it.

**How it comes about.** kube-proxy on the node does not learn (permissions, API server), was removed or is stuck; something flushed or restored rules; an administrator added one. A rule for a ClusterIP in the filter table usually never matches, because the address is translated before.

**When this is not the cause.** If all nodes refuse, the Service has no back end. With externalTrafficPolicy Local, a node without local back end drops on purpose.`,
      zh: `对每个节点和 Service，netwhy 让一条连接的首个报文走一遍该节点的规则（iptables）或转发表（IPVS），并将结果与 Service 的就绪后端比较：分别从 Pod、节点自身和外部出发。

**现象。** Service 在某个节点上失败而在其他节点正常。*缺失*：报文未经转换离开节点，最终超时。*当作没有后端而拒绝*：“has no endpoints” 规则比后端还旧。*陈旧*：连接超时，或到达已属于别人的 Pod。*外来*：有人添加的规则将其拒绝。

**成因。** 节点上的 kube-proxy 获取不到变化（权限、API Server）、已被移除或卡住；规则被清空或被旧快照覆盖；管理员手工添加规则。filter 表中针对 ClusterIP 的规则通常不会命中，因为地址在此之前已被转换。

**何时不是它。** 若所有节点都拒绝，是 Service 没有后端。externalTrafficPolicy 为 Local 时，没有本地后端的节点会按设计丢弃。`,
    },
  },
});
