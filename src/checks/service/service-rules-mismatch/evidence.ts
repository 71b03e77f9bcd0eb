/** What was looked for in the rules of a node and is not there, and the commands that show them. */
import { known } from "../../../evidence/observed.ts";
import { type Evidence, quoteOf } from "../../../evidence/origin.ts";
import type { Programmed, Vantage } from "../../../model/programmed.ts";
import type { ProxyMode } from "../../../model/proxy.ts";
import { clusterIpOf, type ServicePort } from "../../../model/services/services.ts";
import { bitsOf, type Family, formatIp, formatPrefix, formatSocket } from "../../../net/ip.ts";
import type { Condition } from "../../../parse/iptables/save.ts";
import { sh } from "../../../shell.ts";
import type { Model, Served } from "./served.ts";

/** Where the rules of a family are, as evidence and in commands. */
export const SAVED = { 4: "iptables", 6: "ip6tables" } as const;

export const NFT = { 4: "ip", 6: "ip6" } as const;

export const program = (family: Family): string => SAVED[family];

/** Where the rules of a mode are. */
export const kindOf = (mode: ProxyMode, family: Family) => (mode === "iptables" ? SAVED[family] : mode);

/** What was looked for in a node's rules and is not there, and where it should be. */
export function absence(served: Served, vantage: Vantage, model: Model): Evidence[] {
  const { port, node, family } = served;
  const { forwarding, proxy } = model;
  const { [SAVED[family]]: iptables, nftables, filter } = forwarding.of(node);
  const address = clusterIpOf(port.service, family) ?? "";
  const protocol = port.protocol.toLowerCase();
  if (proxy.mode(node) === "ipvs") return absenceInIpvs(served, vantage, model);
  if (proxy.mode(node) === "nftables") {
    const [map, key] =
      vantage === "outside"
        ? ["service-nodeports", `${protocol} . ${port.nodePort}`]
        : ["service-ips", `${address} . ${protocol} . ${port.port}`];
    return [quoteOf(nftables.origin, `${NFT[family]} kube-proxy: no element of the map ${map} for ${key}`)];
  }
  const chains = known(iptables)?.tables.find(({ name }) => name === "nat")?.chains ?? [];
  const at = (line: number | undefined) => (line === undefined ? iptables.origin : { ...iptables.origin, line });
  const name = vantage === "outside" ? "KUBE-NODEPORTS" : "KUBE-SERVICES";
  const chain = chains.find((one) => one.name === name);
  if (!chain) return [quoteOf(iptables.origin, `nat: no chain ${name}`)];
  const number = vantage === "outside" ? port.nodePort : port.port;
  const host = `${address}/${bitsOf(family)}`;
  const to = vantage === "outside" ? "" : `-d ${host} `;
  const wanted = `${to}-p ${protocol} --dport ${number}`;
  const rule = chain.rules.find(
    ({ conditions, target }) =>
      target.does === "jump" && isFor(conditions, vantage === "outside" ? undefined : host, number),
  );
  if (rule?.target.does !== "jump") return [quoteOf(at(chain.line), `nat: no rule of ${name} for ${wanted}`)];
  const next = rule.target.chain;
  const service = chains.find((one) => one.name === next);
  return [
    filter.quote({ ruleset: program(family), table: "nat", chain: name, line: rule.line, rule }),
    quoteOf(at(service?.line), `nat: ${next} has ${service?.rules.length ?? 0} rules`),
  ];
}

function absenceInIpvs({ port, node, family }: Served, vantage: Vantage, model: Model): Evidence[] {
  const { ipvs, links } = model.forwarding.of(node);
  const own = model.proxy.nodePorts(node, family)?.address ?? model.nodes.get(node)?.ips[family];
  const [address = "", number = ""] =
    vantage === "outside" ? [own && formatIp(own), port.nodePort] : [clusterIpOf(port.service, family), port.port];
  const server = known(ipvs)?.find((one) => one.address === address && one.port === number);
  if (server && vantage === "pod") {
    const device = known(links)?.find(({ name: one }) => one === "kube-ipvs0");
    return [quoteOf(links.origin, device ? `kube-ipvs0 does not have ${address}` : "no device kube-ipvs0")];
  }
  const origin = server ? { ...ipvs.origin, line: server.line } : ipvs.origin;
  const what = `${port.protocol} ${formatSocket(address, number)}`;
  return [quoteOf(origin, server ? `${what}: no real server` : `no virtual server ${what}`)];
}

/** Whether a rule is for this host, a prefix of one address, and this port. */
export function isFor(conditions: readonly Condition[], host: string | undefined, number: number | undefined): boolean {
  const isAddressed =
    host === undefined ||
    conditions.some((one) => one.is === "destination" && !one.not && formatPrefix(one.prefix) === host);
  const isOfPort = conditions.some(
    (one) =>
      one.is === "destination-port" && !one.not && one.ports.some(({ from, to }) => from === number && to === number),
  );
  return isAddressed && isOfPort;
}

