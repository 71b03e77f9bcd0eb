/** The baseline of a component that netwhy does not know, from the description of those who run it. */
import type { ComponentDescription } from "../../parse/component-file.ts";
import { texts } from "../../text.ts";
import type { ComponentDefinition, Duty } from "../components/definitions.ts";
import type { Account } from "../rbac.ts";
import { ref } from "../ref.ts";
import type { Baseline, Consequence, GrantOf, Loss } from "./baseline.ts";
import { without } from "./baseline.ts";
import { LOSS } from "./consequences.ts";

const say = texts("permission/described", {
  unsaid: {
    en: "what it needs this for is not described",
    zh: "描述中没有说明该权限的用途",
  },
});

/** What whoever has this duty needs to read, whatever it is called. */
const OF_DUTY: { readonly [D in Duty]?: readonly Loss[] } = {
  "service-proxy": [without("get list watch", "services endpoints endpointslices", LOSS.servicesFreeze)],
  cni: [without("get list watch", "nodes", LOSS.nodesFreeze)],
  policy: [without("get list watch", "networkpolicies namespaces pods", LOSS.policiesFreeze)],
};

const UNSAID: Consequence = { says: say.unsaid(), breaks: [] };

type Described = ComponentDescription["roles"][number];
type DescribedRule = Described["rules"][number];

function consequenceOf({ en = "", zh = en, breaks = [] }: NonNullable<DescribedRule["without"]>): Consequence {
  // one language stands for both where the other was not written
  const says = { en: en || zh, zh };
  return { says: { id: "permission/described/says", args: says, ...says }, breaks };
}

/** What follows where a rule is missing; the first entry that fits counts, and one of paths fits every resource. */
function lossesOf({ duties, roles }: ComponentDescription): Loss[] {
  const all = roles.flatMap(({ name, rules }) =>
    rules.map(({ verbs, resources, apiGroups, without: said }) => ({
      isSaid: said !== undefined,
      of: [name],
      verbs,
      ...(resources && { resources }),
      ...(apiGroups && { apiGroups }),
      consequence: said ? consequenceOf(said) : UNSAID,
    })),
  );
  const ofResources = all.filter(({ resources }) => resources !== undefined);
  return [
    ...ofResources.filter(({ isSaid }) => isSaid),
    ...duties.flatMap((duty) => OF_DUTY[duty] ?? []),
    ...ofResources,
    ...all,
    without("*", "*", UNSAID),
  ];
}

function grantOf({ kind, name, namespace, binding, rules }: Described, account: Account): GrantOf {
  const where = binding?.namespace ?? namespace;
  const bound = ref(where === undefined ? "ClusterRoleBinding" : "RoleBinding", binding?.name ?? name, where);
  return {
    role: ref(kind, name, namespace),
    rules: rules.map(({ without: _, ...rule }) => ({ rule })),
    to: [{ ref: bound, subjects: [{ kind: "ServiceAccount", ...account }] }],
  };
}

/** @param account the ServiceAccount of what runs: descriptions do not name it */
export function describedBaseline(
  { file, by }: NonNullable<ComponentDefinition["described"]>,
  account: Account,
): Baseline {
  return {
    id: `described/${by.name}`,
    releasesOf: "image",
    isDescribed: true,
    variants: [{ id: file }],
    grants: by.roles.map((role) => grantOf(role, account)),
    losses: lossesOf(by),
  };
}
