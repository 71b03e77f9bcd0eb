/** What somebody means to do to a cluster, as it is typed: with the words and the grammar of kubectl. */

import { parseManifests } from "../../parse/kubernetes/manifests.ts";
import { parseLabelSelector } from "../../parse/selectors/label.ts";
import { parseConfig } from "../../parse/yaml.ts";
import { type Text, texts, verbatim } from "../../text.ts";
import { type Ref, ref } from "../ref.ts";
import { BUILT_IN, type ResourceType } from "../resource-types.ts";
import type { Change, ManifestObject } from "./change.ts";
import type { Deletion } from "./deletion.ts";

const say = texts("intent", {
  nothing: { en: "Nothing was said to change", zh: "没有指定任何变更" },
  howNothing: {
    en: "Say it with `--delete`, `-f`, `--patch`, `--scale` or `--restart`.",
    zh: "请用 `--delete`、`-f`、`--patch`、`--scale` 或 `--restart` 指定。",
  },
  resource: { en: "kind of object", zh: "对象类型" },
  oneName: { en: "`{word}` names no object", zh: "`{word}` 没有指明对象" },
  howName: { en: "Write `TYPE/NAME`, for example `{example}`.", zh: "写作 `类型/名称`，例如 `{example}`。" },
  mixed: {
    en: "Names and a selector (`-l`) do not go together: {word}",
    zh: "名称与选择器（`-l`）不能同时使用：{word}",
  },
  howMixed: { en: "Leave one of them out.", zh: "请只保留一个。" },
  everything: {
    en: "Without a name or a selector, `--delete {word}` takes all of the kind",
    zh: "未指定名称或选择器时，`--delete {word}` 会删除该类型的所有对象",
  },
  howEverything: { en: "Say `--all` if that is what you mean.", zh: "如确有此意，请加上 `--all`。" },
  selector: { en: "`{selector}` is no label selector: {why}", zh: "`{selector}` 不是有效的标签选择器：{why}" },
  howSelector: { en: "For example: `-l app=web,tier in (front,back)`", zh: "例如：`-l app=web,tier in (front,back)`" },
  manifest: { en: "{file} holds no Kubernetes objects{why}", zh: "{file} 中没有 Kubernetes 对象{why}" },
  because: { en: ": {why}", zh: "：{why}" },
  howManifest: {
    en: "It takes YAML and JSON as `kubectl apply -f` does.",
    zh: "接受与 `kubectl apply -f` 相同的 YAML 和 JSON。",
  },
  patch: { en: "`{word}` is no patch of an object", zh: "`{word}` 不是对某个对象的补丁" },
  howPatch: {
    en: "Write `TYPE/NAME=PATCH`, for example `{example}`.",
    zh: "写作 `类型/名称=补丁`，例如 `{example}`。",
  },
  scale: { en: "`{word}` is no number of replicas of a workload", zh: "`{word}` 不是某个工作负载的副本数" },
});

export type Typed = {
  /** Each `TYPE[,TYPE…]`, `TYPE/NAME` or `TYPE NAME…`. */
  readonly delete?: readonly string[];
  readonly selector?: string | undefined;
  readonly all?: boolean;
  /** For names that tell none; as kubectl has it, `default`. */
  readonly namespace?: string | undefined;
  readonly allNamespaces?: boolean;
  readonly manifests?: readonly { readonly file: string; readonly text: string }[];
  readonly patch?: readonly string[];
  readonly scale?: readonly string[];
  readonly restart?: readonly string[];
};

export type Intent = {
  readonly deletions: readonly Deletion[];
  /** Carried through after the deletions, in their order. */
  readonly changes: readonly Change[];
};

/** Why what was typed is no intent. */
export type Misunderstood = {
  readonly problem: Text;
  readonly hint: Text;
  /** A word that names nothing, and all that there are. */
  readonly unknown?: { readonly kind: Text; readonly name: string; readonly names: readonly string[] };
};

class Trouble extends Error {
  readonly told: Misunderstood;

  constructor(problem: Text, hint: Text, unknown?: Misunderstood["unknown"]) {
    super(problem.en);
    this.told = { problem, hint, ...(unknown && { unknown }) };
  }
}

export function intentOf(typed: Typed): Intent | Misunderstood {
  try {
    const intent = { deletions: deletionsOf(typed), changes: changesOf(typed) };
    if (intent.deletions.length + intent.changes.length === 0) throw new Trouble(say.nothing(), say.howNothing());
    return intent;
  } catch (error) {
    if (error instanceof Trouble) return error.told;
    throw error;
  }
}

export const isMisunderstood = (value: object): value is Misunderstood => "problem" in value;

/** Custom resources that netwhy reads, beside those of Kubernetes itself. */
const CUSTOM: readonly ResourceType[] = [
  custom("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", true, "cnp", "ciliumnp"),
  custom("cilium.io", "v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", false, "ccnp"),
  custom("crd.projectcalico.org", "v1", "GlobalNetworkPolicy", "globalnetworkpolicies", false, "gnp"),
];

