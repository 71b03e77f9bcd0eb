/**
 * `ipvsadm -Ln`: the virtual servers of IPVS with their real servers.
 *
 * Format (ipvsadm 1.31): three header lines, then `TCP  10.96.0.1:443 rr [persistent 10800]` and under it
 * `  -> 192.168.50.10:6443  Masq  1  0  0` (forwarding, weight, active, inactive). `FWM mark` in place of protocol and
 * address is possible; IPv6 in brackets.
 */
import { canonicalIp } from "../net/ip.ts";
import { compact, splitPort, wholeNumber, withoutBrackets } from "./fields.ts";
import { type Parser, splitLines } from "./parsed.ts";

export type RealServer = {
  readonly address: string;
  readonly port: number;
  readonly forwarding: string;
  readonly weight: number;
  readonly line: number;
};
export type VirtualServer = {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly address: string;
  readonly port: number;
  readonly scheduler: string;
  readonly persistentSeconds?: number;
  readonly realServers: readonly RealServer[];
  readonly line: number;
};

type Draft = Omit<VirtualServer, "realServers"> & { readonly realServers: RealServer[] };

const HEADER = /^(IP Virtual Server |Prot LocalAddress|\s+-> RemoteAddress)/;
const VIRTUAL = /^(TCP|UDP|SCTP)\s+(\S+)\s+(\S+)(.*)$/;
const FIREWALL_MARK = /^FWM\s+\d+\s/;
const REAL = /^\s+->\s+(\S+)\s+(\S+)\s+(\d+)\s/;

/** Without -n there are names in place of addresses, which say nothing certain. */
function toEndpoint(text: string): { readonly address: string; readonly port: number } | undefined {
  const split = splitPort(text);
  const address = split && canonicalIp(withoutBrackets(split.host));
  return address === undefined ? undefined : { address, port: split!.port };
}

function toVirtualServer(content: string, line: number): Draft | undefined {
  const [, protocol, local = "", scheduler = "", flags = ""] = VIRTUAL.exec(content) ?? [];
  const endpoint = toEndpoint(local);
  if (!endpoint) return undefined;
  const persistentSeconds = wholeNumber(/ persistent (\d+)/.exec(flags)?.[1] ?? "");
  const known = protocol as VirtualServer["protocol"];
  return compact({ protocol: known, ...endpoint, scheduler, persistentSeconds, realServers: [] as RealServer[], line });
}

function toRealServer(content: string, line: number): RealServer | undefined {
  const [, remote = "", forwarding = "", digits = ""] = REAL.exec(content) ?? [];
  const endpoint = toEndpoint(remote);
  const weight = wholeNumber(digits);
  return endpoint && weight !== undefined ? { ...endpoint, forwarding, weight, line } : undefined;
}

/** Services by firewall mark have no address: they are passed over, with their servers. Kubernetes makes none. */
export const parseIpvsadm: Parser<readonly VirtualServer[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: Draft[] = [];
  let current: Draft | "passed over" | undefined;
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content.trim() === "" || HEADER.test(content)) return;
    const real = toRealServer(content, line);
    if (FIREWALL_MARK.test(content)) current = "passed over";
    else if (!/^\s/.test(content)) {
      current = toVirtualServer(content, line);
      if (current) value.push(current);
      else gaps.push({ line, what: `is no virtual server: ${content.slice(0, 100)}` });
    } else if (!real) gaps.push({ line, what: `is no real server: ${content.slice(0, 100)}` });
    else if (typeof current === "object") current.realServers.push(real);
    else if (!current) gaps.push({ line, what: "is a server of a service that could not be read" });
  });
  if (text === "") gaps.push({ what: "empty" });
  return { value, gaps };
};
