/** What Helm's records say that it has installed: the very objects, of the newest deployed revisions. */
import type { Capture } from "../evidence/capture.ts";
import { known } from "../evidence/observed.ts";
import type { HelmRelease } from "../parse/kubernetes/helm-release.ts";
import { type Ref, ref, sameRef } from "./ref.ts";

type Installed = { readonly object: HelmRelease["objects"][number]; readonly release: HelmRelease };

export interface Releases {
  readonly all: readonly HelmRelease[];
  /** An object as Helm applied it, with the marks of its release; undefined if no record that was read holds it. */
  installed(object: Ref): Installed | undefined;
}

export function releasesOf(capture: Capture): Releases {
  const all = known(capture.get("helmReleases")) ?? [];
  return {
    all,
    installed(wanted) {
      for (const release of all) {
        const object = release.objects.find(({ kind, metadata: { name, namespace } }) =>
          sameRef(ref(kind, name, namespace), wanted),
        );
        if (object) return { object, release };
      }
      return undefined;
    },
  };
}
