/**
 * Prints nftables rules in the language of `nft list ruleset`, from what `nft -j` said of them.
 *
 * nft takes what this prints (a test loads it into the kernel). What was not read is shown as it was in JSON, inside of
 * <angle brackets>.
 */
import type { NftElement, NftExpression, NftNat, NftRule, NftRuleset, NftSet, NftStatement, NftTable } from "./json.ts";

const quoted = (text: string): string => `"${text}"`;
const MARKS = new Set(["mark"]);
const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;

/** Constants that are names of things are quoted; those that nft knows are not. */
const isName = (left: NftExpression | undefined): boolean =>
  typeof left === "object" &&
  ((left.is === "meta" && /^(iif|oif|iifname|oifname|ibrname|obrname|day|hour|time)$/.test(left.key)) ||
    (left.is === "fib" && left.result !== "type"));

function literal(value: string | number | boolean, left: NftExpression | undefined): string {
  if (value === true) return "exists";
  if (value === false) return "missing";
  if (typeof value === "number") {
    const isMark = typeof left === "object" && (left.is === "meta" || left.is === "ct") && MARKS.has(left.key);
    return isMark ? hex(value) : `${value}`;
  }
  return isName(left) && value !== "*" ? quoted(value) : value;
}

/** Where a concatenation is compared, each constant belongs to one part of it. */
const partOf = (left: NftExpression | undefined, at: number): NftExpression | undefined =>
  typeof left === "object" && left.is === "concat" ? left.of[at] : left;

function element({ key, data, comment, timeout, expires }: NftElement, left: NftExpression | undefined): string {
  return [
    expression(key, left),
    ...(timeout === undefined ? [] : [`timeout ${timeout}s`]),
    ...(expires === undefined ? [] : [`expires ${expires}s`]),
    ...(comment === undefined ? [] : [`comment ${quoted(comment)}`]),
    ...(data === undefined ? [] : [`: ${expression(data)}`]),
  ].join(" ");
}

const OPERATIONS: ReadonlySet<string> = new Set(["&", "|", "^", "<<", ">>"]);

/** @param left what a constant is compared with, which decides how it is printed */
function expression(value: NftExpression, left?: NftExpression): string {
  if (typeof value !== "object") return literal(value, left);
  switch (value.is) {
    case "payload":
      return `${value.protocol} ${value.field}`;
    case "meta":
      return META_WITHOUT_WORD.has(value.key) ? value.key : `meta ${value.key}`;
    case "ct":
      return ["ct", value.direction, value.family, value.key].filter((word) => word !== undefined).join(" ");
    case "fib":
      return `fib ${value.flags.join(" . ")} ${value.result}`;
    case "numgen":
      return `numgen ${value.mode} mod ${value.mod}${value.offset > 0 ? ` offset ${value.offset}` : ""}`;
    case "hash":
      return `<${value.text}>`;
    case "concat":
      return value.of.map((part, at) => expression(part, partOf(left, at))).join(" . ");
    case "list":
      return value.of.map((part) => expression(part, left)).join(",");
    case "prefix":
      return `${value.address}/${value.length}`;
    case "range":
      return `${literal(value.from, left)}-${literal(value.to, left)}`;
    case "set":
      return `{ ${value.elements.map((one) => element(one, left)).join(", ")} }`;
    case "named":
      return `@${value.name}`;
    case "map":
      return `${expression(value.key)} map ${expression(value.data, value.key)}`;
    case "binary": {
      const [first, ...others] = value.of;
      const words = others.map((one) => {
        const text =
          typeof one === "object" && one.is === "list"
            ? one.of.map((flag) => expression(flag)).join(" | ")
            : expression(one, first);
        const isNested = typeof one === "object" && (one.is === "binary" || one.is === "list");
        return `${value.op} ${isNested ? `(${text})` : text}`;
      });
      const head = first === undefined ? "" : expression(first, left);
      const isNested = typeof first === "object" && first.is === "binary" && OPERATIONS.has(first.op);
      return [isNested ? `(${head})` : head, ...words].join(" ");
    }
    case "jump":
    case "goto":
      return `${value.is} ${value.chain}`;
    case "unknown":
      return `<${value.text}>`;
    default:
      return value.is;
  }
}

const META_WITHOUT_WORD = new Set(["iif", "oif", "iifname", "oifname"]);

function nat({ does, family, address, port, flags }: NftNat): string {
  const isBoth =
    typeof address === "object" &&
    address.is === "map" &&
    // Of a map with a name its type is not said here: those of address and port are asked for both.
    (typeof address.data === "object" && address.data.is === "set"
      ? address.data.elements.some(({ data }) => typeof data === "object" && data.is === "concat")
      : typeof address.key === "object" && address.key.is === "concat");
  const words: string[] = [does];
  if (address !== undefined && family !== undefined) words.push(family);
  if (isBoth && port === undefined && address !== undefined) words.push("addr . port to", expression(address));
  else if (address !== undefined || port !== undefined) {
    const to = address === undefined ? "" : expression(address);
    const host = to.includes(":") && typeof address === "string" && port !== undefined ? `[${to}]` : to;
    words.push("to", `${host}${port === undefined ? "" : `:${expression(port)}`}`);
  }
  if (flags.length > 0) words.push(flags.filter((flag) => flag !== "netmap").join(","));
  return words.filter((word) => word !== "").join(" ");
}

