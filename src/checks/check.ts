/**
 * What a check is: one fault that a cluster's network can have, how to find it in the model, what it means and what to
 * do about it. One file each, in the folder of its layer; the folder is the registry.
 *
 * A check asks the model questions and says what deviates. It does not know other checks, sources or parsers, does not
 * catch errors, and does not decide what is a root cause: cause/ does, from what the faults break.
 */
import type { Missing } from "../evidence/catalogue.ts";
import type { Evidence } from "../evidence/origin.ts";
import type { Capability, CapabilityName } from "../model/capability.ts";
import type { ClusterModel, ModelPart } from "../model/model.ts";
import type { Ref } from "../model/ref.ts";
import type { Family } from "../net/ip.ts";
import { type Template, type Text, texts } from "../text.ts";
import type { EndName } from "../trace/trace.ts";
import type { Remedy } from "./remedy.ts";

/**
 * How a fault is known, strongest first: *direct* (a required object is absent, an explicit denial, a rule that drops),
 * *traced* (packets were seen at one end and not at the other), *differing* (the state is not what its agent would write),
 * *heard* (log, event, counter), *inferred* (elimination).
 */
export type Strength = "direct" | "traced" | "differing" | "heard" | "inferred";

export type Fault = {
  readonly outcome: "fault";
  readonly check: string;
  /** The object that a person would edit or restore. */
  readonly repair: Ref;
  /** Further objects that a person would look at or repair with it. */
  readonly related: readonly Ref[];
  readonly nodes: readonly string[];
  readonly breaks: readonly Capability[];
  /** The fault in one sentence. */
  readonly title: Text;
  readonly evidence: readonly Evidence[];
  readonly strength: Strength;
  /** RFC 3339: since when at the latest, if known. */
  readonly since?: string;
  /**
   * Its agent was seen at work after the state should have come about: what is wrong was lost since, and is not for
   * want of learning.
   */
  readonly lost: boolean;
  /** What the remedies need to know of it. */
  readonly facts: Facts;
};

export type Facts = Readonly<Record<string, string | number | readonly string[]>>;

/** A capability was seen to work. */
export type Works = {
  readonly outcome: "works";
  readonly check: string;
  readonly capability: Capability;
  readonly at?: string;
  readonly evidence: readonly Evidence[];
};

export type { Missing } from "../evidence/catalogue.ts";

/** Whether a capability works cannot be told from this evidence. */
export type CannotTell = {
  readonly outcome: "cannot-tell";
  readonly check: string;
  readonly capability: Capability;
  readonly missing: readonly Missing[];
  /** What else stands in the way, if it is not missing evidence: a state that was changing. */
  readonly because?: Text;
  /**
   * Nothing casts doubt on it, and its owner says so (a declared port, the configuration from which a file was made): it is in
   * doubt only where it may explain what fails.
   */
  readonly presumed?: true;
};

/** A choice or a hazard that harms nothing that exists. */
export type Warning = {
  readonly outcome: "warning";
  readonly check: string;
  readonly repair: Ref;
  readonly related: readonly Ref[];
  readonly title: Text;
  readonly evidence: readonly Evidence[];
};

/** Trouble that logs remember and that is over. */
export type Past = {
  readonly outcome: "past";
  readonly check: string;
  readonly repair: Ref;
  readonly title: Text;
  readonly evidence: readonly Evidence[];
};

export type Outcome = Fault | Works | CannotTell | Warning | Past;

type Said<O extends Outcome> = Omit<O, "outcome" | "check">;

/** What `find` yields: outcomes without the name of their check, which is filled in for it. */
export type Finding =
  | ({ readonly outcome: "fault" } & Said<Fault>)
  | ({ readonly outcome: "works" } & Said<Works>)
  | ({ readonly outcome: "cannot-tell" } & Said<CannotTell>)
  | ({ readonly outcome: "warning" } & Said<Warning>)
  | ({ readonly outcome: "past" } & Said<Past>);

type FaultInput = {
  repair: Ref;
  breaks: readonly Capability[];
  title: Text;
  evidence: readonly Evidence[];
  strength: Strength;
  related?: readonly Ref[] | undefined;
  nodes?: readonly string[] | undefined;
  since?: string | undefined;
  lost?: boolean;
  facts?: Facts;
};

