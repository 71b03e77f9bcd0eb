/**
 * The directives that CoreDNS knows, and what the plugins that matter take for arguments.
 *
 * Source: plugin.cfg of CoreDNS 1.14.7 (github.com/coredns/coredns), in its order, in which plugins are also set up;
 * and plugin/‹name›/setup.go of 1.8.0 to 1.14.7. What any of these versions takes passes, so that an error here is one
 * in all of them; plugins that were dropped before (proxy, federation) are errors in all of them.
 */
import { parseIp, parsePrefix } from "../../net/ip.ts";
import { splitPort, withoutBrackets } from "../fields.ts";
import {
  ANY,
  type Arguments,
  anything,
  atLeast,
  between,
  capacity,
  duration,
  durationUpTo,
  first,
  integer,
  LACKS,
  meantBy,
  none,
  one,
  oneOf,
  optionalAddress,
  percentage,
  positive,
  RCODE,
  seconds,
  unsigned,
  words,
} from "./arguments.ts";
import type { CorefileDirective } from "./corefile.ts";
import { hasVariable } from "./tokens.ts";
import { zonesOf } from "./zones.ts";

export const DIRECTIVES: readonly string[] = (
  "root metadata geoip cancel proxyproto quic grpc_server https https3 timeouts multisocket reload nsid bufsize bind " +
  "debug trace ready health pprof shed prometheus errors log dnstap local dns64 any chaos loadbalance tsig rewrite " +
  "autopath acl cache header dnssec tls minimal template transfer hosts route53 azure clouddns k8s_external " +
  "kubernetes file auto secondary etcd loop forward grpc erratic whoami on sign view nomad"
).split(" ");

/** A place that CoreDNS refuses: the word, or the directive or property that lacks one. */
type Complaint = { readonly line: number; readonly word: string; readonly meant?: string };

type Plugin = {
  readonly once?: true;
  readonly args: Arguments;
  /** Of the block; undefined for a plugin whose block is not looked into. */
  readonly properties?: Readonly<Record<string, Arguments>>;
  /** Some version passes over properties that it does not know. */
  readonly lenient?: true;
  /** What only a look at the whole tells. */
  readonly more?: (use: CorefileDirective, zones: readonly string[]) => Complaint | undefined;
};

const cache: Plugin = {
  once: true,
  // the first may be the TTL, or already a zone
  args: words(0, ANY, (word) => !integer(word) && Number(word) <= 0, anything),
  properties: {
    success: capacity,
    denial: capacity,
    prefetch: words(1, 3, atLeast(0), duration, percentage),
    serve_stale: words(0, 5, durationUpTo(ANY), (word) => oneOf("immediate", "verify")(word.toLowerCase()), anything),
    serve_stale_policy: one((word) => word.toLowerCase() !== "prefer_positive"),
    servfail: one(durationUpTo(300)),
    disable: words(1, ANY, oneOf("success", "denial"), anything),
    keepttl: none,
  },
};

const MOST_UPSTREAMS = 15;

