/**
 * `wg show all`: WireGuard devices and their peers.
 *
 * Format (wireguard-tools, src/show.c, pretty_print): `interface: NAME` with `public key`, `private key: (hidden)`,
 * `listening port`, `fwmark`; then blocks of `peer: KEY` with `endpoint: ADDRESS:PORT`, `allowed ips: A/n, B/m` or
 * `(none)`, `latest handshake`, `transfer`. A field that has no value is left out. (`wg show all dump` would print
 * private keys.)
 */
import { type Prefix, parseIp, parsePrefix } from "../net/ip.ts";
import { splitPort, wholeNumber, withoutBrackets } from "./fields.ts";
import { type Parser, splitLines } from "./parsed.ts";

export type WireGuardPeer = {
  readonly publicKey: string;
  /** Where its packets are sent; absent until it is known. */
  readonly endpoint?: { readonly address: string; readonly port: number };
  /** Packets to these are sent to it, and packets from these are taken from it. */
  readonly allowed: readonly Prefix[];
  /** It has answered. */
  readonly shaken: boolean;
  readonly line: number;
};

export type WireGuardDevice = {
  readonly name: string;
  readonly publicKey?: string;
  readonly listeningPort?: number;
  /** What its own packets are marked with, for policy routing. */
  readonly mark?: number;
  readonly peers: readonly WireGuardPeer[];
  readonly line: number;
};

type PeerDraft = { -readonly [K in keyof WireGuardPeer]: WireGuardPeer[K] };
type DeviceDraft = { -readonly [K in keyof WireGuardDevice]: WireGuardDevice[K] } & { peers: PeerDraft[] };

function endpointOf(text: string): WireGuardPeer["endpoint"] {
  const split = splitPort(text);
  const address = split && withoutBrackets(split.host);
  return address !== undefined && parseIp(address) ? { address, port: split!.port } : undefined;
}

function setOfPeer(peer: PeerDraft, key: string, value: string): void {
  if (key === "endpoint") {
    const endpoint = endpointOf(value);
    if (endpoint) peer.endpoint = endpoint;
  } else if (key === "latest handshake") peer.shaken = true;
  else if (key === "allowed ips")
    peer.allowed = value
      .split(", ")
      .map((prefix) => parsePrefix(prefix))
      .filter((prefix) => prefix !== undefined);
}

export const parseWg: Parser<readonly WireGuardDevice[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: DeviceDraft[] = [];
  let peer: PeerDraft | undefined;
  lines.forEach((content, index) => {
    const line = index + 1;
    const [, key = "", rest = ""] = /^\s*([a-z ]+): (.*)$/.exec(content) ?? [];
    const device = value.at(-1);
    if (key === "interface") {
      value.push({ name: rest, peers: [], line });
      peer = undefined;
    } else if (key === "peer" && device) {
      peer = { publicKey: rest, allowed: [], shaken: false, line };
      device.peers.push(peer);
    } else if (peer) setOfPeer(peer, key, rest);
    else if (device && key === "public key") device.publicKey = rest;
    else if (device && key === "listening port") {
      const port = wholeNumber(rest);
      if (port !== undefined) device.listeningPort = port;
    } else if (device && key === "fwmark") device.mark = Number(rest) || 0;
    else if (content.trim() !== "" && key === "") gaps.push({ line, what: "no line of `wg show all`" });
  });
  return { value, gaps };
};
