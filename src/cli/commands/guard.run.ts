/** `netwhy guard`: what keeps an incident from happening again, as files, and its admission policies applied. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DiagnosisError } from "../../errors.ts";
import { known } from "../../evidence/observed.ts";
import { type Guard, guardOf } from "../../guard/guard.ts";
import type { Manifest } from "../../guard/policies.ts";
import { modelOf } from "../../model/model.ts";
import { refId } from "../../model/ref.ts";
import { FIELD_MANAGER } from "../../repair/restore.ts";
import { readBundle } from "../../sources/bundle.ts";
import type { Api, Failure } from "../../sources/live/api.ts";
import { texts, verbatim } from "../../text.ts";
import { writeWhole } from "../archive-file.ts";
import { describer } from "../described.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { withApi } from "../snapshot.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Given } from "./command.ts";

const say = texts("guard-command", {
  nothing: {
    en: "No component of the network was found: there is nothing to guard.",
    zh: "未找到网络组件，没有可保护的对象。",
  },
  sees: {
    en: "`{program} diagnose` shows what can be seen of it.",
    zh: "可用 `{program} diagnose` 查看能观测到的内容。",
  },
  betaOnly: {
    en: "Kubernetes {kubernetes} has ValidatingAdmissionPolicies as v1beta1 only, and not by default: kube-apiserver needs --feature-gates=ValidatingAdmissionPolicy=true and --runtime-config=admissionregistration.k8s.io/v1beta1=true (1.30 has them as they are)",
    zh: "Kubernetes {kubernetes} 的 ValidatingAdmissionPolicy 只有 v1beta1 且默认关闭：kube-apiserver 需要 --feature-gates=ValidatingAdmissionPolicy=true 和 --runtime-config=admissionregistration.k8s.io/v1beta1=true（1.30 起默认可用）",
  },
  tooOld: {
    en: "Kubernetes {kubernetes} has no ValidatingAdmissionPolicies that could hold this (they came with 1.28, and are on since 1.30): policies.yaml is left out; until the upgrade, the backup, the alerts and the audit rules are what there is, or a webhook such as Kyverno's",
    zh: "Kubernetes {kubernetes} 没有可用的 ValidatingAdmissionPolicy（1.28 引入，1.30 起默认启用）：不生成 policies.yaml；升级之前，可用备份、告警和审计规则，或 Kyverno 等准入 Webhook",
  },
  upgrade: {
    en: "`{program} guard render` writes what works there all the same.",
    zh: "可用 `{program} guard render` 生成在该版本上可用的其余部分。",
  },
  written: { en: "{path}", zh: "{path}" },
  protects: {
    en: "protects {count} objects of {components}",
    zh: "保护 {components} 的 {count} 个对象",
  },
  next: {
    en: "next: read {path}, then `{program} guard install`",
    zh: "接下来：阅读 {path}，然后执行 `{program} guard install`",
  },
  noImage: {
    en: "backup-cronjob.yaml names the image {image}, which no registry has: build it from manifests/Dockerfile and name yours with --image",
    zh: "backup-cronjob.yaml 中的镜像 {image} 不在任何公共仓库：请用 manifests/Dockerfile 构建，并以 --image 指定",
  },
  refused: { en: "the API server would refuse {name}: {why}", zh: "API Server 会拒绝 {name}：{why}" },
  wouldWork: { en: "dry run: the API server would take all of it", zh: "试运行：API Server 全部接受" },
  ask: { en: "Apply {count} policies and bindings? [y/N] ", zh: "应用这 {count} 个策略和绑定？[y/N] " },
  nothingDone: { en: "nothing was changed", zh: "未做任何修改" },
  sayYes: { en: "nothing was changed: `--yes` applies it", zh: "未做任何修改：加 `--yes` 执行" },
  failed: { en: "FAILED {name}: {why}", zh: "失败 {name}：{why}" },
  done: { en: "applied {name}", zh: "已应用 {name}" },
});

const IMAGE = "netwhy:0.1.0";

type Found = { readonly guard: Guard; readonly kubernetes: string | undefined };

async function guardFrom(given: Given, surroundings: Surroundings): Promise<Found> {
  const { readLive } = await import("../live.ts");
  const { bundle, image = IMAGE, action } = given as Readonly<Record<string, string | undefined>>;
  const described = await describer(given);
  const capture = bundle === undefined ? await readLive(given, surroundings) : await readBundle(bundle);
  const kubernetes = known(capture.get("version"))?.gitVersion ?? known(capture.get("cluster"))?.kubernetesVersion;
  const guard = guardOf(modelOf(described(capture)), {
    image,
    action: action === "warn" ? "warn" : "deny",
    kubernetes,
  });
  if (guard.objects.length === 0)
    throw new DiagnosisError("no-evidence", say.nothing(), say.sees({ program: surroundings.program }));
  return { guard, kubernetes };
}

/** What of it this release of Kubernetes cannot do, if anything. */
const limitOf = ({ guard: { api }, kubernetes = "" }: Found) =>
  api === undefined ? say.tooOld({ kubernetes }) : api === "v1beta1" ? say.betaOnly({ kubernetes }) : undefined;

