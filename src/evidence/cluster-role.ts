/** The least that netwhy needs, as a manifest for who grants it: manifests/cluster-role.yaml is this text. */
import { catalogue } from "./catalogue.ts";
import { DEBUG_POD_RULES, listedResources, NODE_RULES, type Rule, readingRules } from "./rights.ts";

const words = (list: readonly string[]) => `[${list.map((word) => JSON.stringify(word)).join(", ")}]`;

const ruleLines = ({ apiGroups, resources, nonResourceURLs, verbs }: Rule): string[] => [
  ...(nonResourceURLs
    ? [`  - nonResourceURLs: ${words(nonResourceURLs)}`]
    : [`  - apiGroups: ${words(apiGroups ?? [])}`]),
  ...(resources ? [`    resources: ${words(resources)}`] : []),
  `    verbs: ${words(verbs)}`,
];

/** Each list with what nobody can tell without it, so that who grants it knows what for. */
function readingLines(): string[] {
  const groups = listedResources();
  return readingRules().flatMap((rule) => {
    const listed = rule.verbs.includes("list") ? groups.get(rule.apiGroups?.[0] ?? "") : undefined;
    if (!listed) return ruleLines(rule);
    return [
      `  - apiGroups: ${words(rule.apiGroups ?? [])}`,
      "    resources:",
      ...listed.map(({ resource, kind }) => `      - ${resource} # ${catalogue[kind].hides.en}`),
      `    verbs: ${words(rule.verbs)}`,
    ];
  });
}

const role = (name: string, comments: readonly string[], rules: readonly string[]): string[] => [
  ...comments.map((comment) => `# ${comment}`),
  "apiVersion: rbac.authorization.k8s.io/v1",
  "kind: ClusterRole",
  `metadata: { name: ${name} }`,
  "rules:",
  ...rules,
];

export function clusterRoleYaml(): string {
  const documents = [
    role(
      "netwhy",
      [
        "Made from src/evidence/catalogue.ts by tools/generate.ts: never edited. `netwhy collect --print-cluster-role` prints it.",
        "",
        "What `netwhy diagnose` and `netwhy collect` read of the API server: lists and logs. It changes nothing and reads no",
        "Secrets. To grant it to a person:",
        "  kubectl create clusterrolebinding netwhy --clusterrole=netwhy --user=NAME",
        "Whatever is left out is told in the report as what could not be seen.",
      ],
      readingLines(),
    ),
    role(
      "netwhy-nodes",
      [
        "To look into nodes as well, by exec in the agents that run there and by their kubelets, and to read what kubelets and",
        "kube-proxy (nodes/proxy) and CoreDNS (pods/proxy) count. This is far stronger than it looks: who may exec in kube-proxy is root on its node, and by",
        "nodes/proxy in every Pod. Bind it in the namespaces of the agents alone where you can (kubectl create rolebinding -n",
        "kube-system …), or install netwhy's own agent, which shows the same of nodes and lets nobody run anything:",
        "`netwhy agent`.",
      ],
      NODE_RULES.flatMap(ruleLines),
    ),
    role(
      "netwhy-debug-pods",
      [
        "For --debug-pods, beside netwhy-nodes: privileged Pods in kube-system, removed when they have been read.",
        "  kubectl create clusterrolebinding netwhy-debug-pods --clusterrole=netwhy-debug-pods --user=NAME",
      ],
      DEBUG_POD_RULES.flatMap(ruleLines),
    ),
  ];
  return `${documents.map((lines) => lines.join("\n").replaceAll(/ +$/gm, "")).join("\n---\n")}\n`;
}
