import { describe, expect, it } from "vitest";
import { ENDED_CERTIFICATE, TEST_CERTIFICATE } from "../../testing/certificate.ts";
import { REQUEST_OF_W3 } from "../../testing/certificate-requests.ts";
import { subjectOfRequest, validitiesInBundle, validitiesOf } from "./certificate.ts";

const ENDED = { notBefore: Date.parse("2024-11-01T00:00:00Z"), notAfter: Date.parse("2025-11-01T00:00:00Z") };
/** Beyond 2049 a year has four digits: GeneralizedTime. */
const LASTING = { notBefore: Date.parse("2026-11-22T05:39:36Z"), notAfter: Date.parse("2126-10-29T05:39:36Z") };

describe("the validity of certificates", () => {
  it("is that of each in a text", () => {
    expect(validitiesOf(`${ENDED_CERTIFICATE}# the next\n${TEST_CERTIFICATE.cert}`)).toEqual([ENDED, LASTING]);
    expect(validitiesInBundle(btoa(ENDED_CERTIFICATE))).toEqual([ENDED]);
  });

  it("is not known of what is none, or cut off anywhere", () => {
    const body = ENDED_CERTIFICATE.split("\n").slice(1, -2).join("");
    const der = atob(body);
    for (let length = 0; length < der.length; length += 7) {
      const pem = `-----BEGIN CERTIFICATE-----\n${btoa(der.slice(0, length))}\n-----END CERTIFICATE-----\n`;
      expect(validitiesOf(pem)).toBeUndefined();
    }
    for (const text of ["", "no certificate", TEST_CERTIFICATE.key, "\u0000".repeat(64)])
      expect(validitiesOf(text)).toBeUndefined();
    expect(validitiesInBundle("not base64!")).toBeUndefined();
    const broken = `-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n`;
    expect(validitiesOf(ENDED_CERTIFICATE + broken)).toBeUndefined();
  });
});

describe("the subject of a request for a certificate", () => {
  it("is its common name and its organizations", () => {
    expect(subjectOfRequest(REQUEST_OF_W3)).toEqual({ name: "system:node:w3", organizations: ["system:nodes"] });
  });

  it("is not known of what is none, or cut off", () => {
    for (const text of ["", "REDACTED", "not base64!", btoa(ENDED_CERTIFICATE), REQUEST_OF_W3.slice(0, 200)])
      expect(subjectOfRequest(text)).toBeUndefined();
    const [, body = ""] = /-----\n([^-]*)\n-----/.exec(atob(REQUEST_OF_W3)) ?? [];
    const der = atob(body.replaceAll("\n", ""));
    for (let length = 0; length < der.length; length += 5) {
      const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${btoa(der.slice(0, length))}\n-----END CERTIFICATE REQUEST-----\n`;
      expect(() => subjectOfRequest(btoa(pem))).not.toThrow();
    }
  });
});
