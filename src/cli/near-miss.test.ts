import { expect, it } from "vitest";
import { nearMisses } from "./near-miss.ts";

const NAMES = [
  "component-access-denied",
  "corefile-invalid",
  "cluster-dns-down",
  "dns-forward-loop",
  "dns-upstream-dead",
];

it.each([
  ["corefile-invalid", ["corefile-invalid"]],
  ["corefile", ["corefile-invalid"]],
  ["corfile-invlaid", ["corefile-invalid"]],
  ["access-denied", ["component-access-denied"]],
  ["forward-loop", ["dns-forward-loop"]],
  ["dns", ["cluster-dns-down", "dns-forward-loop", "dns-upstream-dead"]],
  ["xyzzy", []],
  ["", []],
])("who types %s may mean %j", (typed, meant) => {
  expect(nearMisses(typed, NAMES)).toEqual(meant);
});

it("takes no short word for another", () => {
  expect(nearMisses("x", ["demo"])).toEqual([]);
  expect(nearMisses("dmeo", ["demo", "diagnose"])).toEqual(["demo"]);
});