/** Whether it is an address, with or without scheme and port; else it is a file of unknown content or a name. */
function isAddress(upstream: string): boolean {
  const rest = upstream.replace(/^[a-z0-9]+:\/\//, "").replace(/%.*$/s, "");
  return (
    parseIp(withoutBrackets(rest)) !== undefined || parseIp(withoutBrackets(splitPort(rest)?.host ?? "")) !== undefined
  );
}

function tooManyUpstreams(use: CorefileDirective): Complaint | undefined {
  const word = [...new Set(use.args.slice(1).filter(isAddress))][MOST_UPSTREAMS];
  return word === undefined ? undefined : { line: use.line, word };
}

const forward: Plugin = {
  args: words(2, ANY, anything, (word) => /^(grpc|quic|https3|unix):\/\//.test(word)),
  properties: {
    except: words(1, ANY),
    max_fails: first(unsigned),
    max_connect_attempts: first(unsigned),
    health_check: first(durationUpTo(ANY)),
    force_tcp: none,
    prefer_udp: none,
    tls: words(0, 3),
    tls_servername: first(anything),
    expire: first(durationUpTo(ANY)),
    max_age: first(durationUpTo(ANY)),
    max_idle_conns: first(atLeast(0)),
    read_timeout: first(positive),
    doh_method: first(oneOf("GET", "POST")),
    policy: first(oneOf("random", "round_robin", "sequential")),
    max_concurrent: first(atLeast(0)),
    next: words(1, ANY, RCODE),
    next_on_nodata: none,
    failfast_all_unhealthy_upstreams: none,
    failover: words(1, ANY, RCODE),
    resolver: words(1, ANY),
    source_address: first(anything),
  },
  more: tooManyUpstreams,
};

/** The kubernetes plugin answers for at least one zone that is no reverse zone. */
function onlyReverse(use: CorefileDirective, zones: readonly string[]): Complaint | undefined {
  const served = use.args.length > 0 ? use.args.flatMap(zonesOf) : zones;
  const isReverse = (zone: string) => /(^|\.)(in-addr|ip6)\.arpa$/.test(zone);
  const has = (name: string) => use.block.some((property) => property.name === name);
  if (served.length > 0 && served.every(isReverse)) return { line: use.line, word: use.args[0] ?? use.name };
  return has("namespaces") && has("namespace_labels") ? { line: use.line, word: "namespace_labels" } : undefined;
}

const kubernetes: Plugin = {
  once: true,
  args: words(0, ANY),
  properties: {
    endpoint_pod_names: none,
    pods: one(oneOf("disabled", "insecure", "verified")),
    namespaces: words(1, ANY),
    endpoint: words(1, ANY),
    tls: words(3, 3),
    labels: words(1, ANY),
    namespace_labels: words(1, ANY),
    fallthrough: words(0, ANY),
    ttl: first(between(0, 3600)),
    noendpoints: none,
    zonal: none,
    ignore: words(0, ANY, oneOf("empty_service"), anything),
    kubeconfig: words(1, 2),
    multicluster: words(0, ANY),
    startup_timeout: first(duration),
    apiserver_qps: one(anything),
    apiserver_burst: one(atLeast(0)),
    apiserver_max_inflight: one(atLeast(0)),
  },
  more: onlyReverse,
};

const HOSTS = {
  args: words(0, ANY),
  properties: {
    fallthrough: words(0, ANY),
    fallthrough_unsupported: none,
    no_reverse: words(0, ANY),
    ttl: first(between(1, 65535)),
    reload: one(durationUpTo(ANY)),
  },
} satisfies Plugin;

/**
 * Lines of the block are entries of a hosts file, but only before `fallthrough`: after it CoreDNS takes them for
 * properties.
 */
function badHosts(use: CorefileDirective): Complaint | undefined {
  const isProperty = (line: CorefileDirective) => Object.hasOwn(HOSTS.properties, line.name);
  const start = use.block.findIndex((line) => line.name === "fallthrough");
  const entriesEnd = start < 0 ? use.block.length : start;
  const lines = use.block.filter((line, index) => index >= entriesEnd || isProperty(line));
  return propertyComplaint({ ...use, block: lines }, HOSTS);
}

const RULES = ["name", "class", "type", "edns0", "ttl", "cname", "rcode"];

/** `rewrite [continue|stop] TYPE …`; with fewer than two words on the line, those of the block are of the same rule. */
function badRewrite(use: CorefileDirective): Complaint | undefined {
  const inBlock = use.args.length < 2 ? use.block.flatMap((line) => [line.name, ...line.args]) : [];
  const [mode = "", ...rest] = [...use.args, ...inBlock].map((word) => word.toLowerCase());
  const type = mode === "continue" || mode === "stop" ? (rest.shift() ?? "") : mode;
  if (hasVariable(type) || hasVariable(mode)) return undefined;
  if (!RULES.includes(type)) return { line: use.line, word: type === "" ? use.name : type };
  const isPair = type === "class" || type === "type";
  return isPair && use.block.length === 0 && rest.length !== 2 ? { line: use.line, word: type } : undefined;
}

const PLUGINS: Readonly<Record<string, Plugin>> = {
  reload: { args: words(0, 2, durationUpTo(ANY, 2), (word) => seconds(word) !== 0 && durationUpTo(ANY, 1)(word)) },
  ready: {
    once: true,
    lenient: true,
    args: optionalAddress,
    properties: { monitor: one(oneOf("until-ready", "continuously")) },
  },
  health: { args: optionalAddress, properties: { lameduck: one(duration) } },
  prometheus: { once: true, args: optionalAddress, properties: { runtime_metrics: none, tls: words(1, 1) } },
  errors: {
    once: true,
    args: words(0, 1, oneOf("stdout")),
    properties: { stacktrace: words(0, ANY), consolidate: words(2, 4, duration, anything) },
  },
  log: { args: words(0, ANY), properties: { class: words(1, ANY, oneOf("success", "denial", "error", "all")) } },
  loadbalance: {
    lenient: true,
    args: words(0, 2, oneOf("round_robin", "weighted"), anything),
    properties: { prefer: words(0, ANY, (word) => !word.includes("/") || !parsePrefix(word)), reload: one(duration) },
  },
  rewrite: { args: words(0, ANY), more: badRewrite },
  cache,
  hosts: { once: true, args: HOSTS.args, more: badHosts },
  kubernetes,
  loop: { once: true, args: none, properties: {} },
  forward,
};

function complaintOf(use: CorefileDirective, args: Arguments): Complaint | undefined {
  const bad = args(use.args);
  return bad === undefined ? undefined : { line: use.line, word: bad === LACKS ? use.name : bad };
}

function unknownProperty({ line, name: word }: CorefileDirective, known: readonly string[]): Complaint {
  const meant = meantBy(word, known);
  return meant === undefined ? { line, word } : { line, word, meant };
}

function propertyComplaint(use: CorefileDirective, { properties, lenient }: Plugin): Complaint | undefined {
  if (!properties) return undefined;
  for (const property of use.block) {
    const args = Object.hasOwn(properties, property.name) ? properties[property.name] : undefined;
    if (!args && (lenient || hasVariable(property.name))) continue;
    if (!args) return unknownProperty(property, Object.keys(properties));
    if (property.block.length > 0) return { line: property.line, word: property.name };
    const complaint = complaintOf(property, args);
    if (complaint) return complaint;
  }
  return undefined;
}

/**
 * What CoreDNS refuses of one directive of a server block, first of all.
 * @param uses every time that it stands in the block, in order
 */
export function complaintAbout(
  name: string,
  uses: readonly CorefileDirective[],
  zones: readonly string[],
): Complaint | undefined {
  const plugin = Object.hasOwn(PLUGINS, name) ? PLUGINS[name]! : undefined;
  if (!plugin) return undefined;
  for (const [index, use] of uses.entries()) {
    // of a reload only the first is read
    if (index > 0 && name === "reload") break;
    if (index > 0 && plugin.once) return { line: use.line, word: use.name };
    const complaint = complaintOf(use, plugin.args) ?? propertyComplaint(use, plugin) ?? plugin.more?.(use, zones);
    if (complaint) return complaint;
  }
  return undefined;
}
