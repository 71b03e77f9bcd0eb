import { testCheck } from "../../../testing/check-stories.ts";
import { cluster } from "../../../testing/cluster.ts";
import { addObjects, probed } from "../../../testing/cluster-edits.ts";
import { externalNameBroken } from "./external-name-broken.ts";

const alias = (name: string, externalName: string) => ({
  metadata: { name, namespace: "shop" },
  spec: { type: "ExternalName", externalName },
});
const given = (...all: readonly (readonly [name: string, to: string])[]) =>
  cluster().edit(addObjects("services", ...all.map(([name, to]) => alias(name, to))));
const healedBy = () => cluster();
const breaks = ["service.address"] as const;

testCheck(externalNameBroken, {
  finds: {
    "two stand for each other": {
      given: given(["alpha", "beta.shop.svc.cluster.local"], ["beta", "Alpha.shop.svc.cluster.local."]),
      repair: "Service/shop/alpha",
      says: ["The names of Services shop/alpha, shop/beta stand for each other in a circle"],
      breaks,
      strength: "direct",
      healedBy,
    },
    "one stands for itself": {
      given: given(["alpha", "alpha.shop.svc.cluster.local"]),
      repair: "Service/shop/alpha",
      says: ["The name of Service shop/alpha stands for itself"],
      healedBy,
    },
    "an address in place of a name": {
      given: given(["alpha", "203.0.113.80"]),
      repair: "Service/shop/alpha",
      says: ["“203.0.113.80” is looked up as a name"],
      healedBy,
    },
    "it stands for a Service that is gone, and is asked for": {
      given: given(["alpha", "old.shop.svc.cluster.local"]).edit(
        probed("client", "dns", "alpha.shop.svc.cluster.local", "nxdomain"),
      ),
      repair: "Service/shop/alpha",
      says: ["stands for old.shop.svc.cluster.local, and there is no such Service"],
      healedBy,
    },
  },
  clears: {
    "a healthy cluster": cluster(),
    "another Service of the cluster": given(["alpha", "backend.shop.svc.cluster.local"]),
    "a chain that ends": given(["alpha", "beta.shop.svc.cluster.local"], ["beta", "www.corp.example"]),
    "an end point of a Service": given(["alpha", "db-0.db.data.svc.cluster.local"]),
  },
  warns: {
    "it stands for a Service that is gone, and nobody asks for it": {
      given: given(["alpha", "old.shop.svc.cluster.local"]),
      repair: "Service/shop/alpha",
      says: ["there is no such Service"],
    },
  },
  cannotTell: {
    "service.address": { "the list of Services was not collected": cluster().without("services") },
  },
});
