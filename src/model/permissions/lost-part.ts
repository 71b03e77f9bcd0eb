/** Roles that collect their rules from others (pkg/controller/clusterroleaggregation), and lack those of one. */
import type { PolicyRule } from "../../parse/objects.ts";
import { selects } from "../labels.ts";
import type { Objects } from "../objects.ts";
import { type Rbac, ruleAllows, type Want } from "../rbac.ts";
import { type Ref, ref } from "../ref.ts";
import { isBootstrapObject } from "./baselines.ts";

type Parts = { readonly objects: Objects; readonly rbac: Rbac };

/** What allows everything was made for somebody else. */
const isWild = ({ verbs, resources }: PolicyRule): boolean => [...(verbs ?? []), ...(resources ?? [])].includes("*");

/** The part that holds what is denied and is not collected: it has lost its label. */
export function lostPart(role: Ref, denied: readonly Want[], { objects, rbac }: Parts): Ref | undefined {
  const found = role.kind === "ClusterRole" ? objects.find("clusterroles", role.name) : undefined;
  const selectors = (found?.state === "present" && found.value.aggregationRule?.clusterRoleSelectors) || [];
  const [part, ...others] =
    selectors.length === 0
      ? []
      : objects.all("clusterroles").filter(({ metadata, rules, ...one }) => {
          const self = ref("ClusterRole", metadata.name);
          return (
            !one.aggregationRule &&
            !isBootstrapObject(self) &&
            rbac.bindingsTo(self).length === 0 &&
            !selectors.some((selector) => selects(selector, metadata.labels)) &&
            !(rules ?? []).some(isWild) &&
            denied.every((want) => rules?.some((rule) => ruleAllows(rule, want)))
          );
        });
  return part && others.length === 0 ? ref("ClusterRole", part.metadata.name) : undefined;
}
