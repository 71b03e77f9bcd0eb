import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, type Ref, ref } from "../../model/ref.ts";
import type { ServicePort, ServiceView } from "../../model/services/services.ts";
import type { EndpointSlice } from "../../parse/objects.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "objects" | "observations">;

const say = texts("endpoints-unmatched", {
  otherPort: {
    en: "Service {service} sends port {port} nowhere: what was written as its back ends ({source}) has {offered}",
    zh: "Service {service} 的端口 {port} 没有后端：为其编写的后端（{source}）只有 {offered}",
  },
  unnamed: { en: "{port} (no name)", zh: "{port}（无名称）" },
  unlabelled: {
    en: "Service {service} has no back end: EndpointSlice {slice} does not say that it is its (label kubernetes.io/service-name: {label})",
    zh: "Service {service} 没有后端：EndpointSlice {slice} 未声明属于它（标签 kubernetes.io/service-name：{label}）",
  },
  none: {
    en: "Service {service} has no selector, and nobody has written its back ends",
    zh: "Service {service} 没有选择器，也没有人为其编写后端",
  },
  empty: {
    en: "Service {service} has no selector, and what was written as its back ends has none that is ready",
    zh: "Service {service} 没有选择器，而为其编写的后端中没有就绪的",
  },
  correctPort: {
    en: "Give the port the name and the protocol that the Service has for it: ports are matched by name, numbers do not matter",
    zh: "让端口的名称和协议与 Service 中的一致：端口按名称匹配，与端口号无关",
  },
  label: { en: "Say whose it is", zh: "声明其所属的 Service" },
  write: {
    en: "Write an EndpointSlice with the label kubernetes.io/service-name, or give the Service a selector; Endpoints with the label endpointslice.kubernetes.io/skip-mirror are not taken over",
    zh: "编写带有标签 kubernetes.io/service-name 的 EndpointSlice，或为 Service 设置选择器；带有标签 endpointslice.kubernetes.io/skip-mirror 的 Endpoints 不会被同步",
  },
  nothing: { en: "Nothing: it has no back end now", zh: "无：它现在没有后端" },
  prevent: {
    en: "Keep the Service and its hand-written EndpointSlice in one manifest, and probe the Service after each change",
    zh: "把 Service 与手写的 EndpointSlice 放在同一份清单中，每次修改后探测该 Service",
  },
});

const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const MIRRORING = "endpointslicemirroring-controller.k8s.io";

const keyOf = ({ namespace, name }: ServiceView) => `${namespace}/${name}`;

/** What a person would edit: the Endpoints that a slice is a mirror of, or the slice itself. */
function sourceOf({ metadata }: EndpointSlice, { name, namespace }: ServiceView): Ref {
  const isMirror = metadata.labels?.[MANAGED_BY] === MIRRORING;
  return isMirror ? ref("Endpoints", name, namespace) : ref("EndpointSlice", metadata.name, namespace);
}

const holdsAny = ({ endpoints }: EndpointSlice): boolean =>
  (endpoints ?? []).some(({ addresses, conditions }) => (addresses ?? []).length > 0 && conditions?.ready !== false);

/** @param filled the Service's slices that hold back ends */
function* judgePort(port: ServicePort, filled: readonly EndpointSlice[], model: Model): Iterable<Finding> {
  const { service } = port;
  const [slice] = filled;
  if (!slice || service.families.some((family) => model.services.endpoints(port, family).length > 0)) return;
  const offered = filled
    .flatMap(({ ports }) => ports ?? [])
    .map(({ name, port: number, protocol }) => {
      const said = `${number ?? "?"}/${protocol ?? "TCP"}`;
      return name ? `${name} ${said}` : say.unnamed({ port: said });
    });
  const source = sourceOf(slice, service);
  const words = offered.map((one) => (typeof one === "string" ? one : one.en)).join(", ") || "no port";
  yield fault({
    repair: source,
    related: [service.ref, ref("EndpointSlice", slice.metadata.name, service.namespace)],
    breaks: [{ name: "service.select", service: port.key }],
    title: say.otherPort({
      ...{ service: keyOf(service), source: `${source.kind} ${source.name}` },
      port: `${port.name} ${port.port}/${port.protocol}`.trim(),
      offered: offered[0] ?? "no port",
    }),
    evidence: [
      model.objects.quote("endpointslices", slice, `EndpointSlice ${slice.metadata.name}: ports ${words}`),
      model.services.quote(service, `Service ${keyOf(service)}: port ${port.name} ${port.port}/${port.protocol}`),
    ],
    strength: "direct",
    lost: true,
    facts: { case: "port", name: port.name, protocol: port.protocol },
  });
}

/** Slices with back ends that belong to no Service that there is. */
function straysIn({ objects, services }: Model): EndpointSlice[] {
  return objects.all("endpointslices").filter((slice) => {
    const { namespace, labels } = slice.metadata;
    const owner = labels?.[SERVICE_NAME];
    return holdsAny(slice) && (owner === undefined || !services.get(namespace ?? "", owner));
  });
}

