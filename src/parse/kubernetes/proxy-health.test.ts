import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseProxyHealth } from "./proxy-health.ts";

/** kube-proxy v1.33.13, of which iptables-restore failed for IPv4. */
const FAILING =
  '{"lastUpdated":"2026-11-22T07:10:16.730915731Z","currentTime":"2026-11-22T07:12:24.323300748Z","nodeEligible":true,"healthy":false,"status":{"IPv4":{"lastUpdated":"2026-11-22T07:10:16.611117726Z","healthy":false},"IPv6":{"lastUpdated":"2026-11-22T07:10:16.730915731Z","healthy":true}}}';
const WELL =
  '{"lastUpdated":"2026-11-22T07:10:27.513137126Z","currentTime":"2026-11-22T07:10:27.513113717Z","nodeEligible":true,"healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-22T07:10:16.611117726Z","healthy":true},"IPv6":{"lastUpdated":"2026-11-22T07:10:16.730915731Z","healthy":true}}}';
/** The form of v1.29: `%q` of Go's time. */
const old = (lastUpdated: string, nodeEligible = true) =>
  `{"lastUpdated": "${lastUpdated}","currentTime": "2024-03-01 12:00:00.5 +0100 CET m=+863.1", "nodeEligible": ${nodeEligible}}`;

describe("what kube-proxy answers at /healthz", () => {
  it("says which rules were not written, and since when", () =>
    expect(parseProxyHealth(FAILING)).toEqual({
      value: { writes: false, late: ["IPv4"], writtenAt: "2026-11-22T07:10:16.611Z" },
      gaps: [],
    }));
  it("says that all were", () => expect(parseProxyHealth(WELL).value).toMatchObject({ writes: true, late: [] }));

  it.each([
    ["is well", old("2024-03-01 12:00:00.5 +0100 CET m=+863.1"), true],
    ["has not written for a while", old("2024-03-01 11:47:03 +0100 CET m=+86.1"), false],
    ["is on a node that is about to be taken away", old("2024-03-01 11:47:03 +0100 CET m=+86.1", false), undefined],
  ])("an old one %s", (_, text, writes) => {
    expect(parseProxyHealth(text)).toMatchObject({ value: { writes, late: [] }, gaps: [] });
  });

  it("is nothing else", () => expect(parseProxyHealth("ok").gaps).toHaveLength(1));
  it("never throws", () => neverThrows(parseProxyHealth, FAILING));
  it("never invents from a part", () =>
    truncationsAreHonest(parseProxyHealth, FAILING, ({ writes }) => [writes].filter((one) => one !== undefined)));
});
