import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A TCP proxy on loopback between a client and a server. */
export interface LoopbackProxy {
  readonly port: number;
  readonly httpUrl: string;
  readonly webSocketUrl: string;
  /** The target of new connections. */
  targetPort: number;
  /** Added to each round trip, in ms. */
  latencyMs: number;
  /** The bytes of an answer that are passed on every 5 ms. Null means no limit. */
  dripBytes: number | null;
  /** While true, data is held back in both directions. */
  stalled: boolean;
  /** The number of requests that clients have sent on all connections, each after the answer to the one before. */
  roundTrips: number;
  /**
   * Cuts the connection of the next request, either before the request reaches the server or after the server has
   * answered, without passing the answer on. Resolves when the connection is cut.
   */
  cutNext(when: "before" | "after"): Promise<void>;
  /** Cuts all open connections. */
  cutAll(): void;
  close(): Promise<void>;
}

/** Time for a server to finish an answer that it has begun. */
const answerPauseMs = 100;

/** Shorter messages only close a stream or keep a connection alive. */
const smallestRequestBytes = 128;

export async function startProxy(targetPort: number): Promise<LoopbackProxy> {
  const sockets = new Set<Socket>();
  let cut: { readonly when: "before" | "after"; readonly done: () => void } | null = null;

  const server = createServer((client) => {
    const target = connect(proxy.targetPort, "127.0.0.1");
    let turn: "client" | "server" = "server";
    let losesAnswer: (() => void) | null = null;
    const destroy = () => {
      client.destroy();
      target.destroy();
    };
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", destroy);
      socket.on("close", () => {
        sockets.delete(socket);
        destroy();
      });
    }
    const toTarget = passOn(target);
    const toClient = passOn(client);
    client.on("data", (chunk: Buffer) => {
      if (turn === "server") proxy.roundTrips += 1;
      turn = "client";
      const isRequest = chunk.length >= smallestRequestBytes;
      if (isRequest && cut?.when === "before") {
        cut.done();
        cut = null;
        destroy();
        return;
      }
      if (isRequest && cut !== null) {
        losesAnswer = cut.done;
        cut = null;
      }
      toTarget(chunk, null);
    });
    target.on("data", (chunk: Buffer) => {
      turn = "server";
      if (losesAnswer !== null) {
        // Answers to earlier requests may still arrive; the last one belongs to this request.
        setTimeout(() => {
          losesAnswer?.();
          destroy();
        }, answerPauseMs);
        return;
      }
      toClient(chunk, proxy.dripBytes);
    });
  });

  /** Writes chunks to a socket in order, each after the latency. */
  function passOn(socket: Socket): (chunk: Buffer, dripBytes: number | null) => void {
    let tail: Promise<void> = Promise.resolve();
    return (chunk, dripBytes) => {
      const due = performance.now() + proxy.latencyMs / 2;
      tail = tail.then(async () => {
        const waitMs = due - performance.now();
        if (waitMs > 0) await pause(waitMs);
        while (proxy.stalled && !socket.destroyed) await pause(5);
        const portion = dripBytes ?? chunk.length;
        for (let at = 0; at < chunk.length; at += portion) {
          if (socket.destroyed) return;
          socket.write(chunk.subarray(at, at + portion));
          if (dripBytes !== null) await pause(5);
        }
      });
    };
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy: LoopbackProxy = {
    port,
    httpUrl: `http://127.0.0.1:${port}`,
    webSocketUrl: `ws://127.0.0.1:${port}`,
    latencyMs: 0,
    dripBytes: null,
    targetPort,
    stalled: false,
    roundTrips: 0,
    cutNext: (when) =>
      new Promise((resolve) => {
        cut = { when, done: resolve };
      }),
    cutAll() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      proxy.cutAll();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
