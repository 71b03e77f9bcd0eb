import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mutationsOf, RUNS } from "../../../testing/parser-properties.ts";
import { parseLogLine } from "./line.ts";

/** Lines of the recordings, shortened. */
const KLOG = `2026-11-21T03:10:13.028926990Z E1121 03:10:13.028694       1 server.go:687] "Failed to retrieve node info" err="nodes \\"cp1\\" is forbidden"`;
const COREDNS =
  "2026-11-21T03:25:30.979302970Z [ERROR] plugin/errors: 2 www.example.com. A: read udp 10.244.0.3:4->192.168.50.1:53: i/o timeout";
const CILIUM = `2026-11-21T13:59:21.909450013Z time="2026-11-21T13:59:21Z" level=warning msg="option set by dynamic sizing to 110854" subsys=config`;
const ETCD = `2026-11-21T13:37:04.060606121Z {"level":"warn","ts":"2026-11-21T13:37:04.051541Z","caller":"embed/config.go:689","msg":"Running http and grpc server on single port."}`;
const CALICO =
  '2026-11-21T13:38:14.402000000Z 2026-11-21 13:38:14.401 [ERROR][22] felix/maps.go 695: Failed to run bpftool out=""';

const read = (text: string, year?: number) => {
  const { line: _, ...rest } = parseLogLine(text, 1, year);
  return rest;
};
/** The line as the program wrote it, without the stamp of the container runtime. */
const bare = (text: string) => text.slice(text.indexOf(" ") + 1);

describe("a line of a log", () => {
  it("gives klog's severity and message, and the time of the container runtime", () => {
    expect(parseLogLine(KLOG, 7)).toEqual({
      line: 7,
      at: "2026-11-21T03:10:13.028926990Z",
      severity: "error",
      message: `"Failed to retrieve node info" err="nodes \\"cp1\\" is forbidden"`,
    });
    const severities = ["I", "W", "E", "F"].map(
      (letter) => read(`${letter}1121 03:10:13.028694     217 a.go:1] x`).severity,
    );
    expect(severities).toEqual(["info", "warning", "error", "fatal"]);
  });

  it("gives the time of a klog header where the year is known and no other time is", () => {
    expect(read(bare(KLOG), 2026).at).toBe("2026-11-21T03:10:13.028694Z");
    expect(read(bare(KLOG))).not.toHaveProperty("at");
    expect(read(KLOG, 1999).at).toBe("2026-11-21T03:10:13.028926990Z");
  });

  it("reads kubelet.log as journalctl prints it", () => {
    const line = "Nov  1 03:00:42 node1.example kubelet[217]: W1101 03:00:42.123456     217 kubelet.go:9] no CNI";
    expect(read(line, 2026)).toEqual({ at: "2026-11-01T03:00:42Z", severity: "warning", message: "no CNI" });
    expect(read(line)).toEqual({ severity: "warning", message: "no CNI" });
  });

  it("reads CoreDNS", () => {
    expect(read(COREDNS)).toMatchObject({ severity: "error", at: "2026-11-21T03:25:30.979302970Z" });
    expect(read(bare(COREDNS)).message).toMatch(/^\[ERROR\] plugin\/errors: 2 www/);
    expect(read("2026-11-21T13:38:25.932282694Z .:53")).toEqual({
      at: "2026-11-21T13:38:25.932282694Z",
      message: ".:53",
    });
    expect(read("2026/11/21 03:00:42 [INFO] Using Corefile /etc/Corefile")).toMatchObject({
      at: "2026-11-21T03:00:42Z",
      severity: "info",
    });
  });

  it("reads Cilium", () => {
    const message = `level=warning msg="option set by dynamic sizing to 110854" subsys=config`;
    expect(read(CILIUM)).toEqual({ at: "2026-11-21T13:59:21.909450013Z", severity: "warning", message });
    expect(read(bare(CILIUM))).toEqual({ at: "2026-11-21T13:59:21Z", severity: "warning", message });
    expect(read("time=2026-11-21T13:59:21.5Z level=error msg=x")).toMatchObject({
      at: "2026-11-21T13:59:21.5Z",
      severity: "error",
    });
    expect(read("level=fatal msg=x")).toEqual({ severity: "fatal", message: "level=fatal msg=x" });
  });

  it("reads etcd, and keeps its JSON whole", () => {
    expect(read(ETCD)).toEqual({ at: "2026-11-21T13:37:04.060606121Z", severity: "warning", message: bare(ETCD) });
    expect(read(bare(ETCD))).toMatchObject({ at: "2026-11-21T13:37:04.051541Z", severity: "warning" });
    expect(read('{"msg":"x"}')).toEqual({ message: '{"msg":"x"}' });
  });

  it("reads Calico", () => {
    const message = `[ERROR][22] felix/maps.go 695: Failed to run bpftool out=""`;
    expect(read(CALICO)).toEqual({ at: "2026-11-21T13:38:14.402000000Z", severity: "error", message });
    expect(read(bare(CALICO))).toEqual({ at: "2026-11-21T13:38:14.401Z", severity: "error", message });
  });

  it("reads plain text, with the severity that it begins with", () => {
    expect(read("ERROR backend call failed: curl: (28)")).toEqual({
      severity: "error",
      message: "ERROR backend call failed: curl: (28)",
    });
    expect(read("Error from server")).toEqual({ message: "Error from server" });
    expect(read("2026-11-21T03:00:42+02:00 \tfailed to run nft")).toEqual({
      at: "2026-11-21T03:00:42+02:00",
      message: "\tfailed to run nft",
    });
    expect(read("2026-11-21T03:00:42.5Z")).toEqual({ at: "2026-11-21T03:00:42.5Z", message: "" });
    expect(read("")).toEqual({ message: "" });
  });

  it("takes no number for a time that is none", () => {
    for (const text of [
      "2026-13-21T03:00:42Z x",
      "2026-11-21T25:00:42Z x",
      "2026-11-21T03:00:42Zx",
      "2026-11-21x03:00:42 y",
    ]) {
      expect(read(text)).toEqual({ message: text });
    }
    expect(read("E1399 03:10:13.028694       1 a.go:1] x", 2026)).toEqual({ severity: "error", message: "x" });
  });

  it("never throws", () => {
    const lines = fc.oneof(...[KLOG, COREDNS, CILIUM, ETCD, CALICO, bare(KLOG), bare(CILIUM)].map(mutationsOf));
    fc.assert(
      fc.property(lines, (text) => {
        const { at, message } = parseLogLine(text, 1, 2026);
        expect(text.endsWith(message)).toBe(true);
        if (at !== undefined) expect(Date.parse(at)).not.toBeNaN();
      }),
      { numRuns: RUNS },
    );
  });
});
