import { describe, expect, it } from "vitest";
import { type NodeFile, nodeOutput } from "./node-output.ts";

function taken(text: string, pieces = [text]) {
  const files: Record<string, NodeFile> = {};
  const missing: Record<string, string> = {};
  const namespaces: unknown[] = [];
  const reader = nodeOutput("@@M", {
    onFile: (path, file) => {
      files[path] = file;
    },
    onMissing: (path, message) => {
      missing[path] = message;
    },
    onNamespace: (uid, all) => void namespaces.push([uid, Object.fromEntries(all)]),
  });
  for (const piece of pieces) reader.write(piece);
  return { files, missing, namespaces, isWhole: reader.end() };
}

const OUTPUT = [
  "@@M node w1",
  "@@M + a.txt",
  "one",
  "two",
  "",
  "@@M - 0 ",
  "@@M + unended.txt",
  "no newline",
  "@@M - 0 ",
  "@@M + empty.txt",
  "",
  "@@M - 0 ",
  "@@M + failed.txt",
  "",
  "@@M - 1 Operation not permitted",
  "@@M + half.txt",
  "half",
  "",
  "@@M - 124 ",
  "@@M ! gone.txt ipset: not found",
  "@@M netns 42 0a610a53-69ed-4b13-8409-1ec400f743f0",
  "@@M + netns/42/ip-addr.json",
  "[]",
  "",
  "@@M - 0 ",
  "@@M netns 43 ",
  "@@M + netns/43/ss.txt",
  "",
  "@@M - 255 nsenter: failed",
  "@@M end",
  "",
].join("\n");

describe("what the node script prints", () => {
  it("is files, exactly as they were, and what is missing with its reason", () => {
    expect(taken(OUTPUT)).toEqual({
      files: {
        "a.txt": { content: "one\ntwo\n" },
        "unended.txt": { content: "no newline" },
        "empty.txt": { content: "" },
        "half.txt": { content: "half\n", flaw: "exit status 124" },
      },
      missing: { "failed.txt": "exit status 1: Operation not permitted", "gone.txt": "ipset: not found" },
      namespaces: [
        ["0a610a53-69ed-4b13-8409-1ec400f743f0", { "ip-addr.json": { content: "[]\n" } }],
        [undefined, { "ss.txt": { content: "", flaw: "exit status 255: nsenter: failed" } }],
      ],
      isWhole: true,
    });
  });

  it("is the same in whatever pieces it comes", () => {
    const whole = taken(OUTPUT);
    for (let at = 0; at <= OUTPUT.length; at += 7) {
      expect(taken(OUTPUT, [OUTPUT.slice(0, at), OUTPUT.slice(at)])).toEqual(whole);
    }
  });

  it("that is cut off proves no more than it shows", () => {
    for (let at = 0; at < OUTPUT.indexOf("@@M end") + 8; at++) {
      const { files, isWhole } = taken(OUTPUT.slice(0, at));
      expect(isWhole).toBe(false);
      for (const [path, { content, flaw }] of Object.entries(files)) {
        const whole = taken(OUTPUT).files[path]!;
        if (flaw === undefined) expect(content, path).toBe(whole.content);
        else expect(whole.content.startsWith(content) || path === "half.txt", path).toBe(true);
      }
    }
  });
});
