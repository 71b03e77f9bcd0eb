/**
 * /run/flannel/subnet.env: what flanneld tells the flannel CNI plugin (flannel, pkg/subnet/subnet.go, WriteSubnetFile).
 *
 *   FLANNEL_NETWORK=10.244.0.0/16   FLANNEL_SUBNET=10.244.1.1/24   FLANNEL_MTU=1450   FLANNEL_IPMASQ=true
 * FLANNEL_NETWORK may be a comma-separated list; FLANNEL_IPV6_NETWORK and FLANNEL_IPV6_SUBNET are optional.
 */
import { parsePrefix } from "../net/ip.ts";
import { wholeNumber } from "./fields.ts";
import { type Parser, splitLines } from "./parsed.ts";

export type SubnetEnv = {
  readonly networks: readonly string[];
  readonly subnet?: string;
  readonly ipv6Networks: readonly string[];
  readonly ipv6Subnet?: string;
  readonly mtu?: number;
  readonly ipMasq?: boolean;
};

type Draft = { -readonly [K in keyof SubnetEnv]: SubnetEnv[K] };

/** The prefixes of a comma-separated list as they are written, or undefined if one is none. */
function toPrefixes(value: string): readonly string[] | undefined {
  const prefixes = value === "" ? [] : value.split(",");
  return prefixes.every((prefix) => prefix.includes("/") && parsePrefix(prefix)) ? prefixes : undefined;
}

/** Puts one setting into `draft`, and answers whether its value makes sense. Other settings are other people's. */
function set(draft: Draft, key: string, value: string): boolean {
  const prefixes = toPrefixes(value);
  const subnet = prefixes?.length === 1 ? prefixes[0] : undefined;
  const mtu = wholeNumber(value);
  if (key === "FLANNEL_NETWORK" && prefixes) draft.networks = prefixes;
  else if (key === "FLANNEL_IPV6_NETWORK" && prefixes) draft.ipv6Networks = prefixes;
  else if (key === "FLANNEL_SUBNET" && subnet !== undefined) draft.subnet = subnet;
  else if (key === "FLANNEL_IPV6_SUBNET" && subnet !== undefined) draft.ipv6Subnet = subnet;
  else if (key === "FLANNEL_MTU" && mtu !== undefined) draft.mtu = mtu;
  else if (key === "FLANNEL_IPMASQ" && (value === "true" || value === "false")) draft.ipMasq = value === "true";
  else return !key.startsWith("FLANNEL_");
  return true;
}

export const parseSubnetEnv: Parser<SubnetEnv> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: Draft = { networks: [], ipv6Networks: [] };
  lines.forEach((content, index) => {
    const equals = content.indexOf("=");
    if (content.trim() === "" || content.startsWith("#")) return;
    if (equals < 0 || !set(value, content.slice(0, equals).trim(), content.slice(equals + 1).trim())) {
      gaps.push({ line: index + 1, what: `makes no sense: ${content.slice(0, 100)}` });
    }
  });
  if (text === "") gaps.push({ what: "empty" });
  return { value, gaps };
};
