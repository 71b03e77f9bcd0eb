/**
 * Deletes that tools tell of in Events: the API server writes none itself, but those that deploy from Git do.
 *
 * Flux names each object that it prunes, `ClusterRole/cilium deleted` or `Role/kube-system/x deleted`, a line each
 * (fluxcd/pkg ssa: ChangeSetEntry.String). Argo CD says who pressed the button: `alice deleted resource
 * rbac.authorization.k8s.io/ClusterRole 'cilium'` (argo-cd server/application: EventReasonResourceDeleted).
 */
import type { Event } from "../../parse/objects.ts";
import { listOfKind, type Objects } from "../objects.ts";
import { ref } from "../ref.ts";
import type { Write } from "./writes.ts";

const PRUNED = /^\s*([A-Z]\w+)\/(?:([a-z0-9.-]+)\/)?([^\s/]+) deleted\s*$/gm;
const BY_HAND = /^(\S.*?) deleted resource [^\s/]*\/([A-Z]\w+) '([^']+)'/gm;

type Told = {
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly user?: string;
};

function toldBy(message: string): Told[] {
  const pruned = [...message.matchAll(PRUNED)].map(([, kind = "", namespace, name = ""]) => ({
    kind,
    namespace,
    name,
  }));
  const byHand = [...message.matchAll(BY_HAND)].map(([, user = "", kind = "", name = ""]) => ({ user, kind, name }));
  return [...pruned, ...byHand];
}

const lastOf = ({ series, lastTimestamp, eventTime, firstTimestamp, metadata }: Event): string | undefined =>
  series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? firstTimestamp ?? metadata.creationTimestamp ?? undefined;

/** As the audit log would tell of them. */
export function deletesInEvents(objects: Objects): readonly Write[] {
  return objects.all("events").flatMap((event) => {
    const at = lastOf(event);
    const { kind: of = "", namespace, name: byName } = event.involvedObject ?? {};
    const teller = [of, namespace, byName].filter(Boolean).join("/");
    if (at === undefined) return [];
    return toldBy(event.message ?? "").flatMap(({ kind, namespace: home, name, user }): Write[] => {
      const resource = listOfKind(kind);
      if (!resource) return [];
      const target = ref(kind, name, home);
      return [
        {
          ...{ line: 0, firstAt: at, at, count: 1, verb: "delete", apiGroup: "", resource, name, target },
          ...(home !== undefined && { namespace: home }),
          user: user ?? teller,
          ...(user !== undefined && { by: `${user} (${teller})` }),
          evidence: objects.quote(
            "events",
            event,
            `${teller}: ${(event.message ?? "").replace(/\s+/g, " ").slice(0, 160)}`,
          ),
        },
      ];
    });
  });
}
