/**
 * Takes secrets out of text, line by line: tokens, keys and passwords by their forms, and what is said to be one. What is
 * left tells that something was there, and of what kind.
 */

export type Secret = "private key" | "token" | "password" | "key" | "Secret" | "environment value";

export type Redaction = {
  readonly path: string;
  readonly line?: number;
  /** JSON pointer into the object of that line. */
  readonly pointer?: string;
  readonly what: Secret;
};

export const hidden = (what: Secret): string => `[${what} redacted]`;

type Form = {
  readonly what: Secret;
  readonly is: RegExp;
  /** The group that is secret, if it is not all of the match. */
  readonly group?: number;
};

/** Words behind which a secret stands: `password=`, `"apiKey": "`, `--token `. */
const NAMED =
  /((?:^|[^a-z/])(?:pass(?:word|wd|phrase)|pwd|(?:client[-_]?|shared[-_]?)?secret(?:[-_]?key)?|(?:access|auth|bearer|id|refresh|session|api|bootstrap|x-auth)?[-_]?token|(?:api|access|account|encryption|signing)[-_]?key|credentials?)\\?["']?\s*(?:[:=]|\s(?=\S{16}))\s*\\?["']?)([^\s"'\\,;&<>(){}[\]]{4,})/gi;

const FORMS: readonly Form[] = [
  // RFC 7519; the middle part of a detached JWS is empty (RFC 7797)
  { what: "token", is: /\beyJ[\w-]{6,}\.[\w-]*\.[\w-]{6,}/g },
  { what: "token", is: /(\b(?:Bearer|Basic)\s+)([A-Za-z0-9._~+/=-]{12,})/gi, group: 2 },
  { what: "password", is: /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/"']*:)([^\s@/"']+)(?=@)/gi, group: 2 },
  { what: "key", is: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g },
  {
    what: "token",
    is: /\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,}|glpat-[\w-]{18,}|xox[abeoprs]-[\w-]{10,}|npm_\w{30,})/g,
  },
  { what: "key", is: /\bAIza[\w-]{30,}/g },
  // kubeconfigs (clientcmd/api/v1)
  { what: "key", is: /(\bclient-key-data\\?["']?\s*:\s*\\?["']?)([A-Za-z0-9+/=]{16,})/g, group: 2 },
  { what: "password", is: NAMED, group: 2 },
];

/** What follows such a word and is none: a path to a file, a variable, a word that says what there is. */
const NO_SECRET =
  /^(?:\/|\$|%|\*|\.{1,2}\/|\[|true\b|false\b|null\b|nil\b|none\b|required|optional|expired|invalid|missing|unknown|not\b|cannot|failed|error|system:|kube-|redacted|https?:|file:|env:|secretKeyRef|valueFrom|[\d.]+(?:s|m|h|ms)?$)/i;

const BEGIN = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/;
const END = /-----END [A-Z0-9 ]*PRIVATE KEY-----/;
/** A whole key in one line, as JSON and shell scripts hold it. */
const KEY_IN_LINE = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY-----/g;

/** One line or one string without its secrets. @param told is called for each that was there */
export function withoutSecrets(text: string, told: (what: Secret) => void): string {
  let result = text.includes("PRIVATE KEY")
    ? text.replace(KEY_IN_LINE, () => {
        told("private key");
        return hidden("private key");
      })
    : text;
  for (const { what, is, group } of FORMS) {
    result = result.replace(is, (match: string, lead: string, secret: string) => {
      const found = group === undefined ? match : secret;
      if (group !== undefined && (NO_SECRET.test(found) || found.startsWith("["))) return match;
      told(what);
      return group === undefined ? hidden(what) : lead + hidden(what);
    });
  }
  return result;
}

export interface TextRedactor {
  write(piece: string): string;
  end(): string;
}

/** Text that arrives in pieces; lines come out whole. */
export function textRedactor(
  told: (redaction: { readonly line: number; readonly what: Secret }) => void,
): TextRedactor {
  let rest = "";
  let number = 0;
  let isInKey = false;
  const line = (text: string): string => {
    number++;
    const at = number;
    if (isInKey) {
      if (END.test(text)) isInKey = false;
      return "";
    }
    if (BEGIN.test(text) && !END.test(text)) {
      isInKey = true;
      told({ line: at, what: "private key" });
      return text.replace(/-----BEGIN [\s\S]*$/, hidden("private key"));
    }
    return withoutSecrets(text, (what) => told({ line: at, what }));
  };
  return {
    write(piece) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      return lines.map((one) => `${line(one)}\n`).join("");
    },
    end() {
      const last = rest === "" ? "" : line(rest);
      rest = "";
      return last;
    },
  };
}
