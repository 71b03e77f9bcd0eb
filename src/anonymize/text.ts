/**
 * Text under other names: addresses, MAC addresses, domains, names, and what agents derive from them. Whatever is none of
 * these stays, so that every format still reads.
 */
import type { Addresses } from "./addresses.ts";
import { otherAddress } from "./addresses.ts";
import type { Derived } from "./derived.ts";
import type { Names, Position } from "./names.ts";
import { isKept, isOfVocabulary, isTopLevel, isVocabulary, knownDomain } from "./words.ts";

export type Tools = { readonly names: Names; readonly addresses: Addresses; readonly derived: Derived };

/** What stands for something that is left out. */
export const OMITTED = "[anonymized]";

/** Base64 of "-----BEGIN", as kubeconfigs, webhooks and requests for certificates have it. */
export const ENCODED_PEM = "LS0tLS1CRUdJTi";

const IPV4 = String.raw`\d{1,3}(?:\.\d{1,3}){3}`;

/** What is looked at, in this order; all else is copied. */
const TOKEN = new RegExp(
  [
    // an escape in JSON or in a quoted string: its letter belongs to no word
    String.raw`\\[nrtbf"\\/]`,
    // one in a URL
    "%[0-9A-Fa-f]{2}",
    String.raw`-----BEGIN CERTIFICATE-----[\s\S]*?(?:-----END CERTIFICATE-----|$)`,
    String.raw`\b${ENCODED_PEM}[A-Za-z0-9+/=]+`,
    String.raw`\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`,
    String.raw`(?<![\w:.])(?:[0-9a-fA-F]{2}:){5}(?:(?:[0-9a-fA-F]{2}:){8})?[0-9a-fA-F]{2}(?![\w:])`,
    String.raw`(?<![\w:.])(?=[0-9a-fA-F:]*:[0-9a-fA-F]*:)(?:[0-9a-fA-F:]*:${IPV4}|[0-9a-fA-F:]+)(?:\/\d{1,3})?(?![\w:])`,
    String.raw`(?<![\w.])(?:\d{1,3}\.){1,4}in-addr\.arpa\b`,
    String.raw`(?<![\w.])(?:[0-9a-f]\.){4,32}ip6\.arpa\b`,
    String.raw`(?<![\w.])${IPV4}(?!\d)(?:\/\d{1,2}(?![\d.]))?`,
    String.raw`\bKUBE-(?:SVC|SVL|SEP|EXT|FW|XLB)-[A-Z2-7]{16}\b`,
    String.raw`\b[a-z-]+-[A-Z2-7]{8}-[a-z0-9-]+\/[a-z0-9-]+\/(?:tcp|udp|sctp)\/[\w-]*(?:__[^\s"',;{}]+)?`,
    String.raw`\bcali[0-9a-f]{1,11}(?![\w-])`,
    // a label, and what selects by labels, as Cilium writes them
    String.raw`(?<![\w./-])Key:k8s\.[\w./-]+,Operator:\w+,Values:\[[^\]]*\]`,
    String.raw`(?<![\w./-])k8s[.:][\w./-]+(?:=|: |\\?":\s?\\?")[\w.-]*`,
    String.raw`[\w.+-]+@[\w-]+(?:\.[\w-]+)+`,
    String.raw`[A-Za-z0-9_][\w-]*(?:\.[A-Za-z0-9_][\w-]*)*(?:\/[A-Za-z0-9_][\w-]*(?:\.[A-Za-z0-9_][\w-]*)*)*`,
  ].join("|"),
  "g",
);

/** A label or a requirement of Cilium: where it is from, its key, what stands between, its value or values. */
const CILIUM = /^((?:Key:)?k8s[.:])([\w./-]+?)(=|: |\\?":\s?\\?"|,Operator:\w+,Values:\[)([^\]]*\]?)$/;

