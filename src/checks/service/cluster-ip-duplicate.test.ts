import { describe, expect, it } from "vitest";
import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addObjects, type Edit } from "../../../testing/cluster-edits.ts";
import { service } from "../../../testing/cluster-objects.ts";
import { ago, created } from "../../../testing/object-states.ts";
import { diagnose } from "../../diagnose.ts";
import { ref } from "../../model/ref.ts";
import { clusterIpDuplicate } from "./cluster-ip-duplicate.ts";

/** A younger Service with the address of shop/backend. */
const second = (port: number, clusterIP = "10.96.10.1"): Edit =>
  addObjects(
    "services",
    created(ago(500))(
      service("search", "shop", { clusterIP, selector: { app: "frontend" }, ports: [{ name: "http", port }] }),
    ),
  );

testCheck(clusterIpDuplicate, {
  finds: {
    "etcd was restored, and an address was given out again": {
      given: cluster().edit(second(8080)),
      repair: "Service/shop/search",
      says: ["Services shop/backend and shop/search have one and the same cluster IP, 10.96.10.1", "port 8080"],
      breaks: ["service.address"],
      strength: "direct",
      healedBy: () => cluster().edit(second(8080, "10.96.20.30")),
    },
  },
  warns: {
    "they have no port in common": {
      given: cluster().edit(second(9090)),
      repair: "Service/shop/search",
      says: ["with different ports"],
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "both families": cluster({ families: "dual-stack" }),
  },
  cannotTell: {
    "service.address": { "we may not list Services": cluster().without("services") },
  },
});

describe("two Services with one cluster IP", () => {
  it("are the one root of the rules that deliver to the other's Pods", () => {
    const component = ref("DaemonSet", "kube-proxy", "kube-system");
    const followed = cluster().edit(second(8080)).with({ do: "restart", component });
    const { rootCauses } = diagnose(followed.capture);
    expect(rootCauses.map(({ id }) => id)).toEqual(["cluster-ip-duplicate/Service/shop/search"]);
  });
});
