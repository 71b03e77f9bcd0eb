/** Why nobody answers for a webhook, as far as objects tell. */
import type { Evidence } from "../../../evidence/origin.ts";
import type { Capability } from "../../../model/capability.ts";
import { hasLabels } from "../../../model/labels.ts";
import type { ClusterModel } from "../../../model/model.ts";
import { WORKLOAD_LISTS } from "../../../model/pod-refusals.ts";
import { type Ref, ref } from "../../../model/ref.ts";
import { type Text, texts } from "../../../text.ts";

export type Model = Pick<ClusterModel, "objects" | "pods" | "services" | "time" | "nodes">;

/** The Service that is asked. */
export type Asked = { readonly namespace: string; readonly name: string; readonly port: number };

export type Silence = { readonly why: Text; readonly evidence: readonly Evidence[] };

const say = texts("admission-webhook-failing/silence", {
  noService: {
    en: "the API server has to ask Service {service} first, which does not exist",
    zh: "API Server 必须先询问 Service {service}，而它不存在",
  },
  noPort: {
    en: "the API server has to ask Service {service} first, which has no port {port}",
    zh: "API Server 必须先询问 Service {service}，而它没有端口 {port}",
  },
  noBackend: {
    en: "the API server has to ask Service {service} first, which has no back end",
    zh: "API Server 必须先询问 Service {service}，而它没有后端",
  },
});

/** Milliseconds for which a Pod that has just been made, or is ready no more, is waited for. */
const SETTLING = 60_000;

const keyOf = ({ namespace, name }: Asked): string => `${namespace}/${name}`;

/** `name.namespace.svc`, as the API server names whom it called. */
export function askedIn(host: string | undefined): Asked | undefined {
  const [, name, namespace] = /^([^.]+)\.([^.]+)\.svc$/.exec(host ?? "") ?? [];
  return name === undefined || namespace === undefined ? undefined : { namespace, name, port: 443 };
}

const portOf = ({ namespace, name, port }: Asked, { services }: Model) =>
  services.get(namespace, name)?.ports.find((one) => one.port === port);

/** What does not work if nobody answers: what that takes may be broken further down. */
export const calling = (asked: Asked, model: Model): Capability => ({
  name: "api.ask",
  service: portOf(asked, model)?.key ?? keyOf(asked),
});

/** The workloads whose Pods a Service selects. */
export function workloadsBehind({ namespace, name }: Asked, { objects, services }: Model): readonly Ref[] {
  const selector = services.get(namespace, name)?.selector;
  if (!selector) return [];
  return WORKLOAD_LISTS.flatMap(([list, kind]) =>
    objects
      .all(list)
      .filter(
        ({ metadata, spec }) =>
          metadata.namespace === namespace && hasLabels(selector, spec.template.metadata?.labels ?? {}),
      )
      .map(({ metadata }) => ref(kind, metadata.name, metadata.namespace)),
  );
}

/** @returns undefined if somebody may answer, as far as the lists tell */
export function silenceOf(asked: Asked, model: Model): Silence | undefined {
  const { services, time, objects } = model;
  const key = keyOf(asked);
  const service = services.get(asked.namespace, asked.name);
  if (!service)
    return services.whole
      ? { why: say.noService({ service: key }), evidence: [objects.quoteAbsence("services", `no Service ${key}`)] }
      : undefined;
  const ports = service.ports.map(({ port }) => port).join(", ");
  const evidence = [services.quote(service, `Service ${key}: ports ${ports}`)];
  const port = portOf(asked, model);
  if (!port) return { why: say.noPort({ service: key, port: asked.port }), evidence };
  if (!services.endpointsWhole || services.endpoints(port).some(({ ready }) => ready)) return undefined;
  const isMoving = services.selected(service).some(({ object: { metadata, status } }) => {
    const { lastTransitionTime } = status?.conditions?.find(({ type }) => type === "Ready") ?? {};
    return [metadata.creationTimestamp, lastTransitionTime].some((at) => (time.age(at) ?? SETTLING) < SETTLING);
  });
  if (isMoving) return undefined;
  const slices = objects.quoteAbsence("endpointslices", `no ready back end of ${key}`);
  return { why: say.noBackend({ service: key }), evidence: [...evidence, slices] };
}
