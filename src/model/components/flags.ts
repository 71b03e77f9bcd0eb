/** What the programs of the control plane were started with. */
import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { Ref } from "../ref.ts";
import type { Components } from "./components.ts";

export type Flag = { readonly value: string; readonly evidence: Evidence; readonly source: Ref };

/** `--name=value` of a control-plane component, out of its Pods. */
export function flag(components: Components, id: string, name: string): Flag[] {
  return components.byId(id).flatMap((component) =>
    component.pods.flatMap((pod) =>
      pod.object.spec.containers.flatMap(({ command, args }) =>
        [...(command ?? []), ...(args ?? [])]
          .filter((word) => word.startsWith(`--${name}=`))
          .map((word) => ({
            value: word.slice(name.length + 3),
            source: pod.ref,
            evidence: quoteOf({ kind: "api", path: "api/v1/pods.json" }, `${pod.key}: ${word}`),
          })),
      ),
    ),
  );
}
