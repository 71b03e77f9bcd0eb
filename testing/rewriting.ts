/** Files of a bundle as `collect` writes them: redacted, and under other names. */
import { anonymizer } from "../src/anonymize/anonymize.ts";
import { type Redaction, redactorFor } from "../src/redact/redact.ts";

export type Files = ReadonlyMap<string, string>;

export function anonymized(files: Files, seed = 7) {
  const one = anonymizer(new Uint8Array(32).fill(seed));
  for (const [path, text] of files) {
    const pupil = one.learn(path);
    pupil?.write(text);
    pupil?.end();
  }
  const rewritten = (path: string, text: string, pieces = 1): [string, string] | undefined => {
    const other = one.rewrite(path);
    if (!other) return undefined;
    let out = "";
    const size = Math.max(1, Math.ceil(text.length / pieces));
    for (let at = 0; at < text.length; at += size) out += other.rewriter.write(text.slice(at, at + size));
    return [other.path, out + other.rewriter.end()];
  };
  const all = new Map([...files].map(([path, text]) => rewritten(path, text)).filter((file) => file !== undefined));
  return { all, rewritten, text: (line: string) => rewritten("logs/kube-system/a/b.log", line)![1] };
}

export function redact(path: string, text: string, pieces = 1): { text: string; told: Redaction[] } {
  const told: Redaction[] = [];
  const redactor = redactorFor(path, (one) => told.push(one));
  const size = Math.max(1, Math.ceil(text.length / pieces));
  let result = "";
  for (let at = 0; at < text.length; at += size) result += redactor.write(text.slice(at, at + size));
  return { text: result + redactor.end(), told };
}
