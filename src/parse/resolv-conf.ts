/**
 * resolv.conf(5): `nameserver ADDRESS`, `search DOMAIN…` or `domain DOMAIN` (the last wins), `options …`; `#` and `;`
 * begin comments.
 */
import { canonicalIp } from "../net/ip.ts";
import { type Parser, splitLines } from "./parsed.ts";

export type ResolvConf = {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  /** E.g. ndots → "5", rotate → "". */
  readonly options: ReadonlyMap<string, string>;
};

/** Keywords of resolv.conf(5), and of other systems, that say nothing about where queries go. */
const NOT_READ = new Set(["sortlist", "lookup", "family", "inet", "inet6"]);

/** An address, or one with the zone index that a link-local one needs: `fe80::1%eth0`. */
function toNameserver(word: string): string | undefined {
  const percent = word.indexOf("%");
  if (percent < 0) return canonicalIp(word);
  const address = canonicalIp(word.slice(0, percent));
  return address && address + word.slice(percent);
}

function toOption(word: string): readonly [string, string] {
  const colon = word.indexOf(":");
  return colon < 0 ? [word, ""] : [word.slice(0, colon), word.slice(colon + 1)];
}

export const parseResolvConf: Parser<ResolvConf> = (text) => {
  const { lines, gaps } = splitLines(text);
  const nameservers: string[] = [];
  const options = new Map<string, string>();
  let search: readonly string[] = [];
  lines.forEach((content, index) => {
    const gap = (what: string) => gaps.push({ line: index + 1, what });
    const [keyword = "", ...words] = content.split(/\s+/).filter((word) => word !== "");
    if (keyword === "" || /^\s*[#;]/.test(content)) return;
    // glibc and musl look for the keyword in the first column
    if (/^\s/.test(content)) gap(`resolvers differ on an indented line: ${content.slice(0, 100)}`);
    else if (keyword === "nameserver") {
      const address = toNameserver(words[0] ?? "");
      if (address === undefined) gap(`nameserver: ${words[0] ?? ""} is no address`);
      else nameservers.push(address);
    } else if (keyword === "search") search = words;
    else if (keyword === "domain") search = words.slice(0, 1);
    else if (keyword === "options") for (const word of words) options.set(...toOption(word));
    else if (!NOT_READ.has(keyword)) gap(`is no keyword: ${keyword.slice(0, 100)}`);
  });
  if (text === "") gaps.push({ what: "empty" });
  return { value: { nameservers, search, options }, gaps };
};
