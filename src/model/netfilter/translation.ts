/** What DNAT, SNAT and REDIRECT are told: `10.0.0.1`, `10.0.0.1-10.0.0.9:80-90`, `[fd00::1]:80`, `:8080`. */
import { type Ip, parseIp } from "../../net/ip.ts";
import type { Target } from "../../parse/iptables/save.ts";

export type Translation = {
  readonly does: "dnat" | "snat" | "redirect" | "masquerade";
  /** Absent: the address stays, or the kernel takes one of the node's own (redirect, masquerade). */
  readonly addresses?: { readonly from: Ip; readonly to: Ip };
  /** Absent: the port stays as long as it is free. */
  readonly ports?: { readonly from: number; readonly to: number };
  readonly random?: true;
};

type NatTarget = Target & { readonly does: Translation["does"] };

const PORTS = /^(\d{1,5})(?:-(\d{1,5})(?:\/\d{1,5})?)?$/;

function readPorts(text: string): Translation["ports"] | undefined {
  const found = PORTS.exec(text);
  if (!found) return undefined;
  const from = Number(found[1]);
  return { from, to: found[2] === undefined ? from : Number(found[2]) };
}

const translations = new WeakMap<NatTarget, Translation>();

/** @returns undefined if it cannot be read */
export function readTranslation(target: NatTarget): Translation | undefined {
  const known = translations.get(target);
  if (known) return known;
  const read = translationOf(target);
  if (read) translations.set(target, read);
  return read;
}

function translationOf(target: NatTarget): Translation | undefined {
  const { does } = target;
  const random = target.random ? { random: true as const } : {};
  if (does === "masquerade" || does === "redirect") {
    const text = does === "masquerade" ? (target.ports ?? "") : target.to;
    if (text === "") return { does, ...random };
    const ports = readPorts(text);
    return ports && { does, ports, ...random };
  }
  const found = /^(?:\[([^\]]*)\]|([^[\]]*?))(?::([0-9/-]+))?$/.exec(
    isBareIpv6(target.to) ? `[${target.to}]` : target.to,
  );
  if (!found) return undefined;
  const [low, high] = (found[1] ?? found[2] ?? "").split("-");
  const from = parseIp(low!);
  const to = high === undefined ? from : parseIp(high);
  const ports = found[3] === undefined ? undefined : readPorts(found[3]);
  if ((low !== "" && (!from || !to)) || (found[3] !== undefined && !ports)) return undefined;
  return {
    does,
    ...(from && to ? { addresses: { from, to } } : {}),
    ...(ports ? { ports } : {}),
    ...random,
  };
}

/** IPv6 addresses without a port are printed without brackets; two colons at least tell them from `10.0.0.1:80`. */
const isBareIpv6 = (text: string): boolean => !text.includes("[") && text.indexOf(":") !== text.lastIndexOf(":");
