import type { Evidence } from "../../evidence/origin.ts";
import type { Capability } from "../../model/capability.ts";
import { type DnsServer, meantDirective } from "../../model/dns/dns.ts";
import type { ClusterModel } from "../../model/model.ts";
import type { PodView } from "../../model/pods.ts";
import { kubectlName, ref, refId } from "../../model/ref.ts";
import { timeOf } from "../../model/time.ts";
import { texts } from "../../text.ts";
import { cannotTell, defineCheck, type Finding, fault, works } from "../check.ts";
import { lineChanged, rolledOut } from "../remedy.ts";

type Model = Pick<ClusterModel, "dns" | "objects" | "logs">;

const say = texts("corefile-invalid", {
  invalid: {
    en: "CoreDNS does not start with its Corefile ({config}): line {line}, {problem} “{word}”",
    zh: "CoreDNS 无法用其 Corefile（{config}）启动：第 {line} 行，{problem}“{word}”",
  },
  invalidLatent: {
    en: "CoreDNS will not start again with its Corefile ({config}): line {line}, {problem} “{word}”",
    zh: "CoreDNS 重启后将无法用其 Corefile（{config}）启动：第 {line} 行，{problem}“{word}”",
  },
  heard: {
    en: "CoreDNS rejects its Corefile ({config})",
    zh: "CoreDNS 拒绝其 Corefile（{config}）",
  },
  complained: { en: "it rejected a Corefile a moment ago", zh: "它刚刚拒绝过一份 Corefile" },
  syntax: { en: "syntax error at", zh: "语法错误：" },
  unknownDirective: { en: "unknown directive", zh: "未知指令" },
  badArguments: { en: "wrong arguments of", zh: "参数错误：" },
  duplicateZone: { en: "zone served twice:", zh: "重复的域：" },
  correct: { en: "Correct line {line} of the Corefile", zh: "修正 Corefile 第 {line} 行" },
  correctTo: {
    en: "Correct line {line} of the Corefile: `{meant}` for `{word}`",
    zh: "修正 Corefile 第 {line} 行：将 `{word}` 改为 `{meant}`",
  },
  correctHeard: { en: "Correct what CoreDNS complains of", zh: "修正 CoreDNS 报错的内容" },
  restart: {
    en: "Let CoreDNS start with it at once; in its back-off it would wait up to five minutes",
    zh: "让 CoreDNS 立即以新配置启动；否则会在退避中等待，最长五分钟",
  },
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
  const complaintsOf = (pod: PodView) => logs.said(pod, COMPLAINT).filter(({ current }) => current);
  const complaints = component.pods.flatMap(complaintsOf);
  // in a rollout the new Pods do not start, and the old ones serve on
  const refused = component.pods.filter((pod) => !pod.ready && complaintsOf(pod).length > 0);
  const broken: Capability[] = !stillServes(server)
    ? [{ name: "dns.config" }]
    : refused.length === 0
      ? [{ name: "component.learn", component: refId(component.ref) }]
      : refused.flatMap(({ node }) => (node === undefined ? [] : [{ name: "dns.config" as const, node }]));
  const heard: Evidence[] = complaints.slice(-2).map(({ evidence }) => evidence);
  const common = {
    repair: config,
    related: [component.ref],
    breaks: broken,
  };
  if (!corefile || !map) {
    const last = complaints.at(-1);
    if (last)
      yield fault({
        ...common,
        title: say.heard({ config: refId(config) }),
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
        title: say.heard({ config: refId(config) }),
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
  const quote = objects.quote("configmaps", map, `Corefile line ${error.line}: ${line.trim()}`);
  const title = stillServes(server) ? say.invalidLatent(args) : say.invalid(args);
  // a directive that we do not know may be a plugin of this build: then CoreDNS takes it, whatever else it lacks
  const isOwnPlugin =
    error.what === "unknown-directive" && complaints.length === 0 && (stillServes(server) || isHeard(server, logs));
  const facts = {
    line: error.line,
    word: error.word,
    what: error.what,
    state: stillServes(server) ? "serves" : "down",
  };
  if (!isOwnPlugin) yield fault({ ...common, title, evidence: [quote, ...heard], strength: "direct", facts });
}

/** The Corefile has an error with which CoreDNS does not start. */
export const corefileInvalid = defineCheck({
  id: "corefile-invalid",
  reads: ["dns", "objects", "logs"],

  *find(model) {
    for (const server of model.dns.servers) yield* judgeServer(server, model);
  },

  remedies({ repair, related, facts }, { dns }) {
    const workload = related[0]!;
    const verify = rolledOut(workload);
    const { line, word, what } = facts as { line?: number; word: string; what: string };
    const text = dns.servers.find(({ configMap }) => configMap && refId(configMap) === refId(repair))?.map?.data
      ?.Corefile;
    const meant = what === "unknown-directive" ? meantDirective(word) : undefined;
    const edit = { run: `kubectl edit ${kubectlName(repair)}` };
    const byHand = { why: line ? say.correct({ line }) : say.correctHeard(), change: edit, undo: edit, verify };
    const correct =
      meant && line && text
        ? {
            why: say.correctTo({ line, word, meant }),
            ...lineChanged({ config: repair, key: "Corefile", text, line }, (before) => before.replace(word, meant)),
            verify,
          }
        : byHand;
    const restart = { why: say.restart(), change: { do: "restart", component: workload } as const, verify };
    return [
      {
        id: "correct-corefile",
        risk: "low",
        interrupts: say.nothing(),
        // CoreDNS that still runs loads the corrected file by itself
        steps: facts.state === "serves" ? [correct] : [correct, restart],
        prevent: [say.prevent()],
        errata: ["X1"],
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
