/** Pods and Services by the names that a person gives them. */
import type { PodView } from "../../model/pods.ts";
import type { ServiceView } from "../../model/services/services.ts";
import { fewOf, type Text } from "../../text.ts";
import { MOST_NAMED, type Model, type Problem, type Source, unknown, unknownNode } from "./goal.ts";
import type { Name } from "./typed.ts";
import { say } from "./words.ts";

export const podNames = ({ namespace }: Name, { pods }: Model): string[] => {
  const all = pods.all.filter((pod) => namespace === undefined || pod.namespace === namespace);
  return [
    ...new Set(all.flatMap(({ key, owner, namespace: inside }) => (owner ? [`${inside}/${owner.name}`, key] : key))),
  ];
};

/** Pods by their name, else those of a workload by its name. */
export function podsMeant({ kind, namespace, name, on }: Name, { pods }: Model): readonly PodView[] {
  const near = pods.all.filter(
    (pod) => (namespace === undefined || pod.namespace === namespace) && (on === undefined || pod.node === on),
  );
  const exact = kind === "workload" ? [] : near.filter((pod) => pod.name === name);
  if (exact.length > 0) return exact;
  const isRunning = (pod: PodView) => pod.node !== undefined && !pod.finished && !pod.terminating;
  const owned = near.filter((pod) => isRunning(pod) && pod.owner?.name === name);
  if (owned.length > 0 || kind === "workload") return owned;
  return name === "" ? [] : near.filter((pod) => isRunning(pod) && pod.name.startsWith(`${name}-`));
}

export function onePod(
  typed: string,
  meant: Name,
  model: Model,
  kind: Text,
  names: () => readonly string[],
): PodView | Problem {
  if (meant.on !== undefined && !model.nodes.get(meant.on)) return unknownNode(meant.on, model);
  const found = podsMeant(meant, model);
  const [first, ...others] = found;
  if (!first) {
    const where = meant.namespace === undefined ? kind : say.unknownIn({ kind, namespace: meant.namespace });
    const isQualified = typed.includes("/");
    const near = meant.namespace === undefined || isQualified ? names() : names().map((one) => one.split("/").at(-1)!);
    const plain = typed.split("@")[0] ?? "";
    const wanted = meant.kind === undefined ? plain : [meant.namespace, meant.name].filter(Boolean).join("/");
    return unknown(where, wanted, [...near, ...near.map((one) => one.split("/").at(-1)!)]);
  }
  if (others.length === 0) return first;
  const listed = found.map(({ key, node }) => `\`${key}\`${node ? ` (${node})` : ""}`);
  const onNodes = new Set(found.map(({ node }) => node)).size === found.length;
  const example = onNodes ? `${typed.split("@")[0]}@${first.node ?? ""}` : first.key;
  return {
    problem: say.several({ typed, names: fewOf(listed, MOST_NAMED) }),
    hint: onNodes ? say.pickOne({ example }) : say.pickNamespace({ example }),
  };
}

export function oneService(meant: Name, model: Model, from?: Source): ServiceView | Problem {
  const { services } = model;
  const { name } = meant;
  const home = from && "pod" in from ? from.pod?.namespace : undefined;
  const own = meant.namespace ?? home;
  const direct = own === undefined ? undefined : services.get(own, name);
  if (direct) return direct;
  const found = meant.namespace === undefined ? services.all.filter((one) => one.name === name) : [];
  const [first, ...others] = found;
  if (first && others.length === 0) return first;
  if (first) {
    const names = found.map(({ namespace }) => `\`svc/${name}.${namespace}\``);
    const typed = `svc/${name}`;
    return {
      problem: say.several({ typed, names }),
      hint: say.pickNamespace({ example: `${typed}.${first.namespace}` }),
    };
  }
  const kind =
    meant.namespace === undefined ? say.service() : say.unknownIn({ kind: say.service(), namespace: meant.namespace });
  const names = services.all.flatMap((one) => [one.name, `${one.name}.${one.namespace}`]);
  return unknown(kind, meant.namespace === undefined ? name : `${name}.${meant.namespace}`, names);
}

export const serviceNames = ({ services }: Model): string[] =>
  services.all.flatMap(({ name, namespace }) => [`${name}.${namespace}`, `${namespace}/${name}`]);

/** A Service by its name alone is one of the sender's namespace, unless the sender has none. */
export function serviceMeant(
  { namespace, name }: Name,
  from: Source,
  { services }: Model,
): ServiceView | Problem | undefined {
  if (namespace !== undefined) return services.get(namespace, name);
  const [first, ...others] = services.all.filter((one) => one.name === name);
  if (!first) return undefined;
  const sender = "outside" in from ? undefined : from.pod?.namespace;
  if (sender === undefined && others.length === 0) return first;
  const names = [first, ...others].map((one) => `\`${one.name}.${one.namespace}\``);
  const hint = say.seenServices({ names });
  return sender === undefined
    ? {
        problem: say.several({ typed: name, names }),
        hint: say.pickNamespace({ example: `${name}.${first.namespace}` }),
      }
    : { problem: say.notHere({ namespace: sender, name }), hint };
}

/** NAME.NAMESPACE of a namespace that there is: no name of the world outside. */
export const isOfNamespace = (typed: string, { objects, services }: Model): boolean => {
  const [, namespace = "", svc] = typed.split(".");
  const isThere =
    objects.find("namespaces", namespace).state === "present" ||
    services.all.some((one) => one.namespace === namespace);
  return isThere && services.whole && (svc === undefined || svc === "svc");
};

/** NAME.NAMESPACE, with or without .svc and the cluster's domain behind it. */
export function byClusterName(typed: string, { dns, services }: Model): ServiceView | undefined {
  const bare = typed.replace(/\.$/, "").replace(new RegExp(`\\.${dns.domain.replaceAll(".", "\\.")}$`), "");
  const [name, namespace, svc, ...rest] = bare.split(".");
  if (name === undefined || namespace === undefined || rest.length > 0 || (svc !== undefined && svc !== "svc"))
    return undefined;
  return services.get(namespace, name);
}
