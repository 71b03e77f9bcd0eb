/**
 * A cluster after changes: the objects as they would be, and what the agents would make of them.
 *
 * Changes are carried through as in a cluster: workload controllers make Pods, the EndpointSlice controller writes
 * slices, kube-proxy and flannel write their nodes' state, each only where it may and runs. An agent that is restarted
 * writes everything anew; one that cannot work shows it as it would.
 */
import type { Capture } from "../../evidence/capture.ts";
import { catalogue, type KindId, type ListId, type ObjectOf, type ValueOf } from "../../evidence/catalogue.ts";
import type { Place } from "../../evidence/kind.ts";
import { known, type Observed, present } from "../../evidence/observed.ts";
import { overlay, type Replacement } from "../../evidence/overlay.ts";
import { keyOf, pathOf } from "../../evidence/path.ts";
import { type Family, formatIp } from "../../net/ip.ts";
import type { ApiList, apiListReader } from "../../parse/api-list.ts";
import type { Pod, Workload } from "../../parse/objects.ts";
import { endpointSlices } from "../agents/endpoint-slices.ts";
import { type FlannelState, flannelState } from "../agents/flannel.ts";
import { emptyIptables, replaceChains } from "../agents/iptables.ts";
import { areAlike, type KubeProxyRules, kubeProxyRules } from "../agents/kube-proxy.ts";
import { kubeProxyTable, replaceTable } from "../agents/kube-proxy-nft.ts";
import { podsOfWorkload, restarted, usedAddresses } from "../agents/workloads.ts";
import { aggregated } from "../aggregation.ts";
import type { Component } from "../components/components.ts";
import type { ModelParts } from "../model.ts";
import { listOfKind } from "../objects.ts";
import type { Want } from "../rbac.ts";
import { type Ref, ref, refId, sameRef } from "../ref.ts";
import type { ServiceView } from "../services/services.ts";
import type { Change } from "./change.ts";

type Item = { readonly metadata: { readonly name: string; readonly namespace?: string | null | undefined } };

/** A capture that is being changed. */
export type Draft = {
  readonly capture: () => Capture;
  list<K extends ListId>(kind: K): readonly ObjectOf<K>[];
  setList<K extends ListId>(kind: K, items: readonly ObjectOf<K>[]): void;
  get<K extends KindId>(kind: K, place: Place): ValueOf<K> | undefined;
  set<K extends KindId>(kind: K, place: Place, value: ValueOf<K>): void;
};

export function draftOf(base: Capture): Draft {
  const replacements = new Map<string, Replacement>();
  const put = (kind: KindId, place: Place, observed: Observed<unknown>) => {
    replacements.set(keyOf(kind, place), { kind, place, observed });
  };
  const observe = (kind: KindId, place: Place): Observed<unknown> =>
    replacements.get(keyOf(kind, place))?.observed ?? base.get(kind, place);
  return {
    // a copy: what is changed later is not seen by who asked before
    capture: () => overlay(base, replacements.values()),
    list: <K extends ListId>(kind: K) =>
      (known(observe(kind as KindId, {}) as Observed<ApiList<ObjectOf<K>>>)?.items ?? []) as readonly ObjectOf<K>[],
    setList(kind, items) {
      const observed = observe(kind as KindId, {});
      const gaps = observed.state === "present" ? observed.gaps : [];
      const value: ApiList<unknown> = { items, indices: items.map((_, index) => index) };
      put(kind, {}, present(value, { kind: "api", path: pathOf(kind) }, gaps));
    },
    get: (kind, place) => known(observe(kind, place)) as never,
    set: (kind, place, value) =>
      put(
        kind,
        place,
        present(value, {
          kind: "command",
          path: pathOf(kind, place),
          ...(place.node !== undefined && { node: place.node }),
        }),
      ),
  };
}

const isNamed = (target: Ref) => (item: Item) =>
  item.metadata.name === target.name && (item.metadata.namespace ?? "") === (target.namespace ?? "");

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}

