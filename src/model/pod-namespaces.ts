/** The network namespaces of Pods: their devices and routes. */
import type { Capture } from "../evidence/capture.ts";
import type { Observed } from "../evidence/observed.ts";
import type { Link } from "../parse/iproute2/addr.ts";
import type { Route } from "../parse/iproute2/route.ts";
import type { PodView } from "./pods.ts";

export type PodNamespace = {
  readonly links: Observed<readonly Link[]>;
  /** Of IPv4, and of IPv6: they are gathered apart. */
  readonly routes: Observed<readonly Route[]>;
  readonly routes6: Observed<readonly Route[]>;
};

export interface PodNamespaces {
  /** Of a Pod that is not on the host network. */
  of(pod: PodView): PodNamespace;
}

export function podNamespacesOf(capture: Capture): PodNamespaces {
  const all = new WeakMap<PodView, PodNamespace>();
  return {
    of(pod) {
      const known = all.get(pod);
      if (known) return known;
      const place = { node: pod.node ?? "", namespace: pod.namespace, pod: pod.name };
      const own = {
        links: capture.get("podLinks", place),
        routes: capture.get("podRoutes", place),
        routes6: capture.get("podRoutes6", place),
      };
      all.set(pod, own);
      return own;
    },
  };
}
