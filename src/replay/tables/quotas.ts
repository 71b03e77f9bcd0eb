/** How many there may be: quotas, budgets, autoscalers. */
import { age, type Dict, type Maybe, type Metadata, NONE, type Printer, printer, UNKNOWN } from "./printer.ts";

type Target = {
  readonly averageValue?: Maybe<string>;
  readonly value?: Maybe<string>;
  readonly averageUtilization?: Maybe<number>;
};
type MetricSource = { readonly name?: string; readonly target?: Target; readonly current?: Target };
type Metric = {
  readonly type: string;
  readonly external?: MetricSource;
  readonly pods?: MetricSource;
  readonly object?: MetricSource;
  readonly resource?: MetricSource;
  readonly containerResource?: MetricSource;
};

const sourceOf = ({ type, ...sources }: Metric): MetricSource | undefined =>
  ({
    External: sources.external,
    Pods: sources.pods,
    Object: sources.object,
    Resource: sources.resource,
    ContainerResource: sources.containerResource,
  })[type];

function metricText(metric: Metric, status: Metric | undefined): string {
  const source = sourceOf(metric);
  if (!source) return "<unknown type>";
  const { name, target } = source;
  const current = status && sourceOf(status)?.current;
  if (metric.type === "Resource" || metric.type === "ContainerResource") {
    if (target?.averageValue) return `${name}: ${current?.averageValue ?? UNKNOWN}/${target.averageValue}`;
    const percent = (value: Maybe<number>, otherwise: string) =>
      value === null || value === undefined ? otherwise : `${value}%`;
    return `${name}: ${percent(current?.averageUtilization, UNKNOWN)}/${percent(target?.averageUtilization, "<auto>")}`;
  }
  if (metric.type === "Pods") return `${current?.averageValue ?? UNKNOWN}/${target?.averageValue}`;
  if (target?.averageValue) return `${current?.averageValue ?? UNKNOWN}/${target.averageValue} (avg)`;
  return `${current?.value ?? UNKNOWN}/${target?.value}`;
}

function metricsText(metrics: Maybe<readonly Metric[]>, current: Maybe<readonly Metric[]>): string {
  if (!metrics || metrics.length === 0) return NONE;
  const texts = metrics.map((metric, index) => metricText(metric, current?.[index]));
  return texts.length > 2 ? `${texts.slice(0, 2).join(", ")} + ${texts.length - 2} more...` : texts.join(", ");
}

type Autoscaler = {
  readonly metadata: Metadata;
  readonly spec?: {
    readonly scaleTargetRef?: { readonly kind?: string; readonly name?: string };
    readonly minReplicas?: Maybe<number>;
    readonly maxReplicas?: number;
    readonly metrics?: Maybe<readonly Metric[]>;
  };
  readonly status?: Maybe<{
    readonly currentReplicas?: Maybe<number>;
    readonly currentMetrics?: Maybe<readonly Metric[]>;
  }>;
};

export const quotaPrinters: Readonly<Record<string, Printer>> = {
  "autoscaling/horizontalpodautoscalers": printer<Autoscaler>(
    "Name, Reference, Targets, MinPods, MaxPods, Replicas, Age",
    ({ metadata, spec, status }, now) => [
      metadata.name,
      `${spec?.scaleTargetRef?.kind}/${spec?.scaleTargetRef?.name}`,
      metricsText(spec?.metrics, status?.currentMetrics),
      spec?.minReplicas === null || spec?.minReplicas === undefined ? "<unset>" : String(spec.minReplicas),
      spec?.maxReplicas ?? 0,
      status?.currentReplicas ?? 0,
      age(metadata, now),
    ],
  ),
  "policy/poddisruptionbudgets": printer<{
    metadata: Metadata;
    spec?: { minAvailable?: Maybe<number | string>; maxUnavailable?: Maybe<number | string> };
    status?: Maybe<{ disruptionsAllowed?: number }>;
  }>("Name, Min Available, Max Unavailable, Allowed Disruptions#, Age", ({ metadata, spec, status }, now) => [
    metadata.name,
    String(spec?.minAvailable ?? "N/A"),
    String(spec?.maxUnavailable ?? "N/A"),
    status?.disruptionsAllowed ?? 0,
    age(metadata, now),
  ]),
  "/resourcequotas": printer<{ metadata: Metadata; status?: Maybe<{ hard?: Dict; used?: Dict }> }>(
    "Name, Request, Limit, Age",
    ({ metadata, status }, now) => {
      const names = Object.keys(status?.hard ?? {}).sort();
      const text = (among: readonly string[]) =>
        among.map((name) => `${name}: ${status?.used?.[name] ?? "0"}/${status?.hard?.[name]}`).join(", ");
      const isLimit = (name: string) => name.startsWith("limits");
      return [
        metadata.name,
        text(names.filter((name) => !isLimit(name))),
        text(names.filter(isLimit)),
        age(metadata, now),
      ];
    },
  ),
};
