/**
 * `bridge -j -d link`: the ports of bridges with their flags; also without -j.
 *
 * Format: a JSON array, an object a port (iproute2, bridge/link.c): ifname, master, state, mtu, hairpin, isolated,
 * learning, flood. Plain:
 *   4: veth3c830f7d@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 master cni0 state forwarding priority 32 cost 2
 *       hairpin on guard off … isolated off
 */
import { compact, type Fields, fitted } from "../fields.ts";
import type { Parser } from "../parsed.ts";
import { type Block, deviceIn, numberAfter, readPrinted, wordAfter, wordsOf } from "./plain.ts";

export type BridgePort = {
  readonly name: string;
  readonly master?: string;
  readonly state: string;
  readonly mtu?: number;
  readonly hairpin?: boolean;
  readonly isolated?: boolean;
};

function toPort(item: Fields): BridgePort | string {
  const fields = fitted(item, {
    ifname: "string",
    master: "string?",
    state: "string?",
    mtu: "integer?",
    hairpin: "boolean?",
    isolated: "boolean?",
  });
  if (typeof fields === "string") return fields;
  const { ifname: name, state = "", ...rest } = fields;
  return compact({ name, state, ...rest });
}

function plainPort({ head, below }: Block): Fields | string {
  const device = deviceIn(head);
  if (!device) return "is no port";
  const words = wordsOf([device.rest, ...below].join(" "));
  const isOn = (word: string) => ({ on: true, off: false })[wordAfter(words, word) ?? ""];
  return {
    ifname: device.name,
    master: wordAfter(words, "master"),
    state: wordAfter(words, "state"),
    mtu: numberAfter(words, "mtu"),
    hairpin: isOn("hairpin"),
    isolated: isOn("isolated"),
  };
}

export const parseBridgeLink: Parser<readonly BridgePort[]> = (text) => readPrinted(text, plainPort, toPort);
