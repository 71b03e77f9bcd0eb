/** What goes wrong where a permission is missing: sentences that many components share, each with what it breaks. */
import type { Phrases } from "../../text.ts";
import { texts } from "../../text.ts";
import type { CapabilityName, Work } from "../capability.ts";
import type { Consequence } from "./baseline.ts";

type Entry = {
  readonly en: string;
  readonly zh: string;
  readonly breaks?: readonly Work[];
  readonly stops?: readonly CapabilityName[];
};

/** Consequences from their wordings. */
export function consequences<const T extends Record<string, Entry>>(
  scope: string,
  entries: T,
): { readonly [K in keyof T]: Consequence } {
  const say = texts(scope, entries as never) as Phrases<Record<string, { en: "plain"; zh: "plain" }>>;
  return Object.fromEntries(
    Object.entries<Entry>(entries).map(([key, { breaks = [], stops }]) => [
      key,
      { says: say[key]!(), breaks, ...(stops && { stops }) },
    ]),
  ) as { readonly [K in keyof T]: Consequence };
}

export const LOSS = consequences("permission", {
  servicesFreeze: {
    en: "rules for Services freeze as they are, and after a restart none are written",
    zh: "Service 规则停留在原样；重启后不再写入任何规则",
    breaks: ["services", "start"],
  },
  nodesFreeze: {
    en: "nodes that join or change are not learned: no routes to their Pods",
    zh: "感知不到新加入或变更的节点，没有通往其 Pod 的路由",
    breaks: ["nodes", "start"],
  },
  policiesFreeze: {
    en: "policies stay as they were learned last",
    zh: "网络策略停留在最后一次获知的状态",
    breaks: ["policies", "start"],
  },
  startBlocks: {
    en: "it works on with what it has learned, and does not get through its next start",
    zh: "凭已获知的数据继续工作，但下次启动无法完成",
    breaks: ["start"],
  },
  leaderLess: {
    en: "no replica can hold the lease: there is no leader, and its work stands still",
    zh: "没有副本能持有 Lease：选不出 leader，工作停滞",
    breaks: ["start"],
  },
  taintStays: {
    en: "new nodes keep the condition NetworkUnavailable or the taint of a network that is not ready: no Pods are scheduled there",
    zh: "新节点一直带有 NetworkUnavailable 状态或网络未就绪污点，不会有 Pod 调度上去",
    breaks: ["nodes"],
  },
  otherIdentity: {
    en: "only what comes to the API server under another name than its ServiceAccount here is refused",
    zh: "只有不以这里的 ServiceAccount 身份、而以其他身份访问 API Server 时才会被拒绝",
  },
  eventsLost: {
    en: "its Events are not written; its work goes on",
    zh: "Event 写不进去，工作不受影响",
  },
  stateUnwritten: {
    en: "what it reports of its own state is not written back; traffic is not touched",
    zh: "自身状态无法回写，流量不受影响",
  },
  optionsOnly: {
    en: "only a feature that has to be turned on stops working",
    zh: "仅影响需要单独开启的功能",
  },
  otherReleases: {
    en: "nothing, as far as this release goes: others need it",
    zh: "当前版本用不到，只有其他版本需要",
  },
  garbageStays: {
    en: "what is no longer used is not cleaned up",
    zh: "不再使用的数据不会被清理",
  },
  toolsOnly: {
    en: "only its diagnostic tools are refused",
    zh: "仅其诊断工具会被拒绝",
  },
  metricsClosed: {
    en: "it cannot tell who asks: its own metrics and interfaces stay closed",
    zh: "无法核实访问者身份，自身的指标和接口不可访问",
  },
  joinStops: {
    en: "nodes cannot join: what kubeadm reads and asks for is refused",
    zh: "新节点无法加入：kubeadm 所需的读取和申请会被拒绝",
  },
  holdersLose: {
    en: "whoever is bound to it can no longer do what it allows",
    zh: "绑定到该角色的主体失去其中的权限",
  },
  workloadsFreeze: {
    en: "workloads are not followed: Pods that are missing are not made, those too many stay",
    zh: "工作负载不再被跟踪：缺少的 Pod 不会创建，多余的 Pod 不会删除",
    stops: ["pod.create"],
  },
  volumesFreeze: {
    en: "volumes are not provisioned, attached, resized or released",
    zh: "存储卷无法创建、挂载、扩容或释放",
  },
});
