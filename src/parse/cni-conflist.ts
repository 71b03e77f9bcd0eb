/**
 * A CNI network configuration in /etc/cni/net.d: `.conflist` (a list of plugins) or `.conf` (one plugin).
 *
 * Format: CNI specification, "Network configuration format". JSON.
 */
import { compact, type Fields, fitEach, fitted, isObject } from "./fields.ts";
import { type Gap, type Parser, parseJson } from "./parsed.ts";

export type CniPlugin = {
  readonly type: string;
  readonly hairpinMode?: boolean;
  readonly bridge?: string;
  readonly mtu?: number;
  readonly ipam?: { readonly type?: string; readonly subnets: readonly string[] };
};
export type CniConflist = {
  readonly name?: string;
  readonly cniVersion?: string;
  readonly plugins: readonly CniPlugin[];
};

function toIpam(item: Fields, gaps: Gap[], pointer: string): CniPlugin["ipam"] {
  const fields = fitEach(item, { type: "string?", subnet: "string?" }, gaps, pointer);
  // host-local: ranges is a list of lists of ranges; others name fields of their own
  const ranges = Array.isArray(item.ranges) ? item.ranges.flat().filter(isObject) : [];
  const subnets = [fields.subnet, ...ranges.map((range) => range.subnet)].filter(
    (subnet) => typeof subnet === "string",
  );
  return compact({ type: fields.type, subnets });
}

const SPEC = { hairpinMode: "boolean?", bridge: "string?", mtu: "integer?" } as const;

function toPlugin(item: unknown, gaps: Gap[], pointer: string): CniPlugin[] {
  const fields = isObject(item)
    ? fitted(item, { type: "string", delegate: "object?", ipam: "object?" })
    : "expected an object";
  if (typeof fields === "string") {
    gaps.push({ pointer, what: fields });
    return [];
  }
  // flannel hands what it is told under delegate to the bridge plugin
  const delegated = fitEach(fields.delegate ?? {}, SPEC, gaps, `${pointer}/delegate`);
  const own = fitEach(item as Fields, SPEC, gaps, pointer);
  const ipam = fields.ipam && toIpam(fields.ipam, gaps, `${pointer}/ipam`);
  return [compact({ type: fields.type, ...compact(delegated), ...compact(own), ipam })];
}

export const parseCniConflist: Parser<CniConflist> = (text) => {
  const parsed = parseJson(text);
  const nothing = (what: string) => ({ value: { plugins: [] }, gaps: [{ what }] });
  if (text.trim() === "") return nothing("empty");
  if (!parsed.ok) return nothing(parsed.why);
  if (!isObject(parsed.value)) return nothing("expected an object");
  const gaps: Gap[] = [];
  const { name, cniVersion } = fitEach(parsed.value, { name: "string?", cniVersion: "string?" }, gaps);
  const items = parsed.value.plugins;
  if (items !== undefined && !Array.isArray(items)) gaps.push({ pointer: "/plugins", what: "expected an array" });
  const plugins = Array.isArray(items)
    ? items.flatMap((item, index) => toPlugin(item, gaps, `/plugins/${index}`))
    : items === undefined
      ? toPlugin(parsed.value, gaps, "")
      : [];
  return { value: compact({ name, cniVersion, plugins }), gaps };
};
