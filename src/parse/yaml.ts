/**
 * YAML configuration files of Kubernetes components: one object of a known kind.
 *
 * Format: YAML 1.2 (YAML 1.1's `yes` is read as text and so is a gap where a boolean is expected; Kubernetes writes
 * true). JSON is YAML. They come from strangers: aliases are refused, which Kubernetes does not write and of which
 * bombs are made.
 */
import { load } from "js-yaml";
import { type Fields, isObject } from "./fields.ts";
import { CUT_OFF, type Gap } from "./parsed.ts";

type Config = { readonly fields: Fields; readonly gaps: Gap[] };

/** Reads an object of the given kind, from a text that is whole; nothing of it if it is not one. */
export function parseConfig(text: string, kind: string): Config {
  const gap = (what: string): Config => ({ fields: {}, gaps: [{ what }] });
  if (text.trim() === "") return gap("empty");
  try {
    const document = load(text, { maxAliases: 0, maxDepth: 50 });
    if (!isObject(document)) return gap("expected an object");
    const found = document.kind;
    return found === undefined || found === kind ? { fields: document, gaps: [] } : gap(`kind: expected ${kind}`);
  } catch (error) {
    return gap(error instanceof Error ? error.message.split("\n")[0]!.slice(0, 200) : "is no YAML");
  }
}

/** Like parseConfig, for a file whose last line may have been cut off on its way. */
export function parseConfigFile(text: string, kind: string): Config {
  if (text === "" || text.endsWith("\n")) return parseConfig(text, kind);
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  const gap = { line: whole.split("\n").length, what: CUT_OFF };
  const { fields, gaps } = whole === "" ? { fields: {}, gaps: [] } : parseConfig(whole, kind);
  return { fields, gaps: [...gaps, gap] };
}
