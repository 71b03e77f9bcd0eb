/** What schemas of the report and of the path share. */
import { z } from "zod";

const word = z.union([z.string(), z.number(), z.lazy(() => text)]);
export const text: z.ZodType<TextData> = z.lazy(() =>
  z.object({
    id: z.string().describe("names the sentence for ever"),
    args: z.record(z.string(), z.union([word, z.array(word)])),
    en: z.string(),
    zh: z.string(),
  }),
);
type WordData = string | number | TextData;
export type TextData = {
  readonly id: string;
  readonly args: { readonly [name: string]: WordData | readonly WordData[] };
  readonly en: string;
  readonly zh: string;
};

export const reference = z.object({
  kind: z.string(),
  namespace: z.string().optional(),
  name: z.string(),
  apiGroup: z.string().optional(),
});

const origin = z.object({
  kind: z.enum(["api", "file", "log", "command", "probe"]),
  path: z.string().describe("in the bundle; of a command run live, the command"),
  line: z.number().optional(),
  pointer: z.string().optional().describe("JSON pointer"),
  at: z.string().optional(),
  node: z.string().optional(),
});

export const evidence = z.object({
  origin,
  quote: z.string().describe("as the source has it, never translated"),
  at: z.string().optional(),
});

export const command = z.object({
  run: z.string().describe("for a POSIX shell"),
  node: z.string().optional().describe("where to run it; without one, wherever kubectl works"),
});
