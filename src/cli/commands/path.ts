import { texts } from "../../text.ts";
import type { CommandSpec } from "./command.ts";
import { BUNDLE, CAPTURE, CLUSTER, OUTPUT } from "./options.ts";

const say = texts("path-help", {
  pathFrom: {
    en: "tools/client, deploy/web, client@w1 (the Pod on a node), w1, outside",
    zh: "tools/client、deploy/web、client@w1（某节点上的 Pod）、w1、outside",
  },
  pathTo: {
    en: "backend.shop:8080, svc/db:pg, db-0:5432, 10.96.0.10:53/udp, [fd00::1]:80, w1",
    zh: "backend.shop:8080、svc/db:pg、db-0:5432、10.96.0.10:53/udp、[fd00::1]:80、w1",
  },
  path: { en: "one packet's way, hop by hop, there and back", zh: "逐跳跟踪一个报文的往返路径" },
  pathLong: {
    en: "Walks a packet from one end to the other as the kernels of the nodes would, hop by\nhop, there and back, and names the rule, route or table that decides.",
    zh: "按各节点内核的行为，逐跳跟踪报文从起点到终点再返回，并指出起决定作用的\n规则、路由或表项。",
  },
  namespace: { en: "the namespace of names that tell none", zh: "未写命名空间的名称所属的命名空间" },
  ipv4: { en: "over IPv4, of what has both", zh: "对双栈目标使用 IPv4" },
  ipv6: { en: "over IPv6, of what has both", zh: "对双栈目标使用 IPv6" },
  size: { en: "send packets this large that may not be split", zh: "发送该大小且不可分片的报文" },
  met: { en: "draw all ways, with every rule that packets meet", zh: "画出所有路径及经过的每条规则" },
  toService: { en: "to a Service", zh: "到 Service" },
  toPod: { en: "to a Pod", zh: "到 Pod" },
  fromOutside: { en: "by its NodePort", zh: "经由 NodePort" },
  overIpv6: { en: "over IPv6", zh: "经由 IPv6" },
  largePing: { en: "a large ping", zh: "大包 ping" },
});

export const PATH: CommandSpec = {
  name: "path",
  arguments: [
    { name: "FROM", describes: say.pathFrom() },
    { name: "TO[:PORT]", describes: say.pathTo() },
  ],
  summary: say.path(),
  description: say.pathLong(),
  options: [
    BUNDLE,
    { flags: "-n, --namespace <name>", describes: say.namespace() },
    { flags: "-4, --ipv4", describes: say.ipv4() },
    { flags: "-6, --ipv6", describes: say.ipv6() },
    { flags: "--size <bytes>", describes: say.size() },
    { flags: "--explain", describes: say.met() },
    CAPTURE,
    ...CLUSTER,
    OUTPUT,
  ],
  examples: [
    { run: "path tools/client backend.shop:8080 --bundle ./incident.tar.gz", does: say.toService() },
    { run: "path deploy/web@w1 data/db-0:5432 --bundle ./incident -n shop", does: say.toPod() },
    { run: "path outside svc/frontend.shop --bundle ./incident", does: say.fromOutside() },
    { run: "path -6 tools/client svc/web.shop", does: say.overIpv6() },
    { run: "path w1 w2 --size 1500", does: say.largePing() },
  ],
  run: async (values, given, surroundings) => {
    const { pathCommand } = await import("./path.run.ts");
    return pathCommand(values, given, surroundings);
  },
};
