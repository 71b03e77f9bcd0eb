import { describe, expect, it } from "vitest";
import { imageRepository } from "./definitions.ts";
import { repositoryLike } from "./described.ts";

describe("a repository by its last parts", () => {
  it.each([
    ["acme/net-agent", "registry.acme.example/mirror/acme/net-agent:v1.2", true],
    ["registry.acme.example/acme/net-agent", "other.example:5000/acme/net-agent@sha256:00", true],
    ["net-agent", "acme/net-agent", true],
    ["net-agent*", "acme/net-agent-amd64", true],
    ["acme/*-agent", "acme/net-agent", true],
    ["*/net-agent", "acme/net-agent", true],
    ["*/net-agent", "net-agent", false],
    ["acme/net-agent", "notacme/net-agent", false],
    ["acme*agent", "acme/net-agent", false],
    ["net-agent", "acme/net-agent-operator", false],
    ["a*b*c", "aXbXcXbc", true],
    ["a*b*c", "aXbXcX", false],
  ])("%s, %s: %s", (glob, image, expected) => {
    expect(repositoryLike(glob).test(imageRepository(image))).toBe(expected);
  });

  it("is harmless, whatever the pattern", () => {
    const glob = `${"a*".repeat(120)}b`;
    const started = performance.now();
    for (let times = 0; times < 100; times++) expect(repositoryLike(glob).test("a".repeat(255))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