function custom(
  group: string,
  version: string,
  kind: string,
  plural: string,
  isNamespaced: boolean,
  ...shortNames: readonly string[]
): ResourceType {
  return { group, version, kind, plural, singular: kind.toLowerCase(), isNamespaced, shortNames, categories: [] };
}

const TYPES = [...BUILT_IN, ...CUSTOM];

/**
 * The types that a word names, as kubectl understands it: plural, singular or short, with a group or without; `all` is a
 * category. A word with a group that is not known stands for a custom resource.
 */
function typesNamed(word: string): readonly ResourceType[] {
  const [name = "", ...rest] = word.toLowerCase().split(".");
  const group = rest.join(".").replace(/^v\d+((alpha|beta)\d+)?\./, "");
  const isNamed = (type: ResourceType) =>
    [type.plural, type.singular, ...type.shortNames].includes(name) && (group === "" || type.group === group);
  const found = TYPES.find(isNamed);
  if (found) return [found];
  const category = TYPES.filter(({ categories }) => group === "" && categories.includes(name));
  if (category.length > 0) return category;
  if (group !== "") return [custom(group, "", name, name, true)];
  const names = TYPES.flatMap(({ plural, singular, shortNames }) => [plural, singular, ...shortNames]);
  throw new Trouble(say.resource(), say.resource(), { kind: say.resource(), name: word, names });
}

function deletionsOf({ delete: words = [], selector, all = false, namespace, allNamespaces }: Typed): Deletion[] {
  const labels = selector === undefined ? [] : labelsOf(selector);
  const where = allNamespaces ? {} : { namespace: namespace ?? "default" };
  return words.map((word) => {
    const { types, names } = objectsNamed(word);
    if (names.length > 0 && selector !== undefined) throw new Trouble(say.mixed({ word }), say.howMixed());
    if (names.length === 0 && selector === undefined && !all) {
      throw new Trouble(say.everything({ word }), say.howEverything());
    }
    return { types, names, labels, ...where };
  });
}

/** `TYPE,TYPE`, `TYPE/NAME`, `TYPE NAME NAME`. */
function objectsNamed(word: string): { readonly types: readonly ResourceType[]; readonly names: readonly string[] } {
  const [first = "", ...names] = word.trim().split(/\s+/);
  const slash = first.indexOf("/");
  if (slash >= 0) return { types: typesNamed(first.slice(0, slash)), names: [first.slice(slash + 1), ...names] };
  return { types: first.split(",").flatMap(typesNamed), names };
}

function labelsOf(selector: string): Deletion["labels"] {
  const parsed = parseLabelSelector(selector);
  if (!parsed.ok) throw new Trouble(say.selector({ selector, why: parsed.why }), say.howSelector());
  return parsed.value;
}

const PATCH = `deploy/web='{"spec":{"replicas":0}}'`;

function changesOf(typed: Typed): Change[] {
  const { manifests = [], patch = [], scale = [], restart = [] } = typed;
  return [
    ...manifests.flatMap(({ file, text }) => appliedFrom(file, text, typed)),
    ...patch.map((word): Change => {
      const [target, value] = assignment(word, typed);
      const { fields, gaps } = parseConfig(value, "Patch");
      if (!target || gaps.length > 0) throw new Trouble(say.patch({ word }), say.howPatch({ example: PATCH }));
      return { do: "patch", target, patch: fields };
    }),
    ...scale.map((word): Change => {
      const [target, value] = assignment(word, typed);
      if (!target || !/^\d+$/.test(value)) {
        throw new Trouble(say.scale({ word }), say.howName({ example: "deploy/coredns=2" }));
      }
      return { do: "scale", target, replicas: Number(value) };
    }),
    ...restart.map((word): Change => ({ do: "restart", component: objectNamed(word, typed) })),
  ];
}

function assignment(word: string, typed: Typed): readonly [Ref | undefined, string] {
  const equals = word.indexOf("=");
  return equals < 0 ? [undefined, ""] : [objectNamed(word.slice(0, equals), typed), word.slice(equals + 1)];
}

/** One object: `TYPE/NAME`. */
function objectNamed(word: string, { namespace = "default" }: Typed): Ref {
  const { types, names } = objectsNamed(word);
  const [type] = types;
  const [name] = names;
  if (!type || !name || types.length > 1 || names.length > 1) {
    throw new Trouble(say.oneName({ word }), say.howName({ example: "deploy/coredns" }));
  }
  return ref(type.kind, name, type.isNamespaced ? namespace : undefined);
}

function appliedFrom(file: string, text: string, { namespace = "default" }: Typed): Change[] {
  const { value, gaps } = parseManifests(text);
  const [gap] = gaps;
  if (gap || !value || value.objects.length === 0) {
    const why = gap ? say.because({ why: gap.what }) : verbatim("");
    throw new Trouble(say.manifest({ file, why }), say.howManifest());
  }
  return value.objects.map(({ apiVersion, kind, object }) => {
    const metadata = object.metadata as ManifestObject["metadata"];
    const type = TYPES.find((one) => one.kind === kind);
    const isPlaced = type?.isNamespaced === true && metadata.namespace === undefined;
    return {
      do: "apply",
      object: { ...object, apiVersion, kind, metadata: isPlaced ? { ...metadata, namespace } : metadata },
    };
  });
}