const componentsOf = ({ objects }: Guard, lang: "en" | "zh"): string =>
  [...new Set(objects.flatMap(({ of }) => of))].sort().join(lang === "zh" ? "、" : ", ");

function tellProtected(guard: Guard, { out, lang }: Surroundings): void {
  const { objects } = guard;
  out(`${say.protects({ count: objects.length, components: componentsOf(guard, lang) })[lang]}\n`);
  for (const { object } of objects) out(`  ${refId(object)}\n`);
}

export async function guardRenderCommand(given: Given, surroundings: Surroundings): Promise<ExitCode> {
  const { lang, out, err, program } = surroundings;
  const directory = (given.output as string | undefined) ?? "netwhy-guard";
  const found = await guardFrom(given, surroundings);
  const { guard } = found;
  mkdirSync(directory, { recursive: true });
  tellProtected(guard, surroundings);
  for (const [name, text] of guard.files) {
    const path = join(directory, name);
    writeWhole(path, text);
    out(`${say.written({ path })[lang]}\n`);
  }
  const limit = limitOf(found);
  if (limit) err(`${limit[lang]}\n`);
  if (given.image === undefined) err(`${say.noImage({ image: IMAGE })[lang]}\n`);
  if (guard.api) err(`${say.next({ path: directory, program })[lang]}\n`);
  return EXIT.healthy;
}

const PLURALS: Readonly<Record<string, string>> = {
  ValidatingAdmissionPolicy: "validatingadmissionpolicies",
  ValidatingAdmissionPolicyBinding: "validatingadmissionpolicybindings",
};

async function apply(api: Api, manifest: Manifest, dryRun: "" | "&dryRun=All"): Promise<Failure | undefined> {
  const { apiVersion, kind, metadata } = manifest;
  const path = `/apis/${apiVersion}/${PLURALS[kind]}/${metadata.name}?fieldManager=${FIELD_MANAGER}&force=true${dryRun}`;
  const { answer } = await api.send("PATCH", path, manifest, "application/apply-patch+yaml");
  return answer.ok ? undefined : answer.failure;
}

const nameOf = ({ kind, metadata: { name } }: Manifest): string => `${kind}/${name}`;

/** Applies the policies to the cluster that was read: first all as a dry run, then, if wanted, one after the other. */
async function applyAll(api: Api, { policies }: Guard, given: Given, surroundings: Surroundings): Promise<ExitCode> {
  const { lang, out, err, confirms } = surroundings;
  for (const manifest of policies) {
    const failure = await apply(api, manifest, "&dryRun=All");
    if (!failure) continue;
    err(
      `${say.refused({ name: nameOf(manifest), why: verbatim(failure.message) })[lang]}\n${say.nothingDone()[lang]}\n`,
    );
    return EXIT.faulty;
  }
  out(`${say.wouldWork()[lang]}\n`);
  if (given.dryRun) return EXIT.healthy;
  const answer = given.yes ? true : await confirms(say.ask({ count: policies.length })[lang]);
  if (answer !== true) {
    err(`${(answer === undefined ? say.sayYes() : say.nothingDone())[lang]}\n`);
    return EXIT.faulty;
  }
  for (const manifest of policies) {
    const failure = await apply(api, manifest, "");
    const name = nameOf(manifest);
    if (failure) {
      err(`${say.failed({ name, why: verbatim(failure.message) })[lang]}\n`);
      return EXIT.faulty;
    }
    out(`${say.done({ name })[lang]}\n`);
  }
  return EXIT.healthy;
}

export async function guardInstallCommand(given: Given, surroundings: Surroundings): Promise<ExitCode> {
  const found = await guardFrom(given, surroundings);
  const { guard } = found;
  const limit = limitOf(found);
  if (limit && !guard.api) {
    throw new DiagnosisError("usage", limit, say.upgrade({ program: surroundings.program }));
  }
  tellProtected(guard, surroundings);
  if (limit) surroundings.err(`${limit[surroundings.lang]}\n`);
  return withApi(given, surroundings, (api) => applyAll(api, guard, given, surroundings));
}
