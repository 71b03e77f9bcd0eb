/** Shapes of more than one part of the catalogue. */
import type { Parser, Reader } from "../../parse/parsed.ts";
import type { Template } from "../../text.ts";
import { type Kind, parsedBy } from "../kind.ts";

export function clusterWide<T>(path: string, other: string, parse: Parser<T>, hides: Template): Kind<T> {
  return {
    path,
    how: { other },
    open: parsedBy(parse),
    empty: "tells-nothing",
    hides,
    sensitivity: "plain",
    cost: "small",
  };
}

/** Of what is kept for others and of which nothing is read here. */
export const unread = (): Reader<readonly never[]> => ({ write: () => {}, end: () => ({ value: [], gaps: [] }) });
