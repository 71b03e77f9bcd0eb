import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { BUNDLE, EVIDENCE } from "./options.ts";

const say = texts("replay-help", {
  replay: {
    en: "a bundle as a read-only Kubernetes API, for kubectl",
    zh: "把证据包当作只读的 Kubernetes API，供 kubectl 使用",
  },
  replayLong: {
    en: "Serves a bundle as a read-only Kubernetes API on this machine, as the cluster was when\nthe bundle was taken, for kubectl and other clients. Ages are told as of then.",
    zh: "在本机以只读 Kubernetes API 的形式提供证据包，供 kubectl 等客户端查看采集时\n的集群状态；AGE 也按当时计算。",
  },
  port: { en: "the port on 127.0.0.1 (default: a free one)", zh: "127.0.0.1 上的端口（默认选用空闲端口）" },
  kubeconfig: {
    en: "where to write the kubeconfig (default: a temporary file)",
    zh: "kubeconfig 的写入路径（默认为临时文件）",
  },
  lookAround: { en: "then use kubectl in another shell", zh: "然后在另一个 shell 中使用 kubectl" },
  fixedPlace: { en: "at a port of your choice", zh: "指定端口" },
});

export const REPLAY: CommandSpec = {
  name: "replay",
  arguments: [EVIDENCE],
  summary: say.replay(),
  description: say.replayLong(),
  options: [
    BUNDLE,
    { flags: "--port <number>", describes: say.port() },
    { flags: "--kubeconfig <path>", describes: say.kubeconfig() },
  ],
  examples: [
    { run: "replay ./incident.tar.gz", does: say.lookAround() },
    { run: "replay ./incident --port 8001", does: say.fixedPlace() },
  ],
  run: async ([argument], given, surroundings) => {
    const { replayCommand } = await import("./replay.run.ts");
    return replayCommand(argument, given, surroundings);
  },
};
