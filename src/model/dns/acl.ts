/**
 * Whom the plugin acl of a Corefile lets ask.
 *
 * Format (coredns plugin/acl/setup.go, acl.go): `acl [ZONE…] { ACTION [type QTYPE…] [net SOURCE…] }`; the first rule that
 * fits decides; without one the next `acl` is asked, and in the end all are let in.
 */
import { contains, type Ip, parseIp, parsePrefix } from "../../net/ip.ts";
import type { CorefileDirective, CorefileServer } from "../../parse/corefile/corefile.ts";
import { plainZone, zonesHold } from "./server-block.ts";

export type AclVerdict = { readonly action: "allow" | "block" | "filter" | "drop"; readonly line: number };

const isAction = (word: string): word is AclVerdict["action"] => /^(allow|block|filter|drop)$/.test(word);

/** The words behind `type` and those behind `net`; a rule without either fits all. */
function sections(args: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const word of args) {
    if (word.toLowerCase() === "type" || word.toLowerCase() === "net") {
      current = [];
      found.set(word.toLowerCase(), current);
    } else current?.push(word);
  }
  return found;
}

const isWithin = (client: Ip, source: string): boolean => {
  const prefix = parsePrefix(source.includes("/") ? source : `${source}/${source.includes(":") ? 128 : 32}`);
  return source === "*" || (prefix !== undefined && contains(prefix, client));
};

/** Whether a rule is about queries of a client for addresses. */
function fits({ args }: CorefileDirective, client: Ip): boolean {
  const said = sections(args);
  const [types, nets] = [said.get("type"), said.get("net")];
  return (
    (!types || types.some((one) => /^(a|any|\*)$/i.test(one))) && (!nets || nets.some((one) => isWithin(client, one)))
  );
}

/** What becomes of a client's query for the addresses of a name; undefined if no rule is about it. */
export function aclVerdict(
  { zones, directives }: CorefileServer,
  client: string,
  name: string,
): AclVerdict | undefined {
  const ip = parseIp(client);
  if (!ip) return undefined;
  for (const { name: plugin, args, block } of directives) {
    if (plugin !== "acl" || !zonesHold((args.length > 0 ? args : zones).map(plainZone), name)) continue;
    for (const rule of block) {
      const action = rule.name.toLowerCase();
      if (isAction(action) && fits(rule, ip)) return { action, line: rule.line };
    }
  }
  return undefined;
}
