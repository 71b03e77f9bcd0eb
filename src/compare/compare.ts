/**
 * What is otherwise in one capture than in another: objects, and the state of nodes. Nobody judges here; `diff.ts` says
 * what of it concerns something broken.
 */
import type { Capture } from "../evidence/capture.ts";
import type { KindId } from "../evidence/catalogue.ts";
import { known } from "../evidence/observed.ts";
import type { Ref } from "../model/ref.ts";
import { NODE_KINDS, nodeDifferences } from "./node-state.ts";
import { areOfOneCluster, OBJECT_KINDS, objectDifferences } from "./objects.ts";
import type { FieldChange } from "./values.ts";

export type Difference = {
  /** The object, or the node whose state it is. */
  readonly subject: Ref;
  /** The list that holds the object, or the kind of state. */
  readonly kind: KindId;
  readonly change: "added" | "removed" | "changed";
  readonly fields: readonly FieldChange[];
  /** RFC 3339: when it was last written. */
  readonly at?: string;
  /** Its last field manager. */
  readonly by?: string;
};

export type Comparison = {
  readonly isOneCluster: boolean;
  readonly differences: readonly Difference[];
  /** What is not in both, and so was not compared; with the nodes, of their state. */
  readonly uncompared: readonly { readonly kind: KindId; readonly nodes: readonly string[] }[];
};

export function compare(old: Capture, now: Capture): Comparison {
  const isIn = (capture: Capture, kind: KindId, node?: string) =>
    known(capture.get(kind, node === undefined ? {} : { node })) !== undefined;
  const lists = OBJECT_KINDS.filter((kind) => isIn(old, kind) && isIn(now, kind));
  const onlyOne = OBJECT_KINDS.filter((kind) => isIn(old, kind) !== isIn(now, kind));
  const nodes = [
    ...new Set(
      [old, now].flatMap((capture) =>
        NODE_KINDS.flatMap((kind) => capture.all(kind).flatMap(({ place }) => place.node ?? [])),
      ),
    ),
  ].sort();
  const states = NODE_KINDS.flatMap((kind) => {
    const alone = nodes.filter((node) => isIn(old, kind, node) !== isIn(now, kind, node));
    return alone.length === 0 ? [] : [{ kind: kind as KindId, nodes: alone }];
  });
  const isOneCluster = areOfOneCluster(old, now);
  return {
    isOneCluster,
    differences: [
      ...lists.flatMap((kind) => objectDifferences(kind, old, now, isOneCluster)),
      ...nodes.flatMap((node) => NODE_KINDS.flatMap((kind) => nodeDifferences(kind, node, old, now))),
    ],
    uncompared: [...onlyOne.map((kind) => ({ kind: kind as KindId, nodes: [] })), ...states],
  };
}
