/**
 * `cilium-dbg service list`: the Services as the agent knows them, with the states of their back ends.
 *
 * Format (Cilium 1.15 to 1.17, cilium-dbg/cmd/service_list.go): a header, then a line a back end; the further ones of a
 * front end leave the first columns empty:
 *   2    10.96.0.10:53/UDP    ClusterIP      1 => 10.244.2.216:53/UDP (active)
 *                                            2 => 10.244.1.156:53/UDP (terminating)
 */

import { type Parser, splitLines } from "../parsed.ts";
import { type LbEnd, parseLbEnd } from "./lb.ts";

export type CiliumService = LbEnd & {
  readonly id: number;
  readonly type: string;
  readonly backends: readonly (LbEnd & { readonly state: string; readonly line: number })[];
  readonly line: number;
};

type Draft = Omit<CiliumService, "backends"> & { readonly backends: CiliumService["backends"][number][] };

const FRONTEND = /^(\d{1,9})\s+(\S+)\s+([A-Za-z]+)\s*(.*)$/;
const BACKEND = /^\d+ => (\S+)(?: \(([\w-]+)\))?/;

export const parseCiliumServices: Parser<readonly CiliumService[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: Draft[] = [];
  lines.forEach((content, index) => {
    const line = index + 1;
    if (content.trim() === "" || /^ID\s+Frontend/.test(content)) return;
    const [, id, front = "", type = "", first = ""] = FRONTEND.exec(content) ?? [];
    const frontend = parseLbEnd(front);
    if (id !== undefined && frontend) value.push({ ...frontend, id: Number(id), type, backends: [], line });
    else if (!/^\s/.test(content)) {
      gaps.push({ line, what: `is no Service: ${content.trim().slice(0, 100)}` });
      return;
    }
    const rest = (id === undefined ? content : first).trim();
    if (rest === "") return;
    const [, back = "", state = ""] = BACKEND.exec(rest) ?? [];
    const backend = parseLbEnd(back);
    const service = value.at(-1);
    if (backend && service) service.backends.push({ ...backend, state, line });
    else gaps.push({ line, what: `is no back end: ${rest.slice(0, 100)}` });
  });
  return { value, gaps };
};
