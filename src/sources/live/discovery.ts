/**
 * Which resources the API server serves, and in which version: what it does not serve is absent, not forbidden.
 *
 * One call where the server knows aggregated discovery (1.26 and later), else one for each group that is asked for.
 */
import type { Api } from "./api.ts";

export type Discovery = {
  /**
   * Where a resource is listed.
   *
   * @param template a path of the catalogue, e.g. `/apis/apps/{version}/daemonsets` with a star for the version
   * @returns its path; `served` is undefined where discovery does not tell
   */
  locate(template: string): { readonly path: string; readonly served: boolean | undefined };
};

type Resources = { readonly version: string; readonly names: ReadonlySet<string> };

const AGGREGATED = ["v2", "v2beta1"]
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .join(",");

/** `/apis/apps/{version}/daemonsets` → group `apps`, resource `daemonsets`; the core group has no name. */
function partsOf(template: string): { group: string; resource: string } {
  const [, root, ...rest] = template.split("/");
  return { group: root === "api" ? "" : rest[0]!, resource: rest.at(-1)! };
}

type AggregatedList = {
  kind?: string;
  items?: {
    metadata?: { name?: string };
    versions?: { version?: string; resources?: { resource?: string }[]; freshness?: string }[];
  }[];
};
type GroupList = { groups?: { name?: string; preferredVersion?: { version?: string } }[] };
type ResourceList = { resources?: { name?: string }[] };

function parsed<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/**
 * Asks what is served, as far as the templates need it.
 *
 * @param onFailure is told which of the two roots could not be asked
 */
export async function discover(
  api: Api,
  templates: readonly string[],
  onFailure: (root: "api" | "apis", message: string) => void = () => {},
): Promise<Discovery> {
  const groups = new Map<string, Resources[]>();
  const isKnown = { core: false, named: false };

  function takeAggregated(list: AggregatedList): boolean {
    if (list.kind !== "APIGroupDiscoveryList") return false;
    for (const { metadata, versions = [] } of list.items ?? []) {
      const served = versions.map(({ version = "", resources = [], freshness }) => {
        const names = resources.flatMap(({ resource }) => resource ?? []);
        // stale: an extension API server that was asked did not say
        return { version, names: new Set(freshness === "Stale" && names.length === 0 ? ["*"] : names) };
      });
      groups.set(metadata?.name ?? "", served);
    }
    return true;
  }

  async function takeGroup(group: string, version: string): Promise<boolean> {
    const { answer, text } = await api.text(group === "" ? `/api/${version}` : `/apis/${group}/${version}`);
    const list = answer.ok ? parsed<ResourceList>(text) : undefined;
    if (!list?.resources) return false;
    const names = new Set(list.resources.flatMap(({ name }) => name ?? []));
    groups.set(group, [...(groups.get(group) ?? []), { version, names }]);
    return true;
  }

  const wanted = new Set(templates.map((template) => partsOf(template).group));
  const core = await api.text("/api", { accept: AGGREGATED });
  if (!core.answer.ok) onFailure("api", core.answer.failure.message);
  isKnown.core = core.answer.ok && (takeAggregated(parsed(core.text) ?? {}) || (await takeGroup("", "v1")));
  const named = await api.text("/apis", { accept: AGGREGATED });
  if (!named.answer.ok) onFailure("apis", named.answer.failure.message);
  const list = named.answer.ok ? parsed<AggregatedList & GroupList>(named.text) : undefined;
  if (list && takeAggregated(list)) isKnown.named = true;
  else if (list?.groups) {
    isKnown.named = true;
    for (const { name = "", preferredVersion } of list.groups) {
      if (!wanted.has(name)) continue;
      const isRead = await takeGroup(name, preferredVersion?.version ?? "v1");
      // a group that is there and does not tell its resources: nothing of it is known
      if (!isRead) groups.set(name, [{ version: preferredVersion?.version ?? "v1", names: new Set(["*"]) }]);
    }
  }

  return {
    locate(template) {
      const { group, resource } = partsOf(template);
      const versions = groups.get(group);
      const found = versions?.find(({ names }) => names.has(resource));
      const version = found?.version ?? versions?.[0]?.version ?? "v1";
      const isTold = group === "" ? isKnown.core : isKnown.named;
      const isVague = versions?.some(({ names }) => names.has("*")) === true;
      const path = template.replace("*", version);
      return { path, served: isTold && !isVague ? found !== undefined : undefined };
    },
  };
}
