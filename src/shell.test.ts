import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, it } from "vitest";
import { sh, shellWord } from "./shell.ts";

/** The words that a shell makes of a command line. */
function wordsOf(command: string): string[] {
  const output = execFileSync("sh", ["-c", `printf '%s\\0' ${command}`], { encoding: "utf8" });
  return output.split("\0").slice(0, -1);
}

const name = fc
  .string({ unit: "binary", minLength: 1, maxLength: 12 })
  .filter((text) => !text.includes("\0") && text.isWellFormed());

it("keeps whatever is in a name one word", () => {
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (words) => {
      expect(wordsOf(words.map(shellWord).join(" "))).toEqual(words);
    }),
    { numRuns: 40 },
  );
});

it("makes a name a part of a word, and leaves the rest of the line as it is written", () => {
  fc.assert(
    fc.property(name, (node) => {
      expect(wordsOf(sh`--field-selector=${`spec.nodeName=${node}`} -o name`)).toEqual([
        `--field-selector=spec.nodeName=${node}`,
        "-o",
        "name",
      ]);
    }),
    { numRuns: 20 },
  );
  expect(sh`kubectl get pods -n ${"shop"} --tail=${20} | head`).toBe("kubectl get pods -n shop --tail=20 | head");
});
