/**
 * How the API server of a cluster is reached, and as whom: kubeconfig files, contexts, client certificates, tokens,
 * credential plugins, proxies, and the ServiceAccount of a Pod that we run in.
 *
 * The official client library does this, and only this file and exec.ts know it. What it leaves out of kubectl's
 * behaviour (2.0.1) is added here: several files of which some are missing or repeat a name (it throws), `tokenFile`,
 * `as-groups`, credential plugins beside their kubeconfig and KUBERNETES_EXEC_INFO, HTTPS_PROXY and NO_PROXY, plain
 * http to `kubectl proxy`, connections that are kept alive.
 */
import { existsSync, readFileSync } from "node:fs";
import { Agent as HttpAgent, type RequestOptions } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { load } from "js-yaml";
import { DiagnosisError } from "../../errors.ts";
import { texts, verbatim } from "../../text.ts";

const say = texts("connection", {
  noConfig: {
    en: "No cluster is known: there is no kubeconfig at {path}, and this is not a Pod with a ServiceAccount.",
    zh: "不知道要连接哪个集群：{path} 处没有 kubeconfig，也不是在带有 ServiceAccount 的 Pod 中运行。",
  },
  giveConfig: {
    en: "Give `--kubeconfig PATH` or a bundle; without either, `netwhy demo` shows a real incident.",
    zh: "请用 `--kubeconfig PATH` 指定，或给出证据包；两者都没有时，可用 `netwhy demo` 查看一个真实故障。",
  },
  badConfig: { en: "The kubeconfig {path} cannot be read: {why}", zh: "无法读取 kubeconfig {path}：{why}" },
  checkConfig: {
    en: "`kubectl config view --kubeconfig {path}` shows whether kubectl can.",
    zh: "可用 `kubectl config view --kubeconfig {path}` 检查 kubectl 能否读取。",
  },
  noContext: { en: "The kubeconfig has no context `{name}`.", zh: "kubeconfig 中没有上下文 `{name}`。" },
  noCurrentContext: { en: "The kubeconfig names no current context.", zh: "kubeconfig 没有指定当前上下文。" },
  contexts: { en: "Give one with --context. There are: {names}", zh: "请用 --context 指定，可选：{names}" },
  brokenContext: {
    en: "The context `{name}` names a cluster or user that the kubeconfig does not have.",
    zh: "上下文 `{name}` 引用了 kubeconfig 中不存在的集群或用户。",
  },
});

export type ConnectionOptions = {
  /** A file; else KUBECONFIG, else ~/.kube/config, else the ServiceAccount of the Pod that we run in. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
};

export interface Connection {
  readonly context: string;
  readonly cluster: string;
  readonly server: URL;
  /** That of the context. */
  readonly namespace: string | undefined;
  /** Whether a proxy is on the way, which the agent of `requestOptions` knows. */
  readonly isProxied: boolean;
  /** For exec, which goes its own way. */
  readonly config: KubeConfig;
  /** What every request needs: agent, certificates, headers. Runs the credential plugin if there is one. */
  requestOptions(): Promise<RequestOptions>;
  /** Forgets credentials, so that those of the next request are new. */
  renew(): void;
  close(): void;
}

type Entry = { name?: string; [field: string]: unknown };
type RawUser = {
  token?: string;
  tokenFile?: string;
  exec?: { command?: string; apiVersion?: string; env?: { name: string; value: string }[] | null };
  "as-groups"?: string[];
};
type RawConfig = {
  clusters: Entry[];
  users: (Entry & { user?: RawUser })[];
  contexts: Entry[];
  "current-context"?: string;
};

/** More sockets would only let one request overtake another: lists come one after the other, logs a few at a time. */
const MOST_SOCKETS = 4;
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token";

function badConfig(path: string, cause: unknown): DiagnosisError {
  const why = verbatim((cause as Error).message.split("\n")[0]!);
  return new DiagnosisError("no-evidence", say.badConfig({ path, why }), say.checkConfig({ path }), cause);
}

