/** What the catalogue says of one kind of evidence. */
import type { Projection } from "../parse/json/projection.ts";
import type { Parser, Reader } from "../parse/parsed.ts";
import { whole } from "../parse/parsed.ts";
import type { Template } from "../text.ts";

/** Which thing a piece of evidence is about. The names are those in the braces of a kind's path. */
export type Place = {
  readonly node?: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
  readonly file?: string;
};

export type Kind<T> = {
  /** Where it stands in a bundle, e.g. `nodes/{node}/ip-addr.json`; `*` is the version of an API group. */
  readonly path: string;
  /** How it is had: a list call to the API, a command on a node, inside a Pod's network namespace, … */
  readonly how:
    | { readonly list: string }
    | { readonly command: string; readonly where: "node" | "pod" }
    /** A command inside a container of the Pod, e.g. of an agent that is asked what it knows. */
    | { readonly exec: string; readonly container: string }
    | { readonly file: string }
    | { readonly logs: "current" | "previous" }
    /** A path of the API, e.g. one that it hands on to a Pod; the braces hold the names of the place. */
    | { readonly get: string }
    | { readonly other: string };
  readonly open: () => Reader<T>;
  /** Reads the other form, an object a line (`.jsonl`); lists of the API have it. */
  readonly openLines?: () => Reader<T>;
  /** What of each object of such a list is read. */
  readonly projection?: () => Projection;
  /** What an empty file means: the tool had nothing to print, or the file tells nothing. */
  readonly empty: "nothing-there" | "tells-nothing";
  /** Its value is a list of which many nodes have the same items: a capture keeps equal ones once. */
  readonly repeats?: true;
  /** Its command's output without `-j` is read as well, also as `.txt`. */
  readonly plain?: true;
  /** What nobody can tell without it. */
  readonly hides: Template;
  readonly sensitivity: "plain" | "names" | "may-hold-secrets";
  readonly cost: "small" | "medium" | "large";
};

export function parsedBy<T>(parse: Parser<T>): () => Reader<T> {
  return () => whole(parse);
}
