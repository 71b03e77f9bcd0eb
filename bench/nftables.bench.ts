/**
 * How fast nftables rule sets are read and walked: `node --expose-gc bench/nftables.bench.ts`.
 *
 * The rule set is what kube-proxy writes in nftables mode for 10,000 Services with ten endpoints each: since 1.34 with one
 * rule a Service, before that with a chain for every endpoint. A walk is what becomes of the first packet of a connection
 * at a hook: at prerouting all ten back ends are found. Bounds that we hold ourselves to: 20,000 walks a second, and twice
 * what JSON.parse needs for the same text.
 */
import { addressesOf } from "../src/model/netfilter/addresses.ts";
import type { Context } from "../src/model/netfilter/condition.ts";
import { hook } from "../src/model/netfilter/hooks.ts";
import { nftRulesets } from "../src/model/netfilter/nftables.ts";
import type { Packet } from "../src/model/netfilter/packet.ts";
import { parseIp } from "../src/net/ip.ts";
import { type NftRuleset, parseNft } from "../src/parse/nftables/json.ts";

const SERVICES = 10_000;
const ENDPOINTS = 10;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
let seed = 1;
const random = (): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return seed >>> 8;
};
const hash = (): string => Array.from({ length: 8 }, () => letters[random() % 32]).join("");
const ip = (first: number, n: number): string => `10.${first + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;

const TABLE = { family: "ip", table: "kube-proxy" };
const payload = (protocol: string, field: string): object => ({ payload: { protocol, field } });
const match = (left: object, right: unknown, op = "=="): object => ({ match: { op, left, right } });
const MARK = { meta: { key: "mark" } };
const L4PROTO = { meta: { key: "l4proto" } };
const KEY = { concat: [payload("ip", "daddr"), L4PROTO, payload("th", "dport")] };
const NODEPORT_KEY = { concat: [L4PROTO, payload("th", "dport")] };
const FROM_OUTSIDE = match(payload("ip", "saddr"), { prefix: { addr: "10.128.0.0", len: 9 } }, "!=");

/** `nft -j list ruleset`: `isOld` with a chain for every endpoint. */
function kubeProxyJson(isOld: boolean): string {
  let handle = 0;
  const chains: object[] = [];
  const rules: object[] = [];
  const clusterIps: string[] = [];
  const serviceIps: unknown[] = [];
  const chain = (name: string, base = {}): void =>
    void chains.push({ chain: { ...TABLE, name, handle: ++handle, ...base } });
  const rule = (name: string, ...expr: object[]): void =>
    void rules.push({ rule: { ...TABLE, chain: name, handle: ++handle, expr } });
  const base = (name: string, type: string, hook: string, prio: number, ...jumps: string[]): void => {
    chain(name, { type, hook, prio, policy: "accept" });
    for (const target of jumps) {
      const ifNew = type === "filter" ? [match({ ct: { key: "state" } }, "new", "in")] : [];
      rule(name, ...ifNew, { jump: { target } });
    }
  };
  base("filter-prerouting-pre-dnat", "filter", "prerouting", -110, "firewall-check");
  base("filter-output-pre-dnat", "filter", "output", -110, "firewall-check");
  base("filter-input", "filter", "input", 0, "nodeport-endpoints-check", "service-endpoints-check");
  base("filter-forward", "filter", "forward", 0, "service-endpoints-check", "cluster-ips-check");
  base("filter-output", "filter", "output", 0, "service-endpoints-check", "cluster-ips-check");
  base("nat-prerouting", "nat", "prerouting", -100, "services");
  base("nat-output", "nat", "output", -100, "services");
  base("nat-postrouting", "nat", "postrouting", 100, "masquerading");
  const fixed = ["nodeport-endpoints-check", "service-endpoints-check", "firewall-check", "services", "masquerading"];
  for (const name of [...fixed, "cluster-ips-check", "mark-for-masquerade", "reject-chain"]) chain(name);
  const mangle = (op: string): object => ({ mangle: { key: MARK, value: { [op]: [MARK, 0x4000] } } });
  const ofNodePort = match(payload("ip", "daddr"), "@nodeport-ips");
  rule("nodeport-endpoints-check", ofNodePort, { vmap: { key: NODEPORT_KEY, data: "@no-endpoint-nodeports" } });
  rule("service-endpoints-check", { vmap: { key: KEY, data: "@no-endpoint-services" } });
  rule("firewall-check", { vmap: { key: KEY, data: "@firewall-ips" } });
  const ofService = match(payload("ip", "daddr"), "@cluster-ips");
  if (!isOld) rule("services", ofService, FROM_OUTSIDE, mangle("|"));
  rule("services", { vmap: { key: KEY, data: "@service-ips" } });
  rule("services", ofNodePort, { vmap: { key: NODEPORT_KEY, data: "@service-nodeports" } });
  rule("masquerading", match({ "&": [MARK, 0x4000] }, 0), { return: null });
  rule("masquerading", mangle("^"));
  rule("masquerading", { masquerade: { flags: "fully-random" } });
  rule("cluster-ips-check", ofService, { reject: { type: "icmp", expr: "port-unreachable" } });
  rule("mark-for-masquerade", mangle("|"));
  rule("reject-chain", { reject: { type: "icmp", expr: "port-unreachable" } });
  for (let s = 0; s < SERVICES; s++) {
    const name = `${hash()}-namespace-${s % 97}/service-${s}/tcp/http`;
    const service = `service-${name}`;
    clusterIps.push(ip(96, s));
    serviceIps.push([{ concat: [ip(96, s), "tcp", 80] }, { goto: { target: service } }]);
    chain(service);
    const targets: unknown[] = [];
    const numgen = { numgen: { mode: "random", mod: ENDPOINTS, offset: 0 } };
    for (let e = 0; e < ENDPOINTS; e++) {
      const address = ip(128, s * ENDPOINTS + e);
      const endpoint = `endpoint-${name}__${address}/8080`;
      targets.push([e, isOld ? { goto: { target: endpoint } } : { concat: [address, 8080] }]);
      if (!isOld) continue;
      chain(endpoint);
      rule(endpoint, match(payload("ip", "saddr"), address), { jump: { target: "mark-for-masquerade" } });
      rule(endpoint, match(L4PROTO, "tcp"), { dnat: { addr: address, port: 8080 } });
    }
    if (isOld) {
      const ofThis = [match(payload("ip", "daddr"), ip(96, s)), match(payload("tcp", "dport"), 80)];
      rule(service, ...ofThis, FROM_OUTSIDE, { jump: { target: "mark-for-masquerade" } });
      rule(service, { vmap: { key: numgen, data: { set: targets } } });
    } else rule(service, match(L4PROTO, "tcp"), { dnat: { addr: { map: { key: numgen, data: { set: targets } } } } });
  }
  const set = (name: string, elem: unknown[]): object => ({
    set: { ...TABLE, name, type: "ipv4_addr", handle: ++handle, elem },
  });
  const map = (name: string, type: string[], elem: unknown[]): object => ({
    map: { ...TABLE, name, type, handle: ++handle, map: "verdict", ...(elem.length > 0 && { elem }) },
  });
  const key = ["ipv4_addr", "inet_proto", "inet_service"];
  const all = [
    { metainfo: { version: "1.0.6", release_name: "Lester Gooch #5", json_schema_version: 1 } },
    { table: { family: "ip", name: "kube-proxy", handle: 13 } },
    set("cluster-ips", clusterIps),
    set("nodeport-ips", ["192.168.0.2"]),
    ...[map("no-endpoint-services", key, []), map("no-endpoint-nodeports", key.slice(1), [])],
    ...[map("firewall-ips", key, []), map("service-ips", key, serviceIps), map("service-nodeports", key.slice(1), [])],
    ...chains,
    ...rules,
  ];
  return JSON.stringify({ nftables: all });
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);

/** Milliseconds of processor time: what else runs on the machine does not count as much as it would by the clock. */
function spent(work: () => unknown): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** The best of some runs: other work on the machine only ever makes it slower. */
const best = (runs: number, work: () => unknown): number =>
  Math.min(...Array.from({ length: runs }, () => spent(work)));

const kept = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};

function measure(title: string, isOld: boolean): void {
  // Read back from bytes, as every real file is: one flat string.
  const text = Buffer.from(kubeProxyJson(isOld)).toString("latin1");
  const before = kept();
  const value: NftRuleset = parseNft(text).value;
  const after = kept();
  const rules = value.tables.flatMap((table) => table.chains).reduce((sum, chain) => sum + chain.rules.length, 0);
  print(`${title}: ${megabytes(text.length)} MB, ${rules} rules`);
  if (globalThis.gc) print(`  the result keeps ${megabytes(after - before)} MB`);
  const parseMs = best(3, () => parseNft(text));
  const jsonMs = best(3, () => JSON.parse(text));
  print(`  parseNft ${parseMs.toFixed(0)} ms, ${(text.length / 1000 / parseMs).toFixed(0)} MB/s`);
  print(`  JSON.parse of the text ${jsonMs.toFixed(0)} ms; ratio ${(parseMs / jsonMs).toFixed(2)}`);
  walk(value);
}

const CONTEXT: Context = { addresses: addressesOf([{ ip: parseIp("192.168.0.2")!, length: 24 }]), ipsets: new Map() };

const packetTo = (service: number): Packet => ({
  family: 4,
  protocol: "tcp",
  source: parseIp("10.128.9.9")!,
  destination: parseIp(ip(96, service))!,
  sourcePort: 40000,
  destinationPort: 80,
  inDevice: "cni0",
  mark: 0,
  ctState: "new",
});

function walk(value: NftRuleset): void {
  const rulesets = nftRulesets(value);
  const arrive = (n: number) => hook(rulesets, "prerouting", packetTo((n * 7919) % SERVICES), CONTEXT);
  const before = kept();
  const first = spent(() => {
    for (let n = 0; n < SERVICES; n++) arrive(n);
  });
  print(`  the first walk to each Service: ${first.toFixed(0)} ms`);
  if (globalThis.gc) print(`  what they made is ${megabytes(kept() - before)} MB`);
  if (arrive(1).length !== ENDPOINTS) throw new Error("not all back ends were found");
  const many = 20_000;
  const perSecond = (ms: number): string => ((many / ms) * 1000).toFixed(0);
  const arriving = best(5, () => {
    for (let n = 0; n < many; n++) arrive(n);
  });
  print(`  ${perSecond(arriving)} walks a second at prerouting`);
  const ends = Array.from({ length: 100 }, (_, n) => arrive(n)).flat();
  const leaving = best(3, () => {
    for (let n = 0; n < many; n++) {
      const { packet } = ends[n % ends.length]!;
      hook(rulesets, n % 2 === 0 ? "forward" : "postrouting", { ...packet, outDevice: "eth0" }, CONTEXT);
    }
  });
  print(`  ${perSecond(leaving)} at forward and postrouting`);
}

measure("one rule a Service", false);
measure("a chain for every endpoint", true);
