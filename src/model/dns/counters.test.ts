import { describe, expect, it } from "vitest";
import { createIntake } from "../../evidence/capture.ts";
import { known, present } from "../../evidence/observed.ts";
import { hasAnsweredAll } from "./counters.ts";

const PATH = "metrics/coredns/kube-system/coredns-1.prom";
const PLACE = { namespace: "kube-system", pod: "coredns-1" };
const BROKEN = "coredns_forward_healthcheck_broken_total 0";
const responses = (rcode: string, count: number, plugin = "forward") =>
  `coredns_dns_responses_total{plugin="${plugin}",rcode="${rcode}",server="dns://:53",view="",zone="."} ${count}`;
const ANSWERED = [responses("NOERROR", 7), responses("NXDOMAIN", 2), BROKEN];

function observed(...samples: readonly string[]) {
  const intake = createIntake();
  const sink = intake.open(PATH)!;
  sink.write(samples.map((sample) => `${sample}\n`).join(""));
  sink.end({ bytes: 1 });
  return intake.capture().get("dnsMetrics", PLACE);
}

describe("that CoreDNS has answered all", () => {
  it("is shown by counters without a failure", () => expect(hasAnsweredAll(observed(...ANSWERED))).toBe(true));

  it.each([
    ["a query was answered with SERVFAIL", responses("SERVFAIL", 1, "")],
    ["an upstream server failed a health check", 'coredns_proxy_healthcheck_failures_total{to="1.1.1.1:53"} 1'],
    ["so it did in an old release", 'coredns_forward_healthcheck_failures_total{to="1.1.1.1:53"} 1'],
    ["a line makes no sense", "coredns_dns_responses_total many"],
  ])("is not, where %s", (_, sample) => expect(hasAnsweredAll(observed(...ANSWERED, sample))).toBe(false));

  it.each([
    ["all upstream servers failed", [responses("NOERROR", 7), "coredns_forward_healthcheck_broken_total 2"]],
    ["nothing is counted of `forward`", [responses("NOERROR", 7)]],
    ["nothing was forwarded", [BROKEN, responses("NOERROR", 7, "kubernetes")]],
    ["nothing came", []],
  ])("is not, where %s", (_, samples) => expect(hasAnsweredAll(observed(...samples))).toBe(false));

  it("is not, where the rest is cut off", () => {
    const whole = observed(...ANSWERED);
    expect(hasAnsweredAll(present(known(whole)!, whole.origin, [{ what: "cut off here" }]))).toBe(false);
  });
});
