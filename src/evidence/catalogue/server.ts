/** Of the API server itself. */
import { parseClusterFile, parseVersionFile } from "../../parse/cluster-file.ts";
import { parseTextLines } from "../../parse/text-lines.ts";
import type { Template } from "../../text.ts";
import type { Kind } from "../kind.ts";
import { clusterWide, unread } from "./shapes.ts";

function discovery(root: "api" | "apis", hides: Template): Kind<readonly never[]> {
  return {
    path: `${root}.json`,
    how: { get: `/${root}` },
    open: unread,
    empty: "tells-nothing",
    hides,
    sensitivity: "plain",
    cost: "small",
  };
}

export const ofServer = {
  cluster: clusterWide("cluster.json", "written by the collector", parseClusterFile, {
    en: "when the evidence was taken",
    zh: "证据的采集时间",
  }),
  version: clusterWide("version.json", "GET /version", parseVersionFile, {
    en: "the version of Kubernetes",
    zh: "Kubernetes 版本",
  }),
  readyz: clusterWide("readyz.txt", "GET /readyz?verbose", parseTextLines, {
    en: "whether the API server was ready",
    zh: "API Server 是否就绪",
  }),
  // told only where it could not be had
  coreDiscovery: discovery("api", {
    en: "which resources of Kubernetes' core the API server serves",
    zh: "API Server 提供哪些核心资源",
  }),
  groupDiscovery: discovery("apis", {
    en: "which other APIs the server serves, and in which versions",
    zh: "API Server 还提供哪些 API 及其版本",
  }),
} satisfies Record<string, Kind<unknown>>;
