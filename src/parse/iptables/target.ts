/** The targets of an iptables rule (`-j`), by name: what they do with a packet. */
import type { Target } from "./save.ts";
import { type Known, type Option, parseMark, parsePort, parseU32, splitOptions, wordsByOption } from "./words.ts";

type ReadTarget = (options: ReadonlyMap<string, string>) => Target | undefined;

/** A target whose options have no or one word each; undefined if there is one that we do not know. */
const withOptions =
  (known: Known, read: ReadTarget) =>
  (options: readonly Option[]): Target | undefined => {
    const args = wordsByOption(options, known);
    return args && read(args);
  };

const plain = (target: Target) => withOptions({}, () => target);

const randomness = (args: ReadonlyMap<string, string>) => ({
  ...(args.has("--random") || args.has("--random-fully") ? { random: true as const } : {}),
  ...(args.has("--random-fully") ? { fully: true as const } : {}),
  ...(args.has("--persistent") ? { persistent: true as const } : {}),
});

const translation = (does: "dnat" | "snat" | "redirect", option: string) =>
  withOptions({ [option]: 1, "--random": 0, "--random-fully": 0, "--persistent": 0 }, (args) => {
    const to = args.get(option) ?? (does === "redirect" ? "" : undefined);
    return to === undefined ? undefined : { does, to, ...randomness(args) };
  });

/** xt_MARK.c: all forms of the option are one operation, which the kernel stores and iptables-save prints as --set-xmark. */
function readMarkTarget(
  args: ReadonlyMap<string, string>,
): { readonly value: number; readonly mask: number } | undefined {
  if (args.size !== 1) return undefined;
  const [[option, word]] = [...args] as [[string, string]];
  const given = parseMark(word);
  if (!given) return undefined;
  const { value, mask = 0xffffffff } = given;
  switch (option) {
    case "--set-xmark":
      return { value, mask };
    case "--set-mark":
      return { value, mask: (mask | value) >>> 0 };
    case "--or-mark":
      return { value, mask: value };
    case "--xor-mark":
      return { value, mask: 0 };
    default:
      return { value: 0, mask: ~value >>> 0 };
  }
}

const MARK_OPTIONS = { "--set-xmark": 1, "--set-mark": 1, "--or-mark": 1, "--xor-mark": 1, "--and-mark": 1 } as const;

const connmark: ReadTarget = (args) => {
  const isSave = args.has("--save-mark");
  if (!isSave && !args.has("--restore-mark")) {
    const read = readMarkTarget(args);
    return read && { does: "connmark", operation: "set", ...read };
  }
  const both = parseU32(args.get("--mask") ?? "0xffffffff");
  const mask = args.has("--ctmask") ? parseU32(args.get("--ctmask")) : both;
  const packetMask = args.has("--nfmask") ? parseU32(args.get("--nfmask")) : both;
  const hasOthers = Object.keys(MARK_OPTIONS).some((option) => args.has(option));
  if (mask === undefined || packetMask === undefined || hasOthers || (isSave && args.has("--restore-mark")))
    return undefined;
  const operation = isSave ? "save" : "restore";
  return { does: "connmark", operation, mask, ...(packetMask === mask ? {} : { packetMask }) };
};

const TARGETS: ReadonlyMap<string, (options: readonly Option[]) => Target | undefined> = new Map(
  Object.entries({
    ACCEPT: plain({ does: "accept" }),
    DROP: plain({ does: "drop" }),
    RETURN: plain({ does: "return" }),
    NOTRACK: plain({ does: "notrack", via: "NOTRACK" }),
    CT: withOptions({ "--notrack": 0 }, (args) => (args.size === 1 ? { does: "notrack" } : undefined)),
    REJECT: withOptions({ "--reject-with": 1 }, (args) => ({
      does: "reject",
      with: args.get("--reject-with") ?? "icmp-port-unreachable",
    })),
    DNAT: translation("dnat", "--to-destination"),
    SNAT: translation("snat", "--to-source"),
    REDIRECT: translation("redirect", "--to-ports"),
    MASQUERADE: withOptions({ "--to-ports": 1, "--random": 0, "--random-fully": 0 }, (args) => ({
      does: "masquerade",
      ...randomness(args),
      ...(args.has("--to-ports") ? { ports: args.get("--to-ports")! } : {}),
    })),
    MARK: withOptions(MARK_OPTIONS, (args) => {
      const read = readMarkTarget(args);
      return read && { does: "set-mark", ...read };
    }),
    CONNMARK: withOptions(
      { ...MARK_OPTIONS, "--save-mark": 0, "--restore-mark": 0, "--nfmask": 1, "--ctmask": 1, "--mask": 1 },
      connmark,
    ),
    TPROXY: withOptions({ "--on-port": 1, "--on-ip": 1, "--tproxy-mark": 1 }, (args) => {
      const port = parsePort(args.get("--on-port") ?? "");
      const given = parseMark(args.get("--tproxy-mark") ?? "0/0");
      if (port === undefined || !given) return undefined;
      const { value, mask = 0xffffffff } = given;
      return { does: "tproxy", port, address: args.get("--on-ip") ?? "0.0.0.0", value, mask };
    }),
  } satisfies Record<string, (options: readonly Option[]) => Target | undefined>),
);

/** Targets after which the packet goes on as it was, whatever their options. */
const WITHOUT_EFFECT = new Set(
  "AUDIT CHECKSUM CLASSIFY DSCP ECN HL IDLETIMER LED LOG NFLOG RATEEST SET TCPMSS TCPOPTSTRIP TEE TOS TRACE TTL ULOG".split(
    " ",
  ),
);

/** Reads `DNAT --to-destination 10.0.0.1:80`: what stands after `-j`, if it is no chain of the table. */
export function readTarget(text: string): Target {
  const { name, options } = splitOptions(text);
  const words = text.slice(name.length).trim();
  if (WITHOUT_EFFECT.has(name)) {
    return words === "" ? { does: "nothing", name } : { does: "nothing", name, text: words };
  }
  return (options && TARGETS.get(name)?.(options)) ?? { does: "unknown", name, text: words };
}
