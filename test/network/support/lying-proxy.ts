import { once } from "node:events";
import { createServer, request as forward, type ServerResponse } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";

/** What a client is told of a request that the server has answered. */
type Answer = (response: ServerResponse, truth: Buffer) => void;

const answerWith =
  (status: number, type: string, body: string, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(status, { "content-type": type, ...headers }).end(body);
  };

/** Each lie: the server has done what it was asked, and the client is told this. */
export const lies = {
  "a cut connection": (response) => response.destroy(),
  "a page with status 200": answerWith(200, "text/html", "<html>Log in to the Wi-Fi</html>"),
  "half a JSON": (response, truth) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(truth.subarray(0, Math.floor(truth.length / 2)));
  },
  "another JSON": answerWith(200, "application/json", '{"ok":true}'),
  "an empty answer": answerWith(200, "application/json", ""),
  "403 of a firewall": answerWith(403, "text/html", "<html>Blocked</html>"),
  "400": answerWith(400, "text/plain", "Bad Request"),
  "404 of a gateway": answerWith(404, "text/html", "<html>Not Found</html>"),
  "404 stream not found": answerWith(404, "application/json", '{"error":"stream not found: 1a2b"}'),
  "408": answerWith(408, "text/plain", "Request Timeout"),
  "429 with seconds": answerWith(429, "text/plain", "Too Many Requests", { "retry-after": "1" }),
  "502 that claims JSON": answerWith(502, "application/json", '{"message":"Bad Gateway"}'),
  "502 with the words of a database": answerWith(
    502,
    "application/json",
    '{"message":"UNIQUE constraint failed: workflow_runs.run_id","code":"SQLITE_CONSTRAINT"}',
  ),
  "503": answerWith(503, "text/plain", "database is locked"),
  "an answer that never ends": (response, truth) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write(truth.subarray(0, 10));
    const timer = setInterval(() => response.write(" "), 20);
    response.on("close", () => clearInterval(timer));
  },
  "no answer": () => undefined,
} satisfies Record<string, Answer>;

export type Lie = keyof typeof lies;

export interface LyingProxy {
  readonly url: string;
  /** How the next requests are answered, after the server has carried them out; null for the truth. */
  readonly lies: (Lie | null)[];
  /** How all requests are answered when no lie is left; null for the truth. */
  constantLie: Lie | null;
  /** Answers to requests whose path contains this stop after ten bytes, or never come if they are shorter. */
  stalledPath: string | null;
  /** When requests came, in milliseconds of `performance.now()`. */
  readonly requestedAt: number[];
  close(): Promise<void>;
}

/** A gateway in front of a server that speaks HTTP, which passes every request on and does not say what came of it. */
export async function startLyingProxy(port: number): Promise<LyingProxy> {
  const server = createServer((asked, response) => {
    proxy.requestedAt.push(performance.now());
    const next = proxy.lies.shift();
    const lie = next === undefined ? proxy.constantLie : next;
    const { method, url: path, headers } = asked;
    // Half of a compressed text is not the half of the text.
    const readable = { ...headers, "accept-encoding": "identity" };
    const target = { host: "127.0.0.1", port, method, path, headers: readable };
    const passedOn = forward(target, (truth) => {
      const chunks: Buffer[] = [];
      truth.on("data", (chunk: Buffer) => chunks.push(chunk));
      truth.on("end", () => {
        const body = Buffer.concat(chunks);
        if (proxy.stalledPath !== null && path?.includes(proxy.stalledPath)) {
          const isShort = body.length <= 10;
          if (!isShort)
            response.writeHead(truth.statusCode ?? 500, truth.headers).write(body.subarray(0, 10));
          return;
        }
        if (lie !== null) return lies[lie](response, body);
        response.writeHead(truth.statusCode ?? 500, truth.headers).end(body);
      });
    });
    passedOn.on("error", () => response.destroy());
    asked.pipe(passedOn);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: LyingProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lies: [],
    constantLie: null,
    stalledPath: null,
    requestedAt: [],
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

/** What a client over a WebSocket is told of a request that the server has answered. */
export const socketLies = {
  "a cut connection": null,
  "a message that is none": Buffer.from([0x82, 3, 0xff, 0xff, 0xff]),
  "a text": Buffer.from([0x81, 2, 0x7b, 0x7d]),
  "an orderly closing": Buffer.from([0x88, 2, 0x03, 0xe8]),
  "no answer": Buffer.alloc(0),
} satisfies Record<string, Buffer | null>;

export type SocketLie = keyof typeof socketLies;

export interface LyingSocketProxy {
  readonly url: string;
  /** Each of the next messages that a client sends is answered with one of them. */
  readonly lies: (SocketLie | null)[];
  /** While true the server accepts connections and never answers. */
  isSilent: boolean;
  close(): Promise<void>;
}

const smallestRequestBytes = 128;
/** How long a server may need for an answer. */
const answerPauseMs = 100;

export async function startLyingSocketProxy(port: number): Promise<LyingSocketProxy> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((client) => {
    const target = connect(port, "127.0.0.1");
    let isLying = false;
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on("data", (chunk: Buffer) => {
      if (proxy.isSilent) return;
      target.write(chunk);
      // The upgrade of the connection is no request.
      if (chunk.length < smallestRequestBytes || chunk.toString("latin1").startsWith("GET "))
        return;
      const lie = proxy.lies.shift();
      if (lie === undefined || lie === null) return;
      isLying = true;
      setTimeout(() => {
        const frame = socketLies[lie];
        if (frame === null) client.destroy();
        else client.write(frame);
      }, answerPauseMs);
    });
    target.on("data", (chunk: Buffer) => {
      if (!isLying && !proxy.isSilent) client.write(chunk);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: LyingSocketProxy = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lies: [],
    isSilent: false,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}
