/**
 * `ip -j -d addr`: the links of a network namespace with their addresses; also without -j.
 *
 * Format: a JSON array, an object a link (iproute2, ip/ipaddress.c). Read here: ifindex, ifname, flags, mtu, master,
 * link (the lower or peer device) or link_index, address (MAC), operstate, linkinfo.info_kind (veth, bridge, vxlan,
 * dummy, ipip, wireguard …), linkinfo.info_data of vxlan (id, local, port, learning, link), addr_info (family, local,
 * prefixlen, scope). Plain (the kind of a device only with -d, in the first line after that of its link layer):
 *   6: flannel.1@NONE: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN group default qlen 1000
 *       link/ether 7a:6e:cc:9f:7c:13 brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 68 maxmtu 65535
 *       vxlan id 1 local 192.168.50.12 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300
 *       inet 10.244.2.0/32 scope global flannel.1
 */
import { canonicalIp, parsePrefix } from "../../net/ip.ts";
import { compact, type Fields, fitted, macOf } from "../fields.ts";
import type { Gap, Parser } from "../parsed.ts";
import { type Block, deviceIn, numberAfter, readPrinted, wordAfter, wordsOf } from "./plain.ts";

export type LinkAddress = {
  readonly family: "inet" | "inet6";
  readonly local: string;
  readonly prefixLength: number;
  readonly scope: string;
};

export type Link = {
  readonly index: number;
  readonly name: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly operState?: string;
  /** Lower-case MAC, for devices that have one. */
  readonly mac?: string;
  readonly master?: string;
  /** The index of the peer of a veth, in the peer's namespace. */
  readonly peerIndex?: number;
  readonly kind?: string;
  readonly vxlan?: {
    readonly id: number;
    readonly port?: number;
    readonly local?: string;
    readonly learning?: boolean;
    readonly device?: string;
  };
  readonly addresses: readonly LinkAddress[];
};

function toAddress(item: Fields): LinkAddress | string {
  const fields = fitted(item, { family: "string", local: "string", prefixlen: "integer", scope: "string" });
  if (typeof fields === "string") return fields;
  const { family, prefixlen: prefixLength, scope } = fields;
  if (family !== "inet" && family !== "inet6") return `family: ${family} is not known`;
  const prefix = parsePrefix(`${fields.local}/${prefixLength}`);
  if (prefix?.ip.family !== (family === "inet" ? 4 : 6)) return `local: ${fields.local}/${prefixLength} is no address`;
  return { family, local: canonicalIp(fields.local)!, prefixLength, scope };
}

function toAddresses(items: readonly Fields[], note: (gap: Gap) => void): LinkAddress[] {
  return items.flatMap((item, index) => {
    if (Object.keys(item).length === 0) return [];
    const address = toAddress(item);
    if (typeof address !== "string") return [address];
    note({ pointer: `/addr_info/${index}`, what: address });
    return [];
  });
}

function toVxlan(data: Fields): Required<Link>["vxlan"] | string {
  const fields = fitted(data, {
    id: "integer",
    port: "integer?",
    local: "string?",
    local6: "string?",
    learning: "boolean?",
    link: "string?",
  });
  if (typeof fields === "string") return `linkinfo.info_data.${fields}`;
  const { id, port, learning, link: device } = fields;
  const local = fields.local ?? fields.local6;
  return compact({ id, port, local: local && (canonicalIp(local) ?? local), learning, device });
}

/** A link, and the name of its lower or peer device if that is in the same namespace. */
type LinkAndLower = { readonly link: Link; readonly lower: string | undefined };

