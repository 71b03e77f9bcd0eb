/**
 * The catalogue of evidence: every kind that netwhy reads, in one table.
 *
 * Paths, commands and API calls here are the contract between collecting and diagnosing; a kind is never renamed.
 * docs/generated/evidence.md is made from it.
 */
import type { ApiList } from "../parse/api-list.ts";
import { ofCilium } from "./catalogue/cilium.ts";
import { ofComponents } from "./catalogue/components.ts";
import { given } from "./catalogue/given.ts";
import { ofNodes } from "./catalogue/nodes.ts";
import { objectLists } from "./catalogue/objects.ts";
import { ofServer } from "./catalogue/server.ts";
import type { Kind, Place } from "./kind.ts";

export const catalogue = {
  ...ofServer,
  ...objectLists,
  ...ofNodes,
  ...ofCilium,
  ...ofComponents,
  ...given,
} satisfies Record<string, Kind<unknown>>;

export type KindId = keyof typeof catalogue;

/** A piece of evidence that would have told. */
export type Missing = { readonly kind: KindId; readonly place?: Place };
export type ValueOf<K extends KindId> = (typeof catalogue)[K] extends Kind<infer T> ? T : never;
/** The kinds that are lists of API objects. */
export type ListId = { [K in KindId]: ValueOf<K> extends ApiList<unknown> ? K : never }[KindId];
export type ObjectOf<K extends ListId> = ValueOf<K> extends ApiList<infer T> ? T : never;