/** One step of a rule. */
export function printNftStatement(statement: NftStatement): string {
  switch (statement.does) {
    case "match": {
      const { op, left, right } = statement;
      const sign = op === "==" || op === "in" ? "" : `${op} `;
      const needsSign = op === "==" && typeof left === "object" && left.is === "binary";
      return `${expression(left)} ${needsSign ? "== " : sign}${expression(right, left)}`;
    }
    case "verdict":
      return expression(statement.verdict);
    case "vmap":
      return `${expression(statement.key)} vmap ${expression(statement.data, statement.key)}`;
    case "counter": {
      if (statement.name !== undefined) return `counter name ${quoted(statement.name)}`;
      const { packets, bytes } = statement;
      return packets === undefined ? "counter" : `counter packets ${packets} bytes ${bytes ?? 0}`;
    }
    case "mangle":
      return `${expression(statement.key)} set ${expression(statement.value, statement.key)}`;
    case "dnat":
    case "snat":
    case "masquerade":
    case "redirect":
      return nat(statement);
    case "reject": {
      const { type, with: message } = statement;
      if (type === undefined) return "reject";
      return type === "tcp reset" ? "reject with tcp reset" : `reject with ${type} ${message}`;
    }
    case "set": {
      const data = statement.data === undefined ? "" : ` : ${expression(statement.data)}`;
      const others = statement.statements.map((name) => ` ${name}`).join("");
      return `${statement.op} @${statement.set} { ${expression(statement.element)}${others}${data} }`;
    }
    case "notrack":
      return "notrack";
    case "tproxy": {
      const { family, address, port } = statement;
      const host = address === undefined ? "" : address.includes(":") ? `[${address}]` : address;
      return [
        "tproxy",
        ...(family === undefined ? [] : [family]),
        `to ${host}${port === undefined ? "" : `:${port}`}`,
      ].join(" ");
    }
    case "xt":
      return `xt ${statement.type ?? ""} ${quoted(statement.name ?? "")}`;
    case "limit":
    case "nothing":
    case "elsewhere":
      return `<${statement.text}>`;
    case "unknown":
      return statement.name === "" ? statement.text : `<${statement.text}>`;
  }
}

/** A rule as nft lists it. */
export function printNftRule({ statements, comment }: NftRule): string {
  const words = statements.map(printNftStatement);
  return [...words, ...(comment === undefined ? [] : [`comment ${quoted(comment)}`])].join(" ");
}

function printSet(set: NftSet): readonly string[] {
  const { name, types, mapsTo, flags, timeout, size, comment, elements } = set;
  const kind = mapsTo === undefined ? "set" : "map";
  const left: NftExpression = {
    is: "concat",
    of: types.map((type) => (type === "ifname" ? { is: "meta", key: "iifname" } : "")),
  };
  return [
    `\t${kind} ${name} {`,
    `\t\ttype ${types.join(" . ")}${mapsTo === undefined ? "" : ` : ${mapsTo}`}`,
    ...(size === undefined ? [] : [`\t\tsize ${size}`]),
    ...(flags.length === 0 ? [] : [`\t\tflags ${flags.join(",")}`]),
    ...(timeout === undefined ? [] : [`\t\ttimeout ${timeout}s`]),
    ...(comment === undefined ? [] : [`\t\tcomment ${quoted(comment)}`]),
    ...(elements.length === 0
      ? []
      : [`\t\telements = { ${elements.map((one) => element(one, types.length > 1 ? left : left.of[0])).join(", ")} }`]),
    "\t}",
  ];
}

function printTable({ family, name, comment, sets, chains }: NftTable): readonly string[] {
  return [
    `table ${family} ${name} {`,
    ...(comment === undefined ? [] : [`\tcomment ${quoted(comment)}`]),
    ...sets.flatMap(printSet),
    ...chains.flatMap(({ name: chain, base, rules }) => [
      `\tchain ${chain} {`,
      ...(base ? [`\t\ttype ${base.type} hook ${base.hook} priority ${base.priority}; policy ${base.policy};`] : []),
      ...rules.map((rule) => `\t\t${printNftRule(rule)}`),
      "\t}",
    ]),
    "}",
  ];
}

/** All tables; objects that rules refer to by name are left out. */
export function printNftRuleset({ tables }: NftRuleset): string {
  return tables.flatMap(printTable).join("\n").concat("\n");
}
