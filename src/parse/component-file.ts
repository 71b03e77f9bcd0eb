/**
 * components/*.yaml: components that netwhy does not know, described by those who run them, one a YAML document (or JSON):
 *
 *   name: acme-agent
 *   image: acme/net-agent                  repository, or its last parts; `*` is anything but a slash
 *   workload: {kind: DaemonSet, namespace: acme-system, name: acme-agent}     optional: only this one
 *   duties: [cni, policy]
 *   roles:
 *     - kind: ClusterRole                  or Role, with a namespace
 *       name: acme-agent
 *       binding: {name: acme-agent}        optional: named as the role; with a namespace, it is a RoleBinding
 *       rules:                             as in RBAC, each with what goes wrong without it
 *         - {apiGroups: [""], resources: [nodes], verbs: [list, watch],
 *            without: {en: …, zh: …, breaks: [nodes]}}
 *
 * They come from strangers too: there are no regular expressions in them, aliases are refused, and everything has a limit.
 */
import { z } from "zod";
import { documentsOf } from "./kubernetes/manifests.ts";
import type { Gap, Parser } from "./parsed.ts";

const words = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u, "expected one line of text");
const name = z
  .string()
  .max(253)
  .regex(/^[\w.:-]+$/, "expected a name of Kubernetes");

const image = z
  .string()
  .max(255)
  .regex(/^[\w.:*/-]+$/, "expected a repository, with * for anything but a slash")
  .refine((text) => !/:[^/]*$/.test(text), "expected a repository, without tag or digest")
  .refine((text) => /\w[^/]*$/.test(text), "expected more than * at the end: it would be every image");

const workload = z.strictObject({ kind: z.enum(["DaemonSet", "Deployment", "StatefulSet"]), namespace: name, name });

const consequence = z
  .strictObject({
    en: words.optional(),
    zh: words.optional(),
    breaks: z
      .array(z.enum(["services", "nodes", "pods", "policies", "names", "endpoints", "start"]))
      .max(7)
      .optional(),
  })
  .refine(({ en, zh }) => en !== undefined || zh !== undefined, "expected en, zh or both");

const list = z.array(words).min(1).max(50);

/** As many requests as one rule may stand for: each is asked by itself. */
const MOST_REQUESTS = 2000;

const rule = z
  .strictObject({
    apiGroups: z.array(z.string().max(253)).min(1).max(50).optional(),
    resources: list.optional(),
    resourceNames: list.optional(),
    nonResourceURLs: list.optional(),
    verbs: list,
    without: consequence.optional(),
  })
  .refine(
    ({ apiGroups, resources, nonResourceURLs }) =>
      nonResourceURLs ? !apiGroups && !resources : apiGroups !== undefined && resources !== undefined,
    "expected apiGroups and resources, or nonResourceURLs",
  )
  .refine(
    (one) =>
      [one.apiGroups, one.resources, one.resourceNames, one.nonResourceURLs, one.verbs].reduce(
        (product, all) => product * (all?.length ?? 1),
        1,
      ) <= MOST_REQUESTS,
    `stands for more than ${MOST_REQUESTS} requests`,
  );

const role = z
  .strictObject({
    kind: z.enum(["ClusterRole", "Role"]),
    namespace: name.optional(),
    name,
    binding: z.strictObject({ name, namespace: name.optional() }).optional(),
    rules: z.array(rule).min(1).max(100),
  })
  .refine(({ kind, namespace }) => (kind === "Role") === (namespace !== undefined), {
    path: ["namespace"],
    error: "expected of a Role, and of no ClusterRole",
  })
  .refine(({ namespace, binding }) => namespace === undefined || (binding?.namespace ?? namespace) === namespace, {
    path: ["binding", "namespace"],
    error: "expected the namespace of the Role",
  });

const description = z.strictObject({
  name: words.max(63),
  image,
  workload: workload.optional(),
  duties: z
    .array(
      z.enum(["service-proxy", "cni", "policy", "cluster-dns", "node-dns", "endpoints", "operator", "control-plane"]),
    )
    .max(8),
  roles: z.array(role).min(1).max(50),
});

export type ComponentDescription = z.infer<typeof description>;

const MOST_COMPONENTS = 50;
const LARGEST_FILE = 1 << 20;
const MOST_GAPS = 5;

/** `roles[0].rules[1].verbs` */
const fieldOf = (path: readonly PropertyKey[]): string =>
  path.map((key, at) => (typeof key === "number" ? `[${key}]` : `${at > 0 ? "." : ""}${String(key)}`)).join("");

/** A component of which something makes no sense is left out: half of a description would be another one. */
export const parseComponentFile: Parser<readonly ComponentDescription[]> = (text) => {
  if (text.length > LARGEST_FILE) return { value: [], gaps: [{ what: `larger than ${LARGEST_FILE} characters` }] };
  const { documents, gaps: unreadable } = documentsOf(text);
  const value: ComponentDescription[] = [];
  const gaps: Gap[] = [...unreadable];
  const described = documents.filter((document) => document !== null && document !== undefined);
  if (described.length === 0 && gaps.length === 0) gaps.push({ what: "describes no component" });
  if (described.length > MOST_COMPONENTS) gaps.push({ what: `describes more than ${MOST_COMPONENTS} components` });
  for (const [index, document] of described.slice(0, MOST_COMPONENTS).entries()) {
    const read = description.safeParse(document);
    if (read.success) {
      value.push(read.data);
      continue;
    }
    const place = described.length > 1 ? `document ${index + 1}: ` : "";
    for (const { path, message } of read.error.issues.slice(0, MOST_GAPS)) {
      const field = fieldOf(path);
      gaps.push({ what: `${place}${field === "" ? "" : `${field}: `}${message}`.slice(0, 300) });
    }
  }
  return { value, gaps };
};
