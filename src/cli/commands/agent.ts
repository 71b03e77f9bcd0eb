import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";

const say = texts("agent-help", {
  agent: { en: "prints what installs an agent that shows nodes", zh: "输出在各节点安装只读代理的清单" },
  agentLong: {
    en: "Prints the manifests of netwhy's agent: a Pod on each node that shows, to who holds its\nkey, what the node's kernel and Pods' networks hold, and lets nobody run anything there.\n`diagnose` and `collect` use it first where it is installed. agent/Dockerfile makes its\nimage. Every run makes a new key.",
    zh: "输出 netwhy 代理的清单：每个节点运行一个 Pod，只向持有密钥者展示节点内核与各 Pod 网络的\n状态，任何人都不能借它执行命令。已安装时，`diagnose` 和 `collect` 优先使用它。镜像由\nagent/Dockerfile 构建。每次运行都会生成新密钥。",
  },
  agentImage: { en: "its image (default: netwhy-agent:0.1.0)", zh: "代理镜像（默认 netwhy-agent:0.1.0）" },
  install: { en: "install it", zh: "安装" },
});

export const AGENT: CommandSpec = {
  name: "agent",
  arguments: [],
  summary: say.agent(),
  description: say.agentLong(),
  options: [{ flags: "--image <image>", describes: say.agentImage() }],
  examples: [{ run: "agent --image REGISTRY/netwhy-agent:0.1.0 | kubectl apply -f -", does: say.install() }],
  run: async (_, given, surroundings) => {
    const { agentCommand } = await import("./agent.run.ts");
    return agentCommand(given, surroundings);
  },
};
