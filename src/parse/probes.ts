/**
 * probes.jsonl: active tests, an object a line:
 *   {"at", "from": {"node", "network": "pod"|"host", "pod"?}, "test": "dns"|"tcp"|"udp"|"http"|"icmp", "target",
 *    "server"?, "size"?, "dontFragment"?, "tries"?, "result", "latencyMs", "output"?}
 * `result` is ok, refused, rejected, timeout, unreachable, unresolved, nxdomain, servfail, too-big, tls, http-‹code› or
 * error. `target` is a name (dns), address:port (tcp, udp), URL (http) or address (icmp).
 */
import { compact, type Fields, fitted, isObject } from "./fields.ts";
import { type Parser, parseJson, splitLines } from "./parsed.ts";

export type ProbeTest = "dns" | "tcp" | "udp" | "http" | "icmp";

export type Probe = {
  readonly line: number;
  readonly at?: string;
  /** `pod` is namespace/name. */
  readonly from: { readonly node: string; readonly network: "pod" | "host"; readonly pod?: string };
  readonly test: ProbeTest;
  readonly target: string;
  readonly server?: string;
  readonly size?: number;
  readonly dontFragment?: boolean;
  readonly tries?: number;
  readonly result: string;
  readonly latencyMs?: number;
  readonly output?: string;
};

const TESTS: readonly string[] = ["dns", "tcp", "udp", "http", "icmp"] satisfies ProbeTest[];

function toFrom(item: Fields): Probe["from"] | string {
  const fields = fitted(item, { node: "string", network: "string", pod: "string?" });
  if (typeof fields === "string") return `from.${fields}`;
  const { node, network, pod } = fields;
  if (network !== "pod" && network !== "host") return "from.network: expected pod or host";
  return pod === undefined ? { node, network } : { node, network, pod };
}

function toProbe(item: Fields, line: number): Probe | string {
  const fields = fitted(item, {
    at: "string?",
    from: "object",
    test: "string",
    target: "string",
    server: "string?",
    size: "integer?",
    dontFragment: "boolean?",
    tries: "integer?",
    result: "string",
    output: "string?",
  });
  if (typeof fields === "string") return fields;
  const from = toFrom(fields.from);
  if (typeof from === "string") return from;
  if (!TESTS.includes(fields.test)) return `test: ${fields.test} is not known`;
  const latencyMs = item.latencyMs ?? undefined;
  if (latencyMs !== undefined && !Number.isFinite(latencyMs)) return "latencyMs: expected number";
  return compact({ line, ...fields, from, test: fields.test as ProbeTest, latencyMs: latencyMs as number | undefined });
}

const MOST_GAPS = 1000;

export const parseProbes: Parser<readonly Probe[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: Probe[] = [];
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content.trim() === "") return;
    // to make sense of nonsense is slow
    if (gaps.length === MOST_GAPS) gaps.push({ line, what: "too much before makes no sense" });
    if (gaps.length > MOST_GAPS) return;
    const json = parseJson(content);
    const item = json.ok ? json.value : undefined;
    const probe = isObject(item) ? toProbe(item, line) : json.ok ? "expected an object" : json.why;
    if (typeof probe === "string") gaps.push({ line, what: probe });
    else value.push(probe);
  });
  return { value, gaps };
};
