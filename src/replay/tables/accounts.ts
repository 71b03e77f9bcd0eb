/** Who may do what. */
import { age, type Maybe, type Metadata, type Printer, printer } from "./printer.ts";

type Subject = { readonly kind: string; readonly name: string; readonly namespace?: Maybe<string> };
type Binding = {
  readonly metadata: Metadata;
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: Maybe<readonly Subject[]>;
};

const bindings = printer<Binding>(
  "Name, Role, Age, Users^, Groups^, ServiceAccounts^",
  ({ metadata, roleRef, subjects }, now) => {
    const of = (kind: string) => (subjects ?? []).filter((subject) => subject.kind === kind);
    const names = (kind: string) => of(kind).map(({ name }) => name);
    return [
      metadata.name,
      `${roleRef?.kind}/${roleRef?.name}`,
      age(metadata, now),
      names("User").join(", "),
      names("Group").join(", "),
      of("ServiceAccount")
        .map(({ namespace, name }) => `${namespace ?? ""}/${name}`)
        .join(", "),
    ];
  },
);

export const accountPrinters: Readonly<Record<string, Printer>> = {
  "rbac.authorization.k8s.io/rolebindings": bindings,
  "rbac.authorization.k8s.io/clusterrolebindings": bindings,
  "/serviceaccounts": printer<{ metadata: Metadata; secrets?: Maybe<readonly unknown[]> }>(
    "Name, Secrets, Age",
    ({ metadata, secrets }, now) => [metadata.name, secrets?.length ?? 0, age(metadata, now)],
  ),
};
