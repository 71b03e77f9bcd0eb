/** The ways in which a node is read, in their order. docs/generated/ways.md is made from this table. */
import type { Template } from "../../text.ts";

export type Way = "agent" | "debug-pod" | "exec" | "file" | "here";

export const WAYS: readonly {
  readonly way: Way;
  readonly what: Template;
  /** When it is taken. */
  readonly when: Template;
  readonly sees: Template;
  /** What RBAC has to allow. */
  readonly needs: string;
}[] = [
  {
    way: "agent",
    what: { en: "netwhy's own agent", zh: "netwhy 自己的代理" },
    when: { en: "where it is installed (`netwhy agent`)", zh: "已安装时（`netwhy agent`）" },
    sees: { en: "all", zh: "全部" },
    needs: "`get pods/proxy`, `get secrets/netwhy-agent` in `netwhy`",
  },
  {
    way: "debug-pod",
    what: {
      en: "a short-lived Pod, of an image that the node has or of `--debug-image`",
      zh: "临时 Pod，使用节点已有的镜像或 `--debug-image` 指定的镜像",
    },
    when: { en: "with `--debug-pods`, if the agent did not see all", zh: "指定 `--debug-pods` 且代理未能看到全部时" },
    sees: { en: "all", zh: "全部" },
    needs: "`create`, `get`, `delete pods`, `create pods/exec` in `kube-system`, `get nodes`",
  },
  {
    way: "exec",
    what: {
      en: "exec in agents of the network that run on the node's network (kube-proxy, Cilium, Calico, flannel …)",
      zh: "在使用主机网络的网络组件（kube-proxy、Cilium、Calico、flannel 等）中 exec",
    },
    when: { en: "if nothing before saw all", zh: "以上方式未能看到全部时" },
    sees: {
      en: "the node's network; of Pods, what the agent can enter; of files, what is mounted",
      zh: "节点网络；代理能进入的 Pod；已挂载的文件",
    },
    needs: "`create pods/exec` in the agents' namespaces",
  },
  {
    way: "file",
    what: {
      en: "what the script printed there, by ssh or by hand",
      zh: "通过 ssh 或手工运行脚本得到的输出",
    },
    when: { en: "with `--node-output`, for what is still missing", zh: "指定 `--node-output` 时，用于补充缺失的内容" },
    sees: { en: "all", zh: "全部" },
    needs: "none; root on the node",
  },
  {
    way: "here",
    what: { en: "the machine that netwhy runs on", zh: "运行 netwhy 的本机" },
    when: { en: "if it is a node and the API server cannot be reached", zh: "本机是节点且无法连接 API Server 时" },
    sees: { en: "all", zh: "全部" },
    needs: "none; root on the node",
  },
];
