/**
 * `cilium-dbg bpf ipcache list`: which identity an address has, and behind which node it is.
 *
 * Format (Cilium 1.15 to 1.17, cilium-dbg/cmd/bpf_ipcache_list.go): a header, then a line a prefix,
 *   10.244.1.28/32   identity=326 encryptkey=0 tunnelendpoint=192.168.50.12 flags=<none>
 * The fields vary with the version (nodeid before 1.16, flags since 1.16); 0.0.0.0 is no tunnel's end. Without entries it
 * says so in a line of its own.
 */
import { canonicalIp, formatPrefix, type Prefix, parsePrefix } from "../../net/ip.ts";
import { compact, wholeNumber } from "../fields.ts";
import { type Parser, splitLines } from "../parsed.ts";

export type IpcacheEntry = {
  readonly prefix: Prefix;
  /** As it is written. */
  readonly text: string;
  readonly identity: number;
  /** The node that it is behind; missing where no tunnel leads there. */
  readonly tunnelEndpoint?: string;
  readonly flags: readonly string[];
  readonly line: number;
};

const NONE = new Set(["0.0.0.0", "::", ""]);

function toEntry(content: string, line: number): IpcacheEntry | string {
  const [text = "", ...words] = content.trim().split(/\s+/);
  const prefix = parsePrefix(text);
  if (!prefix) return `is no prefix: ${text.slice(0, 50)}`;
  const fields = new Map(
    words.map((word): [string, string] => [word.split("=", 1)[0]!, word.slice(word.indexOf("=") + 1)]),
  );
  const identity = wholeNumber(fields.get("identity") ?? "");
  if (identity === undefined) return `${formatPrefix(prefix)}: has no identity`;
  const end = fields.get("tunnelendpoint") ?? "";
  const tunnelEndpoint = NONE.has(end) ? undefined : canonicalIp(end);
  if (!NONE.has(end) && tunnelEndpoint === undefined) return `tunnelendpoint: ${end.slice(0, 50)} is no address`;
  const flags = (fields.get("flags") ?? "").split(",").filter((flag) => flag !== "" && flag !== "<none>");
  return compact({ prefix, text, identity, tunnelEndpoint, flags, line });
}

export const parseCiliumIpcache: Parser<readonly IpcacheEntry[]> = (text) => {
  const { lines, gaps } = splitLines(text);
  const value: IpcacheEntry[] = [];
  lines.forEach((content, index) => {
    if (content.trim() === "" || /^(IP PREFIX|No entries found)/.test(content)) return;
    const entry = toEntry(content, index + 1);
    if (typeof entry === "string") gaps.push({ line: index + 1, what: entry });
    else value.push(entry);
  });
  return { value, gaps };
};