export function fault({ related = [], nodes = [], lost = false, facts = {}, since, ...rest }: FaultInput): Finding {
  return { outcome: "fault", related, nodes, lost, facts, ...(since !== undefined && { since }), ...rest };
}

export function works(capability: Capability, evidence: readonly Evidence[], at?: string): Finding {
  return { outcome: "works", capability, evidence, ...(at !== undefined && { at }) };
}

export function cannotTell(capability: Capability, missing: readonly Missing[], because?: Text): Finding {
  return { outcome: "cannot-tell", capability, missing, ...(because && { because }) };
}

/** Cannot be told, and nothing casts doubt on it (`CannotTell.presumed`). */
export function presumed(capability: Capability, missing: readonly Missing[], because?: Text): Finding {
  return { outcome: "cannot-tell", capability, missing, ...(because && { because }), presumed: true };
}

export function warning(
  repair: Ref,
  title: Text,
  evidence: readonly Evidence[],
  related: readonly Ref[] = [],
): Finding {
  return { outcome: "warning", repair, title, evidence, related };
}

export function past(repair: Ref, title: Text, evidence: readonly Evidence[]): Finding {
  return { outcome: "past", repair, title, evidence };
}

export type Layer = "control-plane" | "node" | "pod-network" | "service" | "dns" | "policy";

/** The manual page of a check, in Markdown: what it is, how it looks, when it is not the cause. */
export type Manual = {
  readonly title: Template;
  readonly page: Template;
};

/** Between whom packets are lost: two nodes; a node and all others; all of several; or one node and the world. */
export type Ends = { readonly are: "pair" | "one-to-all" | "all" | "one"; readonly nodes: readonly string[] };

/** What ends the packets of failed tests, by their walk: how, where, and the line that decides it. */
export type Blockage = {
  readonly end: EndName;
  readonly node: string;
  readonly pod?: string;
  readonly to: string;
  readonly what: string;
};

/** What the reasoning concludes of failed tests that no fault accounts for, and a check only tells of. */
export type Conclusion =
  /** Nothing in any node's state shows it: all else that the failures need was seen to work (cause/eliminate.ts). */
  | { readonly by: "elimination"; readonly of: CapabilityName; readonly title: (ends: Ends) => Text }
  /** Whatever ends their packets (cause/blocked.ts). */
  | { readonly by: "walk"; readonly title: (blockage: Blockage) => Text };

/** With the name of its check. */
export type Concluding = Conclusion & { readonly check: string };

export type ConcludingBy<B extends Conclusion["by"]> = Extract<Concluding, { readonly by: B }>;

export const concludingBy = <B extends Conclusion["by"]>(
  conclusions: readonly Concluding[],
  by: B,
): readonly ConcludingBy<B>[] => conclusions.filter((one): one is ConcludingBy<B> => one.by === by);

export type Check<R extends ModelPart = ModelPart> = {
  readonly id: string;
  readonly reads: readonly R[];
  readonly manual: Manual;
  /** Instead of `find`. */
  readonly concludes?: Conclusion;
  readonly find: (model: Pick<ClusterModel, R>) => Iterable<Finding>;
  readonly remedies: (fault: Fault, model: Pick<ClusterModel, R>) => readonly Remedy[];
};

/**
 * Defines a check.
 *
 * @param definition `reads` names the parts of the model that `find` and `remedies` may use: others are not there
 */
export function defineCheck<const R extends ModelPart>(definition: {
  readonly id: string;
  readonly reads: readonly R[];
  readonly manual: Manual;
  readonly concludes?: Conclusion;
  readonly find?: (model: Pick<ClusterModel, R>) => Iterable<Finding>;
  readonly remedies?: (fault: Fault, model: Pick<ClusterModel, R>) => readonly Remedy[];
}): Check<R> {
  return { find: () => [], remedies: () => [], ...definition };
}

const say = texts("family", { only: { en: "{what} (IPv{family})", zh: "{what}（IPv{family}）" } });

/** A sentence about one address family, where a cluster has both (`services.ofFamily`). */
export const inFamily = (what: Text, { family }: { readonly family?: Family }): Text =>
  family === undefined ? what : say.only({ what, family });
