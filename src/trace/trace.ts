/**
 * What a packet walk tells, as data: places, steps, and how a walk ends. Rendered elsewhere, and late.
 */
import type { Missing } from "../evidence/catalogue.ts";
import type { Evidence } from "../evidence/origin.ts";
import type { Packet } from "../model/netfilter/packet.ts";
import type { Hook } from "../model/netfilter/ruleset.ts";
import type { PodView } from "../model/pods.ts";

/** A network namespace: the node's own, or a Pod's. */
export type Namespace = { readonly node: string; readonly pod?: PodView };

export type Step =
  /** A socket sends it. */
  | { readonly did: "send"; readonly at: Namespace; readonly packet: Packet }
  /** The rules of a hook let it pass; `packet` is what they made of it. */
  | {
      readonly did: "pass";
      readonly at: Namespace;
      readonly hook: Hook;
      readonly before: Packet;
      readonly packet: Packet;
      /** Those that decided, the last first; before them the one that translated the packet. */
      readonly rules: readonly Evidence[];
      /** If asked for: all rules that it met, in order. */
      readonly met?: readonly Evidence[];
    }
  /** IPVS, or Cilium's load balancer, sends it on to one of several back ends. */
  | {
      readonly did: "balance";
      readonly by: "ipvs" | "cilium";
      readonly at: Namespace;
      readonly before: Packet;
      readonly packet: Packet;
      readonly evidence: readonly Evidence[];
    }
  /** The policy of one of Cilium's endpoints lets it pass; `identity` is that of the other end. */
  | {
      readonly did: "admit";
      readonly at: Namespace;
      readonly endpoint: string;
      readonly direction: "ingress" | "egress";
      readonly identity: number;
      readonly evidence: readonly Evidence[];
    }
  /** The routes say where to. */
  | {
      readonly did: "route";
      readonly at: Namespace;
      readonly device: string;
      readonly gateway?: string;
      readonly evidence: readonly Evidence[];
    }
  /** The next hop's hardware address is known, or will be found. */
  | { readonly did: "resolve"; readonly at: Namespace; readonly device: string; readonly evidence: readonly Evidence[] }
  /** Through a pair of virtual devices into another namespace. */
  | { readonly did: "cross"; readonly from: Namespace; readonly to: Namespace; readonly device: string }
  | {
      readonly did: "encapsulate";
      readonly at: Namespace;
      readonly device: string;
      readonly to: string;
      readonly evidence: readonly Evidence[];
    }
  /** The network between nodes carries it: nothing that is recorded shows what that does. */
  | { readonly did: "carry"; readonly from: string; readonly to: string; readonly device: string }
  | { readonly did: "decapsulate"; readonly at: Namespace; readonly device: string }
  /** A socket takes it. */
  | { readonly did: "receive"; readonly at: Namespace; readonly evidence: readonly Evidence[] };

/** How a walk can end. `insufficient` is a class of its own: neither good nor bad. */
export const ENDS = {
  answered: { en: "answered", zh: "得到应答" },
  refused: { en: "refused: nothing listens", zh: "被拒绝：没有进程监听" },
  rejected: { en: "rejected by a rule", zh: "被规则拒绝" },
  dropped: { en: "dropped by a rule", zh: "被规则丢弃" },
  denied: { en: "denied by a policy", zh: "被网络策略拒绝" },
  "no-route": { en: "no route", zh: "没有路由" },
  unreachable: { en: "the next hop does not answer", zh: "下一跳无应答" },
  "not-forwarded": { en: "the node does not forward", zh: "节点不转发" },
  "not-accepted": { en: "not accepted: its source is not expected there", zh: "源地址校验未通过" },
  "not-bridged": { en: "the bridge does not pass it on", zh: "网桥不转发" },
  "too-big": { en: "too large for the way", zh: "报文超过路径 MTU" },
  "table-full": { en: "the connection tracking table is full", zh: "连接跟踪表已满" },
  lost: { en: "goes where nobody takes it", zh: "发往无人接收之处" },
  "device-down": { en: "the device is down or missing", zh: "网卡未启用或不存在" },
  "left-cluster": { en: "leaves the cluster", zh: "离开集群" },
  "wrong-answer": { en: "the answer comes from elsewhere than was asked", zh: "应答来自另一地址" },
  loops: { en: "goes in circles", zh: "形成环路" },
  insufficient: { en: "the evidence does not tell", zh: "证据不足，无法判断" },
} as const;

export type EndName = keyof typeof ENDS;

export type End = {
  readonly is: EndName;
  readonly at?: Namespace;
  /** Where it ended among the rules. */
  readonly hook?: Hook;
  /** If asked for: all rules that it met there. */
  readonly met?: readonly Evidence[];
  /** What decided it, most telling first. */
  readonly evidence: readonly Evidence[];
  /** Of `dropped` and `rejected`: whether the rule or policy has counted any packet so far; missing if it does not count. */
  readonly counted?: boolean;
  /**
   * Of `too-big`: whether the sender learns of it, and so of the size that fits; `silenced` if the message that tells it
   * does not get there, `never` where none is sent.
   */
  readonly told?: "yes" | "silenced" | "never";
  /** Of `device-down`: the device is a tunnel's. */
  readonly tunnel?: true;
  /** Of `rejected`: how the asker learns of it; missing if it does not. */
  readonly with?: string;
  /** Of `insufficient`: what would have told, or what is not understood. */
  readonly missing?: readonly Missing[];
  readonly because?: string;
};

export type Certainty = "certain" | "chosen" | "guessed";

/**
 * One way that a packet can take, there and, if it is taken, back.
 *
 * `chosen`: packets do take it, some of them (one of several back ends). `guessed`: whether they do rests on something
 * that was not seen.
 */
export type Way = {
  readonly steps: readonly Step[];
  /** From here on the steps are those of the answer. */
  readonly answer?: number;
  readonly end: End;
  readonly certainty: Certainty;
  /** Of `guessed`: the rules of which it is not known whether the packet meets them. */
  readonly doubts?: readonly Evidence[];
};

export type Trace = { readonly ways: readonly Way[] };
