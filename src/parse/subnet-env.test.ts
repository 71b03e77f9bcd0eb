import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseSubnetEnv } from "./subnet-env.ts";

/** flannel v0.26 */
const SAMPLE = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
`;

describe("flannel's subnet.env", () => {
  it("gives what flannel tells its CNI plugin", () => {
    expect(parseSubnetEnv(SAMPLE)).toEqual({
      value: { networks: ["10.244.0.0/16"], subnet: "10.244.1.1/24", ipv6Networks: [], mtu: 1450, ipMasq: true },
      gaps: [],
    });
  });

  it("reads two families and several networks", () => {
    const { value, gaps } = parseSubnetEnv(
      "FLANNEL_NETWORK=10.244.0.0/16,10.245.0.0/16\nFLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64\nFLANNEL_IPMASQ=false\n",
    );
    expect(gaps).toEqual([]);
    expect(value).toEqual({
      networks: ["10.244.0.0/16", "10.245.0.0/16"],
      ipv6Networks: ["fd00::/48"],
      ipv6Subnet: "fd00:0:0:1::1/64",
      ipMasq: false,
    });
  });

  it("does not take 145 for 1450", () => {
    expect(parseSubnetEnv(SAMPLE.slice(0, SAMPLE.indexOf("1450") + 3))).toEqual({
      value: { networks: ["10.244.0.0/16"], subnet: "10.244.1.1/24", ipv6Networks: [] },
      gaps: [{ line: 3, what: "cut off here" }],
    });
  });

  it("hands back what makes no sense, and leaves out what is not flannel's", () => {
    const { value, gaps } = parseSubnetEnv(
      "FLANNEL_SUBNET=10.244.1.1\nFLANNEL_MTU=big\nFLANNEL_NETWORK=10.244.0.0/16;\nexport\nHOME=/root\n",
    );
    expect(value).toEqual({ networks: [], ipv6Networks: [] });
    expect(gaps.map((gap) => gap.line)).toEqual([1, 2, 3, 4]);
    expect(parseSubnetEnv("").gaps).toEqual([{ what: "empty" }]);
  });

  it("never throws", () => neverThrows(parseSubnetEnv, SAMPLE));
  it("never invents from a part", () =>
    truncationsAreHonest(parseSubnetEnv, SAMPLE, ({ networks, ipv6Networks, ...rest }) => [
      ...networks,
      ...ipv6Networks,
      ...Object.entries(rest),
    ]));
});