/** An object as the API server would give it back, in the fields that we read. */
function project<K extends ListId>(kind: K, object: unknown): ObjectOf<K> | undefined {
  const reader = (catalogue[kind].open as () => ReturnType<typeof apiListReader>)();
  reader.write(JSON.stringify({ kind: "List", items: [object] }));
  return reader.end().value.items[0] as ObjectOf<K> | undefined;
}

function applyOne(draft: Draft, change: Change): void {
  if (change.do === "restart") return;
  if (change.do === "sysctl") {
    const place = { node: change.node };
    const sysctls = new Map(draft.get("sysctls", place) ?? []);
    sysctls.set(change.key, { value: change.value, line: sysctls.get(change.key)?.line ?? 1 });
    draft.set("sysctls", place, sysctls);
    return;
  }
  const target: Ref =
    change.do === "apply"
      ? {
          kind: change.object.kind,
          name: change.object.metadata.name,
          ...(change.object.metadata.namespace !== undefined && { namespace: change.object.metadata.namespace }),
        }
      : change.target;
  const kind = listOfKind(target.kind);
  if (!kind) return;
  const items = draft.list(kind) as readonly Item[];
  const isTarget = isNamed(target);
  const existing = items.find(isTarget);
  const rest = items.filter((item) => !isTarget(item));
  if (change.do === "delete") {
    draft.setList(kind, rest as never);
    if (kind === "deployments" || kind === "daemonsets" || kind === "statefulsets") removePodsOf(draft, target);
    return;
  }
  const patch =
    change.do === "apply"
      ? change.object
      : change.do === "scale"
        ? { spec: { replicas: change.replicas } }
        : change.patch;
  const object = project(kind, mergePatch(change.do === "apply" ? undefined : existing, patch));
  if (object && (existing || change.do === "apply"))
    draft.setList(
      kind,
      items.map((item) => (isTarget(item) ? object : item)).concat(existing ? [] : [object as Item]) as never,
    );
}

function removePodsOf(draft: Draft, { kind, name, namespace }: Ref): void {
  const owned = ({ metadata }: Pod) =>
    metadata.namespace === namespace &&
    (metadata.ownerReferences ?? []).some((owner) =>
      owner.kind === kind ? owner.name === name : owner.kind === "ReplicaSet" && owner.name.startsWith(`${name}-`),
    );
  draft.setList(
    "pods",
    draft.list("pods").filter((pod) => !owned(pod)),
  );
}

/** Carries changes through a cluster. @param modelOf makes the model of what the cluster has become on the way */
export function captureWith(
  capture: Capture,
  changes: readonly Change[],
  modelOf: (capture: Capture) => ModelParts,
): Capture {
  const draft = draftOf(capture);
  let pending: Change[] = [];
  for (const change of changes) {
    const roles = draft.list("clusterroles");
    applyOne(draft, change);
    const changedRoles = draft.list("clusterroles");
    if (changedRoles !== roles) draft.setList("clusterroles", aggregated(roles, changedRoles));
    if (change.do === "scale" || change.do === "patch" || change.do === "apply") pending.push(change);
    else {
      settleWorkloads(draft, pending, modelOf);
      pending = [];
    }
  }
  settleWorkloads(draft, pending, modelOf);
  let moved = settleEndpoints(draft, modelOf(draft.capture()));
  const restarts = changes.filter((change) => change.do === "restart");
  for (const { component, node } of restarts) restart(draft, component, node, modelOf);
  if (restarts.length > 0) moved = settleEndpoints(draft, modelOf(draft.capture())) || moved;
  const changed = moved || changes.some(({ do: what }) => what !== "sysctl" && what !== "restart");
  settleAgents(draft, modelOf(draft.capture()), changed, restarts);
  return draft.capture();
}

