/** What runs in the browser: the pure part, given the texts of a bundle's files. */
import { diagnose } from "../../src/diagnose.ts";
import { createIntake } from "../../src/evidence/capture.ts";

export function reportOf(texts: readonly (readonly [path: string, text: string])[]): string {
  const intake = createIntake();
  for (const [path, text] of texts) {
    const sink = intake.open(path);
    sink?.write(text);
    sink?.end({ bytes: new TextEncoder().encode(text).length });
  }
  return JSON.stringify(diagnose(intake.capture()));
}

Object.assign(globalThis, { reportOf });
