/** Everything of the guard as files, for a person to read before anything is installed. */
import type { ClusterModel } from "../model/model.ts";
import { manifestYaml } from "../report/formats/commands.ts";
import { alertRules } from "./alerts.ts";
import { AUDIT_RULES, backupManifests, CRONTAB } from "./manifests.ts";
import { guardPolicies, type Manifest } from "./policies.ts";
import { type ProtectedObject, protectedObjects } from "./protected.ts";

export type Guard = {
  readonly objects: readonly ProtectedObject[];
  /** What `guard install` applies. */
  readonly policies: readonly Manifest[];
  /** By name. */
  readonly files: ReadonlyMap<string, string>;
};

/** Operators that remove what they made themselves, and have to be let. */
function operatorUsers({ components }: ClusterModel): string[] {
  return components
    .byId("tigera-operator")
    .flatMap(({ account }) => (account ? [`system:serviceaccount:${account.namespace}:${account.name}`] : []));
}

const yaml = (...objects: readonly object[]): string =>
  `${objects.map((object) => manifestYaml(object as Readonly<Record<string, unknown>>)).join("\n---\n")}\n`;

/**
 * @param image of netwhy, for the backup that runs inside the cluster
 * @param action *warn* to see for a while what would be refused
 */
export function guardOf(model: ClusterModel, { image, action }: { image: string; action: "deny" | "warn" }): Guard {
  const objects = protectedObjects(model);
  const policies = guardPolicies(objects, { exemptUsers: operatorUsers(model), action });
  const { rules, tests } = alertRules(objects);
  return {
    objects,
    policies,
    files: new Map([
      ["policies.yaml", yaml(...policies)],
      ["alerts.yaml", yaml(rules)],
      ["alerts.test.yaml", yaml(tests)],
      ["audit-policy.yaml", yaml(AUDIT_RULES)],
      ["backup-cronjob.yaml", yaml(...backupManifests(image))],
      ["netwhy.cron", CRONTAB],
    ]),
  };
}
