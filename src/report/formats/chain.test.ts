import { expect, it } from "vitest";
import { texts } from "../../text.ts";
import type { Effect } from "../report.ts";
import { condensed } from "./chain.ts";

const say = texts("chain-test", {
  rules: { en: "rules differ on {node}", zh: "{node} \u4e0a\u89c4\u5219\u4e0d\u540c" },
  fails: { en: "{service} fails", zh: "{service} \u5931\u8d25" },
});

const rules = (node: string, causes: Effect[]): Effect => ({
  capability: "service.rules",
  subject: { kind: "Service", name: "a" },
  is: "fault",
  state: "broken",
  says: say.rules({ node }),
  evidence: [],
  causes,
});

const fails = (service: string, failed: number, state: Effect["state"] = "impaired"): Effect => ({
  capability: "service.reach",
  subject: { kind: "Service", name: service },
  is: "symptom",
  state,
  of: [failed, 9],
  says: say.fails({ service }),
  evidence: [],
  causes: [],
});

const names = (effects: readonly Effect[]) => effects.map(({ subject }) => subject.name);

it("keeps the worst symptoms, wholly broken ones first", () => {
  const { links, rest } = condensed(
    [fails("a", 1), fails("b", 8), fails("c", 2, "broken"), fails("d", 3), fails("e", 4)],
    2,
  );
  expect(names(links.map(({ effect }) => effect))).toEqual(["c", "b"]);
  expect(names(rest)).toEqual(["e", "d", "a"]);
});

it("does not sum up what would fit in the line of the sum", () => {
  expect(condensed([fails("a", 1), fails("b", 8), fails("c", 2)], 2).rest).toEqual([]);
});

it("keeps every link that leads on, before the symptoms beside it", () => {
  const { links } = condensed([fails("a", 1), rules("w1", [fails("b", 1)])], 1);
  expect(names(links.map(({ effect }) => effect))).toEqual(["a", "a"]);
  expect(links[0]?.links).toHaveLength(1);
});

it("counts no fault among the symptoms, also if it leads to nothing further", () => {
  const { links, rest } = condensed([fails("a", 9), fails("b", 8), fails("c", 7), rules("w1", [])], 1);
  expect(links.map(({ effect }) => effect.says.en)).toEqual(["rules differ on w1", "a fails"]);
  expect(names(rest)).toEqual(["b", "c"]);
});

it("takes the same on several nodes for one link", () => {
  const { links } = condensed([rules("cp1", [rules("w1", [rules("w2", [fails("b", 1)])])])], 4);
  expect(links).toHaveLength(1);
  expect(links[0]?.peers.map(({ says }) => says.en)).toEqual(["rules differ on w1", "rules differ on w2"]);
  expect(links[0]?.links.map(({ effect }) => effect.says.en)).toEqual(["b fails"]);
});
