/** A packet on its way, as one stage of the walk hands it to the next: what it is, how it came there, and where it goes on. */
import type { Missing } from "../../evidence/catalogue.ts";
import type { Evidence } from "../../evidence/origin.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { Packet } from "../../model/netfilter/packet.ts";
import type { PodView } from "../../model/pods.ts";
import { formatIp } from "../../net/ip.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { End, Namespace, Step, Way } from "../trace.ts";

/** The parts of the model that a walk asks. */
export const WORLD = [
  "nodes",
  "pods",
  "services",
  "forwarding",
  "sockets",
  "podNamespaces",
  "cilium",
  "policies",
] as const;

export type World = Pick<ClusterModel, (typeof WORLD)[number]>;

/** What is sent: by whom, and how large its packets are. */
export type Sending = {
  readonly from: Namespace | "outside";
  readonly packet: Packet;
  /** Bytes of the IP packet, where its size matters: sent with “do not fragment”. */
  readonly size?: number;
  /** All rules that it meets are told, not only those that decide. */
  readonly explain?: boolean;
  /** Addresses: of the back ends that there are to choose from only these are followed, if any of them is among them. */
  readonly towards?: ReadonlySet<string>;
};

/** What happened so far: the last step, or several that were found together, after those before. */
type Trail = { readonly steps: Step | readonly Step[]; readonly before: Trail | undefined; readonly length: number };

/** The packet that a tunnel carries, and the hardware address that it is for. */
export type Inner = {
  readonly packet: Packet;
  readonly vni?: number;
  readonly mac?: string;
  readonly kind: "vxlan" | "ipip" | "wireguard";
  /** Of WireGuard: the sender's public key, by which the receiver knows it. */
  readonly key?: string;
  /** Of Cilium: the sender's identity. */
  readonly identity?: number;
  readonly size: number;
};

export type Moving = {
  readonly packet: Packet;
  readonly trail: Trail | undefined;
  readonly certainty: Way["certainty"];
  readonly doubts: readonly Evidence[];
  readonly inner: readonly Inner[];
  /** What the socket sent, where it was not what it was asked to: its answers are of that. */
  readonly asked: Packet | undefined;
  /** By node, and by endpoint of Cilium, the answers that its connection tracking expects: of one connection, or of several if it passes twice. */
  readonly tracked: ReadonlyMap<string, readonly Packet[]>;
  /** As it came to the node on which it is. */
  readonly entered: Packet | undefined;
  /** Where the answer begins among the steps. */
  readonly answer: number | undefined;
  /** The answer is a refusal: how the walk ends if the asker learns of it. */
  readonly refusal: End | undefined;
  readonly size: number;
  /** Somewhere on the way nobody looked, and it was taken to be as usual: that all is well is then a guess. */
  readonly unseen: true | undefined;
};

/** `isAcross`: the frame is for another port, so the node resolves no address for it. */
export type Port = { readonly port: Link; readonly from: PodView; readonly isAcross?: true };

export type Walk = {
  readonly world: World;
  readonly sending: Sending;
  /** How many ways were followed: more than a few thousand are no answer. */
  count: number;
  /** Another packet, on a walk of its own. */
  readonly also: (sending: Sending) => readonly Way[];
};

/** Where a packet goes on: stages hand it over to `walk.ts` where the walk goes round. */
export type Onward =
  /** A socket sends it. */
  | { readonly go: "send"; readonly moving: Moving; readonly at: Namespace }
  /** A node takes it in by a device. */
  | {
      readonly go: "arrive";
      readonly moving: Moving;
      readonly node: string;
      readonly device: string;
      readonly mark?: number;
    }
  /** By a node's routes, past its rules. */
  | { readonly go: "route"; readonly moving: Moving; readonly node: string }
  /** A node has sent it to itself. */
  | { readonly go: "loop-back"; readonly moving: Moving; readonly node: string };

/** A way that has ended, or one that goes on. */
export type Next = Way | Onward;

export const after = (moving: Moving, step: Step, change: Partial<Moving> = {}): Moving => ({
  ...moving,
  ...change,
  trail: { steps: step, before: moving.trail, length: (moving.trail?.length ?? 0) + 1 },
});

/** The trail with these steps at its end. */
export const longer = (before: Trail | undefined, steps: readonly Step[]): Trail => ({
  steps,
  before,
  length: (before?.length ?? 0) + steps.length,
});

/** From the first step to the last. */
export function stepsOf(trail: Trail | undefined): Step[] {
  const all = new Array<Step>(trail?.length ?? 0);
  let end = all.length;
  for (let at = trail; at; at = at.before) {
    const { steps } = at;
    if ("did" in steps) all[--end] = steps;
    else for (let i = steps.length - 1; i >= 0; i--) all[--end] = steps[i]!;
  }
  return all;
}

export function end(moving: Moving, how: End): Way[] {
  return [
    {
      steps: stepsOf(moving.trail),
      ...(moving.answer !== undefined && { answer: moving.answer }),
      end: how,
      certainty: moving.certainty,
      ...(moving.doubts.length > 0 && { doubts: moving.doubts }),
    },
  ];
}

export const cannotTell = (
  moving: Moving,
  at: Namespace | undefined,
  missing: readonly Missing[],
  because?: string,
): Way[] => end(moving, { is: "insufficient", ...(at && { at }), evidence: [], missing, ...(because && { because }) });

export const onNode = (node: string, ...kinds: readonly Missing["kind"][]): Missing[] =>
  kinds.map((kind) => ({ kind, place: { node } }));

export const inPod = ({ node = "", namespace, name }: PodView, kind: Missing["kind"]): Missing[] => [
  { kind, place: { node, namespace, pod: name } },
];

export const isKnown = <T>(value: T | "unknown" | undefined): value is T => value !== "unknown" && value !== undefined;

export const textOf = (ip: Packet["destination"]): string => (isKnown(ip) ? formatIp(ip) : "?");

/**
 * Of what a packet may be sent to, that which is to be followed.
 *
 * @param addressOf the back end's; undefined if it is none
 */
export function followed<T>(
  { sending: { towards } }: Walk,
  all: readonly T[],
  addressOf: (one: T) => string | undefined,
): readonly T[] {
  if (!towards || all.length < 2) return all;
  const isMeant = (one: T): boolean => towards.has(addressOf(one) ?? "");
  return all.some(isMeant) ? all.filter((one) => addressOf(one) === undefined || isMeant(one)) : all;
}

export const isSameIp = (a: Packet["source"], b: Packet["source"]): boolean =>
  a === b || (isKnown(a) && isKnown(b) && a.value === b.value);

export const isIpv4 = ({ family }: Packet): boolean => family === 4;

/** The policy rules that a packet is routed by. */
export const rulesOf = (packet: Packet): Missing["kind"] => (isIpv4(packet) ? "routingRules" : "routingRules6");