/** Workloads that were changed get the Pods that they ask for. */
function settleWorkloads(draft: Draft, changes: readonly Change[], modelOf: (capture: Capture) => ModelParts): void {
  const workloads = changes.map(workloadOf).filter((found) => found !== undefined);
  if (workloads.length === 0) return;
  const model = modelOf(draft.capture());
  const used = usedAddresses(model);
  const gone = new Set<Pod>();
  const fresh: Pod[] = [];
  for (const { target, list } of new Map(workloads.map((found) => [refId(found.target), found])).values()) {
    const workload = (draft.list(list) as readonly Workload[]).find(isNamed(target));
    if (!workload) continue;
    const { add, remove } = podsOfWorkload({ ...target, namespace: target.namespace ?? "" }, workload, model, used);
    for (const pod of remove) gone.add(pod);
    fresh.push(...add);
  }
  draft.setList("pods", [...draft.list("pods").filter((pod) => !gone.has(pod)), ...fresh]);
}

function workloadOf(change: Change) {
  const target =
    change.do === "apply"
      ? ref(change.object.kind, change.object.metadata.name, change.object.metadata.namespace)
      : "target" in change
        ? change.target
        : undefined;
  const list = target && listOfKind(target.kind);
  if (!target || (list !== "deployments" && list !== "statefulsets" && list !== "daemonsets")) return undefined;
  return { target, list } as const;
}

/**
 * Slices that differ from what their Services' selectors and Pods say are rewritten, if their controller may.
 *
 * @returns whether any were
 */
function settleEndpoints(draft: Draft, model: ModelParts): boolean {
  const controller = model.components.byId("endpointslice-controller")[0];
  if (controller && deniedTo(controller, model)) return false;
  const { services } = model;
  const keptBy = (service: ServiceView) => services.slices(service).filter((slice) => services.keeps(service, slice));
  const rewritten = services.all.filter((service) => {
    if (!service.selector || service.kind === "ExternalName") return false;
    const wanted = endpointSlices(service, services.selected(service));
    return shape(wanted) !== shape(keptBy(service));
  });
  if (rewritten.length === 0) return false;
  const isStale = new Set(rewritten.flatMap(keptBy));
  const fresh = rewritten.flatMap((service) => endpointSlices(service, services.selected(service)));
  draft.setList("endpointslices", [...draft.list("endpointslices").filter((slice) => !isStale.has(slice)), ...fresh]);
  return true;
}

function shape(slices: readonly ObjectOf<"endpointslices">[]): string {
  const lines = slices.flatMap(({ endpoints, ports }) =>
    (endpoints ?? []).map(
      ({ addresses, conditions }) =>
        `${addresses?.[0]} ${conditions?.ready ?? true} ${(ports ?? [])
          .map(({ name, port, protocol }) => `${name ?? ""}:${port}/${protocol ?? "TCP"}`)
          .sort()
          .join(",")}`,
    ),
  );
  return lines.sort().join("\n");
}

/** What a component may not do, and cannot work without. */
function deniedTo(component: Component, { permissions }: ModelParts): Want | undefined {
  const lacks = (permissions.of(component)?.flaws ?? []).flatMap((flaw) => flaw.lacks);
  return lacks.find(({ consequence }) => consequence.breaks.length > 0)?.want;
}

function restart(
  draft: Draft,
  component: Ref,
  node: string | undefined,
  modelOf: (capture: Capture) => ModelParts,
): void {
  const model = modelOf(draft.capture());
  const found = model.components.byRef(component);
  if (!found) return;
  const pods = found.pods.filter((pod) => node === undefined || pod.node === node);
  const dns = model.dns.servers.find((server) => server.component === found);
  const denied = deniedTo(found, model);
  const corefile = dns?.corefile?.errors[0];
  const made = pods.map((pod) => restarted(pod, found, denied ? { denied } : corefile && { corefile }));
  const replaced = new Map(pods.map((pod, index) => [pod.object, made[index]!]));
  draft.setList(
    "pods",
    draft.list("pods").map((pod) => replaced.get(pod)?.pod ?? pod),
  );
  for (const { place, log } of made) draft.set("containerLog", place, log);
}

