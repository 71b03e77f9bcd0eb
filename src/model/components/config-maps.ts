/** The ConfigMaps that a component is configured by. */
import type { PodSpec } from "../../parse/objects.ts";
import type { Objects } from "../objects.ts";

export type WantedConfigMap = {
  readonly name: string;
  /** The volume that it is mounted as, if it is. */
  readonly volume?: string;
};

/**
 * Cilium's agent mounts none since 1.13: an init container reads it over the API, from the namespace of the Pod
 * (`cilium-dbg build-config`, install/kubernetes/cilium/templates/cilium-agent/daemonset.yaml).
 */
const readsOverApi = ({ command, args }: PodSpec["containers"][number]): boolean =>
  [...(command ?? []), ...(args ?? [])].includes("build-config");

/** The ConfigMaps without which its Pod does not start (kubelet, pkg/volume/configmap; pkg/kubelet/kubelet_pods.go). */
export function wantedConfigMaps({ volumes, containers, initContainers }: PodSpec): readonly WantedConfigMap[] {
  const mounted = (volumes ?? []).flatMap(({ name: volume, configMap, projected }) => [
    ...(configMap ? [{ ...configMap, volume }] : []),
    ...(projected?.sources ?? []).flatMap(({ configMap: source }) => source ?? []),
  ]);
  const all = [...containers, ...(initContainers ?? [])];
  const environment = all.flatMap(({ env, envFrom }) => [
    ...(env ?? []).flatMap(({ valueFrom }) => valueFrom?.configMapKeyRef ?? []),
    ...(envFrom ?? []).flatMap(({ configMapRef }) => configMapRef ?? []),
  ]);
  const read = all.some(readsOverApi) ? [{ name: "cilium-config", optional: false }] : [];
  const wanted = [...mounted, ...environment, ...read].flatMap(({ name, optional, ...rest }) =>
    name && !optional ? [{ name, ...rest }] : [],
  );
  return [...new Map(wanted.toReversed().map((one) => [one.name, one])).values()];
}

/** A line of a ConfigMap's data. */
export type Setting = { readonly map: string; readonly key: string; readonly line: string };

/** What programs say of values that they cannot do with. */
const REJECTS =
  /\b(invalid|illegal|unknown|unsupported|unrecognized|malformed|not (a )?valid|must be|pars(e|ing)|unmarshal)/i;
/** Quotes within quotes are escaped by some logs: what stands between any two may be a value. */
const betweenQuotes = (words: string): readonly string[] =>
  words
    .split(/\\*"/)
    .slice(1, -1)
    .map((part) => part.trim())
    .filter(({ length }) => length > 2);

const isWordOf = (line: string, value: string): boolean => {
  const at = line.indexOf(value);
  const isBound = (char: string | undefined) => char === undefined || !/[\w./-]/.test(char);
  return at >= 0 && isBound(line[at - 1]) && isBound(line[at + value.length]);
};

/**
 * The one setting of which a program complains: its words quote a value that stands in one line of its ConfigMaps, and in no
 * other.
 */
export function settingNamed(
  words: string,
  maps: readonly string[],
  namespace: string,
  objects: Objects,
): Setting | undefined {
  if (!REJECTS.test(words)) return undefined;
  const settings = maps.flatMap((map) => {
    const found = objects.find("configmaps", map, namespace);
    const data = found.state === "present" ? Object.entries(found.value.data ?? {}) : [];
    return data.flatMap(([key, text]) => text.split("\n").map((line): Setting => ({ map, key, line: line.trim() })));
  });
  for (const value of betweenQuotes(words)) {
    const [first, ...others] = settings.filter(({ line }) => isWordOf(line, value));
    if (first && others.length === 0) return first;
  }
  return undefined;
}
