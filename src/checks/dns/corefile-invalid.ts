import { type Evidence, quoteOf } from "../../evidence/origin.ts";
import type { DnsServer } from "../../model/dns.ts";
import type { ClusterModel } from "../../model/model.ts";
import { kubectlName, ref, refId } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";

type Model = Pick<ClusterModel, "dns" | "objects" | "logs">;

const say = texts("corefile-invalid", {
  invalid: {
    en: "The Corefile of {config} does not parse (line {line}: {problem} “{word}”): CoreDNS does not start with it",
    zh: "{config} 中的 Corefile 无法解析（第 {line} 行：{problem}“{word}”）：CoreDNS 无法使用它启动",
  },
  invalidLatent: {
    en: "The Corefile of {config} does not parse (line {line}: {problem} “{word}”): CoreDNS runs on with the old one and will not start again",
    zh: "{config} 中的 Corefile 无法解析（第 {line} 行：{problem}“{word}”）：CoreDNS 仍在使用旧配置，重启后将无法启动",
  },
  heard: {
    en: "CoreDNS rejects its Corefile ({config}): {complaint}",
    zh: "CoreDNS 拒绝其 Corefile（{config}）：{complaint}",
  },
  complained: { en: "it rejected a Corefile a moment ago", zh: "它刚刚拒绝过一份 Corefile" },
  syntax: { en: "syntax error at", zh: "语法错误：" },
  unknownDirective: { en: "unknown directive", zh: "未知指令" },
  badArguments: { en: "wrong arguments of", zh: "参数错误：" },
  duplicateZone: { en: "zone served twice:", zh: "重复的域：" },
  correct: { en: "Correct the line, then let CoreDNS start anew", zh: "修正该行，然后重启 CoreDNS" },
  restart: { en: "Restart CoreDNS", zh: "重启 CoreDNS" },
  nothing: { en: "Nothing more than is broken already", zh: "不会比现状更糟" },
  prevent: {
    en: "Try a new Corefile before it is applied: `coredns -conf Corefile` exits at once if it does not parse",
    zh: "应用前先验证新的 Corefile：无法解析时 `coredns -conf Corefile` 会立即退出",
  },
});

const PROBLEMS = {
  syntax: say.syntax,
  "unknown-directive": say.unknownDirective,
  "bad-arguments": say.badArguments,
  "duplicate-zone": say.duplicateZone,
} as const;

/** What CoreDNS says at its start (coremain) and when it reloads (plugin/reload). */
const COMPLAINT =
  /Error during parsing|Unknown directive|Corefile parse failed|Corefile changed but reload failed|plugin\/\w+: (unknown property|Wrong argument count)/;

/** What it says when it has taken a new one. */
const RELOADED = /Reloading complete|plugin\/reload: Running configuration/;

/** Queries are answered by Pods that started before the Corefile was changed. */
const stillServes = ({ component }: DnsServer) => component.pods.some(({ ready }) => ready);

const isHeard = ({ component }: DnsServer, logs: Model["logs"]) =>
  component.pods.some((pod) => pod.object.spec.containers.some(({ name }) => logs.lastWords(pod, name)));

function hasReloaded({ component }: DnsServer, since: string | undefined, logs: Model["logs"]): boolean {
  const times = component.pods
    .flatMap((pod) => logs.said(pod, RELOADED))
    .map(({ entry }) => timeOf(entry.last.at) ?? 0);
  return Math.max(...times, 0) > (timeOf(since) ?? 0);
}

