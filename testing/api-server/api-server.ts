/**
 * A Kubernetes API server for tests: what `netwhy replay` serves, with writes, with rights that are missing, and with
 * faults to inject.
 *
 *   await using api = await apiServer({ bundle: recordingPath("healthy-iptables") });
 *   api.inject({ on: /\/pods/, does: "refuse", reason: "TooManyRequests", retryAfter: 1, times: 2 });
 *
 * It listens on loopback, on a port of its own, without TLS and for everybody.
 */
import type { ApiRequest } from "../../src/replay/answer.ts";
import { answer } from "../../src/replay/api.ts";
import { createStoreIntake } from "../../src/replay/bundle-store.ts";
import { kubeconfig, readStore } from "../../src/replay/replay.ts";
import { listen, send } from "../../src/replay/server.ts";
import { qualified } from "../../src/replay/status.ts";
import type { Store } from "../../src/replay/store.ts";
import { WATCH_OPTIONS, type WatchOptions } from "../../src/replay/watch.ts";
import { deliverBroken, type Fault, faultList } from "./faults.ts";
import { type WritableStore, writableStore } from "./writable-store.ts";

export type ApiServerOptions = {
  /** The path of a bundle. */
  readonly bundle?: string;
  /** Or its files. */
  readonly files?: ReadonlyMap<string, string>;
  /** Or a store. */
  readonly store?: Store;
  readonly watch?: Partial<WatchOptions>;
  /** Whether it takes writes; all resources of the store then begin as they are, or empty. */
  readonly isWritable?: boolean;
  /** Resources that nobody may read: `configmaps`, `deployments.apps`. */
  readonly forbidden?: readonly string[];
};

export type ApiServer = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  /** The text of a kubeconfig for it. */
  readonly kubeconfig: string;
  readonly store: Store;
  /** What can be done to it besides requests; undefined if it takes no writes. */
  readonly writable: WritableStore | undefined;
  /** What was asked, in order. */
  readonly requests: readonly ApiRequest[];
  /** @returns how to end the fault */
  inject(fault: Fault): () => void;
  /** Ends all connections, and listens no more. */
  close(): Promise<void>;
};

export async function apiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const base = await storeFor(options);
  const writable = options.isWritable ? writableStore(base) : undefined;
  const store = withoutRights(writable?.store ?? base, options.forbidden ?? []);
  const watch = { ...WATCH_OPTIONS, ...options.watch };
  const requests: ApiRequest[] = [];
  const faults = faultList();
  const { port, close } = await listen(
    (request) => answer(request, store, { watch, ...(writable && { write: writable.write }) }),
    0,
    (res, whole, request) => {
      requests.push(request);
      const fault = faults.next(request);
      return fault ? deliverBroken(fault, res, whole) : send(res, whole);
    },
  );
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    kubeconfig: kubeconfig(port),
    store,
    writable,
    requests,
    inject: faults.add,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function storeFor({ bundle, files = new Map(), store }: ApiServerOptions): Promise<Store> {
  if (store) return store;
  if (bundle !== undefined) return (await readStore(bundle)).store;
  const intake = createStoreIntake();
  for (const [path, text] of files) {
    const sink = intake.open(path);
    sink?.write(text);
    sink?.end({ bytes: Buffer.byteLength(text) });
  }
  return intake.store();
}

/** The store as somebody sees it who may not read some of it. */
function withoutRights(store: Store, forbidden: readonly string[]): Store {
  return {
    ...store,
    served(group, version, plural) {
      const found = store.served(group, version, plural);
      if (!found || !forbidden.includes(qualified(found.type))) return found;
      const what = `cannot list resource "${plural}" in API group "${group}" at the cluster scope`;
      return { type: found.type, served: { state: "forbidden", why: `User "tester" ${what}` } };
    },
  };
}
