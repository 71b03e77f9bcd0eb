/**
 * What we use of @kubernetes/client-node 2.0.1, as tsconfig.json tells the compiler: its own types bring those of the
 * whole API, 200,000 lines that nothing here reads. connection.test.ts holds that the library is so.
 */
import type { RequestOptions } from "node:http";
import type { Readable, Writable } from "node:stream";

export interface Cluster {
  readonly name: string;
  readonly server: string;
  readonly skipTLSVerify: boolean;
  readonly proxyUrl?: string;
  readonly caData?: string;
  readonly caFile?: string;
  readonly tlsServerName?: string;
}

export interface Context {
  readonly name: string;
  readonly cluster: string;
  readonly user: string;
  readonly namespace?: string;
}

export declare class KubeConfig {
  clusters: Cluster[];
  loadFromString(config: string): void;
  loadFromCluster(): void;
  getContexts(): Context[];
  getCurrentContext(): string;
  setCurrentContext(context: string): void;
  getCurrentCluster(): Cluster | null;
  getCurrentUser(): { readonly name: string } | null;
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
}

export interface ExecStatus {
  readonly status?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

export interface ExecConnection {
  close(): void;
  terminate(): void;
  on(event: "close" | "error", listener: (reason: unknown) => void): void;
}

export declare class Exec {
  constructor(config: KubeConfig);
  exec(
    namespace: string,
    pod: string,
    container: string,
    command: string | string[],
    stdout: Writable | null,
    stderr: Writable | null,
    stdin: Readable | null,
    tty: boolean,
    statusCallback?: (status: ExecStatus) => void,
  ): Promise<ExecConnection>;
}
