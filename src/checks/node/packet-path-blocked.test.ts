import { expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addRules, probed } from "../../../testing/cluster-edits.ts";
import { diagnose } from "../../diagnose.ts";
import { packetPathBlocked } from "./packet-path-blocked.ts";

const healthy = cluster();
/** A Pod of w2, on a port that no check asks for. */
const address = "10.128.2.4:9100";
const tested = (result: string) => probed("client", "tcp", address, result);
const blocking = addRules("w2", "filter", "-A FORWARD -p tcp -m tcp --dport 9100 -j DROP");
const broken = healthy.edit(blocking).edit(tested("timeout"));

testCheck(packetPathBlocked, {
  finds: {
    "a rule that somebody made for one port": {
      given: broken,
      repair: "Node/w2",
      says: [`Packets to ${address} end on node w2: dropped by a rule`, "--dport 9100 -j DROP"],
      healedBy: () => healthy.edit(tested("ok")),
    },
  },
  clears: {
    "the rule harms nobody who was tested": healthy.edit(blocking),
    "the test succeeded": healthy.edit(tested("ok")),
  },
});

it("a rule that may or may not meet what failed is told of, where others that pass it came through", () => {
  const looking = addRules("w2", "filter", '[7:420] -A FORWARD -m string --string "GET /secret" --algo bm -j DROP');
  const given = healthy.edit(looking, probed("client", "tcp", "10.128.2.4:8080", "ok"), tested("timeout"));
  const { rootCauses, blindSpots } = diagnose(given.capture);
  expect(rootCauses).toEqual([]);
  const told = blindSpots.filter(({ matters }) => matters.length > 0).map(({ why }) => why.en);
  expect(told.join("\n")).toContain(
    'may be what drops them: filter: [7:420] -A FORWARD -m string --string "GET /secret"',
  );
});