function* judgeServer(server: DnsServer, { objects, logs }: Model): Iterable<Finding> {
  const { component, corefile, configMap, map } = server;
  const config = configMap ?? ref("ConfigMap", "coredns", component.ref.namespace);
  const broken = stillServes(server)
    ? ({ name: "component.learn", component: refId(component.ref) } as const)
    : ({ name: "dns.config" } as const);
  const complaints = component.pods.flatMap((pod) => logs.said(pod, COMPLAINT)).filter(({ current }) => current);
  const heard: Evidence[] = complaints.slice(-2).map(({ evidence }) => evidence);
  const common = {
    repair: config,
    related: [component.ref],
    breaks: [broken],
    facts: { component: refId(component.ref) },
  };
  if (!corefile || !map) {
    const last = complaints.at(-1);
    if (last)
      yield fault({
        ...common,
        title: say.heard({ config: refId(config), complaint: last.evidence.quote }),
        evidence: heard,
        strength: "heard",
      });
    yield cannotTell({ name: "dns.config" }, [{ kind: "configmaps" }]);
    return;
  }
  const error = corefile.errors[0];
  if (!error) {
    // what we know of plugins may be older than this CoreDNS; what it says itself counts
    const last = complaints.at(-1);
    if (last && !stillServes(server))
      yield fault({
        ...common,
        title: say.heard({ config: refId(config), complaint: last.evidence.quote }),
        evidence: heard,
        strength: "heard",
      });
    else {
      yield works({ name: "dns.config" }, [
        objects.quote("configmaps", map, `${refId(config)}: ${corefile.servers.length} server blocks`),
      ]);
      // corrected a moment ago, or wrong in a way that we do not know
      if (last && !hasReloaded(server, last.entry.last.at, logs))
        yield cannotTell({ name: "component.learn", component: refId(component.ref) }, [], say.complained());
    }
    return;
  }
  const line = (map.data?.Corefile ?? "").split("\n")[error.line - 1] ?? "";
  const args = { config: refId(config), line: error.line, problem: PROBLEMS[error.what](), word: error.word };
  const quote = quoteOf(
    { ...objects.origin("configmaps", map), line: error.line },
    `Corefile line ${error.line}: ${line.trim()}`,
  );
  const title = stillServes(server) ? say.invalidLatent(args) : say.invalid(args);
  // a directive that we do not know may be a plugin of this build: then CoreDNS takes it, whatever else it lacks
  const isOwnPlugin =
    error.what === "unknown-directive" && complaints.length === 0 && (stillServes(server) || isHeard(server, logs));
  if (!isOwnPlugin) yield fault({ ...common, title, evidence: [quote, ...heard], strength: "direct" });
}

/** The Corefile has an error with which CoreDNS does not start. */
export const corefileInvalid = defineCheck({
  id: "corefile-invalid",
  reads: ["dns", "objects", "logs"],

  *find(model) {
    for (const server of model.dns.servers) yield* judgeServer(server, model);
  },

  remedies({ repair, related }) {
    const workload = related[0]!;
    const verify = `kubectl rollout status -n ${workload.namespace} ${workload.kind.toLowerCase()}/${workload.name}`;
    return [
      {
        id: "correct-corefile",
        risk: "low",
        interrupts: say.nothing(),
        steps: [
          {
            why: say.correct(),
            change: { run: `kubectl edit ${kubectlName(repair)}` },
            undo: { run: `kubectl edit ${kubectlName(repair)}` },
            verify,
          },
          { why: say.restart(), change: { do: "restart", component: workload }, undo: say.nothing(), verify },
        ],
        prevent: [say.prevent()],
        errata: ["X8"],
      },
    ];
  },

  manual: {
    title: { en: "The Corefile does not parse", zh: "Corefile 无法解析" },
    page: {
      en: `The configuration of CoreDNS has an error: an unknown or misspelt directive, wrong arguments, an unclosed brace, a zone that is served twice.

**How it looks.** CoreDNS with the \`reload\` plugin keeps the old configuration and logs \`Corefile changed but reload failed\`; nothing is broken until its Pods start anew, and then they crash-loop with \`Error during parsing\` and all names fail. That is why a restart, a drained node or an upgrade seems to break DNS.

**When this is not the cause.** Builds of CoreDNS with further plugins know more directives than netwhy does: an unknown one is reported only if CoreDNS itself complains or does not run. A snippet that circulates in runbooks, \`prefetch 10 10%\`, is invalid: it must be \`prefetch 10 1m 10%\`.`,
      zh: `CoreDNS 的配置有误：未知或拼错的指令、参数错误、括号未闭合、同一个域重复定义。

**现象。** 启用 \`reload\` 插件时，CoreDNS 保留旧配置并记录 \`Corefile changed but reload failed\`，在 Pod 重启之前一切正常；一旦重启就会因 \`Error during parsing\` 反复崩溃，所有解析失败。所以看起来像是重启、驱逐节点或升级弄坏了 DNS。

**何时不是它。** 带有额外插件的 CoreDNS 认识更多指令：只有 CoreDNS 自身报错或无法运行时，netwhy 才报告未知指令。一些手册里流传的 \`prefetch 10 10%\` 是无效的，应写作 \`prefetch 10 1m 10%\`。`,
    },
  },
});
