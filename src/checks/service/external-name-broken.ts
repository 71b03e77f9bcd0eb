import type { ClusterModel } from "../../model/model.ts";
import { kubectlName } from "../../model/ref.ts";
import type { ServiceView } from "../../model/services/services.ts";
import { parseIp } from "../../net/ip.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, fault, warning } from "../check.ts";

type Model = Pick<ClusterModel, "services" | "dns" | "observations">;

const say = texts("external-name-broken", {
  circle: {
    en: "The names of Services {services} stand for each other in a circle: none of them leads to an address",
    zh: "Service {services} 的名称互为别名、形成循环：均解析不到地址",
  },
  itself: { en: "The name of Service {service} stands for itself", zh: "Service {service} 的名称是它自身的别名" },
  address: {
    en: "Service {service} has an address for an external name: “{name}” is looked up as a name, and there is none",
    zh: "Service {service} 的 externalName 填成了 IP 地址：“{name}” 会被当作域名查询，而该域名不存在",
  },
  nowhere: {
    en: "The name of Service {service} stands for {name}, and there is no such Service",
    zh: "Service {service} 的名称指向 {name}，而该 Service 不存在",
  },
  lead: {
    en: "Let externalName be a name that leads to an address",
    zh: "将 externalName 改为能解析到地址的域名",
  },
  useSlice: {
    en: "Make it a Service without a selector, with the address in an EndpointSlice of its own: externalName takes names only",
    zh: "改为不带选择器的 Service，并把该地址写入其 EndpointSlice：externalName 只接受域名",
  },
  nothing: { en: "Nothing", zh: "无" },
  prevent: {
    en: "Resolve the name from a Pod after each change of an ExternalName Service: nothing in the API server checks where it leads",
    zh: "每次修改 ExternalName Service 后，从 Pod 中解析一次：API Server 不检查它指向何处",
  },
});

const keyOf = ({ namespace, name }: ServiceView) => `${namespace}/${name}`;
const nameOf = ({ object }: ServiceView) => (object.spec.externalName ?? "").toLowerCase().replace(/\.$/, "");

/** The Service of the cluster that an external name is the name of; undefined if it is a name of somebody else's. */
function targetOf(service: ServiceView, { services, dns }: Model): ServiceView | "none" | undefined {
  const name = nameOf(service);
  const suffix = `.svc.${dns.domain}`;
  if (!name.endsWith(suffix)) return undefined;
  const [host, namespace, ...more] = name.slice(0, -suffix.length).split(".");
  // names of end points and of ports have more labels
  if (!host || !namespace || more.length > 0) return undefined;
  return services.get(namespace, host) ?? "none";
}

/** The Services that an alias leads through, back to where it began; undefined if it leads elsewhere. */
function circleFrom(first: ServiceView, model: Model): readonly ServiceView[] | undefined {
  const way = [first];
  for (;;) {
    const next = targetOf(way.at(-1)!, model);
    if (next === undefined || next === "none" || next.kind !== "ExternalName") return undefined;
    if (next === first) return way;
    // a circle that this one only leads into is told of those in it
    if (way.includes(next)) return undefined;
    way.push(next);
  }
}

/** A Service of type ExternalName stands for a name that leads nowhere. */
export const externalNameBroken = defineCheck({
  id: "external-name-broken",
  reads: ["services", "dns", "observations"],

  *find(model: Model) {
    const { services, observations } = model;
    if (!services.whole) yield cannotTell({ name: "service.address" }, [{ kind: "services" }]);
    for (const service of services.all) {
      if (service.kind !== "ExternalName" || nameOf(service) === "") continue;
      const key = keyOf(service);
      const evidence = [services.quote(service, `Service ${key}: externalName ${nameOf(service)}`)];
      const of = (members: readonly ServiceView[]) =>
        ({
          repair: service.ref,
          breaks: members.map((one) => ({ name: "service.address", service: keyOf(one) }) as const),
          strength: "direct",
          since: service.object.metadata.creationTimestamp ?? undefined,
        }) as const;
      if (parseIp(nameOf(service))) {
        const title = say.address({ service: key, name: nameOf(service) });
        yield fault({ ...of([service]), title, evidence, facts: { case: "address" } });
        continue;
      }
      const circle = circleFrom(service, model);
      // one of them is told for all
      if (circle && circle.map(keyOf).sort()[0] === key) {
        const title = circle.length === 1 ? say.itself({ service: key }) : say.circle({ services: circle.map(keyOf) });
        const quotes = circle.map((one) => services.quote(one, `Service ${keyOf(one)}: externalName ${nameOf(one)}`));
        const related = circle.slice(1).map(({ ref }) => ref);
        yield fault({ ...of(circle), related, title, evidence: quotes.slice(0, 5) });
        continue;
      }
      if (!services.whole || targetOf(service, model) !== "none") continue;
      const title = say.nowhere({ service: key, name: nameOf(service) });
      const asked = observations.failed.filter(
        ({ target }) => target.is === "name" && target.name.startsWith(`${service.name}.${service.namespace}.`),
      );
      if (asked.length === 0) yield warning(service.ref, title, evidence);
      else yield fault({ ...of([service]), title, evidence: [...evidence, asked[0]!.evidence] });
    }
  },

  remedies({ repair, facts }) {
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const why = facts.case === "address" ? say.useSlice() : say.lead();
    const step = { why, change: edit, undo: edit, verify: { run: `kubectl get ${kubectlName(repair)} -o wide` } };
    return [{ id: "lead", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
  },

  manual: {
    title: { en: "An ExternalName Service leads nowhere", zh: "ExternalName Service 无法解析到地址" },
    page: {
      en: `A Service of type ExternalName is another name (CNAME) and nothing more. Its externalName is an IP address, which is looked up as a name; or it is the name of a Service that does not exist; or it leads through other Services of the kind back to itself. The API server takes all of these.

**How it looks.** The name of the Service gets NXDOMAIN, an answer of CNAMEs without an address, or SERVFAIL; everything else resolves. CoreDNS logs nothing.

**How it comes about.** A Service is moved to another namespace, leaves an alias behind, and the alias in the new place still points back; or somebody has an address and no name.

**When this is not the cause.** Names outside the cluster are not judged here: whether they exist, only their servers know. A name of a Service that does not exist yet and that nobody has asked for is a warning.`,
      zh: `ExternalName 类型的 Service 只是一个别名（CNAME）。它的 externalName 填成了 IP 地址（会被当作域名查询），或指向不存在的 Service，或经由其他同类 Service 又指回自身。API Server 都会接受。

**现象。** 该 Service 的名称返回 NXDOMAIN、只有 CNAME 而没有地址的应答，或 SERVFAIL；其他域名正常。CoreDNS 没有日志。

**成因。** Service 迁移到另一个命名空间并留下别名，而新位置的别名仍指回旧处；或者只有地址而没有域名。

**何时不是它。** 集群外的域名不在此判断：是否存在只有其权威服务器知道。指向尚不存在且无人查询的 Service，只作为警告。`,
    },
  },
});
