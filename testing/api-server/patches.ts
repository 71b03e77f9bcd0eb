/** Changes of objects as the API takes them: merge patches, strategic merge patches and JSON patches. */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** RFC 7386. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  return merged(target, patch, () => undefined);
}

/**
 * By which key the elements of a list are merged (kubernetes, `patchMergeKey` in the types of core/v1 and apps/v1);
 * other lists are replaced.
 */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  volumes: "name",
  env: "name",
  imagePullSecrets: "name",
  volumeMounts: "mountPath",
  hostAliases: "ip",
  conditions: "type",
  addresses: "type",
  ownerReferences: "uid",
  secrets: "name",
  taints: "key",
  webhooks: "name",
};

/** Ports have no name that is the same everywhere: `containerPort` in Pods, `port` in Services. */
function mergeKey(field: string, elements: readonly Json[]): string | undefined {
  if (field !== "ports") return MERGE_KEYS[field];
  return ["containerPort", "port"].find((key) => elements.every((element) => isObject(element) && key in element));
}

/** apimachinery, pkg/util/strategicpatch, with `$patch: delete` and `$patch: replace`. */
export function strategicMergePatch(target: Json | undefined, patch: Json): Json {
  return merged(target, patch, mergeKey);
}

type KeyOf = (field: string, elements: readonly Json[]) => string | undefined;

function merged(target: Json | undefined, patch: Json, keyOf: KeyOf): Json {
  if (!isObject(patch)) return patch;
  const { $patch, ...rest } = patch;
  const result: Record<string, Json> = isObject(target) && $patch !== "replace" ? { ...target } : {};
  for (const [field, value] of Object.entries(rest)) {
    if (field.startsWith("$")) continue;
    if (value === null) delete result[field];
    else result[field] = mergedField(field, result[field], value, keyOf);
  }
  return result;
}

function mergedField(field: string, target: Json | undefined, patch: Json, keyOf: KeyOf): Json {
  if (!Array.isArray(patch)) return merged(target, patch, keyOf);
  const key = keyOf(field, patch);
  if (key === undefined || !Array.isArray(target)) return patch;
  const idOf = (element: Json) => (isObject(element) ? element[key] : element);
  const list: Json[] = [...target];
  for (const element of patch) {
    const at = list.findIndex((each) => idOf(each) === idOf(element));
    const isDeletion = isObject(element) && element.$patch === "delete";
    if (isDeletion && at >= 0) list.splice(at, 1);
    else if (!isDeletion && at >= 0) list[at] = merged(list[at], element, keyOf);
    else if (!isDeletion) list.push(element);
  }
  return list;
}

type Operation = {
  readonly op: "add" | "replace" | "remove" | "test";
  readonly path: string;
  readonly value?: Json;
};

/**
 * RFC 6902, without `move` and `copy`.
 *
 * @throws Error with what cannot be done
 */
export function jsonPatch(target: Json, operations: readonly Operation[]): Json {
  return operations.reduce((value, operation) => applied(value, pointerOf(operation.path), operation), target);
}

const pointerOf = (path: string): string[] =>
  path
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

function applied(value: Json | undefined, [step, ...rest]: string[], operation: Operation): Json {
  const { op, path, value: given = null } = operation;
  const missing = () => new Error(`${op} operation does not apply: doc is missing path: ${path}`);
  if (step === undefined) {
    if (op === "test" && JSON.stringify(value) !== JSON.stringify(given)) throw new Error(`testing ${path} failed`);
    return op === "test" ? value! : given;
  }
  if (Array.isArray(value)) {
    const at = step === "-" ? value.length : Number(step);
    if (!(at <= value.length)) throw missing();
    if (rest.length > 0) return value.with(at, applied(value[at], rest, operation));
    if (op === "add") return value.toSpliced(at, 0, given);
    if (at === value.length) throw missing();
    return op === "remove" ? value.toSpliced(at, 1) : value.with(at, applied(value[at], [], operation));
  }
  if (!isObject(value)) throw missing();
  if (rest.length === 0 && op === "add") return { ...value, [step]: given };
  if (!Object.hasOwn(value, step)) throw missing();
  const { [step]: inner, ...others } = value;
  if (rest.length === 0 && op === "remove") return others;
  return { ...value, [step]: applied(inner, rest, operation) };
}
