/**
 * The keys of server blocks: `[SCHEME://]ZONE[:PORT]`, where a zone may be an address range, which stands for its
 * reverse zones (CoreDNS: plugin/normalize.go, plugin/pkg/parse/transport.go, core/dnsserver/register.go).
 */
import { type Ip, nthAddress, type Prefix, parsePrefix } from "../../net/ip.ts";

export type Key = {
  readonly scheme: string;
  /** Without the dot at the end; "." is the root. */
  readonly zones: readonly string[];
  readonly port: number;
};

const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  dns: 53,
  tls: 853,
  quic: 853,
  grpc: 443,
  https3: 443,
  https: 443,
};
const LONGEST_NAME = 255;
const LONGEST_LABEL = 63;

/** The labels of an address in the order of reverse zones, as many as `bits` cover. */
function reverseLabels(ip: Ip, bits: number): string {
  if (ip.family === 4) {
    const octets = [24, 16, 8, 0].map((shift) => Math.floor(ip.value / 2 ** shift) % 256);
    return octets
      .slice(0, bits / 8)
      .reverse()
      .join(".");
  }
  const digits = ip.value.toString(16).padStart(32, "0");
  return [...digits.slice(0, bits / 4)].reverse().join(".");
}

/**
 * A range stands for one reverse zone if it ends with a label, else for the zones it is made of: 10.0.0.0/23 for two.
 */
function reverseZones({ ip, length }: Prefix): string[] {
  const step = ip.family === 4 ? 8 : 4;
  const bits = Math.ceil(length / step) * step;
  const all = ip.family === 4 ? 32 : 128;
  const suffix = ip.family === 4 ? "in-addr.arpa" : "ip6.arpa";
  return Array.from({ length: 2 ** (bits - length) }, (_, index) => {
    const first =
      ip.family === 4 ? nthAddress({ ip, length }, index * 2 ** (all - bits)) : shifted(ip.value, index, all - bits);
    return [reverseLabels(first, bits), suffix].filter((part) => part !== "").join(".");
  });
}

function shifted(value: bigint, index: number, bits: number): Ip {
  return { family: 6, value: value + (BigInt(index) << BigInt(bits)) };
}

/** Whether CoreDNS takes it for a name; of escapes we say nothing, so they pass. */
function isName(zone: string): boolean {
  if (zone.length > LONGEST_NAME) return false;
  if (zone === "." || zone.includes("\\")) return true;
  const labels = zone.replace(/\.$/, "").split(".");
  return labels.every((label) => label !== "" && label.length <= LONGEST_LABEL);
}

/** The zones that a name or a range stands for, as they are written, without the dot at the end. */
export function zonesOf(text: string): readonly string[] {
  const range = text.includes("/") ? parsePrefix(text) : undefined;
  return range ? reverseZones(range) : [text === "." ? "." : text.replace(/\.$/, "")];
}

/** @returns undefined for a key that CoreDNS refuses */
export function parseKey(text: string): Key | undefined {
  const scheme = Object.keys(DEFAULT_PORTS).find((one) => text.startsWith(`${one}://`)) ?? "dns";
  const rest = text.startsWith(`${scheme}://`) ? text.slice(scheme.length + 3) : text;
  const colon = rest.lastIndexOf(":");
  const digits = rest.slice(colon + 1);
  if (colon >= 0 && digits === "") return undefined;
  const hasPort = colon >= 0 && /^[+-]?\d+$/.test(digits);
  const port = hasPort ? Number(digits) : DEFAULT_PORTS[scheme]!;
  const zone = hasPort ? rest.slice(0, colon) : rest;
  if (port < 0 || port > 65535 || !isName(zone)) return undefined;
  return { scheme, zones: zonesOf(zone), port };
}
