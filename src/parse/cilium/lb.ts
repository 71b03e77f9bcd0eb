/**
 * `cilium-dbg bpf lb list`: the load balancer's table, as the programs on the node read it.
 *
 * Format (Cilium 1.15 to 1.17, cilium-dbg/cmd/bpf_lb_list.go): a header, then lines in no order, each one slot of a
 * front end. Slot 0 describes it, the others are its back ends:
 *   10.96.0.10:53 (0)        0.0.0.0:0 (2) (0) [ClusterIP, sessionAffinity, non-routable]
 *   10.96.0.10:53/UDP (1)    10.244.2.216:53/UDP (2) (1)
 * The protocol is there since 1.17: until then TCP and UDP of a port are one. Without the slots (until 1.13) the further
 * lines of a front end leave its column empty.
 */
import { canonicalIp } from "../../net/ip.ts";
import { compact, splitPort, withoutBrackets } from "../fields.ts";
import { type Parser, splitLines } from "../parsed.ts";

export type LbEnd = {
  readonly address: string;
  readonly port: number;
  /** Upper-case; missing where the table does not tell protocols apart. */
  readonly protocol?: string;
};

export type LbBackend = LbEnd & { readonly slot?: number; readonly line: number };

export type LbFrontend = LbEnd & {
  /** Lower-case: clusterip, nodeport, loadbalancer, externalips, non-routable, sessionaffinity … */
  readonly flags: readonly string[];
  readonly backends: readonly LbBackend[];
  readonly line: number;
};

type Draft = Omit<LbFrontend, "flags" | "backends"> & { flags: readonly string[]; readonly backends: LbBackend[] };

const FRONTEND = /^(\S+?)(?:\s+\((\d+)\))?\s{2,}(.*)$/;
const BACKEND = /^(\S+)\s+\((\d+)\)(?:\s+\((\d+)\))?(?:\s+\[(.*)\])?\s*$/;

/** `10.96.0.10:53`, `[fd00::a]:53/UDP`; `/i` after it is the scope that only Pods see. */
export function parseLbEnd(text: string): LbEnd | undefined {
  const [ends = "", ...rest] = text.split("/");
  const split = splitPort(ends);
  const address = split && canonicalIp(withoutBrackets(split.host));
  if (!split || address === undefined) return undefined;
  const protocol = rest.find((word) => /^[A-Z]+$/.test(word) && word !== "NONE" && word !== "ANY");
  return compact({ address, port: split.port, protocol });
}

export const keyOfLbEnd = ({ address, port, protocol = "" }: LbEnd): string => `${address}|${port}|${protocol}`;

export const parseCiliumLb: Parser<readonly LbFrontend[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const found = new Map<string, Draft>();
  let current: LbEnd | undefined;
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content.trim() === "" || /^SERVICE ADDRESS/.test(content)) return;
    const [, front = "", slot, rest = content.trim()] = FRONTEND.exec(content) ?? [];
    const frontend = front === "" ? current : parseLbEnd(front);
    const [, back = "", , backSlot, flags] = BACKEND.exec(rest.trim()) ?? [];
    const backend = parseLbEnd(back);
    current = frontend;
    if (!frontend || !backend) {
      gaps.push({ line, what: `is no slot of a front end: ${content.trim().slice(0, 100)}` });
      return;
    }
    const key = keyOfLbEnd(frontend);
    const draft = found.get(key) ?? { ...frontend, flags: [], backends: [], line };
    found.set(key, draft);
    const words = flags === undefined ? [] : flags.split(",").map((flag) => flag.trim().toLowerCase());
    if (words.length > 0) draft.flags = words;
    const number = slot ?? backSlot;
    // slot 0 describes the front end; older ones show it by an address that is none
    if (number === "0" || (backend.port === 0 && flags !== undefined)) return;
    draft.backends.push(compact({ ...backend, slot: number === undefined ? undefined : Number(number), line }));
  });
  const value = [...found.values()].map((draft) => ({
    ...draft,
    backends: draft.backends.toSorted((a, b) => (a.slot ?? 0) - (b.slot ?? 0)),
  }));
  return { value, gaps };
};