/** One file, with the paths in it made absolute as kubectl understands them: from where the file lies. */
function readConfig(path: string): RawConfig {
  let raw: Partial<Record<keyof RawConfig, unknown>>;
  try {
    raw = (load(readFileSync(path, "utf8")) ?? {}) as typeof raw;
    if (typeof raw !== "object") throw new Error("not a kubeconfig");
  } catch (error) {
    throw badConfig(path, error);
  }
  const list = <T extends Entry>(value: unknown) => (Array.isArray(value) ? (value as T[]) : []);
  const absolute = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file));
  const absoluteIn = (fields: unknown, names: readonly string[]) => {
    const record = fields as Record<string, unknown> | undefined;
    for (const name of names) if (typeof record?.[name] === "string") record[name] = absolute(record[name]);
  };
  const clusters = list(raw.clusters);
  const users = list<RawConfig["users"][number]>(raw.users);
  for (const { cluster } of clusters) absoluteIn(cluster, ["certificate-authority"]);
  for (const { user } of users) {
    absoluteIn(user, ["client-certificate", "client-key", "tokenFile"]);
    // a command with a slash in it is beside the kubeconfig, one without is on PATH
    if (user?.exec?.command?.includes("/")) user.exec.command = absolute(user.exec.command);
  }
  const current = raw["current-context"];
  return {
    clusters,
    users,
    contexts: list(raw.contexts),
    ...(typeof current === "string" && { "current-context": current }),
  };
}

/** Several files count as one; of a name that occurs twice, the first. */
function merge(configs: readonly RawConfig[]): RawConfig {
  const firsts = <T extends Entry>(entries: readonly T[]) => [
    ...new Map(entries.toReversed().map((entry) => [entry.name, entry])).values(),
  ];
  const current = configs.map((config) => config["current-context"]).find((name) => name);
  return {
    clusters: firsts(configs.flatMap(({ clusters }) => clusters)),
    users: firsts(configs.flatMap(({ users }) => users)),
    contexts: firsts(configs.flatMap(({ contexts }) => contexts)),
    ...(current !== undefined && { "current-context": current }),
  };
}

/** Says in the library's words what it does not know in kubectl's. */
function translated(config: RawConfig): object {
  const users = config.users.map((entry) => {
    const { user = {} } = entry;
    if (user.token === undefined && user.tokenFile !== undefined) {
      return {
        ...entry,
        user: { ...user, "auth-provider": { name: "tokenFile", config: { tokenFile: user.tokenFile } } },
      };
    }
    if (!user.exec) return entry;
    const { apiVersion = "client.authentication.k8s.io/v1", env } = user.exec;
    const info = { kind: "ExecCredential", apiVersion, spec: { interactive: false } };
    const variables = [...(env ?? []), { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(info) }];
    return { ...entry, user: { ...user, exec: { ...user.exec, env: variables } } };
  });
  return { ...config, users };
}

const matchesNoProxy = (host: string, noProxy: string) =>
  noProxy
    .split(",")
    .map((rule) =>
      rule
        .trim()
        .replace(/^\*?\./, "")
        .replace(/:\d+$/, ""),
    )
    .some((rule) => rule === "*" || (rule !== "" && (host === rule || host.endsWith(`.${rule}`))));

/** The proxy that the environment asks for; clusters can name their own, and local ones have none (as in Go). */
function environmentProxy({ hostname, protocol }: URL, env: NodeJS.ProcessEnv): string | undefined {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (host === "localhost" || host === "::1" || host.startsWith("127.")) return undefined;
  if (matchesNoProxy(host, env.NO_PROXY ?? env.no_proxy ?? "")) return undefined;
  const proxy = protocol === "https:" ? (env.HTTPS_PROXY ?? env.https_proxy) : (env.HTTP_PROXY ?? env.http_proxy);
  return proxy === "" ? undefined : proxy;
}

/** @returns the text of a kubeconfig; undefined where the library is to ask the Pod that we run in */
function configText({ kubeconfig, env = process.env }: ConnectionOptions): RawConfig | undefined {
  if (kubeconfig !== undefined) return readConfig(kubeconfig);
  if (env.KUBECONFIG) {
    const files = env.KUBECONFIG.split(delimiter).filter((file) => file !== "" && existsSync(file));
    if (files.length > 0) return merge(files.map(readConfig));
  }
  const usual = join(env.HOME ?? homedir(), ".kube", "config");
  if (!env.KUBECONFIG && existsSync(usual)) return readConfig(usual);
  if (existsSync(SERVICE_ACCOUNT) && env.KUBERNETES_SERVICE_HOST) return undefined;
  throw new DiagnosisError("no-evidence", say.noConfig({ path: env.KUBECONFIG || usual }), say.giveConfig());
}

