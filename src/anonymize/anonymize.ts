/**
 * A bundle under other names, in two passes over its files: `learn` all of them, then `rewrite` each.
 *
 * Pure: the key comes from outside, and says alone what stands for what.
 */
import { absentPath, matchPath, type PathMatch } from "../evidence/path.ts";
import { parseIpAddr } from "../parse/iproute2/addr.ts";
import { otherAddress, addresses as otherAddresses } from "./addresses.ts";
import { derivedNames } from "./derived.ts";
import { learnDomain, learnLinks, learnObject } from "./learn.ts";
import { names as otherNames } from "./names.ts";
import { isObject, objectOf } from "./object.ts";
import { keyedBy } from "./pseudonym.ts";
import { textOf } from "./text.ts";
import { isOfVocabulary, isSystemNamespace } from "./words.ts";

/** Text that comes and goes in pieces. */
export type Rewriter = { write(piece: string): string; end(): string };

export interface Anonymizer {
  /** @returns what takes the file's text; undefined if there is nothing to learn from it */
  learn(path: string): { write(piece: string): void; end(): void } | undefined;
  /** @returns the file's other path, and what rewrites its text; undefined if the file is left out */
  rewrite(path: string): { readonly path: string; readonly rewriter: Rewriter } | undefined;
}

/** The manifest is written anew; descriptions of components are prose of their authors, and images that nobody else has. */
const LEFT_OUT = new Set(["manifest", "components"]);

/** @param key secret bytes, at least 16: the same key gives the same names again */
export function anonymizer(key: Uint8Array): Anonymizer {
  const keyed = keyedBy(key);
  const names = otherNames(keyed);
  const addresses = otherAddresses(keyed);
  const address = (text: string): string => otherAddress(text, addresses) ?? text;
  const label = (text: string): string => names.other(text, "name");
  const derived = derivedNames(keyed, { label, address });
  const text = textOf({ names, addresses, derived });
  const pupils = { names, addresses, derived };

  function learnPath({ place }: PathMatch): void {
    const { node, namespace, pod, container } = place;
    if (node !== undefined) names.learn(node);
    if (namespace === undefined || isSystemNamespace(namespace)) return;
    names.learn(namespace);
    if (pod !== undefined) names.learnPair(namespace, pod);
    if (container !== undefined && !isOfVocabulary(container)) names.learn(container);
  }

  return {
    learn(path) {
      const match = matchPath(bare(path));
      if (!match) return undefined;
      learnPath(match);
      const { kind } = match;
      if (match.isError || absentPath(path) !== undefined) return undefined;
      const resource = resourceOf(path);
      if (resource !== undefined) {
        return (match.isLines ? byLine : atOnce)((json) => {
          const value = parsed(json);
          const items = isObject(value) && Array.isArray(value.items) ? value.items : [value];
          for (const item of items) learnObject(item, resource, pupils);
        });
      }
      if (kind === "auditLog") {
        return byLine((line) => {
          for (const [, user = ""] of line.matchAll(USERNAME)) if (!isOfVocabulary(user)) names.learn(user);
        });
      }
      if (kind === "links") return atOnce((text) => learnLinks(parseIpAddr(text).value, addresses));
      if (kind === "nodeResolvConf" || kind === "podResolvConf") {
        return byLine((line) => {
          const [, domains = ""] = /^\s*(?:search|domain)\s+(.*)/.exec(line) ?? [];
          for (const domain of domains.split(/\s+/)) if (domain !== "") learnSearched(domain);
        });
      }
      return undefined;
    },

    rewrite(path) {
      const match = matchPath(bare(path));
      if (!match || LEFT_OUT.has(match.kind)) return undefined;
      const resource = match.isError ? undefined : resourceOf(path);
      const isOther = JSON_LINES.has(match.kind) && !match.isError;
      const isLines = match.isLines || isOther;
      const isObjects = resource !== undefined || isOther;
      const rewriter = isObjects ? (isLines ? lines : whole)(objectText(resource)) : lines(text);
      return { path: otherPath(path, match), rewriter };
    },
  };

  /** `shop.svc.cluster.local`, `cluster.local`, `corp.example.com`: the last is somebody's. */
  function learnSearched(domain: string): void {
    if (!/(?:^|\.)cluster\.local$|(?:^|\.)svc(?:\.|$)/.test(domain)) learnDomain(domain, names);
  }

  function objectText(resource: string | undefined): (json: string) => string {
    const object = objectOf({ names, text }, resource);
    return (json) => {
      const value = parsed(json);
      return value === undefined ? text(json) : JSON.stringify(object(value));
    };
  }

  function otherPath(path: string, { kind, place }: PathMatch): string {
    const told = new Set([place.node, place.namespace, place.pod, place.container]);
    // a capture is called after its node
    if (kind === "packetCapture") told.add(place.file?.replace(/\.txt$/, ""));
    return path
      .split("/")
      .map((part) => {
        const [, name = part, rest = ""] =
          /^(.*?)((?:\.previous)?\.(?:log|txt|json|prom)(?:\.err|\.absent)?)$/.exec(part) ?? [];
        if (told.has(name)) return name.split(".").map(label).join(".") + rest;
        return told.has(part) ? part.split(".").map(label).join(".") : part;
      })
      .join("/");
  }
}

/** Objects a line that are none of the API. */
const JSON_LINES = new Set<string>(["probes", "auditLog", "helmReleases"]);

/** Of an event of an audit log: who asked. */
const USERNAME = /"username"\s*:\s*"([^"\\]+)"/g;

const bare = (path: string): string => absentPath(path) ?? path;

/** `pods` of `api/v1/pods.json`; undefined for what is no list of the API. */
const resourceOf = (path: string): string | undefined => /^apis?\/(?:[^/]+\/)+([^/]+?)\.jsonl?$/.exec(bare(path))?.[1];

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Hands lines on, whole. */
function byLine(take: (line: string) => void) {
  let rest = "";
  return {
    write(piece: string) {
      const all = (rest + piece).split("\n");
      rest = all.pop()!;
      for (const line of all) take(line);
    },
    end() {
      if (rest !== "") take(rest);
    },
  };
}

function atOnce(take: (text: string) => void) {
  const pieces: string[] = [];
  return { write: (piece: string) => void pieces.push(piece), end: () => take(pieces.join("")) };
}

function lines(change: (line: string) => string): Rewriter {
  let rest = "";
  return {
    write(piece) {
      const all = (rest + piece).split("\n");
      rest = all.pop()!;
      return all.map((line) => `${line === "" ? "" : change(line)}\n`).join("");
    },
    end: () => (rest === "" ? "" : change(rest)),
  };
}

function whole(change: (text: string) => string): Rewriter {
  const pieces: string[] = [];
  return {
    write(piece) {
      pieces.push(piece);
      return "";
    },
    end: () => (pieces.length === 0 ? "" : change(pieces.join(""))),
  };
}
