import { describe, expect, it } from "vitest";
import { neverThrows, truncationsAreHonest } from "../../testing/parser-properties.ts";
import { parseCniConflist } from "./cni-conflist.ts";

const FLANNEL = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    }
  ]
}
`;

const CALICO = `{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", "datastore_type": "kubernetes", "nodename": "w1", "mtu": 0, "ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"}},
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}
  ]
}`;

describe("a CNI configuration", () => {
  it("gives the plugins, and of flannel what it hands to the bridge plugin", () => {
    expect(parseCniConflist(FLANNEL)).toEqual({
      value: {
        name: "cbr0",
        cniVersion: "0.3.1",
        plugins: [{ type: "flannel", hairpinMode: true }, { type: "portmap" }],
      },
      gaps: [],
    });
  });

  it("gives Calico's, whose file ends without a newline", () => {
    expect(parseCniConflist(CALICO).value.plugins).toEqual([
      { type: "calico", mtu: 0, ipam: { type: "calico-ipam", subnets: [] } },
      { type: "portmap" },
    ]);
  });

  it("gives bridges with the ranges of host-local", () => {
    const kindnet = `{"cniVersion":"0.4.0","name":"kindnet","plugins":[{"type":"bridge","bridge":"cni0","mtu":1400,"ipam":{"type":"host-local","subnet":"10.1.0.0/24","ranges":[[{"subnet":"10.244.1.0/24"}],[{"subnet":"fd00:10:244:1::/64"}]]}}]}`;
    expect(parseCniConflist(kindnet).value.plugins).toEqual([
      {
        type: "bridge",
        bridge: "cni0",
        mtu: 1400,
        ipam: { type: "host-local", subnets: ["10.1.0.0/24", "10.244.1.0/24", "fd00:10:244:1::/64"] },
      },
    ]);
  });

  it("reads a .conf, which is one plugin", () => {
    expect(parseCniConflist(`{"cniVersion":"0.2.0","name":"n","type":"bridge","hairpinMode":false}\n`)).toEqual({
      value: { name: "n", cniVersion: "0.2.0", plugins: [{ type: "bridge", hairpinMode: false }] },
      gaps: [],
    });
  });

  it("hands back plugins without a type and fields of a wrong one", () => {
    const { value, gaps } = parseCniConflist(
      `{"name":1,"plugins":[{"mtu":1},null,{"type":"bridge","mtu":"1500","bridge":"cni0"}]}`,
    );
    expect(value).toEqual({ plugins: [{ type: "bridge", bridge: "cni0" }] });
    expect(gaps.map((gap) => gap.pointer)).toEqual(["/name", "/plugins/0", "/plugins/1", "/plugins/2/mtu"]);
  });

  it("gives nothing of what is no JSON object", () => {
    for (const text of ["", "{", "[]", "null", FLANNEL.slice(0, -3)]) {
      expect(parseCniConflist(text)).toMatchObject({ value: { plugins: [] }, gaps: [{}] });
    }
    expect(parseCniConflist(`{"plugins":{}}`)).toEqual({
      value: { plugins: [] },
      gaps: [{ pointer: "/plugins", what: "expected an array" }],
    });
  });

  it("never throws", () => neverThrows(parseCniConflist, CALICO));
  it("never invents from a part", () => {
    for (let end = 0; end < FLANNEL.trimEnd().length; end++) {
      expect(parseCniConflist(FLANNEL.slice(0, end))).toMatchObject({ value: { plugins: [] }, gaps: [{}] });
    }
    truncationsAreHonest(parseCniConflist, `${CALICO}\n`, ({ plugins }) => plugins.map((plugin) => plugin.type));
  });
});