/** Which chain should lead to which one, and does not. */
export function missingJump(node: string, vantage: Vantage, family: Family, { forwarding, proxy }: Model) {
  if (proxy.mode(node) === "nftables")
    return { chain: vantage === "host" ? "nat-output" : "nat-prerouting", next: "services" };
  const chains = known(forwarding.of(node)[SAVED[family]])?.tables.find(({ name }) => name === "nat")?.chains ?? [];
  const leads = (from: string, to: string) =>
    chains.find(({ name }) => name === from)?.rules.some(({ target }) => target.does === "jump" && target.chain === to);
  const first = vantage === "host" ? "OUTPUT" : "PREROUTING";
  return vantage === "outside" && leads(first, "KUBE-SERVICES")
    ? { chain: "KUBE-SERVICES", next: "KUBE-NODEPORTS" }
    : { chain: first, next: "KUBE-SERVICES" };
}

/** Why no Service at all is reached: there are no rules, or nothing leads to them. */
export function absenceOfAll(served: Served, vantages: readonly Vantage[], model: Model): Evidence[] {
  const { node, family } = served;
  const { [SAVED[family]]: iptables } = model.forwarding.of(node);
  const chains = known(iptables)?.tables.find(({ name }) => name === "nat")?.chains ?? [];
  const services = chains.find(({ name }) => name === "KUBE-SERVICES");
  if (model.proxy.mode(node) !== "iptables" || !services) return absence(served, vantages[0]!, model);
  if (services.rules.length === 0)
    return [quoteOf({ ...iptables.origin, line: services.line }, "nat: KUBE-SERVICES has 0 rules")];
  const jumps = vantages.map((vantage) => missingJump(node, vantage, family, model));
  return [...new Map(jumps.map((jump) => [jump.chain, jump])).values()].map(({ chain, next }) => {
    const line = chains.find(({ name }) => name === chain)?.line;
    return quoteOf({ ...iptables.origin, ...(line && { line }) }, `nat: no rule of ${chain} jumps to ${next}`);
  });
}

export function absenceOfMark(node: string, family: Family, { forwarding, proxy }: Model): Evidence[] {
  const { [SAVED[family]]: iptables, nftables } = forwarding.of(node);
  if (proxy.mode(node) === "nftables")
    return [quoteOf(nftables.origin, `${NFT[family]} kube-proxy: no rule of mark-for-masquerade sets a mark`)];
  const chains = known(iptables)?.tables.find(({ name }) => name === "nat")?.chains;
  const line = chains?.find(({ name }) => name === "KUBE-MARK-MASQ")?.line;
  const origin = line === undefined ? iptables.origin : { ...iptables.origin, line };
  return [quoteOf(origin, "nat: no rule of KUBE-MARK-MASQ sets the mark 0x4000")];
}

export function quoteBackends({ port, family }: Omit<Served, "node">, { services }: Model): Evidence {
  const ready = services.endpoints(port, family).filter((endpoint) => endpoint.ready);
  const addresses = ready.map(({ address, port: number }) => formatSocket(address, number));
  const shown = addresses.length > 4 ? `${addresses.slice(0, 3).join(", ")} …` : addresses.join(", ") || "none";
  return services.quote(port.service, `Service ${port.key}: back ends ${shown}`);
}

/** The commands of a node that show its rules: for all Services, and for one. */
export const showingAll = (mode: ProxyMode, family: Family): string =>
  ({
    iptables: `${SAVED[family]}-save -t nat | grep -e '-j KUBE-SERVICES'`,
    ipvs: "ipvsadm -Ln",
    nftables: `nft list map ${NFT[family]} kube-proxy service-ips`,
  })[mode];

export const IPVS_FLAGS = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" } as const;

export function showing(
  { key, service, port, nodePort, protocol }: ServicePort,
  mode: ProxyMode,
  family: Family,
  to: Programmed["to"] = "cluster-ip",
): string {
  const address = clusterIpOf(service, family) ?? "";
  if (mode === "ipvs" && to === "node-port") return `ipvsadm -Ln | grep -A 9 -e ':${nodePort} '`;
  if (mode === "ipvs") return sh`ipvsadm -Ln ${IPVS_FLAGS[protocol]} ${formatSocket(address, port)}`;
  if (mode === "nftables") return `${showingAll(mode, family)} ${sh`| grep -F -e ${address}`}`;
  return `${SAVED[family]}-save -t nat ${sh`| grep -F -e ${key}`}`;
}

export const showingMarks = (mode: ProxyMode, family: Family): string =>
  mode === "nftables"
    ? `nft list chain ${NFT[family]} kube-proxy mark-for-masquerade`
    : `${SAVED[family]}-save -t nat | grep -e KUBE-MARK-MASQ`;
