/**
 * Takes secrets out of the files of a bundle while they are written: objects of the API field by field, everything else
 * line by line. Pure; what it took is told, with the place and never with the value.
 */
import { redactObject } from "./object.ts";
import { type Redaction, type TextRedactor, textRedactor } from "./text.ts";

export type { Redaction } from "./text.ts";

/** A file of one object a line (`.jsonl`), a whole list (`.json` of the API), or text. */
export function redactorFor(path: string, told: (redaction: Redaction) => void): TextRedactor {
  if (path.startsWith("audit/") || (path.endsWith(".jsonl") && /^(?:api|helm\/)/.test(path)))
    return linesOfObjects(path, told);
  if (path.endsWith(".json") && path.startsWith("api")) return wholeObject(path, told);
  return textRedactor(({ line, what }) => told({ path, line, what }));
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** @returns undefined for what is no JSON: it is text then */
function redacted(text: string, told: (redaction: Pick<Redaction, "pointer" | "what">) => void): string | undefined {
  const object = parsed(text);
  return object === undefined ? undefined : JSON.stringify(redactObject(object, told));
}

function linesOfObjects(path: string, told: (redaction: Redaction) => void): TextRedactor {
  let rest = "";
  let number = 0;
  const one = (text: string): string => {
    const line = ++number;
    const known = redacted(text, (found) => told({ path, line, ...found }));
    if (known !== undefined) return known;
    const asText = textRedactor(({ what }) => told({ path, line, what }));
    return asText.write(text) + asText.end();
  };
  return {
    write(piece) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      return lines.map((text) => `${one(text)}\n`).join("");
    },
    end: () => (rest === "" ? "" : one(rest)),
  };
}

function wholeObject(path: string, told: (redaction: Redaction) => void): TextRedactor {
  const pieces: string[] = [];
  return {
    write(piece) {
      pieces.push(piece);
      return "";
    },
    end() {
      const text = pieces.join("");
      const known = redacted(text, (found) => told({ path, ...found }));
      if (known !== undefined) return known;
      const asText = textRedactor(({ line, what }) => told({ path, line, what }));
      return asText.write(text) + asText.end();
    },
  };
}