function* judgeEmpty(
  service: ServiceView,
  slices: readonly EndpointSlice[],
  strays: readonly EndpointSlice[],
  model: Model,
): Iterable<Finding> {
  // by its name somebody meant it for the Service
  const stray = strays.find(
    ({ metadata: { namespace, name } }) =>
      namespace === service.namespace && (name === service.name || name.startsWith(`${service.name}-`)),
  );
  const wanted = model.observations.failedOn(service).slice(0, 2);
  // many are empty until somebody needs them
  if (!stray && wanted.length === 0) return;
  const label = stray?.metadata.labels?.[SERVICE_NAME] ?? "-";
  const args = { service: keyOf(service) };
  const title = stray
    ? say.unlabelled({ ...args, slice: stray.metadata.name, label })
    : slices.length > 0
      ? say.empty(args)
      : say.none(args);
  yield fault({
    repair: stray ? ref("EndpointSlice", stray.metadata.name, service.namespace) : service.ref,
    related: stray ? [service.ref] : [],
    breaks: [{ name: "service.select", service: keyOf(service) }],
    title,
    evidence: [
      ...(stray
        ? [
            model.objects.quote(
              "endpointslices",
              stray,
              `EndpointSlice ${stray.metadata.name}: ${SERVICE_NAME}=${label}`,
            ),
          ]
        : []),
      model.services.quote(service, `Service ${keyOf(service)}: no selector, ${slices.length} EndpointSlices`),
      ...wanted.map(({ evidence }) => evidence),
    ],
    strength: "direct",
    // somebody has to write them: no controller does
    lost: true,
    facts: { case: stray ? "label" : "none" },
  });
}

/** What somebody wrote as the back ends of a Service without a selector does not serve it. */
export const endpointsUnmatched = defineCheck({
  id: "endpoints-unmatched",
  reads: ["services", "objects", "observations"],

  *find(model) {
    const { services } = model;
    let strays: readonly EndpointSlice[] | undefined;
    for (const service of services.all) {
      if (service.selector || service.kind !== "ClusterIP" || !service.proxied) continue;
      // kube-apiserver writes its own
      if (keyOf(service) === "default/kubernetes") continue;
      if (!services.endpointsWhole) {
        yield cannotTell({ name: "service.select", service: keyOf(service) }, [{ kind: "endpointslices" }]);
        continue;
      }
      const slices = services.slices(service);
      const filled = slices.filter(holdsAny);
      if (filled.length === 0) {
        strays ??= straysIn(model);
        yield* judgeEmpty(service, slices, strays, model);
      } else for (const port of service.ports) yield* judgePort(port, filled, model);
    }
  },

  remedies({ repair, related, facts }) {
    const service = [repair, ...related].find(({ kind }) => kind === "Service")!;
    const namespace = service.namespace ?? "default";
    const label = `${SERVICE_NAME}=${service.name}`;
    const verify = { run: sh`kubectl get endpointslices -n ${namespace} -l ${label}` };
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const step =
      facts.case === "port"
        ? { why: say.correctPort(), change: edit, undo: edit, verify }
        : facts.case === "label"
          ? {
              why: say.label(),
              change: { run: sh`kubectl label endpointslice -n ${namespace} ${repair.name} --overwrite ${label}` },
              undo: { run: sh`kubectl label endpointslice -n ${namespace} ${repair.name} ${`${SERVICE_NAME}-`}` },
              verify,
            }
          : { why: say.write(), verify };
    return [{ id: "match-endpoints", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "The hand-written back ends of a Service do not serve it",
      zh: "为 Service 手写的后端不起作用",
    },
    page: {
      en: `A Service without a selector has the back ends that somebody wrote: in EndpointSlices with the label \`kubernetes.io/service-name\`, or in Endpoints of its name, which a controller mirrors. Here they do not serve it: their ports have other names than the Service's (ports are matched by name and protocol, never by number), the slice lacks the label, or nobody wrote any.

**How it looks.** Connections to the Service are refused at once on every node ("has no endpoints"), while \`kubectl get endpointslices\` lists addresses, and the addresses themselves answer.

**How it comes about.** The Service's port was given a name and the slice's was not, or the other way round; a slice was copied from another Service; Endpoints carry the label \`endpointslice.kubernetes.io/skip-mirror\`.

**When this is not the cause.** A Service without selector and back ends that nobody calls is left alone: somebody may fill it later. Addresses that do not answer are told of by endpoint-address-wrong.`,
      zh: `没有选择器的 Service，其后端由人编写：写在带有标签 \`kubernetes.io/service-name\` 的 EndpointSlice 中，或写在同名的 Endpoints 中并由控制器同步。这里编写的后端不起作用：端口名称与 Service 的不同（端口按名称和协议匹配，与端口号无关），EndpointSlice 缺少该标签，或根本没有编写。

**现象。** 所有节点上访问该 Service 都立即被拒绝（“has no endpoints”），而 \`kubectl get endpointslices\` 能看到地址，直接访问这些地址也能应答。

**成因。** Service 的端口有名称而 EndpointSlice 的没有，或相反；EndpointSlice 是从别的 Service 复制来的；Endpoints 带有标签 \`endpointslice.kubernetes.io/skip-mirror\`。

**何时不是它。** 没有选择器也没有后端、且无人访问的 Service 不作判断，可能以后才会填写。后端地址本身不应答，见 endpoint-address-wrong。`,
    },
  },
});
