import { describe, expect, it } from "vitest";
import { neverThrows } from "../../testing/parser-properties.ts";
import { parseComponentFile } from "./component-file.ts";

const AGENT = `name: acme-agent
image: acme/net-agent
workload: {kind: DaemonSet, namespace: acme-system, name: acme-agent}
duties: [cni, policy]
roles:
  - kind: ClusterRole
    name: acme-agent
    binding: {name: acme-agent-binding}
    rules:
      - apiGroups: [""]
        resources: [nodes]
        verbs: [list, watch]
        without: {en: no tunnels to new nodes, zh: 没有到新节点的隧道, breaks: [nodes]}
      - nonResourceURLs: [/healthz]
        verbs: [get]
`;

const problemsOf = (text: string) => parseComponentFile(text).gaps.map(({ what }) => what);

describe("a description of a component", () => {
  it("never throws", () => neverThrows(parseComponentFile, AGENT));

  it("is read, one a document", () => {
    const { value, gaps } = parseComponentFile(`${AGENT}---\n${AGENT.replace("name: acme-agent", "name: other")}`);
    expect(gaps).toEqual([]);
    expect(value.map(({ name }) => name)).toEqual(["acme-agent", "other"]);
    expect(value[0]?.roles[0]?.rules[0]?.without).toEqual({
      en: "no tunnels to new nodes",
      zh: "没有到新节点的隧道",
      breaks: ["nodes"],
    });
  });

  it.each([
    ["a duty that there is not", ["[cni, policy]", "[cnii]"], /^duties\[0\]: /],
    ["a misspelt field", ["verbs: [get]", "verb: [get]"], /^roles\[0\]\.rules\[1\]\.verbs: /],
    ["a field that there is not", ["duties:", "args: []\nduties:"], /args/],
    [
      "a consequence in no language",
      ["en: no tunnels to new nodes, zh: 没有到新节点的隧道, ", ""],
      /without: .*en, zh/,
    ],
    ["other work", ["breaks: [nodes]", "breaks: [everything]"], /^roles\[0\]\.rules\[0\]\.without\.breaks\[0\]: /],
    ["an image with a tag", ["net-agent\n", "net-agent:v1\n"], /^image: .*without tag/],
    ["an image that is every image", ["acme/net-agent\n", '"acme/**"\n'], /^image: .*every image/],
    ["a regular expression", ["acme/net-agent\n", '"(a+)+$"\n'], /^image: /],
    ["a Role of no namespace", ["kind: ClusterRole", "kind: Role"], /^roles\[0\]\.namespace: /],
    ["resources without a group", ['apiGroups: [""]\n        ', ""], /^roles\[0\]\.rules\[0\]: expected apiGroups/],
    ["escapes for a terminal", ["no tunnels to new nodes", '"\\e[2J"'], /without\.en: expected one line/],
  ])("names the field of %s", (_, [from, to], problem) => {
    const text = AGENT.replace(from!, to!);
    expect(text).not.toBe(AGENT);
    const { value } = parseComponentFile(text);
    expect(value).toEqual([]);
    expect(problemsOf(text)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });

  it("names the document, and keeps the others", () => {
    const { value, gaps } = parseComponentFile(`${AGENT}---\n${AGENT.replace("duties: [cni, policy]\n", "")}`);
    expect(value).toHaveLength(1);
    expect(gaps[0]?.what).toMatch(/^document 2: duties: /);
  });

  it.each([
    ["nothing", "", /no component/],
    ["no YAML", "a: [", /./],
    ["aliases", `x: &x [1]\ny: *x\n`, /alias/],
    ["a list", "- 1\n", /object/],
    ["too much", "#".repeat(2 << 20), /larger/],
    ["too many components", Array.from({ length: 60 }, () => AGENT).join("---\n"), /more than 50/],
    [
      "a rule that stands for a million requests",
      AGENT.replace("resources: [nodes]", `resources: [${"a,".repeat(49)}b]`).replace(
        "verbs: [list, watch]",
        `verbs: [${"a,".repeat(49)}b]`,
      ),
      /more than 2000 requests/,
    ],
  ])("refuses %s", (_, text, problem) => {
    expect(problemsOf(text)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });
});
