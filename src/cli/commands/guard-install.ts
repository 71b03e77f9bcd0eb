import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { ACTION, API_SERVER, COMPONENT, DRY_RUN, YES } from "./options.ts";

const say = texts("guard-install-help", {
  install: { en: "applies the admission policies of the guard", zh: "应用防护准入策略" },
  installLong: {
    en: "Applies the admission policies of `guard render` by server-side apply: shows what is\nprotected, tries all of it as a dry run, and asks. Needs Kubernetes 1.30. To take it away:\n`kubectl delete validatingadmissionpolicy,validatingadmissionpolicybinding\n-l app.kubernetes.io/component=guard`.",
    zh: "以 server-side apply 应用 `guard render` 的准入策略：先列出受保护的对象，全部试运行，\n再询问。需要 Kubernetes 1.30 及以上。移除方法：\n`kubectl delete validatingadmissionpolicy,validatingadmissionpolicybinding\n-l app.kubernetes.io/component=guard`。",
  },
  lookFirst: { en: "look first", zh: "先查看" },
  watchFirst: { en: "see for a while what it would refuse", zh: "先观察一段时间会拒绝什么" },
});

export const GUARD_INSTALL: CommandSpec = {
  name: "guard install",
  arguments: [],
  summary: say.install(),
  description: say.installLong(),
  options: [ACTION, DRY_RUN, YES, COMPONENT, ...API_SERVER],
  examples: [
    { run: "guard install --dry-run", does: say.lookFirst() },
    { run: "guard install --action warn", does: say.watchFirst() },
  ],
  run: async (_, given, surroundings) => {
    const { guardInstallCommand } = await import("./guard.run.ts");
    return guardInstallCommand(given, surroundings);
  },
};
