import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { neverThrows, RUNS, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseSysctl } from "./sysctl.ts";

/** procps 4.0 on the lab's node w1; the line of a VLAN is from its manual. */
const SAMPLE = `fs.inotify.max_user_watches = 192493
kernel.hostname = w1
net.bridge.bridge-nf-call-iptables = 1
net.ipv4.conf.eth0/100.rp_filter = 0
net.ipv4.ip_forward = 1
net.ipv4.ip_local_port_range = 32768\t60999
net.ipv4.ip_local_reserved_ports = 
net.netfilter.nf_conntrack_max = 262144
`;

describe("sysctl -a", () => {
  it("gives a value a key, with its line", () => {
    const { value, gaps } = parseSysctl(SAMPLE);
    expect(gaps).toEqual([]);
    expect(value.get("net.ipv4.ip_forward")).toEqual({ value: "1", line: 5 });
    expect(value.get("net.ipv4.conf.eth0/100.rp_filter")?.value).toBe("0");
    expect(value.get("net.ipv4.ip_local_port_range")?.value).toBe("32768\t60999");
    expect(value.get("net.ipv4.ip_local_reserved_ports")?.value).toBe("");
  });

  it("joins the lines of one value", () => {
    const { value } = parseSysctl(
      "dev.cdrom.info = CD-ROM information\ndev.cdrom.info = \ndev.cdrom.info = drive name:\tsr0\n",
    );
    expect(value.get("dev.cdrom.info")).toEqual({ value: "CD-ROM information\n\ndrive name:\tsr0", line: 1 });
  });

  it("does not take 2621 for 262144", () => {
    const { value, gaps } = parseSysctl(SAMPLE.slice(0, -3));
    expect(value.has("net.netfilter.nf_conntrack_max")).toBe(false);
    expect(gaps).toEqual([{ line: 8, what: "cut off here" }]);
  });

  it("hands back what sysctl may not read", () => {
    const { value, gaps } = parseSysctl(
      'sysctl: permission denied on key "net.ipv4.tcp_fastopen_key"\nvm.stat_interval = 1\n',
    );
    expect(value.size).toBe(1);
    expect(gaps.map((gap) => gap.line)).toEqual([1]);
  });

  it("reads back what it is printed as", () => {
    const key = fc.stringMatching(/^[a-z]{1,8}(\.[a-z0-9_/-]{1,8}){1,4}$/);
    const value = fc.stringMatching(/^[^\s\u0000-\u001f][^\n]{0,20}$/);
    fc.assert(
      fc.property(fc.dictionary(key, value), (settings) => {
        const text = Object.entries(settings).map(([name, set]) => `${name} = ${set}\n`);
        const parsed = parseSysctl(text.join(""));
        expect(parsed.gaps).toEqual([]);
        expect([...parsed.value].map(([name, { value }]) => [name, value])).toEqual(Object.entries(settings));
      }),
      { numRuns: RUNS },
    );
  });

  it("never throws", () => neverThrows(parseSysctl, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseSysctl, SAMPLE, (value) => [...value]));
});
