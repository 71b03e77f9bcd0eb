import { known } from "../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { DnsServer } from "../../model/dns/dns.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, ref, refId } from "../../model/ref.ts";
import { sh } from "../../shell.ts";
import { texts } from "../../text.ts";
import { defineCheck, type Finding, fault } from "../check.ts";
import { rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "dns" | "nodes" | "objects">;

const say = texts("cluster-domain-mismatch", {
  none: {
    en: "CoreDNS knows no names of the cluster: nothing in its Corefile ({config}) reads them from Kubernetes",
    zh: "CoreDNS 无法解析集群内的域名：其 Corefile（{config}）中没有任何 kubernetes 插件",
  },
  zone: {
    en: "CoreDNS answers for {zones}, while Pods look for names of the cluster in {domain}",
    zh: "CoreDNS 负责的域是 {zones}，而 Pod 在 {domain} 中查找集群内的域名",
  },
  node: {
    en: "The kubelet of {node} lets Pods look for names in {domain}, and CoreDNS answers for {zones}",
    zh: "节点 {node} 的 kubelet 让 Pod 在 {domain} 中查找域名，而 CoreDNS 负责的域是 {zones}",
  },
  correct: {
    en: "Let the plugin kubernetes serve {domain}, or let all kubelets say what it serves",
    zh: "让 kubernetes 插件负责 {domain}，或让所有 kubelet 使用它所负责的域",
  },
  correctKubelet: {
    en: "Set clusterDomain of the kubelet to what CoreDNS serves, and restart the kubelet",
    zh: "将 kubelet 的 clusterDomain 改为 CoreDNS 所负责的域，然后重启 kubelet",
  },
  recreate: {
    en: "Make the Pods of the node anew: they keep the resolv.conf with which they were made",
    zh: "重建该节点上的 Pod：它们一直沿用创建时的 resolv.conf",
  },
  nothing: { en: "Nothing", zh: "无" },
  evicts: { en: "The Pods of the node while they are made anew", zh: "重建期间该节点上的 Pod" },
  prevent: {
    en: "Set the cluster's domain in one place (kubeadm: networking.dnsDomain) and leave it: it is in certificates and in many configurations",
    zh: "只在一处设置集群域名（kubeadm：networking.dnsDomain）且不再改动：它写在证书和许多配置中",
  },
});

/** These make other names of names, or answer for names that nothing else shows. */
const REWRITES = new Set(["rewrite", "template", "import", "k8s_external"]);

const plain = (zone: string): string => zone.toLowerCase().replace(/\.$/, "");
const isIn = (name: string, zone: string): boolean => name === zone || name.endsWith(`.${zone}`);

/** The zones whose names CoreDNS reads from Kubernetes, and those that it leaves to others by name. */
function zonesOf({ corefile }: DnsServer): { readonly own: readonly string[]; readonly others: readonly string[] } {
  const servers = corefile?.servers ?? [];
  const own = servers.flatMap(({ zones, directives }) =>
    directives
      .filter(({ name }) => name === "kubernetes")
      .flatMap(({ args }) => (args.length > 0 ? args : zones).map(plain)),
  );
  return {
    own,
    others: servers.flatMap(({ zones }) => zones.map(plain)).filter((zone) => zone !== "" && zone !== "."),
  };
}

const isReverse = (zone: string): boolean => /(^|\.)(in-addr|ip6)\.arpa$/.test(zone);

type Told = { readonly node: string; readonly domain: string; readonly evidence: Evidence };

/** The domains in which Pods look for names of the cluster, as their kubelets say. */
function domainsTold({ nodes, dns }: Model): Told[] {
  return nodes.all.flatMap(({ name: node }) => {
    const config = dns.kubeletConfigOf(node);
    const domain = known(config)?.clusterDomain;
    return domain
      ? [{ node, domain: plain(domain), evidence: quoteOf(config.origin, `clusterDomain: ${domain}`) }]
      : [];
  });
}

function* judge(server: DnsServer, model: Model): Iterable<Finding> {
  const { corefile, map, configMap, component } = server;
  if (!corefile || !map || !configMap || corefile.errors.length > 0) return;
  const directives = corefile.servers.flatMap((one) => one.directives);
  if (directives.length === 0 || directives.some(({ name }) => REWRITES.has(name))) return;
  const { own, others } = zonesOf(server);
  const quote = model.objects.quote("configmaps", map, `${refId(configMap)}: kubernetes ${own.join(" ") || "(none)"}`);
  const ofConfig = { repair: configMap, related: [component.ref], strength: "direct" as const };
  const breaks = [{ name: "dns.serve", zone: "cluster" } as const];
  const told = domainsTold(model);
  const domain = told[0]?.domain ?? "cluster.local";
  const zones = own.filter((zone) => !isReverse(zone));
  if (zones.length === 0) {
    if (others.some((zone) => isIn(domain, zone))) return;
    const title = say.none({ config: refId(configMap) });
    yield fault({ ...ofConfig, breaks, title, evidence: [quote], facts: { case: "zone", domain } });
    return;
  }
  // a zone that is left to another server is somebody's on purpose
  const lost = told.filter((one) => !zones.includes(one.domain) && !others.some((zone) => isIn(one.domain, zone)));
  const args = { zones: zones };
  if (lost.length > 0 && lost.length === told.length && new Set(lost.map((one) => one.domain)).size === 1) {
    const title = say.zone({ ...args, domain });
    const evidence = [quote, ...lost.slice(0, 3).map((one) => one.evidence)];
    yield fault({ ...ofConfig, breaks, title, evidence, facts: { case: "zone", domain } });
    return;
  }
  for (const one of lost)
    yield fault({
      repair: ref("Node", one.node),
      nodes: [one.node],
      breaks: [{ name: "dns.client", node: one.node }],
      title: say.node({ ...args, node: one.node, domain: one.domain }),
      evidence: [one.evidence, quote],
      strength: "direct",
      facts: { case: "node", domain: one.domain, zone: zones[0]! },
    });
}

/** Pods look for names of the cluster in a domain for which CoreDNS does not answer. */
export const clusterDomainMismatch = defineCheck({
  id: "cluster-domain-mismatch",
  reads: ["dns", "nodes", "objects"],

  *find(model) {
    for (const server of model.dns.servers) yield* judge(server, model);
  },

  remedies({ repair, related, facts }) {
    const { domain, zone } = facts as { domain: string; zone?: string };
    if (facts.case === "zone") {
      const edit = { run: `kubectl edit ${kubectlName(repair)}` };
      const step = { why: say.correct({ domain }), change: edit, undo: edit, verify: rolledOut(related[0]!) };
      return [{ id: "correct-zone", risk: "low", interrupts: say.nothing(), steps: [step], prevent: [say.prevent()] }];
    }
    const node = repair.name;
    const set = (from: string, to: string) => ({
      run: sh`sed -i ${`s/^clusterDomain:.*${from.replaceAll(".", "\\.")}.*/clusterDomain: ${to}/`} /var/lib/kubelet/config.yaml && systemctl restart kubelet`,
      node,
    });
    const correct = {
      why: say.correctKubelet(),
      change: set(domain, zone ?? ""),
      undo: set(zone ?? "", domain),
      verify: { run: "grep '^clusterDomain' /var/lib/kubelet/config.yaml", node },
    };
    const back = sh`kubectl uncordon ${node}`;
    const recreate = {
      why: say.recreate(),
      change: { run: `${sh`kubectl drain ${node} --ignore-daemonsets --delete-emptydir-data`} && ${back}` },
      undo: { run: back },
      verify: { run: "kubectl run -it --rm ask --image=busybox --restart=Never -- cat /etc/resolv.conf" },
    };
    const steps = [correct, recreate];
    return [{ id: "correct-kubelet", risk: "medium", interrupts: say.evicts(), steps, prevent: [say.prevent()] }];
  },

  manual: {
    title: {
      en: "CoreDNS and kubelets disagree about the cluster's domain",
      zh: "CoreDNS 与 kubelet 的集群域名不一致",
    },
    page: {
      en: `The kubelet writes the cluster's domain (\`clusterDomain\`) into the search list of every Pod; the plugin \`kubernetes\` of CoreDNS answers for the zones that the Corefile names. Names of Services are found only where the two agree.

**How it looks.** CoreDNS is ready and answers names outside the cluster. Names of Services get NXDOMAIN at once, no timeout: \`nslookup kubernetes.default\` says “can't find”, while \`nslookup kubernetes.default.svc.ZONE\`, with the zone of the Corefile, is answered. If one kubelet says another domain, Pods of its node alone have this, and short names within a namespace fail there as well.

**How it comes about.** The domain was changed in one of the two; a Corefile was written anew without the plugin; a node was joined with another template.

**When this is not the cause.** A zone that is left to another server by a block of its own, and rewriting plugins, are not judged. Names of one Service alone that are not found have another reason: the Service, or the namespace.`,
      zh: `kubelet 把集群域名（\`clusterDomain\`）写入每个 Pod 的搜索列表；CoreDNS 的 \`kubernetes\` 插件只应答 Corefile 中列出的域。两者一致时才能解析 Service 的域名。

**现象。** CoreDNS 就绪，也能解析集群外的域名。Service 的域名立即得到 NXDOMAIN 而不是超时：\`nslookup kubernetes.default\` 提示 “can't find”，而带上 Corefile 中的域 \`nslookup kubernetes.default.svc.域\` 则有应答。若只有某个 kubelet 的域名不同，则只有该节点的 Pod 受影响，命名空间内的短名在那里同样失败。

**成因。** 只改了其中一处；重写 Corefile 时漏掉了该插件；节点以另一套模板加入。

**何时不是它。** 由独立 server 块转交给其他服务器的域，以及带改写类插件的配置不作判断。只有某一个 Service 的域名解析不到，则另有原因：该 Service 本身或命名空间。`,
    },
  },
});
