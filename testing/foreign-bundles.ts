/** A recording in the form in which other tools would have packed it, as far as they take what is in it. */
import { dump } from "js-yaml";

type Files = ReadonlyMap<string, string>;
type Item = {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
};
type List = { readonly resource: string; readonly kind: string; readonly apiVersion: string; readonly items: Item[] };

/** The lists of the API, each object with its kind, as clients write it. */
function listsOf(files: Files): List[] {
  return [...files].flatMap(([path, text]): List[] => {
    const found = /^apis?\/(.*)\/(\w+)\.json$/.exec(path);
    if (!found) return [];
    const list = JSON.parse(text) as { kind: string; items: Item[] | null };
    const [, version = "", resource = ""] = found;
    const kind = list.kind.replace(/List$/, "");
    const items = (list.items ?? []).map((item) => ({ ...item, kind, apiVersion: version }));
    return [{ resource, kind, apiVersion: version, items }];
  });
}

const logsOf = (files: Files) =>
  [...files].flatMap(([path, text]) => {
    const found = /^logs\/([^/]+)\/([^/]+)\/([^/]+?)(\.previous)?\.log$/.exec(path);
    if (!found) return [];
    const [, namespace = "", pod = "", container = "", previous] = found;
    return [{ namespace, pod, container, isPrevious: previous !== undefined, text }];
  });

const byNamespace = ({ items }: List) => Map.groupBy(items, ({ metadata: { namespace = "" } }) => namespace);
const typed = ({ kind, apiVersion }: List, items: readonly Item[]) => ({ kind: `${kind}List`, apiVersion, items });
const plain = (items: readonly Item[]) => ({ kind: "List", apiVersion: "v1", items });
const json = (value: unknown) => JSON.stringify(value, null, 2);
const yaml = (value: unknown) => dump(value);
const isNamespaced = (list: List) => list.items.some(({ metadata: { namespace } }) => namespace !== undefined);
const withoutStamps = (text: string) => text.replace(/^\S+Z /gm, "");
const namespacesIn = (lists: readonly List[]) =>
  lists.find(({ resource }) => resource === "namespaces")!.items.map(({ metadata: { name } }) => name);

/** `kubectl support-bundle`: a folder for each kind, a file for each namespace. */
export function asTroubleshoot(files: Files): Files {
  const lists = listsOf(files);
  const of = lists.flatMap((list): [string, string][] => {
    const home = `support-bundle-2026/cluster-resources/${list.resource}`;
    if (!isNamespaced(list)) return [[`${home}.json`, json(typed(list, list.items))]];
    const groups = byNamespace(list);
    return namespacesIn(lists).map((name) => [`${home}/${name}.json`, json(typed(list, groups.get(name) ?? []))]);
  });
  const logs = logsOf(files).map(({ namespace, pod, container, isPrevious, text }): [string, string] => [
    `support-bundle-2026/cluster-resources/pods/logs/${namespace}/${pod}/${container}${isPrevious ? "-previous" : ""}.log`,
    text,
  ]);
  return new Map([
    ["support-bundle-2026/version.yaml", "apiVersion: troubleshoot.sh/v1beta2\nkind: SupportBundle\n"],
    ["support-bundle-2026/analysis.json", "[]"],
    ["support-bundle-2026/cluster-info/cluster_version.json", json({ info: { gitVersion: "v1.33.0" } })],
    ...of,
    ...logs,
  ]);
}

/** `oc adm must-gather`: cluster-wide objects a file each, namespaced ones a list for each namespace. */
export function asMustGather(files: Files): Files {
  const home = "must-gather.local.1/quay-io-image";
  const groupOf = (apiVersion: string) => (apiVersion.includes("/") ? apiVersion.split("/")[0]! : "core");
  const of = listsOf(files).flatMap((list): [string, string][] =>
    isNamespaced(list)
      ? [...byNamespace(list)].map(([name, items]) => [
          `${home}/namespaces/${name}/${groupOf(list.apiVersion)}/${list.resource}.yaml`,
          `---\n${yaml(typed(list, items))}`,
        ])
      : list.items.map((item) => [
          `${home}/cluster-scoped-resources/${groupOf(list.apiVersion)}/${list.resource}/${item.metadata.name}.yaml`,
          `---\n${yaml(item)}`,
        ]),
  );
  const logs = logsOf(files).map(({ namespace, pod, container, isPrevious, text }): [string, string] => [
    `${home}/namespaces/${namespace}/pods/${pod}/${container}/${container}/logs/${isPrevious ? "previous" : "current"}.log`,
    text,
  ]);
  return new Map([["must-gather.local.1/timestamp", "2026-11-21\n"], ...of, ...logs]);
}

/** `kubectl cluster-info dump --all-namespaces`: few kinds, and logs without time stamps. */
export function asClusterInfoDump(files: Files): Files {
  const taken = ["nodes", "events", "services", "daemonsets", "deployments", "replicasets", "pods"];
  const of = listsOf(files)
    .filter(({ resource }) => taken.includes(resource))
    .flatMap((list): [string, string][] =>
      isNamespaced(list)
        ? [...byNamespace(list)].map(([name, items]) => [`${name}/${list.resource}.json`, json(typed(list, items))])
        : [[`${list.resource}.json`, json(typed(list, list.items))]],
    );
  const logs = Map.groupBy(
    logsOf(files).filter(({ isPrevious }) => !isPrevious),
    ({ namespace, pod }) => `${namespace}/${pod}`,
  );
  const texts = [...logs].map(([key, all]): [string, string] => [
    `${key}/logs.txt`,
    all
      .map(({ container, text }) => {
        const whose = `logs for container ${container} of pod ${key} ====`;
        return `==== START ${whose}\n${withoutStamps(text)}==== END ${whose}\n`;
      })
      .join(""),
  ]);
  return new Map([...of, ...texts]);
}

/** `cilium sysdump`: a file for each kind, logs with the Pod's and the container's name in theirs. */
export function asSysdump(files: Files): Files {
  const at = "20261121-031225";
  const home = `cilium-sysdump-${at}`;
  const of = listsOf(files).map((list): [string, string] => [
    `${home}/k8s-${list.resource}-${at}.yaml`,
    yaml(typed(list, list.items)),
  ]);
  const logs = logsOf(files).map(({ pod, container, isPrevious, text }): [string, string] => [
    `${home}/logs-${pod}-${container}-${at}${isPrevious ? "-prev" : ""}.log`,
    text,
  ]);
  return new Map([...of, ...logs]);
}

/** What somebody gathered by hand: `kubectl get KIND -A -o yaml > KIND.yaml`, and a folder for each node. */
export function asFolder(files: Files): Files {
  const of = listsOf(files).map((list): [string, string] => [`${list.resource}.yaml`, yaml(plain(list.items))]);
  const outputs = [...files].flatMap(([path, text]): [string, string][] => {
    const found =
      /^nodes\/([^/]+)\/(iptables-save|nft-ruleset|ip-addr|ip-route|ip-neigh|bridge-fdb|ipset|sysctl|ipvsadm)\./.exec(
        path,
      );
    return found ? [[`output/${found[2]}_of_${found[1]}.out`, text]] : [];
  });
  const logs = logsOf(files).map(({ namespace, pod, container, isPrevious, text }): [string, string] => [
    `logs/${namespace}_${pod}_${container}${isPrevious ? ".previous" : ""}.log`,
    text,
  ]);
  return new Map([...of, ...outputs, ...logs]);
}