/** Behind these words stands a name: `namespace="data"`, `"node": "w1"`, `pod=db-0`. */
const NAMED =
  /(?:^|[^a-z])(?:namespace|ns|node|nodename|pod|podname|service|servicename|svc|host|hostname|container|containername|deployment|daemonset|statefulset|replicaset|endpoints?)\\?["']?\s?[:=]\s?\\?["']?$/i;

/** @returns text that says the same of other names */
export function textOf(tools: Tools): (text: string) => string {
  const { names, addresses, derived } = tools;

  function certainly(token: string, at: number, text: string): string {
    if (token.startsWith("\\") || token.startsWith("%")) return token;
    const cilium = CILIUM.exec(token);
    if (cilium) return ciliumLabel(cilium);
    if (token.startsWith("-----BEGIN") || token.startsWith(ENCODED_PEM)) return OMITTED;
    if (/^[0-9a-f]{8}-[0-9a-f]{4}-/.test(token) && token.length === 36) return token;
    if (/^(?:[0-9a-fA-F]{2}:){5,}[0-9a-fA-F]{2}$/.test(token)) return macsOf(token);
    if (token.endsWith(".arpa")) return reversed(token);
    const address = /^[\d:a-fA-F]/.test(token) ? otherAddress(token, addresses) : undefined;
    if (address !== undefined) return address;
    if (/^KUBE-[A-Z]+-[A-Z2-7]{16}$/.test(token)) return derived.chain(token);
    if (/^cali[0-9a-f]{1,11}$/.test(token)) return derived.device(token);
    if (/-[A-Z2-7]{8}-/.test(token) && token.includes("/")) return derived.nftables(token);
    if (token.includes("@")) return mail(token);
    return plain(token, NAMED.test(text.slice(Math.max(0, at - 24), at)) ? "name" : "text");
  }

  /** `k8s:app=web`, `k8s.io.kubernetes.pod.namespace: shop`: the same label as its Pod has. */
  function ciliumLabel([, source = "", key = "", between = "", values = ""]: readonly string[]): string {
    const [, lead = "", own = ""] = /^(io\.cilium\.k8s\.namespace\.labels\.|)(.*)$/.exec(key) ?? [];
    const isCilium = lead === "" && /^io\.(?:cilium|kubernetes)\b/.test(own);
    const other = values.replace(/[\w.-]+/g, (value) => plain(value, "name"));
    return source + lead + (isCilium ? own : labelKeyOf(own, anyText)) + between + other;
  }

  /** Of an Ethernet frame (`MAC=` of the kernel's log): to whom, from whom, of what type. */
  function macsOf(token: string): string {
    const octets = token.toLowerCase().split(":");
    const both = [octets.slice(0, 6), octets.slice(6, 12)].filter(({ length }) => length === 6);
    return [...both.map((mac) => addresses.mac(mac.join(":"))), ...octets.slice(both.length * 6)].join(":");
  }

  function reversed(token: string): string {
    const isV4 = token.endsWith("in-addr.arpa");
    const labels = token.split(".").slice(0, -2).reverse();
    const width = isV4 ? 4 : 32;
    const full = [...labels, ...new Array<string>(width - labels.length).fill("0")];
    const spelled = isV4 ? full.join(".") : full.join("").replace(/(.{4})(?=.)/g, "$1:");
    const other = otherAddress(`${spelled}/${labels.length * (isV4 ? 8 : 4)}`, addresses);
    if (other === undefined) return token;
    const bare = other.slice(0, other.indexOf("/"));
    const parts = isV4 ? bare.split(".") : nibblesOf(bare);
    return [...parts.slice(0, labels.length).reverse(), isV4 ? "in-addr" : "ip6", "arpa"].join(".");
  }

  function mail(token: string): string {
    const [user = "", domain = ""] = token.split("@");
    return `${names.other(user, "name") === user ? names.whole(user).slice(0, 8) : names.other(user, "name")}@${dotted(domain, "name")}`;
  }

  /** A path of names: `shop/web`, `registry.example.com/shop/web`. */
  function plain(token: string, position: Position): string {
    if (!token.includes("/")) return dotted(token, position);
    const parts = token.split("/");
    return parts
      .map((part, index) => {
        const isName =
          names.isPair(parts[index - 1] ?? "", part) ||
          names.isPair(part, parts[index + 1] ?? "") ||
          position === "name";
        return dotted(part, isName ? "name" : "text");
      })
      .join("/");
  }

  /** A name of DNS, of a file, or a label alone. */
  function dotted(token: string, position: Position): string {
    if (!token.includes(".")) return label(token, position);
    if (isKept(token)) return token;
    const address = otherAddress(token, addresses);
    if (address !== undefined) return address;
    const labels = token.split(".");
    // web.shop.svc, web.shop
    if (labels.length >= 2 && names.isPair(labels[1]!, labels[0]!)) {
      const rest = labels.slice(2).join(".");
      const head = `${label(labels[0]!, "name")}.${label(labels[1]!, "name")}`;
      return rest === "" ? head : `${head}.${dotted(rest, "text")}`;
    }
    const known = knownDomain(token.toLowerCase());
    if (known !== undefined) {
      const count = labels.length - known.split(".").length;
      const own = labels
        .slice(0, count)
        .map((one, index) => label(one, known === "svc" || index === count - 1 ? "name" : "text"));
      return [...own, ...labels.slice(count)].join(".");
    }
    if (!isTopLevel(labels.at(-1)!) || !/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(token)) {
      return labels.map((one, index) => label(one, isOfCalico(labels, index) ? "name" : position)).join(".");
    }
    // a domain that somebody owns
    return labels
      .map((one, index) => {
        if (index === labels.length - 1) return one;
        if (index === labels.length - 2 || !isVocabulary(one)) return owned(one);
        return one;
      })
      .join(".");
  }

  function owned(one: string): string {
    const other = label(one, "name");
    if (other !== one || /^\d+$/.test(one)) return other;
    names.learn(one);
    return label(one, "name");
  }

  /** Labels can hold addresses: `ip-10-0-1-12`, `10-244-1-5`. */
  function label(one: string, position: Position): string {
    const dashed = /^(.*?)(?<!\d)(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})(?!\d)(.*)$/.exec(one);
    if (!dashed) return names.other(one, position);
    const [, before = "", digits = "", after = ""] = dashed;
    const other = otherAddress(digits.replaceAll("-", "."), addresses);
    if (other === undefined) return names.other(one, position);
    return names.other(before, position) + other.replaceAll(".", "-") + names.other(after, position);
  }

  const anyText = (text: string): string => text.replace(TOKEN, certainly);
  return anyText;
}

/** `example.com/team`: its domain, and its name if it is nobody's well-known one. */
export function labelKeyOf(key: string, text: (text: string) => string): string {
  const slash = key.indexOf("/");
  const isKnown = slash < 0 ? isOfVocabulary(key) : knownDomain(key.slice(0, slash)) !== undefined;
  return isKnown ? key : text(key);
}

/** Calico's profiles and policies: `kns.data`, `ksa.data.default`, `knp.default.db-from-web`, also at the end of a chain's name. */
const isOfCalico = (labels: readonly string[], index: number): boolean =>
  /(?:^|-)k(?:ns|sa)$/.test(labels[index - 1] ?? "") || /(?:^|-)(?:ksa|knp)$/.test(labels[index - 2] ?? "");

function nibblesOf(address: string): string[] {
  const [left = "", right] = address.split("::");
  const groups = (half: string) => (half === "" ? [] : half.split(":"));
  const tail = right === undefined ? [] : groups(right);
  const all = [...groups(left), ...new Array<string>(8 - groups(left).length - tail.length).fill("0"), ...tail];
  return [...all.map((group) => group.padStart(4, "0")).join("")];
}
