/** Which objects of a backup somebody means: by name, kind, namespace or label, as kubectl takes them. */
import type { ManifestObject } from "../model/changes/change.ts";
import { type Labels, meets } from "../model/labels.ts";
import { parseLabelSelector } from "../parse/selectors/label.ts";
import { kindNamed } from "./kinds.ts";
import { isFields } from "./restorable.ts";

export type Choice = {
  /** `clusterrole/flannel`, `role/kube-system/kube-proxy`, or a kind alone: `clusterroles`, `clusterrole,role`. */
  readonly names: readonly string[];
  readonly namespace?: string | undefined;
  /** A label selector. */
  readonly selector?: string | undefined;
};

export type Chosen =
  | { readonly ok: true; readonly objects: readonly ManifestObject[] }
  /** A word that names no kind, a selector that does not parse, a name of which there is none. */
  | { readonly ok: false; readonly flaw: "kind" | "selector" | "name"; readonly word: string };

type Test = (object: ManifestObject) => boolean;

function testOf(word: string): Test | undefined {
  const [kinds = "", ...path] = word.split("/");
  const wanted = kinds.split(",").map(kindNamed);
  if (wanted.some((kind) => kind === undefined) || path.length > 2) return undefined;
  const [name, namespace] = path.toReversed();
  return ({ kind, metadata }) =>
    wanted.some((each) => each?.kind === kind) &&
    (name === undefined || metadata.name === name) &&
    (namespace === undefined || metadata.namespace === namespace);
}

export function chosenOf(objects: readonly ManifestObject[], { names, namespace, selector }: Choice): Chosen {
  const requirements = parseLabelSelector(selector ?? "");
  if (!requirements.ok) return { ok: false, flaw: "selector", word: requirements.why };
  const among = objects.filter(
    ({ metadata }) =>
      (namespace === undefined || metadata.namespace === namespace) &&
      requirements.value.every((one) => meets(one, isFields(metadata.labels) ? (metadata.labels as Labels) : {})),
  );
  if (names.length === 0) return { ok: true, objects: among };
  const chosen = new Set<ManifestObject>();
  for (const word of names) {
    const test = testOf(word);
    if (!test) return { ok: false, flaw: "kind", word };
    const found = among.filter(test);
    // a kind of which there is none is chosen all the same; a name has to be there
    if (found.length === 0 && word.includes("/")) return { ok: false, flaw: "name", word };
    for (const object of found) chosen.add(object);
  }
  return { ok: true, objects: [...chosen] };
}
