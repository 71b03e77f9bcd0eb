/** The exec endpoint of a stub API server: a WebSocket as the API server speaks it, behind it a process of this machine. */
import { type ChildProcess, spawn } from "node:child_process";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";

export type ExecStub = {
  /** Which of them the server knows, the best first. */
  readonly protocols?: readonly string[];
  /** Refuses with this status. */
  readonly refuse?: number;
  /** What is run in place of the command that was asked for. */
  readonly run?: (url: URL) => { readonly command: readonly string[]; readonly env?: NodeJS.ProcessEnv } | "silence";
};

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** https://kubernetes.io/docs/reference/using-api/websockets: a channel's number before each message. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3 } as const;

export function execStub({ protocols = ["v5.channel.k8s.io"], refuse, run }: ExecStub = {}): Upgrade {
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
  return (request, socket, head) => {
    if (refuse !== undefined) {
      socket.end(`HTTP/1.1 ${refuse} Refused\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const url = new URL(request.url!, "http://stub");
    const what = run?.(url) ?? { command: url.searchParams.getAll("command") };
    server.handleUpgrade(request, socket, head, (webSocket) => {
      if (what === "silence") return;
      const [program = "", ...args] = what.command;
      const child: ChildProcess = spawn(program, args, { env: what.env ?? process.env });
      const send = (channel: number, data: Buffer | string) =>
        webSocket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data)]));
      child.stdin!.on("error", () => {});
      webSocket.on("message", (data: Buffer) => {
        if (data[0] === CHANNEL.stdin) child.stdin!.write(data.subarray(1));
      });
      webSocket.on("close", () => child.kill());
      child.stdout!.on("data", (data: Buffer) => send(CHANNEL.stdout, data));
      child.stderr!.on("data", (data: Buffer) => send(CHANNEL.stderr, data));
      child.on("close", (code) => {
        const status =
          code === 0
            ? { status: "Success" }
            : { status: "Failure", message: `command terminated with exit code ${code}` };
        send(CHANNEL.status, JSON.stringify(status));
        webSocket.close();
      });
    });
  };
}
