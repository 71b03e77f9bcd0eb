/** What the controller of aggregated ClusterRoles would write (pkg/controller/clusterroleaggregation). */
import type { PolicyRule, Role } from "../parse/objects.ts";
import { selects } from "./labels.ts";

/** The rules of all ClusterRoles that a role collects from, by names, each once. */
function collected({ metadata, aggregationRule }: Role, all: readonly Role[]): PolicyRule[] {
  const parts = all
    .filter((one) => one.metadata.name !== metadata.name)
    .filter((one) =>
      (aggregationRule?.clusterRoleSelectors ?? []).some((selector) => selects(selector, one.metadata.labels)),
    )
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules = parts.flatMap(({ rules: own }) => own ?? []);
  return [...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values()];
}

/** ClusterRoles after changes: those that collect rules have others where what they collect from is otherwise now. */
export function aggregated(before: readonly Role[], after: readonly Role[]): readonly Role[] {
  // a part may itself be collected
  let [old, now] = [before, after];
  for (let depth = 0; depth < 3; depth++) {
    const settled = now.map((role) => {
      if (!role.aggregationRule) return role;
      const rules = collected(role, now);
      return JSON.stringify(rules) === JSON.stringify(collected(role, old)) ? role : { ...role, rules };
    });
    if (settled.every((role, at) => role === now[at])) return now;
    [old, now] = [now, settled];
  }
  return now;
}
