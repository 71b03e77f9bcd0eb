/**
 * `cilium-dbg bpf tunnel list`: which node a Pod range is behind. Gone since Cilium 1.18, whose ipcache has the ranges.
 *
 * Format (Cilium 1.15, cilium-dbg/cmd/bpf_tunnel_list.go): a header, then `10.244.1.0   192.168.50.12:0`: the first
 * address of the range, whose length the map does not hold, and the node's.
 */
import { canonicalIp } from "../../net/ip.ts";
import { splitPort, withoutBrackets } from "../fields.ts";
import { type Parser, splitLines } from "../parsed.ts";

export type CiliumTunnel = { readonly range: string; readonly to: string; readonly line: number };

const addressOf = (text: string): string | undefined =>
  canonicalIp(text) ?? canonicalIp(withoutBrackets(splitPort(text)?.host ?? ""));

function toTunnel(content: string, line: number): CiliumTunnel | undefined {
  const [first = "", second = ""] = content.trim().split(/\s+/);
  const range = addressOf(first);
  const to = addressOf(second);
  return range === undefined || to === undefined ? undefined : { range, to, line };
}

export const parseCiliumTunnels: Parser<readonly CiliumTunnel[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: CiliumTunnel[] = [];
  lines.forEach((content, index) => {
    if (content.trim() === "" || /^TUNNEL\s/.test(content)) return;
    const tunnel = toTunnel(content, index + 1);
    if (tunnel) value.push(tunnel);
    else gaps.push({ line: index + 1, what: `is no tunnel: ${content.slice(0, 100)}` });
  });
  return { value, gaps };
};
