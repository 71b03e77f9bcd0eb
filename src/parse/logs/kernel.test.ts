import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../../testing/parser-properties.ts";
import { parseKernelLog } from "./kernel.ts";

/** util-linux 2.38 */
const SAMPLE = `[ 3694.037780] cni0: port 1(veth38a5f91e) entered disabled state
[ 6832.398459] nf_conntrack: nf_conntrack: table full, dropping packet
`;

const one = (line: string) => parseKernelLog(`${line}\n`).value[0];

describe("dmesg", () => {
  it("gives messages with the seconds since boot", () => {
    expect(parseKernelLog(SAMPLE)).toEqual({
      value: [
        { line: 1, sinceBoot: 3694.03778, message: "cni0: port 1(veth38a5f91e) entered disabled state" },
        { line: 2, sinceBoot: 6832.398459, message: "nf_conntrack: nf_conntrack: table full, dropping packet" },
      ],
      gaps: [],
    });
  });

  it("reads the forms of -r, -x and of kernels that print the thread", () => {
    const expected = { line: 1, sinceBoot: 1836.670042, message: "Can't find ip_set type hash:mac" };
    expect(one("<4>[ 1836.670042] Can't find ip_set type hash:mac")).toEqual(expected);
    expect(one("kern  :warn  : [ 1836.670042] Can't find ip_set type hash:mac")).toEqual(expected);
    expect(one("[ 1836.670042][   T71] Can't find ip_set type hash:mac")).toEqual(expected);
    expect(one("[ 1836.670042 <    0.000012>] Can't find ip_set type hash:mac")).toEqual(expected);
  });

  it("gives no seconds where a date is printed", () => {
    const expected = { line: 1, message: "Can't find ip_set type hash:mac" };
    expect(one("[Sat Nov 21 15:10:50 2026] Can't find ip_set type hash:mac")).toEqual(expected);
    expect(one("[Sun Nov  1 15:10:50 2026] Can't find ip_set type hash:mac")).toEqual(expected);
    expect(one("2026-11-21T15:10:50,670042+00:00 Can't find ip_set type hash:mac")).toEqual(expected);
    expect(one("Nov 21 15:10:50 node-1.example kernel: Can't find ip_set type hash:mac")).toEqual(expected);
  });

  it("leaves a message as it is that begins like none of these", () => {
    expect(one("kern: [oops] kernel: x")).toEqual({ line: 1, message: "kern: [oops] kernel: x" });
    expect(one("[    0.000000] Booting kernel: with options")).toMatchObject({
      message: "Booting kernel: with options",
    });
  });

  it("gives an empty ring buffer without gaps", () => expect(parseKernelLog("")).toEqual({ value: [], gaps: [] }));
  it("never throws", () => neverThrows(parseKernelLog, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseKernelLog, SAMPLE, (lines) => lines));
});
