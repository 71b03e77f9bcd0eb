/** Everything of the guard as files, for a person to read before anything is installed. */
import type { ClusterModel } from "../model/model.ts";
import { manifestYaml } from "../report/formats/commands.ts";
import { alertRules } from "./alerts.ts";
import { AUDIT_RULES, backupManifests, CRONTAB } from "./manifests.ts";
import { guardPolicies, type Manifest, type PolicyApi, policyApiOf } from "./policies.ts";
import { type ProtectedObject, protectedObjects } from "./protected.ts";

export type Guard = {
  readonly objects: readonly ProtectedObject[];
  /** The version of the API that has policies in this cluster; undefined: it is too old for them. */
  readonly api: PolicyApi | undefined;
  /** What `guard install` applies; none where the cluster is too old. */
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

type Options = {
  readonly image: string;
  readonly action: "deny" | "warn";
  readonly kubernetes?: string | undefined;
};

/**
 * @param image of netwhy, for the backup that runs inside the cluster
 * @param action *warn* to see for a while what would be refused
 * @param kubernetes the release that the API server says it is, `v1.32.5`
 */
export function guardOf(model: ClusterModel, { image, action, kubernetes }: Options): Guard {
  const objects = protectedObjects(model);
  const api = policyApiOf(kubernetes);
  const policies = api ? guardPolicies(objects, { exemptUsers: operatorUsers(model), action, api }) : [];
  const { rules, tests } = alertRules(objects);
  return {
    objects,
    api,
    policies,
    files: new Map([
      ...(policies.length > 0 ? [["policies.yaml", yaml(...policies)] as const] : []),
      ["alerts.yaml", yaml(rules)],
      ["alerts.test.yaml", yaml(tests)],
      ["audit-policy.yaml", yaml(AUDIT_RULES)],
      ["backup-cronjob.yaml", yaml(...backupManifests(image))],
      ["netwhy.cron", CRONTAB],
    ]),
  };
}
