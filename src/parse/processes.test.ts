import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseProcesses } from "./processes.ts";

/** procps 4.0 on the lab's node w1. */
const SAMPLE = `    PID    PPID USER                      STARTED COMMAND
      2       0 root     Sat Nov 21 13:30:01 2026 [kthreadd]
    410      81 systemd+ Sat Nov  1 13:37:59 2026 /usr/local/bin/kubelet --config=/var/lib/kubelet/config.yaml --node-ip=192.168.50.11
   1020    1017 root     Sat Nov 21 13:38:08 2026 calico-node -felix
   1099    1017 root     Sat Nov 21 13:38:08 2026 sh -c echo 00:00:00 2026  x
`;

describe("ps -eo pid,ppid,user,lstart,args", () => {
  it("gives the processes with their command lines", () => {
    const { value, gaps } = parseProcesses(SAMPLE);
    expect(gaps).toEqual([]);
    expect(value).toEqual([
      { line: 2, pid: 2, ppid: 0, command: "[kthreadd]" },
      {
        line: 3,
        pid: 410,
        ppid: 81,
        command: "/usr/local/bin/kubelet --config=/var/lib/kubelet/config.yaml --node-ip=192.168.50.11",
      },
      { line: 4, pid: 1020, ppid: 1017, command: "calico-node -felix" },
      { line: 5, pid: 1099, ppid: 1017, command: "sh -c echo 00:00:00 2026  x" },
    ]);
  });

  it("hands back lines of another form", () => {
    expect(parseProcesses("root  1  0.0  0.1 /sbin/init\n").gaps).toHaveLength(1);
  });

  it("never throws", () => neverThrows(parseProcesses, SAMPLE));
  it("never invents from a part", () => truncationsAreHonest(parseProcesses, SAMPLE, (processes) => processes));
});
