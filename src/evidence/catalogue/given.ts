/** What comes from elsewhere than the cluster, or is put together of it. */

import { type ComponentDescription, parseComponentFile } from "../../parse/component-file.ts";
import { type HelmRelease, parseHelmReleases } from "../../parse/kubernetes/helm-release.ts";
import { type AuditLog, auditLogReader } from "../../parse/logs/audit.ts";
import { parseManifest } from "../../parse/manifest.ts";
import { type PacketCapture, parsePacketCaptures } from "../../parse/packet-capture.ts";
import { parseProbes } from "../../parse/probes.ts";
import { HELM_RELEASES } from "../helm-releases.ts";
import { type Kind, parsedBy } from "../kind.ts";
import { clusterWide } from "./shapes.ts";

export const given = {
  helmReleases: {
    path: HELM_RELEASES,
    how: { other: "`netwhy collect --helm`: the permissions and agents in Helm's records; no Secret is kept" },
    open: parsedBy(parseHelmReleases),
    empty: "nothing-there",
    hides: {
      en: "what Helm installed, from which deleted permissions can be restored",
      zh: "Helm 安装了什么（可据此恢复被删除的权限）",
    },
    sensitivity: "names",
    cost: "medium",
  } satisfies Kind<readonly HelmRelease[]>,
  auditLog: {
    path: "audit/{file}",
    how: { other: "the audit log of kube-apiserver (--audit-log-path)" },
    open: auditLogReader,
    empty: "nothing-there",
    hides: {
      en: "who changed or deleted what, when, and with which selector",
      zh: "谁在何时、用什么选择器修改或删除了什么",
    },
    sensitivity: "names",
    cost: "large",
  } satisfies Kind<AuditLog>,
  components: {
    path: "components/{file}.yaml",
    how: { other: "written by those who run the component (`--component`)" },
    open: parsedBy(parseComponentFile),
    empty: "tells-nothing",
    hides: {
      en: "what components need that netwhy does not know by itself",
      zh: "netwhy 未内置的组件需要哪些权限",
    },
    sensitivity: "names",
    cost: "small",
  } satisfies Kind<readonly ComponentDescription[]>,
  packetCapture: {
    path: "captures/{file}",
    how: { other: "the tcpdump commands that a report prints for both ends of a failure" },
    open: parsedBy(parsePacketCaptures),
    empty: "tells-nothing",
    hides: {
      en: "where packets were last seen on their way",
      zh: "报文在途中最后出现在哪里",
    },
    sensitivity: "may-hold-secrets",
    cost: "small",
  } satisfies Kind<readonly PacketCapture[]>,
  manifest: clusterWide("manifest.jsonl", "written by the collector", parseManifest, {
    en: "which evidence was asked for and arrived whole",
    zh: "采集了哪些证据、是否完整",
  }),
  probes: clusterWide("probes.jsonl", "netwhy probe", parseProbes, {
    en: "which connections work and which fail",
    zh: "哪些连接正常、哪些失败",
  }),
} satisfies Record<string, Kind<unknown>>;
