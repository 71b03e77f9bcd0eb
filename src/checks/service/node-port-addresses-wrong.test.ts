import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { dropRules, type Edit, editConfig, probed } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import { nodePortAddressesWrong } from "./node-port-addresses-wrong.ts";

const servedAt = (ranges: string): Edit =>
  editConfig("kube-proxy", "config.conf", (text) => `${text}\nnodePortAddresses: ${ranges}\n`);
const CONFIG = "ConfigMap/kube-system/kube-proxy";
const dual = cluster({ families: "dual-stack" });
const healedBy = () => cluster();

testCheck(nodePortAddressesWrong, {
  finds: {
    "the nodes have moved to other addresses": {
      given: cluster().edit(servedAt('["192.168.0.0/16"]')),
      repair: CONFIG,
      says: ["serve NodePorts at 192.168.0.0/16 only (nodePortAddresses), and no node has an address there"],
      breaks: ["service.rules"],
      strength: "direct",
      healedBy,
    },
    "with nftables": {
      given: cluster({ proxy: "nftables" }).edit(servedAt('["192.168.0.0/16"]')),
      repair: CONFIG,
      healedBy: () => cluster({ proxy: "nftables" }),
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "they are served at the nodes' addresses": cluster().edit(servedAt('["172.16.0.0/16"]')),
    "they are served on one node, on purpose": cluster().edit(servedAt('["172.16.0.2/32"]')),
    "they are served on the nodes themselves only": cluster().edit(servedAt('["127.0.0.0/8"]')),
    "at the address by which each node is known": cluster().edit(servedAt('["primary"]')),
    "ranges of the other family do not count": cluster().edit(servedAt('["fd00:172:16::/64"]')),
    "dual stack": dual.edit(servedAt('["172.16.0.0/16", "fd00:172:16::/64"]')),
  },
});

it("owns the tests of node ports", () => {
  const built = cluster();
  const { nodePort } = built.model().services.get("shop", "frontend")!.ports[0]!;
  const given = built.edit(
    servedAt('["192.168.0.0/16"]'),
    ...["cp1", "w1", "w2"].map((node) => dropRules(node, /-j KUBE-NODEPORTS/)),
    probed("client", "tcp", `172.16.0.2:${nodePort}`, "refused"),
    probed("client", "tcp", `172.16.0.1:${nodePort}`, "refused"),
  );
  const { rootCauses, unexplained } = diagnose(given.capture);
  expect(rootCauses.map(({ id }) => id)).toEqual([`node-port-addresses-wrong/${CONFIG}`]);
  expect(unexplained).toEqual([]);
});
