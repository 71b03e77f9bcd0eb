import fc from "fast-check";
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import type { ManifestObject } from "../model/changes/change.ts";
import { archiveText, parseArchive, type Snapshot } from "./archive.ts";
import { canonicalYaml } from "./canonical-yaml.ts";

const ROLE: ManifestObject = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: { name: "flannel" },
  rules: [{ apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"] }],
};
const COREFILE = ".:53 {\n    errors\n\n    forward . /etc/resolv.conf\n}\n---\nno document\n";
const MAP: ManifestObject = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "coredns", namespace: "kube-system" },
  data: { Corefile: COREFILE, on: "yes", zero: "0777", empty: "", time: "12:30:45" },
};
const SNAPSHOT: Snapshot = {
  head: { cluster: "lab", takenAt: "2026-11-22T00:00:00Z", tool: "0.1.0", without: [] },
  objects: [MAP, ROLE],
};

describe("YAML in one form", () => {
  it("is read as it was written, whatever strings it holds", () => {
    const key = fc.string({ minLength: 1, unit: "grapheme" }).filter((name) => name !== "__proto__");
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.string({ unit: fc.constantFrom("a", "\n", " ", "\t", ":", "#", "-", "'", '"', "0", "\u0085", "|") }),
      fc.constantFrom("yes", "No", "~", "null", "1e3", "0x1", "2024-01-01", "=", "<<", "*", "&a", "!t", "%", "@", "`"),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
      value: fc.oneof(
        { depthSize: "small" },
        text,
        fc.integer(),
        fc.boolean(),
        fc.array(tie("value"), { maxLength: 3 }),
        tie("tree"),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        if (Object.keys(value as object).length === 0) return;
        expect(load(canonicalYaml(value as object))).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  it("does not depend on the order of fields, and reads well", () => {
    const text = canonicalYaml(MAP);
    const { data, ...rest } = MAP;
    expect(canonicalYaml({ data, ...rest } as unknown as object)).toBe(text);
    expect(text).toContain("kind: ConfigMap\nmetadata:\n  name: coredns\n  namespace: kube-system\ndata:\n");
    expect(text).toContain("  Corefile: |\n    .:53 {\n        errors\n\n        forward");
    expect(text).toContain('  "on": "yes"\n');
    expect(text).toContain('  zero: "0777"\n');
  });
});

describe("an archive", () => {
  const text = archiveText(SNAPSHOT);

  it("holds what was put in, in the order in which it is restored", () => {
    const read = parseArchive(text);
    expect(read).toMatchObject({ ok: true, archive: { head: SNAPSHOT.head, objects: [ROLE, MAP] } });
  });

  it("has equal contents for equal objects, whenever it was taken", () => {
    const later = archiveText({ ...SNAPSHOT, head: { ...SNAPSHOT.head, takenAt: "2026-11-23T00:00:00Z" } });
    const [a, b] = [parseArchive(text), parseArchive(later)];
    expect(a.ok && b.ok && a.archive.contents === b.archive.contents).toBe(true);
    expect(later).not.toBe(text);
  });

  it("is refused if a single byte of it is another, is missing or is twice there", () => {
    for (let at = 0; at < text.length; at++) {
      const others = [
        text.slice(0, at) + (text[at] === "x" ? "y" : "x") + text.slice(at + 1),
        text.slice(0, at) + text.slice(at + 1),
        text.slice(0, at),
      ];
      for (const other of others) {
        // an end that is cut off a run of equal characters may leave the same text
        if (other !== text) expect({ at, ok: parseArchive(other).ok }).toEqual({ at, ok: false });
      }
    }
  });

  it("is refused if objects are added, taken away or moved", () => {
    const [head = "", ...documents] = text.split(/^---\n/m);
    const made = (list: readonly string[]) => parseArchive([head, ...list].join("---\n")).ok;
    expect(made(documents)).toBe(true);
    expect(made(documents.toReversed())).toBe(false);
    expect(made(documents.slice(1))).toBe(false);
    expect(made([...documents, documents[0]!])).toBe(false);
  });

  it("with names that a terminal would obey is refused", () => {
    const odd = { ...ROLE, metadata: { name: "a\u001b[2J" } };
    expect(parseArchive(archiveText({ ...SNAPSHOT, objects: [odd] })).ok).toBe(false);
  });

  it("says what it is not", () => {
    const why = (other: string) => {
      const read = parseArchive(other);
      return read.ok ? undefined : read.why.en;
    };
    expect(why("kind: ClusterRole\n")).toBe("it is no backup of netwhy");
    expect(why(text.replace("backup/v1", "backup/v9"))).toBe("it was made by a newer netwhy (netwhy.backup/v9)");
    expect(why(text.replace("- nodes", "- secrets"))).toBe("ClusterRole/flannel was changed: its digest is another");
  });
});