/**
 * Finds out how to reach a cluster. Nothing is sent yet.
 *
 * @throws DiagnosisError if no cluster is known, or the kubeconfig makes no sense
 */
export async function connect(options: ConnectionOptions = {}): Promise<Connection> {
  const { env = process.env } = options;
  const { KubeConfig } = await import("@kubernetes/client-node");
  const raw = configText(options);
  const make = (): KubeConfig => {
    const config = new KubeConfig();
    if (!raw) {
      config.loadFromCluster();
      return config;
    }
    try {
      config.loadFromString(JSON.stringify(translated(raw)));
    } catch (error) {
      throw badConfig(options.kubeconfig ?? env.KUBECONFIG ?? "~/.kube/config", error);
    }
    if (options.context !== undefined) config.setCurrentContext(options.context);
    return config;
  };
  let config = make();
  const { server, context, cluster, user } = requireContext(config);
  const proxyUrl = cluster.proxyUrl ?? environmentProxy(server, env);
  const adapt = (made: KubeConfig) => {
    // there is no certificate to verify where there is no TLS; the library wants to be told
    const skipTLSVerify = cluster.skipTLSVerify || server.protocol === "http:";
    made.clusters = made.clusters.map((each) =>
      each.name === cluster.name ? { ...each, skipTLSVerify, ...(proxyUrl !== undefined && { proxyUrl }) } : each,
    );
    return made;
  };
  config = adapt(config);
  const groups = raw?.users.find(({ name }) => name === user)?.user?.["as-groups"];

  let agent: HttpAgent | undefined;
  return {
    context: context.name,
    cluster: cluster.name,
    server,
    namespace: context.namespace,
    isProxied: proxyUrl !== undefined,
    get config() {
      return config;
    },
    async requestOptions() {
      const made: RequestOptions & { agent?: HttpAgent | false; ca?: unknown; cert?: unknown; key?: unknown } = {};
      await config.applyToHTTPSOptions(made);
      // a token from a file ends with the file's newline
      const headers = Object.fromEntries(
        Object.entries(made.headers ?? {}).map(([name, value]) => [
          name,
          typeof value === "string" ? value.trim() : value,
        ]),
      );
      if (groups) headers["Impersonate-Group"] = groups;
      agent ??= keptAlive(made, proxyUrl !== undefined, server);
      return { ...made, headers, agent };
    },
    renew() {
      agent?.destroy();
      agent = undefined;
      config = adapt(make());
    },
    close: () => agent?.destroy(),
  };
}

/** The library's agents end each connection after one request. */
function keptAlive(made: RequestOptions, isProxied: boolean, { protocol }: URL): HttpAgent {
  const { agent, headers: _, auth: __, ...tls } = made;
  if (!isProxied) {
    const options = { ...tls, keepAlive: true, maxSockets: MOST_SOCKETS } as object;
    return protocol === "https:" ? new HttpsAgent(options) : new HttpAgent(options);
  }
  const proxied = agent as HttpAgent & { keepAlive: boolean; maxSockets: number };
  proxied.keepAlive = true;
  proxied.maxSockets = MOST_SOCKETS;
  return proxied;
}

function requireContext(config: KubeConfig) {
  const name = config.getCurrentContext();
  const context = config.getContexts().find((each) => each.name === name);
  if (!context) {
    const names = config.getContexts().map((each) => each.name);
    const says = name ? say.noContext({ name }) : say.noCurrentContext();
    throw new DiagnosisError("no-evidence", says, say.contexts({ names: names.join(", ") || "-" }));
  }
  const cluster = config.getCurrentCluster();
  if (!cluster || !URL.canParse(cluster.server) || (context.user && !config.getCurrentUser())) {
    const names = config.getContexts().map((each) => each.name);
    throw new DiagnosisError("no-evidence", say.brokenContext({ name }), say.contexts({ names: names.join(", ") }));
  }
  return { server: new URL(cluster.server), context, cluster, user: context.user };
}