/** Agents of nodes write what they would write now: all that follow changes, and those that were restarted. */
function settleAgents(
  draft: Draft,
  model: ModelParts,
  changed: boolean,
  restarts: readonly { readonly component: Ref; readonly node?: string }[],
): void {
  const wasRestarted = (component: Component, node: string) =>
    restarts.some((one) => sameRef(one.component, component.ref) && (one.node === undefined || one.node === node));
  const proxied: string[] = [];
  for (const component of model.components.all) {
    const { id } = component.definition;
    if ((id !== "kube-proxy" && id !== "flannel") || deniedTo(component, model)) continue;
    const running = Map.groupBy(
      component.pods.filter(({ terminating }) => !terminating),
      (pod) => pod.node ?? "",
    );
    for (const { name } of model.nodes.all) {
      if (!running.get(name)?.[0]?.ready) continue;
      const isFresh = wasRestarted(component, name);
      if (id === "kube-proxy" && (isFresh || changed)) proxied.push(name);
      // flannel writes entries when a peer changes or when it starts; what others removed stays away
      if (id === "flannel" && isFresh) writeFlannel(draft, model, name);
    }
  }
  writeProxies(draft, model, proxied);
}

/** What kube-proxy makes of the Services, on each of these nodes. */
export function writeProxies(
  draft: Draft,
  { services, proxy, nodes: views }: ModelParts,
  nodes: readonly string[],
): void {
  const owns = (chain: string) =>
    chain.startsWith("KUBE-") && !chain.startsWith("KUBE-KUBELET") && chain !== "KUBE-IPTABLES-HINT";
  for (const family of familiesIn(views)) {
    const isShared = areAlike(services, family);
    const range = proxy.clusterRange(family);
    let rules: KubeProxyRules | undefined;
    for (const node of nodes) {
      if (proxy.mode(node) === "nftables") {
        const address = views.get(node)?.ips[family];
        const table = kubeProxyTable(services, node, range, address && formatIp(address), family);
        draft.set("nftables", { node }, replaceTable(draft.get("nftables", { node }), table));
        continue;
      }
      if (!rules || !isShared) rules = kubeProxyRules(services, node, range, family);
      const current = draft.get(SAVED[family], { node }) ?? emptyIptables(family);
      draft.set(SAVED[family], { node }, replaceChains(current, rules, owns, true));
    }
  }
}

const SAVED = { 4: "iptables", 6: "ip6tables" } as const;

/** The address families that the cluster's nodes have. */
const familiesIn = ({ all }: ModelParts["nodes"]): readonly Family[] =>
  ([4, 6] as const).filter((family) => all.some(({ ips }) => ips[family]));

export function writeFlannel(draft: Draft, model: ModelParts, node: string): void {
  const uplink = draft.get("links", { node })?.find(({ name }) => name === "eth0");
  for (const family of familiesIn(model.nodes)) {
    const state = flannelState(model.flannel, node, uplink?.mtu ?? 1500, family);
    if (state) putFlannel(draft, node, state, family);
  }
}

function putFlannel(draft: Draft, node: string, state: FlannelState, family: Family): void {
  const links = draft.get("links", { node }) ?? [];
  const { device, routes, neighbours, fdb, nat, filter } = state;
  const isOwn = ({ nextHops }: { nextHops: readonly { device?: string }[] }) =>
    nextHops.some((hop) => hop.device === device.name);
  draft.set("links", { node }, [...links.filter(({ name }) => name !== device.name), device]);
  draft.set("routes", { node }, [
    ...(draft.get("routes", { node }) ?? []).filter(
      (route) => !isOwn(route) && !routes.some(({ destination }) => destination === route.destination),
    ),
    ...routes,
  ]);
  draft.set("neighbours", { node }, [
    ...(draft.get("neighbours", { node }) ?? []).filter((entry) => entry.device !== device.name),
    ...neighbours,
  ]);
  draft.set("fdb", { node }, [
    ...(draft.get("fdb", { node }) ?? []).filter((entry) => entry.device !== device.name),
    ...fdb,
  ]);
  const current = draft.get(SAVED[family], { node }) ?? emptyIptables(family);
  draft.set(
    SAVED[family],
    { node },
    replaceChains(current, { nat, filter }, (chain) => chain.startsWith("FLANNEL-"), false),
  );
}