function toLink(item: Fields, note: (gap: Gap) => void): LinkAndLower | string {
  const fields = fitted(item, {
    ifindex: "integer",
    ifname: "string",
    flags: "strings?",
    mtu: "integer",
    operstate: "string?",
    address: "string?",
    master: "string?",
    link: "string?",
    link_index: "integer?",
    linkinfo: "object?",
    addr_info: "objects?",
  });
  if (typeof fields === "string") return fields;
  const info = fitted(fields.linkinfo ?? {}, { info_kind: "string?", info_data: "object?" });
  if (typeof info === "string") return `linkinfo.${info}`;
  const kind = info.info_kind;
  const vxlan = kind === "vxlan" && info.info_data ? toVxlan(info.info_data) : undefined;
  if (typeof vxlan === "string") return vxlan;
  const link = compact({
    index: fields.ifindex,
    name: fields.ifname,
    flags: fields.flags ?? [],
    mtu: fields.mtu,
    operState: fields.operstate,
    mac: macOf(fields.address),
    master: fields.master,
    peerIndex: kind === "veth" ? fields.link_index : undefined,
    kind,
    vxlan,
    addresses: toAddresses(fields.addr_info ?? [], note),
  });
  return { link, lower: fields.link };
}

/** A peer in the same namespace is given by name: its index is that of the link of this name. */
function withPeer({ link, lower }: LinkAndLower, indices: ReadonlyMap<string, number>): Link {
  if (link.kind !== "veth" || lower === undefined || link.peerIndex !== undefined) return link;
  return compact({ ...link, peerIndex: indices.get(lower) });
}

/** Lower and peer devices: `@eth0` in the same namespace, `@if5` in another, `@NONE`. */
function lowerOf(name: string | undefined): Fields {
  const [, index] = /^if(\d{1,10})$/.exec(name ?? "") ?? [];
  if (index !== undefined) return { link_index: Number(index) };
  return name === undefined || name === "NONE" ? {} : { link: name };
}

/** Lines below a device that begin with a word and do not say its kind. */
const NO_KINDS = /^(inet6?|altname|alias|vf|prog|valid_lft|\w+_slave)$/;

function plainVxlan(words: readonly string[]): Fields {
  return {
    id: numberAfter(words, "id"),
    local: wordAfter(words, "local"),
    link: wordAfter(words, "dev"),
    port: numberAfter(words, "dstport"),
    learning: !words.includes("nolearning"),
  };
}

function plainAddress(words: readonly string[]): Fields {
  const [family, first = "", word, peer = ""] = words;
  const [, prefixlen] = /\/(\d{1,3})$/.exec(word === "peer" ? peer : first) ?? [];
  return {
    family,
    local: first.replace(/\/.*/, ""),
    ...(prefixlen !== undefined && { prefixlen: Number(prefixlen) }),
    scope: wordAfter(words, "scope"),
  };
}

function plainLink({ head, below }: Block): Fields | string {
  const device = deviceIn(head);
  if (!device) return "is no device";
  const words = wordsOf(device.rest);
  const lines = below.map(wordsOf);
  const layer = lines.findIndex(([word = ""]) => word.startsWith("link/"));
  const kindLine = layer < 0 ? undefined : lines[layer + 1];
  const [kind = ""] = kindLine ?? [];
  const isKind = /^[a-z][\w-]*$/.test(kind) && !NO_KINDS.test(kind);
  const data = isKind && kind === "vxlan" && { info_data: plainVxlan(kindLine!) };
  return {
    ifindex: device.index,
    ifname: device.name,
    ...lowerOf(device.lower),
    flags: device.flags,
    mtu: numberAfter(words, "mtu"),
    master: wordAfter(words, "master"),
    operstate: wordAfter(words, "state"),
    address: lines[layer]?.[1],
    ...(isKind && { linkinfo: { info_kind: kind, ...data } }),
    addr_info: lines.filter(([word]) => word === "inet" || word === "inet6").map(plainAddress),
  };
}

/** With -d each device has its promiscuity, also one that is of no kind. */
const isWithoutKinds = (text: string): boolean => /^\d+: .*$/m.test(text) && !/ promiscuity \d/.test(text);

export const parseIpAddr: Parser<readonly Link[]> = (text) => {
  const { value: read, gaps: unread } = readPrinted(text, plainLink, toLink);
  const gaps = isWithoutKinds(text) ? [...unread, { what: "kinds of devices are printed with -d only" }] : unread;
  const indices = new Map(read.map(({ link }) => [link.name, link.index]));
  return { value: read.map((one) => withPeer(one, indices)), gaps };
};
