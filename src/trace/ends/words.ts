/** Why what was typed is no path: the sentences. */
import { texts } from "../../text.ts";

export const say = texts("path-ends", {
  pod: { en: "Pod", zh: " Pod" },
  workloadOrPod: { en: "Pod or workload", zh: " Pod 或工作负载" },
  service: { en: "Service", zh: " Service" },
  node: { en: "node", zh: "节点" },
  anything: { en: "Pod, workload, Service or node", zh: " Pod、工作负载、Service 或节点" },
  sender: { en: "Pod, workload or node", zh: " Pod、工作负载或节点" },
  unknownIn: { en: "{kind} in namespace {namespace}", zh: "命名空间 {namespace} 中的{kind}" },
  several: { en: "`{typed}` can mean several: {names}", zh: "`{typed}` 对应多个对象：{names}" },
  pickOne: {
    en: "Name one of them; NAME@NODE picks the Pod on a node, e.g. `{example}`.",
    zh: "请指明其中一个；也可用 NAME@NODE 指定某个节点上的 Pod，例如 `{example}`。",
  },
  pickNamespace: { en: "Say in which namespace, e.g. `{example}`.", zh: "请指明命名空间，例如 `{example}`。" },
  notRunning: {
    en: "Pod {pod} has no network to walk through: it is {phase}",
    zh: "Pod {pod} 尚无网络可供检查：当前状态为 {phase}",
  },
  notRunningHint: { en: "Take a Pod that runs.", zh: "请选择一个正在运行的 Pod。" },
  serviceSends: {
    en: "A Service sends nothing; {service} cannot be where a path begins",
    zh: "Service 本身不发送报文，{service} 不能作为路径起点",
  },
  serviceSendsHint: { en: "Take one of its Pods: {pods}", zh: "请使用其后端 Pod 之一：{pods}" },
  badPort: {
    en: "`{port}` is no port: it is a number from 1 to 65535, or the name of a port",
    zh: "`{port}` 不是有效端口：应为 1–65535 的数字或端口名称",
  },
  noSuchPort: { en: "{what} has no port named `{port}`", zh: "{what} 没有名为 `{port}` 的端口" },
  itsPorts: { en: "It has {ports}.", zh: "已有端口：{ports}。" },
  noPorts: { en: "It names no ports: give a number.", zh: "该对象未声明端口名称，请使用端口号。" },
  whichPort: { en: "Service {service} has several ports", zh: "Service {service} 有多个端口" },
  whichPortHint: {
    en: "Say which, e.g. `{example}`. It has {ports}.",
    zh: "请指明端口，例如 `{example}`。已有端口：{ports}。",
  },
  wantsPort: { en: "{protocol} needs a port", zh: "{protocol} 需要端口" },
  wantsPortHint: {
    en: "Write `{typed}:PORT/{protocol}`, or leave the protocol out to send a ping.",
    zh: "请写成 `{typed}:端口/{protocol}`；不写协议则发送 ping。",
  },
  pingHasNoPort: { en: "A ping goes to no port: `{typed}`", zh: "ping 不使用端口：`{typed}`" },
  pingHasNoPortHint: { en: "Leave out the port, or /icmp.", zh: "请去掉端口，或去掉 /icmp。" },
  empty: { en: "FROM and TO must not be empty", zh: "FROM 和 TO 不能为空" },
  emptyHint: { en: "For example: `tools/client backend.shop:8080`", zh: "例如：`tools/client backend.shop:8080`" },
  outsideTo: {
    en: "“outside” is no address: a path can begin there, not end there",
    zh: "outside 不是具体地址：只能作为起点，不能作为终点",
  },
  outsideToHint: {
    en: "Give an address outside, e.g. `203.0.113.7:443`.",
    zh: "请给出集群外的具体地址，例如 `203.0.113.7:443`。",
  },
  notHere: {
    en: "Pods of namespace {namespace} know no `{name}`",
    zh: "命名空间 {namespace} 中的 Pod 无法解析 `{name}`",
  },
  seenServices: {
    en: "A Service of that name is in another namespace: {names}",
    zh: "其他命名空间中有同名 Service：{names}",
  },
});
